"""Subspaces of 700 blood cells: fit, tables, figure, report and files from an AnnData.

Run: python examples/subspaces_anndata.py        # writes blood_cells.{h5ad,html,png}

Needs scanpy, which holds the data: pip install 'lowdim[demo]'.
"""

import lowdim as ld

adata = ld.data.pbmc68k()  # X: log-normalised counts; obsm["X_pca"]: principal components
adata.obsm["X_pca"] = adata.obsm["X_pca"][:, :10].copy()
adata.varm["PCs"] = adata.varm["PCs"][:, :10].copy()

# ld.tl.select_subspaces would search for the number of components and their dimensions.
ld.tl.subspaces(adata, n_components=7, dims=2, use_rep="X_pca", random_state=0)

print(ld.get.components(adata, labels="bulk_labels").round(2).to_string(), end="\n\n")
markers = ld.get.top_genes(adata, n_genes=5, by="mean")
print(markers.groupby("component", sort=False)["gene"].agg(", ".join).to_string())

ld.pl.subspaces(adata).figure.savefig("blood_cells.png", dpi=120, bbox_inches="tight")
ld.report.write(adata, "blood_cells.html", labels="bulk_labels")
adata.write_h5ad("blood_cells.h5ad")  # keeps all results; `ld.get.model` makes an estimator of them
