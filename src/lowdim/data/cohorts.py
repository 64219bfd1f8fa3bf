"""Simulated cohorts: samples that are mixtures of Gaussians, of classes that differ in a plane."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.stats import ortho_group

from lowdim._random import generator
from lowdim._validation import check_in, check_interval, check_positive_int

if TYPE_CHECKING:
    from anndata import AnnData

    from lowdim._typing import Float64Array, IntArray, RandomState

SIGNALS = ("mean", "covariance", "weights")
#: Components that carry the signal, and how far from the origin of the plane they lie.
N_SIGNAL, RADIUS = 3, 10.0
#: What one unit of a sample's score does: to means, to logarithms of variances, to logits.
EFFECT = {"mean": 1.0, "covariance": 0.3, "weights": 0.3}
#: Of the other components: spread of their means, and of the logarithms of their weights.
SPREAD, UNEVEN = 3.0, 0.3
#: Standard deviation from sample to sample of the logarithm of a covariance off the plane.
SCALING = 0.15


@dataclass(frozen=True)
class CohortTruth:
    """The mixture of every sample, and the plane in which classes differ.

    Attributes
    ----------
    weights : (S, K)
    means : (S, K, D)
    covariances : (S, K, D, D)
    plane : (2, D)
        Orthonormal rows.
    labels : (S,)
        Number of the class.
    """

    weights: Float64Array
    means: Float64Array
    covariances: Float64Array
    plane: Float64Array
    labels: IntArray

    @property
    def names(self) -> list[str]:
        """Of the samples; in alphabetical order they are in the order of the arrays."""
        digits = len(str(len(self.labels) - 1))
        return [f"sample_{s:0{digits}d}" for s in range(len(self.labels))]


def simulate_cohort(
    n_samples: int = 40,
    n_cells: int | tuple[int, int] = 500,
    n_features: int = 16,
    *,
    n_classes: int = 2,
    n_components: int = 12,
    signal: str = "covariance",
    separation: float = 3.0,
    nuisance: float = 1.5,
    signal_share: float = 0.25,
    n_batches: int = 1,
    batch_shift: float = 0.0,
    random_state: RandomState = 0,
) -> AnnData:
    """Draw a cohort of samples whose classes differ in a hidden plane only.

    Every sample is a mixture of K Gaussians in D features. Three components carry the signal: each
    sample has a score z, (2,), drawn around its class with unit variance, which moves their means
    in the plane, shapes their covariances in the plane (means and determinants stay), or sets their
    weights. Everything off the plane differs between samples whatever their class.

    Parameters
    ----------
    n_samples : int, default=40
        S; classes have equally many, or one more.
    n_cells : int or (int, int), default=500
        Cells of every sample, or the range from which their number is drawn.
    n_features : int, default=16
        D, at least 2.
    n_classes : int, default=2
    n_components : int, default=12
        K, at least 3.
    signal : {"covariance", "mean", "weights"}, default="covariance"
        Where the score acts.
    separation : float, default=3
        Distance of neighbouring classes in the space of scores, in standard deviations between
        samples of a class. Of two classes nothing can tell a larger share than
        ``Phi(separation / 2)``: .69, .84, .93 and .98 at 1, 2, 3 and 4.
    nuisance : float, default=1.5
        Standard deviation, from sample to sample, of the mean of every component along every axis
        off the plane; one unit of the score moves a mean by 1. With 0 the plane need not be known.
    signal_share : float, default=0.25
        Share of cells of the components that carry the signal; 1 if there are no others.
    n_batches : int, default=1
        Batches, balanced over classes.
    batch_shift : float, default=0
        Length of the random vector that is added to all cells of a batch.
    random_state : int, Generator or RandomState, default=0

    Returns
    -------
    AnnData of all cells x D, float32, in random order: `obs["sample"]`, `obs["label"]`,
    `obs["batch"]` and `obs["component"]`;
    `uns["truth"]`, what the cells were drawn from: `weights` (S, K), `means` (S, K, D),
    `covariances` (S, K, D, D), `labels` (S,) and `scores` (S, 2) of samples in alphabetical order,
    and `plane` (2, D), with orthonormal rows;
    `uns["simulation"]`, the arguments.

    Raises
    ------
    TypeError, ValueError
        An argument of the wrong type or range.

    Examples
    --------
    >>> import lowdim as ld
    >>> from lowdim.transport import Mixtures, mixture_distances
    >>> adata = ld.data.simulate_cohort(12, 50, separation=4.0)
    >>> truth = adata.uns["truth"]
    >>> known = Mixtures.of(truth["weights"], truth["means"], truth["covariances"])
    >>> mixture_distances(known.mapped(truth["plane"])).shape
    (12, 12)
    """
    S = check_positive_int(n_samples, "n_samples", minimum=2)
    D = check_positive_int(n_features, "n_features", minimum=2)
    K = check_positive_int(n_components, "n_components", minimum=N_SIGNAL)
    C = check_positive_int(n_classes, "n_classes", minimum=2)
    check_in(signal, "signal", SIGNALS)
    check_interval(separation, "separation", low=0.0)
    check_interval(nuisance, "nuisance", low=0.0)
    check_interval(batch_shift, "batch_shift", low=0.0)
    share = check_interval(signal_share, "signal_share", low=0.0, high=1.0, closed="right")
    n_batches = check_positive_int(n_batches, "n_batches")
    fewest, most = _cell_range(n_cells)
    if S < C:
        raise ValueError(f"n_samples={S} must not be below n_classes={C}.")
    rng = generator(random_state)
    labels = np.arange(S) % C
    scores = _class_scores(C, separation)[labels] + rng.standard_normal((S, 2))
    weights = _draw_weights(scores if signal == "weights" else None, S, K, share, rng)
    means, covariances = _draw_components(scores, signal, K, D, nuisance, rng)
    rotation = ortho_group.rvs(D, random_state=rng)
    batches = np.arange(S) // C % n_batches
    shifts = rng.standard_normal((n_batches, D))
    shifts *= batch_shift / np.linalg.norm(shifts, axis=1, keepdims=True)
    truth = CohortTruth(
        weights,
        means @ rotation + shifts[batches][:, None],
        rotation.T @ covariances @ rotation,
        rotation[:2],
        labels,
    )
    totals = rng.integers(fewest, most + 1, size=S)
    counts = np.stack([rng.multinomial(n, w) for n, w in zip(totals, weights, strict=True)])
    adata = draw_cells(truth, counts, rng)
    adata.obs["batch"] = _categories(
        batches[adata.obs["sample"].cat.codes], [f"batch_{b}" for b in range(n_batches)]
    )
    adata.uns["truth"]["scores"] = scores
    adata.uns["simulation"] = {
        "signal": signal, "separation": float(separation), "nuisance": float(nuisance),
        "signal_share": share, "batch_shift": float(batch_shift),
    }  # fmt: skip
    return adata


def draw_cells(truth: CohortTruth, counts: IntArray, rng: np.random.Generator) -> AnnData:
    """Cells of every sample and component, as many as `counts` says, (S, K), in random order."""
    import pandas as pd
    from anndata import AnnData

    S, K, D = truth.means.shape
    order = rng.permutation(counts.sum())
    cells = np.empty((len(order), D), dtype=np.float32)
    start = 0
    for s, k in np.ndindex(S, K):
        own = order[start : start + counts[s, k]]
        factor = np.linalg.cholesky(truth.covariances[s, k])
        cells[own] = truth.means[s, k] + rng.standard_normal((len(own), D)) @ factor.T
        start += len(own)
    sample, component = np.empty((2, len(order)), dtype=int)
    sample[order] = np.repeat(np.arange(S), counts.sum(1))
    component[order] = np.repeat(np.tile(np.arange(K), S), counts.ravel())
    n_classes = int(truth.labels.max()) + 1
    obs = pd.DataFrame(
        {
            "sample": _categories(sample, truth.names),
            "label": _categories(truth.labels[sample], [f"class_{c}" for c in range(n_classes)]),
            "component": _categories(component, [f"component_{k}" for k in range(K)]),
        },
        index=[f"cell_{i}" for i in range(len(order))],
    )
    adata = AnnData(cells, obs=obs)
    adata.var_names = [f"feature_{j}" for j in range(D)]
    adata.uns["truth"] = {
        "weights": truth.weights,
        "means": truth.means,
        "covariances": truth.covariances,
        "plane": truth.plane,
        "labels": np.array([f"class_{c}" for c in truth.labels]),
    }
    return adata


def _categories(codes: Any, names: list[str]) -> Any:
    import pandas as pd

    return pd.Categorical.from_codes(codes, pd.Index(names))


def _cell_range(n_cells: Any) -> tuple[int, int]:
    """Fewest and most cells of a sample."""
    both = tuple(n_cells) if np.ndim(n_cells) else (n_cells, n_cells)
    if len(both) != 2:
        raise ValueError(f"n_cells={n_cells!r} must be one number or a range of two.")
    fewest, most = (check_positive_int(n, "n_cells", minimum=2) for n in both)
    if fewest > most:
        raise ValueError(f"n_cells={n_cells!r} is a range that ends below its start.")
    return fewest, most


def _class_scores(n_classes: int, separation: float) -> Float64Array:
    """Corners of a regular polygon with sides as long as the separation, (C, 2)."""
    angles = 2 * np.pi * np.arange(n_classes) / n_classes
    radius = separation / (2 * np.sin(np.pi / n_classes))
    return radius * np.stack([np.cos(angles), np.sin(angles)], axis=1)


def _triangle() -> Float64Array:
    """Where the components with the signal lie, as seen from the origin, (3, 2)."""
    angles = np.pi / 2 + 2 * np.pi * np.arange(N_SIGNAL) / N_SIGNAL
    return np.stack([np.cos(angles), np.sin(angles)], axis=1)


def _draw_weights(
    scores: Float64Array | None, S: int, K: int, share: float, rng: np.random.Generator
) -> Float64Array:
    """Weights (S, K): those of the signal's components first."""
    logits = np.zeros((S, N_SIGNAL))
    if scores is not None:
        logits = EFFECT["weights"] * scores @ _triangle().T
    own = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    if K == N_SIGNAL:
        return own
    others = np.exp(UNEVEN * rng.standard_normal((S, K - N_SIGNAL)))
    others /= others.sum(1, keepdims=True)
    return np.concatenate([share * own, (1 - share) * others], axis=1)


def _draw_components(
    scores: Float64Array, signal: str, K: int, D: int, nuisance: float, rng: np.random.Generator
) -> tuple[Float64Array, Float64Array]:
    """Means (S, K, D) and covariances (S, K, D, D) while the plane is that of the first axes."""
    S, off = len(scores), D - 2
    means = np.zeros((S, K, D))
    means[:, :N_SIGNAL, :2] = RADIUS * _triangle()
    means[:, N_SIGNAL:, 2:] = SPREAD * rng.standard_normal((K - N_SIGNAL, off))
    means[:, :, 2:] += nuisance * rng.standard_normal((S, K, off))
    covariances = np.zeros((S, K, D, D))
    covariances[:, :, :2, :2] = np.eye(2)
    if off:
        axes = np.linalg.qr(rng.standard_normal((K, off, off)))[0]
        shapes = (axes * rng.uniform(0.2, 1.8, (K, 1, off))) @ axes.swapaxes(1, 2)
        scales = np.exp(SCALING * rng.standard_normal((S, K, 1, 1)))
        covariances[:, :, 2:, 2:] = scales * shapes
    if signal == "mean":
        means[:, :N_SIGNAL, :2] += EFFECT["mean"] * scores[:, None]
    if signal == "covariance":
        covariances[:, :N_SIGNAL, :2, :2] = _stretched(EFFECT["covariance"] * scores)[:, None]
    return means, covariances


def _stretched(scores: Float64Array) -> Float64Array:
    """The exponentials of [[a, b], [b, -a]] for every (a, b), (S, 2, 2); of determinant one."""
    a, b = scores.T
    length = np.hypot(a, b)
    ratio = np.sinh(length) / np.where(length > 0, length, 1.0)
    symmetric = np.stack([np.stack([a, b], -1), np.stack([b, -a], -1)], -2)
    return np.asarray(np.cosh(length)[:, None, None] * np.eye(2) + ratio[:, None, None] * symmetric)
