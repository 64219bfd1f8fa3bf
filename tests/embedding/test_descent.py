"""The descent: gradients, renumbering, schedules, and ways to stop."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp

from lowdim.embedding._course import Watch
from lowdim.embedding._crew import PARTS, Crew
from lowdim.embedding._tsne.attraction import arrange, attract, cross_entropy
from lowdim.embedding._tsne.course import Phase
from lowdim.embedding._tsne.descent import Descent, by_place, repulsion
from lowdim.embedding._tsne.step import move


@pytest.fixture(scope="module")
def crew():
    with Crew(2) as crew:
        yield crew


def descent(P, start, crew, method: str = "exact", *, dof: float = 1.0, max_step: float = 5.0):
    return Descent(P, start, repulsion(method, dof, crew), dof=dof, crew=crew, max_step=max_step)


@pytest.mark.parametrize("d", [2, 3])
@pytest.mark.parametrize("dof", [1.0, 0.7])
def test_attraction_is_the_sum_over_pairs_in_any_order(affinities, crew, d, dof, pairwise) -> None:
    rng = np.random.default_rng(0)
    Y = rng.normal(scale=2, size=(120, d)).astype(np.float32)
    order = rng.permutation(120)
    gaps, weights = pairwise(Y, dof)
    p = affinities.toarray() * weights ** (1 / dof)
    true = np.einsum("ij,ijd->id", p, gaps)
    force = np.empty_like(Y)
    pairs = arrange(affinities, order, crew)
    attract(Y[order], pairs, dof, force, crew)
    np.testing.assert_allclose(force, true[order], atol=1e-6)
    weights[weights == 0] = 1.0
    expected = -np.sum(affinities.toarray() * np.log(weights))
    assert cross_entropy(Y[order], pairs, dof, crew) == pytest.approx(expected, rel=1e-5)


def test_pairs_are_those_of_the_matrix_in_the_order(affinities, crew) -> None:
    order = np.random.default_rng(0).permutation(120)
    pairs = arrange(affinities, order, crew)
    rows = np.repeat(pairs.unit, np.diff(pairs.indptr)) * pairs.steps
    arranged = sp.csr_matrix((rows, pairs.indices.astype(np.int32), pairs.indptr)).toarray()
    expected = affinities.toarray()[np.ix_(order, order)]
    np.testing.assert_array_equal(arranged > 0, expected > 0)
    half_a_step = 0.51 * expected.max(1, keepdims=True) / (2**16 - 1)
    assert (np.abs(arranged - expected) <= half_a_step).all()
    assert pairs.longest == np.diff(affinities.indptr).max()


def test_rows_of_stored_zeros_attract_nothing(crew) -> None:
    P = sp.csr_matrix(np.array([[0, 0.5, 0.5], [0.5, 0, 0], [0.5, 0, 0]], np.float32))
    P.data[1] = P.data[3] = 0.0
    force = np.empty((3, 2), np.float32)
    attract(np.eye(3, 2, dtype=np.float32), arrange(P, np.arange(3), crew), 1.0, force, crew)
    expected = 0.5 * np.array([1.0, -1.0]) / 3.0
    np.testing.assert_allclose(force, [expected, -expected, [0.0, 0.0]], atol=1e-6)


@pytest.mark.parametrize("dof", [1.0, 0.6])
@pytest.mark.parametrize(
    ("c", "method"),
    [(1, "exact"), (2, "exact"), (3, "exact"), (1, "mesh"), (2, "mesh"), (3, "tree")],
)
def test_a_step_follows_the_gradient_by_finite_differences(
    affinities, crew, c: int, dof: float, method: str, kl_divergence
) -> None:
    start = np.random.default_rng(0).normal(scale=3, size=(120, c))
    start = (start - start.mean(0)).astype(np.float32).astype(np.float64)
    one = descent(affinities, start, crew, method, dof=dof)
    before = one.layout.astype(np.float64)
    one.run([Phase(1, 1.0, 1.0, 0.0)], Watch())
    # Gains begin at one and at once lose or gain; of a first step, with no velocity, it is known.
    gradient = np.zeros_like(before)
    for i, a in np.ndindex(8, c):
        for sign in (1, -1):
            moved = before.copy()
            moved[i, a] += sign * 1e-4
            gradient[i, a] += sign * kl_divergence(affinities, moved, dof) / 2e-4
    gain = np.where(gradient > 0, 1.2, 0.81)  # a velocity of zero counts as negative
    expected = (before - gain * gradient / 4)[:8]
    tolerance = (1e-4 if method == "exact" else 0.01) * np.abs(gradient).max()
    assert np.abs(one.layout[:8] - expected).max() < tolerance + 1e-6


def test_kl_is_that_of_the_layout(affinities, crew, kl_divergence) -> None:
    starts = np.random.default_rng(0).normal(scale=4, size=(120, 3))
    for c, method, rel in ((2, "exact", 1e-5), (2, "mesh", 1e-3), (3, "tree", 1e-3)):
        one = descent(affinities, starts[:, :c], crew, method)
        assert one.kl_divergence() == pytest.approx(kl_divergence(affinities, one.layout), rel=rel)


def test_renumbering_changes_rounding_only(affinities, crew, monkeypatch) -> None:
    start = 1e-4 * np.random.default_rng(0).normal(size=(120, 2))
    layouts = []
    for when in ((), (0, 1, 3)):
        monkeypatch.setattr("lowdim.embedding._tsne.descent.RENUMBERED", when)
        one = descent(affinities, start, crew)
        one.run([Phase(8, 12.0, 10.0, 0.5)], Watch())
        layouts.append(one.layout)
    np.testing.assert_allclose(layouts[0], layouts[1], rtol=1e-4, atol=1e-9)


def test_the_number_of_threads_changes_no_bit(affinities) -> None:
    starts = 1e-4 * np.random.default_rng(0).normal(size=(120, 3))
    for c, method in ((2, "exact"), (2, "mesh"), (3, "exact"), (3, "tree")):
        layouts = []
        for n_jobs in (1, 2, 3, 16):
            with Crew(n_jobs) as crew:
                one = descent(affinities, starts[:, :c], crew, method)
                one.run([Phase(40, 12.0, 10.0, 0.8), Phase(40, 1.0, 120.0, 0.8)], Watch())
                layouts.append(one.layout)
        assert all(np.array_equal(layouts[0], other) for other in layouts[1:])


def test_steps_are_no_longer_than_allowed() -> None:
    Y = np.zeros((5, 2), np.float32)
    state = Y, np.zeros_like(Y), np.ones_like(Y)
    pull = np.array([[3, 4], [0.3, 0.4], [0, 0], [30, 40], [0, 1]], np.float32)
    bounds = np.full(PARTS + 1, 5)
    bounds[0] = 0
    extent, sums = np.zeros((PARTS, 2, 2), np.float32), np.zeros((PARTS, 4))
    rates = np.array([1.0, 1.0, 1.0, 0.0, 0.5])
    shift = np.zeros(2, np.float32)
    move(0, PARTS, state, (pull, np.zeros_like(Y)), rates, shift, bounds, extent, sums)
    steps = np.linalg.norm(state[0], axis=1)
    np.testing.assert_allclose(steps, [0.5, 0.5, 0, 0.5, 0.5], rtol=1e-6)
    np.testing.assert_allclose(state[0][3] / steps[3], [-0.6, -0.8], rtol=1e-6)
    np.testing.assert_array_equal(extent[0], [state[0].min(0), state[0].max(0)])
    assert sums[0, 1] == pytest.approx(np.sum(pull.astype(np.float64) ** 2))


def test_phases_have_their_own_momentum_and_rate(affinities, crew) -> None:
    start = 1e-4 * np.random.default_rng(0).normal(size=(120, 2))
    one = descent(affinities, start, crew)
    seen = []
    step = one._step
    one._step = lambda phase, n_before: (seen.append(phase), step(phase, n_before))
    phases = [Phase(3, 12.0, 10.0, 0.5), Phase(2, 1.0, 120.0, 0.8)]
    course = one.run(phases, Watch())
    assert seen == [phases[0]] * 3 + [phases[1]] * 2
    assert (course.n_iter, course.reason) == (5, "limit")


def test_it_stops_when_the_gradient_is_a_small_share_of_the_attraction(affinities, crew) -> None:
    start = np.random.default_rng(0).normal(size=(120, 2))
    one = descent(affinities, start, crew)
    course = one.run([Phase(5000, 1.0, 120.0, 0.8)], Watch(every=10), tol=1e-2)
    assert course.reason == "gradient"
    assert course.n_iter < 5000
    assert course.history["iteration"][-1] == course.n_iter


def test_a_callback_sees_the_layout_and_may_stop(affinities, crew, kl_divergence) -> None:
    seen = []

    def callback(iteration, layout, kl) -> bool:
        seen.append((iteration, kl, kl_divergence(affinities, layout)))
        return iteration == 40

    one = descent(affinities, 1e-4 * np.random.default_rng(0).normal(size=(120, 2)), crew)
    course = one.run([Phase(100, 1.0, 120.0, 0.8)], Watch([callback], every=20))
    assert [iteration for iteration, _, _ in seen] == [20, 40]
    assert all(told == pytest.approx(true, rel=1e-4) for _, told, true in seen)
    assert (course.n_iter, course.reason) == (40, "callback")
    assert course.history["kl_divergence"] == [kl for _, kl, _ in seen]


def test_an_interrupt_keeps_the_layout(affinities, crew) -> None:
    def interrupt(iteration, layout, kl) -> None:
        raise KeyboardInterrupt

    one = descent(affinities, 1e-4 * np.random.default_rng(0).normal(size=(120, 2)), crew)
    course = one.run([Phase(100, 1.0, 120.0, 0.8)], Watch([interrupt], every=10))
    assert (course.n_iter, course.reason) == (10, "interrupted")
    assert np.isfinite(one.layout).all()


def test_neighbours_on_the_curve_are_neighbours_in_the_plane() -> None:
    Y = np.random.default_rng(0).uniform(size=(4000, 2)).astype(np.float32)
    order = by_place(Y)
    assert np.array_equal(np.sort(order), np.arange(4000))
    steps = np.linalg.norm(np.diff(Y[order], axis=0), axis=1)
    assert np.median(steps) < 0.03


def test_an_error_in_a_thread_is_raised() -> None:
    def fail(first: int, last: int) -> None:
        if last == PARTS:
            raise RuntimeError("late")

    with Crew(3) as crew, pytest.raises(RuntimeError, match="late"):
        crew.run(fail)
