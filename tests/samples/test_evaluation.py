"""Cross-validation over samples: nothing of the test samples is seen, chance is chance."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sklearn.base import BaseEstimator
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.metrics import accuracy_score, balanced_accuracy_score
from sklearn.neighbors import KNeighborsClassifier

import lowdim as ld
from lowdim.samples import (
    baseline_distances,
    cross_validate_samples,
    knn_predict,
    permutation_test,
)
from lowdim.samples._folds import inner_folds
from lowdim.transport import Clouds, Mixtures, mixture_distances


def on_a_line(values: np.ndarray) -> np.ndarray:
    """Distances of numbers."""
    return np.abs(np.subtract.outer(values, values))


def points(values: np.ndarray) -> Mixtures:
    """A component at each point, (S, d)."""
    S, d = values.shape
    return Mixtures.of(np.ones((S, 1)), values[:, None], np.ones((S, 1, d)))


def two_classes(n: int = 12, gap: float = 3.0, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    labels = np.array(["case", "control"])[np.arange(n) % 2]
    values = np.random.default_rng(seed).normal(size=n) + gap * (labels == "case")
    return on_a_line(values), labels


def test_kinds_of_distances_are_chosen_within_the_training_samples() -> None:
    good, labels = two_classes(30, gap=6.0)
    bad = two_classes(30, gap=0.0, seed=1)[0]
    kinds = {"bad": bad, "good": good}
    found = cross_validate_samples(kinds, labels, grid={"n_neighbors": [1, 3]}, random_state=0)
    assert found.table["which"].tolist() == ["good"] * 5
    assert found.score == 1.0
    said = "CrossValidation(30 samples of 2 classes; 5 folds; balanced_accuracy 1.000)"
    assert repr(found) == said
    with pytest.raises(ValueError, match=r"distributions\['odd'\] has shape"):
        cross_validate_samples({**kinds, "odd": bad[:4, :4]}, labels)
    with pytest.raises(ValueError, match="distributions is empty"):
        cross_validate_samples({}, labels)


class Recorder(BaseEstimator):
    """Remembers which samples it was given; sample s is the point s."""

    log: ClassVar[list[tuple[str, set[int]]]] = []

    def __init__(self, scale: float = 1.0, random_state: Any = None) -> None:
        self.scale = scale
        self.random_state = random_state

    def fit(self, distributions: Any, labels: np.ndarray) -> Recorder:
        assert len(labels) == len(distributions)
        self.log.append(("fit", ids(distributions)))
        assert self.random_state is not None
        return self

    def distances(self, distributions: Any, pairs: np.ndarray) -> np.ndarray:
        self.log.append(("distances", ids(distributions)))
        return np.abs(np.diff(distributions.means[pairs, 0, 0], axis=1))[:, 0] * self.scale


def ids(distributions: Any) -> set[int]:
    return set(distributions.means[:, 0, 0].astype(int).tolist())


class Discriminant(BaseEstimator):
    """Distances along the direction that tells the labels of the means best."""

    def __init__(self, shrinkage: float = 0.1) -> None:
        self.shrinkage = shrinkage

    def fit(self, distributions: Mixtures, labels: np.ndarray) -> Discriminant:
        model = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=self.shrinkage)
        self.axis_ = model.fit(distributions.means[:, 0], labels).coef_[0]
        return self

    def distances(self, distributions: Mixtures, pairs: np.ndarray) -> np.ndarray:
        places = distributions.means[:, 0] @ self.axis_
        return np.abs(places[pairs[:, 0]] - places[pairs[:, 1]])


@pytest.mark.parametrize("groups", [None, np.repeat(np.arange(6), 2)], ids=["folds", "groups"])
@pytest.mark.parametrize("grid", [None, {"scale": [1.0, 2.0], "n_neighbors": [1, 3]}])
def test_no_test_sample_is_seen_before_it_is_predicted(groups: Any, grid: Any) -> None:
    S = 12
    labels = np.array(["a", "b"] * 6)
    Recorder.log.clear()
    found = cross_validate_samples(
        points(np.arange(S, dtype=float)[:, None]), labels, Recorder(), grid=grid, groups=groups,
        n_splits=3, random_state=0,
    )  # fmt: skip
    held_out = [
        set(own["sample"].astype(int))
        for _, own in found.predictions.groupby("held_out", sort=False)
    ]
    everyone = set(range(S))
    seen: set[int] = set()
    n_fits, folds = 0, iter(held_out)
    for event, samples in Recorder.log:
        if samples == everyone:  # distances to the test samples, twice per fold
            assert event == "distances"
            if n_fits:
                own = next(folds)
                assert n_fits == (1 if grid is None else 1 + 2 * 3)
                assert seen == everyone - own
            seen, n_fits = set(), 0
        else:
            seen |= samples
            n_fits += event == "fit"
    assert next(folds, None) is None
    assert set.union(*held_out) == everyone


def test_settings_are_chosen_by_what_predicts_within_the_training_samples() -> None:
    rng = np.random.default_rng(0)
    S, labels = 30, np.array(["a", "b", "c"] * 10)
    values = 10.0 * np.unique(labels, return_inverse=True)[1] + rng.normal(size=S)

    class Blurred(BaseEstimator):
        """Distances that only one setting leaves as they are."""

        def __init__(self, blur: float = 0.0) -> None:
            self.blur = blur

        def fit(self, distributions: Any, labels: np.ndarray) -> Blurred:
            return self

        def distances(self, distributions: Mixtures, pairs: np.ndarray) -> np.ndarray:
            places = distributions.means[:, 0, 0]
            noise = np.sin(1e3 * places[pairs].sum(1)) ** 2
            apart = np.abs(places[pairs[:, 0]] - places[pairs[:, 1]])
            return (1 - self.blur) * apart + self.blur * noise

    found = cross_validate_samples(
        points(values[:, None]), labels, Blurred(), grid={"blur": [1.0, 0.0]}, random_state=0
    )
    assert found.table["blur"].tolist() == [0.0] * 5
    assert (found.table["inner_score"] == 1).all() and found.score == 1.0
    worse = cross_validate_samples(points(values[:, None]), labels, Blurred(1.0), random_state=0)
    assert worse.score < 0.6


def test_a_metric_that_overfits_does_not_fool_the_procedure() -> None:
    """With 40 features and 24 samples, any labels are told apart by their own discriminant."""
    rng = np.random.default_rng(1)
    labels = np.array(["a", "b"] * 12)
    distributions = points(rng.normal(size=(24, 40)))
    metric = Discriminant(0.01).fit(distributions, labels)
    D = metric.distances(distributions, np.stack(np.indices((24, 24)), -1).reshape(-1, 2))
    fooled = cross_validate_samples(D.reshape(24, 24), labels, random_state=0)
    assert fooled.score > 0.9
    honest = cross_validate_samples(
        distributions, labels, Discriminant(), grid={"shrinkage": [0.01, 0.5]}, n_repeats=5,
        random_state=0,
    )  # fmt: skip
    assert abs(honest.score - 0.5) < 0.2


def test_shuffled_labels_score_as_chance_and_true_ones_are_told() -> None:
    D, labels = two_classes(24, gap=4.0)
    found = permutation_test(D, labels, n_permutations=60, random_state=0)
    assert found.score > 0.9
    assert len(found.null_scores) == 60
    assert abs(found.null_scores.mean() - 0.5) < 0.15
    assert found.p_value == pytest.approx(1 / 61)
    assert found.score == cross_validate_samples(D, labels, random_state=0).score
    nothing = permutation_test(
        D, np.random.default_rng(5).permutation(labels), n_permutations=60, random_state=0
    )
    assert nothing.p_value > 0.05


def test_a_whole_procedure_with_a_learned_metric_gives_chance_on_shuffled_labels() -> None:
    truth = ld.data.simulate_cohort(24, 10, 6, n_components=4, signal="mean").uns["truth"]
    centres = points((truth["weights"][..., None] * truth["means"]).sum(1))
    found = permutation_test(
        centres, truth["labels"], Discriminant(), grid={"shrinkage": [0.1, 0.5]}, n_splits=3,
        n_permutations=15, random_state=0,
    )  # fmt: skip
    assert found.score > 0.65
    assert abs(found.null_scores.mean() - 0.5) < 0.15


def test_a_learned_ground_metric_is_no_better_than_chance_on_shuffled_labels() -> None:
    truth = ld.data.simulate_cohort(
        18, 10, 4, n_components=3, signal="mean", separation=6.0, nuisance=1.0
    ).uns["truth"]
    known = Mixtures.of(truth["weights"], truth["means"], truth["covariances"])
    metric = ld.GroundMetric(2, alpha=1.0, n_init=1, max_iter=15)
    found = permutation_test(
        known, truth["labels"], metric, n_splits=3, n_permutations=10, random_state=0
    )
    assert found.score > 0.8
    assert abs(found.null_scores.mean() - 0.5) < 0.15


def test_labels_are_shuffled_within_groups_or_among_them() -> None:
    from lowdim.samples._folds import shuffled

    rng = np.random.default_rng(0)
    paired, donors = np.array(["x", "y"] * 8), np.repeat(np.arange(8), 2)
    for _ in range(10):
        own = shuffled(paired, donors, rng)
        assert all(set(own[donors == d]) == {"x", "y"} for d in range(8))
    whole = np.repeat(["x", "y"], 8)
    seen = np.array([shuffled(whole, donors, rng) for _ in range(10)])
    assert all(len(set(own[donors == d])) == 1 for own in seen for d in range(8))
    assert (seen != whole).any() and (np.sort(seen, axis=1) == np.sort(whole)).all()


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 2**16), st.integers(2, 4), st.integers(2, 3))
def test_inner_folds_leave_every_class_to_learn_from(seed: int, n_inner: int, C: int) -> None:
    rng = np.random.default_rng(seed)
    groups = rng.integers(0, 5, size=rng.integers(8, 16)).astype(str)
    labels = rng.integers(0, C, size=len(groups)).astype(str)
    within = pd.DataFrame({"label": labels, "group": groups}).groupby("label")["group"].nunique()
    assume(within.min() >= 2)
    folds = inner_folds(labels, groups, n_inner, seed)
    np.testing.assert_array_equal(
        np.sort(np.concatenate([held for _, held in folds])), np.arange(len(labels))
    )
    for train, held in folds:
        assert not set(groups[train]) & set(groups[held])
        assert set(labels[train]) == set(labels)


def test_tables_agree_with_each_other() -> None:
    D, labels = two_classes(20, gap=1.5)
    found = cross_validate_samples(D, labels, n_splits=4, n_repeats=3, random_state=0)
    assert len(found.table) == 12 and len(found.predictions) == 60
    assert found.table["n_test"].sum() == 60
    assert found.confusion.to_numpy().sum() == 60
    assert (found.confusion.sum(1) == 30).all()
    right = (found.predictions["label"] == found.predictions["predicted"]).mean()
    assert np.diag(found.confusion).sum() == pytest.approx(60 * right)
    assert found.by_repeat["accuracy"].mean() == pytest.approx(right)
    summary = found.summary()
    assert summary.loc["accuracy", "mean"] == pytest.approx(right)
    assert summary.loc["balanced_accuracy", "mean"] == pytest.approx(found.score)
    assert summary["n"].tolist() == [3, 3, 12, 12, 12]
    for _, own in found.predictions.groupby("repeat"):
        assert own["sample"].is_unique and len(own) == 20


def test_clusters_are_scored_on_test_samples_alone() -> None:
    """Distances among training samples do not enter: here they would be perfect."""
    D, labels = two_classes(12, gap=0.0)
    groups = np.repeat(["one", "two", "three"], 4)
    found = cross_validate_samples(D, labels, groups=groups, random_state=0)
    for row in found.table.itertuples():
        own = groups == row.held_out
        altered = D.copy()
        altered[np.ix_(~own, ~own)] = 100.0 * (labels[~own][:, None] != labels[~own])
        again = cross_validate_samples(altered, labels, groups=groups, random_state=0).table
        same = again[again["held_out"] == row.held_out].iloc[0]
        assert (same["ari"], same["silhouette"]) == (row.ari, row.silhouette)


def test_the_same_seed_gives_the_same_answer_whatever_the_threads() -> None:
    D, labels = two_classes(20, gap=1.0)
    one, again, threads = (
        cross_validate_samples(
            D, labels, grid={"n_neighbors": [1, 3, 5]}, n_repeats=2, n_jobs=jobs, random_state=3
        )
        for jobs in (None, None, 2)
    )
    pd.testing.assert_frame_equal(one.table, again.table)
    pd.testing.assert_frame_equal(one.table, threads.table)
    pd.testing.assert_frame_equal(one.predictions, threads.predictions)
    first, second = (
        permutation_test(D, labels, n_permutations=5, n_jobs=jobs, random_state=1)
        for jobs in (None, 2)
    )
    np.testing.assert_array_equal(first.null_scores, second.null_scores)


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10**6), st.integers(1, 9))
def test_neighbours_vote_as_by_hand(seed: int, k: int) -> None:
    rng = np.random.default_rng(seed)
    labels = np.concatenate([["a", "b", "c"] * 2, rng.choice(["a", "b", "c"], 9)])
    D = on_a_line(rng.normal(size=15))
    train, test = np.arange(10), np.arange(10, 15)
    most = min(k, np.unique(labels[train], return_counts=True)[1].min())
    said = knn_predict(D, labels, train, test, k)
    for i, predicted in zip(test, said, strict=True):
        nearest = labels[train][np.argsort(D[i, train])[:most]].tolist()
        counts = {name: nearest.count(name) for name in nearest}
        winners = [name for name in nearest if counts[name] == max(counts.values())]
        if len(set(winners)) == 1:
            assert predicted == winners[0]
        else:  # the nearest decides, and if it is of neither, the next
            assert predicted == winners[0]


def test_votes_agree_with_scikit_learn_where_no_numbers_are_equal() -> None:
    rng = np.random.default_rng(0)
    places, labels = rng.normal(size=(90, 3)), rng.choice(["a", "b"], 90)
    D = np.linalg.norm(places[:, None] - places, axis=2)
    train, test = np.arange(60), np.arange(60, 90)
    for k in (1, 3, 7):
        peer = KNeighborsClassifier(k).fit(places[train], labels[train]).predict(places[test])
        np.testing.assert_array_equal(knn_predict(D, labels, train, test, k), peer)


def test_scores_are_those_of_scikit_learn() -> None:
    D, labels = two_classes(21, gap=1.0)
    found = cross_validate_samples(D, labels, n_splits=3, random_state=0)
    said = found.predictions
    assert found.score == pytest.approx(balanced_accuracy_score(said["label"], said["predicted"]))
    accuracy = accuracy_score(said["label"], said["predicted"])
    assert found.by_repeat.loc[0, "accuracy"] == pytest.approx(accuracy)


def test_datasets_bring_their_names_labels_and_distributions() -> None:
    adata = ld.data.simulate_cohort(
        12, 60, 4, n_components=4, signal="mean", separation=9.0, nuisance=0.0
    )
    dataset = ld.SampleDataset.from_anndata(adata, sample_key="sample", label_key="label")
    D = baseline_distances(dataset)
    found = cross_validate_samples(dataset, metric=_Means(), n_splits=3, random_state=0)
    same = cross_validate_samples(D, dataset.labels, n_splits=3, random_state=0)
    assert found.predictions["predicted"].tolist() == same.predictions["predicted"].tolist()
    assert set(found.predictions["sample"]) == set(dataset.names)
    gmm = ld.SampleGaussianMixtures(1, random_state=0).fit(adata.X, adata.obs["sample"])
    seen = cross_validate_samples(
        dataset.with_gmm(gmm), metric=_Means(), n_splits=3, random_state=0
    )
    assert seen.score == pytest.approx(found.score, abs=0.2)
    # A cost of points is of the cells, as in `GroundMetric.fit`, though there are mixtures.
    metric = ld.GroundMetric(2, cost="w1", n_cells=10, max_iter=2, tol=0, random_state=0)
    ours = cross_validate_samples(dataset.with_gmm(gmm), metric=metric, n_splits=2, random_state=0)
    cells = cross_validate_samples(dataset, metric=metric, n_splits=2, random_state=0)
    pd.testing.assert_frame_equal(ours.table, cells.table)


class _Means(BaseEstimator):
    """Euclidean distances of means, of clouds or of mixtures."""

    def fit(self, distributions: Any, labels: np.ndarray) -> _Means:
        return self

    def distances(self, distributions: Any, pairs: np.ndarray) -> np.ndarray:
        if isinstance(distributions, Clouds):
            centres = np.array(
                [
                    distributions.points[distributions.rows(s)].mean(0)
                    for s in range(len(distributions))
                ]
            )
        else:
            centres = (distributions.weights[..., None] * distributions.means).sum(1)
        return np.linalg.norm(centres[pairs[:, 0]] - centres[pairs[:, 1]], axis=1)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"labels": None}, "labels is missing"),
        ({"labels": ["a"] * 12}, "one class"),
        ({"labels": ["a"] * 11 + ["b"]}, "single sample of 'b'"),
        ({"labels": ["a", None] * 6}, "labels is missing for '1', '3'"),
        ({"labels": ["a", "b"]}, "expected one for each sample"),
        ({"n_splits": 7}, "n_splits=7 is more than the 6 samples"),
        ({"groups": ["x", "y"] * 6}, "groups puts all samples of class 'case', 'control'"),
        ({"groups": list("aabbccddeeff"), "n_repeats": 2}, "n_repeats=2"),
        ({"groups": ["x"] * 3}, "groups has shape"),
        ({"grid": {"alpha": [1]}}, "grid has 'alpha'"),
        ({"grid": {"n_neighbors": []}}, "nothing to try"),
        ({"scoring": "f1"}, "scoring"),
        ({"distributions": np.ones((12, 3))}, "expected|pass distances"),
        ({"distributions": np.triu(np.ones((12, 12)))}, "not symmetric"),
        ({"distributions": -np.ones((12, 12))}, "negative"),
    ],
)
def test_bad_input_is_named_before_any_work(change: dict[str, Any], said: str) -> None:
    D, labels = two_classes()
    arguments = {"distributions": D, "labels": labels} | change
    with pytest.raises(ValueError, match=said):
        cross_validate_samples(**arguments)
    with pytest.raises(ValueError, match=said):
        permutation_test(**arguments, n_permutations=2)


def test_too_few_samples_for_the_grid_and_metrics_that_are_none() -> None:
    D, labels = two_classes(4)
    with pytest.raises(ValueError, match="grid needs two samples"):
        cross_validate_samples(D, labels, grid={"n_neighbors": [1, 2]}, n_splits=2)
    with pytest.raises(TypeError, match="without fit"):
        cross_validate_samples(D, labels, "mw2")
    with pytest.raises(TypeError, match="metric is missing"):
        cross_validate_samples(points(np.ones((4, 1))), labels)
    with pytest.raises(ValueError, match="has shape"):
        cross_validate_samples(3.0, labels)
    with pytest.raises(TypeError, match="distributions is a ndarray"):
        cross_validate_samples(D, labels, Recorder())


def test_distances_of_mixtures_tell_planted_classes() -> None:
    truth = ld.data.simulate_cohort(30, 10, 6, n_components=4, separation=5.0).uns["truth"]
    known = Mixtures.of(truth["weights"], truth["means"], truth["covariances"])
    seen = mixture_distances(known.mapped(truth["plane"]))
    found = cross_validate_samples(seen, truth["labels"], n_repeats=2, random_state=0)
    assert found.score > 0.9
    assert found.summary().loc["silhouette", "mean"] > 0.2
