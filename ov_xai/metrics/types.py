"""What a metric measures: a network, and what explains it, as plain functions on arrays."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]

#: Images f32 [B, H, W, C], in the units the network takes after normalisation, to probabilities f32 [B, K].
Predict = Callable[[Floats], Floats]
#: An image f32 [H, W, C] in the same units and a class to its map f32 [H, W], in 0..1.
Explain = Callable[[Floats, int], Floats]
