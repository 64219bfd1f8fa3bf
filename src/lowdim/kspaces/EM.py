"""Fit mixtures of affine subspaces, and assign points to them."""

from __future__ import annotations

import time
import warnings
from dataclasses import replace
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from lowdim._typing import Float64Array, RandomState
from lowdim._validation import check_interval, check_positive_int
from lowdim.kspaces._arguments import check_kd, check_problem
from lowdim.kspaces._engine import Problem, Solution, fit, fit_single
from lowdim.kspaces._mixture import as_spaces, shares
from lowdim.kspaces._print import say
from lowdim.kspaces._random import seeded
from lowdim.kspaces._rows import is_empty, read_points
from lowdim.kspaces._spaces import affine_subspace
from lowdim.kspaces._translate import divided_as_before
from lowdim.mixture._jobs import check_n_jobs
from lowdim.mixture._subspace.arguments import check_rows

__all__ = ["E_step", "fit_single_space", "run_EM", "run_EM_parallelized"]

#: Kinds of start, in turn; the random ones draw other rows each time.
ALL_STARTS = ("kmeans", "points", "local")
RANDOM_STARTS = ("points", "local")


def run_EM(
    points: Any,
    kd: Any,
    assignment: str = "soft",
    max_iter: int = 50,
    tol: float = 5e-2,
    initializations: int = 10,
    verbose: bool = False,
    silent: bool = False,
    print_solution: bool = False,
    randomize_init: bool = False,
    batch_size: float = np.inf,
    batch_replace: bool = True,
    print_ownerships: bool = False,
    multiprocess_spaces: bool = False,
    init_spaces: Any = (),
    fixed_spaces: Any = (),
    min_variance: float = 1e-10,
    return_if_failed: bool = True,
    set_noise_equal: bool = False,
    DA: bool = False,
    beta_0: float = 0.5,
    anneal_rate: float = 1.2,
    max_additional_init: int = 10,
    random_state: RandomState = None,
    legacy: bool = False,
) -> Any:
    """Fit a mixture of affine subspaces, the best of several starts.

    Parameters
    ----------
    points : array-like of shape (N, D)
        An array, list, sparse matrix (never made dense as a whole), DataFrame or tensor.
    kd : list of int
        Dimension of each space to learn, 0 <= d <= D. Not used where `init_spaces` are given.
    assignment : {"soft", "hard", "closest"}, default="soft"
        Posterior probabilities; all of a point to its most probable space; all to the nearest.
    max_iter : int, default=50
        EM steps per start, and per beta with `DA`.
    tol : float, default=0.05
        How far, in units of the data, parameters may be from where they would settle. A start
        stops when the mean log-likelihood per point gains less than ``tol**2 / 100`` in one
        step, whatever the units.
    initializations : int, default=10
        Number of starts.
    verbose : bool, default=False
        Print the objective of the best start after each of its EM steps (of minibatches, after
        the last).
    silent : bool, default=False
        Print nothing at all, and do not warn of a fit that stopped early.
    print_solution : bool, default=False
        Print the spaces.
    randomize_init : bool, default=False
        Only random starts; otherwise every third begins with k-means.
    batch_size : int, default=inf
        Random rows per EM step. Their statistics are blended with the past ones by decaying
        steps. After `max_iter` of them, EM with all rows goes on from the best start.
    batch_replace : bool, default=True
        Draw the rows of a batch with replacement.
    print_ownerships : bool, default=False
        Print how many points each space owns.
    multiprocess_spaces : bool, default=False
        Accepted and not needed: all spaces are fitted together.
    init_spaces : list of affine_subspace, default=()
        Where the first start begins; they are not changed. Fixed and background ones among them
        are held in all starts. The other starts have the same dimensions.
    fixed_spaces : list of dict, fixed_space or bg_space, default=()
        Spaces whose place is known. A dictionary has "vec" (vectors, [] for a point) and "tr"
        (translation), may have "latent_sigmas", which are otherwise learned, and with "sigma"
        describes a background, of which only the prior is learned (latent sigmas are then 1
        by default). They come last in the result, in their order.
    min_variance : float, default=1e-10
        Floor of all variances, >= 0, in units of the data. It is never below 1e-6 of the data's
        mean variance per column, so that a space cannot win by collapsing on a few points.
    return_if_failed : bool, default=True
        Return what there is where no start succeeded, rather than ``[[], []]``.
    set_noise_equal : bool, default=False
        One sigma for all learned spaces, in every M-step.
    DA : bool, default=False
        Deterministic annealing: responsibilities are raised to a power beta that grows to 1.
        With "hard" or "closest" assignment, the fit goes on from the annealed one.
    beta_0 : float, default=0.5
        First beta, in (0, 1].
    anneal_rate : float, default=1.2
        Factor by which beta grows, > 1.
    max_additional_init : int, default=10
        Further random starts where all ended with a collapsed space or one without points.
    random_state : int, Generator or RandomState, optional
        Seed. By default one is drawn from ``np.random``, so that ``np.random.seed`` makes
        results repeat.
    legacy : bool, default=False
        Divide variances in the result as kspaces does, which is not maximum likelihood: the
        latent ones by n - 1 where points are owned whole, and all by W - sum w^2 / W where they
        are shared. For the sake of published numbers.

    Returns
    -------
    spaces : list of affine_subspace
        In the order of `kd`, each with latent sigmas in descending order, then the fixed ones.
    probabilities : ndarray of shape (N, K)
        Each point's share in each space.

    Raises
    ------
    ValueError, TypeError
        An argument or the points cannot be used; nothing has been computed by then.

    Warns
    -----
    ConvergenceWarning
        The best start had not settled after `max_iter` steps.
    """
    began = time.perf_counter()
    n_starts = check_positive_int(initializations, "initializations")
    n_more = check_positive_int(max_additional_init, "max_additional_init", minimum=0)
    problem = check_problem(
        points,
        kd,
        assignment=assignment,
        max_iter=max_iter,
        tol=tol,
        batch_size=batch_size,
        batch_replace=batch_replace,
        init_spaces=init_spaces,
        fixed_spaces=fixed_spaces,
        min_variance=min_variance,
        set_noise_equal=set_noise_equal,
        annealing=(beta_0, anneal_rate) if DA else None,
        silent=silent,
    )
    rng = seeded(random_state)
    best = fit(problem, _kinds(problem, n_starts, randomize_init), rng)
    best = _further(problem, best, n_more, rng)
    if not silent:
        _tell(best, verbose, print_solution, print_ownerships)
        took = time.perf_counter() - began
        say(
            f"{n_starts} starts in {took:.3f} s, log-likelihood {best.log_likelihood:.8g} after "
            f"{best.n_iter} steps"
        )
    return _result(problem, best, silent, return_if_failed, legacy)


def run_EM_parallelized(
    points: Any,
    kd: Any,
    assignment: str = "soft",
    max_iter: int = 50,
    tol: float = 5e-2,
    initializations: int = 10,
    n_jobs: int | None = None,
    randomize_init: bool = False,
    batch_size: float = np.inf,
    batch_replace: bool = True,
    init_spaces: Any = (),
    fixed_spaces: Any = (),
    min_variance: float = 1e-10,
    set_noise_equal: bool = False,
    DA: bool = False,
    beta_0: float = 0.5,
    anneal_rate: float = 1.2,
    max_additional_init: int = 0,
    print_seeds: bool = False,
    random_state: RandomState = None,
    legacy: bool = False,
) -> Any:
    """Do what `run_EM` does, with the starts split over joblib's workers.

    Of 20,000 points (8,000 in many columns) or more, workers fit every start to a few thousand
    first, drawn at random. The starts that end apart, and not surely behind the best, go on with
    all points. `run_EM` fits every start to all points.

    The workers are threads, one core each, that share the points. Within
    ``joblib.parallel_config(backend="loky")``, or another backend such as Dask's, they are what
    that backend has. The starts, and what becomes of them, are the same whatever `n_jobs`, if it
    is not 1.

    Parameters
    ----------
    n_jobs : int, optional
        Number of workers; by default 4, and never more than starts. -1 is one per core.
    max_additional_init : int, default=0
        As in `run_EM`: of all workers together.
    print_seeds : bool, default=False
        Print the seed that the starts are drawn from. (kspaces prints one for each worker.)
    points, kd, assignment, max_iter, tol, initializations, randomize_init, batch_size, \
batch_replace, init_spaces, fixed_spaces, min_variance, set_noise_equal, DA, beta_0, anneal_rate, \
random_state, legacy
        As in `run_EM`.

    Returns
    -------
    spaces, probabilities
        As `run_EM`.

    Raises
    ------
    ValueError, TypeError
        As `run_EM`.
    """
    n_starts = check_positive_int(initializations, "initializations")
    n_more = check_positive_int(max_additional_init, "max_additional_init", minimum=0)
    n_jobs = min(4 if n_jobs is None else check_n_jobs(n_jobs), n_starts)
    problem = check_problem(
        points,
        kd,
        assignment=assignment,
        max_iter=max_iter,
        tol=tol,
        batch_size=batch_size,
        batch_replace=batch_replace,
        init_spaces=init_spaces,
        fixed_spaces=fixed_spaces,
        min_variance=min_variance,
        set_noise_equal=set_noise_equal,
        annealing=(beta_0, anneal_rate) if DA else None,
        silent=True,
    )
    seed = int(seeded(random_state).integers(2**31))
    say(f"Seed of all starts: {seed}", silent=not print_seeds)
    rng = np.random.default_rng(seed)
    best = fit(problem, _kinds(problem, n_starts, randomize_init), rng, n_jobs)
    best = _further(problem, best, n_more, rng)
    return _result(problem, best, silent=True, return_if_failed=True, legacy=legacy)


def E_step(
    points: Any, spaces: Any, assignment: str = "hard", verbose: bool = False
) -> Float64Array:
    """Assign points to spaces.

    Parameters
    ----------
    points : array-like of shape (N, D) or (D,)
    spaces : list of affine_subspace
        Or a single one.
    assignment : {"hard", "soft", "closest"}, default="hard"
        1 for the most probable space; posterior probabilities; 1 for the nearest space.
    verbose : bool, default=False
        Print the sigmas, and how many points each space owns.

    Returns
    -------
    ndarray of shape (N, K)
        Rows sum to one.

    Raises
    ------
    ValueError, TypeError
        `assignment` is not a choice, the points are no finite numbers in D columns, or a space
        has no density because a standard deviation is zero.
    """
    spaces = as_spaces(spaces)
    if is_empty(points, spaces[0].D):
        return np.zeros((0, len(spaces)))
    probabilities = shares(read_points(points, spaces[0].D), spaces, assignment)
    say(f"sigmas: {[round(space.sigma, 2) for space in spaces]}", silent=not verbose)
    say(f"points owned: {probabilities.sum(0).round(2).tolist()}", silent=not verbose)
    return probabilities


def fit_single_space(points: Any, d: int, min_variance: float = 1e-10) -> affine_subspace:
    """Fit one space by maximum likelihood: principal components, and noise off them.

    Parameters
    ----------
    points : array-like of shape (N, D)
    d : int
        Its dimension, 0 <= d <= D.
    min_variance : float, default=1e-10
        Floor of all variances, >= 0, in units of the data; never below 1e-12 of the data's mean
        variance per column.

    Returns
    -------
    affine_subspace
        With prior 1. Nothing in it is random.

    Raises
    ------
    ValueError, TypeError
        An argument or the points cannot be used.
    """
    check_interval(min_variance, "min_variance", low=0.0)
    source = read_points(points)
    dims = check_kd([d], source.n_cols)
    check_rows(source, dims, name="points")
    return fit_single(source, dims[0], float(min_variance))


def _kinds(problem: Problem, n_starts: int, randomize: bool) -> list[str]:
    """The kind of each start that is not given."""
    given = len(problem.start) > 0
    kinds = RANDOM_STARTS if randomize or given else ALL_STARTS
    return [kinds[i % len(kinds)] for i in range(n_starts - given)]


def _further(
    problem: Problem,
    best: Solution,
    n_more: int,
    rng: np.random.Generator,
) -> Solution:
    """Random starts after all have failed."""
    if best.sound or not n_more:
        return best
    again = replace(problem, start=[])
    kinds = [RANDOM_STARTS[i % len(RANDOM_STARTS)] for i in range(n_more)]
    return max(best, fit(again, kinds, rng), key=lambda solution: solution.rank)


def _result(
    problem: Problem, best: Solution, silent: bool, return_if_failed: bool, legacy: bool
) -> Any:
    """What `run_EM` returns."""
    if not best.spaces or not (best.sound or return_if_failed):
        return [[], []]
    if not (best.converged or silent):
        warnings.warn(
            f"run_EM stopped after max_iter={problem.max_iter} EM steps, before it converged; "
            "raise max_iter.",
            ConvergenceWarning,
            stacklevel=3,
        )
    if not legacy:
        return best.spaces, best.probabilities
    pairs = zip(best.spaces, best.probabilities.T, strict=True)
    spaces = [divided_as_before(*pair) for pair in pairs]
    return spaces, shares(problem.source, spaces, problem.assignment)


def _tell(best: Solution, verbose: bool, print_solution: bool, print_ownerships: bool) -> None:
    """Print what was asked for about a result."""
    if not best.sound:
        say("In every start a space collapsed or was left without points.")
    for step, objective in enumerate(best.trace if verbose else [], start=1):
        say(f"step {step}: mean objective per point {objective:.10g}")
    if print_solution:
        for space in best.spaces:
            say(space)
    if print_solution or print_ownerships:
        say(f"points owned: {best.probabilities.sum(0).round(1).tolist()}")
