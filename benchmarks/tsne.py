"""t-SNE against openTSNE and scikit-learn: the same affinities, start and iterations.

python benchmarks/tsne.py [small] [mnist] [duplicates] [divergence] [space] [steps] [whole] \
    [million] [--quick] [--write]
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp
from _data import clouds
from _machine import peak_bytes, resident_bytes
from _parts import Part, arguments, run
from _tables import Table, seconds
from scipy.spatial.distance import cdist
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.neighbors import NearestNeighbors

import lowdim as ld
from lowdim.affinities import EntropicAffinity
from lowdim.embedding._course import Watch
from lowdim.embedding._crew import Crew
from lowdim.embedding._tsne.course import Phase
from lowdim.embedding._tsne.descent import Descent, by_place, repulsion
from lowdim.neighbors import NeighborIndex, nearest_neighbors

DATASETS = Path(
    os.environ.get("LOWDIM_DATASETS", Path(__file__).resolve().parents[2] / "shared" / "datasets")
)
#: Threads of every contender.
THREADS = 2
#: Times that ours is measured; peers, which take longer, are once.
REPEATS = 3
#: Iterations with the affinities exaggerated, and without, and the momentum of both.
EARLY, LATE, MOMENTUM = 250, 500, 0.8
COLUMNS = [
    *("problem", "method", "CPU", "wall", "KL", "neighbours kept", "label accuracy"),
    *("CPU ratio", "wall ratio"),
]
WIDTHS = [20, 24, 9, 9, 8, 15, 14, 9, 10]


def mnist(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Digits along 50 principal axes, shuffled, and their labels."""
    with np.load(DATASETS / "mnist.npz") as file:
        images, labels = file["images"].astype(np.float32) / 255, file["labels"]
    drawn = np.random.default_rng(0).permutation(len(images))[:n]
    rows = PCA(50, svd_solver="covariance_eigh").fit(images).transform(images[drawn])
    return rows.astype(np.float32), labels[drawn]


def start(X: np.ndarray, c: int = 2) -> np.ndarray:
    """The leading principal components, with a standard deviation of 1e-4 along the first."""
    layout = PCA(c, random_state=0).fit_transform(X)
    return np.asarray(layout / layout[:, 0].std() * 1e-4, dtype=np.float64)


def ours(
    P: sp.csr_matrix, first: np.ndarray, method: str, watch: Watch | None = None
) -> np.ndarray:
    """The layout by our descent."""
    n = len(first)
    with Crew(THREADS) as crew:
        descent = Descent(P, first, repulsion(method, 1.0, crew), dof=1.0, crew=crew, max_step=5.0)
        phases = [Phase(EARLY, 12.0, n / 12, MOMENTUM), Phase(LATE, 1.0, float(n), MOMENTUM)]
        descent.run(phases, watch or Watch())
        return descent.layout


def open_tsne(P: sp.csr_matrix, first: np.ndarray, method: str) -> np.ndarray:
    """The layout by openTSNE."""
    import openTSNE

    affinities = openTSNE.affinity.PrecomputedAffinities(P.astype(np.float64), normalize=False)
    layout = openTSNE.TSNEEmbedding(
        first.copy(),
        affinities,
        n_jobs=THREADS,
        negative_gradient_method=method,
        random_state=0,
    )
    layout = layout.optimize(EARLY, exaggeration=12, momentum=MOMENTUM, learning_rate="auto")
    return np.asarray(layout.optimize(LATE, momentum=MOMENTUM, learning_rate="auto"))


def scikit_learn(X: np.ndarray, first: np.ndarray) -> np.ndarray:
    """The layout by scikit-learn, with its search for neighbours."""
    from sklearn.manifold import TSNE

    c, init = first.shape[1], first.astype(np.float32)
    model = TSNE(c, n_jobs=THREADS, init=init, max_iter=EARLY + LATE)
    return np.asarray(model.fit_transform(X))


def kl_divergence(P: sp.csr_matrix, Y: np.ndarray) -> float:
    """By its definition, all pairs in the sum of weights."""
    Y = np.asarray(Y, np.float64)
    total = -float(len(Y))
    for i in range(0, len(Y), 256):
        total += float((1 / (1 + cdist(Y[i : i + 256], Y, "sqeuclidean"))).sum())
    pairs = P.tocoo()
    square = ((Y[pairs.row] - Y[pairs.col]) ** 2).sum(1)
    p = pairs.data.astype(np.float64)
    return float((p * (np.log(p) + np.log1p(square))).sum() + np.log(total))


def quality(X: np.ndarray, labels: np.ndarray, Y: np.ndarray, k: int = 15) -> tuple[str, str]:
    """Share of neighbours kept, and of rows that their neighbours in the layout tell."""
    drawn = np.random.default_rng(0).permutation(len(X))[:3000]
    index = NearestNeighbors(n_neighbors=k + 1)
    of_rows = index.fit(X).kneighbors(X[drawn], return_distance=False)[:, 1:]
    of_places = index.fit(Y).kneighbors(Y[drawn], return_distance=False)[:, 1:]
    pairs = zip(of_rows, of_places, strict=True)
    kept = np.mean([len(np.intersect1d(a, b)) / k for a, b in pairs])
    votes = np.array([np.bincount(labels[own]).argmax() for own in of_places])
    return f"{kept:.3f}", f"{(votes == labels[drawn]).mean():.4f}"


def timed(function: Callable[[], Any], repeats: int) -> tuple[float, float, Any]:
    """The least CPU and wall seconds of some runs, and what the last returned."""
    times = []
    for _ in range(repeats):
        cpu, wall = time.process_time(), time.perf_counter()
        value = function()
        times.append((time.process_time() - cpu, time.perf_counter() - wall))
    cpu, wall = np.min(times, axis=0)
    return float(cpu), float(wall), value


def compared(
    table: Table,
    problem: str,
    rows: tuple[np.ndarray, np.ndarray],
    P: sp.csr_matrix | None,
    contenders: dict[str, Callable[[], np.ndarray]],
) -> None:
    """A row of the table for each contender; ratios are to the first, which is ours."""
    X, labels = rows
    first = (np.nan, np.nan)
    for name, function in contenders.items():
        own = name.startswith("lowdim")
        cpu, wall, Y = timed(function, REPEATS if own else 1)
        first = (cpu, wall) if np.isnan(first[0]) else first
        table.add(
            *(problem, name, seconds(cpu), seconds(wall)),
            "-" if P is None else f"{kl_divergence(P, Y):.4f}",
            *quality(X, labels, Y),
            *(f"{cpu / first[0]:.1f}", f"{wall / first[1]:.1f}"),
        )


def joint(X: np.ndarray) -> sp.csr_matrix:
    """Entropic affinities of perplexity 30."""
    return EntropicAffinity(30).from_neighbors(nearest_neighbors(X, 90, method="exact")).matrix


def warmed(X: np.ndarray) -> None:
    """Compile what is compiled."""
    for method in ("exact", "mesh"):
        ld.TSNE(max_iter=40, method=method, random_state=0).fit(X[:500]).transform(X[:5])


def small(options: argparse.Namespace) -> Table:
    """Few rows: all pairs against the best of openTSNE and scikit-learn."""
    table = Table("tsne-small", "t-SNE of few rows", COLUMNS, _note())
    table.begin(WIDTHS)
    X, labels = load_digits(return_X_y=True)
    problems: list[tuple[str, Any]] = [("digits 1797", (X.astype(np.float32), labels))]
    if not options.quick:
        problems.append(("MNIST 5000", mnist(5000)))
    warmed(X)
    for name, rows in problems:
        P, first = joint(rows[0]), start(rows[0])
        contenders: dict[str, Callable[[], np.ndarray]] = {
            "lowdim, all pairs": lambda P=P, first=first: ours(P, first, "exact"),
            "lowdim, mesh": lambda P=P, first=first: ours(P, first, "mesh"),
            "openTSNE, Barnes-Hut": lambda P=P, first=first: open_tsne(P, first, "bh"),
            "scikit-learn, whole": lambda X=rows[0], first=first: scikit_learn(X, first),
        }
        compared(table, name, rows, P, contenders)
    return table


def large(name: str, title: str, problem: str, rows: tuple[np.ndarray, np.ndarray]) -> Table:
    """Many rows: the mesh against openTSNE's interpolation."""
    table = Table(name, title, COLUMNS, _note())
    table.begin(WIDTHS)
    warmed(rows[0])
    P, first = joint(rows[0]), start(rows[0])
    contenders: dict[str, Callable[[], np.ndarray]] = {
        "lowdim, mesh": lambda: ours(P, first, "mesh"),
        "openTSNE, FFT": lambda: open_tsne(P, first, "fft"),
    }
    compared(table, problem, rows, P, contenders)
    return table


def images(options: argparse.Namespace) -> Table:
    """Images of digits along 50 axes."""
    n = 10_000 if options.quick else 63_000
    return large("tsne-mnist", "t-SNE of MNIST", f"MNIST {n}", mnist(n))


def divergence(options: argparse.Namespace) -> Table:
    """Divergences alone, which a busy machine does not change."""
    note = f"The same affinities, start and {EARLY} + {LATE} iterations; by their definition."
    names = ["problem", "lowdim", "openTSNE", "openTSNE's method", "ours above theirs"]
    table = Table("tsne-divergence", "KL divergence from the same affinities", names, note)
    table.begin([12, 8, 8, 17, 17])
    X, _ = load_digits(return_X_y=True)
    problems = [
        ("digits 1797", X.astype(np.float32), "bh"),
        ("MNIST 10000", mnist(10_000)[0], "fft"),
    ]
    if not options.quick:
        problems.append(("MNIST 63000", mnist(63_000)[0], "fft"))
    for name, rows, method in problems:
        P, first = joint(rows), start(rows)
        own = kl_divergence(P, ours(P, first, "mesh" if method == "fft" else "exact"))
        other = kl_divergence(P, open_tsne(P, first, method))
        table.add(name, f"{own:.4f}", f"{other:.4f}", method, f"{own / other - 1:+.2%}")
    return table


def duplicates(options: argparse.Namespace) -> Table:
    """Noisy copies of digits, which lie almost on each other."""
    X, labels = load_digits(return_X_y=True)
    times = 6 if options.quick else 12
    rng = np.random.default_rng(0)
    rows = np.repeat(X, times, axis=0)
    rows = (rows + rng.normal(size=rows.shape)).astype(np.float32)
    title = "t-SNE of near-duplicates"
    return large("tsne-duplicates", title, f"digits x {times}", (rows, np.repeat(labels, times)))


def space(options: argparse.Namespace) -> Table:
    """In three dimensions: a tree against scikit-learn's; openTSNE has none."""
    table = Table("tsne-space", "t-SNE in three dimensions", COLUMNS, _note())
    table.begin(WIDTHS)
    for n in (5_000,) if options.quick else (5_000, 10_000):
        rows = mnist(n)
        P, first = joint(rows[0]), start(rows[0], 3)
        for method in ("tree", "exact"):
            ld.TSNE(3, max_iter=40, method=method, random_state=0).fit(rows[0][:500])
        contenders: dict[str, Callable[[], np.ndarray]] = {
            "lowdim, tree": lambda P=P, first=first: ours(P, first, "tree"),
            "lowdim, all pairs": lambda P=P, first=first: ours(P, first, "exact"),
            "scikit-learn, whole": lambda X=rows[0], first=first: scikit_learn(X, first),
        }
        compared(table, f"MNIST {n}", rows, P, contenders)
    return table


def steps(options: argparse.Namespace) -> Table:
    """The repulsion of one iteration in three dimensions, by a tree and of all pairs."""
    table = Table(
        "tsne-steps",
        "t-SNE's repulsion in three dimensions",
        ["rows", "iteration", "range", "tree", "all pairs", "ratio"],
        f"CPU seconds of the repulsion of one iteration, one thread, least of {REPEATS} runs, in "
        "layouts of MNIST on their way.",
    )
    table.begin([8, 9, 7, 9, 9, 7])
    for n in (2_000, 10_000) if options.quick else (2_000, 5_000, 20_000, 63_000):
        X, seen = mnist(n)[0], {}
        P, first = joint(X), start(X, 3)

        def look(iteration: int, Y: np.ndarray, _: float, seen: dict[int, Any] = seen) -> None:
            seen[iteration] = Y

        ours(P, first, "tree", Watch([look], EARLY))
        with Crew(1) as crew:
            sums = [repulsion(method, 1.0, crew) for method in ("tree", "exact")]
            for iteration, layout in seen.items():
                Y = np.ascontiguousarray(layout[by_place(layout)])
                force = np.empty_like(Y)
                tree, pairs = (
                    timed(lambda own=own, Y=Y, force=force: own(Y, np.empty(0), force), REPEATS)[0]
                    for own in sums
                )
                table.add(
                    *(f"{n}", f"{iteration}", f"{np.ptp(Y, axis=0).max():.0f}"),
                    *(f"{tree:.5f}", f"{pairs:.5f}", f"{pairs / tree:.1f}"),
                )
    return table


def whole(options: argparse.Namespace) -> Table:
    """From rows to the layout, with the search for neighbours."""
    import openTSNE

    n = 10_000 if options.quick else 63_000
    note = f"{THREADS} threads, defaults but for the seed; least of {REPEATS} runs of ours."
    table = Table("tsne-whole", "t-SNE from rows to layout", COLUMNS, note)
    table.begin(WIDTHS)
    rows = mnist(n)
    warmed(rows[0])
    contenders: dict[str, Callable[[], np.ndarray]] = {
        "lowdim": lambda: ld.TSNE(random_state=0, n_jobs=THREADS).fit_transform(rows[0]),
        "openTSNE": lambda: np.asarray(
            openTSNE.TSNE(random_state=0, n_jobs=THREADS).fit(rows[0].astype(np.float64))
        ),
    }
    compared(table, f"MNIST {n}", rows, joint(rows[0]), contenders)
    return table


def million(options: argparse.Namespace) -> Table:
    """Many simulated rows: where time and memory go, and what the layout is like."""
    n = 100_000 if options.quick else 1_000_000
    table = Table(
        "tsne-million",
        "t-SNE of a million rows",
        ["stage", "CPU", "wall", "memory after", "most so far"],
        f"{n} x 50 of 50 Gaussians of varied shapes; perplexity 30, {EARLY} + {LATE} iterations. "
        f"Neighbours and affinities on one thread, the descent on {THREADS}. Memory of the whole "
        "process; neighbours kept and label accuracy at 15, of 2,000 rows.",
    )
    table.begin([34, 9, 9, 13, 11])
    X, labels = clouds(n, 50)
    warmed(X)
    found = staged(table, "neighbours", lambda: nearest_neighbors(X, 90, random_state=0))
    P = staged(table, "affinities", lambda: EntropicAffinity(30).from_neighbors(found).matrix)
    recall = found.recall
    Y = staged(table, "descent", lambda: ours(P, start(X), "mesh"))
    drawn = np.random.default_rng(1).permutation(n)[:2000]
    near = [
        NeighborIndex(Z, method="approximate", random_state=0).query(Z[drawn], 16).indices[:, 1:]
        for Z in (X, Y)
    ]
    kept = np.mean([len(np.intersect1d(a, b)) / 15 for a, b in zip(*near, strict=True)])
    told = np.mean([np.bincount(labels[a]).argmax() for a in near[1]] == labels[drawn])
    table.add(f"recall {recall:.4f}, kept {kept:.3f}, accuracy {told:.4f}", *"----")
    return table


def staged(table: Table, name: str, function: Callable[[], Any]) -> Any:
    """What a stage returns; its time and memory go to the table."""
    cpu, wall, value = timed(function, 1)
    sizes = [f"{size / 1e9:.2f} GB" for size in (resident_bytes(), peak_bytes())]
    table.add(name, seconds(cpu), seconds(wall), *sizes)
    return value


def _note() -> str:
    return (
        f"{THREADS} threads each; the same affinities (perplexity 30, 90 exact neighbours), start "
        f"and {EARLY} + {LATE} iterations at momentum {MOMENTUM}; scikit-learn searches for "
        f"neighbours itself. Least of {REPEATS} runs of ours, one of the others'. Divergences by "
        "their definition; neighbours kept and label accuracy at 15, of 3,000 rows."
    )


def main() -> None:
    """Run the parts that were asked for."""
    parts: dict[str, Part] = {
        "small": small,
        "mnist": images,
        "duplicates": duplicates,
        "space": space,
        "steps": steps,
        "divergence": divergence,
        "whole": whole,
        "million": million,
    }
    parser = arguments(__doc__, parts)
    parser.add_argument("--quick", action="store_true", help="fewer rows")
    run(parser, parts)


if __name__ == "__main__":
    main()
