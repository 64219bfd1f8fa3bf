"""Embeddings on a GPU: time of each stage, and of an iteration against the card's floor.

python benchmarks/gpu_embeddings.py [PART ...] [--rows N] [--write]         on a CUDA device
python benchmarks/gpu_embeddings.py --cpu                     the same code without one, small

Parts are tsne, umap, neighbors, pca and laplacian. All are run against what the CPU does, and UMAP
against TorchDR's where that is installed.
"""

from __future__ import annotations

import argparse
from importlib.util import find_spec
from typing import Any

import numpy as np
import torch
from _card import Card, device_name, run_on_card, timed
from _data import clouds
from _gpu_spectral import laplacian, neighbors, pca
from _peers import silence
from _tables import Table, seconds
from tsne import quality

import lowdim as ld
from lowdim.affinities import EntropicAffinity, UMAPAffinity
from lowdim.embedding._course import Watch
from lowdim.embedding._crew import Crew
from lowdim.embedding._edges.course import EdgeSteps, Schedule
from lowdim.embedding._edges.descent import EdgeDescent
from lowdim.embedding._edges.fit import REACH
from lowdim.embedding._edges.rates import RATE_BITS, edges_of
from lowdim.embedding._edges.similarity import Similarity, curve_of
from lowdim.embedding._edges.torch_descent import TorchEdgeDescent
from lowdim.embedding._initial import first_layout
from lowdim.embedding._tsne.course import Phase
from lowdim.embedding._tsne.descent import Descent, repulsion
from lowdim.embedding._tsne.torch_descent import TorchDescent
from lowdim.embedding._tsne.torch_mesh import TorchMesh
from lowdim.neighbors import nearest_neighbors

#: Iterations with the affinities exaggerated, and without.
EARLY, LATE = 250, 500
#: Rows above which the CPU is left out.
HOST_ROWS = 200_000
#: UMAP's epochs by default above 10,000 rows, and random points for every edge that fires.
EPOCHS, NEGATIVES = 300, 5


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
            TorchDescent(P, start, TorchMesh(1.0, device), device=device, **settings)
            if engine == "torch"
            else Descent(P, start, repulsion("mesh", 1.0, crew), crew=crew, **settings)
        )
        descent.run(phases, Watch())
        return descent.kl_divergence()


def umap(options: argparse.Namespace) -> Table:
    """Where the time goes from rows to a layout, and TorchDR's whole fit."""
    n, device = options.rows, options.device
    card, host = Card.of(device), torch.device("cpu")
    note = (
        f"{n} x 50, 15 neighbours, {EPOCHS} epochs; wall time; {device_name(device)}: {card}; CPU "
        f"with {torch.get_num_threads()} threads. Neighbours kept and label accuracy at 15, of "
        "3,000 rows. TorchDR by its defaults but for 15 neighbours, from rows to layout."
    )
    measures = ["neighbours kept", "label accuracy"]
    columns = ["stage", "device", "wall", "epoch", "x floor", *measures]
    table = Table("gpu-umap", "UMAP on a GPU", columns, note)
    table.begin([14, 14, 10, 10, 8, 15, 14])
    X, labels = clouds(n, 50)
    graph, start = umap_stages(X, table, host)
    floor = least_bytes_of_edges(graph) / card.bandwidth
    engines = [("torch", device)]
    if n <= HOST_ROWS or device == host:
        engines.append(("compiled", host))
    for engine, where in engines:
        go_through(graph, start, engine, where, 3)  # compiled, and memory taken
        Y, wall = timed(lambda e=engine, d=where: go_through(graph, start, e, d, EPOCHS), where)
        share = f"{wall / EPOCHS / floor:.1f}" if where == device else "-"
        name, each = f"{where}, {engine}", seconds(wall / EPOCHS)
        table.add("descent", name, seconds(wall), each, share, *quality(X, labels, Y))
    own = ld.UMAP(n_epochs=EPOCHS, device=device, random_state=0)
    Y, wall = timed(lambda: own.fit_transform(X), device)
    table.add("whole fit", str(device), seconds(wall), "-", "-", *quality(X, labels, Y))
    if find_spec("torchdr") is not None:
        torch_dr(X[: min(n, 2000)], device)
        Y, wall = timed(lambda: torch_dr(X, device), device)
        told = quality(X, labels, Y)
        table.add("whole fit", f"{device}, TorchDR", seconds(wall), "-", "-", *told)
    return table


def umap_stages(X: np.ndarray, table: Table, host: torch.device) -> tuple[Any, np.ndarray]:
    """The graph and the first layout, which the CPU finds."""

    def told(stage: str, wall: float) -> None:
        table.add(stage, "cpu", seconds(wall), "-", "-", "-", "-")

    neighbors, wall = timed(lambda: nearest_neighbors(X, 15, random_state=0), host)
    told("neighbours", wall)
    graph, wall = timed(lambda: UMAPAffinity(15).from_neighbors(neighbors).matrix, host)
    told("graph", wall)
    rng = np.random.default_rng(0)
    arguments = "spectral", 2, X, graph, rng
    start, wall = timed(lambda: first_layout(*arguments, reach=REACH), host)
    told("first layout", wall)
    return graph, start


def least_bytes_of_edges(rates: Any) -> int:
    """Bytes that an epoch must read and write.

    Of every edge the rate, and what is left of it from the last epoch, which is renewed; of one
    that fires the index and the other point; of every random point its place; of every row its
    place, the next one, and its place among the random points.
    """
    indptr, _, units = edges_of(rates, EPOCHS)
    n_fired = int(units.sum(dtype=np.int64)) >> RATE_BITS
    pairs = n_fired * (4 + 8 + NEGATIVES * 8)
    return len(units) * (4 + 8) + pairs + (len(indptr) - 1) * (8 + 8 + 24)


def go_through(
    rates: Any, start: np.ndarray, engine: str, device: torch.device, n_epochs: int
) -> np.ndarray:
    """The layout after so many epochs."""
    arguments = rates, start, Similarity(*curve_of(0.1, 1.0)), Schedule(n_epochs, 1.0, NEGATIVES)
    rng = np.random.default_rng(0)
    with Crew(-1) as crew:
        descent: EdgeSteps = (
            TorchEdgeDescent(*arguments, device=device, rng=rng)
            if engine == "torch"
            else EdgeDescent(*arguments, crew=crew, rng=rng)
        )
        descent.run(Watch())
        return descent.layout


def torch_dr(X: np.ndarray, device: torch.device) -> np.ndarray:
    """By the defaults of TorchDR; its own search where faiss is not installed."""
    import torchdr

    backend = "faiss" if find_spec("faiss") is not None else None
    with silence():
        model = torchdr.UMAP(n_neighbors=15, device=str(device), backend=backend, random_state=0)
        return np.asarray(model.fit_transform(X))


def main() -> None:
    """Run the parts that were asked for."""
    parts = {"tsne": tsne, "umap": umap, "neighbors": neighbors, "pca": pca}
    run_on_card(__doc__, {**parts, "laplacian": laplacian}, 1_000_000, 5_000)


if __name__ == "__main__":
    main()
