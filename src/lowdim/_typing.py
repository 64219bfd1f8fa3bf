"""Aliases for the types that signatures across the library share."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import torch
    from scipy.sparse import csr_matrix

FloatArray: TypeAlias = npt.NDArray[np.floating[Any]]
"""A real array, float32 or float64."""

Float64Array: TypeAlias = npt.NDArray[np.float64]
"""An array of sums, parameters or results, always float64."""

IntArray: TypeAlias = npt.NDArray[np.integer[Any]]
"""Labels, counts or indices."""

BoolArray: TypeAlias = npt.NDArray[np.bool_]
"""A mask."""

Rows: TypeAlias = "FloatArray | csr_matrix"
"""A block of rows, (n, D): a C-contiguous array, or canonical CSR where the data are sparse."""

RandomState: TypeAlias = int | np.random.Generator | np.random.RandomState | None
"""What `random_state` accepts; see `lowdim._random.generator`."""

DeviceLike: TypeAlias = "str | torch.device"
"""What `device` accepts; see `lowdim._device.resolve_device`."""

DTypeLike: TypeAlias = "str | type | np.dtype[Any] | torch.dtype"
"""What `dtype` accepts; see `lowdim._device.resolve_dtype`."""

PathLike: TypeAlias = str | os.PathLike[str]
"""The place of a file."""
