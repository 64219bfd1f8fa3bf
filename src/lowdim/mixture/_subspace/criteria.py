"""How many parameters a mixture of subspaces has."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from sklearn.utils.validation import check_is_fitted


class ParameterCount:
    """The count of parameters of a fitted mixture, for `SubspaceMixture`."""

    if TYPE_CHECKING:
        n_features_in_: int
        assignment: str
        shared_noise: bool
        weights_: np.ndarray
        dims_: np.ndarray
        _held: list[int]

    def n_parameters(self) -> int:
        """Number of free parameters.

        Each learned component has D + D d - d (d - 1) / 2 + 1 (one less for d = D, which has no
        noise), a fixed one its noise and learned variances, and K - 1 weights join them. A noise
        that all share, as they do with ``assignment="closest"`` too, counts once.
        """
        check_is_fitted(self)
        n_columns, total = self.n_features_in_, len(self.weights_) - 1
        n_free = len(self.weights_) - len(self._held)
        for d in self.dims_[:n_free].tolist():
            total += n_columns * (d + 1) - d * (d - 1) // 2
            total += int(d < n_columns and not self._noise_is_shared)
        if self._noise_is_shared:
            total += int((self.dims_[:n_free] < n_columns).any())
        return int(total + sum(self._held))

    @property
    def _noise_is_shared(self) -> bool:
        return bool(self.shared_noise) or self.assignment == "closest"
