"""What follows from the joint log-densities of a fitted mixture: probabilities and criteria."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import logsumexp

from lowdim.data.lazy_answers import lazy


def posterior(joint: np.ndarray) -> np.ndarray:
    """Probability of every component, (N, K), from ``log weight_k + log p(x_i | k)``."""
    return np.asarray(np.exp(joint - logsumexp(joint, axis=1, keepdims=True)))


def criteria_of(joint: np.ndarray, n_parameters: int) -> dict[str, float]:
    """The total log-likelihood, the number of parameters, BIC, AIC and ICL."""
    rows = logsumexp(joint, axis=1, keepdims=True)
    log_likelihood = float(rows.sum())
    log_r = np.maximum(joint - rows, -745.0)  # below it exp is zero
    entropy = -float((np.exp(log_r) * log_r).sum())
    bic = float(n_parameters * np.log(len(rows)) - 2 * log_likelihood)
    return {
        "log_likelihood": log_likelihood,
        "n_parameters": n_parameters,
        "bic": bic,
        "aic": 2 * n_parameters - 2 * log_likelihood,
        "icl": bic + 2 * entropy,
    }


class MixtureScores:
    """For estimators with ``_log_joint(X)``, (N, K), and ``n_parameters()``."""

    def _log_joint(self, X: Any) -> np.ndarray:
        """``log weight_k + log p(x_i | k)``, (N, K)."""
        raise NotImplementedError

    def n_parameters(self) -> int:
        """Number of free parameters."""
        raise NotImplementedError

    @lazy
    def predict_proba(self, X: Any) -> np.ndarray:
        """Posterior probability of every component, (N, K)."""
        return posterior(self._log_joint(X))

    @lazy
    def score_samples(self, X: Any) -> np.ndarray:
        """Log-likelihood of every row, (N,)."""
        return np.asarray(logsumexp(self._log_joint(X), axis=1))

    def score(self, X: Any, y: Any = None) -> float:
        """Mean log-likelihood per row."""
        return float(self.score_samples(X).mean())

    def bic(self, X: Any) -> float:
        """Bayesian information criterion, n_parameters log N - 2 log-likelihood: low is good."""
        return self._criteria(X)["bic"]

    def aic(self, X: Any) -> float:
        """Akaike information criterion, 2 n_parameters - 2 log-likelihood: low is good."""
        return self._criteria(X)["aic"]

    def icl(self, X: Any) -> float:
        """Integrated completed likelihood, BIC + 2 sum of the rows' assignment entropies."""
        return self._criteria(X)["icl"]

    def _criteria(self, X: Any) -> dict[str, float]:
        return criteria_of(self._log_joint(X), self.n_parameters())
