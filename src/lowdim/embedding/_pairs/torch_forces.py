"""The loss of a layout over all pairs of its points, and its gradient, by torch, block by block.

The same loss as of `_pairs.forces`, for kernels that are given as functions, and for devices. Rows
are gone through in blocks, so that no N x N array is made. Import on first use only.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import scipy.sparse as sp
import torch

from lowdim._checkpoint import Arrays
from lowdim.embedding._crew import PARTS, Crew, part_bounds
from lowdim.embedding._pairs.forces import FIRST, STEPS, TOL

if TYPE_CHECKING:
    from lowdim.embedding.output_affinities import OutputAffinity

#: Pairs in a block.
PAIRS = 1 << 20


class BlockForces:
    """Forces of any kernel, by torch.

    Parameters
    ----------
    P : CSR, (N, N), float32
        Symmetric; sums to one.
    affinity : OutputAffinity
    crew : Crew
        Threads for blocks on the host.
    device : torch.device
    dtype : torch.dtype, default=torch.float32
    """

    def __init__(
        self,
        P: sp.csr_matrix,
        affinity: OutputAffinity,
        crew: Crew,
        device: torch.device,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self.n = P.shape[0]
        self._affinity, self._crew, self._device, self._dtype = affinity, crew, device, dtype
        P = P.tocsr()
        rows = np.repeat(np.arange(self.n), np.diff(P.indptr))
        self._edges = (
            torch.as_tensor(rows, device=device),
            torch.as_tensor(P.indices.astype(np.int64), device=device),
        )
        self._p = torch.as_tensor(P.data, dtype=dtype, device=device)
        p = P.data[P.data > 0].astype(np.float64)
        self._entropy = float(np.sum(p * np.log(p)))
        self._f: torch.Tensor | None = None

    def gradient(self, Y: np.ndarray, weight: float) -> np.ndarray:
        """The gradient, (N, d)."""
        Z = self._places(Y)
        shift = self._shifts(Z, STEPS)
        parts = torch.zeros((PARTS, *Z.shape), dtype=self._dtype, device=self._device)

        def add(part: int) -> None:
            own = Z.detach().requires_grad_()
            with torch.enable_grad():
                for start, stop in self._blocks(part):
                    value = self._push(own, start, stop, shift)
                    parts[part] += torch.autograd.grad(value, own)[0]
                for start, stop in self._edge_blocks(part):
                    value = self._pull(own, start, stop)
                    parts[part] -= weight * torch.autograd.grad(value, own)[0]

        self._each(add)
        return np.asarray(parts.sum(0).cpu().numpy(), dtype=np.float64)

    def loss(self, Y: np.ndarray) -> float:
        """The loss, under a weight of one."""
        Z = self._places(Y)
        parts = torch.zeros(PARTS, dtype=torch.float64, device=self._device)

        def add(part: int) -> None:
            for start, stop in self._edge_blocks(part):
                parts[part] -= self._pull(Z, start, stop)

        self._each(add)
        return self._entropy + float(parts.sum()) + self._normalizer(Z)

    def potentials(self, Y: np.ndarray) -> np.ndarray | None:
        """F of the layout, where rows and columns are scaled."""
        if self._affinity.normalization != "sinkhorn":
            return None
        return np.asarray(self._scaled(self._places(Y), FIRST).cpu().numpy(), dtype=np.float64)

    def state(self) -> Arrays:
        """The scaling that the next one begins with."""
        return {} if self._f is None else {"scaling": self._f.cpu().numpy()}

    def take(self, state: Arrays) -> None:
        """Put it in its place."""
        kept = state.get("scaling")
        self._f = None if kept is None else torch.tensor(kept, device=self._device)

    def _places(self, Y: np.ndarray) -> torch.Tensor:
        return torch.as_tensor(np.asarray(Y), dtype=self._dtype, device=self._device)

    def _each(self, function: Callable[[int], None]) -> None:
        """Call a function with the number of every part."""
        if self._device.type != "cpu":
            for part in range(PARTS):
                function(part)
            return

        def several(first: int, last: int) -> None:
            for part in range(first, last):
                function(part)

        self._crew.run(several)

    def _blocks(self, part: int) -> list[tuple[int, int]]:
        bounds, size = part_bounds(self.n), max(1, PAIRS // self.n)
        first, last = int(bounds[part]), int(bounds[part + 1])
        return [(start, min(start + size, last)) for start in range(first, last, size)]

    def _edge_blocks(self, part: int) -> list[tuple[int, int]]:
        bounds = part_bounds(len(self._p))
        first, last = int(bounds[part]), int(bounds[part + 1])
        return [(start, min(start + PAIRS, last)) for start in range(first, last, PAIRS)]

    def _logs(self, Z: torch.Tensor, start: int, stop: int) -> torch.Tensor:
        """Logarithms of the kernel of some points and all; minus infinity of one with itself."""
        logs = self._affinity.log_kernel(Z[start:stop, None], Z[None])
        own = torch.arange(start, stop, device=self._device)
        mask = torch.zeros(logs.shape, dtype=torch.bool, device=self._device)
        mask[own - start, own] = True
        return logs.masked_fill(mask, -math.inf)

    def _pull(self, Z: torch.Tensor, start: int, stop: int) -> torch.Tensor:
        """``sum P_ij log k_ij`` of some edges."""
        rows, columns = (own[start:stop] for own in self._edges)
        return (self._p[start:stop] * self._affinity.log_kernel(Z[rows], Z[columns])).sum()

    def _push(
        self, Z: torch.Tensor, start: int, stop: int, shift: tuple[torch.Tensor, torch.Tensor]
    ) -> torch.Tensor:
        """``sum Q_ij log k_ij`` of some rows, Q taken as given; its gradient is that of V."""
        logs = self._logs(Z, start, stop)
        with torch.no_grad():
            shares = (logs + shift[0][start:stop, None] + shift[1]).exp()
        return (shares * logs.masked_fill(logs == -math.inf, 0.0)).sum()

    def _shifts(self, Z: torch.Tensor, steps: int) -> tuple[torch.Tensor, torch.Tensor]:
        """What the logarithm of Q has beside that of the kernel, by row and by column."""
        zero = torch.zeros(self.n, dtype=self._dtype, device=self._device)
        if self._affinity.normalization == "sinkhorn":
            f = self._scaled(Z, steps)
            return f, f
        rows = self._log_sums(Z, zero)
        if self._affinity.normalization == "rows":
            return -rows - math.log(self.n), zero
        return zero - rows.logsumexp(0), zero

    def _normalizer(self, Z: torch.Tensor) -> float:
        if self._affinity.normalization == "sinkhorn":
            return -2.0 * float(self._scaled(Z, FIRST).mean())
        rows = self._log_sums(Z, torch.zeros(self.n, dtype=self._dtype, device=self._device))
        if self._affinity.normalization == "rows":
            return float(rows.mean()) + math.log(self.n)
        return float(rows.logsumexp(0))

    def _log_sums(self, Z: torch.Tensor, f: torch.Tensor) -> torch.Tensor:
        """``log sum_j exp(f_j) k_ij`` of every row."""
        out = torch.empty(self.n, dtype=self._dtype, device=self._device)

        def fill(part: int) -> None:
            with torch.no_grad():
                for start, stop in self._blocks(part):
                    out[start:stop] = (self._logs(Z, start, stop) + f).logsumexp(1)

        self._each(fill)
        return out

    def _scaled(self, Z: torch.Tensor, steps: int) -> torch.Tensor:
        """f, from that of the last call on."""
        if self._f is None:
            start = torch.full((self.n,), -math.log(self.n), device=self._device)
            self._f, steps = start.to(self._dtype), FIRST
        for _ in range(steps):
            off = -math.log(self.n) - self._log_sums(Z, self._f) - self._f
            self._f = self._f + 0.5 * off
            if float(off.abs().max()) <= TOL:
                break
        return self._f
