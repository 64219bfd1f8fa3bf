"""Whether near rows are near in a layout, and near points of the layout are near rows."""

from __future__ import annotations

from typing import Any

import numpy as np

from lowdim.metrics._rows import chosen_rows, distance_blocks, nearest, read_pair, read_sizes

#: Rows that are looked at unless a call says otherwise.
SAMPLE_SIZE = 5_000


def trustworthiness(
    X: Any,
    layout: Any,
    n_neighbors: Any = 15,
    *,
    metric: str = "euclidean",
    sample_size: int | None = SAMPLE_SIZE,
    random_state: Any = 0,
) -> Any:
    """How far the neighbours of points in a layout are from being neighbours in the data.

    ``1 - 2 / (N k (2N - 3k - 1)) sum_i sum_j max(0, r(i, j) - k)``, j over the k nearest points of
    i in the layout, and r(i, j) the rank of j among the rows by their distance to i: one where
    all of them are among the k nearest rows.

    Parameters
    ----------
    X : array-like, sparse, DataFrame, AnnData or row source, shape (N, D)
    layout : array-like of shape (N, d)
    n_neighbors : int or sequence of int, default=15
        k, less than N / 2.
    metric : str, default="euclidean"
        Of the rows; any that `sklearn.metrics.pairwise_distances` knows.
    sample_size : int or None, default=5000
        Rows that are looked at, drawn at random; their neighbours are sought among all rows. None
        is all.
    random_state : int, Generator or RandomState, default=0

    Returns
    -------
    float, or ndarray with one for each of several k

    Raises
    ------
    TypeError, ValueError
        An argument cannot be used.

    References
    ----------
    Venna and Kaski (2001), Neighborhood preservation in nonlinear projection methods.
    """
    rows, places = read_pair(X, layout)
    asked = chosen_rows(len(places), sample_size, random_state)
    return _kept_ranks(rows, places, asked, n_neighbors, (metric, "euclidean"))


def continuity(
    X: Any,
    layout: Any,
    n_neighbors: Any = 15,
    *,
    metric: str = "euclidean",
    sample_size: int | None = SAMPLE_SIZE,
    random_state: Any = 0,
) -> Any:
    """How far the neighbours of rows are from being neighbours in a layout.

    `trustworthiness` with the data and the layout exchanged: it falls where neighbours are torn
    apart, the other where strangers are put together.

    Parameters
    ----------
    X, layout, n_neighbors, metric, sample_size, random_state
        As of `trustworthiness`.

    Returns
    -------
    float, or ndarray with one for each of several k
    """
    rows, places = read_pair(X, layout)
    asked = chosen_rows(len(places), sample_size, random_state)
    return _kept_ranks(places, rows, asked, n_neighbors, ("euclidean", metric))


def neighborhood_preservation(
    X: Any,
    layout: Any,
    n_neighbors: Any = 15,
    *,
    metric: str = "euclidean",
    sample_size: int | None = SAMPLE_SIZE,
    random_state: Any = 0,
) -> Any:
    """Share of the nearest neighbours of each row that are its nearest in the layout as well.

    Parameters
    ----------
    X, layout, metric, sample_size, random_state
        As of `trustworthiness`.
    n_neighbors : int or sequence of int, default=15
        k, less than N. Few tell of fine structure, many of coarse.

    Returns
    -------
    float, or ndarray with one for each of several k
        Between zero and one; k / (N - 1) by chance. Points of the layout that are as near as the
        k-th are equally good.
    """
    rows, places = read_pair(X, layout)
    sizes = read_sizes(n_neighbors, len(places) - 1)
    asked = chosen_rows(len(places), sample_size, random_state)
    shared = np.zeros(len(sizes))
    blocks = distance_blocks(rows, asked, metric)
    for (_, far), (_, apart) in zip(
        blocks, distance_blocks(places, asked, "euclidean"), strict=True
    ):
        near = np.take_along_axis(far, nearest(apart, max(sizes)), 1)
        bounds = np.sort(np.take_along_axis(far, nearest(far, max(sizes)), 1), axis=1)
        for i, k in enumerate(sizes):
            shared[i] += np.count_nonzero(near[:, :k] <= bounds[:, k - 1 : k])
    return _one_or_all(shared / (len(asked) * np.array(sizes)), n_neighbors)


def _kept_ranks(
    rows: Any, places: Any, asked: np.ndarray, n_neighbors: Any, metrics: tuple[str, str]
) -> Any:
    """Trustworthiness of places, given the metrics of rows and places."""
    n = rows.shape[0]
    sizes = read_sizes(n_neighbors, max(1, (n - 1) // 2))
    excess = np.zeros(len(sizes))
    for (_, far), (_, apart) in zip(
        distance_blocks(rows, asked, metrics[0]),
        distance_blocks(places, asked, metrics[1]),
        strict=True,
    ):
        ranks = _ranks(far, nearest(apart, max(sizes)))
        for i, k in enumerate(sizes):
            excess[i] += np.maximum(ranks[:, :k] - k, 0).sum()
    most = np.array([len(asked) * k * (2 * n - 3 * k - 1) / 2 for k in sizes])
    return _one_or_all(1 - excess / most, n_neighbors)


def _ranks(distances: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """One more than the number of columns that are nearer, (b, k)."""
    values = np.take_along_axis(distances, columns, 1)
    ordered = np.sort(distances, axis=1)
    found = [np.searchsorted(*pair) for pair in zip(ordered, values, strict=True)]
    return np.stack(found) + 1


def _one_or_all(values: np.ndarray, n_neighbors: Any) -> Any:
    return float(values[0]) if np.ndim(n_neighbors) == 0 else values
