"""Where counts' factors begin: nonnegative matrix factorization from several starts at once.

Lee and Seung's multiplicative steps for the Kullback-Leibler divergence, batched over restarts.
"""

from __future__ import annotations

import warnings

import numpy as np
import torch
from sklearn.decomposition import NMF
from torch import Tensor

TINY = 1e-10


def factorize(
    counts: Tensor,
    n_factors: int,
    rng: np.random.Generator,
    *,
    n_init: int,
    n_iter: int,
    polish: int,
) -> tuple[Tensor, Tensor]:
    """Factors (N, L) and loadings (J, L) with ``counts ~ factors @ loadings.T``.

    The best of `n_init` starts after `n_iter` steps goes on for `polish` steps. One start is that
    of the singular vectors, the others are random numbers or random rows.
    """
    n, j = counts.shape
    scale = float((counts.mean() / n_factors).sqrt())
    H = torch.from_numpy(rng.random((n_init, n, n_factors))).to(counts) * 2 * scale
    W = torch.from_numpy(rng.random((n_init, j, n_factors))).to(counts) * 2 * scale
    H[0], W[0] = _singular_start(counts, n_factors)
    for r in range(1, n_init, 2):
        rows = torch.from_numpy(rng.choice(n, n_factors, replace=n < n_factors)).to(counts.device)
        W[r] = counts[rows].T + 0.1 * counts.mean()
    for _ in range(n_iter):
        H, W = _step(counts, H, W)
    rates = H @ W.mT + TINY
    losses = (rates - counts * rates.log()).sum((1, 2))
    best = int(losses.argmin())
    H, W = H[best : best + 1], W[best : best + 1]
    for _ in range(polish):
        H, W = _step(counts, H, W)
    return H[0], W[0]


def _singular_start(counts: Tensor, n_factors: int) -> tuple[Tensor, Tensor]:
    """After one step from the singular vectors."""
    peer = NMF(
        n_factors,
        init="nndsvda" if n_factors <= min(counts.shape) else "random",
        solver="mu",
        beta_loss="kullback-leibler",
        max_iter=1,
        random_state=0,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # one step does not converge
        factors = peer.fit_transform(counts.cpu().numpy())
    return torch.from_numpy(factors).to(counts), torch.from_numpy(peer.components_.T).to(counts)


def _step(counts: Tensor, H: Tensor, W: Tensor) -> tuple[Tensor, Tensor]:
    ratio = counts / (H @ W.mT + TINY)
    W = W * (ratio.mT @ H) / (H.sum(1, keepdim=True) + TINY)
    ratio = counts / (H @ W.mT + TINY)
    return H * (ratio @ W) / (W.sum(1, keepdim=True) + TINY), W
