"""The mask matrix G and what is linear in it.

Both masks are separable: G[(y, x), (v, u)] = k(|y - v|) k(|x - u|) with k(d) = max(0, 1 - d) for `pixel` and
k(d) = max(0, 1/2 - d/4) for `gaussian` ([1 2 1; 2 4 2; 1 2 1]/16, clipped at the border and not renormalised). So G
is never stored: multiplying by it is a 3x3 convolution with zeros around, or it is an expression of h and w that is
folded when the model is compiled.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import openvino as ov

from ov_xai.graph.emit import Emitter
from ov_xai.request import Mask

_KERNEL = np.array([[1, 2, 1], [2, 4, 2], [1, 2, 1]]) / 16

#: (peak, slope) of k(d) = max(0, peak - slope d).
_PROFILE = {Mask.PIXEL: (1.0, 1.0), Mask.GAUSSIAN: (0.5, 0.25)}


class MaskMatrix:
    """G for one mask and one grid.

    Args:
        emit: where nodes are added.
        mask: which mask.
        height: i64 vector of one element, the rows of the grid.
        width: i64 vector of one element, its columns.
        element_type: type of the activations.
    """

    def __init__(self, emit: Emitter, mask: Mask, height: ov.Output, width: ov.Output, element_type: ov.Type) -> None:
        self.mask = mask
        self.height = height
        self.width = width
        self._emit = emit
        self._type = element_type

    @property
    def levels(self) -> tuple[float, ...]:
        """Return the distinct values of G that are not zero."""
        return (1.0,) if self.mask is Mask.PIXEL else (1 / 16, 1 / 8, 1 / 4)

    def _number(self, value: float) -> ov.Output:
        return self._emit.constant(value, self._type.to_dtype())

    def profile(self, extent: ov.Output) -> ov.Output:
        """Return k(|i - j|) as [extent, extent]."""
        emit = self._emit
        peak, slope = _PROFILE[self.mask]
        index = emit.convert(emit.range(emit.squeeze(extent, 0)), self._type)
        distance = emit.absolute(emit.subtract(emit.unsqueeze(index, 1), emit.unsqueeze(index, 0)))
        return emit.relu(emit.subtract(self._number(peak), emit.multiply(distance, self._number(slope))))

    def matrix(self) -> ov.Output:
        """Return G as [P, P]."""
        emit = self._emit
        rows = emit.unsqueeze(self.profile(self.height), 1, 3)  # (h, 1, h, 1)
        columns = emit.unsqueeze(self.profile(self.width), 0, 2)  # (1, w, 1, w)
        places = emit.multiply(self.height, self.width)
        return emit.reshape(emit.multiply(rows, columns), places, places)

    def chosen(self, level: float) -> ov.Output:
        """Return [G[p, q] = level] as [P, P], of the activations' type."""
        return self._emit.convert(self._emit.equal(self.matrix(), self._number(level)), self._type)

    def smooth_first(self, values: ov.Output, channels: int) -> ov.Output:
        """Return sum_q G[p, q] values[q] for values [N, C, h, w]."""
        if self.mask is Mask.PIXEL:
            return values
        return self._stencil(values, channels, _KERNEL)

    def smooth_last(self, values: ov.Output) -> ov.Output:
        """Return sum_q G[p, q] values[q] for values [N, P, C]."""
        return values if self.mask is Mask.PIXEL else self._emit.matmul(self.matrix(), values)

    def pick_first(self, level: float, values: ov.Output, channels: int) -> ov.Output:
        """Return the sum of values[q] over the places where G[p, q] = level, for values [N, C, h, w]."""
        if self.mask is Mask.PIXEL:
            return values
        return self._stencil(values, channels, np.where(np.equal(_KERNEL, level), 1.0, 0.0))

    def pick_last(self, level: float, values: ov.Output) -> ov.Output:
        """Return the sum of values[q] over the places where G[p, q] = level, for values [N, P, C]."""
        if self.mask is Mask.PIXEL:
            return values
        return self._emit.matmul(self.chosen(level), values)

    def offsets(self, level: float) -> list[tuple[int, int]]:
        """Return the (dy, dx) at which G takes this level."""
        if self.mask is Mask.PIXEL:
            return [(0, 0)]
        return [(int(dy) - 1, int(dx) - 1) for dy, dx in np.argwhere(level == _KERNEL)]

    def _stencil(self, values: ov.Output, channels: int, kernel: npt.NDArray[np.float64]) -> ov.Output:
        emit = self._emit
        weights = emit.constant(kernel.reshape(1, 1, 1, 3, 3), self._type.to_dtype())
        return emit.depthwise(values, emit.broadcast(weights, emit.ints(channels, 1, 1, 3, 3)), pad=1)
