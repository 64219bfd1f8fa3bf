"""Covariances of low rank: the components of `SubspaceMixture` under GaussianMixture's names.

``Sigma_k = W_k W_k' + sigma_k^2 I`` with loadings W_k, (D, q): probabilistic principal components
of each component. The subspace family fits and scores it; here its results change their form.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from lowdim._validation import check_in, check_positive_int
from lowdim.data.estimator_rows import read_new_rows
from lowdim.data.sources import RowSource
from lowdim.mixture._given_start import check_start
from lowdim.mixture._subspace import infer
from lowdim.mixture._subspace.attributes import parameters_of, standard_units
from lowdim.mixture.subspace import SubspaceMixture

if TYPE_CHECKING:
    from lowdim.mixture.gaussian import GaussianMixture

#: Kinds of start, and what the subspace family calls them.
STARTS = {"auto": "auto", "kmeans": "kmeans", "random_from_data": "points"}
#: Restarts unless the user asks for another number.
N_INIT = 10


def fit_low_rank(model: GaussianMixture, source: RowSource, weight: np.ndarray | None) -> None:
    """Fit, and store the fit on the estimator."""
    subspaces = _unfitted(model, source)
    previous = getattr(model, "loadings_", None)
    shape = (subspaces.n_components, source.n_cols, model.rank)
    if model.warm_start and previous is not None and previous.shape == shape:
        subspaces.set_params(init=fitted_subspaces(model).components())
    _settle(subspaces.fit, model, subspaces, source, weight)


def update_low_rank(
    model: GaussianMixture, source: RowSource, weight: np.ndarray | None, past: Any
) -> SubspaceMixture:
    """One step with a piece; returns what the next one goes on from."""
    subspaces: SubspaceMixture = past or fitted_subspaces(model)
    _settle(subspaces.partial_fit, model, subspaces, source, weight)
    return subspaces


def fitted_subspaces(model: GaussianMixture) -> SubspaceMixture:
    """The same mixture as the subspace family writes it."""
    k, d, q = model.loadings_.shape
    axes, lengths, _ = np.linalg.svd(model.loadings_, full_matrices=False)
    noise = model.noise_variances_
    subspaces = SubspaceMixture(
        k, dims=q, reg_covar=model.reg_covar, batch_size=model.batch_size, device=model.device,
        dtype=model.dtype or "float64", random_state=model.random_state,
    )  # fmt: skip
    subspaces.weights_, subspaces.means_ = model.weights_, model.means_
    subspaces.bases_ = list(axes.swapaxes(1, 2))
    subspaces.latent_variances_ = list(lengths**2 + noise[:, None])
    subspaces.noise_variances_ = noise
    subspaces.dims_ = np.full(k, q)
    subspaces.n_features_in_ = d
    subspaces._log_volume, subspaces._held = np.zeros(k), []
    return subspaces


def low_rank_log_joint(model: GaussianMixture, X: Any) -> np.ndarray:
    """``log weight_k + log p(x_i | k)``, (N, K)."""
    subspaces = fitted_subspaces(model)
    data = read_new_rows(model, X, standard_units(subspaces), dtype="float64")
    return infer.log_joint(data, parameters_of(subspaces, data))


def _unfitted(model: GaussianMixture, source: RowSource) -> SubspaceMixture:
    """The subspace family with the settings of the estimator, which are checked.

    Those that mean the same there are checked by its own `fit`.
    """
    for name in ("weights_init", "means_init", "precisions_init"):
        if getattr(model, name) is not None:
            raise ValueError(
                f"{name} is not for covariance_type='low_rank'; give labels or responsibilities "
                "of the rows as init_params, or use SubspaceMixture(init=components)."
            )
    if not model.accelerate:
        raise ValueError("accelerate=False is not for covariance_type='low_rank'; drop it.")
    k = check_positive_int(model.n_components, "n_components")
    rank = check_positive_int(model.rank, "rank", minimum=0)
    if rank > source.n_cols:
        raise ValueError(f"rank={rank} is more than the {source.n_cols} column(s) of X.")
    init, n_init = model.init_params, model.n_init
    if isinstance(init, str):
        init = STARTS[check_in(init, "init_params", tuple(STARTS))]
    else:
        shares = check_start(init, "init_params", tuple(STARTS), source.n_rows, k)
        init = np.asarray(init) if np.ndim(init) == 1 else shares
    if isinstance(n_init, str):
        check_in(n_init, "n_init", ("auto",))
        n_init = N_INIT
    return SubspaceMixture(
        k, dims=rank, n_init=n_init, init=init, tol=model.tol, max_iter=model.max_iter,
        reg_covar=model.reg_covar, batch_size=model.batch_size, device=model.device,
        dtype=model.dtype or "float64", random_state=model.random_state,
        checkpoint=model.checkpoint, verbose=model.verbose,
    )  # fmt: skip


def _settle(
    fit: Any,
    model: GaussianMixture,
    subspaces: SubspaceMixture,
    source: RowSource,
    weight: np.ndarray | None,
) -> None:
    """Run a fit of the subspace family and store what it found; the estimator warns itself."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".* did not converge", ConvergenceWarning)
        fit(source, sample_weight=weight)
    along = np.stack(subspaces.latent_variances_) - subspaces.noise_variances_[:, None]
    bases = np.stack(subspaces.bases_).swapaxes(1, 2)
    for name in ("covariances_", "precisions_"):
        model.__dict__.pop(name, None)  # of an earlier fit of another shape
    model.weights_, model.means_ = subspaces.weights_, subspaces.means_
    model.loadings_ = bases * np.sqrt(along.clip(min=0))[:, None, :]
    model.noise_variances_ = subspaces.noise_variances_
    model.lower_bounds_ = subspaces.objective_trace_
    model.lower_bound_ = subspaces.lower_bound_
    model.restart_lower_bounds_ = subspaces.restart_objectives_
    model.n_iter_ = subspaces.n_iter_
    model.converged_ = subspaces.converged_
    model.stop_reason_ = subspaces.stop_reason_
    model.degenerate_ = subspaces.degenerate_
