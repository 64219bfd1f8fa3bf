"""Parts of `gpu_embeddings.py`: neighbours, principal axes and eigenvectors of a graph."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.sparse as sp
import torch
from _card import Card, device_name, timed
from _data import clouds
from _tables import Table, seconds

import lowdim as ld
from lowdim.affinities import UniformAffinity
from lowdim.data import as_rows
from lowdim.embedding._spectral.device_basis import DeviceBasis
from lowdim.embedding._spectral.device_graph import WIDTH, device_eigenpairs
from lowdim.embedding._spectral.device_rows import DeviceCentredRows
from lowdim.math.block_lanczos import largest_basis, leading_values
from lowdim.neighbors import Neighbors, nearest_neighbors
from lowdim.neighbors._device_search import search_on_device
from lowdim.neighbors._points import SquaredPoints

#: Rows above which an exact search on the CPU is left out, and neighbours that are sought.
EXACT_ROWS, SOUGHT = 100_000, 15
#: Columns of the rows whose principal axes are found, and how many axes.
COLUMNS, AXES = 1_000, 50
HOST = torch.device("cpu")
COLUMNS_OF_TABLES = ("what", "where", "wall", "x floor", "agrees")


def _table(name: str, title: str, note: str, device: torch.device, card: Card) -> Table:
    machine = f"wall time; {device_name(device)}: {card}; CPU with {torch.get_num_threads()}"
    table = Table(f"gpu-{name}", title, COLUMNS_OF_TABLES, f"{note}; {machine} threads.")
    table.begin([18, 14, 10, 8, 10])
    return table


def neighbors(options: argparse.Namespace) -> Table:
    """All pairs on the device, and cells on the CPU."""
    n, device = options.rows, options.device
    card = Card.of(device)
    note = (
        f"{n} x 50, {SOUGHT} neighbours of every row. Floor: the products of all pairs. Agrees: "
        "the share of the neighbours by the device that are found"
    )
    table = _table("neighbors", "Neighbours on a GPU", note, device, card)
    X, _ = clouds(n, 50)
    points = SquaredPoints(X - X.mean(0))

    def there() -> np.ndarray:
        own = np.arange(n)
        return search_on_device(points, points.rows, SOUGHT, own=own, device=device)[0]

    there()  # compiled, and memory taken
    exact, wall = timed(there, device)
    floor = 2 * n**2 * 51 / card.products
    table.add("all pairs", str(device), seconds(wall), f"{wall / floor:.1f}", "-")
    methods = ["approximate", *(["exact"] if n <= EXACT_ROWS else [])]
    for method in methods:
        found: Neighbors
        found, wall = timed(
            lambda m=method: nearest_neighbors(X, SOUGHT, method=m, random_state=0), HOST
        )
        same = np.mean([np.isin(a, b).mean() for a, b in zip(found.indices, exact, strict=True)])
        table.add(method, "cpu, compiled", seconds(wall), "-", f"{same:.4f}")
    return table


def pca(options: argparse.Namespace) -> Table:
    """The covariance matrix, and leading axes by a Krylov space, rows sent included."""
    n, device = max(options.rows // 4, 2_000), options.device
    card = Card.of(device)
    note = (
        f"{n} x {COLUMNS}, float32, {AXES} axes. Floor: rows over the link once, and products. "
        "Agrees: the least cosine of an angle between the spaces of the axes"
    )
    table = _table("pca", "Principal axes on a GPU", note, device, card)
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n, COLUMNS)).astype(np.float32)
    X *= np.exp(-np.arange(COLUMNS) / 100).astype(np.float32) + np.float32(0.1)
    expected, host_wall = timed(lambda: ld.PCA(AXES, svd_solver="covariance_eigh").fit(X), HOST)

    def by_covariance() -> tuple[np.ndarray, int]:
        squares = DeviceCentredRows(as_rows(X), device).squares()
        return np.linalg.eigh(squares)[1][:, ::-1][:, :AXES], COLUMNS // 2

    def by_krylov() -> tuple[np.ndarray, int]:
        rows = DeviceCentredRows(as_rows(X), device)
        basis = DeviceBasis(COLUMNS, largest_basis(COLUMNS, AXES), device)
        rng = np.random.default_rng(0)
        n_iter = leading_values(rows.scatter, basis, AXES, rng, tol=1e-6, max_iter=100)[1]
        return basis.columns.cpu().numpy(), 16 * n_iter

    ways: dict[str, Callable[[], tuple[np.ndarray, int]]] = {
        "covariance_eigh": by_covariance,
        "randomized": by_krylov,
    }
    for name, way in ways.items():
        way()
        (axes, n_directions), wall = timed(way, device)
        floor = X.nbytes / card.link + 4 * n * COLUMNS * n_directions / card.products
        cosines = np.linalg.svd(expected.components_ @ axes)[1]
        where = str(device)
        table.add(name, where, seconds(wall), f"{wall / floor:.1f}", f"{cosines.min():.6f}")
    table.add("covariance_eigh", "cpu, NumPy", seconds(host_wall), "-", "-")
    return table


def laplacian(options: argparse.Namespace) -> Table:
    """Leading eigenvectors of a graph of neighbours."""
    n, device = options.rows, options.device
    card = Card.of(device)
    note = (
        f"{n} x 50, a graph of {SOUGHT} neighbours, two coordinates, tol=1e-8. Floor: the bytes "
        "of one product. Agrees: the largest difference of eigenvalues from the CPU's"
    )
    table = _table("laplacian", "Laplacian eigenmaps on a GPU", note, device, card)
    X, _ = clouds(n, 50, 1)  # no parts without a way between them
    found = nearest_neighbors(X, SOUGHT, random_state=0)
    W = UniformAffinity(SOUGHT).from_neighbors(found).matrix.astype(np.float64)
    root = np.sqrt(np.asarray(W.sum(1)).ravel())
    S = sp.csr_matrix(sp.diags_array(1 / root) @ W @ sp.diags_array(1 / root))
    settings: dict[str, Any] = {"tol": 1e-8, "max_iter": 20_000}

    def there() -> np.ndarray:
        rng = np.random.default_rng(0)
        return device_eigenpairs(S, 3, rng=rng, device=device, **settings)[0]

    def here() -> Any:
        model = ld.LaplacianEigenmaps(2, affinity="precomputed", random_state=0)
        return model.fit(W).eigenvalues_

    expected, host_wall = timed(here, HOST)
    there()
    values, wall = timed(there, device)
    product = 12 * S.nnz + 16 * WIDTH * n
    share = f"{wall * card.bandwidth / product:.0f}"
    gap = np.abs(values[1:] - expected).max()
    table.add("eigenvectors", str(device), seconds(wall), share, f"{gap:.1e}")
    table.add("eigenvectors", "cpu, ARPACK", seconds(host_wall), "-", "-")
    return table
