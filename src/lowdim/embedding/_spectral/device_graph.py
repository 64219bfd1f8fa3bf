"""Leading eigenvectors of a graph, by products on a device."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
import torch

from lowdim._device import to_host
from lowdim.data.device_csr import csr_tensor
from lowdim.data.sending import sent
from lowdim.embedding._spectral.device_basis import DeviceBasis
from lowdim.math.block_lanczos import largest_basis, leading_values

#: Directions that are multiplied at once: graphs have small gaps, which long spaces resolve.
WIDTH = 4


def device_eigenpairs(
    S: sp.csr_matrix,
    k: int,
    *,
    tol: float,
    max_iter: int,
    rng: np.random.Generator,
    device: torch.device,
) -> tuple[np.ndarray, np.ndarray, bool]:
    """The k leading eigenpairs of a symmetric matrix, and whether they were found.

    The host waits once for each product.

    Parameters
    ----------
    S : CSR, (N, N), float64
    k, tol, max_iter, rng
        As of `leading_values`.
    device : torch.device

    Returns
    -------
    values : (k,), falling
    vectors : (N, k)
    found : bool
    """
    n = S.shape[0]
    pointer, columns, values = (sent(own, device) for own in (S.indptr, S.indices, S.data))
    matrix = csr_tensor(pointer, columns, values, (n, n))
    basis = DeviceBasis(n, largest_basis(n, k), device)
    found, n_iter = leading_values(
        lambda block: matrix @ block, basis, k, rng, tol=tol, max_iter=max_iter, width=WIDTH
    )
    return found, to_host(basis.columns)[0], n_iter < max_iter
