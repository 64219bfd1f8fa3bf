"""Planted data for the benchmarks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import scipy.sparse as sp

Labelled = tuple[np.ndarray, np.ndarray]


def planted(
    n_rows: int,
    n_columns: int,
    dims: Sequence[int],
    *,
    noise: float = 1.0,
    latent: tuple[float, float] = (4.5, 3.0),
    offset: float = 4.0,
    seed: int = 0,
) -> tuple[np.ndarray, np.ndarray]:
    """Rows (N, D) around random flats with overlapping means, and their components (N,).

    Standard deviations along a flat's axes fall evenly from ``latent[0]`` to ``latent[1]``; means
    are ``offset`` away from the origin whatever D is, so components meet in their tails.
    """
    rng = np.random.default_rng(seed)
    labels = rng.integers(len(dims), size=n_rows)
    rows = rng.normal(scale=noise, size=(n_rows, n_columns))
    for k, d in enumerate(dims):
        own = np.flatnonzero(labels == k)
        direction = rng.normal(size=n_columns)
        rows[own] += direction * (offset / np.linalg.norm(direction))
        if d:
            axes, _ = np.linalg.qr(rng.normal(size=(n_columns, d)))
            rows[own] += rng.normal(scale=np.linspace(*latent, d), size=(len(own), d)) @ axes.T
    return rows, labels


def small_flats(n_rows: int = 600, n_columns: int = 5) -> np.ndarray:
    """Two lines and a plane in few columns, thin (sd 0.1) and long (sd 3)."""
    return planted(
        n_rows, n_columns, [1, 1, 2], noise=0.1, latent=(3.0, 3.0), offset=2 * n_columns**0.5
    )[0]


def tutorial_toy() -> np.ndarray:
    """The 4,600 points in 3-D of the kspaces tutorial: a plane, two lines and a cloud.

    Drawn with kspaces' own generator and seed, because the best-known log-likelihood is a
    property of exactly these points.
    """
    from kspaces.generate_ import generate_points_subspace

    state = np.random.get_state()
    np.random.seed(0)
    flats = [
        ([2, 2, 0], [[1, 0, 0], [0, 1, 0.3]], 4000, 4, 0.1),
        ([0, 6, 6], [[1, 1, 1]], 200, 6, 0.1),
        ([7, -8, 9], [], 100, 3, 2),
        ([0, 6, 3], [[-1, 1, 3]], 300, 5, 1),
    ]
    rows = [
        generate_points_subspace(mean, axes, size, dist_std=sd, noise_std=noise)
        for mean, axes, size, sd, noise in flats
    ]
    np.random.set_state(state)
    return np.concatenate(rows)


def sparse_flats(
    n_rows: int, n_columns: int, n_components: int, dim: int, density: float, seed: int = 0
) -> tuple[sp.csr_matrix, np.ndarray]:
    """Float32 CSR rows, (N, D), with ``density`` nonzero, around flats; and their components.

    Every component has its own frequency of being nonzero and level per column, and moves along
    ``dim`` random directions; made in pieces, never dense as a whole.
    """
    rng = np.random.default_rng(seed)
    labels = rng.integers(n_components, size=n_rows)
    shape = (n_components, n_columns)
    chance = rng.gamma(0.5, size=n_columns) * rng.gamma(4.0, size=shape)
    chance = np.minimum(chance * (density / chance.mean()), 0.9)
    chance *= density / chance.mean()
    level = rng.uniform(1, 3, size=shape)
    axes = rng.normal(scale=0.5, size=(n_components, dim, n_columns))
    pieces = []
    for start in range(0, n_rows, 500):
        own = labels[start : start + 500]
        latent = rng.normal(size=(len(own), dim))
        mask = rng.random((len(own), n_columns)) < chance[own]
        rows, columns = np.nonzero(mask)
        component = own[rows]
        moved = np.zeros(len(rows))
        for j in range(dim):
            moved += latent[rows, j] * axes[component, j, columns]
        values = np.abs(level[component, columns] + moved) + 0.1
        pieces.append(sp.csr_matrix((values.astype(np.float32), (rows, columns)), shape=mask.shape))
    return sp.vstack(pieces, format="csr"), labels


def save_sparse(path: Path, rows: sp.csr_matrix, labels: np.ndarray) -> None:
    """Write rows and labels where a fresh process can read them."""
    np.savez(path, data=rows.data, indices=rows.indices, indptr=rows.indptr, labels=labels)


def load_sparse(path: Path, n_columns: int) -> tuple[sp.csr_matrix, np.ndarray]:
    """Read what `save_sparse` wrote."""
    with np.load(path) as file:
        parts = file["data"], file["indices"], file["indptr"]
        return sp.csr_matrix(parts, shape=(len(parts[2]) - 1, n_columns)), file["labels"]


def clouds(n_rows: int, n_columns: int, n_clouds: int = 50, *, seed: int = 0) -> Labelled:
    """Rows (N, D), float32, of Gaussians of varied shapes, and which one each is of, (N,)."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(n_clouds, size=n_rows)
    rows = np.empty((n_rows, n_columns), np.float32)
    for k in range(n_clouds):
        own = np.flatnonzero(labels == k)
        shape = rng.normal(size=(n_columns, n_columns))
        shape *= np.exp(-np.arange(n_columns) / rng.uniform(5, 25))
        rows[own] = rng.normal(scale=4, size=n_columns)
        rows[own] += rng.normal(size=(len(own), n_columns)) @ shape.T
    return rows, labels


def umi(
    n: int = 3000,
    d: int = 2000,
    k: int = 6,
    *,
    depth: float = 300,
    change: float = 1.5,
    n_changed: int = 60,
    phi: float = 0.3,
    seed: int = 0,
) -> tuple[sp.csr_matrix, np.ndarray]:
    """Counts like those of cells, CSR (N, D), and groups that differ in some genes, (N,)."""
    rng = np.random.default_rng(seed)
    profile = np.tile(rng.gamma(0.5, size=d), (k, 1))
    for own in profile:
        own[rng.choice(d, n_changed, replace=False)] *= np.exp(rng.normal(0, change, n_changed))
    profile /= profile.sum(1, keepdims=True)
    labels = rng.choice(k, size=n, p=rng.dirichlet(np.full(k, 5.0)))
    depths = depth * rng.lognormal(-0.18, 0.6, size=n)
    parts = []
    for start in range(0, n, 1000):
        rows = slice(start, start + 1000)
        rate = depths[rows, None] * profile[labels[rows]]
        counts = rng.poisson(rate * rng.gamma(1 / phi, phi, size=rate.shape))
        parts.append(sp.csr_matrix(counts.astype(np.float32)))
    return sp.vstack(parts, format="csr"), labels
