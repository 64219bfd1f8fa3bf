"""Spatial factors beside mofapy2 (MEFISTO) and MOFA-FLEX, on simulations with a known truth.

python benchmarks/spatial_peers.py [--only 1,6] [--cap 600] [--keep FOLDER [--kept]] [--write]

The peers' fits run in processes of their own, in the interpreter that LOWDIM_PEERS_PYTHON names (by
default, this one). The simulations are in a folder that LOWDIM_DATASETS names, as for spatial.py.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from _machine import cpu_time
from _parts import Part, arguments, run
from _simulations import (
    LEAST_RATE,
    TRAIN,
    deviance,
    least_correlation,
    rates_of_logs,
    scenario,
    shares,
)
from _tables import Table, seconds

import lowdim as ld

#: What `_spatial_peers_run.py` can do, its name in the table, and whether it is nonnegative.
PEERS = {
    "mofapy2-sparse": ("mofapy2, MEFISTO, 923", False),
    "mofapy2-sparse-25": ("mofapy2, MEFISTO, 307", False),
    "mofaflex-mefisto-100": ("MOFA-FLEX, normal, 100", False),
    "mofaflex-nsf-100": ("MOFA-FLEX, NB, nonneg, 100", True),
    "mofapy2": ("mofapy2, MEFISTO, all", False),
    "mofaflex-mefisto": ("MOFA-FLEX, normal, 1000", False),
    "mofaflex-nsf": ("MOFA-FLEX, NB, nonneg, 800", True),
}
MEFISTO = {
    "nonnegative": False,
    "likelihood": "gaussian",
    "kernel": "rbf",
    "length_scale": "learned",
}
LOWDIM: dict[str, dict[str, Any]] = {
    "lowdim, NSF": {},
    "lowdim, NSF, NB": {"likelihood": "negative_binomial"},
    "lowdim, RSF": {"nonnegative": False, "likelihood": "gaussian"},
    "lowdim, MEFISTO-like": MEFISTO,
}


def own(data: dict[str, np.ndarray], settings: dict[str, Any]) -> dict[str, Any]:
    """A fit of lowdim, in the terms of `_spatial_peers_run.py`."""
    counts, places = data["counts"][:TRAIN], data["coordinates"]
    logged = settings.get("likelihood") == "gaussian"
    values = np.log1p(counts) if logged else counts
    n_factors = data["spatial_factors"].shape[1]
    model = ld.SpatialFactorization(n_factors, random_state=0, **settings)
    wall = time.perf_counter()
    cpu, _ = cpu_time(lambda: model.fit(values, places[:TRAIN]))
    wall = time.perf_counter() - wall
    new = model.predict(places[TRAIN:])
    factors = model.factors_ if logged else np.exp(model.log_factors_)
    found = {"cpu": cpu, "wall": wall, "factors": factors, "loadings": model.loadings_}
    return {**found, "logs" if logged else "rates": new, "late": False}


def peer(data: dict[str, np.ndarray], method: str, cap: float, target: Path) -> dict[str, Any]:
    """A fit in the peers' interpreter; one that is kept at `target` is not made again."""
    if not target.exists():
        source = target.with_suffix(".in.npz")
        np.savez(
            source,
            counts=data["counts"][:TRAIN],
            places=data["coordinates"][:TRAIN],
            elsewhere=data["coordinates"][TRAIN:],
            n_factors=data["spatial_factors"].shape[1],
            cap=cap,
        )
        python = os.environ.get("LOWDIM_PEERS_PYTHON", sys.executable)
        script = Path(__file__).with_name("_spatial_peers_run.py")
        threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
        environment = {**os.environ, **threads}
        environment.pop("PYTHONPATH", None)
        subprocess.run([python, script, method, source, target], env=environment, check=True)
        source.unlink()
    with np.load(target) as stored:
        return dict(stored)


def judged(
    data: dict[str, np.ndarray], found: dict[str, Any], *, positive: bool
) -> tuple[str, str, str]:
    """Least correlations of factors and of loadings, and the deviance of what is held out."""
    truth, loadings = data["spatial_factors"][:TRAIN], data["spatial_loadings"]
    fitted = found["loadings"]
    if positive:
        loadings, fitted = shares(truth, loadings), shares(found["factors"], fitted)
    return (
        _number(least_correlation(truth, found["factors"])),
        _number(least_correlation(loadings, fitted)),
        _held_out(data["counts"][TRAIN:], found),
    )


def _held_out(counts: np.ndarray, found: dict[str, Any]) -> str:
    if "logs" in found:
        return f"{deviance(counts, rates_of_logs(found['logs'])):.2f}"
    if "rates" not in found:
        return "-"
    value = f"{deviance(counts, np.maximum(found['rates'], LEAST_RATE)):.2f}"
    if "relative" not in found:
        return value
    told = found["relative"] * counts.mean(1, keepdims=True)
    return f"{value} ({deviance(counts, np.maximum(told, LEAST_RATE)):.2f})"


def _number(value: float) -> str:
    return f"{value:.3f}" if np.isfinite(value) else "none"


def peers(options: argparse.Namespace) -> Table:
    """All of them on each scenario."""
    scenarios = [int(number) for number in options.only.split(",")]
    names = options.methods.split(",")
    table = Table(
        "spatial-peers",
        "Spatial factors beside mofapy2 and MOFA-FLEX, 1,231 x 200",
        ["scenario", "method", "CPU", "wall", "factors", "loadings", "held out", "ended"],
        "Factors, loadings: least correlation with the true ones, matched one to one. Held out: "
        f"Poisson deviance of the last 65 rows, of rates of at least {LEAST_RATE:g}; no method is "
        "told their totals. Values are log(1 + count) for the normal likelihood. mofapy2 0.7.5: "
        "its defaults and `ard_weights=False`, a sparse GP through so many places (923 is its "
        "default); its predictions are put in the order of the rows. MOFA-FLEX 0.1.2: its presets "
        "NSF and MEFISTO, on the CPU, with so many inducing points (100 is its default, its "
        "presets have more); its NB models shares of a row's mean count: new rows get the mean "
        "row's, or, in brackets, their own. "
        f"The peers stop by their own rules or after {options.cap:g} s of wall time, and are "
        "judged as they then stand ('-': cut off within a step, no predictions). They run in "
        "processes of their own; importing is not counted.",
    )
    table.begin([8, 26, 8, 8, 7, 8, 13, 9])
    for settings in LOWDIM.values():  # compile before the clock runs
        own(scenario("bm_sp_S01"), {**settings, "tol": 1.0})
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(options.keep or scratch)
        folder.mkdir(parents=True, exist_ok=True)
        for number in scenarios:
            data = scenario(f"bm_sp_S{number:02d}")
            for name, settings in LOWDIM.items():
                found = own(data, settings)
                positive = "nonnegative" not in settings
                _add(table, number, name, found, judged(data, found, positive=positive))
            for method in names:
                target = folder / f"S{number}_{method}.npz"
                if options.kept and not target.exists():
                    continue
                found = peer(data, method, options.cap, target)
                name, positive = PEERS[method]
                _add(table, number, name, found, judged(data, found, positive=positive))
    return table


def _add(table: Table, number: int, name: str, found: dict[str, Any], how: tuple[str, ...]) -> None:
    ended = "cap" if found["late"] else "own rule"
    table.add(f"S{number}", name, seconds(found["cpu"]), seconds(found["wall"]), *how, ended)


def main() -> None:
    """Run the comparison."""
    parts: dict[str, Part] = {"peers": peers}
    parser = arguments(__doc__, parts)
    parser.add_argument("--only", default="1,6,11", help="scenarios; default 1,6,11")
    parser.add_argument(
        "--methods", default=",".join(list(PEERS)[:4]), help=f"of {', '.join(PEERS)}"
    )
    parser.add_argument("--cap", type=float, default=600.0, help="wall seconds of a peer's fit")
    parser.add_argument("--keep", help="folder of the peers' fits; those in it are not made again")
    parser.add_argument("--kept", action="store_true", help="show kept fits, and make none")
    run(parser, parts)


if __name__ == "__main__":
    main()
