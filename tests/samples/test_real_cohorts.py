"""Real cohorts: donors held out, and halves of donors that find each other."""

from __future__ import annotations

from pathlib import Path

import anndata as ad
import numpy as np
import pytest

import lowdim as ld
from lowdim.samples import baseline_distances, cross_validate_samples, permutation_test
from lowdim.transport import mixture_distances

pytestmark = pytest.mark.slow


def test_stimulation_is_told_in_every_donor_held_out(datasets: Path) -> None:
    """BCR-XL, 8 donors with and without: all 16 right, and the learned map widens the margin."""
    adata = ad.read_h5ad(datasets / "bcrxl_cytof.h5ad")
    adata.X = np.arcsinh(np.asarray(adata.X, dtype=np.float64) / 5)
    data = ld.SampleDataset.from_anndata(adata, sample_key="sample", label_key="condition")
    donors = data.groups.labels(adata.obs["donor"].to_numpy())
    gmm = ld.SampleGaussianMixtures(5, covariance_type="diag", reg_covar=1e-2, random_state=0)
    data = data.with_gmm(gmm.fit(adata.X, adata.obs["sample"]))
    plain = mixture_distances(data.mixtures)
    for distances in (plain, baseline_distances(data), baseline_distances(data, "gaussians")):
        found = cross_validate_samples(distances, data.labels, groups=donors)
        assert found.score == 1.0 and len(found.table) == 8
    metric = ld.GroundMetric(2, random_state=0)
    found = cross_validate_samples(data, metric=metric, groups=donors)
    assert found.score == 1.0
    assert found.confusion.to_numpy().tolist() == [[8, 0], [0, 8]]
    test = permutation_test(plain, data.labels, groups=donors, n_permutations=60, random_state=0)
    assert test.p_value < 0.05
    assert abs(test.null_scores.mean() - 0.5) < 0.15


def test_the_other_half_of_a_donor_is_nearly_always_the_nearest(datasets: Path) -> None:
    adata = ad.read_h5ad(datasets / "kang_control_8_donors.h5ad")
    counts = adata.X.toarray()
    donors = adata.obs["donor"].astype(str).to_numpy()
    half = np.random.default_rng(0).permutation(len(donors)) % 2
    names = np.char.add(donors, np.where(half, "-b", "-a"))
    data = ld.SampleDataset.from_arrays(counts, names)
    types = adata.obs["cell_type"].astype(str).to_numpy()
    rates = {}
    for kind in ("pseudobulk", "proportions"):
        D = baseline_distances(data, kind, cell_types=types) + np.diag(np.full(16, np.inf))
        rates[kind] = np.mean(D.argmin(1) == (np.arange(16) ^ 1))
    assert rates["pseudobulk"] >= 15 / 16
    assert 0.5 < rates["proportions"] <= 1.0
