"""ld.tl.fit_gmm keeps what its arguments promise, and names what it cannot use."""

from __future__ import annotations

from typing import Any

import anndata as ad
import numpy as np
import pytest
import scipy.sparse as sp

import lowdim as ld
from lowdim import SampleDataset, SampleGaussianMixtures


def cohort(S: int = 4, n: int = 80, d: int = 3) -> ad.AnnData:
    """Rows of S samples of two components each, in no order; sample s lies around 20 s."""
    rng = np.random.default_rng(0)
    codes = rng.permutation(np.repeat(np.arange(S), n))
    X = rng.normal(size=(S * n, d)) + 20.0 * codes[:, None]
    X[:, 0] += 8.0 * (rng.random(S * n) < 0.4)
    adata = ad.AnnData(X)
    adata.obs["patient"] = [f"p{s}" for s in codes]
    adata.obs["group"] = np.where(codes % 2, "odd", "even")
    return adata


def fit(data: Any, *args: Any, **options: Any) -> SampleDataset:
    if isinstance(data, ad.AnnData):
        options = {"sample_key": "patient", **options}
    return ld.tl.fit_gmm(data, *args, **{"k_comps": 2, "verbose": False, **options})


def test_it_is_the_estimator_on_what_holds_the_rows() -> None:
    adata = cohort()
    data = fit(adata, label_key="group")
    model = SampleGaussianMixtures(2, n_init=1, reg_covar=1e-4, random_state=0)
    model.fit(adata.X, adata.obs["patient"])
    np.testing.assert_array_equal(data.supports, model.means_)
    assert data.labels.tolist() == ["even", "odd", "even", "odd"]
    np.testing.assert_array_equal(
        adata.obsm["gmm_X_resp"], model.predict_proba(adata.X, adata.obs["patient"])
    )
    np.testing.assert_array_equal(adata.obs["gmm_X_comp"], adata.obsm["gmm_X_resp"].argmax(1))
    again = fit(SampleDataset.from_anndata(adata, sample_key="patient"))
    np.testing.assert_array_equal(again.covariances, data.covariances)
    rows = fit(adata.X, adata.obs["patient"], component_sharing="sample_specific")
    np.testing.assert_array_equal(rows.weights, data.weights)


def test_auto_is_own_components_for_an_anndata_and_shared_ones_for_arrays() -> None:
    adata = cohort()
    rows = (adata.X, adata.obs["patient"])
    assert fit(adata).gmm.sharing == "sample_specific"
    assert fit(SampleDataset.from_anndata(adata, sample_key="patient")).gmm.sharing != "global"
    assert fit(*rows).gmm.sharing == "global"
    assert fit(SampleDataset.from_arrays(*rows)).gmm.sharing == "global"


def test_numbers_are_chosen_from_a_range_by_default() -> None:
    data = fit(cohort(), k_comps=None)
    assert data.gmm.n_components_.tolist() == [2, 2, 2, 2]
    assert data.gmm.selection_["n_components"].max() == 10  # 80 rows in 3 columns


def test_refit_is_what_the_record_says() -> None:
    adata = cohort()
    options = {"k_comps": [1, 2], "k_selection_metric": "heldout_nll", "train_size": 0.25}
    for refit, scope, n_rows in (("full", "all_cells", 320), ("none", "train_split", 80)):
        data = fit(adata, refit=refit, **options)
        record = adata.uns["gmm_X"]
        assert record["weight_inference"]["weights_fit_scope"] == scope
        assert record["backend_metadata"]["fit_indices_count"] == n_rows
        assert record["backend_metadata"]["refit"] == refit
        assert record["selection"]["train_frac"] == 0.25
        # What is told of all rows is of all rows, even where only some were fitted.
        np.testing.assert_allclose(
            data.gmm.log_likelihoods_.mean(), data.gmm.score(adata.X, adata.obs["patient"])
        )


def test_sparse_rows_and_layers() -> None:
    adata = cohort()
    adata.layers["sparse"] = sp.csr_matrix(adata.X)
    data = fit(adata, layer="sparse")
    np.testing.assert_array_equal(data.supports, fit(adata).supports)
    assert adata.uns["gmm_sparse"]["backend_metadata"]["layer"] == "sparse"


def test_small_samples_are_named_and_left_out_only_if_that_is_wanted() -> None:
    adata = cohort()
    patients = adata.obs["patient"].to_numpy(dtype=object)
    patients[[3, 5]] = ["lonely", "tiny"]
    patients[8] = "tiny"
    adata.obs["patient"] = patients
    with pytest.raises(ValueError, match=r"'lonely \(1 rows\)', 'tiny \(2 rows\)'; .*too_small="):
        fit(adata, k_comps=3)
    assert "gmm_X" not in adata.uns
    with pytest.warns(UserWarning, match="leaves out 'lonely', 'tiny', with fewer than 3 rows"):
        data = fit(adata, k_comps=3, too_small="drop")
    assert data.names.tolist() == ["p0", "p1", "p2", "p3"]
    assert adata.uns["gmm_X"]["backend_metadata"]["dropped"] == ["lonely", "tiny"]
    out = np.isin(patients, ["lonely", "tiny"])
    assert (adata.obs["gmm_X_comp"][out] == -1).all()
    assert (adata.obsm["gmm_X_resp"].sum(1).round(12) == ~out).all()
    back = SampleDataset.from_anndata(adata, sample_key="patient", gmm_key="gmm_X")
    assert back.names.tolist() == data.names.tolist()
    assert back.source.n_rows == len(patients) - 3


def test_a_shared_mixture_takes_samples_of_any_size() -> None:
    adata = cohort()
    patients = adata.obs["patient"].to_numpy(dtype=object)
    patients[3] = "lonely"
    adata.obs["patient"] = patients
    data = fit(adata, component_sharing="global")
    np.testing.assert_allclose(data.weights.sum(1), 1.0)
    np.testing.assert_array_equal(data.weights[0], adata.obsm["gmm_X_resp"][3])


def flat() -> tuple[np.ndarray, np.ndarray]:
    """Two samples in three columns; one lies in a plane."""
    rng = np.random.default_rng(0)
    X, samples = rng.normal(size=(120, 3)), np.repeat(["flat", "round"], 60)
    X[:60, 2] = X[:60, 0] - X[:60, 1]
    return X, samples


@pytest.mark.parametrize("scale", [1e-3, 1.0, 300.0])
@pytest.mark.parametrize("kind", ["full", "diag"])
def test_singular_components(scale: float, kind: str) -> None:
    X, samples = flat()
    if kind == "diag":
        X[:60, 2] = 0.0
    options = {"component_sharing": "sample_specific", "covariance_type": kind, "k_comps": 1}
    smallest = {}
    for handling in ("guarded", "robust"):
        with pytest.warns(UserWarning, match="Components of 'flat' are singular"):
            data = fit(scale * X, samples, singularity_handling=handling, eps=1e-4, **options)
        assert data.gmm.singular_.tolist() == [1, 0]
        C = data.covariances[:, 0]
        own = np.linalg.eigvalsh(C)[:, 0] if kind == "full" else C.min(1)
        smallest[handling] = own / (scale**2 * X[:60].var(0).mean())
    assert smallest["guarded"][0] == pytest.approx(1e-4, rel=1e-6)
    assert smallest["robust"][0] == pytest.approx(1e-2, rel=1e-6)
    assert smallest["robust"][1] == smallest["guarded"][1] > 0.1
    with pytest.raises(ValueError, match=r"mixture of 'flat': component 0 of 1 is singular: .* 60"):
        fit(scale * X, samples, singularity_handling="strict", **options)


def test_a_floor_of_zero_is_for_strict_fits() -> None:
    X, samples = flat()
    options = {"component_sharing": "sample_specific", "k_comps": 1, "eps": 0.0}
    with pytest.raises(ValueError, match=r"reg_covar=0 .* needs"):
        fit(X, samples, **options)
    with pytest.raises(ValueError, match="'flat'"):
        fit(X, samples, singularity_handling="strict", **options)
    data = fit(X[60:], samples[60:], singularity_handling="strict", **options)
    np.testing.assert_allclose(data.covariances[0, 0], np.cov(X[60:].T, bias=True), atol=1e-10)


def test_progress_is_shown_per_sample_and_only_then(capsys: pytest.CaptureFixture) -> None:
    fit(cohort())
    assert capsys.readouterr().err == ""
    fit(cohort(), verbose=True)
    assert "4/4" in capsys.readouterr().err


def spoilt(**columns: Any) -> ad.AnnData:
    adata = cohort()
    for name, value in columns.items():
        adata.obs[name] = value
    return adata


def with_rows(patient: str, value: float) -> ad.AnnData:
    adata = cohort()
    own = (adata.obs["patient"] == patient).to_numpy()
    adata.X[own] = value
    return adata


@pytest.mark.parametrize(
    ("make", "options", "error", "message"),
    [
        (cohort, {"sample_key": "who"}, KeyError, "'who' is not a column of obs, which has 'pati"),
        (cohort, {"label_key": "who"}, KeyError, "'who' is not a column of obs"),
        (cohort, {"sample_key": None}, TypeError, "name the samples by sample_key="),
        (cohort, {"use_rep": "X_pca"}, ValueError, "X_pca"),
        (
            cohort,
            {"k_comps": 100},
            ValueError,
            r"^k_comps=100 needs 100 .*'p0 \(80 rows.*, or lower k_comps",
        ),
        (cohort, {"k_comps": []}, ValueError, "k_comps is empty"),
        (cohort, {"k_comps": 0}, ValueError, "k_comps=0 is too small"),
        (cohort, {"k_comps": "auto"}, TypeError, "k_comps='auto' is a str"),
        (cohort, {"component_sharing": "none"}, ValueError, "component_sharing='none'"),
        (cohort, {"k_selection_metric": "icl"}, ValueError, "k_selection_metric='icl'"),
        (cohort, {"refit": True}, (TypeError, ValueError), "refit"),
        (cohort, {"covariance_type": "tied"}, ValueError, "covariance_type='tied'"),
        (cohort, {"singularity_handling": "ignore"}, ValueError, "singularity_handling='ignore'"),
        (cohort, {"too_small": "keep"}, ValueError, "too_small='keep'"),
        (cohort, {"gmm_key": "a/b"}, ValueError, "gmm_key='a/b'"),
        (lambda: with_rows("p2", 1.0), {}, ValueError, "Rows of 'p2' are all the same"),
        (lambda: with_rows("p1", np.nan), {}, ValueError, "NaN(.|\n)*They are of 'p1'"),
        (lambda: with_rows("p1", np.inf), {}, ValueError, "infinity(.|\n)*They are of 'p1'"),
        (
            lambda: spoilt(group=np.arange(320) % 2),
            {"label_key": "group"},
            ValueError,
            "differs within 'p0', 'p1', 'p2', 'p3': the first has",
        ),
        (lambda: spoilt(patient=np.nan), {}, ValueError, r"obs\['patient'\] is missing in 320 row"),
    ],
)
def test_what_cannot_be_used_is_named_and_nothing_is_written(
    make: Any, options: dict[str, Any], error: Any, message: str
) -> None:
    adata = make()
    columns = list(adata.obs)
    with pytest.raises(error, match=message):
        fit(adata, **options)
    assert list(adata.obs) == columns
    assert not adata.uns
    assert not adata.obsm


def test_arguments_that_belong_elsewhere_are_named() -> None:
    adata = cohort()
    data = SampleDataset.from_anndata(adata, sample_key="patient")
    for args, options, message in (
        ((adata.X,), {}, "samples is missing"),
        ((adata.X, adata.obs["patient"]), {"use_rep": "X_pca"}, "use_rep='X_pca' needs an AnnData"),
        ((data, adata.obs["patient"]), {}, "knows its samples"),
        ((adata, adata.obs["patient"]), {}, "leave out samples"),
    ):
        with pytest.raises(TypeError, match=message):
            fit(*args, **options)


@pytest.mark.parametrize("kind", ["full", "diag"])
def test_warnings_point_at_the_call_and_advise_what_is_not_done_yet(kind: str) -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(80, 3))
    X[:40, 2] = 1.0
    samples = np.repeat(["flat", "round"], 40)
    fits = (
        lambda: ld.tl.fit_gmm(
            X, samples, component_sharing="sample_specific", k_comps=1, covariance_type=kind,
            verbose=False,
        ),
        lambda: ld.SampleGaussianMixtures(1, covariance_type=kind).fit(X, samples),
    )  # fmt: skip
    for fit in fits:
        with pytest.warns(
            UserWarning, match=r"'flat' are singular.*eps in lowdim.tl.fit_gmm"
        ) as told:
            fit()
        assert [one.filename for one in told] == [__file__]
        assert ("covariance_type='diag'" in str(told[0].message)) is (kind == "full")


def test_a_dataset_says_in_a_line_what_it_holds() -> None:
    adata = ld.data.simulate_cohort(6, 40, 4, n_components=3, random_state=0)
    found = ld.tl.fit_gmm(adata, sample_key="sample", label_key="label", k_comps=2, verbose=False)
    assert repr(found) == (
        "SampleDataset(6 samples of 40 rows; 4 columns; labels 'class_0', 'class_1'; "
        "mixtures of 2 components)"
    )
