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
def score_entries(rows, sizes, inverse, noise, per_component, scores, constants):
    """What the stored counts add to the log-likelihood of every component.

    ``sum_g -x log(1 / mu + s phi) + sum_{m < x} log(1 + m phi)`` over the counts x > 0 of a row.
    The second sum goes to `constants` where components share phi.

    Parameters
    ----------
    rows : (indptr, indices, data)
        CSR, n rows.
    sizes : (n,)
        s.
    inverse, noise : (D, K)
        1 / mu, and phi; only the first column of phi is read unless `per_component`.
    per_component : bool
    scores : (n, K)
        Written to.
    constants : (n,)
        Added to.
    """
    indptr, indices, data = rows
    n_components = inverse.shape[1]
    product = np.ones(n_components)
    for i in range(len(sizes)):
        s, held, risen = sizes[i], 0.0, 1.0
        for k in range(n_components):
            scores[i, k] = 0.0
        for p in range(indptr[i], indptr[i + 1]):
            x, g = data[p], np.uint64(indices[p])
            if x > PLAIN:
                for k in range(n_components):
                    scores[i, k] -= x * log(inverse[g, k] + s * noise[g, k])
                if per_component:
                    for k in range(n_components):
                        scores[i, k] += log_rising(x, noise[g, k])
                else:
                    constants[i] += log_rising(x, noise[g, 0])
                continue
            if held + x > FOLD:
                fold(scores[i], product)
                constants[i] += log(risen)
                held, risen = 0.0, 1.0
            held += x
            if per_component:
                for k in range(n_components):
                    factor = inverse[g, k] + s * noise[g, k]
                    product[k] *= factor
                    if x == 2.0:
                        product[k] *= factor / (1.0 + noise[g, k])
                continue
            phi = noise[g, 0]
            risen *= 1.0 + (x - 1.0) * phi
            for _ in range(int(x)):
                for k in range(n_components):
                    product[k] *= inverse[g, k] + s * phi
        fold(scores[i], product)
        constants[i] += log(risen)


@compiled_fast
def fold(out, product):
    """Take the logarithms of products from out, and begin them anew."""
    for k in range(len(out)):
        out[k] -= log(product[k])
        product[k] = 1.0


@compiled_fast
def zero_costs(nodes, mean, noise, out):
    """What a row of size s costs in every component if it has no count at all.

    Parameters
    ----------
    nodes : (M,)
        Sizes s.
    mean, noise : (K, D)
        mu and phi; phi = 0 is Poisson.
    out : (M, K)
        ``sum_g log(1 + s phi mu) / phi`` is written here.
    """
    for j in range(len(nodes)):
        s = nodes[j]
        for k in range(len(mean)):
            total = 0.0
            for g in range(mean.shape[1]):
                a, phi = s * mean[k, g], noise[k, g]
                total += log1p(a * phi) / phi if phi > 0.0 else a
            out[j, k] = total


@compiled_fast
def exposures(nodes, mean, noise, out):
    """``sum_g mu / (1 + s phi mu)``, the slopes of `zero_costs` in s, (M, K)."""
    for j in range(len(nodes)):
        for k in range(len(mean)):
            total = 0.0
            for g in range(mean.shape[1]):
                total += mean[k, g] / (1.0 + nodes[j] * mean[k, g] * noise[k, g])
            out[j, k] = total


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


@compiled_fast
def add_rows(rows, change, matrix, span, held):
    """Add ``sum_i change_ik x_ig matrix[i]`` to held, (K, D, M), for the components of a span.

    One component after the other, whose sums then stay in the cache.

    Parameters
    ----------
    rows : (indptr, indices, data)
        CSR, n rows.
    change : (pointer, row, share)
        What is added to the responsibilities, component by component.
    matrix : (n, M)
        How rows lie among the nodes.
    span : (int, int)
        The first component, and the one after the last.
    """
    indptr, indices, data = rows
    pointer, row, share = change
    own = np.empty(matrix.shape[1])
    for k in range(span[0], span[1]):
        for a in range(pointer[k], pointer[k + 1]):
            i = row[a]
            for j in range(len(own)):
                own[j] = share[a] * matrix[i, j]
            for p in range(indptr[i], indptr[i + 1]):
                out, x = held[k, np.uint64(indices[p])], data[p]
                for j in range(len(own)):
                    out[j] += x * own[j]
