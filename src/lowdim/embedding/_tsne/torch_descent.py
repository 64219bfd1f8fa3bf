"""The descent of t-SNE in torch, for GPUs, which it seldom waits for."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor

from lowdim._device import to_device
from lowdim.embedding._torch_rows import row_blocks, squared_lengths
from lowdim.embedding._tsne.course import Phase, Steps, entropy_and_mass
from lowdim.embedding._tsne.step import LEAST, LESS, MORE

#: First iterations of a phase, before each of which the layout is measured, and how often later.
SWIFT, MEASURED = 60, 8


class TorchRepulsion(Protocol):
    """Forces on all points, (N, d), and the sum of the weights of all pairs."""

    def measure(self, Y: Tensor) -> None:
        """Look at where the points are, which may take a wait for the device."""

    def __call__(self, Y: Tensor) -> tuple[Tensor, Tensor]: ...


class TorchDescent(Steps):
    """Gradient descent with gains and momentum on ``KL(P || Q)``; see `Descent`.

    Parameters
    ----------
    P : CSR, (N, N), float32
        Symmetric; sums to one.
    start : (N, c)
    repulsion : TorchRepulsion
    dof : float
    device : torch.device
    max_step : float
    """

    def __init__(
        self,
        P: sp.csr_matrix,
        start: np.ndarray,
        repulsion: TorchRepulsion,
        *,
        dof: float,
        device: torch.device,
        max_step: float,
    ) -> None:
        super().__init__()
        n, self._c = start.shape
        self._dof, self._max_step = dof, max_step
        self._repulsion = repulsion
        d = max(2, self._c)
        Y = np.zeros((n, d), np.float32)
        Y[:, : self._c] = start - start.mean(0)
        self._Y = torch.as_tensor(Y, device=device)
        self._free = torch.arange(d, device=device) < self._c
        self._P = _Rows(P, device)
        self._entropy, self._mass = entropy_and_mass(P.data)
        self._rest()

    @property
    def layout(self) -> np.ndarray:
        """The layout as it is now, (N, c), float32."""
        return np.ascontiguousarray(self._Y[:, : self._c].cpu().numpy())

    def kl_divergence(self) -> float:
        """Of the layout as it is now."""
        self._repulsion.measure(self._Y)
        total = float(self._repulsion(self._Y)[1])
        crossed = self._dof * float(self._P.log_sum(self._Y, self._dof))
        return self._entropy + crossed + self._mass * float(np.log(total))

    def _rest(self) -> None:
        self._velocity, self._gains = torch.zeros_like(self._Y), torch.ones_like(self._Y)

    def _norms(self) -> tuple[float, float]:
        gradient, attraction = self._squares.sqrt().tolist()
        return gradient, attraction

    def _step(self, phase: Phase, n_before: int) -> None:
        if n_before < SWIFT or n_before % MEASURED == 0:
            self._repulsion.measure(self._Y)
        pull = phase.exaggeration * self._P.attraction(self._Y, self._dof)
        push, total = self._repulsion(self._Y)
        gradient = torch.where(self._free, pull - push / total.float(), 0.0)
        turned = (self._velocity > 0) != (gradient > 0)
        self._gains = torch.where(turned, self._gains + MORE, self._gains * LESS + LEAST)
        step = phase.momentum * self._velocity - phase.learning_rate * self._gains * gradient
        length = step.norm(dim=1, keepdim=True)
        self._velocity = step * (self._max_step / length).clamp(max=1.0)
        self._Y = self._Y + self._velocity
        self._Y -= self._Y.mean(0)
        self._squares = torch.stack(
            [gradient.double().square().sum(), pull.double().square().sum()]
        )


class _Rows:
    """Affinities, in blocks of rows."""

    def __init__(self, P: sp.csr_matrix, device: torch.device) -> None:
        self._blocks = row_blocks(P.indptr, P.indices, device)
        self._data = to_device(P.data, device)

    def attraction(self, Y: Tensor, dof: float) -> Tensor:
        """``sum_j p_ij (y_i - y_j) / (1 + r_ij^2 / a)``, (N, d)."""
        points, made = Y.t().contiguous(), []
        for block in self._blocks:
            gaps = block.gaps(points)
            gaps *= self._data[block.pairs] / (1 + squared_lengths(gaps) / dof)
            made.append(block.sums(gaps))
        return torch.cat(made, 1).t()

    def log_sum(self, Y: Tensor, dof: float) -> Tensor:
        """``sum_ij p_ij log(1 + r_ij^2 / a)``."""
        points = Y.t().contiguous()
        total = torch.zeros((), dtype=torch.float64, device=Y.device)
        for block in self._blocks:
            logs = torch.log1p(squared_lengths(block.gaps(points)) / dof)
            total = total + (self._data[block.pairs] * logs).sum(dtype=torch.float64)
        return total
