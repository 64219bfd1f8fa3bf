"""Fits to a part of the rows, and what they expect of the others."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from sklearn.base import clone
from sklearn.model_selection import GroupShuffleSplit

from lowdim._validation import check_in
from lowdim.data.estimator_rows import dense_rows
from lowdim.data.sources import RowSource
from lowdim.data.subset import SubsetRows
from lowdim.factorization._file_counts import FileCounts
from lowdim.factorization._size_factors import rule_of, size_factors_of
from lowdim.mixture._counts.size_factors import check_size_factors

#: Values of a block of dense rows.
BLOCK_VALUES = 2**22
_FLOAT64 = torch.empty(0, dtype=torch.float64)
#: Size factors of rows held out: by the estimator's rule from their own counts, or one.
HELD_OUT_SIZES = ("own", "one")


Places = tuple[np.ndarray, np.ndarray]
"""Coordinates, (N, D), and numbers of slides, (N,)."""


@dataclass(frozen=True)
class Split:
    """Rows to fit and rows to hold out, ascending."""

    train: np.ndarray
    test: np.ndarray


@dataclass(frozen=True)
class Judged:
    """Rows, what a fit expects of them and what constant rates do, dense a block at a time.

    Attributes
    ----------
    source : RowSource
    size_factors : ndarray of shape (N,)
    rates : ndarray of shape (J,)
        Constant rates of the rows that were fitted.
    expect : function
        Of a slice of the rows: what the fit expects, (n, J).
    """

    source: RowSource
    size_factors: np.ndarray
    rates: np.ndarray
    expect: Callable[[slice], np.ndarray]

    def blocks(self) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """Values, and what is expected of them by the fit and by constant rates, (n, J) each."""
        for part, values in dense_blocks(self.source):
            yield values, self.expect(part), np.outer(self.size_factors[part], self.rates)


@dataclass(frozen=True)
class HeldOut:
    """A fit to the rows of a split, and the rows held out.

    Attributes
    ----------
    model : the fitted estimator
    train, held_out : Judged
        The rows that were fitted, and the others.
    cpu_seconds, wall_seconds : float
        Of the fit; CPU time is that of all threads of the process.
    """

    model: Any
    train: Judged
    held_out: Judged
    cpu_seconds: float
    wall_seconds: float


def dense_blocks(source: RowSource) -> Iterator[tuple[slice, np.ndarray]]:
    """Numbers of rows and their values, float64."""
    step = max(1, BLOCK_VALUES // source.n_cols)
    for start in range(0, source.n_rows, step):
        part = slice(start, min(start + step, source.n_rows))
        yield part, dense_rows(source, np.arange(part.start, part.stop))


def splits_by_place(
    coordinates: np.ndarray,
    codes: np.ndarray,
    held_out: float,
    n_splits: int,
    rng: np.random.Generator,
) -> list[Split]:
    """Random splits; rows at one place of a slide stay together: none is known by its twin.

    Every slide has its share of its places held out, rounded up, but keeps one.
    """
    held = np.zeros((n_splits, len(codes)), dtype=bool)
    for code in np.unique(codes):
        rows = np.flatnonzero(codes == code)
        places, own = np.unique(coordinates[rows], axis=0, return_inverse=True)
        if len(places) < 2:
            continue
        splitter = GroupShuffleSplit(
            n_splits,
            test_size=min(math.ceil(held_out * len(places)), len(places) - 1),
            random_state=int(rng.integers(2**31)),
        )
        for number, (_, test) in enumerate(splitter.split(own, groups=own.ravel())):
            held[number, rows[test]] = True
    if not held.any():
        raise ValueError(
            "coordinates has one place only (on every slide); pass at least two to hold some out."
        )
    return [Split(np.flatnonzero(~part), np.flatnonzero(part)) for part in held]


def seeded(estimator: Any, rng: np.random.Generator) -> Any:
    """An unfitted copy that repeats: it gets a seed if it has none."""
    model = clone(estimator)
    if model.get_params().get("random_state", 0) is None:
        model.set_params(random_state=int(rng.integers(2**31)))
    return model


def fit_split(
    estimator: Any, source: RowSource, places: Places, split: Split, sizes: str
) -> HeldOut:
    """Fit a copy of the estimator to the rows to fit, and ask it about the others.

    The size factor of a row held out comes from its own total (or ratios) in the unit of the rows
    that were fitted; with `sizes` "one" nothing of it is used. A model without places expects
    its mean everywhere.
    """
    model = clone(estimator)
    wanted = model.get_params().get("size_factors")
    given = None
    if wanted is not None and not isinstance(wanted, str):
        given = check_size_factors(wanted, source.n_rows)
        model.set_params(size_factors=given[split.train])
    coordinates, codes = places
    spatial = hasattr(model, "predict")
    several = bool(codes.max(initial=0))
    rows = SubsetRows(source, split.train)
    cpu, wall = time.process_time(), time.perf_counter()
    if several and spatial:
        model.fit(rows, coordinates[split.train], codes[split.train])
    elif spatial:
        model.fit(rows, coordinates[split.train])
    else:
        model.fit(rows)
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    test = SubsetRows(source, split.test)
    if given is None:
        counts, others = (FileCounts(part, _FLOAT64) for part in (rows, test))
        rule = rule_of(wanted, counts)
        train_sizes, own = (size_factors_of(None, rule, part) for part in (counts, others))
    else:
        train_sizes, own = given[split.train], given[split.test]
    if sizes == "one":
        own = np.ones(len(split.test))
    totals = sum(values.sum(0) for _, values in dense_blocks(rows))
    rates = np.asarray(totals / train_sizes.sum())
    options = {} if wanted is None else {"size_factors": own}
    if several and spatial:
        options["samples"] = codes[split.test]
    if spatial:
        expected = model.predict(coordinates[split.test], **options)
    else:
        expected = np.outer(own, model.mean_row())
    return HeldOut(
        model=model,
        train=Judged(rows, train_sizes, rates, lambda part: model.reconstruct(part)),
        held_out=Judged(test, own, rates, lambda part: expected[part]),
        cpu_seconds=cpu,
        wall_seconds=wall,
    )


def check_held_out_sizes(value: Any) -> str:
    """The argument `held_out_size_factors`."""
    return check_in(value, "held_out_size_factors", HELD_OUT_SIZES)
