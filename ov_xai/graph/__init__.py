"""Models as files and graphs: reading, querying, emitting nodes, saving."""
