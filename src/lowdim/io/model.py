"""Load any saved model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lowdim import _storage, embedding
from lowdim.cluster import KMeans, SoftKMeans
from lowdim.factorization import (
    FactorAnalysis,
    HybridSpatialFactorization,
    PoissonNMF,
    SpatialFactorization,
)
from lowdim.mixture import GaussianMixture, NegativeBinomialMixture, SubspaceMixture
from lowdim.samples import GroundMetric, SampleGaussianMixtures

_CLASSES: dict[str, Any] = {
    kind.__name__: kind
    for kind in (
        FactorAnalysis,
        GaussianMixture,
        GroundMetric,
        HybridSpatialFactorization,
        KMeans,
        NegativeBinomialMixture,
        PoissonNMF,
        SampleGaussianMixtures,
        SoftKMeans,
        SpatialFactorization,
        SubspaceMixture,
        *(getattr(embedding, name) for name in embedding.__all__),
    )
    if hasattr(kind, "load")
}


def load(path: str | Path) -> Any:
    """Read a model that an estimator's `save` wrote.

    Parameters
    ----------
    path
        The file.

    Returns
    -------
    The fitted estimator.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    ValueError
        It is not a lowdim model, or of a class or format that this version does not know.
    """
    name = _storage.read_header(path).get("class")
    if name not in _CLASSES:
        raise ValueError(f"{str(path)!r} holds a {name!r}, which this version does not know.")
    return _CLASSES[name].load(path)
