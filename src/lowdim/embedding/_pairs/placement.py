"""New points in a layout that stays, under any kernel; compiled. Import on first use only."""

from __future__ import annotations

import math

import numpy as np

from lowdim._compile import compiled_exact
from lowdim.embedding._float32 import exponential
from lowdim.embedding._pairs.sums import (
    GAUSSIAN,
    HYPERBOLIC,
    LANES,
    TILE,
    exponents,
    gather,
    largest,
    measure,
    weigh,
)

#: Least gain of a coordinate, and how it changes where the gradient turns and where it does not.
LEAST, MORE, LESS = 0.01, 0.2, 0.8
#: Points in the ball are at most so long.
EDGE = 1.0 - 1e-3


@compiled_exact
def place_pairs(first, last, n_parts, Y, affinities, points, kernel, f, targets, box, rates):
    """Move each of some new points to where its own loss is least.

    The loss of a place y is ``w sum_j p_j c_j + log sum_j exp(f_j - c_j)``, and in the ball ``h
    (target - d(y, 0)^2)^2`` on top; half its gradient is followed, with momentum and gains.

    Parameters
    ----------
    Y : (m, d), float64
        Where to begin; overwritten.
    affinities : (indptr, indices, data)
        p of every new point, CSR, (m, N).
    points : (axes, lifts)
        Those of the layout; see `_pairs.sums.repel`.
    kernel : (kind, a)
    f : (N,), float64
    targets : (m,), float64, or empty
        Squared distances from the centre of the ball.
    box : (2, d), float64
        What new points do not leave.
    rates : (5,), float64
        Iterations, w, learning rate, momentum, h.
    """
    m, d = Y.shape
    shifts, factors = f.astype(np.float32), np.exp(f).astype(np.float32)
    work = np.empty((3, TILE), np.float32)
    pull, push = np.zeros(d + 1), np.zeros(d + 1)
    velocity, gains, gradient = np.zeros(d), np.ones(d), np.zeros(d)
    point = np.empty(d, np.float32)
    in_ball = kernel[0] == HYPERBOLIC
    for i in range(m * first // n_parts, m * last // n_parts):
        y = Y[i]
        velocity[:], gains[:] = 0.0, 1.0
        for _ in range(int(rates[0])):
            room = 1.0
            lift = 1.0
            if in_ball:
                for a in range(d):
                    room -= y[a] * y[a]
                lift = math.sqrt(2.0) / room
            point[:] = y
            _toward(point, np.float32(lift), affinities, i, points, kernel, pull)
            total = _away(point, np.float32(lift), points, kernel, shifts, factors, work, push)
            for a in range(d):
                gradient[a] = lift * (rates[1] * pull[a] - push[a] / total)
            if in_ball:
                along = (rates[1] * pull[d] - push[d] / total) / room
                if len(targets):
                    along += rates[4] * _radial(room, targets[i])
                for a in range(d):
                    gradient[a] = 0.25 * room * room * (gradient[a] + along * y[a])
            for a in range(d):
                same = (velocity[a] > 0) == (gradient[a] > 0)
                gains[a] = gains[a] * LESS + LEAST if same else gains[a] + MORE
                velocity[a] = rates[3] * velocity[a] - rates[2] * gains[a] * gradient[a]
                y[a] = min(max(y[a] + velocity[a], box[0, a]), box[1, a])
            if in_ball:
                _keep_inside(y)


@compiled_exact
def _radial(room, target):
    """Half the slope of ``(target - d^2)^2`` along y, over y."""
    square = max(1.0 - room, 1e-12)
    length = math.sqrt(square)
    distance = 2.0 * math.atanh(min(length, EDGE))
    return -4.0 * (target - distance * distance) * distance / (room * length)


@compiled_exact
def _keep_inside(y):
    square = 0.0
    for a in range(len(y)):
        square += y[a] * y[a]
    if square > EDGE * EDGE:
        scale = EDGE / math.sqrt(square)
        for a in range(len(y)):
            y[a] *= scale


@compiled_exact
def _toward(point, lift, affinities, i, points, kernel, force):
    """Write the sums of `_pairs.sums.repel` with weights p."""
    indptr, indices, data = affinities
    axes, lifts = points
    d = len(axes)
    gap, value, slope = np.empty(1, np.float32), np.empty(1, np.float32), np.empty(1, np.float32)
    force[:] = 0.0
    for e in range(indptr[i], indptr[i + 1]):
        j = indices[e]
        gap[0] = 0
        for a in range(d):
            gap[0] += (point[a] - axes[a, j]) ** 2
        gap[0] *= lift * lifts[j]
        weigh(kernel[0], kernel[1], gap, 1, value, slope)
        w = data[e] * slope[0]
        force[d] += w * gap[0]
        for a in range(d):
            force[a] += w * lifts[j] * (point[a] - axes[a, j])


@compiled_exact
def _away(point, lift, points, kernel, shifts, factors, work, force):
    """Write the same with weights ``exp(f - c)``, all times one number; return their sum."""
    axes, lifts = points
    n = axes.shape[1]
    peak = np.float32(0)
    if kernel[0] == GAUSSIAN:
        peak = np.float32(-1e30)
        for start in range(0, n, TILE):
            m = min(TILE, n - start)
            exponents(point, lift, points, -1, start, m, kernel, shifts, work)
            peak = max(peak, largest(work[1], m, work[2, :LANES]))
    force[:] = 0.0
    total = 0.0
    for start in range(0, n, TILE):
        m = min(TILE, n - start)
        if kernel[0] == GAUSSIAN:
            exponents(point, lift, points, -1, start, m, kernel, shifts, work)
            for t in range(m):
                work[1, t] = exponential(work[1, t] - peak)
        else:
            measure(point, lift, axes, lifts, start, start + m, work[0])
            weigh(kernel[0], kernel[1], work[0], m, work[1], work[2])
            for t in range(m):
                work[1, t] *= factors[start + t]
        for t in range(m):
            total += work[1, t]
        gather(point, axes, start, work[1], work[2], work[0], lifts, m, force)
    return max(total, 1e-30)
