"""What OpenVINO's telemetry says about itself."""

from __future__ import annotations

import logging
from pathlib import Path

_PACKAGE = "openvino_telemetry"


def silence_telemetry() -> None:
    """Drop what telemetry logs, as where it can make no folder for itself; it does so while OpenVINO is imported."""
    logging.getLogger().addFilter(_is_of_others)


def _is_of_others(record: logging.LogRecord) -> bool:
    return _PACKAGE not in Path(record.pathname).parts
