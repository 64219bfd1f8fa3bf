"""Components of two fits are paired by the rows that they share."""

import numpy as np
import pytest

from lowdim import SubspaceMixture, data
from lowdim.mixture._matching import Overlap, component_kinds, match


def test_overlap_of_hard_assignments_is_the_jaccard_index() -> None:
    first, second = np.array([0, 0, 0, 1, 1, 2]), np.array([1, 1, 0, 0, 0, 0])
    overlap = Overlap(3, 2)
    for part in (slice(0, 2), slice(2, 6)):  # in blocks
        overlap.add(np.eye(3)[:, first[part]], np.eye(2)[:, second[part]])
    np.testing.assert_array_equal(overlap.shared, [[1, 2], [2, 0], [1, 0]])
    np.testing.assert_allclose(overlap.jaccard, [[1 / 6, 2 / 3], [2 / 4, 0], [1 / 4, 0]])


def test_overlap_of_soft_assignments_counts_weights() -> None:
    rng = np.random.default_rng(0)
    r, s, w = rng.dirichlet(np.ones(3), 50).T, rng.dirichlet(np.ones(2), 50).T, rng.random(50)
    overlap = Overlap(3, 2)
    overlap.add(r, s, w)
    low = (w * np.minimum(r[:, None], s)).sum(2)
    np.testing.assert_allclose(overlap.jaccard, low / (w * np.maximum(r[:, None], s)).sum(2))
    same = Overlap(3, 3)
    same.add(r, r, w)
    np.testing.assert_allclose(same.jaccard.diagonal(), 1)


def test_an_empty_component_overlaps_with_none() -> None:
    overlap = Overlap(2, 2)
    overlap.add(np.eye(2)[:, [0, 0]], np.eye(2)[:, [0, 0]])
    np.testing.assert_array_equal(overlap.jaccard, [[1, 0], [0, 0]])


def test_the_total_decides_not_each_component_for_itself() -> None:
    similarity = np.array([[0.9, 0.8], [0.8, 0.1]])
    kinds = np.array([1, 1])
    assert match(similarity, kinds, kinds).tolist() == [1, 0]


def test_only_equal_kinds_are_paired() -> None:
    similarity = np.array([[0.0, 1.0, 0.0], [0.0, 0.9, 0.0], [0.4, 0.0, 0.2]])
    found = match(similarity, np.array([0, 1, 2]), np.array([2, 1, 2]))
    assert found.tolist() == [-1, 1, 0]
    assert match(similarity[:2], np.array([2, 2]), np.array([1, 2, 2])).tolist() == [1, 2]


@pytest.mark.parametrize("seed", range(3))
def test_a_permutation_is_undone(seed: int) -> None:
    order = np.random.default_rng(seed).permutation(5)
    kinds = np.zeros(5, dtype=int)
    assert match(np.eye(5)[:, order], kinds, kinds).tolist() == np.argsort(order).tolist()


def test_held_components_are_paired_with_themselves_only() -> None:
    planted = data.subspaces([60, 60], dims=[1, 0], n_columns=3, random_state=0)
    model = SubspaceMixture(
        dims=[0],
        n_init=2,
        fixed=[{"mean": mean} for mean in planted.means],
        background="uniform",
        random_state=0,
    ).fit(planted.X)
    assert component_kinds(model).tolist() == [0, -1, -2, -3]
