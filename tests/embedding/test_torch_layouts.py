"""Layouts by torch on a pretended device: quality, seeds, density, callbacks and new rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from accelerator import pretended
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.neighbors import KNeighborsClassifier, NearestNeighbors

import lowdim as ld

KINDS = {
    "umap": ld.UMAP(random_state=0),
    "largevis": ld.LargeVis(random_state=0),
    "infotsne": ld.InfoTSNE(n_negatives=30, max_iter=300, random_state=0),
    "pacmap": ld.PaCMAP(random_state=0),
}
LIMITS = {
    **{"umap": "n_epochs", "largevis": "max_iter"},
    **{"infotsne": "max_iter", "pacmap": "num_iters"},
}


@pytest.fixture(scope="module")
def digits() -> tuple[np.ndarray, np.ndarray]:
    return load_digits(return_X_y=True)


def model_of(name: str, n_iter: int | None = None, **changes: Any) -> Any:
    """An estimator on the device; PaCMAP has so many iterations after 200."""
    if n_iter is not None:
        changes[LIMITS[name]] = n_iter
    return clone(KINDS[name]).set_params(**{"device": "cuda", **changes})


@pytest.mark.parametrize("name", KINDS)
def test_digits_are_laid_out_as_well_as_on_the_host(digits, name: str) -> None:
    X, labels = digits
    kept, told = [], []
    for device in ("cpu", "cuda"):
        with pretended():
            Y = model_of(name, device=device).fit_transform(X)
        kept.append(ld.metrics.neighborhood_preservation(X, Y, 15))
        told.append(ld.metrics.knn_label_accuracy(Y, labels, 15))
    assert kept[1] == pytest.approx(kept[0], abs=0.012)
    assert told[1] == pytest.approx(told[0], abs=0.012)


@pytest.mark.parametrize("name", KINDS)
def test_the_same_seed_gives_the_same_layout(blobs, name: str) -> None:
    model = model_of(name, 20)
    with pretended():
        first = model.fit_transform(blobs[0])
        assert np.array_equal(first, model.fit_transform(blobs[0]))
        model.set_params(random_state=1, init="random")
        assert not np.allclose(first, model.fit_transform(blobs[0]))


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("n_components", [1, 3])
def test_groups_come_apart_and_new_rows_go_to_them(blobs, name: str, n_components: int) -> None:
    X, labels = blobs
    model = model_of(name, 150, n_components=n_components)
    with pretended():
        model.fit(X[::2])
        told = KNeighborsClassifier(5).fit(model.embedding_, labels[::2])
        assert model.embedding_.shape == (150, n_components)
        assert told.score(model.embedding_, labels[::2]) > 0.98
        assert told.score(model.transform(X[1::2]), labels[1::2]) > 0.98


@pytest.mark.parametrize("name", KINDS)
def test_callbacks_see_the_layout_and_its_loss(blobs, name: str) -> None:
    seen: list[tuple[int, np.ndarray, float]] = []

    def callback(*told: Any) -> bool:
        seen.append(told)
        return bool(told[0] == 20)

    with pretended():
        model = model_of(name, 60, callbacks=callback, callbacks_every=10).fit(blobs[0])
    assert [number for number, _, _ in seen] == [10, 20]
    assert np.array_equal(seen[-1][1], model.embedding_)
    assert not np.array_equal(seen[0][1], model.embedding_)
    assert (model.n_iter_, model.stop_reason_) == (20, "callback")
    assert np.isfinite([value for _, _, value in seen]).all()


@pytest.mark.parametrize("name", KINDS)
def test_an_interrupt_keeps_the_layout(blobs, name: str) -> None:
    def interrupt(*told: object) -> None:
        raise KeyboardInterrupt

    with pretended():
        model = model_of(name, 60, callbacks=interrupt, callbacks_every=10).fit(blobs[0])
        until = model_of(name, 60, callbacks=lambda *told: True, callbacks_every=10).fit(blobs[0])
    assert (model.n_iter_, model.stop_reason_) == (10, "interrupted")
    assert np.array_equal(model.embedding_, until.embedding_)


def test_density_is_kept() -> None:
    """Radii in the layout go with those of rows, by neighbours in both."""
    rng = np.random.default_rng(0)
    X = np.concatenate([rng.normal(scale=s, size=(100, 8)) + 20 * k for k, s in enumerate((1, 4))])
    told = []
    for densmap in (False, True):
        with pretended():
            Y = model_of("umap", 300, densmap=densmap).fit_transform(X)
        far = [NearestNeighbors(n_neighbors=10).fit(Z).kneighbors()[0].mean(1) for Z in (X, Y)]
        told.append(np.corrcoef(*np.log(far))[0, 1])
    assert told[1] > max(told[0] + 0.2, 0.8)


@pytest.mark.parametrize("name", KINDS)
def test_a_device_that_is_not_there_is_named_before_any_work(name: str) -> None:
    with pytest.raises(ValueError, match="device='abacus' is not supported"):
        model_of(name, device="abacus").fit(None)
    with pytest.raises(TypeError, match="device must be a string"):
        model_of(name, device=3).fit(None)


@pytest.mark.parametrize("name", KINDS)
def test_landmarks_and_anndata_pass_the_device_on(blobs, name: str) -> None:
    import anndata as ad

    with pretended() as log:
        ld.LandmarkEmbedding(model_of(name, 10), n_landmarks=100, random_state=0).fit(blobs[0])
        assert log.calls > 100
        log.clear()
        adata = ad.AnnData(blobs[0].astype(np.float32))
        ld.tl.embed(adata, name, params={"device": "cuda", LIMITS[name]: 10})
        assert log.calls > 100
