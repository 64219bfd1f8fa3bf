"""What a fitted mixture of subspaces leaves in an AnnData: all of it made first, then written."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from lowdim._keys import SelectionRecord, SubspaceKeys, SubspaceRecord
from lowdim._version import __version__
from lowdim.mixture._subspace.attributes import fitted_state
from lowdim.tl._genes import GeneSpace, gene_space
from lowdim.tl._params import to_uns

if TYPE_CHECKING:
    from anndata import AnnData

    from lowdim._typing import Float64Array
    from lowdim.data.sources import RowSource
    from lowdim.mixture import SubspaceMixture, SubspaceSelection


@dataclass(frozen=True)
class Results:
    """Values for the containers of an AnnData, by key."""

    obs: dict[str, Any]
    obsm: dict[str, Float64Array]
    varm: dict[str, Float64Array]
    uns: dict[str, Any]
    var: dict[str, Any] = field(default_factory=dict)
    stale: list[str] = field(default_factory=list)
    stale_columns: list[str] = field(default_factory=list)

    def write(self, adata: AnnData) -> None:
        """Put everything in its place.

        What else has `stale` names in `obsm` and `varm` goes, or `stale_columns` in `obs` and
        `var`.
        """
        for containers, names in (
            ((adata.obsm, adata.varm), self.stale),
            ((adata.obs, adata.var), self.stale_columns),
        ):
            for container in containers:
                for name in names:
                    if name in container:
                        del container[name]
        for container in ("obs", "var", "obsm", "varm", "uns"):
            for name, value in getattr(self, container).items():
                getattr(adata, container)[name] = value


def subspace_results(
    adata: AnnData,
    source: RowSource,
    model: SubspaceMixture,
    keys: SubspaceKeys,
    *,
    layer: str | None,
    use_rep: str | None,
) -> Results:
    """Everything that a fitted mixture says about the rows it was fitted to.

    Parameters
    ----------
    adata
        The AnnData; read, not written.
    source
        Its rows that were fitted.
    model
        The fitted mixture.
    keys
        Where the results go.
    layer, use_rep
        The matrix that was fitted.
    """
    import pandas as pd

    probabilities = model.predict_proba(source)
    genes = gene_space(adata, source, layer=layer, use_rep=use_rep)
    names = pd.Index([str(k) for k in range(len(model.weights_))])
    bases = np.concatenate(model.bases_)
    varm = {}
    if genes is not None:
        varm = {keys.loadings: genes.loadings(bases), keys.means: genes.means(model.means_)}
    record = _record(model, source, probabilities, genes, layer=layer, use_rep=use_rep)
    labels = model.predict(source)
    return Results(
        obs={keys.labels: pd.Categorical.from_codes(labels.tolist(), categories=names)},
        obsm={
            keys.coordinates: model.transform(source),
            keys.probabilities: probabilities,
        },
        varm=varm,
        uns={keys.record: record},
        stale=[keys.loadings, keys.means],
    )


def selection_record(
    selection: SubspaceSelection, *, layer: str | None, use_rep: str | None
) -> SelectionRecord:
    """A ranked table and the settings of its search as `uns` can hold them."""
    table: dict[str, Any] = {}
    for column in selection.table.columns:
        table[str(column)] = selection.table[column].to_numpy()
    table["dims"] = np.array([",".join(map(str, dims)) for dims in table["dims"]], dtype=object)
    best = selection.best_estimator_
    params = {**best.get_params(), **best.search_, "layer": layer, "use_rep": use_rep}
    return SelectionRecord(table=table, criterion=selection.criterion, params=to_uns(params))


def _record(
    model: SubspaceMixture,
    source: RowSource,
    probabilities: Float64Array,
    genes: GeneSpace | None,
    *,
    layer: str | None,
    use_rep: str | None,
) -> SubspaceRecord:
    """The fit itself: parameters, estimates, course."""
    from scipy.special import xlogy

    matrix = {"layer": layer, "use_rep": use_rep, "gene_means": genes and genes.means_are}
    log_likelihood = float(model.score_samples(source).sum())
    n_parameters = model.n_parameters()
    bic = float(n_parameters * np.log(source.n_rows) - 2 * log_likelihood)
    entropy = -float(xlogy(probabilities, probabilities).sum())
    record = {
        **{name.strip("_"): value for name, value in fitted_state(model).items()},
        "params": to_uns({**model.get_params(), **matrix}),
        "held": np.asarray(model._held, dtype=np.int64),
        "objective": float(model.objective_trace_[-1]),
        "version": __version__,
        "criteria": {
            "log_likelihood": log_likelihood,
            "n_parameters": n_parameters,
            "bic": bic,
            "icl": bic + 2 * entropy,
        },
    }
    if hasattr(model, "search_"):
        record["search"] = to_uns(model.search_)
    return cast(SubspaceRecord, record)
