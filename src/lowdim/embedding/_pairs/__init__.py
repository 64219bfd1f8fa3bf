"""Layouts by all pairs of points, under any kernel and optimiser, and by a network."""
