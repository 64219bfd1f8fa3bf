"""An EM step of few rows in few columns, compiled whole: calls would cost more than sums.

Import on first use only: numba is slow to load.
"""

from __future__ import annotations

from lowdim._compile import compiled
from lowdim.mixture._subspace.estep import accumulate
from lowdim.mixture._subspace.mstep import spectrum
from lowdim.mixture._subspace.shares import score_terms


@compiled
def step(
    x,
    outside,
    row_weights,
    weights,
    means,
    bases,
    latent,
    noise,
    dims,
    n_columns,
    soft,
    beta,
    floor,
):
    """Objective (R,), counts and squares (R, K) of the E-step, then what `spectrum` returns."""
    terms = score_terms(weights, latent, noise, dims, n_columns)
    counts, squares, sums, energy, second, objective = accumulate(
        x, outside, row_weights, means, bases, dims, terms[0], terms[1], terms[2], soft, beta
    )
    q = latent.shape[2]
    eigen = spectrum(counts, sums, energy, second, q, n_columns, floor)
    return objective, counts, squares, eigen
