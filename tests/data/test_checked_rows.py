"""New rows of a file: read once, checked on the way."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pytest
import scipy.sparse as sp

import lowdim as ld
from lowdim.data import as_rows
from lowdim.data.checked_rows import CheckedRows
from lowdim.data.sources import RowSource

N, D = 300, 12
X = np.where((x := np.random.default_rng(0).normal(size=(N, D))) > 0.3, x, 0.0)

MODELS: dict[str, tuple[Any, list[str]]] = {
    "subspaces": (
        ld.SubspaceMixture(dims=[1, 1], n_init=1, max_iter=3, random_state=0),
        ["predict", "predict_proba", "score_samples", "transform", "reconstruct"],
    ),
    "gaussian": (
        ld.GaussianMixture(2, n_init=1, max_iter=3, reg_covar=1e-2, random_state=0),
        ["predict", "predict_proba", "score_samples"],
    ),
    "low rank": (
        ld.GaussianMixture(2, covariance_type="low_rank", n_init=1, max_iter=3, random_state=0),
        ["predict", "score_samples"],
    ),
    "kmeans": (ld.KMeans(2, max_iter=3, random_state=0), ["predict", "transform", "score"]),
    "soft": (
        ld.SoftKMeans(2, beta=2.0, annealing=None, max_iter=3, random_state=0),
        ["predict", "predict_proba", "transform", "score"],
    ),
}


class Counted:
    """Rows, and how many of them were read."""

    in_memory = False

    def __init__(self, source: RowSource) -> None:
        self.source, self.n_read = source, 0
        self.n_rows, self.n_cols, self.dtype = source.n_rows, source.n_cols, source.dtype
        self.is_sparse, self.feature_names = source.is_sparse, source.feature_names

    def rows(self, start: int, stop: int) -> Any:
        self.n_read += stop - start
        return self.source.rows(start, stop)

    def take(self, index: np.ndarray) -> Any:
        self.n_read += len(index)
        return self.source.take(index)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("make", [np.asarray, sp.csr_matrix])
@pytest.mark.parametrize("name", MODELS)
def test_an_answer_about_rows_of_a_file_reads_them_once(name: str, make: Callable) -> None:
    model, methods = MODELS[name]
    model = model.set_params(batch_size=70).fit(X)
    for method in methods:
        counted = Counted(as_rows(make(X)))
        answer = getattr(model, method)(counted)
        assert counted.n_read == N, method
        np.testing.assert_allclose(answer, getattr(model, method)(X), rtol=1e-8, atol=1e-8)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_an_answer_about_counts_takes_their_check_their_totals_and_a_pass() -> None:
    counts = np.random.default_rng(0).poisson(2.0, size=(N, D)).astype(float)
    model = ld.NegativeBinomialMixture(2, n_init=1, max_iter=3, random_state=0).fit(counts)
    for method in ("predict", "predict_proba", "score_samples"):
        counted = Counted(as_rows(counts))
        answer = getattr(model, method)(counted)
        assert counted.n_read == 3 * N
        np.testing.assert_allclose(answer, getattr(model, method)(counts), rtol=1e-8, atol=1e-12)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("make", [np.asarray, sp.csr_matrix])
@pytest.mark.parametrize("name", MODELS)
def test_values_that_are_not_finite_are_refused_as_in_memory(
    name: str, make: Callable, tmp_path: Path
) -> None:
    model, methods = MODELS[name]
    model = model.set_params(batch_size=70).fit(X)
    bad = X.copy()
    bad[[90, 250], [3, 4]] = np.nan  # in two blocks
    ad.AnnData(make(bad)).write_h5ad(tmp_path / "bad.h5ad")
    for method in methods:
        said = []
        for rows in (make(bad), tmp_path / "bad.h5ad"):
            with pytest.raises(ValueError, match="NaN") as error:
                getattr(model, method)(rows)
            said.append(str(error.value))
        assert said[0] == said[1]
        assert "row 90" in said[1]


def test_numbers_whose_sum_alone_is_not_finite_pass() -> None:
    rows = np.full((4, 3), 3e38, dtype=np.float32)
    np.testing.assert_array_equal(CheckedRows(as_rows(rows)).rows(0, 4), rows)
    np.testing.assert_array_equal(CheckedRows(as_rows(rows)).take(np.array([1])), rows[1:2])
