"""Compiled passes over the rows of counts: scores of components, and estimates of size factors.

Only stored counts are looked at. Import on first use only: numba is slow to load.
"""

from __future__ import annotations

import numpy as np

from lowdim._compile import compiled_fast
from lowdim.mixture._counts.special import log, log1p, log_rising

#: Larger counts take a logarithm each. Of smaller ones, the factors are multiplied first, until
#: they stand for so many counts; products then stay in the range of a float64.
PLAIN, FOLD = 2, 8


@compiled_fast
def score_entries(rows, sizes, mean, rate, noise, per_component, scores, constants):
    """What the stored counts add to the log-likelihood of every component.

    ``sum_g x log(mu / (1 + s phi mu)) + sum_{m < x} log(1 + m phi)`` over the counts x > 0 of a
    row. The second sum goes to `constants` where components share phi.

    Parameters
    ----------
    rows : (indptr, indices, data)
        CSR, n rows.
    sizes : (n,)
        s.
    mean, rate, noise : (D, K)
        mu, phi mu, and phi; only the first column of phi is read unless `per_component`.
    per_component : bool
    scores : (n, K)
        Written to.
    constants : (n,)
        Added to.
    """
    indptr, indices, data = rows
    n_components = mean.shape[1]
    above, below = np.ones(n_components), np.ones(n_components)
    for i in range(len(sizes)):
        s, held, risen = sizes[i], 0.0, 1.0
        for k in range(n_components):
            scores[i, k] = 0.0
        for p in range(indptr[i], indptr[i + 1]):
            x, g = data[p], np.uint64(indices[p])
            if x > PLAIN:
                for k in range(n_components):
                    scores[i, k] += x * log(mean[g, k] / (1.0 + s * rate[g, k]))
                if per_component:
                    for k in range(n_components):
                        scores[i, k] += log_rising(x, noise[g, k])
                else:
                    constants[i] += log_rising(x, noise[g, 0])
                continue
            if held + x > FOLD:
                fold(scores[i], above, below)
                constants[i] += log(risen)
                held, risen = 0.0, 1.0
            held += x
            for _ in range(int(x)):
                for k in range(n_components):
                    above[k] *= mean[g, k]
                    below[k] *= 1.0 + s * rate[g, k]
            if x == 2.0 and not per_component:
                risen *= 1.0 + noise[g, 0]
            elif x == 2.0:
                for k in range(n_components):
                    above[k] *= 1.0 + noise[g, k]
        fold(scores[i], above, below)
        constants[i] += log(risen)


@compiled_fast
def fold(out, above, below):
    """Add the logarithm of products to out, and begin them anew."""
    for k in range(len(out)):
        out[k] += log(above[k] / below[k])
        above[k] = 1.0
        below[k] = 1.0


@compiled_fast
def zero_parts(nodes, mean, noise, costs, exposures):
    """What a row of size s costs in every component if it has no count at all.

    Parameters
    ----------
    nodes : (M,)
        Sizes s.
    mean, noise : (D, K)
        mu and phi; phi = 0 is Poisson.
    costs : (M, K)
        ``sum_g log(1 + s phi mu) / phi`` is written here.
    exposures : (M, K)
        ``sum_g mu / (1 + s phi mu)``, its derivative in s, is written here.
    """
    for j in range(len(nodes)):
        s = nodes[j]
        for k in range(mean.shape[1]):
            costs[j, k] = 0.0
            exposures[j, k] = 0.0
        for g in range(len(mean)):
            for k in range(mean.shape[1]):
                a, phi = mean[g, k], noise[g, k]
                y = s * a * phi
                exposures[j, k] += a / (1.0 + y)
                costs[j, k] += log1p(y) / phi if phi > 0.0 else s * a


@compiled_fast
def discounted_counts(rows, active, sizes, rate, out):
    """Write ``sum_g x sum_k r_k / (1 + s phi mu)`` of every row to out, (n,)."""
    indptr, indices, data = rows
    pointer, component, share = active
    for i in range(len(sizes)):
        total = 0.0
        for p in range(indptr[i], indptr[i + 1]):
            slope, kept = rate[indices[p]], 0.0
            for a in range(pointer[i], pointer[i + 1]):
                kept += share[a] / (1.0 + sizes[i] * slope[component[a]])
            total += data[p] * kept
        out[i] = total
