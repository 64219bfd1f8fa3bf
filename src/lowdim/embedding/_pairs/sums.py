"""Sums over all pairs of points, or over stored ones, of any kernel; compiled.

A pair has a gap ``q_ij = t_i t_j |z_i - z_j|^2``, where the lifts t are one, or ``sqrt(2) / (1 -
|z|^2)`` in the Poincare ball, in which ``arccosh(1 + q)`` is the distance. Its kernel ``k(q)`` has
a cost ``c = -log k`` with the slope ``dc / dq``. Rows are gone through in tiles of columns, each
step in a loop of its own, which becomes vector instructions. Import on first use only.
"""

from __future__ import annotations

import math

import numpy as np

from lowdim._compile import compiled_exact, compiled_fast, compiled_finite
from lowdim.embedding._float32 import exponential, logarithm

#: Kinds of kernel: ``(1 + q / a)^-a``, ``exp(-q / 2 a^2)``, ``1 / (1 + arccosh(1 + q)^2 / a^2)``.
STUDENT, GAUSSIAN, HYPERBOLIC = 0, 1, 2
#: Weights of pairs: ``k exp(h_i + h_j)``, ``k (exp h_i + exp h_j)``, or given ones.
PRODUCT, SUM, GIVEN = 0, 1, 2
#: Columns that are gone through at once.
TILE = 1024
#: Values that are compared side by side.
LANES = 64
#: Gaps below which distances in the ball are a series.
NEAR = np.float32(0.02)


@compiled_fast
def measure(point, lift, axes, lifts, start, stop, gaps):
    """Write the gaps of a point and points start to stop, coordinates (d, N)."""
    xs, ys, x, y = axes[0, start:stop], axes[-1, start:stop], point[0], point[-1]
    if len(axes) == 2:
        for t in range(len(xs)):
            gaps[t] = (x - xs[t]) * (x - xs[t]) + (y - ys[t]) * (y - ys[t])
    else:
        for t in range(len(xs)):
            gaps[t] = (x - xs[t]) * (x - xs[t])
        for a in range(1, len(axes)):
            own, others = point[a], axes[a, start:stop]
            for t in range(len(others)):
                gaps[t] += (own - others[t]) * (own - others[t])
    if lift != 1:
        own, others = lift, lifts[start:stop]
        for t in range(len(others)):
            gaps[t] *= own * others[t]


@compiled_fast
def weigh(kind, a, gaps, n, kernel, slope):
    """Write the kernel and the slope of its cost, of n gaps; of a Gaussian the exponent."""
    one, two = np.float32(1), np.float32(2)
    if kind == STUDENT and a == one:
        for t in range(n):
            kernel[t] = slope[t] = one / (one + gaps[t])
    elif kind == STUDENT:
        inverse = one / a
        for t in range(n):
            slope[t] = one / (one + gaps[t] * inverse)
            kernel[t] = exponential(a * logarithm(slope[t]))
    elif kind == GAUSSIAN:
        inverse = np.float32(0.5) / (a * a)
        for t in range(n):
            kernel[t], slope[t] = -gaps[t] * inverse, inverse
    else:
        square = a * a
        for t in range(n):
            q = gaps[t]
            s = q * (q + two)
            sine = np.sqrt(s)
            series = one - s * (np.float32(1 / 6) - s * np.float32(3 / 40))
            away = max(q, NEAR)
            ratio = logarithm(one + away + np.sqrt(away * (away + two))) / np.sqrt(
                away * (away + two)
            )
            ratio = series if q < NEAR else ratio  # the distance over its hyperbolic sine
            distance = ratio * sine
            whole = one / (square + distance * distance)
            kernel[t], slope[t] = square * whole, two * ratio * whole


@compiled_fast
def _pair_weights(kind, mode, kernel, own, others, weights):
    """Write weights of pairs from the kernel; own and others are h, or their exponentials."""
    n = len(others)
    if kind == GAUSSIAN:
        if mode == PRODUCT:
            for t in range(n):
                weights[t] = exponential(kernel[t] + (own + others[t]))
        else:
            for t in range(n):
                weights[t] = exponential(kernel[t] + own) + exponential(kernel[t] + others[t])
    elif mode == PRODUCT:
        for t in range(n):
            weights[t] = kernel[t] * (own * others[t])
    else:
        for t in range(n):
            weights[t] = kernel[t] * (own + others[t])


@compiled_fast
def gather(point, axes, start, weights, slope, gaps, lifts, n, force):
    """Add the sums over n points of weight times slope times lift and step, and times gap."""
    along, fx, fy = np.float32(0), np.float32(0), np.float32(0)
    xs, ys, x, y = axes[0, start : start + n], axes[-1, start : start + n], point[0], point[-1]
    near = lifts[start : start + n]
    for t in range(n):
        w = slope[t] * weights[t]
        along += w * gaps[t]
        w *= near[t]
        slope[t] = w
        fx += w * (x - xs[t])
        fy += w * (y - ys[t])
    force[len(axes)] += along
    force[0] += fx
    if len(axes) > 1:
        force[len(axes) - 1] += fy
    for a in range(1, len(axes) - 1):
        here, others = point[a], axes[a, start : start + n]
        total = np.float32(0)
        for t in range(n):
            total += slope[t] * (here - others[t])
        force[a] += total


@compiled_exact
def repel(first, last, points, bounds, kernel, mode, h, given, force, total):
    """Write sums over the other points, for the points of some parts.

    Parameters
    ----------
    points : (axes, lifts)
        Coordinates, (d, N), and lifts, (N,), float32.
    bounds : (PARTS + 1,), int64
    kernel : (kind, a)
    mode : int
    h : (N,), float32
        Of a Gaussian, or its exponentials of other kernels.
    given : (N, N), float32
        Weights, where `mode` is GIVEN; else empty.
    force : (N, d + 1), float64
        ``sum_j w_ij c'(q_ij) t_j (z_i - z_j)``, and last ``sum_j w_ij c'(q_ij) q_ij``.
    total : (N,), float64
        ``sum_j w_ij``.
    """
    axes, lifts = points
    kind, a = kernel
    d, n = axes.shape
    gaps, values = np.empty(TILE, np.float32), np.empty(TILE, np.float32)
    slope, weights = np.empty(TILE, np.float32), np.empty(TILE, np.float32)
    point = np.empty(d, np.float32)
    for i in range(bounds[first], bounds[last]):
        point[:] = axes[:, i]
        force[i], total[i] = 0, 0
        for start in range(0, n, TILE):
            m = min(TILE, n - start)
            measure(point, lifts[i], axes, lifts, start, start + m, gaps)
            weigh(kind, a, gaps, m, values, slope)
            if mode == GIVEN:
                weights[:m] = given[i, start : start + m]
            else:
                _pair_weights(kind, mode, values, h[i], h[start : start + m], weights)
            if start <= i < start + m:
                weights[i - start] = 0
            total[i] += _sum(weights, m)
            gather(point, axes, start, weights, slope, gaps, lifts, m, force[i])


@compiled_exact
def log_sums(first, last, points, bounds, kernel, f, out):
    """Write ``log sum_j exp(f_j) k(q_ij)`` over the other points, for the points of some parts.

    Parameters
    ----------
    f, out : (N,), float64
    """
    axes, lifts = points
    n = axes.shape[1]
    work, row = np.empty((3, TILE), np.float32), np.empty(n, np.float32)
    point = np.empty(len(axes), np.float32)
    shifts = f.astype(np.float32)
    factors = np.exp(f).astype(np.float32)
    for i in range(bounds[first], bounds[last]):
        point[:] = axes[:, i]
        out[i] = _log_sum(point, lifts[i], points, i, kernel, shifts, factors, work, row)


@compiled_exact
def _log_sum(point, lift, points, own, kernel, shifts, factors, work, row):
    """``log sum_j exp(f_j) k(q_j)`` of one place over all points but the one with its number."""
    n = points[0].shape[1]
    total = 0.0
    if kernel[0] == GAUSSIAN:
        for start in range(0, n, TILE):
            m = min(TILE, n - start)
            exponents(point, lift, points, own, start, m, kernel, shifts, work)
            row[start : start + m] = work[1, :m]
        peak = largest(row, n, work[2, :LANES])
        return peak + math.log(max(_sum_exponentials(row, peak), 1e-300))
    for start in range(0, n, TILE):
        m = min(TILE, n - start)
        measure(point, lift, points[0], points[1], start, start + m, work[0])
        weigh(kernel[0], kernel[1], work[0], m, work[1], work[2])
        if start <= own < start + m:
            work[1, own - start] = 0
        total += _dot(work[1], factors[start : start + m])
    return math.log(max(total, 1e-300))


@compiled_exact
def exponents(point, lift, points, own, start, m, kernel, shifts, work):
    """Write ``f - c`` of m points from a first one on to the second row of work."""
    measure(point, lift, points[0], points[1], start, start + m, work[0])
    weigh(kernel[0], kernel[1], work[0], m, work[1], work[2])
    logs, others = work[1], shifts[start : start + m]
    for t in range(len(others)):
        logs[t] += others[t]
    if start <= own < start + m:
        work[1, own - start] = -1e30


@compiled_finite
def largest(values, n, lanes):
    """The largest of n values, in lanes side by side: one after the other they would wait."""
    width = len(lanes)
    whole = n - n % width
    for t in range(width):
        lanes[t] = values[0]
    for start in range(0, whole, width):
        part = values[start : start + width]
        for t in range(width):
            lanes[t] = max(lanes[t], part[t])
    peak = lanes[0]
    for t in range(width):
        peak = max(peak, lanes[t])
    for t in range(whole, n):
        peak = max(peak, values[t])
    return peak


@compiled_fast
def _sum(values, n):
    total = np.float32(0)
    for t in range(n):
        total += values[t]
    return total


@compiled_fast
def _sum_exponentials(values, peak):
    total = np.float32(0)
    for t in range(len(values)):
        total += exponential(values[t] - peak)
    return total


@compiled_fast
def _dot(first, second):
    total = np.float32(0)
    for t in range(len(second)):
        total += first[t] * second[t]
    return total


@compiled_exact
def attract(first, last, points, bounds, kernel, graph, force):
    """The same as `repel` over the stored affinities, ``w_ij = P_ij``, CSR."""
    axes, lifts = points
    kind, a = kernel
    d = len(axes)
    indptr, indices, data = graph
    longest = 1
    for i in range(bounds[first], bounds[last]):
        longest = max(longest, indptr[i + 1] - indptr[i])
    gaps, values, slope = (
        np.empty(longest, np.float32),
        np.empty(longest, np.float32),
        np.empty(longest, np.float32),
    )
    for i in range(bounds[first], bounds[last]):
        begin = indptr[i]
        n = indptr[i + 1] - begin
        for t in range(n):
            j = indices[begin + t]
            square = np.float32(0)
            for b in range(d):
                square += (axes[b, i] - axes[b, j]) ** 2
            gaps[t] = square * lifts[i] * lifts[j]
        weigh(kind, a, gaps, n, values, slope)
        force[i] = 0
        for t in range(n):
            j = indices[begin + t]
            w = data[begin + t] * slope[t]
            force[i, d] += w * gaps[t]
            for b in range(d):
                force[i, b] += w * lifts[j] * (axes[b, i] - axes[b, j])


@compiled_exact
def total_cost(first, last, points, bounds, kernel, graph, out):
    """Write ``sum_j P_ij c(q_ij)`` of the points of some parts, (N,), float64."""
    axes, lifts = points
    kind, a = kernel
    indptr, indices, data = graph
    for i in range(bounds[first], bounds[last]):
        out[i] = 0
        for e in range(indptr[i], indptr[i + 1]):
            j = indices[e]
            q = 0.0
            for b in range(len(axes)):
                q += (np.float64(axes[b, i]) - axes[b, j]) ** 2
            q *= np.float64(lifts[i]) * lifts[j]
            if kind == STUDENT:
                cost = a * math.log1p(q / a)
            elif kind == GAUSSIAN:
                cost = 0.5 * q / (a * a)
            else:
                cost = math.log1p((math.acosh(1 + q) / a) ** 2)
            out[i] += data[e] * cost
