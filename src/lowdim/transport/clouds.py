"""Weighted points, one set per sample."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Clouds:
    """One discrete measure per sample: those of sample s are rows ``offsets[s]:offsets[s + 1]``.

    Attributes
    ----------
    points : (n, d)
    offsets : (S + 1,)
    weights : (n,)
        Positive or zero; those of a sample sum to one.
    """

    points: np.ndarray
    offsets: np.ndarray
    weights: np.ndarray

    @classmethod
    def of(cls, parts: Any, weights: Any = None) -> Clouds:
        """From the points of every sample, (n_s, d), and their masses, by default the same for all.

        Raises
        ------
        ValueError
            A sample has no points, shapes do not match, numbers are not finite, or masses are none.
        """
        parts = [np.asarray(part, dtype=np.float64) for part in parts]
        if not parts or any(part.ndim != 2 or not part.size for part in parts):
            raise ValueError("Every sample needs points, (n, d).")
        if len({part.shape[1] for part in parts}) > 1:
            raise ValueError("Points of the samples differ in their number of columns.")
        masses = [np.ones(len(part)) for part in parts] if weights is None else list(weights)
        if len(masses) != len(parts):
            raise ValueError(f"weights are of {len(masses)} samples, and there are {len(parts)}.")
        shares = []
        for s, (part, mass) in enumerate(zip(parts, masses, strict=True)):
            own = np.asarray(mass, dtype=np.float64)
            if own.shape != (len(part),):
                raise ValueError(f"Sample {s} has {len(part)} points and weights {own.shape}.")
            if not (np.isfinite(part).all() and np.isfinite(own).all()):
                raise ValueError(f"Sample {s} has points or weights that are not finite.")
            if (own < 0).any() or not own.sum() > 0:
                raise ValueError(f"Weights of sample {s} must not be negative, nor all zero.")
            shares.append(own / own.sum())
        offsets = np.concatenate([[0], np.cumsum([len(part) for part in parts])])
        return cls(np.concatenate(parts), offsets, np.concatenate(shares))

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def rows(self, s: int) -> slice:
        """Where a sample's points are."""
        return slice(int(self.offsets[s]), int(self.offsets[s + 1]))

    def take(self, samples: Any) -> Clouds:
        """Some samples, in the order given."""
        slices = [self.rows(s) for s in np.arange(len(self))[samples]]
        return Clouds.of([self.points[r] for r in slices], [self.weights[r] for r in slices])

    def mapped(self, W: np.ndarray) -> Clouds:
        """The points ``W x``, for a map W, (r, d)."""
        return Clouds(self.points @ np.asarray(W, dtype=np.float64).T, self.offsets, self.weights)
