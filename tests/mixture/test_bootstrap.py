"""Bootstrap standard errors against formulas, intervals against the truth, replicates matched."""

from __future__ import annotations

import copy
import warnings
import weakref
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import anndata as ad
import numpy as np
import pytest
import scipy.sparse as sp
import torch
from sklearn.exceptions import ConvergenceWarning, NotFittedError

import lowdim as ld
from lowdim import SubspaceMixture, bootstrap_subspaces, data
from lowdim.data.sources import as_rows
from lowdim.data.standardized import StandardizedRows
from lowdim.mixture import Estimate, SubspaceBootstrap
from lowdim.mixture import bootstrap as module
from lowdim.mixture._resample import Refit, Replicate, _Reweighted
from lowdim.mixture._subspace.fit import keep_best, reorder, run_restarts


def covariance(model: SubspaceMixture, k: int = 0) -> np.ndarray:
    noise, basis = model.noise_variances_[k], model.bases_[k]
    excess = np.diag(model.latent_variances_[k] - noise)
    return noise * np.eye(model.n_features_in_) + basis.T @ excess @ basis


def every_se(result: SubspaceBootstrap) -> np.ndarray:
    parts = [result.weights, result.noise_variances, result.means]
    parts += [*result.latent_variances, *result.bases]
    return np.concatenate([part.se.ravel() for part in parts])


@pytest.fixture(scope="module")
def simulated() -> data.SimulatedSubspaces:
    """A plane and two lines in five columns, well apart."""
    return data.subspaces(
        [150, 100, 80], dims=[2, 1, 1], n_columns=5, latent=3.0, separation=15, random_state=0
    )


@pytest.fixture(scope="module")
def model(simulated: data.SimulatedSubspaces) -> SubspaceMixture:
    return SubspaceMixture(dims=[2, 1, 1], init=simulated.labels).fit(simulated.X)


@pytest.fixture(scope="module")
def result(model: SubspaceMixture, simulated: data.SimulatedSubspaces) -> SubspaceBootstrap:
    return bootstrap_subspaces(model, simulated.X, n_boot=40, random_state=0)


# Against formulas ------------------------------------------------------------------------


@pytest.mark.parametrize("n_columns", [6, 80])  # all second moments, and a sketch
def test_one_component_agrees_with_the_formulas(n_columns: int) -> None:
    n, d = 500, 2
    X = data.subspaces([n], dims=[d], n_columns=n_columns, random_state=1).X
    model = SubspaceMixture(dims=d, random_state=0).fit(X)
    found = bootstrap_subspaces(model, X, n_boot=200, random_state=0)
    expected = np.sqrt(np.diag(covariance(model)) / n)
    np.testing.assert_allclose(found.means.se[0].mean(), expected.mean(), rtol=0.1)
    np.testing.assert_allclose(found.means.se[0], expected, rtol=0.15 if n_columns == 6 else 0.25)
    noise = model.noise_variances_[0]
    expected = noise * np.sqrt(2 / (n * (n_columns - d)))
    assert found.noise_variances.se[0] == pytest.approx(expected, rel=0.15)
    expected = model.latent_variances_[0] * np.sqrt(2 / n)
    np.testing.assert_allclose(found.latent_variances[0].se, expected, rtol=0.25)
    # An axis turns towards each direction off the subspace by this much (Anderson, 1963).
    latent = model.latent_variances_[0]
    tilt = np.sqrt(latent * noise / n) / (latent - noise)
    angle = np.radians(np.sqrt(np.square(found.angles[:, 0]).sum(1).mean()))
    assert angle == pytest.approx(np.sqrt((n_columns - d) * np.square(tilt).sum()), rel=0.1)
    turned = np.sqrt(np.square(found.bases[0].se).sum())
    assert turned == pytest.approx(angle, rel=0.1)  # the same, as loadings
    assert found.weights.se[0] == pytest.approx(0, abs=1e-12)
    assert found.failed == found.unconverged == 0


def test_weights_agree_with_the_binomial_distribution(result: SubspaceBootstrap) -> None:
    share = np.array([150, 100, 80]) / 330
    np.testing.assert_allclose(result.weights.se, np.sqrt(share * (1 - share) / 330), rtol=0.3)


def test_intervals_cover_the_truth() -> None:
    """Five times twenty components far apart, each with parameters of its own."""
    covered = {"noise": 0, "mean": 0, "weight": 0}
    for seed in range(5):
        planted = data.subspaces(
            2000,
            dims=[0] * 20,
            n_columns=4,
            noise=np.linspace(0.5, 1.5, 20),
            separation=400,
            random_state=seed,
        )
        model = SubspaceMixture(dims=[0] * 20, init=planted.labels).fit(planted.X)
        found = bootstrap_subspaces(model, planted.X, n_boot=36, random_state=seed)
        for name, estimate, truth in (
            ("noise", found.noise_variances, planted.noise_variances),
            ("mean", found.means, planted.means),
            ("weight", found.weights, planted.weights),
        ):
            inside = (estimate.low <= truth) & (truth <= estimate.high)
            covered[name] += inside.reshape(20, -1).mean(1).sum()
    # 95 of 100 by design; percentiles of 36 replicates are a little narrow.
    assert all(84 <= n <= 99 for n in covered.values()), covered


def test_overlapping_components_vary_as_from_sample_to_sample() -> None:
    """Nothing is known in closed form: compare with many samples from the same mixture."""

    def fit(rng: np.random.Generator) -> tuple[np.ndarray, SubspaceMixture]:
        z = rng.random(1500) < 0.4
        X = rng.normal(size=(1500, 2)) + np.outer(z, [3.0, 0.0])
        model = SubspaceMixture(dims=[0, 0], init=z.astype(int), tol=1e-8, max_iter=500)
        return X, model.fit(X)

    rng = np.random.default_rng(0)
    truth = np.std([fit(rng)[1].means_[1, 0] for _ in range(40)], ddof=1)
    found = [bootstrap_subspaces(*reversed(fit(rng)), n_boot=30, random_state=0) for _ in range(3)]
    errors = [one.means.se[1, 0] for one in found]
    assert np.mean(errors) == pytest.approx(truth, rel=0.25)
    naive = np.sqrt(1 / (0.4 * 1500))  # as if the labels were known
    assert np.mean(errors) > 1.3 * naive


def test_angles_shrink_with_the_square_root_of_the_rows() -> None:
    medians = []
    for n in (300, 4800):
        X = data.subspaces([n], dims=[2], n_columns=6, latent=2.0, random_state=0).X
        model = SubspaceMixture(dims=2).fit(X)
        found = bootstrap_subspaces(model, X, n_boot=60, random_state=0)
        assert (found.angles[:, 0, 0] >= found.angles[:, 0, 1]).all()
        medians.append(found.angles_median[0])
    np.testing.assert_allclose(medians[0] / medians[1], 4.0, rtol=0.3)


def test_weights_of_rows_count_as_repetitions() -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(150, 3)) * [3, 1, 1]
    weight = rng.integers(0, 4, 150)
    repeated = np.repeat(X, weight, axis=0)
    ones = bootstrap_subspaces(
        SubspaceMixture().fit(repeated), repeated, n_boot=120, random_state=0
    )
    weighted = SubspaceMixture().fit(X, sample_weight=weight)
    twos = bootstrap_subspaces(weighted, X, sample_weight=weight, n_boot=120, random_state=1)
    np.testing.assert_allclose(twos.means.value, ones.means.value, atol=1e-6)
    np.testing.assert_allclose(every_se(twos), every_se(ones), rtol=0.25, atol=1e-12)
    # Weights that are no counts cannot say how many rows to draw.
    with pytest.raises(ValueError, match=r"sample_weight sums to 1;.*Scale the weights"):
        bootstrap_subspaces(weighted, X, sample_weight=weight / weight.sum())


# The result ------------------------------------------------------------------------------


def test_shapes_and_quantiles(
    result: SubspaceBootstrap, model: SubspaceMixture, simulated: data.SimulatedSubspaces
) -> None:
    assert result.n_boot == 40
    assert result.dims == [2, 1, 1]
    assert result.angles.shape == (40, 3, 2)
    assert np.isnan(result.angles[:, 1:, 1]).all()
    assert np.isfinite(result.angles[:, :, 0]).all()
    np.testing.assert_array_equal(result.means.value, model.means_)
    np.testing.assert_array_equal(result.bases[0].value, model.bases_[0])
    assert result.means.se.shape == (3, 5)
    assert [basis.se.shape for basis in result.bases] == [(2, 5), (1, 5), (1, 5)]
    np.testing.assert_allclose(
        result.angles_median[:, 0], np.median(result.angles[:, :, 0], axis=0)
    )
    np.testing.assert_allclose(
        result.angles_high[:, 0], np.percentile(result.angles[:, :, 0], 95, axis=0)
    )
    assert (result.overlap > 0.95).all()
    assert result.lost.tolist() == [0, 0, 0]
    assert (result.weights.low < result.weights.value).all()
    assert (result.weights.value < result.weights.high).all()
    np.testing.assert_allclose(
        result.means.high - result.means.low, 2 * 1.959964 * result.means.se, rtol=1e-6
    )
    narrow = bootstrap_subspaces(model, simulated.X, n_boot=40, level=0.5, random_state=0)
    np.testing.assert_array_equal(narrow.weights.se, result.weights.se)
    assert (narrow.weights.low > result.weights.low).all()
    assert (narrow.means.high < result.means.high).all()


def test_table(result: SubspaceBootstrap) -> None:
    table = result.to_frame()
    assert list(table.columns) == ["component", "quantity", "estimate", "se", "low", "high"]
    assert len(table) == 3 + 3 + 4
    row = table[(table["component"] == 0) & (table["quantity"] == "latent_variance_1")].iloc[0]
    latent = result.latent_variances[0]
    assert row["estimate"] == latent.value[1]
    assert row["se"] == latent.se[1]
    assert (row["low"], row["high"]) == (latent.low[1], latent.high[1])
    noise = table[table["quantity"] == "noise_variance"]
    np.testing.assert_array_equal(noise["se"], result.noise_variances.se)


def test_repeats_bit_for_bit_with_any_number_of_jobs(
    result: SubspaceBootstrap, model: SubspaceMixture, simulated: data.SimulatedSubspaces
) -> None:
    before = copy.deepcopy(model)
    for n_jobs in (1, 2):
        again = bootstrap_subspaces(model, simulated.X, n_boot=40, random_state=0, n_jobs=n_jobs)
        np.testing.assert_array_equal(every_se(again), every_se(result))
        np.testing.assert_array_equal(again.angles, result.angles)
        np.testing.assert_array_equal(again.noise_variances.low, result.noise_variances.low)
    other = bootstrap_subspaces(model, simulated.X, n_boot=5, random_state=1)
    assert not np.array_equal(other.angles, result.angles[:5])
    for name, value in vars(before).items():  # the model stays as it is
        np.testing.assert_equal(getattr(model, name), value, err_msg=name)


def test_replicates_are_not_kept(model: SubspaceMixture, result: SubspaceBootstrap) -> None:
    alive: list[weakref.ref] = []
    most = 0

    def replicates() -> Iterator[Replicate]:
        nonlocal most
        rng = np.random.default_rng(0)
        for _ in range(20):
            most = max(most, sum(one() is not None for one in alive))
            means = rng.normal(size=(3, 5))
            alive.append(weakref.ref(means))
            yield Replicate(
                weights=np.full(3, 1 / 3),
                noise=np.ones(3),
                latent=np.ones(4),
                means=means,
                bases=[basis.copy() for basis in model.bases_],
                angles=np.zeros((3, 2)),
                overlap=np.ones(3),
                converged=True,
            )
            del means

    found = module._summarise(model, replicates(), 20, 0.95)
    assert most <= 1
    rng = np.random.default_rng(0)
    expected = np.std([rng.normal(size=(3, 5)) for _ in range(20)], axis=0, ddof=1)
    np.testing.assert_allclose(found.means.se, expected)
    np.testing.assert_array_equal(found.bases[0].se, 0)


# Components that move, or go -------------------------------------------------------------


def test_components_that_changed_places_are_matched(
    model: SubspaceMixture, simulated: data.SimulatedSubspaces
) -> None:
    refit = Refit.of(model, as_rows(simulated.X), None, np.random.default_rng(0))
    done = run_restarts(refit.family, refit.data, [refit.start], refit.options)
    fit = keep_best(refit.family, refit.data, done, refit.options, None)
    straight = refit._matched(fit)
    swapped = refit._matched(replace(fit, parameters=reorder(fit.parameters, [2, 1, 0])))
    lines = refit._matched(replace(fit, parameters=reorder(fit.parameters, [0, 2, 1])))
    np.testing.assert_allclose(straight.means, model.means_, atol=1e-3)
    for other in (swapped, lines):
        np.testing.assert_allclose(other.means, straight.means)
        np.testing.assert_allclose(other.latent, straight.latent)
        np.testing.assert_allclose(other.overlap, 1, atol=1e-3)
        np.testing.assert_allclose(np.nan_to_num(other.angles), 0, atol=0.05)


def test_failures_are_counted_and_told() -> None:
    """A line through four rows of its own often has too few of them in a replicate."""
    rng = np.random.default_rng(0)
    few = np.outer([-3, -1, 1, 3], [1.0, 1, 1]) + rng.normal(0, 0.3, (4, 3)) + 30
    X = np.concatenate([rng.normal(size=(80, 3)), few])
    labels = np.repeat([0, 1], [80, 4])
    model = SubspaceMixture(dims=[0, 1], init=labels, reg_covar=1e-9).fit(X)
    assert not model.degenerate_
    with pytest.warns(ConvergenceWarning, match=r"of 30 replicates failed and are left out"):
        found = bootstrap_subspaces(model, X, n_boot=30, random_state=0)
    assert 5 <= found.failed <= 28
    lost = np.isnan(found.overlap).all(1)
    assert lost.sum() == found.failed
    assert np.isnan(found.angles[lost]).all()
    assert np.isfinite(every_se(found)).all()
    assert np.isfinite(found.angles_high[1, 0])
    # It was not put elsewhere: where there is a line, it is that one.
    assert found.lost.tolist() == [0, 0]
    assert found.overlap[~lost, 1].min() > 0.9


def test_a_component_that_is_none_is_reported_lost() -> None:
    X = np.random.default_rng(0).normal(size=(200, 2))
    model = SubspaceMixture(dims=[0, 0, 0], n_init=3, random_state=0, max_iter=500).fit(X)
    with pytest.warns(ConvergenceWarning, match=r"shared less than half of their rows"):
        found = bootstrap_subspaces(model, X, n_boot=12, random_state=0)
    assert found.lost.max() >= 3


def test_copies_of_a_block_have_weights_of_their_own(simulated: data.SimulatedSubspaces) -> None:
    rows = StandardizedRows(
        as_rows(simulated.X), device=torch.device("cpu"), dtype=torch.float64, block_rows=100
    )
    for block in rows:
        assert block.host_weights.tolist() == [1.0] * block.n_rows
    weights = np.arange(330.0)
    for original, twin in zip(rows, _Reweighted(rows, weights), strict=True):
        own = weights[twin.start : twin.start + twin.n_rows]
        np.testing.assert_array_equal(twin.host_weights, own)
        np.testing.assert_array_equal(twin.weights, own)
        assert np.shares_memory(twin.host_rows, original.host_rows)  # no copy of the rows
        assert original.weights is None


def test_nothing_can_be_said_if_all_replicates_fail(
    model: SubspaceMixture, simulated: data.SimulatedSubspaces, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Refit, "__call__", lambda self, rng: None)
    with pytest.raises(RuntimeError, match="3 of 3 replicates"):
        bootstrap_subspaces(model, simulated.X, n_boot=3)


@pytest.mark.parametrize("n_columns", [10, 70])
def test_held_components_do_not_vary(n_columns: int) -> None:
    planted = data.subspaces(
        [120, 100], dims=[1, 0], n_columns=n_columns, separation=30, random_state=0
    )
    rng = np.random.default_rng(0)
    low, high = planted.X.min(0) - 1, planted.X.max(0) + 1
    X = np.concatenate([planted.X, rng.uniform(low, high, (40, n_columns))])
    line = {"mean": planted.means[0], "basis": planted.bases[0]}
    known = SubspaceMixture(dims=[0], fixed=line, background="uniform", n_init=3, random_state=0)
    known.fit(X)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = bootstrap_subspaces(known, X, n_boot=40, random_state=0)
    assert found.failed == 0
    np.testing.assert_array_equal(found.means.se[1], 0)
    np.testing.assert_array_equal(found.bases[1].se, 0)
    np.testing.assert_allclose(found.angles[:, 1], 0, atol=1e-5)
    assert np.isnan(found.means.se[2]).all()
    assert np.isnan(found.noise_variances.low[2])
    assert found.noise_variances.value[2] == np.inf
    # Its noise, its variance along the axis and its weight are learned.
    noise = known.noise_variances_[1]
    expected = noise * np.sqrt(2 / (120 * (n_columns - 1)))
    assert found.noise_variances.se[1] == pytest.approx(expected, rel=0.35)
    latent = known.latent_variances_[1]
    np.testing.assert_allclose(found.latent_variances[1].se, latent * np.sqrt(2 / 120), rtol=0.4)
    share = known.weights_[2]
    assert found.weights.se[2] == pytest.approx(np.sqrt(share * (1 - share) / 260), rel=0.35)


# Kinds of fits and of data ---------------------------------------------------------------


@pytest.mark.parametrize("assignment", ["hard", "closest"])
def test_other_assignments(assignment: str) -> None:
    planted = data.subspaces([200, 200], dims=[0, 0], n_columns=3, separation=99, random_state=0)
    model = SubspaceMixture(dims=[0, 0], assignment=assignment, random_state=0).fit(planted.X)
    found = bootstrap_subspaces(model, planted.X, n_boot=100, random_state=0)
    expected = np.sqrt(model.noise_variances_ / (400 * model.weights_))
    np.testing.assert_allclose(found.means.se.mean(1), expected, rtol=0.15)
    assert found.overlap.min() == 1.0
    same = found.noise_variances.se[0] == pytest.approx(found.noise_variances.se[1], rel=1e-9)
    assert same == (assignment == "closest")  # which has one noise variance


def test_settings_that_matter_only_for_the_fit_do_not_matter() -> None:
    planted = data.subspaces([90, 60], dims=[1, 0], n_columns=3, random_state=0)
    plain = SubspaceMixture(dims=[1, 0], init=planted.labels).fit(planted.X)
    auto = SubspaceMixture(dims="auto", n_components=2, n_init=3, random_state=0).fit(planted.X)
    annealed = SubspaceMixture(dims=[1, 0], annealing=(0.5, 1.3), random_state=0).fit(planted.X)
    shared = SubspaceMixture(dims=[1, 0], shared_noise=True, random_state=0).fit(planted.X)
    few = {"n_boot": 20, "random_state": 0}
    expected = bootstrap_subspaces(plain, planted.X, **few)
    for model in (auto, annealed):
        assert model.dims_.tolist() == [1, 0]
        found = bootstrap_subspaces(model, planted.X, **few)
        np.testing.assert_allclose(every_se(found), every_se(expected), rtol=0.02, atol=1e-9)
    found = bootstrap_subspaces(shared, planted.X, **few)
    assert found.noise_variances.se[0] == found.noise_variances.se[1]


@pytest.mark.parametrize("n_columns", [6, 70])
def test_any_kind_of_matrix(n_columns: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    X = rng.poisson(1.0, (150, n_columns)) * (rng.random((150, n_columns)) < 0.5)
    X = X.astype(np.float64)
    X[:75, 0] += 8
    model = SubspaceMixture(dims=[1, 0], n_init=2, random_state=0, batch_size=64).fit(X)
    few = {"n_boot": 4, "random_state": 0}
    expected = bootstrap_subspaces(model, X, **few)
    adata = ad.AnnData(sp.csr_matrix(X))
    adata.write_h5ad(tmp_path / "rows.h5ad")
    for rows in (sp.csc_matrix(X), adata, tmp_path / "rows.h5ad"):
        found = bootstrap_subspaces(model, rows, **few)
        np.testing.assert_allclose(every_se(found), every_se(expected), rtol=1e-3, atol=1e-9)
    found = bootstrap_subspaces(model, X.astype(np.float32), **few)
    np.testing.assert_allclose(every_se(found), every_se(expected), rtol=0.02, atol=1e-6)


# Errors ----------------------------------------------------------------------------------


def test_errors_name_the_argument(
    model: SubspaceMixture, simulated: data.SimulatedSubspaces
) -> None:
    X = simulated.X
    with pytest.raises(TypeError, match="model is a str"):
        bootstrap_subspaces("model", X)
    with pytest.raises(NotFittedError):
        bootstrap_subspaces(SubspaceMixture(), X)
    with pytest.raises(ValueError, match="n_boot=1 "):
        bootstrap_subspaces(model, X, n_boot=1)
    with pytest.raises(ValueError, match=r"level=1\.0"):
        bootstrap_subspaces(model, X, level=1.0)
    with pytest.raises(ValueError, match="n_jobs=0"):
        bootstrap_subspaces(model, X, n_jobs=0)
    with pytest.raises(ValueError, match="sample_weight has shape"):
        bootstrap_subspaces(model, X, sample_weight=[1.0])
    with pytest.raises(TypeError, match="random_state"):
        bootstrap_subspaces(model, X, random_state="seed")
    with pytest.raises(ValueError, match="X has 4 features"):
        bootstrap_subspaces(model, X[:, :4])
    with pytest.raises(ValueError, match="NaN"):
        bootstrap_subspaces(model, np.full_like(X, np.nan))


def test_a_degenerate_model_is_refused() -> None:
    X = np.random.default_rng(0).normal(size=(20, 3))
    X[:6] = 5.0
    model = SubspaceMixture(dims=[0, 0], init=np.repeat([0, 1], [6, 14])).fit(X)
    assert model.degenerate_
    with pytest.raises(ValueError, match="model is degenerate"):
        bootstrap_subspaces(model, X)


def test_it_is_public() -> None:
    assert ld.bootstrap_subspaces is bootstrap_subspaces
    assert isinstance(Estimate(*np.zeros((4, 1))), Estimate)
