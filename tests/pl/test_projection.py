"""Pictures of wide data are orthogonal projections, whatever the data are stored as."""

import numpy as np
import pytest
import scipy.sparse as sp

from lowdim.data import as_rows
from lowdim.pl import _projection
from lowdim.pl._projection import choose_projection


@pytest.fixture
def X() -> np.ndarray:
    rng = np.random.default_rng(0)
    return rng.normal(size=(300, 8)) * np.arange(8, 0, -1) + 5


def test_principal_axes_are_those_of_the_data(X: np.ndarray) -> None:
    projection = choose_projection(as_rows(X), 3)
    np.testing.assert_allclose(
        projection.directions @ projection.directions.T, np.eye(3), atol=1e-12
    )
    expected = np.linalg.svd(X - X.mean(0))[2][:3]
    np.testing.assert_allclose(np.abs(np.sum(projection.directions * expected, axis=1)), 1)
    np.testing.assert_allclose(projection.rows(as_rows(X)).mean(0), 0, atol=1e-12)


def test_sparse_is_projected_as_dense(X: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    X[X < 4] = 0
    dense = choose_projection(as_rows(X), 3)
    monkeypatch.setattr(_projection, "_BLOCK_VALUES", 100)  # no small data: never made dense
    sparse = choose_projection(as_rows(sp.csr_matrix(X)), 3)
    turned = np.sign(np.sum(sparse.directions * dense.directions, axis=1))
    np.testing.assert_allclose(sparse.directions * turned[:, None], dense.directions, atol=1e-6)
    np.testing.assert_allclose(
        sparse.rows(as_rows(sp.csr_matrix(X))) * turned, dense.rows(as_rows(X)), atol=1e-5
    )
    assert sparse.labels == dense.labels


def test_the_sample_repeats(X: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_projection, "_SAMPLE_ROWS", 50)
    first, second = (choose_projection(as_rows(X), 2) for _ in range(2))
    np.testing.assert_array_equal(first.directions, second.directions)
    monkeypatch.setattr(_projection, "_SAMPLE_ROWS", 5_000)
    assert not np.array_equal(first.directions, choose_projection(as_rows(X), 2).directions)


@pytest.mark.parametrize("n_rows", [1, 2, 3])
@pytest.mark.parametrize("kind", [np.asarray, sp.csr_matrix])
def test_hardly_any_rows(X: np.ndarray, n_rows: int, kind: type) -> None:
    projection = choose_projection(as_rows(kind(X[:n_rows])), 3)
    points = projection.rows(as_rows(kind(X[:n_rows])))
    assert points.shape == (n_rows, 3) and np.isfinite(points).all()
    np.testing.assert_allclose(  # all variance fits into three axes
        ((points - points.mean(0)) ** 2).sum(),
        ((X[:n_rows] - X[:n_rows].mean(0)) ** 2).sum(),
        atol=1e-9,
    )


def test_columns_come_through_exactly(X: np.ndarray) -> None:
    projection = choose_projection(as_rows(X), 2, (6, 2))
    np.testing.assert_array_equal(projection.rows(as_rows(X)), X[:, [6, 2]])
    assert projection.labels == ("column 6", "column 2")
    small = choose_projection(as_rows(X[:, :3]), 3)
    np.testing.assert_array_equal(small.rows(as_rows(X[:, :3])), X[:, :3])
