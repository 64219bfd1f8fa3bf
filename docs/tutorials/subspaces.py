"""The tutorial on mixtures of subspaces: a script in percent format, which is also a page."""

# %% [markdown]
# # Subspaces of blood cells
#
# From counts to components, their genes and their coordinates, on 700 blood cells. This page is a
# script, `docs/tutorials/subspaces.py`; what it prints and draws is what you see.

# %%
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import lowdim as ld

pd.set_option("display.width", 110, "display.max_columns", 12, "display.precision", 3)
adata = ld.data.pbmc68k()
print(adata)

# %% [markdown]
# The cells are a sample of the 68,000 of Zheng et al. (2017), with the 765 variable genes that
# scanpy's `pbmc68k_reduced` keeps. `bulk_labels` are cell types that the authors of that set found
# by comparing each cell with sorted populations. The model does not see them.
#
# ## From counts to a representation
#
# The model has Gaussian noise, so counts must be normalised and transformed first. Here: counts per
# 10,000 of the cell's total over all genes, then log(1 + x), which is also what comes in `adata.X`.

# %%
counts = adata.layers["counts"]
totals = adata.obs["n_counts"].to_numpy(dtype=float)
X = np.log1p(counts.toarray() / totals[:, None] * 1e4)
print("largest difference from adata.X:", f"{np.abs(X - adata.X.toarray()).max():.1g}")

# %% [markdown]
# Genes are many and cells few, so the model is fitted to principal components. How many? As many as
# have more variance than the first component of the same genes with their cells shuffled, each gene
# by itself. That choice uses no labels. Genes are centred but not scaled: a gene counts as
# much as it varies.

# %%
centred = X - X.mean(0)
left, singular, axes = np.linalg.svd(centred, full_matrices=False)
shuffled = np.random.default_rng(0).permuted(centred, axis=0)
n_pcs = int((singular > np.linalg.svd(shuffled, compute_uv=False)[0]).sum())

adata.obsm["X_pca"] = left[:, :n_pcs] * singular[:n_pcs]
adata.varm["PCs"] = axes[:n_pcs].T
share = (singular[:n_pcs] ** 2).sum() / (singular**2).sum()
print(f"{n_pcs} principal components, {share:.0%} of the variance")

# %% [markdown]
# `X_pca` and `PCs` are scanpy's names, and `sc.pp.pca` would have written the same. Because `PCs`
# is there, lowdim can lead axes and centres back to genes.
#
# ## Search
#
# `select_subspaces` tries up to 12 components of 0 to 4 dimensions each, ranks what it reached by
# BIC, and writes the best mixture into `adata`.

# %%
ld.tl.select_subspaces(adata, n_components=12, dims=4, use_rep="X_pca", random_state=0)
table = ld.get.selection(adata)
print(table.drop(columns=["n_components", "n_parameters", "degenerate"]).head(8).to_string())

# %% [markdown]
# A row is a list of dimensions, one per component. How to read it:
#
# - **bic**: low is good. Rows whose BIC differs by less than about 10 explain the data
#   about equally well, and nothing here says which of them is true.
# - **restarts_agreeing**: how many runs ended at this likelihood. One run alone means that a better
#   optimum may exist for this list.
# - **smallest_component**: the expected number of cells in it. A component of a few cells is a
#   candidate for a closer look, not yet a cell type.
#
# The picture shows every mixture that was tried. If the line still falls at its right end, the
# limit of 12 decided and not the data; where it has become flat, each further component explains
# little.

# %%
ld.pl.selection(adata)

# %% [markdown]
# ## What was found
#
# `share_in_subspace` is the part of a component's variance that lies along its axes.
# `purity` is the share of the most frequent label.

# %%
components = ld.get.components(adata, labels="bulk_labels")
print(components.drop(columns=["weight", "mean_probability"]).to_string())

# %%
ld.pl.subspaces(adata)

# %% [markdown]
# Points, lines and planes are drawn as such, with an outline of two standard deviations. The same
# in three dimensions, from two sides:

# %%
ld.pl.subspaces(adata, axes=(0, 1, 2), views=[(20, -60), (20, 30)], legend=False)

# %% [markdown]
# ## Genes
#
# The genes that mark each component are those whose mean lies furthest above that of all other
# cells, in standard deviations.

# %%
markers = ld.get.top_genes(adata, n_genes=6, by="mean")
print(markers.groupby("component", sort=False)["gene"].agg(", ".join).to_string())

# %% [markdown]
# NK cells should show GNLY and NKG7, B cells CD79A and MS4A1, monocytes LST1 and FCGR3A or LYZ, and
# T cells CD3D and CD3E.
#
# An axis is a programme along which the cells of one component differ. Its genes have positive or
# negative loadings, and the sign of the axis as a whole means nothing.

# %%
largest = int(components["size"].argmax())
ld.pl.loadings(adata, largest)

# %% [markdown]
# Genes of the cell cycle (STMN1, HMGB2, PCNA) or of stress (JUNB, FOS) at the top of an axis say
# that cells of one type differ in state. Look also whether an axis is merely sequencing depth:

# %%
assigned = adata.obs["subspaces"].cat.codes.to_numpy()
coordinates = adata.obsm["subspaces"]
for k, d in enumerate(components["dim"]):
    own = assigned == k
    r = [np.corrcoef(coordinates[own, j], np.log(totals[own]))[0, 1] for j in range(d)]
    if d:
        print(f"component {k}, correlation with log depth: {np.round(r, 2)}")

# %% [markdown]
# ## Against the labels, and against k-means
#
# Where do the cells of each labelled type go?

# %%
ld.pl.composition(adata, labels="bulk_labels")

# %% [markdown]
# k-means on the same principal components, with as many clusters, compared by the adjusted Rand
# index (1: the same partition, 0: as alike as by chance):

# %%
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score

labels = adata.obs["bulk_labels"]
kmeans = KMeans(len(components), n_init=10, random_state=0).fit_predict(adata.obsm["X_pca"])
print(f"subspaces and labels   {adjusted_rand_score(labels, assigned):.2f}")
print(f"k-means and labels     {adjusted_rand_score(labels, kmeans):.2f}")
print(f"subspaces and k-means  {adjusted_rand_score(assigned, kmeans):.2f}")

# %% [markdown]
# Read this with care. The ten labels come from another method, several of them are kinds of T cell
# that these genes hardly tell apart, and a search by BIC does not aim at them. What the mixture
# adds to a partition is the probability of each cell, the noise of each component, and its axes.

# %%
ld.pl.responsibilities(adata, labels="bulk_labels")

# %% [markdown]
# ## Can the fit be trusted?
#
# A search that reached a mixture once may have been lucky. Fit the chosen dimensions afresh, from
# twenty starts that know nothing of the search.

# %%
dims = list(table["dims"].iloc[0])
fresh = ld.SubspaceMixture(dims=dims, n_init=20, random_state=1).fit(adata.obsm["X_pca"])
same = adjusted_rand_score(assigned, fresh.predict(adata.obsm["X_pca"]))
print(f"log-likelihood {fresh.lower_bound_ * len(adata):.1f} afresh", end=", ")
print(f"{table['log_likelihood'].iloc[0]:.1f} in the search; agreement of the cells {same:.2f}")

# %%
ld.pl.convergence(fresh)

# %% [markdown]
# If several starts end together at the search's likelihood, its mixture can be relied on. If they
# end below it and apart, as is usual with many small components, the best mixture is hard to find:
# splits and merges got the search farther than fresh starts get. Rely then on what runs have in
# common (the clear types, their markers) and not on the border between two neighbouring components.
# Fewer components are easier to find: `n_components=6` in the search above is worth a try.

# %% [markdown]
# ## The model, on these or other cells
#
# `ld.get.model` returns the estimator behind the results. It works on arrays.

# %%
model = ld.get.model(adata)
pcs = adata.obsm["X_pca"]

latent = model.transform(pcs)  # coordinates in each cell's own component
denoised = model.reconstruct(pcs)  # each cell without what the model calls noise
kept = 1 - ((pcs - denoised) ** 2).sum() / ((pcs - pcs.mean(0)) ** 2).sum()
print(f"coordinates {latent.shape}, reconstruction {denoised.shape}: {kept:.0%} of the variance")

unusual = np.argsort(model.score_samples(pcs))[:5]
print("cells that fit worst:", ", ".join(adata.obs_names[unusual]))

# %% [markdown]
# New cells need the same genes, normalisation and axes: `(new - X.mean(0)) @ adata.varm["PCs"]`,
# then `model.predict`.
#
# ## Save

# %%
with tempfile.TemporaryDirectory() as folder:
    adata.write_h5ad(Path(folder) / "result.h5ad")  # data and results
    model.save(Path(folder) / "model.h5")  # the model alone
    again = ld.load(Path(folder) / "model.h5")
print("the same model:", np.array_equal(again.predict(pcs), model.predict(pcs)))

# %% [markdown]
# A report of all this in one HTML file: `ld.report.write(adata, "report.html")`. What each part of
# the model means, and when it misleads: [Mixtures of subspaces](../subspaces.md).

# %%
plt.show()
