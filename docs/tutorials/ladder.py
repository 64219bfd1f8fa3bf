"""The ladder from k-means to mixtures of counts: a script in percent format, also a page."""

# %% [markdown]
# # A ladder of models, from k-means to counts
#
# Five models of the same 700 blood cells. Each rung gives up an assumption of the one below it, and
# each has one equation that says which. This page is a script, `docs/tutorials/ladder.py`; what it
# prints and draws is what you see.

# %%
import warnings

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import adjusted_rand_score

import lowdim as ld

pd.set_option("display.width", 110, "display.max_columns", 12, "display.precision", 3)
adata = ld.data.pbmc68k()
truth = adata.obs["bulk_labels"]

# %% [markdown]
# The cells are a sample of those of Zheng et al. (2017). The first four rungs see 10 principal
# components of the log-normalised expression, the last one the counts. No rung sees `bulk_labels`,
# which come from a comparison with sorted cells; they serve to compare the groups with. They are
# not the truth about these cells: neighbouring kinds of T cell are hard to tell apart.
#
# All rungs get the same number of groups, so that only the model differs.

# %%
K = 8
X = adata.obsm["X_pca"][:, :10].astype(np.float64)
adata.obsm["X_pca"], adata.varm["PCs"] = X, adata.varm["PCs"][:, :10]
print(f"{X.shape[0]} cells, {X.shape[1]} principal components")

# %% [markdown]
# ## Rung 1: k-means
#
# Every cell belongs to the nearest of $K$ centroids, wholly:
#
# $$J = \sum_i \min_k \Vert x_i - \mu_k \Vert^2$$
#
# Cells go to the nearest centroid, centroids to the mean of their cells, until nothing moves. Each
# of these steps lowers $J$, the inertia, but where it ends depends on the start. So there are
# restarts, and how much their ends differ is worth a look.

# %%
hard = ld.KMeans(K, n_init=20, random_state=0).fit(X)
ends = np.sort(hard.restart_inertias_)
print(f"inertia {hard.inertia_:.0f}; 20 restarts end between {ends[0]:.0f} and {ends[-1]:.0f}")
print(f"ARI {adjusted_rand_score(truth, hard.labels_):.3f}")

# %%
ld.pl.subspaces(hard, X)

# %% [markdown]
# k-means cannot say how sure it is of a cell between two centroids, and it measures the distance to
# every centroid by the same round yardstick.
#
# ## Rung 2: soft k-means
#
# A cell has a share in every cluster, the larger the nearer it is:
#
# $$r_{ik} = \dfrac{e^{-\beta \Vert x_i - \mu_k \Vert^2}}
#   {\sum_l e^{-\beta \Vert x_i - \mu_l \Vert^2}}, \qquad
#   F = -\dfrac{1}{\beta} \sum_i \log \sum_k e^{-\beta \Vert x_i - \mu_k \Vert^2}$$
#
# The stiffness $\beta$ says how near is near, and the free energy $F$ takes the place of $J$. For
# $\beta \to \infty$ it is rung 1. Below a critical stiffness, which is
# $1 / (2 \lambda_{\max})$ with the largest variance of the data along any direction, the cells
# cannot tell the centroids apart, and these merge into one.

# %%
rows = []
for beta in (0.002, 0.02, 0.05, 0.1, 0.5, 5.0):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # below the critical stiffness, the fit says so
        soft = ld.SoftKMeans(K, beta=beta, annealing="auto", random_state=0).fit(X)
    centroids = np.unique(soft.cluster_centers_.round(2), axis=0)
    rows.append(
        {
            "beta": beta,
            "different centroids": len(centroids),
            "mean largest share": soft.predict_proba(X).max(1).mean(),
            "free energy": soft.free_energy_,
        }
    )
print(f"critical stiffness {soft.critical_beta_:.4f}; inertia of rung 1 {hard.inertia_:.0f}")
print(pd.DataFrame(rows).to_string(index=False))

# %% [markdown]
# Read from top to bottom: one centroid, then several, then all, with shares that become certain
# while the free energy climbs towards an inertia. `annealing="auto"` walks down this table within
# one fit: it begins a little above the critical stiffness, where there is hardly a choice, so that
# its end depends less on the start than that of k-means. It need not be the best end: 20 restarts
# of k-means found a lower inertia.
#
# ## Rung 3: Gaussian mixtures
#
# Soft k-means is a mixture of equally frequent, equally round Gaussians of variance
# $\sigma^2 = 1/(2\beta)$. The next rung learns how frequent, how wide and how long each group is:
#
# $$p(x) = \sum_k w_k \, N(x; \mu_k, \Sigma_k)$$
#
# This is a density, so models can be compared by how probable they make cells that they have not
# seen. Each shape of $\Sigma_k$ costs parameters: a matrix for each component has
# $K D (D + 1) / 2$ of them.

# %%
rng = np.random.default_rng(0)
order = rng.permutation(len(X))
train, test = X[order[:500]], X[order[500:]]


def compared(models):
    """What each model costs, how it fits, and how it agrees with the labels."""
    rows = []
    for name, model in models.items():
        unseen = model.fit(train).score(test)
        model.fit(X)
        rows.append(
            {
                "model": name,
                "parameters": model.n_parameters(),
                "BIC": model.bic(X),
                "unseen, per cell": unseen,
                "ARI": adjusted_rand_score(truth, model.predict(X)),
            }
        )
    return pd.DataFrame(rows)


kinds = ("spherical", "diag", "tied", "full")
gaussians = {kind: ld.GaussianMixture(K, covariance_type=kind, random_state=0) for kind in kinds}
print(compared(gaussians).to_string(index=False))

# %% [markdown]
# How many groups, then? `select_mixture` fits every size, also from the next smaller fit with a
# component split, and BIC chooses.

# %%
ld.tl.mixture(adata, "gaussian", n_components=range(1, 13), use_rep="X_pca")
ld.pl.elbow(adata)

# %%
ld.pl.subspaces(adata, key="mixture")

# %% [markdown]
# ## Rung 4: mixtures of subspaces
#
# Between a round component and one with a full matrix lie those that are long in a few directions
# and round in all others:
#
# $$\Sigma_k = V_k\,\mathrm{diag}(\lambda_k)\,V_k' + \sigma_k^2\,(I - V_k V_k')$$
#
# with $d_k$ axes for component $k$: a point, a line, a plane. A component is then not only a
# group but also a coordinate system for its cells, and each component gets as many axes as its
# cells need. `dims="auto"` searches over both numbers by BIC.

# %%
kinds = {"points": 0, "lines": 1, "planes": 2}
flats = {kind: ld.SubspaceMixture(K, dims=d, random_state=0) for kind, d in kinds.items()}
print(compared(flats).to_string(index=False))

# %%
ld.tl.subspaces(adata, K, "auto", use_rep="X_pca", random_state=0)
print("dimensions found:", adata.uns["subspaces"]["dims"].tolist())
print("BIC", f"{adata.uns['subspaces']['criteria']['bic']:.0f}")
ld.pl.subspaces(adata)

# %% [markdown]
# [Subspaces of blood cells](subspaces.py) goes on from here: what the axes are, and which genes
# they are made of.
#
# ## Rung 5: mixtures of counts
#
# All rungs so far needed counts to be divided, logged and projected first, and then took the result
# for Gaussian. The last rung models the counts:
#
# $$x_{ig} \mid k \sim \mathrm{NB}(s_i \mu_{kg}, \phi_g), \qquad
#   \mathrm{var} = s_i \mu_{kg} + \phi_g (s_i \mu_{kg})^2$$
#
# $s_i$ is the depth of the cell, $\mu_{kg}$ the expression of the gene in the component and
# $\phi_g$ how much the gene varies beyond counting noise. Nothing is transformed, and zeros are
# what they are.

# %%
counts = adata.layers["counts"]
model = ld.NegativeBinomialMixture(K, random_state=0).fit(counts)
print(f"ARI {adjusted_rand_score(truth, model.labels_):.3f}")
phi = model.dispersions_
print(f"dispersions: median {np.median(phi):.2f}, from {phi.min():.2g} to {phi.max():.2g}")

# %% [markdown]
# The components are profiles over the genes, so their markers come with a standard error.

# %%
names = adata.var_names.to_numpy()
for k in range(3):
    top = model.markers(k).head(4)
    genes = names[top.index.to_numpy(int)]
    said = ", ".join(
        f"{gene} {change:.1f} ± {error:.1f}"
        for gene, change, error in zip(
            genes, top["log2_fold_change"], top["standard_error"], strict=True
        )
    )
    label = truth[model.labels_ == k].mode()[0]
    print(f"component {k}, mostly {label}: {said}")

# %% [markdown]
# ## Which rung?
#
# Climb as far as the question asks for, and no further.
#
# | you want | take |
# |---|---|
# | a quick partition of very many cells | `KMeans` |
# | shares, or a picture of how groups split | `SoftKMeans`, annealed |
# | a density, groups of different width and frequency, a number of groups | `GaussianMixture` |
# | groups and the directions in which each varies; many columns | `SubspaceMixture` |
# | counts as they are, differences between groups with their errors | `NegativeBinomialMixture` |
#
# How the rungs agree with each other on these cells, as adjusted Rand indices:

# %%
with warnings.catch_warnings():
    warnings.simplefilter("ignore", ConvergenceWarning)
    soft = ld.SoftKMeans(K, beta=0.1, annealing="auto", random_state=0).fit(X)
groups = {
    "k-means": hard.labels_,
    "soft k-means": soft.labels_,
    "Gaussians": ld.GaussianMixture(K, random_state=0).fit_predict(X),
    "subspaces": adata.obs["subspaces"].astype(int).to_numpy(),
    "counts": model.labels_,
    "labels": truth.cat.codes.to_numpy(),
}
table = np.array([[adjusted_rand_score(a, b) for b in groups.values()] for a in groups.values()])
fig, ax = plt.subplots(figsize=(5.4, 4.6), layout="constrained")
image = ax.imshow(table, cmap="Blues", vmin=0, vmax=1)
ax.set_xticks(range(len(groups)), list(groups), rotation=30, ha="right")
ax.set_yticks(range(len(groups)), list(groups))
for i, row in enumerate(table):
    for j, value in enumerate(row):
        color = "white" if value > 0.6 else "black"
        ax.text(j, i, f"{value:.2f}", ha="center", va="center", color=color)
fig.colorbar(image, label="adjusted Rand index")
