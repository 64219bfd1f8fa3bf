"""What follows from the joint log-densities of a fitted mixture: probabilities and criteria."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import logsumexp


class MixtureScores:
    """For estimators with ``_log_joint(X)``, (N, K), and ``n_parameters()``."""

    def _log_joint(self, X: Any) -> np.ndarray:
        """``log weight_k + log p(x_i | k)``, (N, K)."""
        raise NotImplementedError

    def n_parameters(self) -> int:
        """Number of free parameters."""
        raise NotImplementedError

    def predict_proba(self, X: Any) -> np.ndarray:
        """Posterior probability of every component, (N, K)."""
        scores = self._log_joint(X)
        return np.exp(scores - logsumexp(scores, axis=1, keepdims=True))

    def score_samples(self, X: Any) -> np.ndarray:
        """Log-likelihood of every row, (N,)."""
        return logsumexp(self._log_joint(X), axis=1)

    def score(self, X: Any, y: Any = None) -> float:
        """Mean log-likelihood per row."""
        return float(self.score_samples(X).mean())

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
