"""Layouts of cells: made, compared and read honestly; a script in percent format, also a page."""

# data: pbmc3k.h5ad
# data: paul15.h5ad

# %% [markdown]
# # Layouts of cells, and how to read them
#
# A layout puts every row on a plane such that rows which are near in the data stay near. This page
# makes some of 2,638 blood cells (10x Genomics), says what they keep and what they do not, and
# places new cells in them. It is a script, `docs/tutorials/embeddings.py`; what it prints and draws
# is what you see.

# %%
import os
from pathlib import Path

import anndata
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import scanpy as sc

import lowdim as ld
from lowdim.affinities import EntropicAffinity
from lowdim.neighbors import nearest_neighbors

pd.set_option("display.width", 110, "display.max_columns", 12, "display.precision", 3)
folder = Path(os.environ["LOWDIM_DATASETS"])


def prepared(name):
    """Log-normalised expression of 2,000 variable genes, and 50 principal components."""
    adata = anndata.read_h5ad(folder / name)
    sc.pp.normalize_total(adata, target_sum=1e4)
    sc.pp.log1p(adata)
    sc.pp.highly_variable_genes(adata, n_top_genes=2000)
    sc.pp.pca(adata, n_comps=50, mask_var="highly_variable", random_state=0)
    return adata


cells = prepared("pbmc3k.h5ad")
print(cells.obs["cell_type"].value_counts())

# %% [markdown]
# ## One call
#
# No PCA is run behind your back: name the matrix to lay out. The layout goes where scanpy looks for
# it, in `obsm["X_tsne"]`, and how it was made in `uns["tsne"]`.

# %%
ld.tl.embed(cells, "tsne", use_rep="X_pca", random_state=0)
print({name: cells.uns["tsne"][name] for name in ("kl_divergence", "n_iter", "stop_reason")})
ld.pl.embedding(cells, ["cell_type", "MS4A1"], basis="tsne")

# %% [markdown]
# ## From neighbours to affinities to a layout
#
# The call does three things, and each can be had by itself. It finds the nearest neighbours of
# every cell; turns their distances into affinities, such that every cell has about as many
# neighbours as the perplexity says, near ones in dense regions and far ones in sparse; and moves
# points until their own similarities are as like these affinities as can be.

# %%
rows = cells.obsm["X_pca"]
neighbors = nearest_neighbors(rows, 90)
graph = EntropicAffinity(perplexity=30).from_neighbors(neighbors)
print(
    f"{graph.matrix.nnz / graph.n_rows:.0f} affinities a row; they sum to {graph.matrix.sum():.6f}"
)
width = pd.Series(graph.bandwidths, index=cells.obs["cell_type"].to_numpy())
print(width.groupby(level=0).median().sort_values().rename("bandwidth").round(2))

model = ld.TSNE(affinity="precomputed", init="spectral", random_state=0).fit(graph.matrix)
print(f"KL divergence {model.kl_divergence_:.3f} from the graph alone")

# %% [markdown]
# The same holds for a graph that is there already: after `sc.pp.neighbors(adata)`,
# `ld.tl.embed(adata, neighbors_key="neighbors")` lays it out.
#
# ## A spectrum of layouts
#
# `exaggeration` multiplies the attraction. More of it gives up fine structure for what is
# continuous, as UMAP does, and far beyond it the layout comes down to the eigenvectors of the graph
# (Böhm, Berens and Kobak 2022). The data and the affinities are the same in all three pictures.

# %%
fig, axes = plt.subplots(1, 3, figsize=(12, 4), layout="constrained")
for ax, exaggeration in zip(axes, (1, 2, 4), strict=True):
    ld.tl.embed(
        cells,
        use_rep="X_pca",
        params={"exaggeration": exaggeration},
        key_added=f"X_rho{exaggeration}",
    )
    ld.pl.embedding(cells, "cell_type", basis=f"rho{exaggeration}", legend="on data", ax=ax)
    ax.set_title(f"exaggeration {exaggeration}")

# %% [markdown]
# ## Other methods
#
# `method` is a name. All take the same rows or graph and leave the same entries.

# %%
for method in ("umap", "pacmap"):
    ld.tl.embed(cells, method, use_rep="X_pca")
fig, axes = plt.subplots(1, 2, figsize=(8.5, 4), layout="constrained")
for ax, method in zip(axes, ("umap", "pacmap"), strict=True):
    ld.pl.embedding(cells, "cell_type", basis=method, legend="on data", ax=ax)
    ax.set_title(method)

# %% [markdown]
# ## What a layout keeps
#
# No layout in a plane keeps everything, so it is worth knowing what this one does. The measures
# compare a layout with the rows it was made from: shares of nearest neighbours that are kept, the
# order of large distances, and whether neighbours still tell the type of a cell as well as they do
# in the data. Rank by no single one of them: t-SNE is good at near neighbours, principal components
# at far distances.

# %%
cells.obsm["X_pc2"] = rows[:, :2]
keys = ["X_pc2", "X_tsne", "X_rho4", "X_umap", "X_pacmap"]
quality = pd.concat(
    ld.get.embedding_quality(cells, key, labels="cell_type", use_rep="X_pca") for key in keys
)
print(quality.T)
ld.pl.embedding_quality(quality)

# %% [markdown]
# ## What must not be read
#
# Three layouts of data that we made ourselves. *Sizes*: a wide and a narrow group come out alike,
# since affinities adapt to the density. *Distances*: the third group is ten times as far from the
# first two as these are from each other, and does not look it. *Groups*: with a small perplexity
# one plain Gaussian cloud breaks up into clumps that mean nothing.

# %%
rng = np.random.default_rng(0)
wide, narrow = rng.normal(size=(500, 20)), rng.normal(scale=0.1, size=(500, 20))
shift = np.eye(20)[0]
examples = {
    "one group is ten times as wide": (np.vstack([wide, narrow + 20 * shift]), 30),
    "2 is ten times as far from 0 as 1 is": (
        np.vstack([wide, wide + 10 * shift, wide + 100 * shift]),
        30,
    ),
    "one Gaussian cloud, perplexity 3": (wide, 3),
}
fig, axes = plt.subplots(1, 3, figsize=(12, 4), layout="constrained")
for ax, (title, (data, perplexity)) in zip(axes, examples.items(), strict=True):
    layout = ld.TSNE(perplexity=perplexity, random_state=0).fit_transform(data)
    ld.pl.embedding(layout, np.arange(len(data)) // 500, legend="on data", ax=ax)
    ax.set_title(title)

# %% [markdown]
# So find groups in the data (`ld.tl.mixture`, `ld.tl.subspaces`) and show them in a layout, rather
# than find them in it. What another start does not change is more than chance: here the layout
# begins at random instead of at principal components. The groups are the same and as many
# neighbours are kept; their arms point elsewhere.

# %%
ld.tl.embed(cells, use_rep="X_pca", init="random", random_state=1, key_added="X_random")
ld.pl.embedding(cells, {"from random places": cells.obs["cell_type"]}, basis="random")
print(
    pd.concat(
        ld.get.embedding_quality(cells, key, use_rep="X_pca")[
            ["preservation_15", "trustworthiness", "distance_correlation"]
        ]
        for key in ("X_tsne", "X_random")
    )
)

# %% [markdown]
# ## New cells
#
# `transform` puts new rows into a layout that stays as it is, each by itself: neither the order nor
# the number of the others matters. A fifth of the cells is held out here, and the type of each is
# read off its neighbours in the picture.

# %%
held_out = np.random.default_rng(0).random(cells.n_obs) < 0.2
types = cells.obs["cell_type"].astype(str).to_numpy()
model = ld.TSNE(random_state=0).fit(rows[~held_out])
placed = model.transform(rows[held_out])

from sklearn.neighbors import KNeighborsClassifier

for name, fitted, new in (
    ("in the data", rows[~held_out], rows[held_out]),
    ("in the layout", model.embedding_, placed),
):
    score = KNeighborsClassifier(15).fit(fitted, types[~held_out]).score(new, types[held_out])
    print(f"types of new cells told by their neighbours {name}: {score:.3f}")

fig, ax = plt.subplots(figsize=(6.5, 4.5), layout="constrained")
ld.pl.embedding(model.embedding_, ax=ax)
ld.pl.embedding(
    placed, {"new cells over those of the fit": cells.obs["cell_type"][held_out].array}, ax=ax
)

# %% [markdown]
# ## A trajectory
#
# Blood progenitors of the mouse (Paul et al. 2015), which turn into red and white cells. What is
# continuous is torn less by more attraction; here too the measures say what it costs.

# %%
blood = prepared("paul15.h5ad")
for exaggeration in (1, 4):
    ld.tl.embed(
        blood,
        use_rep="X_pca",
        n_pcs=20,
        params={"exaggeration": exaggeration, "perplexity": 50},
        key_added=f"X_rho{exaggeration}",
    )
fig, axes = plt.subplots(1, 2, figsize=(11, 4.4), layout="constrained")
for ax, exaggeration in zip(axes, (1, 4), strict=True):
    title = f"exaggeration {exaggeration}"
    ld.pl.embedding(blood, {title: blood.obs["cell_type"]}, basis=f"rho{exaggeration}", ax=ax)
print(
    pd.concat(
        ld.get.embedding_quality(blood, key, labels="cell_type") for key in ("rho1", "rho4")
    ).T
)

# %% [markdown]
# From the command line, `lowdim embed cells.h5ad --use-rep X_pca --labels cell_type -o out` leaves
# the layout, its picture, these measures and a report in a folder. The page on
# [embeddings](../embeddings.md) says which method is for what.
