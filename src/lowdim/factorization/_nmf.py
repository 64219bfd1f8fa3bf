"""Where counts' factors begin: nonnegative matrix factorization from several starts.

Lee and Seung's multiplicative steps for the Kullback-Leibler divergence.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator

import numpy as np
import torch
from sklearn.decomposition import NMF
from torch import Tensor

from lowdim.factorization._counts import Counts

#: The starts compete on so many rows at most.
MOST_ROWS = 2000
#: Steps of the other rows' factors with the loadings fixed.
EXTEND_ITER = 10
#: Values of counts that are worked on at once.
CHUNK_VALUES = 2**18
TINY = 1e-10


def factorize(
    counts: Counts,
    n_factors: int,
    rng: np.random.Generator,
    *,
    n_init: int,
    n_iter: int,
    polish: int,
) -> tuple[Tensor, Tensor]:
    """Factors (N, L) and loadings (J, L) with ``counts ~ factors @ loadings.T``, float32.

    The best of `n_init` starts after `n_iter` steps goes on for `polish` steps. One start is that
    of the singular vectors, the others are random numbers or random rows. All this is done on some
    of the rows where there are many, and extended to the others with the loadings fixed.
    """
    n, _ = counts.shape
    rows = np.arange(n) if n <= MOST_ROWS else np.sort(rng.choice(n, MOST_ROWS, replace=False))
    some = counts.dense(torch.from_numpy(rows)).float()
    starts = _starts(some, n_factors, rng, n_init)
    fits = [_stepped(some, *start, n_iter) for start in starts]
    best = int(np.argmin([_loss(some, *fit) for fit in fits]))
    H, W = _stepped(some, *fits[best], polish)
    return (H if n <= MOST_ROWS else _extended(counts, W)), W


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


def _chunks(counts: Tensor) -> Iterator[tuple[slice, Tensor]]:
    step = max(1, CHUNK_VALUES // counts.shape[1])
    for start in range(0, len(counts), step):
        rows = slice(start, min(start + step, len(counts)))
        yield rows, counts[rows]


def _stepped(counts: Tensor, H: Tensor, W: Tensor, n_iter: int) -> tuple[Tensor, Tensor]:
    """After so many steps, each of the loadings and then of the factors."""
    for _ in range(n_iter):
        above = torch.zeros_like(W)
        for rows, y in _chunks(counts):
            above += (y / (H[rows] @ W.T + TINY)).T @ H[rows]
        W = W * above / (H.sum(0) + TINY)
        H = torch.cat([_factor_step(y, H[rows], W) for rows, y in _chunks(counts)])
    return H, W


def _factor_step(y: Tensor, H: Tensor, W: Tensor) -> Tensor:
    return H * ((y / (H @ W.T + TINY)) @ W) / (W.sum(0) + TINY)


def _loss(counts: Tensor, H: Tensor, W: Tensor) -> float:
    """The divergence, but for what depends on the counts alone."""
    total = 0.0
    for rows, y in _chunks(counts):
        rates = H[rows] @ W.T + TINY
        total += float((rates - y * rates.log()).sum())
    return total


def _extended(counts: Counts, W: Tensor) -> Tensor:
    """Factors of all rows for given loadings."""
    found = []
    for _, y in counts.chunks():
        y = y.to(W)
        H = y.sum(1, keepdim=True) / (W.sum() + TINY) * y.new_ones(W.shape[1])
        for _ in range(EXTEND_ITER):
            H = _factor_step(y, H, W)
        found.append(H)
    return torch.cat(found)
