"""What every saliency branch gives."""

from __future__ import annotations

from dataclasses import dataclass

import openvino as ov

from ov_xai.analysis.anatomy import Anatomy
from ov_xai.analysis.axes import place_axes
from ov_xai.errors import UnsupportedModelError
from ov_xai.graph.emit import Emitter
from ov_xai.methods.activation_map import activation_map
from ov_xai.methods.eigen_cam import eigen_cam
from ov_xai.methods.maps import RawMaps
from ov_xai.methods.places import mean_over_places
from ov_xai.request import Method, Normalise


@dataclass(frozen=True)
class Branch:
    """The tensors a patched model gains.

    Attributes:
        maps: the maps before normalisation.
        classes: i64 [N, T], the classes they belong to; None for all, or for maps per image.
        vector: f32 or f16 [N, C], the feature vector; None when it is not wanted.
    """

    maps: RawMaps
    classes: ov.Output | None = None
    vector: ov.Output | None = None


def maps_per_image(emit: Emitter, anatomy: Anatomy, method: Method, normalise: Normalise) -> RawMaps:
    """Return the activation map or the Eigen-CAM of the target."""
    height, width = grid_extents(emit, anatomy)
    if method is Method.ACTIVATION_MAP:
        return activation_map(emit, anatomy.target, height, width)
    return eigen_cam(emit, anatomy.target, height, width, scale_free=normalise is Normalise.MINMAX)


def spatial_mean(emit: Emitter, anatomy: Anatomy) -> ov.Output:
    """Return the mean of the target over its places, [N, C]."""
    return mean_over_places(emit, anatomy.target, *grid_extents(emit, anatomy))


def grid_extents(emit: Emitter, anatomy: Anatomy) -> tuple[ov.Output, ov.Output]:
    """Return rows and columns of the grid, as i64 vectors of one element.

    They are read from the target where it has an axis for each, so that a patched model can still be reshaped.

    Raises:
        UnsupportedModelError: the grid has a dynamic size and shares one axis.
    """
    target = anatomy.target
    axes = place_axes(target.layout)
    if len(axes) != 2 and target.grid.height is not None and target.grid.width is not None:
        return emit.ints(target.grid.height), emit.ints(target.grid.width)
    if len(axes) != 2:
        raise UnsupportedModelError(
            "The grid has a dynamic size and its rows and columns share one axis",
            node=target.name,
            remedy="Fix the image size before patching (`ov.Model.reshape`), or choose another --target-layer.",
        )
    return emit.extents(target.output, axes[0]), emit.extents(target.output, axes[1])
