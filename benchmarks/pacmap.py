"""PaCMAP against pacmap, PHATE against phate, and eigenvectors of graphs against scikit-learn.

python benchmarks/pacmap.py [pacmap] [phate] [laplacian] [--sizes 5000 20000] [--write]
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable

# Threads that wait for each other count as work otherwise; the peers read these when they load.
for name in ("NUMBA_NUM_THREADS", "OMP_NUM_THREADS"):
    os.environ.setdefault(name, "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np  # noqa: E402
from _parts import Part, arguments, run  # noqa: E402
from _peers import silence  # noqa: E402
from _tables import Table, seconds  # noqa: E402
from sklearn.datasets import load_digits  # noqa: E402
from sklearn.manifold import SpectralEmbedding  # noqa: E402
from tsne import DATASETS, mnist, quality, timed  # noqa: E402

import lowdim as ld  # noqa: E402

#: Runs of each contender, in turn; the least time counts.
REPEATS = 3
#: Triplets of rows whose order of distances is compared.
TRIPLETS = 20_000
COLUMNS = [
    *("problem", "method", "CPU", "wall", "neighbours kept", "label accuracy", "triplets"),
    "CPU ratio",
]
WIDTHS = [20, 26, 9, 9, 15, 14, 9, 9]
NOTE = (
    f"One thread each; least of {REPEATS} runs in turn, each from rows to the layout. Neighbours "
    f"kept and label accuracy at 15, of 3,000 rows; the share of {TRIPLETS:,} random triplets "
    "whose two distances from the first row have the same order; means over the runs' seeds."
)
Rows = tuple[np.ndarray, np.ndarray]
Fit = Callable[[np.ndarray, int], np.ndarray]


def triplets(X: np.ndarray, Y: np.ndarray) -> float:
    """Share of random triplets of rows that are in the same order in the layout."""
    i, j, k = np.random.default_rng(0).integers(len(X), size=(3, TRIPLETS))
    nearer = [((Z[i] - Z[j]) ** 2).sum(1) < ((Z[i] - Z[k]) ** 2).sum(1) for Z in (X, Y)]
    return float((nearer[0] == nearer[1]).mean())


def compared(table: Table, problem: str, rows: Rows, contenders: dict[str, Fit]) -> None:
    """A row of the table for each contender; ratios are to the first, which is ours."""
    X, labels = rows
    for fit in contenders.values():
        with silence():
            fit(X[:600], 0)  # compiles what is compiled
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in contenders}
    scores: dict[str, list[tuple[float, ...]]] = {name: [] for name in contenders}
    for seed in range(REPEATS):
        for name, fit in contenders.items():
            with silence():
                cpu, wall, Y = timed(lambda fit=fit, seed=seed: fit(X, seed), 1)
            times[name].append((cpu, wall))
            kept, accuracy = quality(X, labels, Y)
            scores[name].append((float(kept), float(accuracy), triplets(X, Y)))
    least = {name: np.min(own, axis=0) for name, own in times.items()}
    first = next(iter(least.values()))[0]
    for name, (cpu, wall) in least.items():
        kept, accuracy, order = np.mean(scores[name], axis=0)
        table.add(
            *(problem, name, seconds(cpu), seconds(wall)),
            *(f"{kept:.3f}", f"{accuracy:.4f}", f"{order:.3f}", f"{cpu / first:.1f}"),
        )


def images(options: argparse.Namespace) -> list[tuple[str, Rows]]:
    """Digits, and MNIST in the sizes that were asked for."""
    X, labels = load_digits(return_X_y=True)
    problems = [("digits 1797", (X.astype(np.float32), labels))]
    return problems + [(f"MNIST {n}", mnist(n)) for n in options.sizes]


def of_pacmap(options: argparse.Namespace) -> Table:
    """PaCMAP with the same settings, which are the defaults of both."""
    import pacmap

    def theirs(X: np.ndarray, seed: int) -> np.ndarray:
        return np.asarray(pacmap.PaCMAP(random_state=seed).fit_transform(X))

    def ours(X: np.ndarray, seed: int) -> np.ndarray:
        return ld.PaCMAP(random_state=seed, n_jobs=1).fit_transform(X)

    table = Table("pacmap", "PaCMAP", COLUMNS, NOTE)
    table.begin(WIDTHS)
    for name, rows in images(options):
        compared(table, name, rows, {"lowdim": ours, "pacmap": theirs})
    return table


def paul15() -> Rows:
    """Blood progenitors along 50 principal axes, and their types."""
    import anndata

    adata = anndata.read_h5ad(DATASETS / "paul15.h5ad")
    counts = adata.X.toarray().astype(np.float64)
    rows = np.log1p(counts / counts.sum(1, keepdims=True) * 1e4)
    axes = ld.PCA(50, random_state=0).fit_transform(rows)
    return axes.astype(np.float32), adata.obs["cell_type"].cat.codes.to_numpy()


def of_phate(options: argparse.Namespace) -> Table:
    """PHATE with the same settings, which are the defaults of both."""
    import phate

    def theirs(solver: str) -> Fit:
        def fit(X: np.ndarray, seed: int) -> np.ndarray:
            model = phate.PHATE(random_state=seed, mds_solver=solver, n_jobs=1, verbose=0)
            return np.asarray(model.fit_transform(X))

        return fit

    def ours(X: np.ndarray, seed: int) -> np.ndarray:
        return ld.PHATE(random_state=seed, n_jobs=1).fit_transform(X)

    table = Table("phate", "PHATE", COLUMNS, NOTE)
    table.begin(WIDTHS)
    contenders = {"lowdim": ours, "phate, SGD": theirs("sgd"), "phate, SMACOF": theirs("smacof")}
    for name, rows in [("paul15 2660", paul15()), *images(options)[:2]]:
        compared(table, name, rows, contenders)
    return table


def of_graphs(options: argparse.Namespace) -> Table:
    """Eigenvectors of the same graph; the search for neighbours is counted with neither."""

    def theirs(X: np.ndarray, seed: int) -> np.ndarray:
        model = SpectralEmbedding(2, affinity="precomputed", random_state=seed)
        return np.asarray(model.fit_transform(graphs[len(X)]))

    def ours(X: np.ndarray, seed: int) -> np.ndarray:
        model = ld.LaplacianEigenmaps(2, affinity="precomputed", random_state=seed)
        return model.fit_transform(graphs[len(X)])

    table = Table("laplacian", "Laplacian eigenmaps", COLUMNS, NOTE)
    table.begin(WIDTHS)
    problems = images(options)[:2]
    graphs = {
        len(own): ld.LaplacianEigenmaps(2).fit(own).affinities_.matrix.astype(np.float64)
        for _, (X, _) in problems
        for own in (X, X[:600])
    }
    for name, rows in problems:
        compared(table, name, rows, {"lowdim": ours, "scikit-learn": theirs})
    return table


def main() -> None:
    """Run the parts that were asked for."""
    parts: dict[str, Part] = {"pacmap": of_pacmap, "phate": of_phate, "laplacian": of_graphs}
    parser = arguments(__doc__, parts)
    parser.add_argument("--sizes", type=int, nargs="*", default=[5000, 20_000], help="of MNIST")
    run(parser, parts)


if __name__ == "__main__":
    main()
