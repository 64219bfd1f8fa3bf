"""The torch engines of UMAP's family and PaCMAP against the compiled ones: the same steps."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
import torch

from lowdim.affinities import Pairs
from lowdim.embedding._course import Watch
from lowdim.embedding._crew import Crew
from lowdim.embedding._edges import descent, torch_descent
from lowdim.embedding._edges.course import EdgeSteps, Schedule
from lowdim.embedding._edges.density import DensityForce
from lowdim.embedding._edges.descent import EdgeDescent
from lowdim.embedding._edges.repulsion_sampled import SampledRepulsion
from lowdim.embedding._edges.similarity import Similarity
from lowdim.embedding._edges.steps import drawn
from lowdim.embedding._edges.torch_density import TorchDensityForce
from lowdim.embedding._edges.torch_descent import TorchEdgeDescent
from lowdim.embedding._edges.torch_repulsion import TorchSampledRepulsion
from lowdim.embedding._edges.torch_steps import drawn as torch_drawn
from lowdim.embedding._pacmap.descent import Descent
from lowdim.embedding._pacmap.torch_descent import TorchDescent

N = 300
HOST = torch.device("cpu")
SIMILARITIES = {
    "umap": Similarity(1.577, 0.895),
    "largevis": Similarity(1.0, 1.0, 7.0, 0.1),
    "wide": Similarity(0.6, 1.4, 0.5),
}


@pytest.fixture(scope="module")
def crew():
    with Crew(2) as crew:
        yield crew


@pytest.fixture(scope="module")
def graph() -> sp.csr_matrix:
    """Symmetric rates, most of them below one; some rows have no edge, and one has many."""
    upper = sp.random(N, N, density=0.03, random_state=0, format="lil")
    upper[5, 20:200] = 0.2
    upper[3, 4] = 7.3
    graph = sp.csr_matrix(upper)
    graph = sp.csr_matrix(graph.maximum(graph.T), dtype=np.float32)
    lonely = np.ones(N, np.float32)
    lonely[[0, 10, 11, N - 1]] = 0
    graph = sp.csr_matrix(sp.diags(lonely) @ graph @ sp.diags(lonely), dtype=np.float32)
    graph.setdiag(0)
    graph.eliminate_zeros()
    return graph


def start(c: int, n: int = N) -> np.ndarray:
    return np.random.default_rng(c).normal(scale=3.0, size=(n, c)).astype(np.float32)


def both(
    graph: sp.csr_matrix, Y: np.ndarray, similarity: Similarity, schedule: Schedule, crew: Crew
) -> list[EdgeSteps]:
    """The same descent, compiled and by torch."""
    arguments = graph, Y, similarity, schedule
    rngs = [np.random.default_rng(1) for _ in range(2)]
    return [
        EdgeDescent(*arguments, crew=crew, rng=rngs[0]),
        TorchEdgeDescent(*arguments, device=HOST, rng=rngs[1]),
    ]


def test_the_same_numbers_are_drawn() -> None:
    from numba import njit

    @njit
    def all_drawn(keys, epoch, seed, n):
        return [drawn(key, epoch, seed, n) for key in keys]

    keys = np.array([0, 1, 2, 17, 2**31 - 1, 123_456_789])
    for epoch, seed, n in ((0, 0, 7), (499, 2**32 - 1, 10**6), (3, 12345, 2**31 - 1)):
        found = torch_drawn(torch.as_tensor(keys), epoch, seed, n)
        assert found.tolist() == all_drawn(keys, epoch, seed, n)


@pytest.mark.parametrize("c", [1, 2, 3, 5])
@pytest.mark.parametrize("name", SIMILARITIES)
def test_epochs_are_those_of_the_compiled_descent(graph, crew, name: str, c: int) -> None:
    """Each from the same places: close points soon tell the least rounding."""
    compiled, own = both(graph, start(c), SIMILARITIES[name], Schedule(40, 1.0, 5), crew)
    for number in range(12):
        before = compiled.layout.copy()
        own._Y = torch.as_tensor(before.T.copy())
        for engine in (compiled, own):
            engine._step(number)
        moved = np.abs(compiled.layout - before).max()
        assert moved > 0.1
        # Compiled powers are polynomials, good to a part in 10^5.
        assert np.abs(own.layout - compiled.layout).max() < 2e-5 * moved
    assert own.layout.shape == (N, c)
    assert own.layout.dtype == np.float32


def test_blocks_change_nothing(graph, monkeypatch) -> None:
    """But for the last bit of powers, which torch's loops on the host end in another way."""
    layouts, losses, n_blocks = [], [], []
    for most in (1 << 23, 3000, 1):
        monkeypatch.setattr("lowdim.embedding._torch_rows.BLOCK", most)
        rng = np.random.default_rng(0)
        own = TorchEdgeDescent(
            *(graph, start(2), SIMILARITIES["umap"], Schedule(20, 1.0, 5)), device=HOST, rng=rng
        )
        own._step(0)
        layouts.append(own.layout)
        losses.append(own.loss())
        n_blocks.append(len(own._epochs.blocks))
    assert n_blocks[0] == 1 < n_blocks[1] < n_blocks[2]
    for layout in layouts[1:]:
        np.testing.assert_allclose(layout, layouts[0], rtol=1e-5, atol=1e-5)
    assert losses == pytest.approx([losses[0]] * 3, rel=1e-5)


@pytest.mark.parametrize("name", SIMILARITIES)
def test_losses_are_the_same(graph, crew, name: str) -> None:
    engines = both(graph, start(2), SIMILARITIES[name], Schedule(40, 1.0, 5), crew)
    losses = [engine.loss() for engine in engines]
    assert losses[1] == pytest.approx(losses[0], rel=1e-9)


@pytest.mark.parametrize("n_negatives", [0, 5])
@pytest.mark.parametrize("c", [1, 2, 3])
def test_new_rows_come_to_the_same_places(graph, crew, c: int, n_negatives: int) -> None:
    weights, reference = graph[:50], start(c)
    arguments = weights, reference, SIMILARITIES["umap"], Schedule(10, 1.0, n_negatives)
    expected = descent.place_new(*arguments, crew=crew)
    found = torch_descent.place_new(*arguments, device=HOST)
    # Some are pushed by a point that is so close that rounding tells.
    alike = [np.abs(found - expected).max(1)]
    for some in (slice(0, 13), slice(13, 50)):  # no row depends on others
        part = torch_descent.place_new(weights[some], *arguments[1:], device=HOST)
        alike.append(np.abs(part - found[some]).max(1))
    assert min(np.mean(gaps < 1e-3) for gaps in alike) > 0.9
    still = torch_descent.place_new(*arguments[:3], Schedule(0, 1.0, 5), device=HOST)
    np.testing.assert_array_equal(
        still, descent.place_new(*arguments[:3], Schedule(0, 1.0, 5), crew=crew)
    )


def test_graphs_without_an_edge_stay_where_they_are() -> None:
    nothing, Y = sp.csr_matrix((9, 9), dtype=np.float32), start(2, 9)
    own = TorchEdgeDescent(
        *(nothing, Y, SIMILARITIES["umap"], Schedule(5, 1.0, 5)),
        device=HOST,
        rng=np.random.default_rng(0),
    )
    own.run(Watch())
    assert np.array_equal(own.layout, Y)
    assert own.loss() == 0.0


@pytest.mark.parametrize("c", [1, 2, 3])
def test_density_moves_points_alike(graph, crew, c: int) -> None:
    wanted, Y = np.random.default_rng(0).normal(size=N), start(c)
    arguments = wanted, graph, SIMILARITIES["umap"], 2.0, 0.1, 3
    compiled = DensityForce(*arguments, crew)
    own = TorchDensityForce(*arguments, HOST)
    moved, apart = Y.copy(), torch.as_tensor(Y.T.copy())
    own(2, 0.1, apart, untouched := apart.clone())
    assert torch.equal(apart, untouched)
    compiled(3, np.float32(0.1), Y, moved)
    own(3, 0.1, apart, found := apart.clone())
    steps = moved - Y
    assert np.abs(steps).max() > 1e-3
    np.testing.assert_allclose(found.numpy().T - Y, steps, atol=2e-4 * np.abs(steps).max())


@pytest.mark.parametrize("m", [2, 7, 450])
@pytest.mark.parametrize("d", [2, 3])
def test_sampled_repulsion_is_the_compiled_one(crew, d: int, m: int, monkeypatch) -> None:
    """In several calls, in one block of rows or in many; of more random points than rows, too."""
    Y, force = start(d), np.empty((N, d), np.float32)
    compiled = SampledRepulsion(m, crew, np.random.default_rng(3))
    own = TorchSampledRepulsion(m, HOST, np.random.default_rng(3))
    for most in (1 << 23, 40 * m):
        monkeypatch.setattr("lowdim.embedding._torch_rows.BLOCK", most)
        total = compiled(Y, np.empty(0), force)
        found, weight = own(torch.as_tensor(Y))
        assert float(weight) == pytest.approx(total, rel=1e-5)
        np.testing.assert_allclose(found.numpy(), force, atol=1e-5 * np.abs(force).max())


@pytest.fixture(scope="module")
def pairs() -> Pairs:
    rng = np.random.default_rng(0)
    near, further, mid_near = (rng.integers(0, N, size=(N, k)) for k in (10, 20, 5))
    return Pairs(near=near, mid_near=mid_near, further=further)


@pytest.mark.parametrize("c", [1, 2, 3])
def test_pacmap_takes_the_same_steps(pairs, crew, c: int) -> None:
    compiled = Descent(pairs, start(c), rate=1.0, crew=crew)
    own = TorchDescent(pairs, start(c), rate=1.0, device=HOST)
    for weights in ((2.0, 1.0, 500.0), (3.0, 1.0, 3.0), (1.0, 1.0, 0.0)):
        assert own.loss(weights) == pytest.approx(compiled.loss(weights), rel=1e-6)
        gradients = compiled.gradient(weights), own.gradient(weights).numpy().T
        np.testing.assert_allclose(*gradients, atol=1e-5 * np.abs(gradients[0]).max())
    for engine in (compiled, own):
        engine.run((4, 4, 4), Watch(every=6))
    np.testing.assert_allclose(own.layout, compiled.layout, atol=1e-3 * np.ptp(compiled.layout))


def test_pacmap_without_mid_near_pairs(pairs, crew) -> None:
    few = Pairs(near=pairs.near, mid_near=pairs.mid_near[:, :0], further=pairs.further)
    compiled = Descent(few, start(2), rate=1.0, crew=crew)
    own = TorchDescent(few, start(2), rate=1.0, device=HOST)
    for engine in (compiled, own):
        engine.run((3, 3, 3), Watch())
    np.testing.assert_allclose(own.layout, compiled.layout, atol=1e-3 * np.ptp(compiled.layout))
    weights = 1.0, 1.0, 0.0
    assert own.loss(weights) == pytest.approx(compiled.loss(weights), rel=1e-3)
