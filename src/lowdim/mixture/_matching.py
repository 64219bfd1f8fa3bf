"""Which component of one fit is which of another, by the rows that they share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.optimize import linear_sum_assignment

if TYPE_CHECKING:
    from lowdim._typing import Float64Array, IntArray
    from lowdim.mixture.subspace import SubspaceMixture


class Overlap:
    """Shared responsibility of the components of two fits, summed up over blocks of rows.

    Attributes
    ----------
    shared
        ``sum_i w_i min(r_ki, s_li)``, (K, L).
    first, second
        ``sum_i w_i r_ki`` and the same of s, (K,) and (L,).
    """

    def __init__(self, n_first: int, n_second: int) -> None:
        self.shared = np.zeros((n_first, n_second))
        self.first = np.zeros(n_first)
        self.second = np.zeros(n_second)

    def add(self, r: Float64Array, s: Float64Array, weights: Float64Array | None = None) -> None:
        """Count rows with responsibilities r (K, n) and s (L, n)."""
        w = np.ones(r.shape[1]) if weights is None else weights
        self.first += r @ w
        self.second += s @ w
        for k, own in enumerate(r):  # one component at a time, for K x L x n would be much
            self.shared[k] += np.minimum(own, s) @ w

    def __iadd__(self, other: Overlap) -> Overlap:
        self.shared += other.shared
        self.first += other.first
        self.second += other.second
        return self

    @property
    def jaccard(self) -> Float64Array:
        """Shared responsibility over that of either, (K, L), between 0 and 1.

        For hard assignments that is Jaccard's index of two sets of rows.
        """
        either = self.first[:, None] + self.second - self.shared
        return self.shared / np.maximum(either, 1e-300)


def component_kinds(model: SubspaceMixture) -> IntArray:
    """What may be matched with what, (K,): the dimension, or of a held component its own number."""
    kinds = np.array(model.dims_, dtype=np.int64)
    n_held = len(model._held)
    if n_held:
        kinds[-n_held:] = -1 - np.arange(n_held)
    return kinds


def match(similarity: Float64Array, first: IntArray, second: IntArray) -> IntArray:
    """The partner of every component of the first fit, (K,), -1 where it has none.

    The Hungarian algorithm finds the pairs of the largest total similarity, (K, L), among
    components of equal kind (see `component_kinds`).
    """
    allowed = first[:, None] == second
    partner = np.full(len(first), -1)
    rows, columns = linear_sum_assignment(np.where(allowed, 1.0 + similarity, 0.0), maximize=True)
    sound = allowed[rows, columns]
    partner[rows[sound]] = columns[sound]
    return partner
