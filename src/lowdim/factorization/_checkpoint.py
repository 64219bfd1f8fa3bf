"""Fits as arrays, for files: whole models, and long fits as far as they have come."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from lowdim.factorization._choice import Basis
from lowdim.factorization._data import Fitted
from lowdim.factorization._engine import Course
from lowdim.factorization._processes import Process
from lowdim.factorization._space import Space, described
from lowdim.factorization._state import State

#: Tensors of a state; the processes are told by their length scales and nuggets.
TENSORS = (
    "loadings", "mean", "variance", "l1", "l2", "trend", "prior_mean", "prior_variance",
    "divergence", "columns", "shapes", "intercepts", "noise",
)  # fmt: skip


def arrays_of(fitted: Fitted) -> dict[str, np.ndarray]:
    """All arrays of a fit, by name."""
    state, space = fitted.state, fitted.space
    arrays = {
        f"state_{name}": getattr(state, name).cpu().numpy()
        for name in TENSORS
        if getattr(state, name) is not None
    }
    arrays["state_numbers"] = np.array([state.bound, state.jitter])
    arrays["course_bounds"] = np.array(fitted.course.bounds)
    arrays["course_refused"] = np.array(fitted.course.refused, dtype=np.int64)
    arrays["course_ended"] = np.array([fitted.course.stuck, fitted.course.converged])
    if space is None:
        return arrays
    scales, nuggets = described(state.processes)
    arrays |= {
        "process_length_scales": np.array(scales),
        "process_nuggets": np.array(nuggets),
        "space_coordinates": space.coordinates,
        "space_codes": space.codes,
        "space_kernel": np.array([space.kernel], dtype=object),
        "space_numbers": np.array([space.amplitude, space.nugget]),
    }
    kinds = []
    for code, basis in enumerate(space.bases):
        kinds.append(basis if isinstance(basis, str) else "all" if basis is None else "points")
        if isinstance(basis, np.ndarray):
            arrays[f"space_points_{code}"] = basis
    arrays["space_bases"] = np.array(kinds, dtype=object)
    return arrays


def fitted_of(arrays: dict[str, np.ndarray], like: Tensor) -> Fitted:
    """The inverse of `arrays_of`."""

    def tensor(name: str) -> Any:
        array = arrays.get(f"state_{name}")
        return None if array is None else torch.from_numpy(np.asarray(array)).to(like.device)

    space: Space | None = None
    processes: tuple[Process, ...] = ()
    if "space_codes" in arrays:
        bases: list[Basis] = []
        for code, kind in enumerate(arrays["space_bases"]):
            points = arrays.get(f"space_points_{code}")
            bases.append("hilbert" if kind == "hilbert" else points)
        amplitude, nugget = arrays["space_numbers"]
        space = Space(
            arrays["space_coordinates"],
            arrays["space_codes"],
            tuple(bases),
            str(arrays["space_kernel"][0]),
            float(amplitude),
            float(nugget),
            like,
        )
        nuggets = [float(value) for value in arrays["process_nuggets"]]
        processes = space.processes(list(arrays["process_length_scales"]), nuggets)
    state = State(
        **{name: tensor(name) for name in TENSORS},
        processes=processes,
        bound=float(arrays["state_numbers"][0]),
        jitter=float(arrays["state_numbers"][1]),
    )
    ended = [bool(value) for value in arrays["course_ended"]]
    course = Course(arrays["course_bounds"].tolist(), arrays["course_refused"].tolist(), *ended)
    return Fitted(state, course, space)
