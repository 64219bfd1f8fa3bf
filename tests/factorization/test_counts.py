"""Counts as CSR: the sums over them, and fits that are those of dense counts."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pytest
import scipy.sparse as sp
import torch
from scipy.special import gammaln
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

from lowdim import (
    FactorAnalysis,
    HybridSpatialFactorization,
    PoissonNMF,
    SpatialFactorization,
    load,
    select_factors,
)
from lowdim.factorization import _counts
from lowdim.factorization._counts import Counts, DenseCounts, StoredCounts
from lowdim.factorization._rates import Rates
from lowdim.factorization._start import _of_logarithms


def planted(n: int = 240, columns: int = 30) -> tuple[np.ndarray, np.ndarray]:
    """Counts, a sixth of them not zero and more spread out than Poisson's, and places."""
    rng = np.random.default_rng(0)
    places = rng.uniform(0, 10, size=(n, 2))
    logs = np.stack([np.sin(places[:, 0]), np.cos(0.7 * places[:, 1])], 1)
    rate = np.exp(1.2 * logs - 1) @ rng.gamma(0.3, 1, size=(2, columns))
    return rng.poisson(rate * rng.gamma(1, 1, size=rate.shape)).astype(float), places


def forms(y: np.ndarray, dtype: torch.dtype = torch.float64) -> tuple[DenseCounts, StoredCounts]:
    like = torch.empty(0, dtype=dtype)
    return DenseCounts(torch.from_numpy(y).to(like)), StoredCounts.of(sp.csr_array(y), like)


def sums(counts: Counts, sizes: np.ndarray, F: np.ndarray, W: np.ndarray) -> list[torch.Tensor]:
    s, f, w = (torch.from_numpy(part).to(counts.dtype) for part in (sizes, F, W))
    return [
        counts.weighted_logs(s, f, w),
        counts.loading_shares(f, w),
        counts.factor_shares(f, w),
        counts.log_factorials(),
        counts.products(f[0]),
    ]


@pytest.mark.parametrize("on_host", [True, False])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_sums_are_what_they_say(
    on_host: bool, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(1)
    y, _ = planted(50)
    y[3], y[:, 4] = 0, 0
    F, W = rng.gamma(1, 1, size=(2, 50, 3)), rng.gamma(1, 1, size=(30, 3))
    sizes = rng.uniform(0.5, 2, size=50)
    rate = np.einsum("sil,jl->sij", F, W)
    ratio = y / rate
    expected = [
        (y * np.log(sizes[:, None] * rate)).mean(0).sum(0),
        np.einsum("sij,sil->jl", ratio, F) / 2,
        F.transpose(0, 2, 1) * np.einsum("sij,jl->sli", ratio, W),
        gammaln(y + 1).sum(0),
        y.T @ F[0],
    ]
    # Elsewhere than on the host, chunks of stored counts are made dense.
    monkeypatch.setattr(StoredCounts, "_on_host", property(lambda _: on_host))
    monkeypatch.setattr(_counts, "CHUNK_VALUES", 200)
    tolerance = 1e-8 if dtype == torch.float64 else 1e-4
    for counts in forms(y, dtype):
        assert counts.shape == y.shape
        for got, want in zip(sums(counts, sizes, F, W), expected, strict=True):
            assert got.dtype == torch.float64
            np.testing.assert_allclose(got, want, rtol=tolerance, atol=tolerance)


def test_single_precision_holds_sums_over_millions_of_rows() -> None:
    n = 2**21
    y = np.tile([[30.0, 0.0, 17.0]], (n, 1))
    sizes = torch.ones(n)
    mean = torch.full((n, 1), 3.7)
    loadings = torch.ones((3, 1))
    for counts in forms(y, torch.float32):
        totals = counts.products(sizes[:, None])[:, 0]
        np.testing.assert_array_equal(totals, [30 * n, 0, 17 * n])
        rates = Rates(counts, sizes)
        ratio = rates.scaled_loadings(loadings, mean[None], mean, None)[:, 0]
        np.testing.assert_allclose(ratio, y[0] / 3.7, rtol=1e-6)
        rate = np.float64(np.float32(3.7))
        expected = n * (y[0] * np.log(rate) - rate - gammaln(y[0] + 1))
        np.testing.assert_allclose(rates.bound(loadings, mean[None], mean, None), expected, 1e-6)


def test_no_count_at_all() -> None:
    for counts in forms(np.zeros((5, 3))):
        assert counts.log_factorials().dtype == torch.float64
        np.testing.assert_array_equal(counts.log_factorials(), np.zeros(3))


def test_rows_of_stored_counts() -> None:
    y, _ = planted(20)
    dense, stored = forms(y)
    for rows in (slice(0, 20), slice(7, 7), slice(3, 11), torch.tensor([2, 5, 19])):
        np.testing.assert_array_equal(stored.dense(rows), dense.dense(rows))
    np.testing.assert_array_equal(stored.matrix().toarray(), y)


def test_threads_share_the_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    y, _ = planted(2000)
    F, W = rng.gamma(1, 1, size=(1, 2000, 3)), rng.gamma(1, 1, size=(30, 3))
    _, stored = forms(y)
    args = stored, np.ones(2000), F, W
    expected = sums(*args)
    monkeypatch.setattr(_counts, "THREAD_COUNTS", 1)
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        assert len(stored._parts()) == 3
        for got, want in zip(sums(*args), expected, strict=True):
            np.testing.assert_allclose(got, want, rtol=1e-12)
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("share", [0.2, 0.3])
def test_which_counts_are_mostly_zero(share: float, monkeypatch: pytest.MonkeyPatch) -> None:
    y = (np.arange(1000.0) % 10 < 10 * share).reshape(100, 10)
    for counts in forms(y):
        assert not counts.mostly_zero  # too few to matter
    monkeypatch.setattr(_counts, "STORED_FROM", 1000)
    for counts in forms(y):
        assert counts.mostly_zero == (share < 0.25)


SPATIAL = {"random_state": 0, "max_iter": 12}
MODELS = {
    "nsf": SpatialFactorization(2, **SPATIAL),
    "nsf, polished": SpatialFactorization(2, polish=2, **SPATIAL),
    "nsfh": HybridSpatialFactorization(3, 1, size_factors="mean", **SPATIAL),
    "nsf, nb": SpatialFactorization(2, likelihood="negative_binomial", **SPATIAL),
    "rsf": SpatialFactorization(2, nonnegative=False, size_factors="median", **SPATIAL),
    "rsf, nb": SpatialFactorization(
        2, nonnegative=False, likelihood="negative_binomial", **SPATIAL
    ),
    "pnmf": PoissonNMF(2, size_factors="median_ratio", **SPATIAL),
    "fa": FactorAnalysis(2, likelihood="poisson", max_iter=12),
}


def fitted(name: str, X: Any, places: np.ndarray) -> Any:
    model = clone(MODELS[name])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(X, *([places] if hasattr(model, "predict") else []))


def compare(got: Any, want: Any) -> None:
    scale = np.abs(want).max()
    np.testing.assert_allclose(got, want, rtol=1e-8, atol=1e-8 * scale)


@pytest.mark.parametrize("name", MODELS)
def test_a_fit_is_that_of_dense_counts(name: str, tmp_path: Path) -> None:
    y, places = planted()
    rows = sp.csc_matrix(y)
    dense, stored = fitted(name, y, places), fitted(name, rows, places)
    for attribute in ("lower_bounds_", "loadings_", "factors_", "size_factors_"):
        compare(getattr(stored, attribute), getattr(dense, attribute))
    own = [places[:50]] if hasattr(stored, "predict") else []
    new = dense.transform(y[:50], *own)
    compare(stored.transform(sp.csr_array(y[:50]), *own), new)
    stored.save(tmp_path / "fit.h5")
    np.testing.assert_array_equal(load(tmp_path / "fit.h5").loadings_, stored.loadings_)
    if stored._positive:  # the axes of real-valued factors may have other signs, and other draws
        bounds = (m.monte_carlo_bound(X, 3, 0) for m, X in ((stored, rows), (dense, y)))
        compare(*(value for value, _ in bounds))


@pytest.mark.parametrize("name", ["nsf", "pnmf"])
def test_many_counts_that_are_mostly_zero_start_alike(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    y, places = planted()
    few = fitted(name, y, places)
    monkeypatch.setattr(_counts, "STORED_FROM", 1000)
    monkeypatch.setattr("lowdim.factorization._nmf.MOST_ROWS", 200)
    monkeypatch.setattr(_counts, "CHUNK_VALUES", 2000)
    dense, stored = fitted(name, y, places), fitted(name, sp.csr_matrix(y), places)
    np.testing.assert_array_equal(dense.loadings_, stored.loadings_)
    assert dense.lower_bound_ == pytest.approx(few.lower_bound_, rel=1e-3)


def test_a_checkpoint_serves_either_form(tmp_path: Path) -> None:
    y, places = planted()
    path = tmp_path / "fit.h5"
    model = SpatialFactorization(2, random_state=0, checkpoint=path)
    with pytest.warns(ConvergenceWarning):
        clone(model).set_params(max_iter=10).fit(y, places)
    went_on = clone(model).fit(sp.csr_matrix(y), places)
    whole = SpatialFactorization(2, random_state=0).fit(y, places)
    compare(went_on.loadings_, whole.loadings_)
    y[0, 0] += 1
    with pytest.raises(ValueError, match="other data"):
        clone(model).fit(sp.csr_matrix(y), places)


def test_factors_are_selected_from_either_form() -> None:
    y, places = planted(100)
    model = SpatialFactorization(2, random_state=0, max_iter=5)
    dense, stored = (
        select_factors(X, places, model, n_factors=[1, 2], n_splits=1) for X in (y, sp.csr_array(y))
    )
    compare(stored.table["deviance"].to_numpy(), dense.table["deviance"].to_numpy())


@pytest.mark.parametrize(
    "y",
    [np.zeros((40, 6)), np.tile(np.arange(6.0), (40, 1)), np.tile(np.eye(8), (30, 1))],
    ids=["none", "rows alike", "one a row"],
)
@pytest.mark.filterwarnings("ignore:Every step of the factors was refused")
def test_logarithms_may_have_rows_of_equal_sums(y: np.ndarray) -> None:
    dense, stored = (
        [_of_logarithms(Rates(counts, torch.ones(len(y)).double()), 3) for _ in range(2)]
        for counts in forms(y)
    )
    for one, again in zip(*stored, strict=True):
        # Not to the last bit: a library's sums may go by where arrays lie in memory.
        np.testing.assert_allclose(one, again, rtol=1e-9, atol=1e-9)
    for (F, W, centre), (other, loadings, middle) in zip(stored, dense, strict=True):
        np.testing.assert_allclose(centre, middle, atol=1e-12)
        # Equal singular values leave the vectors open, but not how much they explain.
        assert float((F @ W.T).norm()) == pytest.approx(float((other @ loadings.T).norm()))
    model = FactorAnalysis(3, likelihood="poisson", max_iter=3)
    with pytest.warns(ConvergenceWarning):
        assert np.isfinite(model.fit(sp.csr_array(y)).lower_bound_)


def test_gaps_may_be_stored() -> None:
    y, places = planted(100)
    y[y == 2] = np.nan
    dense, stored = (fitted("pnmf", X, places) for X in (y, sp.csr_matrix(y)))
    np.testing.assert_array_equal(stored.loadings_, dense.loadings_)


@pytest.mark.parametrize("name", ["nsf", "nsf, nb", "rsf", "pnmf"])
def test_no_more_than_chunks_are_made_dense(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    n, columns = 400, 1000
    rng = np.random.default_rng(0)
    X = sp.csr_matrix(rng.poisson(0.05, size=(n, columns)))
    monkeypatch.setattr("lowdim.factorization._nmf.MOST_ROWS", 40)
    monkeypatch.setattr(_counts, "CHUNK_VALUES", n * columns // 20)

    def watched(make: Any) -> Any:
        def made(self: Any, *args: Any, **options: Any) -> Any:
            dense = make(self, *args, **options)
            assert np.prod(dense.shape) <= n * columns / 10
            return dense

        return made

    for kind, method in (
        (StoredCounts, "dense"),
        (sp.csr_array, "toarray"),
        (sp.csr_matrix, "toarray"),
    ):
        monkeypatch.setattr(kind, method, watched(getattr(kind, method)))
    model = clone(MODELS[name]).set_params(max_iter=2)
    spatial = hasattr(model, "predict")
    if spatial:
        model.set_params(inducing=20)
    with pytest.warns(ConvergenceWarning):
        model.fit(X, *([rng.uniform(0, 1, size=(n, 2))] if spatial else []))
    assert np.isfinite(model.loadings_).all()


def test_anndata_with_a_sparse_layer() -> None:
    y, places = planted(100)
    adata = ad.AnnData(sp.csr_matrix(y.astype(np.float32)))
    compare(fitted("nsf", adata, places).loadings_, fitted("nsf", y, places).loadings_)
