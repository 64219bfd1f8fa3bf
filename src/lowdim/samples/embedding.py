"""Places of samples in a plane, from the distances between them."""

from __future__ import annotations

from typing import Any

import numpy as np

from lowdim._validation import check_in, check_interval, check_positive_int
from lowdim.samples._matrices import read_distances

METHODS = ("mds", "classical", "diffusion", "tsne", "umap")
#: The neighbour whose distance is a sample's own bandwidth (Zelnik-Manor and Perona 2004).
NEIGHBOR = 7
#: Perplexity of t-SNE, if there are three times as many samples.
PERPLEXITY = 30.0
#: Neighbours of UMAP, if there are more samples than that, and its largest coordinate at first.
NEIGHBORS, REACH = 15, 10.0


def embed_samples(
    distances: Any,
    n_components: int = 2,
    *,
    method: str = "mds",
    perplexity: float | None = None,
    n_neighbors: int | None = None,
    bandwidth: Any = "median",
    alpha: float = 1.0,
    random_state: Any = 0,
) -> np.ndarray:
    """Coordinates in which samples lie about as far apart as the distances say.

    Parameters
    ----------
    distances : array-like or DataFrame of shape (S, S)
        Symmetric, with zeros on the diagonal.
    n_components : int, default=2
    method : {"mds", "classical", "diffusion", "tsne", "umap"}, default="mds"
        "mds": metric multidimensional scaling, the least sum of squared errors of the distances
        (SMACOF), from the classical solution. "classical": Torgerson's, the principal coordinates;
        see `classical_mds`. "diffusion": a diffusion map (Coifman and Lafon 2006), for samples
        along a course or in groups. "tsne" and "umap": neighbours only.
    perplexity : float, optional
        Of "tsne", below S; by default 30, or a third of the other samples if that is less.
    n_neighbors : int, optional
        Of "umap", at least 2 and below S; by default 15, or all other samples if they are fewer.
    bandwidth : {"median", "self_tuning"} or float, default="median"
        Of "diffusion": weights are ``exp(-d^2 / bandwidth^2)``. "median" is that of all distances,
        "self_tuning" takes the product of both samples' distances to their 7th neighbour.
    alpha : float, default=1.0
        Of "diffusion": how far the density of the samples is taken out, from 0 to 1.
    random_state : int, Generator or RandomState, default=0
        Of "tsne" and "umap".

    Returns
    -------
    ndarray of shape (S, n_components)
        The axes are principal ones, by decreasing spread (of "diffusion" by decreasing
        eigenvalue), and the entry of largest absolute value is positive in each, so that nothing
        is left to chance.

    Raises
    ------
    ValueError, TypeError
        The distances or an argument cannot be used.
    """
    matrix, _ = read_distances(distances)
    n_components = check_positive_int(n_components, "n_components")
    check_in(method, "method", METHODS)
    if method == "diffusion":
        return _diffusion_map(matrix, n_components, bandwidth, alpha)
    start, _ = classical_mds(matrix, n_components)
    if method == "classical" or not matrix.any():
        return start
    if method == "mds":
        return _principal(_smacof(matrix, start))
    if method == "umap":
        return _principal(_umap(matrix, start, n_neighbors, random_state))
    return _principal(_tsne(matrix, start, perplexity, random_state))


def classical_mds(distances: Any, n_components: int = 2) -> tuple[np.ndarray, np.ndarray]:
    """Torgerson's principal coordinates, and what each explains.

    Parameters
    ----------
    distances : array-like or DataFrame of shape (S, S)
    n_components : int, default=2

    Returns
    -------
    coordinates : ndarray of shape (S, n_components)
        Of Euclidean distances exactly those of a PCA. Axes without a positive eigenvalue are zero.
    explained : ndarray of shape (n_components,)
        The share of each axis in the sum of the positive eigenvalues; zero if there are none.
    """
    matrix, _ = read_distances(distances)
    n_components = check_positive_int(n_components, "n_components")
    squared = matrix**2
    centred = squared - squared.mean(0)
    centred = -(centred - centred.mean(1, keepdims=True)) / 2
    values, vectors = np.linalg.eigh(centred)
    values, vectors = values[::-1], vectors[:, ::-1]
    positive = np.where(values > len(values) * np.finfo(float).eps * values[0], values, 0.0)
    kept = min(n_components, len(values))
    coordinates, explained = np.zeros((len(values), n_components)), np.zeros(n_components)
    coordinates[:, :kept] = vectors[:, :kept] * np.sqrt(positive[:kept])
    explained[:kept] = positive[:kept] / (positive.sum() or 1.0)
    return _signed(coordinates), explained


def _smacof(matrix: np.ndarray, start: np.ndarray) -> np.ndarray:
    """Metric scaling from a start."""
    from sklearn.manifold import smacof

    found, _ = smacof(
        matrix, n_components=start.shape[1], init=start, n_init=1, max_iter=1000, eps=1e-9,
        normalized_stress=False,
    )  # fmt: skip
    return np.asarray(found)


def _tsne(
    matrix: np.ndarray, start: np.ndarray, perplexity: float | None, random_state: Any
) -> np.ndarray:
    """t-SNE from the classical solution, which keeps its layout from run to run."""
    from sklearn.manifold import TSNE

    from lowdim._random import generator

    S, n = start.shape
    usual = max(1.0, min(PERPLEXITY, (S - 1) / 3))
    chosen = check_interval(
        usual if perplexity is None else perplexity,
        "perplexity",
        low=0.0,
        high=float(S),
        closed="neither",
    )
    model = TSNE(
        n, perplexity=chosen, metric="precomputed", init=1e-4 * start / start[:, 0].std(),
        method="barnes_hut" if n < 4 else "exact",
        random_state=int(generator(random_state).integers(2**31)),
    )  # fmt: skip
    return np.asarray(model.fit_transform(matrix), dtype=np.float64)


def _umap(
    matrix: np.ndarray, start: np.ndarray, n_neighbors: int | None, random_state: Any
) -> np.ndarray:
    """UMAP from the classical solution."""
    from lowdim.embedding.methods import estimator_of

    most = len(matrix) - 1
    if most < 2:
        return start
    k = check_positive_int(
        min(NEIGHBORS, most) if n_neighbors is None else n_neighbors, "n_neighbors", minimum=2
    )
    if k > most:
        raise ValueError(
            f"n_neighbors={k} is too large: of {most + 1} samples each has {most} others."
        )
    settings = {
        "n_components": start.shape[1],
        "n_neighbors": k,
        "metric": "precomputed",
        "init": REACH * start / np.abs(start).max(),
        "random_state": random_state,
    }
    return np.asarray(estimator_of("umap", settings).fit_transform(matrix), dtype=np.float64)


def _diffusion_map(matrix: np.ndarray, n: int, bandwidth: Any, alpha: Any) -> np.ndarray:
    """Right eigenvectors of the diffusion operator times their eigenvalues, without the first."""
    alpha = check_interval(alpha, "alpha", low=0.0, high=1.0)
    if n >= len(matrix):
        raise ValueError(
            f"n_components={n} is too many: a diffusion map of {len(matrix)} samples has "
            f"{len(matrix) - 1}."
        )
    weights = np.exp(-(matrix**2) / _squared_bandwidths(matrix, bandwidth))
    density = weights.sum(1) ** alpha
    weights /= density[:, None] * density
    root = np.sqrt(weights.sum(1))
    # The operator's rows sum to one; this has its eigenvalues and is symmetric.
    values, vectors = np.linalg.eigh(weights / (root[:, None] * root))
    leading = np.argsort(-values, kind="stable")[1 : n + 1]
    # The first right eigenvector is constant and one; the same unit makes the others comparable.
    functions = vectors[:, leading] / root[:, None] * np.linalg.norm(root)
    return _signed(functions * values[leading])


def _squared_bandwidths(matrix: np.ndarray, bandwidth: Any) -> Any:
    S = len(matrix)
    if isinstance(bandwidth, str):
        check_in(bandwidth, "bandwidth", ("median", "self_tuning"))
        if bandwidth == "median":
            between = matrix[np.triu_indices(S, 1)]
            return float(np.median(between)) ** 2 or float(between.max()) ** 2 or 1.0
        own = np.sort(matrix, axis=1)[:, min(NEIGHBOR, S - 1)]
        own = np.where(own > 0, own, matrix.max(1))  # among many copies of one sample
        return np.outer(own, own) if own.all() else 1.0
    return check_interval(bandwidth, "bandwidth", low=0.0, closed="neither") ** 2


def _principal(coordinates: np.ndarray) -> np.ndarray:
    """The same points along their principal axes."""
    centred = coordinates - coordinates.mean(0)
    axes = np.linalg.svd(centred, full_matrices=False)[2]
    turned = np.zeros_like(centred)
    turned[:, : len(axes)] = centred @ axes.T
    return _signed(turned)


def _signed(coordinates: np.ndarray) -> np.ndarray:
    """Every column with its entry of largest absolute value above zero."""
    sizes = np.abs(coordinates)
    # Of entries that are as large but for rounding the first decides.
    first = (sizes >= (1 - 1e-6) * sizes.max(0)).argmax(0)
    signs = np.sign(coordinates[first, np.arange(coordinates.shape[1])])
    return np.asarray(coordinates * np.where(signs == 0, 1.0, signs))
