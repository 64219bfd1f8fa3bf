"""k-means and Gaussian mixtures against scikit-learn: the same start, the same steps.

python benchmarks/mixtures.py [gaussian] [kmeans] [--quick] [--write]
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import scipy.sparse as sp
from _parts import Part, arguments, run
from _tables import Table, ratio, seconds
from sklearn.cluster import KMeans as ReferenceKMeans
from sklearn.mixture import GaussianMixture as Reference

import lowdim as ld

#: Times that everything is measured.
REPEATS = 3
#: Times that k-means of dense rows is.
MORE_REPEATS = 7


def blobs(n: int, d: int, k: int, spread: float) -> tuple[np.ndarray, np.ndarray]:
    """Rows in clusters, each longer in some directions than in others, and their labels."""
    rng = np.random.default_rng(0)
    centres = spread * rng.normal(size=(k, d))
    turns = rng.normal(size=(k, d, d)) / np.sqrt(d) + 0.3 * np.eye(d)
    labels = rng.integers(k, size=n)
    rows = rng.normal(size=(n, d))
    for j in range(k):
        rows[labels == j] = rows[labels == j] @ turns[j] + centres[j]
    return rows, labels


def counts(n: int, d: int, k: int, density: float) -> sp.csr_matrix:
    """Sparse rows of small counts whose sizes differ by cluster."""
    rng = np.random.default_rng(0)
    rows = sp.random(n, d, density=density, random_state=0, format="csr")
    profiles, labels = rng.gamma(1.0, 1.0, size=(k, d)), rng.integers(k, size=n)
    size = profiles[np.repeat(labels, np.diff(rows.indptr)), rows.indices]
    rows.data = 1.0 + rng.poisson(3 * size)
    return rows


def timed(function: Callable[[], Any]) -> tuple[Any, float]:
    """A result, and the CPU time it took."""
    begin = time.process_time()
    result = function()
    return result, time.process_time() - begin


def gaussian(options: argparse.Namespace) -> Table:
    """All shapes of covariances."""
    table = Table(
        "gaussian",
        "GaussianMixture against scikit-learn's",
        [
            *("problem", "shape", "steps", "scikit-learn", "lowdim", "ratio per step"),
            *("scikit-learn bound", "lowdim bound"),
        ],
        "Plain EM from the M-step of the same k-means labels, no regularisation, one thread; at "
        "most 15 steps, median of ratios of the time per step (range). The spread is that of the "
        "centres, in units of about the clusters' own. Bounds after as many steps.",
    )
    table.begin([34, 10, 8, 12, 10, 18, 14, 14])
    problems = [(100_000, 50, 20, 3.0), (100_000, 50, 20, 1.0), (100_000, 50, 20, 0.5)]
    problems = [(10_000, 10, 10, 1.0), *([] if options.quick else problems)]
    for n, d, k, spread in problems:
        X, _ = blobs(n, d, k, spread)
        labels = ReferenceKMeans(k, n_init=1, random_state=0, max_iter=20).fit(X).labels_
        for shape in ("full", "tied", "diag", "spherical"):
            settings = {"covariance_type": shape, "reg_covar": 0.0, "tol": 0.0}
            first = ld.GaussianMixture(
                k, init_params=labels, max_iter=1, accelerate=False, **settings
            ).fit(X)
            start = {
                "means_init": first.means_,
                "weights_init": first.weights_,
                "precisions_init": first.precisions_,
            }
            theirs, ours = [], []
            for _ in range(1 if n > 10_000 and shape == "full" else REPEATS):
                peer = Reference(
                    k, max_iter=15, init_params="random_from_data", random_state=0, **start,
                    **settings,
                )  # fmt: skip
                own = ld.GaussianMixture(
                    k, max_iter=15, accelerate=False, init_params="random_from_data", **start,
                    **settings,
                )  # fmt: skip
                theirs.append(timed(partial(peer.fit, X))[1] / 15)
                ours.append(timed(partial(own.fit, X))[1] / own.n_iter_)
            table.add(
                f"{n} x {d}, K = {k}, spread {spread}",
                shape,
                f"{len(peer.lower_bounds_)}",
                seconds(float(np.median(theirs))),
                seconds(float(np.median(ours))),
                ratio([a / b for a, b in zip(theirs, ours, strict=True)]),
                f"{peer.lower_bounds_[-1]:.6f}",
                f"{own.lower_bounds_[len(peer.lower_bounds_) - 1]:.6f}",
            )
    return table


def kmeans(options: argparse.Namespace) -> Table:
    """Dense and sparse rows, from given starts and by default."""
    table = Table(
        "kmeans",
        "KMeans against scikit-learn's",
        [
            *("problem", "steps, both", "scikit-learn", "its elkan", "lowdim", "ratio"),
            *("ratio to elkan", "scikit-learn inertia", "lowdim inertia"),
        ],
        "CPU time of whole fits on one thread; median of ratios (range). The same centroids to "
        "begin with, until no row changes its cluster or 60 steps; or, 'default', nothing set but "
        "K and the seed, which gives each its own starts: median steps and mean inertias over the "
        "seeds. scikit-learn's elkan was timed on dense rows only.",
    )
    table.begin([42, 12, 12, 10, 10, 18, 18, 18, 18])
    small = blobs(10_000, 10, 10, 1.0)[0]
    problems: list[tuple[str, Any, int]] = [
        ("10000 x 10", small, 10),
        ("10000 x 10 float32", small.astype(np.float32), 10),
    ]
    if not options.quick:
        dense = blobs(100_000, 50, 20, 1.0)[0]
        sparse = counts(100_000, 2_000, 20, 0.08)
        problems += [
            ("100000 x 50", dense, 20),
            ("100000 x 50 float32", dense.astype(np.float32), 20),
            ("100000 x 2000 sparse, 8%", sparse, 20),
            ("100000 x 2000 sparse, 8%, float32", sparse.astype(np.float32), 20),
        ]
    for name, X, k in problems:
        start = X[:k].toarray() if sp.issparse(X) else X[:k]
        given = {"init": start, "tol": 0.0, "max_iter": 60, "n_init": 1}
        n_times = REPEATS if sp.issparse(X) else MORE_REPEATS
        table.add(f"{name}, K = {k}", *compared(X, k, [given] * n_times))
        if not sp.issparse(X):
            seeds = [{"random_state": seed} for seed in range(n_times)]
            table.add(f"{name}, K = {k}, default", *compared(X, k, seeds))
    return table


def compared(X: Any, k: int, settings: list[dict[str, Any]]) -> list[str]:
    """Steps, times, ratios and inertias of k-means, with each of the settings in turn."""
    kinds: dict[str, Callable[..., Any]] = {"lloyd": ReferenceKMeans, "ours": ld.KMeans}
    if not sp.issparse(X):
        kinds["elkan"] = partial(ReferenceKMeans, algorithm="elkan")
    ld.KMeans(k, **{**settings[0], "max_iter": 2}).fit(X)
    fits: dict[str, list[tuple[Any, float]]] = {name: [] for name in kinds}
    for own in settings:
        for name, kind in kinds.items():
            fits[name].append(timed(partial(kind(k, **own).fit, X)))
    times = {name: np.array([time for _, time in of]) for name, of in fits.items()}
    steps = [f"{np.median([m.n_iter_ for m, _ in fits[name]]):g}" for name in ("lloyd", "ours")]
    return [
        ", ".join(steps),
        seconds(float(np.median(times["lloyd"]))),
        seconds(float(np.median(times["elkan"]))) if "elkan" in times else "-",
        seconds(float(np.median(times["ours"]))),
        ratio(list(times["lloyd"] / times["ours"])),
        ratio(list(times["elkan"] / times["ours"])) if "elkan" in times else "-",
        *(f"{np.mean([m.inertia_ for m, _ in fits[name]]):.8g}" for name in ("lloyd", "ours")),
    ]


def main() -> None:
    """Run the parts that were asked for."""
    parts: dict[str, Part] = {"gaussian": gaussian, "kmeans": kmeans}
    parser = arguments(__doc__, parts)
    parser.add_argument("--quick", action="store_true", help="small problems only")
    warnings.simplefilter("ignore")
    run(parser, parts)


if __name__ == "__main__":
    main()
