"""The descent of t-SNE: from affinities and a first layout to the layout."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import scipy.sparse as sp

from lowdim._checkpoint import Arrays
from lowdim.embedding._crew import PARTS, Crew
from lowdim.embedding._tsne.attraction import arrange, attract, cross_entropy
from lowdim.embedding._tsne.course import Phase, Steps, entropy_and_mass
from lowdim.embedding._tsne.step import move

#: Iterations after which points are renumbered by where they are.
RENUMBERED = (30, 100, 300, 500)
#: Side of the square of cells by which they are.
CELLS = 256


class Repulsion(Protocol):
    """Writes the force on every point and returns the sum of the weights of all pairs."""

    def __call__(self, Y: np.ndarray, extent: np.ndarray, force: np.ndarray) -> float: ...

    def state(self) -> Arrays:
        """What the next call depends on beside the points."""

    def take(self, state: Arrays) -> None:
        """Put in its place what `state` returned."""


def repulsion(method: str, dof: float, crew: Crew) -> Repulsion:
    """By a "mesh", by a "tree", or "exact", pair by pair."""
    if method == "mesh":
        from lowdim.embedding._tsne.repulsion_mesh import MeshRepulsion

        return MeshRepulsion(dof, crew)
    if method == "tree":
        from lowdim.embedding._tsne.repulsion_tree import TreeRepulsion

        return TreeRepulsion(dof, crew)
    from lowdim.embedding._tsne.repulsion_exact import ExactRepulsion

    return ExactRepulsion(dof, crew)


class Descent(Steps):
    """Gradient descent with gains and momentum on ``KL(P || Q)``, ``q_ij = w_ij / sum w``.

    With ``w_ij = (1 + r_ij^2 / a)^-a`` the gradient is four times ``sum_j (p_ij - q_ij) (y_i -
    y_j) / (1 + r_ij^2 / a)`` (van der Maaten 2008; Kobak and others 2019 for a); the factor is left
    to the learning rate.

    Parameters
    ----------
    P : CSR, (N, N), float32
        Symmetric; sums to one.
    start : (N, c)
        The first layout; in one dimension it lies on a line in the plane.
    repulsion : Repulsion
    dof : float
        a.
    crew : Crew
    max_step : float
        Longest step of a point in an iteration.
    """

    def __init__(
        self,
        P: sp.csr_matrix,
        start: np.ndarray,
        repulsion: Repulsion,
        *,
        dof: float,
        crew: Crew,
        max_step: float,
    ) -> None:
        super().__init__()
        n, self._c = start.shape
        self._P, self._repulsion, self._dof, self._crew = P, repulsion, dof, crew
        self._max_step = max_step
        d = max(2, self._c)
        Y = np.zeros((n, d), np.float32)
        Y[:, : self._c] = start - start.mean(0)
        self._order = by_place(Y)
        Y = Y[self._order]
        self._pairs = arrange(P, self._order, crew)
        self._state = Y, np.zeros_like(Y), np.ones_like(Y)
        self._forces = np.empty_like(Y), np.empty_like(Y)
        self._sums = np.zeros((PARTS, 2 + self._c))
        self._extent = self._measured()
        self._entropy, self._mass = entropy_and_mass(P.data)

    @property
    def layout(self) -> np.ndarray:
        """The layout as it is now, in the order of the rows, (N, c), float32."""
        layout = np.empty((len(self._order), self._c), np.float32)
        layout[self._order] = self._state[0][:, : self._c]
        return layout

    def kl_divergence(self) -> float:
        """Of the layout as it is now."""
        Y = self._state[0]
        total = self._repulsion(Y, self._extent, self._forces[1])
        crossed = cross_entropy(Y, self._pairs, self._dof, self._crew)
        return self._entropy + crossed + self._mass * float(np.log(total))

    def _arrays(self) -> Arrays:
        Y, V, G = self._state
        own = {"order": self._order, "layout": Y, "velocity": V, "gains": G, "sums": self._sums}
        return {**{name: array.copy() for name, array in own.items()}, **self._repulsion.state()}

    def _take(self, arrays: Arrays) -> None:
        names = ("order", "layout", "velocity", "gains", "sums")
        self._order, Y, V, G, self._sums = (arrays[name].copy() for name in names)
        self._pairs = arrange(self._P, self._order, self._crew, self._pairs)
        self._state = Y, V, G
        self._extent = self._measured()
        self._repulsion.take(arrays)

    def _rest(self) -> None:
        self._state[1][:], self._state[2][:] = 0.0, 1.0

    def _norms(self) -> tuple[float, float]:
        gradient, attraction = np.sqrt(self._sums[:, :2].sum(0))
        return float(gradient), float(attraction)

    def _step(self, phase: Phase, n_before: int) -> None:
        if self.course.n_iter in RENUMBERED:
            self._renumber()
        Y, (pull, push) = self._state[0], self._forces
        attract(Y, self._pairs, self._dof, pull, self._crew)
        total = self._repulsion(Y, self._extent, push)
        rates = np.array(
            [phase.exaggeration, 1 / total, phase.learning_rate, phase.momentum, self._max_step]
        )
        shift = (self._sums[:, 2:].sum(0) / len(Y)).astype(np.float32)
        arguments = self._state, self._forces, rates, shift, self._pairs.bounds
        self._crew.run(move, *arguments, self._extent, self._sums)

    def _renumber(self) -> None:
        """Number points by where they are, so that what is near in the layout is in memory."""
        order = by_place(self._state[0])
        self._order = self._order[order]
        self._pairs = arrange(self._P, self._order, self._crew, self._pairs)
        self._state = self._state[0][order], self._state[1][order], self._state[2][order]
        self._extent = self._measured()

    def _measured(self) -> np.ndarray:
        """Least and largest coordinates of the points of each part, (PARTS, 2, d)."""
        Y, bounds = self._state[0], self._pairs.bounds
        extent = np.zeros((PARTS, 2, Y.shape[1]), np.float32)
        for p in range(PARTS):
            own = Y[bounds[p] : bounds[p + 1]]
            if len(own):
                extent[p] = own.min(0), own.max(0)
        return extent


def by_place(Y: np.ndarray) -> np.ndarray:
    """An order of points that goes from cell to neighbouring cell, along Morton's curve, (N,)."""
    low = Y[:, :2].min(0)
    span = max(float(np.ptp(Y[:, :2], axis=0).max()), 1e-30)
    cells = ((Y[:, :2] - low) * ((CELLS - 1) / span)).astype(np.uint16)
    bits = np.arange(8, dtype=np.uint16)
    spread = (((cells[:, :, None] >> bits) & 1) << (2 * bits)).sum(2, dtype=np.uint16)
    return np.argsort(spread[:, 0] | (spread[:, 1] << 1), kind="stable")
