"""On a CUDA device every model ends where it ends on the host."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp

import lowdim as ld

pytestmark = pytest.mark.gpu

SIMULATED = ld.data.subspaces(2000, dims=[2, 1, 0], n_columns=12, random_state=0)
MODELS: dict[str, tuple[Any, str, str]] = {
    "subspaces": (ld.SubspaceMixture(dims=[2, 1, 0]), "init", "lower_bound_"),
    "hard subspaces": (
        ld.SubspaceMixture(dims=[2, 1, 0], assignment="hard"),
        "init",
        "lower_bound_",
    ),
    "k-means": (ld.KMeans(3), "init", "inertia_"),
    "soft k-means": (ld.SoftKMeans(3, beta=0.5), "init", "free_energy_"),
    **{
        kind: (ld.GaussianMixture(3, covariance_type=kind), "init_params", "lower_bound_")
        for kind in ("full", "tied", "diag", "spherical", "low_rank")
    },
}


def fitted(name: str, X: Any, device: str, dtype: str) -> tuple[float, np.ndarray]:
    """The objective, and the component of every row, from the same start."""
    model, start, objective = MODELS[name]
    labels = SIMULATED.labels
    centres = np.stack([SIMULATED.X[labels == k].mean(0) for k in range(3)])
    where = centres if "means" in name else labels
    model = type(model)(**{**model.get_params(), start: where, "device": device, "dtype": dtype})
    model.fit(X)
    return getattr(model, objective), model.predict(X)


@pytest.mark.parametrize("form", [np.asarray, sp.csr_matrix])
@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-8), ("float32", 1e-4)])
@pytest.mark.parametrize("name", MODELS)
def test_devices_agree(name: str, dtype: str, tolerance: float, form: Any) -> None:
    X = form(SIMULATED.X)
    expected, labels = fitted(name, X, "cpu", dtype)
    got, own = fitted(name, X, "cuda", dtype)
    assert got == pytest.approx(expected, rel=tolerance)
    assert (own == labels).mean() > 0.999
