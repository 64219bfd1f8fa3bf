"""A mixture of subspaces fitted to a file: memory, and time per iteration against that of reading.

python benchmarks/out_of_core.py [--rows 1000000] [--threads 2] [--write]

Log counts of ten groups, each around a plane of five dimensions, in 2,000 columns of which about 5%
are not zero, as CSR (float32 and int32, not compressed), written in blocks to a folder that goes
when the script ends. The fit has a process of its own, so that its peak memory is its own. Reading
is what h5py does with the same blocks, as they are stored; nothing is made of them. Both are timed
twice: with the file in the system's cache, and with the file dropped from it right before.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from itertools import pairwise
from multiprocessing import get_context
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
from _machine import description, peak_bytes, resident_bytes
from _tables import Table, seconds, write

from lowdim.mixture import _em

COLUMNS, GROUPS, DIM = 2000, 10, 5
#: Mean and standard deviation of the logarithms of rates: about 5% of the counts are not zero.
LEVEL, SPREAD, ALONG = -3.65, 1.0, 0.35
#: The share of counts that are not zero, nearly.
FILLED = 0.05
#: Rows that are simulated at a time.
BLOCK = 1000
#: Iterations of the shorter and the longer fit, whose difference is timed, and how often.
FEW, MANY, REPEATS = 2, 12, 7
#: How often the cached file is read in each, and the iterations that find it dropped.
READINGS, DROPPED = 3, 3
SAMPLE = 20_000


def simulate(path: Path, n: int) -> tuple[np.ndarray, float]:
    """Write the file block by block; the group of each row, (N,), and the share that is stored.

    Laid out as AnnData writes CSR by default: pieces of a size that h5py chooses, not compressed.
    """
    import h5py
    import pandas as pd
    from anndata.io import write_elem

    rng = np.random.default_rng(0)
    groups_loadings = np.empty((GROUPS, 1 + DIM, COLUMNS), np.float32)  # centre and axes of each
    groups_loadings[:, 0] = rng.normal(LEVEL, SPREAD, (GROUPS, COLUMNS))
    groups_loadings[:, 1:] = rng.normal(0, ALONG, (GROUPS, DIM, COLUMNS))
    loadings = groups_loadings.reshape(-1, COLUMNS)
    groups = rng.integers(GROUPS, size=n)
    indptr = np.zeros(n + 1, np.int64)
    with h5py.File(path, "w") as file:
        file.attrs.update({"encoding-type": "anndata", "encoding-version": "0.1.0"})
        for name, length in (("obs", n), ("var", COLUMNS)):
            write_elem(file, name, pd.DataFrame(index=np.arange(length).astype(str)))
        X = file.create_group("X")
        header = {"encoding-type": "csr_matrix", "encoding-version": "0.1.0"}
        X.attrs.update({**header, "shape": (n, COLUMNS)})
        expected = (int(FILLED * n * COLUMNS),)  # nothing is written yet
        for name, dtype in (("data", np.float32), ("indices", np.int32)):
            X.create_dataset(name, expected, dtype, maxshape=(None,))
        for start in range(0, n, BLOCK):
            own = groups[start : start + BLOCK]
            scores = np.zeros((len(own), GROUPS, 1 + DIM), np.float32)
            scores[np.arange(len(own)), own, 0] = 1
            scores[np.arange(len(own)), own, 1:] = rng.normal(size=(len(own), DIM))
            logs = scores.reshape(len(own), -1) @ loadings
            rows, columns, counts = poisson(rng, np.exp(logs, out=logs))
            first = indptr[start]
            lengths = np.bincount(rows, minlength=len(own))
            indptr[start + 1 : start + 1 + len(own)] = first + np.cumsum(lengths)
            last = indptr[start + len(own)]
            for name, values in (("data", np.log1p(counts)), ("indices", columns)):
                X[name].resize((max(last, X[name].shape[0]),))
                X[name][first:last] = values
        for name in ("data", "indices"):
            X[name].resize((indptr[-1],))
        X.create_dataset("indptr", data=indptr)
    return groups, indptr[-1] / (n * COLUMNS)


def poisson(
    rng: np.random.Generator, rates: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows, columns and values, float32, of the Poisson counts of these rates that are not zero.

    All rates lie side by side on a line, on which events fall anywhere: so no zero is drawn.
    """
    edges = np.cumsum(rates, dtype=np.float64)
    events = rng.random(rng.poisson(edges[-1])) * edges[-1]
    events.sort()
    hit = np.searchsorted(edges, events)
    new = np.flatnonzero(np.diff(hit, prepend=-1))
    counts = np.diff(new, append=len(hit)).astype(np.float32)
    return *np.divmod(hit[new], rates.shape[1]), counts


def forget(path: Path) -> None:
    """Let the system drop the file from its cache (Linux)."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
        os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(handle)


def spent(function: Callable[[], Any]) -> np.ndarray:
    """Seconds of a call by the clock, and of all its threads."""
    start = np.array([time.perf_counter(), time.process_time()])
    function()
    return np.array([time.perf_counter(), time.process_time()]) - start


def reader(path: Path, step: int) -> Callable[[], None]:
    """A function that reads the file as h5py does: what is stored of so many rows at a time."""
    import h5py

    X = h5py.File(path)["X"]
    indptr = X["indptr"][:]
    edges = [*indptr[:-1:step], indptr[-1]]

    def read() -> None:
        for first, last in pairwise(edges):
            X["data"][first:last]
            X["indices"][first:last]

    return read


@contextmanager
def dropped_before_iterations(path: Path) -> Iterator[list[np.ndarray]]:
    """EM steps find the file dropped from the system's cache; what each of them took."""
    took: list[np.ndarray] = []
    step = _em.em_step

    def timed(*arguments: Any) -> Any:
        forget(path)
        result: list[Any] = []
        took.append(spent(lambda: result.append(step(*arguments))))
        return result[0]

    with patch.object(_em, "em_step", timed):
        yield took


def measured(path: Path, groups: np.ndarray, threads: int) -> dict[str, Any]:
    """Times of reading and of an iteration, and the whole fit's time, peak and agreement."""
    import torch
    from sklearn.metrics import adjusted_rand_score

    import lowdim as ld
    from lowdim.data.standardized import default_block_rows

    warnings.simplefilter("ignore")  # fits of a given length do not converge
    torch.set_num_threads(threads)
    source = ld.data.as_rows(path)
    read = reader(path, default_block_rows(source, torch.device("cpu")))
    some = source.take(np.unique(np.linspace(0, source.n_rows - 1, SAMPLE).astype(int)))
    options = {"dims": [DIM] * GROUPS, "tol": 0.0, "random_state": 0, "device": "cpu"}
    start = ld.SubspaceMixture(**options, n_init=1, max_iter=20).fit(some)
    del some
    before = resident_bytes()

    def fit(max_iter: int) -> None:
        ld.SubspaceMixture(**options, init=start.components(), max_iter=max_iter).fit(source)

    fit(FEW)  # compiles; from now on the file is in the system's cache, if there is room
    names = "reading", "iteration", "cold reading", "cold iteration"
    found: dict[str, list[np.ndarray]] = {name: [] for name in names}
    for _ in range(REPEATS):
        cold = []
        for _ in range(DROPPED):
            forget(path)
            cold.append(spent(read))
        found["cold reading"].append(np.median(cold, 0))
        with dropped_before_iterations(path) as took:
            fit(DROPPED)
        found["cold iteration"].append(np.median(took, 0))
        found["reading"].append(np.median([spent(read) for _ in range(READINGS)], 0))
        difference = -spent(lambda: fit(FEW)) + spent(lambda: fit(MANY))
        found["iteration"].append(difference / (MANY - FEW))
    model = ld.SubspaceMixture(dims=[DIM] * GROUPS, random_state=0, device="cpu")
    whole = spent(lambda: model.fit(source))
    return {
        **{name: np.array(values) for name, values in found.items()},
        "whole": whole,
        "iterations": model.n_iter_,
        "ari": adjusted_rand_score(groups, model.predict(source)),
        "before": before,
        "peak": peak_bytes(),
    }


def table(n: int, threads: int) -> Table:
    """Simulate, measure, and forget the file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "simulated.h5ad"
        took = -time.perf_counter()
        groups, stored = simulate(path, n)
        took += time.perf_counter()
        size = path.stat().st_size
        print(f"wrote {size / 1e9:.2f} GB in {took:.0f} s", flush=True)
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            found = pool.submit(measured, path, groups, threads).result()
    result = Table(
        "out-of-core",
        f"SubspaceMixture of {n:,} x {COLUMNS:,} CSR from a file, ten components of dimension 5",
        ["what", "measured", "CPU"],
        f"{threads} threads, a file of {size / 1e9:.2f} GB, as AnnData writes it (not compressed), "
        f"{stored:.1%} of the entries not zero. Medians of {REPEATS}, by the clock and of all "
        "threads together. Reading: what is stored of all rows through h5py, in the blocks of the "
        "fit. An iteration with the file in the system's cache: the difference between fits of "
        f"{MANY} and {FEW} from the same start, by those between. From the disk: the file is "
        f"dropped from the cache before each of {DROPPED} readings, and before each of "
        f"{DROPPED} EM steps of a fit. The whole fit: defaults.",
    )
    result.begin([52, 12, 8])
    for where, kind in (("from the system's cache", ""), ("from the disk", "cold ")):
        reading, iteration = found[kind + "reading"], found[kind + "iteration"]
        result.add(f"reading the file once, {where}", *map(seconds, np.median(reading, 0)))
        result.add(f"an iteration, {where}", *map(seconds, np.median(iteration, 0)))
        ratios = np.median(iteration / reading, 0)
        result.add(f"an iteration by a reading, {where}", *(f"{ratio:.2f}" for ratio in ratios))
    result.add("the whole fit", *map(seconds, found["whole"]))
    for what, cell in (
        ("its iterations in all columns", f"{found['iterations']:.0f}"),
        ("adjusted Rand index with the groups", f"{found['ari']:.4f}"),
        ("memory of the process before any fit to the file", f"{found['before'] / 1e9:.2f} GB"),
        ("peak memory of the process", f"{found['peak'] / 1e9:.2f} GB"),
    ):
        result.add(what, cell, "")
    return result


def main() -> None:
    """Read the command line, measure, and write the table if that was asked for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--write", action="store_true", help="renew the section of RESULTS.md")
    options = parser.parse_args()
    machine = description()
    print(machine)
    made = table(options.rows, options.threads)
    if options.write:
        how = f"python benchmarks/out_of_core.py --rows {options.rows} --threads {options.threads}"
        write(made, machine, how)


if __name__ == "__main__":
    main()
