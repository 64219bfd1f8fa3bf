"""What a learned map minimises, and its gradient."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from lowdim.samples._map_penalty import Penalty
from lowdim.samples._map_transport import MapTransport
from lowdim.samples._triplets import hinge

if TYPE_CHECKING:
    from lowdim.samples._map_on_device import MapTransportThere


@dataclass(frozen=True)
class Loss:
    """The loss of a map on some samples.

    Attributes
    ----------
    loss : float
        Hinge plus penalty.
    hinge, penalty : float
    active : float
        Share of the triplets whose margin is not kept.
    gradient : (r, D)
    validation : float
        Hinge of the samples that are held out, or nan.
    """

    loss: float
    hinge: float
    penalty: float
    active: float
    gradient: np.ndarray
    validation: float = np.nan


class MapObjective:
    """Hinge over triplets of the distances under a map, plus a penalty of the map.

    Parameters
    ----------
    transport : MapTransport or MapTransportThere
    labels : (S,)
    margin : float
    penalty : Penalty

    Attributes
    ----------
    plans_found : bool
        Whether all entropic plans were, so far.
    """

    def __init__(
        self,
        transport: MapTransport | MapTransportThere,
        labels: np.ndarray,
        margin: float,
        penalty: Penalty,
    ) -> None:
        self.transport, self.labels = transport, labels
        self.margin, self.penalty = margin, penalty
        self.plans_found = True
        self._masses = transport.support.masses

    def of(self, W: np.ndarray, samples: np.ndarray) -> Loss | None:
        """The loss over triplets of some samples, numbers ascending; None if they have none."""
        labels, n = self.labels[samples], len(samples)
        first, second = np.triu_indices(n, 1)
        moved = self.transport.distances(W, np.stack([samples[first], samples[second]], axis=1))
        self.plans_found &= moved.converged
        distances = np.full((n, n), np.nan)
        distances[first, second] = distances[second, first] = moved.distances
        found = hinge(distances, labels, labels, self.margin)
        if found is None:
            return None
        slopes = found.slopes[first, second] + found.slopes[second, first]
        penalty, gradient, by_covariances = self.penalty.of(W, moved.at, self._masses)
        gradient = gradient + moved.gradient(slopes, by_covariances)
        return Loss(found.loss + penalty, found.loss, penalty, found.active, gradient)

    def held_out(self, W: np.ndarray, samples: np.ndarray, others: np.ndarray) -> float:
        """Hinge over triplets of held-out samples, the anchors, with two of the others."""
        anchor, other = (part.ravel() for part in np.meshgrid(samples, others, indexing="ij"))
        pairs = np.stack([np.minimum(anchor, other), np.maximum(anchor, other)], axis=1)
        distances = self.transport.distances(W, pairs).distances
        found = hinge(
            distances.reshape(len(samples), len(others)),
            self.labels[samples],
            self.labels[others],
            self.margin,
        )
        return np.nan if found is None else found.loss
