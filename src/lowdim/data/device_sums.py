"""Sums over the rows of a block on an accelerator, which the host never waits for.

How many rows a component owns is known on the device alone, so none are left out; products of
matrices cost little there. Products run in the rows' precision over stretches of rows, and the
stretches add up in float64: in float32 a sum over a whole block would lose digits.
"""

from __future__ import annotations

import torch
from torch import Tensor

#: Rows whose products add up in their own precision.
STRETCH = 4096
#: Numbers that are made at a time.
AT_A_TIME = 2**26


def products(coefficients: Tensor, rows: Tensor) -> Tensor:
    """``coefficients @ rows`` of (p, n) and (n, D), (p, D), float64."""
    own = coefficients.to(rows.dtype)
    if rows.dtype == torch.float64:
        return own @ rows
    (p, n), d = own.shape, rows.shape[1]
    whole = n - n % STRETCH
    total = (own[:, whole:] @ rows[whole:]).double()
    at_a_time = STRETCH * max(1, AT_A_TIME // max(1, p * d))
    for start in range(0, whole, at_a_time):
        part = slice(start, min(start + at_a_time, whole))
        left = own[:, part].unflatten(1, (-1, STRETCH)).transpose(0, 1)
        total += (left @ rows[part].unflatten(0, (-1, STRETCH))).sum(0, dtype=torch.float64)
    return total


def second_moments(rows: Tensor, coefficients: Tensor) -> Tensor:
    """``sum_i c_i x_i x_i'`` for coefficients (C, n) and rows (n, D), (C, D, D), float64."""
    n, d = rows.shape
    # Both factors carry the root of the weight, so that rounding leaves the sums symmetric.
    roots = coefficients.to(rows.dtype).sqrt()
    out = rows.new_empty((len(roots), d, d), dtype=torch.float64)
    if rows.dtype == torch.float64:
        step = max(1, AT_A_TIME // max(1, n * d))
        for first in range(0, len(roots), step):
            weighted = roots[first : first + step, :, None] * rows
            out[first : first + step] = weighted.mT @ weighted
        return out
    for c, root in enumerate(roots):
        weighted = root[:, None] * rows
        out[c] = products(weighted.T, weighted)
    return out


def sketched_moments(rows: Tensor, weights: Tensor, sketches: Tensor) -> Tensor:
    """``sum_i r_ci [1, W_c x_i] x_i'`` for weights (C, n) and sketches (C, w, D).

    (C, 1 + w, D), float64.
    """
    n_components, width, d = sketches.shape
    out = sketches.new_empty((n_components, 1 + width, d))
    step = max(1, AT_A_TIME // max(1, len(rows) * (1 + width)))
    for first in range(0, n_components, step):
        own = sketches[first : first + step]
        weight = weights[first : first + step, None].to(rows.dtype)
        along = (own.flatten(0, 1).to(rows.dtype) @ rows.T).unflatten(0, own.shape[:2])
        parts = torch.cat([weight, along.mul_(weight)], 1)
        out[first : first + step] = products(parts.flatten(0, 1), rows).view(-1, 1 + width, d)
    return out
