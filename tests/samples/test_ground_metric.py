"""The ground metric keeps what its arguments promise, and names what it cannot use."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import ortho_group
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.utils import estimator_checks as checks

import lowdim as ld
from lowdim import GroundMetric, SampleDataset
from lowdim.samples import knn_predict, train, train_gmm
from lowdim.transport import Clouds, Mixtures, cloud_distances, mixture_distances

pytestmark = pytest.mark.filterwarnings("ignore:The loss was still falling")


def gram(W: np.ndarray) -> np.ndarray:
    """What distances under a map depend on, however it is turned."""
    return W.T @ W


def cohort(S: int = 16, K: int = 3, D: int = 5, seed: int = 0) -> tuple[Mixtures, np.ndarray]:
    """Labels differ along the first column, samples along all others, and more so."""
    rng = np.random.default_rng(seed)
    labels = np.arange(S) % 2
    means = 3.0 * rng.normal(size=(1, K, D)) + 2.0 * rng.normal(size=(S, K, D))
    means[:, :, 0] = 0.3 * rng.normal(size=(S, K)) + 1.5 * labels[:, None]
    roots = rng.normal(size=(S, K, D, 2 * D))
    covariances = roots @ roots.swapaxes(-1, -2) / (2 * D)
    return Mixtures.of(rng.dirichlet(np.full(K, 5.0), S), means, covariances), labels


def dataset(n: int = 30, *, labels: bool = True) -> SampleDataset:
    """Rows of eight samples, in no order, of two kinds."""
    rng = np.random.default_rng(0)
    codes = rng.permutation(np.repeat(np.arange(8), n))
    X = rng.normal(size=(len(codes), 4)) + 2.0 * rng.normal(size=(8, 4))[codes]
    X[:, 1] += 3.0 * (codes % 2)
    kinds = np.where(codes % 2, "case", "control")
    return SampleDataset.from_arrays(X, [f"p{s}" for s in codes], kinds if labels else None)


def quick(**options: Any) -> GroundMetric:
    return GroundMetric(**{"n_components": 2, "alpha": 2.0, "random_state": 0, **options})


@pytest.mark.parametrize("cost", ["mixed", "mw2"])
def test_the_map_finds_what_labels_differ_in(cost: str) -> None:
    mixtures, labels = cohort(24)
    train_on, test = np.arange(16), np.arange(16, 24)
    model = quick(n_components=1, cost=cost, max_iter=60, n_init=4)
    model.fit(mixtures.take(train_on), labels[train_on])
    W = model.components_[0]
    assert abs(W[0]) > 0.9 * np.linalg.norm(W)
    found = knn_predict(model.distances(mixtures), labels, train_on, test, n_neighbors=3)
    assert (found == labels[test]).all()
    plain = mixture_distances(mixtures, cost=cost)
    assert (knn_predict(plain, labels, train_on, test, n_neighbors=3) == labels[test]).mean() < 1


def test_the_loss_falls_and_the_best_map_is_kept() -> None:
    mixtures, labels = cohort()
    model = quick(max_iter=40).fit(mixtures, labels)
    history = model.history_
    assert len(history["loss"]) == model.n_iter_ + 1 == 41
    assert history["loss"][-1] < 0.5 * history["loss"][0]
    assert model.loss_ == min(history["loss"])
    np.testing.assert_allclose(
        history["loss"], np.array(history["hinge"]) + history["penalty"], rtol=1e-12
    )
    assert all(0 <= share <= 1 for share in history["active"])
    assert np.isnan(history["validation"]).all()
    # A step that is far too long: what was best on the way is kept.
    wild = quick(max_iter=20, lr=50.0).fit(mixtures, labels)
    assert wild.loss_ == min(wild.history_["loss"]) < wild.history_["loss"][-1]


def test_distances_are_those_of_the_mapped_samples() -> None:
    mixtures, labels = cohort()
    model = quick(cost="mw2", max_iter=3).fit(mixtures, labels)
    W = model.components_
    found = model.distances(mixtures)
    np.testing.assert_array_equal(found, mixture_distances(mixtures.mapped(W), cost="mw2"))
    pairs = np.array([[3, 1], [0, 5], [2, 2]])
    np.testing.assert_allclose(
        model.distances(mixtures, pairs), found[pairs[:, 0], pairs[:, 1]], atol=1e-12
    )
    X = np.random.default_rng(0).normal(size=(7, 5))
    np.testing.assert_allclose(model.transform(X), X @ W.T)
    diagonal = quick(diagonal=True, max_iter=3).fit(mixtures, labels)
    own = mixtures.mapped(diagonal.components_).diagonal()
    np.testing.assert_array_equal(
        diagonal.distances(mixtures), mixture_distances(own, cost="mixed")
    )


def test_neither_names_nor_order_matter() -> None:
    mixtures, labels = cohort()
    model = quick(max_iter=5).fit(mixtures, labels)
    renamed = quick(max_iter=5).fit(mixtures, np.array(["z", "a"])[labels])
    np.testing.assert_array_equal(renamed.components_, model.components_)
    assert renamed.classes_.tolist() == ["a", "z"]
    order = np.random.default_rng(0).permutation(len(labels))
    moved = quick(max_iter=5).fit(mixtures.take(order), labels[order])
    np.testing.assert_allclose(moved.components_, model.components_, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("cost", ["mixed", "mw2"])
def test_turned_data_turn_the_map(cost: str) -> None:
    mixtures, labels = cohort()
    Q = np.linalg.qr(np.random.default_rng(3).normal(size=(5, 5)))[0]
    start = np.random.default_rng(4).normal(size=(2, 5))
    model = quick(cost=cost, init=start, max_iter=10).fit(mixtures, labels)
    turned = quick(cost=cost, init=start @ Q.T, max_iter=10).fit(mixtures.mapped(Q), labels)
    np.testing.assert_allclose(gram(turned.components_ @ Q), gram(model.components_), atol=1e-6)
    np.testing.assert_allclose(
        turned.distances(mixtures.mapped(Q)), model.distances(mixtures), rtol=1e-6, atol=1e-8
    )


def test_a_fit_repeats_bit_for_bit_whatever_the_number_of_threads() -> None:
    import torch

    mixtures, labels = cohort()
    options = {"max_iter": 4, "batch_size": 8, "n_init": 2, "validation_fraction": 0.25}
    model = quick(**options).fit(mixtures, labels)
    np.testing.assert_array_equal(
        quick(**options).fit(mixtures, labels).components_, model.components_
    )
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(3)
        again = quick(**options).fit(mixtures, labels)
    finally:
        torch.set_num_threads(before)
    np.testing.assert_array_equal(again.components_, model.components_)
    assert model.loss_ == model.losses_.min()
    default = GroundMetric(2, alpha=2.0, max_iter=2, random_state=0).fit(mixtures, labels)
    assert default.losses_.shape == (3,)
    one = default.set_params(n_init=1).fit(mixtures, labels)
    assert one.losses_.shape == (1,)
    assert one.losses_[0] in quick(max_iter=2).fit(mixtures, labels).losses_  # the first of three
    other = quick(**{**options, "random_state": 1}).fit(mixtures, labels)
    assert not np.array_equal(other.components_, model.components_)


def test_in_standard_units_neither_scale_nor_margin_depends_on_the_data() -> None:
    mixtures, labels = cohort()
    s = np.array([1e-3, 1.0, 10.0, 1e4, 2.0])
    scaled = Mixtures.of(
        mixtures.weights, s * mixtures.means, s[:, None] * mixtures.covariances * s
    )
    model = quick(standardize=True, max_iter=10).fit(mixtures, labels)
    other = quick(standardize=True, max_iter=10).fit(scaled, labels)
    # The map that is kept is for the data as they come (ggml-ot keeps the one for z-scores).
    np.testing.assert_allclose(gram(other.components_ * s), gram(model.components_), rtol=1e-5)
    np.testing.assert_allclose(other.distances(scaled), model.distances(mixtures), rtol=1e-5)
    seen = model.history_["hinge"]
    np.testing.assert_allclose(other.history_["hinge"], seen, rtol=1e-6)
    told = model.distances(mixtures)
    pairs = [(i, j, k) for j in range(16) for i in range(16) for k in range(16)
             if i != j and labels[i] == labels[j] != labels[k]]  # fmt: skip
    i, j, k = np.array(pairs).T
    hinge = np.maximum(0, told[i, j] - told[j, k] + 2.0).mean()
    best = int(np.argmin(model.history_["loss"]))
    assert hinge == pytest.approx(seen[best], rel=1e-9)


def test_mw2_is_in_the_units_of_the_data_and_mixed_in_none() -> None:
    mixtures, labels = cohort()
    large = Mixtures.of(mixtures.weights, 10 * mixtures.means, 100 * mixtures.covariances)
    mw2 = quick(cost="mw2", max_iter=2).fit(mixtures, labels)
    np.testing.assert_allclose(mw2.distances(large), 10 * mw2.distances(mixtures), rtol=1e-9)
    mixed = quick(max_iter=2).fit(mixtures, labels)
    upper = np.triu_indices(16, 1)
    ratio = mixed.distances(large)[upper] / mixed.distances(mixtures)[upper]
    assert ((ratio > 10) & (ratio < 100)).all()


def test_shared_components_train_with_exact_and_with_entropic_plans() -> None:
    rng = np.random.default_rng(0)
    for S, K in ((8, 3), (4, 9)):  # ggml-ot fails with more samples than components, and fewer
        labels = np.arange(S) % 2
        weights = rng.dirichlet(np.ones(K), size=S)
        weights[labels == 1, 0] += 1.0
        weights /= weights.sum(1, keepdims=True)
        means = np.repeat(3 * rng.normal(size=(1, K, 4)), S, 0)
        shared = Mixtures.of(weights, means, np.ones((S, K, 4)))
        assert shared.shared is not None
        loose = Mixtures(shared.weights, shared.means, shared.covariances)
        for entropic in (0.0, 0.5):
            options = {"entropic": entropic, "max_iter": 5}
            model = quick(**options).fit(shared, labels)
            other = quick(**options).fit(loose, labels)
            np.testing.assert_allclose(model.components_, other.components_, rtol=1e-6)
            assert model.loss_ < model.history_["loss"][0]
            told = mixture_distances(
                shared.mapped(model.components_), cost="mixed", entropic=entropic
            )
            np.testing.assert_array_equal(model.distances(shared), told)


def test_points_are_mixtures_without_spread() -> None:
    rng = np.random.default_rng(0)
    labels = np.arange(6) % 2
    parts = [rng.normal(size=(7, 3)) + 2 * y for y in labels]
    clouds = Clouds.of(parts)
    points = Mixtures.of(np.full((6, 7), 1 / 7), np.stack(parts), np.zeros((6, 7, 3, 3)))
    for cost, name in (("mixed", "w1"), ("mw2", "w2")):
        model = quick(cost=name, max_iter=5).fit(clouds, labels)
        other = quick(cost=cost, max_iter=5).fit(points, labels)
        same = quick(cost=cost, max_iter=5).fit(clouds, labels)
        np.testing.assert_allclose(other.components_, model.components_, rtol=1e-6)
        np.testing.assert_array_equal(same.components_, model.components_)
        told = cloud_distances(clouds.mapped(model.components_), cost=name)
        np.testing.assert_array_equal(model.distances(clouds), told)


def test_a_dataset_gives_its_mixtures_its_rows_and_its_labels() -> None:
    data = dataset()
    cells = quick(max_iter=3, n_cells=10).fit(data)
    clouds = data.clouds(10)
    again = quick(max_iter=3).fit(clouds, data.labels)
    np.testing.assert_array_equal(cells.components_, again.components_)
    np.testing.assert_array_equal(cells.distances(data), cells.distances(clouds))
    fitted = ld.tl.fit_gmm(data, k_comps=2, verbose=False)
    model = quick(max_iter=3).fit(fitted)
    np.testing.assert_array_equal(
        model.components_, quick(max_iter=3).fit(fitted.mixtures, data.labels).components_
    )
    rows = quick(max_iter=3, n_cells=10, cost="w1").fit(fitted)  # though it has mixtures
    np.testing.assert_array_equal(rows.components_, cells.components_)


def test_names_of_ggml() -> None:
    data = ld.tl.fit_gmm(dataset(), k_comps=2, verbose=False)
    model = train_gmm(data, 3.0, 0.01, 2, 2, max_iter=4, diag_bures_approx=True, mi_reg=0.5)
    own = GroundMetric(
        2, alpha=3.0, reg=0.01, diagonal=True, mi_reg=0.5, n_init=1, max_iter=4, random_state=0
    )
    np.testing.assert_array_equal(model.components_, own.fit(data).components_)
    squared = train_gmm(data, n_comps=2, max_iter=2, squared_ground_cost=True, entropic_reg=0.5)
    assert (squared.cost, squared.entropic, squared.reg_type) == ("mw2", 0.5, "fro")
    cells = train(data, n_comps=2, n_cells=12, max_iter=2, reg_type=1, stop_thr=None)
    assert (cells.cost, cells.alpha, cells.reg_type, cells.tol) == ("w1", 1.0, "l1", 0.0)
    assert len(model.losses_) == len(cells.losses_) == 1
    with pytest.raises(ValueError, match="reg_type='other'"):
        train(data, reg_type="other")
    with pytest.raises(ValueError, match="no mixtures"):
        train_gmm(dataset())
    with pytest.raises(TypeError, match="dataset is a Mixtures"):
        train(data.mixtures)


def test_what_is_held_out_decides_which_map_is_kept() -> None:
    mixtures, labels = cohort(24)
    model = quick(max_iter=25, validation_fraction=0.25).fit(mixtures, labels)
    assert model.loss_ == min(model.history_["validation"])
    stopped = quick(max_iter=200, validation_fraction=0.25, n_iter_no_change=3)
    stopped.fit(mixtures, labels)
    assert stopped.stop_reason_ == "plateau"
    assert stopped.n_iter_ < 200


def test_training_stops_where_there_is_nothing_left_to_do() -> None:
    mixtures, labels = cohort()
    apart = mixtures.means + 100.0 * labels[:, None, None] * np.eye(5)[0]
    easy = Mixtures.of(mixtures.weights, apart, mixtures.covariances)
    start = np.eye(2, 5)
    model = quick(alpha=1.0, reg=0.0, init=start).fit(easy, labels)
    assert (model.stop_reason_, model.n_iter_, model.loss_) == ("gradient", 0, 0.0)
    np.testing.assert_array_equal(model.components_, start)


def test_warm_starts_go_on() -> None:
    mixtures, labels = cohort()
    model = quick(max_iter=5, warm_start=True).fit(mixtures, labels)
    first = model.loss_
    model.fit(mixtures, labels)
    assert model.history_["loss"][0] == pytest.approx(first, rel=1e-9)
    with pytest.raises(ValueError, match="warm_start"):
        model.set_params(n_components=3).fit(mixtures, labels)


def test_starts() -> None:
    mixtures, labels = cohort()
    axes = quick(init="pca", max_iter=1, lr=1e-12, standardize=True).fit(mixtures, labels)
    np.testing.assert_allclose(np.linalg.norm(axes.components_, axis=1) > 0, np.ones(2, dtype=bool))
    first = quick(max_iter=1, lr=1e-12).fit(mixtures, labels).components_
    np.testing.assert_allclose(first @ first.T, np.eye(2), atol=1e-9)


def test_a_fit_that_should_go_on_says_so() -> None:
    mixtures, labels = cohort()
    with pytest.warns(ConvergenceWarning, match="max_iter=10"):
        quick(max_iter=10, lr=0.2).fit(mixtures, labels)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        quick(max_iter=300, n_init=1).fit(mixtures, labels)


def test_a_saved_fit_is_the_same_fit(tmp_path: Path) -> None:
    mixtures, labels = cohort()
    model = quick(max_iter=3, init=np.eye(2, 5)).fit(mixtures, np.array(["a", "b"])[labels])
    model.save(tmp_path / "metric.h5")
    again = ld.load(tmp_path / "metric.h5")
    np.testing.assert_array_equal(again.distances(mixtures), model.distances(mixtures))
    assert again.history_["loss"] == model.history_["loss"]
    assert again.classes_.tolist() == ["a", "b"]
    assert (again.alpha, again.stop_reason_) == (2.0, model.stop_reason_)
    again.fit(mixtures, labels)
    np.testing.assert_array_equal(again.components_, model.components_)


@pytest.mark.parametrize(
    "check",
    [
        checks.check_do_not_raise_errors_in_init_or_set_params,
        checks.check_estimator_cloneable,
        checks.check_estimator_repr,
        checks.check_get_params_invariance,
        checks.check_no_attributes_set_in_init,
        checks.check_parameters_default_constructible,
        checks.check_set_params,
        checks.check_valid_tag_types,
    ],
    ids=lambda check: check.__name__,
)
def test_conventions_of_scikit_learn(check: Any) -> None:
    """Those of its checks that do not fit rows: the estimator is fitted to distributions."""
    check("GroundMetric", GroundMetric())


def test_fitting_changes_no_settings() -> None:
    mixtures, labels = cohort()
    model = quick(max_iter=2)
    settings = clone(model).get_params()
    model.fit(mixtures, labels)
    assert model.get_params() == settings


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_components": 6}, "n_components=6 is more than the 5 columns"),
        ({"cost": "w3"}, "cost='w3'"),
        ({"cost": "w1"}, "cost='w1' is for points; of mixtures it is 'mixed'"),
        ({"reg_type": "l2"}, "reg_type='l2'"),
        ({"alpha": -1.0}, "alpha"),
        ({"entropic": -0.1}, "entropic"),
        ({"lr": 0.0}, "lr"),
        ({"init": "zeros"}, "init='zeros'"),
        ({"init": np.ones((2, 4))}, r"init has shape \(2, 4\)"),
        ({"batch_size": 2}, "batch_size=2"),
        ({"validation_fraction": 1.0}, "validation_fraction"),
        ({"diagonal": "yes"}, "diagonal='yes'"),
        ({"standardize": 2}, "standardize=2"),
    ],
)
def test_arguments_that_cannot_be_used(options: dict[str, Any], message: str) -> None:
    mixtures, labels = cohort()
    with pytest.raises(ValueError, match=message):
        quick(**options).fit(mixtures, labels)


def test_labels_that_cannot_be_used() -> None:
    mixtures, labels = cohort(6)
    with pytest.raises(ValueError, match="labels has one value only, 'a'"):
        quick().fit(mixtures, ["a"] * 6)
    with pytest.raises(ValueError, match="1 sample for each of '0', '1', '2'"):
        quick().fit(mixtures, np.arange(6))
    with pytest.raises(ValueError, match=r"labels has shape \(5,\), and there are 6 samples"):
        quick().fit(mixtures, labels[:5])
    with pytest.raises(ValueError, match="labels are missing for '2'"):
        quick().fit(mixtures, ["a", "b", None, "a", "b", "a"])
    with pytest.raises(ValueError, match="labels are missing; pass one for every sample"):
        quick().fit(dataset(labels=False))
    with pytest.raises(ValueError, match="batch_size=3 is too small: no batch"):
        quick(batch_size=3).fit(mixtures, ["a", "b", "c", "d", "a", "b"])
    with pytest.raises(TypeError, match="distributions is a ndarray"):
        quick().fit(mixtures.means, labels)


def test_new_samples_that_cannot_be_used() -> None:
    mixtures, labels = cohort()
    with pytest.raises(NotFittedError):
        quick().distances(mixtures)
    model = quick(max_iter=1).fit(mixtures, labels)
    with pytest.raises(ValueError, match="distributions have 3 columns, and the map"):
        model.distances(cohort(D=3)[0])
    with pytest.raises(ValueError, match="features"):
        model.transform(np.ones((2, 3)))
    with pytest.raises(ValueError, match="pairs has sample 99"):
        model.distances(mixtures, [[0, 99]])


def test_a_map_is_turned_to_its_principal_axes_where_distances_do_not_change() -> None:
    mixtures, labels = cohort()
    model = quick(n_components=3, max_iter=5).fit(mixtures, labels)
    W = model.components_
    lengths = np.linalg.norm(W, axis=1)
    np.testing.assert_allclose(W @ W.T, np.diag(lengths**2), atol=1e-10)
    assert (np.diff(lengths) < 0).all()
    assert (W[np.arange(3), np.abs(W).argmax(1)] > 0).all()
    turned = ortho_group.rvs(3, random_state=0) @ W
    np.testing.assert_allclose(
        mixture_distances(mixtures.mapped(turned), cost="mixed"), model.distances(mixtures)
    )
