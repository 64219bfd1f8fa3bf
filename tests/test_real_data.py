"""Real data: agreement with known cell types, and known markers, from one stated recipe.

The recipe is that of benchmarks/quality.py: a mixture of lines with shared noise on 2,000 scaled,
log-normalised genes, three starts of its own.
"""

from pathlib import Path

import pytest

import lowdim as ld

sc = pytest.importorskip("scanpy")

pytestmark = pytest.mark.slow

#: Genes by which these cells are known; two of a set among a component's top genes find it.
MARKERS = {
    "CD4 T": {"CD3D", "IL7R", "LTB", "LDHB", "CCR7", "CD3E"},
    "CD8 T": {"CD8A", "CD8B", "CCL5", "GZMK"},
    "NK": {"NKG7", "GNLY", "GZMB", "PRF1"},
    "B": {"MS4A1", "CD79A", "CD79B", "TCL1A"},
    "CD14 monocytes": {"LYZ", "CD14", "S100A8", "S100A9"},
    "FCGR3A monocytes": {"FCGR3A", "MS4A7", "LST1", "CKB"},
    "dendritic": {"FCER1A", "CST3", "CLEC10A", "CD1C"},
    "platelets": {"PPBP", "PF4", "GNG11", "SDPR"},
}
N_TYPES = 9


@pytest.fixture(scope="module")
def pbmc(datasets: Path):
    import anndata

    adata = anndata.read_h5ad(datasets / "pbmc3k.h5ad")
    sc.pp.normalize_total(adata, target_sum=1e4)
    sc.pp.log1p(adata)
    sc.pp.highly_variable_genes(adata, n_top_genes=2000)
    adata = adata[:, adata.var["highly_variable"]].copy()
    scaled = adata.copy()
    sc.pp.scale(scaled, zero_center=False, max_value=10)
    adata.layers["scaled"] = scaled.X
    return adata


def fit(pbmc, seed: int):
    return ld.tl.subspaces(
        pbmc,
        N_TYPES,
        dims=1,
        layer="scaled",
        shared_noise=True,
        init="kmeans",
        n_init=3,
        tol=1e-4,
        random_state=seed,
        device="cpu",
        copy=True,
    )


@pytest.fixture(scope="module")
def fits(pbmc):
    return [fit(pbmc, seed) for seed in range(3)]


def agreement(adata, groups) -> float:
    from sklearn.metrics import adjusted_rand_score

    return adjusted_rand_score(adata.obs["cell_type"].astype(str), groups)


def test_lines_agree_with_cell_types_better_than_kmeans_on_the_same_genes(pbmc, fits) -> None:
    from sklearn.cluster import KMeans

    scaled = pbmc.layers["scaled"]
    clusters = [KMeans(N_TYPES, n_init=3, random_state=s).fit_predict(scaled) for s in range(4)]
    best_of_kmeans = max(agreement(pbmc, labels) for labels in clusters)
    found = sorted(agreement(one, one.obs["subspaces"]) for one in fits)
    assert found[0] > 0.6
    assert found[1] > best_of_kmeans  # the median


def test_the_top_genes_of_components_are_known_markers(fits) -> None:
    top = ld.get.top_genes(fits[1], by="mean", n_genes=15)
    genes = [set(own) for _, own in top.groupby("component")["gene"]]
    found = [name for name, known in MARKERS.items() if any(len(known & g) >= 2 for g in genes)]
    assert len(found) >= 6, found
