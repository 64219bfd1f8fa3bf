"""The similarity of two points of a layout by their distance, as UMAP and LargeVis take it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

#: Longest force of a pair along an axis.
LONGEST = 4.0
#: Distances by which a curve is fitted, in units of the spread, and how many.
REACH, N_DISTANCES = 3.0, 300


@dataclass(frozen=True)
class Similarity:
    """``v(r) = 1 / (1 + a r^2b)``, and what is made of it.

    Attributes
    ----------
    a, b : float
    strength : float
        Weight of the repulsion.
    softness : float
        Added to squared distances where repulsion would divide by zero.
    """

    a: float
    b: float
    strength: float = 1.0
    softness: float = 1e-3

    def attraction_loss(self, squares: np.ndarray) -> np.ndarray:
        """``-log v`` of squared distances."""
        return np.log1p(self.a * squares**self.b)

    def repulsion_loss(self, squares: np.ndarray) -> np.ndarray:
        """``-strength log(1 - v)`` of squared distances, which are not zero."""
        return self.strength * np.log1p(1.0 / (self.a * squares**self.b))

    def curve(self, *, pulls: float) -> np.ndarray:
        """The numbers that compiled epochs take; attraction counts `pulls` times."""
        numbers = self.a, self.b, self.strength, self.softness, LONGEST, pulls
        return np.array(numbers, dtype=np.float32)


def curve_of(min_dist: float, spread: float) -> tuple[float, float]:
    """The a and b of a similarity that falls as ``exp(-(r - min_dist) / spread)``.

    It is one up to `min_dist`. The squared errors are least over distances up to three times the
    spread (McInnes, Healy and Melville 2018, UMAP, definition 11).
    """
    from scipy.optimize import curve_fit

    r = np.linspace(0, REACH * spread, N_DISTANCES)
    target = np.where(r < min_dist, 1.0, np.exp(-(r - min_dist) / spread))
    with np.errstate(over="ignore"):
        (a, b), _ = curve_fit(lambda r, a, b: 1 / (1 + a * r ** (2 * b)), r, target)
    return float(a), float(b)
