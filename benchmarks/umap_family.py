"""UMAP, LargeVis and InfoTSNE against umap-learn and TorchDR: from rows to layouts.

python benchmarks/umap_family.py [digits] [mnist5000] [mnist63000] [--rows N] [--write]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np
from _parts import Part, arguments, run
from _peers import silence
from _tables import Table, seconds
from sklearn.datasets import load_digits
from sklearn.manifold import trustworthiness
from tsne import mnist, quality

import lowdim as ld

#: Times that ours and umap-learn are measured; TorchDR, which takes longer, is once.
REPEATS = 3
#: Rows above which TorchDR runs for a few iterations only, and its time is extrapolated.
MANY = 10_000
#: Numbers of these.
FEW = (20, 100)
#: Rows whose trustworthiness is measured.
TRUSTED = 2_000
COLUMNS = [
    *("problem", "method", "CPU", "neighbours kept", "label accuracy", "trustworthiness"),
    "CPU ratio",
]
WIDTHS = [14, 34, 9, 15, 14, 15, 9]
#: Iterations of TorchDR's methods by their defaults.
ITERATIONS = {"UMAP": 1000, "LargeVis": 1000, "InfoTSNE": 1000}


def ours(kind: str, X: np.ndarray) -> np.ndarray:
    """By our defaults."""
    return np.asarray(getattr(ld, kind)(random_state=0, n_jobs=1).fit_transform(X))


def umap_learn(X: np.ndarray, random_state: int | None) -> np.ndarray:
    """By the defaults of umap-learn; without a seed its layout runs in numba's threads."""
    import numba
    import umap

    numba.set_num_threads(1)
    with silence():
        return np.asarray(umap.UMAP(random_state=random_state, n_jobs=1).fit_transform(X))


def torch_dr(kind: str, X: np.ndarray, n_iter: int) -> np.ndarray:
    """By the defaults of TorchDR, but for the iterations."""
    import torchdr

    with silence():
        model = getattr(torchdr, kind)(random_state=0, max_iter=n_iter)
        return np.asarray(model.fit_transform(X.astype(np.float32)))


def timed(function: Callable[[], np.ndarray], repeats: int) -> tuple[float, np.ndarray]:
    """The least CPU seconds of some runs, and what the last returned."""
    times = []
    for _ in range(repeats):
        begin = time.process_time()
        value = function()
        times.append(time.process_time() - begin)
    return min(times), value


def extrapolated(kind: str, X: np.ndarray) -> float:
    """CPU seconds of TorchDR's defaults, from those of a few iterations and of some more."""
    few, more = (timed(lambda n=n: torch_dr(kind, X, n), 1)[0] for n in FEW)
    return few + (ITERATIONS[kind] - FEW[0]) * max(more - few, 0.0) / (FEW[1] - FEW[0])


def scores(X: np.ndarray, labels: np.ndarray, Y: np.ndarray) -> tuple[str, str, str]:
    """Share of neighbours kept, label accuracy, and trustworthiness on some of the rows."""
    some = np.random.default_rng(1).permutation(len(X))[:TRUSTED]
    trusted = trustworthiness(X[some], Y[some], n_neighbors=15)
    return (*quality(X, labels, Y), f"{trusted:.4f}")


def compared(name: str, problem: str, X: np.ndarray, labels: np.ndarray) -> Table:
    """A row of the table for each method; ratios are to ours of the same kind."""
    note = (
        "One thread, defaults but for seeds; CPU seconds from rows to layout with compiled code "
        f"ready, the least of {REPEATS} runs of ours and of umap-learn, one of TorchDR. Neighbours "
        "kept and label accuracy at 15, of 3,000 rows; trustworthiness at 15 among 2,000. "
        f"Above {MANY:,} rows the time of TorchDR's 1,000 iterations follows from {FEW[1]}."
    )
    table = Table(name, f"UMAP and its relatives on {problem}", COLUMNS, note)
    table.begin(WIDTHS)
    for kind in ("UMAP", "LargeVis", "InfoTSNE"):
        ours(kind, X[:400])
        own, Y = timed(lambda kind=kind: ours(kind, X), REPEATS)
        table.add(problem, f"lowdim {kind}", seconds(own), *scores(X, labels, Y), "1")
        if kind == "UMAP":
            for title, seed in (("umap-learn, seeded", 0), ("umap-learn, parallel", None)):
                umap_learn(X[:400], seed)
                if len(X) > 4096:  # its search compiles other code then
                    umap_learn(X[:4200], seed)
                cpu, Y = timed(lambda seed=seed: umap_learn(X, seed), REPEATS)
                ratio = f"{cpu / own:.1f}"
                table.add(problem, title, seconds(cpu), *scores(X, labels, Y), ratio)
        torch_dr(kind, X[:400], 5)
        if len(X) > MANY:
            cpu, told = extrapolated(kind, X), ("-", "-", "-")
        else:
            n_iter = ITERATIONS[kind]
            cpu, Y = timed(lambda kind=kind, n_iter=n_iter: torch_dr(kind, X, n_iter), 1)
            told = scores(X, labels, Y)
        table.add(problem, f"TorchDR {kind}", seconds(cpu), *told, f"{cpu / own:.1f}")
    return table


def digits(options: argparse.Namespace) -> Table:
    """1,797 images of digits."""
    X, labels = load_digits(return_X_y=True)
    return compared("umap-digits", "digits 1797", X.astype(np.float32), labels)


def few(options: argparse.Namespace) -> Table:
    """5,000 images along 50 axes."""
    return compared("umap-mnist5000", "MNIST 5000", *mnist(5000))


def many(options: argparse.Namespace) -> Table:
    """63,000 of these, or as many as are asked for."""
    return compared("umap-mnist63000", f"MNIST {options.rows}", *mnist(options.rows))


def main() -> None:
    """Run the parts that were asked for."""
    parts: dict[str, Part] = {"digits": digits, "mnist5000": few, "mnist63000": many}
    parser = arguments(__doc__, parts)
    parser.add_argument("--rows", type=int, default=63_000, help="of the largest problem")
    run(parser, parts)


if __name__ == "__main__":
    main()
