"""The same computation in plainer ops, while a model is taken apart and its branch is built.

Exports say one thing in many ways. What is spelled out here needs no rules further on, and the model itself stays as
it is: whatever reads what is new reads the tensor of the model afterwards. Names are those of the model, so that a
tensor of an anatomy is found again by name; the model may hold it flattened.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import openvino as ov

from ov_xai.graph.emit import Emitter
from ov_xai.graph.spelling.einsum import spell_einsums
from ov_xai.graph.spelling.flattened import spell_flattened
from ov_xai.graph.spelling.prelu import spell_prelus

__all__ = ["spelled_out"]


@contextmanager
def spelled_out(model: ov.Model) -> Iterator[None]:
    """Let plainer ops stand in for some of a model inside; each tensor that is replaced keeps its names."""
    with ExitStack() as taken:
        for spell in (spell_prelus, spell_einsums, spell_flattened):
            for respelling in spell(model, Emitter(model)):
                taken.callback(respelling.give_back)
        yield
