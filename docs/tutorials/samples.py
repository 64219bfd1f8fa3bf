"""A cohort, from cells to patients: a script in percent format, also a page."""

# data: bcrxl_cytof.h5ad

# %% [markdown]
# # A cohort, from cells to patients
#
# Blood of eight donors, each measured twice by mass cytometry: at rest, and after its B cell
# receptors were cross-linked (Bodenmiller et al. 2012). 24 proteins of 24,000 cells. The question
# is not what a cell is but what a *sample* is: which samples are alike, and what tells the
# stimulated ones? This page is a script, `docs/tutorials/samples.py`; what it prints and draws is
# what you see. The file has a row per cell, raw intensities, and in `obs` the columns `donor`,
# `condition` and `sample`: any AnnData of that form will do.

# %%
import os
from pathlib import Path

import anndata
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import lowdim as ld
from lowdim.samples import (
    baseline_distances,
    component_families,
    cross_validate_samples,
    permutation_test,
)
from lowdim.transport import mixture_distances

pd.set_option("display.width", 110, "display.max_columns", 12, "display.precision", 3)
adata = anndata.read_h5ad(Path(os.environ["LOWDIM_DATASETS"]) / "bcrxl_cytof.h5ad")
adata.var_names = [name.split("(")[0] for name in adata.var_names]
adata.layers["arcsinh"] = np.arcsinh(adata.X / 5)
print(adata.obs.groupby(["donor", "condition"], observed=True).size().unstack())

# %% [markdown]
# ## A mixture for every sample
#
# Every sample becomes a Gaussian mixture of its cells: components are populations with a size, a
# place and a shape. BIC chooses how many each sample has. The call has the arguments of ggml-ot's
# `fit_gmm` and leaves the same entries in the AnnData.

# %%
cohort = ld.tl.fit_gmm(
    adata,
    sample_key="sample",
    label_key="condition",
    layer="arcsinh",
    k_comps=[4, 8, 12, 16],
    covariance_type="diag",
    verbose=False,
)
donors = np.array([name.split("_")[0] for name in cohort.names])
print(f"{cohort.supports.shape[0]} samples, {cohort.supports.shape[1]} components at most")
ld.pl.sample_selection(adata)

# %% [markdown]
# Where a sample takes the largest number that was offered, BIC would go on to finer populations;
# the curves are nearly flat there, and what follows does not need these.
#
# ## Which samples are alike
#
# The distance of two samples is what it takes to move the mass of one onto the other's: components
# are matched, and a match costs the Wasserstein distance of the two Gaussians (MW2). Nothing has
# been told of donors or conditions. In the map, samples lie about as far apart as these distances
# say.

# %%
ld.tl.sample_distances(adata, gmm_key="gmm_arcsinh")
fig, axes = plt.subplots(1, 2, figsize=(11, 4.5), layout="constrained")
ld.pl.sample_map(adata, "condition", ax=axes[0])
ld.pl.sample_map(adata, "donor", ax=axes[1])

# %%
ld.pl.sample_distances(adata, "condition")

# %% [markdown]
# ## Components that samples share
#
# Component 3 of one sample is not component 3 of another. Families join the components of all
# samples that are near, each with a barycentre; their weights say what a sample is made of.

# %%
families = component_families(cohort.gmm, 8, random_state=0)
means = pd.DataFrame(families.means, columns=adata.var_names)
print(means[["CD3", "CD4", "CD20", "IgM", "CD33", "CD14", "pS6", "pErk"]].round(1))
ld.pl.sample_composition(families.table(), labels=cohort.labels)

# %% [markdown]
# ## What tells the stimulated samples apart
#
# A ground metric is a linear map of the 24 proteins under which samples of one condition are near
# and those of different conditions far. The penalty on absolute values keeps it to few proteins.

# %%
ld.tl.ground_metric(
    adata,
    sample_key="sample",
    label_key="condition",
    layer="arcsinh",
    n_components=1,
    cost="mw2",
    alpha=1.0,
    reg=0.1,
    reg_type="l1",
    max_iter=200,
)
ld.pl.metric_loadings(adata)

# %% [markdown]
# CD20 leads: cross-linking takes it off the surface of B cells, in every donor. On its side is
# NF-kB's phosphorylation, on the other those of S6 and Akt, the pathway downstream of the receptor.
# So the map has found the biology; but it was told the labels. Whether it says anything of a donor
# whom it has not seen is another question.

# %% [markdown]
# ## An honest score
#
# Each donor is held out in turn, with both samples; the map is learned from the others, its
# settings are chosen within these, and the two samples get the condition of their nearest
# neighbours. Beside it stand distances that nobody had to learn, and labels that were shuffled
# within donors.

# %%
metric = ld.GroundMetric(
    1, cost="mw2", alpha=1.0, reg=0.1, reg_type="l1", max_iter=50, random_state=0
)
scores = {
    "learned map": cross_validate_samples(cohort, metric=metric, groups=donors),
    "MW2, no labels": cross_validate_samples(
        mixture_distances(cohort.mixtures), cohort.labels, groups=donors
    ),
    "means of cells": cross_validate_samples(
        baseline_distances(cohort, "means"), cohort.labels, groups=donors
    ),
}
print(pd.Series({name: found.score for name, found in scores.items()}, name="accuracy"))
shuffled = permutation_test(cohort, metric=metric, groups=donors, n_permutations=20, random_state=0)
print(f"shuffled labels: {shuffled.null_scores.mean():.2f}, p = {shuffled.p_value:.3f}")
ld.pl.confusion(scores["learned map"])

# %% [markdown]
# This cohort is an easy one: the means of all cells tell the conditions as well. That is the first
# thing to find out about a cohort of your own, and why the simple distances belong beside every
# learned one. Where classes differ in shapes of populations and not in means, they fail and the
# learned map does not: `ld.data.simulate_cohort(signal="covariance")` makes such cohorts.
