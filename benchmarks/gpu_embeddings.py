"""t-SNE on a GPU: time of each stage, and of an iteration against the card's floor and the CPU.

python benchmarks/gpu_embeddings.py [--rows N] [--write]      on a CUDA device
python benchmarks/gpu_embeddings.py --cpu                     the same code without one, small
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np
import torch
from _card import Card, device_name, run_on_card, timed
from _data import clouds
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
    n, device = options.rows, options.device
    card, host = Card.of(device), torch.device("cpu")
    note = (
        f"{n} x 50, perplexity 30, {EARLY} + {LATE} iterations; wall time; {device_name(device)}: "
        f"{card}; CPU with {torch.get_num_threads()} threads."
    )
    columns = ["stage", "device", "wall", "iteration", "x floor", "KL"]
    table = Table("gpu-tsne", "t-SNE on a GPU", columns, note)
    table.begin([14, 14, 10, 10, 8, 8])
    X, _ = clouds(n, 50)
    neighbors, wall = timed(lambda: nearest_neighbors(X, 90, random_state=0), host)
    table.add("neighbours", "cpu", seconds(wall), "-", "-", "-")
    graph, wall = timed(lambda: EntropicAffinity(30).from_neighbors(neighbors), host)
    table.add("affinities", "cpu", seconds(wall), "-", "-", "-")
    P = graph.matrix
    start, wall = timed(lambda: first_layout("pca", 2, X, P, np.random.default_rng(0)), host)
    table.add("first layout", "cpu", seconds(wall), "-", "-", "-")
    floor = least_bytes(P.nnz, n) / card.bandwidth
    engines = [("torch", device)]
    if n <= HOST_ROWS or device == host:
        engines.append(("compiled", host))
    for engine, where in engines:
        descend(P, start, engine, where, 3)  # compiled, and plans of transforms made
        kl, wall = timed(lambda e=engine, d=where: descend(P, start, e, d, EARLY + LATE), where)
        each = wall / (EARLY + LATE)
        share = f"{each / floor:.1f}" if where == device else "-"
        table.add("descent", f"{where}, {engine}", seconds(wall), seconds(each), share, f"{kl:.4f}")
    return table


def least_bytes(n_pairs: int, n_rows: int) -> int:
    """Bytes that an iteration must read and write.

    Of every pair the index, the weight and the other point; of every point the weights that it
    adds to 16 nodes, as whole numbers, and two forces that it reads at each. The transforms come
    on top.
    """
    return n_pairs * (4 + 4 + 8) + n_rows * 16 * (8 + 2 * 4)


def descend(P: Any, start: np.ndarray, engine: str, device: torch.device, n_iter: int) -> float:
    """The divergence of the layout."""
    n, settings = len(start), {"dof": 1.0, "max_step": 5.0}
    early = min(EARLY, n_iter)
    phases = [Phase(early, 12.0, n / 12, 0.8), Phase(n_iter - early, 1.0, float(n), 0.8)]
    with Crew(-1) as crew:
        descent = (
            TorchDescent(P, start, device=device, **settings)
            if engine == "torch"
            else Descent(P, start, repulsion("mesh", 1.0, crew), crew=crew, **settings)
        )
        descent.run(phases, Watch())
        return descent.kl_divergence()


def main() -> None:
    """Run the only part."""
    run_on_card(__doc__, {"tsne": tsne}, 1_000_000, 5_000)


if __name__ == "__main__":
    main()
