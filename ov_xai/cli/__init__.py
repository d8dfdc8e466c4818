"""The command line: one file per verb, one library call per verb."""
