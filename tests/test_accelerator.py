"""What runs on a GPU, on one that is pretended: nothing meets what is not where it is, the host
waits a fixed number of times per pass, and results are those of the host."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from accelerator import Log, pretended
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import adjusted_rand_score

import lowdim as ld
from lowdim.data import as_rows
from lowdim.data.standardized import StandardizedRows

SIMULATED = ld.data.subspaces(600, dims=[2, 1, 0], n_columns=12, random_state=0)
MANY_COLUMNS = ld.data.subspaces(300, dims=[3, 2, 1], n_columns=90, random_state=0)
FLATS = {"dims": [2, 1, 0], "n_init": 3}
MIXTURES: dict[str, Any] = {
    "subspaces": ld.SubspaceMixture(**FLATS),
    "hard": ld.SubspaceMixture(**FLATS, assignment="hard"),
    "closest": ld.SubspaceMixture(**FLATS, assignment="closest"),
    "shared noise": ld.SubspaceMixture(**FLATS, shared_noise=True),
    "held": ld.SubspaceMixture(
        **FLATS, fixed=[{"mean": np.zeros(12), "basis": np.eye(12)[:1]}], background="uniform"
    ),
    "minibatches": ld.SubspaceMixture(**FLATS, minibatch_size=200),
    "annealed": ld.SubspaceMixture(**FLATS, annealing=(0.3, 2.0)),
    "k-means": ld.KMeans(3),
    "soft k-means": ld.SoftKMeans(3, beta=0.5),
    **{
        kind: ld.GaussianMixture(3, covariance_type=kind)
        for kind in ("full", "tied", "diag", "spherical", "low_rank")
    },
}
OBJECTIVES = ("lower_bound_", "inertia_", "free_energy_")


def fitted(model: Any, X: Any, *extra: Any, **changes: Any) -> Any:
    """A fit that may end early."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return clone(model).set_params(random_state=0, **changes).fit(X, *extra)


def objective(model: Any) -> float:
    return float(next(getattr(model, name) for name in OBJECTIVES if hasattr(model, name)))


@pytest.mark.parametrize(
    ("form", "dtype", "tolerance"),
    [
        (np.asarray, "float64", 1e-8),
        (np.asarray, "float32", 1e-4),
        (sp.csr_matrix, "float64", 1e-8),
    ],
)
@pytest.mark.parametrize("name", MIXTURES)
def test_mixtures_are_those_of_the_host(name: str, form: Any, dtype: str, tolerance: float) -> None:
    X = form(SIMULATED.X)
    expected = fitted(MIXTURES[name], X, device="cpu", dtype=dtype)
    with pretended():
        got = fitted(MIXTURES[name], X, device="cuda", dtype=dtype, batch_size=250)
        labels = got.predict(X)
    assert objective(got) == pytest.approx(objective(expected), rel=tolerance)
    # Of starts that end alike, rounding chooses: components may come in another order. In single
    # precision a few rows at even odds go the other way.
    alike = 0.99 if dtype == "float64" else 0.95
    assert adjusted_rand_score(labels, expected.predict(X)) > alike


@pytest.mark.parametrize("form", [np.asarray, sp.csr_matrix])
def test_many_columns_are_those_of_the_host(form: Any) -> None:
    model, X = ld.SubspaceMixture(dims=[3, 2, 1], n_init=3), form(MANY_COLUMNS.X)
    with pretended():
        got = fitted(model, X, device="cuda", batch_size=120)
        coordinates = got.transform(X)
    expected = fitted(model, X, device="cpu")
    assert got.lower_bound_ == pytest.approx(expected.lower_bound_, rel=1e-8)
    np.testing.assert_allclose(np.abs(coordinates), np.abs(expected.transform(X)), atol=1e-4)


def waits(name: str, X: np.ndarray, batch_size: int | None) -> float:
    """How often the host waits for the device per iteration, from a random start."""
    rng = np.random.default_rng(0)
    labels = rng.integers(3, size=len(X))
    start = "init_params" if isinstance(MIXTURES[name], ld.GaussianMixture) else "init"
    where = X[:3] if "means" in name else labels
    settings = {"device": "cuda", "batch_size": batch_size, "tol": 1e-300, start: where}
    counts, iterations = [], []
    for limit in (4, 10):
        with pretended() as log:
            model = fitted(MIXTURES[name], X, max_iter=limit, **settings)
        counts.append(log.waits)
        iterations.append(model.n_iter_)
    return (counts[1] - counts[0]) / max(1, iterations[1] - iterations[0])


# Subspaces of many columns iterate among their leading directions first: both stages are counted.
@pytest.mark.parametrize(
    ("name", "n_columns", "most"),
    [
        *((name, 12, 5) for name in sorted({*MIXTURES} - {"minibatches", "annealed", "held"})),
        ("held", 12, 9),
        *((name, 90, 11) for name in ("subspaces", "shared noise", "k-means")),
    ],
)
def test_waits_do_not_grow_with_the_blocks(name: str, n_columns: int, most: int) -> None:
    X = np.random.default_rng(1).normal(size=(200, n_columns))
    found = [waits(name, X, batch_size) for batch_size in (None, 50)]
    assert found[1] == pytest.approx(found[0], abs=0.2)
    assert found[0] <= most


@pytest.mark.parametrize("form", [np.asarray, sp.csr_matrix])
def test_rows_beyond_the_memory_are_sent_in_every_pass(form: Any) -> None:
    X = form(SIMULATED.X.astype(np.float32))
    weight = np.random.default_rng(0).integers(1, 4, X.shape[0]).astype(float)

    def rows_of(free_bytes: int) -> tuple[list[torch.Tensor], Log]:
        with pretended(free_bytes) as log:
            rows = StandardizedRows(
                as_rows(X),
                device=torch.device("cuda"),
                dtype=torch.float32,
                sample_weight=weight,
                block_rows=250,
            )
            for _ in range(2):
                log.clear()
                values = [block.values.cpu() for block in rows]
        return values, log

    resident, nothing_sent = rows_of(2**30)
    streamed, sent = rows_of(1000)
    assert not nothing_sent.uploads
    parts = 4 if sp.issparse(X) else 2  # of each of three blocks, and the means once
    assert len(sent.uploads) == 3 * parts + 1
    assert sent.asynchronous == 3 * parts
    for one, other in zip(resident, streamed, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0)
    host = StandardizedRows(
        as_rows(SIMULATED.X.astype(np.float32)),
        device=torch.device("cpu"),
        dtype=torch.float32,
        sample_weight=weight,
    )
    expected = torch.cat([block.values for block in host])
    torch.testing.assert_close(torch.cat(streamed), expected, rtol=1e-6, atol=1e-6)


def test_a_fit_of_streamed_rows_is_that_of_resident_ones() -> None:
    bounds = []
    for free_bytes in (2**30, 1000):
        with pretended(free_bytes):
            model = fitted(MIXTURES["subspaces"], SIMULATED.X, device="cuda", batch_size=300)
        bounds.append(model.lower_bound_)
    assert bounds[0] == bounds[1]


def test_rows_that_reach_too_far_are_drawn_in_as_on_the_host() -> None:
    X = SIMULATED.X.copy()
    X[7] *= 1e130
    moments = (SIMULATED.X.mean(0), 1.0)
    settings = {"dtype": torch.float64, "moments": moments}
    with pretended():
        rows = StandardizedRows(as_rows(X), device=torch.device("cuda"), **settings)
        values = [block.values.cpu() for block in rows]
    host = StandardizedRows(as_rows(X), device=torch.device("cpu"), **settings)
    torch.testing.assert_close(values, [block.values for block in host], rtol=1e-14, atol=0)


def test_precision_is_left_as_the_user_has_set_it() -> None:
    before = torch.get_float32_matmul_precision(), torch.backends.cuda.matmul.allow_tf32
    with pretended():
        fitted(MIXTURES["subspaces"], SIMULATED.X, device="cuda", dtype="float32")
    assert before == (torch.get_float32_matmul_precision(), torch.backends.cuda.matmul.allow_tf32)
    assert before == ("highest", False)  # products of float32 are those of float32


def test_other_ways_to_a_mixture_are_those_of_the_host() -> None:
    X = SIMULATED.X

    def found(device: str) -> list[float]:
        flats = ld.SubspaceMixture(dims=[2, 1, 0], n_init=3, device=device, random_state=0)
        settings = {"n_init": 1, "device": device, "random_state": 0}
        fixed = [{"mean": X.mean(0), "basis": np.eye(12)[:1]}]
        pieces = clone(flats)
        for part in np.array_split(X, 3):
            pieces.partial_fit(part)
        held = ld.SubspaceMixture(dims=[2, 1], fixed=fixed, background="uniform", **settings)
        chosen = ld.select_subspaces(X[:150], n_components=[2], dims=[1], **settings)
        weight = np.arange(len(X)) % 3
        weighted = fitted(ld.GaussianMixture(3, **settings), X, None, weight)
        samples = np.repeat(["a", "b", "c"], 200)
        parted = ld.SampleGaussianMixtures(2, device=device, random_state=0).fit(X, samples)
        return [
            pieces.score(X),
            fitted(held, X).score(X),
            float(chosen.best_estimator_.score(X)),
            weighted.score(X),
            float(parted.covariances_[0][0, 0, 0]),
        ]

    expected = found("cpu")
    with pretended():
        got = found("cuda")
    assert got == pytest.approx(expected, rel=1e-6)


RNG = np.random.default_rng(0)
GROUPS = RNG.integers(3, size=400)
COUNTS = RNG.negative_binomial(2, 1 / (1 + 2 * RNG.gamma(0.7, 1.0, size=(3, 15))[GROUPS])) * 1.0
COUNTS[0], COUNTS[1, 2] = 0.0, 700.0  # a row without counts, and a count beyond all others
COUNT_MIXTURE = ld.NegativeBinomialMixture(3, init=GROUPS, tol=0.0, max_iter=6)


@pytest.mark.parametrize("rule", ["total", "estimate", None])
@pytest.mark.parametrize("kind", ["gene", "component", "global", "poisson"])
def test_count_mixtures_are_those_of_the_host(
    kind: str, rule: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From memory, kept there and sent in every pass, with weights; and answers about rows."""
    monkeypatch.setattr("lowdim.mixture._counts.on_device.ENTRIES", 900)
    weight = np.random.default_rng(1).integers(0, 3, 400).astype(float)
    settings = {"dispersion": kind, "size_factors": rule}
    expected = fitted(COUNT_MIXTURE, COUNTS, None, weight, **settings)
    for form, free_bytes in ((np.asarray, 2**30), (sp.csr_matrix, 1000)):
        with pretended(free_bytes):
            got = fitted(COUNT_MIXTURE, form(COUNTS), None, weight, device="cuda", **settings)
            rows = got.score_samples(form(COUNTS))
        assert got.lower_bound_ == pytest.approx(expected.lower_bound_, rel=1e-8)
        np.testing.assert_allclose(got.objective_trace_, expected.objective_trace_, rtol=1e-8)
        np.testing.assert_allclose(got.size_factors_, expected.size_factors_, rtol=1e-6)
        np.testing.assert_array_equal(got.labels_, expected.labels_)
        np.testing.assert_allclose(rows, got.set_params(device="cpu").score_samples(COUNTS))


@pytest.mark.parametrize("start", ["kmeans", "random", np.minimum(GROUPS, 1)])
def test_count_mixtures_begin_as_on_the_host(start: Any) -> None:
    settings = {"init": start, "n_init": 2, "tol": 1e-3, "max_iter": 100, "shrinkage": "auto"}
    expected = fitted(COUNT_MIXTURE, COUNTS, **settings)
    with pretended():
        got = fitted(COUNT_MIXTURE, COUNTS, device="cuda", **settings)
    assert got.n_iter_ == expected.n_iter_
    assert got.lower_bound_ == pytest.approx(expected.lower_bound_, rel=1e-8)
    np.testing.assert_array_equal(got.labels_, expected.labels_)


@pytest.mark.parametrize("settings", [{}, {"dispersion": "component", "size_factors": "estimate"}])
@pytest.mark.parametrize("free_bytes", [2**30, 1000])
def test_the_host_waits_once_per_pass_over_counts(
    settings: dict[str, Any], free_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for entries in (2**20, 500):
        monkeypatch.setattr("lowdim.mixture._counts.on_device.ENTRIES", entries)
        counts = []
        for limit in (4, 10):
            with pretended(free_bytes) as log:
                fitted(COUNT_MIXTURE, COUNTS, device="cuda", max_iter=limit, **settings)
            counts.append(log.waits)
        assert counts[1] - counts[0] == 6


FACTORS: dict[str, Any] = {
    "nsf": ld.SpatialFactorization(2),
    "inducing": ld.SpatialFactorization(2, inducing=40),
    "hilbert": ld.SpatialFactorization(2, inducing="hilbert"),
    "nsfh": ld.HybridSpatialFactorization(2, 1, likelihood="negative_binomial"),
    "rsf": ld.SpatialFactorization(2, nonnegative=False, likelihood="gaussian"),
    "pnmf": ld.PoissonNMF(2),
    "fa": ld.FactorAnalysis(2),
}


@pytest.fixture(scope="module")
def tissue_counts() -> tuple[np.ndarray, np.ndarray]:
    adata = ld.data.simulate_spatial("quilt", n_genes=12, random_state=0)[::9]
    return adata.layers["counts"].toarray(), adata.obsm["spatial"]


@pytest.mark.parametrize("name", FACTORS)
def test_factors_are_those_of_the_host_and_waits_do_not_grow(
    name: str, tissue_counts: tuple[np.ndarray, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    counts, places = tissue_counts
    where = (places,) if hasattr(FACTORS[name], "predict") else ()
    monkeypatch.setattr("lowdim.factorization._counts.DEVICE_ROWS", 1)
    settings: dict[str, Any] = {"tol": 0.0}
    if name != "fa":
        settings["n_init"] = 1
    reads, bounds = [], []
    for form, chunk in ((np.asarray, 2**18), (sp.csr_matrix, 300)):
        monkeypatch.setattr("lowdim.factorization._counts.CHUNK_VALUES", chunk)
        seen = []
        for limit in (3, 6):
            with pretended() as log:
                model = fitted(
                    FACTORS[name], form(counts), *where, device="cuda", max_iter=limit, **settings
                )
            seen.append(len(log.reads))
        reads.append((seen[1] - seen[0]) / 3)
        bounds.append(model.lower_bound_)
    expected = fitted(FACTORS[name], counts, *where, device="cpu", max_iter=6, **settings)
    assert bounds == pytest.approx([expected.lower_bound_] * 2, rel=1e-6)
    assert reads[0] == reads[1] <= 12


def test_layouts_are_those_of_the_host() -> None:
    X = SIMULATED.X[:200]
    settings = {"method": "mesh", "perplexity": 10, "max_iter": 30, "early_exaggeration_iter": 15}
    layouts = []
    for device in ("cpu", "cuda"):
        with pretended() as log:
            layouts.append(fitted(ld.TSNE(**settings), X, device=device).embedding_)
    assert log.calls > 1000
    assert np.abs(layouts[1] - layouts[0]).max() < 0.05 * np.ptp(layouts[0])


SAMPLED: dict[str, tuple[Any, str]] = {
    "umap": (ld.UMAP(n_neighbors=10), "n_epochs"),
    "densmap": (ld.UMAP(n_neighbors=10, densmap=True, dens_frac=1.0), "n_epochs"),
    "largevis": (ld.LargeVis(perplexity=10), "max_iter"),
    "infotsne": (ld.InfoTSNE(perplexity=10, n_negatives=40), "max_iter"),
    "pacmap": (ld.PaCMAP(), "num_iters"),
}


@pytest.mark.parametrize("name", SAMPLED)
def test_layouts_by_samples_are_those_of_the_host_and_iterations_wait_for_nothing(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many there are, and blocks of rows."""
    X, (model, limit) = SIMULATED.X[:200], SAMPLED[name]
    reads, uploads = [], []
    for n, most in ((6, 3000), (18, 2**23)):
        monkeypatch.setattr("lowdim.embedding._torch_rows.BLOCK", most)
        changes = {limit: (n // 3,) * 3 if limit == "num_iters" else n}
        expected = fitted(model, X, device="cpu", **changes)
        with pretended() as log:
            found = fitted(model, X, device="cuda", **changes)
        assert log.calls > 20 * n
        reads.append(len(log.reads))
        uploads.append(len(log.uploads))
        if n == 6 and name != "infotsne":  # which draws other random points there
            gaps = np.abs(found.embedding_ - expected.embedding_).max(1)
            # Points that are very close to each other soon tell the least rounding.
            assert np.mean(gaps < 0.01 * np.ptp(expected.embedding_)) > 0.95
    assert reads[0] == reads[1] <= 4  # one of them for neighbours
    assert uploads[0] > uploads[1]


@pytest.mark.parametrize("name", ["umap", "largevis"])
def test_new_rows_go_where_they_do_on_the_host(name: str) -> None:
    rows = SIMULATED.X[:200]
    model = fitted(SAMPLED[name][0], rows[:150], device="cpu", **{SAMPLED[name][1]: 30})
    expected = model.transform(rows[150:], n_epochs=10)
    with pretended() as log:
        found = model.set_params(device="cuda").transform(rows[150:], n_epochs=10)
        few = len(log.reads)
        log.clear()
        model.transform(rows[150:], n_epochs=40)
    assert len(log.reads) == few
    assert np.mean(np.abs(found - expected).max(1) < 0.01 * np.ptp(expected)) > 0.95
