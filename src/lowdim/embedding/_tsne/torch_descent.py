"""The descent of t-SNE in torch, for GPUs, which it seldom waits for."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor

from lowdim.embedding._tsne.course import Phase, Steps, entropy_and_mass
from lowdim.embedding._tsne.step import LEAST, LESS, MORE
from lowdim.embedding._tsne.torch_mesh import TorchMesh

#: First iterations of a phase, before each of which the layout is measured, and how often later.
SWIFT, MEASURED = 60, 8
#: Pairs that are looked at together.
BLOCK = 1 << 25


class TorchDescent(Steps):
    """Gradient descent with gains and momentum on ``KL(P || Q)``; see `Descent`.

    Repulsion is always summed by a mesh, in one or two dimensions.

    Parameters
    ----------
    P : CSR, (N, N), float32
        Symmetric; sums to one.
    start : (N, c)
    dof : float
    device : torch.device
    max_step : float
    """

    def __init__(
        self,
        P: sp.csr_matrix,
        start: np.ndarray,
        *,
        dof: float,
        device: torch.device,
        max_step: float,
    ) -> None:
        super().__init__()
        n, self._c = start.shape
        self._dof, self._max_step = dof, max_step
        self._mesh = TorchMesh(dof, device)
        Y = np.zeros((n, 2), np.float32)
        Y[:, : self._c] = start - start.mean(0)
        self._Y = torch.as_tensor(Y, device=device)
        self._free = torch.tensor([True, self._c == 2], device=device)
        self._P = _Rows.of(P, device)
        self._entropy, self._mass = entropy_and_mass(P.data)
        self._rest()

    @property
    def layout(self) -> np.ndarray:
        """The layout as it is now, (N, c), float32."""
        return np.ascontiguousarray(self._Y[:, : self._c].cpu().numpy())

    def kl_divergence(self) -> float:
        """Of the layout as it is now."""
        self._mesh.measure(self._Y)
        total = float(self._mesh(self._Y)[1])
        crossed = self._dof * float(self._P.log_sum(self._Y, self._dof))
        return self._entropy + crossed + self._mass * float(np.log(total))

    def _rest(self) -> None:
        self._velocity, self._gains = torch.zeros_like(self._Y), torch.ones_like(self._Y)

    def _arrays(self) -> dict[str, np.ndarray]:
        own = {"layout": self._Y, "velocity": self._velocity, "gains": self._gains}
        tensors = {**own, "squares": self._squares}
        arrays = {name: tensor.cpu().numpy().copy() for name, tensor in tensors.items()}
        return {**arrays, **self._mesh.state()}

    def _take(self, arrays: dict[str, np.ndarray]) -> None:
        names = ("layout", "velocity", "gains", "squares")
        own = [torch.tensor(arrays[name], device=self._Y.device) for name in names]
        self._Y, self._velocity, self._gains, self._squares = own
        self._mesh.take(arrays)

    def _norms(self) -> tuple[float, float]:
        gradient, attraction = self._squares.sqrt().tolist()
        return gradient, attraction

    def _step(self, phase: Phase, n_before: int) -> None:
        if n_before < SWIFT or n_before % MEASURED == 0:
            self._mesh.measure(self._Y)
        pull = phase.exaggeration * self._P.attraction(self._Y, self._dof)
        push, total = self._mesh(self._Y)
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

    def __init__(self, blocks: list[tuple[slice, Tensor, Tensor, Tensor]]) -> None:
        self._blocks = blocks

    @classmethod
    def of(cls, P: sp.csr_matrix, device: torch.device) -> _Rows:
        n, starts = P.shape[0], P.indptr
        edges = np.searchsorted(starts, np.arange(0, starts[-1], BLOCK), side="right") - 1
        edges = np.unique([*edges, n])
        blocks = []
        for first, last in pairwise(edges):
            own = slice(starts[first], starts[last])
            arrays = (np.diff(starts[first : last + 1]), P.indices[own], P.data[own])
            counts, columns, data = (torch.as_tensor(array, device=device) for array in arrays)
            blocks.append((slice(int(first), int(last)), counts.long(), columns, data))
        return cls(blocks)

    def attraction(self, Y: Tensor, dof: float) -> Tensor:
        """``sum_j p_ij (y_i - y_j) / (1 + r_ij^2 / a)``, (N, 2)."""
        made = []
        for rows, counts, columns, data in self._blocks:
            gaps = torch.repeat_interleave(Y[rows], counts, 0, output_size=len(data)) - Y[columns]
            gaps *= (data / (1 + gaps.square().sum(1) / dof))[:, None]
            # Checks of the lengths would wait for the device; they are those of a matrix.
            made.append(torch.segment_reduce(gaps, "sum", lengths=counts, axis=0, unsafe=True))
        return torch.cat(made)

    def log_sum(self, Y: Tensor, dof: float) -> Tensor:
        """``sum_ij p_ij log(1 + r_ij^2 / a)``."""
        total = torch.zeros((), dtype=torch.float64, device=Y.device)
        for rows, counts, columns, data in self._blocks:
            gaps = torch.repeat_interleave(Y[rows], counts, 0, output_size=len(data)) - Y[columns]
            logs = torch.log1p(gaps.square().sum(1) / dof)
            total = total + (data * logs).sum(dtype=torch.float64)
        return total
