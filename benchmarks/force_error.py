"""Errors of t-SNE's repulsive forces by meshes, ours and openTSNE's, and by our tree in space.

python benchmarks/force_error.py [errors] [space] [--quick] [--write]
"""

from __future__ import annotations

import argparse

import numpy as np
from _parts import Part, arguments, run
from _tables import Table
from tsne import EARLY, LATE, MOMENTUM, joint, mnist, start

from lowdim.embedding._course import Watch
from lowdim.embedding._crew import PARTS, Crew, part_bounds
from lowdim.embedding._tsne.course import Phase
from lowdim.embedding._tsne.descent import Descent, by_place, repulsion
from lowdim.embedding._tsne.repulsion_mesh import MeshRepulsion
from lowdim.embedding._tsne.repulsion_tree import ANGLE, TreeRepulsion

#: Points whose forces are summed over all pairs.
DRAWN = 1_500
#: Iterations whose layouts are looked at.
LOOKS = (50, 250, 300, 400, 750)


def on_the_way(n: int, c: int) -> dict[str, np.ndarray]:
    """Layouts of images of digits in c dimensions after some iterations."""
    X, _ = mnist(n)
    P, seen = joint(X), {}

    def look(iteration: int, Y: np.ndarray, _: float) -> None:
        if iteration in LOOKS:
            seen[f"{n} images, iteration {iteration}"] = Y

    with Crew(1) as crew:
        own = repulsion("tree" if c == 3 else "mesh", 1.0, crew)
        descent = Descent(P, start(X, c), own, dof=1.0, crew=crew, max_step=5.0)
        phases = [Phase(EARLY, 12.0, n / 12, MOMENTUM), Phase(LATE, 1.0, float(n), MOMENTUM)]
        descent.run(phases, Watch([look], 50))
    return seen


def drawn_layouts(n: int, c: int) -> dict[str, np.ndarray]:
    """Points that are uniform in a square or a cube, and in tight clumps of twelve."""
    rng = np.random.default_rng(0)
    layouts = {f"{n} points, uniform": rng.uniform(-90, 90, size=(n, c))}
    for deviation in (0.5, 0.05):
        centres = np.repeat(rng.uniform(-60, 60, size=(n // 30, c)), 12, axis=0)
        places = centres + deviation * rng.normal(size=centres.shape)
        layouts[f"clumps of 12, deviation {deviation}"] = places
    return {name: Y.astype(np.float32) for name, Y in layouts.items()}


def layouts(options: argparse.Namespace, c: int) -> dict[str, np.ndarray]:
    """All of them, their points in an order of neighbours."""
    n = 10_000 if options.quick else 63_000
    found = {**on_the_way(n, c), **drawn_layouts(60_000, c)}
    return {name: np.ascontiguousarray(Y[by_place(Y)]) for name, Y in found.items()}


def some_of(Y: np.ndarray) -> np.ndarray:
    """Points whose forces are compared."""
    return np.sort(np.random.default_rng(0).permutation(len(Y))[:DRAWN])


def exact(Y: np.ndarray, drawn: np.ndarray) -> np.ndarray:
    """Forces on some points, over all pairs in double precision."""
    Y = Y.astype(np.float64)
    blocks = []
    for i in range(0, len(drawn), 50):
        gaps = Y[drawn[i : i + 50], None] - Y[None]
        weights = 1 / (1 + (gaps**2).sum(2))
        blocks.append((weights[..., None] ** 2 * gaps).sum(1))
    return np.concatenate(blocks)


def by_ours(Y: np.ndarray) -> np.ndarray:
    """Forces by the mesh of lowdim."""
    bounds, force = part_bounds(len(Y)), np.empty_like(Y)
    parts = [Y[bounds[p] : bounds[p + 1]] for p in range(PARTS)]
    extent = np.stack([np.stack([own.min(0), own.max(0)]) for own in parts])
    with Crew(1) as crew:
        MeshRepulsion(1.0, crew)(Y, extent, force)
    return force


def by_open_tsne(Y: np.ndarray) -> np.ndarray:
    """Forces by the interpolation of openTSNE, which gives minus their share of all weights."""
    from openTSNE import _tsne

    share = np.zeros(Y.shape)
    total = _tsne.estimate_negative_gradient_fft_2d(Y.astype(np.float64), share, dof=1.0)
    return -share * total


def errors(options: argparse.Namespace) -> Table:
    """Relative errors of both, in the 2-norm."""
    table = Table(
        "tsne-forces",
        "Errors of t-SNE's forces by meshes",
        ["layout", "range", "lowdim", "openTSNE"],
        f"Relative error of the repulsive forces on {DRAWN:,} points, in the 2-norm, against sums "
        "over all pairs in double precision.",
    )
    table.begin([34, 7, 9, 9])
    for name, Y in layouts(options, 2).items():
        drawn = some_of(Y)
        true = exact(Y, drawn)
        gaps = [
            np.linalg.norm(force(Y)[drawn] - true) / np.linalg.norm(true)
            for force in (by_ours, by_open_tsne)
        ]
        table.add(name, f"{np.ptp(Y, axis=0).max():.0f}", *(f"{gap:.5f}" for gap in gaps))
    return table


def space(options: argparse.Namespace) -> Table:
    """Relative errors of our tree in three dimensions, for some angles."""
    angles = (0.5, ANGLE, 0.9)
    table = Table(
        "tsne-forces-space",
        "Errors of t-SNE's forces by a tree, in three dimensions",
        ["layout", "range", *(f"angle {angle}" for angle in angles), "sum of weights"],
        f"Relative error of the repulsive forces on {DRAWN:,} points, in the 2-norm, against sums "
        f"over all pairs in double precision; and, at angle {ANGLE}, of the sum of weights against "
        "that pair by pair in single precision.",
    )
    table.begin([34, 7, 9, 9, 9, 14])
    for name, Y in layouts(options, 3).items():
        drawn, force, sums, gaps = some_of(Y), np.empty_like(Y), {}, []
        true = exact(Y, drawn)
        with Crew(1) as crew:
            for angle in angles:
                sums[angle] = TreeRepulsion(1.0, crew, angle=angle)(Y, np.empty(0), force)
                gaps.append(np.linalg.norm(force[drawn] - true) / np.linalg.norm(true))
            total = repulsion("exact", 1.0, crew)(Y, np.empty(0), force)
        table.add(
            *(name, f"{np.ptp(Y, axis=0).max():.0f}", *(f"{gap:.5f}" for gap in gaps)),
            f"{abs(sums[ANGLE] / total - 1):.1e}",
        )
    return table


def main() -> None:
    """Run the parts that were asked for."""
    parts: dict[str, Part] = {"errors": errors, "space": space}
    parser = arguments(__doc__, parts)
    parser.add_argument("--quick", action="store_true", help="fewer rows")
    run(parser, parts)


if __name__ == "__main__":
    main()
