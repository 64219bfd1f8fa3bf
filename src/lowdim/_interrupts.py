"""Ctrl-C during a fit: the first asks it to end with what it has, a second ends it at once."""

from __future__ import annotations

import logging
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import current_thread, main_thread
from typing import Any

logger = logging.getLogger("lowdim")


class Interrupts:
    """Whether a fit was asked to end.

    While they are listened to, Ctrl-C (SIGINT) sets `asked`, which loops look at between their
    iterations, so that nothing is ever half done. It raises KeyboardInterrupt as usual before
    there is a state to return, and if it comes again.

    Attributes
    ----------
    asked : bool
    ready : bool
        Whether there is a state that the fit can return.
    """

    def __init__(self) -> None:
        self.asked = self.ready = False

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Listen, unless this is no main thread or somebody else does already."""
        with _handler(self._take):
            yield

    def _take(self, number: int, frame: Any) -> None:
        if self.asked or not self.ready:
            raise KeyboardInterrupt
        self.asked = True
        logger.warning("Interrupted: ending after this iteration; Ctrl-C again ends at once.")


@contextmanager
def undivided() -> Iterator[None]:
    """Let Ctrl-C raise KeyboardInterrupt also within fits that would end early and return.

    For many fits of which some alone are of no use.
    """
    with _handler(_raise):
        yield


def _raise(number: int, frame: Any) -> None:
    raise KeyboardInterrupt


@contextmanager
def _handler(function: Callable[[int, Any], None]) -> Iterator[None]:
    """Handle SIGINT in place of Python's own handler; of any other, let it be."""
    free = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if not free or current_thread() is not main_thread():
        yield
        return
    signal.signal(signal.SIGINT, function)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
