"""Distances between samples by simple features: what a model of distributions must beat."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
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
    if kind in ("proportions", "cell_type_means"):
        types = _cell_types(cell_types, dataset)
        own = [types.codes[dataset.groups.rows(s)] for s in range(len(dataset))]
        if kind == "proportions":
            counts = np.array([np.bincount(codes, minlength=len(types)) for codes in own])
            roots = np.sqrt(counts / counts.sum(1, keepdims=True))
            return cdist(roots, roots) / np.sqrt(2)
        return _by_type(_each(dataset), own, len(types), dataset.names)
    if kind == "means":
        return _between(_means(dataset))
    if kind == "pseudobulk":
        return _between(_log_sums(dataset))
    single = dataset.names[dataset.groups.counts < 2]
    if len(single):
        raise ValueError(f"kind={kind!r} needs two rows or more of {listed(single)}.")
    D = dataset.source.n_cols
    covariances = np.array([np.cov(part.T, ddof=0).reshape(D, D) for part in _each(dataset)])
    if kind == "covariances":
        return _between(covariances.reshape(len(dataset), -1))
    one = np.ones((len(dataset), 1))
    return mixture_distances(Mixtures.of(one, _means(dataset)[:, None], covariances[:, None]))


def _each(dataset: SampleDataset) -> Iterator[np.ndarray]:
    """The rows of one sample after the other, so that no more are dense at a time."""
    for s in range(len(dataset)):
        yield dense_rows(dataset.source, dataset.groups.rows(s))


def _means(dataset: SampleDataset) -> np.ndarray:
    return np.array([part.mean(0) for part in _each(dataset)])


def _between(features: np.ndarray) -> np.ndarray:
    return np.asarray(cdist(features, features))


def _cell_types(cell_types: Any, dataset: SampleDataset) -> SampleRows:
    if cell_types is None:
        raise ValueError("cell_types is missing: pass the type of every row.")
    return SampleRows.of(cell_types, dataset.source.n_rows, name="cell_types")


def _log_sums(dataset: SampleDataset) -> np.ndarray:
    sums = np.empty((len(dataset), dataset.source.n_cols))
    for s, part in enumerate(_each(dataset)):
        if (part < 0).any():
            raise ValueError(
                'kind="pseudobulk" needs counts, and rows have negative values; use "means".'
            )
        sums[s] = part.sum(0)
    empty = dataset.names[sums.sum(1) == 0]
    if len(empty):
        raise ValueError(f"Rows of {listed(empty)} are all zero; drop them.")
    return np.asarray(np.log1p(DEPTH * sums / sums.sum(1, keepdims=True)))


def _by_type(
    rows: Iterable[np.ndarray], codes: list[np.ndarray], n_types: int, names: np.ndarray
) -> np.ndarray:
    """Root mean squared distances of means over the types that two samples share."""
    S = len(codes)
    of_types = [
        {t: part[own == t].mean(0) for t in np.unique(own)}
        for part, own in zip(rows, codes, strict=True)
    ]
    total, shared = np.zeros((S, S)), np.zeros((S, S))
    for t in range(n_types):
        has = np.flatnonzero([t in means for means in of_types])
        means = np.array([of_types[s][t] for s in has])
        total[np.ix_(has, has)] += cdist(means, means, "sqeuclidean")
        shared[np.ix_(has, has)] += 1
    if (shared == 0).any():
        pair = names[list(np.argwhere(shared == 0)[0])]
        raise ValueError(f"Samples {listed(pair)} have no cell type in common.")
    return np.asarray(np.sqrt(total / shared))
