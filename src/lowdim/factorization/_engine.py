"""Variational inference for positive factors, spatial and not.

One round: multiplicative steps on the loadings, sites of every factor from its share of the counts
(conjugate-computation variational inference: the natural gradient with step one), and the closed
posterior of every factor under them. A round that lowers the bound is shortened.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from lowdim.factorization._processes import Conditional, Process
from lowdim.factorization._rates import Rates

#: Multiplicative steps on the loadings per round.
LOADING_STEPS = 2
#: Sites' precisions have this range.
LEAST_PRECISION, MOST_PRECISION = 1e-5, 1e8
#: A round is halved at most so often.
MAX_HALVINGS = 6
#: Rounds, and length of the first ones.
SHORT_ROUNDS, SHORT_STEP = 3, 0.7
#: Loadings that fall and are a smaller share of their gene's rate than this become zero.
NEGLIGIBLE, PRUNE_FROM = 3e-3, 2
#: Shapes of the negative binomial: when they begin to move, how far in log r, and their range.
SHAPES_FROM, LONGEST = 2, 1.0
LEAST_SHAPE, MOST_SHAPE = 1e-2, 1e6
#: Ridge of the trend's coefficients (precision of their prior).
TREND_PRECISION = 0.04
#: Least prior variance of factors without coordinates.
LEAST_VARIANCE = 1e-3


@dataclass(frozen=True)
class State:
    """Everything that a round changes.

    Attributes
    ----------
    loadings : (J, L)
    mean, variance : (L, N)
        Of the logarithms of the factors, spatial ones first.
    l1, l2 : (L, N)
        Sites.
    trend : (T, p)
        Coefficients of the spatial factors' mean.
    prior_mean, prior_variance : (L - T,)
        Of the other factors.
    shapes : (J,) or None
        Of the negative binomial.
    divergence : (L,)
    columns : (J,)
        What every column adds to the bound.
    bound : float
        Total, in nats.
    """

    loadings: Tensor
    mean: Tensor
    variance: Tensor
    l1: Tensor
    l2: Tensor
    trend: Tensor
    prior_mean: Tensor
    prior_variance: Tensor
    shapes: Tensor | None
    divergence: Tensor
    columns: Tensor
    bound: float

    @property
    def log_mean(self) -> Tensor:
        """e^m, (N, L)."""
        return self.mean.T.exp()

    @property
    def expected(self) -> Tensor:
        """e^(m + v / 2), (N, L)."""
        return (self.mean + 0.5 * self.variance).T.exp()


@dataclass(frozen=True)
class Model:
    """What stays the same over the rounds.

    Attributes
    ----------
    rates : Rates
    processes : sequence of Process
        One for every spatial factor; equal ones may be one object.
    design : (N, p)
        Columns of the trend.
    prune : bool
    """

    rates: Rates
    processes: Sequence[Process]
    design: Tensor
    prune: bool = True

    @property
    def n_spatial(self) -> int:
        """T."""
        return len(self.processes)


@dataclass
class Course:
    """Bounds after every round, and how it ended."""

    bounds: list[float] = field(default_factory=list)
    converged: bool = False


def run(
    model: Model,
    state: State,
    *,
    max_iter: int,
    tol: float,
    report: Callable[[int, float], None] | None = None,
) -> tuple[State, Course]:
    """Rounds until the bound settles."""
    course = Course()
    calm = 0
    for i in range(max_iter):
        before = state.bound
        state = round_of(model, state, i)
        course.bounds.append(state.bound)
        if report is not None:
            report(i + 1, state.bound)
        gain = state.bound - before
        calm = calm + 1 if i > PRUNE_FROM and gain < tol * (abs(before) + 1) else 0
        if calm == 2:
            course.converged = True
            break
    return state, course


def round_of(model: Model, state: State, number: int) -> State:
    """One round: loadings, then sites and posteriors."""
    loaded = with_loadings(model, state, prune=model.prune and number >= PRUNE_FROM)
    if loaded.shapes is not None and number >= SHAPES_FROM:
        loaded = with_shapes(model, loaded)
    counts, exposures = model.rates.shares(
        loaded.loadings, loaded.log_mean, loaded.expected, loaded.shapes
    )
    l2 = (exposures * loaded.expected.T).clamp(LEAST_PRECISION, MOST_PRECISION)
    l1 = counts - l2 + l2 * loaded.mean
    step = SHORT_STEP if number < SHORT_ROUNDS else 1.0
    for _ in range(MAX_HALVINGS):
        moved = with_sites(model, loaded, state.l1.lerp(l1, step), state.l2.lerp(l2, step))
        if moved.bound >= loaded.bound:
            return moved
        step *= 0.5
    return loaded


def bound_of(model: Model, state: State) -> State:
    """The state with its bound."""
    columns = model.rates.bound(state.loadings, state.log_mean, state.expected, state.shapes)
    return replace(state, columns=columns, bound=float(columns.sum() - state.divergence.sum()))


def with_loadings(model: Model, state: State, *, prune: bool) -> State:
    """Multiplicative steps on the loadings, which never lower the bound.

    Where that holds for a column without its negligible loadings too, these become zero.
    """
    loadings, log_mean, expected = state.loadings, state.log_mean, state.expected
    for _ in range(LOADING_STEPS):
        ratio = model.rates.scaled_loadings(loadings, log_mean, expected, state.shapes)
        loadings = loadings * ratio
    moved = bound_of(model, replace(state, loadings=loadings))
    if not prune:
        return moved
    share = loadings * expected.mean(0)
    small = (share < NEGLIGIBLE * share.sum(1, keepdim=True)) & (ratio < 1)
    pruned = bound_of(model, replace(state, loadings=torch.where(small, 0.0, loadings)))
    better = pruned.columns >= state.columns
    columns = torch.where(better, pruned.columns, moved.columns)
    return replace(
        state,
        loadings=torch.where(better[:, None], pruned.loadings, loadings),
        columns=columns,
        bound=float(columns.sum() - state.divergence.sum()),
    )


def with_shapes(model: Model, state: State) -> State:
    """A safeguarded Newton step on the logarithm of every shape of the negative binomial."""
    assert state.shapes is not None
    slope, bend = model.rates.shape_slopes(state.loadings, state.expected, state.shapes)
    step = torch.where(bend < 0, -slope / bend.clamp(max=-1e-12), slope.sign())
    for length in (1.0, 0.25, 0.05):
        moved = state.shapes * (length * step.clamp(-LONGEST, LONGEST)).exp()
        tried = bound_of(model, replace(state, shapes=moved.clamp(LEAST_SHAPE, MOST_SHAPE)))
        if tried.bound >= state.bound:
            return tried
    return state


def with_sites(model: Model, state: State, l1: Tensor, l2: Tensor) -> State:
    """Posteriors of all factors under given sites, their trends and priors renewed."""
    T = model.n_spatial
    mean, variance = torch.empty_like(l1), torch.empty_like(l1)
    divergence = l1.new_zeros(len(l1))
    trend = state.trend.clone()
    for j, process in enumerate(model.processes):
        conditional = process.given(l2[j])
        trend[j] = fitted_trend(conditional, model.design, l1[j] / l2[j])
        offset = model.design @ trend[j]
        posterior = conditional.posterior(l1[j] - l2[j] * offset)
        mean[j], variance[j] = posterior.mean + offset, posterior.variance
        divergence[j] = posterior.divergence
    prior_mean, prior_variance = state.prior_mean, state.prior_variance
    if len(l1) > T:
        own = slice(T, None)
        variance[own] = 1 / (1 / prior_variance[:, None] + l2[own])
        mean[own] = variance[own] * (prior_mean / prior_variance)[:, None] + variance[own] * l1[own]
        prior_mean = mean[own].mean(1)
        spread = (mean[own] - prior_mean[:, None]).square()
        prior_variance = (variance[own] + spread).mean(1).clamp(min=LEAST_VARIANCE)
        ratio = (variance[own] + spread) / prior_variance[:, None]
        log_ratio = prior_variance.log()[:, None] - variance[own].log()
        divergence[own] = 0.5 * (ratio - 1 + log_ratio).sum(1)
    return bound_of(
        model,
        replace(
            state,
            mean=mean,
            variance=variance,
            l1=l1,
            l2=l2,
            trend=trend,
            prior_mean=prior_mean,
            prior_variance=prior_variance,
            divergence=divergence,
        ),
    )


def fitted_trend(conditional: Conditional, design: Tensor, values: Tensor) -> Tensor:
    """Coefficients of the mean, by generalised least squares on the sites with a weak ridge."""
    pulled = conditional.project(design)
    gram = design.T @ pulled
    gram.diagonal().add_(TREND_PRECISION)
    return torch.linalg.solve(gram, pulled.T @ values)
