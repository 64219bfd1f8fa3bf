"""Cross-validation of samples in an AnnData: the numbers of arrays, and back from a file."""

from __future__ import annotations

from pathlib import Path

import anndata as ad
import pandas as pd
import pytest

import lowdim as ld
from lowdim.samples import baseline_distances, cross_validate_samples
from lowdim.transport import mixture_distances


@pytest.fixture
def cohort() -> ad.AnnData:
    adata = ld.data.simulate_cohort(
        12, 60, 4, n_components=3, signal="mean", separation=6.0, random_state=0
    )
    ld.tl.fit_gmm(adata, sample_key="sample", k_comps=2, gmm_key="gmm", verbose=False)
    return adata


@pytest.mark.filterwarnings("error::sklearn.exceptions.ConvergenceWarning")
def test_every_kind_is_judged_and_comes_back_from_a_file(
    cohort: ad.AnnData, tmp_path: Path
) -> None:
    ld.tl.sample_validation(
        cohort, sample_key="sample", label_key="label", gmm_key="gmm", n_splits=3, n_repeats=2,
        metric=ld.GroundMetric(2, max_iter=5, random_state=0), n_permutations=3,
    )  # fmt: skip
    cohort.write_h5ad(tmp_path / "cohort.h5ad")
    read = ad.read_h5ad(tmp_path / "cohort.h5ad")
    found = ld.get.sample_validation(read)
    assert list(found) == ["sample means", "mw2 of mixtures", "learned metric"]
    dataset = ld.SampleDataset.from_anndata(
        cohort, sample_key="sample", label_key="label", gmm_key="gmm"
    )
    for name, matrix in (
        ("sample means", baseline_distances(dataset, "means")),
        ("mw2 of mixtures", mixture_distances(dataset.mixtures)),
    ):
        direct = cross_validate_samples(
            matrix, dataset.labels, n_splits=3, n_repeats=2, random_state=0
        )
        pd.testing.assert_frame_equal(found[name].by_repeat, direct.by_repeat)
        assert found[name].score == direct.score
        assert found[name].confusion.to_numpy().sum() == 24
    ax = ld.pl.sample_scores(read)
    assert [tick.get_text() for tick in ax.get_yticklabels()] == list(found)
    assert "p = " in ax.texts[-1].get_text()
    assert ld.pl.confusion(found["learned metric"]).images


def test_cells_and_groups(cohort: ad.AnnData) -> None:
    numbers = cohort.obs["sample"].astype(str).str[-2:].astype(int)
    cohort.obs["donor"] = (numbers // 2).astype(str)
    out = ld.tl.sample_validation(
        cohort, sample_key="sample", label_key="label", cost="w2", n_cells=30, group_key="donor",
        key_added="own", copy=True,
    )  # fmt: skip
    assert "own" not in cohort.uns
    found = ld.get.sample_validation(out, "own")
    assert list(found) == ["sample means", "w2 of cells"]
    assert sorted(set(found["w2 of cells"].table["held_out"])) == list("012345")


def test_bad_arguments_leave_the_data_as_they_were(cohort: ad.AnnData) -> None:
    before = set(cohort.uns)
    keys = {"sample_key": "sample", "label_key": "label"}
    with pytest.raises(KeyError, match="'other' is not in uns, but 'gmm': name one by gmm_key"):
        ld.tl.sample_validation(cohort, **keys, gmm_key="other")
    with pytest.raises(ValueError, match="cost='w2' is of cells; leave out gmm_key"):
        ld.tl.sample_validation(cohort, **keys, gmm_key="gmm", cost="w2")
    with pytest.raises(ValueError, match="grid is of settings of the metric"):
        ld.tl.sample_validation(cohort, **keys, gmm_key="gmm", grid={"alpha": [1.0]})
    with pytest.raises(ValueError, match=r"'donor' is not in adata\.obs"):
        ld.tl.sample_validation(cohort, **keys, group_key="donor")
    with pytest.raises(ValueError, match=r"obs\['component'\] differs within 'sample_0"):
        ld.tl.sample_validation(cohort, **keys, group_key="component")
    with pytest.raises(ValueError, match="no cross-validation in 'sample_validation'"):
        ld.get.sample_validation(cohort)
    assert set(cohort.uns) == before
