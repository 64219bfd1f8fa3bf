"""On a CUDA device every model ends where it ends on the host."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning

import lowdim as ld
from lowdim.transport import Clouds, Mixtures, cloud_distances, mixture_distances

pytestmark = pytest.mark.gpu

SIMULATED = ld.data.subspaces(2000, dims=[2, 1, 0], n_columns=12, random_state=0)
MODELS: dict[str, tuple[Any, str, str]] = {
    "subspaces": (ld.SubspaceMixture(dims=[2, 1, 0]), "init", "lower_bound_"),
    "hard subspaces": (
        ld.SubspaceMixture(dims=[2, 1, 0], assignment="hard"),
        "init",
        "lower_bound_",
    ),
    "k-means": (ld.KMeans(3), "init", "inertia_"),
    "soft k-means": (ld.SoftKMeans(3, beta=0.5), "init", "free_energy_"),
    **{
        kind: (ld.GaussianMixture(3, covariance_type=kind), "init_params", "lower_bound_")
        for kind in ("full", "tied", "diag", "spherical", "low_rank")
    },
}


def fitted(name: str, X: Any, device: str, dtype: str) -> tuple[float, np.ndarray]:
    """The objective, and the component of every row, from the same start."""
    model, start, objective = MODELS[name]
    labels = SIMULATED.labels
    centres = np.stack([SIMULATED.X[labels == k].mean(0) for k in range(3)])
    where = centres if "means" in name else labels
    model = type(model)(**{**model.get_params(), start: where, "device": device, "dtype": dtype})
    model.fit(X)
    return getattr(model, objective), model.predict(X)


@pytest.mark.parametrize("form", [np.asarray, sp.csr_matrix])
@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-8), ("float32", 1e-4)])
@pytest.mark.parametrize("name", MODELS)
def test_devices_agree(name: str, dtype: str, tolerance: float, form: Any) -> None:
    X = form(SIMULATED.X)
    expected, labels = fitted(name, X, "cpu", dtype)
    got, own = fitted(name, X, "cuda", dtype)
    assert got == pytest.approx(expected, rel=tolerance)
    assert (own == labels).mean() > 0.999


@pytest.mark.parametrize("rule", ["total", "estimate", None])
@pytest.mark.parametrize("kind", ["gene", "component", "global", "poisson"])
def test_devices_agree_on_counts(kind: str, rule: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    rng, labels = np.random.default_rng(0), SIMULATED.labels
    rate = 2 * rng.gamma(0.7, 1.0, size=(3, 40))[labels]
    X = sp.csr_matrix(rng.poisson(rate * rng.gamma(2.0, 0.5, size=rate.shape)))
    settings = {"dispersion": kind, "size_factors": rule, "init": labels, "max_iter": 20}
    found = []
    for device, share in (("cpu", 0.4), ("cuda", 0.4), ("cuda", 0.0)):
        monkeypatch.setattr("lowdim.mixture._counts.on_device.RESIDENT", share)
        model = ld.NegativeBinomialMixture(3, device=device, tol=1e-6, **settings)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            found.append(model.fit(X))
    for got in found[1:]:
        assert got.lower_bound_ == pytest.approx(found[0].lower_bound_, rel=1e-8)
        np.testing.assert_array_equal(got.predict(X), found[0].predict(X))


FACTORS: dict[str, Any] = {
    "nsf": ld.SpatialFactorization(3),
    "inducing": ld.SpatialFactorization(3, inducing=80),
    "hilbert": ld.SpatialFactorization(3, inducing="hilbert"),
    "nsfh, negative binomial": ld.HybridSpatialFactorization(3, 2, likelihood="negative_binomial"),
    "rsf": ld.SpatialFactorization(3, nonnegative=False, likelihood="gaussian"),
    "rsf of counts": ld.SpatialFactorization(3, nonnegative=False),
    "learned": ld.SpatialFactorization(
        2, nonnegative=False, likelihood="gaussian", length_scale="learned"
    ),
    "pnmf": ld.PoissonNMF(3),
    "fa": ld.FactorAnalysis(3),
}


@pytest.mark.parametrize("name", FACTORS)
def test_devices_agree_on_factors(name: str) -> None:
    adata = ld.data.simulate_spatial("quilt", n_genes=20, random_state=0)[::3]
    counts, places = adata.layers["counts"].toarray(), adata.obsm["spatial"]
    slides = np.repeat(["a", "b"], [len(places) // 2, len(places) - len(places) // 2])
    bounds, models = [], []
    for device in ("cpu", "cuda"):
        model = clone(FACTORS[name]).set_params(device=device, random_state=0, max_iter=10, tol=0.0)
        where = (places, slides) if hasattr(model, "predict") else ()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            models.append(model.fit(counts, *where))
        bounds.append(model.lower_bound_)
    assert bounds[1] == pytest.approx(bounds[0], rel=1e-6)
    if hasattr(models[0], "predict"):
        expected, got = (m.predict(places[:9] + 0.03, samples=slides[:9]) for m in models)
        np.testing.assert_allclose(got, expected, rtol=1e-3)


def test_layouts_agree() -> None:
    rng = np.random.default_rng(0)
    X = np.concatenate([rng.normal(size=(800, 10)) + 6 * rng.normal(size=10) for _ in range(5)])
    of_host, of_device = (
        ld.TSNE(method="mesh", device=device, random_state=0) for device in ("cpu", "cuda")
    )
    of_host.fit(X)
    of_device.fit(X)
    assert of_device.kl_divergence_ == pytest.approx(of_host.kl_divergence_, rel=0.02)
    assert np.array_equal(of_device.embedding_, of_device.fit(X).embedding_)


SAMPLED = {
    "umap": ld.UMAP(),
    "densmap": ld.UMAP(densmap=True),
    "largevis": ld.LargeVis(),
    "infotsne": ld.InfoTSNE(),
    "pacmap": ld.PaCMAP(),
}


@pytest.mark.parametrize("name", SAMPLED)
def test_layouts_by_samples_agree(name: str) -> None:
    """In what they keep; and on the device they repeat bit for bit."""
    X = load_digits(return_X_y=True)[0].astype(np.float32)
    kept = []
    for device in ("cpu", "cuda"):
        model = clone(SAMPLED[name]).set_params(device=device, random_state=0)
        kept.append(ld.metrics.neighborhood_preservation(X, model.fit_transform(X), 15))
    assert kept[1] == pytest.approx(kept[0], abs=0.012)
    first = model.embedding_
    assert np.array_equal(first, model.fit(X).embedding_)


@pytest.mark.parametrize("name", ["umap", "largevis"])
def test_new_rows_go_where_they_do_on_the_host_and_alone(name: str) -> None:
    X = load_digits(return_X_y=True)[0].astype(np.float32)
    model = clone(SAMPLED[name]).set_params(device="cuda", random_state=0).fit(X[:1000])
    together = model.transform(X[1000:])
    parts = [model.transform(X[k : k + 200]) for k in range(1000, len(X), 200)]
    on_host = model.set_params(device="cpu").transform(X[1000:])
    for other in (np.concatenate(parts), on_host):
        gaps = np.abs(other - together).max(1)
        # Points that are very close to each other soon tell the least rounding.
        assert np.mean(gaps < 0.02 * np.ptp(model.embedding_)) > 0.95


@pytest.mark.parametrize("entropic", [0.0, 0.1])
@pytest.mark.parametrize("cost", ["mixed", "w1"])
def test_devices_agree_on_a_ground_metric(cost: str, entropic: float) -> None:
    truth = ld.data.simulate_cohort(16, 20, 8, n_components=5).uns["truth"]
    measures: Any = Mixtures.of(truth["weights"], truth["means"], truth["covariances"])
    if cost == "w1":
        measures = Clouds.of(truth["means"], truth["weights"])
    found = []
    for device in ("cpu", "cuda"):
        model = ld.GroundMetric(
            3, cost=cost, entropic=entropic, max_iter=3, n_init=1, device=device, random_state=0
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            found.append(model.fit(measures, truth["labels"]))
    expected, got = found
    assert got.history_["loss"][0] == pytest.approx(expected.history_["loss"][0], rel=1e-8)
    np.testing.assert_allclose(got.history_["loss"], expected.history_["loss"], rtol=1e-6)
    again = got.components_.copy()
    assert np.array_equal(again, got.fit(measures, truth["labels"]).components_)
    plain = [
        (cloud_distances if cost == "w1" else mixture_distances)(
            measures, cost=cost, entropic=entropic, device=device
        )
        for device in ("cpu", "cuda")
    ]
    np.testing.assert_allclose(plain[1], plain[0], rtol=1e-7, atol=1e-8)


def test_streamed_rows_are_resident_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    for form in (np.asarray, sp.csr_matrix):
        X = form(SIMULATED.X)
        monkeypatch.setattr("lowdim.data.standardized.RESIDENT", 0.4)
        expected, _ = fitted("subspaces", X, "cuda", "float64")
        monkeypatch.setattr("lowdim.data.standardized.RESIDENT", 0.0)
        got, _ = fitted("subspaces", X, "cuda", "float64")
        assert got == pytest.approx(expected, rel=1e-12)
