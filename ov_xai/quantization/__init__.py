"""Quantise plain and patched models to INT8 after training, with NNCF."""
