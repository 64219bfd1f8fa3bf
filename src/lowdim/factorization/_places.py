"""Where the rows are: coordinates in a box of standard size, and inducing points among them."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.spatial import cKDTree

from lowdim._validation import check_positive_int

#: Geometric-mean side of the box that coordinates are brought to.
BOX = 4.0
#: k-means for inducing points need not have settled.
KMEANS_ROUNDS = 20


@dataclass(frozen=True)
class Places:
    """Coordinates of the rows.

    Attributes
    ----------
    points : (N, D)
        In the standard box, centred.
    centre : (D,)
        In the user's units.
    scale : float
        The user's units per unit of the box.
    n_unique : int
    """

    points: np.ndarray
    centre: np.ndarray
    scale: float
    n_unique: int

    @classmethod
    def of(cls, coordinates: np.ndarray, scale: float | None = None) -> Places:
        """Centred, in a box of geometric-mean side `BOX` unless a scale is given."""
        scale = scale_of(coordinates) if scale is None else scale
        centre = 0.5 * (coordinates.max(0) + coordinates.min(0))
        points = (coordinates - centre) / scale
        return cls(points, centre, scale, len(np.unique(points, axis=0)))

    def moved(self, coordinates: np.ndarray) -> np.ndarray:
        """Other coordinates in the same box."""
        return (coordinates - self.centre) / self.scale

    def spacing(self, n_points: int) -> float:
        """Distance between neighbours if so many points filled the box evenly."""
        extent = np.ptp(self.points, axis=0)
        wide = extent[extent > 0]
        if not len(wide):
            return 1.0
        return float(np.exp(np.log(wide).mean()) / n_points ** (1 / len(wide)))


def scale_of(coordinates: np.ndarray) -> float:
    """What brings coordinates to geometric-mean side `BOX`; axes without extent have no say."""
    extent = np.ptp(coordinates, axis=0)
    wide = extent[extent > 0]
    return float(np.exp(np.log(wide).mean()) / BOX) if len(wide) else 1.0


def check_coordinates(
    coordinates: Any, n_rows: int | None, n_axes: int | None = None, *, name: str = "coordinates"
) -> np.ndarray:
    """Coordinates as float64, (N, D); None is any number of them.

    Raises
    ------
    TypeError
        They are not numbers.
    ValueError
        They have another shape, or are not finite.
    """
    try:
        array = np.array(coordinates, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise TypeError(f"{name} must be numbers, (N, D): {error}.") from error
    if array.ndim == 1:
        array = array[:, None]
    expected = f"({'N' if n_rows is None else n_rows}, {'D' if n_axes is None else n_axes})"
    wrong = array.ndim != 2 or not array.shape[1]
    wrong = wrong or (n_rows is not None and len(array) != n_rows)
    if wrong or (n_axes is not None and array.shape[1] != n_axes):
        raise ValueError(f"{name} has shape {np.shape(coordinates)}, expected {expected}.")
    if not np.isfinite(array).all():
        row = int((~np.isfinite(array).all(1)).argmax())
        raise ValueError(f"{name} is not finite in row {row}; drop rows whose place is not known.")
    return array


def inducing_points(wanted: Any, places: Places, rng: np.random.Generator) -> np.ndarray | None:
    """Inducing points (M, D) in the box; None where the process keeps every row's place.

    Raises
    ------
    TypeError, ValueError
        `wanted` is neither a number nor points.
    """
    n = len(places.points)
    if np.ndim(wanted) == 0:
        count = check_positive_int(wanted, "inducing")
        if count >= places.n_unique:
            return None if places.n_unique == n else np.unique(places.points, axis=0)
        return _centroids(places.points, count, rng)
    n_axes = places.points.shape[1]
    if not len(wanted):
        raise ValueError("inducing holds no points; pass at least one, their number, or 'auto'.")
    return places.moved(check_coordinates(wanted, len(wanted), n_axes, name="inducing"))


def grid_points(places: Places, count: int) -> np.ndarray:
    """Centres (M, D) of cells of a regular grid of about so many, where places are near.

    Raises
    ------
    ValueError
        Coordinates have too many axes, or too unequal ones, for a grid of this size.
    """
    extent = np.ptp(places.points, axis=0)
    spacing = places.spacing(count)
    numbers = np.rint(extent / spacing).clip(min=1).astype(int)
    if numbers.prod() > 2 * count:
        raise ValueError(
            f"inducing='grid' would have {numbers.prod()} cells over these {len(extent)} "
            f"coordinates, far more than {count}; pass a number of points."
        )
    cells = extent / numbers
    axes = [
        low + cell * (np.arange(number) + 0.5)
        for low, cell, number in zip(places.points.min(0), cells, numbers, strict=True)
    ]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, len(extent))
    far, _ = cKDTree(places.points).query(grid)
    return np.asarray(grid[far <= 0.5 * np.linalg.norm(cells) + 1e-9])


def _centroids(points: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """Centroids of k-means, which lie where rows are."""
    from lowdim.cluster import KMeans

    if len(points) > 50 * count:
        points = points[rng.choice(len(points), 50 * count, replace=False)]
    seed = int(rng.integers(2**31))
    model = KMeans(
        count, init="random", n_init=1, max_iter=KMEANS_ROUNDS, random_state=seed, device="cpu"
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it need not have converged
        return np.asarray(model.fit(points).cluster_centers_)
