"""Single mixtures from their parameters."""

from __future__ import annotations

from typing import Any

import numpy as np

from lowdim.mixture import GaussianMixture


def gaussian_mixture(
    weights: np.ndarray, means: np.ndarray, covariances: np.ndarray, device: Any = "cpu"
) -> GaussianMixture:
    """An estimator that has these parameters and can be asked about rows.

    Parameters
    ----------
    weights : (K,)
    means : (K, D)
    covariances : (K, D, D) or (K, D)
    device
        Where it computes.
    """
    full = covariances.ndim == 3
    kind = "full" if full else "diag"
    model = GaussianMixture(len(weights), covariance_type=kind, device=device)
    model.weights_, model.means_, model.covariances_ = weights, means, covariances
    model.precisions_ = np.linalg.inv(covariances) if full else 1 / covariances
    model.n_features_in_ = means.shape[1]
    return model
