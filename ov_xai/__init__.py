"""Saliency maps inside OpenVINO models: one inference returns the predictions and where they come from."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ov_xai.version import __version__ as __version__

if TYPE_CHECKING:
    from ov_xai.public import *  # noqa: F403 - its __all__ says what


def __getattr__(name: str) -> Any:
    """Import the public names when the first of them is asked for: the command line must be reachable before that."""
    public = import_module("ov_xai.public")
    if name == "__all__" or name in public.__all__:
        return getattr(public, name)
    if name in globals():  # a room, imported on the way
        return globals()[name]
    raise AttributeError(f"module 'ov_xai' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted({*globals(), *import_module("ov_xai.public").__all__})
