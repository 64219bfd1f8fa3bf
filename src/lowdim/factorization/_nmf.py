"""Where counts' factors begin: nonnegative matrix factorization from several starts.

Lee and Seung's multiplicative steps for the Kullback-Leibler divergence.
"""

from __future__ import annotations

import warnings

import numpy as np
import scipy.sparse as sp
import torch
from sklearn.decomposition import NMF
from torch import Tensor

from lowdim.factorization._counts import TINY, Counts, DenseCounts, StoredCounts

#: The starts compete on so many rows at most.
MOST_ROWS = 2000
#: Steps of the other rows' factors with the loadings fixed.
EXTEND_ITER = 10


def factorize(
    counts: Counts,
    n_factors: int,
    rng: np.random.Generator,
    *,
    n_init: int,
    n_iter: int,
    polish: int,
) -> tuple[Tensor, Tensor]:
    """Factors (N, L) and loadings (J, L) with ``counts ~ factors @ loadings.T``.

    The best of `n_init` starts after `n_iter` steps goes on for `polish` steps. One start is that
    of the singular vectors, the others are random numbers or random rows. All this is done on some
    of the rows where there are many, and extended to the others with the loadings fixed.
    """
    n, _ = counts.shape
    rows = np.arange(n) if n <= MOST_ROWS else np.sort(rng.choice(n, MOST_ROWS, replace=False))
    stored = counts.mostly_zero
    dense = counts.dense(torch.from_numpy(rows)).float()
    some = _working(dense, stored)
    starts = _starts(dense, n_factors, rng, n_init)
    fits = [_stepped(some, H.to(some.dtype), W.to(some.dtype), n_iter) for H, W in starts]
    best = int(np.argmin([_loss(some, *fit) for fit in fits]))
    H, W = _stepped(some, *fits[best], polish)
    return (H if n <= MOST_ROWS else _extended(counts, W, stored)), W


def _working(y: Tensor, stored: bool) -> Counts:
    """The form in which steps cost least."""
    return StoredCounts.of(sp.csr_array(y.double().numpy())) if stored else DenseCounts(y.float())


def _starts(
    counts: Tensor, n_factors: int, rng: np.random.Generator, n_init: int
) -> list[tuple[Tensor, Tensor]]:
    n, j = counts.shape
    scale = float((counts.mean() / n_factors).sqrt())
    H = torch.from_numpy(rng.random((n_init, n, n_factors))).to(counts) * 2 * scale
    W = torch.from_numpy(rng.random((n_init, j, n_factors))).to(counts) * 2 * scale
    H[0], W[0] = _singular_start(counts, n_factors)
    for r in range(1, n_init, 2):
        rows = torch.from_numpy(rng.choice(n, n_factors, replace=n < n_factors)).to(counts.device)
        W[r] = counts[rows].T + 0.1 * counts.mean()
    return list(zip(H, W, strict=True))


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


def _stepped(counts: Counts, H: Tensor, W: Tensor, n_iter: int) -> tuple[Tensor, Tensor]:
    """After so many steps, each of the loadings and then of the factors."""
    for _ in range(n_iter):
        W = W * counts.loading_shares(H[None], W).to(W) / (H.sum(0) + TINY)
        H = _factor_step(counts, H, W)
    return H, W


def _factor_step(counts: Counts, H: Tensor, W: Tensor) -> Tensor:
    return counts.factor_shares(H[None], W)[0].T.contiguous().to(W) / (W.sum(0) + TINY)


def _loss(counts: Counts, H: Tensor, W: Tensor) -> float:
    """The divergence, but for what depends on the counts alone."""
    logs = counts.weighted_logs(torch.ones_like(H[:, 0]), H[None], W)
    return float(H.double().sum(0) @ W.double().sum(0) - logs.sum())


def _extended(counts: Counts, W: Tensor, stored: bool) -> Tensor:
    """Factors of all rows for given loadings."""
    found = []
    for _, y in counts.chunks():
        some = _working(y, stored)
        H = y.sum(1, keepdim=True).to(W) / (W.sum() + TINY) * W.new_ones(W.shape[1])
        for _ in range(EXTEND_ITER):
            H = _factor_step(some, H, W)
        found.append(H)
    return torch.cat(found)
