"""Samples and what is known of them: their rows, their labels, their mixtures."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from lowdim._random import generator
from lowdim._validation import check_positive_int, check_source
from lowdim.data.estimator_rows import dense_rows
from lowdim.data.sources import RowSource, as_rows
from lowdim.samples._rows import SampleRows, listed
from lowdim.transport import Clouds, Mixtures

if TYPE_CHECKING:
    from anndata import AnnData

    from lowdim.samples.mixtures import SampleGaussianMixtures


@dataclass(frozen=True)
class SampleDataset:
    """Rows grouped by sample, a label per sample, and the mixtures that were fitted to them.

    Made by `from_anndata` or `from_arrays`; `lowdim.tl.fit_gmm` returns one with mixtures.

    Attributes
    ----------
    source : RowSource
        All rows, in their own order, (N, D).
    groups : SampleRows
        Which sample each row is of.
    labels : (S,) or None
        What the samples are, such as "case" and "control".
    gmm : SampleGaussianMixtures or None
    """

    source: RowSource
    groups: SampleRows
    labels: np.ndarray | None = None
    gmm: SampleGaussianMixtures | None = None

    @classmethod
    def from_arrays(cls, X: Any, samples: Any, labels: Any = None) -> SampleDataset:
        """From rows and the sample of each.

        Parameters
        ----------
        X : array-like, DataFrame or sparse matrix, shape (N, D)
        samples : (N,)
            The name of every row's sample; rows may come in any order.
        labels : (N,), dict or Series, optional
            A label per row, the same within a sample, or per sample by its name.

        Raises
        ------
        ValueError
            The data cannot be used, or labels differ within a sample, which is named.
        """
        source = as_rows(X)
        check_source(source)
        groups = SampleRows.of(samples, source.n_rows)
        return cls(source, groups, None if labels is None else groups.labels(labels))

    @classmethod
    def from_anndata(
        cls,
        adata: AnnData,
        *,
        sample_key: str,
        label_key: str | None = None,
        use_rep: str | None = None,
        layer: str | None = None,
    ) -> SampleDataset:
        """From an AnnData.

        Parameters
        ----------
        sample_key, label_key
            Columns of `obs`.
        use_rep, layer
            Key of `obsm`, or of `layers`; with neither, `X`.

        Raises
        ------
        KeyError
            There is no such column.
        ValueError
            As of `from_arrays`.
        """
        for key in (sample_key, label_key):
            if key is not None and key not in adata.obs:
                raise KeyError(f"{key!r} is not a column of obs, which has {listed(adata.obs)}.")
        source = as_rows(adata, layer=layer, use_rep=use_rep, name="adata")
        check_source(source)
        groups = SampleRows.of(adata.obs[sample_key], source.n_rows, name=f"obs[{sample_key!r}]")
        if label_key is None:
            return cls(source, groups)
        labels = groups.labels(adata.obs[label_key].to_numpy(), name=f"obs[{label_key!r}]")
        return cls(source, groups, labels)

    def __len__(self) -> int:
        return len(self.groups)

    @property
    def names(self) -> np.ndarray:
        """Of the samples, sorted, (S,)."""
        return self.groups.names

    @property
    def mixtures(self) -> Mixtures:
        """The fitted mixtures, for `lowdim.transport`."""
        return self._fitted.mixtures()

    @property
    def supports(self) -> np.ndarray:
        """Means of the components, (S, K, D)."""
        return self._fitted.means_

    @property
    def covariances(self) -> np.ndarray:
        """Of the components, (S, K, D, D) or, if diagonal, (S, K, D)."""
        return self._fitted.covariances_

    @property
    def weights(self) -> np.ndarray:
        """Of the components, (S, K)."""
        return self._fitted.weights_

    def clouds(self, n_rows: int | None = None, *, random_state: Any = 0) -> Clouds:
        """Rows as points of equal mass: all, or at most so many of each sample, drawn at random."""
        rng = generator(random_state)
        most = None if n_rows is None else check_positive_int(n_rows, "n_rows")
        parts = []
        for s in range(len(self)):
            rows = self.groups.rows(s)
            if most is not None and len(rows) > most:
                rows = np.sort(rng.choice(rows, most, replace=False))
            parts.append(dense_rows(self.source, rows))
        return Clouds.of(parts)

    def with_gmm(self, gmm: SampleGaussianMixtures) -> SampleDataset:
        """The same samples with mixtures."""
        return replace(self, gmm=gmm)

    @property
    def _fitted(self) -> SampleGaussianMixtures:
        if self.gmm is None:
            raise ValueError("These samples have no mixtures yet; fit them with lowdim.tl.fit_gmm.")
        return self.gmm
