"""The first state: of a nonnegative factorization, or of the singular vectors."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from scipy.sparse.linalg import LinearOperator, svds
from torch import Tensor

from lowdim._random import generator
from lowdim.factorization._counts import DenseCounts, StoredCounts
from lowdim.factorization._engine import Model, swept
from lowdim.factorization._moran import moran
from lowdim.factorization._nmf import factorize
from lowdim.factorization._positive_counts import PositiveCounts
from lowdim.factorization._processes import Process
from lowdim.factorization._rates import Rates
from lowdim.factorization._real_counts import PSEUDOCOUNT, RealCounts
from lowdim.factorization._state import LEAST_PRECISION, State
from lowdim.factorization._values import Values

#: Factors and loadings are drawn so far toward their means: zeros could not grow again.
SHRINKAGE = 0.2
#: Added to factors before their logarithm is taken.
OFFSET = 1e-2
#: Variance of the factors, and shape of the negative binomial, to begin with.
VARIANCE, SHAPE = 0.05, 20.0
#: Steps of all starts, and of the best one.
NMF_ITER, NMF_POLISH = 60, 100
#: Differences between rows that are a smaller share of the values are rounding.
ROUNDING = 1e-13


def first_state(
    model: Model,
    n_factors: int,
    processes: tuple[Process, ...],
    rng: np.random.Generator,
    *,
    n_init: int,
    negative_binomial: bool,
    places: np.ndarray | None,
) -> State:
    """Where rounds begin; with some factors spatial, those that vary most smoothly over places."""
    seen = model.observation
    intercepts = None
    if isinstance(seen, RealCounts):
        F, W, intercepts = _of_logarithms(seen.rates, n_factors)
    elif isinstance(seen, Values) and not seen.positive:
        F, W, intercepts = _singular_vectors(_filled(seen.values, seen.observed), n_factors)
    else:
        F, W = _nonnegative(seen, n_factors, rng, n_init=n_init)
    F, W = F.double(), W.double()
    intercepts = None if intercepts is None else intercepts.double()
    T = len(processes)
    if places is not None and 0 < T < n_factors:
        order = np.argsort(-moran(F.cpu().numpy(), places), kind="stable")
        index = torch.from_numpy(order).to(F.device)
        F, W = F[:, index], W[:, index]
    mean = F.T.contiguous()
    columns = len(W)
    state = State(
        loadings=W,
        mean=mean,
        variance=torch.full_like(mean, VARIANCE),
        l1=torch.zeros_like(mean),
        l2=torch.full_like(mean, LEAST_PRECISION),
        processes=processes,
        trend=F.new_zeros((T, model.design.shape[1])),
        prior_mean=F[:, T:].mean(0) if seen.positive else F.new_zeros(n_factors - T),
        prior_variance=F.new_ones(n_factors - T),
        divergence=F.new_zeros(n_factors),
        columns=F.new_full((columns,), -np.inf),
        bound=-np.inf,
        shapes=F.new_full((columns,), SHAPE) if negative_binomial else None,
        intercepts=intercepts,
    )
    if isinstance(seen, Values):
        state = replace(state, noise=seen.least_noise)
        state = seen.improved(state, 0, prune=False)
    return swept(model, state)


def _filled(values: Tensor, observed: Tensor | None) -> Tensor:
    """Columns' means where values are not known."""
    if observed is None:
        return values
    means = values.sum(0) / observed.sum(0).clamp(min=1)
    return torch.where(observed > 0, values, means)


def _of_logarithms(rates: Rates, n_factors: int) -> tuple[Tensor, Tensor, Tensor]:
    """Singular vectors of logarithms of counts by size."""
    counts, sizes = rates.counts, rates.sizes
    if isinstance(counts, StoredCounts) and n_factors < min(counts.shape):
        return _of_stored_logarithms(counts, sizes, n_factors)
    values = counts.dense(slice(0, counts.shape[0]))
    logs = ((values + PSEUDOCOUNT) / sizes[:, None]).log()
    return _singular_vectors(_filled(logs, rates.observed), n_factors)


def _of_stored_logarithms(
    counts: StoredCounts, sizes: Tensor, n_factors: int
) -> tuple[Tensor, Tensor, Tensor]:
    """The same of stored counts: zeros' logarithms differ between rows only."""
    n, j = counts.shape
    stored = counts.matrix()
    stored.data = np.log1p(stored.data / PSEUDOCOUNT)
    rows = np.log(PSEUDOCOUNT) - np.log(sizes.cpu().double().numpy())
    columns = stored.mean(0)
    around = rows - rows.mean()
    centred = LinearOperator(
        (n, j),
        matvec=lambda v: stored @ v.ravel() + around * v.sum() - columns @ v.ravel(),
        rmatvec=lambda u: stored.T @ u.ravel() + around @ u.ravel() - columns * u.sum(),
        dtype=np.float64,
    )
    # Not ones: rows of equal sums are at right angles to these.
    first = generator(0).normal(size=min(n, j))
    product = centred @ first if n >= j else centred.T @ first
    size = np.linalg.norm(stored.data) + np.sqrt(j) * np.linalg.norm(around)
    if np.linalg.norm(product) > ROUNDING * size * np.linalg.norm(first):
        U, S, Vt = svds(centred, n_factors, v0=first)
    else:  # rows that are all alike, whose differences are rounding
        U, S, Vt = np.zeros((n, n_factors)), np.zeros(n_factors), np.zeros((n_factors, j))
    found = (U[:, ::-1] * np.sqrt(n), Vt[::-1].T * S[::-1] / np.sqrt(n), columns + rows.mean())
    F, W, centre = (torch.from_numpy(np.ascontiguousarray(part)).to(sizes) for part in found)
    return F, W, centre


def _singular_vectors(values: Tensor, n_factors: int) -> tuple[Tensor, Tensor, Tensor]:
    """Factors of variance one, (N, L), loadings, (J, L), and columns' means, (J,)."""
    centre = values.mean(0)
    n, j = values.shape
    U, S, Vt = torch.linalg.svd(values - centre, full_matrices=False)
    keep = min(n_factors, n, j)
    F, W = values.new_zeros((n, n_factors)), values.new_zeros((j, n_factors))
    root = float(np.sqrt(n))
    F[:, :keep], W[:, :keep] = U[:, :keep] * root, Vt[:keep].T * S[:keep] / root
    return F, W, centre


def _nonnegative(
    seen: object, n_factors: int, rng: np.random.Generator, *, n_init: int
) -> tuple[Tensor, Tensor]:
    """Logarithms of factors and loadings of a nonnegative factorization."""
    if isinstance(seen, PositiveCounts):
        counts, observed, sizes = seen.rates.counts, seen.rates.observed, seen.rates.sizes
    else:
        assert isinstance(seen, Values)
        counts, observed = DenseCounts(seen.values.clamp(min=0)), seen.observed
        sizes = torch.ones_like(seen.values[:, 0])
    if isinstance(counts, DenseCounts):
        counts = DenseCounts(_filled(counts.values, observed))
    factors, loadings = factorize(
        counts, n_factors, rng, n_init=n_init, n_iter=NMF_ITER, polish=NMF_POLISH
    )
    return _shrunk(factors.to(sizes), loadings.to(sizes), sizes)


def _shrunk(factors: Tensor, loadings: Tensor, sizes: Tensor) -> tuple[Tensor, Tensor]:
    """Logarithms of the factors, (N, L), each of mean -log L, and loadings to match, (J, L)."""
    n_factors = factors.shape[1]
    totals = loadings.sum(0).clamp(min=1e-10)
    W = (1 - SHRINKAGE) * loadings + SHRINKAGE * totals / len(loadings)
    H = factors * totals
    H = (1 - SHRINKAGE) * H + SHRINKAGE * H.mean(1, keepdim=True)
    F = (H + OFFSET).log() - sizes.log()[:, None]
    shift = F.mean(0) + float(np.log(n_factors))
    return F - shift, W * shift.exp() / totals
