"""What the plots read: one view of a fitted estimator and of a fit stored in an AnnData."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from lowdim._keys import PCA_LOADINGS, SubspaceKeys
from lowdim.data.columns import column
from lowdim.data.sources import as_rows
from lowdim.get._record import find_fit
from lowdim.pl._clusters import clusters_in, clusters_of, is_clusters

if TYPE_CHECKING:
    from lowdim._keys import SubspaceRecord
    from lowdim._typing import BoolArray, Float64Array, IntArray
    from lowdim.data.sources import RowSource

_KIND_OF_DIM = {0: "point (d = 0)", 1: "line (d = 1)", 2: "plane (d = 2)"}


@dataclass(frozen=True, eq=False)
class FittedSubspaces:
    """A fitted mixture of subspaces as arrays, or clusters or a mixture that can be seen as one.

    Attributes
    ----------
    weights
        Mixing proportions, (K,).
    means
        Component means, (K, D); nan for a uniform background.
    bases
        K arrays (d_k, D) with orthonormal rows.
    latent_variances
        K arrays (d_k,): the variance along each axis, noise included.
    noise_variances
        Variance in each direction off the subspace, (K,); inf for a uniform background.
    dims
        Dimension of each component, (K,).
    objective_trace
        The objective at each step.
    restart_objectives
        The final objective of each restart; nan where one failed.
    n_iter
        Passes over the data.
    stop_reason
        Why the fit stopped.
    search_trace
        Number of components and BIC of every run of the search, (n_runs, 2); empty without one.
    are_subspaces
        Whether their dimensions are worth telling.
    """

    weights: Float64Array
    means: Float64Array
    bases: tuple[Float64Array, ...]
    latent_variances: tuple[Float64Array, ...]
    noise_variances: Float64Array
    dims: IntArray
    objective_trace: Float64Array
    restart_objectives: Float64Array
    n_iter: int
    stop_reason: str
    search_trace: Float64Array
    are_subspaces: bool = True

    @property
    def n_components(self) -> int:
        """K."""
        return len(self.weights)

    @property
    def n_columns(self) -> int:
        """D."""
        return self.means.shape[1]

    @property
    def is_uniform(self) -> BoolArray:
        """Which components are a uniform background, (K,)."""
        return np.isinf(self.noise_variances)

    def describe(self, component: int, n_rows: int | None = None) -> str:
        """What a component is and how many rows it has, for a legend."""
        if not self.are_subspaces:
            return "" if n_rows is None else f"n = {n_rows:,}"
        d = int(self.dims[component])
        kind = "background" if self.is_uniform[component] else _KIND_OF_DIM.get(d, f"d = {d}")
        return kind if n_rows is None else f"{kind}, n = {n_rows:,}"


def is_anndata(source: Any) -> bool:
    """Whether `source` is an AnnData; does not import anndata."""
    anndata = sys.modules.get("anndata")
    return anndata is not None and isinstance(source, anndata.AnnData)


def read_fit(source: Any, key: str = "subspaces") -> FittedSubspaces:
    """Read the parameters of a fitted mixture or clustering, or of ``adata.uns[key]``.

    Raises
    ------
    TypeError
        `source` is neither.
    ValueError
        The AnnData has no such fit, or the estimator is not fitted.
    """
    if is_anndata(source):
        record: Any = find_fit(source, key)
        if "bases" in record:
            return _from_record(record)
        return FittedSubspaces(**clusters_in(record, source.n_obs))
    if hasattr(source, "bases_"):
        return _from_estimator(source)
    if is_clusters(source):
        return FittedSubspaces(**clusters_of(source))
    if hasattr(source, "fit"):
        raise ValueError(f"This {type(source).__name__} is not fitted; call fit first.")
    raise TypeError(
        f"Expected an AnnData or a fitted mixture of lowdim, got {type(source).__name__}."
    )


def read_rows(source: Any, X: Any, key: str, fit: FittedSubspaces) -> RowSource:
    """The rows that the mixture describes: `X`, or what the AnnData's fit was made from."""
    if is_anndata(source):
        _check_no_rows(X)
        params = find_fit(source, key)["params"]
        rows = as_rows(source, layer=params.get("layer"), use_rep=params.get("use_rep"))
        name = "adata"
    else:
        rows, name = as_rows(_check_rows(X)), "X"
    if rows.n_cols != fit.n_columns:
        raise ValueError(
            f"{name} has {rows.n_cols} columns, but the mixture was fitted to {fit.n_columns}; "
            "pass the same columns."
        )
    return rows


def read_labels(source: Any, X: Any, key: str, fit: FittedSubspaces) -> IntArray:
    """The component of every row, (N,); -1 where an AnnData has none."""
    if not is_anndata(source):
        return np.asarray(source.predict(_check_rows(X)))
    _check_no_rows(X)
    name = SubspaceKeys(key).labels
    if name not in source.obs:
        raise ValueError(f"adata.obs has no {name!r}; run the fit again, or name another key.")
    found = column(source.obs, name).astype("category").cat
    known = {str(k): k for k in range(fit.n_components)}
    strange = [c for c in found.categories if str(c) not in known]
    if strange:
        raise ValueError(
            f"adata.obs[{name!r}] holds {strange[0]!r}, which is none of the components 0 to "
            f"{fit.n_components - 1}; run the fit again, and keep names of your own in "
            "another column."
        )
    numbers = np.array([*(known[str(c)] for c in found.categories), -1])
    return numbers[found.codes.to_numpy()]


def read_probabilities(source: Any, X: Any, key: str) -> Float64Array:
    """The probability of each component for every row, (N, K)."""
    if not is_anndata(source):
        if not hasattr(source, "predict_proba"):
            raise TypeError(f"{type(source).__name__} has no probabilities; use pl.composition.")
        return np.asarray(source.predict_proba(_check_rows(X)), dtype=np.float64)
    _check_no_rows(X)
    name = SubspaceKeys(key).probabilities
    if name not in source.obsm:
        raise ValueError(
            f"adata.obsm has no {name!r}: k-means has no probabilities, and any other fit is to be "
            "run again."
        )
    return np.asarray(source.obsm[name], dtype=np.float64)


def read_annotation(source: Any, X: Any, values: Any, argument: str) -> tuple[Any, str]:
    """A column of `obs`, if `values` names one, or `values` itself; and what to call it."""
    if not isinstance(values, str):
        name = getattr(values, "name", None)
        return values, str(name) if name is not None else ""
    adata = source if is_anndata(source) else X
    if not is_anndata(adata):
        raise ValueError(
            f"{argument}={values!r} names a column of adata.obs, but there is no AnnData; pass an "
            "array with one entry per row."
        )
    if values not in adata.obs:
        raise ValueError(
            f"{argument}={values!r} is not in adata.obs, which has {sorted(adata.obs.columns)}."
        )
    return column(adata.obs, values), values


def read_loadings(
    source: Any, key: str, fit: FittedSubspaces
) -> tuple[list[str], list[Float64Array]]:
    """Names of the features, and how they load on each component's axes, K arrays (d_k, D).

    The features are genes where the AnnData knows the way back to them, otherwise the columns
    that were fitted.
    """
    name = SubspaceKeys(key).loadings
    if is_anndata(source) and name in source.varm:
        matrix = np.asarray(source.varm[name], dtype=np.float64).T
        return [str(gene) for gene in source.var_names], np.split(matrix, np.cumsum(fit.dims)[:-1])
    return column_names(source, key, fit), list(fit.bases)


def column_names(source: Any, key: str, fit: FittedSubspaces) -> list[str]:
    """What to call the columns that were fitted, (D,).

    Their own names if they have some, "PC 1" and so on for the axes of a PCA, and otherwise
    "X_other 0" or "column 0", with the number that finds them.
    """
    if is_anndata(source):
        record: Any = find_fit(source, key)
        names, rep = record.get("feature_names_in"), record["params"].get("use_rep")
    else:
        names, rep = getattr(source, "feature_names_in_", None), None
    if names is not None:
        return [str(name) for name in names]
    if rep in PCA_LOADINGS:
        return [f"PC {j + 1}" for j in range(fit.n_columns)]
    return [f"{rep or 'column'} {j}" for j in range(fit.n_columns)]


def _from_estimator(model: Any) -> FittedSubspaces:
    return FittedSubspaces(
        weights=np.asarray(model.weights_, dtype=np.float64),
        means=np.asarray(model.means_, dtype=np.float64),
        bases=tuple(np.asarray(basis, dtype=np.float64) for basis in model.bases_),
        latent_variances=tuple(np.asarray(v, dtype=np.float64) for v in model.latent_variances_),
        noise_variances=np.asarray(model.noise_variances_, dtype=np.float64),
        dims=np.asarray(model.dims_, dtype=np.int64),
        objective_trace=np.asarray(model.objective_trace_, dtype=np.float64),
        restart_objectives=np.asarray(model.restart_objectives_, dtype=np.float64),
        n_iter=int(model.n_iter_),
        stop_reason=str(model.stop_reason_),
        search_trace=_trace(getattr(model, "search_trace_", ())),
    )


def _from_record(record: SubspaceRecord) -> FittedSubspaces:
    dims = np.asarray(record["dims"], dtype=np.int64)
    cuts = np.cumsum(dims)[:-1]
    means = np.asarray(record["means"], dtype=np.float64)
    bases = np.asarray(record["bases"], dtype=np.float64).reshape(-1, means.shape[1])
    latent = np.asarray(record["latent_variances"], dtype=np.float64)
    return FittedSubspaces(
        weights=np.asarray(record["weights"], dtype=np.float64),
        means=means,
        bases=tuple(np.split(bases, cuts)),
        latent_variances=tuple(np.split(latent, cuts)),
        noise_variances=np.asarray(record["noise_variances"], dtype=np.float64),
        dims=dims,
        objective_trace=np.asarray(record["objective_trace"], dtype=np.float64),
        restart_objectives=np.asarray(record["restart_objectives"], dtype=np.float64),
        n_iter=int(record["n_iter"]),
        stop_reason=str(record["stop_reason"]),
        search_trace=_trace(record.get("search_trace", ())),
    )


def _trace(runs: Any) -> Float64Array:
    return np.asarray(runs, dtype=np.float64).reshape(-1, 2)


def _check_rows(X: Any) -> Any:
    if X is None:
        raise TypeError("X is None; a fitted mixture keeps no data, so pass them as X.")
    return X


def _check_no_rows(X: Any) -> None:
    if X is not None:
        raise TypeError("X is given although the AnnData holds the data; leave X out.")
