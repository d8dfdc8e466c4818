"""What is found once about every model: the graph, its image input, what all axes are, and a feature map."""

from __future__ import annotations

from dataclasses import dataclass

import openvino as ov

from ov_xai.analysis.candidates import Candidate, candidate
from ov_xai.analysis.propagation import Layouts, hidden_grid, image_layout, propagate
from ov_xai.errors import ModelMismatchError
from ov_xai.graph.image_input import find_image_input
from ov_xai.graph.view import GraphView


@dataclass(frozen=True)
class Surface:
    """A model's graph with the meaning of its axes.

    Attributes:
        view: the graph.
        image: the image input.
        image_letters: its layout, e.g. "NCHW".
        layouts: what the axes of every tensor are.
    """

    view: GraphView
    image: ov.Output
    image_letters: str
    layouts: Layouts


@dataclass(frozen=True)
class Anatomy:
    """What every kind of model has.

    Attributes:
        surface: the graph with the meaning of its axes.
        target: the feature map that is masked, or shown as it is.
    """

    surface: Surface
    target: Candidate

    @property
    def view(self) -> GraphView:
        """The graph."""
        return self.surface.view

    @property
    def layouts(self) -> Layouts:
        """What the axes of every tensor are."""
        return self.surface.layouts


def find_surface(model: ov.Model, grid: tuple[int, int] | None = None) -> Surface:
    """Return the graph with the meaning of its axes.

    Args:
        model: the model.
        grid: rows and columns of tokens whose grid the graph hides; None reads all from the graph.

    Raises:
        UnsupportedModelError: no image input.
        ModelMismatchError: no tensor has such a grid.
    """
    image, letters = find_image_input(model)
    view = GraphView(model)
    return Surface(view, image, letters, _layouts(view, image, letters, grid))


def _layouts(view: GraphView, image: ov.Output, letters: str, grid: tuple[int, int] | None) -> Layouts:
    """Return what all axes are; where no tensor has the grid that is given, from where it is hidden."""
    start = image_layout(image, letters)
    layouts = propagate(view, image, start)
    if grid is None or grid in _grids(view, layouts):
        return layouts
    hidden = hidden_grid(view, layouts, *grid)
    if hidden is None:
        raise ModelMismatchError(
            f"--grid is {grid[0]}x{grid[1]}, but no tensor has {grid[0] * grid[1]} places along one axis; the grids "
            f"that can be followed are: {', '.join(f'{h}x{w}' for h, w in sorted(_grids(view, layouts))) or 'none'}."
        )
    return propagate(view, image, start, hidden)


def _grids(view: GraphView, layouts: Layouts) -> set[tuple[int | None, int | None]]:
    outputs = [output for node in view.ops for output in node.outputs()]
    found = [item.grid for output in outputs if (item := candidate(output, layouts)) is not None]
    return {(grid.height, grid.width) for grid in found}
