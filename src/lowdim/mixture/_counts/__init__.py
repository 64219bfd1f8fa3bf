"""Mixtures of negative binomial and Poisson distributions for count matrices."""
