"""Detectors and segmentation models: where their class scores stand."""
