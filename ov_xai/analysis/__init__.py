"""From an `ov.Model` to a `ModelReport`: what the model is, and where a map can come from."""
