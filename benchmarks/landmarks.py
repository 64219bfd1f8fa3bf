"""Layouts by way of landmarks against that of all rows: how much is lost, and what it takes.

python benchmarks/landmarks.py [tsne] [umap] [--rows N] [--write]
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

import numpy as np
from _parts import Part, arguments, run
from _tables import Table, seconds
from tsne import mnist, timed, warmed

import lowdim as ld

#: Shares of the rows that are landmarks.
SHARES = (0.5, 0.2, 0.05)
COLUMNS = [
    *("method", "landmarks", "drawn", "CPU"),
    *("neighbours kept, 15", "kept, 50", "trustworthiness", "label accuracy"),
]


def layouts(name: str, make: Callable[[], Any], options: argparse.Namespace) -> Table:
    """All rows laid out, some with the others placed, and that as the start for all."""
    n = options.rows
    table = Table(
        f"landmarks-{name.lower()}",
        f"{name} by way of landmarks",
        COLUMNS,
        f"{n} images of MNIST along 50 axes; one thread, CPU seconds from rows to layout, one run "
        "with compiled code ready. Measures of 3,000 rows among all.",
    )
    table.begin([26, 9, 10, 9, 19, 8, 15, 14])
    X, labels = mnist(n)
    warmed(X)
    by_landmarks(make, 0.1, "k-means++").fit(X[:4000])

    def add(method: str, share: str, drawn: str, lay_out: Callable[[], np.ndarray]) -> np.ndarray:
        cpu, _, Y = timed(lay_out, 1)
        table.add(method, share, drawn, seconds(cpu), *measures(X, Y, labels))
        return np.asarray(Y)

    add(name, "all", "-", lambda: make().fit_transform(X))
    for share in SHARES:
        for how in ("random", "k-means++"):
            model = by_landmarks(make, share, how)
            Y = add("landmarks", f"{share:g}", how, lambda model=model: model.fit_transform(X))
            if name == "t-SNE" and how == "random":
                again = make().set_params(init=Y, early_exaggeration_iter=0, max_iter=250)
                add(
                    "then all from there",
                    f"{share:g}",
                    how,
                    lambda model=again: model.fit_transform(X),
                )
    return table


def by_landmarks(make: Callable[[], Any], share: float, how: str) -> ld.LandmarkEmbedding:
    """The same with landmarks."""
    return ld.LandmarkEmbedding(make(), n_landmarks=share, selection=how, random_state=0)


def measures(X: np.ndarray, Y: np.ndarray, labels: np.ndarray) -> list[str]:
    """Of a layout, as texts."""
    names = ("preservation_15", "preservation_50", "trustworthiness", "label_accuracy")
    # Another seed than that of the landmarks: the same one would ask about these alone.
    found = ld.metrics.embedding_quality(
        X, Y, labels, n_neighbors=(15, 50), sample_size=3000, random_state=1
    ).iloc[0]
    return [f"{found[name]:.3f}" for name in names]


def tsne(options: argparse.Namespace) -> Table:
    """t-SNE with its defaults."""
    return layouts("t-SNE", lambda: ld.TSNE(n_jobs=1, random_state=0), options)


def umap(options: argparse.Namespace) -> Table:
    """UMAP with its defaults."""
    return layouts("UMAP", lambda: ld.UMAP(n_jobs=1, random_state=0), options)


def main() -> None:
    """Run the parts that were asked for."""
    parts: dict[str, Part] = {"tsne": tsne, "umap": umap}
    parser = arguments(__doc__, parts)
    parser.add_argument("--rows", type=int, default=20_000, metavar="N", help="default: 20,000")
    run(parser, parts)


if __name__ == "__main__":
    main()
