"""t-SNE on a GPU against the CPU and, where it is installed, TorchDR.

python benchmarks/gpu_embeddings.py [tsne] [--rows N] [--write]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from _data import clouds
from _parts import Part, arguments, run
from _tables import Table, seconds

from lowdim.affinities import EntropicAffinity
from lowdim.embedding._course import Watch
from lowdim.embedding._crew import Crew
from lowdim.embedding._initial import first_layout
from lowdim.embedding._tsne.course import Phase
from lowdim.embedding._tsne.descent import Descent, repulsion
from lowdim.embedding._tsne.torch_descent import TorchDescent
from lowdim.neighbors import nearest_neighbors

#: Iterations with the affinities exaggerated, and without.
EARLY, LATE = 250, 500
#: Rows above which the CPU is left out.
HOST_ROWS = 200_000


def tsne(options: argparse.Namespace) -> Table:
    """Where the time goes from rows to a layout."""
    n = options.rows
    note = f"{n} x 50, perplexity 30, {EARLY} + {LATE} iterations; seconds of wall time."
    table = Table("gpu-tsne", "t-SNE on a GPU", ["stage", "device", "wall", "KL"], note)
    table.begin([24, 8, 10, 8])
    X, _ = clouds(n, 50)
    neighbors, wall = timed(lambda: nearest_neighbors(X, 90, random_state=0))
    table.add("neighbours", "cpu", seconds(wall), "-")
    graph, wall = timed(lambda: EntropicAffinity(30).from_neighbors(neighbors))
    table.add("affinities", "cpu", seconds(wall), "-")
    P = graph.matrix
    start, wall = timed(lambda: first_layout("pca", 2, X, P, np.random.default_rng(0)))
    table.add("first layout", "cpu", seconds(wall), "-")
    devices = ["cuda"] if torch.cuda.is_available() else []
    for device in devices + (["cpu"] if n <= HOST_ROWS or not devices else []):
        descend(P, start, device, 3)  # compiled, and plans of transforms made
        kl, wall = timed(lambda device=device: descend(P, start, device, EARLY + LATE))
        table.add("descent", device, seconds(wall), f"{kl:.4f}")
    return table


def descend(P: Any, start: np.ndarray, device: str, n_iter: int) -> float:
    """The divergence of the layout."""
    n, settings = len(start), {"dof": 1.0, "max_step": 5.0}
    early = min(EARLY, n_iter)
    phases = [Phase(early, 12.0, n / 12, 0.8), Phase(n_iter - early, 1.0, float(n), 0.8)]
    with Crew(-1) as crew:
        descent = (
            TorchDescent(P, start, device=torch.device(device), **settings)
            if device == "cuda"
            else Descent(P, start, repulsion("mesh", 1.0, crew), crew=crew, **settings)
        )
        descent.run(phases, Watch())
        return descent.kl_divergence()


def timed(function: Callable[[], Any]) -> tuple[Any, float]:
    """A value, and the seconds that it took."""
    begun = time.perf_counter()
    value = function()
    return value, time.perf_counter() - begun


def main() -> None:
    """Run the parts that were asked for."""
    parts: dict[str, Part] = {"tsne": tsne}
    parser = arguments(__doc__, parts)
    parser.add_argument("--rows", type=int, default=1_000_000)
    run(parser, parts)


if __name__ == "__main__":
    main()
