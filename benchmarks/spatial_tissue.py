"""Spatial factors of a real tissue and principal components: which tell annotated regions.

python benchmarks/spatial_tissue.py [--write]

osmFISH of mouse cortex (Codeluppi et al. 2018), in a folder that LOWDIM_DATASETS names. A logistic
regression predicts the annotated region of a cell from as many factors or principal components.
Cells are held out at random, or whole patches of the tissue are: neighbours of a cell held out at
random tell smooth factors where it lies.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import anndata as ad
import numpy as np
import scanpy as sc
from _machine import cpu_time
from _parts import Part, arguments, run
from _tables import Table, seconds
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold, StratifiedKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import lowdim as ld

DATASETS = Path(__file__).resolve().parents[2] / "shared" / "datasets"
N_FACTORS = 8
N_PATCHES = 40


def accuracies(features: np.ndarray, regions: np.ndarray, places: np.ndarray) -> list[float]:
    """With cells held out, and with patches."""
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=5000))
    patches = KMeans(N_PATCHES, n_init=1, random_state=0).fit_predict(places)
    folds = (
        StratifiedKFold(5, shuffle=True, random_state=0).split(features, regions),
        GroupKFold(5).split(features, regions, patches),
    )
    return [float(cross_val_score(model, features, regions, cv=list(f)).mean()) for f in folds]


def tissue(_: argparse.Namespace) -> Table:
    """Regions from factors and from principal components."""
    folder = Path(os.environ.get("LOWDIM_DATASETS", DATASETS))
    adata = ad.read_h5ad(folder / "osmfish_cortex.h5ad")
    adata = adata[adata.obs["Region"].notna() & (adata.obs["Region"] != "Excluded")].copy()
    counts, places = adata.X, adata.obsm["spatial"]
    regions = adata.obs["Region"].astype(str).to_numpy()
    table = Table(
        "spatial-tissue",
        f"Regions of osmFISH cortex from {N_FACTORS} factors",
        ["features", "CPU", "cells held out", "patches held out"],
        f"{adata.n_obs:,} cells, {adata.n_vars} genes, {len(set(regions))} regions, 5 folds, "
        f"{N_PATCHES} patches by k-means of the places. Accuracy of a logistic regression on the "
        "logarithms of positive factors.",
    )
    table.begin([36, 8, 14, 16])
    normalised = adata.copy()
    sc.pp.normalize_total(normalised)
    sc.pp.log1p(normalised)
    values = normalised.X.toarray()
    models = {
        "NSF": ld.SpatialFactorization(N_FACTORS, size_factors="mean", random_state=0),
        "NSF, negative binomial": ld.SpatialFactorization(
            N_FACTORS, likelihood="negative_binomial", size_factors="mean", random_state=0
        ),
        "RSF of log values": ld.SpatialFactorization(
            N_FACTORS, nonnegative=False, likelihood="gaussian"
        ),
    }
    for name, model in models.items():
        rows = values if "log values" in name else counts
        cost, _ = cpu_time(lambda m=model, r=rows: m.fit(r, places))
        features = getattr(model, "log_factors_", model.factors_)
        table.add(name, seconds(cost), *(f"{a:.3f}" for a in accuracies(features, regions, places)))
    nmf = ld.PoissonNMF(N_FACTORS, size_factors="mean", random_state=0)
    cost, _ = cpu_time(lambda: nmf.fit(counts))
    own = accuracies(nmf.log_factors_, regions, places)
    table.add("PNMF (no places)", seconds(cost), *(f"{a:.3f}" for a in own))
    cost, pcs = cpu_time(lambda: PCA(N_FACTORS, random_state=0).fit_transform(values))
    own = accuracies(pcs, regions, places)
    table.add("principal components of log values", seconds(cost), *(f"{a:.3f}" for a in own))
    return table


def main() -> None:
    """Run the parts that were asked for."""
    parts: dict[str, Part] = {"tissue": tissue}
    run(arguments(__doc__, parts), parts)


if __name__ == "__main__":
    main()
