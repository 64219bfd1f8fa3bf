"""Which process stands for a factor: exact, through inducing points, or in Hilbert space."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from lowdim._validation import check_in
from lowdim.factorization._exact import ExactProcess
from lowdim.factorization._hilbert import MOST_AXES, HilbertProcess
from lowdim.factorization._inducing import InducingProcess
from lowdim.factorization._places import Places, grid_points, inducing_points
from lowdim.factorization._processes import Process
from lowdim.kernels import Kernel

#: Places up to which a process keeps all of them unless the user says.
MOST_EXACT = 2500
#: Inducing points unless the user says; sines come with a length scale as if there were so many.
INDUCING = 600

Basis = np.ndarray | Literal["hilbert"] | None
"""Inducing points (M, D) in the box; sines; or None, which keeps every place."""


def basis_of(wanted: Any, places: Places, rng: np.random.Generator) -> Basis:
    """What the argument `inducing` asks for.

    Raises
    ------
    TypeError, ValueError
        `wanted` is none of "auto", "all", "grid", "hilbert", a number, or points.
    """
    if isinstance(wanted, str):
        wanted = check_in(wanted, "inducing", ("auto", "all", "grid", "hilbert"))
        few_axes = places.points.shape[1] <= MOST_AXES
        if wanted == "hilbert" and not few_axes:
            raise ValueError(
                f"inducing='hilbert' is for up to {MOST_AXES} coordinates, not "
                f"{places.points.shape[1]}; pass a number of inducing points."
            )
        if wanted == "grid":
            return grid_points(places, INDUCING)
        if wanted == "auto" and places.n_unique > MOST_EXACT:
            wanted = "hilbert" if few_axes else INDUCING
        elif wanted != "hilbert":
            wanted = places.n_unique
        if wanted == "hilbert":
            return "hilbert"
    return inducing_points(wanted, places, rng)


def resolution(basis: Basis, places: Places) -> int:
    """How many places a basis could tell apart."""
    if basis is None:
        return places.n_unique
    return min(places.n_unique, INDUCING if isinstance(basis, str) else len(basis))


def process_over(points: Tensor, basis: Basis, kernel: Kernel, nugget: float) -> Process:
    """The prior of a factor at points, (N, D), in the box."""
    if basis is None:
        return ExactProcess.of(points, kernel, nugget)
    if isinstance(basis, str):
        return HilbertProcess.of(points, kernel, nugget)
    return InducingProcess.of(points, torch.from_numpy(basis).to(points), kernel, nugget)
