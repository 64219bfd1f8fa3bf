"""Layouts in files: what comes back is what was saved, and places new rows alike."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp

import lowdim as ld
from lowdim.affinities import EntropicAffinity
from lowdim.neighbors import nearest_neighbors


@pytest.fixture(scope="module")
def rows() -> np.ndarray:
    rng = np.random.default_rng(0)
    return np.concatenate([rng.normal(size=(60, 6)), rng.normal(size=(60, 6)) + 6])


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"neighbors": "approximate", "n_components": 3},
        {"neighbors": "faiss"},
        {"metric": "cosine", "callbacks": lambda *_: None},
        {"metric": "manhattan", "affinity": EntropicAffinity(8, n_neighbors=20)},
        {"init": np.random.default_rng(1).normal(size=(120, 2)), "verbose": 0},
    ],
)
def test_new_rows_have_the_same_places_after_loading(
    rows: np.ndarray, tmp_path: Path, arguments: dict
) -> None:
    if arguments.get("neighbors") == "faiss":
        pytest.importorskip("faiss")
    model = ld.TSNE(**{"perplexity": 10, "max_iter": 60, "random_state": 0, **arguments})
    model.fit(rows).save(tmp_path / "layout.h5")
    again = ld.load(tmp_path / "layout.h5")
    assert type(again) is ld.TSNE
    for name, value in model.get_params().items():
        if name == "callbacks":
            assert again.callbacks is None
        elif name == "affinity" and value is not None:
            assert again.affinity.get_params() == value.get_params()
        elif not name.startswith("affinity__"):
            np.testing.assert_array_equal(getattr(again, name), value)
    for name in ("embedding_", "kl_divergence_", "n_iter_", "stop_reason_", "n_features_in_"):
        np.testing.assert_array_equal(getattr(again, name), getattr(model, name))
    np.testing.assert_array_equal(again.history_["gradient_norm"], model.history_["gradient_norm"])
    np.testing.assert_array_equal(again.neighbors_.distances, model.neighbors_.distances)
    np.testing.assert_array_equal(again.affinities_.bandwidths, model.affinities_.bandwidths)
    assert (again.affinities_.matrix != model.affinities_.matrix).nnz == 0
    new = rows[::7] + 0.1
    assert np.array_equal(again.transform(new), model.transform(new))
    again.fit(rows)  # and can be fitted anew
    if "callbacks" not in arguments:
        assert np.array_equal(again.embedding_, model.embedding_)


def test_sparse_rows_graphs_and_given_neighbours(rows: np.ndarray, tmp_path: Path) -> None:
    path = tmp_path / "layout.h5"
    sparse = sp.csr_matrix(np.maximum(rows, 0))
    model = ld.TSNE(perplexity=10, max_iter=60, random_state=0).fit(sparse)
    model.save(path)
    assert np.array_equal(ld.TSNE.load(path).transform(sparse[:9]), model.transform(sparse[:9]))

    found = nearest_neighbors(rows, 30)
    model = ld.TSNE(perplexity=10, neighbors=found, max_iter=60, random_state=0).fit(rows)
    model.save(path)
    assert np.array_equal(ld.load(path).neighbors.indices, found.indices)

    graph = model.affinities_.matrix
    model = ld.TSNE(affinity="precomputed", max_iter=60, random_state=0).fit(graph)
    model.save(path)
    assert ld.load(path).neighbors_ is None
    with pytest.raises(ValueError, match="only their graph"):
        ld.load(path).transform(graph)


def test_what_no_file_can_hold_is_named(rows: np.ndarray, tmp_path: Path) -> None:
    class Own(EntropicAffinity):
        pass

    model = ld.TSNE(affinity=Own(10), max_iter=20, random_state=0).fit(rows)
    with pytest.raises(TypeError, match=r"params\.affinity is a Own"):
        model.save(tmp_path / "layout.h5")
    assert not (tmp_path / "layout.h5").exists()
    model.set_params(affinity=None).save(tmp_path / "layout.h5")


def test_streams_of_random_numbers_are_left_out(rows: np.ndarray, tmp_path: Path) -> None:
    model = ld.TSNE(perplexity=10, max_iter=20, random_state=np.random.default_rng(0)).fit(rows)
    model.save(tmp_path / "layout.h5")
    assert ld.load(tmp_path / "layout.h5").random_state is None
