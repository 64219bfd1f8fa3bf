"""The nearest of a few Gaussians, compiled. Import on first use only: numba is slow to load."""

from __future__ import annotations

import numpy as np

from lowdim._compile import compiled_exact
from lowdim.transport._bures import bures


@compiled_exact
def nearest(means, roots, factors, centers, center_roots, center_factors, labels, squared):
    """Write the nearest centre of every Gaussian, and the squared W2 to it, (M,).

    The distance of two covariances is at least that of the roots of their eigenvalues; so only
    centres that are that near are compared.

    Parameters
    ----------
    means, roots : (M, d)
        Means, and square roots of eigenvalues, ascending.
    factors : (M, d, d)
        Lower triangular.
    centers, center_roots, center_factors
        The same of the centres, (F, d) and (F, d, d).
    """
    F, d = centers.shape
    product, square, values = np.empty((d, d)), np.empty((d, d)), np.empty(d)
    apart, bound = np.empty(F), np.empty(F)
    for a in range(len(means)):
        for f in range(F):
            apart[f], spread = 0.0, 0.0
            for axis in range(d):
                apart[f] += (means[a, axis] - centers[f, axis]) ** 2
                spread += (roots[a, axis] - center_roots[f, axis]) ** 2
            bound[f] = apart[f] + spread
        least = np.inf
        for _ in range(F):
            f = int(np.argmin(bound))
            if bound[f] >= least:
                break
            bound[f] = np.inf
            found = apart[f] + bures(factors[a], center_factors[f], product, square, values)
            if found < least:
                least, labels[a] = found, f
        squared[a] = max(least, 0.0)
