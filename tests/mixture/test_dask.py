"""Mixtures of Dask arrays on clusters of separate processes."""

from __future__ import annotations

import os
import pickle
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import anndata as ad
import joblib
import numpy as np
import pytest
import scipy.sparse as sp
import torch
from machines import losing_a_worker, two_workers
from sklearn.exceptions import ConvergenceWarning

import lowdim as ld
from lowdim.cluster._family import CentroidFamily
from lowdim.data import as_rows
from lowdim.data.standardized import StandardizedRows
from lowdim.data.worker_rows import WorkerRows
from lowdim.mixture._gaussian.family import GaussianFamily
from lowdim.mixture._gaussian.starts import Starter as GaussianStarter
from lowdim.mixture._subspace.family import SubspaceFamily
from lowdim.mixture._subspace.initialize import Starter

da = pytest.importorskip("dask.array")
distributed = pytest.importorskip("distributed")

PLANTED = ld.data.subspaces(900, dims=[2, 1], n_columns=6, random_state=0)
X = PLANTED.X
WIDE = ld.data.subspaces(400, dims=[2, 1], n_columns=80, random_state=0).X
CHUNKS = (300, 100, 250, 0, 250)


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    with two_workers() as client:
        yield client


def chunked(rows: np.ndarray, make: Any = None) -> Any:
    chunks = CHUNKS if len(rows) == sum(CHUNKS) else len(rows) // 4
    array = da.from_array(rows, chunks=(chunks, rows.shape[1]))
    return array if make is None else array.map_blocks(make)


MODELS: dict[str, Callable[[], Any]] = {
    "subspaces": lambda: ld.SubspaceMixture(dims=[2, 1], n_init=3, tol=1e-10, random_state=0),
    "hard": lambda: ld.SubspaceMixture(dims=[2, 1], assignment="hard", n_init=3, random_state=0),
    "closest": lambda: ld.SubspaceMixture(
        dims=[2, 1], assignment="closest", n_init=3, random_state=0
    ),
    "from labels": lambda: ld.SubspaceMixture(dims=[2, 1], init=PLANTED.labels, random_state=0),
    "noise": lambda: ld.SubspaceMixture(
        dims=[2, 1], background="uniform", shared_noise=True, n_init=2, random_state=0
    ),
    "full": lambda: ld.GaussianMixture(2, tol=1e-10, max_iter=500, random_state=0),
    "tied": lambda: ld.GaussianMixture(2, covariance_type="tied", tol=1e-10, random_state=0),
    "diagonal": lambda: ld.GaussianMixture(
        2, covariance_type="diag", tol=1e-10, max_iter=500, random_state=0
    ),
    "from shares": lambda: ld.GaussianMixture(
        2, init_params=PLANTED.labels, tol=1e-10, max_iter=500
    ),
    "low rank": lambda: ld.GaussianMixture(
        2, covariance_type="low_rank", n_init=2, tol=1e-10, random_state=0
    ),
    "kmeans": lambda: ld.KMeans(3, tol=0, n_init=2, random_state=0),
    "soft kmeans": lambda: ld.SoftKMeans(3, tol=1e-10, random_state=0),
}
OBJECTIVES = ("lower_bound_", "inertia_", "free_energy_")


def objective(model: Any) -> float:
    return next(getattr(model, name) for name in OBJECTIVES if hasattr(model, name))


def fit(name: str, rows: Any, **given: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return MODELS[name]().fit(rows, **given)


@pytest.mark.parametrize("name", MODELS)
def test_two_workers_find_what_one_process_does(client: Any, name: str) -> None:
    weights = np.where(np.arange(len(X)) % 7 == 0, 0.0, 1.0 + np.arange(len(X)) % 3)
    weighted = {"sample_weight": weights} if name in ("subspaces", "full", "kmeans") else {}
    alone, spread = fit(name, X, **weighted), fit(name, chunked(X), **weighted)
    assert objective(spread) == pytest.approx(objective(alone), rel=1e-8)
    assert spread.n_iter_ == alone.n_iter_
    np.testing.assert_array_equal(spread.predict(chunked(X)).compute(), alone.predict(X))


@pytest.mark.parametrize("name", ["subspaces", "full", "kmeans", "soft kmeans"])
def test_float32_and_sparse_blocks(client: Any, name: str) -> None:
    stored = np.where(X > 0.3, X, 0.0)
    alone, spread = fit(name, stored), fit(name, chunked(stored, sp.csr_matrix))
    assert objective(spread) == pytest.approx(objective(alone), rel=1e-8)
    single = fit(name, chunked(X.astype(np.float32)))
    assert objective(single) == pytest.approx(objective(fit(name, X)), rel=1e-4)


@pytest.mark.parametrize("make", [None, sp.csr_matrix])
def test_many_columns(client: Any, make: Any) -> None:
    model = ld.SubspaceMixture(dims=[2, 1], n_init=3, tol=1e-10, random_state=0)
    alone = model.fit(WIDE if make is None else make(WIDE)).lower_bound_
    assert model.fit(chunked(WIDE, make)).lower_bound_ == pytest.approx(alone, rel=1e-8)


def test_families_are_sent_without_rows() -> None:
    rows = StandardizedRows(as_rows(X), device=torch.device("cpu"), dtype=torch.float64)
    rng, n, sample = np.random.default_rng(0), len(X), rows.subset(np.arange(len(X)))
    known = (sample, n, X.shape[1], rng)
    for family in (
        GaussianFamily("tied", 1e-6, GaussianStarter(*known), n, torch.zeros(900, 900)),
        SubspaceFamily(Starter(sample, rng, X.shape[1], 2), n, n, 1e-6),
        CentroidFamily(rows, "farthest", rng),
    ):
        assert len(pickle.dumps(family.to_send())) < 3000 < 8 * X.size < len(pickle.dumps(family))


def test_blocks_stay_on_the_workers(client: Any) -> None:
    rows = WorkerRows(as_rows(chunked(X)), dtype=torch.float64, block_rows=64)
    distributed.wait(rows.parts.futures)
    held = client.who_has(rows.parts.futures)
    assert len({worker for workers in held.values() for worker in workers}) == 2
    assert not rows.local
    spots = rows.each(_where_and_what)
    assert len({process for process, _, _ in spots}) == 2
    assert os.getpid() not in {process for process, _, _ in spots}
    assert [start for _, start, _ in spots] == sorted(start for _, start, _ in spots)
    assert max(n for _, _, n in spots) == 64
    assert sum(n for _, _, n in spots) == rows.total(_n_rows) == len(X)
    index = np.array([3, 64, 299, 300, 650, 899])
    alone = StandardizedRows(as_rows(X), device=torch.device("cpu"), dtype=torch.float64)
    np.testing.assert_allclose(rows.mean, alone.mean, rtol=1e-12)
    np.testing.assert_allclose(rows.subset(index).values, alone.subset(index).values, atol=1e-12)
    np.testing.assert_allclose(
        np.concatenate([block.values for block in rows]), next(iter(alone)).values, atol=1e-12
    )


def test_sums_do_not_depend_on_who_is_first(client: Any) -> None:
    bits = {fit("full", chunked(X)).means_.tobytes() for _ in range(2)}
    assert len(bits) == 1
    client.cluster.scale(4)
    client.wait_for_workers(4)
    rows = chunked(X)
    assert fit("full", rows).means_.tobytes() in bits
    for name in ("subspaces", "kmeans"):
        found = objective(fit(name, rows))
        assert found == pytest.approx(objective(fit(name, X)), rel=1e-8)
    client.cluster.scale(2)


def test_a_worker_that_is_killed_does_not_stop_the_fit(client: Any) -> None:
    alone, undisturbed = fit("full", X), fit("full", chunked(X))
    model = losing_a_worker(client, lambda: fit("full", chunked(X)), 10)
    assert model.lower_bound_ == pytest.approx(alone.lower_bound_, rel=1e-8)
    assert model.means_.tobytes() == undisturbed.means_.tobytes()


def test_an_anndata_of_dask_arrays(client: Any) -> None:
    plain, lazy = ad.AnnData(X), ad.AnnData(chunked(X))
    for adata in (plain, lazy):
        ld.tl.subspaces(adata, dims=[2, 1], random_state=0)
    assert plain.obs["subspaces"].tolist() == lazy.obs["subspaces"].tolist()


def test_bootstrap_goes_over_blocks_where_they_are(client: Any) -> None:
    model = fit("subspaces", X)
    alone = ld.bootstrap_subspaces(model, X, n_boot=2, random_state=0)
    spread = ld.bootstrap_subspaces(model, chunked(X), n_boot=2, random_state=0)
    np.testing.assert_allclose(alone.angles_median[0], spread.angles_median[0], rtol=1e-6)


@pytest.mark.parametrize(
    "options", [{"dims": [2, 1], "minibatch_size": 300}, {"dims": "auto", "n_components": 2}]
)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_minibatches_and_a_search(client: Any, options: dict[str, Any]) -> None:
    model = ld.SubspaceMixture(n_init=1, max_iter=10, random_state=0, **options)
    alone = model.fit(X).lower_bound_
    assert model.fit(chunked(X)).lower_bound_ == pytest.approx(alone, rel=1e-6)


def test_restarts_and_candidates_go_to_workers_through_joblib(client: Any) -> None:
    model = ld.SubspaceMixture(dims=[2, 1], n_init=4, n_jobs=2, init="points", random_state=0)
    threads = model.fit(X).restart_objectives_
    estimator = ld.KMeans(2, random_state=0)
    sizes = ld.select_mixture(X, estimator, n_components=[1, 2, 3], n_jobs=2, random_state=0)
    with joblib.parallel_config(backend="dask"):
        found = model.fit(X).restart_objectives_
        # The process that compiles may round otherwise than those that load what it left.
        np.testing.assert_allclose(found, threads, rtol=1e-12)
        there = ld.select_mixture(X, estimator, n_components=[1, 2, 3], n_jobs=2, random_state=0)
    np.testing.assert_allclose(there.table["inertia"], sizes.table["inertia"], rtol=1e-12)


def test_patients_are_fitted_on_workers_through_joblib(client: Any) -> None:
    patients = np.array(["a", "b", "c"])[np.arange(len(X)) % 3]
    model = ld.SampleGaussianMixtures(2, n_jobs=2, random_state=0)
    here = model.fit(X, patients).weights_
    with joblib.parallel_config(backend="dask"):
        there = model.fit(X, patients).weights_
    np.testing.assert_allclose(here, there, rtol=1e-12)


def _where_and_what(block: Any) -> tuple[int, int, int]:
    return os.getpid(), block.start, block.n_rows


def _n_rows(block: Any) -> int:
    return block.n_rows
