"""Tensors of the same values in plainer words."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import openvino as ov

from ov_xai.graph.emit import Emitter
from ov_xai.graph.view import node_key, pattern_of, sizes


class Respelling(Protocol):
    """What has been put into a model in place of something else."""

    def give_back(self) -> None:
        """Let everything that reads what is new read the model's own tensor."""


@dataclass(frozen=True)
class Replacement:
    """A tensor of a model and the one that is read in its stead."""

    old: ov.Output
    new: ov.Output

    @classmethod
    def take(cls, old: ov.Output, new: ov.Output) -> Replacement:
        """Let everything that reads `old` read `new`, whose node gets the name of the other."""
        _hand_over(old, new)
        new.get_node().set_friendly_name(old.get_node().get_friendly_name())
        return cls(old, new)

    def give_back(self) -> None:
        _hand_over(self.new, self.old)


@dataclass(frozen=True)
class Step:
    """A tensor on the way to a replacement, and that of the model which holds the same values in another shape.

    Attributes:
        old: that of the model.
        new: the other one.
        own: keys of the nodes that read `new` when everything is spelled out.
        emit: where nodes are added.
    """

    old: ov.Output
    new: ov.Output
    own: frozenset[int]
    emit: Emitter

    @classmethod
    def take(cls, old: ov.Output, new: ov.Output, emit: Emitter) -> Step:
        """Note who reads `new` by now, and give its node the name of the other."""
        new.get_node().set_friendly_name(old.get_node().get_friendly_name())
        return cls(old, new, frozenset(node_key(reader.get_node()) for reader in new.get_target_inputs()), emit)

    def give_back(self) -> None:
        readers = list(self._others())
        if readers:
            with self.emit.scope(self.old.get_node().get_friendly_name()):
                shaped = self.emit.reshape(self.old, *pattern_of(sizes(self.new) or []))
            for reader in readers:
                reader.replace_source_output(shaped)

    def _others(self) -> Iterator[ov.Input]:
        return (reader for reader in self.new.get_target_inputs() if node_key(reader.get_node()) not in self.own)


def _hand_over(old: ov.Output, new: ov.Output) -> None:
    for reader in old.get_target_inputs():
        reader.replace_source_output(new)
    names = old.get_names()
    old.set_names(set())
    new.set_names(names)
