"""The different counts of each gene: all that sums over its entries need of far rows."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.sparse as sp

from lowdim.mixture._counts.matrix import Arrays, Counts, sorted_columns, tail_sums


@dataclass(frozen=True)
class Distinct:
    """How often each count occurs among those of a gene.

    Those of other rows can be added.

    Attributes
    ----------
    n_genes : int
    genes, counts, weights : ndarrays of shape (P,)
        Genes ascend, and the counts of each descend; weights are those of the rows that have them.
    n_stored : int
        Entries of all rows.
    """

    n_genes: int
    genes: np.ndarray
    counts: np.ndarray
    weights: np.ndarray
    n_stored: int

    @classmethod
    def of(cls, part: Counts) -> Distinct:
        """Of rows in memory."""
        pointer, rows, counts = sorted_columns(part.rows)
        genes = np.repeat(np.arange(part.shape[1]), np.diff(pointer))
        found = _summed(genes, counts, part.weights[rows])
        return cls(part.shape[1], *found, part.n_stored)

    def __add__(self, other: Distinct) -> Distinct:
        genes = np.concatenate([self.genes, other.genes])
        counts = np.concatenate([self.counts, other.counts])
        order = np.lexsort((-counts, genes))
        weights = np.concatenate([self.weights, other.weights])[order]
        found = _summed(genes[order], counts[order], weights)
        return Distinct(self.n_genes, *found, self.n_stored + other.n_stored)

    def __len__(self) -> int:
        return len(self.genes)

    @property
    def gene_totals(self) -> np.ndarray:
        """Weighted counts of every gene, (D,)."""
        return np.bincount(self.genes, self.counts * self.weights, self.n_genes)

    @cached_property
    def columns(self) -> Arrays:
        """(pointer, places, counts) by genes; a place is a number from 0 to P - 1."""
        pointer = np.searchsorted(self.genes, np.arange(self.n_genes + 1))
        return pointer, np.arange(len(self)), self.counts

    @cached_property
    def tails(self) -> Arrays:
        """As `Counts.tails` has them; ranks are among the different counts of the gene."""
        return tail_sums(self.columns, self.weights)

    @cached_property
    def order(self) -> Order:
        """What finds the places of entries."""
        most = float(self.counts.max(initial=0.0)) + 1.0
        return Order(most, self.genes * most - self.counts)


@dataclass(frozen=True)
class Order:
    """Genes that ascend and counts that descend, as one number that can be looked for.

    Attributes
    ----------
    most : float
        More than any count.
    keys : ndarray of shape (P,)
    """

    most: float
    keys: np.ndarray

    def places(self, rows: sp.csr_matrix) -> np.ndarray:
        """Where each entry of some rows is among the different counts."""
        return np.searchsorted(self.keys, rows.indices * self.most - rows.data)

    def shares(self, part: Counts, shares: np.ndarray) -> np.ndarray:
        """The components' weighted responsibilities for each different count, (P, K).

        Parameters
        ----------
        part : Counts
        shares : ndarray of shape (n, K)
            Responsibilities of its rows.
        """
        place, lengths = self.places(part.rows), np.diff(part.rows.indptr)
        owned = np.empty((len(self.keys), shares.shape[1]))
        for k in range(shares.shape[1]):
            share = np.repeat(shares[:, k] * part.weights, lengths)
            owned[:, k] = np.bincount(place, share, len(self.keys))
        return owned


class ByDistinct:
    """What follows for a count table from its different counts."""

    @property
    def distinct(self) -> Distinct:
        """The different counts of each gene."""
        raise NotImplementedError

    @property
    def n_stored(self) -> int:
        """Counts that are not zero."""
        return self.distinct.n_stored

    @property
    def gene_totals(self) -> np.ndarray:
        """Weighted counts of every gene, (D,)."""
        return self.distinct.gene_totals

    @property
    def columns(self) -> Arrays:
        """(pointer, places, counts) of the different counts of each gene."""
        return self.distinct.columns

    @property
    def tails(self) -> Arrays:
        """As `Counts.tails` has them; ranks are among the different counts of the gene."""
        return self.distinct.tails


def _summed(
    genes: np.ndarray, counts: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Different ones of pairs that are in order, and their summed weights."""
    new = (np.diff(genes, prepend=-1) != 0) | (np.diff(counts, prepend=-1.0) != 0)
    first = np.flatnonzero(new)
    if not len(first):
        return genes, counts, weights
    return genes[first], counts[first], np.add.reduceat(weights, first)
