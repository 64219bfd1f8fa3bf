"""The general embedding, SNE, t-SNEkhorn and CO-SNE: quality, schedules, new rows, refusals."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.neighbors import KNeighborsClassifier

import lowdim as ld
from lowdim.affinities import EntropicAffinity, SymmetricEntropicAffinity, UMAPAffinity
from lowdim.embedding import (
    NormalizedGaussianAffinity,
    NormalizedHyperbolicAffinity,
    NormalizedKernelAffinity,
    NormalizedStudentAffinity,
)
from lowdim.embedding.cosne import CentreTerm
from lowdim.neighbors import nearest_neighbors

QUICK = {"max_iter": 60, "random_state": 0}


@pytest.fixture(scope="module")
def digits() -> tuple[np.ndarray, np.ndarray]:
    X, labels = load_digits(return_X_y=True)
    return X[:600], labels[:600]


def separation(Y: np.ndarray, labels: np.ndarray) -> float:
    return float(KNeighborsClassifier(10).fit(Y, labels).score(Y, labels))


def cauchy(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    return -(first - second).square().sum(-1).log1p()


def embedding(output="student", **settings) -> ld.NeighborEmbedding:
    return ld.NeighborEmbedding(EntropicAffinity(20), output, **{**QUICK, **settings})


@pytest.mark.parametrize("optimizer", ["auto", "Adam"])
def test_entropic_and_student_affinities_are_those_of_tsne(digits, optimizer) -> None:
    X, _ = digits
    tsne = ld.TSNE(perplexity=20, random_state=0).fit(X)
    early = {"early_exaggeration_coeff": 12, "early_exaggeration_iter": 250}
    model = embedding(optimizer=optimizer, max_iter=750, **early).fit(X)
    assert model.loss_ < 1.01 * tsne.kl_divergence_
    assert model.loss_ > 0.9 * tsne.kl_divergence_
    assert model.n_iter_ == 750


def test_any_pair_of_affinities_has_a_layout(blobs) -> None:
    X, labels = blobs
    outputs = [
        NormalizedStudentAffinity(0.5, normalization="rows"),
        NormalizedGaussianAffinity(normalization="sinkhorn"),
        NormalizedHyperbolicAffinity(),
        NormalizedKernelAffinity(cauchy),
    ]
    inputs = [EntropicAffinity(10), UMAPAffinity(10), SymmetricEntropicAffinity(10)]
    for i, output in enumerate(outputs):
        for affinity in {inputs[i % 3], inputs[(i + 1) % 3]}:
            model = ld.NeighborEmbedding(
                affinity, output, optimizer="auto", init_scaling=0.1, max_iter=120, random_state=0
            )
            Y = model.fit_transform(X)
            assert Y.shape == (300, 2)
            assert separation(Y, labels) > 0.98


def test_output_affinities_have_names_and_parameters(blobs) -> None:
    X, _ = blobs
    by_name = embedding("student", kwargs_affinity_out={"dof": 0.7}).fit_transform(X)
    by_class = embedding(NormalizedStudentAffinity, kwargs_affinity_out={"dof": 0.7})
    given = NormalizedStudentAffinity(0.7)
    assert np.array_equal(by_name, by_class.fit_transform(X))
    assert np.array_equal(by_name, embedding(given).fit_transform(X))
    assert given.dof == 0.7
    assert embedding().get_params()["kwargs_affinity_out"] is None
    by_function = embedding(cauchy, backend="blockwise").fit_transform(X)
    by_blocks = embedding("student", backend="blockwise").fit_transform(X)
    np.testing.assert_allclose(by_function, by_blocks, atol=1e-4 * np.abs(by_blocks).max())


def test_blocks_of_torch_find_the_layout_of_compiled_sums(blobs) -> None:
    X, _ = blobs
    layouts = [
        embedding("gaussian", lr=0.05, max_iter=30, backend=backend).fit_transform(X)
        for backend in (None, "blockwise")
    ]
    np.testing.assert_allclose(*layouts, atol=1e-3 * np.abs(layouts[0]).max())


def test_rate_and_momentum_change_when_exaggeration_ends(blobs) -> None:
    X, _ = blobs
    early = {"early_exaggeration_coeff": 12, "early_exaggeration_iter": 40}
    model = embedding(
        optimizer="SGD",
        lr="auto",
        optimizer_kwargs="auto",
        max_iter=80,
        callbacks_every=20,
        **early,
    ).fit(X)
    rates = np.array(model.history_["learning_rate"])
    assert np.allclose(rates, [300 / 48, 300 / 48, 300 / 4, 300 / 4])
    assert model.history_["momentum"] == [0.5, 0.5, 0.8, 0.8]
    generic = embedding("gaussian", optimizer="auto", max_iter=80, callbacks_every=40, **early)
    rates = generic.fit(X).history_["learning_rate"]
    assert rates[1] == pytest.approx(12 * rates[0])


@pytest.mark.parametrize(
    ("scheduler", "kwargs", "last"),
    [
        ("constant", None, 0.1),
        ("linear", None, 0.1 / 20),
        ("cosine", None, 0.05 * (1 - np.cos(np.pi / 20))),
        ("ExponentialLR", {"gamma": 0.9}, 0.1 * 0.9**19),
        (torch.optim.lr_scheduler.StepLR, {"step_size": 10}, 0.01),
    ],
)
def test_schedules_begin_when_exaggeration_ends(blobs, scheduler, kwargs, last) -> None:
    X, _ = blobs
    model = embedding(
        lr=0.1,
        scheduler=scheduler,
        scheduler_kwargs=kwargs,
        max_iter=40,
        early_exaggeration_coeff=4,
        early_exaggeration_iter=20,
        callbacks_every=20,
    ).fit(X)
    assert model.history_["learning_rate"] == pytest.approx([0.1, last])


def test_optimisers_of_torch_by_name_and_class(blobs) -> None:
    X, labels = blobs
    for optimizer, kwargs, lr in (
        ("AdamW", {"weight_decay": 0.0}, "auto"),
        (torch.optim.RMSprop, None, 0.1),
        ("SGD", {"momentum": 0.9, "nesterov": True}, "auto"),
    ):
        model = embedding(optimizer=optimizer, optimizer_kwargs=kwargs, lr=lr, max_iter=150)
        assert separation(model.fit_transform(X), labels) > 0.98


def test_it_stops_when_the_gradient_is_small(blobs) -> None:
    model = embedding("gaussian", optimizer="auto", max_iter=3000, min_grad_norm=1e-2)
    model.fit(blobs[0])
    assert model.stop_reason_ == "gradient"
    assert model.n_iter_ < 3000


def test_too_large_a_rate_is_named(blobs) -> None:
    with pytest.raises(ValueError, match="lr is too large"):
        embedding("gaussian", optimizer="SGD", lr=1e30).fit(blobs[0])


def test_graphs_are_used_as_they_are(blobs) -> None:
    X, labels = blobs
    graph = EntropicAffinity(20).from_neighbors(nearest_neighbors(X, 60)).matrix
    model = ld.NeighborEmbedding("precomputed", "student", max_iter=200, random_state=0).fit(graph)
    assert separation(model.embedding_, labels) > 0.98
    with pytest.raises(ValueError, match="only their graph was given"):
        model.transform(graph)


@pytest.mark.parametrize(
    "model",
    [
        ld.SNE(perplexity=20, **QUICK),
        ld.SNE(perplexity=20, symmetric=True, **QUICK),
        ld.TSNEkhorn(perplexity=20, **QUICK),
        ld.COSNE(perplexity=20, **QUICK),
        embedding(cauchy),
        embedding("student", encoder=torch.nn.Linear(6, 2)),
    ],
    ids=lambda model: type(model).__name__,
)
def test_the_same_seed_gives_the_same_layout_for_any_threads(blobs, model, monkeypatch) -> None:
    monkeypatch.setattr("lowdim.embedding._pairs.layout.FEW", 0)
    X, _ = blobs
    state = np.random.get_state()[1].copy(), torch.get_rng_state()
    model = clone(model)
    first = model.fit_transform(X)
    assert np.array_equal(first, model.fit_transform(X))
    for n_jobs in (2, 5):
        assert np.array_equal(first, clone(model).set_params(n_jobs=n_jobs).fit_transform(X))
    other = clone(model).set_params(random_state=1).fit_transform(X)
    assert not np.array_equal(first, other)
    assert np.array_equal(state[0], np.random.get_state()[1])
    assert torch.equal(state[1], torch.get_rng_state())


@pytest.mark.parametrize(
    ("model", "share"),
    [
        (ld.SNE(random_state=0), 0.88),
        (ld.SNE(symmetric=True, random_state=0), 0.88),
        (ld.TSNEkhorn(random_state=0), 0.94),
        (ld.COSNE(random_state=0), 0.93),
    ],
    ids=["SNE", "symmetric", "TSNEkhorn", "COSNE"],
)
def test_digits_are_laid_out_and_new_ones_come_to_their_like(digits, model, share) -> None:
    X, labels = digits
    train = np.arange(len(X)) % 5 != 0
    Y = model.fit_transform(X[train])
    assert separation(Y, labels[train]) > share
    placed = model.transform(X[~train])
    by_places = KNeighborsClassifier(10).fit(Y, labels[train])
    assert by_places.score(placed, labels[~train]) > share - 0.08
    if isinstance(model, ld.COSNE):
        assert np.linalg.norm(Y, axis=1).max() < 0.99
        assert np.linalg.norm(placed, axis=1).max() < 0.999


@pytest.mark.parametrize(
    "model",
    [
        ld.SNE(perplexity=20, **QUICK),
        ld.TSNEkhorn(perplexity=20, **QUICK),
        ld.COSNE(perplexity=20, **QUICK),
        embedding(cauchy),
        embedding("student", kwargs_affinity_out={"dof": 0.6}),
    ],
    ids=["SNE", "TSNEkhorn", "COSNE", "function", "student"],
)
def test_a_new_row_does_not_depend_on_others(blobs, model) -> None:
    X, _ = blobs
    model.fit(X[::2])
    whole = model.transform(X[1:100:2], n_iter=40)
    turned = model.transform(X[1:100:2][::-1], n_iter=40)[::-1]
    single = np.concatenate([model.transform(row[None], n_iter=40) for row in X[1:20:2]])
    assert np.array_equal(whole, turned)
    assert np.array_equal(whole[:10], single)


def test_new_places_have_the_least_loss_of_their_own(blobs) -> None:
    X, _ = blobs
    model = ld.SNE(perplexity=20, random_state=0).fit(X[::2])
    index, affinity = model._index, EntropicAffinity(5)
    shares = affinity.conditional(index.query(X[1:10:2], 15)).toarray()
    placed = model.transform(X[1:10:2], exaggeration=1.0, n_iter=2000)

    def loss(place: np.ndarray, p: np.ndarray) -> float:
        squares = ((place - model.embedding_.astype(float)) ** 2).sum(1)
        return float(p @ squares + np.log(np.exp(-squares).sum()))

    for place, p in zip(placed.astype(float), shares, strict=True):
        moves = 0.01 * np.array([[1, 0], [-1, 0], [0, 1], [0, -1]])
        assert loss(place, p) < min(loss(place + move, p) for move in moves)


def test_distances_from_the_centre_are_those_of_the_rows(blobs) -> None:
    X, _ = blobs
    scaled = X * np.linspace(0.2, 2, 300)[:, None]
    model = ld.COSNE(perplexity=20, learning_rate_for_h_loss=10.0, random_state=0).fit(scaled)
    wanted = np.linalg.norm(scaled - scaled.mean(0), axis=1)
    found = 2 * np.arctanh(np.linalg.norm(model.embedding_, axis=1))
    assert np.corrcoef(wanted, found)[0, 1] > 0.9
    assert np.sqrt(np.mean(found**2)) == pytest.approx(2.0, rel=0.1)


def test_the_term_of_the_centre_has_its_gradient() -> None:
    rng = np.random.default_rng(0)
    Y = rng.uniform(-0.6, 0.6, size=(30, 2))
    term = CentreTerm(np.zeros(3), 1.0, 0.7, rng.uniform(1, 9, size=30))
    gradient = term.gradient(Y)
    for i, a in np.ndindex(5, 2):
        moved = [Y.copy(), Y.copy()]
        moved[0][i, a] += 1e-6
        moved[1][i, a] -= 1e-6
        slope = (term.loss(moved[0]) - term.loss(moved[1])) / 2e-6
        assert gradient[i, a] == pytest.approx(slope, rel=1e-5)


def test_an_interrupt_keeps_the_layout(blobs) -> None:
    def interrupt(iteration, layout, loss) -> None:
        raise KeyboardInterrupt

    for model in (ld.SNE(perplexity=20), embedding(cauchy), embedding(optimizer="auto")):
        model.set_params(callbacks=interrupt, callbacks_every=10, max_iter=50).fit(blobs[0])
        assert (model.n_iter_, model.stop_reason_) == (10, "interrupted")
        assert np.isfinite(model.embedding_).all()


def test_callbacks_see_the_loss_and_stop(blobs) -> None:
    seen = []
    model = ld.SNE(
        perplexity=20,
        callbacks=lambda *told: seen.append(told) or told[0] == 20,
        callbacks_every=10,
        random_state=0,
    ).fit(blobs[0])
    assert [told[0] for told in seen] == [10, 20]
    assert np.array_equal(seen[-1][1], model.embedding_)
    assert seen[-1][2] == pytest.approx(model.loss_)
    assert model.stop_reason_ == "callback"


def test_equal_rows_sparse_rows_and_one_dimension(blobs) -> None:
    X = np.repeat(np.random.default_rng(0).normal(size=(20, 3)), 5, axis=0)
    for model in (ld.SNE(perplexity=10, **QUICK), ld.COSNE(perplexity=10, **QUICK)):
        assert np.isfinite(model.fit_transform(sp.csr_matrix(X))).all()
        assert np.isfinite(model.transform(sp.csr_matrix(X[:3]))).all()
        assert model.set_params(n_components=1).fit_transform(X).shape == (100, 1)
        assert model.set_params(n_components=4).fit_transform(X).shape == (100, 4)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"affinity_out": "cauchy"}, ValueError, "affinity_out='cauchy'"),
        ({"affinity_out": 3}, TypeError, "affinity_out=3"),
        ({"affinity_in": 3}, TypeError, "affinity_in=3"),
        ({"affinity_in": "umap"}, ValueError, "affinity_in='umap'"),
        ({"kwargs_affinity_out": {"dof": -1}}, ValueError, "dof=-1"),
        ({"kwargs_affinity_out": {"gamma": 1}}, ValueError, "gamma"),
        ({"kwargs_affinity_out": {"normalization": "none"}}, ValueError, "normalization='none'"),
        ({"lr": 0}, ValueError, "lr=0"),
        ({"lr": "fast"}, TypeError, "lr='fast'"),
        ({"optimizer": "Newton"}, ValueError, "optimizer='Newton'"),
        ({"optimizer": "LBFGS"}, ValueError, "optimizer='LBFGS'"),
        ({"optimizer": 3}, TypeError, "optimizer=3"),
        ({"optimizer_kwargs": {"beta": 3}}, TypeError, "do not fit Adam"),
        ({"optimizer_kwargs": 3}, TypeError, "optimizer_kwargs=3"),
        ({"scheduler": "falling"}, ValueError, "scheduler='falling'"),
        ({"scheduler": "StepLR"}, TypeError, "do not fit StepLR"),
        ({"backend": "keops"}, ValueError, "backend='keops'"),
        ({"backend": "fast"}, ValueError, "backend='fast'"),
        ({"device": "tpu"}, ValueError, "device='tpu'"),
        ({"max_iter": 0}, ValueError, "max_iter=0"),
        ({"early_exaggeration_coeff": 0}, ValueError, "early_exaggeration_coeff=0"),
        ({"min_grad_norm": -1}, ValueError, "min_grad_norm=-1"),
        ({"n_components": 0}, ValueError, "n_components=0"),
        ({"init": np.ones((60, 2)), "affinity_out": "hyperbolic"}, ValueError, "outside the unit"),
        ({"callbacks": [3]}, TypeError, "callbacks has 3"),
        ({"encoder": 3}, TypeError, "encoder=3"),
    ],
)
def test_bad_arguments_are_named(arguments: dict, error: type, message: str) -> None:
    X = np.random.default_rng(0).normal(size=(60, 5))
    given = {"affinity_in": EntropicAffinity(10), "affinity_out": "student", **arguments}
    with pytest.raises(error, match=message):
        ld.NeighborEmbedding(**given).fit(X)


def test_unknown_arguments_are_refused() -> None:
    for kind in (ld.SNE, ld.TSNEkhorn, ld.COSNE):
        with pytest.raises(TypeError):
            kind(perplexty=5)


def network(n_columns: int) -> torch.nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        layers = torch.nn.Linear(n_columns, 64), torch.nn.ReLU(), torch.nn.Linear(64, 2)
        return torch.nn.Sequential(*layers)


@pytest.mark.parametrize("output", ["student", "gaussian", "hyperbolic"])
def test_an_encoder_makes_places_of_rows(digits, output) -> None:
    X, labels = digits
    X = X / 16
    train = np.arange(len(X)) % 5 != 0
    given = network(64)
    before = [own.detach().clone() for own in given.parameters()]
    model = embedding(output, encoder=given, optimizer="auto", lr=3.0, max_iter=300)
    Y = model.fit_transform(X[train])
    assert all(torch.equal(a, b) for a, b in zip(before, given.parameters(), strict=True))
    assert np.array_equal(model.transform(X[train]), Y)
    by_places = KNeighborsClassifier(10).fit(Y, labels[train])
    assert by_places.score(Y, labels[train]) > 0.8
    assert by_places.score(model.transform(X[~train]), labels[~train]) > 0.6
    assert model.history_["loss"][-1] < model.history_["loss"][0]
    assert np.isfinite(model.loss_)
    assert model.set_params(encoder=None, max_iter=20).fit(X[train]).transform(X[:3]).shape == (
        3,
        2,
    )


def test_an_encoder_learns_from_pieces(digits, tmp_path) -> None:
    X, labels = digits
    X = X / 16
    train = np.arange(len(X)) % 5 != 0
    pieces = np.array_split(np.flatnonzero(train), 3)

    def score(model: ld.NeighborEmbedding) -> float:
        """How well the places of all rows of training tell the labels of others."""
        near = KNeighborsClassifier(10).fit(model.transform(X[train]), labels[train])
        return near.score(model.transform(X[~train]), labels[~train])

    options = {"encoder": network(64), "optimizer": "auto", "lr": 3.0, "max_iter": 50}
    model = embedding("student", **options, early_exaggeration_coeff=4.0).partial_fit(X[pieces[0]])
    first = embedding("student", **options, early_exaggeration_coeff=4.0).fit(X[pieces[0]])
    assert np.array_equal(model.embedding_, first.embedding_)
    before = score(model)
    for piece in pieces[1:]:
        model.partial_fit(X[piece])
    assert score(model) > before + 0.05
    assert np.array_equal(model.transform(X[pieces[2]]), model.embedding_)
    first.save(tmp_path / "layout.h5")
    again = ld.load(tmp_path / "layout.h5").set_params(encoder=network(64))
    for piece in pieces[1:]:
        again.partial_fit(X[piece])
    assert np.array_equal(again.embedding_, model.embedding_)

    places = model.transform(X[:9])
    with pytest.raises(ValueError, match="63 features"):
        model.partial_fit(X[:, 1:])
    with pytest.raises(ValueError, match="lr is too large"):
        model.set_params(lr=1e30).partial_fit(X)
    assert np.array_equal(model.transform(X[:9]), places)
    assert not hasattr(embedding("student"), "partial_fit")


def test_encoders_that_do_not_fit_are_refused(blobs) -> None:
    X, _ = blobs
    for encoder, settings, message in (
        (torch.nn.Linear(6, 3), {}, "encoder makes"),
        (
            torch.nn.Linear(6, 2),
            {"kwargs_affinity_out": {"normalization": "sinkhorn"}},
            "all pairs",
        ),
        (torch.nn.Linear(6, 2), {"batch_size": 1}, "batch_size=1"),
        (torch.nn.Linear(6, 2), {"lr": 1e30}, "lr is too large"),
    ):
        with pytest.raises(ValueError, match=message):
            embedding(encoder=encoder, **settings).fit(X)


@pytest.mark.parametrize(
    "model",
    [
        embedding("gaussian", kwargs_affinity_out={"normalization": "sinkhorn"}),
        embedding(NormalizedHyperbolicAffinity(0.3)),
        ld.SNE(perplexity=20, **QUICK),
        ld.TSNEkhorn(perplexity=20, **QUICK),
        ld.COSNE(perplexity=20, **QUICK),
    ],
    ids=lambda model: type(model).__name__,
)
def test_files_hold_what_new_rows_need(blobs, tmp_path, model) -> None:
    X, _ = blobs
    model.fit(X[::2]).save(tmp_path / "layout.h5")
    again = ld.load(tmp_path / "layout.h5")
    assert np.array_equal(again.embedding_, model.embedding_)
    assert np.array_equal(again.transform(X[1:20:2]), model.transform(X[1:20:2]))
    assert again.loss_ == model.loss_
    assert np.array_equal(again.fit(X[::2]).embedding_, model.embedding_)


def test_files_hold_the_numbers_of_encoders(blobs, tmp_path) -> None:
    X, _ = blobs
    model = embedding(encoder=network(6)).fit(X)
    model.save(tmp_path / "layout.h5")
    again = ld.load(tmp_path / "layout.h5")
    with pytest.raises(ValueError, match="set_params"):
        again.transform(X)
    with pytest.raises(ValueError, match="not like that of the fit"):
        again.set_params(encoder=torch.nn.Linear(6, 2)).transform(X)
    again.set_params(encoder=network(6))
    np.testing.assert_array_equal(again.transform(X), model.transform(X))


def test_functions_stay_out_of_files(blobs, tmp_path) -> None:
    with pytest.raises(TypeError, match="affinity_out"):
        embedding(cauchy).fit(blobs[0]).save(tmp_path / "layout.h5")


def test_what_the_page_tells_to_type_runs() -> None:
    page = Path(__file__).resolve().parents[2] / "docs" / "embeddings_general.md"
    blocks = re.findall(r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), re.M | re.S)
    assert len(blocks) == 4
    names: dict[str, Any] = {}
    for block in blocks:
        exec(block, names)
    assert np.isfinite(names["model"].embedding_).all()


def test_faiss_finds_neighbours(blobs) -> None:
    pytest.importorskip("faiss")
    model = embedding("student", backend="faiss").fit(blobs[0])
    assert model._index.method_ == "faiss"
    assert np.isfinite(model.embedding_).all()
