"""Soft k-means: its limits, its relation to Gaussian mixtures, and its free energy."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from scipy.special import logsumexp
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import adjusted_rand_score

from lowdim import KMeans, SoftKMeans


def plain_em(X: np.ndarray, centres: np.ndarray, beta: float, n_steps: int) -> np.ndarray:
    """The two steps of the textbook, in float64."""
    for _ in range(n_steps):
        scores = -beta * np.square(X[:, None] - centres).sum(-1)
        shares = np.exp(scores - logsumexp(scores, axis=1, keepdims=True))
        centres = shares.T @ X / shares.sum(0)[:, None]
    return centres


def spread(model: SoftKMeans) -> float:
    return float(np.ptp(model.cluster_centers_, axis=0).max())


@pytest.mark.parametrize("kind", ["dense", "sparse", "many columns"])
def test_it_ends_at_a_fixed_point_of_the_textbook(kind: str, blobs: Callable) -> None:
    X, _ = blobs(300, 100 if kind == "many columns" else 3, 4, spread=1.0)
    if kind == "sparse":
        X[np.abs(X) < 0.5] = 0.0
    rows = sp.csr_matrix(X) if kind == "sparse" else X
    beta = 2.0 / X.shape[1]
    model = SoftKMeans(4, beta=beta, init=X[:4], tol=1e-14, max_iter=20_000).fit(rows)
    centres = plain_em(X, model.cluster_centers_, beta, 1)
    np.testing.assert_allclose(model.cluster_centers_, centres, atol=1e-5)
    scores = -beta * np.square(X[:, None] - model.cluster_centers_).sum(-1)
    energy = -logsumexp(scores, axis=1).sum() / beta
    assert model.free_energy_ == pytest.approx(energy, rel=1e-9)
    assert -model.score(rows) == pytest.approx(energy, rel=1e-9)
    shares = np.exp(scores - logsumexp(scores, axis=1, keepdims=True))
    np.testing.assert_allclose(model.predict_proba(rows), shares, atol=1e-9)
    assert (np.diff(model.free_energy_trace_) <= 1e-9 * abs(energy)).all()


def test_the_first_steps_are_the_textbooks(blobs: Callable) -> None:
    X, _ = blobs(spread=1.0)
    with pytest.warns(ConvergenceWarning):
        model = SoftKMeans(4, beta=0.5, init=X[:4], max_iter=3).fit(X)
    np.testing.assert_allclose(model.cluster_centers_, plain_em(X, X[:4], 0.5, 3), atol=1e-10)


def test_stiff_is_hard(blobs: Callable) -> None:
    X, _ = blobs(spread=2.0)
    hard = KMeans(4, init=X[:4], tol=0).fit(X)
    soft = SoftKMeans(4, beta=1e4, init=X[:4], tol=1e-12).fit(X)
    np.testing.assert_allclose(soft.cluster_centers_, hard.cluster_centers_, atol=1e-8)
    assert soft.free_energy_ == pytest.approx(hard.inertia_, rel=1e-6)


@pytest.mark.parametrize("n_columns", [2, 5, 90])
def test_below_the_critical_stiffness_all_merge(n_columns: int, blobs: Callable) -> None:
    X, _ = blobs(500, n_columns, 3, spread=3.0)
    critical = 1 / (2 * np.linalg.eigvalsh(np.cov(X.T, bias=True)).max())
    settings = {"init": X[:3], "tol": 1e-13, "max_iter": 50_000}
    with pytest.warns(ConvergenceWarning, match="below the critical stiffness"):
        below = SoftKMeans(3, beta=0.75 * critical, **settings).fit(X)
    above = SoftKMeans(3, beta=2.5 * critical, **settings).fit(X)
    for model in (below, above):
        assert model.critical_beta_ == pytest.approx(critical, rel=1e-5)
    assert spread(below) < 1e-3
    assert spread(above) > 1


@pytest.mark.parametrize("sparse", [False, True], ids=["dense", "sparse"])
def test_few_passes_tell_the_critical_stiffness(
    sparse: bool, blobs: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lowdim.cluster.soft_kmeans import _critical
    from lowdim.data import as_rows
    from lowdim.data.standardized import StandardizedRows

    X, _ = blobs(2000, 200, 5, spread=2.0)
    rows = StandardizedRows(
        as_rows(sp.csr_array(X) if sparse else X),
        device=torch.device("cpu"),
        dtype=torch.float64,
        block_rows=300,
    )
    passes, whole = [], StandardizedRows.total
    monkeypatch.setattr(
        StandardizedRows, "total", lambda data, *given: passes.append(data) or whole(data, *given)
    )
    found = _critical(rows) / rows.scale**2
    assert found == pytest.approx(0.5 / np.linalg.eigvalsh(np.cov(X.T, bias=True))[-1], rel=1e-6)
    assert len(passes) <= 8


def test_it_is_a_mixture_of_spheres_of_equal_weight(blobs: Callable) -> None:
    """Responsibilities are the posterior of spherical Gaussians with variance 1 / (2 beta)."""
    from scipy.stats import multivariate_normal

    X, _ = blobs(200, 3, 3, spread=1.5)
    model = SoftKMeans(3, beta=0.4, random_state=0).fit(X)
    densities = np.stack(
        [multivariate_normal(c, np.eye(3) / 0.8).pdf(X) for c in model.cluster_centers_], 1
    )
    np.testing.assert_allclose(
        model.predict_proba(X), densities / densities.sum(1, keepdims=True), atol=1e-10
    )
    # And the free energy is the likelihood, up to what does not depend on the centroids.
    likelihood = np.log(densities.mean(1)).sum()
    constant = 200 * (np.log(3) - 1.5 * np.log(0.4 / np.pi))
    assert -0.4 * model.free_energy_ == pytest.approx(likelihood + constant, rel=1e-9)


def test_annealing_needs_no_good_start(blobs: Callable) -> None:
    """From the worst start there is, all centroids at one row's surroundings."""
    X, labels = blobs(400, 2, 4, spread=8.0)
    start = X[labels == 0][:4]
    model = SoftKMeans(4, beta=0.5, init=start, annealing="auto", max_iter=5000).fit(X)
    assert adjusted_rand_score(labels, model.labels_) > 0.95
    plain = SoftKMeans(4, beta=0.5, init=start, max_iter=5000).fit(X)
    assert model.free_energy_ <= plain.free_energy_ + 1e-6
    given = SoftKMeans(4, beta=0.5, init=start, annealing=(0.05, 1.1), max_iter=5000).fit(X)
    assert adjusted_rand_score(labels, given.labels_) > 0.95


def test_auto_takes_the_spread_of_hard_clusters(blobs: Callable) -> None:
    X, _ = blobs(2000, 3, 4, spread=8.0)  # of variance one
    assert SoftKMeans(4, random_state=0, n_init=5).fit(X).beta_ == pytest.approx(0.5, rel=0.05)


@pytest.mark.parametrize("scale", [1e-3, 1e4])
def test_units_do_not_matter(scale: float, blobs: Callable) -> None:
    X, _ = blobs(spread=1.0)
    model = SoftKMeans(4, beta=0.5, random_state=0).fit(X)
    moved = SoftKMeans(4, beta=0.5 / scale**2, random_state=0).fit(X * scale)
    np.testing.assert_allclose(moved.cluster_centers_, model.cluster_centers_ * scale, rtol=1e-7)
    assert moved.free_energy_ == pytest.approx(model.free_energy_ * scale**2, rel=1e-9)


def test_many_columns_and_far_rows_stay_finite() -> None:
    X = np.random.default_rng(0).normal(size=(60, 500)) * 100
    X[0] *= 1e4
    model = SoftKMeans(3, beta=1.0, random_state=0).fit(X)
    shares = model.predict_proba(X)
    assert np.isfinite(shares).all()
    np.testing.assert_allclose(shares.sum(1), 1, atol=1e-12)


# Pieces ---------------------------------------------------------------------------------------


def shares_of(X: np.ndarray, centres: np.ndarray, beta: float) -> np.ndarray:
    scores = -beta * np.square(X[:, None] - centres).sum(-1)
    return np.exp(scores - logsumexp(scores, axis=1, keepdims=True))


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_the_first_piece_is_a_step_of_em(sparse: bool, blobs: Callable) -> None:
    X, _ = blobs(spread=1.0)
    rows = sp.csr_matrix(X) if sparse else X
    model = SoftKMeans(4, beta=0.5, init=X[:4], max_iter=1).fit(rows).partial_fit(rows)
    np.testing.assert_allclose(model.cluster_centers_, plain_em(X, X[:4], 0.5, 2), atol=1e-10)
    before = plain_em(X, X[:4], 0.5, 1)
    energy = -logsumexp(-0.5 * np.square(X[:, None] - before).sum(-1), axis=1).sum() / 0.5
    assert model.free_energy_ == pytest.approx(energy, rel=1e-9)
    np.testing.assert_array_equal(model.labels_, model.predict(rows))


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_later_pieces_move_the_sums_by_a_decaying_step(blobs: Callable) -> None:
    X, _ = blobs(400, 3, 4, spread=1.0)
    weight = np.random.default_rng(1).uniform(0, 2, 400)
    model = SoftKMeans(4, beta=0.5, init=X[:4], max_iter=1).fit(X)
    centres, counts, sums = model.cluster_centers_.copy(), 0.0, 0.0
    for t, part in enumerate((slice(0, 150), slice(150, 200), slice(200, 400))):
        shares = shares_of(X[part], centres, 0.5) * weight[part][:, None] / weight[part].sum()
        rho = 1.0 if t == 0 else (t + 2) ** -0.6
        counts = (1 - rho) * counts + rho * shares.sum(0)
        sums = (1 - rho) * sums + rho * shares.T @ X[part]
        centres = sums / counts[:, None]
        model.partial_fit(X[part], sample_weight=weight[part])
        np.testing.assert_allclose(model.cluster_centers_, centres, atol=1e-10)
        assert model.labels_.shape == (len(shares),)


def test_pieces_that_come_again_lead_to_where_the_whole_leads(blobs: Callable) -> None:
    X, _ = blobs(600, 2, 3, spread=2.0)
    whole = SoftKMeans(3, beta=0.5, random_state=0, tol=1e-12).fit(X)
    model = SoftKMeans(3, beta=0.5, init=whole.cluster_centers_ + 0.5, tol=1.0)
    left = []
    for _ in range(100):
        for start in range(0, 600, 100):
            model.partial_fit(X[start : start + 100])
        left.append(np.abs(model.cluster_centers_ - whole.cluster_centers_).max())
    assert left[-1] < 0.2 * left[0]
    assert left[-1] < 0.02
    assert model.beta_ == 0.5
    # And where it leads, the whole stays.
    whole.partial_fit(X).partial_fit(X)
    step = plain_em(X, whole.cluster_centers_, 0.5, 1)
    np.testing.assert_allclose(whole.cluster_centers_, step, atol=1e-6)


def test_pieces_go_on_after_saving(tmp_path: Path, blobs: Callable) -> None:
    X, _ = blobs(400, 3, 4, spread=1.0)
    model = SoftKMeans(4, random_state=0).partial_fit(X[:200]).partial_fit(X[200:300])
    model.save(tmp_path / "model.h5")
    again = SoftKMeans.load(tmp_path / "model.h5")
    for one in (model, again):
        one.partial_fit(X[300:])
    np.testing.assert_array_equal(again.cluster_centers_, model.cluster_centers_)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"beta": 0.0}, "beta=0.0"),
        ({"beta": "soft"}, "beta='soft'"),
        ({"annealing": (0.1, 1.0)}, r"annealing\[1\]"),
        ({"annealing": (0.0, 1.5)}, r"annealing\[0\]"),
        ({"annealing": 0.5}, "is no pair"),
        ({"annealing": "slow"}, "annealing='slow'"),
        ({"tol": -1.0}, "tol"),
    ],
)
def test_bad_arguments_are_named(options: dict, message: str) -> None:
    X = np.random.default_rng(0).normal(size=(20, 2))
    with pytest.raises(ValueError, match=message):
        SoftKMeans(3, **options).fit(X)
