"""What mixtures of samples say of rows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils.validation import check_is_fitted

from lowdim.data.estimator_rows import dense_rows, read_rows
from lowdim.data.sources import RowSource
from lowdim.mixture import GaussianMixture
from lowdim.samples._gaussians import gaussian_mixture
from lowdim.samples._rows import SampleRows, listed
from lowdim.transport import Mixtures


class SampleAnswers:
    """For estimators with the fitted attributes of `SampleGaussianMixtures`."""

    names_: np.ndarray
    weights_: np.ndarray
    means_: np.ndarray
    covariances_: np.ndarray
    n_components_: np.ndarray
    shared_weights_: np.ndarray | None
    device: Any

    def predict_proba(self, X: Any, samples: Any = None) -> np.ndarray:
        """Responsibilities of the components, (N, K).

        Those of each row's own sample; if shared, those of the mixture of all rows, for which
        `samples` need not be known.
        """
        check_is_fitted(self)
        if self.shared_weights_ is not None:
            return self._shared.predict_proba(read_rows(self, X, reset=False))
        source, codes = self._read(X, samples)
        out = np.zeros((source.n_rows, self.weights_.shape[1]))
        for s, rows in _by_code(codes):
            R = self._gaussians(s).predict_proba(dense_rows(source, rows))
            out[rows[:, None], np.arange(R.shape[1])] = R
        return out

    def predict(self, X: Any, samples: Any = None) -> np.ndarray:
        """The component with the highest of `predict_proba`, (N,)."""
        return np.asarray(self.predict_proba(X, samples).argmax(1))

    def score_samples(self, X: Any, samples: Any = None) -> np.ndarray:
        """Log-density of each row under its own sample's mixture, (N,).

        If shared, `samples` may be left out: the density is then that of all rows together.
        """
        check_is_fitted(self)
        if samples is None and self.shared_weights_ is not None:
            return self._shared.score_samples(read_rows(self, X, reset=False))
        source, codes = self._read(X, samples)
        out = np.empty(source.n_rows)
        for s, rows in _by_code(codes):
            out[rows] = self._gaussians(s).score_samples(dense_rows(source, rows))
        return out

    def score(self, X: Any, samples: Any = None) -> float:
        """Mean of `score_samples`."""
        return float(self.score_samples(X, samples).mean())

    def validate(self, X: Any, samples: Any) -> pd.DataFrame:
        """How well mixtures tell new rows of the same samples.

        Returns
        -------
        DataFrame
            By sample: ``n_rows``; ``nll``, the mean negative log-likelihood of these rows under
            their own sample's mixture; and, if there are others, ``nearest``, the other sample
            under whose mixture they are likeliest, and ``nearest_nll``. A sample whose rows
            another one's mixture explains as well is not told apart from it.
        """
        check_is_fitted(self)
        source, codes = self._read(X, samples)
        models = [self._gaussians(s) for s in range(len(self.names_))]
        found = {}
        for s, rows in _by_code(codes):
            values = dense_rows(source, rows)
            nll = np.array([-model.score(values) for model in models])
            row: dict[str, Any] = {"n_rows": len(rows), "nll": nll[s]}
            if len(models) > 1:
                nll[s] = np.inf
                row |= {"nearest": self.names_[nll.argmin()], "nearest_nll": nll.min()}
            found[self.names_[s]] = row
        return pd.DataFrame.from_dict(found, orient="index").rename_axis("sample")

    def mixtures(self) -> Mixtures:
        """What `lowdim.transport.mixture_distances` takes."""
        check_is_fitted(self)
        return Mixtures.of(self.weights_, self.means_, self.covariances_)

    def mixture(self, name: str) -> dict[str, np.ndarray]:
        """Weights, means and covariances of one sample, without the zeros at the end."""
        check_is_fitted(self)
        if name not in self.names_:
            raise ValueError(f"{name!r} is not a sample; the fit has {listed(self.names_)}.")
        s = int(np.flatnonzero(self.names_ == name)[0])
        k = self.n_components_[s]
        return {
            "weights": self.weights_[s, :k],
            "means": self.means_[s, :k],
            "covariances": self.covariances_[s, :k],
        }

    def _read(self, X: Any, samples: Any) -> tuple[RowSource, np.ndarray]:
        """Rows, and every row's number among the samples that were fitted."""
        source = read_rows(self, X, reset=False)
        if samples is None:
            raise ValueError(
                "samples is missing: each sample has a mixture of its own, so pass the name of "
                "every row's sample."
            )
        return source, SampleRows.of(samples, source.n_rows).known(self.names_)

    def _gaussians(self, s: int) -> GaussianMixture:
        """The mixture of one sample as an estimator."""
        k = self.n_components_[s]
        return gaussian_mixture(
            self.weights_[s, :k], self.means_[s, :k], self.covariances_[s, :k], self.device
        )

    @property
    def _shared(self) -> GaussianMixture:
        """The mixture of all rows."""
        assert self.shared_weights_ is not None
        return gaussian_mixture(
            self.shared_weights_, self.means_[0], self.covariances_[0], self.device
        )


def _by_code(codes: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Every number that comes, and where."""
    for code in np.unique(codes):
        yield int(code), np.flatnonzero(codes == code)
