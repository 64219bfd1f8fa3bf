"""Data with known structure, and references that share no code with the engine."""

from __future__ import annotations

import contextlib
import functools
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.special import logsumexp
from scipy.stats import multivariate_normal

from lowdim import SubspaceMixture, data


@pytest.fixture(scope="session")
def planted() -> Callable[[int], data.SimulatedSubspaces]:
    """600 rows around two lines and a plane in five columns, 200 each; the argument is a seed."""

    def make(seed: int = 0) -> data.SimulatedSubspaces:
        return data.subspaces(
            [200, 200, 200],
            dims=[1, 1, 2],
            n_columns=5,
            noise=0.1,
            latent=3.0,
            separation=2 * np.sqrt(10),
            random_state=seed,
        )

    return make


@pytest.fixture(scope="session")
def fitted(planted: Callable) -> tuple[SubspaceMixture, np.ndarray]:
    """A mixture of the planted dimensions and the rows it was fitted to; do not refit it."""
    X = planted(0).X
    return SubspaceMixture(dims=[1, 1, 2], n_init=5, random_state=0).fit(X), X


@pytest.fixture(scope="session")
def toy() -> tuple[np.ndarray, np.ndarray]:
    """4,600 points in 3-D (a plane, two lines, a blob), the same ones on every machine."""
    rng = np.random.RandomState(0)
    parts = []
    for n, mean, axes, spread, noise in [
        (4000, (2, 2, 0), [[0, -1, -0.3], [1, 0, 0]], 4, 0.1),
        (200, (0, 6, 6), [[1, 1, 1]], 6, 0.1),
        (100, (7, -8, 9), [], 0, 2),
        (300, (0, 6, 3), [[-1, 1, 3]], 5, 1),
    ]:
        directions = np.array(axes, dtype=float).reshape(-1, 3)
        directions /= np.linalg.norm(directions, axis=1, keepdims=True)
        rows = rng.normal(0, spread, (n, len(directions))) @ directions
        parts.append(rows + rng.normal(0, noise, (n, 3)) + mean)
    return np.concatenate(parts), np.repeat([0, 1, 2, 3], [4000, 200, 100, 300])


def covariance(basis: np.ndarray, latent: np.ndarray, noise: float, n_columns: int) -> np.ndarray:
    """V diag(lambda) V' + sigma^2 (I - V V')."""
    if len(basis) == n_columns:
        noise = 0.0
    return noise * np.eye(n_columns) + basis.T @ np.diag(latent - noise) @ basis


@pytest.fixture(scope="session")
def scipy_log_joint() -> Callable[..., np.ndarray]:
    """``log weight + log density`` of each component, (N, K), by scipy, from public attributes."""

    def log_joint(model: SubspaceMixture, X: np.ndarray) -> np.ndarray:
        columns = []
        for weight, mean, basis, latent, noise in zip(
            model.weights_,
            model.means_,
            model.bases_,
            model.latent_variances_,
            model.noise_variances_,
            strict=True,
        ):
            normal = multivariate_normal(mean, covariance(basis, latent, noise, X.shape[1]))
            columns.append(np.log(weight) + normal.logpdf(X).reshape(len(X)))
        return np.stack(columns, 1)

    return log_joint


@dataclass
class ReferenceEM:
    """EM for subspace mixtures with full covariances: slow, short, and obviously right."""

    dims: list[int]
    hard: bool = False
    shared_noise: bool = False
    weight: np.ndarray | None = None
    weights: np.ndarray = field(init=False)
    means: list[np.ndarray] = field(init=False)
    spectra: list[np.ndarray] = field(init=False)
    vectors: list[np.ndarray] = field(init=False)
    noise: np.ndarray = field(init=False)

    def maximize(self, X: np.ndarray, shares: np.ndarray) -> None:
        row_weight = np.ones(len(X)) if self.weight is None else self.weight
        owned = shares * row_weight[:, None]
        counts = owned.sum(0)
        self.weights = counts / row_weight.sum()
        self.means, self.spectra, self.vectors = [], [], []
        left, freedom = [], []
        for r, n, d in zip(owned.T, counts, self.dims, strict=True):
            mean = r @ X / n
            values, vectors = np.linalg.eigh((X - mean).T @ ((X - mean) * r[:, None]) / n)
            self.means.append(mean)
            self.spectra.append(values[::-1][:d])
            self.vectors.append(vectors[:, ::-1][:, :d])
            left.append(values[::-1][d:].sum())
            freedom.append(X.shape[1] - d)
        pooled = counts @ left / (counts @ freedom)
        own = np.array(left) / np.maximum(freedom, 1)
        self.noise = np.full_like(own, pooled) if self.shared_noise else own

    def log_joint(self, X: np.ndarray) -> np.ndarray:
        columns = []
        for k, weight in enumerate(self.weights):
            v = self.vectors[k]
            C = covariance(v.T, self.spectra[k], self.noise[k], X.shape[1])
            columns.append(np.log(weight) + multivariate_normal(self.means[k], C).logpdf(X))
        return np.stack(columns, 1)

    def shares(self, X: np.ndarray) -> np.ndarray:
        scores = self.log_joint(X)
        if self.hard:
            return np.eye(len(self.dims))[scores.argmax(1)]
        return np.exp(scores - logsumexp(scores, axis=1, keepdims=True))


@pytest.fixture(scope="session")
def reference_em() -> type[ReferenceEM]:
    return ReferenceEM


@pytest.fixture
def peak_growth() -> Callable[[], contextlib.AbstractContextManager[list[float]]]:
    """A context whose value, afterwards, holds by how many MiB the resident memory peaked.

    It sees what every library allocates, unlike tracemalloc, but only Linux tells.
    """
    if not sys.platform.startswith("linux"):
        pytest.skip("reads /proc")

    def status(name: str) -> float:
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith(name)) / 1024

    @contextlib.contextmanager
    def measure() -> Iterator[list[float]]:
        growth: list[float] = []
        Path("/proc/self/clear_refs").write_text("5")  # the peak so far is forgotten
        before = status("VmRSS")
        yield growth
        growth.append(status("VmHWM") - before)

    return measure


@pytest.fixture
def plain_em(monkeypatch: pytest.MonkeyPatch) -> None:
    """EM steps only, without extrapolation."""
    from lowdim.mixture._em import EMOptions
    from lowdim.mixture._subspace import arguments

    monkeypatch.setattr(arguments, "EMOptions", functools.partial(EMOptions, accelerate=False))


@pytest.fixture
def every_trace(monkeypatch: pytest.MonkeyPatch) -> list[np.ndarray]:
    """A list that each fit fills with the traces of all its restarts, not only the kept one."""
    from lowdim.mixture._subspace import fit

    traces: list[np.ndarray] = []
    run = fit.run_em

    def spy(*args: Any, **kwargs: Any) -> Any:
        result = run(*args, **kwargs)
        traces.extend(result.traces)
        return result

    monkeypatch.setattr(fit, "run_em", spy)
    return traces
