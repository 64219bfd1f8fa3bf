"""Fits in files: whole models, and long fits as far as they have come."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lowdim import _storage
from lowdim.factorization._choice import Basis
from lowdim.factorization._data import Data, Fitted
from lowdim.factorization._engine import Course
from lowdim.factorization._file_counts import FileCounts
from lowdim.factorization._processes import Process
from lowdim.factorization._space import Space, described
from lowdim.factorization._state import State

#: Rounds between checkpoints.
EVERY = 5
#: Rows that are read at once.
ROWS = 1000
#: What a checkpoint file calls itself.
CLASS = "FactorsCheckpoint"
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


@dataclass(frozen=True)
class Checkpoint:
    """A file that a long fit is kept in.

    Attributes
    ----------
    path : Path
    fingerprint : str
        Of the data and the settings: a file of another fit is refused.
    """

    path: Path
    fingerprint: str

    @classmethod
    def of(cls, path: Any, data: Data, params: dict[str, Any]) -> Checkpoint:
        digest = hashlib.sha256()
        for start in range(0, data.values.shape[0], ROWS):  # dense or not, the same fit
            part = slice(start, start + ROWS)
            if isinstance(data.values, FileCounts):
                digest.update(data.values.dense(part).numpy().tobytes())
                continue
            rows = data.values[part]
            dense = rows if isinstance(rows, np.ndarray) else rows.toarray()
            digest.update(dense.tobytes())
        for array in (data.sizes, data.coordinates, data.codes):
            if array is not None:
                digest.update(np.ascontiguousarray(array).tobytes())
        digest.update(json.dumps(_storage.plain(params), sort_keys=True).encode())
        return cls(Path(path), digest.hexdigest())

    def keep(self, fitted: Fitted) -> None:
        """Write the fit, now and then."""
        rounds = len(fitted.course.bounds)
        if rounds % EVERY == 0 or fitted.course.converged:
            header = {"class": CLASS, "fingerprint": self.fingerprint}
            _storage.write(self.path, header, arrays_of(fitted))

    def read(self, like: Tensor) -> Fitted | None:
        """What was kept; None where there is no file yet.

        Raises
        ------
        ValueError
            The file is of another fit, or no checkpoint.
        """
        if not self.path.exists():
            return None
        header, arrays = _storage.read(self.path, expected=CLASS)
        if header.get("fingerprint") != self.fingerprint:
            raise ValueError(
                f"checkpoint={str(self.path)!r} is of other data or settings; name another file, "
                "or delete this one."
            )
        return fitted_of(arrays, like)
