"""Names of the outputs that a patched model has besides its own."""

from __future__ import annotations

SALIENCY_MAP = "saliency_map"
SALIENCY_CLASSES = "saliency_classes"
FEATURE_VECTOR = "feature_vector"

ADDED_OUTPUTS = frozenset({SALIENCY_MAP, SALIENCY_CLASSES, FEATURE_VECTOR})
