"""Stepwise EM for data that come in pieces (Cappe and Moulines 2009).

The running statistics per unit of weight move towards each piece's by a decaying step,
``s <- (1 - rho) s + rho s_piece`` with ``rho = (t + 2)^-0.6``.
"""

from __future__ import annotations

from torch import Tensor

from lowdim.data.passes import add
from lowdim.mixture._family import Statistics
from lowdim.mixture._subspace.parameters import SubspaceParameters

DECAY = 0.6


def step_size(t: int) -> float:
    """Rho of piece t = 0, 1, ...; the first replaces what was there."""
    return 1.0 if t == 0 else float((t + 2) ** -DECAY)


def blend(past: Statistics, piece: Statistics, rho: float) -> Statistics:
    """(1 - rho) past + rho piece, both per unit of weight."""
    return add(reweighted(past, 1 - rho), reweighted(piece, rho))


def reweighted(statistics: Statistics, factor: float) -> Statistics:
    """Statistics of the same rows with their weights multiplied by a factor.

    All are linear in the weights but `squares`, the sum of their squares. With these, a blend of
    many pieces still says how many rows it is worth, counts^2 / squares.
    """
    return {
        name: value * (factor**2 if name == "squares" else factor)
        for name, value in statistics.items()
    }


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
