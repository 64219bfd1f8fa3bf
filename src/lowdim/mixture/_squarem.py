"""SQUAREM: extrapolation along the path of EM."""

from __future__ import annotations

from lowdim.mixture._family import Family, P


def extrapolate(family: Family[P], first: P, second: P, third: P) -> P:
    """SQUAREM: a step along the path of two successive EM updates (Varadhan and Roland 2008).

    theta - 2 alpha r + alpha^2 v with r = theta_1 - theta_0, v = (theta_2 - theta_1) - r and
    alpha = -||r|| / ||v||, at most -1 (which is theta_2 itself).
    """
    from lowdim.mixture._leap import leap

    last = family.pack(third)
    theta = family.pack(first, last)
    leap(theta, family.pack(second, last), last)
    return family.unpack(theta, third)
