"""Many fits of mixtures and factors of which a few are of no use: a file keeps what is done."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from cut_off_fits import CutOffError, after, after_results, cut_off, kept_often, press
from sklearn.base import clone

import lowdim as ld

PLANTED = ld.data.subspaces(150, dims=[2, 1], n_columns=5, random_state=0).X
COUNTS = np.random.default_rng(1).poisson(
    np.random.default_rng(0).gamma(1, 2, (3, 12))[np.arange(90) % 3]
)
PLACES = np.random.default_rng(2).uniform(size=(90, 2))
MODEL = ld.SubspaceMixture(dims=[2, 1], n_init=2, max_iter=20)


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Checkpoints are written whenever they may be."""
    with kept_often(monkeypatch):
        yield


def sizes_of(estimator: Any, X: Any, criterion: str) -> Callable[..., Any]:
    """`select_mixture` of an estimator."""
    settings: dict[str, Any] = {"n_components": 3, "criterion": criterion}
    return lambda **given: ld.select_mixture(X, clone(estimator), **settings, **given)


WORK: dict[str, tuple[Callable[..., Any], int]] = {
    "sizes of Gaussians": (sizes_of(ld.GaussianMixture(random_state=0), PLANTED, "bic"), 5),
    "sizes of clusters": (sizes_of(ld.KMeans(random_state=0), PLANTED, "elbow"), 5),
    "sizes of counts": (
        sizes_of(ld.NegativeBinomialMixture(random_state=0, max_iter=10), COUNTS, "heldout"), 8,
    ),
    "sizes of subspaces": (
        sizes_of(ld.SubspaceMixture(dims=1, random_state=0, max_iter=15), PLANTED, "heldout"), 8,
    ),
    "consensus": (lambda **given: ld.consensus_subspaces(MODEL, PLANTED, n_runs=4, **given), 4),
    "bootstrap": (
        lambda **given: ld.bootstrap_subspaces(
            clone(MODEL).set_params(random_state=0).fit(PLANTED), PLANTED, n_boot=5, **given
        ), 5,
    ),
    "factors": (
        lambda **given: ld.select_factors(
            COUNTS, PLACES, ld.SpatialFactorization(max_iter=3), n_factors=[1, 2], n_splits=2,
            **given,
        ), 4,
    ),
}  # fmt: skip


def assert_same(found: Any, expected: Any, where: str = "") -> None:
    """Results to the bit, whatever they are made of."""
    if isinstance(expected, pd.DataFrame):
        pd.testing.assert_frame_equal(found, expected, check_exact=True)
    elif isinstance(expected, dict):
        assert found.keys() == expected.keys(), where
        for key in expected:
            assert_same(found[key], expected[key], f"{where}.{key}")
    elif isinstance(expected, list | tuple):
        for i, (own, other) in enumerate(zip(found, expected, strict=True)):
            assert_same(own, other, f"{where}[{i}]")
    elif hasattr(expected, "__dict__"):
        fitted = {n: v for n, v in vars(expected).items() if not n.startswith("_")}
        assert_same({n: getattr(found, n) for n in fitted}, fitted, where)
    else:
        np.testing.assert_array_equal(found, expected, err_msg=where)


@pytest.mark.parametrize("name", WORK)
def test_what_is_done_is_not_done_again(name: str, tmp_path: Path) -> None:
    run, n_results = WORK[name]
    whole = run(random_state=0)
    given = {"random_state": 0, "checkpoint": tmp_path / "fits.h5"}
    with pytest.MonkeyPatch.context() as patched, pytest.raises(CutOffError):
        after_results(patched, n_results - 2, cut_off)
        run(**given)
    with pytest.MonkeyPatch.context() as patched:
        seen = after_results(patched, -1, cut_off)
        assert_same(run(**given), whole)
        assert seen[0] == 2
    with pytest.MonkeyPatch.context() as patched:
        seen = after_results(patched, -1, cut_off)
        assert_same(run(**given), whole)
        assert seen[0] == 0


@pytest.mark.parametrize("name", WORK)
def test_ctrl_c_raises_and_keeps_what_is_done(name: str, tmp_path: Path) -> None:
    run, _ = WORK[name]
    path = tmp_path / "fits.h5"
    with pytest.MonkeyPatch.context() as patched, pytest.raises(KeyboardInterrupt):
        after_results(patched, 1, lambda: after(patched, 1, press, anywhere=True))
        run(random_state=0, checkpoint=path)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert path.exists()


def test_other_work_is_refused(tmp_path: Path) -> None:
    given: dict[str, Any] = {"random_state": 0, "checkpoint": tmp_path / "fits.h5"}
    ld.consensus_subspaces(MODEL, PLANTED, n_runs=2, **given)
    with pytest.raises(ValueError, match="n_runs was 2 and is 3"):
        ld.consensus_subspaces(MODEL, PLANTED, n_runs=3, **given)
    with pytest.raises(ValueError, match="rows of X differs"):
        ld.consensus_subspaces(MODEL, PLANTED + 1e-9, n_runs=2, **given)
    with pytest.raises(ValueError, match='work was "consensus_subspaces"'):
        ld.bootstrap_subspaces(clone(MODEL).fit(PLANTED), PLANTED, **given)
    with pytest.raises(ValueError, match="estimator was"):
        ld.select_mixture(PLANTED, ld.KMeans(), **given)
