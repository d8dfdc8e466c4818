"""What callers give, made what the code works with: words, numbers, texts, paths."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import fields
from enum import Enum
from numbers import Real
from operator import index
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from ov_xai.errors import RequestError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Word = TypeVar("Word", bound=Enum)
Options = TypeVar("Options", bound="DataclassInstance")


def parse_word(kind: type[Word], text: str | Word, name: str | None = None) -> Word:
    """Return the member of `kind` that `text` names, in any case, with hyphens or underscores.

    Args:
        kind: the words that are known.
        text: one of them, or its name.
        name: what the message calls it; None for the name of `kind`.

    Raises:
        RequestError: `text` names no member.
    """
    if isinstance(text, kind):
        return text
    wanted = str(text).strip().lower().replace("_", "-")
    for member in kind:
        if str(member.value).replace("_", "-") == wanted:
            return member
    allowed = ", ".join(str(member.value) for member in kind)
    raise RequestError(f"{name or kind.__name__.lower()} '{text}' is not known; expected one of: {allowed}.")


def whole_number(value: Any, name: str, expected: str = "a whole number from 1") -> int:
    """Return a whole number from 1.

    Args:
        value: an int, or what counts like one, such as NumPy's integers.
        name: what the message calls it.
        expected: what the message says is expected.

    Raises:
        RequestError: it is something else, or less than 1.
    """
    try:
        number = None if isinstance(value, bool) else index(value)
    except TypeError:
        number = None
    if number is None or number < 1:
        raise RequestError(f"{name} is {value!r}; expected {expected}.")
    return number


def numbers(values: Any, name: str) -> tuple[float, ...]:
    """Return one number, or several, as a tuple.

    Raises:
        RequestError: something else is among them, or there is none.
    """
    several = tuple(values) if isinstance(values, Iterable) else (values,)
    if not several or not all(isinstance(item, Real) for item in several):
        raise RequestError(f"{name} is {values!r}; expected a number, or one per channel.")
    return tuple(float(item) for item in several)


def texts(values: Any, name: str) -> tuple[str, ...]:
    """Return several texts as a tuple.

    Args:
        values: an iterable of texts, but not a text itself.
        name: what the message calls them.

    Raises:
        RequestError: it is a single text, or something that is no text is among them.
    """
    if isinstance(values, str) or not isinstance(values, Iterable):
        raise RequestError(f"{name} is {values!r}; expected a list of texts, e.g. ['cat', 'dog'].")
    found = tuple(values)
    for item in found:
        if not isinstance(item, str):
            raise RequestError(f"{name} holds {item!r}; expected texts only.")
    return found


def options_of(kind: type[Options], options: Options | None, settings: Mapping[str, Any]) -> Options:
    """Return the options, or those that settings make.

    Args:
        kind: their data class.
        options: given as a whole; None where they are not.
        settings: values by field.

    Raises:
        RequestError: both are given, or a setting is not known.
    """
    if options is not None and settings:
        raise RequestError("Options and settings are given; put the settings into the options.")
    names = [field.name for field in fields(kind)]
    unknown = set(settings) - set(names)
    if unknown:
        raise RequestError(f"Option '{min(unknown)}' is not known; expected one of: {', '.join(names)}.")
    return options or kind(**settings)


def optional_path(value: Any, name: str) -> Path | None:
    """Return a path given as text or otherwise; None stays None.

    Raises:
        RequestError: it is no path.
    """
    if value is None:
        return None
    if not isinstance(value, str | os.PathLike):
        raise RequestError(f"{name} is {value!r}; expected a path.")
    return Path(value)
