"""Layouts that are cut off or interrupted go on to the bits of one that was not."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path
from types import FunctionType
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from accelerator import pretended
from cut_off_fits import CutOffError, after, cut_off, kept_often, n_steps, press
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

import lowdim as ld
from lowdim.affinities import EntropicAffinity
from lowdim.embedding._tsne import descent

ROWS = np.concatenate([np.random.default_rng(k).normal(3 * k, 1, (60, 5)) for k in range(3)])
SHORT: dict[str, Any] = {"perplexity": 8, "early_exaggeration_iter": 12, "max_iter": 30}
PAIRS: dict[str, Any] = {"perplexity": 8, "max_iter": 30}


def cauchy(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """The logarithm of a kernel."""
    return -(first - second).square().sum(-1).log1p()


def network() -> torch.nn.Module:
    """One that draws, and that knows what it has seen."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return torch.nn.Sequential(
            torch.nn.Linear(5, 16), torch.nn.BatchNorm1d(16), torch.nn.Dropout(0.2),
            torch.nn.Linear(16, 2),
        )  # fmt: skip


LAYOUTS: dict[str, tuple[Any, Any]] = {
    "exact": (ld.TSNE(**SHORT), ROWS),
    "mesh": (ld.TSNE(**SHORT, method="mesh", dof=0.8), ROWS),
    "mesh on a line": (ld.TSNE(1, **SHORT, method="mesh"), ROWS),
    "tree": (ld.TSNE(3, **SHORT, method="tree"), ROWS),
    "looked at": (
        ld.TSNE(**SHORT, method="mesh", callbacks_every=7, callbacks=lambda *_: None), ROWS,
    ),
    "of sparse rows": (ld.TSNE(**SHORT, init="random"), sp.csr_matrix(np.maximum(ROWS, 0))),
    "of a graph": (ld.TSNE(**SHORT, affinity="precomputed"), None),
    "UMAP": (ld.UMAP(n_neighbors=8, n_epochs=30), ROWS),
    "densMAP": (ld.UMAP(n_neighbors=8, n_epochs=30, densmap=True, dens_frac=0.6), ROWS),
    "LargeVis": (ld.LargeVis(perplexity=8, max_iter=30), ROWS),
    "InfoTSNE": (ld.InfoTSNE(**SHORT, n_negatives=20), ROWS),
    "InfoTSNE looked at": (
        ld.InfoTSNE(
            **SHORT, n_negatives=20, callbacks_every=7, callbacks=lambda *_: None
        ), ROWS,
    ),
    "PaCMAP": (ld.PaCMAP(n_neighbors=8, num_iters=(10, 8, 12)), ROWS),
    "SNE": (ld.SNE(**PAIRS, early_exaggeration_coeff=4, early_exaggeration_iter=12), ROWS),
    "SNE by SGD": (
        ld.SNE(
            **PAIRS, optimizer="SGD", scheduler="linear", early_exaggeration_coeff=4,
            early_exaggeration_iter=12, callbacks_every=7, callbacks=lambda *_: None,
        ), ROWS,
    ),
    "t-SNEkhorn": (ld.TSNEkhorn(**PAIRS, symmetric_affinity=False), ROWS),
    "t-SNEkhorn by torch": (
        ld.TSNEkhorn(**PAIRS, symmetric_affinity=False, backend="blockwise"), ROWS,
    ),
    "CO-SNE": (ld.COSNE(**PAIRS), ROWS),
    "CO-SNE by Adam": (ld.COSNE(**PAIRS, optimizer="Adam", scheduler="cosine"), ROWS),
    "any affinities": (
        ld.NeighborEmbedding(EntropicAffinity(8), cauchy, lr=0.1, max_iter=30), ROWS,
    ),
    "any affinities, as t-SNE": (
        ld.NeighborEmbedding(
            EntropicAffinity(8), "student", optimizer="auto", max_iter=30,
            early_exaggeration_coeff=4, early_exaggeration_iter=12,
        ), ROWS,
    ),
    "an encoder": (
        ld.NeighborEmbedding(
            EntropicAffinity(8), "student", encoder=network(), batch_size=64, max_iter=30,
            early_exaggeration_coeff=4, early_exaggeration_iter=12, scheduler="cosine",
            callbacks_every=7, callbacks=lambda *_: None,
        ), ROWS,
    ),
}  # fmt: skip


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Checkpoints are written every few iterations; points are renumbered early, too."""
    monkeypatch.setattr(descent, "RENUMBERED", (4, 15))
    with kept_often(monkeypatch):
        yield


def layout_of(name: str) -> tuple[Any, Any]:
    """A model with a seed, and what it is fitted to."""
    model, X = LAYOUTS[name]
    if X is None:
        X = ld.TSNE(perplexity=8, max_iter=1).fit(ROWS).affinities_.matrix
    return clone(model).set_params(random_state=0, callbacks=model.callbacks), X


def assert_same(found: Any, expected: Any) -> None:
    """Layout, divergence and course, to the bit."""
    np.testing.assert_array_equal(found.embedding_, expected.embedding_)
    for loss in ("kl_divergence_", "loss_"):
        assert vars(found).get(loss) == vars(expected).get(loss)
    assert (found.n_iter_, found.stop_reason_) == (expected.n_iter_, expected.stop_reason_)
    assert found.history_.keys() == expected.history_.keys()
    for name, values in expected.history_.items():
        np.testing.assert_array_equal(found.history_[name], values)
    matrices = found.affinities_.matrix, expected.affinities_.matrix
    assert (matrices[0] != matrices[1]).nnz == 0


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_layout_that_was_cut_off_goes_on_to_the_same_bits(name: str, tmp_path: Path) -> None:
    model, X = layout_of(name)
    whole = clone(model).set_params(callbacks=model.callbacks).fit(X)
    path = tmp_path / "fit.h5"
    model.set_params(checkpoint=path)
    for steps in (4, 15, 30):
        path.unlink(missing_ok=True)
        with pytest.MonkeyPatch.context() as patched, pytest.raises(CutOffError):
            after(patched, steps, cut_off)
            model.fit(X)
        assert_same(model.fit(X), whole)
    assert n_steps(model, X, path) == 0  # what is complete is read
    assert_same(model.fit(X), whole)


@pytest.mark.parametrize(
    ("name", "n_before"), [("mesh", 5), ("mesh", 12), ("mesh", 20), ("SNE", 12), ("SNE", 20)]
)
def test_a_layout_goes_on_with_more_iterations(name: str, n_before: int, tmp_path: Path) -> None:
    model, X = layout_of(name)
    whole = clone(model).fit(X)
    model.set_params(checkpoint=tmp_path / "fit.h5")
    assert clone(model).set_params(max_iter=n_before).fit(X).n_iter_ == n_before
    assert_same(model.fit(X), whole)


@pytest.mark.parametrize(
    "name", ["InfoTSNE", "UMAP", "densMAP", "LargeVis", "PaCMAP", "t-SNEkhorn"]
)
def test_a_device_goes_on(name: str, tmp_path: Path) -> None:
    model, X = layout_of(name)
    model.set_params(device="cuda")
    with pretended():
        whole = clone(model).fit(X)
        model.set_params(checkpoint=tmp_path / "fit.h5")
        with pytest.MonkeyPatch.context() as patched, pytest.raises(CutOffError):
            after(patched, 14, cut_off)
            model.fit(X)
        assert_same(model.fit(X), whole)


@pytest.mark.parametrize("name", ["LargeVis", "InfoTSNE", "CO-SNE by Adam", "an encoder"])
def test_where_steps_go_by_the_number_of_all_it_may_not_change(name: str, tmp_path: Path) -> None:
    model, X = layout_of(name)
    model.set_params(checkpoint=tmp_path / "fit.h5").fit(X)
    with pytest.raises(ValueError, match="max_iter was 30 and is 40"):
        model.set_params(max_iter=40).fit(X)


def test_labels_are_of_the_fit(tmp_path: Path) -> None:
    model = ld.UMAP(n_neighbors=8, n_epochs=9, random_state=0, checkpoint=tmp_path / "fit.h5")
    model.fit(ROWS, np.arange(180) % 3)
    with pytest.raises(ValueError, match=r"y differs|y was"):
        model.fit(ROWS, np.arange(180) % 2)


def test_a_device_goes_on_between_two_looks_at_the_extent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lowdim.embedding._tsne.torch_descent.SWIFT", 3)
    model, X = layout_of("mesh")
    model.set_params(device="cuda", learning_rate=300.0)  # so that extents differ
    with pretended():
        whole = clone(model).fit(X)
        model.set_params(checkpoint=tmp_path / "fit.h5")
        with monkeypatch.context() as patched, pytest.raises(CutOffError):
            after(patched, 25, cut_off)
            model.fit(X)
        assert_same(model.fit(X), whole)


def test_ctrl_c_returns_the_layout_so_far_and_says_how_to_go_on(tmp_path: Path) -> None:
    model, X = layout_of("mesh")
    whole = clone(model).fit(X)
    model.set_params(checkpoint=tmp_path / "fit.h5")
    with pytest.MonkeyPatch.context() as patched:
        after(patched, 17, press)
        with pytest.warns(ConvergenceWarning, match="after iteration 17; .*To go on, fit again"):
            early = clone(model).fit(X)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert (early.n_iter_, early.stop_reason_) == (17, "interrupted")
    np.testing.assert_array_equal(
        early.embedding_, clone(model).set_params(checkpoint=None, max_iter=17).fit(X).embedding_
    )
    assert_same(model.fit(X), whole)


@pytest.mark.parametrize("name", ["mesh", "UMAP", "PaCMAP", "SNE", "an encoder"])
def test_ctrl_c_again_raises_as_usual(name: str, tmp_path: Path) -> None:
    model, X = layout_of(name)
    whole = clone(model).fit(X)
    model.set_params(checkpoint=tmp_path / "fit.h5")

    def twice() -> None:
        press()
        press()

    with pytest.MonkeyPatch.context() as patched, pytest.raises(KeyboardInterrupt):
        after(patched, 8, twice)
        clone(model).fit(X)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert_same(model.fit(X), whole)


def test_a_layout_that_a_callback_has_ended_is_complete(tmp_path: Path) -> None:
    model, X = layout_of("exact")
    model.set_params(
        callbacks=lambda n, *_: n == 20, callbacks_every=10, checkpoint=tmp_path / "fit.h5"
    )
    first = model.fit(X).embedding_
    assert (model.n_iter_, model.stop_reason_) == (20, "callback")
    np.testing.assert_array_equal(model.fit(X).embedding_, first)
    assert (model.n_iter_, model.stop_reason_) == (20, "callback")


def test_a_layout_without_a_seed_goes_on_from_where_it_began(tmp_path: Path) -> None:
    model, X = layout_of("of sparse rows")
    model.set_params(random_state=None, checkpoint=tmp_path / "fit.h5")
    with pytest.MonkeyPatch.context() as patched, pytest.raises(CutOffError):
        after(patched, 10, cut_off)
        model.fit(X)
    (tmp_path / "copy.h5").write_bytes((tmp_path / "fit.h5").read_bytes())
    first = clone(model).fit(X)
    assert_same(clone(model).set_params(checkpoint=tmp_path / "copy.h5").fit(X), first)


def test_checkpoints_of_other_layouts_are_refused_and_say_why(tmp_path: Path) -> None:
    model, X = layout_of("exact")
    model.set_params(checkpoint=tmp_path / "fit.h5").fit(X)
    before = (tmp_path / "fit.h5").read_bytes()
    for other, rows, message in (
        (clone(model).set_params(perplexity=9), X, "perplexity was 8 and is 9"),
        (clone(model).set_params(init=X[:, :2]), X, "init differs|init was"),
        (model, X + 1e-9, "rows of X differs"),
    ):
        with pytest.raises(ValueError, match=message):
            other.fit(rows)
    assert (tmp_path / "fit.h5").read_bytes() == before


def test_networks_are_told_by_their_numbers_and_functions_by_their_names(tmp_path: Path) -> None:
    model, X = layout_of("an encoder")
    model.set_params(checkpoint=tmp_path / "encoder.h5").fit(X)
    other = network()
    other[0].weight.data[0, 0] += 1.0
    with pytest.raises(ValueError, match=r"settings: network\.0\.weight differs"):
        clone(model).set_params(encoder=other).fit(X)
    model, X = layout_of("any affinities")
    first = model.set_params(checkpoint=tmp_path / "function.h5").fit(X)
    again = FunctionType(cauchy.__code__, cauchy.__globals__, "cauchy")  # as in another process
    assert_same(clone(model).set_params(affinity_out=again).fit(X), first)


def test_more_rows_for_an_encoder_are_in_no_file(tmp_path: Path) -> None:
    model, X = layout_of("an encoder")
    model.set_params(checkpoint=tmp_path / "fit.h5").fit(X)
    before = (tmp_path / "fit.h5").read_bytes()
    with pytest.MonkeyPatch.context() as patched:
        after(patched, 9, press, anywhere=True)
        message = "after iteration 9; .* A fit with checkpoint=PATH"
        with pytest.warns(ConvergenceWarning, match=message):
            model.partial_fit(X[:90])
    assert model.n_iter_ == 9
    assert (tmp_path / "fit.h5").read_bytes() == before


def test_where_a_layout_was_kept_is_not_saved_with_it(tmp_path: Path) -> None:
    model, X = layout_of("exact")
    model.set_params(checkpoint=tmp_path / "fit.h5").fit(X).save(tmp_path / "model.h5")
    loaded = ld.load(tmp_path / "model.h5")
    assert loaded.checkpoint is None
    np.testing.assert_array_equal(loaded.embedding_, model.embedding_)
