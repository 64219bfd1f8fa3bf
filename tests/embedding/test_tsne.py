"""The estimator: quality, inputs, new rows, and what it refuses."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.manifold import trustworthiness
from sklearn.neighbors import KNeighborsClassifier, NearestNeighbors

import lowdim as ld
from lowdim.affinities import EntropicAffinity
from lowdim.embedding._tsne.settings import Settings
from lowdim.neighbors import nearest_neighbors


@pytest.fixture(scope="module")
def digits() -> tuple[np.ndarray, np.ndarray]:
    return load_digits(return_X_y=True)


@pytest.fixture(scope="module")
def fitted(digits) -> ld.TSNE:
    return ld.TSNE(random_state=0).fit(digits[0])


def recall(X: np.ndarray, Y: np.ndarray, k: int = 15) -> float:
    """Share of the neighbours of rows that are neighbours in the layout."""
    near = [
        NearestNeighbors(n_neighbors=k).fit(Z).kneighbors(return_distance=False) for Z in (X, Y)
    ]
    return float(np.mean([len(np.intersect1d(a, b)) / k for a, b in zip(*near, strict=True)]))


def test_digits_are_laid_out_well(digits, fitted, kl_divergence) -> None:
    X, labels = digits
    Y = fitted.embedding_
    assert Y.shape == (1797, 2)
    assert Y.dtype == np.float32
    kl = kl_divergence(fitted.affinities_.matrix, Y)
    assert kl < 0.757  # what openTSNE 1.0.4 reaches with Barnes-Hut, from the same affinities
    assert fitted.kl_divergence_ == pytest.approx(kl, rel=1e-4)
    assert recall(X, Y) > 0.58
    assert trustworthiness(X, Y, n_neighbors=15) > 0.985
    own = KNeighborsClassifier(15).fit(Y, labels)
    assert own.score(Y, labels) > 0.98
    assert (fitted.n_iter_, fitted.stop_reason_) == (750, "limit")
    assert fitted.history_["iteration"] == list(range(50, 751, 50))
    assert fitted.history_["gradient_norm"][-1] < fitted.history_["gradient_norm"][5]


def test_the_mesh_is_as_good_as_all_pairs(digits, fitted, kl_divergence) -> None:
    mesh = ld.TSNE(method="mesh", random_state=0).fit(digits[0])
    kl = kl_divergence(mesh.affinities_.matrix, mesh.embedding_)
    assert kl < 1.01 * fitted.kl_divergence_
    assert mesh.kl_divergence_ == pytest.approx(kl, abs=0.005)


def test_in_space_the_tree_is_as_good_as_all_pairs(digits, kl_divergence) -> None:
    rng = np.random.default_rng(0)
    near_duplicates = np.repeat(digits[0][:60], 12, axis=0) + rng.normal(size=(720, 64))
    for X in (digits[0][:700], near_duplicates):
        fits = [ld.TSNE(3, method=m, random_state=0).fit(X) for m in ("exact", "tree")]
        kls = [kl_divergence(fit.affinities_.matrix, fit.embedding_) for fit in fits]
        assert kls[1] < 1.02 * kls[0]
        assert fits[1].kl_divergence_ == pytest.approx(kls[1], abs=0.005)
        assert trustworthiness(X, fits[1].embedding_, n_neighbors=15) > 0.97


@pytest.mark.parametrize("n_components", [1, 2, 3])
@pytest.mark.parametrize("dof", [1.0, 0.5])
def test_auto_sums_over_all_pairs_of_few_points(n_components: int, dof: float) -> None:
    settings = Settings.of(ld.TSNE(n_components, dof=dof))
    ways = [settings.method_for(n) for n in (50, 1_000, 100_000)]
    assert ways == ["exact", "exact", "tree" if n_components == 3 else "mesh"]
    changes = [n for n in range(50, 10_000) if settings.method_for(n) == ways[-1]]
    assert changes == list(range(changes[0], 10_000))


def test_near_duplicates_do_not_break_the_mesh(digits, kl_divergence) -> None:
    rng = np.random.default_rng(0)
    X = np.repeat(digits[0][:150], 12, axis=0) + rng.normal(size=(1800, 64))
    fits = [ld.TSNE(method=m, random_state=0).fit(X) for m in ("exact", "mesh")]
    kls = [kl_divergence(fit.affinities_.matrix, fit.embedding_) for fit in fits]
    assert kls[1] < 1.12 * kls[0]  # a mesh with a self-force ends half as high again


def test_the_same_seed_gives_the_same_layout(digits) -> None:
    X = digits[0][:400]
    state = np.random.get_state()[1].copy()
    one = ld.TSNE(max_iter=120, random_state=3)
    first = one.fit_transform(X)
    assert np.array_equal(first, one.fit_transform(X))
    for n_jobs in (1, 2, 5):
        other = ld.TSNE(max_iter=120, random_state=3, n_jobs=n_jobs, method="mesh").fit(X)
        if n_jobs == 1:
            kept = other.embedding_
        assert np.array_equal(kept, other.embedding_)
    assert not np.array_equal(first, clone(one).set_params(random_state=4).fit_transform(X))
    assert np.array_equal(state, np.random.get_state()[1])


@pytest.mark.parametrize("init", ["pca", "spectral", "random"])
@pytest.mark.parametrize("n_components", [1, 2, 3])
def test_groups_come_apart(blobs, init: str, n_components: int) -> None:
    X, labels = blobs
    Y = ld.TSNE(n_components, init=init, random_state=0).fit_transform(X)
    assert Y.shape == (300, n_components)
    nearest = NearestNeighbors(n_neighbors=10).fit(Y).kneighbors(return_distance=False)
    assert (labels[nearest] == labels[:, None]).mean() > 0.98


def test_exaggeration_draws_groups_together(blobs) -> None:
    X, labels = blobs

    def tightness(exaggeration: float) -> float:
        Y = ld.TSNE(exaggeration=exaggeration, random_state=0).fit_transform(X)
        return float(np.mean([Y[labels == k].std() for k in range(3)]))

    assert tightness(4.0) < 0.6 * tightness(1.0)


def test_heavy_tails_show_finer_structure(blobs, kl_divergence) -> None:
    X, _ = blobs
    model = ld.TSNE(dof=0.5, random_state=0).fit(X)
    kl = kl_divergence(model.affinities_.matrix, model.embedding_, 0.5)
    assert model.kl_divergence_ == pytest.approx(kl, rel=1e-4)
    assert np.ptp(model.embedding_) > np.ptp(ld.TSNE(random_state=0).fit(X).embedding_)


def test_given_neighbours_and_graphs_are_used_as_they_are(blobs, monkeypatch) -> None:
    X, _ = blobs
    found = nearest_neighbors(X, 90)
    graph = EntropicAffinity(30).from_neighbors(found).matrix
    start = 1e-4 * np.random.default_rng(0).normal(size=(300, 2))
    whole = ld.TSNE(init=start, random_state=0).fit_transform(X)
    monkeypatch.setattr("lowdim.embedding._base.NeighborIndex", None)  # nobody may search
    by_neighbours = ld.TSNE(init=start, neighbors=found, random_state=0).fit_transform(X)
    assert np.array_equal(whole, by_neighbours)
    # Later steps double what rounding has made of the graph, over and over.
    few = {"init": start, "max_iter": 20, "random_state": 0}
    by_graph = ld.TSNE(affinity="precomputed", **few).fit(graph)
    expected = ld.TSNE(neighbors=found, **few).fit_transform(X)
    gap = np.abs(by_graph.embedding_ - expected).max()
    assert gap < 1e-3 * np.ptp(expected)
    with pytest.raises(ValueError, match="only their graph was given"):
        by_graph.transform(graph)


def test_given_distances(blobs) -> None:
    X, _ = blobs
    distances = np.linalg.norm(X[:, None] - X[None], axis=2)
    start = 1e-4 * np.random.default_rng(0).normal(size=(300, 2))
    few = {"init": start, "max_iter": 20, "random_state": 0}
    model = ld.TSNE(metric="precomputed", **few).fit(distances)
    of_rows = ld.TSNE(**few).fit(X)
    assert abs(model.affinities_.matrix - of_rows.affinities_.matrix).max() < 1e-7
    gap = np.abs(model.embedding_ - of_rows.embedding_).max()
    assert gap < 1e-3 * np.ptp(of_rows.embedding_)
    assert np.isfinite(model.transform(distances[:5])).all()


def test_given_distances_to_neighbours(blobs) -> None:
    X, labels = blobs
    distances = nearest_neighbors(X, 60).to_csr()
    model = ld.TSNE(perplexity=20, metric="precomputed", random_state=0).fit(distances)
    of_rows = ld.TSNE(perplexity=20, init="spectral", random_state=0).fit(X)
    assert abs(model.affinities_.matrix - of_rows.affinities_.matrix).max() < 1e-7
    assert np.array_equal(model.embedding_, of_rows.embedding_)
    assert model.n_features_in_ == 300
    assert (
        KNeighborsClassifier(5).fit(model.embedding_, labels).score(model.embedding_, labels) > 0.98
    )


def test_sparse_rows_and_other_affinities(blobs) -> None:
    X, labels = blobs
    model = ld.TSNE(affinity=EntropicAffinity(10, n_neighbors=40), random_state=0)
    Y = model.fit_transform(sp.csr_matrix(X))
    assert model.neighbors_.n_neighbors == 40
    assert KNeighborsClassifier(5).fit(Y, labels).score(Y, labels) > 0.98


def test_equal_rows_and_far_ones_do_no_harm() -> None:
    X = np.repeat(np.random.default_rng(0).normal(size=(20, 3)), 10, axis=0)
    X[-1] = 1e4
    model = ld.TSNE(perplexity=15, random_state=0).fit(X)
    assert np.isfinite(model.embedding_).all()
    spread = model.embedding_[:190].reshape(19, 10, 2).std(1).max()
    assert spread < 0.05 * np.ptp(model.embedding_)


@pytest.mark.parametrize("n", [4, 5, 9])
def test_few_rows(n: int) -> None:
    X = np.random.default_rng(0).normal(size=(n, 3))
    model = ld.TSNE(perplexity=2, random_state=0).fit(X)
    assert np.isfinite(model.embedding_).all()


@pytest.mark.parametrize(("n", "message"), [(1, "minimum of 2"), (2, "at least 3 rows")])
def test_too_few_rows_are_told_so(n: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ld.TSNE(perplexity=1).fit(np.eye(n, 3))
    assert np.isfinite(ld.TSNE(perplexity=1, random_state=0).fit_transform(np.eye(3))).all()


def test_a_layout_of_some_rows_is_a_start_for_all(digits, fitted) -> None:
    X, _ = digits
    some = np.arange(len(X)) % 3 == 0
    first = ld.TSNE(random_state=0).fit(X[some])
    start = first.transform(X, n_iter=0)
    model = ld.TSNE(init=start, early_exaggeration_iter=0, max_iter=250, random_state=0).fit(X)
    assert model.kl_divergence_ < 1.15 * fitted.kl_divergence_
    moved = np.linalg.norm(model.embedding_[some] - first.embedding_, axis=1)
    assert np.median(moved) < 0.3 * np.ptp(model.embedding_)  # the map is recognised


def test_callbacks_see_rows_in_their_order_and_stop(blobs) -> None:
    X, _ = blobs
    seen = []
    model = ld.TSNE(
        callbacks=lambda *told: seen.append(told) or told[0] == 150,
        callbacks_every=75,
        random_state=0,
    ).fit(X)
    assert [iteration for iteration, _, _ in seen] == [75, 150]
    assert np.array_equal(seen[-1][1], model.embedding_)
    assert (model.n_iter_, model.stop_reason_) == (150, "callback")
    assert model.kl_divergence_ == pytest.approx(seen[-1][2])


def test_new_rows_come_to_their_like(digits, fitted) -> None:
    X, labels = digits
    train, test = np.arange(1797) % 4 != 0, np.arange(1797) % 4 == 0
    model = ld.TSNE(random_state=0).fit(X[train])
    Y = model.transform(X[test])
    by_rows = KNeighborsClassifier(15).fit(X[train], labels[train]).score(X[test], labels[test])
    by_places = KNeighborsClassifier(15).fit(model.embedding_, labels[train])
    assert by_places.score(Y, labels[test]) > by_rows - 0.015
    again = fitted.transform(X[:50])
    span = np.ptp(fitted.embedding_)
    assert np.linalg.norm(again - fitted.embedding_[:50], axis=1).max() < 0.05 * span


@pytest.mark.parametrize("n_components", [1, 2, 3])
def test_a_new_row_does_not_depend_on_others(blobs, n_components: int, monkeypatch) -> None:
    X, _ = blobs
    model = ld.TSNE(n_components, max_iter=300, random_state=0).fit(X[::2])
    new = X[1::2]
    exact = model.transform(new)
    for n_jobs in (1, 3):
        model.set_params(n_jobs=n_jobs)
        parts = np.concatenate([model.transform(new[::-1][:60]), model.transform(new[::-1][60:])])
        assert np.array_equal(parts[::-1], exact)
    monkeypatch.setattr("lowdim.embedding._tsne.new_points.TREE_POINTS", 0)
    for n_jobs in (1, 3):
        model.set_params(n_jobs=n_jobs)
        parts = [model.transform(new[:40]), model.transform(new[40:])]
        if n_jobs == 1:
            near = np.concatenate(parts)
        assert np.array_equal(near, np.concatenate(parts))
    assert np.median(np.linalg.norm(near - exact, axis=1)) < 0.02


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"n_components": 4}, ValueError, "n_components=4"),
        ({"perplexity": 100}, ValueError, "perplexity=100"),
        ({"early_exaggeration": 0}, ValueError, "early_exaggeration=0"),
        ({"exaggeration": -1}, ValueError, "exaggeration=-1"),
        ({"learning_rate": "fast"}, TypeError, "learning_rate='fast'"),
        ({"max_iter": 0}, ValueError, "max_iter=0"),
        ({"final_momentum": 1.0}, ValueError, "final_momentum=1.0"),
        ({"dof": 0}, ValueError, "dof=0"),
        ({"method": "fft"}, ValueError, "method='fft'"),
        ({"method": "mesh", "n_components": 3}, ValueError, "one or two dimensions"),
        ({"method": "tree"}, ValueError, "for three dimensions"),
        ({"init": "best"}, ValueError, "init='best'"),
        ({"init": np.zeros((3, 2))}, ValueError, r"init has shape \(3, 2\)"),
        ({"init": np.full((60, 2), np.nan)}, ValueError, "init contains NaN"),
        ({"callbacks": [3]}, TypeError, "callbacks has 3"),
        ({"affinity": "umap"}, ValueError, "affinity='umap'"),
        ({"affinity": "precomputed", "init": "pca"}, ValueError, "init='pca' needs rows"),
        ({"affinity": "precomputed"}, ValueError, r"shape \(60, 5\)"),
        ({"metric": "angle"}, ValueError, "metric='angle'"),
        ({"n_jobs": 0}, ValueError, "n_jobs=0"),
        ({"neighbors": "near"}, ValueError, "neighbors='near'"),
        ({"neighbors": nearest_neighbors(np.eye(40), 20)}, ValueError, "those of 40 rows"),
    ],
)
def test_bad_arguments_are_named(arguments: dict, error: type, message: str) -> None:
    X = np.random.default_rng(0).normal(size=(60, 5))
    with pytest.raises(error, match=message):
        ld.TSNE(**{"perplexity": 10, **arguments}).fit(X)


def test_bad_graphs_are_refused() -> None:
    graph = np.ones((6, 6))
    for change, message in (
        ((0, 1, -1.0), "negative or infinite weight"),
        ((0, 1, np.inf), "infinity"),
    ):
        bad = graph.copy()
        bad[change[0], change[1]] = change[2]
        with pytest.raises(ValueError, match=message):
            ld.TSNE(affinity="precomputed").fit(bad)
    graph[2], graph[:, 2] = 0, 0
    with pytest.raises(ValueError, match="first row 2"):
        ld.TSNE(affinity="precomputed").fit(graph)


def test_disconnected_graphs_have_a_layout() -> None:
    graph = np.kron(np.eye(3), np.ones((15, 15)))
    model = ld.TSNE(affinity="precomputed", random_state=0).fit(graph)
    Y = model.embedding_
    assert np.isfinite(Y).all()
    labels = np.repeat(np.arange(3), 15)
    assert KNeighborsClassifier(5).fit(Y, labels).score(Y, labels) == 1.0
