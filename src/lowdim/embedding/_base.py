"""What layouts of a graph of neighbours have in common."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted

from lowdim._device import resolve_device
from lowdim._validation import check_in, check_interval
from lowdim.affinities import EntropicAffinity, Graph, PrecomputedAffinity
from lowdim.data.estimator_rows import read_rows
from lowdim.data.sources import RowSource
from lowdim.neighbors import NeighborIndex, Neighbors, from_graph

#: How neighbours are sought.
SEARCHES = ("auto", "exact", "approximate", "faiss")


@dataclass(frozen=True)
class Found:
    """A graph, and the neighbours and the index that it comes from, where there are any."""

    graph: Graph
    neighbors: Neighbors | None
    index: NeighborIndex | None


class NeighborLayout(  # type: ignore[misc]
    ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator
):
    """An estimator that finds neighbours of rows, makes a graph of them, and lays it out.

    Its parameters include ``metric``, ``neighbors``, ``affinity``, ``random_state``, ``n_jobs`` and
    ``device``, with the meanings that `lowdim.TSNE` explains; its fit leaves ``embedding_``,
    ``affinities_``, ``neighbors_`` and ``_index``.
    """

    #: Private attributes that belong to the fit.
    _also: ClassVar[tuple[str, ...]] = ("_index",)

    @abstractmethod
    def fit(self, X: Any, y: Any = None) -> Self:
        """Find the layout."""

    @abstractmethod
    def _affinity(self) -> Any:
        """What makes a graph of neighbours where ``affinity`` is None."""

    def _precomputed(self) -> PrecomputedAffinity:
        """What reads a graph that was given."""
        return PrecomputedAffinity()

    def fit_transform(self, X: Any, y: Any = None) -> np.ndarray:
        """Find the layout and return it, (N, c), float32."""
        return self.fit(X, y).embedding_

    def save(self, path: str | Path) -> None:
        """Write the fitted layout to one HDF5 file; `lowdim.load` reads it. Never a pickle.

        The file has the parameters but for callbacks, the layout, its graph and neighbours, and the
        rows of the fit, so that `transform` gives the same places after loading.

        Parameters
        ----------
        path : str or Path

        Raises
        ------
        TypeError
            A parameter has no form in a file, as an affinity of another package.
        """
        from lowdim.embedding._saved import save

        save(self, path, self._also)

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a layout that `save` wrote."""
        from lowdim.embedding._saved import load

        model: Self = load(cls, path)
        return model

    def _has_rows(self) -> bool:
        """Whether X is rows rather than distances or a graph."""
        graph = isinstance(self.affinity, str) and self.affinity == "precomputed"
        return not graph and self.metric != "precomputed"

    def _found(self, source: RowSource, rng: np.random.Generator) -> Found:
        """The graph of the rows that X holds, or whose distances or graph it holds."""
        if isinstance(self.affinity, str):
            check_in(self.affinity, "affinity", ("precomputed",))
            return Found(self._precomputed().graph(source.rows(0, source.n_rows)), None, None)
        affinity = self._affinity() if self.affinity is None else self.affinity
        given = self.neighbors if isinstance(self.neighbors, Neighbors) else None
        if self.metric == "precomputed" and source.is_sparse:
            given = from_graph(source.rows(0, source.n_rows))
        if given is not None:
            self._check_given(given, source)
            return Found(affinity.from_neighbors(given), given, None)
        check_in(self.neighbors, "neighbors", SEARCHES)
        index = NeighborIndex(
            source,
            metric=self.metric,
            method=self.neighbors,
            random_state=rng,
            n_jobs=self.n_jobs,
            device=self.device,
        )
        neighbors = index.neighbors(affinity.n_neighbors_for(index.n_points))
        return Found(affinity.from_neighbors(neighbors), neighbors, index)

    def _check_given(self, given: Neighbors, source: RowSource) -> None:
        if given.n_rows != source.n_rows:
            raise ValueError(
                f"neighbors are those of {given.n_rows} rows, but X has {source.n_rows}; pass "
                "neighbours of the same rows."
            )

    def _remember(self, found: Found) -> None:
        """Write the attributes that the graph of a fit leaves."""
        self.affinities_, self._index = found.graph, found.index
        self.neighbors_: Any = found.neighbors

    def _entropic_shares(self, X: Any, perplexity: Any) -> Any:
        """How much new rows belong to the rows of the fit, CSR, (m, N); each row sums to one."""
        index = self._fitted_index()
        source = read_rows(self, X, reset=False)
        perplexity = check_interval(perplexity, "perplexity", low=1.0)
        affinity = EntropicAffinity(min(perplexity, (index.n_points - 1) / 3))
        found = index.query(source, affinity.n_neighbors_for(index.n_points))
        return affinity.conditional(found)

    def _fitted_index(self) -> NeighborIndex:
        """The index in which neighbours of new rows are found, where `device` says by now.

        Raises
        ------
        ValueError
            The fit was to a graph or to given neighbours, of which new rows have none; or there is
            no such device.
        """
        check_is_fitted(self)
        if self._index is None:
            raise ValueError(
                "transform needs the rows of the fit, and only their graph was given; fit with "
                "rows and neighbors='auto'."
            )
        self._index.device = resolve_device(self.device)
        return self._index

    @property
    def _n_features_out(self) -> int:
        return int(self.embedding_.shape[1])

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.transformer_tags.preserves_dtype = []  # always float32
        tags.input_tags.pairwise = not self._has_rows()
        return tags
