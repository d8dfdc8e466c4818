"""Figures of quality that a later model is compared with, as a JSON file.

    {"schema": 1, "ov_xai": "...", "model_sha256": "...", "images": 40, "images_sha256": "...",
     "metrics": {"NAME": {"value": 0.61, "margin": 0.02, "higher_is_better": true}}}

A figure is worse when it is beyond its margin on the wrong side; margins may be edited by hand.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated

import msgspec

from ov_xai.errors import InputError
from ov_xai.runtime.files import write_result

SCHEMA = 1


class Figure(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One figure of quality.

    Attributes:
        value: its mean over the images.
        margin: by how much a later one may be worse.
        higher_is_better: which side is worse.
    """

    value: float
    margin: Annotated[float, msgspec.Meta(ge=0)]
    higher_is_better: bool

    def loss(self, later: Figure) -> float:
        """Return by how much a later figure is worse; negative where it is better, NaN where it is unknown."""
        return self.value - later.value if self.higher_is_better else later.value - self.value


class Baseline(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Figures of one model on one set of images.

    Attributes:
        schema: version of this record.
        ov_xai: version of the package that measured.
        model_sha256: of the model that was measured.
        images: number of images.
        images_sha256: of the files in the folder, names included.
        metrics: figures by name.
    """

    schema: int
    ov_xai: str
    model_sha256: str
    images: int
    images_sha256: str
    metrics: dict[str, Figure]


def read_baseline(path: Path) -> Baseline:
    """Return the baseline in a file.

    Raises:
        InputError: it cannot be read, is no baseline, or of another schema.
    """
    try:
        found = msgspec.json.decode(path.read_bytes(), type=Baseline)
    except OSError as error:
        raise InputError(
            f"Baseline '{path}' cannot be read: {error.strerror}. Write one with --write-baseline."
        ) from error
    except msgspec.DecodeError as error:
        raise InputError(f"Baseline '{path}' is none: {error}. Write it again with --write-baseline.") from error
    if found.schema != SCHEMA:
        raise InputError(
            f"Baseline '{path}' has schema {found.schema}, expected {SCHEMA}. Write it again with --write-baseline."
        )
    return found


def write_baseline(baseline: Baseline, path: Path) -> None:
    """Write a baseline, atomically.

    Raises:
        OutputError: it cannot be written.
    """
    write_result(path, msgspec.json.format(msgspec.json.encode(baseline), indent=2) + b"\n")


def worse(old: Baseline, new: Baseline) -> list[str]:
    """Return the figures that are worse than the baseline by more than their margin, or missing, as text."""
    found = []
    for name, figure in sorted(old.metrics.items()):
        later = new.metrics.get(name)
        if later is None:
            found.append(f"{name} is not measured any more")
        elif math.isnan(later.value) or figure.loss(later) > figure.margin:
            found.append(f"{name} was {figure.value:.4g} and is {later.value:.4g}, margin {figure.margin:.2g}")
    return found
