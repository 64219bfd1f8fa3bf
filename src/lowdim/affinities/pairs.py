"""The pairs of rows that PaCMAP draws together and pushes apart."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from lowdim._random import generator
from lowdim._validation import check_interval, check_positive_int
from lowdim.neighbors import NeighborIndex, Neighbors

if TYPE_CHECKING:
    from lowdim._typing import DeviceLike

#: Neighbours beyond those wanted, from which the nearest by scaled distance are taken.
EXTRA = 50
#: Neighbours (the fourth to the sixth) whose mean distance is a row's scale.
SCALE = slice(3, 6)
#: Rows that are drawn for each mid-near pair; the second nearest of them is taken.
DRAWN = 6
#: Rows whose mid-near pairs are sought together.
BLOCK = 2048


@dataclass(frozen=True)
class Pairs:
    """Partners of every row.

    Attributes
    ----------
    near, mid_near, further : (N, n_near), (N, n_mid_near) and (N, n_further), int32
    """

    near: np.ndarray
    mid_near: np.ndarray
    further: np.ndarray


def pacmap_pairs(
    X: Any,
    n_neighbors: int = 10,
    *,
    mid_near_ratio: float = 0.5,
    further_ratio: float = 2.0,
    neighbors: Neighbors | None = None,
    random_state: Any = None,
    n_jobs: int | None = None,
    device: DeviceLike = "cpu",
) -> Pairs:
    """Near, mid-near and further pairs (Wang, Huang, Rudin and Shaposhnik 2021, section 5).

    Near pairs are the neighbours with the least ``d_ij^2 / (s_i s_j)``, where s_i is the mean
    distance of row i to its fourth to sixth neighbour; a mid-near partner is the second nearest of
    six random rows; further partners are random rows that are not near.

    Parameters
    ----------
    X : (N, D)
    n_neighbors : int, default=10
    mid_near_ratio, further_ratio : float, default=0.5 and 2.0
        Mid-near and further pairs per near one.
    neighbors : Neighbors, optional
        Of the rows of X, at least `n_neighbors`, better 50 more; sought if not given.
    random_state : int, Generator or None, default=None
    n_jobs : int or None, default=None
    device : str or torch.device, default="cpu"
        As of `nearest_neighbors`.

    Raises
    ------
    ValueError
        There are too few rows.
    """
    sizes = PairNumbers.of(n_neighbors, mid_near_ratio, further_ratio)
    rng = generator(random_state)
    index = NeighborIndex(X, random_state=rng, n_jobs=n_jobs, device=device)
    sizes.check(index.n_points)
    if neighbors is None:
        neighbors = index.neighbors(sizes.n_sought(index.n_points))
    return pairs_of(index, neighbors, sizes, rng)


@dataclass(frozen=True)
class PairNumbers:
    """How many partners every row has.

    Attributes
    ----------
    near, mid_near, further : int
    """

    near: int
    mid_near: int
    further: int

    @classmethod
    def of(
        cls,
        n_neighbors: Any,
        mid_near_ratio: Any,
        further_ratio: Any,
    ) -> PairNumbers:
        """The numbers that are meant by a number of neighbours and shares of it."""
        n_near = check_positive_int(n_neighbors, "n_neighbors")
        mid = round(n_near * check_interval(mid_near_ratio, "mid_near_ratio", low=0.0))
        further = round(n_near * check_interval(further_ratio, "further_ratio", low=0.0))
        return cls(n_near, mid, further)

    def check(self, n_rows: int) -> None:
        """Raise ValueError if so many rows are too few for them."""
        if n_rows < self.near + self.further + 1 or n_rows < self.mid_near + DRAWN + 1:
            raise ValueError(
                f"X has {n_rows} rows, too few for n_neighbors={self.near} near, {self.mid_near} "
                f"mid-near and {self.further} further partners of each; pass smaller numbers."
            )

    def n_sought(self, n_rows: int) -> int:
        """Neighbours among which the near partners are."""
        return min(self.near + EXTRA, n_rows - 1)


def pairs_of(
    index: NeighborIndex, neighbors: Neighbors, sizes: PairNumbers, rng: np.random.Generator
) -> Pairs:
    """The pairs of indexed rows whose neighbours are known."""
    n = index.n_points
    if neighbors.n_rows != n or neighbors.n_neighbors < sizes.near:
        raise ValueError(
            f"neighbors are {neighbors.n_neighbors} of {neighbors.n_rows} rows, where n_neighbors="
            f"{sizes.near} of {n} are needed."
        )
    near = near_pairs(neighbors, sizes.near)
    return Pairs(near, _mid_near(index, sizes.mid_near, rng), _further(near, sizes.further, rng))


def near_pairs(neighbors: Neighbors, n_near: int) -> np.ndarray:
    """The neighbours at the least scaled distance, nearest first, (N, n_near), int32."""
    return nearest_scaled(neighbors, local_scales(neighbors), n_near)


def local_scales(neighbors: Neighbors) -> np.ndarray:
    """Mean distance of every row to its fourth to sixth neighbour, (N,), above zero."""
    some = neighbors.distances[:, SCALE]
    return np.maximum((some if some.size else neighbors.distances).mean(1), 1e-10)


def nearest_scaled(neighbors: Neighbors, scales: np.ndarray, n_near: int) -> np.ndarray:
    """Of every row's neighbours those with the least ``d_ij^2 / s_j``, (n, n_near), int32.

    Rows may be new ones: their own scale changes no order.
    """
    scaled = neighbors.distances.astype(np.float64) ** 2
    scaled /= scales[neighbors.indices]
    order = np.argsort(scaled, axis=1, kind="stable")[:, :n_near]
    return np.take_along_axis(neighbors.indices, order, 1)


def _mid_near(index: NeighborIndex, n_pairs: int, rng: np.random.Generator) -> np.ndarray:
    """The second nearest of six random rows, (N, n_pairs), all different."""
    n = index.n_points
    chosen = np.empty((n, n_pairs), np.int32)
    for start in range(0, n, BLOCK):
        own = np.arange(start, min(start + BLOCK, n))
        for pair in range(n_pairs):
            taken = np.column_stack([own, chosen[own, :pair]])
            drawn = others(taken, DRAWN, n, rng)
            gaps = np.stack([_gaps(index, own, partner) for partner in drawn.T], axis=1)
            second = np.argsort(gaps, axis=1, kind="stable")[:, 1]
            chosen[own, pair] = drawn[np.arange(len(own)), second]
    return chosen


def _gaps(index: NeighborIndex, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """What grows with the distance of some rows from others, (n,)."""
    rows = index.rows
    if index.metric == "precomputed":
        return rows[first, second]
    gaps = rows[first] - rows[second]
    if index.metric == "manhattan":
        return np.asarray(abs(gaps).sum(1)).ravel()
    if isinstance(gaps, np.ndarray):
        return np.einsum("ia,ia->i", gaps, gaps)
    return np.asarray(gaps.multiply(gaps).sum(1)).ravel()


def _further(near: np.ndarray, n_pairs: int, rng: np.random.Generator) -> np.ndarray:
    """Random rows that are not near, (N, n_pairs), all different."""
    n = len(near)
    taken = np.column_stack([np.arange(n, dtype=np.int32), near])
    return others(taken, n_pairs, n, rng)


def others(taken: np.ndarray, n_drawn: int, n_rows: int, rng: np.random.Generator) -> np.ndarray:
    """Random rows, (n, n_drawn), int32, different from each other and from those that are taken."""
    drawn = np.empty((len(taken), n_drawn), np.int32)
    for column in range(n_drawn):
        before = np.column_stack([taken, drawn[:, :column]])
        again = np.arange(len(taken))
        while len(again):  # rejected draws are repeated, so that all others are as likely
            drawn[again, column] = rng.integers(n_rows, size=len(again))
            again = again[(before[again] == drawn[again, column, None]).any(1)]
    return drawn
