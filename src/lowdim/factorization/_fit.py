"""From counts and coordinates to fitted factors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from lowdim._progress import reports
from lowdim.factorization._choice import basis_of, process_over, resolution
from lowdim.factorization._engine import Course, Model, State, run
from lowdim.factorization._places import Places
from lowdim.factorization._processes import Process
from lowdim.factorization._rates import Rates
from lowdim.factorization._start import first_state
from lowdim.kernels import Kernel

#: The length scale unless the user says: so many distances between neighbouring places.
NEIGHBOR_DISTANCES = 3.0


@dataclass(frozen=True)
class Settings:
    """Checked arguments of a fit.

    Attributes
    ----------
    n_factors, n_spatial : int
        L and T.
    negative_binomial : bool
    kernel : str
    length_scale : float, ndarray of shape (D,) or None
        In the user's units; None is automatic.
    amplitude, nugget : float
    inducing : "auto", "all", "hilbert", int or array
    n_init, max_iter : int
    tol : float
    prune : bool
    device : torch.device
    dtype : torch.dtype
    verbose : int
    """

    n_factors: int
    n_spatial: int
    negative_binomial: bool
    kernel: str
    length_scale: Any
    amplitude: float
    nugget: float
    inducing: Any
    n_init: int
    max_iter: int
    tol: float
    prune: bool
    device: torch.device
    dtype: torch.dtype
    verbose: int


@dataclass(frozen=True)
class FittedFactors:
    """A fit and what is needed to ask it about other places.

    ``process`` is shared by all spatial factors, and None where there are none.
    """

    model: Model
    state: State
    course: Course
    places: Places | None
    process: Process | None
    length_scale: np.ndarray

    def at(self, coordinates: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean and variance of the log factors at other places, (n, L) each."""
        state, model = self.state, self.model
        like = state.mean
        n = len(coordinates)
        mean, variance = like.new_empty((n, len(like))), like.new_empty((n, len(like)))
        if self.process is not None and self.places is not None:
            points = torch.from_numpy(self.places.moved(coordinates)).to(like)
            design = design_of(points)
            for j in range(model.n_spatial):
                offset = model.design @ state.trend[j]
                l1 = state.l1[j] - state.l2[j] * offset
                own = self.process.given(state.l2[j]).predict(points, l1)
                mean[:, j], variance[:, j] = own[0] + design @ state.trend[j], own[1]
        mean[:, model.n_spatial :] = state.prior_mean
        variance[:, model.n_spatial :] = state.prior_variance
        return mean.cpu().numpy(), variance.cpu().numpy()


def design_of(points: torch.Tensor) -> torch.Tensor:
    """Columns of a linear trend over places, (n, D + 1)."""
    return torch.cat([torch.ones_like(points[:, :1]), points], 1)


def fit_factors(
    counts: np.ndarray,
    sizes: np.ndarray,
    coordinates: np.ndarray | None,
    settings: Settings,
    rng: np.random.Generator,
) -> FittedFactors:
    """Fit factors to counts, (N, J), with T of them over the coordinates, (N, D)."""
    like = torch.empty(0, device=settings.device, dtype=settings.dtype)
    rates = Rates(torch.from_numpy(counts).to(like), torch.from_numpy(sizes).to(like))
    places, process, scale = None, None, np.empty(0)
    design = like.new_ones((len(counts), 1))
    if coordinates is not None:
        places = Places.of(coordinates)
        process, scale = _process(places, settings, like, rng)
        design = design_of(torch.from_numpy(places.points).to(like))
    processes = [] if process is None else [process] * settings.n_spatial
    model = Model(rates, processes, design, settings.prune)
    start = first_state(
        model,
        settings.n_factors,
        rng,
        n_init=settings.n_init,
        negative_binomial=settings.negative_binomial,
        places=None if places is None else places.points,
    )
    with reports(settings.max_iter, description="factors", enabled=settings.verbose > 0) as report:
        state, course = run(
            model, start, max_iter=settings.max_iter, tol=settings.tol, report=report
        )
    return FittedFactors(model, state, course, places, process, scale)


def _process(
    places: Places, settings: Settings, like: torch.Tensor, rng: np.random.Generator
) -> tuple[Process, np.ndarray]:
    """The prior of all spatial factors, and its length scale in the user's units."""
    basis = basis_of(settings.inducing, places, rng)
    if settings.length_scale is None:
        scale = np.array([NEIGHBOR_DISTANCES * places.spacing(resolution(basis, places))])
    else:
        scale = np.atleast_1d(np.asarray(settings.length_scale, float)) / places.scale
    kernel = Kernel(
        settings.kernel,
        torch.from_numpy(scale).to(like),
        torch.tensor(settings.amplitude).to(like),
    )
    points = torch.from_numpy(places.points).to(like)
    return process_over(points, basis, kernel, settings.nugget), scale * places.scale
