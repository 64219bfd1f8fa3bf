"""One view of spatial factors: of a fitted estimator, or of a fit stored in an AnnData."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from lowdim._keys import SpatialFactorKeys
from lowdim.data.columns import column
from lowdim.get._record import find_factors
from lowdim.tl._places import coordinates_of, samples_of
from lowdim.tl._spatial_factors import deviations_of, is_nonnegative, n_spatial_of, shares_of

if TYPE_CHECKING:
    from lowdim._typing import Float64Array


@dataclass(frozen=True, eq=False)
class FittedSpatialFactors:
    """Factors and all that figures and tables need with them.

    Attributes
    ----------
    factors, deviations : (N, L)
        Posterior means and standard deviations.
    loadings : (J, L)
    genes : J names
    n_spatial : int
    nonnegative : bool
    likelihood : str
    shares : (L,)
    moran : (L,) or None
    size_factors : (N,)
    dispersions, noise_variances, intercepts : (J,) or None
    lower_bounds : (n_iter,)
    converged : bool
    """

    factors: Float64Array
    deviations: Float64Array
    loadings: Float64Array
    genes: list[str]
    n_spatial: int
    nonnegative: bool
    likelihood: str
    shares: Float64Array
    moran: Float64Array | None
    size_factors: Float64Array
    dispersions: Float64Array | None
    noise_variances: Float64Array | None
    intercepts: Float64Array | None
    lower_bounds: Float64Array
    converged: bool

    @property
    def n_factors(self) -> int:
        """L."""
        return self.factors.shape[1]

    @property
    def names(self) -> list[str]:
        """Of the factors: "0", "1", ..."""
        return [str(k) for k in range(self.n_factors)]

    def expected(self, rows: slice) -> Float64Array:
        """Expected values of some rows, (n, J)."""
        sizes = self.size_factors[rows, None]
        linear = self.factors[rows] @ self.loadings.T
        if self.nonnegative:
            return sizes * linear
        linear = linear + (0.0 if self.intercepts is None else self.intercepts)
        if self.likelihood == "gaussian":
            return linear
        return sizes * np.exp(linear + 0.5 * self.deviations[rows] ** 2 @ self.loadings.T**2)

    def need_nonnegative(self, what: str) -> None:
        """Raise where something makes sense for nonnegative factors only."""
        if not self.nonnegative:
            raise ValueError(
                f"{what} of real-valued factors is not defined: their parts cancel. Use "
                "ld.get.loadings, whose squares are shares of the variance."
            )


def is_factorization(source: Any) -> bool:
    """Whether `source` is a fitted estimator of factors."""
    return hasattr(source, "factors_") and hasattr(source, "loadings_")


def read_factors(source: Any, key: str = "spatial_factors") -> FittedSpatialFactors:
    """Read a fitted estimator, or what `ld.tl.spatial_factors` left in an AnnData.

    Raises
    ------
    TypeError, ValueError
        `source` is neither, or parts of the results are missing.
    """
    if is_factorization(source):
        return _of_estimator(source)
    if hasattr(source, "fit"):
        raise ValueError(f"This {type(source).__name__} is not fitted; call fit first.")
    return _of_anndata(source, key)


def read_places(adata: Any, key: str) -> tuple[Float64Array | None, np.ndarray | None]:
    """Coordinates (N, D) and slides (N,) of a fit in an AnnData, as far as it had any."""
    record = find_factors(adata, key)
    params, places = record["params"], None
    if "moran" in record:
        places = coordinates_of(adata, str(params["spatial_key"]))
    return places, samples_of(adata, params.get("sample_key"))


def _of_estimator(model: Any) -> FittedSpatialFactors:
    nonnegative = is_nonnegative(model)
    genes = getattr(model, "feature_names_in_", None)
    return FittedSpatialFactors(
        factors=model.factors_,
        deviations=deviations_of(model),
        loadings=model.loadings_,
        genes=[str(g) for g in (range(len(model.loadings_)) if genes is None else genes)],
        n_spatial=n_spatial_of(model),
        nonnegative=nonnegative,
        likelihood=str(getattr(model, "likelihood", "poisson")),
        shares=shares_of(model.factors_, model.loadings_, nonnegative=nonnegative),
        moran=None,
        size_factors=np.asarray(model.size_factors_),
        dispersions=getattr(model, "dispersions_", None),
        noise_variances=getattr(model, "noise_variances_", None),
        intercepts=getattr(model, "intercepts_", None),
        lower_bounds=np.asarray(model.lower_bounds_),
        converged=bool(model.converged_),
    )


def _of_anndata(adata: Any, key: str) -> FittedSpatialFactors:
    record, keys = find_factors(adata, key), SpatialFactorKeys(key)
    for place, name in (
        ("obsm", keys.factors), ("obsm", keys.deviations), ("varm", keys.loadings),
    ):  # fmt: skip
        if name not in getattr(adata, place):
            raise ValueError(f"adata.{place} has no {name!r}; run the fit again.")
    return FittedSpatialFactors(
        factors=np.asarray(adata.obsm[keys.factors], dtype=np.float64),
        deviations=np.asarray(adata.obsm[keys.deviations], dtype=np.float64),
        loadings=np.asarray(adata.varm[keys.loadings], dtype=np.float64),
        genes=[str(gene) for gene in adata.var_names],
        n_spatial=int(record["n_spatial"]),
        nonnegative=bool(record["nonnegative"]),
        likelihood=str(record["params"].get("likelihood", "poisson")),
        shares=np.asarray(record["shares"]),
        moran=np.asarray(record["moran"]) if "moran" in record else None,
        size_factors=_column(adata.obs, keys.size_factors, np.ones(adata.n_obs)),
        dispersions=_column(adata.var, keys.dispersions, None),
        noise_variances=_column(adata.var, keys.noise_variances, None),
        intercepts=_column(adata.var, keys.intercepts, None),
        lower_bounds=np.asarray(record["lower_bounds"]),
        converged=bool(record["converged"]),
    )


def _column(table: Any, name: str, default: Any) -> Any:
    return column(table, name).to_numpy(dtype=np.float64) if name in table else default
