"""OpenCV without threads of its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import cv2


@contextmanager
def one_thread_each() -> Iterator[None]:
    """Let OpenCV do each operation in the thread that asks for it.

    Where many images are under way at once, to divide one of them only adds to what the processors switch between.
    """
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(before)
