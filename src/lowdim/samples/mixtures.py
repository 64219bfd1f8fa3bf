"""One Gaussian mixture for every sample."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted

from lowdim._journal import LongFit
from lowdim._random import generator
from lowdim._saving import Saved
from lowdim._validation import check_in, check_interval, check_positive_int
from lowdim._warnings import warn_caller
from lowdim.data.estimator_rows import dense_rows, read_rows
from lowdim.data.sources import as_rows
from lowdim.mixture import GaussianMixture
from lowdim.mixture._jobs import in_kept_jobs
from lowdim.samples._answers import SampleAnswers
from lowdim.samples._fits import (
    CRITERIA,
    SINGULARITY,
    FitPlan,
    Part,
    SampleFit,
    check_sizes,
    fit_part,
    flatness,
    numbers_of_components,
    remedy,
)
from lowdim.samples._rows import SampleRows, listed
from lowdim.transport import Mixtures

if TYPE_CHECKING:
    from lowdim._typing import PathLike


class SampleGaussianMixtures(SampleAnswers, Saved, BaseEstimator):  # type: ignore[misc]
    """Gaussian mixtures of the rows of each sample: a sample as a distribution.

    ``p_s(x) = sum_k w_sk N(x | mu_sk, Sigma_sk)`` for sample s; or, shared, one mixture of all
    rows with weights of every sample's own.

    Parameters
    ----------
    n_components : int, iterable of int or None, default=None
        K. Of several numbers each sample gets the one that `criterion` prefers; None tries 1 to 12
        as far as a sample has rows for, twice as many as a component has columns.
    sharing : {"sample_specific", "global"}, default="sample_specific"
        Whether every sample has components of its own.
    criterion : {"bic", "aic", "heldout_nll"}, default="bic"
        "heldout_nll" fits a random `train_size` of a sample's rows and scores the others.
    covariance_type : {"full", "diag"}, default="full"
    train_size : float, default=0.5
        Share of rows that is fitted for "heldout_nll".
    refit : bool, default=True
        Whether a number found by "heldout_nll" is fitted again to all rows.
    max_iter, tol, reg_covar
        As in `GaussianMixture`; `reg_covar` is relative to the mean variance per column of each
        sample's own rows.
    n_init : int, default=1
        Starts, each by k-means. The fit is kept that makes a row likeliest that is left out of it,
        in the mean over rows: the likelihood itself prefers components that have closed on a few.
    singularity_handling : {"guarded", "robust", "strict"}, default="guarded"
        What is done about a component with a direction along which its rows hardly vary. No
        variance is ever below `reg_covar`, so with "guarded" the fit stands, and a warning names
        the samples; with "robust" these are fitted again with 100 times as much added; with
        "strict" the first is an error.
    n_jobs : int, optional
        Samples at the same time, in threads; -1 is one per core.
    device : str or torch.device, default="cpu"
    random_state : int, Generator or RandomState, optional
    checkpoint : path, optional
        A file that keeps the samples that are fitted, or, if shared, each fit to all rows, so that
        a fit that is cut off goes on from there, to the same bits.
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
    shared_weights_ : ndarray of shape (K,) or None
        If shared, those of all rows together.
    n_rows_ : ndarray of shape (S,)
    log_likelihoods_ : ndarray of shape (S,)
        Mean per row, under the mixture of its own sample.
    n_iter_, converged_ : ndarray of shape (S,)
    singular_ : ndarray of shape (S,)
        How many components have a direction along which their rows hardly vary.
    added_variances_ : ndarray of shape (S,)
        What `reg_covar` comes to in squared units of the data.
    selection_ : DataFrame or None
        For every sample and number that was tried: ``sample``, ``n_components``, ``score`` (low is
        good), ``train_nll``, ``validation_nll``, ``n_train``, ``n_validation``, ``degenerate``.
    n_features_in_ : int

    Examples
    --------
    >>> import numpy as np, lowdim as ld
    >>> X = np.random.default_rng(0).normal(size=(60, 2))
    >>> model = ld.SampleGaussianMixtures(2, random_state=0).fit(X, ["a", "b"] * 30)
    >>> model.weights_.shape, model.means_.shape
    ((2, 2), (2, 2, 2))
    """

    selection_: pd.DataFrame | None

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
        singularity_handling: str = "guarded",
        n_jobs: int | None = None,
        device: Any = "cpu",
        random_state: Any = None,
        checkpoint: PathLike | None = None,
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
        self.singularity_handling = singularity_handling
        self.n_jobs = n_jobs
        self.device = device
        self.random_state = random_state
        self.checkpoint = checkpoint
        self.verbose = verbose

    @classmethod
    def from_parameters(
        cls,
        names: Any,
        weights: np.ndarray,
        means: np.ndarray,
        covariances: np.ndarray,
        *,
        shared_weights: np.ndarray | None = None,
    ) -> Self:
        """From mixtures that are known, so that rows can be asked about.

        What only a fit finds, such as `log_likelihoods_`, is not there.

        Parameters
        ----------
        names : (S,)
            Of the samples, each once.
        weights, means, covariances
            Shaped as the attributes; components of no weight come last.
        shared_weights : (K,), optional
            Of all rows together, where all samples have the same components.

        Raises
        ------
        ValueError
            Shapes do not match, a name comes twice, or a number cannot be used.
        """
        names = np.asarray(names, dtype=object).astype(str).astype(object)
        checked = Mixtures.of(weights, means, covariances)
        if names.shape != (len(checked),) or len(set(names)) < len(names):
            raise ValueError(f"names must be {len(checked)} different ones, got {listed(names)}.")
        model = cls(
            checked.weights.shape[1],
            sharing="sample_specific" if shared_weights is None else "global",
            covariance_type="full" if checked.full else "diag",
        )
        order = np.argsort(names.astype(str))
        parts = checked if shared_weights is None else Mixtures(weights, means, covariances)
        model.names_, model.n_features_in_ = names[order], checked.means.shape[2]
        model.weights_, model.means_ = parts.weights[order], parts.means[order]
        model.covariances_, model.shared_weights_ = parts.covariances[order], shared_weights
        model.n_components_, model.selection_ = checked.sizes[order], None
        if shared_weights is not None:
            model.n_components_ = np.full(len(names), len(shared_weights))
        return model

    def select(self, names: Any) -> Self:
        """The mixtures of some of the samples, from their parameters."""
        check_is_fitted(self)
        strange = sorted(set(names) - set(self.names_))
        if strange:
            raise ValueError(f"names has {listed(strange)}; the fit has {listed(self.names_)}.")
        kept = np.isin(self.names_, np.asarray(names, dtype=object))
        model = self.from_parameters(
            self.names_[kept],
            self.weights_[kept],
            self.means_[kept],
            self.covariances_[kept],
            shared_weights=self.shared_weights_,
        )
        if self.selection_ is not None:
            own = self.selection_["sample"].isin([*model.names_, "all"])
            model.selection_ = self.selection_[own].reset_index(drop=True)
        return model

    @property
    def min_rows(self) -> int:
        """Fewest rows of a sample that these settings can be fitted to; of all rows, if shared."""
        return self._plan().least_rows

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
            An argument or the data cannot be used; samples that are too small, or whose rows
            cannot be used, are named; or the checkpoint is of another fit.
        KeyboardInterrupt
            By Ctrl-C: mixtures of some samples alone are no result. The checkpoint keeps them.

        Warns
        -----
        ConvergenceWarning
            Mixtures of some samples had not settled after `max_iter` passes.
        UserWarning
            Some components are singular; see `singularity_handling`.
        """
        source = as_rows(X)
        groups = SampleRows.of(samples, source.n_rows)
        groups.check(source, min_rows=2)
        source = read_rows(self, source)
        plan = self._plan()
        shared = check_in(self.sharing, "sharing", ("sample_specific", "global")) == "global"
        members = {name: groups.rows(s) for s, name in enumerate(groups.names)}
        if shared:
            members = {"all samples": np.arange(source.n_rows)}
        n_rows = {name: len(rows) for name, rows in members.items()}
        check_sizes(n_rows, plan.least_rows, plan.n_components)
        given = {
            "max_iter": self.max_iter,  # samples that are kept have had theirs
            "names of samples": groups.names,
            "sample of each row": groups.codes,
        }
        with LongFit(self, source, generator(self.random_state), given) as journal:
            seeds = journal.rng.integers(2**31, size=len(members))
            parts = [
                Part(name, rows, int(seed))
                for (name, rows), seed in zip(members.items(), seeds, strict=True)
            ]
            fits = list(
                in_kept_jobs(
                    partial(fit_part, plan, source),
                    parts,
                    journal,
                    pack=SampleFit.packed,
                    unpack=SampleFit.of_packed,
                    n_jobs=self.n_jobs,
                    description="samples",
                    verbose=self.verbose,
                )
            )
        self._set(fits, groups, shared)
        if shared:
            self._set_shared(source, groups)
        self._warn([part.name for part in parts], fits)
        return self

    def _plan(self) -> FitPlan:
        """The settings, checked."""
        train_size = check_interval(
            self.train_size, "train_size", low=0.0, high=1.0, closed="neither"
        )
        check_in(self.refit, "refit", (True, False))
        handling = check_in(self.singularity_handling, "singularity_handling", SINGULARITY)
        if handling != "strict" and check_interval(self.reg_covar, "reg_covar", low=0.0) == 0:
            raise ValueError(
                "reg_covar=0 (in lowdim.tl.fit_gmm eps) needs singularity_handling='strict'."
            )
        sizes = numbers_of_components(self.n_components, "n_components")
        model = GaussianMixture(
            covariance_type=check_in(self.covariance_type, "covariance_type", ("full", "diag")),
            max_iter=self.max_iter,
            tol=self.tol,
            n_init=1,
            init_params="kmeans",
            reg_covar=self.reg_covar,
            device=self.device,
        )
        criterion = check_in(self.criterion, "criterion", CRITERIA)
        n_init = check_positive_int(self.n_init, "n_init")
        return FitPlan(model, n_init, sizes, criterion, train_size, bool(self.refit), handling)

    def _set(self, fits: list[SampleFit], groups: SampleRows, shared: bool) -> None:
        order = [0] * len(groups) if shared else list(range(len(groups)))
        sizes = np.array([len(one.model.weights_) for one in fits])
        S, K, D = len(groups), int(sizes.max()), self.n_features_in_
        tail = (D, D) if self.covariance_type == "full" else (D,)
        self.names_, self.n_rows_ = groups.names, groups.counts
        self.weights_, self.means_ = np.zeros((S, K)), np.zeros((S, K, D))
        self.covariances_ = np.zeros((S, K, *tail))
        for s, number in enumerate(order):
            k, model = sizes[number], fits[number].model
            self.weights_[s, :k] = model.weights_
            self.means_[s, :k] = model.means_
            self.covariances_[s, :k] = model.covariances_
        self.shared_weights_ = fits[0].model.weights_ if shared else None
        self.n_components_ = sizes[order]
        self.log_likelihoods_ = np.array([fits[number].log_likelihood for number in order])
        self.n_iter_ = np.array([fits[number].model.n_iter_ for number in order])
        self.converged_ = np.array([fits[number].model.converged_ for number in order])
        self.singular_ = np.array([len(fits[number].singular) for number in order])
        self.added_variances_ = np.array([fits[number].added for number in order])
        named = ["all"] if shared else groups.names
        tables = [
            one.table.assign(sample=name)
            for one, name in zip(fits, named, strict=True)
            if one.table is not None
        ]
        self.selection_ = pd.concat(tables, ignore_index=True) if tables else None

    def _set_shared(self, source: Any, groups: SampleRows) -> None:
        """Weights of every sample, and how likely its rows are under them."""
        R = self._shared.predict_proba(source)
        for s in range(len(groups)):
            rows = groups.rows(s)
            self.weights_[s] = R[rows].mean(0)
            self.log_likelihoods_[s] = self._gaussians(s).score(dense_rows(source, rows))

    def _warn(self, named: list[str], fits: list[SampleFit]) -> None:
        late = [n for n, one in zip(named, fits, strict=True) if not one.model.converged_]
        if late:
            warn_caller(
                f"The mixture of {listed(late)} did not converge within max_iter={self.max_iter}; "
                "raise max_iter, or tol.",
                ConvergenceWarning,
            )
        flat = [n for n, one in zip(named, fits, strict=True) if len(one.singular)]
        if flat:
            warn_caller(
                f"Components of {listed(flat)} are singular: {flatness(self.covariance_type)}; "
                "there they have no width but what is added to all variances (eps in "
                f"lowdim.tl.fit_gmm, here reg_covar={self.reg_covar:g}). "
                f"Ask for {remedy(self.covariance_type)}."
            )

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.target_tags.required = True
        return tags
