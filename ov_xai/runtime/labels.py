"""Labels: reading them, finding classes by name, and making them safe for file names."""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from ov_xai.errors import InputError, ModelMismatchError

#: Longest label in a file name, in bytes of UTF-8.
MAX_SAFE = 80


def read_label_file(path: Path) -> tuple[str, ...]:
    """Return one label per line of a text file, empty lines at the end left out.

    Raises:
        InputError: the file cannot be read as UTF-8 text.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except OSError as error:
        raise InputError(f"Labels '{path}' cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise InputError(f"Labels '{path}' are not UTF-8 text. Save the file as UTF-8, one label a line.") from error
    while lines and not lines[-1].strip():
        lines.pop()
    return tuple(line.strip() for line in lines)


def numbered_labels(classes: int) -> tuple[str, ...]:
    """Return "class 0", "class 1", ... for a model without labels."""
    return tuple(f"class {index}" for index in range(classes))


def label_of(labels: Sequence[str], index: int) -> str:
    """Return the label of a class, "class N" beyond the last."""
    return labels[index] if index < len(labels) else f"class {index}"


def aligned_labels(labels: Sequence[str], classes: int, unused: Sequence[int]) -> tuple[str, ...]:
    """Return a label for each label id; lists of labels often leave out the background.

    Args:
        labels: one per label id, or one per label id that is used.
        classes: number of label ids.
        unused: label ids without a class; they get numbered names when `labels` leaves them out.

    Raises:
        ModelMismatchError: their number is neither.
    """
    if not unused or len(labels) == classes:
        return require_count(labels, classes)
    if len(labels) != classes - len(unused):
        raise ModelMismatchError(
            f"{len(labels)} labels are given, but the model has {classes - len(unused)} classes, or {classes} with "
            f"unused ids such as a background ({', '.join(map(str, unused))}); expected one label per class, in the "
            "order of the label ids. Give the right file with --labels."
        )
    rest = iter(labels)
    return tuple(numbered if index in unused else next(rest) for index, numbered in enumerate(numbered_labels(classes)))


def require_count(labels: Sequence[str], classes: int) -> tuple[str, ...]:
    """Return the labels when there is one per class.

    Raises:
        ModelMismatchError: their number differs.
    """
    if len(labels) != classes:
        raise ModelMismatchError(
            f"{len(labels)} labels are given, but the model has {classes} classes; expected one label per class, in "
            "the order of the model's output. Give the right file with --labels."
        )
    return tuple(labels)


def find_classes(labels: Sequence[str], wanted: Sequence[str], open_ended: bool = False) -> list[int]:
    """Return the indices of classes named by label (any case, spaces or underscores) or by index.

    Args:
        labels: by class index.
        wanted: what the caller calls them.
        open_ended: whether there may be classes beyond the labels, named by index.

    Raises:
        ModelMismatchError: a name is no label and no index.
    """
    by_name: dict[str, int] = {}
    for index, label in enumerate(labels):
        by_name.setdefault(folded(label), index)
    result = []
    pending = list(wanted)
    while pending:
        name, taken = _longest_label(pending, by_name)
        del pending[:taken]
        key = folded(name)
        if key in by_name:
            result.append(by_name[key])
        elif key.isascii() and key.isdigit() and (open_ended or int(key) < len(labels)):
            result.append(int(key))
        else:
            close = difflib.get_close_matches(key, by_name, n=3)
            hint = f" Nearest: {', '.join(labels[by_name[item]] for item in close)}." if close else ""
            allowed = "a label or an index" + ("" if open_ended else f" from 0 to {len(labels) - 1}")
            raise ModelMismatchError(f"Class '{name}' is not known; expected {allowed}.{hint}")
    return list(dict.fromkeys(result))


def _longest_label(parts: Sequence[str], known: Mapping[str, int]) -> tuple[str, int]:
    """Return the longest label that leading parts make when joined by commas, and how many parts it takes.

    Names are separated by commas, and labels may hold commas.
    """
    for count in range(len(parts), 1, -1):
        joined = ", ".join(part.strip() for part in parts[:count])
        if folded(joined) in known:
            return joined, count
    return parts[0], 1


def folded(label: str) -> str:
    """Return a label as it is compared: without case, underscores as spaces, a space behind every comma."""
    return " ".join(label.replace("_", " ").replace(",", ", ").split()).casefold()


def distinct_labels(labels: Sequence[str]) -> tuple[str, ...]:
    """Return labels of which no two are equal: a name that stands twice gets its index."""
    counts = Counter(labels)
    taken = set(labels)
    result = []
    for index, label in enumerate(labels):
        unique = label
        while counts[label] > 1 and unique in taken:
            unique += f" ({index})"
        taken.add(unique)
        result.append(unique)
    return tuple(result)


def safe_labels(labels: Sequence[str]) -> tuple[str, ...]:
    """Return each label as a part of a file name: letters, digits, dots and hyphens, no two equal.

    No underscore is left, so that "{stem}_{label}_..." can be read only one way. Labels that become equal, also where
    case does not count, get their index.
    """
    plain = [_safe(label) for label in labels]
    counts: dict[str, int] = {}
    for item in plain:
        counts[item.casefold()] = counts.get(item.casefold(), 0) + 1
    taken = {item.casefold() for item in plain if counts[item.casefold()] == 1}
    result = []
    for index, item in enumerate(plain):
        unique = item
        if counts[item.casefold()] > 1:
            unique = f"{item}-{index}"
            while unique.casefold() in taken:
                unique += "-"
            taken.add(unique.casefold())
        result.append(unique)
    return tuple(result)


def _safe(label: str) -> str:
    text = unicodedata.normalize("NFC", label)
    text = re.sub(r"[^\w.\-]+|_+", "-", text)
    short = text.encode()[:MAX_SAFE].decode(errors="ignore")
    return re.sub(r"-{2,}", "-", short).strip("-.") or "label"
