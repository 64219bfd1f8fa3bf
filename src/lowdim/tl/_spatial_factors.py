"""Spatial factors of an AnnData."""

from __future__ import annotations

from collections.abc import Mapping
from inspect import signature
from typing import TYPE_CHECKING, Any

import numpy as np

from lowdim._keys import FactorRecord, SpatialFactorKeys
from lowdim._version import __version__
from lowdim.data.columns import column
from lowdim.factorization import moran, scaled_loadings, spatial_importance
from lowdim.factorization._size_factors import RULES
from lowdim.factorization.models import ESTIMATORS, estimator_of
from lowdim.tl._input import open_rows, warn_of_counts
from lowdim.tl._params import GIVEN, to_uns
from lowdim.tl._places import coordinates_of, samples_of
from lowdim.tl._results import Results

if TYPE_CHECKING:
    from anndata import AnnData

    from lowdim._typing import PathLike
    from lowdim.data.sources import RowSource


N_FACTORS = 10


def spatial_factors(
    adata: AnnData,
    n_factors: int | None = None,
    model: Any = "nsf",
    *,
    n_spatial: int | None = None,
    layer: str | None = "counts",
    spatial_key: str = "spatial",
    sample_key: str | None = None,
    likelihood: str | None = None,
    length_scale: Any = None,
    inducing: Any = None,
    size_factors: Any = None,
    key_added: str = "spatial_factors",
    random_state: Any = 0,
    checkpoint: PathLike | None = None,
    verbose: int = 0,
    copy: bool = False,
) -> AnnData | None:
    """Factors of an AnnData that vary smoothly over space, and others.

    Values are used as they are: nothing is normalised, selected or reduced.

    Parameters
    ----------
    adata
        The AnnData, rows at places.
    n_factors
        L; by default 10, or that of an estimator.
    model : {"nsf", "nsfh", "rsf", "pnmf", "fa", "mefisto"} or an estimator, default="nsf"
        "nsf" is `lowdim.SpatialFactorization`; "nsfh" is `lowdim.HybridSpatialFactorization`,
        which has factors without a place as well; "rsf" has real-valued factors of values, and
        "mefisto" the same with a squared-exponential kernel whose length is learned; "pnmf" and
        "fa" are nonnegative and real-valued without places. For settings that are not among these
        arguments pass an unfitted estimator, whose seed is replaced by the one here.
    n_spatial
        T, for "nsfh"; by default half of the factors.
    layer
        Key of `layers` with raw counts, or for Gaussian noise with values; None fits `X`.
    spatial_key
        Key of `obsm` with coordinates, (N, D), or a column of `obs`, such as a time.
    sample_key
        Column of `obs` that tells slides apart, whose places have nothing to do with each other.
    likelihood, length_scale, inducing
        As in the estimator; None is its default.
    size_factors
        As in the estimator, or a column of `obs`; None is its default, no size factors.
    key_added
        Where results go. What an earlier call left there is replaced.
    random_state
        Seed; the same seed gives the same result on the same machine.
    checkpoint
        A file to keep the fit in every few iterations; the same call goes on from there.
    verbose
        1 shows a progress bar.
    copy
        Return a copy with the results and leave `adata` as it is.

    Returns
    -------
    None, or with `copy` the copy. It has:

    ``obsm[key_added]``
        Posterior means of the factors, (N, L): spatial ones first, each kind by decreasing
        Moran's I.
    ``obsm[f"{key_added}_sd"]``
        Their posterior standard deviations.
    ``varm[f"{key_added}_loadings"]``
        Loadings, (n_vars, L).
    ``obs[f"{key_added}_importance"]``, ``var[f"{key_added}_importance"]``
        With factors of both kinds: the share of the rate that spatial ones carry, in each row and
        for each gene; see `lowdim.get.spatial_importance`.
    ``obs[f"{key_added}_size_factor"]``
        Where they are used.
    ``var[f"{key_added}_dispersion"]``, ``..._noise_variance``, ``..._intercept``
        Where the model has them.
    ``uns[key_added]``
        The fit: ``model``, ``params``, ``objective`` (the bound per row), ``lower_bounds``,
        ``n_iter``, ``converged``, ``n_spatial``, ``moran``, ``shares`` (of each factor in the
        rate), ``length_scales``, ``nonnegative``, ``version``.

    Raises
    ------
    TypeError, ValueError
        An argument or the data cannot be used. `adata` is then as it was.

    See Also
    --------
    lowdim.get.factors, lowdim.get.top_genes, lowdim.get.enrichment
    lowdim.pl.spatial_factors

    Examples
    --------
    >>> import lowdim as ld
    >>> ld.tl.spatial_factors(adata, 8, "nsfh", size_factors="mean")  # doctest: +SKIP
    >>> ld.pl.spatial_factors(adata)  # doctest: +SKIP
    """
    keys = SpatialFactorKeys(key_added)
    _check_layer(adata, layer)
    source = open_rows(
        adata, layer=layer, use_rep=None, written=(keys.factors, keys.deviations), copy=copy
    )
    if spatial_key in (keys.factors, keys.deviations):
        raise ValueError(
            f"key_added={key_added!r} would overwrite the coordinates; pass another key_added."
        )
    settings = {
        "n_factors": n_factors,
        "n_spatial": n_spatial,
        "likelihood": likelihood,
        "length_scale": length_scale,
        "inducing": inducing,
        "size_factors": _size_factors(adata, size_factors),
        "checkpoint": checkpoint,
        "verbose": verbose or None,
    }
    estimator = _estimator(model, {k: v for k, v in settings.items() if v is not None})
    estimator.set_params(random_state=random_state)
    if estimator.get_params().get("likelihood") == "gaussian":
        warn_of_counts(source, layer=layer, use_rep=None)
    fitted, coordinates, samples = _fit(adata, source, estimator, spatial_key, sample_key)
    order = _order(fitted, coordinates, samples)
    params = {"layer": layer, "spatial_key": spatial_key, "sample_key": sample_key}
    name = model if isinstance(model, str) else type(model).__name__
    results = _results(fitted, keys, name, params, *order)
    target = adata.copy() if copy else adata
    results.write(target)
    return target if copy else None


def _check_layer(adata: Any, layer: str | None) -> None:
    if layer is not None and hasattr(adata, "layers") and layer not in adata.layers:
        raise ValueError(
            f"layer={layer!r} is not in adata.layers, which has {sorted(adata.layers)}. Models of "
            "counts need raw ones: keep them before you normalise, with adata.layers['counts'] = "
            "adata.X.copy(), or pass layer=None if X is what you want to fit."
        )


def _size_factors(adata: AnnData, wanted: Any) -> Any:
    """A column of `obs`, or what else the estimator takes."""
    if isinstance(wanted, str) and wanted not in RULES and wanted in adata.obs:
        return column(adata.obs, wanted).to_numpy(dtype=np.float64)
    return wanted


def _estimator(model: Any, settings: Mapping[str, Any]) -> Any:
    """An unfitted estimator with these settings, which it must have."""
    from sklearn.base import clone

    if isinstance(model, str):
        estimator = estimator_of(model)
        settings = {"n_factors": N_FACTORS, **settings}
    else:
        if not isinstance(model, ESTIMATORS):
            raise TypeError(
                f"model is of type {type(model).__name__}; pass a name or an unfitted estimator "
                "such as lowdim.SpatialFactorization(...)."
            )
        estimator = clone(model)
    strange = [name for name in settings if name not in estimator.get_params()]
    if strange:
        raise ValueError(
            f"{strange[0]}={settings[strange[0]]!r} is not a setting of {type(estimator).__name__} "
            f"(model={model!r}); leave it out, or choose another model."
        )
    return estimator.set_params(**settings)


def _fit(
    adata: AnnData, source: RowSource, estimator: Any, spatial_key: str, sample_key: str | None
) -> tuple[Any, np.ndarray | None, np.ndarray | None]:
    """The fitted estimator, coordinates (N, D) and slides (N,) of the rows, where they have any."""
    takes = signature(estimator.fit).parameters
    given: dict[str, Any] = {}
    samples = samples_of(adata, sample_key)
    if samples is not None and "coordinates" in takes:
        given["samples"] = samples
    coordinates = None
    if "coordinates" in takes or spatial_key in adata.obsm or spatial_key in adata.obs:
        coordinates = coordinates_of(adata, spatial_key)
    if "coordinates" in takes:
        given["coordinates"] = coordinates
    return estimator.fit(source, **given), coordinates, samples


def _order(
    fitted: Any, coordinates: np.ndarray | None, samples: np.ndarray | None
) -> tuple[np.ndarray, int, np.ndarray | None]:
    """Factors in the order in which they are stored, how many are spatial, and Moran's I."""
    n_factors = fitted.factors_.shape[1]
    n_spatial = n_spatial_of(fitted)
    if coordinates is None:
        return np.arange(n_factors), n_spatial, None
    values = moran(fitted.factors_, coordinates, samples=samples)
    order = np.lexsort((-values, np.arange(n_factors) >= n_spatial))
    return order, n_spatial, values[order]


def n_spatial_of(fitted: Any) -> int:
    """T of a fitted estimator."""
    return len(getattr(fitted, "length_scales_", ()))


def is_nonnegative(fitted: Any) -> bool:
    """Whether the factors of a fitted estimator are exponentials."""
    return hasattr(fitted, "log_factors_")


def deviations_of(fitted: Any) -> np.ndarray:
    """Posterior standard deviations of the factors, (N, L)."""
    if is_nonnegative(fitted):  # log-normal
        return np.asarray(fitted.factors_ * np.sqrt(np.expm1(fitted.log_factor_variances_)))
    return np.sqrt(fitted.factor_variances_)


def shares_of(factors: np.ndarray, loadings: np.ndarray, *, nonnegative: bool) -> np.ndarray:
    """Share of each factor in the rate, or in the variance that all explain, (L,)."""
    amounts = (
        factors.sum(0) * loadings.sum(0)
        if nonnegative
        else (scaled_loadings(factors, loadings) ** 2).sum(0)
    )
    return np.asarray(amounts / (amounts.sum() or 1.0))


def _results(
    fitted: Any,
    keys: SpatialFactorKeys,
    name: str,
    params: Mapping[str, Any],
    order: np.ndarray,
    n_spatial: int,
    moran_values: np.ndarray | None,
) -> Results:
    """Everything that a fit says, its factors in order."""
    factors, loadings = fitted.factors_[:, order], fitted.loadings_[:, order]
    nonnegative = is_nonnegative(fitted)
    own = fitted.get_params()
    if np.ndim(own.get("size_factors")):
        own["size_factors"] = GIVEN
    record = FactorRecord(
        model=name,
        params=to_uns({**own, **params}),
        nonnegative=nonnegative,
        n_spatial=n_spatial,
        shares=shares_of(factors, loadings, nonnegative=nonnegative),
        objective=float(fitted.lower_bound_),
        lower_bounds=np.asarray(fitted.lower_bounds_),
        n_iter=int(fitted.n_iter_),
        converged=bool(fitted.converged_),
        version=__version__,
    )
    if moran_values is not None:
        record["moran"] = moran_values
    if n_spatial:
        record["length_scales"] = fitted.length_scales_[order[:n_spatial]]
    obs: dict[str, Any] = {}
    var: dict[str, Any] = {}
    if nonnegative and 0 < n_spatial < len(order):
        obs[keys.importance] = spatial_importance(factors, loadings, n_spatial)
        var[keys.importance] = spatial_importance(factors, loadings, n_spatial, "spde")
    if (fitted.size_factors_ != 1).any():
        obs[keys.size_factors] = fitted.size_factors_
    of_genes = {
        keys.dispersions: "dispersions_",
        keys.noise_variances: "noise_variances_",
        keys.intercepts: "intercepts_",
    }
    var |= {k: getattr(fitted, name) for k, name in of_genes.items() if hasattr(fitted, name)}
    return Results(
        obs=obs,
        var=var,
        obsm={keys.factors: factors, keys.deviations: deviations_of(fitted)[:, order]},
        varm={keys.loadings: loadings},
        uns={keys.record: dict(record)},
        stale_columns=[keys.importance, keys.size_factors, *of_genes],
    )
