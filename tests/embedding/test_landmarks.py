"""LandmarkEmbedding: who is a landmark, and where all others come."""

from __future__ import annotations

from pathlib import Path

import anndata as ad
import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_digits
from sklearn.neighbors import KNeighborsClassifier

import lowdim as ld
from lowdim.data.sources import as_rows
from lowdim.embedding import _landmark_rows, landmarks
from lowdim.embedding._landmark_rows import landmark_rows

QUICK = {"perplexity": 8, "max_iter": 60, "random_state": 0}


@pytest.mark.parametrize("kind", [np.asarray, sp.csr_matrix])
@pytest.mark.parametrize("selection", ["random", "k-means++"])
def test_landmarks_are_laid_out_and_others_placed(blobs, kind, selection: str) -> None:
    X, labels = kind(blobs[0]), blobs[1]
    model = ld.LandmarkEmbedding(
        ld.TSNE(**QUICK), n_landmarks=90, selection=selection, random_state=1
    ).fit(X)
    chosen = model.landmark_indices_
    assert len(chosen) == 90 and (np.diff(chosen) > 0).all()
    own = ld.TSNE(**QUICK).fit(X[chosen])
    assert np.array_equal(model.embedding_[chosen], own.embedding_)
    others = np.setdiff1d(np.arange(300), chosen)
    assert np.array_equal(model.embedding_[others], own.transform(X[others]))
    assert np.array_equal(model.transform(X[:40]), own.transform(X[:40]))
    assert (model.embedding_.dtype, model.n_features_in_) == (np.float32, 6)
    near = KNeighborsClassifier(5).fit(own.embedding_, labels[chosen])
    assert near.score(model.embedding_[others], labels[others]) > 0.98


def test_rows_are_read_in_blocks_and_never_together(
    blobs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    X = blobs[0].astype(np.float32)
    ad.AnnData(X).write_h5ad(tmp_path / "rows.h5ad")
    model = ld.LandmarkEmbedding(ld.TSNE(**QUICK), n_landmarks=0.3, random_state=1)
    expected = model.fit_transform(X)
    monkeypatch.setattr("lowdim.embedding._spectral.centred_rows.DENSE_VALUES", 256 * 6)
    most = []
    source = as_rows(tmp_path / "rows.h5ad")
    read, take = source.rows, source.take
    monkeypatch.setattr(
        type(source), "rows", lambda _, *span: most.append(span[1] - span[0]) or read(*span)
    )
    monkeypatch.setattr(
        type(source), "take", lambda _, index: most.append(len(index)) or take(index)
    )
    assert np.array_equal(model.fit_transform(source), expected)
    assert len(model.landmark_indices_) == 90
    most.clear()
    assert np.array_equal(model.transform(source), model.estimator_.transform(X))
    assert max(most[1:]) == 256  # after the first look at the values


@pytest.mark.parametrize(
    "estimator",
    ["umap", ld.PaCMAP(n_neighbors=8), ld.PHATE(), ld.LaplacianEigenmaps(n_neighbors=60), "pca"],
    ids=str,
)
def test_any_layout_may_be_that_of_the_landmarks(blobs, estimator) -> None:
    X, labels = blobs
    model = ld.LandmarkEmbedding(estimator, n_landmarks=100, random_state=0).fit(X)
    again = ld.LandmarkEmbedding(estimator, n_landmarks=100, random_state=0).fit_transform(X)
    assert np.array_equal(model.embedding_, again)
    near = KNeighborsClassifier(5).fit(model.embedding_[::2], labels[::2])
    assert near.score(model.embedding_[1::2], labels[1::2]) > 0.95


def test_few_rows_are_all_landmarks(blobs) -> None:
    X, _ = blobs
    model = ld.LandmarkEmbedding(ld.TSNE(**QUICK), random_state=3).fit(X)
    assert np.array_equal(model.landmark_indices_, np.arange(300))
    assert np.array_equal(model.embedding_, ld.TSNE(**QUICK).fit_transform(X))


def test_labels_and_first_places_are_those_of_the_landmarks(blobs) -> None:
    X, labels = blobs
    rows = np.arange(0, 300, 2)
    init = np.random.default_rng(0).normal(size=(300, 2))
    umap = ld.UMAP(n_epochs=20, init=init, random_state=0)
    model = ld.LandmarkEmbedding(umap, selection=rows[::-1]).fit(X, labels.astype(str))
    own = ld.UMAP(n_epochs=20, init=init[rows], random_state=0).fit(X[rows], labels[rows])
    assert np.array_equal(model.landmark_indices_, rows)
    assert np.array_equal(model.embedding_[rows], own.embedding_)
    assert umap.init is init


def test_pieces_are_appended(blobs) -> None:
    X, _ = blobs
    model = ld.LandmarkEmbedding(ld.TSNE(**QUICK), n_landmarks=60, random_state=0)
    for piece in (X[::3], X[1::3], X[2::3]):
        model.partial_fit(piece)
    whole = ld.LandmarkEmbedding(ld.TSNE(**QUICK), n_landmarks=60, random_state=0).fit(X[::3])
    assert np.array_equal(model.landmark_indices_, whole.landmark_indices_)
    placed = [whole.embedding_, whole.transform(X[1::3]), whole.transform(X[2::3])]
    assert np.array_equal(model.embedding_, np.concatenate(placed))
    with pytest.raises(ValueError, match="5 features"):
        model.partial_fit(X[:, :5])
    assert len(model.embedding_) == 300


@pytest.mark.parametrize("estimator", [None, "umap", ld.SNE(perplexity=8, max_iter=20)])
def test_files_keep_the_layout_and_places_of_new_rows(blobs, tmp_path: Path, estimator) -> None:
    X, _ = blobs
    model = ld.LandmarkEmbedding(estimator, n_landmarks=120, random_state=0).fit(X)
    model.save(tmp_path / "layout.h5")
    again = ld.load(tmp_path / "layout.h5")
    assert type(again) is ld.LandmarkEmbedding and again.n_landmarks == 120
    assert type(again.estimator_) is type(model.estimator_)
    assert np.array_equal(again.embedding_, model.embedding_)
    assert np.array_equal(again.transform(X[:50]), model.transform(X[:50]))
    assert np.array_equal(again.partial_fit(X[:9]).embedding_[-9:], model.transform(X[:9]))
    assert np.array_equal(again.fit(X).embedding_, model.embedding_)
    with pytest.raises(TypeError, match="estimator_ is a PCA"):
        ld.LandmarkEmbedding("pca", n_landmarks=50).fit(X).save(tmp_path / "pca.h5")


def test_digits_keep_their_labels_and_most_neighbours() -> None:
    X, labels = load_digits(return_X_y=True)
    full = ld.TSNE(random_state=0).fit_transform(X)
    layout = ld.LandmarkEmbedding(n_landmarks=0.5, random_state=0).fit_transform(X)
    kept, told = zip(
        *(
            (
                ld.metrics.neighborhood_preservation(X, Y, 15),
                ld.metrics.knn_label_accuracy(Y, labels),
            )
            for Y in (full, layout)
        ),
        strict=True,
    )
    assert kept[1] > 0.8 * kept[0]
    assert told[1] > told[0] - 0.02


@settings(deadline=None, max_examples=25)
@given(
    st.integers(2, 40), st.sampled_from(["random", "k-means++"]), st.booleans(), st.integers(0, 9)
)
def test_landmarks_are_so_many_different_rows(n: int, how: str, sparse: bool, seed: int) -> None:
    rng = np.random.default_rng(seed)
    X = rng.integers(0, 3, size=(40, 2)).astype(float)  # with many copies
    source = as_rows(sp.csr_matrix(X) if sparse else X)
    rows = landmark_rows(source, n, how, np.random.default_rng(seed))
    assert len(rows) == n and (np.diff(rows) > 0).all() and 0 <= rows[0] <= rows[-1] < 40
    again = landmark_rows(source, n, how, np.random.default_rng(seed))
    assert np.array_equal(rows, again)


@pytest.mark.parametrize("sparse", [False, True])
def test_distances_from_landmarks_are_those_of_all_pairs(sparse: bool) -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(70, 4)) + 1e3
    source = as_rows(sp.csr_matrix(X) if sparse else X)
    nearest = np.ones(70)
    for first, drawn in ((True, [3, 8]), (False, [0, 5, 60])):
        _landmark_rows._lower(nearest, source, np.array(drawn), first=first)
    squares = ((X[:, None] - X[[0, 3, 5, 8, 60]]) ** 2).sum(-1).min(1)
    np.testing.assert_allclose(nearest, squares, atol=1e-8)


def test_far_rows_are_drawn_more_often_and_copies_last() -> None:
    """Ten rows far off, as ten groups, among 2,000; one row in 50 is drawn."""
    rng = np.random.default_rng(0)
    X = np.concatenate([rng.normal(size=(2000, 3)), 100 * rng.normal(size=(10, 3))])
    source = as_rows(X)
    spread = landmark_rows(source, 40, "k-means++", np.random.default_rng(1))
    assert (spread >= 2000).sum() == 10
    copies = as_rows(np.concatenate([np.zeros((90, 2)), rng.normal(size=(10, 2))]))
    rows = landmark_rows(copies, 30, "k-means++", np.random.default_rng(2))
    assert (rows >= 90).sum() == 10
    # Draws follow their weights: the share of the heavier of two rows.
    weights = np.array([3.0, 1.0])
    drawn = [_landmark_rows._drawn(weights, np.arange(2), 1, rng)[0] for _ in range(4000)]
    assert np.mean(drawn) == pytest.approx(0.25, abs=0.03)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"n_landmarks": 1}, ValueError, "n_landmarks=1 "),
        ({"n_landmarks": 0.0}, ValueError, r"n_landmarks=0\.0"),
        ({"n_landmarks": 1.5}, ValueError, r"n_landmarks=1\.5"),
        ({"n_landmarks": "all"}, TypeError, "n_landmarks='all'"),
        ({"selection": "best"}, ValueError, "selection='best'"),
        ({"selection": [0.5, 1.5]}, TypeError, "selection has dtype float64"),
        ({"selection": [3, 3]}, ValueError, "selection has 2 rows"),
        ({"selection": [3, 300]}, ValueError, "from 0 to 299"),
        ({"estimator": "best"}, ValueError, "method='best'"),
        ({"estimator": KNeighborsClassifier()}, TypeError, "no transform"),
        ({"estimator": ld.TSNE(affinity="precomputed")}, ValueError, "distances or a graph"),
        ({"estimator": ld.UMAP(metric="precomputed")}, ValueError, "distances or a graph"),
        ({"random_state": -1}, ValueError, "random_state=-1"),
    ],
)
def test_bad_arguments_are_named(blobs, arguments: dict, error: type, message: str) -> None:
    with pytest.raises(error, match=message):
        ld.LandmarkEmbedding(**arguments).fit(blobs[0])


def test_bad_rows_and_labels_are_named(blobs) -> None:
    X, _ = blobs
    model = ld.LandmarkEmbedding(ld.TSNE(**QUICK), n_landmarks=50)
    with pytest.raises(ValueError, match="y has 299 labels"):
        model.fit(X, np.zeros(299))
    bad = X.copy()
    bad[7, 2] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        model.fit(bad)
    assert landmarks.SELECTIONS == ("random", "k-means++")
