"""A ground metric learned from the samples of an AnnData."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from lowdim._keys import GroundMetricKeys
from lowdim._validation import check_in
from lowdim._version import __version__
from lowdim.get._gmm_key import find_gmm_key
from lowdim.samples import GroundMetric, SampleDataset
from lowdim.samples._schema import matrix_of
from lowdim.samples.ground_metric import COSTS, OF_POINTS
from lowdim.tl._genes import gene_space
from lowdim.tl._input import open_rows
from lowdim.tl._params import to_uns
from lowdim.tl._results import Results

if TYPE_CHECKING:
    from anndata import AnnData

    from lowdim._typing import DeviceLike, PathLike
    from lowdim.data.sources import RowSource


def ground_metric(
    adata: AnnData,
    *,
    sample_key: str,
    label_key: str,
    gmm_key: str | None = None,
    use_rep: str | None = None,
    layer: str | None = None,
    n_cells: int | None = 250,
    n_components: int = 5,
    cost: str = "mixed",
    diagonal: bool = False,
    entropic: float = 0.0,
    alpha: float = 10.0,
    reg: float = 1e-3,
    reg_type: str = "fro",
    mi_reg: float = 0.0,
    standardize: bool = False,
    init: Any = "orthonormal",
    n_init: int = 3,
    lr: float = 0.1,
    max_iter: int = 100,
    n_iter_no_change: int | None = None,
    validation_fraction: float = 0.0,
    batch_size: int | None = None,
    device: DeviceLike = "cpu",
    key_added: str = "ground_metric",
    random_state: Any = 0,
    checkpoint: PathLike | None = None,
    verbose: int = 0,
    copy: bool = False,
) -> AnnData | None:
    """Learn a linear map under which samples of one label are near, and others far apart.

    Parameters
    ----------
    adata
        The AnnData; for mixtures one that `lowdim.tl.fit_gmm` or ggml-ot has written to.
    sample_key, label_key
        Columns of `obs`: the sample of each row, and what that is, such as "case".
    gmm_key
        Key of `uns` of the mixtures, for the costs "mixed" and "mw2"; by default ``"gmm_"`` and the
        name of the matrix, or the only ones there are.
    use_rep, layer
        Key of `obsm` or of `layers`; with neither, what the mixtures were fitted to, or `X`.
    n_cells
        For the costs "w1" and "w2": at most so many rows of each sample, drawn at random.
    n_components : int, default=5
        Axes of the map.
    cost : {"mixed", "mw2", "w1", "w2"}, default="mixed"
        Between mixtures, or between rows themselves.
    diagonal, entropic, alpha, reg, reg_type, mi_reg, standardize, init, n_init, lr, max_iter
        As of `lowdim.GroundMetric`.
    n_iter_no_change, validation_fraction, batch_size, device
        As of `lowdim.GroundMetric`.
    key_added
        Where results go. What an earlier call left there is replaced.
    random_state
        Seed; the same seed gives the same map on the same machine.
    checkpoint
        A file to keep the fit in every few epochs. The same call goes on from there.
    verbose
        1 shows a progress bar.
    copy
        Return a copy with the results and leave `adata` as it is.

    Returns
    -------
    None, or with `copy` the copy. It has:

    ``varm[key_added]``
        Loadings of the genes, (n_vars, r), where columns are genes, or principal components whose
        axes over the genes are known.
    ``obsm[key_added]``
        All rows under the map, (N, r).
    ``uns[key_added]``
        ``components``, the map, (r, D); ``distances`` of the samples under it, (S, S), with their
        ``names`` and ``labels``: `lowdim.get.sample_distances` makes a table of them; ``history``,
        ``loss``, ``losses``, ``n_iter``, ``stop_reason``, ``classes``, ``params``, ``version``.
        `lowdim.get.ground_metric` makes the estimator of them again.

    Raises
    ------
    KeyError
        There is no such column, or there are no such mixtures.
    TypeError, ValueError
        An argument or the data cannot be used. `adata` is then as it was.

    Notes
    -----
    Distances between the samples that the map was learned from tell nothing of others: see
    `lowdim.samples.cross_validate_samples`.
    """
    keys = GroundMetricKeys(key_added)
    check_in(cost, "cost", tuple(COSTS))
    open_rows(adata, layer=layer, use_rep=use_rep, copy=copy)
    if cost in OF_POINTS:
        gmm_key = None
    else:
        gmm_key = find_gmm_key(adata, gmm_key, use_rep=use_rep, layer=layer, cells="w1")
        use_rep, layer = matrix_of(adata.uns[gmm_key], gmm_key, use_rep=use_rep, layer=layer)
    source = open_rows(adata, layer=layer, use_rep=use_rep, written=(keys.coordinates,), copy=copy)
    dataset = SampleDataset.from_anndata(
        adata, sample_key=sample_key, label_key=label_key, use_rep=use_rep, layer=layer,
        gmm_key=gmm_key,
    )  # fmt: skip
    model = GroundMetric(
        n_components, cost=cost, diagonal=diagonal, entropic=entropic, alpha=alpha, reg=reg,
        reg_type=reg_type, mi_reg=mi_reg, standardize=standardize, init=init, n_init=n_init, lr=lr,
        max_iter=max_iter, n_iter_no_change=n_iter_no_change, batch_size=batch_size,
        validation_fraction=validation_fraction, n_cells=n_cells, random_state=random_state,
        device=device, checkpoint=checkpoint, verbose=verbose,
    ).fit(dataset)  # fmt: skip
    matrix = {"layer": layer, "use_rep": use_rep}
    given = {"sample_key": sample_key, "label_key": label_key, "gmm_key": gmm_key, **matrix}
    results = _results(adata, source, dataset, model, keys, given)
    target = adata.copy() if copy else adata
    results.write(target)
    return target if copy else None


def _results(
    adata: AnnData,
    source: RowSource,
    dataset: SampleDataset,
    model: GroundMetric,
    keys: GroundMetricKeys,
    given: dict[str, Any],
) -> Results:
    """The map, over rows, genes and samples."""
    genes = gene_space(adata, source, layer=given["layer"], use_rep=given["use_rep"])
    record = {
        "components": model.components_,
        "classes": np.asarray(model.classes_, dtype=object),
        "distances": model.distances(dataset),
        "names": np.asarray(dataset.names, dtype=object),
        "labels": np.asarray(dataset.labels, dtype=object),
        "history": {name: np.asarray(values) for name, values in model.history_.items()},
        "loss": model.loss_,
        "losses": model.losses_,
        "n_iter": model.n_iter_,
        "stop_reason": model.stop_reason_,
        "params": to_uns({**model.get_params(), **given}),
        "version": __version__,
    }
    if hasattr(model, "feature_names_in_"):
        record["feature_names_in"] = model.feature_names_in_
    return Results(
        obs={},
        obsm={keys.coordinates: model.transform(source)},
        varm={} if genes is None else {keys.loadings: genes.loadings(model.components_)},
        uns={keys.record: record},
        stale=[keys.loadings],
    )
