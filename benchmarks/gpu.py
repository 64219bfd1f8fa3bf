"""Mixtures on a GPU: time per iteration against the card's floor and against this machine's CPU.

python benchmarks/gpu.py [narrow] [wide] [counts] [--rows N] [--write]      on a CUDA device
python benchmarks/gpu.py --cpu                     without one: the same code, small

Layouts are in `gpu_embeddings.py`.
"""

from __future__ import annotations

import argparse
import warnings
from dataclasses import dataclass
from typing import Any
from unittest import mock

import numpy as np
import torch
from _card import Card, device_name, quickest, run_on_card
from _data import planted
from _tables import Table, seconds
from count_mixtures import umi
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

import lowdim as ld
from lowdim.mixture._counts.chebyshev import SizeNodes

#: Components, and the dimension of each.
K, DIM = 10, 5
#: Iterations of the shorter and of the longer fit, whose difference is timed.
FEW, MANY = 2, 8
#: Repeats on a CUDA device, of which the quickest counts; the CPU's fits take long.
REPEATS = 3


@dataclass(frozen=True)
class Job:
    """A model, and the least that one of its iterations must do.

    Attributes
    ----------
    name : str
    model : estimator
    start : str
        The parameter that takes what it begins with.
    directions : int
        Numbers that the E-step needs of every row: products with so many directions.
    sums : int
        Weighted sums over the rows per column, as of a mean or of a row of second moments.
    """

    name: str
    model: Any
    start: str
    directions: int
    sums: int

    def floor(self, card: Card, n_rows: int, n_columns: int) -> tuple[float, float]:
        """Seconds that an iteration takes at least, for its bytes and for its operations.

        Rows are read once for the products and once for the sums, in float32; the scores and
        responsibilities, in float64, are written and read once.
        """
        n_bytes = 2 * 4 * n_rows * n_columns + 4 * 8 * n_rows * K
        operations = 2 * n_rows * n_columns * (self.directions + self.sums)
        return n_bytes / card.bandwidth, operations / card.products


@dataclass(frozen=True)
class CountJob(Job):
    """A mixture of counts.

    Attributes
    ----------
    n_stored : int
        Counts that are not zero.
    n_nodes : int
        Of the size factors.
    """

    n_stored: int
    n_nodes: int

    def floor(self, card: Card, n_rows: int, n_columns: int) -> tuple[float, float]:
        """Seconds at least, for what is stored and for products that need no less than float32's.

        Each component's products read the places of all entries twice, by rows and by places, in
        32 bits, and a one in 64 for each.
        """
        return (
            2 * K * 12 * self.n_stored / card.bandwidth,
            2 * 2 * K * self.n_nodes * self.n_stored / card.products,
        )


def jobs(n_columns: int) -> list[Job]:
    """What is timed in so many columns."""
    settings = {"tol": 0.0, "dtype": "float32", "random_state": 0}
    flats = ld.SubspaceMixture(dims=[DIM] * K, **settings)
    # Second moments themselves, or along a sketch of twice the directions that are kept.
    width = n_columns if n_columns <= 64 else 16
    moments = K * (1 + width) + (0 if n_columns <= 64 else K * width)
    made = [
        Job("subspaces", flats, "init", K * (1 + DIM), moments),
        Job("k-means", ld.KMeans(K, **settings), "init", K, K),
        Job("soft k-means", ld.SoftKMeans(K, beta=0.1, **settings), "init", K, K),
    ]
    for kind, directions, sums in (
        ("full", K * n_columns, K * (1 + n_columns)),
        ("diag", 2 * K, 2 * K),
    ):
        if kind == "diag" or n_columns <= 64:
            model = ld.GaussianMixture(K, covariance_type=kind, **settings)
            made.append(Job(f"Gaussians, {kind}", model, "means_init", directions, sums))
    return made


def narrow(options: argparse.Namespace) -> Table:
    """Rows of 50 columns."""
    return planted_table("narrow", options, options.rows, 50)


def wide(options: argparse.Namespace) -> Table:
    """Rows of 2,000 columns, a tenth as many."""
    return planted_table("wide", options, max(1000, options.rows // 10), 2000)


def counts(options: argparse.Namespace) -> Table:
    """Sparse counts of 2,000 genes, a tenth as many rows, from random labels."""
    X, _ = umi(max(1000, options.rows // 10), 2000, K, depth=700)
    totals = np.maximum(np.asarray(X.sum(1), np.float64).ravel(), 1.0)
    nodes = SizeNodes.of(totals / totals.mean()).nodes
    start = np.random.default_rng(0).integers(K, size=X.shape[0])
    made = [
        CountJob(
            f"counts, dispersion by {kind}",
            ld.NegativeBinomialMixture(K, dispersion=kind, tol=0.0),
            *("init", 0, 0, X.nnz, len(nodes)),
        )
        for kind in ("gene", "component")
    ]
    what = f"{X.nnz} counts that are not zero, in float64, {len(nodes)} nodes of size factors"
    return table("counts", "counts of 2000 genes", options, what, X, [(job, start) for job in made])


def planted_table(name: str, options: argparse.Namespace, n_rows: int, n_columns: int) -> Table:
    """Every mixture of so many rows and columns."""
    X = planted(n_rows, n_columns, [DIM] * K)[0].astype(np.float32)
    given = [
        (job, flats(X) if isinstance(job.model, ld.SubspaceMixture) else X[:K])
        for job in jobs(n_columns)
    ]
    what = f"float32, flats of dimension {DIM}"
    return table(name, f"{n_columns} columns", options, what, X, given)


def table(
    name: str,
    title: str,
    options: argparse.Namespace,
    what: str,
    X: Any,
    given: list[tuple[Job, Any]],
) -> Table:
    """Every job, from where it begins, on the device and on the CPU."""
    device, (n_rows, n_columns) = options.device, X.shape
    card = Card.of(device)
    note = (
        f"{n_rows} x {n_columns}, {what}; {K} components; "
        f"wall time per iteration; {device_name(device)}: {card}; CPU with "
        f"{torch.get_num_threads()} threads."
    )
    columns = ["model", "device", "iteration", "bytes", "products", "x floor", "objective"]
    made = Table(f"gpu-{name}", f"Mixtures on a GPU: {title}", columns, note)
    made.begin([18, 16, 10, 10, 10, 8, 14])
    for job, start in given:
        for where, resident in places(device):
            took, objective = iteration(job, X, start, where, resident=resident)
            by_bytes, by_products = job.floor(card, n_rows, n_columns)
            if not resident:
                by_bytes = stored_bytes(X) / card.link
            floor = max(by_bytes, by_products)
            here = where == device
            cells = (seconds(by_bytes), seconds(by_products), f"{took / floor:.1f}")
            made.add(
                job.name,
                str(where) if resident else f"{where}, streamed",
                seconds(took),
                *(cells if here else ("-", "-", "-")),
                f"{objective:.6g}",
            )
    return made


def stored_bytes(X: Any) -> int:
    """What of the rows travels."""
    if isinstance(X, np.ndarray):
        return X.nbytes
    return 12 * X.nnz  # an index, and a count in float64


def flats(X: np.ndarray) -> list[dict[str, Any]]:
    """Components around some rows, from which EM takes many steps and no short cut."""
    variance = float(X[:1000].var())
    common = {
        "basis": np.eye(DIM, X.shape[1]),
        "latent_variances": np.full(DIM, 2 * variance),
        "noise_variance": variance,
        "weight": 1 / K,
    }
    return [{"mean": row, **common} for row in X[:K]]


def places(device: torch.device) -> list[tuple[torch.device, bool]]:
    """Devices, and whether rows stay on them from pass to pass."""
    if device.type == "cpu":
        return [(device, True)]
    return [(device, True), (device, False), (torch.device("cpu"), True)]


def iteration(
    job: Job, X: Any, start: Any, device: torch.device, *, resident: bool
) -> tuple[float, float]:
    """Seconds per iteration, and the objective where the longer fit ended."""
    fitted: list[Any] = []

    def fit(max_iter: int) -> Any:
        model = clone(job.model).set_params(device=str(device), max_iter=max_iter)
        model.set_params(**{job.start: start})
        return model.fit(X)

    share = 0.4 if resident else 0.0
    with (
        mock.patch("lowdim.data.standardized.RESIDENT", share),
        mock.patch("lowdim.mixture._counts.on_device.RESIDENT", share),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore", ConvergenceWarning)
        fit(1)  # compiled, and memory found
        repeats = REPEATS if device.type == "cuda" else 1
        short = quickest(lambda: fit(FEW), device, repeats)
        long = quickest(lambda: fitted.append(fit(MANY)), device, repeats)
    model = fitted[-1]
    names = ("lower_bound_", "inertia_", "free_energy_")
    value = next(getattr(model, name) for name in names if hasattr(model, name))
    steps = int(model.n_iter_) - FEW  # none where it has converged before
    return (long - short) / steps if steps > 0 else float("nan"), float(value)


def main() -> None:
    """Run the parts that were asked for."""
    run_on_card(__doc__, {"narrow": narrow, "wide": wide, "counts": counts}, 1_000_000, 20_000)


if __name__ == "__main__":
    main()
