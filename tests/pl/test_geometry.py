"""Boxes have the edges that they should, and lines and planes end at the edges of a picture."""

import numpy as np
import pytest

from lowdim.pl._geometry import box_edges, box_faces, clip_line, clip_plane

LOW, HIGH = np.array([-1.0, -2.0, -3.0]), np.array([4.0, 5.0, 6.0])


@pytest.mark.parametrize("d", [2, 3])
def test_edges_lie_along_the_axes(d: int) -> None:
    half = np.random.default_rng(0).normal(size=(d, 4))
    edges = box_edges(np.ones(4), half)
    assert edges.shape == (d * 2 ** (d - 1), 2, 4)
    steps = edges[:, 1] - edges[:, 0]
    for axis in half:
        assert np.isclose(steps, 2 * axis).all(1).sum() == 2 ** (d - 1)
    corners = np.unique(edges.reshape(-1, 4).round(9), axis=0)
    assert len(corners) == 2**d
    np.testing.assert_allclose(corners.mean(0), 1, atol=1e-8)


@pytest.mark.parametrize("d", [2, 3])
def test_faces_go_around_along_the_edges(d: int) -> None:
    half = np.random.default_rng(0).normal(size=(d, 4))
    faces = box_faces(np.ones(4), half)
    assert faces.shape == ({2: 1, 3: 6}[d], 4, 4)
    edges = {tuple(sorted(map(tuple, e))) for e in box_edges(np.ones(4), half).round(9)}
    walked = [
        tuple(sorted(map(tuple, (face[i - 1], face[i]))))
        for face in faces.round(9)
        for i in range(4)
    ]
    assert set(walked) == edges and len(walked) == len(edges) * (d - 1)


@pytest.mark.parametrize("seed", range(20))
def test_lines_end_on_the_box(seed: int) -> None:
    rng = np.random.default_rng(seed)
    inside, direction = rng.uniform(LOW, HIGH), rng.normal(size=3)
    ends = clip_line(inside + 7 * direction, direction, LOW, HIGH)
    on_face = np.isclose(ends, LOW) | np.isclose(ends, HIGH)
    assert on_face.any(1).all() and (ends >= LOW - 1e-6).all() and (ends <= HIGH + 1e-6).all()
    np.testing.assert_allclose(np.cross(ends - inside, direction), 0, atol=1e-9)


def test_lines_along_an_axis_and_outside() -> None:
    ends = clip_line(np.zeros(3), np.array([0.0, 2.0, 0.0]), LOW, HIGH)
    np.testing.assert_allclose(ends, [[0, -2, 0], [0, 5, 0]])
    ends = clip_line(LOW, np.array([1.0, 0.0, 0.0]), LOW, HIGH)  # along an edge of the box
    np.testing.assert_allclose(ends[:, 0], [-1, 4])
    for point, direction in [
        ([0, 0, 9], [1, 0, 0]),
        ([9, 0, 0], [0, 0, 1]),
        ([9, -2, 0], [1, 1, 0]),
        ([0, 0, 0], [0, 0, 0]),
    ]:
        assert clip_line(np.array(point), np.array(direction), LOW, HIGH).shape == (0, 3)


@pytest.mark.parametrize("seed", range(20))
def test_planes_end_on_the_box(seed: int) -> None:
    rng = np.random.default_rng(seed)
    point, directions = rng.uniform(LOW, HIGH), rng.normal(size=(2, 3))
    corners = clip_plane(point, directions, LOW, HIGH)
    assert 3 <= len(corners) <= 6
    np.testing.assert_allclose((corners - point) @ np.cross(*directions), 0, atol=1e-9)
    assert (np.isclose(corners, LOW) | np.isclose(corners, HIGH)).sum(1).min() >= 2  # on edges
    steps = np.roll(corners, -1, axis=0) - corners
    turns = np.cross(steps, np.roll(steps, -1, axis=0)) @ np.cross(*directions)
    assert (turns > 0).all() or (turns < 0).all()  # convex: the corners are in turn


def test_planes_along_a_face_and_outside() -> None:
    flat = np.eye(3)[:2]
    corners = clip_plane(np.array([0.0, 0.0, 1.0]), flat, LOW, HIGH)
    assert sorted(map(tuple, corners)) == [(-1, -2, 1), (-1, 5, 1), (4, -2, 1), (4, 5, 1)]
    assert set(clip_plane(LOW, flat, LOW, HIGH)[:, 2]) == {-3}
    assert clip_plane(np.array([0.0, 0.0, 9.0]), flat, LOW, HIGH).shape == (0, 3)
    assert clip_plane(np.zeros(3), flat[[0, 0]], LOW, HIGH).shape == (0, 3)
