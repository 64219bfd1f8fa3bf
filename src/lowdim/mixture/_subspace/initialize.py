"""Starting parameters: local principal components of a few rows per component.

Every start works in standardised units on a sample of rows, so it is invariant to the data's
scale and offset, and costs the same whatever N is.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from lowdim.data.blocks import Block, DenseBlock
from lowdim.data.standardized import StandardizedRows
from lowdim.math.linalg import leading_axes, orthonormal_rows
from lowdim.mixture._subspace import density
from lowdim.mixture._subspace.parameters import SubspaceParameters
from lowdim.mixture._subspace.seeds import kmeans, leading_coordinates

#: With at most this many columns the full second moments are the statistic.
EXACT_COLUMNS = 64
#: When only a sketch is the statistic, the directions kept are more than the largest dimension,
#: and a multiple of this, since processors take the products in vectors.
KEPT_MULTIPLE = 4
#: A start's noise is at least this share of the data's variance, lest it lock on a few rows.
START_NOISE = 1e-2
#: Rows of a given cluster that its first axes are found in, when only a sketch is kept.
GIVEN_ROWS = 100
#: Leading directions in which k-means starts are made when there are many columns.
COMPACT_COLUMNS = 20

STRATEGIES = ("kmeans", "points", "local")


@dataclass(frozen=True)
class Starter:
    """Makes starting parameters for the free components.

    Attributes
    ----------
    sample : Block
        A random sample of the rows.
    rng : numpy.random.Generator
        Source of all random choices, on the host whatever the device.
    n_columns : int
        D, of the sample's rows.
    max_dim : int
        Largest dimension that any component may take.
    shared_noise : bool
        Whether components share one noise variance, from the start.
    known : SubspaceParameters, optional
        Fixed flats (one restart): starts of the free components keep away from their rows.
    n_outside : int
        Columns of the data beyond those of the sample's rows (see `compact`).
    """

    sample: Block
    rng: np.random.Generator
    n_columns: int
    max_dim: int
    shared_noise: bool = False
    known: SubspaceParameters | None = None
    n_outside: int = 0

    @property
    def exact(self) -> bool:
        """Whether the full second moments are used, rather than a sketch."""
        return self.n_columns <= EXACT_COLUMNS

    @property
    def retained(self) -> int:
        """q: directions kept per component."""
        if self.exact:
            return max(self.max_dim, 1)
        return min(KEPT_MULTIPLE * (1 + self.max_dim // KEPT_MULTIPLE), self.n_columns)

    @property
    def width(self) -> int:
        """w: rows of a sketch, an odd number, which leaves a lane for the sum of the data."""
        return min(2 * self.retained - 1, self.n_columns)

    def without_rows(self) -> Starter:
        """What is known of the rows' shape alone."""
        return replace(self, sample=DenseBlock(torch.empty(0, 0)), known=None)

    @cached_property
    def _compact(self) -> Block:
        """The sample in its leading directions: in many columns, distances are mostly noise."""
        return (
            self.sample
            if self.exact
            else leading_coordinates(self.sample, self.rng, COMPACT_COLUMNS)
        )

    @cached_property
    def _apart(self) -> np.ndarray | None:
        """Squared distance of every sample row to the nearest fixed flat, (n,)."""
        if self.known is None:
            return None
        distances = density.squared_distances(self.sample, self.known)[0].amin(0)
        return distances.cpu().numpy()

    def start(self, strategies: list[str], dims: Tensor) -> SubspaceParameters:
        """One start per strategy; ``dims`` is (R, K)."""
        n_components = dims.shape[1]
        seeds = {"kmeans": self._kmeans_rows, "points": self._random_rows, "local": self._near_rows}
        sets = [rows for name in strategies for rows in seeds[name](n_components)]
        means, values, vectors, trace = self._local_components(sets)
        return self._assemble(dims, means, values, vectors, trace)

    def reseed(self, parameters: SubspaceParameters, dead: Tensor) -> SubspaceParameters:
        """Put dead components at the surroundings of badly explained sample rows."""
        where = torch.nonzero(dead).tolist()
        scores = density.log_joint(self.sample, parameters).logsumexp(1)
        sets = []
        for r, _ in where:
            n_worst = max(1, self.sample.n_rows // 20)
            worst = scores[r].argsort()[:n_worst]
            seed = int(worst[self.rng.integers(n_worst)])
            sets.append(self._neighbours(seed, self._few()))
        means, values, vectors, trace = self._local_components(sets)
        device = parameters.device
        index = tuple(torch.tensor(axis, device=device) for axis in zip(*where, strict=True))
        dims = parameters.dims[index][:, None]
        fresh = self._assemble(dims, means, values, vectors, trace)
        changes = {}
        for name in ("means", "bases", "latent", "noise", "sketch"):
            value = getattr(parameters, name)
            if value is not None:
                value = value.clone()
                value[index] = getattr(fresh, name)[:, 0]
            changes[name] = value
        weights = parameters.weights.clone()
        weights[index] = 1 / weights.shape[1]
        return replace(parameters, weights=weights / weights.sum(1, keepdim=True), **changes)

    def from_labels(self, labels: np.ndarray, dims: Tensor) -> SubspaceParameters:
        """Start from the sample's labels 0..K-1 (rows of the sample), one restart."""
        sets = []
        for k in range(dims.shape[1]):
            own = self._some(np.flatnonzero(labels == k), GIVEN_ROWS)
            if len(own) < 2:
                own = self._neighbours(int(own[0]) if len(own) else 0, self._few())
            sets.append(own)
        return self._assemble(dims, *self._local_components(sets))

    def blank(self, dims: np.ndarray) -> SubspaceParameters:
        """Parameters of the right shapes, for an M-step that needs nothing else of them."""
        (r, k), d, q = dims.shape, self.n_columns, self.retained
        return SubspaceParameters.from_arrays(
            self.sample.squared_norms.device,
            weights=np.ones((r, k)),
            means=np.zeros((r, k, d)),
            bases=np.zeros((r, k, q, d)),
            latent=np.ones((r, k, q)),
            noise=np.ones((r, k)),
            dims=dims,
            n_outside=self.n_outside,
        )

    def with_sketch(self, parameters: SubspaceParameters) -> SubspaceParameters:
        """Parameters that came without a sketch (from attributes) given a random one."""
        if self.exact or parameters.sketch is not None:
            return parameters
        r, k, d = parameters.shape
        q, known = self.retained, parameters.bases.shape[2]
        fill = torch.from_numpy(self.rng.normal(size=(r, k, self.width, d))).to(parameters.bases)
        own = torch.where(parameters.in_subspace[..., None], parameters.bases, fill[..., :known, :])
        sketch = orthonormal_rows(torch.cat([own[..., :q, :], fill[..., known:, :]], -2))
        pad = parameters.noise[..., None].expand(r, k, q - known)
        return replace(
            parameters,
            bases=sketch[..., :q, :],
            latent=torch.cat([parameters.latent, pad], -1),
            sketch=sketch,
        )

    # Sets of rows ------------------------------------------------------------------------

    def _few(self) -> int:
        return min(self.max_dim + 2, self.sample.n_rows)

    def _some(self, rows: np.ndarray, least: int = 40) -> np.ndarray:
        """As many of the rows, at random, as a component's axes need to show."""
        enough = max(least, 4 * self.retained)
        return rows if len(rows) <= enough else self.rng.choice(rows, enough, replace=False)

    def _draw(self, size: int) -> np.ndarray:
        """Different sample rows; with fixed flats, by their squared distance to the nearest."""
        apart, n = self._apart, self.sample.n_rows
        if apart is None or np.count_nonzero(apart) < size:
            return self.rng.choice(n, size, replace=False)
        return self.rng.choice(n, size, replace=False, p=apart / apart.sum())

    def _random_rows(self, n_components: int) -> list[np.ndarray]:
        return [self._draw(self._few()) for _ in range(n_components)]

    def _near_rows(self, n_components: int) -> list[np.ndarray]:
        n = self.sample.n_rows
        most = max(self._few() + 1, min(n // n_components, int(0.15 * n)))
        size = int(self.rng.integers(self._few(), most))
        return [self._neighbours(int(self._draw(1)[0]), size) for _ in range(n_components)]

    def _kmeans_rows(self, n_components: int) -> list[np.ndarray]:
        sets = []
        for own in self._clusters(n_components):
            own = self._some(own)
            if len(own) < self._few():
                seed = int(own[0]) if len(own) else int(self.rng.integers(self.sample.n_rows))
                own = self._neighbours(seed, self._few())
            sets.append(own)
        return sets

    def _clusters(self, n_components: int) -> list[np.ndarray]:
        """Rows of as many k-means clusters; with fixed flats, the farthest of a few more."""
        n_known = 0 if self.known is None else self.known.weights.shape[1]
        labels = kmeans(self._compact, n_components + n_known, self.rng)
        clusters = [np.flatnonzero(labels == k) for k in range(n_components + n_known)]
        if self._apart is None:
            return clusters
        apart = [self._apart[own].mean() if len(own) else -np.inf for own in clusters]
        return [clusters[k] for k in np.argsort(apart)[::-1][:n_components]]

    def _neighbours(self, seed: int, size: int) -> np.ndarray:
        row = self.sample.dense(np.array([seed]))
        distance = self.sample.squared_norms - 2 * self.sample.project(row)[0].double()
        return distance.argsort()[: min(size, len(distance))].cpu().numpy()

    # Principal components of the sets ------------------------------------------------------

    def _local_components(self, sets: list[np.ndarray]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Mean (S, D), leading variances (S, q) and axes (S, q, D), and trace (S,) of each set."""
        q, d = self.retained, self.n_columns
        device = self.sample.squared_norms.device
        means = torch.zeros((len(sets), d), dtype=torch.float64, device=device)
        values = torch.zeros((len(sets), q), dtype=torch.float64, device=device)
        trace = torch.zeros(len(sets), dtype=torch.float64, device=device)
        # Directions that a set cannot tell are filled at random.
        fill = torch.from_numpy(self.rng.normal(size=(len(sets), q, d))).to(device)
        vectors = fill / d**0.5
        sizes = np.array([len(rows) for rows in sets])
        for size in np.unique(sizes):
            which = np.flatnonzero(sizes == size)
            chunk = max(1, 2**21 // (size * d))
            for part in np.split(which, range(chunk, len(which), chunk)):
                rows = self.sample.dense(np.concatenate([sets[i] for i in part]))
                rows = rows.view(len(part), size, d)
                mean = rows.mean(1)
                rows = rows - mean[:, None]
                n = min(q, size - 1, d)
                variances, axes = leading_axes(rows, n)
                index = torch.from_numpy(part).to(device)
                means[index] = mean
                chosen = torch.from_numpy(np.stack([sets[i] for i in part])).to(device)
                norms = self.sample.squared_norms[chosen].mean(1)
                trace[index] = (norms - mean.square().sum(1)).clamp(min=0)
                values[index, :n] = variances / size
                known = (variances > 1e-12 * variances[:, :1])[..., None]
                vectors[index, :n] = torch.where(known, axes, vectors[index, :n])
        return means, values, vectors, trace

    def _assemble(
        self, dims: Tensor, means: Tensor, values: Tensor, vectors: Tensor, trace: Tensor
    ) -> SubspaceParameters:
        r, k = dims.shape
        d, q = self.n_columns, self.retained
        inside = torch.arange(q, device=dims.device) < dims.flatten()[:, None]
        left = (d + self.n_outside - dims.flatten()).clamp(min=1)
        noise = ((trace - torch.where(inside, values, 0.0).sum(1)) / left).clamp(min=START_NOISE)
        if self.shared_noise:
            noise = noise.view(r, k).mean(1, keepdim=True).expand(r, k).flatten()
        width = self.width
        sketch = None
        if not self.exact:
            fill = torch.from_numpy(self.rng.normal(size=(r * k, width - q, d))).to(vectors)
            sketch = orthonormal_rows(torch.cat([vectors, fill], 1))
            vectors = sketch[:, :q]
            sketch = sketch.view(r, k, width, d)
        else:
            vectors = orthonormal_rows(vectors) if q else vectors
        return SubspaceParameters(
            weights=torch.full((r, k), 1 / k, dtype=torch.float64, device=dims.device),
            means=means.view(r, k, d),
            bases=vectors.view(r, k, q, d),
            latent=torch.maximum(values, noise[:, None]).view(r, k, q),
            noise=noise.view(r, k),
            dims=dims,
            sketch=sketch,
            n_outside=self.n_outside,
        )


def sample_index(data: StandardizedRows, rng: np.random.Generator) -> np.ndarray:
    """Sorted indices of the rows that starts are made from."""
    size = min(data.n_rows, max(500, min(2**25 // data.n_columns, 4000)))
    weight = data.sample_weight
    if weight is None:
        if size == data.n_rows:
            return np.arange(size)
        return np.sort(rng.choice(data.n_rows, size, replace=False))
    size = min(size, int((weight > 0).sum()))
    return np.sort(rng.choice(data.n_rows, size, replace=False, p=weight / weight.sum()))
