"""The four shapes of covariances: their statistics, maximum-likelihood values and distances.

Everything is in standardised units and batched over restarts (R) and components (K).
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from lowdim.data.blocks import Block
from lowdim.mixture._family import Statistics


class Covariance(Protocol):
    """One shape of covariances."""

    def moments(self, block: Block, shares: Tensor) -> Tensor | None:
        """Second moments of the block's rows under shares (R, K, n); None if none are needed."""
        ...

    def maximize(self, statistics: Statistics, means: Tensor, reg: float) -> Tensor:
        """Covariances around given means, ``reg`` added to every variance."""
        ...

    def implied(self, counts: Tensor, means: Tensor, covariances: Tensor) -> Statistics:
        """Second moments of rows that have just these covariances."""
        ...

    def whiten(self, covariances: Tensor, n_columns: int) -> tuple[Tensor, Tensor]:
        """What makes rows white, and log-determinants, (R, K); nan where it is singular."""
        ...

    def distances(self, block: Block, means: Tensor, whitening: Tensor) -> Tensor:
        """Squared Mahalanobis distances, (R, K, n)."""
        ...

    def smallest(self, covariances: Tensor) -> Tensor:
        """The smallest variance along any direction, (R, K)."""
        ...

    def pack(self, covariances: Tensor) -> Tensor:
        """Unconstrained numbers, (R, n)."""
        ...

    def unpack(self, vectors: Tensor, like: Tensor) -> Tensor:
        """The inverse of `pack`."""
        ...

    def n_parameters(self, n_components: int, n_columns: int) -> int:
        """Free parameters of the covariances of one mixture."""
        ...


def _cholesky(covariances: Tensor) -> tuple[Tensor, Tensor]:
    """Lower factors and log-determinants; nan where a matrix is not positive definite."""
    factor, failed = torch.linalg.cholesky_ex(covariances)
    bad = (failed > 0)[..., None, None]
    diagonal = factor.diagonal(dim1=-2, dim2=-1)
    log_det = 2 * diagonal.clamp(min=1e-300).log().sum(-1)
    return torch.where(bad, torch.nan, factor), torch.where(bad[..., 0, 0], torch.nan, log_det)


def _inverted(factor: Tensor) -> Tensor:
    """Inverses of lower factors: their rows make differences from the mean white."""
    eye = torch.eye(factor.shape[-1], dtype=factor.dtype, device=factor.device)
    return torch.linalg.solve_triangular(factor, eye.expand_as(factor), upper=False)


def _log_factor(covariances: Tensor) -> Tensor:
    """Lower factors with the logarithm of the diagonal, as vectors."""
    factor, _ = _cholesky(covariances)
    diagonal = factor.diagonal(dim1=-2, dim2=-1)
    lower = factor.tril(-1) + torch.diag_embed(diagonal.log())
    index = torch.tril_indices(factor.shape[-1], factor.shape[-1], device=factor.device)
    return lower[..., index[0], index[1]]


def _from_log_factor(vectors: Tensor, n_columns: int) -> Tensor:
    """The inverse of `_log_factor`."""
    index = torch.tril_indices(n_columns, n_columns, device=vectors.device)
    lower = vectors.new_zeros((*vectors.shape[:-1], n_columns, n_columns))
    lower[..., index[0], index[1]] = vectors
    diagonal = lower.diagonal(dim1=-2, dim2=-1).exp()
    factor = lower.tril(-1) + torch.diag_embed(diagonal)
    return factor @ factor.mT


class Full:
    """A matrix of its own for every component, (R, K, D, D)."""

    def moments(self, block: Block, shares: Tensor) -> Tensor:
        return block.second_moments(shares.flatten(0, 1)).unflatten(0, shares.shape[:2])

    def maximize(self, statistics: Statistics, means: Tensor, reg: float) -> Tensor:
        n = statistics["counts"].clamp(min=1e-300)[..., None, None]
        covariances = statistics["second"] / n - means[..., None] * means[..., None, :]
        covariances.diagonal(dim1=-2, dim2=-1).add_(reg)
        return covariances

    def implied(self, counts: Tensor, means: Tensor, covariances: Tensor) -> Statistics:
        moments = covariances + means[..., None] * means[..., None, :]
        return {"second": counts[..., None, None] * moments}

    def whiten(self, covariances: Tensor, n_columns: int) -> tuple[Tensor, Tensor]:
        factor, log_det = _cholesky(covariances)
        return _inverted(factor), log_det

    def distances(self, block: Block, means: Tensor, whitening: Tensor) -> Tensor:
        out = means.new_empty((*means.shape[:2], block.n_rows))
        for r in range(means.shape[0]):
            for k in range(means.shape[1]):
                own = whitening[r, k]
                along = block.project(own).double()
                along -= (own @ means[r, k])[:, None]
                out[r, k] = along.square_().sum(0)
        return out

    def smallest(self, covariances: Tensor) -> Tensor:
        return torch.linalg.eigvalsh(covariances)[..., 0]

    def pack(self, covariances: Tensor) -> Tensor:
        return _log_factor(covariances).flatten(1)

    def unpack(self, vectors: Tensor, like: Tensor) -> Tensor:
        return _from_log_factor(vectors.view(*like.shape[:2], -1), like.shape[-1])

    def n_parameters(self, n_components: int, n_columns: int) -> int:
        return n_components * n_columns * (n_columns + 1) // 2


class Tied:
    """One matrix for all components, (R, D, D)."""

    def moments(self, block: Block, shares: Tensor) -> None:
        """The second moment of all rows is the same in every step (``total`` below)."""
        return None

    def maximize(self, statistics: Statistics, means: Tensor, reg: float) -> Tensor:
        counts = statistics["counts"]
        between = (means * counts[..., None]).mT @ means
        covariances = (statistics["total"] - between) / counts.sum(1)[:, None, None]
        covariances.diagonal(dim1=-2, dim2=-1).add_(reg)
        return covariances

    def implied(self, counts: Tensor, means: Tensor, covariances: Tensor) -> Statistics:
        between = (means * counts[..., None]).mT @ means
        return {"total": covariances * counts.sum(1)[:, None, None] + between}

    def whiten(self, covariances: Tensor, n_columns: int) -> tuple[Tensor, Tensor]:
        factor, log_det = _cholesky(covariances)
        return _inverted(factor), log_det[:, None]

    def distances(self, block: Block, means: Tensor, whitening: Tensor) -> Tensor:
        out = means.new_empty((*means.shape[:2], block.n_rows))
        for r in range(means.shape[0]):
            along = block.project(whitening[r]).double()  # (D, n)
            centres = means[r] @ whitening[r].T
            cross = centres @ along
            norms = along.square_().sum(0)
            out[r] = cross.mul_(-2).add_(norms).add_(centres.square().sum(1)[:, None])
        return out.clamp_(min=0)

    def smallest(self, covariances: Tensor) -> Tensor:
        return torch.linalg.eigvalsh(covariances)[..., :1]

    def pack(self, covariances: Tensor) -> Tensor:
        return _log_factor(covariances)

    def unpack(self, vectors: Tensor, like: Tensor) -> Tensor:
        return _from_log_factor(vectors, like.shape[-1])

    def n_parameters(self, n_components: int, n_columns: int) -> int:
        return n_columns * (n_columns + 1) // 2


class Diagonal:
    """A variance for every component and column, (R, K, D)."""

    def moments(self, block: Block, shares: Tensor) -> Tensor:
        return block.accumulate_squares(shares.flatten(0, 1)).unflatten(0, shares.shape[:2])

    def maximize(self, statistics: Statistics, means: Tensor, reg: float) -> Tensor:
        n = statistics["counts"].clamp(min=1e-300)[..., None]
        return (statistics["second"] / n - means.square()).clamp_(min=0).add_(reg)

    def implied(self, counts: Tensor, means: Tensor, covariances: Tensor) -> Statistics:
        return {"second": counts[..., None] * (covariances + means.square())}

    def whiten(self, covariances: Tensor, n_columns: int) -> tuple[Tensor, Tensor]:
        singular = (covariances <= 0).any(-1)
        log_det = covariances.clamp(min=1e-300).log().sum(-1)
        return 1 / covariances, torch.where(singular, torch.nan, log_det)

    def distances(self, block: Block, means: Tensor, whitening: Tensor) -> Tensor:
        precisions = whitening.flatten(0, 1)
        centres = means.flatten(0, 1)
        weighted = precisions * centres
        cross = block.project(weighted).double()
        squares = block.project_squares(precisions).double()
        squares -= 2 * cross
        squares += (weighted * centres).sum(1)[:, None]
        return squares.clamp_(min=0).unflatten(0, means.shape[:2])

    def smallest(self, covariances: Tensor) -> Tensor:
        return covariances.amin(-1)

    def pack(self, covariances: Tensor) -> Tensor:
        return covariances.log().flatten(1)

    def unpack(self, vectors: Tensor, like: Tensor) -> Tensor:
        return vectors.exp().view(like.shape)

    def n_parameters(self, n_components: int, n_columns: int) -> int:
        return n_components * n_columns


class Spherical:
    """A variance for every component, (R, K)."""

    def moments(self, block: Block, shares: Tensor) -> Tensor:
        return shares @ block.squared_norms

    def maximize(self, statistics: Statistics, means: Tensor, reg: float) -> Tensor:
        n = statistics["counts"].clamp(min=1e-300)
        variances = (statistics["second"] / n - means.square().sum(-1)) / means.shape[-1]
        return variances.clamp_(min=0).add_(reg)

    def implied(self, counts: Tensor, means: Tensor, covariances: Tensor) -> Statistics:
        return {"second": counts * (means.shape[-1] * covariances + means.square().sum(-1))}

    def whiten(self, covariances: Tensor, n_columns: int) -> tuple[Tensor, Tensor]:
        log_det = n_columns * covariances.log()
        return 1 / covariances, torch.where(covariances > 0, log_det, torch.nan)

    def distances(self, block: Block, means: Tensor, whitening: Tensor) -> Tensor:
        centres = means.flatten(0, 1)
        cross = block.project(centres).double().mul_(-2)
        cross += block.squared_norms
        cross += centres.square().sum(1)[:, None]
        return cross.clamp_(min=0).unflatten(0, means.shape[:2]).mul_(whitening[..., None])

    def smallest(self, covariances: Tensor) -> Tensor:
        return covariances

    def pack(self, covariances: Tensor) -> Tensor:
        return covariances.log()

    def unpack(self, vectors: Tensor, like: Tensor) -> Tensor:
        return vectors.exp()

    def n_parameters(self, n_components: int, n_columns: int) -> int:
        return n_components


SHAPES: dict[str, Covariance] = {
    "full": Full(),
    "tied": Tied(),
    "diag": Diagonal(),
    "spherical": Spherical(),
}


def covariances_shape(kind: str, n_components: int, n_columns: int) -> tuple[int, ...]:
    """The array shape of the covariances of one mixture."""
    k, d = n_components, n_columns
    return {"full": (k, d, d), "tied": (d, d), "diag": (k, d), "spherical": (k,)}[kind]


def matrices(covariances: np.ndarray, kind: str, n_components: int, n_columns: int) -> np.ndarray:
    """Covariances of any shape as one matrix per component, (K, D, D)."""
    eye = np.eye(n_columns)
    if kind == "full":
        return covariances
    if kind == "tied":
        return np.repeat(covariances[None], n_components, axis=0)
    if kind == "diag":
        return covariances[:, :, None] * eye
    return covariances[:, None, None] * eye
