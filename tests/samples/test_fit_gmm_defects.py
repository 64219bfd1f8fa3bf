"""What goes wrong in ggml-ot 0.9.94 when mixtures are fitted, and must not here.

Every check takes a function that fits, ours or theirs. Ours passes; theirs fails, which is looked
at where ggml-ot is installed.
"""

from __future__ import annotations

import subprocess
import sys
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import anndata as ad
import numpy as np
import pytest

import lowdim as ld


class Fitted(NamedTuple):
    """What a fit says: means (S, K, D), weights (S, K), responsibilities (N, K), its record."""

    means: np.ndarray
    weights: np.ndarray
    responsibilities: np.ndarray
    record: dict[str, Any]


Fit = Callable[..., Fitted]


def as_anndata(X: np.ndarray, samples: Any) -> ad.AnnData:
    adata = ad.AnnData(np.asarray(X, dtype=np.float64))
    adata.obs["sample"] = np.asarray(samples).astype(str)
    codes = np.unique(adata.obs["sample"], return_inverse=True)[1]
    adata.obs["label"] = np.where(codes % 2, "odd", "even")
    return adata


def by_lowdim(X: np.ndarray, samples: Any, *, times: int = 1, **options: Any) -> Fitted:
    adata = as_anndata(X, samples)
    for _ in range(times):
        data = ld.tl.fit_gmm(adata, sample_key="sample", gmm_key="key", verbose=False, **options)
    R = adata.obsm["key_resp"]
    return Fitted(data.supports, data.weights, R, adata.uns["key"])


def by_ggml(X: np.ndarray, samples: Any, *, times: int = 1, **options: Any) -> Fitted:
    import ggml_ot
    from ggml_ot.gmm import fit_gmm

    adata = as_anndata(X, samples)
    data = ggml_ot.from_anndata(adata, patient_col="sample", label_col="label", n_cells=10)
    for _ in range(times):
        fit_gmm(data, gmm_key="key", verbose=False, **options)
    means, weights = (np.asarray(part, float) for part in (data.supports, data.weights))
    return Fitted(means, weights, adata.obsm["key_resp"], adata.uns["key"])


def ladder(S: int = 4, n: int = 60, d: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Samples around 0, 20, 40, ..., sorted; two components 10 apart in each."""
    rng = np.random.default_rng(0)
    codes = np.repeat(np.arange(S), n)
    X = rng.normal(size=(S * n, d)) + 20.0 * codes[:, None]
    X[:, 0] += 10.0 * (rng.random(S * n) < 0.5)
    return X, np.array([f"p{s}" for s in codes])


def centres(fitted: Fitted) -> np.ndarray:
    return (fitted.weights[:, :, None] * fitted.means).sum(1)[:, 1]


def unsorted_rows_give_every_sample_the_first_ones_mixture(fit: Fit) -> None:
    X, samples = ladder()
    order = np.random.default_rng(1).permutation(len(X))
    np.testing.assert_allclose(
        centres(fit(X[order], samples[order], k_comps=2)), 20 * np.arange(4), atol=1
    )


def a_second_fit_gives_every_sample_the_first_ones_mixture(fit: Fit) -> None:
    X, samples = ladder()
    twice = fit(X, samples, k_comps=2, times=2)
    np.testing.assert_allclose(centres(twice), 20 * np.arange(4), atol=1)


def responsibilities_of_many_columns_are_nan(fit: Fit) -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(600, 100)) * np.linspace(6, 1.5, 100)
    X[::2, 0] += 40.0
    fitted = fit(X, np.repeat(["a", "b"], 300), k_comps=2)
    assert np.isfinite(fitted.responsibilities).all()
    np.testing.assert_allclose(fitted.responsibilities.sum(1), 1.0, atol=1e-12)


def shared_weights_of_many_columns_are_uniform(fit: Fit) -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(600, 100)) * np.linspace(6, 1.5, 100)
    samples = np.repeat(["a", "b"], 300)
    X[rng.random(600) < np.where(samples == "a", 0.1, 0.9), 0] += 60.0
    fitted = fit(X, samples, component_sharing="global", k_comps=2)
    assert abs(fitted.weights[0, 0] - fitted.weights[1, 0]) > 0.5


def small_units_make_one_blob(fit: Fit) -> None:
    X, samples = ladder(S=2)
    for scale in (1e-3, 1e-2, 1e2, 1e4):
        means = fit(scale * X, samples, k_comps=2).means / scale
        assert (np.abs(means[:, 0, 0] - means[:, 1, 0]) > 8).all(), scale


def units_change_responsibilities(fit: Fit) -> None:
    X, samples = ladder(S=2)
    plain = fit(X, samples, k_comps=2).responsibilities
    for scale in (1e-3, 1e4):
        own = fit(scale * X, samples, k_comps=2).responsibilities
        np.testing.assert_allclose(own, plain, atol=1e-6)


def equal_rows_make_equal_components(fit: Fit) -> None:
    rng = np.random.default_rng(0)
    X = np.concatenate([np.ones((180, 2)), rng.normal(size=(20, 2)) * 5])
    X, samples = np.concatenate([X, rng.normal(size=(200, 2))]), np.repeat(["a", "b"], 200)
    for k in (3, 5):
        means = fit(X, samples, k_comps=k).means[0]
        assert len(np.unique(means.round(3), axis=0)) == k


def rows_that_are_all_the_same_are_taken(fit: Fit) -> None:
    X, samples = ladder(S=2)
    X[samples == "p1"] = 3.0
    with pytest.raises(ValueError, match="p1"):
        fit(X, samples, k_comps=2)


def the_default_number_of_components_is_an_error(fit: Fit) -> None:
    assert fit(*ladder(S=2)).means.shape[1] >= 2


def two_fits_from_the_same_seed_differ(fit: Fit) -> None:
    rng = np.random.default_rng(0)
    X, samples = rng.normal(size=(300, 3)), np.repeat(["a", "b", "c"], 100)
    first, second = (fit(X, samples, k_comps=4) for _ in range(2))
    np.testing.assert_array_equal(first.means, second.means)


def planes() -> tuple[np.ndarray, np.ndarray]:
    """Two samples in ten columns; one lies in five dimensions."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 5)) @ rng.normal(size=(5, 10))
    X[100:] += rng.normal(size=(100, 10))
    return X, np.repeat(["flat", "round"], 100)


def strict_passes_what_is_singular(fit: Fit) -> None:
    X, samples = planes()
    with pytest.raises(ValueError, match="flat"):
        fit(X, samples, k_comps=1, singularity_handling="strict")


def guarded_does_not_go_on(fit: Fit) -> None:
    X, samples = planes()
    fitted = fit(300 * X, samples, k_comps=1, singularity_handling="guarded")
    assert np.linalg.eigvalsh(fitted.record["model"]["var"]).min() > 0


def robust_is_no_more_robust(fit: Fit) -> None:
    X, samples = planes()
    smallest = {
        handling: np.linalg.eigvalsh(
            fit(X, samples, k_comps=1, singularity_handling=handling).record["model"]["var"]
        ).min()
        for handling in ("guarded", "robust")
    }
    assert smallest["robust"] > 10 * smallest["guarded"]


def half_of_the_rows_are_fitted(fit: Fit) -> None:
    X, samples = ladder()
    for metric in ("aic", "bic"):
        record = fit(X, samples, k_comps=[1, 2], k_selection_metric=metric).record
        assert record["backend_metadata"]["fit_indices_count"] == len(X)


def weights_are_said_to_be_of_all_rows(fit: Fit) -> None:
    options = {"k_comps": [1, 2], "k_selection_metric": "heldout_nll", "refit": "none"}
    record = fit(*ladder(), **options).record
    assert record["backend_metadata"]["fit_indices_count"] < len(ladder()[0])
    assert record["weight_inference"]["weights_fit_scope"] != "all_cells"


CHECKS = [
    unsorted_rows_give_every_sample_the_first_ones_mixture,
    a_second_fit_gives_every_sample_the_first_ones_mixture,
    responsibilities_of_many_columns_are_nan,
    shared_weights_of_many_columns_are_uniform,
    small_units_make_one_blob,
    units_change_responsibilities,
    equal_rows_make_equal_components,
    rows_that_are_all_the_same_are_taken,
    the_default_number_of_components_is_an_error,
    two_fits_from_the_same_seed_differ,
    strict_passes_what_is_singular,
    guarded_does_not_go_on,
    robust_is_no_more_robust,
    half_of_the_rows_are_fitted,
    weights_are_said_to_be_of_all_rows,
]


@pytest.mark.filterwarnings("ignore:Components of:UserWarning")
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_not_here(check: Callable[[Fit], None]) -> None:
    check(by_lowdim)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_in_ggml_ot(check: Callable[[Fit], None]) -> None:
    pytest.importorskip("ggml_ot")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises((AssertionError, ValueError, pytest.fail.Exception)):
            check(by_ggml)


SIDE_EFFECTS = """
import random, warnings
import numpy as np, torch
torch.manual_seed(7), np.random.seed(7), random.seed(7)
def state():
    return [str(torch.get_rng_state().tolist()), str(np.random.get_state()), random.getstate(),
            torch.get_num_threads(), list(warnings.filters)]
before = state()
import {package}
{work}
changed = [name for name, a, b in
           zip(["torch", "numpy", "random", "threads", "filters"], before, state()) if a != b]
print("changed", changed)
"""
WORK = """
import numpy as np
X, samples = np.random.default_rng(0).normal(size=(60, 2)), np.repeat(["a", "b"], 30)
lowdim.tl.fit_gmm(X, samples, k_comps=2, verbose=False)
"""


def changed_by(package: str, work: str = "") -> str:
    code = SIDE_EFFECTS.format(package=package, work=work)
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=300, check=True
    )
    return ran.stdout.strip().splitlines()[-1]


def test_importing_and_fitting_leave_seeds_threads_and_filters_alone() -> None:
    assert changed_by("lowdim", WORK) in ("changed []", "changed ['filters']")
    assert changed_by("lowdim") == "changed []"


def test_importing_ggml_ot_seeds_torch() -> None:
    pytest.importorskip("ggml_ot")
    assert "torch" in changed_by("ggml_ot")


def test_a_small_scale_does_not_spoil_distances() -> None:
    """ggml-ot clamps eigenvalues in the units of the data, at 1e-4."""
    X, samples = ladder()
    distances = [
        ld.transport.mixture_distances(
            ld.tl.fit_gmm(
                as_anndata(scale * X, samples), sample_key="sample", k_comps=2, verbose=False
            ).mixtures
        )
        for scale in (1.0, 1e-4)
    ]
    np.testing.assert_allclose(distances[1], 1e-4 * distances[0], rtol=1e-7)
