"""Whether a layout keeps distances, near and far."""

from __future__ import annotations

from typing import Any

import numpy as np

from lowdim._random import generator
from lowdim._validation import check_in, check_positive_int
from lowdim.metrics._rows import read_pair

#: Pairs or triplets that are drawn.
N_DRAWN = 100_000
#: Metrics of pairs of rows.
METRICS = ("euclidean", "manhattan", "cosine")


def distance_correlation(
    X: Any,
    layout: Any,
    *,
    method: str = "spearman",
    metric: str = "euclidean",
    n_pairs: int = N_DRAWN,
    random_state: Any = 0,
) -> float:
    """Correlation of distances between rows with those between their places.

    It tells of the large distances, since most pairs are far apart. (It is not the distance
    correlation of Székely and others.)

    Parameters
    ----------
    X : array-like, sparse, DataFrame, AnnData or row source, shape (N, D)
    layout : array-like of shape (N, d)
    method : {"spearman", "pearson"}, default="spearman"
    metric : {"euclidean", "manhattan", "cosine"}, default="euclidean"
        Of the rows.
    n_pairs : int, default=100000
        Pairs that are drawn at random; all, if there are no more.
    random_state : int, Generator or RandomState, default=0

    Returns
    -------
    float
        nan where all distances are the same.

    Raises
    ------
    TypeError, ValueError
        An argument cannot be used.
    """
    from scipy.stats import rankdata

    check_in(method, "method", ("spearman", "pearson"))
    rows, places = _read(X, layout, metric, at_least=3)
    one, other = _pairs(len(places), check_positive_int(n_pairs, "n_pairs"), random_state)
    far, near = _apart(rows, one, other, metric), _apart(places, one, other, "euclidean")
    if method == "spearman":
        far, near = rankdata(far), rankdata(near)
    if min(np.ptp(far), np.ptp(near)) == 0:
        return float("nan")
    return float(np.corrcoef(far, near)[0, 1])


def random_triplet_accuracy(
    X: Any,
    layout: Any,
    *,
    metric: str = "euclidean",
    n_triplets: int = N_DRAWN,
    random_state: Any = 0,
) -> float:
    """Share of random triplets of rows in which the same of two others is nearer in the layout.

    Parameters
    ----------
    X, layout, metric, random_state
        As of `distance_correlation`.
    n_triplets : int, default=100000
        Drawn at random.

    Returns
    -------
    float
        One half by chance.

    References
    ----------
    Wang, Huang, Rudin and Shaposhnik (2021), Understanding how dimension reduction tools work.
    """
    rows, places = _read(X, layout, metric, at_least=3)
    n, m = len(places), check_positive_int(n_triplets, "n_triplets")
    rng = generator(random_state)
    a = rng.integers(n, size=m)
    b = (a + 1 + rng.integers(n - 1, size=m)) % n
    c = rng.integers(n - 2, size=m)  # among what is left: numbers above the two move up
    for taken in (np.minimum(a, b), np.maximum(a, b)):
        c += c >= taken
    nearer = [
        _apart(own, a, b, kind) < _apart(own, a, c, kind)
        for own, kind in ((rows, metric), (places, "euclidean"))
    ]
    return float((nearer[0] == nearer[1]).mean())


def _read(X: Any, layout: Any, metric: str, *, at_least: int) -> tuple[Any, np.ndarray]:
    check_in(metric, "metric", METRICS)
    rows, places = read_pair(X, layout)
    if len(places) < at_least:
        raise ValueError(f"X has {len(places)} rows; pass at least {at_least}.")
    return rows, places


def _pairs(n: int, n_pairs: int, random_state: Any) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of different rows."""
    if n * (n - 1) // 2 <= n_pairs:
        return np.triu_indices(n, 1)
    rng = generator(random_state)
    one = rng.integers(n, size=n_pairs)
    return one, (one + 1 + rng.integers(n - 1, size=n_pairs)) % n


def _apart(rows: Any, one: np.ndarray, other: np.ndarray, metric: str) -> np.ndarray:
    """Distances of pairs of rows, a part of them at a time."""
    from sklearn.metrics.pairwise import PAIRED_DISTANCES

    distances = PAIRED_DISTANCES[metric]  # `paired_distances` refuses sparse rows, which these take
    step = max(1, 2**22 // rows.shape[1])
    parts = [
        distances(rows[one[s : s + step]], rows[other[s : s + step]])
        for s in range(0, len(one), step)
    ]
    return np.concatenate(parts).astype(np.float64)
