"""Points to the nodes of a mesh and back, by cubic B-splines, compiled.

A point has the same four weights along each axis whether it is spread to the nodes or what is at
the nodes is gathered; so the forces of two points are equal and opposite, and a point exerts none
on itself. Import on first use only: numba is slow to load.
"""

from __future__ import annotations

import numpy as np

from lowdim._compile import compiled_fast


@compiled_fast
def weights(u):
    """The cubic B-spline at the nodes -1, 0, 1 and 2 of a point at u in [0, 1)."""
    one, three, four, six = np.float32(1), np.float32(3), np.float32(4), np.float32(6)
    sixth = np.float32(1 / 6)
    o, u2 = one - u, u * u
    u3 = u2 * u
    return (
        o * o * o * sixth,
        (three * u3 - six * u2 + four) * sixth,
        (three * (u + u2 - u3) + one) * sixth,
        u3 * sixth,
    )


@compiled_fast
def spread(first, last, Y, bounds, origin, inverse, boxes, starts, room):
    """Spread the points of each part to nodes of its own.

    Parameters
    ----------
    Y : (N, 2), float32
    bounds : (PARTS + 1,)
        Which points are whose.
    origin : (2,), float32
        Where the first node is.
    inverse : float32
        One over the spacing.
    boxes : (PARTS, 2, 2), int64
        First node and number of nodes along each axis that the points of a part reach.
    starts : (PARTS,), int64
        Where the nodes of a part begin in `room`, which is overwritten.
    """
    x0, y0 = origin[0], origin[1]
    for p in range(first, last):
        wide, high = boxes[p, 0, 1], boxes[p, 1, 1]
        g = room[starts[p] : starts[p] + wide * high].reshape(wide, high)
        g[:] = np.float32(0)
        left, low = boxes[p, 0, 0], boxes[p, 1, 0]
        for i in range(bounds[p], bounds[p + 1]):
            fx, fy = (Y[i, 0] - x0) * inverse, (Y[i, 1] - y0) * inverse
            ix, iy = int(fx), int(fy)
            a0, a1, a2, a3 = weights(np.float32(fx - ix))
            b0, b1, b2, b3 = weights(np.float32(fy - iy))
            k, m = ix - 1 - left, iy - 1 - low
            for a in (a0, a1, a2, a3):
                row = g[k]
                row[m] += a * b0
                row[m + 1] += a * b1
                row[m + 2] += a * b2
                row[m + 3] += a * b3
                k += 1


@compiled_fast
def merge(first, last, n_parts, boxes, starts, room, grid):
    """Add what all parts have spread to some rows of the grid."""
    n_rows = len(grid)
    for k in range(n_rows * first // n_parts, n_rows * last // n_parts):
        row = grid[k]
        for p in range(len(boxes)):
            own = k - boxes[p, 0, 0]
            if 0 <= own < boxes[p, 0, 1]:
                low, high = boxes[p, 1, 0], boxes[p, 1, 1]
                start = starts[p] + own * high
                for m in range(high):
                    row[low + m] += room[start + m]


@compiled_fast
def convolve(first, last, n_parts, spectrum, along, across, weight, out, energy):
    """Multiply a spectrum with those of the force, and sum it with that of the weight.

    Parameters
    ----------
    spectrum : (Nx, Ny/2 + 1), complex64
        Of the points.
    along, across, weight : (Nx/2 + 1, Ny/2 + 1), float32
        See `lowdim.embedding._tsne.mesh_spectra.Spectra`.
    out : (2, Nx, Ny/2 + 1), complex64
        Spectra of the forces along both axes.
    energy : (Nx,), float64
        Sums over rows of ``weight |spectrum|^2``.
    """
    n = len(spectrum)
    half = n // 2
    for r in range(n * first // n_parts, n * last // n_parts):
        q = r if r <= half else n - r
        sign = np.float32(1) if r <= half else np.float32(-1)
        own, x, y = spectrum[r], out[0, r], out[1, r]
        fx, fy, w = along[q], across[q], weight[q]
        total = np.float32(0)
        for c in range(len(own)):
            re, im = own[c].real, own[c].imag
            total += w[c] * (re * re + im * im)
            gx, gy = sign * fx[c], fy[c]
            x[c] = complex(im * gx, -re * gx)
            y[c] = complex(im * gy, -re * gy)
        energy[r] = total


@compiled_fast
def gather(first, last, Y, bounds, origin, inverse, field, table, force, energy):
    """Forces at the points, and the weight that the mesh gives every point with itself.

    Parameters
    ----------
    field : (2, Lx, Ny), float32
        Forces at the nodes.
    table : (4, 4), float32
        Weight, as the mesh has it, of nodes so many apart.
    force : (N, 2), float32
        Overwritten.
    energy : (PARTS,), float64
        Overwritten with sums of the weights of points with themselves.
    """
    x0, y0 = origin[0], origin[1]
    gx, gy = field[0], field[1]
    for p in range(first, last):
        total = 0.0
        for i in range(bounds[p], bounds[p + 1]):
            fx, fy = (Y[i, 0] - x0) * inverse, (Y[i, 1] - y0) * inverse
            ix, iy = int(fx), int(fy)
            a0, a1, a2, a3 = weights(np.float32(fx - ix))
            b0, b1, b2, b3 = weights(np.float32(fy - iy))
            k, m = ix - 1, iy - 1
            sx, sy = np.float32(0), np.float32(0)
            for a in (a0, a1, a2, a3):
                r, s = gx[k], gy[k]
                sx += a * (b0 * r[m] + b1 * r[m + 1] + b2 * r[m + 2] + b3 * r[m + 3])
                sy += a * (b0 * s[m] + b1 * s[m + 1] + b2 * s[m + 2] + b3 * s[m + 3])
                k += 1
            force[i, 0] = sx
            force[i, 1] = sy
            total += _with_itself(a0, a1, a2, a3, b0, b1, b2, b3, table)
        energy[p] = total


@compiled_fast
def _with_itself(a0, a1, a2, a3, b0, b1, b2, b3, table):
    """The sum over pairs of nodes of a point's weights there, times the table."""
    two = np.float32(2)
    c0 = b0 * b0 + b1 * b1 + b2 * b2 + b3 * b3
    c1 = two * (b0 * b1 + b1 * b2 + b2 * b3)
    c2 = two * (b0 * b2 + b1 * b3)
    c3 = two * b0 * b3
    t0 = c0 * table[0, 0] + c1 * table[0, 1] + c2 * table[0, 2] + c3 * table[0, 3]
    t1 = c0 * table[1, 0] + c1 * table[1, 1] + c2 * table[1, 2] + c3 * table[1, 3]
    t2 = c0 * table[2, 0] + c1 * table[2, 1] + c2 * table[2, 2] + c3 * table[2, 3]
    t3 = c0 * table[3, 0] + c1 * table[3, 1] + c2 * table[3, 2] + c3 * table[3, 3]
    return (
        (a0 * a0 + a1 * a1 + a2 * a2 + a3 * a3) * t0
        + two * (a0 * a1 + a1 * a2 + a2 * a3) * t1
        + two * (a0 * a2 + a1 * a3) * t2
        + two * a0 * a3 * t3
    )
