"""Simulated cohorts: cells follow the stated truth, and difficulty means what it says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pytest
from scipy.special import ndtr

import lowdim as ld
from lowdim.samples import knn_predict
from lowdim.transport import Mixtures, mixture_distances


def known(adata: ad.AnnData) -> Mixtures:
    truth = adata.uns["truth"]
    return Mixtures.of(truth["weights"], truth["means"], truth["covariances"])


def accuracy(distances: np.ndarray, labels: np.ndarray) -> float:
    """Of the five nearest other samples."""
    everyone = np.arange(len(labels))
    found = [knn_predict(distances, labels, np.delete(everyone, s), [s])[0] for s in everyone]
    return float(np.mean(found == labels))


@pytest.mark.parametrize(
    "adata",
    [
        *(
            ld.data.simulate_cohort(
                4, 6000, 5, n_components=4, signal=signal, n_batches=2, batch_shift=7.0
            )
            for signal in ("mean", "covariance", "weights")
        ),
        ld.data.simulate_hard_cohort(2, 20_000),
    ],
    ids=["mean", "covariance", "weights", "hard"],
)
def test_cells_have_the_moments_of_their_component(adata: ad.AnnData) -> None:
    truth = adata.uns["truth"]
    names = np.unique(adata.obs["sample"].astype(str))
    assert names.tolist() == list(adata.obs["sample"].cat.categories)
    for s, name in enumerate(names):
        own = adata[adata.obs["sample"] == name]
        assert set(own.obs["label"]) == {truth["labels"][s]}
        codes = own.obs["component"].cat.codes.to_numpy()
        shares = np.bincount(codes, minlength=truth["weights"].shape[1]) / len(codes)
        np.testing.assert_allclose(shares, truth["weights"][s], atol=0.03)
        for k in np.flatnonzero(np.bincount(codes) > 300):
            rows = np.asarray(own.X[codes == k], dtype=float)
            C = truth["covariances"][s, k]
            error = np.linalg.solve(np.linalg.cholesky(C), rows.mean(0) - truth["means"][s, k])
            assert np.abs(error).max() < 5 / np.sqrt(len(rows))
            white = np.linalg.solve(np.linalg.cholesky(C), np.cov(rows.T))
            white = np.linalg.solve(np.linalg.cholesky(C), white.T)
            assert np.abs(white - np.eye(len(C))).max() < 8 / np.sqrt(len(rows))


def test_only_what_the_signal_names_differs_between_classes() -> None:
    for signal in ("mean", "covariance", "weights"):
        adata = ld.data.simulate_cohort(6, 10, 6, n_components=5, signal=signal, nuisance=0.0)
        seen = known(adata).mapped(adata.uns["truth"]["plane"])
        differs = {
            "mean": np.ptp(seen.means, axis=0).max() > 1e-9,
            "covariance": np.ptp(seen.covariances, axis=0).max() > 1e-9,
            "weights": np.ptp(seen.weights[:, :3], axis=0).max() > 1e-9,
        }
        assert [name for name, is_so in differs.items() if is_so] == [signal]
        np.testing.assert_allclose(np.linalg.det(seen.covariances), 1.0)


@pytest.mark.parametrize("signal", ["mean", "covariance", "weights"])
def test_difficulty_is_as_stated_and_needs_the_plane(signal: str) -> None:
    """Means of some cohorts: the true plane reaches the bound, and neither extreme saturates."""
    separations = [0.0, 2.0, 4.0]
    found = np.zeros((len(separations), 3))
    n_cohorts = 3
    for row, seed in np.ndindex(len(separations), n_cohorts):
        adata = ld.data.simulate_cohort(
            40, 10, 8, n_components=5, signal=signal, separation=separations[row],
            random_state=seed,
        )  # fmt: skip
        mixtures, truth = known(adata), adata.uns["truth"]
        means = (mixtures.weights[..., None] * mixtures.means).sum(1)
        tables = (
            mixture_distances(mixtures.mapped(truth["plane"])),
            mixture_distances(mixtures),
            np.linalg.norm(means[:, None] - means, axis=2),
        )
        found[row] += [accuracy(table, truth["labels"]) / n_cohorts for table in tables]
    best = ndtr(np.array(separations) / 2)
    oracle, identity, of_means = found.T
    np.testing.assert_allclose(oracle, best, atol=0.11)
    assert identity[1] < oracle[1] - 0.1
    assert (of_means < oracle + 0.1).all()
    assert oracle[2] > 0.9
    if signal == "covariance":
        assert abs(of_means - 0.5).max() < 0.2


def test_the_hard_cohort_is_as_hard_as_ggml_ots() -> None:
    """Its own draws with the seeds 42 to 44 have mean distances of 10.22 (sd .53) and 9.03."""
    adata = ld.data.simulate_hard_cohort(random_state=1)
    above = np.triu_indices(40, 1)
    mixed = mixture_distances(known(adata), cost="mixed")[above]
    assert mixed.mean() == pytest.approx(10.22, abs=0.3)
    assert mixed.std() == pytest.approx(0.53, abs=0.1)
    distances = mixture_distances(known(adata))
    assert distances[above].mean() == pytest.approx(9.03, abs=0.2)
    assert accuracy(distances, adata.uns["truth"]["labels"]) < 0.75


def test_a_seed_repeats_bit_for_bit_and_a_file_keeps_everything(tmp_path: Path) -> None:
    first, again = (ld.data.simulate_cohort(5, 30, 4, n_classes=3, n_batches=2) for _ in range(2))
    np.testing.assert_array_equal(first.X, again.X)
    assert first.obs.equals(again.obs)
    assert not np.array_equal(first.X, ld.data.simulate_cohort(5, 30, 4, random_state=1).X)
    first.write_h5ad(tmp_path / "cohort.h5ad")
    read = ad.read_h5ad(tmp_path / "cohort.h5ad")
    np.testing.assert_array_equal(
        read.uns["truth"]["covariances"], first.uns["truth"]["covariances"]
    )
    assert read.uns["truth"]["labels"].tolist() == first.uns["truth"]["labels"].tolist()


def test_sizes_classes_and_batches() -> None:
    drawn = [
        ld.data.simulate_cohort(
            12, (20, 90), 3, n_classes=3, n_components=3, n_batches=2, batch_shift=shift
        )
        for shift in (0.0, 50.0)
    ]
    adata = drawn[1]
    counts = adata.obs["sample"].value_counts()
    assert counts.min() >= 20 and counts.max() <= 90 and counts.nunique() > 1
    samples = adata.obs.drop_duplicates("sample")
    assert samples.groupby(["label", "batch"], observed=True).size().tolist() == [2] * 6
    moved = np.asarray(adata.X) - np.asarray(drawn[0].X)
    np.testing.assert_allclose(np.linalg.norm(moved, axis=1), 50.0, rtol=1e-5)
    first = (adata.obs["batch"] == "batch_0").to_numpy()
    assert np.ptp(moved[first], axis=0).max() < 1e-4 < np.ptp(moved, axis=0).max()
    codes = adata.obs["sample"].cat.codes.to_numpy()
    assert (np.diff(codes) < 0).any()  # rows are in no order
    np.testing.assert_allclose(adata.uns["truth"]["weights"].sum(1), 1.0)
    assert ld.data.simulate_cohort(4, 9, 2, n_components=4).shape == (36, 2)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"n_samples": 1}, "n_samples"),
        ({"n_samples": 2, "n_classes": 3}, "n_classes"),
        ({"n_cells": (9, 5)}, "n_cells"),
        ({"n_cells": (9, 5, 3)}, "n_cells"),
        ({"n_components": 2}, "n_components"),
        ({"signal": "median"}, "signal"),
        ({"separation": -1.0}, "separation"),
        ({"signal_share": 0.0}, "signal_share"),
    ],
)
def test_bad_arguments_are_named(arguments: dict[str, Any], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        ld.data.simulate_cohort(**arguments)


def test_bad_arguments_of_the_hard_cohort() -> None:
    with pytest.raises(ValueError, match="n_samples=5"):
        ld.data.simulate_hard_cohort(5)
    with pytest.raises(ValueError, match="n_cells"):
        ld.data.simulate_hard_cohort(4, 20)
