"""Pairs of samples, and the distances of all of them."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Self

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from lowdim._threads import in_threads
from lowdim._validation import check_in, check_interval

#: Pairs that one thread takes at once.
PAIRS = 64
#: Shares of mass below it are zero: costs hardly feel them, and their logarithms run off.
NOTHING = 1e-20

#: Writes the transport cost of each of some pairs, and whether it was found, in any thread. Before
#: these it takes the entropic penalties, if there are any, and writes those that depend on costs.
PairCosts = Callable[[np.ndarray, np.ndarray, np.ndarray, np.ndarray], object]


@dataclass(frozen=True)
class Penalty:
    """An entropic penalty.

    Attributes
    ----------
    strength : float
        Relative to the mean cost of a pair; 0 is none.
    debiased : bool
        Whether half of what both samples cost to themselves is taken off.
    """

    strength: float
    debiased: bool

    @classmethod
    def of(cls, entropic: float, debiased: bool) -> Self:
        """Checked."""
        strength = check_interval(entropic, "entropic", low=0.0)
        return cls(float(strength), bool(check_in(debiased, "debiased", (True, False))))

    def __bool__(self) -> bool:
        return self.strength > 0


def checked_pairs(pairs: Any, n_samples: int) -> np.ndarray:
    """Numbers of samples, (n, 2); by default every pair once, in rows of the upper triangle.

    Raises
    ------
    ValueError
        They are no pairs, or not of these samples.
    """
    if pairs is None:
        return np.array(np.triu_indices(n_samples, 1), dtype=np.int64).T.copy()
    wanted = np.asarray(pairs)
    if wanted.ndim != 2 or wanted.shape[1] != 2 or wanted.dtype.kind not in "iu":
        raise ValueError(f"pairs must be integers, (n, 2), and have shape {wanted.shape}.")
    strange = wanted[(wanted < 0) | (wanted >= n_samples)]
    if len(strange):
        raise ValueError(f"pairs has sample {strange[0]}, and there are {n_samples}.")
    return np.ascontiguousarray(wanted, dtype=np.int64)


def distances_of(
    costs: PairCosts,
    n_samples: int,
    pairs: Any,
    root: float,
    penalty: Penalty,
    *,
    together: bool = False,
) -> np.ndarray:
    """Distances of the pairs, (n,), or of all samples, (S, S).

    Parameters
    ----------
    costs : callable
    root : float
        The power of a cost that is the distance.
    penalty : Penalty
    together : bool
        Whether `costs` takes all pairs at once, and not some in every thread.
    """
    wanted = checked_pairs(pairs, n_samples)
    if pairs is None and penalty and not penalty.debiased:  # then samples are off themselves
        wanted = np.concatenate([wanted, np.repeat(np.arange(n_samples), 2).reshape(-1, 2)])
    out, found = np.empty(len(wanted)), np.ones(len(wanted), dtype=bool)

    def solve(part: tuple[int, int]) -> None:
        own = slice(*part)
        penalties = np.full(len(out[own]), -penalty.strength)
        costs(wanted[own], penalties, out[own], found[own])
        if penalty and penalty.debiased:
            _debias(costs, wanted[own], penalties, out[own], found[own])

    step = max(1, len(wanted)) if together else PAIRS
    in_threads(solve, pairwise([*range(0, len(wanted), step), len(wanted)]))
    if not found.all():
        warnings.warn(
            f"Sinkhorn's steps did not converge for {int((~found).sum())} of {len(found)} pairs; "
            f"raise entropic={penalty.strength:g}, or take 0, which is exact.",
            ConvergenceWarning,
            stacklevel=3,
        )
    out = out.clip(min=0) ** root
    if pairs is not None:
        return out
    matrix = np.zeros((n_samples, n_samples))
    matrix[wanted[:, 0], wanted[:, 1]] = matrix[wanted[:, 1], wanted[:, 0]] = out
    return matrix


def _debias(
    costs: PairCosts, pairs: np.ndarray, penalties: np.ndarray, out: np.ndarray, found: np.ndarray
) -> None:
    """Take off half of what either sample costs to itself, at the penalty of the pair."""
    for side in (0, 1):
        own, own_found = np.empty_like(out), np.empty_like(found)
        costs(np.repeat(pairs[:, side : side + 1], 2, axis=1), penalties, own, own_found)
        out -= own / 2
        found &= own_found
