"""A layout of the rows of an AnnData."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.sparse as sp

from lowdim import get
from lowdim._keys import PCA_LOADINGS, EmbeddingKeys
from lowdim._validation import check_in, check_positive_int
from lowdim._version import __version__
from lowdim.data import as_rows
from lowdim.embedding.landmarks import LandmarkEmbedding
from lowdim.embedding.methods import METHODS, estimator_of, name_of
from lowdim.tl._input import open_rows, warn_of_counts
from lowdim.tl._params import GIVEN, to_uns
from lowdim.tl._results import Results

if TYPE_CHECKING:
    from anndata import AnnData

    from lowdim._typing import PathLike

GRAPHS = ("connectivities", "distances")
#: Fitted numbers that are kept where a method has them.
NUMBERS = ("n_iter_", "stop_reason_", "kl_divergence_", "explained_variance_ratio_", "history_")
COUNTS = "distances between counts are those of a few abundant genes and of depth"


def embed(
    adata: AnnData,
    method: Any = "tsne",
    *,
    n_components: int = 2,
    use_rep: str | None = None,
    layer: str | None = None,
    n_pcs: int | None = None,
    neighbors_key: str | None = None,
    graph: str = "connectivities",
    n_landmarks: int | float | None = None,
    init: Any = None,
    params: Mapping[str, Any] | None = None,
    key_added: str | None = None,
    random_state: Any = 0,
    n_jobs: int | None = None,
    checkpoint: PathLike | None = None,
    verbose: int = 0,
    copy: bool = False,
) -> AnnData | None:
    """Lay the rows of an AnnData out in two dimensions, or a few.

    The values are used as they are, and no PCA is run; name one that you have run with `use_rep`.

    Parameters
    ----------
    adata
        The data, N rows.
    method : str or estimator, default="tsne"
        "tsne", "umap", "largevis", "infotsne", "pacmap", "phate", "sne", "tsnekhorn", "cosne",
        "laplacian_eigenmaps", "pca" or "kernel_pca"; or an unfitted estimator, whose number of
        components and seed are replaced by those here.
    n_components
        c, dimensions of the layout.
    use_rep
        Key of `obsm` to fit, such as "X_pca".
    layer
        Key of `layers` to fit. With neither, `X` is fitted.
    n_pcs
        Only so many columns of `use_rep`, the first.
    neighbors_key
        Instead of these: key of `uns` where ``sc.pp.neighbors`` left what it found ("neighbors" by
        its default), or key of a graph in `obsp`. No neighbours are sought then.
    graph : {"connectivities", "distances"}, default="connectivities"
        Which of the two graphs is laid out. Connectivities are taken as affinities; distances are
        those of neighbours, of which the method makes affinities itself: a perplexity of 30 needs
        90 neighbours.
    n_landmarks
        Lay out only so many rows drawn at random, or below 1 such a share of the rows, and place
        all others in their layout, block by block: see `lowdim.LandmarkEmbedding`.
    init
        Where to begin: a key of `obsm`, such as "X_umap", whose first columns are taken, at the
        scale that suits the method; the key of a fit of `lowdim.tl.subspaces` to the same matrix,
        for places in its subspaces; or what the method takes as `init`.
    params
        Other parameters of the method, by name, such as ``{"perplexity": 50}``.
    key_added
        Key of `obsm` for the layout; by default ``X_`` and the method, as scanpy has it.
    random_state
        Seed; the same seed gives the same layout on the same machine.
    n_jobs
        Threads; they do not change the layout.
    checkpoint
        A file to keep the fit in every few iterations, for methods that take one; the same call
        goes on from there. With `n_landmarks` it keeps their layout.
    verbose
        1 shows a progress bar.
    copy
        Return a copy with the results and leave `adata` as it is.

    Returns
    -------
    None, or with `copy` the copy. It has:

    ``obsm[key_added]``
        The layout, (N, c), float32; ``sc.pl.embedding`` and `lowdim.pl.embedding` show it.
    ``uns[key_added]`` (without ``X_``)
        ``method``, ``params``, ``version``, and where the method has them ``kl_divergence``,
        ``n_iter``, ``stop_reason``, ``history``; with `n_landmarks` these are of the landmarks.

    Raises
    ------
    TypeError, ValueError
        An argument or the data cannot be used. `adata` is then as it was.

    See Also
    --------
    lowdim.TSNE : The same for arrays, with `transform` for new rows.
    lowdim.metrics.embedding_quality : How far a layout can be believed.

    Examples
    --------
    >>> import lowdim as ld
    >>> adata = ld.data.pbmc68k()  # doctest: +SKIP
    >>> ld.tl.embed(adata, use_rep="X_pca")  # doctest: +SKIP
    >>> ld.pl.embedding(adata, "bulk_labels", basis="tsne")  # doctest: +SKIP
    """
    model = estimator_of(method, params)
    name = name_of(model)
    keys = EmbeddingKeys(f"X_{name}" if key_added is None else key_added)
    matrix = {"use_rep": use_rep, "layer": layer, "n_pcs": n_pcs, "neighbors_key": neighbors_key}
    source = open_rows(adata, layer=layer, use_rep=use_rep, written=(keys.coordinates,), copy=copy)
    data: Any = source
    if neighbors_key is not None:
        _check_graph_alone(matrix, n_landmarks)
        data = _given_graph(adata, neighbors_key, check_in(graph, "graph", GRAPHS), model)
        matrix["graph"] = graph
    elif n_pcs is not None:
        data = _first_columns(adata, use_rep, n_pcs)
    else:
        warn_of_counts(source, layer=layer, use_rep=use_rep, why=COUNTS)
    own: dict[str, Any] = {
        "n_components": check_positive_int(n_components, "n_components"),
        "random_state": random_state,
        "n_jobs": n_jobs,
        "verbose": verbose,
    }
    if checkpoint is not None:
        own["checkpoint"] = checkpoint
    if init is not None:
        own["init"] = _start(adata, init, n_components, name)
    _configure(model, own)
    if n_landmarks is not None:
        model = LandmarkEmbedding(model, n_landmarks=n_landmarks, random_state=random_state)
    layout = np.asarray(model.fit_transform(data), dtype=np.float32)
    if n_landmarks is not None:
        matrix["n_landmarks"], model = len(model.landmark_indices_), model.estimator_
    over_genes = neighbors_key is None and source.n_cols == adata.n_vars and use_rep is None
    results = _results(model, layout, keys, matrix, over_genes=over_genes)
    target = adata.copy() if copy else adata
    results.write(target)
    return target if copy else None


def _configure(model: Any, own: Mapping[str, Any]) -> None:
    """Give a model those of the settings that it knows.

    Raises
    ------
    TypeError
        It begins nowhere, or keeps no checkpoints, and is told to.
    """
    known, kind = model.get_params(deep=False), type(model).__name__
    if "init" in own and "init" not in known:
        raise TypeError(f"init is given, but {kind} does not begin anywhere.")
    if "checkpoint" in own and "checkpoint" not in known:
        raise TypeError(
            f"checkpoint={str(own['checkpoint'])!r} is given, but {kind} keeps none; leave it out, "
            "or take another method, such as 'tsne'."
        )
    model.set_params(**{name: value for name, value in own.items() if name in known})


def _check_graph_alone(matrix: Mapping[str, Any], n_landmarks: Any) -> None:
    """Raise ValueError if rows are named, or would have to be placed, beside a graph."""
    if any(matrix[given] is not None for given in ("use_rep", "layer", "n_pcs")):
        raise ValueError(
            "neighbors_key names a graph, and use_rep, layer and n_pcs rows; pass one of them."
        )
    if n_landmarks is not None:
        raise ValueError(
            f"n_landmarks={n_landmarks!r} places rows, and neighbors_key="
            f"{matrix['neighbors_key']!r} names a graph, which has none; name rows with use_rep "
            "instead."
        )


def _given_graph(adata: AnnData, key: str, kind: str, model: Any) -> Any:
    """A graph in `obsp`; the model is set to take it as what it is.

    Raises
    ------
    ValueError
        There is no such graph, or the method does not begin with one.
    """
    wanted = "affinity" if kind == "connectivities" else "metric"
    if not {"affinity", "metric", "neighbors"} <= set(model.get_params(deep=False)):
        raise ValueError(
            f"neighbors_key names a graph, but {type(model).__name__} is fitted to rows; name "
            "some with use_rep, or leave both out."
        )
    record = adata.uns.get(key)
    name = key
    if isinstance(record, Mapping):
        name = str(record.get(f"{kind}_key", kind))
    if name not in adata.obsp:
        raise ValueError(
            f"neighbors_key={key!r} leads to no graph in adata.obsp, which has "
            f"{sorted(adata.obsp)}; run sc.pp.neighbors, or name one of these."
        )
    model.set_params(**{wanted: "precomputed"})
    rows = as_rows(adata.obsp[name], name=f"adata.obsp[{name!r}]")
    return sp.csr_matrix(rows.rows(0, rows.n_rows))


def _first_columns(adata: AnnData, use_rep: str | None, n_pcs: Any) -> Any:
    """The first columns of a representation."""
    if use_rep is None:
        raise ValueError("n_pcs is for a representation; name it, as in use_rep='X_pca'.")
    n = check_positive_int(n_pcs, "n_pcs")
    values = adata.obsm[use_rep]
    if n > values.shape[1]:
        raise ValueError(
            f"n_pcs={n}, but adata.obsm[{use_rep!r}] has {values.shape[1]} columns; pass no more."
        )
    return as_rows(np.asarray(values)[:, :n])


def _start(adata: AnnData, init: Any, n_components: int, name: str) -> Any:
    """What the method gets as `init`."""
    if not isinstance(init, str):
        return init
    record = adata.uns.get(init)
    if isinstance(record, Mapping) and "bases" in record:
        return get.model(adata, init)
    if init not in adata.obsm:
        return init
    places = np.asarray(adata.obsm[init], dtype=np.float64)
    if places.ndim != 2 or places.shape[1] < n_components:
        raise ValueError(
            f"init={init!r} has shape {places.shape}; a layout needs {n_components} columns."
        )
    places = places[:, :n_components] - places[:, :n_components].mean(0)
    spread = places[:, 0].std()
    wanted = METHODS[name].start if name in METHODS else None
    return places * (wanted / spread) if wanted is not None and spread > 0 else places


def _results(
    model: Any, layout: np.ndarray, keys: EmbeddingKeys, matrix: dict[str, Any], *, over_genes: bool
) -> Results:
    """The layout, and how it was made."""
    settings = {**model.get_params(deep=False), **matrix}
    settings.pop("callbacks", None)
    if not isinstance(settings.get("neighbors", ""), str):
        settings["neighbors"] = GIVEN
    record: dict[str, Any] = {
        "method": name_of(model),
        "params": to_uns(settings),
        "version": __version__,
    }
    for attribute in NUMBERS:
        value = getattr(model, attribute, None)
        if value is not None:
            record[attribute.rstrip("_")] = _storable(value)
    varm, stale = {}, []
    if keys.coordinates in PCA_LOADINGS:
        stale = [PCA_LOADINGS[keys.coordinates]]  # of another layout
        if over_genes and hasattr(model, "components_"):
            varm = {stale[0]: np.asarray(model.components_).T}
    return Results(
        obs={}, obsm={keys.coordinates: layout}, varm=varm, uns={keys.record: record}, stale=stale
    )


def _storable(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: np.asarray(numbers) for name, numbers in value.items()}
    return value
