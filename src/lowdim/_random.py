"""Random numbers: every draw comes from a generator that was handed down, never a global one."""

from __future__ import annotations

from numbers import Integral
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from lowdim._typing import RandomState


def generator(random_state: RandomState = None) -> np.random.Generator:
    """Turn the `random_state` argument of an estimator into a NumPy generator.

    Parameters
    ----------
    random_state
        None: fresh entropy, different on every call. An int >= 0: the same numbers on every
        call. A `numpy.random.Generator`: itself, so its stream moves on. A
        `numpy.random.RandomState`: a generator seeded from its next draws.

    Returns
    -------
    The generator.

    Raises
    ------
    TypeError
        `random_state` is of another type.
    ValueError
        `random_state` is a negative int.
    """
    if isinstance(random_state, np.random.Generator):
        return random_state
    if isinstance(random_state, np.random.RandomState):
        return np.random.default_rng(random_state.randint(2**32, size=4, dtype=np.uint32))
    if random_state is None:
        return np.random.default_rng()
    if isinstance(random_state, bool) or not isinstance(random_state, Integral):
        raise TypeError(
            "random_state must be None, an int, a numpy.random.Generator or a "
            f"numpy.random.RandomState, got {type(random_state).__name__}."
        )
    if random_state < 0:
        raise ValueError(f"random_state={random_state} is negative; use an int >= 0.")
    return np.random.default_rng(int(random_state))


def spawn(rng: np.random.Generator, n: int) -> list[np.random.Generator]:
    """Make `n` generators whose streams are independent of each other and of `rng`'s.

    Work that is split over restarts, blocks or workers draws from one child each, so that its
    result does not depend on the order in which the parts run. Spawning leaves the stream of
    `rng` where it is; a second call gives other children.

    Parameters
    ----------
    rng
        The parent.
    n
        How many children, >= 0.

    Returns
    -------
    The children, the same ones for the same parent seed.

    Raises
    ------
    ValueError
        `n` is negative.
    """
    if n < 0:
        raise ValueError(f"n={n} is negative; ask for zero or more generators.")
    return rng.spawn(n)
