"""A tensor that stands in for another one of the same values."""

from __future__ import annotations

from dataclasses import dataclass

import openvino as ov


@dataclass(frozen=True)
class StandIn:
    """A tensor of a model and the one that is read in its stead."""

    old: ov.Output
    new: ov.Output

    @classmethod
    def take(cls, old: ov.Output, new: ov.Output) -> StandIn:
        """Let everything that reads `old` read `new`, whose node gets the name of the other."""
        _hand_over(old, new)
        new.get_node().set_friendly_name(old.get_node().get_friendly_name())
        return cls(old, new)

    def give_back(self) -> None:
        """Let everything that reads the stand-in read the tensor itself."""
        _hand_over(self.new, self.old)


def _hand_over(old: ov.Output, new: ov.Output) -> None:
    for reader in old.get_target_inputs():
        reader.replace_source_output(new)
    names = old.get_names()
    old.set_names(set())
    new.set_names(names)
