"""Spectral methods on a pretended device: answers of the host, in so many waits."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from accelerator import pretended
from anndata import AnnData
from scipy.spatial.distance import cdist
from sklearn.base import clone
from sklearn.datasets import load_digits

import lowdim as ld
from lowdim.affinities import UMAPAffinity, UniformAffinity
from lowdim.embedding._crew import Crew
from lowdim.embedding._spectral.device_graph import device_eigenpairs
from lowdim.embedding._spectral.stress import DeviceStress, HostStress

RNG = np.random.default_rng(0)
#: Falling variances about a mean far from zero, so that every axis is told from the others.
ROWS = RNG.normal(size=(700, 30)) * np.linspace(3.0, 0.3, 30) + RNG.normal(size=30) * 5
FITTED = ("explained_variance_", "explained_variance_ratio_", "singular_values_", "mean_")
FORMS = {"dense": np.asarray, "sparse": sp.csr_matrix}


def assert_alike(found: Any, expected: Any, tolerance: float) -> None:
    """The same axes, signs included, and numbers."""
    np.testing.assert_allclose(found.components_, expected.components_, atol=tolerance)
    for name in (*FITTED, "noise_variance_"):
        np.testing.assert_allclose(getattr(found, name), getattr(expected, name), rtol=tolerance)


@pytest.mark.parametrize("free_bytes", [2**30, 1000])
@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-8), ("float32", 1e-4)])
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("solver", ["covariance_eigh", "randomized", "full"])
def test_components_are_those_of_the_host(
    solver: str,
    form: str,
    dtype: str,
    tolerance: float,
    free_bytes: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of rows that stay there, and of rows that are sent in every pass."""
    if (solver, form) == ("full", "sparse"):
        pytest.skip("sparse rows stay sparse")
    monkeypatch.setattr("lowdim.data.standardized.default_block_rows", lambda *_: 250)
    X = FORMS[form](ROWS.astype(dtype))
    settings: dict[str, Any] = {"svd_solver": solver, "random_state": 0, "tol": 1e-12}
    expected = ld.PCA(4, **settings).fit(X)
    with pretended(free_bytes):
        found = ld.PCA(4, device="cuda", **settings).fit(X)
        Y = found.transform(X)
    assert_alike(found, expected, tolerance)
    assert Y.dtype == dtype
    np.testing.assert_allclose(Y, expected.transform(X), atol=tolerance * np.ptp(Y))


def test_shares_of_the_variance_and_whitening() -> None:
    for settings in ({"n_components": 0.8}, {"whiten": True}, {}):
        expected = ld.PCA(**settings).fit(ROWS)
        with pretended():
            found = ld.PCA(**settings, device="cuda").fit(ROWS)
            Y = found.transform(ROWS[:9])
        assert found.n_components_ == expected.n_components_
        assert_alike(found, expected, 1e-8)
        np.testing.assert_allclose(Y, expected.transform(ROWS[:9]), atol=1e-8)


def test_pieces_are_the_whole() -> None:
    with pretended():
        found = ld.IncrementalPCA(4, device="cuda")
        for piece in np.array_split(ROWS, 3):
            found.partial_fit(piece)
        whole = ld.IncrementalPCA(4, device="cuda").fit(ROWS)
    expected = ld.PCA(4).fit(ROWS)
    for model in (found, whole):
        assert_alike(model, expected, 1e-8)
    assert found.n_samples_seen_ == len(ROWS)


@pytest.mark.parametrize("scale", [1e-30, 1e30])
def test_small_and_large_numbers_in_single_precision(scale: float) -> None:
    X = (ROWS * scale).astype(np.float32)
    expected = ld.PCA(3, random_state=0).fit(X)
    with pretended():
        found = ld.PCA(3, device="cuda").fit(X)
        Y = found.transform(X)
    assert_alike(found, expected, 1e-4)
    np.testing.assert_allclose(Y, expected.transform(X), atol=1e-4 * np.abs(Y).max())


def test_constant_rows_have_no_variance() -> None:
    with pretended():
        found = ld.PCA(2, device="cuda").fit(np.full((50, 4), 3.0))
    np.testing.assert_allclose(found.explained_variance_, 0.0, atol=1e-20)


@pytest.mark.parametrize("free_bytes", [2**30, 1000])
def test_the_host_waits_once_per_block_of_the_krylov_space(
    free_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many blocks of rows there are; the covariance comes in one transfer."""
    X = RNG.normal(size=(300, 400))
    settings: dict[str, Any] = {"svd_solver": "randomized", "random_state": 0, "tol": 1e-12}
    per_pass = []
    for n_rows in (300, 60):
        monkeypatch.setattr("lowdim.data.standardized.default_block_rows", lambda *_, n=n_rows: n)
        counts = []
        for limit in (3, 5):
            with pretended(free_bytes) as log:
                model = ld.PCA(3, device="cuda", max_iter=limit, **settings).fit(X)
            assert model.n_iter_ == limit
            counts.append(len(log.reads))
        per_pass.append((counts[1] - counts[0]) / 2)
        with pretended(free_bytes) as log:
            ld.PCA(3, device="cuda", svd_solver="covariance_eigh").fit(X)
        assert len(log.reads) == 1
    assert per_pass == [1, 1]


MODELS = [ld.PCA(2), ld.IncrementalPCA(2), ld.LaplacianEigenmaps(), ld.PHATE(), ld.KernelPCA(2)]


@pytest.mark.parametrize("model", MODELS, ids=lambda m: type(m).__name__)
def test_a_device_that_is_not_there(model: Any) -> None:
    for device, error in (("tpu", ValueError), (3, TypeError)):
        with pytest.raises(error, match="device"):
            model.set_params(device=device).fit(ROWS)
    model.set_params(device="cpu").fit(ROWS)
    with pytest.raises(ValueError, match="tpu"):
        model.set_params(device="tpu").transform(ROWS)


@pytest.fixture(scope="module")
def digits() -> np.ndarray:
    return load_digits().data[:700]


@pytest.mark.parametrize("affinity", [None, UMAPAffinity(15), "precomputed"])
def test_eigenmaps_are_those_of_the_host(affinity: Any, digits: np.ndarray) -> None:
    settings: dict[str, Any] = {"affinity": affinity, "random_state": 0, "tol": 1e-10}
    X: Any = digits
    if affinity == "precomputed":
        X = UniformAffinity(10).graph(digits).matrix
    expected = ld.LaplacianEigenmaps(3, **settings).fit(X)
    with pretended() as log:
        found = ld.LaplacianEigenmaps(3, device="cuda", **settings).fit(X)
        new = None if affinity == "precomputed" else found.transform(digits[:50] + 0.1)
    assert log.calls > 100
    np.testing.assert_allclose(found.eigenvalues_, expected.eigenvalues_, rtol=1e-8)
    scale = np.abs(expected.embedding_).max()
    np.testing.assert_allclose(found.embedding_, expected.embedding_, atol=1e-6 * scale)
    if new is not None:
        np.testing.assert_allclose(new, expected.transform(digits[:50] + 0.1), atol=1e-5 * scale)


def test_parts_of_a_graph_and_equal_eigenvalues_on_a_device() -> None:
    """A leading eigenvalue as often as there are parts, and a square's pairs of equal ones."""
    side = np.stack(np.meshgrid(np.arange(15.0), np.arange(15.0)), -1).reshape(-1, 2)
    X = np.concatenate([side, side + 1e3])
    expected = ld.LaplacianEigenmaps(5, n_neighbors=8, random_state=0)
    with pretended(), pytest.warns(UserWarning, match="2 parts"):
        found = clone(expected).set_params(device="cuda").fit(X)
    with pytest.warns(UserWarning, match="2 parts"):
        expected.fit(X)
    np.testing.assert_allclose(found.eigenvalues_, expected.eigenvalues_, atol=1e-8)
    W = found.affinities_.matrix.astype(np.float64)
    sums = np.asarray(W.sum(1)).ravel()
    left = (W @ found.embedding_) / sums[:, None] - found.embedding_ * found.eigenvalues_
    assert np.abs(left).max() < 1e-6 * np.abs(found.embedding_).max()


def test_eigenvectors_that_are_not_found_on_a_device(
    digits: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lowdim.embedding.spectral.PRODUCTS", 3)
    with pretended(), pytest.raises(ValueError, match="larger tol"):
        ld.LaplacianEigenmaps(2, device="cuda", random_state=0).fit(digits)


def test_the_host_waits_once_per_product_with_a_graph(digits: np.ndarray) -> None:
    graph = UniformAffinity(10).graph(digits).matrix.astype(np.float64)
    root = np.sqrt(np.asarray(graph.sum(1)).ravel())
    S = sp.csr_matrix(sp.diags_array(1 / root) @ graph @ sp.diags_array(1 / root))
    counts = []
    for limit in (10, 40):
        with pretended() as log:
            device_eigenpairs(
                S,
                3,
                tol=1e-14,
                max_iter=limit,
                rng=np.random.default_rng(0),
                device=torch.device("cuda"),
            )
        counts.append(log.waits)
    assert counts[1] - counts[0] == 30


@pytest.mark.parametrize("settings", [{}, {"n_landmark": 100}, {"mds": "classic", "gamma": 0.0}])
def test_phate_is_that_of_the_host(settings: dict[str, Any], digits: np.ndarray) -> None:
    expected = ld.PHATE(random_state=0, **settings).fit(digits)
    with pretended() as log:
        found = ld.PHATE(device="cuda", random_state=0, **settings).fit(digits)
        new = found.transform(digits[:20] + 0.1)
    assert log.calls > 50
    assert found.potential_.n_steps == expected.potential_.n_steps
    np.testing.assert_allclose(
        found.potential_.values, expected.potential_.values, rtol=1e-6, atol=1e-7
    )
    assert found.stress_ == pytest.approx(expected.stress_, rel=1e-6)
    scale = np.ptp(expected.embedding_)
    np.testing.assert_allclose(found.embedding_, expected.embedding_, atol=1e-3 * scale)
    np.testing.assert_allclose(new, expected.transform(digits[:20] + 0.1), atol=1e-3 * scale)


def test_stress_on_a_device_is_that_of_the_host(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lowdim.embedding._spectral.stress.PAIRS", 1000)
    Y, others = RNG.normal(size=(90, 3)), RNG.normal(size=(90, 5))
    Y[1] = Y[0]
    distances = np.linalg.norm(others[:, None] - others, axis=2)
    with Crew(1) as crew:
        expected = HostStress(distances, crew)(Y)
    with pretended() as log:
        stress = DeviceStress(distances, torch.device("cuda"))
        log.clear()
        found = stress(Y)
    assert log.waits == 1
    assert found[0] == pytest.approx(expected[0], rel=1e-12)
    np.testing.assert_allclose(found[1], expected[1], rtol=1e-9, atol=1e-9)


KERNELS: dict[str, dict[str, Any]] = {
    "linear": {},
    "rbf": {"gamma": 0.002},
    "poly": {"degree": 2, "coef0": 0.5},
    "cosine": {},
    "precomputed": {},
}


@pytest.mark.parametrize("n_landmarks", [None, 120])
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kernel", KERNELS)
def test_kernel_components_are_those_of_the_host(
    kernel: str, form: str, n_landmarks: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From all rows and from landmarks, in several blocks; and places of new rows."""
    monkeypatch.setattr("lowdim.embedding._spectral.device_kernel.VALUES", 120 * 90)
    X, new = ROWS[:400], ROWS[400:450]
    if kernel == "precomputed":
        X, new = np.exp(-0.002 * cdist(X, X) ** 2), np.exp(-0.002 * cdist(new, X) ** 2)
    X, new = FORMS[form](X), FORMS[form](new)
    settings: dict[str, Any] = {"kernel": kernel, "n_landmarks": n_landmarks, "random_state": 0}
    model = ld.KernelPCA(3, **settings, **KERNELS[kernel])
    expected = clone(model).fit(X)
    with pretended() as log:
        found = clone(model).set_params(device="cuda").fit(X)
        places = found.transform(new)
    assert log.calls > 20
    np.testing.assert_array_equal(found.landmarks_, expected.landmarks_)
    np.testing.assert_allclose(found.eigenvalues_, expected.eigenvalues_, rtol=1e-8)
    scale = np.abs(expected.embedding_).max()
    np.testing.assert_allclose(found.embedding_, expected.embedding_, atol=1e-7 * scale)
    np.testing.assert_allclose(places, expected.transform(new), atol=1e-7 * scale)
    on_host = found.set_params(device="cpu").transform(new)
    np.testing.assert_allclose(on_host, places, atol=1e-7 * scale)


def test_all_components_and_matrices_that_are_no_kernel() -> None:
    expected = ld.KernelPCA(kernel="rbf").fit(ROWS[:60])
    with pretended():
        found = ld.KernelPCA(kernel="rbf", device="cuda").fit(ROWS[:60])
        wrong = ld.KernelPCA(2, kernel="precomputed", n_landmarks=20, device="cuda")
        with pytest.raises(ValueError, match="none below zero"):
            wrong.fit(-np.eye(50))
    np.testing.assert_allclose(found.eigenvalues_, expected.eigenvalues_, rtol=1e-8)


def test_the_waits_for_a_kernel_do_not_grow_with_its_blocks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """But for the coordinates, which come block by block."""
    reads = []
    for n_rows in (350, 70):
        monkeypatch.setattr("lowdim.embedding._spectral.device_kernel.VALUES", 100 * n_rows)
        with pretended() as log:
            ld.KernelPCA(2, n_landmarks=100, random_state=0, device="cuda").fit(ROWS)
        reads.append(len(log.reads) - 700 // n_rows)
    assert reads[0] == reads[1] <= 6


def test_landmarks_pass_the_device_on() -> None:
    from sklearn.manifold import Isomap

    model = ld.LandmarkEmbedding(ld.PCA(2), n_landmarks=100, random_state=0)
    expected = clone(model).fit(ROWS)
    with pretended() as log:
        found = clone(model).set_params(device="cuda").fit(ROWS)
    assert log.calls > 5
    assert found.estimator_.device == "cuda" and found.estimator.device == "cpu"
    np.testing.assert_allclose(found.embedding_, expected.embedding_, atol=1e-6)
    with pytest.raises(ValueError, match="no such parameter"):
        ld.LandmarkEmbedding(Isomap(), device="cpu").fit(ROWS)
    with pytest.raises(ValueError, match="tpu"):
        ld.LandmarkEmbedding(device="tpu").fit(ROWS)


@pytest.mark.parametrize("method", ["pca", "laplacian_eigenmaps"])
def test_layouts_of_an_anndata_on_a_device(method: str) -> None:
    adata = AnnData(ROWS[:400].copy())
    expected = ld.tl.embed(adata, method, copy=True)
    with pretended() as log:
        ld.tl.embed(adata, method, params={"device": "cuda"})
    assert log.calls > 5
    key = f"X_{method}"
    assert adata.uns[method]["params"]["device"] == "cuda"
    scale = np.ptp(expected.obsm[key])
    np.testing.assert_allclose(adata.obsm[key], expected.obsm[key], atol=1e-5 * scale)
