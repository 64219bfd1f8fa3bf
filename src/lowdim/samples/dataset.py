"""Samples and what is known of them: their rows, their labels, their mixtures."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from lowdim._random import generator
from lowdim._validation import check_in, check_positive_int
from lowdim.data.estimator_rows import dense_rows
from lowdim.data.sources import RowSource, as_rows
from lowdim.data.subset import SubsetRows
from lowdim.samples._rows import SampleRows, listed, spanned
from lowdim.samples._schema import matrix_of, model_of, of_record
from lowdim.samples.mixtures import SampleGaussianMixtures
from lowdim.transport import Clouds, Mixtures

if TYPE_CHECKING:
    from anndata import AnnData

#: Where the weights of stored mixtures come from.
WEIGHTS = ("stored", "components")


@dataclass(frozen=True, repr=False)
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
    origin : {"arrays", "anndata"}
        What the rows were read from.
    """

    source: RowSource
    groups: SampleRows
    labels: np.ndarray | None = None
    gmm: SampleGaussianMixtures | None = None
    origin: Literal["arrays", "anndata"] = "arrays"

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
        groups = SampleRows.of(samples, source.n_rows)
        groups.check(source)
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
        gmm_key: str | None = None,
        gmm_weights_source: str = "stored",
    ) -> SampleDataset:
        """From an AnnData, with the mixtures that it holds if they are asked for.

        Parameters
        ----------
        sample_key, label_key
            Columns of `obs`.
        use_rep, layer
            Key of `obsm`, or of `layers`; with neither, what the mixtures were fitted to, or `X`.
        gmm_key
            Key of `uns` of mixtures that `lowdim.tl.fit_gmm` or ggml-ot left there.
        gmm_weights_source : {"stored", "components"}, default="stored"
            Weights of the mixtures as they were found, or shares of rows that are assigned to each
            component.

        Raises
        ------
        KeyError
            There is no such column, or no such key.
        ValueError
            As of `from_arrays`; or the mixtures are of another matrix, or of other samples, which
            are named.
        """
        for key in (sample_key, label_key):
            if key is not None and key not in adata.obs:
                raise KeyError(f"{key!r} is not a column of obs, which has {listed(adata.obs)}.")
        record: Any = None
        if gmm_key is not None:
            if gmm_key not in adata.uns:
                raise KeyError(f"{gmm_key!r} is not in uns, which has {listed(adata.uns)}.")
            record = adata.uns[gmm_key]
            model = model_of(record, gmm_key)
            use_rep, layer = matrix_of(record, gmm_key, use_rep=use_rep, layer=layer)
        source = as_rows(adata, layer=layer, use_rep=use_rep, name="adata")
        groups = SampleRows.of(adata.obs[sample_key], source.n_rows, name=f"obs[{sample_key!r}]")
        groups.check(source)
        labels = None
        if label_key is not None:
            labels = groups.labels(adata.obs[label_key].to_numpy(), name=f"obs[{label_key!r}]")
        dataset = cls(source, groups, labels, origin="anndata")
        if record is None:
            return dataset
        dropped = of_record(record, "dropped")
        if dropped is not None:
            dataset = dataset.select([n for n in dataset.names if n not in set(dropped)])
        strange = sorted(set(dataset.names) - set(model.names_))
        if strange:
            raise ValueError(
                f"obs[{sample_key!r}] has {listed(strange)}, of which uns[{gmm_key!r}] has no "
                f"mixture; it has {listed(model.names_)}. Fit them, or leave these rows out."
            )
        return dataset.with_gmm(_weighted(model.select(dataset.names), dataset, gmm_weights_source))

    def __len__(self) -> int:
        return len(self.groups)

    def __repr__(self) -> str:
        counts = self.groups.counts
        parts = [
            f"{len(self)} samples of {spanned(counts)} rows",
            f"{self.source.n_cols} columns",
        ]
        if self.labels is not None:
            parts.append(f"labels {listed(np.unique(self.labels))}")
        if self.gmm is not None:
            sizes = self.gmm.n_components_
            parts.append(f"mixtures of {spanned(sizes)} components")
        return f"SampleDataset({'; '.join(parts)})"

    @property
    def names(self) -> np.ndarray:
        """Of the samples, sorted, (S,)."""
        return self.groups.names

    @property
    def fitted(self) -> SampleGaussianMixtures:
        """`gmm`, which must be there."""
        if self.gmm is None:
            raise ValueError("These samples have no mixtures yet; fit them with lowdim.tl.fit_gmm.")
        return self.gmm

    @property
    def mixtures(self) -> Mixtures:
        """The fitted mixtures, for `lowdim.transport`."""
        return self.fitted.mixtures()

    @property
    def supports(self) -> np.ndarray:
        """Means of the components, (S, K, D)."""
        return self.fitted.means_

    @property
    def covariances(self) -> np.ndarray:
        """Of the components, (S, K, D, D) or, if diagonal, (S, K, D)."""
        return self.fitted.covariances_

    @property
    def weights(self) -> np.ndarray:
        """Of the components, (S, K)."""
        return self.fitted.weights_

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

    def select(self, names: Any) -> SampleDataset:
        """Some of the samples, without their mixtures.

        Raises
        ------
        ValueError
            There is no such sample, or none is named.
        """
        names = [str(name) for name in names]
        strange = sorted(set(names) - set(self.names))
        if strange or not names:
            raise ValueError(
                f"names has {listed(strange or names)}; there are {listed(self.names)}."
            )
        groups, rows = self.groups.select(names)
        labels = None if self.labels is None else self.labels[np.isin(self.names, groups.names)]
        source = SubsetRows(self.source, rows)
        return replace(self, source=source, groups=groups, labels=labels, gmm=None)

    def with_gmm(self, gmm: SampleGaussianMixtures) -> SampleDataset:
        """The same samples with mixtures."""
        return replace(self, gmm=gmm)


def _weighted(
    model: SampleGaussianMixtures, dataset: SampleDataset, weights_source: str
) -> SampleGaussianMixtures:
    """The mixtures with weights as stored, or as shares of the rows that components own."""
    if check_in(weights_source, "gmm_weights_source", WEIGHTS) == "components":
        counts = np.zeros_like(model.weights_)
        own = model.predict(dataset.source, dataset.groups)
        np.add.at(counts, (dataset.groups.codes, own), 1.0)
        model.weights_ = counts / counts.sum(1, keepdims=True)
    return model
