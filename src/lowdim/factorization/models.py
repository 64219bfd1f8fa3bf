"""Names of the models that the estimators hold, as the literature calls them."""

from __future__ import annotations

from typing import Any, NamedTuple

from lowdim._validation import check_in
from lowdim.factorization.nonspatial import FactorAnalysis, PoissonNMF
from lowdim.factorization.spatial import HybridSpatialFactorization, SpatialFactorization


class Model(NamedTuple):
    """An estimator, and settings other than its defaults."""

    kind: type
    settings: dict[str, Any]


REAL = {"nonnegative": False, "likelihood": "gaussian"}
MODELS = {
    "nsf": Model(SpatialFactorization, {}),
    "nsfh": Model(HybridSpatialFactorization, {}),
    "rsf": Model(SpatialFactorization, REAL),
    "pnmf": Model(PoissonNMF, {}),
    "fa": Model(FactorAnalysis, {}),
    "mefisto": Model(SpatialFactorization, {**REAL, "kernel": "rbf", "length_scale": "learned"}),
}
ESTIMATORS = (FactorAnalysis, HybridSpatialFactorization, PoissonNMF, SpatialFactorization)


def estimator_of(name: Any) -> Any:
    """An unfitted estimator of the model of this name.

    Raises
    ------
    ValueError
        There is no such model.
    """
    kind, settings = MODELS[check_in(name, "model", tuple(MODELS))]
    return kind(**settings)


def reads_blocks(name: str, likelihood: str | None = None) -> bool:
    """Whether a model, maybe with another likelihood than its own, reads files in blocks."""
    estimator = estimator_of(name)
    if likelihood is not None:
        estimator.set_params(likelihood=likelihood)
    return bool(estimator._by_blocks)
