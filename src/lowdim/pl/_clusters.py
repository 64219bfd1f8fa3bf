"""Clusters and Gaussian mixtures as the mixtures of subspaces that they are, to be drawn.

Centroids are points with noise, a Gaussian with a free covariance is a subspace of all dimensions.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from lowdim.mixture._gaussian.covariance import matrices

if TYPE_CHECKING:
    from lowdim._typing import Float64Array

#: Fitted attributes that hold the course of a fit and the ends of its restarts, and their sign.
_TRACES = (
    ("lower_bounds", "restart_lower_bounds", 1.0),
    ("objective_trace", "restart_objectives", 1.0),
    ("inertia_trace", "restart_inertias", -1.0),
    ("free_energy_trace", "restart_free_energies", -1.0),
)


def is_clusters(model: Any) -> bool:
    """Whether an estimator is fitted and has centres of clusters or components."""
    return hasattr(model, "means_") or hasattr(model, "cluster_centers_")


def clusters_of(model: Any) -> dict[str, Any]:
    """What `FittedSubspaces` holds, from a fitted estimator of clusters or a mixture."""
    fitted = {name[:-1]: value for name, value in vars(model).items() if name.endswith("_")}
    kind = getattr(model, "covariance_type", None)
    return _fields({**fitted, "covariance_type": kind}, len(getattr(model, "labels_", ())))


def clusters_in(record: Mapping[str, Any], n_rows: int) -> dict[str, Any]:
    """The same from what `lowdim.tl.mixture` left."""
    return _fields({**record, "covariance_type": record["params"].get("covariance_type")}, n_rows)


def _fields(fitted: Mapping[str, Any], n_rows: int) -> dict[str, Any]:
    means = np.asarray(fitted["means" if "means" in fitted else "cluster_centers"], np.float64)
    bases, latent, noise = _shapes(fitted, means, n_rows)
    trace, ends = _course(fitted)
    k = len(means)
    return {
        "weights": np.asarray(fitted.get("weights", np.full(k, 1 / k)), np.float64),
        "means": means,
        "bases": bases,
        "latent_variances": latent,
        "noise_variances": noise,
        "dims": np.array([len(basis) for basis in bases], np.int64),
        "objective_trace": trace,
        "restart_objectives": ends,
        "n_iter": int(fitted["n_iter"]),
        "stop_reason": str(fitted["stop_reason"]),
        "search_trace": np.empty((0, 2)),
        "are_subspaces": False,
    }


def _shapes(
    fitted: Mapping[str, Any], means: Float64Array, n_rows: int
) -> tuple[tuple[Float64Array, ...], tuple[Float64Array, ...], Float64Array]:
    """Bases, variances along them, and off them; nan for a mixture of counts."""
    k, d = means.shape
    if "loadings" in fitted:
        axes, lengths, _ = np.linalg.svd(np.asarray(fitted["loadings"]), full_matrices=False)
        noise = np.asarray(fitted["noise_variances"], np.float64)
        return tuple(axes.swapaxes(1, 2)), tuple(lengths**2 + noise[:, None]), noise
    if "covariances" in fitted:
        covariances = np.asarray(fitted["covariances"], np.float64)
        kind = fitted["covariance_type"]
        if kind != "spherical":
            values, vectors = np.linalg.eigh(matrices(covariances, kind, k, d))
            bases = tuple(vectors[:, :, ::-1].swapaxes(1, 2))
            return bases, tuple(values[:, ::-1]), values[:, 0]
        noise = covariances
    elif "beta" in fitted:
        noise = np.full(k, 0.5 / float(fitted["beta"]))
    elif "inertia" in fitted:
        noise = np.full(k, float(fitted["inertia"]) / max(1, n_rows * d))
    else:
        noise = np.full(k, np.nan)
    nothing = tuple(np.empty((0, d)) for _ in range(k))
    return nothing, tuple(np.empty(0) for _ in range(k)), noise


def _course(fitted: Mapping[str, Any]) -> tuple[Float64Array, Float64Array]:
    """The objective at each step and at the end of each restart, the higher the better."""
    for trace, ends, sign in _TRACES:
        if trace in fitted:
            return sign * np.asarray(fitted[trace]), sign * np.asarray(fitted[ends])
    return np.empty(0), np.empty(0)
