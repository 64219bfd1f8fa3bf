"""A mixture per sample: parity with single fits, order of rows, sizes, and bad input."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import logsumexp
from scipy.stats import multivariate_normal
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.mixture import GaussianMixture as Peer
from sklearn.utils.estimator_checks import parametrize_with_checks

import lowdim as ld
from lowdim import SampleGaussianMixtures
from lowdim.transport import mixture_distances


def cohort(S: int = 6, n: int = 120, d: int = 3, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Rows of S samples of two components each, in no order; sample s lies around 20 s."""
    rng = np.random.default_rng(seed)
    codes = np.repeat(np.arange(S), n)
    X = rng.normal(size=(S * n, d)) + 20.0 * codes[:, None]
    X[:, 0] += 8.0 * (rng.random(S * n) < 0.4)
    order = rng.permutation(S * n)
    return X[order], np.array([f"p{s:02d}" for s in codes])[order]


def test_every_sample_has_its_own_mixture_whatever_the_order_of_rows() -> None:
    X, samples = cohort()
    model = SampleGaussianMixtures(2, random_state=0).fit(X, samples)
    assert model.names_.tolist() == [f"p{s:02d}" for s in range(6)]
    centres = (model.weights_[:, :, None] * model.means_).sum(1)[:, 1]
    np.testing.assert_allclose(centres, 20 * np.arange(6), atol=0.5)
    again = clone(model).fit(X, samples)
    np.testing.assert_array_equal(again.means_, model.means_)
    order = np.lexsort((X[:, 0], samples))
    sorted_ = clone(model).fit(X[order], samples[order])
    np.testing.assert_array_equal(sorted_.means_, model.means_)
    jobs = clone(model).set_params(n_jobs=2).fit(X, samples)
    np.testing.assert_array_equal(jobs.covariances_, model.covariances_)


@pytest.mark.parametrize("kind", ["full", "diag"])
def test_no_sample_is_fitted_worse_than_by_a_loop_over_scikit_learn(kind: str) -> None:
    X, samples = cohort()
    model = SampleGaussianMixtures(2, covariance_type=kind, tol=1e-8, max_iter=500, random_state=0)
    model.fit(X, samples)
    for s, name in enumerate(model.names_):
        rows = X[samples == name]
        peer = Peer(2, covariance_type=kind, tol=1e-8, max_iter=500, random_state=0).fit(rows)
        assert model.log_likelihoods_[s] >= peer.score(rows) - 1e-4
        assert model.log_likelihoods_[s] == pytest.approx(
            model.score_samples(rows, [name] * len(rows)).mean()
        )


@pytest.mark.parametrize("kind", ["full", "diag"])
def test_every_sample_is_where_scikit_learn_stays(kind: str) -> None:
    """From our parameters its steps gain nothing; that steps agree is told in test_gaussian."""
    X, samples = cohort()
    options = {"covariance_type": kind, "tol": 1e-13, "max_iter": 3000}
    model = SampleGaussianMixtures(2, reg_covar=1e-4, random_state=0, **options).fit(X, samples)
    for s, name in enumerate(model.names_):
        rows, own = X[samples == name], model.mixture(name)
        C = own["covariances"]
        peer = Peer(
            2,
            weights_init=own["weights"] / own["weights"].sum(),
            means_init=own["means"],
            precisions_init=np.linalg.inv(C) if kind == "full" else 1 / C,
            reg_covar=model.added_variances_[s],
            **options,
        ).fit(rows)
        assert model.log_likelihoods_[s] == pytest.approx(peer.score(rows), abs=1e-8)
        np.testing.assert_allclose(peer.means_, own["means"], atol=1e-4)


@given(
    seed=st.integers(0, 2**20),
    scale=st.sampled_from([1e-3, 1e-2, 1e2, 1e4]),
    sizes=st.lists(st.integers(6, 60), min_size=1, max_size=4),
    sharing=st.sampled_from(["sample_specific", "global"]),
)
@settings(deadline=None, max_examples=15)
def test_order_and_units_do_not_matter(
    seed: int, scale: float, sizes: list[int], sharing: str
) -> None:
    rng = np.random.default_rng(seed)
    samples = np.repeat([f"p{s}" for s in range(len(sizes))], sizes)
    X = rng.normal(size=(len(samples), 2)) + 8.0 * (rng.random(len(samples)) < 0.5)[:, None]
    order = rng.permutation(len(X))
    model = SampleGaussianMixtures(2, sharing=sharing, reg_covar=1e-3, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        plain = clone(model).fit(X, samples)
        other = clone(model).fit(X[order], samples[order])
        scaled = clone(model).fit(scale * X, samples)
    np.testing.assert_array_equal(other.means_, plain.means_)
    np.testing.assert_array_equal(other.covariances_, plain.covariances_)
    np.testing.assert_allclose(other.weights_, plain.weights_, rtol=1e-12)
    R = plain.predict_proba(X, samples)
    np.testing.assert_allclose(R.sum(1), 1.0)
    np.testing.assert_allclose(scaled.predict_proba(scale * X, samples), R, atol=1e-5)
    np.testing.assert_allclose(scaled.means_, scale * plain.means_, rtol=1e-4, atol=1e-4 * scale)


def test_answers_are_those_of_the_rows_own_sample() -> None:
    X, samples = cohort()
    model = SampleGaussianMixtures(2, random_state=0).fit(X, samples)
    some = np.random.default_rng(1).choice(len(X), 50, replace=False)
    density, R = (
        model.score_samples(X[some], samples[some]),
        model.predict_proba(X[some], samples[some]),
    )
    for i, row in enumerate(some):
        own = model.mixture(samples[row])
        joint = np.log(own["weights"]) + [
            multivariate_normal(m, C).logpdf(X[row])
            for m, C in zip(own["means"], own["covariances"], strict=True)
        ]
        assert density[i] == pytest.approx(logsumexp(joint), abs=1e-8)
        np.testing.assert_allclose(R[i], np.exp(joint - logsumexp(joint)), atol=1e-9)
    np.testing.assert_array_equal(model.predict(X[some], samples[some]), R.argmax(1))


def test_units_do_not_matter() -> None:
    X, samples = cohort()
    plain = SampleGaussianMixtures(2, random_state=0).fit(X, samples)
    distances = mixture_distances(plain.mixtures())
    for s in (1e-3, 1e3):
        scaled = clone(plain).fit(s * X, samples)
        np.testing.assert_allclose(scaled.means_, s * plain.means_, rtol=1e-8)
        np.testing.assert_allclose(mixture_distances(scaled.mixtures()), s * distances, rtol=1e-7)


@pytest.mark.parametrize("criterion", ["bic", "aic", "heldout_nll"])
def test_every_sample_gets_a_number_of_its_own(criterion: str) -> None:
    rng = np.random.default_rng(0)
    one, two = rng.normal(size=(300, 2)), rng.normal(size=(300, 2))
    two[:150] += 12.0
    X, samples = np.concatenate([one, two]), np.repeat(["one", "two"], 300)
    model = SampleGaussianMixtures([1, 2, 3], criterion=criterion, random_state=0).fit(X, samples)
    if criterion != "aic":  # which often takes one too many
        assert model.n_components_.tolist() == [1, 2]
    assert (model.weights_[0, model.n_components_[0] :] == 0).all()
    table = model.selection_
    assert table.groupby("sample").size().tolist() == [3, 3]
    for s, name in enumerate(model.names_):
        own = table[table["sample"] == name].set_index("n_components")
        assert own["score"].idxmin() == model.n_components_[s]
        held = criterion == "heldout_nll"
        assert (own["n_train"] == (150 if held else 300)).all()
        assert own["validation_nll"].isna().all() != held
    # A number found on some rows is fitted again to all, unless that is not wanted.
    rows = X[samples == "two"]
    whole = model.score_samples(rows, ["two"] * 300).mean()
    half = clone(model).set_params(refit=False).fit(X, samples)
    assert whole >= half.score_samples(rows, ["two"] * 300).mean() - 1e-9


def test_shared_components_differ_in_weights_only() -> None:
    rng = np.random.default_rng(0)
    samples = np.repeat(["a", "b"], 200)
    second = rng.random(400) < np.where(samples == "a", 0.2, 0.7)
    X = rng.normal(size=(400, 2)) + 10.0 * second[:, None]
    model = SampleGaussianMixtures(2, sharing="global", random_state=0).fit(X, samples)
    np.testing.assert_array_equal(model.means_[0], model.means_[1])
    far = int(model.means_[0, :, 0].argmax())
    np.testing.assert_allclose(
        model.weights_[:, far], [second[:200].mean(), second[200:].mean()], atol=1e-6
    )
    np.testing.assert_allclose(model.shared_weights_, model.weights_.mean(0), atol=1e-3)
    distances = mixture_distances(model.mixtures())
    moved = abs(model.weights_[0, far] - model.weights_[1, far])
    apart = np.linalg.norm(model.means_[0, 0] - model.means_[0, 1])
    assert distances[0, 1] == pytest.approx(np.sqrt(moved) * apart, rel=0.01)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda X, s: (X, np.where(np.arange(720) == 7, "lonely", s)), r"too few have 'lonely \(1"),
        (lambda X, s: (np.where((s == "p01")[:, None], 3.0, X), s), "Rows of 'p01' are all the"),
        (lambda X, s: (np.where(np.arange(720)[:, None] == 3, np.nan, X), s), "NaN"),
        (lambda X, s: (X, s[:5]), r"samples has shape \(5,\), expected \(720,\)"),
        (
            lambda X, s: (X, np.where(np.arange(720) == 7, None, s)),
            r"missing in 1 row\(s\), the first 7",
        ),
    ],
)
def test_bad_data_are_named(change: Any, message: str) -> None:
    X, samples = cohort()
    with pytest.raises(ValueError, match=message):
        SampleGaussianMixtures(2, random_state=0).fit(*change(X, samples))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_components": 0}, "n_components"),
        ({"n_components": []}, "n_components is empty"),
        ({"n_components": 500}, r"n_components=500 needs 500 rows .* and 1 more"),
        ({"sharing": "both"}, "sharing"),
        ({"criterion": "icl"}, "criterion"),
        ({"covariance_type": "tied"}, "covariance_type"),
        ({"train_size": 1.0}, "train_size"),
        ({"refit": "full"}, "refit"),
    ],
)
def test_bad_arguments_are_named(options: dict[str, Any], message: str) -> None:
    X, samples = cohort()
    with pytest.raises((ValueError, TypeError), match=message):
        SampleGaussianMixtures(**{"n_components": 2, **options}).fit(X, samples)


def test_what_was_not_fitted_is_named() -> None:
    X, samples = cohort()
    model = SampleGaussianMixtures(2, max_iter=1, tol=0.0, random_state=0)
    with pytest.raises(NotFittedError):
        model.predict(X, samples)
    with pytest.warns(ConvergenceWarning, match="The mixture of 'p00', .* and 1 more did not conv"):
        model.fit(X, samples)
    with pytest.raises(ValueError, match="samples has 'p99', not fitted before"):
        model.predict(X[:2], ["p00", "p99"])
    with pytest.raises(ValueError, match="'p99' is not a sample"):
        model.mixture("p99")


def test_by_default_numbers_are_tried_as_far_as_rows_go() -> None:
    X, samples = cohort(S=2, n=100)
    model = SampleGaussianMixtures(random_state=0).fit(X, samples)
    assert model.selection_["n_components"].unique().tolist() == [1, 2, 3, 4, 5, 6, 8, 10, 12]
    assert model.n_components_.tolist() == [2, 2]
    few = clone(model).fit(X[:70], np.repeat(["a", "b"], [40, 30]))
    assert few.selection_.groupby("sample")["n_components"].max().tolist() == [5, 3]


def test_components_that_have_shrunk_onto_a_row_do_not_win() -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, 3))
    model = SampleGaussianMixtures([1, 12], random_state=0).fit(X, ["a"] * 40)
    table = model.selection_.set_index("n_components")
    assert table["score"].idxmin() == 12  # likelihood without bound
    assert table["degenerate"].tolist() == [False, True]
    assert model.n_components_.tolist() == [1]


@pytest.mark.parametrize("sharing", ["sample_specific", "global"])
@pytest.mark.parametrize("sizes", [2, range(1, 4)])
def test_files_keep_all(sharing: str, sizes: Any, tmp_path: Path) -> None:
    X, samples = cohort(S=3)
    model = SampleGaussianMixtures(sizes, sharing=sharing, random_state=0).fit(X, samples)
    model.save(tmp_path / "model.h5")
    back = ld.load(tmp_path / "model.h5")
    assert isinstance(back, SampleGaussianMixtures)
    for name, value in vars(model).items():
        if isinstance(value, pd.DataFrame):
            pd.testing.assert_frame_equal(getattr(back, name), value)
        elif name.endswith("_"):
            np.testing.assert_array_equal(getattr(back, name), value)
    np.testing.assert_array_equal(back.predict_proba(X, samples), model.predict_proba(X, samples))
    np.testing.assert_array_equal(back.score_samples(X, samples), model.score_samples(X, samples))
    assert clone(back).fit(X, samples).score(X, samples) == model.score(X, samples)


@pytest.mark.parametrize("sharing", ["sample_specific", "global"])
@pytest.mark.parametrize("kind", ["full", "diag"])
def test_parameters_are_enough_to_ask_about_rows(sharing: str, kind: str) -> None:
    X, samples = cohort(S=3)
    model = SampleGaussianMixtures(
        [1, 2, 3], sharing=sharing, covariance_type=kind, random_state=0
    ).fit(X, samples)
    order = [2, 0, 1]
    made = SampleGaussianMixtures.from_parameters(
        model.names_[order],
        model.weights_[order],
        model.means_[order],
        model.covariances_[order],
        shared_weights=model.shared_weights_,
    )
    assert made.names_.tolist() == model.names_.tolist()
    np.testing.assert_array_equal(made.n_components_, model.n_components_)
    for name in ("predict_proba", "score_samples", "predict"):
        np.testing.assert_allclose(
            getattr(made, name)(X, samples), getattr(model, name)(X, samples), atol=1e-12
        )
    some = made.select(["p02", "p00"])
    assert some.names_.tolist() == ["p00", "p02"]
    np.testing.assert_array_equal(some.means_, model.means_[[0, 2]])
    with pytest.raises(ValueError, match="names has 'p77'; the fit has"):
        made.select(["p77"])
    with pytest.raises(ValueError, match="names must be 3 different ones"):
        SampleGaussianMixtures.from_parameters(
            ["a", "a", "b"], model.weights_, model.means_, model.covariances_
        )


def test_new_rows_tell_samples_apart_or_do_not() -> None:
    rng = np.random.default_rng(0)
    names = np.repeat(["far", "near", "twin"], 400)
    X = rng.normal(size=(1200, 2)) + 6.0 * (names == "far")[:, None]
    model = SampleGaussianMixtures(1, random_state=0).fit(X[::2], names[::2])
    table = model.validate(X[1::2], names[1::2])
    assert table["n_rows"].tolist() == [200, 200, 200]
    assert table["nearest"].tolist()[1:] == ["twin", "near"]
    entropy = np.log(2 * np.pi * np.e)
    np.testing.assert_allclose(table["nll"], entropy, atol=0.15)
    assert table["nearest_nll"]["far"] > entropy + 20
    assert abs(table["nearest_nll"] - table["nll"])[["near", "twin"]].max() < 0.05
    alone = model.select(["far"])
    rows = X[1::2][names[1::2] == "far"]
    own = alone.validate(rows, ["far"] * len(rows))
    assert own.columns.tolist() == ["n_rows", "nll"]
    assert own["nll"]["far"] == -alone.score(rows, ["far"] * len(rows))


def test_rows_are_likelier_under_their_samples_weights() -> None:
    rng = np.random.default_rng(0)
    samples = np.repeat(["a", "b"], 300)
    second = rng.random(600) < np.where(samples == "a", 0.1, 0.8)
    X = rng.normal(size=(600, 2)) + 10.0 * second[:, None]
    model = SampleGaussianMixtures(2, sharing="global", random_state=0).fit(X, samples)
    own, pooled = model.score_samples(X, samples), model.score_samples(X)
    # Far apart, a component's density is its weight times the same Gaussian.
    near = int(model.means_[0, :, 0].argmin())
    expected = np.log(model.weights_[1, near] / model.shared_weights_[near])
    np.testing.assert_allclose((own - pooled)[(samples == "b") & ~second], expected, atol=1e-6)
    assert model.log_likelihoods_.mean() == pytest.approx(own.mean())
    assert own.mean() > pooled.mean() + 0.1
    np.testing.assert_array_equal(model.predict(X), model.predict(X, samples))
    with pytest.raises(ValueError, match="samples is missing: each sample has a mixture"):
        SampleGaussianMixtures(2).fit(X, samples).predict(X)


SPARSE = "the check reads classifier_tags of anything that has predict_proba and takes sparse rows"
CALLED_SAMPLES = "the second argument is called samples, which says what it is"
EXPECTED = {
    "check_fit_score_takes_y": CALLED_SAMPLES,
    "check_n_features_in_after_fitting": f"{CALLED_SAMPLES}, and score is called with y=",
    "check_requires_y_none": f"{CALLED_SAMPLES}, and so does the error",
    "check_estimator_sparse_array": SPARSE,
    "check_estimator_sparse_matrix": SPARSE,
}
#: These ask for predictions without saying which sample the rows are of.
WITHOUT_SAMPLES = (
    "check_dict_unchanged",
    "check_dtype_object",
    "check_estimators_dtypes",
    "check_estimators_pickle",
    "check_f_contiguous_array_estimator",
    "check_fit_idempotent",
    "check_methods_sample_order_invariance",
    "check_methods_subset_invariance",
)
NEEDS_SAMPLES = dict.fromkeys(
    WITHOUT_SAMPLES, "each sample has a mixture of its own, so rows alone cannot be asked about"
)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.filterwarnings("ignore:Components of:UserWarning")
@parametrize_with_checks(
    [SampleGaussianMixtures(2, sharing="global"), SampleGaussianMixtures(2)],
    expected_failed_checks=lambda model: (
        EXPECTED if model.sharing == "global" else {**EXPECTED, **NEEDS_SAMPLES}
    ),
)
def test_conventions(estimator: Any, check: Any) -> None:
    check(estimator)


def test_sparse_rows_are_read() -> None:
    X, samples = cohort(S=2)
    dense = SampleGaussianMixtures(2, random_state=0).fit(X, samples)
    sparse = clone(dense).fit(sp.csr_matrix(X), samples)
    np.testing.assert_array_equal(sparse.means_, dense.means_)
