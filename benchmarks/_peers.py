"""The methods under comparison, each run from a given partition and timed in CPU seconds."""

from __future__ import annotations

import contextlib
import copy
import inspect
import io
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any
from unittest import mock

import numpy as np
from _machine import cpu_time
from scipy.special import logsumexp

#: kspaces' own defaults.
KSPACES_MAX_ITER, KSPACES_TOL, KSPACES_FLOOR = 50, 5e-2, 1e-10


@dataclass
class Trace:
    """Log-likelihoods of one fit and the CPU seconds spent when each was reached.

    For hard assignment the log-likelihood is that of rows and labels together, which is what
    hard EM climbs.
    """

    seconds: np.ndarray
    log_likelihoods: np.ndarray
    labels: np.ndarray
    stopped: str
    n_start: int = 0

    @property
    def per_iteration(self) -> float:
        """Median CPU seconds of an iteration after the start."""
        steps = np.diff(self.seconds[self.n_start :])
        return float(np.median(steps)) if len(steps) else float(self.seconds[-1])

    def time_to(self, target: float) -> tuple[float, int]:
        """CPU seconds and iterations until the log-likelihood is at least ``target``, or nan."""
        reached = np.flatnonzero(self.log_likelihoods >= target)
        if not len(reached):
            return np.nan, 0
        return float(self.seconds[reached[0]]), int(reached[0]) + 1


@contextlib.contextmanager
def silence() -> Iterator[None]:
    """Neither prints nor warnings."""
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def partition(X: np.ndarray, dims: Sequence[int], seed: int) -> np.ndarray:
    """Labels (N,) that both methods start from: a quick k-means, as kspaces makes them.

    Where that leaves a part too small to fit a flat to, even parts around random rows instead.
    """
    from sklearn.cluster import MiniBatchKMeans

    means = MiniBatchKMeans(len(dims), random_state=seed, max_iter=10, n_init="auto")
    labels = means.fit(X).labels_.astype(np.int64)
    size = len(X) // len(dims)
    if np.bincount(labels, minlength=len(dims)).min() >= min(5 * (max(dims) + 1), size):
        return labels
    rng = np.random.default_rng(seed)
    labels = np.full(len(X), len(dims) - 1)
    left = np.arange(len(X))
    for k in range(len(dims) - 1):
        distances = np.square(X[left] - X[rng.choice(left)]).sum(1)
        near = np.argsort(distances)
        labels[left[near[:size]]] = k
        left = left[near[size:]]
    return labels


# kspaces ----------------------------------------------------------------------------------


def fitted_spaces(X: np.ndarray, labels: np.ndarray, dims: Sequence[int]) -> list[Any]:
    """Starting spaces of kspaces: one per part, with the part's share as prior."""
    from kspaces.EM import fit_single_space

    spaces = []
    with silence():
        for k, d in enumerate(dims):
            space = fit_single_space(X[labels == k], d)
            space.prior = float(np.mean(labels == k))
            spaces.append(space)
    return spaces


def kspaces_scores(X: np.ndarray, spaces: list[Any]) -> np.ndarray:
    """Log of prior times density, (K, N)."""
    scores = [space.probability(X, log=True) + np.log(space.prior) for space in spaces]
    return np.array(scores) - X.shape[1] / 2 * np.log(2 * np.pi)


def run_kspaces(X: np.ndarray, spaces: list[Any], assignment: str, cap: float) -> Trace:
    """The iterations of ``run_EM`` on copies of ``spaces`` until its defaults or ``cap`` stop.

    The steps are kspaces' own, in its order; making the starting spaces, the final E-step and
    the log-likelihoods are not counted against it.
    """
    from kspaces import EM
    from kspaces.affine_subspace_ import check_convergence

    spaces = copy.deepcopy(spaces)
    previous = copy.deepcopy(spaces)
    dims = [space.d for space in spaces]
    spent, seconds, values, stopped = 0.0, [], [], "iteration limit"
    with silence():
        for _ in range(KSPACES_MAX_ITER):
            start = time.process_time()
            shares = EM.E_step(X, spaces, assignment=assignment)
            if EM.check_ownerships(shares, dims, 0):
                stopped = "component lost"
                break
            EM.update_ownerships(spaces, shares)
            try:
                spaces = EM.M_step(spaces, X, shares, False, False)
            except np.linalg.LinAlgError:
                stopped, spaces = "crashed", previous
                break
            EM.enforce_min_variance(spaces, KSPACES_FLOOR, False)
            converged = check_convergence(previous, spaces, tolerance=KSPACES_TOL)
            previous = copy.deepcopy(spaces)
            step = time.process_time() - start
            spent += step
            seconds.append(spent)
            values.append(_objective(kspaces_scores(X, spaces), assignment))
            if converged or spent + step > cap:
                stopped = "converged" if converged else "time cap"
                break
        scores = kspaces_scores(X, spaces)
    return Trace(np.array(seconds), np.array(values), scores.argmax(0), stopped)


def _objective(scores: np.ndarray, assignment: str) -> float:
    return float(logsumexp(scores, axis=0).sum() if assignment == "soft" else scores.max(0).sum())


def kspaces_whole(X: np.ndarray, dims: Sequence[int], seed: int) -> tuple[float, float]:
    """CPU seconds and log-likelihood of ``run_EM(X, dims)`` as it comes; nan where it crashes."""
    from kspaces import run_EM
    from kspaces.model_selection_ import total_log_likelihood

    np.random.seed(seed)
    start = time.process_time()
    with silence():
        try:
            spaces, _ = run_EM(X, list(dims), silent=True)
        except (np.linalg.LinAlgError, ValueError):
            return time.process_time() - start, np.nan
        seconds = time.process_time() - start
        return seconds, float(total_log_likelihood(X, spaces))


# lowdim -----------------------------------------------------------------------------------


def lowdim_model(dims: Sequence[int], **settings: Any) -> Any:
    """An estimator; the settings go to `SubspaceMixture`."""
    from lowdim import SubspaceMixture

    return SubspaceMixture(dims=list(dims), **settings)


def run_lowdim(X: np.ndarray, model: Any) -> Trace:
    """Fit from the raw array; the clock starts before `fit` and is read after every pass."""
    passes: list[tuple[float, float, float, bool]] = []
    with silence(), _watched(passes):
        start = time.process_time()
        model.fit(X)
        end = time.process_time()
        labels = model.predict(X)
    if not passes:
        raise RuntimeError("The EM loop did not report its passes; see _watched in this file.")
    clock, objective, scale, whole = np.array(passes).T
    per_row = np.append(objective - X.shape[1] * np.log(scale), model.objective_trace_[-1])
    seconds = np.append(clock, end) - start
    n_start = int((whole == 0).sum())
    return Trace(seconds, per_row * len(X), labels, model.stop_reason_, n_start)


@contextlib.contextmanager
def _watched(passes: list[tuple[float, float, float, bool]]) -> Iterator[None]:
    """Note the clock, the objective and the units whenever `run_em` reports a pass."""
    from lowdim.data.standardized import StandardizedRows
    from lowdim.mixture import _em

    original = _em.run_em
    signature = inspect.signature(original)

    def watched(*args: Any, **kwargs: Any) -> Any:
        call = signature.bind(*args, **kwargs)
        data = call.arguments["data"]
        whole = isinstance(data, StandardizedRows)

        def report(_: int, objective: float) -> None:
            passes.append((time.process_time(), objective, float(data.scale), whole))

        call.arguments["report"] = report
        return original(*call.args, **call.kwargs)

    with contextlib.ExitStack() as stack:
        for name, module in list(sys.modules.items()):
            if name.startswith("lowdim.") and vars(module).get("run_em") is original:
                stack.enter_context(mock.patch.object(module, "run_em", watched))
        yield


def lowdim_whole(
    X: np.ndarray, dims: Sequence[int], seed: int, **settings: Any
) -> tuple[float, float]:
    """CPU seconds and log-likelihood of a fit as it comes."""
    model = lowdim_model(dims, random_state=seed, **settings)
    with silence():
        seconds, _ = cpu_time(partial(model.fit, X))
    return seconds, float(model.lower_bound_ * len(X))


# scikit-learn -----------------------------------------------------------------------------


def sklearn_iteration(
    X: np.ndarray, labels: np.ndarray, covariance: str, repeats: int = 3, n_iter: int = 5
) -> float:
    """Median CPU seconds of an EM iteration of GaussianMixture from the labels' means."""
    from sklearn.mixture import GaussianMixture

    means = np.array([X[labels == k].mean(0) for k in np.unique(labels)])
    weights = np.bincount(labels) / len(labels)
    variance = X.var()
    n_columns = X.shape[1]
    start: dict[str, Any] = {
        "full": np.tile(np.eye(n_columns) / variance, (len(means), 1, 1)),
        "diag": np.full(means.shape, 1 / variance),
        "spherical": np.full(len(means), 1 / variance),
    }

    def fit(max_iter: int) -> Callable[[], Any]:
        model = GaussianMixture(
            len(means),
            covariance_type=covariance,
            max_iter=max_iter,
            tol=0,
            init_params="random",
            means_init=means,
            weights_init=weights,
            precisions_init=start[covariance],
            random_state=0,
        )
        return partial(model.fit, X)

    costs = []
    with silence():
        for _ in range(repeats):
            short, long = cpu_time(fit(1))[0], cpu_time(fit(1 + n_iter))[0]
            costs.append((long - short) / n_iter)
    return float(np.median(costs))
