"""Count mixtures against scipy, a generic optimiser, and their own invariants."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.optimize import minimize
from scipy.special import logsumexp
from scipy.stats import nbinom, poisson
from sklearn.base import BaseEstimator
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import adjusted_rand_score
from sklearn.utils.estimator_checks import parametrize_with_checks

import lowdim
from lowdim import NegativeBinomialMixture
from lowdim.data import as_rows

KINDS = ["gene", "component", "global", "poisson"]
RULES = ["total", None, "given", "estimate"]


def draw(
    n: int = 300, d: int = 12, k: int = 3, phi: float = 0.4, level: float = 2.0, seed: int = 0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Counts (N, D), components and size factors of a mixture with distinct profiles."""
    rng = np.random.default_rng(seed)
    mean, labels = level * rng.gamma(1.0, 1.0, size=(k, d)), rng.integers(k, size=n)
    sizes = rng.lognormal(0, 0.4, size=n)
    rate = sizes[:, None] * mean[labels]
    return rng.poisson(rate * rng.gamma(1 / phi, phi, size=rate.shape)), labels, sizes


def scipy_log_joint(model: NegativeBinomialMixture, X: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    noise = np.broadcast_to(np.atleast_2d(model.dispersions_), model.means_.shape)
    columns = []
    for weight, mean, phi in zip(model.weights_, model.means_, noise, strict=True):
        mu = sizes[:, None] * mean
        if model.dispersion == "poisson":
            rows = poisson.logpmf(X, mu).sum(1)
        else:
            rows = nbinom.logpmf(X, 1 / phi, 1 / (1 + phi * mu)).sum(1)
        columns.append(np.log(weight) + rows)
    return np.stack(columns, 1)


def umi(
    n: int,
    d: int,
    k: int,
    *,
    depth: float,
    change: float,
    n_changed: int,
    phi: float = 0.3,
    seed: int,
) -> Any:
    """Sparse counts like those of cells: few high genes, groups that differ in some of them."""
    rng = np.random.default_rng(seed)
    profile = np.tile(rng.gamma(0.5, size=d), (k, 1))
    for own in profile:
        own[rng.choice(d, n_changed, replace=False)] *= np.exp(rng.normal(0, change, n_changed))
    profile /= profile.sum(1, keepdims=True)
    labels = rng.choice(k, size=n, p=rng.dirichlet(np.full(k, 5.0)))
    rate = depth * rng.lognormal(-0.18, 0.6, size=(n, 1)) * profile[labels]
    noise = phi * rng.lognormal(0, 0.3, size=d)
    counts = rng.poisson(rate * rng.gamma(1 / noise, noise, size=rate.shape))
    return sp.csr_matrix(counts), labels, noise


def kmeans_on_log_pca(X: sp.csr_matrix, k: int) -> np.ndarray:
    totals = np.asarray(X.sum(1), float)
    rows = np.log1p(X.toarray() / np.maximum(totals, 1) * totals.mean())
    coordinates = PCA(20, random_state=0).fit_transform(rows)
    return KMeans(k, n_init=10, random_state=0).fit(coordinates).labels_


# Likelihood -------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", [np.asarray, sp.csr_matrix, sp.csc_matrix])
@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("kind", KINDS)
def test_the_likelihood_is_scipys(kind: str, rule: Any, form: Callable) -> None:
    X, _, sizes = draw()
    X[0] = 0  # a row without counts
    X[:, 3] = 0  # a gene without counts
    X[5, 2] = 700  # and one beyond all others
    given = {"size_factors": sizes} if rule == "given" else {}
    model = NegativeBinomialMixture(
        3, dispersion=kind, size_factors=given.get("size_factors", rule), random_state=0
    ).fit(form(X))
    joint = scipy_log_joint(model, X, model.size_factors_)
    assert model.lower_bound_ == pytest.approx(logsumexp(joint, axis=1).mean(), rel=1e-10)
    own = {"size_factors": model.size_factors_}
    rows = model.score_samples(form(X), **own)
    np.testing.assert_allclose(rows, logsumexp(joint, axis=1), rtol=1e-10, atol=1e-9)
    shares = np.exp(joint - logsumexp(joint, axis=1, keepdims=True))
    np.testing.assert_allclose(model.predict_proba(form(X), **own), shares, atol=1e-9)
    np.testing.assert_array_equal(model.predict(form(X), **own), model.labels_)


def test_many_depths_and_large_counts_stay_exact() -> None:
    """Size factors over six decades, counts up to a million."""
    rng = np.random.default_rng(0)
    sizes = np.exp(rng.uniform(-7, 7, size=200))
    X = rng.poisson(sizes[:, None] * rng.gamma(0.5, 1000 / 0.5, size=(200, 8)))
    model = NegativeBinomialMixture(2, size_factors=sizes, random_state=0).fit(X)
    joint = scipy_log_joint(model, X, sizes)
    rows = model.score_samples(X, size_factors=sizes)
    expected = logsumexp(joint, axis=1)  # whose log-gammas of large counts cancel
    assert rows.sum() == pytest.approx(expected.sum(), rel=1e-10)
    np.testing.assert_allclose(rows, expected, rtol=2e-9)


# Maxima -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("sized", [False, True])
def test_one_component_is_where_a_generic_optimiser_ends(sized: bool) -> None:
    X, _, sizes = draw(n=400, d=4, k=1, phi=0.7, level=20.0)
    sizes = sizes if sized else np.ones(400)
    model = NegativeBinomialMixture(1, size_factors=sizes, prior=0, tol=1e-12).fit(X)
    for g in range(4):

        def loss(theta: np.ndarray, g: int = g) -> float:
            mu, phi = np.exp(theta)
            return -float(nbinom.logpmf(X[:, g], 1 / phi, 1 / (1 + phi * mu * sizes)).sum())

        best = minimize(loss, [1.0, -1.0], method="Nelder-Mead", options={"xatol": 1e-8})
        mu, phi = np.exp(best.x)
        assert model.means_[0, g] == pytest.approx(mu, rel=1e-4)
        assert model.dispersions_[g] == pytest.approx(phi, rel=1e-4)
    if not sized:
        np.testing.assert_allclose(model.means_[0], X.mean(0), rtol=1e-9)


def test_common_and_own_dispersions_are_at_their_maximum() -> None:
    X, labels, sizes = draw(n=500, phi=0.5)
    for kind in ("global", "component"):
        model = NegativeBinomialMixture(
            3, dispersion=kind, size_factors=sizes, init=labels, tol=1e-10, prior=0, max_iter=500
        ).fit(X)
        best = logsumexp(scipy_log_joint(model, X, sizes), axis=1).mean()
        for factor in (0.99, 1.01):
            noise = model.dispersions_
            model.dispersions_ = noise * factor
            assert logsumexp(scipy_log_joint(model, X, sizes), axis=1).mean() < best
            model.dispersions_ = noise


def test_poisson_is_the_limit() -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(2, size=600)
    X = rng.poisson(rng.gamma(1.0, 4.0, size=(2, 30))[labels])
    settings = {"size_factors": None, "init": labels}
    flat = NegativeBinomialMixture(2, dispersion="poisson", **settings).fit(X)
    assert flat.dispersions_ == 0.0
    owned = np.eye(2)[flat.labels_]
    means = (owned.T @ X + 5) / (owned.sum(0)[:, None] + 5 / X.mean(0))  # the prior's counts
    np.testing.assert_allclose(flat.means_, means, rtol=1e-3)
    one = NegativeBinomialMixture(2, dispersion="global", **settings).fit(X)
    assert one.dispersions_ < 0.02
    assert one.lower_bound_ == pytest.approx(flat.lower_bound_, abs=0.05)


def test_less_variance_than_poisson_ends_at_the_least_dispersion() -> None:
    X = np.tile([[3], [4], [5]], (200, 2))
    model = NegativeBinomialMixture(1, size_factors=None, tol=0, max_iter=60)
    with pytest.warns(ConvergenceWarning):
        model.fit(X)
    np.testing.assert_allclose(model.dispersions_, 1e-6)


def test_the_dispersion_is_recovered() -> None:
    X, labels, noise = umi(2000, 100, 3, depth=1500, change=1.5, n_changed=30, seed=0)
    model = NegativeBinomialMixture(3, random_state=0).fit(X)
    assert adjusted_rand_score(labels, model.labels_) > 0.98
    often = X.mean(axis=0).A1 > 1
    ratio = model.dispersions_[often] / noise[often]
    assert np.median(ratio) == pytest.approx(1, abs=0.1)
    assert np.abs(np.log(ratio)).mean() < 0.2


def test_shrinkage_helps_where_counts_are_few() -> None:
    X, _, noise = umi(1000, 200, 3, depth=100, change=1.5, n_changed=30, seed=0)
    often = X.mean(axis=0).A1 > 0.05
    errors = []
    for shrinkage in (None, "auto", 1.0):
        model = NegativeBinomialMixture(3, shrinkage=shrinkage, random_state=0).fit(X)
        errors.append(np.square(np.log(model.dispersions_ / noise))[often].mean())
        assert hasattr(model, "dispersion_trend_") == (shrinkage is not None)
    assert max(errors[1:]) < 0.3 * errors[0]


# The objective ----------------------------------------------------------------------------------


@given(
    hnp.arrays(
        np.int64,
        st.tuples(st.integers(4, 25), st.integers(1, 5)),
        elements=st.sampled_from([0, 0, 0, 1, 1, 2, 3, 9, 40, 5000]),
    ),
    st.integers(1, 4),
    st.sampled_from(KINDS),
    st.sampled_from(["total", "estimate", None]),
    st.sampled_from([0.0, 1.0]),
    st.sampled_from([None, 0.5]),
)
@settings(deadline=None, max_examples=150)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_the_objective_never_falls(
    X: np.ndarray, k: int, kind: str, rule: Any, prior: float, shrinkage: Any
) -> None:
    model = NegativeBinomialMixture(
        k,
        dispersion=kind,
        size_factors=rule,
        prior=prior,
        shrinkage=shrinkage,
        n_init=1,
        max_iter=25,
        tol=0,
        random_state=0,
    ).fit(X)
    assert np.isfinite(model.means_).all()
    assert np.isfinite(model.score_samples(X)).all()
    trace = model.objective_trace_
    assert (np.diff(trace) >= -1e-9 * np.maximum(np.abs(trace[1:]), 1)).all()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rule", ["total", "estimate"])
def test_the_objective_never_falls_on_cells(kind: str, rule: str) -> None:
    X, _, _ = umi(400, 300, 5, depth=400, change=1.0, n_changed=20, seed=1)
    model = NegativeBinomialMixture(
        5, dispersion=kind, size_factors=rule, init="random", n_init=1, tol=1e-6, random_state=0
    ).fit(X)
    trace = model.objective_trace_
    assert len(trace) > 5
    assert (np.diff(trace) >= -1e-11 * np.abs(trace[1:])).all()


# Weights, order, forms --------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rule", ["total", "estimate", None])
def test_weights_are_repetitions(kind: str, rule: Any) -> None:
    X, labels, _ = draw(n=120)
    counts = np.random.default_rng(1).integers(0, 4, 120)
    settings = {"dispersion": kind, "size_factors": rule, "tol": 1e-6}
    weighted = NegativeBinomialMixture(3, init=labels, **settings).fit(X, sample_weight=counts)
    repeated = NegativeBinomialMixture(3, init=np.repeat(labels, counts), **settings)
    repeated.fit(np.repeat(X, counts, axis=0))
    np.testing.assert_allclose(weighted.means_, repeated.means_, rtol=1e-7)
    np.testing.assert_allclose(weighted.dispersions_, repeated.dispersions_, rtol=1e-5)
    assert weighted.lower_bound_ == pytest.approx(repeated.lower_bound_, rel=1e-9)
    assert weighted.n_iter_ == repeated.n_iter_


def test_the_order_of_rows_does_not_matter() -> None:
    X, labels, _ = draw()
    order = np.random.default_rng(0).permutation(len(X))
    model = NegativeBinomialMixture(3, init=labels).fit(X)
    moved = NegativeBinomialMixture(3, init=labels[order]).fit(X[order])
    np.testing.assert_allclose(moved.means_, model.means_, rtol=1e-8)
    np.testing.assert_array_equal(moved.labels_, model.labels_[order])


def test_all_forms_of_the_data_are_the_same() -> None:
    import anndata
    import pandas as pd
    import torch

    X, labels, _ = draw()
    adata = anndata.AnnData(np.zeros(X.shape), layers={"counts": sp.csr_matrix(X)})
    frame = pd.DataFrame(X, columns=[f"gene{g}" for g in range(X.shape[1])])
    expected = NegativeBinomialMixture(3, init=labels).fit(X)
    forms = [
        X.astype(np.float32),
        sp.csc_array(X),
        as_rows(adata, layer="counts"),
        frame,
        torch.from_numpy(X),
    ]
    for form in forms:
        model = NegativeBinomialMixture(3, init=labels).fit(form)
        np.testing.assert_allclose(model.means_, expected.means_, rtol=1e-10)
    assert set(NegativeBinomialMixture(3, init=labels).fit(frame).markers(0).index) == set(frame)
    stored = sp.csr_matrix(X)
    stored.data[:5] = 0  # zeros that are stored
    np.testing.assert_allclose(
        NegativeBinomialMixture(3, init=labels).fit(stored).means_,
        NegativeBinomialMixture(3, init=labels).fit(stored.toarray()).means_,
        rtol=1e-10,
    )


def test_starts() -> None:
    X, labels, _ = draw(n=600, level=5.0)
    by_labels = NegativeBinomialMixture(3, init=labels).fit(X)
    by_shares = NegativeBinomialMixture(3, init=np.eye(3)[labels]).fit(X)
    np.testing.assert_array_equal(by_labels.means_, by_shares.means_)
    assert by_labels.restart_objectives_.shape == (1,)
    several = NegativeBinomialMixture(3, init="random", n_init=4, random_state=0).fit(X)
    assert several.restart_objectives_.shape == (4,)
    assert several.objective_trace_[-1] == several.restart_objectives_.max()
    again = NegativeBinomialMixture(3, init="random", n_init=4, random_state=0).fit(X)
    np.testing.assert_array_equal(several.means_, again.means_)


def test_a_component_without_rows_finds_some() -> None:
    X, labels, _ = draw(n=400, k=3, level=8.0)
    start = np.where(labels == 2, 1, labels)  # nothing begins in the third
    model = NegativeBinomialMixture(3, init=start).fit(X)
    assert len(np.unique(model.labels_)) == 3
    assert adjusted_rand_score(labels, model.labels_) > 0.9


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_duplicates_and_nothing_at_all_do_no_harm() -> None:
    for X in (np.zeros((10, 4), int), np.ones((10, 4), int), np.repeat(np.eye(4, dtype=int), 5, 0)):
        model = NegativeBinomialMixture(3, random_state=0).fit(X)
        assert np.isfinite(model.means_).all()
        assert np.isfinite(model.score_samples(X)).all()
        assert model.weights_.sum() == pytest.approx(1)


# New rows, genes, criteria ----------------------------------------------------------------------


def test_new_rows_get_size_factors_by_the_same_rule() -> None:
    X, labels, _ = draw(n=500, level=6.0)
    for rule in ("total", "estimate"):
        model = NegativeBinomialMixture(3, size_factors=rule, random_state=0).fit(X[:300])
        assert model.size_factors_.mean() == pytest.approx(1)
        assert adjusted_rand_score(labels[300:], model.predict(X[300:])) > 0.9
        # A row's answers do not depend on its company, nor its component on its depth.
        np.testing.assert_allclose(
            model.score_samples(X[300:310]), model.score_samples(X[300:])[:10]
        )
        assert (model.predict(10 * X[300:]) == model.predict(X[300:])).mean() > 0.9
    given = NegativeBinomialMixture(3, size_factors=np.ones(500), random_state=0).fit(X)
    with pytest.raises(ValueError, match="size_factors"):
        given.predict(X)
    unseen = np.zeros((500, 1), int)
    wide = NegativeBinomialMixture(3, random_state=0).fit(np.hstack([X, unseen]))
    assert np.isfinite(wide.score_samples(np.hstack([X, unseen + 1]))).all()


def test_samples_and_reconstructions_fit_the_mixture() -> None:
    X, _, _ = draw(n=1000, level=4.0)
    model = NegativeBinomialMixture(3, random_state=0).fit(X)
    drawn, labels = model.sample(20_000, size_factors=np.ones(20_000), random_state=1)
    assert drawn.dtype == np.int64
    for k in range(3):
        own = drawn[labels == k].toarray()
        np.testing.assert_allclose(own.mean(0), model.means_[k], rtol=0.12, atol=0.03)
        variance = model.means_[k] + model.dispersions_ * model.means_[k] ** 2
        np.testing.assert_allclose(own.var(0), variance, rtol=0.4, atol=0.1)
    again = model.fit(drawn).reconstruct(drawn)
    rate = drawn.toarray() / model.size_factors_[:, None]
    low, high = np.minimum(rate, model.means_.min(0)), np.maximum(rate, model.means_.max(0))
    assert ((again >= low - 1e-9) & (again <= high + 1e-9)).all()  # between count and mean


def test_markers_have_honest_errors() -> None:
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1], [100, 300])
    changes, errors = [], []
    mean = np.array([[4.0], [2.0]])
    for _ in range(40):
        rate = np.repeat(mean, 10, axis=1)[labels]
        X = rng.poisson(rate * rng.gamma(1 / 0.3, 0.3, size=rate.shape))
        model = NegativeBinomialMixture(2, size_factors=None, init=labels, max_iter=1, prior=0.01)
        with pytest.warns(ConvergenceWarning):
            table = model.fit(X).markers(0)
        changes += table["log2_fold_change"].tolist()
        errors += table["standard_error"].tolist()
    assert np.mean(changes) == pytest.approx(1, abs=0.03)
    assert np.std(changes) == pytest.approx(np.mean(errors), rel=0.15)


def test_parameters_are_counted() -> None:
    X, _, _ = draw()
    expected = {"gene": 36 + 12 + 2, "component": 72 + 2, "global": 36 + 1 + 2, "poisson": 36 + 2}
    for kind, number in expected.items():
        model = NegativeBinomialMixture(3, dispersion=kind, random_state=0).fit(X)
        assert model.n_parameters() == number
        total = model.score_samples(X).sum()
        assert model.bic(X) == pytest.approx(number * np.log(300) - 2 * total)
        assert model.aic(X) == pytest.approx(2 * number - 2 * total)
        shares = model.predict_proba(X)
        entropy = -(shares * np.log(np.maximum(shares, 1e-300))).sum()
        assert model.icl(X) == pytest.approx(model.bic(X) + 2 * entropy)


# Agreement --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "setting",
    [
        {"depth": 500, "change": 1.0, "n_changed": 60},
        {"depth": 1500, "change": 1.0, "n_changed": 60, "phi": 2.0},
    ],
)
def test_it_finds_groups_that_kmeans_of_log_counts_misses(setting: dict) -> None:
    X, labels, _ = umi(3000, 2000, 6, **setting, seed=0)
    found = NegativeBinomialMixture(6, n_init=1, random_state=0).fit(X).labels_
    baseline = adjusted_rand_score(labels, kmeans_on_log_pca(X, 6))
    assert adjusted_rand_score(labels, found) >= baseline + 0.08


def test_the_prior_quiets_genes_in_which_components_do_not_differ() -> None:
    """A few genes differ; the others are many and rare."""
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1, 2], 100)
    mean = np.full((3, 2000), 0.05)
    mean[:, :45] = 1.0
    for k in range(3):
        mean[k, 15 * k : 15 * (k + 1)] = 2.2
    X = sp.csr_matrix(rng.poisson(mean[labels] * rng.gamma(2.0, 0.5, size=(300, 2000))))
    scores = []
    for prior in (0.01, 10.0):
        model = NegativeBinomialMixture(3, prior=prior, random_state=0).fit(X)
        scores.append(adjusted_rand_score(labels, model.labels_))
    assert scores[1] > scores[0] + 0.1


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_the_automatic_prior_goes_by_counts_and_genes() -> None:
    rng = np.random.default_rng(0)
    shapes = (90, 20), (400, 200), (4000, 200)
    few, some, many = (rng.poisson(1.0, size=shape) for shape in shapes)
    some[:, 150:] = 0  # genes without counts do not matter
    wide = rng.poisson(60.0, size=(60, 1500))
    for X, most in ((few, 5.0), (some, 15.0), (many, 20.0), (wide, 100.0)):
        for k in (1, 3):
            found = NegativeBinomialMixture(k, max_iter=3, n_init=1, random_state=0).fit(X).prior_
            by_counts = X.sum() / (10 * k * np.count_nonzero(X.sum(0)))
            assert found == pytest.approx(np.clip(by_counts, 5, most), rel=1e-6)
    assert NegativeBinomialMixture(2, prior=7, max_iter=3, random_state=0).fit(few).prior_ == 7.0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("mixology_sc_celseq2", "cell_line"),
        ("worm_neuron", "cell_type"),
        ("kang_control_8_donors", "cell_type"),
    ],
)
def test_real_cells_agree_with_their_labels(datasets: Path, name: str, key: str) -> None:
    import anndata

    adata = anndata.read_h5ad(datasets / f"{name}.h5ad")
    labels = adata.obs[key].astype(str).to_numpy()
    X, k = sp.csr_matrix(adata.X), len(np.unique(labels))
    model = NegativeBinomialMixture(k, random_state=0).fit(X)
    baseline = adjusted_rand_score(labels, kmeans_on_log_pca(X, k))
    assert adjusted_rand_score(labels, model.labels_) >= baseline


# Files ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("kind", KINDS)
def test_a_saved_model_is_the_same(kind: str, rule: Any, tmp_path: Path) -> None:
    X, _, sizes = draw(n=200)
    given = {"size_factors": sizes} if rule == "given" else {}
    model = NegativeBinomialMixture(
        3, dispersion=kind, random_state=0, **{"size_factors": rule, **given}
    ).fit(X)
    model.save(tmp_path / "model.h5")
    again = lowdim.load(tmp_path / "model.h5")
    assert isinstance(again, NegativeBinomialMixture)
    np.testing.assert_array_equal(again.score_samples(X, **given), model.score_samples(X, **given))
    np.testing.assert_array_equal(again.reconstruct(X, **given), model.reconstruct(X, **given))
    assert again.markers(0).equals(model.markers(0))
    np.testing.assert_array_equal(
        again.sample(5, random_state=0)[0].toarray(), model.sample(5, random_state=0)[0].toarray()
    )
    assert vars(again).keys() == vars(model).keys()
    if rule == "given":
        with pytest.raises(ValueError, match="size_factors"):
            again.predict(X)


# Bad input, conventions -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"n_components": 0}, ValueError, "n_components=0"),
        ({"n_components": 41}, ValueError, r"40 sample\(s\).*n_components=41"),
        ({"dispersion": "cell"}, ValueError, "dispersion='cell'"),
        ({"size_factors": "median"}, ValueError, "size_factors='median'"),
        ({"size_factors": np.ones(3)}, ValueError, r"size_factors has shape \(3,\)"),
        ({"size_factors": np.zeros(40)}, ValueError, "size_factors has 40 value"),
        ({"size_factors": ["a"] * 40}, TypeError, "size_factors holds"),
        ({"init": "best"}, ValueError, "init='best'"),
        ({"init": np.zeros((2, 3))}, ValueError, r"init has shape \(2, 3\)"),
        ({"init": np.full(40, 3)}, ValueError, "init holds labels other than 0 to 2"),
        ({"init": np.full((40, 3), -1.0)}, ValueError, "init holds responsibilities"),
        ({"init": np.array(["a"] * 40)}, TypeError, "init has dtype"),
        ({"n_init": 0}, ValueError, "n_init=0"),
        ({"max_iter": 0}, ValueError, "max_iter"),
        ({"tol": -1.0}, ValueError, "tol"),
        ({"prior": -1.0}, ValueError, "prior"),
        ({"prior": "strong"}, ValueError, "prior='strong'"),
        ({"shrinkage": 0.0}, ValueError, "shrinkage"),
        ({"shrinkage": "much"}, ValueError, "shrinkage='much'"),
    ],
)
def test_bad_arguments_are_named(options: dict, error: type[Exception], message: str) -> None:
    X = draw(n=40)[0]
    with pytest.raises(error, match=message):
        NegativeBinomialMixture(**{"n_components": 3, **options}).fit(X)


def test_what_is_not_counts_is_refused() -> None:
    X = draw(n=40)[0].astype(float)
    model = NegativeBinomialMixture(2, random_state=0).fit(X)
    for bad in (X + 0.5, X - 1, np.log1p(X), sp.csr_matrix(np.log1p(X))):
        for call in (NegativeBinomialMixture(2).fit, model.predict):
            with pytest.raises(ValueError, match="X must hold counts"):
                call(bad)
    with pytest.raises(ValueError, match="component=2"):
        model.markers(2)
    with pytest.raises(TypeError, match="component"):
        model.markers("a")
    with pytest.raises(ValueError, match="single component"):
        NegativeBinomialMixture(1).fit(X).markers(0)


class OfAnything(NegativeBinomialMixture):
    """The estimator, fed with the whole parts of numbers: scikit-learn's checks draw fractions."""

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Any:
        return super().fit(whole(X), y, sample_weight)

    def _scored(self, X: Any, size_factors: Any) -> Any:
        return super()._scored(whole(X), size_factors)


def whole(X: Any) -> Any:
    """The whole parts of finite numbers; all else is left to be refused."""
    if sp.issparse(X):
        X = X.copy()
        X.data = whole(X.data)
        return X
    if isinstance(X, np.ndarray) and X.dtype.kind == "O":
        with contextlib.suppress(TypeError, ValueError):
            X = X.astype(float)
    if not isinstance(X, np.ndarray) or X.dtype.kind != "f" or not np.isfinite(X).all():
        return X
    return np.floor(4 * X)


CLASSIFIER = (
    "the check reads classifier_tags of anything that has predict_proba and accepts sparse input"
)
DRAWS = (
    "k-means of the start draws other rows where rows are repeated; from the same start, weights "
    "are repetitions (test_weights_are_repetitions)"
)
EXPECTED = {
    "check_estimator_sparse_array": CLASSIFIER,
    "check_estimator_sparse_matrix": CLASSIFIER,
    "check_sample_weight_equivalence_on_dense_data": DRAWS,
    "check_sample_weight_equivalence_on_sparse_data": DRAWS,
}


@parametrize_with_checks(
    [OfAnything(2, random_state=0, n_init=1)], expected_failed_checks=lambda _: EXPECTED
)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_conventions(estimator: BaseEstimator, check: Callable) -> None:
    check(estimator)
