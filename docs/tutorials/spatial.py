"""Spatial factors, from counts to genes: a script in percent format, also a page."""

# %% [markdown]
# # Spatial factors, from counts to genes
#
# A tissue of which we know the truth: 1,296 spots on a grid, and 500 genes, half of which follow
# four patterns with sharp edges, and half three programmes that know nothing of space (a simulation
# of Townes and Engelhardt 2023). We ask how many factors there are, fit them, look at maps, and
# read off which genes are spatial. Then the same with other models, and with gaps. This page is a
# script, `docs/tutorials/spatial.py`; what it prints and draws is what you see.

# %%
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import lowdim as ld

pd.set_option("display.width", 110, "display.max_columns", 12, "display.precision", 3)
adata = ld.data.simulate_spatial("quilt", design="separate", random_state=0)
print(adata)

# %% [markdown]
# Counts are in a layer, coordinates in `obsm["spatial"]`. On data of your own you would now choose
# genes and hold out places:
#
# - `ld.pp.deviance_selection(adata, 2000)` ranks genes by how badly a constant rate describes them,
# - `ld.pp.train_test_split(adata, 0.95)` marks rows to fit,
# - `ld.pp.size_factors(adata)` says how deeply each row was counted.
#
# The simulation has one depth for all. We keep every fifth gene, so that this page is made in a
# minute, and hold out a twentieth of the spots.

# %%
ld.pp.train_test_split(adata, 0.95, random_state=0)
adata = adata[:, ::5].copy()
train = adata[adata.obs["train"]].copy()
test = adata[~adata.obs["train"]].copy()
print(f"{train.n_obs} spots to fit, {test.n_obs} held out, {train.n_vars} genes")

# %% [markdown]
# ## How many?
#
# `ld.select_factors` fits sizes to some places and asks what they say of others. The deviance of
# counts at places held out falls steeply up to the right number of spatial factors; more of them
# hardly change it. Factors without a place say nothing of places held out, so that this is about
# the spatial ones: genes of the first half.

# %%
spatial_genes = train[:, : train.n_vars // 2]
found = ld.select_factors(
    spatial_genes.layers["counts"],
    train.obsm["spatial"],
    ld.SpatialFactorization(inducing=200, n_init=4, random_state=0),
    n_factors=range(1, 7),
    rule="one_standard_error",
    n_splits=1,
)
print(found.table[["n_factors", "deviance", "standard_error", "explained"]])
print("chosen:", found.n_factors_)

# %% [markdown]
# The rule takes the smallest number within a standard error of the best. The default, the elbow of
# the curve, would say three: the fourth pattern, a fine one of few genes, is worth least. Look at
# the table before you take a number from it.

# %% [markdown]
# ## Fit
#
# Four factors over space, and three beside them that are not (`"nsfh"`). With every count
#
# $$y_{ij} \sim \mathrm{Poisson}\left(\sum_l w_{jl} e^{f_{il}}\right), \quad w \geq 0$$
#
# and every spatial $f_l$ a Gaussian process over the coordinates.

# %%
ld.tl.spatial_factors(train, 7, "nsfh", n_spatial=4)
print(ld.get.factors(train))

# %%
ld.pl.spatial_factors(train)

# %% [markdown]
# The first four maps are the patterns of the quilt, and the last three have no order in space, as
# Moran's I says. How sure is the fit? The standard deviation is a share of the level.

# %%
ld.pl.spatial_factors(train, factors=[0, 1], uncertainty=True)

# %% [markdown]
# Against the truth, factors matched one to one:

# %%
names = "true_spatial_factors", "true_nonspatial_factors"
truth = np.hstack([train.obsm[name] for name in names])
print(ld.metrics.factor_correlations(truth, train.obsm["spatial_factors"]).round(3))

# %% [markdown]
# ## What the factors stand for
#
# Genes that mark a factor are both specific and frequent in it. `share` is how much of the gene's
# rate the factor carries.

# %%
genes = ld.get.top_genes(train, "spatial_factors", n_genes=3)
print(genes[["factor", "gene", "share", "log2_fold_change"]].head(9))

# %% [markdown]
# The **spatial importance** of a gene is the share of its rate that spatial factors carry. The
# first half of the genes follow the patterns, the other half do not, and the fit tells them apart:

# %%
importance = ld.get.spatial_importance(train)["spatial"]
half = train.n_vars // 2
print(f"spatial genes: {importance[:half].mean():.2f}, others: {importance[half:].mean():.2f}")
ld.pl.spatial_importance(train)

# %% [markdown]
# ## Is it a good fit?
#
# Counts were drawn with more variance than Poisson (a shape of 10), and the panel shows it: bars
# reach beyond the band where counts are large.

# %%
ld.pl.goodness_of_fit(train)

# %% [markdown]
# The negative binomial learns a dispersion for every gene; the truth is 0.1.

# %%
model = ld.HybridSpatialFactorization(7, 4, likelihood="negative_binomial", random_state=0)
model.fit(train.layers["counts"], train.obsm["spatial"])
print(f"median dispersion {np.median(model.dispersions_):.3f}")
poisson = train.uns["spatial_factors"]["objective"]
print(f"bound per spot {model.lower_bound_:.1f}; of the Poisson {poisson:.1f}")

# %% [markdown]
# ## Elsewhere
#
# Factors have a value, with its uncertainty, at any place: at spots held out, or on a fine grid.
# Half of the genes follow factors without a place, which cannot be predicted elsewhere: the share
# explained is of all genes, and thus far below that of the spatial ones above.

# %%
rates = model.predict(test.obsm["spatial"])
share = ld.metrics.deviance_explained(
    test.layers["counts"], rates, ld.metrics.constant_rates(train.layers["counts"])
)
print(f"share of the deviance explained at places held out: {share:.2f}")
side = np.linspace(-2, 2, 80)
fine = np.stack(np.meshgrid(side, side), -1).reshape(-1, 2)
mean, variance = model.predict_factors(fine)
figure, axes = plt.subplots(1, 2, figsize=(7, 3.2))
for ax, values, title in zip(
    axes, (mean, variance**0.5), ("factor 0", "standard deviation"), strict=True
):
    image = ax.imshow(values[:, 0].reshape(80, 80), origin="lower", extent=(-2, 2, -2, 2))
    ax.set_title(title)
    figure.colorbar(image, ax=ax)

# %% [markdown]
# ## Gaps, and several slides
#
# A count that is not known is NaN, and says nothing. With `sample_key` (or `samples=` of an
# estimator) slides share their genes' loadings, and each has factors of its own.

# %%
counts = train.layers["counts"]
counts = np.asarray(counts.todense() if hasattr(counts, "todense") else counts, dtype=float)
hidden = np.random.default_rng(0).random(counts.shape) < 0.2
gaps = ld.SpatialFactorization(4, random_state=0)
gaps.fit(np.where(hidden, np.nan, counts)[:, :half], train.obsm["spatial"])
whole = ld.SpatialFactorization(4, random_state=0)
whole.fit(counts[:, :half], train.obsm["spatial"])
print(ld.metrics.factor_correlations(whole.factors_, gaps.factors_).round(3))

# %% [markdown]
# ## Other models of the family
#
# | model | | |
# |---|---|---|
# | RSF | `model="rsf"`, `layer=` | real-valued factors of values, such as logarithms |
# | MEFISTO-like | `model="mefisto"` | the same, with length scales that are learned |
# | PNMF, FA | `model="pnmf"`, `"fa"` | without places |
#
# Real-valued factors may be rotated among themselves. They are shown on the axes on which most
# genes load on few factors (varimax); those of largest variance mix the patterns.

# %%
values = np.log1p(counts[:, :half])
patterns = train.obsm["true_spatial_factors"]
print("nonnegative", ld.metrics.factor_correlations(patterns, whole.factors_).round(2))
for rotation in ("varimax", None):
    real = ld.SpatialFactorization(
        4, nonnegative=False, likelihood="gaussian", rotation=rotation
    ).fit(values, train.obsm["spatial"])
    print(rotation, ld.metrics.factor_correlations(patterns, real.factors_).round(2))

# %% [markdown]
# From the command line, with a report in one HTML file:
#
# ```sh
# lowdim spatial spots.h5ad -n 10 --top-genes 2000 --size-factors mean -o out
# ```
#
# [Spatial factors](../spatial.md) has the equations, [the page on AnnData](../spatial_anndata.md)
# the keys and figures, and [the page on tools](../spatial_tools.md) simulations, measures, grids.
