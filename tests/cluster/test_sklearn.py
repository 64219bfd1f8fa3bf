"""scikit-learn's own checks of the estimators."""

from __future__ import annotations

from collections.abc import Callable

from sklearn.base import BaseEstimator
from sklearn.utils.estimator_checks import parametrize_with_checks

from lowdim import KMeans, SoftKMeans

READS_CLASSIFIER_TAGS = (
    "the check reads classifier_tags of anything that has predict_proba and accepts sparse input"
)
OTHER_DRAWS = (
    "random starts fall on other rows where rows are repeated; from the same start, weights are "
    "repetitions (test_weights_are_repetitions)"
)
HARD = {
    "check_sample_weight_equivalence_on_dense_data": OTHER_DRAWS,
    "check_sample_weight_equivalence_on_sparse_data": OTHER_DRAWS,
}
SOFT = {
    **HARD,
    "check_estimator_sparse_array": READS_CLASSIFIER_TAGS,
    "check_estimator_sparse_matrix": READS_CLASSIFIER_TAGS,
}


@parametrize_with_checks(
    [KMeans(), KMeans(n_clusters=3, init="random", n_init=2), SoftKMeans(n_clusters=3)],
    expected_failed_checks=lambda estimator: SOFT if isinstance(estimator, SoftKMeans) else HARD,
)
def test_conventions(estimator: BaseEstimator, check: Callable) -> None:
    check(estimator)
