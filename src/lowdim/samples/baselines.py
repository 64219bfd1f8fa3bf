"""Distances between samples by simple features: what a model of distributions must beat."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.spatial.distance import cdist

from lowdim._validation import check_in
from lowdim.data.estimator_rows import dense_rows
from lowdim.samples._rows import SampleRows, listed
from lowdim.samples.dataset import SampleDataset
from lowdim.transport import Mixtures, mixture_distances

KINDS = ("means", "covariances", "gaussians", "pseudobulk", "proportions", "cell_type_means")
#: Counts of a sample are scaled to this sum before logarithms.
DEPTH = 1e6


def baseline_distances(
    dataset: SampleDataset, kind: str = "means", *, cell_types: Any = None
) -> np.ndarray:
    """Distances between samples by simple features, (S, S).

    Parameters
    ----------
    dataset : SampleDataset
    kind : str, default="means"
        "means": Euclidean, of means of the rows. "covariances": Frobenius, of their covariances.
        "gaussians": Wasserstein W2, of one Gaussian per sample, so of both. "pseudobulk":
        Euclidean, of the logarithms of counts per million, from sums of the rows, plus one.
        "proportions": Hellinger, of the shares of cell types. "cell_type_means": root mean square,
        over the cell types that both samples have, of the distance of their means in each.
    cell_types : (N,), optional
        A name per row, for the last two.

    Raises
    ------
    ValueError
        An argument cannot be used; a sample has no counts, one row, or no cell type in common with
        another.

    Examples
    --------
    >>> import lowdim as ld
    >>> from lowdim.samples import baseline_distances
    >>> adata = ld.data.simulate_cohort(8, 40)
    >>> dataset = ld.SampleDataset.from_anndata(adata, sample_key="sample")
    >>> baseline_distances(dataset, "proportions", cell_types=adata.obs["component"]).shape
    (8, 8)
    """
    check_in(kind, "kind", KINDS)
    rows = [dense_rows(dataset.source, dataset.groups.rows(s)) for s in range(len(dataset))]
    if kind in ("proportions", "cell_type_means"):
        types = _cell_types(cell_types, dataset)
        own = [types.codes[dataset.groups.rows(s)] for s in range(len(dataset))]
        if kind == "proportions":
            counts = np.array([np.bincount(codes, minlength=len(types)) for codes in own])
            roots = np.sqrt(counts / counts.sum(1, keepdims=True))
            return cdist(roots, roots) / np.sqrt(2)
        return _by_type(rows, own, len(types), dataset.names)
    if kind == "means":
        return _between(np.array([part.mean(0) for part in rows]))
    if kind == "pseudobulk":
        return _between(_log_sums(rows, dataset.names))
    single = [name for name, part in zip(dataset.names, rows, strict=True) if len(part) < 2]
    if single:
        raise ValueError(f"kind={kind!r} needs two rows or more of {listed(single)}.")
    covariances = np.array([np.cov(part.T, ddof=0).reshape(part.shape[1], -1) for part in rows])
    if kind == "covariances":
        return _between(covariances.reshape(len(rows), -1))
    means = np.array([part.mean(0) for part in rows])
    one = np.ones((len(rows), 1))
    return mixture_distances(Mixtures.of(one, means[:, None], covariances[:, None]))


def _between(features: np.ndarray) -> np.ndarray:
    return np.asarray(cdist(features, features))


def _cell_types(cell_types: Any, dataset: SampleDataset) -> SampleRows:
    if cell_types is None:
        raise ValueError("cell_types is missing: pass the type of every row.")
    return SampleRows.of(cell_types, dataset.source.n_rows, name="cell_types")


def _log_sums(rows: list[np.ndarray], names: np.ndarray) -> np.ndarray:
    sums = np.array([part.sum(0) for part in rows])
    if any((part < 0).any() for part in rows):
        raise ValueError(
            'kind="pseudobulk" needs counts, and rows have negative values; use "means".'
        )
    if (sums.sum(1) == 0).any():
        raise ValueError(f"Rows of {listed(names[sums.sum(1) == 0])} are all zero; drop them.")
    return np.asarray(np.log1p(DEPTH * sums / sums.sum(1, keepdims=True)))


def _by_type(
    rows: list[np.ndarray], codes: list[np.ndarray], n_types: int, names: np.ndarray
) -> np.ndarray:
    """Root mean squared distances of means over the types that two samples share."""
    S = len(rows)
    total, shared = np.zeros((S, S)), np.zeros((S, S))
    for t in range(n_types):
        has = np.flatnonzero([bool((own == t).any()) for own in codes])
        means = np.array([rows[s][codes[s] == t].mean(0) for s in has])
        total[np.ix_(has, has)] += cdist(means, means, "sqeuclidean")
        shared[np.ix_(has, has)] += 1
    if (shared == 0).any():
        pair = names[list(np.argwhere(shared == 0)[0])]
        raise ValueError(f"Samples {listed(pair)} have no cell type in common.")
    return np.asarray(np.sqrt(total / shared))
