"""One Gaussian mixture for every sample."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any, Self

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import check_is_fitted

from lowdim._random import generator
from lowdim._validation import check_in, check_interval, check_positive_int
from lowdim.data.estimator_rows import dense_rows, read_rows
from lowdim.mixture import GaussianMixture
from lowdim.mixture._jobs import in_jobs
from lowdim.samples._rows import SampleRows, listed
from lowdim.samples._sizes import CRITERIA, Sizing, sized_fit
from lowdim.transport import Mixtures

#: Numbers of components that are tried unless the user says.
CANDIDATES = (1, 2, 3, 4, 5, 6, 8, 10, 12)
#: Rows of a component for each of its dimensions where the user does not say.
ROWS_PER_AXIS = 2


class SampleGaussianMixtures(BaseEstimator):
    """Gaussian mixtures of the rows of each sample: a sample as a distribution.

    ``p_s(x) = sum_k w_sk N(x | mu_sk, Sigma_sk)`` for sample s; or, shared, one mixture of all
    rows with weights of every sample's own.

    Parameters
    ----------
    n_components : int, iterable of int or None, default=None
        K. Of several numbers each sample gets the one that `criterion` prefers; None tries 1 to 12
        as far as the smallest sample has rows for, twice as many as a component has columns.
    sharing : {"sample_specific", "global"}, default="sample_specific"
        Whether every sample has components of its own.
    criterion : {"bic", "aic", "heldout_nll"}, default="bic"
        "heldout_nll" fits a random `train_size` of a sample's rows and scores the others.
    covariance_type : {"full", "diag"}, default="full"
    train_size : float, default=0.5
        Share of rows that is fitted for "heldout_nll".
    refit : bool, default=True
        Whether a number found by "heldout_nll" is fitted again to all rows.
    max_iter, tol, n_init, reg_covar
        As in `GaussianMixture`.
    n_jobs : int, optional
        Samples at the same time, in threads; -1 is one per core.
    device : str or torch.device, default="cpu"
    random_state : int, Generator or RandomState, optional
    verbose : int, default=0
        1 shows a progress bar over the samples.

    Attributes
    ----------
    names_ : ndarray of shape (S,)
        Of the samples, sorted.
    weights_ : ndarray of shape (S, K)
        Samples with fewer components than K end in zeros, here and in what follows.
    means_ : ndarray of shape (S, K, D)
    covariances_ : ndarray of shape (S, K, D, D) or (S, K, D)
    n_components_ : ndarray of shape (S,)
    n_rows_ : ndarray of shape (S,)
    log_likelihoods_ : ndarray of shape (S,)
        Mean per row.
    converged_ : ndarray of shape (S,)
    selection_ : DataFrame or None
        For every sample and number that was tried: ``sample``, ``n_components``, ``score`` (low is
        good), ``train_nll``, ``validation_nll``, ``n_train``, ``n_validation``, ``degenerate``.
    estimators_ : list of GaussianMixture
        One for every sample, or a single one if shared.
    n_features_in_ : int

    Examples
    --------
    >>> import numpy as np, lowdim as ld
    >>> X = np.random.default_rng(0).normal(size=(60, 2))
    >>> model = ld.SampleGaussianMixtures(2, random_state=0).fit(X, ["a", "b"] * 30)
    >>> model.weights_.shape, model.means_.shape
    ((2, 2), (2, 2, 2))
    """

    def __init__(
        self,
        n_components: Any = None,
        *,
        sharing: str = "sample_specific",
        criterion: str = "bic",
        covariance_type: str = "full",
        train_size: float = 0.5,
        refit: bool = True,
        max_iter: int = 100,
        tol: float = 1e-3,
        n_init: int = 1,
        reg_covar: float = 1e-6,
        n_jobs: int | None = None,
        device: Any = "cpu",
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        self.n_components = n_components
        self.sharing = sharing
        self.criterion = criterion
        self.covariance_type = covariance_type
        self.train_size = train_size
        self.refit = refit
        self.max_iter = max_iter
        self.tol = tol
        self.n_init = n_init
        self.reg_covar = reg_covar
        self.n_jobs = n_jobs
        self.device = device
        self.random_state = random_state
        self.verbose = verbose

    def fit(self, X: Any, samples: Any) -> Self:
        """Fit every sample.

        Parameters
        ----------
        X : array-like, DataFrame, AnnData, row source or path, shape (N, D)
        samples : array-like of shape (N,)
            The name of every row's sample; rows may come in any order.

        Raises
        ------
        ValueError, TypeError
            An argument or the data cannot be used; samples that are too small are named.
        """
        source = read_rows(self, X)
        groups = SampleRows.of(samples, source.n_rows)
        shared = check_in(self.sharing, "sharing", ("sample_specific", "global")) == "global"
        parts = (
            [np.arange(source.n_rows)] if shared else [groups.rows(s) for s in range(len(groups))]
        )
        sizing = self._sizing(groups.counts if not shared else np.array([source.n_rows]))
        named = ["all samples"] if shared else list(groups.names)
        _check_rows([len(part) for part in parts], named, sizing)
        seeds = generator(self.random_state).integers(2**31, size=len(parts))

        def fit(code: int) -> tuple[GaussianMixture, pd.DataFrame | None, float]:
            rows = dense_rows(source, parts[code])
            if not np.ptp(rows, axis=0).any():
                raise ValueError(f"Rows of {listed([named[code]])} are all the same; drop them.")
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore", ConvergenceWarning)  # told for all at once
                    model, table = sized_fit(self._model(), rows, sizing, int(seeds[code]))
            except ValueError as error:
                raise ValueError(f"The mixture of {listed([named[code]])}: {error}") from error
            return model, table, float(model.score(rows))

        found = list(
            in_jobs(
                fit,
                range(len(parts)),
                n_jobs=self.n_jobs,
                description="samples",
                verbose=self.verbose,
            )
        )
        self._set(found, groups, shared)
        if shared:
            self._set_shared_weights(source, groups)
        self._warn(named)
        return self

    def _model(self) -> GaussianMixture:
        return GaussianMixture(
            covariance_type=check_in(self.covariance_type, "covariance_type", ("full", "diag")),
            max_iter=self.max_iter,
            tol=self.tol,
            n_init=self.n_init,
            reg_covar=self.reg_covar,
            device=self.device,
        )

    def _sizing(self, counts: np.ndarray) -> Sizing:
        train_size = check_interval(
            self.train_size, "train_size", low=0.0, high=1.0, closed="neither"
        )
        criterion = check_in(self.criterion, "criterion", CRITERIA)
        check_in(self.refit, "refit", (True, False))
        wanted = self.n_components
        if wanted is None:
            share = train_size if criterion == "heldout_nll" else 1.0
            axes = self.n_features_in_ + 1 if self.covariance_type == "full" else 2
            most = int(counts.min() * share / (ROWS_PER_AXIS * axes))
            wanted = [k for k in CANDIDATES if k <= most] or [1]
        numbers = wanted if np.iterable(wanted) else [wanted]
        sizes = sorted({check_positive_int(k, "n_components") for k in numbers})
        if not sizes:
            raise ValueError("n_components is empty; give at least one number to try.")
        return Sizing(tuple(sizes), criterion, train_size, bool(self.refit))

    def _set(self, found: list[Any], groups: SampleRows, shared: bool) -> None:
        models = [model for model, _, _ in found]
        tables = [table for _, table, _ in found]
        self.estimators_, self.names_, self.n_rows_ = models, groups.names, groups.counts
        order = [0] * len(groups) if shared else list(range(len(groups)))
        sizes = np.array([len(model.weights_) for model in models])
        S, K = len(groups), int(sizes.max())
        D = self.n_features_in_
        tail = (D, D) if self.covariance_type == "full" else (D,)
        self.weights_, self.means_ = np.zeros((S, K)), np.zeros((S, K, D))
        self.covariances_ = np.zeros((S, K, *tail))
        for s, number in enumerate(order):
            k = sizes[number]
            self.weights_[s, :k] = models[number].weights_
            self.means_[s, :k] = models[number].means_
            self.covariances_[s, :k] = models[number].covariances_
        self.n_components_ = sizes[order]
        self.log_likelihoods_ = np.array([found[number][2] for number in order])
        self.converged_ = np.array([models[number].converged_ for number in order])
        self.selection_ = None
        if tables[0] is not None:
            named = ["all"] if shared else groups.names
            self.selection_ = pd.concat(
                [table.assign(sample=name) for table, name in zip(tables, named, strict=True)],
                ignore_index=True,
            )

    def _set_shared_weights(self, source: Any, groups: SampleRows) -> None:
        model = self.estimators_[0]
        R = model.predict_proba(source)
        density = model.score_samples(source)
        for s in range(len(groups)):
            rows = groups.rows(s)
            self.weights_[s] = R[rows].mean(0)
            self.log_likelihoods_[s] = density[rows].mean()

    def _warn(self, named: list[str]) -> None:
        late = [n for n, model in zip(named, self.estimators_, strict=True) if not model.converged_]
        if late:
            warnings.warn(
                f"The mixture of {listed(late)} did not converge within max_iter={self.max_iter}; "
                "raise max_iter, or tol.",
                ConvergenceWarning,
                stacklevel=3,
            )

    # Answers --------------------------------------------------------------------------------

    def predict_proba(self, X: Any, samples: Any) -> np.ndarray:
        """Responsibilities of the components of each row's own sample, (N, K)."""
        out = np.zeros((len(samples), self._most))
        for rows, model, values in self._by_sample(X, samples):
            R = model.predict_proba(values)
            out[rows[:, None], np.arange(R.shape[1])] = R
        return out

    def predict(self, X: Any, samples: Any) -> np.ndarray:
        """The component of each row's own sample that has the highest responsibility, (N,)."""
        return np.asarray(self.predict_proba(X, samples).argmax(1))

    def score_samples(self, X: Any, samples: Any) -> np.ndarray:
        """Log-density of each row under its own sample's mixture, (N,)."""
        out = np.empty(len(samples))
        for rows, model, values in self._by_sample(X, samples):
            out[rows] = model.score_samples(values)
        return out

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

    @property
    def _most(self) -> int:
        check_is_fitted(self)
        return self.weights_.shape[1]

    def _by_sample(
        self, X: Any, samples: Any
    ) -> Iterator[tuple[np.ndarray, GaussianMixture, np.ndarray]]:
        check_is_fitted(self)
        source = read_rows(self, X, reset=False)
        groups = SampleRows.of(samples, source.n_rows)
        codes = groups.known(self.names_)
        for s in np.unique(codes):
            rows = np.flatnonzero(codes == s)
            model = self.estimators_[0 if self.sharing == "global" else s]
            yield rows, model, dense_rows(source, rows)


def _check_rows(counts: list[int], names: list[str], sizing: Sizing) -> None:
    """Raise ValueError where a sample has fewer rows than components, or a single one."""
    least = max(2, sizing.n_components[-1])
    if sizing.splits:
        least = int(np.ceil(max(least / sizing.train_size, 1 / (1 - sizing.train_size))))
    small = [f"{n} ({c} rows)" for n, c in zip(names, counts, strict=True) if c < least]
    if small:
        raise ValueError(
            f"n_components={sizing.n_components[-1]} needs {least} rows or more of every sample, "
            f"and too few have {listed(small)}; drop these samples, or lower n_components."
        )
