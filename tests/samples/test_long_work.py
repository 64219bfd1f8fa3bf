"""Work on samples that is cut off or interrupted goes on to the bits of what was not."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from accelerator import pretended
from cut_off_fits import CutOffError, after, after_results, cut_off, kept_often, press
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

import lowdim as ld
from lowdim import _checkpoint
from lowdim.samples import _fits, cross_validate_samples, permutation_test
from lowdim.transport import Clouds, Mixtures

RNG = np.random.default_rng(0)
LABELS = np.repeat(["a", "b", "c"], 4)
MEANS = RNG.normal(size=(12, 3, 4)) + 2.0 * (LABELS == "b")[:, None, None] * [1, 0, 0, 0]
MIXTURES = Mixtures.of(
    RNG.dirichlet(np.ones(3), 12), MEANS, RNG.uniform(0.5, 2.0, (12, 3, 4)) * np.ones((12, 3, 4))
)
CLOUDS = Clouds.of([RNG.normal(i % 3, 1, (6 + i % 4, 4)) for i in range(12)])
CELLS = np.concatenate([RNG.normal(3 * (i % 2), 1, (40, 3)) for i in range(6)])
PATIENTS = np.repeat([f"patient {i}" for i in range(6)], 40)

METRICS: dict[str, tuple[Any, Any]] = {
    "exact": (ld.GroundMetric(2, max_iter=12), MIXTURES),
    "diagonal": (ld.GroundMetric(2, diagonal=True, cost="mw2", max_iter=12), MIXTURES),
    "entropic": (ld.GroundMetric(2, entropic=0.1, n_init=2, max_iter=12), MIXTURES),
    "points": (ld.GroundMetric(2, cost="w2", max_iter=12), CLOUDS),
    "batches": (
        ld.GroundMetric(2, batch_size=6, max_iter=9, validation_fraction=0.3, n_iter_no_change=4),
        MIXTURES,
    ),
    "columns of one unit": (
        ld.GroundMetric(2, standardize=True, init="pca", mi_reg=0.1, max_iter=30), MIXTURES,
    ),
}  # fmt: skip
GMMS: dict[str, Any] = {
    "one size": ld.SampleGaussianMixtures(2),
    "sizes by rows held out": ld.SampleGaussianMixtures([1, 2], criterion="heldout_nll", n_init=2),
    "robust": ld.SampleGaussianMixtures(3, singularity_handling="robust", covariance_type="diag"),
    "in threads": ld.SampleGaussianMixtures(2, n_jobs=2),
    "shared": ld.SampleGaussianMixtures([2, 3, 4], sharing="global", n_init=2),
}


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Checkpoints are written whenever they may be."""
    with kept_often(monkeypatch):
        warnings.simplefilter("ignore", UserWarning)
        yield


def assert_same(found: Any, expected: Any) -> None:
    """All fitted attributes, to the bit."""
    names = {name for name in vars(expected) if name.endswith("_")}
    assert {name for name in vars(found) if name.endswith("_")} == names
    for name in names:
        own, other = getattr(found, name), getattr(expected, name)
        if hasattr(other, "columns"):
            assert own.equals(other)
        elif isinstance(other, dict):
            assert own.keys() == other.keys()
            for key in other:
                np.testing.assert_array_equal(own[key], other[key], err_msg=f"{name} {key}")
        else:
            np.testing.assert_array_equal(own, other, err_msg=name)


@pytest.mark.parametrize("name", METRICS)
def test_a_metric_that_was_cut_off_goes_on_to_the_same_bits(name: str, tmp_path: Path) -> None:
    model, samples = METRICS[name]
    model = clone(model).set_params(random_state=0)
    whole = clone(model).fit(samples, LABELS)
    model.set_params(checkpoint=tmp_path / "fit.h5")
    for steps in (4, 11, 19):
        (tmp_path / "fit.h5").unlink(missing_ok=True)
        with pytest.MonkeyPatch.context() as patched:
            after(patched, steps, cut_off)
            try:
                model.fit(samples, LABELS)
            except CutOffError:
                assert (tmp_path / "fit.h5").exists()
        assert_same(model.fit(samples, LABELS), whole)
    with pytest.MonkeyPatch.context() as patched:
        after(patched, 1, cut_off)  # what is complete is read
        assert_same(model.fit(samples, LABELS), whole)


@pytest.mark.parametrize("name", ["exact", "entropic"])
def test_a_metric_on_a_device_goes_on(name: str, tmp_path: Path) -> None:
    model, samples = METRICS[name]
    model = clone(model).set_params(device="cuda", max_iter=6, random_state=0)
    with pretended():
        whole = clone(model).fit(samples, LABELS)
        model.set_params(checkpoint=tmp_path / "fit.h5")
        with pytest.MonkeyPatch.context() as patched, pytest.raises(CutOffError):
            after(patched, 9, cut_off)
            model.fit(samples, LABELS)
        assert_same(model.fit(samples, LABELS), whole)


def test_ctrl_c_returns_the_best_map_so_far(tmp_path: Path) -> None:
    model = ld.GroundMetric(2, max_iter=12, random_state=0)
    whole = clone(model).fit(MIXTURES, LABELS)
    model.set_params(checkpoint=tmp_path / "fit.h5")
    with pytest.MonkeyPatch.context() as patched:
        after(patched, 7, press)
        with pytest.warns(ConvergenceWarning, match=r"GroundMetric was interrupted.*To go on"):
            early = clone(model).fit(MIXTURES, LABELS)
    assert early.stop_reason_ == "interrupted"
    assert (len(early.losses_), early.n_iter_) == (1, 6)
    assert early.loss_ == min(early.history_["loss"])
    assert early.distances(MIXTURES).shape == (12, 12)
    assert_same(model.fit(MIXTURES, LABELS), whole)


def test_descents_do_not_depend_on_those_before() -> None:
    model = ld.GroundMetric(2, max_iter=6, random_state=0).fit(MIXTURES, LABELS)
    rng = np.random.default_rng(0)
    starts = [np.linalg.qr(rng.normal(size=(4, 2)))[0].T for _ in range(3)]
    alone = [clone(model).set_params(init=W).fit(MIXTURES, LABELS).loss_ for W in starts]
    np.testing.assert_array_equal(alone, model.losses_)


def test_a_checkpoint_of_another_metric_is_refused(tmp_path: Path) -> None:
    model = ld.GroundMetric(2, max_iter=5, random_state=0, checkpoint=tmp_path / "fit.h5")
    model.fit(MIXTURES, LABELS)
    before = (tmp_path / "fit.h5").read_bytes()
    other = LABELS[::-1].copy()
    for own, samples, labels, message in (
        (clone(model).set_params(alpha=3.0), MIXTURES, LABELS, "alpha was 10.0 and is 3.0"),
        (clone(model).set_params(max_iter=6), MIXTURES, LABELS, "max_iter was 5 and is 6"),
        (model, MIXTURES, other, "labels"),
        (model, MIXTURES.mapped(2 * np.eye(4)), LABELS, "means of samples differs"),
    ):
        with pytest.raises(ValueError, match=message):
            own.fit(samples, labels)
    assert (tmp_path / "fit.h5").read_bytes() == before


def test_a_fit_that_fails_at_once_leaves_no_file(tmp_path: Path) -> None:
    model = ld.GroundMetric(9, checkpoint=tmp_path / "fit.h5")
    with pytest.raises(ValueError, match="n_components=9 is more than the 4 columns"):
        model.fit(MIXTURES, LABELS)
    assert not (tmp_path / "fit.h5").exists()


@pytest.mark.parametrize("name", GMMS)
def test_mixtures_of_samples_go_on_to_the_same_bits(name: str, tmp_path: Path) -> None:
    model = clone(GMMS[name]).set_params(random_state=0)
    whole = clone(model).fit(CELLS, PATIENTS)
    model.set_params(checkpoint=tmp_path / "fit.h5")
    with pytest.MonkeyPatch.context() as patched, pytest.raises(CutOffError):
        after_results(patched, 3, cut_off)
        model.fit(CELLS, PATIENTS)
    with pytest.MonkeyPatch.context() as patched:
        seen = after_results(patched, -1, cut_off)
        assert_same(model.fit(CELLS, PATIENTS), whole)
        before, seen[0] = seen[0], 0
        assert_same(model.fit(CELLS, PATIENTS), whole)
    assert before <= (5 if name == "shared" else 4)  # those that were there are not made again
    assert before > 0 or name == "in threads"  # where others end what they are at
    assert seen[0] == 0


def test_ctrl_c_keeps_the_samples_that_are_fitted(tmp_path: Path) -> None:
    model = ld.SampleGaussianMixtures(2, random_state=0, checkpoint=tmp_path / "fit.h5")
    whole = clone(model).set_params(checkpoint=None).fit(CELLS, PATIENTS)
    fit_rows, fitted = _fits.fit_rows, []

    def fourth_is_interrupted(*arguments: Any) -> Any:
        fitted.append(1)
        if len(fitted) == 4:
            press()
        return fit_rows(*arguments)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(_checkpoint.Checkpoint, "due", False)  # so that only the end can write
        patched.setattr(_fits, "fit_rows", fourth_is_interrupted)
        with pytest.raises(KeyboardInterrupt):
            model.fit(CELLS, PATIENTS)
        assert not hasattr(model, "weights_")
        assert_same(model.fit(CELLS, PATIENTS), whole)
    assert len(fitted) == 4 + 3


def test_mixtures_of_other_samples_are_refused(tmp_path: Path) -> None:
    model = ld.SampleGaussianMixtures(2, random_state=0, checkpoint=tmp_path / "fit.h5")
    model.fit(CELLS, PATIENTS)
    with pytest.raises(ValueError, match="names of samples was"):
        model.fit(CELLS, np.char.upper(PATIENTS))
    with pytest.raises(ValueError, match="sample of each row differs"):
        model.fit(CELLS, np.roll(PATIENTS, 1))
    with pytest.raises(ValueError, match="max_iter was 100 and is 7"):
        clone(model).set_params(max_iter=7).fit(CELLS, PATIENTS)
    model.save(tmp_path / "model.h5")
    assert ld.load(tmp_path / "model.h5").checkpoint is None


JUDGED: dict[str, Any] = {
    "labels": LABELS, "metric": ld.GroundMetric(2, n_init=1, max_iter=3),
    "grid": {"reg": [1e-3, 1e-1], "n_neighbors": [1, 3]}, "n_splits": 3, "n_inner": 2,
}  # fmt: skip


@pytest.mark.parametrize("seed", [0, None])
def test_folds_are_done_once(seed: int | None, tmp_path: Path) -> None:
    run = {**JUDGED, "random_state": seed, "checkpoint": tmp_path / "folds.h5"}
    with pytest.MonkeyPatch.context() as patched, pytest.raises(CutOffError):
        after_results(patched, 2, cut_off)
        cross_validate_samples(MIXTURES, **run)
    (tmp_path / "copy.h5").write_bytes((tmp_path / "folds.h5").read_bytes())
    with pytest.MonkeyPatch.context() as patched:
        seen = after_results(patched, -1, cut_off)
        found = cross_validate_samples(MIXTURES, **run)
        assert seen[0] == 1
        again = cross_validate_samples(MIXTURES, **run)
        assert seen[0] == 1
    run["checkpoint"] = tmp_path / "copy.h5" if seed is None else None
    whole = cross_validate_samples(MIXTURES, **run)
    for own in (found, again):
        pd.testing.assert_frame_equal(own.table, whole.table, check_exact=True)
        pd.testing.assert_frame_equal(own.predictions, whole.predictions)
    other = {"checkpoint": tmp_path / "folds.h5", "grid": {"reg": [1.0]}}
    with pytest.raises(ValueError, match="settings of grid"):
        cross_validate_samples(MIXTURES, **{**run, **other})


def test_permutations_are_scored_once(tmp_path: Path) -> None:
    run = {**JUDGED, "grid": None, "n_permutations": 4, "random_state": 0}
    whole = permutation_test(MIXTURES, **run)
    run["checkpoint"] = tmp_path / "scores.h5"
    with pytest.MonkeyPatch.context() as patched, pytest.raises(CutOffError):
        after_results(patched, 3, cut_off)
        permutation_test(MIXTURES, **run)
    with pytest.MonkeyPatch.context() as patched:
        seen = after_results(patched, -1, cut_off)
        found = permutation_test(MIXTURES, **run)
        assert seen[0] == 2
    np.testing.assert_array_equal(found.null_scores, whole.null_scores)
    assert (found.score, found.p_value) == (whole.score, whole.p_value)
    with pytest.raises(ValueError, match="n_permutations was 4 and is 5"):
        permutation_test(MIXTURES, **{**run, "n_permutations": 5})


def test_a_metric_that_is_kept_is_none_for_many_folds(tmp_path: Path) -> None:
    metric = ld.GroundMetric(checkpoint=tmp_path / "fit.h5")
    with pytest.raises(ValueError, match="keeps a single fit, and this makes many"):
        cross_validate_samples(MIXTURES, LABELS, metric)


def test_all_kinds_of_distances_are_in_one_file(tmp_path: Path) -> None:
    adata = ld.data.simulate_cohort(12, 30, 3, signal="mean", separation=6.0, random_state=0)
    ld.tl.fit_gmm(adata, sample_key="sample", k_comps=2, verbose=False)
    keys: dict[str, Any] = {"sample_key": "sample", "label_key": "label", "n_repeats": 1}
    keys |= {"metric": JUDGED["metric"], "n_splits": 3, "n_permutations": 2, "random_state": 0}
    whole = ld.tl.sample_validation(adata, **keys, copy=True).uns["sample_validation"]
    keys["checkpoint"] = tmp_path / "fit.h5"
    with pytest.MonkeyPatch.context() as patched, pytest.raises(CutOffError):
        after_results(patched, 8, cut_off)
        ld.tl.sample_validation(adata, **keys)
    assert "sample_validation" not in adata.uns
    with pytest.MonkeyPatch.context() as patched:
        seen = after_results(patched, -1, cut_off)
        ld.tl.sample_validation(adata, **keys)
        assert seen[0] == 3 * 3 + 3 - 8
    found = adata.uns["sample_validation"]
    for name, table in whole["tables"].items():
        pd.testing.assert_frame_equal(found["tables"][name], table, check_exact=True)
    np.testing.assert_array_equal(
        found["permutation"]["null_scores"], whole["permutation"]["null_scores"]
    )


@pytest.mark.parametrize("work", [cross_validate_samples, permutation_test])
def test_ctrl_c_ends_work_on_many_folds(work: Any, tmp_path: Path) -> None:
    path = tmp_path / "work.h5"
    with pytest.MonkeyPatch.context() as patched, pytest.raises(KeyboardInterrupt):
        after(patched, 5, press, anywhere=True)
        work(MIXTURES, **JUDGED, random_state=0, checkpoint=path)
    work(MIXTURES, **{**JUDGED, "grid": None}, random_state=0)


def test_ctrl_c_leaves_an_anndata_as_it_was() -> None:
    adata = ld.data.simulate_cohort(12, 30, 3, signal="mean", separation=6.0, random_state=0)
    with pytest.MonkeyPatch.context() as patched, pytest.raises(KeyboardInterrupt):
        after(patched, 5, press, anywhere=True)
        ld.tl.fit_gmm(adata, sample_key="sample", k_comps=2, verbose=False)
    assert not adata.uns.get("gmm_X")
    ld.tl.fit_gmm(adata, sample_key="sample", k_comps=2, verbose=False)
    given: dict[str, Any] = {"sample_key": "sample", "label_key": "label", "n_components": 2}
    with pytest.MonkeyPatch.context() as patched:
        after(patched, 5, press, anywhere=True)
        with pytest.warns(ConvergenceWarning, match="GroundMetric was interrupted after iter"):
            ld.tl.ground_metric(adata, **given, random_state=0)
    assert adata.uns["ground_metric"]["stop_reason"] == "interrupted"
    assert np.isfinite(adata.obsm["ground_metric"]).all()
