"""The file that a long fit is kept in: what it is a fit of, and how far it has come."""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Mapping
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np

from lowdim import _storage
from lowdim._version import __version__
from lowdim._warnings import warn_caller

#: What a checkpoint file calls itself.
CLASS = "Checkpoint"
#: A fit spends at most this share of its time on writing.
SHARE = 0.1
#: Rows that are looked at to tell whether data are the same.
SAMPLED = 100
#: Settings that may change before a fit goes on: one that ran out of iterations may take more.
#: Functions have no form that two processes would agree on.
FREE = ("callbacks", "checkpoint", "max_iter", "verbose")
#: Where an object lies in memory, which no two processes agree on: functions go by their names.
ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")
#: Longer values are told by a hash, which begins with this.
LONGEST, HASH = 80, "#"

Arrays = dict[str, np.ndarray]
Key = tuple[int, ...]
"""Where a record belongs: the number of its stage, within that of the stage around it, ..."""


class Checkpoint:
    """Records of how far the stages of a fit have come, in memory and in a file.

    Attributes
    ----------
    path : Path
    rng : numpy.random.Generator
        As it was when the fit began.
    records : dict of Key to Arrays
    """

    def __init__(
        self, path: Path, facts: Mapping[str, str], rng: np.random.Generator, records: Any = None
    ) -> None:
        self.path, self.rng = path, rng
        self.records: dict[Key, Arrays] = records or {}
        self._header = {"class": CLASS, "facts": dict(facts), "rng": identity_of(rng)}
        self._lock, self._cost, self._written = Lock(), 0.0, time.perf_counter()
        self._unsaved = self._failed = self._fresh = False

    @classmethod
    def open(
        cls, path: str | Path, facts: Mapping[str, str], rng: np.random.Generator
    ) -> Checkpoint:
        """The checkpoint in a file, or a new one, which is written to tell whether that works.

        Parameters
        ----------
        path
        facts
            What the fit is of; see `facts_of`.
        rng
            Of a new fit.

        Raises
        ------
        ValueError
            The file is no checkpoint, or one of another fit; the error says what differs.
        OSError
            It cannot be written.
        """
        path = Path(path)
        if not path.exists():
            fresh = cls(path, facts, rng)
            fresh._write()
            fresh._fresh = True
            return fresh
        header, arrays = _storage.read(path, expected=CLASS)
        found = _differences(header["facts"], facts)
        if found:
            raise ValueError(
                f"checkpoint={str(path)!r} is of other data or settings: {', '.join(found)}. Name "
                "another file, or delete this one."
            )
        records: dict[Key, Arrays] = {}
        for name, array in arrays.items():
            place, _, own = name.partition(":")
            key = tuple(int(number) for number in place.split("."))
            records.setdefault(key, {})[own] = array
        return cls(path, facts, generator_of(header["rng"]), records)

    def put(self, key: Key, record: Arrays) -> None:
        """Replace a record, in memory."""
        with self._lock:
            self.records[key] = record
            self._unsaved = True

    def drop(self, key: Key, *, after: bool) -> None:
        """Drop what belongs within a stage or, with `after`, to those that follow it."""
        n = len(key)
        with self._lock:
            for other in list(self.records):
                within = len(other) > n and other[:n] == key
                follows = len(other) >= n and other[: n - 1] == key[:-1] and other[n - 1] > key[-1]
                if follows if after else within:
                    del self.records[other]

    @property
    def due(self) -> bool:
        """Whether to write the file would take a small share of the time."""
        return time.perf_counter() - self._written >= self._cost / SHARE

    def save(self) -> None:
        """Write the file; where that fails the former one stays, and the fit goes on."""
        with self._lock:
            if not self._unsaved:
                return
            told, self._failed = self._failed, False
            try:
                self._write()
            except OSError as error:
                self._failed = True
                if not told:
                    warn_caller(
                        f"The checkpoint {str(self.path)!r} could not be written and is as it was "
                        f"before ({error}); the fit goes on.",
                        RuntimeWarning,
                    )

    def leave(self) -> None:
        """At the end of a fit, or where it was cut off: save; a new file without records goes."""
        if self._fresh and not self.records:
            self.path.unlink(missing_ok=True)
        else:
            self.save()

    def _write(self) -> None:
        begin = time.perf_counter()
        arrays = {
            f"{'.'.join(map(str, key))}:{name}": array
            for key, record in self.records.items()
            for name, array in record.items()
        }
        try:
            _storage.write(self.path, self._header, arrays)
            self._unsaved = False
        finally:
            self._written = time.perf_counter()
            self._cost = self._written - begin


def facts_of(model: Any, source: Any, given: Mapping[str, Any]) -> dict[str, str]:
    """What a fit is of, cheaply: settings, shape and dtype of the rows, and some of the rows.

    Parameters
    ----------
    model
        The estimator.
    source : RowSource or None
        None for a fit to something else, which is given.
    given
        What the fit was given beside the rows, by name.
    """
    settings = {name: own for name, own in model.get_params().items() if name not in FREE}
    return {
        "lowdim": _told(__version__),
        "estimator": _told(type(model).__name__),
        **{name: _told(value) for name, value in settings.items()},
        **({} if source is None else _facts_of_rows(source)),
        **{name: _told(value) for name, value in given.items()},
    }


def _facts_of_rows(source: Any) -> dict[str, str]:
    index = np.unique(np.linspace(0, source.n_rows - 1, SAMPLED).astype(np.int64))
    rows = source.take(index)
    return {
        "shape of X": _told((source.n_rows, source.n_cols)),
        "dtype of X": _told(str(source.dtype)),
        "rows of X": _hash(rows if isinstance(rows, np.ndarray) else rows.toarray()),
    }


def _told(value: Any) -> str:
    """A value as JSON, or the hash of one that is long."""
    if np.ndim(value) and hasattr(value, "__array__"):
        array = np.asarray(value)
        if not array.dtype.hasobject:
            return _hash(array)
        value = array
    text = ADDRESS.sub("", json.dumps(_storage.plain(value), sort_keys=True))
    return text if len(text) <= LONGEST else HASH + hashlib.sha256(text.encode()).hexdigest()


def _hash(array: np.ndarray) -> str:
    digest = hashlib.sha256(str((array.shape, array.dtype.str)).encode())
    digest.update(np.ascontiguousarray(array).tobytes())
    return HASH + digest.hexdigest()


def _differences(there: Mapping[str, str], here: Mapping[str, str]) -> list[str]:
    found = []
    for name in {**there, **here}:
        old, new = there.get(name, "nothing"), here.get(name, "nothing")
        if old != new:
            told = HASH not in (old[0], new[0])
            found.append(f"{name} was {old} and is {new}" if told else f"{name} differs")
    return found


def identity_of(rng: np.random.Generator) -> dict[str, Any]:
    """A generator in a form that JSON can hold: its state, and the seed of its children."""
    seed: Any = rng.bit_generator.seed_seq
    own = ("entropy", "spawn_key", "pool_size", "n_children_spawned")
    return {
        "state": _storage.plain(rng.bit_generator.state),
        "seed": {name: _storage.plain(getattr(seed, name)) for name in own if hasattr(seed, name)},
    }


def generator_of(identity: Mapping[str, Any]) -> np.random.Generator:
    """The inverse of `identity_of`."""
    kind = getattr(np.random, identity["state"]["bit_generator"])
    bits = kind(np.random.SeedSequence(**identity["seed"]))
    bits.state = identity["state"]
    return np.random.Generator(bits)
