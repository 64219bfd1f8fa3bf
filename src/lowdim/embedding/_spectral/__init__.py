"""Eigenvectors and distances: what PCA, KernelPCA, PHATE and spectral layouts are made by."""
