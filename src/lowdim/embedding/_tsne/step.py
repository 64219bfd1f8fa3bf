"""A step of gradient descent with momentum and gains, compiled. Import on first use only."""

from __future__ import annotations

import math

import numpy as np

from lowdim._compile import compiled_exact

#: Least gain of a coordinate, and how it changes where the gradient turns and where it does not.
LEAST, MORE, LESS = 0.01, 0.2, 0.8


@compiled_exact
def move(first, last, state, forces, rates, shift, bounds, extent, sums):
    """Move the points of some parts.

    Coordinates whose gradient keeps its sign gain speed, others lose it (Jacobs 1988, as in van der
    Maaten and Hinton 2008).

    Parameters
    ----------
    state : (layout, velocity, gains), each (N, d), float32
        Overwritten.
    forces : (attraction, repulsion), each (N, d), float32
    rates : (5,), float64
        Weight of the attraction, one over the sum of weights, learning rate, momentum, and the
        longest step of a point.
    shift : (c,), float32
        Subtracted from the layout, along those axes that the layout has, c of d.
    extent : (PARTS, 2, d), float32
        Overwritten with the least and largest coordinates.
    sums : (PARTS, 2 + c), float64
        Overwritten with the sums of the squared gradient, of the squared attraction, and of the
        coordinates.
    """
    Y, V, G = state
    attraction, repulsion = forces
    exaggeration, inverse = np.float32(rates[0]), np.float32(rates[1])
    rate, momentum, longest = np.float32(rates[2]), np.float32(rates[3]), np.float32(rates[4])
    least, more, less = np.float32(LEAST), np.float32(MORE), np.float32(LESS)
    c = len(shift)
    for p in range(first, last):
        extent[p], sums[p] = 0, 0
        if bounds[p] == bounds[p + 1]:
            continue
        extent[p, 0, :c], extent[p, 1, :c] = np.inf, -np.inf
        for i in range(bounds[p], bounds[p + 1]):
            square = np.float32(0)
            for a in range(c):
                pull = exaggeration * attraction[i, a]
                g, v, gain = pull - repulsion[i, a] * inverse, V[i, a], G[i, a]
                gain = gain + more if (v > 0) != (g > 0) else gain * less + least
                v = momentum * v - rate * gain * g
                G[i, a], V[i, a] = gain, v
                square += v * v
                sums[p, 0] += g * g
                sums[p, 1] += pull * pull
            scale = np.float32(1)
            if square > longest * longest:
                scale = longest / np.float32(math.sqrt(square))
            for a in range(c):
                V[i, a] *= scale
                y = Y[i, a] + V[i, a] - shift[a]
                Y[i, a] = y
                sums[p, 2 + a] += y
                extent[p, 0, a] = min(extent[p, 0, a], y)
                extent[p, 1, a] = max(extent[p, 1, a], y)
