"""Mixtures of counts that lie on the workers of a cluster, each a process of its own."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pytest
import scipy.sparse as sp
from machines import losing_a_worker, two_workers
from sklearn.exceptions import ConvergenceWarning

import lowdim as ld
from lowdim.data import as_rows
from lowdim.data.dask_rows import DaskRows
from lowdim.data.worker_parts import WorkerParts
from lowdim.mixture._counts.on_workers import CountsOnWorkers

da = pytest.importorskip("dask.array")
distributed = pytest.importorskip("distributed")

N, D, K = 700, 25, 3
CHUNKS = (200, 150, 0, 250, 100)
KINDS = ["gene", "component", "global", "poisson"]


def draw() -> tuple[np.ndarray, np.ndarray]:
    """Counts (N, D) of three groups, and the groups."""
    rng = np.random.default_rng(0)
    labels, mean = rng.integers(K, size=N), 3.0 * rng.gamma(0.7, 1.0, size=(K, D))
    rate = rng.lognormal(0, 0.5, size=(N, 1)) * mean[labels]
    counts = rng.poisson(rate * rng.gamma(2.0, 0.5, size=(N, D))).astype(float)
    counts[3, 2], counts[5] = 90.0, 0.0  # a count beyond all others, and a row without any
    return counts, labels


X, LABELS = draw()
WEIGHTS = np.random.default_rng(1).integers(0, 3, N).astype(float)


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    with two_workers() as client:
        yield client


def chunked(make: Any = sp.csr_matrix) -> Any:
    array = da.from_array(X, chunks=(CHUNKS, D))
    return array if make is None else array.map_blocks(make)


def fitted(rows: Any, weight: np.ndarray | None = None, **settings: Any) -> Any:
    """A few iterations from the same start, unless `settings` say otherwise."""
    given = {"init": LABELS, "tol": 0.0, "max_iter": 6, "random_state": 0, **settings}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return ld.NegativeBinomialMixture(K, **given).fit(rows, sample_weight=weight)


def assert_alike(found: Any, expected: Any) -> None:
    assert found.n_iter_ == expected.n_iter_
    assert found.lower_bound_ == pytest.approx(expected.lower_bound_, rel=1e-8)
    np.testing.assert_allclose(found.objective_trace_, expected.objective_trace_, rtol=1e-8)
    np.testing.assert_allclose(found.size_factors_, expected.size_factors_, rtol=1e-6)
    np.testing.assert_array_equal(np.asarray(found.labels_), expected.labels_)


@pytest.mark.parametrize(
    ("kind", "rule"),
    [("gene", "total"), ("component", "estimate"), ("global", None), ("poisson", "estimate")],
)
def test_workers_find_what_one_process_does(client: Any, kind: str, rule: Any) -> None:
    settings = {"dispersion": kind, "size_factors": rule}
    weight = WEIGHTS if kind in ("gene", "component") else None
    assert_alike(fitted(chunked(), weight, **settings), fitted(X, weight, **settings))


START = {"init": "kmeans", "n_init": 2, "tol": 1e-3, "max_iter": 200}


def test_starts_and_dense_blocks(client: Any) -> None:
    assert_alike(
        fitted(chunked(None), shrinkage="auto", **START), fitted(X, shrinkage="auto", **START)
    )
    at_random = {**START, "init": "random"}
    assert_alike(fitted(chunked(), **at_random), fitted(X, **at_random))


def test_given_size_factors_and_a_component_without_rows(client: Any) -> None:
    settings = {"size_factors": np.linspace(0.5, 2.0, N), "init": np.minimum(LABELS, 1)}
    expected = fitted(X, **settings)
    assert len(np.unique(expected.labels_)) == K  # it has found some
    assert_alike(fitted(chunked(), **settings), expected)


def test_counts_stay_on_the_workers_and_sums_come_back(
    client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts = CountsOnWorkers(as_rows(chunked()), np.ones(N))
    distributed.wait(counts.parts.futures)
    spots = {
        worker for workers in client.who_has(counts.parts.futures).values() for worker in workers
    }
    assert len(spots) == 2
    np.testing.assert_array_equal(counts.totals, X.sum(1))
    np.testing.assert_allclose(counts.gene_totals, X.sum(0))
    assert counts.n_stored == np.count_nonzero(X)

    def refuse(*_: Any) -> None:
        raise AssertionError("rows are brought here")

    brought, each = [], WorkerParts.each

    def told(self: WorkerParts, function: Any, along: Any = None) -> list[Any]:
        found = each(self, function, along)
        brought.append(sum(np.size(own) for own in found if isinstance(own, np.ndarray)))
        return found

    for name in ("rows", "take", "_stacked"):
        monkeypatch.setattr(DaskRows, name, refuse)
    monkeypatch.setattr(WorkerParts, "each", told)
    fitted(chunked(), max_iter=20)
    assert sum(brought) <= 2 * N  # totals at the start, labels at the end


def test_bits_do_not_depend_on_the_number_of_workers(client: Any) -> None:
    two = fitted(chunked())
    client.cluster.scale(4)
    client.wait_for_workers(4)
    four = fitted(chunked())
    client.cluster.scale(2)
    assert_alike(four, fitted(X))
    assert four.means_.tobytes() == two.means_.tobytes()


def test_a_worker_that_is_killed_does_not_stop_the_fit(client: Any) -> None:
    settings = {"dispersion": "component", "size_factors": "estimate"}
    undisturbed = fitted(chunked(), **settings)
    model = losing_a_worker(client, lambda: fitted(chunked(), **settings), 6)
    assert_alike(model, fitted(X, **settings))
    assert model.means_.tobytes() == undisturbed.means_.tobytes()


def test_a_fit_that_was_cut_off_goes_on_to_the_same_bits(client: Any, tmp_path: Path) -> None:
    whole = fitted(chunked(), max_iter=8)
    part = {"checkpoint": tmp_path / "fit.h5"}
    fitted(chunked(), max_iter=4, **part)
    again = fitted(chunked(), max_iter=8, **part)
    assert again.means_.tobytes() == whole.means_.tobytes()
    np.testing.assert_array_equal(again.objective_trace_, whole.objective_trace_)


def test_answers_are_lazy_and_those_in_memory(client: Any) -> None:
    model = fitted(chunked())
    for method in ("predict", "predict_proba", "score_samples", "reconstruct"):
        found = getattr(model, method)(chunked())
        assert isinstance(found, da.Array)
        np.testing.assert_allclose(found.compute(), getattr(model, method)(X), rtol=1e-10)
    assert isinstance(model.labels_, da.Array)
    with pytest.raises(ValueError, match=r"first 0\.5 in row 351"):
        bad = X.copy()
        bad[351, 0] = 0.5
        fitted(da.from_array(bad, chunks=(CHUNKS, D)))


def test_an_anndata_whose_counts_are_on_workers(client: Any) -> None:
    plain, lazy = (ad.AnnData(np.zeros((N, D)), layers={"counts": own}) for own in (X, chunked()))
    for adata in (plain, lazy):
        ld.tl.mixture(adata, "negative_binomial", n_components=K, layer="counts")
    assert plain.obs["mixture"].tolist() == lazy.obs["mixture"].tolist()
