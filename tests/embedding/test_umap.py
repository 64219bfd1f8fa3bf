"""The estimator UMAP: quality, inputs, labels, density, new rows, and what it refuses."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.datasets import load_digits
from sklearn.manifold import trustworthiness
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor, NearestNeighbors

import lowdim as ld
from lowdim.affinities import EntropicAffinity, UMAPAffinity
from lowdim.neighbors import nearest_neighbors


@pytest.fixture(scope="module")
def digits() -> tuple[np.ndarray, np.ndarray]:
    return load_digits(return_X_y=True)


@pytest.fixture(scope="module")
def fitted(digits) -> ld.UMAP:
    return ld.UMAP(random_state=0).fit(digits[0])


def recall(X: np.ndarray, Y: np.ndarray, k: int = 15) -> float:
    """Share of the neighbours of rows that are neighbours in the layout."""
    near = [
        NearestNeighbors(n_neighbors=k).fit(Z).kneighbors(return_distance=False) for Z in (X, Y)
    ]
    return float(np.mean([len(np.intersect1d(a, b)) / k for a, b in zip(*near, strict=True)]))


def tell(Y: np.ndarray, labels: np.ndarray, k: int = 15) -> float:
    """Share of points that their neighbours in the layout tell the label of."""
    near = NearestNeighbors(n_neighbors=k).fit(Y).kneighbors(return_distance=False)
    votes = np.array([np.bincount(labels[own]).argmax() for own in near])
    return float((votes == labels).mean())


def test_digits_are_laid_out_well(digits, fitted) -> None:
    X, labels = digits
    Y = fitted.embedding_
    assert Y.shape == (1797, 2)
    assert Y.dtype == np.float32
    assert recall(X, Y) > 0.53  # umap-learn 0.5.12 has 0.53 to 0.54
    assert trustworthiness(X, Y, n_neighbors=15) > 0.98
    assert tell(Y, labels) > 0.975
    assert (fitted.n_iter_, fitted.stop_reason_) == (500, "limit")
    assert (fitted.a_, fitted.b_) == pytest.approx((1.577, 0.895), abs=2e-3)
    assert fitted.radii_ is None


def test_the_same_seed_gives_the_same_layout(digits) -> None:
    X = np.concatenate([digits[0][:400]] * 3) + np.random.default_rng(0).normal(size=(1200, 64))
    state = np.random.get_state()[1].copy()
    one = ld.UMAP(n_epochs=60, random_state=3, n_jobs=1)
    first = one.fit_transform(X)
    assert np.array_equal(first, one.fit_transform(X))
    for n_jobs in (2, 5):
        other = ld.UMAP(n_epochs=60, random_state=3, n_jobs=n_jobs)
        assert np.array_equal(first, other.fit_transform(X))
    assert not np.array_equal(first, one.set_params(random_state=4).fit_transform(X))
    assert np.array_equal(state, np.random.get_state()[1])


@pytest.mark.parametrize("init", ["pca", "spectral", "random"])
@pytest.mark.parametrize("n_components", [1, 2, 3, 5])
def test_groups_come_apart(blobs, init: str, n_components: int) -> None:
    X, labels = blobs
    Y = ld.UMAP(n_components, init=init, n_epochs=200, random_state=0).fit_transform(X)
    assert Y.shape == (300, n_components)
    near = NearestNeighbors(n_neighbors=10).fit(Y).kneighbors(return_distance=False)
    # A random line is cut: points cannot pass each other.
    least = 0.95 if (init, n_components) == ("random", 1) else 0.98
    assert (labels[near] == labels[:, None]).mean() > least


def test_new_rows_come_to_their_like(digits, fitted) -> None:
    X, labels = digits
    train, test = np.arange(1797) % 4 != 0, np.arange(1797) % 4 == 0
    model = ld.UMAP(random_state=0).fit(X[train])
    by_rows = KNeighborsClassifier(15).fit(X[train], labels[train]).score(X[test], labels[test])
    by_places = KNeighborsClassifier(15).fit(model.embedding_, labels[train])
    assert by_places.score(model.transform(X[test]), labels[test]) > by_rows - 0.015
    again = fitted.transform(X[:50])
    gaps = np.linalg.norm(again - fitted.embedding_[:50], axis=1)
    assert gaps.max() < 0.05 * np.ptp(fitted.embedding_)


@pytest.mark.parametrize("n_components", [1, 2, 3])
def test_a_new_row_does_not_depend_on_others(blobs, n_components: int) -> None:
    X, _ = blobs
    model = ld.UMAP(n_components, n_epochs=50, random_state=0).fit(X[::2])
    new = X[1::2]
    for affinity in (None, EntropicAffinity(10)):
        model.set_params(affinity=affinity, n_jobs=None)
        together = model.transform(new)
        for n_jobs in (1, 3):
            model.set_params(n_jobs=n_jobs)
            back = new[::-1]
            parts = np.concatenate([model.transform(back[:61]), model.transform(back[61:])])
            assert np.array_equal(parts[::-1], together)


def test_density_is_kept(digits) -> None:
    """Radii in the layout go with those of rows, by neighbours in both."""
    rng = np.random.default_rng(0)
    X = np.concatenate([rng.normal(scale=s, size=(150, 8)) + 20 * k for k, s in enumerate((1, 4))])

    def tightness(Y: np.ndarray) -> float:
        far = NearestNeighbors(n_neighbors=10).fit(Y).kneighbors()[0].mean(1)
        own = NearestNeighbors(n_neighbors=10).fit(X).kneighbors()[0].mean(1)
        return float(np.corrcoef(np.log(far), np.log(own))[0, 1])

    plain = ld.UMAP(random_state=0).fit(X)
    model = ld.UMAP(densmap=True, random_state=0).fit(X)
    assert tightness(model.embedding_) > tightness(plain.embedding_) + 0.2
    assert tightness(model.embedding_) > 0.8
    squares = model.neighbors_.distances**2
    assert model.radii_.shape == (300,)
    assert np.corrcoef(model.radii_, np.log(squares.mean(1)))[0, 1] > 0.95
    threads = ld.UMAP(densmap=True, random_state=0, n_jobs=3).fit(X)
    assert np.array_equal(threads.embedding_, model.embedding_)


def test_labels_draw_their_rows_together(digits, fitted) -> None:
    X, labels = digits
    known = np.where(np.arange(1797) % 2 == 0, labels, -1)
    half = ld.UMAP(random_state=0).fit(X, known)
    assert tell(half.embedding_, labels) > tell(fitted.embedding_, labels)
    whole = ld.UMAP(random_state=0, target_weight=1.0).fit(X, labels)
    assert tell(whole.embedding_, labels) > 0.998
    names = np.array([f"digit {k}" for k in labels])
    by_name = ld.UMAP(random_state=0, target_weight=1.0).fit(X, names)
    assert np.array_equal(by_name.embedding_, whole.embedding_)
    passed_over = ld.UMAP(random_state=0, target_metric=None).fit(X, labels)
    assert np.array_equal(passed_over.embedding_, fitted.embedding_)


def test_numbers_draw_their_rows_together() -> None:
    """Rows on a plane, and one of its coordinates, or both, as numbers."""
    rng = np.random.default_rng(0)
    plane = rng.uniform(size=(500, 2))
    X = np.concatenate([plane, rng.normal(scale=0.1, size=(500, 8))], axis=1)

    def told(target: np.ndarray, **options) -> float:
        """How well five neighbours in the layout tell the numbers."""
        Y = ld.UMAP(random_state=0, **options).fit_transform(X, target)
        model = KNeighborsRegressor(5).fit(Y[::2], plane[::2])
        return float(np.mean((model.predict(Y[1::2]) - plane[1::2])[:, 0] ** 2))

    without = told(None)
    assert told(plane[:, 0], target_metric="l2") < 0.7 * without
    assert told(plane[:, 0], target_metric="l2", target_weight=0.9) < 0.1 * without
    assert told(plane, target_metric="l1", target_weight=0.9) < 0.5 * without
    assert told(plane[:, 0], target_metric="l2", target_weight=0.0) == without
    by_other_name = told(plane[:, :1], target_metric="manhattan", target_weight=0.9)
    assert by_other_name == told(plane[:, 0], target_metric="euclidean", target_weight=0.9)


@pytest.mark.parametrize("weight", [0.2, 0.5, 0.8, 1.0])
def test_memberships_by_numbers_are_those_of_the_formula(weight: float) -> None:
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(80, 4)), rng.normal(size=80)
    rows = UMAPAffinity(12).graph(X).matrix.toarray().astype(float)
    near = nearest_neighbors(y[:, None], 11)
    values = UMAPAffinity(12).conditional(near).toarray().astype(float)
    low = max(rows[rows > 0].min() / 2, 1e-8), np.clip(values[values > 0].min() / 2, 1e-8, 1e-4)
    v = np.where(rows > 0, rows, low[0]) ** min(1, (1 - weight) / weight)
    u = np.where(values > 0, values, low[1]) ** (min(1, weight / (1 - weight)) if weight < 1 else 1)
    seen = (rows > 0) | (values > 0) if weight < 1 else values > 0
    made = np.where(seen, v * u, 0)
    made /= made.max(1, keepdims=True)
    expected = made + made.T - made * made.T
    model = ld.UMAP(
        n_neighbors=12, target_metric="l2", target_weight=weight, n_epochs=5, random_state=0
    ).fit(X, y)
    np.testing.assert_allclose(model.affinities_.matrix.toarray(), expected, atol=2e-6)


@pytest.mark.slow
def test_memberships_by_numbers_are_umap_learns() -> None:
    umap = pytest.importorskip("umap")
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(150, 4)).astype(np.float32), rng.normal(size=150)
    for weight in (0.2, 0.5, 0.8):
        options = {"n_neighbors": 12, "target_metric": "l2", "target_weight": weight}
        theirs = umap.UMAP(**options, transform_mode="graph").fit(X, y).graph_.toarray()
        ours = ld.UMAP(**options, n_epochs=2, random_state=0).fit(X, y).affinities_.matrix.toarray()
        np.testing.assert_allclose(ours, theirs, atol=1e-4)


def test_given_neighbours_and_graphs_are_used_as_they_are(blobs, monkeypatch) -> None:
    X, _ = blobs
    found = nearest_neighbors(X, 14)
    graph = UMAPAffinity(15).from_neighbors(found).matrix
    whole = ld.UMAP(n_epochs=50, random_state=0).fit_transform(X)
    monkeypatch.setattr("lowdim.embedding._base.NeighborIndex", None)  # nobody may search
    by_neighbours = ld.UMAP(n_epochs=50, neighbors=found, random_state=0)
    assert np.array_equal(whole, by_neighbours.fit_transform(X))
    by_distances = ld.UMAP(n_epochs=50, metric="precomputed", random_state=0)
    assert by_distances.fit_transform(found.to_csr()).shape == (300, 2)
    by_graph = ld.UMAP(n_epochs=50, affinity="precomputed", random_state=0).fit(graph)
    assert by_graph.embedding_.shape == (300, 2)
    with pytest.raises(ValueError, match="only their graph was given"):
        by_graph.transform(graph)
    with pytest.raises(ValueError, match="needs distances"):
        ld.UMAP(affinity="precomputed", densmap=True).fit(graph)


def test_graphs_in_pieces_and_points_alone() -> None:
    graph = np.zeros((52, 52))
    for k in range(3):
        graph[16 * k : 16 * k + 16, 16 * k : 16 * k + 16] = 1.0
    for init in ("spectral", "random"):
        Y = ld.UMAP(affinity="precomputed", init=init, random_state=0).fit_transform(graph)
        assert np.isfinite(Y).all()
        labels = np.repeat(np.arange(3), 16)
        assert tell(Y[:48], labels, 5) == 1.0
    nothing = np.eye(6)
    with pytest.raises(ValueError, match="not zero between two rows"):
        ld.UMAP(affinity="precomputed").fit(nothing)


def test_equal_rows_constant_columns_and_far_rows_do_no_harm() -> None:
    X = np.repeat(np.random.default_rng(0).normal(size=(20, 4)), 20, axis=0)
    X[:, 3] = 5.0
    X[-1] = 1e4
    for densmap in (False, True):
        Y = ld.UMAP(densmap=densmap, random_state=0).fit_transform(X)
        assert np.isfinite(Y).all()
    same = ld.UMAP(random_state=0).fit_transform(np.ones((30, 3)))
    assert np.isfinite(same).all()


@pytest.mark.parametrize("n", [2, 3, 4, 5, 9])
def test_few_rows(n: int) -> None:
    X = np.random.default_rng(0).normal(size=(n, 3))
    for init in ("spectral", "pca"):
        model = ld.UMAP(init=init, random_state=0).fit(X)
        assert np.isfinite(model.embedding_).all()
        assert np.isfinite(model.transform(X)).all()


def test_sparse_rows_and_metrics(blobs) -> None:
    X, labels = blobs
    dense = ld.UMAP(n_epochs=100, random_state=0, init="pca").fit_transform(X)
    sparse = ld.UMAP(n_epochs=100, random_state=0, init="pca").fit_transform(sp.csr_matrix(X))
    assert dense.shape == sparse.shape
    for metric in ("cosine", "manhattan"):
        assert tell(ld.UMAP(metric=metric, random_state=0).fit_transform(X), labels) > 0.98


def test_callbacks_see_the_loss_fall_and_stop_the_fit(blobs) -> None:
    X, _ = blobs
    seen = []
    model = ld.UMAP(
        callbacks=lambda *told: seen.append(told) or told[0] == 150,
        callbacks_every=50,
        random_state=0,
        n_epochs=300,
    ).fit(X)
    assert [number for number, _, _ in seen] == [50, 100, 150]
    assert np.array_equal(seen[-1][1], model.embedding_)
    assert (model.n_iter_, model.stop_reason_) == (150, "callback")
    assert model.history_["loss"] == [loss for _, _, loss in seen]
    assert seen[-1][2] < seen[0][2]


def test_an_interrupt_keeps_the_layout(blobs) -> None:
    def stop(number: int, *_) -> None:
        if number == 100:
            raise KeyboardInterrupt

    model = ld.UMAP(callbacks=stop, random_state=0).fit(blobs[0])
    assert (model.n_iter_, model.stop_reason_) == (100, "interrupted")
    assert np.isfinite(model.embedding_).all()


@pytest.mark.parametrize("densmap", [False, True])
def test_files_keep_the_layout_and_places_of_new_rows(blobs, densmap: bool, tmp_path) -> None:
    X, _ = blobs
    model = ld.UMAP(densmap=densmap, n_epochs=30, random_state=0).fit(X[::2])
    model.save(tmp_path / "model.h5")
    again = ld.load(tmp_path / "model.h5")
    assert np.array_equal(again.embedding_, model.embedding_)
    assert np.array_equal(again.transform(X[1::2]), model.transform(X[1::2]))


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"n_components": 0}, ValueError, "n_components=0"),
        ({"n_neighbors": 1}, ValueError, "n_neighbors=1"),
        ({"min_dist": 2.0}, ValueError, "min_dist=2.0"),
        ({"spread": 0}, ValueError, "spread=0"),
        ({"n_epochs": -1}, ValueError, "n_epochs=-1"),
        ({"learning_rate": 0}, ValueError, "learning_rate=0"),
        ({"negative_sample_rate": -1}, ValueError, "negative_sample_rate=-1"),
        ({"repulsion_strength": -1}, ValueError, "repulsion_strength=-1"),
        ({"a": 1.0}, ValueError, "a=1.0 and b=None"),
        ({"a": 1.0, "b": 0.0}, ValueError, "b=0.0"),
        ({"dens_frac": 1.5}, ValueError, "dens_frac=1.5"),
        ({"dens_lambda": -1}, ValueError, "dens_lambda=-1"),
        ({"target_metric": "l3"}, ValueError, "target_metric='l3'"),
        ({"target_weight": 2}, ValueError, "target_weight=2"),
        ({"set_op_mix_ratio": 2}, ValueError, "set_op_mix_ratio=2"),
        ({"init": "best"}, ValueError, "init='best'"),
        ({"callbacks": [3]}, TypeError, "callbacks has 3"),
        ({"affinity": "umap"}, ValueError, "affinity='umap'"),
        ({"metric": "angle"}, ValueError, "metric='angle'"),
        ({"n_jobs": 0}, ValueError, "n_jobs=0"),
    ],
)
def test_bad_arguments_are_named(arguments: dict, error: type, message: str) -> None:
    X = np.random.default_rng(0).normal(size=(60, 5))
    with pytest.raises(error, match=message):
        ld.UMAP(**arguments).fit(X)


def test_bad_labels_are_named() -> None:
    X = np.random.default_rng(0).normal(size=(60, 5))
    with pytest.raises(ValueError, match="y has 59 labels"):
        ld.UMAP().fit(X, np.zeros(59))


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (np.arange(59.0), "y has shape \\(59,\\)"),
        (np.array(["a"] * 60), "of which there are no distances"),
        (np.r_[np.arange(59.0), np.nan], "first row 59"),
    ],
)
def test_bad_numbers_are_named(y: np.ndarray, message: str) -> None:
    X = np.random.default_rng(0).normal(size=(60, 5))
    with pytest.raises(ValueError, match=message):
        ld.UMAP(target_metric="l2").fit(X, y)
