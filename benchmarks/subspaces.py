"""SubspaceMixture against kspaces and scikit-learn: time beside quality, one process, one thread.

    python benchmarks/subspaces.py [grid|whole|sparse|context ...] [--quick] [--write]
    python benchmarks/subspaces.py grid --only 10000,50 --assignment soft --profile

See benchmarks/README.md for what each part measures.
"""

from __future__ import annotations

import argparse
import cProfile
import pstats
import sys
import time
from dataclasses import dataclass

import numpy as np
from _data import planted, small_flats, tutorial_toy
from _machine import available_bytes, description, one_thread
from _peers import (
    Trace,
    fitted_spaces,
    kspaces_whole,
    lowdim_model,
    lowdim_whole,
    partition,
    run_kspaces,
    run_lowdim,
    silence,
    sklearn_iteration,
)
from _sparse import sparse
from _tables import Table, ratio, seconds, write

PARTS = ("grid", "whole", "sparse", "context")
#: A log-likelihood is equal to another if it falls short by no more than this, or by rounding.
SLACK, ROUNDING = 0.01, 1e-9
#: kspaces' best log-likelihood on the tutorial's toy is -23733.60; this rounds to it.
TOY_OPTIMUM = -23733.605


@dataclass(frozen=True)
class Setting:
    """One problem of the grid."""

    n_rows: int
    n_columns: int
    dims: tuple[int, ...]
    assignment: str
    quick: bool = False

    @property
    def name(self) -> str:
        """How tables call it."""
        many = len(self.dims) > 3
        dims = f"[{self.dims[0]}]*{len(self.dims)}" if many else str(list(self.dims))
        return f"{self.n_rows} x {self.n_columns} {dims.replace(' ', '')} {self.assignment}"

    @property
    def floor(self) -> float:
        """The least ratio of CPU times to equal log-likelihood that we promise; 0 for none."""
        if self.n_columns <= 50:
            return 5
        if self.n_columns <= 500:
            return 20
        if self.n_rows >= self.n_columns:
            return 50
        return 200 if self.assignment == "soft" else 0


def settings() -> list[Setting]:
    """The grid, cheap problems first."""
    few, many = (1, 1, 2), (5,) * 10
    shapes = [
        *[(n, 2, (1, 1, 0), n < 100_000) for n in (1_000, 10_000, 100_000)],
        *[(n, 3, (2, 1, 1, 0), False) for n in (1_000, 10_000)],
        *[(n, 50, few, n < 100_000) for n in (1_000, 10_000, 100_000)],
        *[(n, 50, many, n < 100_000) for n in (10_000, 100_000)],
        *[(n, 500, few, n < 100_000) for n in (1_000, 10_000, 100_000)],
        *[(n, 500, many, n < 10_000) for n in (1_000, 10_000)],
        *[(n, 2_000, few, True) for n in (1_000, 10_000)],
        (10_000, 2_000, many, False),
    ]
    return [Setting(*shape[:3], kind, shape[3]) for shape in shapes for kind in ("soft", "hard")]


# grid -------------------------------------------------------------------------------------


def grid(options: argparse.Namespace) -> Table:
    """CPU time per iteration and to equal log-likelihood from equal starting spaces."""
    cap = options.cap or (12.0 if options.quick else 90.0)
    table = Table(
        "grid",
        "Per iteration and to equal log-likelihood",
        [
            *("setting", "kspaces/it", "lowdim/it", "ratio/it", "T", "passes", "kspaces CPU"),
            *("lowdim CPU", "ratio of CPU", "floor", "kspaces LL", "lowdim - kspaces LL"),
            *("ARI kspaces", "ARI lowdim", "kspaces stopped"),
        ],
        "Planted flats, a new data set per repeat; both start once from the same k-means "
        f"partition, lowdim with reassign_dims={options.reassign} (kspaces cannot move dimensions "
        "between components; lowdim by default does, which leads single starts elsewhere: see "
        f"'whole'). kspaces stops by its defaults or when {cap:g} s of CPU are spent on a row; "
        f"the target is the log-likelihood it then has, less {SLACK} nat (hard: that of rows and "
        "labels), T the iterations until it gets there, 'passes' those of lowdim ('s': "
        "among the leading directions only, where the log-likelihood is that of the mixture in all "
        "columns). lowdim's clock "
        "runs from the raw array and includes its start; kspaces' starting spaces, last E-step "
        "and log-likelihoods are free. Median (range); one thread. '-': never reached, counts as "
        "ratio 0; '*': lowdim's own tolerance stopped it short of the target, so it was run on.",
    )
    table.begin([29, 9, 9, 16, 8, 8, 9, 9, 16, 9, 11, 24, 4, 4, 9])
    for setting in settings():
        chosen = not options.only or (setting.n_rows, setting.n_columns) == options.only
        if not chosen or options.assignment not in (None, setting.assignment):
            continue
        if options.components not in (None, len(setting.dims)):
            continue
        if options.quick and not options.only and not setting.quick:
            continue
        if 12 * 8 * setting.n_rows * setting.n_columns > available_bytes():
            print(f"{setting.name}: skipped, not enough memory for kspaces")
            continue
        table.add(*compare(setting, cap, options))
    return table


@dataclass(frozen=True)
class Outcome:
    """Both methods on one data set from one partition."""

    peer: Trace
    own: Trace
    steps: int
    peer_time: float
    passes: int
    own_time: float
    run_on: bool
    gain: float
    agreement: tuple[float, float]

    @property
    def passes_told(self) -> str:
        """Passes of lowdim among the leading directions, with an s, and over all columns."""
        start = min(self.own.n_start, self.passes)
        told = [f"{start}s"] * (start > 0) + [f"{self.passes - start}"] * (self.passes > start)
        return ("+".join(told) or "-") + "*" * self.run_on

    @property
    def ratio(self) -> float:
        """Ratio of CPU times to equal log-likelihood; 0 if lowdim never reaches it."""
        return self.peer_time / self.own_time if self.passes else 0.0


def compare(setting: Setting, cap: float, options: argparse.Namespace) -> list[str]:
    """One row of the grid's table: medians over data sets."""
    outcomes: list[Outcome] = []
    spent = 0.0
    for repeat in range(options.repeats):
        if spent + spent / max(repeat, 1) <= cap:
            outcome = contest(setting, options.seed + repeat, cap - spent, options)
            if outcome is not None:
                outcomes.append(outcome)
                spent += outcome.peer.seconds[-1]
    if not outcomes:
        return [setting.name, *["-"] * 13, "failed"]

    def middle(name: str) -> float:
        return float(np.median([getattr(outcome, name) for outcome in outcomes]))

    def each(method: str) -> list[float]:
        return [getattr(outcome, method).per_iteration for outcome in outcomes]

    reached = [outcome for outcome in outcomes if outcome.passes]
    last = outcomes[-1].peer
    return [
        setting.name,
        seconds(float(np.median(each("peer")))),
        seconds(float(np.median(each("own")))),
        ratio([peer / own for peer, own in zip(each("peer"), each("own"), strict=True)]),
        "/".join(f"{outcome.steps}" for outcome in outcomes),
        "/".join(outcome.passes_told for outcome in outcomes),
        seconds(middle("peer_time")),
        seconds(float(np.median([o.own_time for o in reached]))) if reached else "-",
        ratio([outcome.ratio for outcome in outcomes]),
        verdict(middle("ratio"), setting.floor),
        f"{last.log_likelihoods[-1]:.6g}",
        "/".join(f"{outcome.gain:+.4g}" for outcome in outcomes),
        *(f"{np.mean([o.agreement[i] for o in outcomes]):.2f}" for i in (0, 1)),
        last.stopped,
    ]


def contest(setting: Setting, seed: int, cap: float, options: argparse.Namespace) -> Outcome | None:
    """Run kspaces until it stops, then lowdim until it is as good; the same data and partition."""
    from sklearn.metrics import adjusted_rand_score

    X, truth = planted(setting.n_rows, setting.n_columns, setting.dims, seed=seed)
    labels = partition(X, setting.dims, seed)
    model = lowdim_model(
        setting.dims,
        assignment=setting.assignment,
        init=labels,
        n_init=1,
        reassign_dims=options.reassign,
        dtype=options.dtype,
        random_state=0,
    )
    first = run_lowdim(X, model)  # as it comes; warms up
    spaces = fitted_spaces(X, labels, setting.dims)
    peer = run_kspaces(X, spaces, setting.assignment, cap)
    if not len(peer.log_likelihoods):
        print(f"{setting.name}, seed {seed}: kspaces {peer.stopped} at once; left out")
        return None
    final = float(peer.log_likelihoods[-1])
    target = final - SLACK - ROUNDING * abs(final)
    run_on = bool(np.isnan(first.time_to(target)[0]))
    if run_on:
        model.set_params(tol=0.0)
    own = run_lowdim(X, model)
    if options.profile:
        profile(X, model)
    peer_time, steps = peer.time_to(target)
    own_time, passes = own.time_to(target)
    gain = float(first.log_likelihoods.max()) - final
    found = [adjusted_rand_score(truth, trace.labels) for trace in (peer, first)]
    return Outcome(
        peer, own, steps, peer_time, passes, own_time, run_on, gain, (found[0], found[1])
    )


def verdict(value: float, floor: float) -> str:
    """The floor, and whether the ratio meets it."""
    if not floor:
        return "-"
    return f"{floor:g} {'met' if value >= floor else 'MISSED'}"


def profile(X: np.ndarray, model: object) -> None:
    """Where lowdim's time goes, by time within a function itself."""
    profiler = cProfile.Profile()
    with silence():
        profiler.runcall(model.fit, X)
    pstats.Stats(profiler).sort_stats("tottime").print_stats(14)


# whole ------------------------------------------------------------------------------------


def whole(options: argparse.Namespace) -> Table:
    """Default fits of both, and the expected time to the toy's best-known optimum."""
    n_seeds = options.seeds or (3 if options.quick else 10)
    table = Table(
        "whole",
        "Whole fits as they come",
        [
            *("problem", "lowdim", "kspaces CPU", "lowdim CPU", "ratio", "kspaces LL"),
            *("lowdim LL", "at optimum", "expected CPU to optimum"),
        ],
        f"`run_EM(X, dims)` against `SubspaceMixture(dims=dims).fit(X)` with their defaults "
        f"(ten starts each); {n_seeds} seeds, interleaved: median CPU, median (range) of ratios, "
        f"worst to best log-likelihood. At optimum: fits that reach {TOY_OPTIMUM} (kspaces, "
        "lowdim); the expected CPU to get there is all CPU over successes.",
    )
    table.begin([26, 10, 9, 9, 16, 24, 24, 12, 24])
    problems = [
        ("600 x 5 [1,1,2] thin", small_flats(), (1, 1, 2)),
        ("toy 4600 x 3 [2,1,1,0]", tutorial_toy(), (2, 1, 1, 0)),
    ]
    for n_columns, dims in ((2, (1, 1, 0)), (3, (2, 1, 1, 0)), (50, (1, 1, 2))):
        for n_rows in (1_000, 10_000):
            name = f"{n_rows} x {n_columns} {list(dims)}".replace(", ", ",")
            problems.append((name, planted(n_rows, n_columns, dims)[0], dims))
    for name, X, dims in problems:
        if options.only and X.shape != options.only:
            continue
        toy = name.startswith("toy")
        starts = (10, 40) if toy else (10,)
        peer, own = [], {n_init: [] for n_init in starts}
        for seed in range(-1, n_seeds):  # the first warms up
            peer.append(kspaces_whole(X, dims, seed + 1))
            for n_init in starts:
                own[n_init].append(lowdim_whole(X, dims, seed + 1, n_init=n_init))
        for n_init in starts:
            row = [name, f"n_init={n_init}"]
            table.add(*row, *summary(peer[1:], own[n_init][1:], TOY_OPTIMUM if toy else None))
    return table


def summary(
    peer: list[tuple[float, float]], own: list[tuple[float, float]], optimum: float | None
) -> list[str]:
    """CPU, ratios and log-likelihoods of both methods over seeds."""
    (peer_cpu, peer_values), (own_cpu, own_values) = np.array(peer).T, np.array(own).T
    cells = [
        seconds(float(np.median(peer_cpu))),
        seconds(float(np.median(own_cpu))),
        ratio(list(peer_cpu / own_cpu)),
        *(f"{np.nanmin(v):.2f} to {np.nanmax(v):.2f}" for v in (peer_values, own_values)),
    ]
    if optimum is None:
        return [*cells, "-", "-"]
    hits = int((peer_values >= optimum).sum()), int((own_values >= optimum).sum())
    expected = [
        cpu.sum() / hit if hit else np.inf
        for cpu, hit in zip((peer_cpu, own_cpu), hits, strict=True)
    ]
    value = expected[0] / expected[1] if all(hits) else np.nan
    return [
        *cells,
        f"{hits[0]}/{len(peer)}, {hits[1]}/{len(own)}",
        f"{seconds(expected[0])} / {seconds(expected[1])} = {ratio([value])}",
    ]


# context ----------------------------------------------------------------------------------


def context(options: argparse.Namespace) -> Table:
    """The cost of an iteration of scikit-learn's Gaussian mixtures on the grid's data."""
    kinds = ("full", "diag", "spherical")
    table = Table(
        "context",
        "For context: scikit-learn's GaussianMixture, CPU per iteration",
        ["setting", *kinds, "lowdim soft"],
        "Same data and components, float64, one thread; lowdim with the grid's dimensions.",
    )
    table.begin([29, 9, 9, 9, 9])
    for setting in settings():
        skip = setting.n_columns > 500 or (options.quick and not setting.quick)
        if setting.assignment == "hard" or skip:
            continue
        if options.only and (setting.n_rows, setting.n_columns) != options.only:
            continue
        X, _ = planted(setting.n_rows, setting.n_columns, setting.dims, seed=options.seed)
        labels = partition(X, setting.dims, options.seed)
        repeats = options.repeats if setting.n_rows * setting.n_columns < 10**7 else 1
        costs = [sklearn_iteration(X, labels, kind, repeats, n_iter=4) for kind in kinds]
        model = lowdim_model(setting.dims, init=labels, n_init=1, max_iter=12, tol=0.0)
        own: list[Trace] = [run_lowdim(X, model) for _ in range(repeats)]
        own_cost = float(np.median([trace.per_iteration for trace in own]))
        table.add(setting.name.rsplit(" ", 1)[0], *(seconds(cost) for cost in [*costs, own_cost]))
    return table


def parse() -> argparse.Namespace:
    """The command line."""

    def pair(text: str) -> tuple[int, int]:
        n_rows, n_columns = (int(float(part)) for part in text.split(","))
        return n_rows, n_columns

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("parts", nargs="*", help=f"any of {', '.join(PARTS)}; default all")
    parser.add_argument("--quick", action="store_true", help="a subset, about eight minutes")
    parser.add_argument("--write", action="store_true", help="renew sections of RESULTS.md")
    parser.add_argument("--only", type=pair, metavar="N,D", help="problems of this shape")
    parser.add_argument("--assignment", choices=("soft", "hard"), help="grid: this one only")
    parser.add_argument("--components", type=int, metavar="K", help="grid: this many components")
    parser.add_argument("--cap", type=float, metavar="S", help="grid: CPU seconds for kspaces")
    parser.add_argument("--dtype", choices=("float32", "float64"), help="grid: lowdim's precision")
    parser.add_argument("--reassign", action="store_true", help="grid: lowdim moves dimensions")
    parser.add_argument("--repeats", type=int, default=3, help="default 3")
    parser.add_argument("--seeds", type=int, help="whole: number of seeds")
    parser.add_argument("--seed", type=int, default=0, help="grid: seed of data and partition")
    parser.add_argument("--profile", action="store_true", help="grid: profile lowdim's fits")
    options = parser.parse_args()
    unknown = set(options.parts) - set(PARTS)
    if unknown:
        parser.error(f"unknown part {', '.join(sorted(unknown))}; choose from {', '.join(PARTS)}")
    return options


def main() -> None:
    """Run the parts that were asked for."""
    options = parse()
    functions = {
        "grid": grid,
        "whole": whole,
        "sparse": lambda options: sparse(options.repeats),
        "context": context,
    }
    how = " ".join(["python benchmarks/subspaces.py", *sys.argv[1:]])
    with one_thread():
        machine = description()
        print(machine)
        for part in options.parts or PARTS:
            start = time.perf_counter()
            table = functions[part](options)
            print(f"({part}: {time.perf_counter() - start:.0f} s)")
            if options.write:
                write(table, machine, how)


if __name__ == "__main__":
    main()
