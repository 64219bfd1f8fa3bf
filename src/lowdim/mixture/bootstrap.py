"""How sure the parameters of a fitted mixture are: the bootstrap."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import check_is_fitted

from lowdim._checkpoint import facts_of
from lowdim._journal import keeping
from lowdim._random import generator, spawn
from lowdim._threads import threads_for
from lowdim._validation import check_interval, check_positive_int, check_sample_weight
from lowdim.data.estimator_rows import read_rows
from lowdim.mixture._jobs import check_n_jobs, in_kept_jobs
from lowdim.mixture._resample import Refit, Replicate
from lowdim.mixture.subspace import SubspaceMixture

if TYPE_CHECKING:
    import pandas as pd

    from lowdim._typing import Float64Array, PathLike

#: A component that shares less than this of its rows with the fitted one is counted as lost.
SAME = 0.5


@dataclass(frozen=True, eq=False)
class Estimate:
    """A fitted quantity and how it varies from replicate to replicate.

    Attributes
    ----------
    value : ndarray
        What the model says.
    se : ndarray
        Standard error: the standard deviation over the replicates. 0 for what is held.
    low, high : ndarray
        Ends of the interval.
    """

    value: Float64Array
    se: Float64Array
    low: Float64Array
    high: Float64Array


@dataclass(frozen=True, eq=False)
class SubspaceBootstrap:
    """Uncertainty of a fitted mixture of K subspaces in D columns; all arrays are NumPy's.

    Attributes
    ----------
    weights, noise_variances : Estimate of shape (K,)
        Intervals from percentiles of the replicates; nan for the noise of a uniform background.
    latent_variances : list of Estimate of shape (d_k,)
        The same for the variances along the axes.
    means : Estimate of shape (K, D)
        Intervals from the standard error and the normal distribution.
    bases : list of Estimate of shape (d_k, D)
        Loadings: the entries of the axes, after the axes of each replicate were turned within
        their subspace to face those of the model (Procrustes); intervals as for the means. They
        tell how far the subspace turns, and leave out how axes of like variance mix within it.
    angles : ndarray of shape (n_boot, K, largest d)
        Principal angles between each replicate's subspace and the model's in degrees, largest
        first; nan beyond the component's dimension, and for a replicate that failed.
    overlap : ndarray of shape (n_boot, K)
        Jaccard index of the rows of each component and those of its partner in the replicate
        (shared responsibility over that of either); nan for a replicate that failed.
    failed : int
        Replicates that are left out of everything else, since EM failed in them or ended with
        a component without rows or on the variance floor.
    unconverged : int
        Replicates that are counted although `max_iter` ended them.
    level : float
        Coverage that the intervals aim at.
    """

    weights: Estimate
    noise_variances: Estimate
    latent_variances: list[Estimate]
    means: Estimate
    bases: list[Estimate]
    angles: Float64Array
    overlap: Float64Array
    failed: int
    unconverged: int
    level: float

    @property
    def n_boot(self) -> int:
        """Replicates, failed ones included."""
        return len(self.angles)

    @property
    def dims(self) -> list[int]:
        """Dimension of each component."""
        return [len(basis.value) for basis in self.bases]

    @property
    def angles_median(self) -> Float64Array:
        """Median principal angles in degrees, (K, largest d)."""
        return self._angle_quantile(0.5)

    @property
    def angles_high(self) -> Float64Array:
        """Principal angles that a share `level` of the replicates stays below, (K, largest d)."""
        return self._angle_quantile(self.level)

    @property
    def lost(self) -> np.ndarray:
        """Replicates in which a component shares less than half of its rows with its partner.

        (K,), int. Their values count in the standard errors, and may be of something else.
        """
        return (self.overlap < SAME).sum(0)

    def to_frame(self) -> pd.DataFrame:
        """The scalar quantities as a tidy table.

        Returns
        -------
        DataFrame with columns component, quantity ("weight", "noise_variance",
        "latent_variance_0", ...), estimate, se, low and high.
        """
        import pandas as pd

        columns = ["component", "quantity", "estimate", "se", "low", "high"]
        table = []
        for k, latent in enumerate(self.latent_variances):
            parts = [("weight", self.weights, k), ("noise_variance", self.noise_variances, k)]
            parts += [(f"latent_variance_{j}", latent, j) for j in range(len(latent.value))]
            table += [(k, n, e.value[i], e.se[i], e.low[i], e.high[i]) for n, e, i in parts]
        return pd.DataFrame(table, columns=columns)

    def _angle_quantile(self, share: float) -> Float64Array:
        sound = self.angles[np.isfinite(self.overlap).all(1)]
        return np.quantile(sound, share, axis=0)  # nan where a component has no such axis


def bootstrap_subspaces(
    model: SubspaceMixture,
    X: Any,
    *,
    n_boot: int = 100,
    sample_weight: Any = None,
    level: float = 0.95,
    n_jobs: int | None = None,
    random_state: Any = None,
    checkpoint: PathLike | None = None,
    verbose: int = 0,
) -> SubspaceBootstrap:
    """Standard errors and intervals of a fitted mixture by the nonparametric bootstrap.

    Each replicate draws as many rows as there are, with replacement, and goes on from the fitted
    model until EM has converged on them. Dimensions are held, and a component that loses its rows
    is not put elsewhere, so that components stay what they are; should two have changed places,
    they are matched by the rows that they share. So this is the uncertainty around one maximum of
    the likelihood; whether there are others is asked of `consensus_subspaces`.

    Parameters
    ----------
    model : SubspaceMixture
        A fitted mixture; it stays as it is.
    X : array-like, sparse, DataFrame, tensor, AnnData, row source or path, shape (N, D)
        The rows that it was fitted to.
    n_boot : int, default=100
        Number of replicates, at least 2. 100 do for standard errors; for intervals, 1,000 are
        better.
    sample_weight : array-like of shape (N,), optional
        The row weights of the fit. A weight of 2 counts as the row twice, so the weights' sum,
        rounded, is the number of rows that are drawn.
    level : float, default=0.95
        Coverage of the intervals, between 0 and 1.
    n_jobs : int, optional
        Threads that take replicates side by side (-1: one per core); by default 1. They
        share the rows, and change results by no more than rounding.
    random_state : int, Generator or RandomState, optional
        Seed; the same seed gives the same bits on the same machine.
    checkpoint : path, optional
        A file that keeps the replicates that are done. The same call goes on from there.
    verbose : int, default=0
        1 shows a progress bar.

    Returns
    -------
    SubspaceBootstrap

    Raises
    ------
    NotFittedError
        The model is not fitted.
    ValueError, TypeError
        An argument or the data cannot be used, the model is degenerate, or the checkpoint is of
        other replicates.
    KeyboardInterrupt
        By Ctrl-C. The checkpoint keeps the replicates that are done.
    RuntimeError
        Fewer than two replicates could be fitted.

    Warns
    -----
    ConvergenceWarning
        A replicate failed, or a component in it has less than half of its rows in common with
        the model's.

    Notes
    -----
    Efron and Tibshirani, "An Introduction to the Bootstrap" (Chapman and Hall, 1993), chapters 6
    and 13; for mixtures, warm starts after O'Hagan, Murphy, Scrucca and Gormley, Computational
    Statistics 34 (2019). Resampling acts through row weights: the rows are neither copied nor
    made dense. Sums over replicates are kept rather than replicates, except of what has no column
    axis. Maximum likelihood finds a little too much variance along the axes and too little off
    them, in the replicates once more, so percentile intervals lie off by the same if rows are few.

    Examples
    --------
    >>> import lowdim as ld
    >>> planted = ld.data.subspaces(600, dims=[2, 1], n_columns=5, random_state=0)
    >>> model = ld.SubspaceMixture(dims=[2, 1], random_state=0).fit(planted.X)
    >>> sure = ld.bootstrap_subspaces(model, planted.X, n_boot=50, random_state=0)
    >>> sure.angles_median.round(1)[0]
    array([1.7, 0.7])
    """
    if not isinstance(model, SubspaceMixture):
        raise TypeError(f"model is a {type(model).__name__}; pass a fitted SubspaceMixture.")
    check_is_fitted(model)
    n_boot = check_positive_int(n_boot, "n_boot", minimum=2)
    level = check_interval(level, "level", low=0.0, high=1.0, closed="neither")
    check_n_jobs(n_jobs)
    if model.degenerate_:
        raise ValueError(
            "model is degenerate: a component sits on the variance floor or owns too few rows, and "
            "would in every replicate. Fit fewer components or dimensions first."
        )
    source = read_rows(model, X, reset=False)
    weight = check_sample_weight(sample_weight, source.n_rows)
    given = {
        "work": "bootstrap_subspaces", "sample_weight": weight, "n_boot": n_boot,
        "seed": random_state, "max_iter": model.max_iter, "means": model.means_,
    }  # fmt: skip
    facts, rng = partial(facts_of, model, source, given), generator(random_state)
    with (
        threads_for(source.n_rows * source.n_cols),
        keeping(checkpoint, facts, rng) as journal,
    ):
        refit = Refit.of(model, source, weight, journal.rng)
        replicates = in_kept_jobs(
            lambda stream, _: refit(stream),
            spawn(journal.rng, n_boot),
            journal,
            pack=lambda found: None if found is None else vars(found),
            unpack=lambda kept: None if kept is None else Replicate(**kept),
            n_jobs=n_jobs,
            description="bootstrap",
            verbose=verbose,
        )
        result = _summarise(model, replicates, n_boot, level)
    _warn(result)
    return result


class _Moments:
    """Running mean and sum of squared deviations (Welford), so that no replicate need be kept."""

    def __init__(self, value: Float64Array) -> None:
        self.value = value
        self.n = 0
        self.mean, self.squares = np.zeros(value.shape), np.zeros(value.shape)

    def add(self, draw: Float64Array) -> None:
        self.n += 1
        off = draw - self.mean
        self.mean += off / self.n
        self.squares += off * (draw - self.mean)

    def estimate(self, level: float) -> Estimate:
        """The interval is that of the normal distribution around the fitted value."""
        from scipy.special import ndtri

        se = np.sqrt(self.squares / (self.n - 1))
        reach = ndtri((1 + level) / 2) * se
        return Estimate(self.value, se, self.value - reach, self.value + reach)


def _percentiles(value: Float64Array, draws: Float64Array, level: float) -> Estimate:
    """From all draws, (n, ...): their spread, and the interval that holds `level` of them."""
    draws = np.where(np.isinf(draws), np.nan, draws)  # of a uniform background
    low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2], axis=0)
    return Estimate(value, draws.std(0, ddof=1), low, high)


def _summarise(
    model: SubspaceMixture, replicates: Iterable[Replicate | None], n_boot: int, level: float
) -> SubspaceBootstrap:
    """Sum the replicates up as they come."""
    n_components, largest = len(model.weights_), max(model.dims_.tolist())
    angles = np.full((n_boot, n_components, largest), np.nan)
    overlap = np.full((n_boot, n_components), np.nan)
    means, bases = _Moments(model.means_), [_Moments(basis) for basis in model.bases_]
    sound: list[int] = []
    scalars: list[tuple[Float64Array, ...]] = []
    unconverged = 0
    for i, replicate in enumerate(replicates):
        if replicate is None:
            continue
        sound.append(i)
        overlap[i], angles[i] = replicate.overlap, replicate.angles
        means.add(replicate.means)
        for total, basis in zip(bases, replicate.bases, strict=True):
            total.add(basis)
        scalars.append((replicate.weights, replicate.noise, replicate.latent))
        unconverged += not replicate.converged
    if len(sound) < 2:
        raise RuntimeError(
            f"{n_boot - len(sound)} of {n_boot} replicates lost a component or failed, so nothing "
            "can be said of the spread. Fit fewer components or dimensions."
        )
    weights, noise, latent = (np.stack(draws) for draws in zip(*scalars, strict=True))
    cuts = np.cumsum(model.dims_)[:-1]
    return SubspaceBootstrap(
        weights=_percentiles(model.weights_, weights, level),
        noise_variances=_percentiles(model.noise_variances_, noise, level),
        latent_variances=[
            _percentiles(value, draws, level)
            for value, draws in zip(
                model.latent_variances_, np.split(latent, cuts, axis=1), strict=True
            )
        ],
        means=means.estimate(level),
        bases=[basis.estimate(level) for basis in bases],
        angles=angles,
        overlap=overlap,
        failed=n_boot - len(sound),
        unconverged=unconverged,
        level=level,
    )


def _warn(result: SubspaceBootstrap) -> None:
    lost = np.flatnonzero(result.lost).tolist()
    said = []
    if result.failed:
        said.append(f"{result.failed} of {result.n_boot} replicates failed and are left out")
    if lost:
        said.append(
            f"component(s) {lost} shared less than half of their rows with the model's in "
            f"{result.lost[lost].tolist()} of {result.n_boot} replicates (see overlap)"
        )
    if said:
        text = "; ".join(said)
        warnings.warn(
            f"{text}. What varies so much may be no separate component.",
            ConvergenceWarning,
            stacklevel=3,
        )
