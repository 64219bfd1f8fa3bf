"""SQUAREM: extrapolation along the path of EM."""

from __future__ import annotations

import numpy as np

from lowdim.mixture._family import Family, P


def extrapolate(family: Family[P], first: P, second: P, third: P) -> P:
    """SQUAREM: a step along the path of two successive EM updates (Varadhan and Roland 2008).

    theta - 2 alpha r + alpha^2 v with r = theta_1 - theta_0, v = (theta_2 - theta_1) - r and
    alpha = -||r|| / ||v||, at most -1 (which is theta_2 itself).
    """
    theta, theta_1 = family.pack(first, third), family.pack(second, third)
    r = theta_1 - theta
    v = family.pack(third)
    v -= theta_1
    v -= r
    length = np.linalg.norm(r, axis=1) / np.maximum(np.linalg.norm(v, axis=1), 1e-300)
    alpha = -np.clip(length, 1.0, 1e3)[:, None]
    # In place, since each of these is as large as the parameters.
    r *= -2 * alpha
    v *= alpha**2
    theta += r
    theta += v
    del theta_1, r, v
    return family.unpack(theta, third)
