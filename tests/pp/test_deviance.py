"""Deviance of genes against a constant rate."""

from __future__ import annotations

from pathlib import Path

import anndata as ad
import numpy as np
import pytest
import scipy.sparse as sp
from scipy.stats import binom, poisson

import lowdim as ld
from lowdim.pp._deviance import BLOCK_BYTES, column_deviances
from lowdim.report._data import preprocessing


def brute_force(counts: np.ndarray, model: str) -> np.ndarray:
    """Twice the log-likelihood lost, entry by entry, with rows without a count left out."""
    counts = counts[counts.sum(1) > 0]
    n = np.broadcast_to(counts.sum(1, keepdims=True), counts.shape)
    share = counts.sum(0) / counts.sum()
    if model == "poisson":
        lost = poisson.logpmf(counts, counts) - poisson.logpmf(counts, n * share)
    else:
        lost = binom.logpmf(counts, n, counts / n) - binom.logpmf(counts, n, share)
    return 2 * lost.sum(0)


@pytest.mark.parametrize("model", ["poisson", "binomial"])
def test_deviances_are_twice_the_likelihood_lost(awkward: ad.AnnData, model: str) -> None:
    ld.pp.deviance_selection(awkward, 2, model=model)
    np.testing.assert_allclose(awkward.var["deviance"], brute_force(awkward.X, model), atol=1e-9)
    assert awkward.var["deviance"].iloc[2] == 0
    assert awkward.var["highly_deviant"].sum() == 2
    assert (
        awkward.var["deviance"]
        .nlargest(2)
        .index.isin(awkward.var_names[awkward.var["highly_deviant"]])
        .all()
    )
    assert awkward.var["highly_deviant"].iloc[0]


def test_settings_are_kept_for_the_report(awkward: ad.AnnData, tmp_path: Path) -> None:
    ld.pp.deviance_selection(awkward, 2, sample_key="slide")
    awkward.write_h5ad(tmp_path / "selected.h5ad")
    ((name, words),) = preprocessing(ad.read_h5ad(tmp_path / "selected.h5ad"))
    assert name == 'uns["deviance_selection"]'
    assert "n_top: 2" in words
    assert "sample_key: slide" in words


@pytest.mark.parametrize("model", ["poisson", "binomial"])
def test_samples_are_summed(awkward: ad.AnnData, model: str) -> None:
    ld.pp.deviance_selection(awkward, model=model, sample_key="slide")
    parts = [awkward.X[:25], awkward.X[25:]]
    # A gene without a count in a sample has no deviance there.
    expected = sum(np.nan_to_num(brute_force(part, model)) for part in parts)
    np.testing.assert_allclose(awkward.var["deviance"], expected, atol=1e-9)


def test_a_gene_with_a_constant_share_has_none() -> None:
    depth = np.arange(1, 9)[:, None]
    values = column_deviances(depth * np.array([[1, 10, 1000, 0]]))
    np.testing.assert_allclose(values, 0, atol=1e-8)
    assert column_deviances(np.ones((4, 1)), "binomial") == 0  # one gene has all counts


@pytest.mark.parametrize("kind", [sp.csr_matrix, sp.csc_matrix, sp.csr_array, np.asfortranarray])
def test_the_kind_of_matrix_does_not_matter(awkward: ad.AnnData, kind) -> None:
    np.testing.assert_allclose(
        column_deviances(kind(awkward.X)), column_deviances(awkward.X), rtol=1e-12, atol=1e-12
    )


def test_blocks_and_files_give_the_same(
    awkward: ad.AnnData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    samples = np.r_[np.zeros(25, int), np.ones(15, int)]
    whole = column_deviances(awkward.X, samples=samples)
    assert awkward.X.nbytes < BLOCK_BYTES
    monkeypatch.setattr("lowdim.pp._deviance.BLOCK_BYTES", 8 * 6 * 7)
    np.testing.assert_allclose(column_deviances(awkward.X, samples=samples), whole, atol=1e-9)
    awkward.X = sp.csr_matrix(awkward.X)
    awkward.write_h5ad(tmp_path / "counts.h5ad")
    backed = ad.read_h5ad(tmp_path / "counts.h5ad", backed="r")
    ld.pp.deviance_selection(backed, sample_key="slide")
    np.testing.assert_allclose(backed.var["deviance"], whole, atol=1e-9)


def test_spatial_genes_of_a_simulation_come_first() -> None:
    adata = ld.data.simulate_spatial("quilt", n_genes=60)
    noise = np.random.default_rng(0).poisson(5.0, size=(adata.n_obs, 40))
    both = ad.AnnData(sp.hstack([adata.layers["counts"], sp.csr_matrix(noise)]).tocsr())
    ld.pp.deviance_selection(both, 60)
    assert both.var["highly_deviant"].to_numpy()[:60].all()


def test_genes_without_deviance_are_not_chosen(awkward: ad.AnnData) -> None:
    result = ld.pp.deviance_selection(awkward, copy=True)
    assert result is not None
    assert "deviance" not in awkward.var
    assert result.var["highly_deviant"].sum() == 5  # of six: one has no count


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"n_top": 0}, ValueError, "n_top=0"),
        ({"model": "normal"}, ValueError, "model='normal'"),
        ({"layer": "raw"}, ValueError, "layer='raw'"),
        ({"sample_key": "donor"}, ValueError, "sample_key='donor' is not in adata.obs"),
        ({"adata": np.ones((2, 2))}, TypeError, "pass an AnnData"),
        ({"adata": ad.AnnData(np.full((2, 2), 0.5))}, ValueError, "not whole numbers"),
        ({"adata": ad.AnnData(-np.ones((2, 2)))}, ValueError, "Negative values"),
    ],
)
def test_wrong_arguments_are_named(
    awkward: ad.AnnData, changes: dict, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        ld.pp.deviance_selection(**{"adata": awkward} | changes)
