"""scikit-learn's own checks of an estimator."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from sklearn.base import BaseEstimator
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from lowdim import SubspaceMixture

READS_CLASSIFIER_TAGS = (
    "the check reads classifier_tags of anything that has predict_proba and accepts sparse input"
)
EXPECTED_FAILURES = {
    "check_estimator_sparse_array": READS_CLASSIFIER_TAGS,
    "check_estimator_sparse_matrix": READS_CLASSIFIER_TAGS,
}


@parametrize_with_checks(
    [
        SubspaceMixture(n_init=2),
        SubspaceMixture(n_components=2, dims=0, n_init=2, assignment="closest"),
        SubspaceMixture(n_components=2, dims=1, n_init=2, assignment="hard", shared_noise=True),
    ],
    expected_failed_checks=lambda _: EXPECTED_FAILURES,
)
def test_conventions(estimator: BaseEstimator, check: Callable) -> None:
    check(estimator)


def test_it_works_in_pipelines_and_searches(planted: Callable) -> None:
    X = planted(0).X
    mixture = SubspaceMixture(n_init=2, random_state=0)
    pipeline = make_pipeline(StandardScaler(), mixture)
    assert pipeline.fit_transform(X).shape == (600, 1)
    assert pipeline.fit(X).predict(X).shape == (600,)
    # score is the mean log-likelihood, so that model selection works without a scorer.
    rows = X[np.random.default_rng(0).permutation(600)]
    search = GridSearchCV(mixture, {"dims": [[0], [1, 1], [1, 1, 2]]}, cv=3).fit(rows)
    assert search.best_params_ == {"dims": [1, 1, 2]}
    scores = cross_val_score(mixture.set_params(dims=[1, 1, 2]), rows, cv=3)
    np.testing.assert_allclose(scores.mean(), search.best_score_, rtol=1e-9)


@pytest.mark.parametrize("kind", ["sparse", "density"])
def test_tags_say_what_it_takes_and_is(kind: str) -> None:
    from sklearn.utils import get_tags

    tags = get_tags(SubspaceMixture())
    if kind == "sparse":
        assert tags.input_tags.sparse
    else:
        assert tags.estimator_type == "density_estimator"
    assert not tags.target_tags.required
