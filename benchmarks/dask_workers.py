"""EM on Dask workers: time per iteration from one worker on, against a model of it.

python benchmarks/dask_workers.py [scaling] [counts] [overhead] [--rows N] [--workers W] [--write]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial, reduce
from typing import Any

import numpy as np
import torch
from _data import clouds, umi
from _parts import Part, arguments, run
from _tables import Table, seconds
from cloudpickle import dumps
from dask import array as da
from dask import config
from distributed import Client, LocalCluster

from lowdim import NegativeBinomialMixture
from lowdim.data import as_rows
from lowdim.data.passes import add
from lowdim.data.standardized import StandardizedRows
from lowdim.data.worker_rows import WorkerRows
from lowdim.mixture._counts.looks import FarRows
from lowdim.mixture._counts.loop import gene_means, prior_on_means
from lowdim.mixture._counts.matrix import Counts
from lowdim.mixture._counts.maximize import maximize
from lowdim.mixture._counts.on_workers import CountsOnWorkers, Question, sums_under
from lowdim.mixture._counts.size_factors import SizeRule
from lowdim.mixture._em import em_step
from lowdim.mixture._gaussian.family import GaussianFamily, GaussianParameters
from lowdim.mixture._gaussian.starts import Starter

#: Of the mixture: components and columns.
N_COMPONENTS, N_COLUMNS = 16, 64
#: Of the mixture of counts.
GROUPS, GENES, PRIOR = 8, 1000, 10.0
#: Parts of the rows, whatever the number of workers.
PARTS = 16
#: Iterations that are timed, of which the shortest counts, and those before.
TIMED, BEFORE = 9, 2
HOST = torch.device("cpu")


@dataclass(frozen=True)
class Iteration:
    """An iteration of EM, here and on workers.

    Attributes
    ----------
    divided, fixed : float
        Seconds on one thread without Dask, of what workers share and of what is done here.
    objective : float
        What it says.
    spread : function
        Puts the rows on the workers.
    step : function
        The iteration over rows on workers; returns the objective.
    idle : function
        Seconds of a pass over these that sends as much and computes nothing.
    """

    divided: float
    fixed: float
    objective: float
    spread: Callable[[], Any]
    step: Callable[[Any], float]
    idle: Callable[[Any], float]


def scaling(options: argparse.Namespace) -> Table:
    """Wall time of an EM iteration on 1, 2, ... workers of a thread each."""
    X = clouds(options.rows, N_COLUMNS)[0].astype(np.float64)
    rows = StandardizedRows(
        as_rows(X), device=HOST, dtype=torch.float64, block_rows=len(X) // PARTS
    )
    family, start = mixture(rows)

    def step(rows: Any) -> float:
        return float(em_step(family, rows, start, "soft", 1.0)[0][0])

    own = Iteration(
        divided=timed(lambda: step(rows)),
        fixed=0.0,
        objective=step(rows),
        spread=lambda: on_workers(X),
        step=step,
        idle=lambda spread: idle(spread, family, start),
    )
    what = f"A mixture of {N_COMPONENTS} Gaussians with full covariances, {len(X)} x {N_COLUMNS}"
    return on_more_workers("dask-scaling", "EM on Dask workers", what, own, options)


def counts(options: argparse.Namespace) -> Table:
    """The same of a mixture of negative binomials."""
    X, labels = umi(options.rows, GENES, GROUPS, n_changed=30)
    here = Counts.read(as_rows(X))
    first = slice(0, 20_000)
    fit = NegativeBinomialMixture(GROUPS, init=labels[first], max_iter=3).fit(X[first])
    start, sizes = fit._mixture(), SizeRule.of("total", here).start(here)
    prior = prior_on_means(gene_means(here, sizes), PRIOR)
    ask = Question(start, sizes.nodes.nodes, False, None)
    chunk = -(-X.shape[0] // PARTS)
    spans = [slice(first, first + chunk) for first in range(0, X.shape[0], chunk)]
    parts = [(Counts.read(as_rows(X[span])), sizes.values[span]) for span in spans]

    def total() -> dict[str, Any]:
        return reduce(add, [sums_under(ask, *part) for part in parts])

    def spread() -> CountsOnWorkers:
        array = da.from_array(X, chunks=(chunk, GENES)).persist()
        return CountsOnWorkers(as_rows(array), np.ones(X.shape[0]))

    def moved(rows: FarRows, seen: Any) -> Any:
        return maximize(rows.step(seen, sizes, prior, 0.0), start, "gene")

    def step(far: CountsOnWorkers) -> float:
        rows = FarRows(far, False)
        seen = rows.look(sizes, start)
        moved(rows, seen)
        return float(seen.log_likelihood)

    with cluster(1):
        rows = FarRows(spread(), False)
        seen = rows.look(sizes, start)
        fixed = timed(lambda: moved(rows, seen))
    sums = total()
    shapes = {name: np.shape(value) for name, value in sums.items()}
    own = Iteration(
        divided=timed(total),
        fixed=fixed,
        objective=float(sums["log_likelihood"]),
        spread=spread,
        step=step,
        idle=lambda far: timed(
            lambda: far.parts.total(partial(of_shapes, ask, shapes), sizes.values)
        ),
    )
    what = (
        f"A mixture of {GROUPS} negative binomials, {X.shape[0]} x {GENES}, "
        f"{X.nnz / np.prod(X.shape):.0%} of them stored"
    )
    title = "Count mixtures on Dask workers"
    return on_more_workers("dask-counts", title, what, own, options)


def on_more_workers(
    name: str, title: str, what: str, own: Iteration, options: argparse.Namespace
) -> Table:
    """A table of an iteration on 1, 2, ... workers."""
    beside = f", and {seconds(own.fixed)} of the M-step" if own.fixed else ""
    more = " and the M-step" if own.fixed else ""
    note = (
        f"{what} in {PARTS} chunks, float64; the shortest wall time of {TIMED} iterations. Without "
        f"Dask, on one thread: {seconds(own.divided)}{beside}. Model: that / W + the overhead "
        f"measured on W workers{more}. CPU times, means over iterations, of the busiest worker and "
        "of client and scheduler."
    )
    columns = ["workers", "overhead", "model", "measured", "of one worker", "CPU of a worker"]
    columns += ["CPU here", "objective off by"]
    table = Table(name, title, columns, note)
    table.begin([8, 10, 10, 10, 14, 16, 10, 16])
    first = np.nan
    for n_workers in range(1, options.workers + 1):
        with cluster(n_workers) as client:
            spread = own.spread()
            overhead = own.idle(spread)
            before = client.run(time.process_time), time.process_time()
            measured = timed(lambda spread=spread: own.step(spread))
            here = (time.process_time() - before[1]) / (BEFORE + TIMED)
            after = client.run(time.process_time)
            busiest = max(after[w] - before[0][w] for w in after) / (BEFORE + TIMED)
            found = own.step(spread)
        first = measured if n_workers == 1 else first
        table.add(
            str(n_workers),
            seconds(overhead),
            seconds(own.divided / n_workers + overhead + own.fixed),
            seconds(measured),
            f"{measured / first:.2f}",
            seconds(busiest),
            seconds(here),
            f"{abs(found - own.objective) / abs(own.objective):.1e}",
        )
    return table


def overhead(options: argparse.Namespace) -> Table:
    """What an iteration takes beside its sums, by the number of parts and what is sent."""
    note = (
        f"{options.workers} workers; the shortest of {TIMED}. A pass that does nothing; one that "
        "takes the parameters of a mixture along and brings back statistics, zeros; bytes of both."
    )
    columns = ["parts", "columns", "nothing", "with parameters", "sent", "M-step"]
    table = Table("dask-overhead", "An iteration's overhead", columns, note)
    table.begin([6, 8, 10, 16, 12, 10])
    with cluster(options.workers):
        for parts in (2, 16, 128):
            for n_columns in (10, 50, 200):
                X = clouds(max(4000, 8 * parts), n_columns, 10)[0].astype(np.float64)
                spread = on_workers(X, parts)
                family, start = mixture(spread)
                statistics, _ = spread.total(partial(of_zeros, family.to_send(), start))
                sent = len(dumps((family.to_send(), start))) + len(dumps(statistics))
                filled = family.expectation(spread.subset(np.arange(2000)), start, "soft", 1.0)[0]
                table.add(
                    str(parts),
                    str(n_columns),
                    seconds(timed(lambda spread=spread: spread.total(nothing))),
                    seconds(idle(spread, family, start)),
                    f"{sent / 1e6:.2f} MB",
                    seconds(timed(partial(family.maximize, filled, start))),
                )
    return table


def mixture(rows: StandardizedRows) -> tuple[GaussianFamily, GaussianParameters]:
    """A family and where it starts, the same wherever rows are."""
    rng = np.random.default_rng(0)
    index = np.sort(rng.choice(rows.n_rows, min(rows.n_rows, 4000), replace=False))
    starter = Starter(rows.subset(index), rows.n_rows, rows.n_columns, rng)
    family = GaussianFamily("full", 1e-6, starter, rows.total_weight)
    return family, starter.start(family, N_COMPONENTS, "kmeans")


def on_workers(X: np.ndarray, parts: int = PARTS) -> WorkerRows:
    """The rows as standardised blocks on the workers."""
    array = da.from_array(X, chunks=(-(-len(X) // parts), X.shape[1])).persist()
    rows = WorkerRows(as_rows(array), dtype=torch.float64)
    rows.total(nothing)  # they are there
    return rows


def idle(rows: WorkerRows, family: GaussianFamily, parameters: GaussianParameters) -> float:
    """Seconds of a pass that sends all that an iteration does, and computes nothing."""
    return timed(lambda: rows.total(partial(of_zeros, family.to_send(), parameters)))


def nothing(block: Any) -> float:
    """No work, and next to nothing to send."""
    return 0.0


def of_zeros(family: GaussianFamily, parameters: GaussianParameters, block: Any) -> Any:
    """Statistics of the right shapes."""
    r, k, d = parameters.means.shape
    zeros = {"counts": (r, k), "sums": (r, k, d), "second": (r, k, d, d)}
    return {name: torch.zeros(shape).double() for name, shape in zeros.items()}, torch.zeros(r)


def of_shapes(ask: Question, shapes: dict[str, Any], part: Any, values: np.ndarray) -> Any:
    """Sums of the right shapes."""
    return {name: np.zeros(shape) for name, shape in shapes.items()}


def timed(function: Callable[[], Any]) -> float:
    """The shortest wall time of a call."""
    found = []
    for _ in range(BEFORE + TIMED):
        begun = time.perf_counter()
        function()
        found.append(time.perf_counter() - begun)
    return min(found[BEFORE:])


@contextmanager
def cluster(n_workers: int) -> Iterator[Client]:
    """So many processes of one thread each, on this machine."""
    with (
        config.set({"distributed.admin.large-graph-warning-threshold": "10GB"}),
        LocalCluster(
            n_workers=n_workers,
            threads_per_worker=1,
            processes=True,
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",
        ) as machines,
        Client(machines) as client,
    ):
        yield client


def main() -> None:
    """Run the parts that were asked for."""
    parts: dict[str, Part] = {"scaling": scaling, "counts": counts, "overhead": overhead}
    parser = arguments(__doc__, parts)
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--workers", type=int, default=2)
    run(parser, parts)


if __name__ == "__main__":
    main()
