"""Layouts by edges and negative samples: UMAP, LargeVis, and what InfoTSNE shares with them."""
