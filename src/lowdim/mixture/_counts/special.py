"""Functions of one number that the compiled loops over counts need many times.

Import on first use only: numba is slow to load.
"""

from __future__ import annotations

import numpy as np

from lowdim._compile import compiled_exact

#: The bits of one, and of sqrt(1/2), as a float64.
ONE, ROOT_HALF = 0x3FF0000000000000, 0x3FE6A09E667F3BCD
#: Bits of the fraction of a float64.
FRACTION = 0x000FFFFFFFFFFFFF
LOG_2 = 0.6931471805599453
#: Factors of a product that are multiplied out, before Stirling's series takes over.
PLAIN_FACTORS = 16


@compiled_exact
def log1p(y):
    """``log(1 + y)`` for y >= 0, to the last bit or two.

    The polynomial is that of Sun's fdlibm. Without branches and tables it can be computed for
    several numbers at once, which makes loops about ten times as fast as calls of the C library.
    """
    u = 1.0 + y
    lost = (y - (u - 1.0)) / u  # what the sum could not hold
    return log(u) + lost


@compiled_exact
def log(u):
    """``log(u)`` for a normal, positive u: u = 2^e (1 + f), 1 + f between sqrt(1/2) and sqrt(2)."""
    shifted = np.float64(u).view(np.int64) + np.int64(ONE - ROOT_HALF)
    exponent = (shifted >> 52) - 1023
    f = np.int64((shifted & FRACTION) + ROOT_HALF).view(np.float64) - 1.0
    z = f / (2.0 + f)
    w = z * z
    r = 0.1531383769920937332 + w * 0.1479819860511658591
    r = 0.2222219843214978396 + w * (0.1818357216161805012 + w * r)
    r = w * (
        0.6666666666666735130 + w * (0.3999999999940941908 + w * (0.2857142874366239149 + w * r))
    )
    half = 0.5 * f * f
    return exponent * LOG_2 + (f - (half - z * (half + r)))


@compiled_exact
def log_rising(x, phi):
    """``sum of log(1 + m phi) over m = 0 .. x - 1``, which is log(Gamma(x + n) / Gamma(n) / n^x).

    n = 1 / phi. The first factors are multiplied out; Stirling's series gives the difference of
    the two log-gammas that are left, written so that nothing large cancels.
    """
    if phi == 0.0 or x <= 1.0:
        return 0.0
    plain = min(x, 1.0 * PLAIN_FACTORS)
    product, m = 1.0, 1.0
    while m < plain:
        product *= 1.0 + m * phi
        m += 1.0
    total = log(product)
    if x > plain:
        z, d = 1.0 / phi + plain, x - plain
        total += (z - 0.5) * log1p(d / z) - d + d * log1p(x * phi)
        total += stirling(z + d) - stirling(z)
    return total


@compiled_exact
def stirling(z):
    """What Stirling's formula lacks of log Gamma(z), for z >= 16."""
    w = 1.0 / (z * z)
    return (1 / 12 - w * (1 / 360 - w * (1 / 1260 - w / 1680))) / z


@compiled_exact
def zero_slopes(y):
    """The first two derivatives of what a row costs that has no count, in phi.

    For a mean a and y = a phi, ``-log(1 + y) / phi`` has the derivatives ``a^2 c_1(y)`` and
    ``a^3 c_2(y)``; returns log(1 + y), c_1 and c_2. Near y = 0 the closed forms cancel, so a series
    takes their place.
    """
    value, small, large = log1p(y), min(y, 0.02), max(y, 0.02)
    u = small
    first = 0.5 - u * (2 / 3 - u * (3 / 4 - u * (4 / 5 - u * (5 / 6 - u * (6 / 7 - u * 7 / 8)))))
    second = -2 / 3 + u * (3 / 2 - u * (12 / 5 - u * (10 / 3 - u * (30 / 7 - u * 21 / 4))))
    shrunk, inverse = large / (1.0 + large), 1.0 / large  # without a branch, several at once
    closed = (value - shrunk) * inverse * inverse
    bend = (shrunk * shrunk - 2.0 * (value - shrunk)) * inverse * inverse * inverse
    near = y < 0.02
    return value, first if near else closed, second if near else bend
