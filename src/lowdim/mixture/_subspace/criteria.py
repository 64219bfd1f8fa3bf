"""How many parameters a mixture of subspaces has, and the criteria that count them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import logsumexp
from sklearn.utils.validation import check_is_fitted


class InformationCriteria:
    """The criteria of a fitted mixture, for `SubspaceMixture`."""

    if TYPE_CHECKING:
        n_features_in_: int
        assignment: str
        shared_noise: bool
        weights_: np.ndarray
        dims_: np.ndarray
        _held: list[int]

        def score_samples(self, X: Any) -> np.ndarray: ...

        def _log_joint(self, X: Any) -> np.ndarray: ...

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

    def bic(self, X: Any) -> float:
        """Bayesian information criterion, n_parameters log N - 2 log-likelihood: low is good."""
        rows = self.score_samples(X)
        return float(self.n_parameters() * np.log(len(rows)) - 2 * rows.sum())

    def aic(self, X: Any) -> float:
        """Akaike information criterion, 2 n_parameters - 2 log-likelihood: low is good."""
        return float(2 * self.n_parameters() - 2 * self.score_samples(X).sum())

    def icl(self, X: Any) -> float:
        """Integrated completed likelihood, BIC + 2 sum of the rows' assignment entropies."""
        scores = self._log_joint(X)
        rows = logsumexp(scores, axis=1, keepdims=True)
        log_r = np.maximum(scores - rows, -745.0)
        entropy = -(np.exp(log_r) * log_r).sum()
        return float(self.n_parameters() * np.log(len(rows)) - 2 * rows.sum() + 2 * entropy)
