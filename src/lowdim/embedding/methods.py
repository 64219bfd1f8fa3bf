"""Names of the methods, and the estimators that they stand for."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any, NamedTuple

from sklearn.base import BaseEstimator, clone

from lowdim._validation import check_in


class Method(NamedTuple):
    """A class of `lowdim.embedding`, what pictures call its layouts, and how it begins.

    `start` is the standard deviation along the first axis of a layout that suits it to begin with;
    None for those that begin nowhere.
    """

    estimator: str
    title: str
    start: float | None = None


METHODS = {
    "tsne": Method("TSNE", "t-SNE", 1e-4),
    "umap": Method("UMAP", "UMAP", 5.0),
    "largevis": Method("LargeVis", "LargeVis", 5.0),
    "infotsne": Method("InfoTSNE", "InfoTSNE", 1e-4),
    "pacmap": Method("PaCMAP", "PaCMAP", 1e-2),
    "phate": Method("PHATE", "PHATE"),
    "sne": Method("SNE", "SNE", 1e-4),
    "tsnekhorn": Method("TSNEkhorn", "TSNEkhorn", 1e-4),
    "cosne": Method("COSNE", "CO-SNE", 1e-4),
    "laplacian_eigenmaps": Method("LaplacianEigenmaps", "Laplacian eigenmap"),
    "pca": Method("PCA", "PC"),
    "kernel_pca": Method("KernelPCA", "kernel PC"),
}


def estimator_of(method: Any, settings: Mapping[str, Any] | None = None) -> Any:
    """An unfitted estimator of a method, with settings other than its defaults.

    Parameters
    ----------
    method : str or estimator
        A name in `METHODS`, or an estimator, of which a clone is taken.
    settings : mapping, optional
        Parameters of the estimator by name.

    Raises
    ------
    TypeError
        `method` is neither a name nor an estimator, or has no such parameter.
    ValueError
        There is no method of that name.
    """
    if isinstance(method, str):
        name = METHODS[check_in(method, "method", tuple(METHODS))].estimator
        model = getattr(import_module("lowdim.embedding"), name)()
    elif isinstance(method, BaseEstimator) and not isinstance(method, type):
        model = clone(method)
        if "callbacks" in method.get_params(deep=False):  # clones of these would be called instead
            model.set_params(callbacks=method.callbacks)
    else:
        raise TypeError(
            f"method={method!r} is a {type(method).__name__}; pass one of "
            f"{', '.join(map(repr, METHODS))}, or an estimator such as lowdim.TSNE()."
        )
    settings = dict(settings or {})
    known = model.get_params(deep=False)
    unknown = sorted(set(settings) - set(known))
    if unknown:
        raise TypeError(
            f"params has {unknown[0]!r}, which {type(model).__name__} does not know; it has "
            f"{', '.join(sorted(known))}."
        )
    return model.set_params(**settings)


def name_of(model: Any) -> str:
    """The name of the method of an estimator; that of its class where it has none."""
    kind = type(model).__name__
    return next((name for name, own in METHODS.items() if own.estimator == kind), kind)


def title_of(name: str) -> str:
    """What pictures call the axes of a layout that is kept under this name."""
    plain = name.removeprefix("X_")
    return METHODS[plain].title if plain in METHODS else plain
