"""SciPy is an optional extra: it is imported where it is needed."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from ov_xai.errors import MissingExtraError


def scipy_module(name: str) -> Any:
    """Return a module of SciPy, such as "stats" or "sparse.linalg".

    Raises:
        MissingExtraError: SciPy is not installed.
    """
    try:
        return import_module(f"scipy.{name}")
    except ModuleNotFoundError as error:
        raise MissingExtraError("scipy", "evaluate") from error
