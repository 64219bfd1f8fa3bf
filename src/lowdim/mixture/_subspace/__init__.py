"""Subspace components: low-dimensional Gaussian latent variable models."""
