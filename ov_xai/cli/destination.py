"""Where a verb writes the model it makes."""

from __future__ import annotations

from pathlib import Path

from ov_xai.errors import OutputError


def choose_output(model: Path, output: Path | None, suffix: str, in_place: bool) -> Path:
    """Return where to write; the input itself only with `in_place`.

    Raises:
        OutputError: the output is the input, or `in_place` does not fit.
    """
    if in_place:
        if output is not None or model.suffix.lower() != ".xml":
            raise OutputError("--in-place writes over an .xml model; it goes with neither -o nor another format.")
        return model
    named = model if model.name else model.resolve()  # "." is called what the folder is called
    stem = named.name if named.is_dir() else named.name.removesuffix(named.suffix)
    chosen = output or named.parent / f"{stem}{suffix}.xml"
    if chosen.resolve() == model.resolve():
        raise OutputError(f"Output '{chosen}' is the model itself. Use --in-place to write over it, or change -o.")
    return chosen
