"""How numba compiles our loops. Import on first use only: numba is slow to load."""

from __future__ import annotations

import numba

#: Cached on disk; runs beside other threads; 1 / 0 is inf, as in NumPy.
compiled = numba.njit(cache=True, nogil=True, error_model="numpy")
#: For sums over many rows, which may be rearranged; nan and inf stay what they are.
compiled_fast = numba.njit(
    cache=True,
    nogil=True,
    error_model="numpy",
    fastmath={"reassoc", "contract", "arcp", "nsz"},
)
