"""Exponentials and logarithms in single precision, compiled. Import on first use only.

Unlike those of the C library they become vector instructions within a loop.
"""

from __future__ import annotations

import numpy as np

from lowdim._compile import compiled_exact

#: The bits of one, of sqrt(1/2), and of a fraction, as int32.
ONE, ROOT_HALF, FRACTION = np.int32(0x3F800000), np.int32(0x3F3504F3), np.int32(0x007FFFFF)
#: The exponent of one, and the number of bits of a fraction.
BIAS, BITS = np.int32(127), np.int32(23)
#: log 2 in two parts, the first of few bits, and its inverse.
HIGH, LOW = np.float32(0.693359375), np.float32(-2.12194440e-4)
LOG_2, PER_LOG_2 = np.float32(0.6931471805599453), np.float32(1.4426950408889634)
#: Below the logarithm of the least normal number all is taken for this.
LEAST = np.float32(-87.0)
#: What logarithms of single-precision numbers are at most.
MOST = np.float32(88.0)


@compiled_exact
def exponential(x):
    """``e^x``, within 3e-7 of it relatively; x is taken to be between -87 and 88."""
    one, half = np.float32(1), np.float32(0.5)
    x = min(max(x, LEAST), MOST)
    n = np.floor(x * PER_LOG_2 + half)
    r = (x - n * HIGH) - n * LOW
    s = np.float32(1 / 120) + r * np.float32(1 / 720)
    s = np.float32(1 / 6) + r * (np.float32(1 / 24) + r * s)
    s = one + r * (one + r * (half + r * s))
    return s * np.int32((np.int32(n) + BIAS) << BITS).view(np.float32)


@compiled_exact
def logarithm(u):
    """``log(u)`` of a normal, positive u, within 2e-7."""
    one, two = np.float32(1), np.float32(2)
    shifted = np.int32(np.float32(u).view(np.int32) + np.int32(ONE - ROOT_HALF))
    exponent = np.float32(np.int32(np.int32(shifted >> BITS) - BIAS))
    f = np.int32(np.int32(shifted & FRACTION) + ROOT_HALF).view(np.float32) - one
    s = f / (two + f)
    z = s * s
    r = np.float32(1 / 5) + z * (np.float32(1 / 7) + z * np.float32(1 / 9))
    return exponent * LOG_2 + two * s * (one + z * (np.float32(1 / 3) + z * r))
