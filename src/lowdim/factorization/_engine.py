"""Variational inference for factors, spatial and not, of whatever likelihood.

One round: better loadings, sites of every factor from what the data say of it
(conjugate-computation variational inference: the natural gradient with step one), and the closed
posterior of every factor under them. A round that lowers the bound is shortened.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from lowdim.factorization._length_scales import Candidates
from lowdim.factorization._processes import Conditional, Process, alike, grouped
from lowdim.factorization._rotation import GAMMA, simple_axes
from lowdim.factorization._state import Observation, State, with_bound

#: A round is halved at most so often.
MAX_HALVINGS = 6
#: Rounds that are short, and those before which nothing counts as settled.
SHORT_ROUNDS, WARM_UP = 3, 3
#: Rounds after which length scales are chosen anew.
CHOICES = (3, 6, 12, 24, 48)
#: Rounds that factors with priors of their own get before they are compared with a common one.
SETTLING = 3
#: What priors of their own must gain, in nats per row and factor, on axes that are not simple:
#: factors with the same prior can be turned to simple axes afterwards, others cannot.
APART = 0.05
#: Ridge of the trend's coefficients (precision of their prior).
TREND_PRECISION = 0.04
#: Least prior variance of factors without coordinates.
LEAST_VARIANCE = 1e-3


@dataclass(frozen=True)
class Model:
    """What stays the same over the rounds.

    Attributes
    ----------
    observation : Observation
    design : (N, p)
        Columns of the trend.
    prune : bool
    frozen : bool
        Loadings, priors and the columns' own numbers stay as they are.
    candidates : Candidates or None
        Processes among which every spatial factor's is chosen.
    """

    observation: Observation
    design: Tensor
    prune: bool = True
    frozen: bool = False
    candidates: Candidates | None = None


@dataclass
class Course:
    """What became of every round, and how they ended.

    Attributes
    ----------
    bounds : list of float
        After every round.
    refused : list of int
        Steps of every round that were not taken, since every length of them lowered the bound.
    stuck : bool
        Whether the last round took none.
    converged : bool
    """

    bounds: list[float] = field(default_factory=list)
    refused: list[int] = field(default_factory=list)
    stuck: bool = False
    converged: bool = False

    @property
    def n_refused(self) -> int:
        """Steps that were refused after the warm-up."""
        return sum(self.refused[WARM_UP:])


def run(
    model: Model,
    state: State,
    course: Course,
    *,
    max_iter: int,
    settled: Callable[[list[float]], bool],
    report: Callable[[int, float], None] | None = None,
    keep: Callable[[State, Course], bool] | None = None,
) -> State:
    """Rounds until the bound settles; the course tells of them.

    Parameters
    ----------
    course
        Empty, or that of the rounds that led to the state.
    settled
        Whether bounds have.
    report
        Called after every round with its number and bound.
    keep
        Called after every round; the rounds end where it says so.
    """
    for i in range(len(course.bounds), 0 if course.converged else max_iter):
        state, taken = round_of(model, state, i)
        course.bounds.append(state.bound)
        course.refused.append(taken.count(False))
        course.stuck = not any(taken)
        if report is not None:
            report(i + 1, state.bound)
        course.converged = i > WARM_UP and settled(course.bounds)
        if model.candidates is not None and (course.converged or i in CHOICES):
            chosen = with_length_scales(model, model.candidates, state)
            course.converged &= chosen is state
            state = chosen
        ends = keep is not None and keep(state, course)
        if course.converged or ends:
            break
    return state


def round_of(model: Model, state: State, number: int) -> tuple[State, list[bool]]:
    """One round: loadings, then sites and posteriors; and which of these steps were taken."""
    observation = model.observation
    if not model.frozen:
        state = observation.improved(state, number, prune=model.prune)
    length = observation.first_step if number < SHORT_ROUNDS else 1.0
    taken = []
    for which in observation.blocks(state):
        moved = stepped(model, state, which, length)
        taken.append(moved is not state)
        state = moved
    return state, taken


def stepped(model: Model, state: State, which: slice, length: float) -> State:
    """Some factors with new sites, unless every length of the step lowers the bound."""
    l1, l2 = model.observation.sites(state, which)
    for _ in range(MAX_HALVINGS):
        first, second = state.l1[which].lerp(l1, length), state.l2[which].lerp(l2, length)
        moved = with_sites(model, state, which, first, second)
        if moved.bound >= state.bound:
            return moved
        length *= 0.5
    return state


def swept(model: Model, state: State) -> State:
    """All factors with new sites, whatever the bound was: the first ones."""
    for which in model.observation.blocks(state):
        state = with_sites(model, state, which, *model.observation.sites(state, which))
    return state


def with_sites(model: Model, state: State, which: slice, l1: Tensor, l2: Tensor) -> State:
    """Posteriors of some factors under given sites, their trends and priors renewed."""
    state = replace(
        state,
        l1=_put(state.l1, which, l1),
        l2=_put(state.l2, which, l2),
        mean=state.mean.clone(),
        variance=state.variance.clone(),
        divergence=state.divergence.clone(),
        trend=state.trend.clone(),
    )
    T = len(state.processes)
    first, last, _ = which.indices(len(state.mean))
    for process, factors in grouped(state.processes, range(first, min(last, T))):
        jitter = _set_spatial(model, state, process, factors)
        state = replace(state, jitter=max(state.jitter, jitter))
    if last > T:
        state = _with_others(model, state, slice(max(first, T), last))
    return with_bound(model.observation, state)


def _put(whole: Tensor, which: slice, part: Tensor) -> Tensor:
    """A copy with some rows replaced."""
    copy = whole.clone()
    copy[which] = part
    return copy


def _set_spatial(model: Model, state: State, process: Process, factors: list[int]) -> float:
    """Posteriors of spatial factors with the same prior, in place; and the jitter they took."""
    l1, l2 = state.l1[factors], state.l2[factors]
    conditional = process.given(l2)
    trend = fitted_trend(conditional, model.design, l1 / l2)
    offset = trend @ model.design.T
    posterior = conditional.posterior(l1 - l2 * offset)
    state.trend[factors] = trend
    state.mean[factors], state.variance[factors] = posterior.mean + offset, posterior.variance
    state.divergence[factors] = posterior.divergence
    return conditional.jitter


def _with_others(model: Model, state: State, which: slice) -> State:
    """Posteriors of factors without coordinates, and their priors."""
    T = len(state.processes)
    own = slice(which.start - T, which.stop - T)
    prior_mean, prior_variance = state.prior_mean.clone(), state.prior_variance.clone()
    mu, s = prior_mean[own][:, None], prior_variance[own][:, None]
    variance = 1 / (1 / s + state.l2[which])
    mean = variance * (mu / s + state.l1[which])
    if model.observation.positive and not model.frozen:
        prior_mean[own] = mean.mean(1)
        spread = (mean - prior_mean[own][:, None]).square()
        prior_variance[own] = (variance + spread).mean(1).clamp(min=LEAST_VARIANCE)
        mu, s = prior_mean[own][:, None], prior_variance[own][:, None]
    ratio = (variance + (mean - mu).square()) / s
    state.mean[which], state.variance[which] = mean, variance
    state.divergence[which] = 0.5 * (ratio - 1 + s.log() - variance.log()).sum(1)
    return replace(state, prior_mean=prior_mean, prior_variance=prior_variance)


def with_length_scales(model: Model, candidates: Candidates, state: State) -> State:
    """Every spatial factor with the process of highest evidence, where that raises the bound.

    Real-valued factors that all have the same prior could be turned into others: they get a better
    one together, and one each on axes of simple structure, or where length scales differ most.
    """
    if model.observation.positive or not state.exchangeable:
        return _one_by_one(model, state, candidates.best(state, model.design))
    together = candidates.best_of_all(state, model.design)
    if not alike(together, state.processes[0]):
        processes = (together,) * len(state.processes)
        moved = swept(model, replace(state, processes=processes))
        state = moved if moved.bound > state.bound else state
    best, most = state, state.bound
    simple = torch.from_numpy(simple_axes(state.loadings.cpu().numpy(), GAMMA["varimax"]))
    # Rounds have made the roughness of the factors, E[F K^-1 F'], the identity: along these axes
    # their variances, and so their length scales, differ most.
    smooth = torch.linalg.eigh(state.mean @ state.mean.T)[1]
    for axes, price in ((simple.to(smooth), 0.0), (smooth, APART * state.mean.numel())):
        turned = _turned(model, state, axes)
        apart = _one_by_one(model, turned, candidates.best(turned, model.design))
        if apart.exchangeable:
            continue
        for _ in range(SETTLING):
            apart = swept(model, model.observation.improved(apart, SETTLING, prune=False))
        if apart.bound - price > most:
            best, most = apart, apart.bound - price
    return best


def _turned(model: Model, state: State, axes: Tensor) -> State:
    """Exchangeable factors on other axes, (L, L), each with sites of its own."""
    state = replace(
        state,
        loadings=state.loadings @ axes,
        mean=axes.T @ state.mean,
        l1=axes.T @ state.l1,
        trend=axes.T @ state.trend,
    )
    for j in range(len(state.mean)):
        own = slice(j, j + 1)
        state = with_sites(model, state, own, *model.observation.sites(state, own))
    return state


def _one_by_one(model: Model, state: State, chosen: Sequence[Process]) -> State:
    """Factor by factor with the process that was chosen for it, unless that lowers the bound."""
    for j, process in enumerate(chosen):
        if alike(process, state.processes[j]):
            continue
        processes = (*state.processes[:j], process, *state.processes[j + 1 :])
        own = slice(j, j + 1)
        moved = with_sites(
            model, replace(state, processes=processes), own, state.l1[own], state.l2[own]
        )
        if moved.bound > state.bound:
            state = moved
    return state


def fitted_trend(conditional: Conditional, design: Tensor, values: Tensor) -> Tensor:
    """Coefficients of the means, by generalised least squares on the sites with a weak ridge."""
    pulled = conditional.project(design)
    gram = design.T @ pulled
    gram.diagonal(dim1=1, dim2=2).add_(TREND_PRECISION)
    return torch.linalg.solve(gram, (values[:, None] @ pulled)[:, 0])
