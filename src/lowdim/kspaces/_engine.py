"""One fit by the engine of what kspaces' arguments ask for."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from lowdim._threads import threads_for
from lowdim._typing import Float64Array
from lowdim._validation import check_sample_weight
from lowdim.data.sources import RowSource
from lowdim.data.standardized import StandardizedRows
from lowdim.kspaces._mixture import shares_of
from lowdim.kspaces._rows import read_points
from lowdim.kspaces._spaces import affine_subspace, bg_space
from lowdim.kspaces._translate import (
    background_argument,
    fixed_argument,
    held,
    learned,
    start_argument,
)
from lowdim.mixture import SubspaceMixture
from lowdim.mixture._subspace import infer
from lowdim.mixture._subspace.arguments import check_arguments
from lowdim.mixture._subspace.attributes import set_fitted
from lowdim.mixture._subspace.fit import SubspaceFit
from lowdim.mixture._subspace.minibatch import Minibatches
from lowdim.mixture._subspace.train import fit_rows

#: The floor of all variances, relative to the data's mean variance per column, whatever
#: `min_variance`: below it a component has collapsed on a few rows.
FLOOR = 1e-6
#: The floor where no component competes for rows.
SINGLE_FLOOR = 1e-12


@dataclass(frozen=True)
class Problem:
    """What to fit, checked: `run_EM`'s arguments in the engine's terms.

    Attributes
    ----------
    kd : list of int
        Dimensions of the learned components.
    tol : float
        On the mean objective per row.
    annealing : (float, float) or None
        First beta and the factor by which it grows.
    batch_size : int or None
        Rows per step; None for all.
    start : list of affine_subspace
        Where the first restart begins; may be empty.
    held : list of affine_subspace
        Fixed and background spaces, in the order of the result.
    """

    source: RowSource
    kd: list[int]
    assignment: str = "soft"
    max_iter: int = 50
    tol: float = 2.5e-5
    min_variance: float = 0.0
    floor: float = FLOOR
    set_noise_equal: bool = False
    annealing: tuple[float, float] | None = None
    batch_size: int | None = None
    batch_replace: bool = True
    start: list[affine_subspace] = field(default_factory=list)
    held: list[affine_subspace] = field(default_factory=list)

    @cached_property
    def betas(self) -> list[float]:
        """The schedule of the annealing, up to 1; [1.0] without."""
        if self.annealing is None:
            return [1.0]
        beta, rate = self.annealing
        steps = int(np.ceil(np.log(1 / beta) / np.log(rate) - 1e-9))
        return [min(1.0, beta * rate**step) for step in range(steps)] + [1.0]

    @cached_property
    def order(self) -> list[int]:
        """Places of the held spaces in the engine's order, which has backgrounds last."""
        ranked = sorted(range(len(self.held)), key=lambda i: isinstance(self.held[i], bg_space))
        places = {i: place for place, i in enumerate(ranked)}
        return [len(self.kd) + places[i] for i in range(len(self.held))]


@dataclass(frozen=True)
class Solution:
    """The best start.

    ``trace`` is its objective, the mean per row, after each step that was kept. ``sound`` is False
    where every start ended with a component without enough rows, or on a floor that the caller
    had not asked for.
    """

    spaces: list[affine_subspace]
    probabilities: Float64Array
    log_likelihood: float
    sound: bool
    converged: bool
    n_iter: int
    trace: Float64Array

    @property
    def rank(self) -> tuple[bool, float]:
        """For choosing among solutions of the same problem: the larger, the better."""
        return self.sound, self.log_likelihood


def fit_weighted(points: Any, weights: Any, d: int, n_columns: int) -> affine_subspace:
    """One space by weighted maximum likelihood."""
    source = read_points(points, n_columns)
    weight = check_sample_weight(np.atleast_1d(weights), source.n_rows)
    return _fit_single(source, d, weight, 0.0)


def fit_single(source: RowSource, d: int, min_variance: float) -> affine_subspace:
    """One space by maximum likelihood."""
    return _fit_single(source, d, None, min_variance)


def _fit_single(
    source: RowSource, d: int, weight: np.ndarray | None, min_variance: float
) -> affine_subspace:
    problem = Problem(
        source, [d], max_iter=500, tol=1e-12, min_variance=min_variance, floor=SINGLE_FLOOR
    )
    return fit(problem, ["kmeans"], np.random.default_rng(0), weight=weight).spaces[0]


def fit(
    problem: Problem,
    strategies: list[str],
    rng: np.random.Generator,
    n_workers: int = 1,
    weight: np.ndarray | None = None,
) -> Solution:
    """The best of a start from ``problem.start``, if there is one, and of others.

    With several workers, the starts are split among them.
    """
    model = _model(problem)
    source = problem.source
    arguments = check_arguments(model, source)
    with threads_for(source.n_rows * source.n_cols):
        data = StandardizedRows(
            source, device=arguments.device, dtype=arguments.dtype, sample_weight=weight
        )
        floor = max(problem.min_variance / data.scale**2, problem.floor)
        arguments = replace(
            arguments,
            reg_covar=floor,
            strategies=strategies,
            n_workers=n_workers,
            minibatches=_minibatches(problem),
            # The most likely model, whatever the assignment maximises.
            options=replace(arguments.options, by_likelihood=True),
        )
        kept = fit_rows(arguments, data, rng)
        if not np.isfinite(kept.objective):
            return Solution([], np.zeros((0, 0)), -np.inf, False, False, kept.n_iter, kept.trace)
        set_fitted(model, kept, data)
        return _solution(problem, model, kept, data, chosen_floor=floor > problem.floor)


def _model(problem: Problem) -> SubspaceMixture:
    """An estimator with the problem's arguments, which the engine checks again."""
    model = SubspaceMixture(
        dims=problem.kd,
        assignment=problem.assignment,
        max_iter=problem.max_iter * len(problem.betas),
        tol=problem.tol,
        init=start_argument(problem.start, problem.held) if problem.start else "auto",
        shared_noise=problem.set_noise_equal,
        annealing=problem.annealing,
        fixed=fixed_argument(problem.held),
        background=background_argument(problem.held),
    )
    model.n_features_in_ = problem.source.n_cols
    return model


def _minibatches(problem: Problem) -> Minibatches | None:
    """As many steps as were asked for, at each beta."""
    if problem.batch_size is None:
        return None
    return Minibatches(
        problem.batch_size, problem.max_iter, len(problem.betas), problem.batch_replace
    )


def _solution(
    problem: Problem,
    model: SubspaceMixture,
    kept: SubspaceFit,
    data: StandardizedRows,
    *,
    chosen_floor: bool,
) -> Solution:
    n_free, parameters = len(problem.kd), kept.parameters
    if problem.assignment == "closest":
        scores = -infer.squared_distances(data, parameters)
    else:
        scores = infer.log_joint(data, parameters)
    probabilities = shares_of(scores, soft=problem.assignment == "soft")
    order = [*range(n_free), *problem.order]
    spaces = [learned(model, k) for k in range(n_free)]
    spaces += [held(space, model, k) for space, k in zip(problem.held, problem.order, strict=True)]
    return Solution(
        spaces=spaces,
        probabilities=probabilities[:, order],
        log_likelihood=model.lower_bound_ * data.total_weight,
        sound=chosen_floor or not kept.degenerate,
        converged=model.converged_,
        n_iter=model.n_iter_,
        trace=model.objective_trace_,
    )
