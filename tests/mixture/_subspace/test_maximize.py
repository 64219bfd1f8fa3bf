"""The M-step: closed forms, a slow reference, k-means, and brute force."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.stats import multivariate_normal
from sklearn.cluster import KMeans
from sklearn.mixture import GaussianMixture

from lowdim import SubspaceMixture
from lowdim.mixture._subspace.maximize import reassigned_dims


def stretched(n: int, n_columns: int, seed: int = 0) -> np.ndarray:
    """Rows with a few long axes in arbitrary directions, off the origin."""
    rng = np.random.default_rng(seed)
    sd = np.r_[8.0, 5.0, 3.0, np.linspace(1.5, 0.5, max(n_columns - 3, 0))][:n_columns]
    turn = np.linalg.qr(rng.normal(size=(n_columns, n_columns)))[0]
    return rng.normal(size=(n, n_columns)) * sd @ turn + 5


def check_closed_form(model: SubspaceMixture, X: np.ndarray, d: int, rtol: float) -> None:
    """One component against the eigenvectors of the covariance, all divided by N."""
    n_columns = X.shape[1]
    values, vectors = np.linalg.eigh(np.cov(X.T, bias=True).reshape(n_columns, n_columns))
    values, vectors = values[::-1], vectors[:, ::-1]
    noise = values[d:].sum() / (n_columns - d)
    log_det = np.log(values[:d]).sum() + (n_columns - d) * np.log(noise)
    score = -0.5 * (n_columns * np.log(2 * np.pi) + log_det + n_columns)
    np.testing.assert_allclose(model.means_[0], X.mean(0), rtol=rtol)
    np.testing.assert_allclose(model.latent_variances_[0], values[:d], rtol=rtol)
    np.testing.assert_allclose(model.noise_variances_[0], noise, rtol=rtol)
    assert model.score(X) == pytest.approx(score, rel=rtol)
    assert model.lower_bound_ == pytest.approx(score, rel=rtol)
    expected = vectors[:, :d] @ vectors[:, :d].T
    np.testing.assert_allclose(
        model.bases_[0].T @ model.bases_[0], expected, atol=max(1e-7, np.sqrt(rtol))
    )


@pytest.mark.parametrize(
    ("n", "n_columns", "d"),
    [
        (300, 3, 1),
        (300, 8, 0),
        (40, 8, 7),
        (300, 9, 2),
        (200, 20, 19),
        (300, 64, 3),
        (20, 50, 2),  # fewer rows than columns
    ],
)
@pytest.mark.parametrize("assignment", ["soft", "hard", "closest"])
def test_one_component_is_probabilistic_pca(
    n: int, n_columns: int, d: int, assignment: str
) -> None:
    X = stretched(n, n_columns)
    model = SubspaceMixture(dims=d, assignment=assignment, random_state=0).fit(X)
    check_closed_form(model, X, d, rtol=1e-8)


@pytest.mark.parametrize(
    ("n", "n_columns", "d"), [(400, 100, 2), (30, 100, 3), (60, 600, 2), (400, 300, 5)]
)
@pytest.mark.parametrize(("tol", "rtol"), [(1e-6, 1e-6), (1e-12, 1e-8)])
def test_one_component_in_many_columns_is_probabilistic_pca(
    n: int, n_columns: int, d: int, tol: float, rtol: float
) -> None:
    """Axes turn into place over the iterations there; the last case has hardly a spectral gap."""
    X = stretched(n, n_columns)
    model = SubspaceMixture(dims=d, tol=tol, max_iter=300, random_state=0).fit(X)
    check_closed_form(model, X, d, rtol=rtol)


@pytest.mark.parametrize("n_columns", [1, 2, 6, 20])
def test_full_dimension_is_the_full_gaussian(n_columns: int) -> None:
    X = stretched(200, n_columns)
    C = np.cov(X.T, bias=True).reshape(n_columns, n_columns)
    model = SubspaceMixture(dims=n_columns, random_state=0).fit(X)
    expected = multivariate_normal(X.mean(0), C).logpdf(X)
    np.testing.assert_allclose(model.score_samples(X), expected, rtol=1e-6)
    rebuilt = model.bases_[0].T @ np.diag(model.latent_variances_[0]) @ model.bases_[0]
    np.testing.assert_allclose(rebuilt, C, atol=1e-6 * np.abs(C).max())
    # One direction of noise is as free as an axis, so d = D - 1 is the same Gaussian.
    thinner = SubspaceMixture(dims=n_columns - 1, random_state=0).fit(X)
    assert thinner.score(X) == pytest.approx(model.score(X), rel=1e-9)
    assert thinner.n_parameters() == model.n_parameters()


@pytest.mark.parametrize("assignment", ["soft", "hard"])
@pytest.mark.parametrize("n_columns", [2, 12])
def test_mixture_of_full_gaussians_is_that_of_sklearn(n_columns: int, assignment: str) -> None:
    rng = np.random.default_rng(0)
    X = np.concatenate([stretched(150, n_columns, seed) + 4 * seed for seed in range(3)])
    labels = rng.integers(0, 3, len(X))
    own = SubspaceMixture(
        dims=[n_columns] * 3, init=labels, tol=1e-12, max_iter=5000, assignment=assignment
    ).fit(X)
    peer = GaussianMixture(
        3,
        tol=1e-13,
        reg_covar=0,
        max_iter=5000,
        weights_init=own.weights_,
        means_init=own.means_,
        precisions_init=[
            np.linalg.inv(v.T @ np.diag(latent) @ v)
            for v, latent in zip(own.bases_, own.latent_variances_, strict=True)
        ],
    ).fit(X)
    if assignment == "soft":
        assert own.score(X) == pytest.approx(peer.score(X), rel=1e-6)
        np.testing.assert_allclose(own.means_, peer.means_, atol=1e-3)
    else:  # its likelihood is lower, for it maximises another objective
        assert own.score(X) <= peer.score(X) + 1e-9


@pytest.mark.usefixtures("plain_em")
@pytest.mark.filterwarnings("ignore:.*did not converge")
@pytest.mark.parametrize("hard", [False, True], ids=["soft", "hard"])
@pytest.mark.parametrize("shared", [False, True], ids=["own_noise", "shared_noise"])
@pytest.mark.parametrize("weighted", [False, True], ids=["equal", "weighted"])
@pytest.mark.parametrize(("n_columns", "dims"), [(4, [0, 1, 2]), (12, [1, 3])])
def test_steps_are_those_of_the_reference(
    n_columns: int, dims: list[int], weighted: bool, shared: bool, hard: bool, reference_em: type
) -> None:
    rng = np.random.default_rng(1)
    X = np.concatenate([stretched(60, n_columns, seed) + seed for seed in range(len(dims))])
    labels = rng.integers(0, len(dims), len(X))
    weight = rng.uniform(0.2, 3, len(X)) if weighted else None
    reference = reference_em(dims, hard=hard, shared_noise=shared, weight=weight)
    reference.maximize(X, np.eye(len(dims))[labels])
    for n_steps in range(1, 5):
        reference.maximize(X, reference.shares(X))
        model = SubspaceMixture(
            dims=dims,
            assignment="hard" if hard else "soft",
            shared_noise=shared,
            init=labels,
            max_iter=n_steps,
            tol=0,
            reassign_dims=False,
        ).fit(X, sample_weight=weight)
        np.testing.assert_allclose(model.weights_, reference.weights, rtol=1e-8)
        np.testing.assert_allclose(model.means_, reference.means, rtol=1e-8)
        np.testing.assert_allclose(model.noise_variances_, reference.noise, rtol=1e-8)
        for own, expected in zip(model.latent_variances_, reference.spectra, strict=True):
            np.testing.assert_allclose(own, expected, rtol=1e-8)
        for basis, vectors in zip(model.bases_, reference.vectors, strict=True):
            np.testing.assert_allclose(basis.T @ basis, vectors @ vectors.T, atol=1e-6)


def test_responsibilities_as_a_start_equal_labels_as_a_start() -> None:
    X = stretched(80, 5)
    labels = np.arange(80) % 2
    given = {"dims": [1, 2], "max_iter": 3, "tol": 0.0}
    with pytest.warns(UserWarning, match="did not converge"):
        one = SubspaceMixture(init=labels, **given).fit(X)
        two = SubspaceMixture(init=3.0 * np.eye(2)[labels], **given).fit(X)
    np.testing.assert_array_equal(one.means_, two.means_)


# Hard and closest ---------------------------------------------------------------------------------


@pytest.mark.parametrize("n_columns", [3, 12, 80])
def test_hard_assignment_maximises_the_classification_likelihood(
    n_columns: int, scipy_log_joint: Callable[..., np.ndarray]
) -> None:
    X = np.concatenate([stretched(150, n_columns, seed) + 3 * seed for seed in range(2)])
    model = SubspaceMixture(
        dims=[1, 2], assignment="hard", tol=1e-12, max_iter=500, random_state=0
    ).fit(X)
    scores = scipy_log_joint(model, X)
    assert model.converged_
    assert model.objective_trace_[-1] == pytest.approx(scores.max(1).mean(), rel=1e-8)
    assert model.restart_objectives_.max() == pytest.approx(scores.max(1).mean(), rel=1e-8)
    assert model.lower_bound_ == pytest.approx(model.score(X), rel=1e-8)
    # A fixed point: every component is the closed form of the rows that choose it.
    labels = model.predict(X)
    for k, d in enumerate(model.dims_):
        own = X[labels == k]
        assert model.weights_[k] == pytest.approx(len(own) / len(X), rel=1e-12)
        values = np.linalg.eigvalsh(np.cov(own.T, bias=True))[::-1]
        np.testing.assert_allclose(model.means_[k], own.mean(0), rtol=1e-8, atol=1e-10)
        np.testing.assert_allclose(model.latent_variances_[k], values[:d], rtol=1e-5)
        assert model.noise_variances_[k] == pytest.approx(
            values[d:].sum() / (n_columns - d), rel=1e-5
        )


@pytest.mark.parametrize("n_columns", [2, 12, 80])
def test_nearest_points_are_k_means(n_columns: int) -> None:
    rng = np.random.default_rng(0)
    X = np.concatenate([rng.normal(size=(80, n_columns)) + 2 * k for k in range(4)])
    # Some labels are wrong, but not so many that a cluster would die on the way.
    labels = np.where(rng.random(320) < 0.6, np.repeat(range(4), 80), rng.integers(0, 4, 320))
    centres = np.stack([X[labels == k].mean(0) for k in range(4)])
    own = SubspaceMixture(dims=[0] * 4, assignment="closest", init=labels, tol=0, max_iter=300)
    with pytest.warns(UserWarning, match="did not converge"):  # tol=0 runs on
        own.fit(X)
    peer = KMeans(4, init=centres, n_init=1, tol=0, max_iter=300, algorithm="lloyd").fit(X)
    np.testing.assert_array_equal(own.predict(X), peer.labels_)
    np.testing.assert_allclose(own.means_, peer.cluster_centers_, rtol=1e-8)
    assert -own.objective_trace_[-1] * len(X) == pytest.approx(peer.inertia_, rel=1e-8)
    # What Lloyd leaves out, the mixture adds at the end: weights and one spherical noise.
    np.testing.assert_allclose(own.weights_, np.bincount(peer.labels_) / len(X), rtol=1e-12)
    np.testing.assert_allclose(own.noise_variances_, peer.inertia_ / X.size, rtol=1e-8)


def test_nearest_flats_minimise_distances_to_flats() -> None:
    rng = np.random.default_rng(0)
    axes = rng.normal(size=(2, 6))
    axes /= np.linalg.norm(axes, axis=1, keepdims=True)
    X = np.concatenate([np.outer(5 * rng.normal(size=100), axis) for axis in axes])
    X += 0.1 * rng.normal(size=X.shape)
    model = SubspaceMixture(dims=[1, 1], assignment="closest", tol=1e-12, random_state=0).fit(X)
    labels = model.predict(X)
    inertia = 0.0
    for k in range(2):
        own = X[labels == k]
        inertia += np.square(np.linalg.svd(own - own.mean(0))[1][1:]).sum()
    assert -model.objective_trace_[-1] * len(X) == pytest.approx(inertia, rel=1e-8)
    np.testing.assert_allclose(model.noise_variances_, inertia / (len(X) * 5), rtol=1e-6)
    truth = np.repeat([0, 1], 100)
    assert max((labels == truth).mean(), (labels != truth).mean()) > 0.97


def test_the_nearest_flat_need_not_be_the_most_probable() -> None:
    """A row near the crossing of two lines, where the shorter of them has no rows any more."""
    rng = np.random.default_rng(0)
    short = np.c_[rng.normal(size=100), 0.1 * rng.normal(size=100)]
    long = np.c_[8 + 0.1 * rng.normal(size=100), 30 * rng.normal(size=100)]
    X, labels = np.concatenate([short, long]), np.repeat([0, 1], 100)
    row = np.array([[8.12, 0.02]])
    model = SubspaceMixture(dims=[1, 1], assignment="closest", init=labels).fit(X)
    assert model.predict(row).tolist() == [0]
    assert model.predict_proba(row).argmax() == 1
    np.testing.assert_array_equal(model.transform(row), model.transform(row, 0))
    soft = SubspaceMixture(dims=[1, 1], init=labels).fit(X)
    assert soft.predict(row).tolist() == [1]


# Shared noise -------------------------------------------------------------------------------------


def exact_blob(n: int, values: list[float], centre: float) -> np.ndarray:
    """Rows whose covariance (over n) is exactly diagonal with the given values."""
    X = np.random.default_rng(len(values)).normal(size=(n, len(values)))
    X -= X.mean(0)
    white = X @ np.linalg.inv(np.linalg.cholesky(X.T @ X / n)).T
    return white * np.sqrt(values) + centre


def expected_loss(noise: float, spectra: list[tuple[int, int, list[float]]]) -> float:
    """Minus twice the likelihood of components (n, d, values) that share a noise variance."""
    loss = 0.0
    for n, d, values in spectra:
        axes = [max(v, noise) for v in values[:d]]
        variances = np.array([*axes, *[noise] * (len(values) - d)])
        loss += n * (np.log(variances) + np.array(values) / variances).sum()
    return loss


@pytest.mark.parametrize(
    "spectra",
    [
        [(300, 1, [9.0, 0.5, 0.5, 0.5]), (200, 2, [4.0, 3.0, 0.1, 0.1])],
        # A latent variance below the shared noise joins it ...
        [(300, 1, [0.3, 0.2, 0.1, 0.1]), (300, 1, [9.0, 2.0, 2.0, 2.0])],
        # ... and lowers it, so that another one stays a latent variance after all.
        [(100, 0, [2.0, 2.0, 2.0, 2.0]), (1000, 3, [1.0, 0.5, 0.1, 0.1])],
    ],
)
def test_shared_noise_is_the_constrained_maximum(
    spectra: list[tuple[int, int, list[float]]],
) -> None:
    X = np.concatenate([exact_blob(n, v, 100.0 * i) for i, (n, _, v) in enumerate(spectra)])
    labels = np.repeat(np.arange(len(spectra)), [n for n, _, _ in spectra])
    model = SubspaceMixture(
        dims=[d for _, d, _ in spectra],
        assignment="hard",
        shared_noise=True,
        init=labels,
        reassign_dims=False,
    ).fit(X)
    noise = model.noise_variances_[0]
    assert (model.noise_variances_ == noise).all()
    grid = noise * np.linspace(0.5, 1.5, 2001)  # contains the noise itself
    losses = [expected_loss(value, spectra) for value in grid]
    assert expected_loss(noise, spectra) <= min(losses) * (1 + 1e-9)
    for latent, (_, d, values) in zip(model.latent_variances_, spectra, strict=True):
        np.testing.assert_allclose(latent, np.maximum(values[:d], noise), rtol=1e-8)


@pytest.mark.parametrize("n_columns", [4, 80])
def test_fixed_flats_share_the_noise_too(n_columns: int) -> None:
    """Against the constrained maximum on a grid: a learned variance joins the noise there."""
    rest = [0.1] * (n_columns - 4)
    spectra = [(200, 1, [9.0, 0.5, 0.5, 0.5, *rest]), (100, 2, [4.0, 0.1, 3.0, 2.0, *rest])]
    X = np.concatenate([exact_blob(n, v, 30.0 * i) for i, (n, _, v) in enumerate(spectra)])
    flat = {"mean": np.full(n_columns, 30.0), "basis": np.eye(n_columns)[:2]}
    model = SubspaceMixture(dims=1, fixed=flat, shared_noise=True, random_state=0).fit(X)
    noise = model.noise_variances_[0]
    assert (model.noise_variances_ == noise).all()
    grid = noise * np.linspace(0.5, 1.5, 2001)
    assert expected_loss(noise, spectra) <= min(expected_loss(v, spectra) for v in grid) + 1e-6
    np.testing.assert_allclose(model.latent_variances_[1], [4.0, noise], rtol=1e-6)
    given = {**flat, "latent_variances": [4.0, 0.1]}
    model = SubspaceMixture(dims=1, fixed=given, shared_noise=True, random_state=0).fit(X)
    outside = 200 * sum(spectra[0][2][1:]) + 100 * sum(spectra[1][2][2:])
    pooled = outside / (200 * (n_columns - 1) + 100 * (n_columns - 2))
    np.testing.assert_allclose(model.noise_variances_, pooled, rtol=1e-6)
    assert model.latent_variances_[1].tolist() == [4.0, 0.1]


# Dimensions ---------------------------------------------------------------------------------------


@st.composite
def costs_and_dims(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    k, q = draw(st.integers(2, 5)), draw(st.integers(1, 4))
    cost = draw(hnp.arrays(float, (2, k, q + 1), elements=st.floats(-1e4, 1e4, width=32)))
    dims = draw(hnp.arrays(np.int64, (2, k), elements=st.integers(0, q)))
    return cost, dims


@given(costs_and_dims())
@settings(deadline=None, max_examples=150)
def test_reassigned_dimensions_cost_least_of_all_permutations(
    problem: tuple[np.ndarray, np.ndarray],
) -> None:
    cost, dims = problem
    chosen = reassigned_dims(cost, dims)
    for table, before, after in zip(cost, dims, chosen, strict=True):
        assert sorted(after) == sorted(before)
        rows = np.arange(len(before))
        least = min(table[rows, list(p)].sum() for p in itertools.permutations(before))
        assert table[rows, after].sum() <= least + 1e-8 * max(1, np.abs(table).max())


def test_equal_costs_keep_the_dimensions() -> None:
    cost = np.zeros((1, 3, 3))
    dims = np.array([[2, 0, 1]])
    assert reassigned_dims(cost, dims).tolist() == [[2, 0, 1]]


@pytest.mark.parametrize("assignment", ["soft", "hard", "closest"])
@pytest.mark.parametrize("n_columns", [5, 12, 80])
def test_swapped_dimensions_are_put_right(n_columns: int, assignment: str) -> None:
    """A start that gives the plane one axis and the line two ends with them exchanged."""
    rng = np.random.default_rng(0)
    plane = rng.normal(size=(100, 2)) * [5, 4] @ rng.normal(size=(2, n_columns))
    line = rng.normal(size=(100, 1)) * 5 @ rng.normal(size=(1, n_columns)) + 9
    X = np.concatenate([plane, line]) + 0.1 * rng.normal(size=(200, n_columns))
    labels = np.repeat([0, 1], 100)
    arguments = {"dims": [1, 2], "assignment": assignment, "init": labels}
    model = SubspaceMixture(**arguments).fit(X)
    assert model.dims_.tolist() == [1, 2]
    np.testing.assert_array_equal(model.predict(X), 1 - labels)
    stuck = SubspaceMixture(reassign_dims=False, **arguments).fit(X)
    assert stuck.score(X) < model.score(X) - 0.5
