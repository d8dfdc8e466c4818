"""What the models are run on: random numbers, made-up pictures, and the images of a folder."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import openvino as ov

from ov_xai.errors import InputError, UnsupportedModelError
from ov_xai.graph.trial import SAMPLE_SIZE, sample_inputs
from ov_xai.runtime.images import Image, find_images, read_image
from ov_xai.runtime.model_preprocessing import preprocessing_of

Array = npt.NDArray[Any]

#: Number of made-up pictures.
_PICTURES = 4


@dataclass(frozen=True)
class Sample:
    """Inputs of one inference.

    Attributes:
        name: what it is, for messages.
        inputs: one array per input of the model.
    """

    name: str
    inputs: tuple[Array, ...]


def random_samples(model: ov.Model, count: int = 2) -> tuple[Sample, ...]:
    """Return samples of random numbers."""
    return tuple(Sample(f"random input {seed}", tuple(sample_inputs(model, seed))) for seed in range(count))


def picture_samples(model: ov.Model) -> tuple[Sample, ...]:
    """Return samples of made-up pictures, through the model's own preprocessing.

    Random numbers look alike everywhere; these have objects at different places.
    """
    pictures = [made_up_picture(seed) for seed in range(_PICTURES)]
    return tuple(Sample(f"picture {index}", _inputs(model, picture)) for index, picture in enumerate(pictures))


def load_images(source: Path, count: int) -> dict[str, Image]:
    """Return the first images of a folder, or a single one, by name; files that are none are left out.

    A single image is followed by its mirror image, so that there is something to compare.

    Raises:
        InputError: the folder cannot be read, or holds no image that can be.
    """
    found = dict(islice(_readable(source), count))
    if not found:
        raise InputError(f"No images that can be read in '{source}'. Give an image or a folder of images with --data.")
    if len(found) == 1:
        ((name, image),) = found.items()
        found[f"{name} mirrored"] = np.ascontiguousarray(image[:, ::-1])
    return found


def image_samples(model: ov.Model, images: Mapping[str, Image]) -> tuple[Sample, ...]:
    """Return samples of images, through the model's own preprocessing."""
    return tuple(Sample(name, _inputs(model, image)) for name, image in images.items())


def _readable(folder: Path) -> Iterator[tuple[str, Image]]:
    for file in find_images(folder):
        try:
            image = read_image(file.path)
        except InputError:
            continue
        yield (file.folder / file.path.name).as_posix(), image


def made_up_picture(seed: int, size: int = 320) -> Image:
    """Return a picture of a few discs on a gradient, u8 [size, size, 3], RGB."""
    random = np.random.default_rng(seed)
    first, second = random.uniform(0, 255, (2, 3))
    share = np.linspace(0, 1, size)[:, None, None]
    picture = np.broadcast_to(first * (1 - share) + second * share, (size, size, 3)).astype(np.uint8).copy()
    for _ in range(3):
        centre = [int(item) for item in random.integers(size // 8, size - size // 8, 2)]
        colour = [int(item) for item in random.integers(0, 256, 3)]
        cv2.circle(picture, centre, int(random.integers(size // 12, size // 5)), colour, -1)
    noise = random.normal(0, 12, picture.shape)
    return np.asarray(np.clip(picture + noise, 0, 255).astype(np.uint8))


def _inputs(model: ov.Model, image: Image) -> tuple[Array, ...]:
    """Return the inputs of a model for one image, repeated where the batch is fixed."""
    prepare = preprocessing_of(model)
    arrays = list(sample_inputs(model))
    source = model.inputs[prepare.position]
    if not prepare.fixed_size:
        # Of a model of dynamic size, few sizes may fit; this one has been tried when it was patched.
        width, height = (side or SAMPLE_SIZE for side in prepare.input_wh)
        image = np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
    tensor = prepare.plain(image).astype(source.get_element_type().to_dtype())
    batch = source.get_partial_shape()[0]
    if prepare.letters[0] == "N" and batch.is_static:
        tensor = np.repeat(tensor, batch.get_length(), axis=0)
    arrays[prepare.position] = np.ascontiguousarray(tensor)
    return tuple(arrays)


def explained_samples(model: ov.Model, images: Mapping[str, Image]) -> tuple[Sample, ...]:
    """Return what maps are judged on: the images where there are some, else made-up pictures.

    A model whose image input is not known gets random numbers.
    """
    if images:
        return image_samples(model, images)
    try:
        return picture_samples(model)
    except UnsupportedModelError:
        return random_samples(model)
