"""The trend of dispersions over the mean, and how widely genes scatter around it."""

from __future__ import annotations

import numpy as np

from lowdim.mixture._counts.maximize import LEAST_NOISE

#: Genes per bin at least, and bins at most.
GENES_PER_BIN, BINS = 40, 20
#: A dispersion below this many times the least one says no more than that it is small.
INFORMATIVE = 100.0
#: The prior's standard deviation of log phi has this range.
NARROWEST, WIDEST = 0.25, 2.0
#: From the median absolute deviation to the standard deviation of a normal.
MAD = 1.4826


def dispersion_trend(
    means: np.ndarray, noise: np.ndarray, curvature: np.ndarray
) -> tuple[np.ndarray, float]:
    """Centre for every gene and width of the prior on log phi, by empirical Bayes.

    The centre is the median of log phi among genes of about the same mean, joined by straight lines
    over the log mean. The width is what the scatter around it has beyond the sampling errors.

    Parameters
    ----------
    means : ndarray of shape (D,)
        The genes' means.
    noise : ndarray of shape (D,)
        Dispersions without shrinkage.
    curvature : ndarray of shape (D,)
        Minus the second derivative of the log-likelihood in log phi.

    Returns
    -------
    centres : ndarray of shape (D,)
    width : float
        Standard deviation.

    References
    ----------
    Love, Huber and Anders (2014), Moderated estimation of fold change and dispersion for RNA-seq
    data with DESeq2.
    """
    known = (noise > INFORMATIVE * LEAST_NOISE) & (curvature > 0)
    if not known.any():
        return np.full(len(means), np.log(0.1)), WIDEST
    level, log_noise = np.log(means), np.log(np.where(known, noise, 1.0))
    order = np.flatnonzero(known)[np.argsort(level[known], kind="stable")]
    n_bins = int(np.clip(len(order) // GENES_PER_BIN, 1, BINS))
    bins = np.array_split(order, n_bins)
    # Genes that say much about their dispersion count for more: the rest scatters wildly.
    middles = [_weighted_median(log_noise[own], np.minimum(curvature[own], 10.0)) for own in bins]
    places = [float(np.median(level[own])) for own in bins]
    centres = np.interp(level, places, middles)
    sure = known & (curvature > 4.0)
    if sure.sum() < GENES_PER_BIN:
        return centres, 1.0
    scatter = MAD * float(np.median(np.abs(log_noise - centres)[sure]))
    sampling = float(np.median(1.0 / curvature[sure]))
    width = np.sqrt(max(scatter**2 - sampling, 0.0))
    return centres, float(np.clip(width, NARROWEST, WIDEST))


def _weighted_median(values: np.ndarray, weights: np.ndarray) -> float:
    """The value with half the weight on each side."""
    order = np.argsort(values)
    total = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(total, 0.5 * total[-1])])
