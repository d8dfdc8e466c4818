"""Files that ship with the package: demo models, labels, photos, cards."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).parent


def asset_folder(name: str) -> Path:
    """Return a shipped folder, "data" or "model_patches".

    In an installed package it lies inside `ov_xai`; in a checkout (also an editable install) beside it.

    Raises:
        FileNotFoundError: the package was built without it.
    """
    for parent in (_PACKAGE, _PACKAGE.parent):
        folder = parent / name
        if folder.is_dir():
            return folder
    raise FileNotFoundError(f"The folder '{name}' is missing from the installation of ov-xai. Install it again.")
