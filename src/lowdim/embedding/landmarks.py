"""Layouts of many rows by way of some."""

from __future__ import annotations

from numbers import Integral
from pathlib import Path
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted

from lowdim._device import resolve_device
from lowdim._random import generator
from lowdim._validation import check_in, check_interval, check_positive_int, check_shape
from lowdim.data.estimator_rows import read_rows
from lowdim.data.sources import RowSource
from lowdim.embedding._landmark_rows import SELECTIONS, landmark_rows
from lowdim.embedding._spectral.centred_rows import blocks
from lowdim.embedding.methods import estimator_of


class LandmarkEmbedding(  # type: ignore[misc]
    ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator
):
    """A layout of some rows, the landmarks, in which all others are placed.

    The estimator is fitted to the landmarks alone, and its `transform` finds the places of all
    other rows, a block of them at a time. So time and memory of a fit are those of the landmarks,
    and rows of a file are never in memory together. Groups with few rows have few landmarks, or
    none.

    Parameters
    ----------
    estimator : str or estimator, optional
        What lays the landmarks out and places rows: an estimator with `fit_transform` and
        `transform` such as `lowdim.UMAP`, or the name that `lowdim.tl.embed` has for it.
        `lowdim.TSNE` by default. An array as its `init` has a place for every row.
    n_landmarks : int or float, default=10_000
        L, how many; or below 1 a share of the rows. All rows where there are no more.
    selection : {"random", "k-means++"} or array of shape (L,), default="random"
        All rows are as probable; or those are more probable that are far from the landmarks drawn
        so far, in Euclidean distance, so that small groups and outlying rows have more; or
        numbers of rows, whatever `n_landmarks` says.
    device : str or torch.device, optional
        Where the estimator computes, in place of what its own `device` says; as of `lowdim.TSNE`.
    random_state : int, Generator or RandomState, optional
        Of the landmarks, and of an estimator that has none of its own.

    Attributes
    ----------
    embedding_ : ndarray of shape (N, c), float32
        Landmarks are where the estimator laid them out.
    landmark_indices_ : ndarray of shape (L,)
        Rows that are landmarks, ascending.
    estimator_ : estimator
        Fitted to them.
    n_features_in_ : int

    Examples
    --------
    >>> import numpy as np, lowdim as ld
    >>> X = np.random.default_rng(0).normal(size=(500, 5))
    >>> model = ld.LandmarkEmbedding(ld.TSNE(perplexity=10), n_landmarks=100, random_state=0)
    >>> model.fit_transform(X).shape
    (500, 2)
    """

    def __init__(
        self,
        estimator: Any = None,
        *,
        n_landmarks: int | float = 10_000,
        selection: Any = "random",
        device: Any = None,
        random_state: Any = None,
    ) -> None:
        self.estimator = estimator
        self.n_landmarks = n_landmarks
        self.selection = selection
        self.device = device
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None) -> Self:
        """Lay the landmarks out, and place all other rows.

        Parameters
        ----------
        X : array-like, sparse, DataFrame, tensor, AnnData, row source or path, shape (N, D)
            Rows; those of a file are read block by block.
        y : array-like of shape (N,), optional
            For estimators that heed labels; those of the landmarks count.

        Returns
        -------
        The fitted estimator.

        Raises
        ------
        ValueError, TypeError
            An argument or the data cannot be used.
        """
        estimator = self._unfitted()
        rng = generator(self.random_state)
        source = read_rows(self, X)
        check_shape((source.n_rows, source.n_cols), min_rows=2)
        labels = None if y is None else _checked_labels(y, source.n_rows)
        landmarks = self._landmarks(source, rng)
        _prepare(estimator, landmarks, source.n_rows, rng)
        places = estimator.fit_transform(
            source.take(landmarks), None if labels is None else labels[landmarks]
        )
        self.embedding_ = _with_others(estimator, source, landmarks, np.asarray(places))
        self.landmark_indices_, self.estimator_ = landmarks, estimator
        return self

    def fit_transform(self, X: Any, y: Any = None) -> np.ndarray:
        """Find the layout and return it, (N, c), float32."""
        return self.fit(X, y).embedding_

    def partial_fit(self, X: Any, y: Any = None) -> Self:
        """Lay out the rows of the first call; place those of later calls, and append their places.

        The landmarks are rows of the first call, and their layout stays as it is: these rows should
        represent the data. `embedding_` grows by the new rows, in their order.

        Parameters
        ----------
        X, y
            As of `fit`; y is without effect after the first call.

        Returns
        -------
        The estimator, with the places of all rows so far.

        Raises
        ------
        ValueError, TypeError
            An argument or the data cannot be used. The estimator is then as it was.
        """
        if not hasattr(self, "estimator_"):
            return self.fit(X, y)
        self.embedding_ = np.concatenate([self.embedding_, self.transform(X)])
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Places of new rows in the layout, which stays as it is.

        Parameters
        ----------
        X : array-like, sparse, DataFrame, tensor, AnnData, row source or path, shape (m, D)
            Those of a file are read block by block.

        Returns
        -------
        ndarray of shape (m, c), float32
        """
        check_is_fitted(self)
        source = read_rows(self, X, reset=False)
        made = [np.asarray(self.estimator_.transform(rows), np.float32) for rows in blocks(source)]
        return np.concatenate(made)

    def save(self, path: str | Path) -> None:
        """Write layout and estimator to one HDF5 file; `lowdim.load` reads it. Never a pickle.

        Raises
        ------
        TypeError
            The estimator is not one of this package's layouts of neighbours.
        """
        from lowdim.embedding._saved import save

        save(self, path)

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a layout that `save` wrote."""
        from lowdim.embedding._saved import load

        model: Self = load(cls, path)
        return model

    def _unfitted(self) -> Any:
        """A clone of the estimator, on the device that is asked for.

        Raises
        ------
        TypeError, ValueError
            It is none, cannot place rows, takes distances or a graph, or has no `device`; or there
            is no such device.
        """
        estimator = estimator_of("tsne" if self.estimator is None else self.estimator)
        if not (hasattr(estimator, "fit_transform") and hasattr(estimator, "transform")):
            raise TypeError(
                f"estimator={estimator!r} has no transform that would place rows; pass one such "
                "as lowdim.TSNE()."
            )
        if not getattr(estimator, "_has_rows", lambda: True)():
            raise ValueError(
                f"estimator={estimator!r} takes distances or a graph, in which the other rows have "
                "no place; pass one that is fitted to rows."
            )
        if self.device is not None:
            resolve_device(self.device)
            if "device" not in estimator.get_params(deep=False):
                raise ValueError(
                    f"device={self.device!r}, but estimator={estimator!r} has no such parameter; "
                    "leave it out."
                )
            estimator.set_params(device=self.device)
        return estimator

    def _landmarks(self, source: RowSource, rng: np.random.Generator) -> np.ndarray:
        """Rows that are landmarks, (L,), ascending."""
        n = source.n_rows
        if not isinstance(self.selection, str):
            return _given_rows(self.selection, n)
        how = check_in(self.selection, "selection", SELECTIONS)
        wanted: Any = self.n_landmarks
        if isinstance(wanted, Integral):
            size = min(check_positive_int(wanted, "n_landmarks", minimum=2), n)
        else:
            share = check_interval(wanted, "n_landmarks", low=0.0, high=1.0, closed="right")
            size = min(max(round(share * n), 2), n)
        return np.arange(n) if size == n else landmark_rows(source, size, how, rng)

    @property
    def _n_features_out(self) -> int:
        return int(self.embedding_.shape[1])

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.transformer_tags.preserves_dtype = []  # always float32
        return tags


def _given_rows(selection: Any, n_rows: int) -> np.ndarray:
    """Numbers of rows as they were given, ascending.

    Raises
    ------
    TypeError, ValueError
        They are none, there are fewer than two, or one is not there or there twice.
    """
    rows = np.sort(np.asarray(selection).ravel())
    if rows.dtype.kind not in "iu":
        raise TypeError(
            f"selection has dtype {rows.dtype}; pass one of {SELECTIONS}, or numbers of rows (for "
            "a mask, np.flatnonzero(mask))."
        )
    if len(rows) < 2 or (rows[1:] == rows[:-1]).any() or rows[0] < 0 or rows[-1] >= n_rows:
        raise ValueError(
            f"selection has {len(rows)} rows, from {rows.min(initial=n_rows)} to "
            f"{rows.max(initial=0)}; pass two or more different ones from 0 to {n_rows - 1}."
        )
    return rows.astype(np.intp)


def _checked_labels(y: Any, n_rows: int) -> np.ndarray:
    labels = np.asarray(y)
    if len(labels) != n_rows:
        raise ValueError(f"y has {len(labels)} labels, but X has {n_rows} rows; pass one per row.")
    return labels


def _prepare(estimator: Any, landmarks: np.ndarray, n_rows: int, rng: np.random.Generator) -> None:
    """Give the estimator a seed if it has none, and of places where rows begin the landmarks'."""
    params = estimator.get_params(deep=False)
    if params.get("random_state", 0) is None:
        estimator.set_params(random_state=int(rng.integers(2**31)))
    init = params.get("init")
    if isinstance(init, np.ndarray) and len(init) == n_rows:
        estimator.set_params(init=init[landmarks])


def _with_others(
    estimator: Any, source: RowSource, landmarks: np.ndarray, places: np.ndarray
) -> np.ndarray:
    """Places of all rows, (N, c), float32: of landmarks those given, of others new ones."""
    made = np.empty((source.n_rows, places.shape[1]), np.float32)
    made[landmarks] = places
    is_landmark = np.zeros(source.n_rows, dtype=bool)
    is_landmark[landmarks] = True
    begin = 0
    for rows in blocks(source):
        end = begin + rows.shape[0]
        others = np.flatnonzero(~is_landmark[begin:end])
        if len(others):
            made[begin + others] = estimator.transform(rows[others])
        begin = end
    return made
