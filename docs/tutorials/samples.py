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

pd.set_option("display.width", 110, "display.max_columns", 12, "display.precision", 3)
adata = anndata.read_h5ad(Path(os.environ["LOWDIM_DATASETS"]) / "bcrxl_cytof.h5ad")
adata.var_names = [name.split("(")[0] for name in adata.var_names]
adata.layers["arcsinh"] = np.arcsinh(adata.X / 5)
print(adata.obs.groupby(["donor", "condition"], observed=True).size().unstack())

# %% [markdown]
# ## A mixture for every sample
#
# Every sample becomes a Gaussian mixture of its cells: components are populations with a size, a
# place and a shape. BIC chooses how many components each sample has. The call has the arguments of
# ggml-ot's `fit_gmm` and leaves the same entries in the AnnData.

# %%
cohort = ld.tl.fit_gmm(
    adata,
    sample_key="sample",
    label_key="condition",
    layer="arcsinh",
    k_comps=[4, 6, 8, 10],
    covariance_type="diag",
    verbose=False,
)
donors = np.array([name.split("_")[0] for name in cohort.names])
print(cohort.names, cohort.supports.shape)
ld.pl.sample_selection(adata, "gmm_arcsinh")
