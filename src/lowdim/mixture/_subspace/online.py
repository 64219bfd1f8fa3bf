"""Stepwise EM for data that come in pieces (Cappe and Moulines 2009).

The running statistics per unit of weight move towards each piece's by a decaying step,
``s <- (1 - rho) s + rho s_piece`` with ``rho = (t + 2)^-0.6``.
"""

from __future__ import annotations

from torch import Tensor

from lowdim.mixture._family import Statistics, scale_statistics
from lowdim.mixture._subspace.parameters import SubspaceParameters

DECAY = 0.6


def step_size(t: int) -> float:
    """Rho of piece t = 0, 1, ...; the first replaces what was there."""
    return 1.0 if t == 0 else float((t + 2) ** -DECAY)


def blend(past: Statistics, piece: Statistics, rho: float) -> Statistics:
    """(1 - rho) past + rho piece, both per unit of weight."""
    return {
        name: value + scale_statistics(piece, rho)[name]
        for name, value in scale_statistics(past, 1 - rho).items()
    }


def per_weight(statistics: Statistics) -> Statistics:
    """Statistics divided by the total weight of the rows."""
    return scale_statistics(statistics, 1 / float(statistics["counts"].sum()))


def rebase(past: Statistics, before: SubspaceParameters, after: SubspaceParameters) -> Statistics:
    """Past statistics seen through the new sketch.

    Within the old sketch's span ``M W'`` is known (M the uncentred second moment); outside it the
    model's own covariance, sigma^2 I + mu mu', stands in.
    """
    if after.sketch is None or before.sketch is None:
        return past
    overlap = after.sketch @ before.sketch.mT
    outside = after.sketch - overlap @ before.sketch
    counts = past["counts"][..., None, None]
    along = outside @ after.means[..., None]
    model: Tensor = after.noise[..., None, None] * outside + along * after.means[..., None, :]
    return {**past, "second": overlap @ past["second"] + counts * model}
