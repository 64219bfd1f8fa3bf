"""PHATE's potential: how differently diffusion spreads from two rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import BaseEstimator

from lowdim._device import resolve_device, to_device, to_host
from lowdim._random import generator
from lowdim._validation import check_interval, check_positive, check_positive_int
from lowdim.affinities._base import check_own
from lowdim.affinities._graph import mean_of_both
from lowdim.affinities.adaptive import power_kernel, rows_to_one
from lowdim.neighbors import NeighborIndex, Neighbors

if TYPE_CHECKING:
    import torch

    from lowdim._typing import DeviceLike

#: Kernels below it count as zero: it says how many neighbours have a weight.
LEAST_WEIGHT = 1e-4
#: Neighbours are sought for so many times the number that sets the scale.
REACH = 20
#: Steps of diffusion among which "auto" chooses.
MOST_STEPS = 100
#: Added to probabilities before their logarithm is taken.
FLOOR = 1e-7


@dataclass(frozen=True)
class Potential:
    """What diffusion from some rows looks like.

    Attributes
    ----------
    values : (L, L), float64
        Minus the logarithm of the probability of each landmark after t steps from each, or what
        `gamma` makes of it: Euclidean distances of its rows are the potential distances. Without
        landmarks, L is N.
    interpolation : csr_matrix of shape (N, L), or None
        Weights of the landmarks in each row, which sum to one; coordinates of the landmarks give
        those of the rows. None without landmarks.
    groups : (N,), int, or None
        The landmark around which each row is. None without landmarks.
    n_steps : int
        t.
    entropy : (100,), float64, or None
        Von Neumann entropy after each number of steps, from which t was chosen; None if it was
        given.
    """

    values: np.ndarray
    interpolation: Any
    groups: np.ndarray | None
    n_steps: int
    entropy: np.ndarray | None


class DiffusionPotential(BaseEstimator):  # type: ignore[misc]
    """The potential of PHATE (Moon et al. 2019, Visualizing structure and transitions, methods).

    ``k_ij = exp(-(d_ij / s_i)^decay)`` with s_i the distance of row i to its K-th neighbour and
    one for i = j; ``M`` is ``(k_ij + k_ji) / 2``, its rows brought to a sum of one; and the
    potential is ``-log(M^t + 1e-7)``.

    Parameters
    ----------
    scale_neighbor : int, default=5
        K.
    decay : float, default=40.0
        How sharply affinities end at s_i.
    n_steps : int or "auto", default="auto"
        t; "auto" takes the knee of the von Neumann entropy as a function of t, where diffusion
        has removed noise and not yet structure.
    gamma : float, default=1.0
        What becomes of probabilities p: ``-log p`` for 1, ``2 / (1 - gamma) p^((1 - gamma) / 2)``
        for less, down to -1, which is p itself; 0 is twice the square root.
    n_landmarks : int or None, default=2000
        With more rows than that, diffusion is among groups of rows around so many random ones. None
        for no landmarks.
    """

    def __init__(
        self,
        scale_neighbor: int = 5,
        *,
        decay: float = 40.0,
        n_steps: int | str = "auto",
        gamma: float = 1.0,
        n_landmarks: int | None = 2000,
    ) -> None:
        self.scale_neighbor = scale_neighbor
        self.decay = decay
        self.n_steps = n_steps
        self.gamma = gamma
        self.n_landmarks = n_landmarks

    def potential(
        self,
        X: Any,
        *,
        metric: str = "euclidean",
        method: str = "auto",
        random_state: Any = None,
        n_jobs: int | None = None,
        device: DeviceLike = "cpu",
    ) -> Potential:
        """The potential of the rows of X; arguments are those of `nearest_neighbors`."""
        rng = generator(random_state)
        index = NeighborIndex(
            X, metric=metric, method=method, random_state=rng, n_jobs=n_jobs, device=device
        )
        found = index.neighbors(self.n_neighbors_for(index.n_points))
        return self.from_neighbors(found, random_state=rng, device=index.device)

    def n_neighbors_for(self, n_points: int) -> int:
        """Neighbours that each of so many rows needs."""
        k = check_positive_int(self.scale_neighbor, "scale_neighbor")
        return max(k, min(REACH * k, n_points - 1))

    def from_neighbors(
        self, neighbors: Neighbors, *, random_state: Any = None, device: DeviceLike = "cpu"
    ) -> Potential:
        """The potential of rows whose neighbours are known: many more than K of each.

        Eigenvectors and powers of the diffusion are found on the device.
        """
        check_own(neighbors)
        where, rng = resolve_device(device), generator(random_state)
        if self.n_steps != "auto":
            check_positive_int(self.n_steps, "n_steps")
        gamma = check_interval(self.gamma, "gamma", low=-1.0, high=1.0)
        kernel = self._kernel(neighbors).astype(np.float64)
        interpolation = groups = None
        if self.n_landmarks is not None and neighbors.n_rows > self.n_landmarks:
            n_landmarks = check_positive_int(self.n_landmarks, "n_landmarks", minimum=2)
            groups = _groups(kernel, n_landmarks, rng)
            interpolation, kernel = _among_landmarks(kernel, groups)
        diffusion = _Diffusion.of(kernel.toarray(), where)
        entropy = None
        if self.n_steps == "auto":
            entropy = _entropies(np.abs(diffusion.values))
            t = knee(entropy)
        else:
            t = int(self.n_steps)
        values = _potential_of(diffusion.after(t), gamma)
        return Potential(values, interpolation, groups, t, entropy)

    def conditional(self, neighbors: Neighbors) -> Any:
        """Probabilities of a step from new rows, CSR, (n, n_points), float64: rows sum to one."""
        return rows_to_one(self._one_way(neighbors).astype(np.float64))

    def _kernel(self, neighbors: Neighbors) -> Any:
        from scipy.sparse import identity

        own = identity(neighbors.n_rows, np.float32, "csr")
        return mean_of_both(self._one_way(neighbors) + own)

    def _one_way(self, neighbors: Neighbors) -> Any:
        decay = check_positive(self.decay, "decay")
        kernel = power_kernel(neighbors, self.scale_neighbor, decay)
        kernel.data[kernel.data < LEAST_WEIGHT] = 0.0
        return kernel


@dataclass(frozen=True)
class _Diffusion:
    """Steps of a random walk by a symmetric kernel, through its eigenvectors.

    ``M = D^-1 K = D^-1/2 S D^1/2`` with ``S = D^-1/2 K D^-1/2``, D being the sums of K; powers of M
    are those of the eigenvalues of S.
    """

    values: np.ndarray
    vectors: Any  # an array, or a tensor on a device
    roots: np.ndarray

    @classmethod
    def of(cls, kernel: np.ndarray, device: torch.device) -> _Diffusion:
        roots = np.sqrt(kernel.sum(1))
        scaled = kernel / roots[:, None] / roots
        scaled = (scaled + scaled.T) / 2
        if device.type == "cpu":
            return cls(*np.linalg.eigh(scaled), roots)
        import torch

        from lowdim.data.sending import sent

        values, vectors = torch.linalg.eigh(sent(scaled, device))
        return cls(to_host(values)[0], vectors, roots)

    def after(self, t: int) -> np.ndarray:
        """Probabilities of t steps, (L, L)."""
        powers = self.values**t
        if isinstance(self.vectors, np.ndarray):
            steps = (self.vectors * powers) @ self.vectors.T
        else:
            shares = to_device(powers, self.vectors.device)
            steps = to_host((self.vectors * shares) @ self.vectors.T)[0]
        return np.asarray(steps / self.roots[:, None] * self.roots)


def _potential_of(probabilities: np.ndarray, gamma: float) -> np.ndarray:
    if gamma == 1.0:
        return np.asarray(-np.log(np.maximum(probabilities, 0.0) + FLOOR))
    power = (1.0 - gamma) / 2.0
    return np.asarray(np.maximum(probabilities, 0.0) ** power / power)


def members(groups: np.ndarray) -> Any:
    """Which rows are in which group, CSR, (N, L), ones."""
    from scipy.sparse import csr_matrix

    return csr_matrix((np.ones(len(groups)), (np.arange(len(groups)), groups)))


def _among_landmarks(kernel: Any, groups: np.ndarray) -> tuple[Any, Any]:
    """Probabilities of a step from rows to groups, (N, L), and the kernel of groups, (L, L).

    The walk from groups through rows to groups, ``D_L^-1 C'K D^-1 KC`` for members C, is that by
    the kernel ``C'K D^-1 KC``, whose sums are D_L.
    """
    to_groups = (kernel @ members(groups)).tocsr()
    from_groups = to_groups.T.tocsr()
    to_groups = rows_to_one(to_groups.copy())
    return to_groups, from_groups @ to_groups


def _groups(kernel: Any, n_landmarks: int, rng: np.random.Generator) -> np.ndarray:
    """Groups of rows around random ones: where most diffusion from a row arrives first."""
    from scipy.sparse import csr_matrix

    n = kernel.shape[0]
    seeds = np.sort(rng.choice(n, n_landmarks, replace=False))
    arrival = csr_matrix(
        (np.ones(n_landmarks), (seeds, np.arange(n_landmarks))), shape=(n, n_landmarks)
    )
    steps = rows_to_one(kernel.astype(np.float64))
    labels = np.full(n, -1)
    labels[seeds] = np.arange(n_landmarks)
    while (labels < 0).any():
        arrival = steps @ arrival
        reached = np.asarray((arrival != 0).sum(1)).ravel() > 0
        new = (labels < 0) & reached
        if not new.any():  # a part of the graph without a landmark is one group of its own
            rest = np.flatnonzero(labels < 0)
            labels[rest] = labels.max() + 1
            break
        labels[new] = np.asarray(arrival[new].argmax(1)).ravel()
    return labels


def _entropies(values: np.ndarray) -> np.ndarray:
    """Von Neumann entropy of a diffusion with such eigenvalues after 1, 2, ... steps."""
    entropies = np.empty(MOST_STEPS)
    powers = values.copy()
    for t in range(MOST_STEPS):
        shares = powers / powers.sum()
        entropies[t] = -(shares * np.log(shares + np.finfo(float).eps)).sum()
        powers *= values
    return entropies


def knee(values: np.ndarray) -> int:
    """Where two straight lines, before and after, fit a falling curve best; counted from one."""
    n = len(values)
    places = np.arange(n, dtype=np.float64)
    errors = [
        _line_error(places[: i + 1], values[: i + 1]) + _line_error(places[i:], values[i:])
        for i in range(1, n - 1)
    ]
    return int(np.argmin(errors)) + 2


def _line_error(x: np.ndarray, y: np.ndarray) -> float:
    """Sum of absolute distances from the line of least squares."""
    slope, level = np.polyfit(x, y, 1)
    return float(np.abs(y - slope * x - level).sum())
