"""Simulated spatial factors: the paper's patterns, and counts of the planted distribution."""

from __future__ import annotations

from pathlib import Path

import anndata as ad
import numpy as np
import pytest

from lowdim.data import simulate_spatial
from lowdim.data.spatial_scenarios import spatial_patterns

# How often a factor is on, of 1,296 places: 1/36ths that can be read off the maps.
ON = {"quilt": [576, 756, 216, 576], "ggblocks": [180, 288, 216, 180]}


def mean_of(adata: ad.AnnData) -> np.ndarray:
    mean = 0.2 + adata.obsm["true_spatial_factors"] @ adata.varm["true_spatial_loadings"].T
    if "true_nonspatial_factors" in adata.obsm:
        mean = (
            mean + adata.obsm["true_nonspatial_factors"] @ adata.varm["true_nonspatial_loadings"].T
        )
    return np.asarray(mean)


def in_order(places: np.ndarray, *others: np.ndarray) -> list[np.ndarray]:
    """Rows by their place on the grid, whatever order they came in."""
    step = np.rint((places + 2) * 35 / 4).astype(int)
    order = np.lexsort((step[:, 0], step[:, 1]))
    return [places[order], *(other[order] for other in others)]


@pytest.mark.parametrize("scenario", ["quilt", "ggblocks", "both"])
def test_maps_are_as_the_paper_says(scenario: str) -> None:
    factors = spatial_patterns(scenario)
    expected = ON["ggblocks"] + ON["quilt"] if scenario == "both" else ON[scenario]
    assert factors.sum(0).tolist() == expected
    assert np.isin(factors, [0, 1]).all()
    if scenario == "ggblocks":
        assert factors.sum(1).max() == 1


@pytest.mark.parametrize(
    ("number", "scenario"),
    [("sp_S01", "quilt"), ("sp_S06", "ggblocks"), ("sp_S11", "both"), ("mixed_S21", "both")],
)
def test_factors_and_places_are_those_of_the_paper(
    number: str, scenario: str, datasets: Path
) -> None:
    with np.load(datasets / "nsf_simulations" / f"bm_{number}.npz") as paper:
        places, factors = in_order(paper["coordinates"], paper["spatial_factors"])
    ours = simulate_spatial(scenario, n_genes=2)
    np.testing.assert_array_equal(ours.obsm["true_spatial_factors"], factors)
    np.testing.assert_allclose(ours.obsm["spatial"], places, atol=1e-5)  # theirs are float32


def test_factors_and_places_are_those_of_the_papers_file(datasets: Path) -> None:
    paper = ad.read_h5ad(datasets / "nsf_quilt_S1.h5ad")
    places, factors = in_order(paper.obsm["spatial"], paper.obsm["spfac"])
    ours = simulate_spatial("quilt")
    np.testing.assert_array_equal(ours.obsm["true_spatial_factors"], factors)
    np.testing.assert_allclose(ours.obsm["spatial"], places, atol=1e-5)
    assert set(np.unique(ours.varm["true_spatial_loadings"])) == set(
        np.unique(paper.varm["spload"])
    )


@pytest.mark.parametrize(
    ("design", "paper_file"), [("spatial", "sp_S01"), ("separate", "mixed_S01"),
                               ("mixed", "mixed_S06")]
)  # fmt: skip
def test_loadings_have_the_papers_design(design: str, paper_file: str, datasets: Path) -> None:
    with np.load(datasets / "nsf_simulations" / f"bm_{paper_file}.npz") as paper:
        theirs = {key: paper[key] for key in paper.files}
    ours = simulate_spatial("quilt", design)
    assert ours.n_vars == theirs["counts"].shape[1]
    for kind in ("spatial", "nonspatial"):
        if f"{kind}_loadings" not in theirs:
            assert f"true_{kind}_loadings" not in ours.varm
            continue
        own, other = ours.varm[f"true_{kind}_loadings"], theirs[f"{kind}_loadings"]
        assert own.shape == other.shape
        np.testing.assert_allclose(own.sum(1), other.sum(1))
        np.testing.assert_array_equal((own > 0).sum(1), (other > 0).sum(1))


@pytest.mark.parametrize("design", ["spatial", "separate", "mixed"])
def test_counts_have_the_planted_moments(design: str) -> None:
    adata = simulate_spatial("quilt", design, random_state=3)
    counts, mean = adata.layers["counts"].toarray(), mean_of(adata)
    for value in np.unique(mean.round(6)):
        own = counts[np.isclose(mean, value)]
        variance = value + value**2 / 10
        assert own.mean() == pytest.approx(value, abs=5 * np.sqrt(variance / len(own)))
        # The variance of a sample variance, by the fourth moment as observed.
        error = np.sqrt((((own - value) ** 2 - variance) ** 2).mean() / len(own))
        assert own.var() == pytest.approx(variance, abs=5 * error)


def test_the_paper_has_the_same_moments(datasets: Path) -> None:
    with np.load(datasets / "nsf_simulations" / "bm_sp_S01.npz") as paper:
        theirs, truth = paper["counts"], paper["spatial_factors"] @ paper["spatial_loadings"].T
    adata = simulate_spatial("quilt", random_state=1)
    ours, mean = adata.layers["counts"].toarray(), mean_of(adata)
    for value in (0.2, 20.2):
        a, b = ours[np.isclose(mean, value)], theirs[np.isclose(truth + 0.2, value)]
        levels = np.arange(60)
        shares = [np.searchsorted(np.sort(c), levels, side="right") / len(c) for c in (a, b)]
        distance = np.abs(shares[0] - shares[1]).max()  # Kolmogorov-Smirnov
        assert distance < 1.95 * np.sqrt(1 / len(a) + 1 / len(b))


def test_an_infinite_shape_is_poisson() -> None:
    adata = simulate_spatial("ggblocks", shape=np.inf, random_state=0)
    counts, mean = adata.layers["counts"].toarray(), mean_of(adata)
    on = counts[mean > 1]
    assert on.var() / on.mean() == pytest.approx(1, abs=0.03)


def test_nonspatial_factors_are_on_a_fifth_of_the_time() -> None:
    U = simulate_spatial("both", "separate", n_genes=10).obsm["true_nonspatial_factors"]
    assert U.shape == (1296, 6)
    assert U.mean() == pytest.approx(0.2, abs=5 * np.sqrt(0.16 / U.size))


def test_the_seed_decides_everything(tmp_path: Path) -> None:
    first, again, other = (simulate_spatial(random_state=seed) for seed in (1, 1, 2))
    assert (first.layers["counts"] != again.layers["counts"]).nnz == 0
    np.testing.assert_array_equal(
        first.varm["true_spatial_loadings"], again.varm["true_spatial_loadings"]
    )
    assert (first.layers["counts"] != other.layers["counts"]).nnz > 0
    first.write_h5ad(tmp_path / "simulated.h5ad")
    read = ad.read_h5ad(tmp_path / "simulated.h5ad")
    assert read.uns["simulation"]["scenario"] == "quilt"
    np.testing.assert_array_equal(read.X.toarray(), np.log1p(first.layers["counts"].toarray()))


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"scenario": "letters"}, ValueError, "scenario='letters'"),
        ({"design": "hybrid"}, ValueError, "design='hybrid'"),
        ({"n_genes": 0}, ValueError, "n_genes=0"),
        ({"n_nonspatial": 3}, ValueError, "design='separate'"),
        ({"design": "mixed", "n_nonspatial": 0}, ValueError, "n_nonspatial=0"),
        ({"shape": 0}, ValueError, "shape=0"),
        ({"background": -1}, ValueError, "background=-1"),
        ({"expression": np.inf}, ValueError, "expression=inf"),
        ({"random_state": "x"}, TypeError, "random_state"),
    ],
)
def test_wrong_arguments_are_named(changes: dict, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        simulate_spatial(**changes)
