"""Long fits that end before their time: by an error, or as by Ctrl-C."""

from __future__ import annotations

import os
import signal
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

from lowdim import _checkpoint, _journal


@contextmanager
def listening() -> Iterator[None]:
    """Python's own handler of Ctrl-C, which a shell keeps from what it starts in the background."""
    former = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, former)


@contextmanager
def kept_often(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Checkpoints are written every three iterations, and the disk is not waited for."""
    monkeypatch.setattr(os, "fsync", lambda _: None)
    monkeypatch.setattr(_journal, "EVERY", 3)
    monkeypatch.setattr(_checkpoint, "SHARE", np.inf)
    with warnings.catch_warnings(), listening():
        warnings.simplefilter("ignore", ConvergenceWarning)
        yield


class CutOffError(Exception):
    """In the midst of a fit."""


def is_kept(stage: _journal.Stage) -> bool:
    """Whether a stage is of the fit itself, rather than of k-means for its starts."""
    return stage._journal.checkpoint is not None


def after(
    monkeypatch: pytest.MonkeyPatch, steps: int, do: Callable[[], None], *, anywhere: bool = False
) -> None:
    """Do something after so many iterations of a fit that is kept, or of any loop."""
    keep, lock, seen = _journal.Stage.keep, threading.Lock(), [0]

    def kept(self: Any, state: Any) -> None:
        keep(self, state)
        with lock:
            counts = anywhere or is_kept(self)
            seen[0] += counts
            reached = counts and seen[0] == steps
        if reached:
            do()

    monkeypatch.setattr(_journal.Stage, "keep", kept)


def after_results(monkeypatch: pytest.MonkeyPatch, n: int, do: Callable[[], None]) -> list[int]:
    """Do something when so many results of many fits have been kept; counts them."""
    put, seen = _checkpoint.Checkpoint.put, [0]

    def kept(self: Any, *record: Any) -> None:
        put(self, *record)
        seen[0] += 1
        if seen[0] == n:
            do()

    monkeypatch.setattr(_checkpoint.Checkpoint, "put", kept)
    return seen


def n_steps(model: Any, X: Any, path: Path) -> int:
    """Iterations of all loops of a fit that is kept in a file."""
    seen: list[int] = []
    with pytest.MonkeyPatch.context() as patched:
        keep = _journal.Stage.keep

        def kept(self: Any, state: Any) -> None:
            if is_kept(self):
                seen.append(1)
            keep(self, state)

        patched.setattr(_journal.Stage, "keep", kept)
        clone(model).set_params(checkpoint=path).fit(X)
    return len(seen)


def cut_off() -> None:
    raise CutOffError


def press() -> None:
    signal.raise_signal(signal.SIGINT)
