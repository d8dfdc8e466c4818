"""The options that choose classes, and the choice they make."""

from __future__ import annotations

from ov_xai.errors import RequestError
from ov_xai.runtime.choice import ALL, PREDICTIONS


def parse_classes(classes: str | None, all_classes: bool, group: str | None) -> str | tuple[str, ...]:
    """Return the choice of classes that three options make.

    Raises:
        RequestError: they contradict each other.
    """
    said = [value for value in (classes, ALL if all_classes else None, group) if value is not None]
    if len(said) > 1:
        raise RequestError("--classes, --explain-all-classes and --target-explain-group say the same thing. Give one.")
    if group is not None:
        return ALL if group.upper() == "ALL" else PREDICTIONS
    if all_classes:
        return ALL
    text = (classes or PREDICTIONS).strip()
    if text.lower() in (PREDICTIONS, ALL):
        return text.lower()
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    if not names:
        raise RequestError("--classes names no class; expected predictions, all, or labels separated by commas.")
    return names
