"""Long fits: kept in a file now and then, gone on with from there, and ended by Ctrl-C.

A fit is a course of stages, most of them loops. When it is run again, each stage finds how far it
had come and goes on from there; what lies between stages is done again, with the same random
numbers. So the result is that of a fit that was never cut off, to the bit.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from lowdim._checkpoint import Arrays, Checkpoint, Key, facts_of
from lowdim._interrupts import Interrupts
from lowdim._warnings import warn_caller

#: Iterations of a loop between two records.
EVERY = 5
#: The random numbers' name among the arrays of a record.
RNG = "rng"

T = TypeVar("T")


class Journal:
    """Where the stages of a fit are kept, and whether it was asked to end.

    Without arguments: nowhere, and never.

    Parameters
    ----------
    rng : numpy.random.Generator, optional
        Of the fit.
    checkpoint : Checkpoint, optional
    interrupts : Interrupts, optional
    within : Key
        The stage, or the part of one, that these stages belong to.
    around : tuple of Key
        The stages that they belong to.
    """

    def __init__(
        self,
        rng: np.random.Generator | None = None,
        checkpoint: Checkpoint | None = None,
        interrupts: Interrupts | None = None,
        within: Key = (),
        around: tuple[Key, ...] = (),
    ) -> None:
        self._rng, self.checkpoint = rng, checkpoint
        self._within, self.around = within, around
        self.interrupts = interrupts or Interrupts()
        self._n_stages = 0

    @property
    def rng(self) -> np.random.Generator:
        """The random numbers of the fit."""
        assert self._rng is not None
        return self._rng

    @property
    def asked(self) -> bool:
        """Whether the fit was asked to end."""
        return self.interrupts.asked

    def stage(self) -> Stage:
        """The next stage; stages come in the same order whenever the fit is run."""
        key = (*self._within, self._n_stages)
        self._n_stages += 1
        return Stage(self, key)

    def split(self, rngs: list[np.random.Generator]) -> list[Journal]:
        """Journals for parts that run side by side, with random numbers of their own."""
        stage = self.stage()
        return [
            Journal(
                rng,
                self.checkpoint,
                self.interrupts,
                (*stage.key, part),
                (*self.around, stage.key),
            )
            for part, rng in enumerate(rngs)
        ]

    def once(
        self,
        compute: Callable[[Journal], T],
        pack: Callable[[T], Arrays],
        unpack: Callable[[Arrays], T],
    ) -> T:
        """What a stage made of several others comes to; these are forgotten when it is done."""
        stage = self.stage()
        if stage.kept is not None:
            return unpack(stage.kept)
        around = (*self.around, stage.key)
        made = compute(Journal(self._rng, self.checkpoint, self.interrupts, stage.key, around))
        if self.checkpoint is not None and not self.asked:
            stage.put(pack(made))
            self.checkpoint.drop(stage.key, after=False)
            if self.checkpoint.due:
                self.checkpoint.save()
        return made


class Stage:
    """A part of a fit.

    Attributes
    ----------
    key : Key
    kept : dict of arrays, or None
        How far it had come when the fit was last run.
    """

    def __init__(self, journal: Journal, key: Key) -> None:
        self.key, self._journal, self._n = key, journal, 0
        self.kept: Arrays | None = None
        if journal.checkpoint is None:
            return
        record = journal.checkpoint.records.get(key)
        if record is not None:
            self.kept = record
            journal.rng.bit_generator.state = json.loads(str(record[RNG][0]))

    def keep(self, state: Callable[[], Arrays]) -> None:
        """After an iteration: keep where the loop is, now and then."""
        self._journal.interrupts.ready = True
        checkpoint = self._journal.checkpoint
        if checkpoint is None:
            return
        if self._n == 0:  # what came after has followed from where this stage had ended
            for key in (*self._journal.around, self.key):
                checkpoint.drop(key, after=True)
        self._n += 1
        if self._n % EVERY == 0 and checkpoint.due:
            self.put(state())
            checkpoint.save()

    def close(self, state: Callable[[], Arrays]) -> None:
        """At the end of the loop: keep where it is."""
        if self._n:
            self.put(state())

    @property
    def asked(self) -> bool:
        """Whether the fit was asked to end."""
        return self._journal.asked

    def put(self, record: Arrays) -> None:
        """Keep a record, in memory."""
        checkpoint = self._journal.checkpoint
        assert checkpoint is not None
        from lowdim._storage import plain

        state = json.dumps(plain(self._journal.rng.bit_generator.state))
        checkpoint.put(self.key, {**record, RNG: np.array([state], dtype=object)})


class LongFit:
    """The fit of an estimator, as a context: gives the journal, and listens to Ctrl-C.

    Parameters
    ----------
    model
        The estimator; its `checkpoint` names the file, if there shall be one. The fitted
        attributes are set within.
    source : RowSource or None
        None for a fit to something else, which is given.
    rng : numpy.random.Generator
        Of a new fit; one that goes on has that of its beginning, `Journal.rng`.
    given : mapping
        What the fit was given beside the rows, by name.
    kept : bool
        False for a fit that no file keeps, whatever the estimator names.

    Raises
    ------
    ValueError
        The file is no checkpoint, or one of another fit.

    Warns
    -----
    ConvergenceWarning
        It was ended by Ctrl-C.
    RuntimeWarning
        The file could not be written.
    """

    def __init__(
        self,
        model: Any,
        source: Any,
        rng: np.random.Generator,
        given: Mapping[str, Any],
        *,
        kept: bool = True,
    ) -> None:
        checkpoint = None
        if kept and model.checkpoint is not None:
            checkpoint = Checkpoint.open(model.checkpoint, facts_of(model, source, given), rng)
            rng = checkpoint.rng
        self._model, self._stack = model, ExitStack()
        self.journal = Journal(rng, checkpoint, Interrupts())

    def __enter__(self) -> Journal:
        self._stack.enter_context(self.journal.interrupts.listening())
        return self.journal

    def __exit__(self, kind: Any, error: Any, traceback: Any) -> None:
        self._stack.close()
        if self.journal.checkpoint is not None:
            self.journal.checkpoint.leave()
        if kind is None and self.journal.asked:
            from sklearn.exceptions import ConvergenceWarning

            checkpoint = self.journal.checkpoint
            path = None if checkpoint is None else checkpoint.path
            warn_caller(interrupted(self._model, path), ConvergenceWarning)


@contextmanager
def keeping(
    path: Any, facts: Callable[[], Mapping[str, str]], rng: np.random.Generator
) -> Iterator[Journal]:
    """A journal of many fits, of which a few are of no use, kept in a file if one is named.

    Parameters
    ----------
    path
        None for nowhere.
    facts
        Says what the fits are of, if a file is to know it; see `lowdim._checkpoint.facts_of`.
    rng
        If nothing is kept yet.

    Raises
    ------
    ValueError
        The file is no checkpoint, or one of other fits.
    """
    checkpoint = None if path is None else Checkpoint.open(path, facts(), rng)
    try:
        yield Journal(rng if checkpoint is None else checkpoint.rng, checkpoint)
    finally:
        if checkpoint is not None:
            checkpoint.leave()


def interrupted(model: Any, path: Path | None) -> str:
    """What to tell of a fit, kept in a file or not, that Ctrl-C has ended."""
    remedy = "A fit with checkpoint=PATH can be gone on with later."
    if path is not None:
        remedy = f"To go on, fit again with the same data and settings, checkpoint={str(path)!r}."
    when = f" after iteration {model.n_iter_}" if hasattr(model, "n_iter_") else ""
    return (
        f"{type(model).__name__} was interrupted{when}; the result is the best until then. {remedy}"
    )
