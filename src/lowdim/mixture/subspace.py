"""Mixtures of subspaces: cluster and reduce the dimension at once."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from sklearn.base import (
    BaseEstimator,
    ClassNamePrefixFeaturesOutMixin,
    DensityMixin,
    TransformerMixin,
)
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import check_is_fitted

from lowdim._journal import LongFit
from lowdim._random import generator
from lowdim._results import StopReason
from lowdim._threads import threads_for
from lowdim._validation import check_positive_int, check_sample_weight
from lowdim.data.estimator_rows import read_new_rows, read_rows, standardized_rows
from lowdim.data.lazy_answers import lazy
from lowdim.data.standardized import StandardizedRows
from lowdim.mixture._scores import MixtureScores
from lowdim.mixture._subspace import infer
from lowdim.mixture._subspace.arguments import Arguments, check_arguments
from lowdim.mixture._subspace.attributes import (
    parameters_of,
    read_model,
    set_fitted,
    standard_units,
    write_model,
)
from lowdim.mixture._subspace.criteria import ParameterCount
from lowdim.mixture._subspace.fit import SubspaceFit
from lowdim.mixture._subspace.pieces import OnlineState, update_rows
from lowdim.mixture._subspace.train import fit_rows

if TYPE_CHECKING:
    from pathlib import Path

    from sklearn.utils import Tags


class SubspaceMixture(
    ParameterCount,
    MixtureScores,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
    DensityMixin,
    BaseEstimator,
):
    """A mixture of low-dimensional Gaussian latent variable models.

    Row x of component k follows N(mu_k, C_k) with
    ``C_k = V_k diag(lambda_k) V_k' + sigma_k^2 (I - V_k V_k')``: an affine subspace through mu_k,
    spanned by the d_k orthonormal columns of V_k, with isotropic noise around it. Components may
    differ in dimension: points (d = 0), lines, planes and so on, up to a full Gaussian (d = D).

    Parameters
    ----------
    n_components : int, default=1
        K, the number of components that are learned. With a list of `dims`, its length.
    dims : int, list of int or "auto", default=1
        Dimension d_k of every component, 0 <= d_k <= D. "auto" (soft assignment only) searches
        over the number, up to `n_components` or 10 if that is 1, and the dimensions by BIC.
    assignment : {"soft", "hard", "closest"}, default="soft"
        Posterior responsibilities (EM); each row to its most probable component
        (classification EM); each row to the nearest flat (K-flats, k-means for d = 0).
    n_init : int, default=10
        Number of restarts; the one with the highest objective is kept.
    max_iter : int, default=200
        Passes over the data per restart, at most.
    tol : float, default=1e-6
        Stop when the mean objective per row gains less than this in one step.
    init : {"auto", "kmeans", "points", "local"}, array or list of dict, default="auto"
        How restarts begin: k-means clusters, a few random rows per component, neighbourhoods
        of random rows, or ("auto") all of them in turn. An array of N labels 0..K-1, one of
        responsibilities (N, K), or the components themselves start a single fit there: a list
        of a dict per component, as `components` returns it.
    shared_noise : bool, default=False
        One noise variance for all components that learn theirs.
    annealing : (float, float), optional
        Deterministic annealing ``(beta_0, rate)``: responsibilities are raised to the power
        beta, which grows from beta_0 to 1 by the factor rate. Until then they are soft.
    fixed : dict or list of dict, optional
        Flats whose place is known: ``{"mean": (D,), "basis": (d, D)}``; noise and weight are
        learned, and the variances along the axes unless "latent_variances" gives them.
    background : "uniform", dict or list, optional
        Components of which only the weight is learned: uniform on the data's bounding box, or
        ``{"mean", "basis", "latent_variances", "noise_variance"}``.
    reg_covar : float, default=1e-6
        Floor of all variances, relative to the data's mean variance per column.
    reassign_dims : bool, default=True
        Let every M-step permute the dimensions over the components (an exact joint M-step);
        without it, starts often lock a line's dimension onto a plane.
    batch_size : int, optional
        Rows per block. It bounds memory and does not change the result beyond rounding.
    minibatch_size : int, optional
        Random rows per EM step (stepwise EM); EM with all rows then goes on from the best
        restart. For many rows. By default, or if there are no more rows, each step takes all.
    n_jobs : int, optional
        Split the restarts over so many joblib workers, one core each: threads, or what
        ``joblib.parallel_config`` names. -1 is one per core. Of 20,000 rows (8,000 in many
        columns) or more, they fit a sample, and restarts that end apart and not surely behind go
        on with all rows. By default all restarts share each pass over the data. A search
        (``dims="auto"``) runs as by default.
    device : str, default="auto"
        "cpu", "cuda", or "auto" for a GPU where there is one.
    dtype : {"float32", "float64"}, optional
        Precision of the large products; by default that of the data. Sums are in float64.
    random_state : int, Generator or RandomState, optional
        Seed; the same seed and joblib backend give the same bits on the same machine, whatever
        `n_jobs` if it is more than 1.
    checkpoint : path, optional
        Keep the fit in this file every few iterations. A fit to the same data with the same
        settings goes on from there, to the same bits; only `max_iter` may be another one (not in a
        search). With `n_jobs`, workers are then threads.
    verbose : int, default=0
        1 shows a progress bar.

    Attributes
    ----------
    weights_ : ndarray of shape (K,)
        Mixing proportions, fixed and background components last.
    means_ : ndarray of shape (K, D)
        Component means (nan for a uniform background).
    bases_ : list of ndarray of shape (d_k, D)
        Orthonormal axes, by decreasing variance; the largest entry of each is positive.
    latent_variances_ : list of ndarray of shape (d_k,)
        Variances along the axes, noise included (eigenvalues of C_k).
    noise_variances_ : ndarray of shape (K,)
        Variance in each direction off the subspace. For d = D, which has none, the smallest
        latent variance; for a uniform background, inf.
    dims_ : ndarray of shape (K,)
        Dimension of each component.
    lower_bound_ : float
        Mean log-likelihood per row.
    objective_trace_ : ndarray
        The objective (mean per row) at each accepted step: log-likelihood, classification
        log-likelihood ("hard"), or minus the squared distance ("closest"). With minibatches it
        begins with its mean over each pass through the rows. After a search, that of the last
        run, which goes on from the best mixture found.
    n_iter_ : int
        Passes over the data of the kept restart (in many columns, those in all columns).
    converged_ : bool
        Whether it settled within `tol`.
    stop_reason_ : str
        Why it stopped.
    restart_objectives_ : ndarray of shape (n_init,)
        Last objective of each restart (those left far behind stop early; nan where one failed;
        with `n_jobs`, of one that a sample was enough to drop, the best less what it was behind),
        or, after a search, of every run that ended with the chosen dimensions.
    search_, search_trace_ : dict, ndarray of shape (n_runs, 2)
        After a search only: its settings; number of components and BIC (inf where a component
        is degenerate) of every run of EM, in order.
    degenerate_ : bool
        Whether a component sits on the variance floor or owns too few rows.

    Notes
    -----
    The model is that of Tipping and Bishop, "Mixtures of probabilistic principal component
    analysers", Neural Computation 11 (1999), with a dimension per component. A fit never forms
    a D x D matrix for D > 64, and never makes sparse input dense.

    Examples
    --------
    >>> from lowdim import SubspaceMixture, data
    >>> planted = data.subspaces(600, dims=[2, 1], n_columns=5, random_state=0)
    >>> model = SubspaceMixture(dims=[2, 1], random_state=0).fit(planted.X)
    >>> [basis.shape for basis in model.bases_]
    [(2, 5), (1, 5)]
    """

    def __init__(
        self,
        n_components: int = 1,
        dims: Any = 1,
        *,
        assignment: str = "soft",
        n_init: int = 10,
        max_iter: int = 200,
        tol: float = 1e-6,
        init: Any = "auto",
        shared_noise: bool = False,
        annealing: tuple[float, float] | None = None,
        fixed: Any = None,
        background: Any = None,
        reg_covar: float = 1e-6,
        reassign_dims: bool = True,
        batch_size: int | None = None,
        minibatch_size: int | None = None,
        n_jobs: int | None = None,
        device: Any = "auto",
        dtype: Any = None,
        random_state: Any = None,
        checkpoint: Any = None,
        verbose: int = 0,
    ) -> None:
        self.n_components = n_components
        self.dims = dims
        self.assignment = assignment
        self.n_init = n_init
        self.max_iter = max_iter
        self.tol = tol
        self.init = init
        self.shared_noise = shared_noise
        self.annealing = annealing
        self.fixed = fixed
        self.background = background
        self.reg_covar = reg_covar
        self.reassign_dims = reassign_dims
        self.batch_size = batch_size
        self.minibatch_size = minibatch_size
        self.n_jobs = n_jobs
        self.device = device
        self.dtype = dtype
        self.random_state = random_state
        self.checkpoint = checkpoint
        self.verbose = verbose

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Fit the mixture.

        Parameters
        ----------
        X : array-like, sparse, DataFrame, tensor, AnnData, row source or path, shape (N, D)
            Observations as rows.
        y : ignored
        sample_weight : array-like of shape (N,), optional
            Nonnegative row weights; a weight of 2 counts as the row twice.

        Returns
        -------
        The fitted estimator.

        Raises
        ------
        ValueError, TypeError
            An argument or the data cannot be used; nothing has been computed by then.
        """
        source = read_rows(self, X)
        weight = check_sample_weight(sample_weight, source.n_rows)
        if isinstance(self.dims, str):
            from lowdim.mixture.selection import fit_auto

            fit_auto(self, source, weight)
            return self
        arguments = check_arguments(self, source)
        given = {"sample_weight": weight}
        long_fit = LongFit(self, source, generator(self.random_state), given)
        with threads_for(source.n_rows * source.n_cols), long_fit as journal:
            data = self._rows(arguments, weight)
            self._set(fit_rows(arguments, data, journal.rng, journal), data)
        self._online: OnlineState | None = None
        return self

    def partial_fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Update the mixture with more rows (stepwise EM with decaying steps).

        The first call fits its rows as `fit` does and fixes the units; later calls make one
        pass over theirs. An early piece should therefore represent the data.
        """
        first = not hasattr(self, "weights_")
        source = read_rows(self, X, reset=first)
        weight = check_sample_weight(sample_weight, source.n_rows)
        arguments = check_arguments(self, source)
        state = None if first else getattr(self, "_online", None)
        moments = state.units if state else None if first else standard_units(self)
        with threads_for(source.n_rows * source.n_cols):
            data = self._rows(arguments, weight, moments)
            before = state if first or state else parameters_of(self, data)
            fit, self._online = update_rows(arguments, data, generator(self.random_state), before)
        self._set(fit, data)
        return self

    def fit_predict(self, X: Any, y: Any = None, sample_weight: Any = None) -> np.ndarray:
        """Fit, then the component of every row, (N,)."""
        return self.fit(X, y, sample_weight).predict(X)

    @lazy
    def predict(self, X: Any) -> np.ndarray:
        """Component of every row, (N,): the most probable, or the nearest for "closest"."""
        data, parameters = self._fitted(X)
        if self.assignment == "closest":
            return infer.squared_distances(data, parameters).argmin(1)
        return infer.log_joint(data, parameters).argmax(1)

    @lazy
    def transform(self, X: Any, component: int | None = None) -> np.ndarray:
        """Posterior mean of the latent coordinates.

        ``E[latent | x, k] = (1 - sigma^2 / lambda) V'(x - mu)``: the projection, shrunk by how
        much of the variance along the axis is noise.

        Parameters
        ----------
        X : array-like of shape (N, D)
        component : int, optional
            Which component's axes; by default those of each row's most probable component.

        Returns
        -------
        ndarray of shape (N, d_k), or (N, max d) padded with zeros when `component` is None.
        """
        data, parameters = self._fitted(X)
        if component is None:
            return infer.latent_of_assigned(data, parameters, closest=self.assignment == "closest")
        k = len(self.weights_)
        if not isinstance(component, (int, np.integer)) or not -k <= component < k:
            raise ValueError(f"component={component!r} is not one of the {k} components.")
        return infer.latent_of_component(data, parameters, int(component) % k)

    @lazy
    def reconstruct(self, X: Any) -> np.ndarray:
        """Posterior mean of the noise-free rows, sum_k r_k E[mu_k + V_k latent | x, k], (N, D)."""
        return infer.reconstruction(*self._fitted(X))

    def components(self) -> list[dict[str, Any]]:
        """The learned components, in the form that `init` takes.

        Returns
        -------
        list of dict
            One per component: "weight", "mean", "basis", "latent_variances" and "noise_variance".
        """
        check_is_fitted(self)
        return [
            {
                "weight": float(self.weights_[k]),
                "mean": self.means_[k],
                "basis": self.bases_[k],
                "latent_variances": self.latent_variances_[k],
                "noise_variance": float(self.noise_variances_[k]),
            }
            for k in range(len(self.weights_) - len(self._held))
        ]

    def sample(self, n_samples: int = 1, random_state: Any = None) -> tuple[np.ndarray, np.ndarray]:
        """Draw rows, (n, D), and their components, (n,), from the mixture.

        `random_state` defaults to the estimator's own. A uniform background has no sampler.
        """
        check_is_fitted(self)
        if np.isinf(self.noise_variances_).any():
            raise ValueError("A mixture with a uniform background cannot be sampled from.")
        n_samples = check_positive_int(n_samples, "n_samples")
        rng = generator(self.random_state if random_state is None else random_state)
        return infer.sample(self, n_samples, rng)

    def save(self, path: str | Path) -> None:
        """Write the fitted model to one HDF5 file; `lowdim.load` reads it. Never a pickle."""
        check_is_fitted(self)
        write_model(self, path)

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a model that `save` wrote."""
        return read_model(cls(), path)

    @property
    def _n_features_out(self) -> int:
        return int(self.dims_.max())

    def _rows(
        self, arguments: Arguments, weight: np.ndarray | None, moments: Any = None
    ) -> StandardizedRows:
        return standardized_rows(
            arguments.source,
            device=arguments.device,
            dtype=arguments.dtype,
            sample_weight=weight,
            block_rows=self.batch_size,
            moments=moments,
        )

    def _set(self, fit: SubspaceFit, data: StandardizedRows) -> None:
        set_fitted(self, fit, data)
        if not self.converged_ and fit.reason is not StopReason.INTERRUPTED:
            warnings.warn(
                f"SubspaceMixture did not converge: {fit.reason.sentence}",
                ConvergenceWarning,
                stacklevel=3,
            )

    def _fitted(self, X: Any) -> tuple[StandardizedRows, Any]:
        check_is_fitted(self)
        data = read_new_rows(self, X, standard_units(self))
        return data, parameters_of(self, data)

    def _log_joint(self, X: Any) -> np.ndarray:
        return infer.log_joint(*self._fitted(X))

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags
