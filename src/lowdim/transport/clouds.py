"""Weighted points, one set per sample."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from lowdim._device import resolve_device
from lowdim._validation import check_in
from lowdim.transport._pairs import NOTHING, Penalty, distances_of

#: What mass costs: the power of the distance of two points, and that of the whole cost.
COSTS = {"w2": (2, 0.5), "w1": (1, 1.0)}


@dataclass(frozen=True)
class Clouds:
    """One discrete measure per sample: those of sample s are rows ``offsets[s]:offsets[s + 1]``.

    Attributes
    ----------
    points : (n, d)
    offsets : (S + 1,)
    weights : (n,)
        Positive or zero, as below 1e-20; those of a sample sum to one.
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
            own = own / own.sum()
            shares.append(np.where(own < NOTHING, 0.0, own))
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

    def with_mass(self) -> Clouds:
        """Without points of no mass."""
        if (self.weights > 0).all():
            return self
        slices = [self.rows(s) for s in range(len(self))]
        masses = [self.weights[own] for own in slices]
        return Clouds.of(
            [self.points[own][mass > 0] for own, mass in zip(slices, masses, strict=True)],
            [mass[mass > 0] for mass in masses],
        )

    def ascending(self) -> Clouds:
        """With the points of every sample, (n, 1), in ascending order."""
        order = np.lexsort([self.points[:, 0], np.repeat(range(len(self)), np.diff(self.offsets))])
        return Clouds(self.points[order], self.offsets, self.weights[order])


def cloud_distances(
    clouds: Clouds,
    pairs: Any = None,
    *,
    cost: str = "w2",
    entropic: float = 0.0,
    debiased: bool = False,
    device: Any = "cpu",
) -> np.ndarray:
    """Wasserstein distances between clouds: of all pairs, (S, S), or of those given, (n,).

    Parameters
    ----------
    clouds : Clouds
    pairs : (n, 2), optional
        Numbers of samples.
    cost : {"w2", "w1"}, default="w2"
        "w2" is ``sqrt <P, |x - y|^2>`` of the plan P that makes it least, "w1" ``<P, |x - y|>``.
        Both are metrics and scale with the data. Points on a line are matched in their order.
    entropic, debiased, device
        As of `mixture_distances`.

    Raises
    ------
    ValueError
        Pairs are of other samples, or an argument cannot be used.
    """
    power, root = COSTS[check_in(cost, "cost", tuple(COSTS))]
    penalty, where = Penalty.of(entropic, debiased), resolve_device(device)
    own = clouds.with_mass()
    on_a_line = own.points.shape[1] == 1 and not penalty
    if on_a_line:
        own = own.ascending()
    if penalty and where.type != "cpu":
        from lowdim.transport._device_pairs import entropic_costs_there

        samples = own.weights, own.offsets, np.arange(len(own.points))
        components = own.points, np.empty(0), np.empty(0)
        there = entropic_costs_there(samples, components, power, penalty.strength, where)
        return distances_of(there, len(own), pairs, root, penalty, together=True)
    points = np.ascontiguousarray(own.points.T)

    def costs(part: np.ndarray, penalties: np.ndarray, out: np.ndarray, found: np.ndarray) -> None:
        from lowdim.transport._clouds import entropic_costs, exact_costs, line_costs

        if penalty:
            entropic_costs(part, own.offsets, points, own.weights, power, penalties, out, found)
        elif on_a_line:
            line_costs(part, own.offsets, points[0], own.weights, power, out)
        else:
            exact_costs(part, own.offsets, points, own.weights, power, out)

    return distances_of(costs, len(own), pairs, root, penalty)
