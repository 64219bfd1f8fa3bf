"""From checked data to fitted factors."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor

from lowdim._journal import Journal
from lowdim._progress import reports
from lowdim._random import spawn
from lowdim.factorization._checkpoint import arrays_of, fitted_of
from lowdim.factorization._convergence import CHECKS
from lowdim.factorization._counts import Counts, DenseCounts, StoredCounts
from lowdim.factorization._data import Data, Fitted
from lowdim.factorization._engine import Course, Model, run, swept
from lowdim.factorization._file_counts import FileCounts
from lowdim.factorization._positive_counts import PositiveCounts
from lowdim.factorization._processes import Process
from lowdim.factorization._rates import Rates
from lowdim.factorization._real_counts import RealCounts
from lowdim.factorization._space import Space, described
from lowdim.factorization._start import VARIANCE, first_state
from lowdim.factorization._state import LEAST_PRECISION, Observation, State, with_bound
from lowdim.factorization._values import Values

#: Rounds at most with the expectation over draws.
POLISH_ROUNDS = 30


@dataclass(frozen=True)
class Settings:
    """Checked arguments of a fit.

    Attributes
    ----------
    n_factors, n_spatial : int
        L and T.
    likelihood : {"poisson", "negative_binomial", "gaussian"}
    positive : bool
    kernel : str
    length_scale : float, ndarray of shape (D,), None or "learned"
        In the user's units; None is automatic.
    amplitude, nugget : float
    inducing : "auto", "all", "hilbert", int or array
    n_init, max_iter : int
    tol : float
    stopping : {"bound", "cubic"}
    prune : bool
    polish : int
        Draws.
    device : torch.device
    dtype : torch.dtype
        Of the data.
    verbose : int
    """

    n_factors: int
    n_spatial: int
    likelihood: str
    positive: bool
    kernel: str
    length_scale: Any
    amplitude: float
    nugget: float
    inducing: Any
    n_init: int
    max_iter: int
    tol: float
    stopping: str
    prune: bool
    polish: int
    device: torch.device
    dtype: torch.dtype
    verbose: int

    @property
    def like(self) -> Tensor:
        """An empty tensor on the device, in the precision of factors and processes."""
        return torch.empty(0, device=self.device, dtype=torch.float64)


def fit_factors(data: Data, settings: Settings, journal: Journal) -> Fitted:
    """Fit factors to data, or go on from where the journal has them."""
    rng, stage = journal.rng, journal.stage()
    polish_rng, *_ = spawn(rng, 1)  # its own: a fit that goes on from a file draws no starts
    kept = None if stage.kept is None else fitted_of(stage.kept, settings.like)
    space = _space(data, settings, rng) if kept is None else kept.space
    observation = observation_of(data, settings)
    model = _model(observation, space, settings, data.values.shape[0])
    if kept is None:
        state, course = _first(model, space, settings, rng), Course()
    else:
        state, course = kept.state, kept.course

    def keep(state: State, course: Course) -> bool:
        stage.keep(lambda: arrays_of(Fitted(state, course, space)))
        return journal.asked

    limit = settings.max_iter
    with reports(limit, description="factors", enabled=settings.verbose > 0) as report:
        state = run(
            model,
            state,
            course,
            max_iter=limit,
            settled=CHECKS[settings.stopping](settings.tol),
            report=report,
            keep=keep,
        )
    stage.close(lambda: arrays_of(Fitted(state, course, space)))
    if settings.polish and isinstance(observation, PositiveCounts) and not journal.asked:
        state = polished(model, observation, state, settings, polish_rng)
    return Fitted(state, course, space)


def _space(data: Data, settings: Settings, rng: np.random.Generator) -> Space | None:
    if data.coordinates is None:
        return None
    return Space.of(
        data.coordinates,
        data.codes,
        settings.inducing,
        rng,
        kernel=settings.kernel,
        amplitude=settings.amplitude,
        nugget=settings.nugget,
        like=settings.like,
    )


def _model(observation: Observation, space: Space | None, settings: Settings, n: int) -> Model:
    design = settings.like.new_ones((n, 1)) if space is None else space.design()
    learned = space is not None and isinstance(settings.length_scale, str)
    candidates = space.candidates() if learned and space is not None else None
    return Model(observation, design, settings.prune, candidates=candidates)


def _first(
    model: Model, space: Space | None, settings: Settings, rng: np.random.Generator
) -> State:
    processes: tuple[Process, ...] = ()
    places = None
    if space is not None:
        wanted = None if isinstance(settings.length_scale, str) else settings.length_scale
        process = space.process(space.length_scale(wanted))
        processes = (process,) * settings.n_spatial
        places = space.apart()
    return first_state(
        model,
        settings.n_factors,
        processes,
        rng,
        n_init=settings.n_init,
        negative_binomial=settings.likelihood == "negative_binomial",
        places=places,
    )


def observation_of(data: Data, settings: Settings) -> Observation:
    """The likelihood that the settings ask for, of these data."""
    like = settings.like.to(settings.dtype)
    sizes = torch.from_numpy(data.sizes).to(like)
    observed = None
    counts: Counts
    if isinstance(data.values, np.ndarray):
        values = torch.from_numpy(data.values)
        if np.isnan(data.values.sum()):
            observed = values.isfinite().to(like)
            values = values.nan_to_num()
        if settings.likelihood == "gaussian":
            return Values(values.to(like), settings.positive, observed)
        counts = DenseCounts(values.to(like))
        simple = settings.positive and settings.likelihood == "poisson" and observed is None
        if simple and counts.mostly_zero:
            counts = StoredCounts.of(sp.csr_array(data.values), like)
    elif isinstance(data.values, FileCounts):
        counts = data.values.on(like, only_stored=settings.likelihood == "poisson")
    else:
        counts = StoredCounts.of(data.values, like)
    rates = Rates(counts, sizes, observed)
    return PositiveCounts(rates) if settings.positive else RealCounts(rates)


def polished(
    model: Model,
    observation: PositiveCounts,
    state: State,
    settings: Settings,
    rng: np.random.Generator,
) -> State:
    """More rounds with the expectation over the same draws in place of its lower bound.

    The bound that is returned is the closed one, at where these rounds ended.
    """
    half = rng.normal(size=(max(settings.polish // 2, 1), *state.mean.shape))
    normals = torch.from_numpy(np.concatenate([half, -half])).to(state.mean)
    drawn = replace(observation, normals=normals)
    moved = run(
        replace(model, observation=drawn, candidates=None),
        with_bound(drawn, state),
        Course(),
        max_iter=POLISH_ROUNDS,
        settled=CHECKS["bound"](settings.tol),
    )
    return with_bound(observation, moved)


def factors_of_new_rows(
    data: Data, fitted: Fitted, settings: Settings, space: Space | None
) -> tuple[State, bool]:
    """Posteriors of the factors of other rows, everything else as it was fitted.

    And whether they have converged.
    """
    old, like = fitted.state, settings.like
    n, L = data.values.shape[0], len(old.mean)
    observation = observation_of(data, settings)
    design = like.new_ones((n, 1)) if space is None else space.design()
    model = Model(observation, design, frozen=True)
    T = len(old.processes)
    prior = torch.cat([old.mean[:T].mean(1), old.prior_mean])
    mean = prior[:, None].expand(L, n).clone()
    state = replace(
        old,
        mean=mean,
        variance=torch.full_like(mean, VARIANCE),
        l1=torch.zeros_like(mean),
        l2=torch.full_like(mean, LEAST_PRECISION),
        processes=() if space is None else space.processes(*described(old.processes)),
        trend=like.new_zeros((T, design.shape[1])),
        divergence=like.new_zeros(L),
    )
    course = Course()
    state = run(
        model,
        swept(model, replace(state, mean=observation.guess(state))),
        course,
        max_iter=settings.max_iter,
        settled=CHECKS["bound"](settings.tol),
    )
    return state, course.converged
