"""Rows to fit and rows to hold out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from lowdim._random import generator
from lowdim._validation import check_interval
from lowdim.pp._input import samples_of, target_of

if TYPE_CHECKING:
    from anndata import AnnData

    from lowdim._typing import BoolArray, IntArray, RandomState


def train_test_split(
    adata: AnnData,
    fraction: float = 0.95,
    *,
    sample_key: str | None = None,
    key_added: str = "train",
    random_state: RandomState = 0,
    copy: bool = False,
) -> AnnData | None:
    """Mark a random part of the rows for fitting; the others are held out.

    Parameters
    ----------
    adata
        Its order of rows does not matter.
    fraction
        Share of the rows to fit, between 0 and 1.
    sample_key
        Column of `obs`: that share of every sample.
    key_added
        Column of `obs` to write.
    random_state
        Seed or generator.
    copy
        Write to a copy and return it.

    Returns
    -------
    None or AnnData, with ``obs[key_added]``, boolean: True for ``round(fraction * n)`` of the n
    rows of every sample, but at least one and, where it has two rows, not all.

    Raises
    ------
    TypeError, ValueError
        An argument cannot be used.
    """
    check_interval(fraction, "fraction", low=0.0, high=1.0, closed="neither")
    samples = samples_of(adata, sample_key)
    train = train_rows(samples, fraction, generator(random_state))
    target = target_of(adata, copy=copy)
    target.obs[key_added] = train
    return target if copy else None


def train_rows(samples: IntArray, fraction: float, rng: np.random.Generator) -> BoolArray:
    """Which rows are fitted, (N,): a random share of every sample."""
    train = np.zeros(len(samples), dtype=bool)
    for sample in range(samples.max() + 1):
        own = np.flatnonzero(samples == sample)
        count = min(max(1, round(fraction * len(own))), max(1, len(own) - 1))
        train[rng.choice(own, count, replace=False)] = True
    return train
