"""Components that are given rather than learned: fixed flats and backgrounds."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from lowdim.mixture._family import Statistics
from lowdim.mixture._subspace.parameters import SubspaceParameters


@dataclass(frozen=True)
class Constraints:
    """What is held of the last H components, in standardised units.

    Attributes
    ----------
    learn_noise : (H,), bool
        A fixed flat's noise is learned; a background's is not.
    learn_latent : (H,), bool
        Whether the variances along the given axes are learned.
    means, bases, latent, noise, dims, log_volume
        The given values, shaped as in `SubspaceParameters` without the restart axis; the
        rows of a basis beyond its dimension are zero.
    """

    learn_noise: Tensor
    learn_latent: Tensor
    means: Tensor
    bases: Tensor
    latent: Tensor
    noise: Tensor
    dims: Tensor
    log_volume: Tensor | None

    @property
    def n_held(self) -> int:
        return len(self.dims)

    def learned(self, n_free: int) -> tuple[np.ndarray, np.ndarray]:
        """Which of all components learn their noise, and which their latent variances, (K,)."""
        free = np.ones(n_free, dtype=bool)
        noise, latent = (own.cpu().numpy() for own in (self.learn_noise, self.learn_latent))
        return np.concatenate([free, noise]), np.concatenate([free, latent])

    def flats(self) -> SubspaceParameters | None:
        """The fixed flats, one restart, with noise and weights of no meaning; None without any."""
        own = self.learn_noise
        if not bool(own.any()):
            return None
        ones = torch.ones_like(self.noise[own])[None]
        return SubspaceParameters(
            weights=ones,
            means=self.means[own][None],
            bases=self.bases[own][None],
            latent=self.latent[own][None],
            noise=ones,
            dims=self.dims[own][None],
        )

    def append_to(self, free: SubspaceParameters) -> SubspaceParameters:
        """Parameters of the free components with the held ones put behind them."""
        r, k, _ = free.shape
        n = k + self.n_held

        def join(own: Tensor, held: Tensor) -> Tensor:
            return torch.cat([own, held.to(own.dtype).expand(r, *held.shape)], 1)

        sketch = free.sketch
        if sketch is not None:
            padded = sketch.new_zeros((self.n_held, sketch.shape[-2], sketch.shape[-1]))
            padded[:, : self.bases.shape[1]] = self.bases
            sketch = join(sketch, padded)
        log_volume = None
        if self.log_volume is not None:
            log_volume = join(torch.zeros_like(free.weights), self.log_volume)
        return SubspaceParameters(
            weights=torch.full_like(free.weights[:, :1], 1 / n).expand(r, n).clone(),
            means=join(free.means, self.means),
            bases=join(free.bases, self.bases),
            latent=join(free.latent, self.latent),
            noise=join(free.noise, self.noise),
            dims=join(free.dims, self.dims),
            log_volume=log_volume,
            sketch=sketch,
        )

    def apply(
        self, updated: SubspaceParameters, statistics: Statistics, floor: float
    ) -> tuple[SubspaceParameters, np.ndarray]:
        """Put the held values back and learn the variances that are free.

        Also returns the held components' variances outside their axes, (R, H).
        """
        free = updated.weights.shape[1] - self.n_held
        own = SubspaceParameters(
            **{
                name: getattr(updated, name)[:, :free]
                for name in ("weights", "means", "bases", "latent", "noise", "dims")
            },
            sketch=None if updated.sketch is None else updated.sketch[:, :free],
        )
        held = self.append_to(own)
        along, outside = self._squares(statistics, floor)
        latent = torch.where(
            self.learn_latent[:, None] & held.in_subspace[:, free:], along, self.latent
        )
        left = (self.means.shape[-1] - self.dims).clamp(min=1)
        noise = torch.where(self.learn_noise, (outside / left).clamp(min=floor), self.noise)
        learned = replace(
            held,
            weights=updated.weights,
            latent=torch.cat([own.latent, latent], 1),
            noise=torch.cat([own.noise, noise], 1),
        )
        return learned, outside.cpu().numpy()

    def _squares(self, statistics: Statistics, floor: float) -> tuple[Tensor, Tensor]:
        """E z_j^2 along the axes, (R, H, q), and E ||x - mu||^2 - sum_j E z_j^2, (R, H)."""
        h = self.n_held
        n = statistics["counts"][:, -h:].clamp(min=1e-300)[..., None]
        sums = statistics["sums"][:, -h:] / n
        second = statistics["second"][:, -h:] / n[..., None]
        n_columns, q = self.means.shape[-1], self.bases.shape[1]
        # The sketch of a held component starts with its axes; without one, M is known whole.
        whole = second.shape[-2] == n_columns
        images = self.bases @ second if whole else second[..., :q, :]
        along = (self.bases @ self.means[..., None]).squeeze(-1)  # (H, q)
        cross = (self.bases * sums[..., None, :]).sum(-1)
        z2 = (images * self.bases).sum(-1) - 2 * along * cross + along.square()
        inside = torch.arange(q, device=z2.device) < self.dims[:, None]
        z2 = torch.where(inside, z2.clamp(min=floor), 0.0)
        distance2 = statistics["energy"][:, -h:] / n[..., 0]
        distance2 = distance2 - 2 * (sums * self.means).sum(-1) + self.means.square().sum(-1)
        return z2, (distance2 - z2.sum(-1)).clamp(min=0)
