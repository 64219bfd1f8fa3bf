"""The torch engine against the compiled one: the same forces, steps and divergences."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import lowdim as ld
from lowdim.affinities import EntropicAffinity
from lowdim.embedding._course import Watch
from lowdim.embedding._crew import Crew
from lowdim.embedding._tsne.course import Phase
from lowdim.embedding._tsne.descent import Descent
from lowdim.embedding._tsne.repulsion_mesh import MeshRepulsion
from lowdim.embedding._tsne.torch_descent import TorchDescent
from lowdim.embedding._tsne.torch_mesh import TorchMesh

HOST = torch.device("cpu")


@pytest.fixture(scope="module")
def crew():
    with Crew(2) as crew:
        yield crew


@pytest.fixture(scope="module")
def clouds() -> np.ndarray:
    rng = np.random.default_rng(0)
    return np.concatenate([rng.normal(size=(300, 5)) + 5 * rng.normal(size=5) for _ in range(4)])


@pytest.mark.parametrize("dof", [1.0, 0.5])
@pytest.mark.parametrize("span", [1e-3, 5.0, 60.0, 180.0])
def test_forces_are_those_of_the_compiled_mesh(crew, extent_of, span: float, dof: float) -> None:
    Y = np.random.default_rng(0).normal(size=(2000, 2)).astype(np.float32)
    Y *= np.float32(span / np.ptp(Y))
    Y[:, 1] *= np.float32(0.6)
    expected, mesh = np.empty_like(Y), TorchMesh(dof, HOST)
    total = MeshRepulsion(dof, crew)(Y, extent_of(Y), expected)
    mesh.measure(torch.as_tensor(Y), room=1.0)
    force, weight = mesh(torch.as_tensor(Y))
    assert np.linalg.norm(force.numpy() - expected) < 1e-4 * np.linalg.norm(expected)
    assert float(weight) == pytest.approx(total, rel=1e-4)


def test_points_that_leave_the_mesh_are_at_its_border() -> None:
    Y = torch.as_tensor(np.random.default_rng(0).normal(size=(50, 2)).astype(np.float32))
    mesh = TorchMesh(1.0, HOST)
    mesh.measure(Y)
    force, weight = mesh(100 * Y)
    assert torch.isfinite(force).all()
    assert torch.isfinite(weight)


@pytest.mark.parametrize("c", [1, 2])
def test_steps_are_those_of_the_compiled_descent(crew, clouds: np.ndarray, c: int) -> None:
    P = EntropicAffinity(20).graph(clouds).matrix
    start = np.random.default_rng(1).normal(size=(len(clouds), c))
    settings = {"dof": 1.0, "max_step": 5.0}
    compiled = Descent(P, start, MeshRepulsion(1.0, crew), crew=crew, **settings)
    own = TorchDescent(P, start, TorchMesh(1.0, HOST), device=HOST, **settings)
    few, many = [Phase(6, 12.0, 100.0, 0.8)], [Phase(250, 1.0, 1200.0, 0.8)]
    courses = [descent.run(few, Watch(every=3)) for descent in (compiled, own)]
    places = [descent.layout - descent.layout.mean(0) for descent in (compiled, own)]
    assert np.abs(places[1] - places[0]).max() < 1e-3 * np.ptp(places[0])
    assert own.layout.shape == (1200, c)
    norms = [course.history["gradient_norm"] for course in courses]
    np.testing.assert_allclose(*norms, rtol=1e-3)
    for descent in (compiled, own):
        descent.run(many, Watch())
    assert own.kl_divergence() == pytest.approx(compiled.kl_divergence(), rel=0.05)


def test_an_estimator_finds_its_layout_by_torch(clouds: np.ndarray, monkeypatch) -> None:
    class Elsewhere:
        type = "elsewhere"

    monkeypatch.setattr("lowdim.embedding.tsne.resolve_device", lambda _: Elsewhere())
    monkeypatch.setattr("lowdim.neighbors.search.resolve_device", lambda _: HOST)
    seen = []

    def made(P, start, mesh, *, device, **settings):
        seen.append(device)
        return TorchDescent(P, start, TorchMesh(1.0, HOST), device=HOST, **settings)

    monkeypatch.setattr("lowdim.embedding._tsne.torch_descent.TorchDescent", made)
    model = ld.TSNE(method="mesh", device="cuda", max_iter=60, random_state=0)
    first = model.fit_transform(clouds)
    assert isinstance(seen[0], Elsewhere)
    assert np.isfinite(model.kl_divergence_)
    assert np.array_equal(first, model.fit_transform(clouds))
    ld.TSNE(device="cuda", max_iter=10, random_state=0).fit(clouds)  # few points: on the CPU
    assert len(seen) == 2


def test_an_unknown_device_is_named(clouds: np.ndarray) -> None:
    with pytest.raises(ValueError, match="abacus"):
        ld.TSNE(device="abacus").fit(clouds)
