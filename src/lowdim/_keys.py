"""Every key that lowdim writes into an AnnData object, in one table.

A method's key (its `key_added`) is itself the key in `obs`, `obsm`, `varm` and `uns`; what
needs a second place in the same container adds an ending to it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, NotRequired, TypedDict

from lowdim._typing import Float64Array, IntArray

PCA_LOADINGS = {"X_pca": "PCs", "pca": "pca"}
"""Where `varm` keeps the axes (n_vars, D) of a PCA in `obsm`: they lead back to the genes."""


@dataclass(frozen=True)
class FitKeys:
    """Where a fit is written.

    Parameters
    ----------
    key
        The `key_added` of the call.

    Raises
    ------
    TypeError
        `key` is not a string.
    ValueError
        `key` is empty or has a "/", which a file would read as a group.
    """

    key: str
    #: What calls name it by.
    argument: ClassVar[str] = "key_added"

    def __post_init__(self) -> None:
        if not isinstance(self.key, str):
            raise TypeError(f"{self.argument} must be a string, got {type(self.key).__name__}.")
        if not self.key or "/" in self.key:
            raise ValueError(
                f"{self.argument}={self.key!r} cannot be stored; use a name that is not empty and "
                "has no '/'."
            )

    @property
    def record(self) -> str:
        """`uns`: the fit."""
        return self.key


@dataclass(frozen=True)
class MixtureKeys(FitKeys):
    """Where `ld.tl.mixture` writes; see `FitKeys`."""

    key: str = "mixture"

    @property
    def labels(self) -> str:
        """`obs`: the component of each row, categorical ("0", "1", ...)."""
        return self.key

    @property
    def probabilities(self) -> str:
        """`obsm`: the probability of each component, (N, K)."""
        return f"{self.key}_proba"

    @property
    def means(self) -> str:
        """`varm`: the centre of each component, (n_vars, K)."""
        return f"{self.key}_means"

    @property
    def fold_changes(self) -> str:
        """`varm`: log2 fold changes of each component of counts, (n_vars, K)."""
        return f"{self.key}_log2fc"

    @property
    def fold_change_errors(self) -> str:
        """`varm`: their standard errors, (n_vars, K)."""
        return f"{self.key}_log2fc_se"

    @property
    def selection(self) -> str:
        """`uns`: the table of a search."""
        return f"{self.key}_selection"


@dataclass(frozen=True)
class SubspaceKeys(MixtureKeys):
    """Where `ld.tl.subspaces` and `ld.tl.select_subspaces` write; see `MixtureKeys`.

    The record is a `SubspaceRecord`, the table of a search a `SelectionRecord`.
    """

    key: str = "subspaces"

    @property
    def coordinates(self) -> str:
        """`obsm`: latent coordinates in the assigned component, (N, max d)."""
        return self.key

    @property
    def loadings(self) -> str:
        """`varm`: the axes of all components, component by component, (n_vars, sum d)."""
        return self.key


@dataclass(frozen=True)
class SpatialFactorKeys(FitKeys):
    """Where `ld.tl.spatial_factors` writes; see `FitKeys`. The record is a `FactorRecord`."""

    key: str = "spatial_factors"

    @property
    def factors(self) -> str:
        """`obsm`: posterior means of the factors, (N, L)."""
        return self.key

    @property
    def deviations(self) -> str:
        """`obsm`: their posterior standard deviations, (N, L)."""
        return f"{self.key}_sd"

    @property
    def loadings(self) -> str:
        """`varm`: (n_vars, L)."""
        return f"{self.key}_loadings"

    @property
    def importance(self) -> str:
        """`obs` and `var`: the share of the rate that spatial factors carry."""
        return f"{self.key}_importance"

    @property
    def size_factors(self) -> str:
        """`obs`: size factors, where they differ from one."""
        return f"{self.key}_size_factor"

    @property
    def dispersions(self) -> str:
        """`var`: dispersions of the negative binomial."""
        return f"{self.key}_dispersion"

    @property
    def noise_variances(self) -> str:
        """`var`: noise variances of the Gaussian."""
        return f"{self.key}_noise_variance"

    @property
    def intercepts(self) -> str:
        """`var`: what is expected where all real-valued factors are zero."""
        return f"{self.key}_intercept"


@dataclass(frozen=True)
class GmmKeys(FitKeys):
    """Where `ld.tl.fit_gmm` writes, under the names that ggml-ot uses; see `FitKeys`."""

    key: str = "gmm_X"
    argument: ClassVar[str] = "gmm_key"

    @property
    def components(self) -> str:
        """`obs`: the number of each row's component, -1 where its sample was left out."""
        return f"{self.key}_comp"

    @property
    def responsibilities(self) -> str:
        """`obsm`: shares of the components in each row, (N, K)."""
        return f"{self.key}_resp"


@dataclass(frozen=True)
class SampleDistanceKeys(FitKeys):
    """Where `ld.tl.sample_distances` writes; see `FitKeys`."""

    key: str = "sample_distances"


@dataclass(frozen=True)
class GroundMetricKeys(FitKeys):
    """Where `ld.tl.ground_metric` writes; see `FitKeys`."""

    key: str = "ground_metric"

    @property
    def coordinates(self) -> str:
        """`obsm`: rows under the map, (N, r)."""
        return self.key

    @property
    def loadings(self) -> str:
        """`varm`: (n_vars, r)."""
        return self.key


@dataclass(frozen=True)
class SampleValidationKeys(FitKeys):
    """Where `ld.tl.sample_validation` writes; see `FitKeys`."""

    key: str = "sample_validation"


@dataclass(frozen=True)
class EmbeddingKeys(FitKeys):
    """Where `ld.tl.embed` writes, as scanpy does; see `FitKeys`."""

    key: str = "X_tsne"

    @property
    def coordinates(self) -> str:
        """`obsm`: the layout, (N, c)."""
        return self.key

    @property
    def record(self) -> str:
        """`uns`: the method and its settings, an `EmbeddingRecord`."""
        return self.key.removeprefix("X_") or self.key


class MixtureRecord(TypedDict):
    """What ``uns[key]`` holds after `ld.tl.mixture`, beside all fitted attributes."""

    family: str  # "kmeans", "soft_kmeans", "gaussian" or "negative_binomial"
    params: dict[str, Any]
    objective: float
    converged: bool
    stop_reason: str
    n_iter: int
    version: str
    n_features_in: int  # D


class CriteriaRecord(TypedDict):
    """How well a model fits and what it costs."""

    log_likelihood: float
    n_parameters: int
    bic: float
    icl: float


class SubspaceRecord(TypedDict):
    """What ``uns[key]`` holds after `ld.tl.subspaces`."""

    params: dict[str, Any]
    objective: float
    objective_trace: Float64Array
    lower_bound: float
    n_iter: int
    converged: bool
    degenerate: bool
    stop_reason: str
    version: str
    restart_objectives: Float64Array
    weights: Float64Array  # (K,)
    means: Float64Array  # (K, D)
    bases: Float64Array  # (sum d, D), component by component
    latent_variances: Float64Array  # (sum d,)
    noise_variances: Float64Array  # (K,)
    dims: IntArray  # (K,)
    log_volume: Float64Array  # (K,), of the box of a uniform background, else 0
    held: IntArray  # free parameters of each fixed or background component
    n_features_in: int  # D
    feature_names_in: NotRequired[Any]  # (D,) strings, where the columns are genes
    search: NotRequired[dict[str, Any]]  # settings of the search that led here
    search_trace: NotRequired[Float64Array]  # (n_runs, 2): number of components, BIC
    criteria: CriteriaRecord


class SelectionRecord(TypedDict):
    """What ``uns[f"{key}_selection"]`` holds after `ld.tl.select_subspaces`."""

    table: dict[str, Any]  # column -> array over the models, best first; dims as "2,1,1,0"
    criterion: str
    params: dict[str, Any]  # all settings; n_components and dims are the values tried


class FactorRecord(TypedDict):
    """What ``uns[key]`` holds after `ld.tl.spatial_factors`."""

    model: str  # "nsf", "nsfh", ..., or the class of an estimator that was passed
    params: dict[str, Any]  # of the estimator; layer, spatial_key and sample_key
    nonnegative: bool
    n_spatial: int  # T; these factors come first
    shares: Float64Array  # (L,), of each factor in the rate, or in the variance if real-valued
    moran: NotRequired[Float64Array]  # (L,), where rows have coordinates
    objective: float  # the bound per row
    lower_bounds: Float64Array  # after every round
    n_iter: int
    converged: bool
    length_scales: NotRequired[Float64Array]  # (T, 1) or (T, D), in the units of the coordinates
    version: str


class EmbeddingRecord(TypedDict):
    """What ``uns`` holds after `ld.tl.embed`."""

    method: str  # a name in lowdim.embedding.methods, or a class
    params: dict[str, Any]  # of the estimator; layer, use_rep, n_pcs and neighbors_key
    version: str
    n_iter: NotRequired[int]
    stop_reason: NotRequired[str]
    kl_divergence: NotRequired[float]
    history: NotRequired[dict[str, Any]]
    explained_variance_ratio: NotRequired[Float64Array]
