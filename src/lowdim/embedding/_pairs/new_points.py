"""New points in a layout of all pairs, each by itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from lowdim.embedding._crew import PARTS, Crew
from lowdim.embedding._pairs.forces import points_of

#: How far beyond the layout new points may go, in units of the layout.
MARGIN = 5.0
#: New points that torch moves at once.
BATCH = 32


@dataclass(frozen=True)
class Moves:
    """How new points move.

    Attributes
    ----------
    n_iter : int
    weight, learning_rate, momentum : float
        The weight is that of the attraction.
    pull : float, default=0.0
        Weight of the squared distances from the centre.
    """

    n_iter: int
    weight: float
    learning_rate: float
    momentum: float = 0.8
    pull: float = 0.0


def place(
    shares: Any,
    layout: np.ndarray,
    output: Any,
    potentials: np.ndarray | None,
    moves: Moves,
    crew: Crew,
    targets: np.ndarray | None = None,
) -> np.ndarray:
    """Where new points belong, (m, d), float32: none depends on the others.

    Parameters
    ----------
    shares : CSR, (m, N)
        How much each new point belongs to those of the layout; rows sum to one.
    layout : (N, d), float32
    output : OutputAffinity
    potentials : (N,) or None
        f of the layout, where rows and columns are scaled.
    moves : Moves
    crew : Crew
    targets : (m,), optional
        Squared distances from the centre that new points are drawn to.
    """
    Y = np.asarray(shares @ layout.astype(np.float64))
    f = np.zeros(len(layout)) if potentials is None else potentials - potentials.max()
    kernel = output.kernel()
    if kernel is None:
        return _by_torch(Y, shares, layout, output, f, moves)
    from lowdim.embedding._pairs.placement import place_pairs

    box = np.stack([layout.min(0) - MARGIN, layout.max(0) + MARGIN]).astype(np.float64)
    arrays = shares.indptr.astype(np.int64), shares.indices.astype(np.int32), shares.data
    given = np.empty(0) if targets is None else np.asarray(targets, dtype=np.float64)
    numbers = moves.n_iter, moves.weight, moves.learning_rate, moves.momentum, moves.pull
    crew.run(
        place_pairs,
        *(PARTS, Y, arrays, points_of(layout, in_ball=output.in_ball)),
        *((kernel.kind, np.float32(kernel.parameter)), f, given, box),
        np.array(numbers, dtype=np.float64),
    )
    return Y.astype(np.float32)


def _by_torch(
    Y: np.ndarray, shares: Any, layout: np.ndarray, output: Any, f: np.ndarray, moves: Moves
) -> np.ndarray:
    """The same for a kernel that is a function, in batches of one size."""
    import torch

    from lowdim.embedding._pairs.optimizers import Gains, inside

    placed = torch.as_tensor(layout, dtype=torch.float64)
    shifts = torch.as_tensor(f)
    out = np.empty(Y.shape, np.float32)
    for start in range(0, len(Y), BATCH):
        own = np.arange(start, start + BATCH).clip(max=len(Y) - 1)
        points = torch.as_tensor(Y[own]).requires_grad_()
        p = torch.as_tensor(shares[own].toarray(), dtype=torch.float64)
        optimizer = Gains([points], lr=0.5 * moves.learning_rate, momentum=moves.momentum)
        for _ in range(moves.n_iter):
            logs = output.log_kernel(points[:, None], placed[None])
            losses = (logs + shifts).logsumexp(1) - moves.weight * (p * logs).sum(1)
            (points.grad,) = torch.autograd.grad(losses.sum(), points)
            optimizer.step()
            if output.in_ball:
                with torch.no_grad():
                    points.copy_(inside(points))
        out[start : start + BATCH] = points.detach().numpy()[: len(Y) - start]
    return out
