"""The descent of t-SNE: attraction, repulsion by all pairs or by a mesh, and new points."""
