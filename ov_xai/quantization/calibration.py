"""Photos for calibration: which of them are used, and what the model reads of them."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import openvino as ov

from ov_xai.errors import InputError
from ov_xai.graph.image_input import find_image_input
from ov_xai.graph.view import sizes
from ov_xai.runtime.images import find_images
from ov_xai.runtime.model_preprocessing import preprocessing_of
from ov_xai.runtime.overrides import Overrides
from ov_xai.runtime.preprocessing import Preprocessing
from ov_xai.runtime.session import ImageSource, load

Photos: TypeAlias = str | os.PathLike[str] | Sequence[ImageSource]


@dataclass(frozen=True)
class Found:
    """The photos that can be read.

    Attributes:
        photos: paths, or u8 [H, W, 3], RGB.
        skipped: per photo that cannot be read a sentence that says why.
    """

    photos: list[ImageSource]
    skipped: list[str]


def find_photos(source: Photos, limit: int | None = None) -> Found:
    """Return the photos of a folder, or of a sequence, that can be read.

    Of more than `limit` some are left out evenly: folders are sorted, and their first photos often show one class.

    Raises:
        InputError: there is none, or the folder does not exist.
    """
    listed = [item.path for item in find_images(Path(source))] if isinstance(source, str | os.PathLike) else source
    count = len(listed) if limit is None else min(limit, len(listed))
    photos: list[ImageSource] = []
    skipped = []
    for index in range(count):
        photo = listed[index * len(listed) // count]
        try:
            load(photo)
        except InputError as error:
            skipped.append(str(error))
        else:
            photos.append(photo)
    if not photos:
        where = f"in '{source}'" if isinstance(source, str | os.PathLike) else "among those given"
        raise InputError(f"No image {where} can be read; expected photos such as .jpg or .png. Give another folder.")
    return Found(photos, skipped)


class Feeder:
    """Makes the input of a model of a photo, as `explain` does.

    Args:
        model: the model, without preprocessing of ours.
        overrides: what differs from the model's own `model_info`.

    Raises:
        UnsupportedModelError: the model has no image input.
        RequestError: an override does not fit.
    """

    def __init__(self, model: ov.Model, overrides: Overrides | None = None) -> None:
        self.preprocessing: Preprocessing = preprocessing_of(model, overrides)
        source, letters = find_image_input(model)
        self._type = source.get_element_type().to_dtype()
        self._batch = (sizes(source) or [None])[0] if letters[0] == "N" else None

    def __call__(self, photo: ImageSource) -> dict[int, npt.NDArray[Any]]:
        """Return the tensor by input index; a fixed batch is filled with the same photo."""
        tensor = self.preprocessing.plain(load(photo)).astype(self._type, copy=False)
        if self._batch is not None and self._batch > 1:
            tensor = np.repeat(tensor, self._batch, axis=0)
        return {self.preprocessing.position: tensor}


def counted(feed: Callable[[Any], Any], notify: Callable[[], object]) -> Callable[[Any], Any]:
    """Return a feeder that says so whenever it is used."""

    def feed_and_notify(item: Any) -> Any:
        notify()
        return feed(item)

    return feed_and_notify
