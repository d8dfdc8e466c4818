"""Every error that ov-xai raises on purpose.

One root, one class per exit code of the command line. The message of each error names the thing, what was
expected, what was found and the next step; the classes carry no other behaviour.
"""

from __future__ import annotations


class XaiError(Exception):
    """Root of all errors raised on purpose; `exit_code` is what the command line returns for it."""

    exit_code = 70


class RequestError(XaiError):
    """The request itself is wrong, whatever the model: an unknown method, a value out of range."""

    exit_code = 2


class ModelReadError(XaiError):
    """The model file is missing, truncated, or not a model."""

    exit_code = 3


class UnsupportedModelError(XaiError):
    """The model was read but cannot be patched (or explained): the reason, the node and the remedy are given."""

    exit_code = 4

    def __init__(self, reason: str, *, node: str | None = None, remedy: str | None = None) -> None:
        self.reason = reason
        self.node = node
        self.remedy = remedy
        where = f" (node '{node}')" if node else ""
        then = f" {remedy}" if remedy else ""
        super().__init__(f"{reason}{where}.{then}")


class ModelMismatchError(XaiError):
    """The request does not fit this model: an unknown layer, top-k above the class count, labels that do not match."""

    exit_code = 5


class OutputError(XaiError):
    """The result cannot be written: no permission, disk full, the path is taken."""

    exit_code = 6


class InputError(XaiError):
    """The images cannot be read: no such path, an unreadable folder, no image in it."""

    exit_code = 7


class SelfCheckError(XaiError):
    """The patched model disagrees with the literal perturbation or changes the predictions; nothing was written."""

    exit_code = 8


class CardError(XaiError):
    """A card cannot be read, or one of its entries is unknown, missing or of the wrong type."""

    exit_code = 11


class DeviceError(XaiError):
    """OpenVINO does not know the device, or cannot compile the model for it."""

    exit_code = 10


class MissingExtraError(XaiError):
    """An optional package is needed and not installed."""

    exit_code = 12

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(f"{package} is needed for this and is not installed. Run: pip install 'ov-xai[{extra}]'")


#: Exit codes of the command line that are not an error class. The root of the errors shares that of internal ones.
EXIT_OK = 0
EXIT_CHECK_FAILED = 1
EXIT_INTERNAL = 70
EXIT_PARTIAL = 9
EXIT_INTERRUPTED = 130
