"""Simple distances between samples, against their definitions written out."""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import pytest
from scipy import sparse
from scipy.linalg import sqrtm

from lowdim import SampleDataset
from lowdim.samples import baseline_distances
from lowdim.samples.baselines import KINDS


def dataset(seed: int = 0) -> tuple[SampleDataset, np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    samples = np.repeat(["a", "b", "c"], [30, 40, 50])
    X = rng.poisson(3.0, size=(120, 4)) + (samples == "b")[:, None]
    types = rng.choice(["t", "u", "v"], 120)
    types[(samples == "c") & (types == "v")] = "t"  # c has no v
    order = rng.permutation(120)
    X, samples, types = X[order].astype(float), samples[order], types[order]
    return SampleDataset.from_arrays(X, samples), X, samples, types


def test_all_are_as_defined() -> None:
    data, X, samples, types = dataset()
    rows = {name: X[samples == name] for name in "abc"}
    own = {name: types[samples == name] for name in "abc"}
    found = {kind: baseline_distances(data, kind, cell_types=types) for kind in KINDS}
    for i, j in ((0, 1), (0, 2), (1, 2)):
        a, b = "abc"[i], "abc"[j]
        means = rows[a].mean(0) - rows[b].mean(0)
        A, B = (np.cov(rows[name].T, ddof=0) for name in (a, b))
        bures = np.trace(A + B - 2 * sqrtm(sqrtm(A) @ B @ sqrtm(A)).real)
        logs = [np.log1p(1e6 * rows[n].sum(0) / rows[n].sum()) for n in (a, b)]
        shares = [np.array([(own[n] == t).mean() for t in "tuv"]) for n in (a, b)]
        both = [t for t in "tuv" if (own[a] == t).any() and (own[b] == t).any()]
        gaps = [rows[a][own[a] == t].mean(0) - rows[b][own[b] == t].mean(0) for t in both]
        expected = {
            "means": np.linalg.norm(means),
            "covariances": np.linalg.norm(A - B),
            "gaussians": np.sqrt(means @ means + bures),
            "pseudobulk": np.linalg.norm(logs[0] - logs[1]),
            "proportions": np.sqrt(1 - np.sqrt(shares[0] * shares[1]).sum()),
            "cell_type_means": np.sqrt(np.mean([gap @ gap for gap in gaps])),
        }
        for kind in KINDS:
            assert found[kind][i, j] == pytest.approx(expected[kind], rel=1e-6), kind
    for D in found.values():
        np.testing.assert_allclose(D, D.T)
        np.testing.assert_allclose(np.diag(D), 0.0, atol=1e-7)


def test_a_single_feature_will_do() -> None:
    data = SampleDataset.from_arrays(np.arange(12.0)[:, None], np.repeat(["a", "b", "c"], 4))
    assert baseline_distances(data, "covariances").max() < 1e-12
    assert baseline_distances(data, "gaussians")[0].tolist() == pytest.approx([0.0, 4.0, 8.0])


@pytest.mark.parametrize("kind", ["means", "pseudobulk", "cell_type_means"])
def test_sparse_rows_are_dense_one_sample_at_a_time(kind: str) -> None:
    S, n, D = 40, 25, 2000
    X = sparse.random(S * n, D, 0.02, "csr", random_state=0)
    data = SampleDataset.from_arrays(X, np.repeat(np.arange(S), n))
    baseline_distances(data, kind, cell_types=np.zeros(S * n))
    tracemalloc.start()
    baseline_distances(data, kind, cell_types=np.zeros(S * n))
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 0.3 * 8 * S * n * D


@pytest.mark.parametrize(
    ("rows", "kind", "types", "said"),
    [
        (np.ones((4, 2)), "median", None, "kind"),
        (np.ones((4, 2)), "proportions", None, "cell_types is missing"),
        (np.ones((4, 2)), "proportions", ["t"], "cell_types has shape"),
        (np.ones((4, 2)), "proportions", ["t", None, "t", "t"], "cell_types is missing in 1"),
        (-np.ones((4, 2)), "pseudobulk", None, "negative"),
        (np.zeros((4, 2)), "pseudobulk", None, "'a', 'b' are all zero"),
        (np.ones((4, 2)), "cell_type_means", list("ttuu"), "'a', 'b' have no cell type"),
        (np.ones((2, 2)), "covariances", None, "two rows or more of 'a', 'b'"),
    ],
)
def test_bad_input_is_named(rows: np.ndarray, kind: str, types: Any, said: str) -> None:
    samples = np.sort(np.array(["a", "b"] * (len(rows) // 2)))
    with pytest.raises(ValueError, match=said):
        baseline_distances(SampleDataset.from_arrays(rows, samples), kind, cell_types=types)
