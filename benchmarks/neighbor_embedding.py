"""SNE, t-SNEkhorn, CO-SNE and the general embedding against TorchDR on the digits.

python benchmarks/neighbor_embedding.py [methods] [rates] [--rows N] [--iterations N] [--write]
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from _parts import Part, arguments, run
from _tables import Table, seconds
from sklearn.datasets import load_digits

import lowdim as ld
from lowdim.affinities import EntropicAffinity
from lowdim.embedding import NormalizedStudentAffinity

#: Threads of every contender.
THREADS = 2
#: Steps of which a peer's time per step is the mean, twice as many and as many.
STEPS = 20
#: Fits with more steps that take up to so many times as long have made none of these.
NO_LONGER = 1.05
METHODS = "SNE,TSNEkhorn,COSNE"
#: Settings of the peer with which it runs on all digits: by default its affinities become NaN.
TORCHDR: dict[str, dict[str, Any]] = {"TSNEkhorn": {"lr_affinity_in": 0.01}}
COLUMNS = [
    *("method", "contender", "CPU", "CPU per step", "neighbours kept", "label accuracy"),
    *("beyond |z| 0.99", "ratio per step"),
]
WIDTHS = [14, 18, 9, 12, 15, 14, 15, 14]


def digits(options: argparse.Namespace) -> tuple[np.ndarray, np.ndarray]:
    """Rows between 0 and 1, and labels."""
    X, labels = load_digits(return_X_y=True)
    return (X[: options.rows] / 16).astype(np.float32), labels[: options.rows]


def distances(Y: np.ndarray, *, in_ball: bool) -> np.ndarray:
    """Of all pairs of points."""
    Y = np.asarray(Y, np.float64)
    squares = ((Y[:, None] - Y[None]) ** 2).sum(-1)
    if not in_ball:
        return np.sqrt(squares)
    room = np.maximum(1 - (Y**2).sum(1), 1e-12)
    return np.arccosh(1 + 2 * squares / (room[:, None] * room))


def quality(
    X: np.ndarray, labels: np.ndarray, Y: np.ndarray, *, in_ball: bool, k: int = 15
) -> tuple[str, str, str]:
    """Neighbours kept, rows whose neighbours tell their label, and points at the edge of a ball."""
    nearest = []
    for gaps in (distances(X, in_ball=False), distances(Y, in_ball=in_ball)):
        np.fill_diagonal(gaps, np.inf)
        nearest.append(np.argsort(gaps, axis=1)[:, :k])
    kept = np.mean([len(np.intersect1d(a, b)) / k for a, b in zip(*nearest, strict=True)])
    votes = np.array([np.bincount(labels[own]).argmax() for own in nearest[1]])
    edge = f"{(np.linalg.norm(Y, axis=1) > 0.99).mean():.0%}" if in_ball else "-"
    return f"{kept:.3f}", f"{(votes == labels).mean():.3f}", edge


def timed(function: Callable[[], Any]) -> tuple[float, Any]:
    """CPU seconds of all threads, and what is returned."""
    begin = time.process_time()
    value = function()
    return time.process_time() - begin, value


def per_step(fit: Callable[[int], Any], repeats: int = 3) -> float:
    """CPU seconds of a step: what fits with more steps take longer, least of some.

    NaN where they take no longer: the fit has ended by itself.
    """
    short = min(timed(lambda: fit(STEPS))[0] for _ in range(repeats))
    longer = min(timed(lambda: fit(3 * STEPS))[0] for _ in range(repeats))
    return (longer - short) / (2 * STEPS) if longer > NO_LONGER * short else np.nan


def contenders(X: np.ndarray, name: str) -> dict[str, Callable[[int], np.ndarray]]:
    """Functions of the number of steps."""
    import torchdr

    own: dict[str, Any] = {"SNE": ld.SNE, "TSNEkhorn": ld.TSNEkhorn, "COSNE": ld.COSNE}
    kind = getattr(torchdr, name)
    given = TORCHDR.get(name, {})

    def ours(steps: int) -> np.ndarray:
        model = own[name](max_iter=steps, random_state=0, n_jobs=THREADS)
        return np.asarray(model.fit_transform(X))

    def theirs(steps: int) -> np.ndarray:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = kind(max_iter=steps, random_state=0, device="cpu", **given)
            return np.asarray(model.fit_transform(X))

    return {"lowdim": ours, "TorchDR": theirs}


def methods(options: argparse.Namespace) -> Table:
    """The methods that sum over all pairs, each with its own defaults."""
    import torch

    torch.set_num_threads(THREADS)
    note = (
        f"{options.rows} digits, {options.iterations} iterations, {THREADS} threads, defaults but "
        "for the seed; CPU seconds of all threads, neighbours found and affinities made included, "
        f"and of a step the difference of {3 * STEPS} and {STEPS} steps. Neighbours kept and label "
        "accuracy at 15, in a ball by its own distances. TorchDR's t-SNEkhorn is given "
        "lr_affinity_in=0.01, without which it ends in NaN. '-' of a step: the fit ends by itself "
        "before that many."
    )
    table = Table("neighbor-embedding", "SNE, t-SNEkhorn and CO-SNE", COLUMNS, note)
    table.begin(WIDTHS)
    X, labels = digits(options)
    for name in options.methods.split(","):
        first = np.nan
        for contender, fit in contenders(X, name).items():
            try:
                fit(3)  # compiles what is compiled
            except (ValueError, RuntimeError) as error:
                table.add(name, contender, *["-"] * 5, str(error).splitlines()[0][:40])
                continue
            step = per_step(fit)
            cpu, Y = timed(lambda fit=fit: fit(options.iterations))
            first = step if np.isnan(first) else first
            scores = quality(X, labels, Y, in_ball=name == "COSNE")
            known = not np.isnan(step)
            each, ratio = (seconds(step), f"{step / first:.1f}") if known else ("-", "-")
            table.add(name, contender, seconds(cpu), each, *scores, ratio)
    return table


def rates(options: argparse.Namespace) -> Table:
    """The general embedding with entropic affinities and a Student kernel, by its optimisers."""
    columns = ["optimizer", "lr", "KL", "of TSNE", "CPU"]
    note = f"{options.rows} digits, perplexity 30, attraction twelve times as strong at first."
    table = Table("neighbor-embedding-rates", "The general embedding as t-SNE", columns, note)
    table.begin([12, 8, 8, 8, 9])
    X, _ = digits(options)
    ld.TSNE(max_iter=300, random_state=0, n_jobs=THREADS).fit(X)
    cpu, tsne = timed(lambda: ld.TSNE(random_state=0, n_jobs=THREADS).fit(X))
    table.add("TSNE", "-", f"{tsne.kl_divergence_:.4f}", "1.000", seconds(cpu))
    for optimizer, rate, steps in (("auto", 1.0, 750), ("Adam", 1.0, 2000), ("SGD", "auto", 2000)):
        model = ld.NeighborEmbedding(
            EntropicAffinity(30),
            NormalizedStudentAffinity(),
            optimizer=optimizer,
            lr=rate,
            optimizer_kwargs="auto",
            max_iter=steps,
            early_exaggeration_coeff=12,
            early_exaggeration_iter=250,
            random_state=0,
            n_jobs=THREADS,
        )
        cpu, fitted = timed(lambda model=model: model.fit(X))
        share = fitted.loss_ / tsne.kl_divergence_
        table.add(optimizer, str(rate), f"{fitted.loss_:.4f}", f"{share:.3f}", seconds(cpu))
    return table


def main() -> None:
    """Run the parts that were asked for."""
    parts: dict[str, Part] = {"methods": methods, "rates": rates}
    parser = arguments(__doc__, parts)
    parser.add_argument("--rows", type=int, default=1797, help="digits, at most 1797")
    parser.add_argument("--iterations", type=int, default=500, help="of whole fits")
    parser.add_argument("--methods", default=METHODS, help="which, by their names")
    run(parser, parts)


if __name__ == "__main__":
    main()
