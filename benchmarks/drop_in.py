"""`lowdim.kspaces` against kspaces: the same call of the same function on the same data.

python benchmarks/drop_in.py [fits] [parallel] [--quick] [--write]
"""

from __future__ import annotations

import argparse
import contextlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from _data import planted, tutorial_toy
from _machine import description, one_thread
from _peers import silence
from _tables import Table, ratio, seconds, write

#: Rows, columns, dimensions and seeds. Where kspaces' ten starts would take an hour, it is given
#: one, and lowdim all ten.
PROBLEMS = [
    (1_000, 2, (1, 1, 0), 5, 10),
    (10_000, 2, (1, 1, 0), 5, 10),
    (100_000, 2, (1, 1, 0), 3, 10),
    (1_000, 3, (2, 1, 1, 0), 5, 10),
    (4_600, 3, (2, 1, 1, 0), 5, 10),  # the tutorial's points
    (10_000, 3, (2, 1, 1, 0), 5, 10),
    (1_000, 50, (1, 1, 2), 5, 10),
    (10_000, 50, (1, 1, 2), 3, 10),
    (100_000, 50, (1, 1, 2), 1, 10),
    (1_000, 500, (1, 1, 2), 1, 10),
    (10_000, 500, (1, 1, 2), 1, 10),
    (100_000, 500, (1, 1, 2), 1, 1),
]
#: The least median ratio asked for.
FLOORS = {2: 3, 3: 3, 50: 10, 500: 10}
#: How long a call may take, in seconds.
LIMIT = 1500
#: Calls of each function that are compared on two cores, and up to how many values with kspaces'.
REPEATS, LARGEST_PEER = 5, 5 * 10**6
#: What is known of a call that crashed or took longer.
NOTHING = {"cpu": np.nan, "wall": np.nan, "value": np.nan}


def points(n_rows: int, n_columns: int, dims: Sequence[int]) -> np.ndarray:
    """The data of a problem."""
    return tutorial_toy() if n_rows == 4_600 else planted(n_rows, n_columns, dims)[0]


def call(package: str, path: Path, dims: Sequence[int], seed: int, **settings: object) -> dict:
    """One call of a package's function in a process of its own, after one that warms up."""
    job = {"package": package, "path": str(path), "dims": list(dims), "seed": seed, **settings}
    command = [sys.executable, __file__, "--job", json.dumps(job)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT, check=True)
    except subprocess.TimeoutExpired:
        return NOTHING
    result: dict = json.loads(done.stdout.splitlines()[-1])
    return result


def run_job(job: dict) -> None:
    """What `call` runs."""
    if job["package"] == "kspaces":
        import kspaces
    else:
        import lowdim.kspaces as kspaces
    X = np.load(job["path"])
    settings = job.get("settings", {})
    function = getattr(kspaces, job.get("function", "run_EM"))
    result = NOTHING
    if function.__name__ == "run_EM":
        settings = {"silent": True, **settings}
    with silence():
        np.random.seed(0)
        # What is compiled or loaded on first use.
        with contextlib.suppress(np.linalg.LinAlgError, ValueError):
            rows = X[:1000] if job["package"] == "kspaces" else X
            function(rows, job["dims"], **{**settings, "max_iter": 2})
        np.random.seed(job["seed"])
        begin, wall = time.process_time(), time.perf_counter()
        with contextlib.suppress(np.linalg.LinAlgError, ValueError):
            spaces, _ = function(X, job["dims"], **settings)
            result = {
                "cpu": time.process_time() - begin,
                "wall": time.perf_counter() - wall,
                "value": float(kspaces.total_log_likelihood(X, spaces)),
            }
    print(json.dumps(result))


def fits(options: argparse.Namespace) -> Table:
    """`run_EM(points, kd)` of both packages."""
    table = Table(
        "drop-in",
        "lowdim.kspaces.run_EM and kspaces.run_EM with their defaults",
        [
            *(
                "problem",
                "kspaces ended",
                "kspaces starts",
                "kspaces CPU",
                "lowdim CPU",
                "ratio",
                "floor",
            ),
            *("kspaces LL", "lowdim LL", "lowdim - kspaces per row"),
        ],
        "`run_EM(points, kd, silent=True)` (soft, ten starts); each call in a process of its own, "
        "on one thread, after a call that warms up. Median CPU, median (range) of ratios, worst to "
        "best log-likelihood over seeds, and the smallest difference per row. kspaces' one start "
        "at the largest size stands for ten, which would take ten times as long. Calls in which "
        "kspaces crashed count in lowdim's columns only.",
    )
    table.begin([26, 8, 7, 9, 9, 16, 8, 26, 26, 10])
    with tempfile.TemporaryDirectory() as folder:
        for n_rows, n_columns, dims, n_seeds, n_starts in PROBLEMS:
            if options.quick and n_rows * n_columns > 10**5:
                continue
            path = Path(folder) / "points.npy"
            np.save(path, points(n_rows, n_columns, dims))
            settings = {"initializations": n_starts} if n_starts != 10 else {}
            peer, own = [], []
            for seed in range(n_seeds):
                peer.append(call("kspaces", path, dims, seed, settings=settings))
                own.append(call("lowdim", path, dims, seed))
            ratios = [a["cpu"] / b["cpu"] for a, b in zip(peer, own, strict=True)]
            known = [r for r in peer if np.isfinite(r["cpu"])]
            middle, floor = float(np.nanmedian(ratios)), FLOORS[n_columns]
            differences = [b["value"] - a["value"] for a, b in zip(peer, own, strict=True)]
            table.add(
                f"{n_rows} x {n_columns} {list(dims)}".replace(", ", ","),
                f"{len(known)} of {n_seeds}",
                str(n_starts),
                *(seconds(float(np.median([r["cpu"] for r in rs]))) for rs in (known, own)),
                ratio(ratios),
                f"{floor} {'met' if middle >= floor else 'MISSED'}",
                *(span([r["value"] for r in rs]) for rs in (peer, own)),
                f"{np.nanmin(differences) / n_rows:+.2g}",
            )
    return table


def parallel(options: argparse.Namespace) -> Table:
    """`run_EM_parallelized` against `run_EM`, wall time on all cores."""
    table = Table(
        "drop-in-parallel",
        "run_EM_parallelized against run_EM, wall time",
        [
            *("problem", "lowdim run_EM", "lowdim parallelized", "gain"),
            *("kspaces run_EM", "kspaces parallelized", "kspaces gain", "lowdim LL, each"),
        ],
        f"Ten starts, two workers, two cores; median of {REPEATS} calls of each in turn with "
        "different seeds (kspaces: one call), and worst to best log-likelihood of both.",
    )
    table.begin([26, 10, 10, 16, 10, 10, 8, 26])
    with tempfile.TemporaryDirectory() as folder:
        for n_rows, n_columns, dims, *_ in PROBLEMS:
            if n_rows < 10_000 or (options.quick and n_columns > 3):
                continue
            path = Path(folder) / "points.npy"
            np.save(path, points(n_rows, n_columns, dims))
            several = {"function": "run_EM_parallelized", "settings": {"n_jobs": 2}}
            one, two = [], []
            for seed in range(REPEATS):  # in turn, lest other work on the machine favour either
                one.append(call("lowdim", path, dims, seed, threads=2))
                two.append(call("lowdim", path, dims, seed, **several))
            old = (NOTHING, NOTHING)
            if n_rows * n_columns <= LARGEST_PEER:
                old = (
                    call("kspaces", path, dims, 0, threads=2),
                    call("kspaces", path, dims, 0, **several),
                )
            table.add(
                f"{n_rows} x {n_columns} {list(dims)}".replace(", ", ","),
                *(seconds(float(np.median([r["wall"] for r in rs]))) for rs in (one, two)),
                ratio([a["wall"] / b["wall"] for a, b in zip(one, two, strict=True)]),
                *(seconds(result["wall"]) for result in old),
                ratio([old[0]["wall"] / old[1]["wall"]]),
                ", ".join(span([r["value"] for r in rs]) for rs in (one, two)),
            )
    return table


def span(values: Sequence[float]) -> str:
    """The least and the largest."""
    low, high = np.nanmin(values), np.nanmax(values)
    return f"{low:.2f}" if low == high else f"{low:.2f} to {high:.2f}"


def main() -> None:
    """Run the parts that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("parts", nargs="*", help="fits, parallel; default both")
    parser.add_argument("--quick", action="store_true", help="small problems only")
    parser.add_argument("--write", action="store_true", help="renew sections of RESULTS.md")
    parser.add_argument("--job", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.job:
        job = json.loads(options.job)
        if job.get("function") or job.get("threads"):
            run_job(job)
        else:
            with one_thread():
                run_job(job)
        return
    parts = {"fits": fits, "parallel": parallel}
    if unknown := set(options.parts) - set(parts):
        parser.error(f"unknown part {', '.join(sorted(unknown))}; choose from {', '.join(parts)}")
    how = " ".join(["python benchmarks/drop_in.py", *sys.argv[1:]])
    with one_thread():
        machine = description()
    print(machine)
    for name in options.parts or parts:
        table = parts[name](options)
        if options.write:
            write(table, machine, how)


if __name__ == "__main__":
    main()
