"""Random streams repeat, are independent, and leave global state alone."""

import numpy as np
import pytest

from lowdim._random import generator, spawn


@pytest.mark.parametrize("seed", [0, 7, np.int64(7), 2**40])
def test_an_int_repeats(seed: int) -> None:
    assert np.array_equal(generator(seed).random(5), generator(seed).random(5))


def test_none_differs_every_time() -> None:
    assert not np.array_equal(generator(None).random(5), generator(None).random(5))


def test_a_generator_is_passed_through() -> None:
    rng = np.random.default_rng(0)
    assert generator(rng) is rng


def test_a_random_state_seeds_and_moves_on() -> None:
    state = np.random.RandomState(0)
    first, second = generator(state).random(5), generator(state).random(5)
    assert not np.array_equal(first, second)
    assert np.array_equal(first, generator(np.random.RandomState(0)).random(5))


def test_global_state_is_left_alone() -> None:
    before = np.random.get_state()[1].copy()
    for random_state in (None, 0, np.random.RandomState(0)):
        spawn(generator(random_state), 2)[0].random(5)
    assert np.array_equal(before, np.random.get_state()[1])


@pytest.mark.parametrize("random_state", [1.5, "0", True, [1]])
def test_other_types_are_errors(random_state: object) -> None:
    with pytest.raises(TypeError, match="random_state must be None, an int"):
        generator(random_state)


def test_a_negative_seed_is_an_error() -> None:
    with pytest.raises(ValueError, match="random_state=-1 is negative"):
        generator(-1)


def test_children_repeat_and_differ() -> None:
    first = [child.random(1000) for child in spawn(generator(0), 3)]
    again = [child.random(1000) for child in spawn(generator(0), 3)]
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    correlation = np.corrcoef([*first, generator(0).random(1000)])
    assert np.abs(correlation - np.eye(4)).max() < 0.15


def test_a_child_does_not_depend_on_how_many_there_are() -> None:
    assert spawn(generator(0), 2)[0].random() == spawn(generator(0), 5)[0].random()


def test_spawning_leaves_the_parent_where_it_is() -> None:
    rng = generator(0)
    one, other = spawn(rng, 1)[0], spawn(rng, 1)[0]
    assert one.random() != other.random()
    assert rng.random() == generator(0).random()


def test_the_number_of_children_is_checked() -> None:
    assert spawn(generator(0), 0) == []
    with pytest.raises(ValueError, match="n=-1 is negative"):
        spawn(generator(0), -1)
