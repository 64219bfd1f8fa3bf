"""What a fitted count mixture says about rows and genes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import scipy.sparse as sp

from lowdim.mixture._counts.model import AnyCounts, Mixture, Sizes

if TYPE_CHECKING:
    import pandas as pd

#: Values of a dense block of posterior means or of draws.
BLOCK = 2**22


def posterior_means(
    counts: AnyCounts, sizes: Sizes, model: Mixture, shares: np.ndarray
) -> np.ndarray:
    """Expected expression of every gene at size factor 1 given the row's counts, (N, D).

    Given the component, counts are Poisson with a rate that is gamma distributed around mu, so the
    posterior mean of the rate is ``mu (1 + phi x) / (1 + phi s mu)``.
    """
    out = np.empty(counts.shape)
    step = max(1, BLOCK // counts.shape[1])
    mean, noise = model.mean.T, model.noise.T
    for rows, x in _dense_blocks(counts, step):
        own = sizes.values[rows, None]
        out[rows] = 0.0
        for k in range(len(mean)):
            rate = mean[k] * (1.0 + noise[k] * x) / (1.0 + own * (noise[k] * mean[k]))
            out[rows] += shares[rows, k, None] * rate
    return out


def _dense_blocks(counts: AnyCounts, step: int) -> Iterator[tuple[slice, np.ndarray]]:
    for where, part in counts.parts():
        for start in range(0, part.shape[0], step):
            x = part.rows[start : start + step].toarray()
            yield slice(where.start + start, where.start + start + len(x)), x


def sample_counts(
    model: Mixture, sizes: np.ndarray, labels: np.ndarray, rng: np.random.Generator
) -> sp.csr_matrix:
    """Rows drawn from their components, (n, D), int64."""
    d = len(model.mean)
    step = max(1, BLOCK // d)
    parts = []
    for start in range(0, len(labels), step):
        own = labels[start : start + step]
        rate = sizes[start : start + step, None] * model.mean.T[own]
        noise = model.noise.T[own]
        shape = 1.0 / np.where(noise > 0, noise, 1.0)
        spread = np.where(noise > 0, rng.gamma(shape) / shape, 1.0)
        parts.append(sp.csr_matrix(rng.poisson(rate * spread)))
    return sp.vstack(parts, format="csr")


def fold_changes(
    model: Mixture, information: np.ndarray, component: int, names: np.ndarray | None
) -> pd.DataFrame:
    """Log2 fold changes of a component against the others, in the order of the genes.

    The others count by their mixing proportions. The standard error is that of the delta method,
    from the expected information about each log mean, as if components were known.
    """
    import pandas as pd

    others = np.delete(np.arange(len(model.weights)), component)
    mean, variance = model.mean, 1.0 / np.maximum(information, 1e-300)
    shares = model.weights[others] * mean[:, others]
    reference = shares.sum(1) / model.weights[others].sum()
    parts = shares / shares.sum(1, keepdims=True)
    change = np.log2(mean[:, component] / reference)
    error = np.sqrt(variance[:, component] + (parts**2 * variance[:, others]).sum(1)) / np.log(2)
    return pd.DataFrame(
        {
            "log2_fold_change": change,
            "standard_error": error,
            "z": change / error,
            "mean": mean[:, component],
            "mean_of_others": reference,
        },
        index=pd.Index(np.arange(len(mean)) if names is None else names, name="gene"),
    )
