"""Shading keeps what points would show: where rows are, how many, and their mean colour."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from lowdim.pl._colors import array_coloring, code_coloring
from lowdim.pl._points import draw_points, point_size

RED, BLUE = "#ff0000", "#0000ff"


def test_points_shrink_as_they_become_many() -> None:
    sizes = [point_size(n) for n in (0, 100, 3_000, 30_000, 1_000_000)]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] == 25.0 and sizes[-1] == 1.0


def test_a_cell_has_the_mean_colour_of_its_rows() -> None:
    points = np.array([[0.0, 0.0]] * 2 + [[10.0, 4.0]] * 4 + [[10.0, 1.0]])
    coloring = code_coloring(np.array([0, 0, 0, 1, 1, 1, 1]), ["a", "b"], [RED, BLUE])
    ax = plt.figure().add_subplot()
    assert draw_points(ax, points, coloring, max_points=3) == 7
    image = np.asarray(ax.images[0].get_array())
    filled = np.argwhere(image[..., 3] > 0)
    assert filled.tolist() == [[0, 0], [30, 300], [120, 300]]
    np.testing.assert_allclose(image[0, 0, :3], [1, 0, 0])
    np.testing.assert_allclose(image[30, 300, :3], [0, 0, 1])
    np.testing.assert_allclose(image[120, 300], [0.25, 0, 0.75, 1])
    assert 0.3 < image[30, 300, 3] < image[0, 0, 3] < 1
    left, right, bottom, top = ax.images[0].get_extent()
    assert (left, bottom) == (0, 0) and right > 10 and top > 4


def test_a_cell_has_the_colour_of_its_mean_value() -> None:
    points = np.array([[0.0, 0.0], [1.0, 1.0], [1.0, 1.0], [1.0, 1.0], [0.5, 0.5]])
    coloring = array_coloring(np.array([0.0, 1.0, 3.0, np.nan, np.nan]), 5, "viridis")
    ax = plt.figure().add_subplot()
    draw_points(ax, points, coloring, max_points=1)
    image = np.asarray(ax.images[0].get_array())
    np.testing.assert_allclose(image[-1, -1, :3], coloring.cmap(coloring.norm(2.0))[:3])
    np.testing.assert_allclose(image[150, 150, :3], coloring.rgb[4])


@pytest.mark.parametrize("points", [np.zeros((5, 2)), np.eye(2)[[0, 0, 1, 1, 1]] * [1, 0]])
def test_rows_in_one_place_or_on_an_axis(points: np.ndarray) -> None:
    ax = plt.figure().add_subplot()
    coloring = code_coloring(np.zeros(5, dtype=int), ["a"], [RED])
    assert draw_points(ax, points, coloring, max_points=2) == 5
    ax.figure.canvas.draw()


def test_samples_repeat_and_do_not_touch_the_global_stream() -> None:
    points = np.random.default_rng(0).normal(size=(50, 3))
    coloring = code_coloring(np.zeros(50, dtype=int), ["a"], [RED])
    state = np.random.get_state()[1].copy()
    drawn = []
    for _ in range(2):
        ax = plt.figure().add_subplot(projection="3d")
        assert draw_points(ax, points, coloring, max_points=10) == 10
        drawn.append(np.array(ax.collections[0]._offsets3d))
    np.testing.assert_array_equal(*drawn)
    np.testing.assert_array_equal(np.random.get_state()[1], state)
