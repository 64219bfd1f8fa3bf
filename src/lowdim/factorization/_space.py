"""Where rows are, slide by slide, and the processes over them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from lowdim._validation import check_positive_int
from lowdim.factorization._choice import Basis, basis_of, process_over, resolution
from lowdim.factorization._length_scales import Candidates
from lowdim.factorization._places import BOX, Places, scale_of
from lowdim.factorization._processes import Process, grouped
from lowdim.factorization._slides import Slides
from lowdim.kernels import Kernel

if TYPE_CHECKING:
    from lowdim.factorization._state import State

#: The length scale unless the user says: so many distances between neighbouring places.
NEIGHBOR_DISTANCES = 3.0
#: Length scales that are tried where they are learned: how many, the shortest in distances between
#: neighbours, the longest in geometric-mean sides of the box; and shares of noise beside them.
N_SCALES, SHORTEST, LONGEST = 9, 1.5, 0.75
NUGGETS = (0.03, 0.1, 0.3, 1.0)
#: Numbers in processes that are kept for the next choice.
MOST_NUMBERS = 2**26


@dataclass(frozen=True)
class Space:
    """Coordinates of the rows, and what is said of processes before any data.

    Attributes
    ----------
    coordinates : (N, D)
        In the user's units.
    codes : (N,)
        Number of every row's slide.
    bases : tuple of Basis
        For every slide: what stands for its process.
    kernel : str
    amplitude, nugget : float
    like : Tensor
        Of the device and dtype of computations.
    given_scale : float, optional
        The user's units per unit of the boxes, where another fit has chosen it.
    """

    coordinates: np.ndarray
    codes: np.ndarray
    bases: tuple[Basis, ...]
    kernel: str
    amplitude: float
    nugget: float
    like: Tensor
    given_scale: float | None = None

    @classmethod
    def of(
        cls,
        coordinates: np.ndarray,
        codes: np.ndarray,
        wanted: Any,
        rng: np.random.Generator,
        **others: Any,
    ) -> Space:
        """With the bases that the argument `inducing` asks for."""
        bare = cls(coordinates, codes, (), **others)
        shares = _shares(wanted, codes, len(bare.slides))
        bases = tuple(
            basis_of(share, slide, rng) for share, slide in zip(shares, bare.slides, strict=True)
        )
        return cls(coordinates, codes, bases, **others)

    @cached_property
    def scale(self) -> float:
        """The user's units per unit of the slides' boxes."""
        if self.given_scale is not None:
            return self.given_scale
        parts = [self.coordinates[rows] for rows in self._rows()]
        own = [scale_of(part) for part in parts if np.ptp(part, axis=0).any()]
        return float(np.exp(np.mean(np.log(own)))) if own else 1.0

    @cached_property
    def slides(self) -> tuple[Places, ...]:
        """Every slide, centred by itself; all in the same units."""
        return tuple(Places.of(self.coordinates[rows], self.scale) for rows in self._rows())

    def _rows(self) -> Iterator[np.ndarray]:
        """Indices of the rows of every slide."""
        for code in range(int(self.codes.max()) + 1):
            yield np.flatnonzero(self.codes == code)

    @cached_property
    def spacing(self) -> float:
        """Distance between neighbouring places, or inducing points; the mean over the slides.

        A slide of a single place has none.
        """
        pairs = zip(self.slides, self.bases, strict=True)
        own = [s.spacing(resolution(basis, s)) for s, basis in pairs if s.n_unique > 1]
        return float(np.mean(own)) if own else 1.0

    def length_scale(self, wanted: np.ndarray | None) -> np.ndarray:
        """In units of the boxes: what is given in the user's, or some neighbours' distances."""
        if wanted is None:
            return np.array([NEIGHBOR_DISTANCES * self.spacing])
        n_axes = self.coordinates.shape[1]
        if np.shape(wanted) not in ((), (1,), (n_axes,)):
            raise ValueError(
                f"length_scale has shape {np.shape(wanted)}; pass one number, or one for each of "
                f"the {n_axes} coordinates."
            )
        return np.atleast_1d(wanted) / self.scale

    def process(self, length_scale: np.ndarray) -> Process:
        """The prior of a factor with this length scale, in units of the boxes."""
        scale = torch.from_numpy(np.asarray(length_scale, float)).to(self.like)
        kernel = Kernel(self.kernel, scale, torch.tensor(self.amplitude).to(self.like))
        parts: list[Process] = []
        for slide, basis in zip(self.slides, self.bases, strict=True):
            parts.append(process_over(self._tensor(slide.points), basis, kernel, self.nugget))
        if len(parts) == 1:
            return parts[0]
        rows = [torch.from_numpy(own).to(self.like.device) for own in self._rows()]
        return Slides(parts, rows)

    def processes(
        self, length_scales: Sequence[np.ndarray], nuggets: Sequence[float]
    ) -> tuple[Process, ...]:
        """One for every factor; one object for factors that have the same."""
        made: dict[tuple[bytes, float], Process] = {}
        for scale, nugget in zip(length_scales, nuggets, strict=True):
            key = scale.tobytes(), nugget
            if key not in made:
                made[key] = self.process(scale).with_nugget(nugget)
        return tuple(made[s.tobytes(), n] for s, n in zip(length_scales, nuggets, strict=True))

    def candidates(self) -> Candidates:
        """Processes among which learned length scales are chosen."""
        sides = [np.ptp(slide.points, axis=0) for slide in self.slides]
        wide = [np.exp(np.log(own[own > 0]).mean()) for own in sides if (own > 0).any()]
        side = float(np.mean(wide)) if wide else BOX
        longest = max(LONGEST * side, 2 * SHORTEST * self.spacing)
        scales = np.geomspace(SHORTEST * self.spacing, longest, N_SCALES)
        # What a basis leaves out is taken as the prior has it, so that it cannot tell of nuggets.
        exact = all(basis is None for basis in self.bases)
        nuggets = sorted({self.nugget, *NUGGETS}) if exact else [self.nugget]
        pairs = zip(self.slides, self.bases, strict=True)
        numbers = sum(len(slide.points) * resolution(basis, slide) for slide, basis in pairs)
        keep = 2 * N_SCALES * numbers <= MOST_NUMBERS
        return Candidates(lambda i: self.process(scales[i : i + 1]), N_SCALES, nuggets, keep)

    def apart(self) -> np.ndarray:
        """Coordinates with the slides far from one another, (N, D)."""
        points = self._points()
        points[:, 0] += 1e3 * BOX * self.codes
        return points

    def _points(self) -> np.ndarray:
        """Every row in its slide's box, (N, D)."""
        points = np.empty_like(self.coordinates)
        for slide, rows in zip(self.slides, self._rows(), strict=True):
            points[rows] = slide.points
        return points

    def design(self) -> Tensor:
        """Columns of a linear trend within every slide, (N, p)."""
        return self._design(self._points(), self.codes)

    def _design(self, points: np.ndarray, codes: np.ndarray) -> Tensor:
        own = np.concatenate([np.ones((len(points), 1)), points], axis=1)
        columns = [own * (codes == code)[:, None] for code in range(len(self.slides))]
        return self._tensor(np.concatenate(columns, axis=1))

    def at(self, state: State, coordinates: np.ndarray, codes: np.ndarray) -> tuple[Tensor, Tensor]:
        """Mean and variance of the spatial factors at other places, (T, n) each."""
        T = len(state.processes)
        mean = self.like.new_empty((T, len(coordinates)))
        variance = torch.empty_like(mean)
        points = np.empty_like(coordinates)
        for code, slide in enumerate(self.slides):
            points[codes == code] = slide.moved(coordinates[codes == code])
        trend, offsets = self._design(points, codes) @ state.trend.T, self.design() @ state.trend.T
        for process, own in grouped(state.processes, range(T)):
            l2 = state.l2[own]
            l1 = state.l1[own] - l2 * offsets.T[own]
            parts = process.parts if isinstance(process, Slides) else [process]
            for code, (part, rows) in enumerate(zip(parts, self._rows(), strict=True)):
                new = np.flatnonzero(codes == code)
                if not len(new):
                    continue
                conditional = part.given(l2[:, rows])
                found = conditional.predict(self._tensor(points[new]), l1[:, rows])
                where = np.ix_(np.array(own), new)
                mean[where], variance[where] = found
        return mean + trend.T, variance

    def _tensor(self, array: np.ndarray) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(array)).to(self.like)


def described(processes: Sequence[Process]) -> tuple[list[np.ndarray], list[float]]:
    """Length scales, in units of the boxes, and nuggets."""
    scales = [process.kernel.length_scale.cpu().numpy().astype(float) for process in processes]
    return scales, [float(process.nugget) for process in processes]


def _shares(wanted: Any, codes: np.ndarray, n_slides: int) -> list[Any]:
    """The argument `inducing`, slide by slide: a number is divided by their rows."""
    if n_slides == 1 or isinstance(wanted, str):
        return [wanted] * n_slides
    if np.ndim(wanted):
        raise ValueError(
            "inducing may hold points only where there is one slide; pass their number, or 'all'."
        )
    count = check_positive_int(wanted, "inducing")
    rows = np.bincount(codes, minlength=n_slides)
    return [max(1, round(count * own / len(codes))) for own in rows]
