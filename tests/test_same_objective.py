"""One objective wherever rows are: a cell for every mixture, every place and both precisions."""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pytest
from accelerator import pretended
from machines import two_workers
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

import lowdim as ld

N, D, ROWS_AT_A_TIME = 600, 8, 130
VALUES = ld.data.subspaces(N, dims=[2, 1, 0], n_columns=D, random_state=0)
RNG = np.random.default_rng(0)
GROUPS = RNG.integers(3, size=N)
COUNTS = RNG.negative_binomial(2, 1 / (1 + 4 * RNG.gamma(0.7, 1.0, size=(3, D))[GROUPS])) * 1.0
CENTRES = VALUES.X[[1, 300, 500]]

MIXTURES: dict[str, tuple[Any, np.ndarray, str]] = {
    "SubspaceMixture": (
        ld.SubspaceMixture(dims=[2, 1, 0], init=VALUES.labels, max_iter=12),
        VALUES.X,
        "lower_bound_",
    ),
    "GaussianMixture": (
        ld.GaussianMixture(3, init_params=VALUES.labels, max_iter=12),
        VALUES.X,
        "lower_bound_",
    ),
    "NegativeBinomialMixture": (
        ld.NegativeBinomialMixture(3, init=GROUPS, max_iter=8, tol=0.0),
        COUNTS,
        "lower_bound_",
    ),
    "KMeans": (ld.KMeans(3, init=CENTRES, tol=0.0), VALUES.X, "inertia_"),
    "SoftKMeans": (ld.SoftKMeans(3, init=CENTRES, beta=0.5, max_iter=12), VALUES.X, "free_energy_"),
}


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    pytest.importorskip("distributed")
    with two_workers() as client:
        yield client


def with_workers(client: Any, n: int) -> None:
    """Wait until the cluster has so many processes."""
    client.cluster.scale(n)
    client.wait_for_workers(n)
    stop = time.monotonic() + 60
    while len(client.scheduler_info(n_workers=-1)["workers"]) != n:
        assert time.monotonic() < stop
        time.sleep(0.05)


def objective(name: str, rows: Any, settings: dict[str, Any]) -> float:
    model, _, attribute = MIXTURES[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        fitted = clone(model).set_params(**settings).fit(rows)
    return float(getattr(fitted, attribute))


def stored(X: np.ndarray, path: Path) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of the format of zarr
        adata = ad.AnnData(X)
        adata.write_zarr(path) if path.suffix == ".zarr" else adata.write_h5ad(path)
    return path


def placed(place: str, X: np.ndarray, folder: Path) -> Any:
    """The rows where they are to be."""
    if place == "h5ad":
        return stored(X, folder / "rows.h5ad")
    if place == "backed":
        return ad.read_h5ad(stored(X, folder / "rows.h5ad"), backed="r")
    if place == "zarr":
        pytest.importorskip("zarr")
        return stored(X, folder / "rows.zarr")
    if place == "lazy":
        pytest.importorskip("xarray")
        return ad.experimental.read_lazy(stored(X, folder / "rows.h5ad"))
    if "workers" in place:
        da = pytest.importorskip("dask.array")
        return da.from_array(X, chunks=(ROWS_AT_A_TIME, D))
    return X


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-8), (np.float32, 1e-4)])
@pytest.mark.parametrize("name", MIXTURES)
@pytest.mark.parametrize(
    "place",
    ["memory", "blocks", "h5ad", "backed", "zarr", "lazy", "device", "2 workers", "4 workers"],
)
def test_the_objective_is_that_of_one_block_in_memory(
    place: str,
    name: str,
    dtype: type,
    tolerance: float,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> None:
    for values in ("DENSE_VALUES", "SPARSE_VALUES"):
        monkeypatch.setattr(f"lowdim.mixture._counts.on_disk.{values}", ROWS_AT_A_TIME * D)
    model, X, _ = MIXTURES[name]
    expected = objective(name, X, {})
    settings: dict[str, Any] = {"device": "cuda"} if place == "device" else {}
    if place != "memory" and "batch_size" in model.get_params():
        settings["batch_size"] = ROWS_AT_A_TIME
    if "workers" in place:
        with_workers(request.getfixturevalue("cluster"), int(place[0]))
    with pretended() if place == "device" else nullcontext():
        found = objective(name, placed(place, X.astype(dtype), tmp_path), settings)
    assert found == pytest.approx(expected, rel=tolerance)
