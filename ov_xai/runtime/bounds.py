"""What length a side of a model's input may have."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Bounds:
    """The lengths that a side of the input may have, in pixels.

    Attributes:
        least: the smallest, from 1.
        most: the largest; None for no limit.
    """

    least: int = 1
    most: int | None = None

    def __str__(self) -> str:
        return "any length" if self == Bounds() else f"{self.least}..{self.most or ''}"

    def clipped(self, length: float) -> int:
        """Return the allowed length nearest to one."""
        wanted = max(self.least, round(length))
        return wanted if self.most is None else min(wanted, self.most)
