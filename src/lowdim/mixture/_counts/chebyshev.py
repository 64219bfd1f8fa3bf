"""Chebyshev nodes in the logarithm of the size factor.

Sums over the genes without a count, and over the rows without one, are smooth functions of the size
factor s. They are needed at every s of the data, and are computed at a few nodes instead.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

#: Interpolation goes on until its error is below exp(-PRECISION) of the largest value.
PRECISION = 32.0


@dataclass(frozen=True)
class SizeNodes:
    """Nodes, and the size factors of rows among them.

    Attributes
    ----------
    nodes : ndarray of shape (M,)
        Size factors.
    sizes : ndarray of shape (N,)
        Those of the rows.
    """

    nodes: np.ndarray
    sizes: np.ndarray

    @classmethod
    def of(cls, sizes: np.ndarray, reach: float = 1.0) -> SizeNodes:
        """Nodes for the size factors, (N,), and for those up to `reach` times outside."""
        if reach == 1.0:
            distinct = np.unique(sizes)
            low, high = np.log(distinct[[0, -1]])
            count = n_nodes(0.5 * (high - low))
            if len(distinct) <= count:
                return cls(distinct, sizes)
        else:
            low, high = np.log(sizes.min() / reach), np.log(sizes.max() * reach)
            count = n_nodes(0.5 * (high - low))
        angles = np.pi * np.arange(count) / (count - 1)
        nodes = 0.5 * (low + high) - 0.5 * (high - low) * np.cos(angles)
        return cls(np.exp(nodes), sizes)

    @cached_property
    def matrix(self) -> np.ndarray:
        """How the rows lie among the nodes, (N, M).

        ``f(s_i) = sum_j matrix[i, j] f(nodes[j])`` for smooth f; its transpose turns sums over rows
        into sums over nodes.
        """
        return interpolation(np.log(self.sizes), np.log(self.nodes))

    def moved(self, sizes: np.ndarray) -> SizeNodes:
        """The same nodes for other size factors within their range."""
        return SizeNodes(self.nodes, sizes)

    @property
    def span(self) -> tuple[float, float]:
        """The least and the greatest size factor that the nodes serve."""
        return float(self.nodes.min()), float(self.nodes.max())


def n_nodes(half: float) -> int:
    """How many nodes an interval of log s of this half length needs.

    The functions are analytic in log s up to the poles of ``1 / (1 + s t)``, which are pi away from
    the real line, so the error falls as ``rho^-M`` with the rho of the ellipse through the poles.
    """
    if half <= 0:
        return 1
    ratio = np.pi / half
    return int(np.ceil(PRECISION / np.log(ratio + np.hypot(1.0, ratio)))) + 4


def interpolation(points: np.ndarray, nodes: np.ndarray) -> np.ndarray:
    """Values of the Lagrange polynomials of Chebyshev-Lobatto nodes, (N, M), barycentric."""
    return barycentric(points, nodes, signs(len(nodes)))


def signs(n: int) -> np.ndarray:
    """The barycentric weights of so many nodes, (M,)."""
    found = (-1.0) ** np.arange(n)
    found[[0, -1]] *= 0.5
    return found


def barycentric(points: Any, nodes: Any, signs: Any) -> Any:
    """`interpolation` of arrays or of tensors."""
    away = points[:, None] - nodes
    at_node = abs(away) < 1e-14
    matrix = signs / (away + at_node)
    matrix = matrix * ~at_node.any(1)[:, None] + at_node
    return matrix / matrix.sum(1)[:, None]


def piece_weights(nodes: np.ndarray, length: int) -> np.ndarray:
    """Weights of nodes on [-1, 1] that sum a smooth f over `length` equidistant points there."""
    points = np.linspace(-1.0, 1.0, length)
    return interpolation(points, nodes).sum(0)
