"""Slow, independent NumPy versions of what the product computes in the graph. They import nothing from ov_xai."""
