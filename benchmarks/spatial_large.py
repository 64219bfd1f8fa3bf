"""Spatial factors of many rows: time and memory beside the truth.

python benchmarks/spatial_large.py [large] [size] [--write]

Ten smooth factors over a plane, 500 columns, Poisson counts of mean 0.6; the last 1,000 rows are
held out. Every fit has a process of its own, so that its peak memory is its own.
"""

from __future__ import annotations

import argparse
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any

import numpy as np
from _machine import cpu_time, one_thread, peak_bytes
from _parts import Part, arguments, run
from _simulations import deviance, least_correlation
from _tables import Table, seconds

import lowdim as ld

HELD_OUT, COLUMNS, FACTORS, BUMPS, SIDE = 1000, 500, 10, 6, 100.0
BACKGROUND, DEPTH = 0.05, 0.3
CHUNK = 5000
LARGE = (
    ("defaults (sines)", {}),
    ("600 inducing points", {"inducing": 600}),
)
SIZES = (5_000, 20_000, 100_000)


def simulated(n: int) -> dict[str, np.ndarray]:
    """Counts, places, true factors, and the true rates of the rows held out."""
    rng = np.random.default_rng(0)
    places = rng.uniform(0, SIDE, size=(n, 2))
    factors = np.zeros((n, FACTORS))
    for factor in factors.T:
        for _ in range(BUMPS):
            centre, width = rng.uniform(0, SIDE, size=2), rng.uniform(4, 12)
            factor += np.exp(-0.5 * ((places - centre) ** 2).sum(1) / width**2)
    loadings = rng.gamma(0.3, 3, size=(COLUMNS, FACTORS))
    counts = np.empty((n, COLUMNS), dtype=np.float32)
    for start in range(0, n, CHUNK):
        rows = slice(start, start + CHUNK)
        counts[rows] = rng.poisson(_rates(factors[rows], loadings))
    rates = _rates(factors[-HELD_OUT:], loadings)
    return {"counts": counts, "places": places, "factors": factors, "rates": rates}


def _rates(factors: np.ndarray, loadings: np.ndarray) -> np.ndarray:
    return DEPTH * (BACKGROUND + factors @ loadings.T)


def measured(n: int, options: dict[str, Any]) -> dict[str, float]:
    """One fit: its cost, and how near it is to the truth."""
    data = simulated(n)
    train, test = slice(0, n - HELD_OUT), slice(n - HELD_OUT, n)
    counts, places = data["counts"], data["places"]
    model = ld.SpatialFactorization(FACTORS, random_state=0, **options)
    with one_thread():
        cost, _ = cpu_time(lambda: model.fit(counts[train], places[train]))
    peak = peak_bytes()
    rates = np.maximum(model.predict(places[test]), 1e-10)
    mean = np.broadcast_to(counts[train].mean(0), rates.shape)
    return {
        "cpu": cost,
        "peak": peak,
        "rounds": model.n_iter_,
        "bound": model.lower_bound_,
        "held out": deviance(counts[test], rates),
        "oracle": deviance(counts[test], data["rates"]),
        "mean": deviance(counts[test], mean),
        "least r": least_correlation(data["factors"][train], model.factors_),
    }


def apart(n: int, options: dict[str, Any]) -> dict[str, float]:
    """`measured` in a fresh process."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(measured, n, options).result()


NOTE = (
    "`random_state=0`, float64, one thread; N counts the 1,000 rows held out. Bound: per row. Held "
    "out: Poisson deviance, mean over all entries, beside that of the true rates and of columns' "
    "means. Least r: of true and fitted factors, matched one to one. Peak: of a process that also "
    "holds the simulation."
)
COLUMNS_OF_TABLE = ["CPU", "peak", "rounds", "bound", "held out", "true rates", "means", "least r"]
WIDTHS = [8, 8, 6, 9, 8, 10, 6, 7]


def _cells(found: dict[str, float]) -> list[str]:
    return [
        seconds(found["cpu"]),
        f"{found['peak'] / 1e9:.2f} GB",
        f"{found['rounds']:.0f}",
        f"{found['bound']:.2f}",
        f"{found['held out']:.4f}",
        f"{found['oracle']:.4f}",
        f"{found['mean']:.3f}",
        f"{found['least r']:.4f}",
    ]


def large(_: argparse.Namespace) -> Table:
    """20,000 x 500."""
    table = Table(
        "spatial-large",
        "SpatialFactorization of 20,000 x 500, ten factors",
        ["process", *COLUMNS_OF_TABLE],
        NOTE,
    )
    table.begin([20, *WIDTHS])
    for name, options in LARGE:
        table.add(name, *_cells(apart(20_000, options)))
    return table


def size(_: argparse.Namespace) -> Table:
    """Defaults, from 5,000 to 100,000 rows."""
    table = Table(
        "spatial-size",
        "SpatialFactorization of N x 500, ten factors, defaults",
        ["N", *COLUMNS_OF_TABLE],
        NOTE,
    )
    table.begin([8, *WIDTHS])
    for n in SIZES:
        table.add(f"{n:,}", *_cells(apart(n, {})))
    return table


def main() -> None:
    """Run the parts that were asked for."""
    parts: dict[str, Part] = {"large": large, "size": size}
    run(arguments(__doc__, parts), parts)


if __name__ == "__main__":
    main()
