"""Mixtures of negative binomial distributions for counts."""

from __future__ import annotations

import warnings
from numbers import Integral
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from sklearn.base import BaseEstimator, DensityMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import check_is_fitted

from lowdim._device import resolve_device
from lowdim._journal import LongFit
from lowdim._random import generator
from lowdim._results import StopReason
from lowdim._saving import Saved
from lowdim._threads import threads_for
from lowdim._validation import check_positive_int, check_sample_weight
from lowdim.data.estimator_rows import read_rows
from lowdim.data.lazy_answers import lazy, like_rows
from lowdim.mixture._counts.answers import fold_changes, posterior_means, sample_counts
from lowdim.mixture._counts.arguments import check_arguments
from lowdim.mixture._counts.fit import Fit, fit_counts
from lowdim.mixture._counts.looks import labels_of
from lowdim.mixture._counts.model import AnyCounts, Mixture, Sizes, responsibilities
from lowdim.mixture._counts.read import counts_for, counts_here, scores_of
from lowdim.mixture._counts.size_factors import SizeRule, check_size_factors
from lowdim.mixture._scores import MixtureScores

if TYPE_CHECKING:
    import pandas as pd
    import scipy.sparse as sp
    from sklearn.utils import Tags


class NegativeBinomialMixture(Saved, MixtureScores, DensityMixin, BaseEstimator):  # type: ignore[misc]
    """A mixture of negative binomial distributions for a matrix of counts.

    Given its component k, row i has independent counts of mean ``s_i mu_kg`` and variance
    ``s_i mu_kg + phi (s_i mu_kg)^2``: with n = 1 / phi,

    ``log p(x | k) = sum_g [sum_{m < x} log(1 + m phi) - log x! + x log(s mu) - (x + n) log(1 + s
    phi mu)]``.

    The size factor s_i tells how deeply a row was counted, and phi = 0 is Poisson. The fit
    maximises the likelihood and a weak prior by expectation-maximisation. Its cost grows with the
    counts that are not zero; the matrix is never made dense.

    Parameters
    ----------
    n_components : int, default=1
        K.
    dispersion : {"gene", "component", "global", "poisson"}, default="gene"
        One phi per gene, which all components share; one per component and gene; one number; or
        none, phi = 0.
    size_factors : {"total", "estimate"}, None or array-like of shape (N,), default="total"
        The row's total relative to the mean total; the most likely ones under the mixture; one for
        all; or given numbers, at which means are then in units of size factor 1.
    n_init : int, default=3
        Restarts, of which the one with the highest objective is kept.
    init : {"kmeans", "random"} or array-like of shape (N,) or (N, K), default="kmeans"
        Where to begin: at k-means of log-normalised rows in their 20 leading directions, with twice
        as many clusters, of which the closest are merged after a few iterations (restarts differ in
        the seeds of k-means); at random parts; at labels 0 to K - 1, or at responsibilities. Given
        ones start a single run.
    max_iter : int, default=200
        Iterations at most, per restart.
    tol : float, default=1e-3
        Stop when the objective per row gains less than this in an iteration.
    prior : float or "auto", default="auto"
        Each mean has a gamma prior that weighs as much as this many counts seen at the gene's mean,
        so that log means are expected to differ from the gene's by about ``1 / sqrt(prior)``. It
        keeps the many genes in which components do not differ, or which are rarely counted, from
        outvoting the others. "auto" is a tenth of what a component has of a gene on average, or of
        the number of genes if that is less, but at least 5 and at most 100. Fewer counts, such as
        5, leave fold changes of means less diminished; 0 is maximum likelihood.
    shrinkage : {"auto"}, float or None, default=None
        Shrink dispersions toward their trend over the mean: a normal prior on log phi around the
        trend of the first start. Its standard deviation is this number, or ("auto") what the genes'
        scatter around the trend has beyond their sampling error.
    random_state : int, Generator or RandomState, optional
        Seed of the starts.
    device : str or torch.device, default="cpu"
        Where rows are scored and summed; "auto" is a CUDA device if there is one. What is left of
        an iteration, one small problem per gene, is solved on the CPU.
    checkpoint : path, optional
        Keep the fit in this file every few iterations. A fit to the same data with the same
        settings goes on from there, to the same bits; only `max_iter` may be another one.
    verbose : int, default=0
        1 shows a progress bar.

    Attributes
    ----------
    weights_ : ndarray of shape (K,)
        Mixing proportions.
    means_ : ndarray of shape (K, D)
        mu, counts at size factor 1.
    dispersions_ : ndarray of shape (D,) or (K, D), or float
        phi: per gene, per component and gene, or one number (0 for Poisson). Genes with no more
        variance than Poisson end at 1e-6.
    size_factors_ : ndarray of shape (N,)
        Of the rows of the fit. A row without counts gets that of a single count.
    labels_ : ndarray of shape (N,), int32
        The most probable component of the rows of the fit.
    lower_bound_ : float
        Mean log-likelihood per row.
    objective_trace_ : ndarray
        Log-likelihood plus log density of the prior (up to a constant), mean per row, at every
        iteration of the kept restart; it never falls. It begins anew where a component without rows
        was put elsewhere.
    restart_objectives_ : ndarray of shape (n_init,)
        The last objective of every restart; one that stayed far behind another stopped early.
    prior_ : float
        The counts of the prior on means.
    n_iter_ : int
    converged_ : bool
    stop_reason_ : str
    dispersion_trend_ : ndarray of shape (D,)
        The centres of the prior on phi; with `shrinkage` only.
    n_features_in_ : int

    Notes
    -----
    The objective adds ``prior (log(mu / m) - mu / m + 1)`` for every mean, with the gene's mean m,
    and with shrinkage the log density of log phi. Sums over genes or rows without counts are smooth
    functions of the size factor; they are taken at Chebyshev nodes and are exact to about 1e-13.
    With all genes free, `bic` picks too few components; prefer the likelihood of held-out rows.

    References
    ----------
    McLachlan and Peel (2000), Finite Mixture Models. Anders and Huber (2010), Differential
    expression analysis for sequence count data. Love, Huber and Anders (2014), Moderated estimation
    of fold change and dispersion for RNA-seq data with DESeq2.

    Examples
    --------
    >>> import lowdim as ld
    >>> X = [[9, 0], [8, 1], [7, 0], [0, 9], [1, 7], [0, 8]]
    >>> model = ld.NegativeBinomialMixture(2, dispersion="poisson", random_state=0).fit(X)
    >>> sorted(model.weights_.round(2).tolist())
    [0.5, 0.5]
    """

    _also = ("_size_rule", "_information")

    def __init__(
        self,
        n_components: int = 1,
        *,
        dispersion: str = "gene",
        size_factors: Any = "total",
        n_init: int = 3,
        init: Any = "kmeans",
        max_iter: int = 200,
        tol: float = 1e-3,
        prior: Any = "auto",
        shrinkage: Any = None,
        random_state: Any = None,
        device: Any = "cpu",
        checkpoint: Any = None,
        verbose: int = 0,
    ) -> None:
        self.n_components = n_components
        self.dispersion = dispersion
        self.size_factors = size_factors
        self.n_init = n_init
        self.init = init
        self.max_iter = max_iter
        self.tol = tol
        self.prior = prior
        self.shrinkage = shrinkage
        self.random_state = random_state
        self.device = device
        self.checkpoint = checkpoint
        self.verbose = verbose

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Fit the mixture.

        Parameters
        ----------
        X : array-like, sparse, DataFrame, tensor, AnnData, row source or path, shape (N, D)
            Counts, observations as rows. For a layer of an AnnData pass
            ``lowdim.data.as_rows(adata, layer="counts")``.
        y : ignored
        sample_weight : array-like of shape (N,), optional
            Nonnegative row weights; a weight of 2 counts as the row twice.

        Returns
        -------
        The fitted estimator.

        Raises
        ------
        ValueError, TypeError
            An argument cannot be used, or the data are not counts; nothing is computed then.

        Warns
        -----
        ConvergenceWarning
            It stopped at `max_iter`, or a component has no rows.
        """
        device = resolve_device(self.device)
        source = read_rows(self, X, counts=True)
        weight = check_sample_weight(sample_weight, source.n_rows)
        arguments = check_arguments(self, source.n_rows, weight)
        counts = counts_for(source, device, weight)
        given = {"sample_weight": weight}
        long_fit = LongFit(self, source, generator(self.random_state), given)
        with threads_for(counts.n_stored), long_fit as journal:
            fit = fit_counts(arguments, counts, journal.rng, journal)
            self._set(fit)
            self.labels_ = like_rows(X, fit.best.seen.of_rows(labels_of))
        return self

    def fit_predict(self, X: Any, y: Any = None, sample_weight: Any = None) -> np.ndarray:
        """Fit, then the most probable component of every row, (N,), int32."""
        return self.fit(X, sample_weight=sample_weight).labels_

    @lazy
    def predict(self, X: Any, *, size_factors: Any = None) -> np.ndarray:
        """The most probable component of every row, (N,), int32."""
        return self._scored(X, size_factors)[0].argmax(1).astype(np.int32)

    @lazy
    def predict_proba(self, X: Any, *, size_factors: Any = None) -> np.ndarray:
        """Posterior probability of every component, (N, K)."""
        return responsibilities(self._scored(X, size_factors)[0])[1]

    @lazy
    def score_samples(self, X: Any, *, size_factors: Any = None) -> np.ndarray:
        """Log-likelihood of every row, (N,), with all constants.

        Parameters
        ----------
        X : as for `fit`, shape (N, D)
        size_factors : array-like of shape (N,), optional
            Those of the rows. By default they follow from the counts as in the fit; after a fit
            with given ones they must be given.
        """
        return responsibilities(self._scored(X, size_factors)[0])[0]

    def score(self, X: Any, y: Any = None, sample_weight: Any = None) -> float:
        """Mean log-likelihood per row."""
        rows = self.score_samples(X)
        return float(np.average(rows, weights=check_sample_weight(sample_weight, len(rows))))

    @lazy
    def reconstruct(self, X: Any, *, size_factors: Any = None) -> np.ndarray:
        """Posterior mean of the expression behind the counts, at size factor 1, (N, D), dense.

        ``sum_k r_k mu_k (1 + phi x) / (1 + phi s mu_k)``: the component's mean, drawn toward x / s
        as far as the gene varies within components.
        """
        scores, counts, sizes = self._scored(X, size_factors)
        return posterior_means(counts, sizes, self._mixture(), responsibilities(scores)[1])

    def markers(self, component: int, *, sort: bool = True) -> pd.DataFrame:
        """How a component's genes differ from those of the other components.

        Parameters
        ----------
        component : int
            0 to K - 1.
        sort : bool, default=True
            By falling z; otherwise in the order of the genes.

        Returns
        -------
        DataFrame
            One row per gene: "log2_fold_change" against the mean of the other
            components (weighted by their proportions), its "standard_error", their ratio "z", and
            both means. The components are those the data chose, so z ranks genes; it is no test.

        Raises
        ------
        TypeError, ValueError
            `component` is not the number of a component, or there is only one.
        """
        check_is_fitted(self)
        k = len(self.weights_)
        if isinstance(component, bool) or not isinstance(component, Integral):
            raise TypeError(
                f"component={component!r} is a {type(component).__name__}; pass an int."
            )
        if k == 1:
            raise ValueError("The mixture has a single component, so there are no others.")
        if not 0 <= component < k:
            raise ValueError(f"component={component!r} is not one of 0 to {k - 1}.")
        names = getattr(self, "feature_names_in_", None)
        table = fold_changes(self._mixture(), self._information, int(component), names)
        return table.sort_values("z", ascending=False, kind="stable") if sort else table

    def sample(
        self, n_samples: int = 1, *, size_factors: Any = None, random_state: Any = None
    ) -> tuple[sp.csr_matrix, np.ndarray]:
        """Draw counts, CSR (n, D) int64, and their components, (n,), from the mixture.

        Size factors are drawn from those of the fit unless they are given. `random_state` defaults
        to the estimator's own.
        """
        check_is_fitted(self)
        n = check_positive_int(n_samples, "n_samples")
        rng = generator(self.random_state if random_state is None else random_state)
        labels = rng.choice(len(self.weights_), size=n, p=self.weights_).astype(np.int32)
        if size_factors is None:
            sizes = rng.choice(self.size_factors_, size=n)
        else:
            sizes = check_size_factors(size_factors, n)
        return sample_counts(self._mixture(), sizes, labels, rng), labels

    def n_parameters(self) -> int:
        """Number of free parameters: means, dispersions, and proportions.

        Estimated size factors are not counted: each belongs to one row.
        """
        check_is_fitted(self)
        free = 0 if self.dispersion == "poisson" else np.size(self.dispersions_)
        return int(self.means_.size + free + len(self.weights_) - 1)

    # Helpers ----------------------------------------------------------------------------------

    def _set(self, fit: Fit) -> None:
        run, model = fit.best, fit.best.model
        self.weights_ = model.weights
        self.means_ = np.ascontiguousarray(model.mean.T)
        self.dispersions_ = self._public_noise(model.noise)
        self.size_factors_ = run.sizes.values
        self.lower_bound_ = run.log_likelihood
        self.objective_trace_ = run.trace
        self.restart_objectives_ = fit.objectives
        self.prior_ = fit.prior.count
        self.n_iter_ = run.n_iter
        self.converged_ = run.reason is StopReason.CONVERGED
        self.stop_reason_ = str(run.reason.value)
        if fit.prior.precision > 0:
            self.dispersion_trend_ = np.exp(fit.prior.centres)
        elif hasattr(self, "dispersion_trend_"):
            del self.dispersion_trend_
        self._size_rule, self._information = (fit.rule.kind, fit.rule.unit), fit.information
        message = None
        if run.starved:
            message = (
                "after several tries a component still has no rows; ask for fewer components than "
                f"n_components={self.n_components}."
            )
        elif not self.converged_ and run.reason is not StopReason.INTERRUPTED:
            message = f"it did not converge: {run.reason.sentence}"
        if message:
            warnings.warn(f"NegativeBinomialMixture: {message}", ConvergenceWarning, stacklevel=3)

    def _public_noise(self, noise: np.ndarray) -> Any:
        """Phi in the shape that `dispersion` has."""
        if self.dispersion == "component":
            return np.ascontiguousarray(noise.T)
        return noise[:, 0].copy() if self.dispersion == "gene" else float(noise[0, 0])

    def _mixture(self) -> Mixture:
        """The parameters, genes first."""
        mean = np.ascontiguousarray(self.means_.T)
        per_component = self.dispersion == "component"
        noise = np.asarray(self.dispersions_, dtype=np.float64)
        own = noise.T if per_component else np.reshape(noise, (-1, 1))
        full = np.ascontiguousarray(np.broadcast_to(own, mean.shape))
        return Mixture(self.weights_, mean, full, per_component)

    def _log_joint(self, X: Any) -> np.ndarray:
        return self._scored(X, None)[0]

    def _scored(self, X: Any, size_factors: Any) -> tuple[np.ndarray, AnyCounts, Sizes]:
        """Scores of new rows, (N, K), their counts and size factors."""
        check_is_fitted(self)
        device = resolve_device(self.device)
        source = read_rows(self, X, reset=False, counts=True)
        model = self._mixture()
        rule, given = SizeRule(*self._size_rule), None
        if size_factors is not None:
            given = check_size_factors(size_factors, source.n_rows)
        elif rule.kind == "given":
            raise ValueError(
                "size_factors were given to the fit, so new rows have no rule; pass theirs as "
                "size_factors=."
            )
        counts = counts_here(source)
        with threads_for(source.n_rows * source.n_cols):
            sizes = rule.new_rows(counts, model) if given is None else Sizes.of(given)
            return scores_of(counts, sizes, model, device), counts, sizes

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.input_tags.positive_only = True
        return tags
