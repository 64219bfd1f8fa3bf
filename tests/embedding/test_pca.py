"""Principal components: scikit-learn's, whatever holds the rows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp
import sklearn.decomposition
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_digits

import lowdim as ld


@pytest.fixture(scope="module")
def digits() -> np.ndarray:
    return load_digits().data


def assert_same(model: ld.PCA, peer: sklearn.decomposition.PCA, tolerance: float = 1e-7) -> None:
    np.testing.assert_allclose(model.components_, peer.components_, atol=tolerance)
    for name in (
        *("explained_variance_", "explained_variance_ratio_", "singular_values_", "mean_"),
        "noise_variance_",
    ):
        np.testing.assert_allclose(getattr(model, name), getattr(peer, name), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("solver", ["auto", "full", "covariance_eigh", "randomized"])
@pytest.mark.parametrize("sparse", [False, True])
def test_components_are_scikit_learns(digits, solver: str, sparse: bool, monkeypatch) -> None:
    if sparse and solver == "full":
        pytest.skip("sparse rows stay sparse")
    peer = sklearn.decomposition.PCA(8, svd_solver="full").fit(digits)
    X = sp.csr_matrix(digits) if sparse else digits
    monkeypatch.setattr(sp.csr_matrix, "toarray", _refused)
    model = ld.PCA(8, svd_solver=solver, random_state=0)
    if solver == "covariance_eigh" or (solver == "auto" and sparse):
        monkeypatch.undo()  # columns by columns, not rows
    Y = model.fit_transform(X)
    assert_same(model, peer)
    np.testing.assert_allclose(Y, peer.transform(digits), atol=1e-5)
    np.testing.assert_allclose(model.transform(X[:9]), Y[:9], atol=1e-10)
    np.testing.assert_allclose(
        model.inverse_transform(Y), peer.inverse_transform(peer.transform(digits)), atol=1e-5
    )


def _refused(*_: object) -> None:
    raise AssertionError("sparse rows were made dense")


def test_more_columns_than_rows() -> None:
    X = np.random.default_rng(0).normal(size=(60, 3000)) * np.linspace(2, 0.1, 3000)
    peer = sklearn.decomposition.PCA(5, svd_solver="full").fit(X)
    for X_held in (X, sp.csr_matrix(X)):
        assert_same(ld.PCA(5, random_state=0).fit(X_held), peer, 1e-6)
    everything = ld.PCA().fit(X)
    assert everything.components_.shape == (60, 3000)
    assert everything.explained_variance_[-1] < 1e-20


def test_whitened_coordinates_have_a_variance_of_one(digits) -> None:
    model = ld.PCA(6, whiten=True, random_state=0)
    Y = model.fit_transform(digits)
    np.testing.assert_allclose(np.cov(Y.T), np.eye(6), atol=1e-8)
    flat = ld.PCA(6).fit(digits)
    np.testing.assert_allclose(
        model.inverse_transform(Y), flat.inverse_transform(flat.transform(digits)), atol=1e-8
    )


@pytest.mark.parametrize("share", [0.3, 0.9, 0.999])
def test_components_for_a_share_of_the_variance(digits, share: float) -> None:
    peer = sklearn.decomposition.PCA(share, svd_solver="full").fit(digits)
    model = ld.PCA(share).fit(digits)
    assert model.n_components_ == peer.n_components_
    assert model.explained_variance_ratio_.sum() > share


@pytest.mark.parametrize("solver", ["covariance_eigh", "randomized"])
def test_rows_of_a_file_are_read_in_pieces(
    digits, solver: str, tmp_path: Path, monkeypatch
) -> None:
    import anndata

    monkeypatch.setattr("lowdim.embedding._spectral.centred_rows.DENSE_VALUES", 2**14)
    monkeypatch.setattr("lowdim.embedding._spectral.centred_rows.SPARSE_ROWS", 300)
    peer = sklearn.decomposition.PCA(5, svd_solver="full").fit(digits)
    for name, X in (("dense", digits), ("sparse", sp.csr_matrix(digits))):
        path = tmp_path / f"{name}.h5ad"
        anndata.AnnData(X).write_h5ad(path)
        model = ld.PCA(5, svd_solver=solver, random_state=0).fit(path)
        assert_same(model, peer)
        np.testing.assert_allclose(model.transform(path), peer.transform(digits), atol=1e-5)


def test_float32_stays_and_is_as_accurate(digits) -> None:
    X = (digits + 1e4).astype(np.float32)
    model = ld.PCA(5, random_state=0).fit(X)
    peer = sklearn.decomposition.PCA(5, svd_solver="full").fit(X.astype(np.float64))
    assert_same(model, peer, 1e-6)
    assert model.transform(X).dtype == np.float32


def test_leading_axes_need_no_gap() -> None:
    """A flat spectrum has no leading axes, but what is found explains as much as any."""
    X = np.random.default_rng(0).normal(size=(400, 300))
    model = ld.PCA(10, svd_solver="randomized", tol=1e-4, random_state=0).fit(X)
    peer = sklearn.decomposition.PCA(10, svd_solver="full").fit(X)
    np.testing.assert_allclose(model.explained_variance_, peer.explained_variance_, rtol=1e-5)
    few = ld.PCA(10, svd_solver="randomized", max_iter=2, random_state=0).fit(X)
    assert few.n_iter_ == 2


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**20),
    cuts=st.lists(st.integers(1, 59), max_size=4),
    shift=st.sampled_from([0.0, 1e3, -1e6]),
)
def test_pieces_are_as_good_as_the_whole(seed: int, cuts: list[int], shift: float) -> None:
    X = np.random.default_rng(seed).normal(size=(60, 4)) * [3, 2, 1, 0.5] + shift
    model = ld.IncrementalPCA(3)
    for piece in np.split(X, sorted(set(cuts))):
        model.partial_fit(piece)
    whole = sklearn.decomposition.PCA(3, svd_solver="full").fit(X)
    assert model.n_samples_seen_ == 60
    assert_same(model, whole, 1e-7)


def test_pieces_of_any_kind_and_a_new_fit(digits) -> None:
    model = ld.IncrementalPCA(5)
    for start in range(0, 1797, 500):
        piece = digits[start : start + 500]
        model.partial_fit(sp.csr_matrix(piece) if start else piece)
    peer = sklearn.decomposition.PCA(5, svd_solver="full").fit(digits)
    assert_same(model, peer)
    assert_same(model.fit(digits[:300]), sklearn.decomposition.PCA(5).fit(digits[:300]), 1e-6)
    with pytest.raises(ValueError, match="63 features"):
        model.partial_fit(digits[:, 1:])


@pytest.mark.parametrize("model", [ld.PCA(3, whiten=True), ld.IncrementalPCA(3)])
def test_models_are_kept_in_files(digits, model: ld.PCA, tmp_path: Path) -> None:
    model.fit(digits[:500])
    model.save(tmp_path / "model.h5")
    again = type(model).load(tmp_path / "model.h5")
    assert np.array_equal(again.transform(digits), model.transform(digits))
    if isinstance(model, ld.IncrementalPCA):
        more = [one.partial_fit(digits[500:]).components_ for one in (model, again)]
        assert np.array_equal(*more)


def test_constant_columns_and_equal_rows_explain_nothing() -> None:
    X = np.random.default_rng(0).normal(size=(30, 4))
    X[:, 1] = 7.0
    model = ld.PCA().fit(X)
    assert model.explained_variance_[-1] < 1e-12
    same = ld.PCA(2, whiten=True).fit(np.ones((5, 3)))
    assert (same.explained_variance_ratio_ == 0).all()
    assert np.isfinite(same.transform(np.ones((2, 3)))).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_components": 6}, "n_components=6, but the data have only 5"),
        ({"n_components": 0}, "n_components=0"),
        ({"svd_solver": "best"}, "svd_solver='best'"),
        ({"svd_solver": "randomized"}, "fewer than 5 components"),
        ({"tol": 0}, "tol=0"),
        ({"max_iter": 0}, "max_iter=0"),
    ],
)
def test_bad_arguments_are_named(arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ld.PCA(**arguments).fit(np.random.default_rng(0).normal(size=(20, 5)))


def test_bad_rows_are_named() -> None:
    X = np.random.default_rng(0).normal(size=(20, 5))
    with pytest.raises(ValueError, match="would make the sparse X dense"):
        ld.PCA(2, svd_solver="full").fit(sp.csr_matrix(X))
    with pytest.raises(ValueError, match="X has 3 columns"):
        ld.PCA(2).fit(X).inverse_transform(X[:, :3])
    X[3, 2] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        ld.PCA(2).fit(X)
