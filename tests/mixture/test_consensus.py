"""Fits that agree, fits that do not, and components that only some of them have."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import anndata as ad
import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import adjusted_rand_score

import lowdim as ld
from lowdim import SubspaceMixture, consensus_subspaces, data
from lowdim.mixture import SubspaceConsensus
from lowdim.mixture.consensus import adjusted_rand


@pytest.fixture(scope="module")
def planted() -> data.SimulatedSubspaces:
    """Two lines, a blob and a plane, far apart."""
    return data.subspaces(
        [80, 60, 50, 90], dims=[1, 1, 0, 2], n_columns=4, separation=40, random_state=0
    )


@pytest.fixture(scope="module")
def found(planted: data.SimulatedSubspaces) -> SubspaceConsensus:
    model = SubspaceMixture(dims=[1, 1, 0, 2], n_init=6)
    return consensus_subspaces(model, planted.X, n_runs=8, random_state=0)


@pytest.fixture(scope="module")
def square() -> np.ndarray:
    """Four blobs in a square, which two components halve in either of two ways, and one far off."""
    rng = np.random.default_rng(0)
    centres = np.array([[4, 4], [4, -4], [-4, 4], [-4, -4], [200, 0]])
    return np.concatenate([centre + rng.normal(size=(60, 2)) for centre in centres])


@pytest.fixture(scope="module")
def halves(square: np.ndarray) -> SubspaceConsensus:
    model = SubspaceMixture(dims=[0, 0, 0], n_init=1, init="local", assignment="closest")
    return consensus_subspaces(model, square, n_runs=12, random_state=2)


def test_separate_components_are_found_by_all(
    found: SubspaceConsensus, planted: data.SimulatedSubspaces
) -> None:
    np.testing.assert_array_equal(found.agreement, 1)
    np.testing.assert_allclose(found.reproducibility, 1, atol=1e-4)
    np.testing.assert_array_equal(found.recurrence, 1)
    np.testing.assert_allclose(found.ari, 1)
    assert found.mean_ari == pytest.approx(1)
    assert adjusted_rand_score(planted.labels, found.labels) == 1
    np.testing.assert_allclose(found.responsibilities.sum(1), 1)
    np.testing.assert_allclose(
        found.responsibilities, found.best.predict_proba(planted.X), atol=1e-4
    )
    assert found.n_runs == 8
    assert found.converged.all()
    assert found.objectives.max() == found.best.lower_bound_
    assert found.best.score(planted.X) == pytest.approx(found.objectives.max(), abs=1e-6)


def test_runs_with_permuted_labels_are_matched(
    monkeypatch: pytest.MonkeyPatch, planted: data.SimulatedSubspaces
) -> None:
    """The two lines change places in some runs, and still all runs agree."""
    orders = []
    fit = SubspaceMixture.fit

    def spy(self: SubspaceMixture, *args: object) -> SubspaceMixture:
        fitted = fit(self, *args)
        orders.append(bool(fitted.predict(planted.X)[0] == 0))
        return fitted

    monkeypatch.setattr(SubspaceMixture, "fit", spy)
    model = SubspaceMixture(dims=[1, 1, 0, 2], n_init=6)
    again = consensus_subspaces(model, planted.X, n_runs=8, random_state=0)
    assert 0 < sum(orders) < 8
    np.testing.assert_array_equal(again.agreement, 1)


def test_noise_has_no_agreement() -> None:
    X = np.random.default_rng(0).normal(size=(300, 4))
    model = SubspaceMixture(dims=[1, 1, 1, 1], n_init=1, max_iter=60)
    with pytest.warns(ConvergenceWarning):
        found = consensus_subspaces(model, X, n_runs=10, random_state=0)
    assert found.agreement.mean() < 0.75
    assert found.reproducibility.mean() < 0.5
    assert found.mean_ari < 0.3
    assert found.jaccard.max(1).min() < 1
    assert not found.converged.all()


def test_a_component_of_some_optima_is_told_from_one_of_all(
    halves: SubspaceConsensus, square: np.ndarray
) -> None:
    far = int(halves.best.means_[:, 0].argmax())
    near = [k for k in range(3) if k != far]
    np.testing.assert_array_equal(halves.jaccard[:, far], 1)
    # In the other optimum a half shares one of the three blobs that are in either.
    others = halves.jaccard[:, near]
    same = np.isclose(others, 1)
    assert 3 <= same[:, 0].sum() <= 9
    np.testing.assert_allclose(others[~same], 1 / 3)
    share = (same[:, 0].sum() - 1) / 11  # of the runs other than the best
    np.testing.assert_allclose(halves.recurrence[near], share)
    np.testing.assert_allclose(halves.reproducibility[near], share + (1 - share) / 3)
    assert (halves.reproducibility[far], halves.recurrence[far]) == (1, 1)
    # A blob goes as a whole, and two of the four are where the consensus has them in any case.
    agreement = halves.agreement.reshape(5, 60)
    assert (agreement == agreement[:, :1]).all()
    assert (agreement[:4] < 1).any()
    np.testing.assert_array_equal(agreement[4], 1)
    np.testing.assert_array_equal(halves.labels, halves.best.predict(square))
    minority = 1 - same[:, 0].mean()
    assert agreement[:4].mean() == pytest.approx(1 - minority / 2)


def test_values_follow_from_the_runs(square: np.ndarray) -> None:
    """The same seeds by hand, components matched by brute force."""
    model = SubspaceMixture(dims=[0, 0, 0], n_init=1, init="points", tol=1e-8)
    found = consensus_subspaces(model, square, n_runs=5, random_state=3)
    seeds = np.random.default_rng(3).integers(2**31 - 1, size=5).tolist()
    runs = [SubspaceMixture(**{**model.get_params(), "random_state": s}).fit(square) for s in seeds]
    np.testing.assert_array_equal(found.objectives, [run.lower_bound_ for run in runs])
    best = int(np.argmax(found.objectives))
    assert found.best.random_state == seeds[best]
    labels = [run.predict(square) for run in runs]
    for i in range(5):
        for j in range(5):
            assert found.ari[i, j] == pytest.approx(adjusted_rand_score(labels[i], labels[j]))
    mean = np.zeros((300, 3))
    for r, run in enumerate(runs):
        shares, reference = run.predict_proba(square), runs[best].predict_proba(square)
        low = np.array([[np.minimum(a, b).sum() for b in shares.T] for a in reference.T])
        high = np.array([[np.maximum(a, b).sum() for b in shares.T] for a in reference.T])
        orders = [(0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0)]
        order = max(orders, key=lambda o: sum((low / high)[k, o[k]] for k in range(3)))
        np.testing.assert_allclose(found.jaccard[r], (low / high)[[0, 1, 2], order])
        mean += shares[:, order] / 5
    np.testing.assert_allclose(found.responsibilities, mean)
    np.testing.assert_array_equal(found.labels, mean.argmax(1))


def test_repeats_with_the_seed_and_any_number_of_jobs(square: np.ndarray) -> None:
    model = SubspaceMixture(dims=[0, 0, 0], n_init=1, init="points", random_state=7)
    first, again, side_by_side, other = (
        consensus_subspaces(model, square, n_runs=4, n_jobs=n_jobs, random_state=seed)
        for n_jobs, seed in ((None, 0), (1, 0), (2, 0), (None, 1))
    )
    for same in (again, side_by_side):
        np.testing.assert_array_equal(same.objectives, first.objectives)
        np.testing.assert_array_equal(same.responsibilities, first.responsibilities)
        np.testing.assert_array_equal(same.jaccard, first.jaccard)
    assert not np.array_equal(other.objectives, first.objectives)
    assert not hasattr(model, "weights_")  # the model stays as it is
    assert model.random_state == 7


@pytest.mark.parametrize("assignment", ["hard", "closest"])
def test_other_assignments_count_rows(assignment: str, planted: data.SimulatedSubspaces) -> None:
    model = SubspaceMixture(dims=[0, 0], assignment=assignment, n_init=3)
    found = consensus_subspaces(model, planted.X, n_runs=3, random_state=0)
    share = found.responsibilities * 3
    np.testing.assert_array_equal(share, np.rint(share))  # whole runs
    assert found.objectives.max() == found.best.objective_trace_[-1]
    np.testing.assert_array_equal(found.labels, found.best.predict(planted.X))


def test_components_without_a_partner_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """With dims="auto", runs of another size; the search is replaced to have some."""
    planted = data.subspaces(
        [60, 40, 50], dims=[0, 0, 0], n_columns=3, separation=60, random_state=0
    )
    fit = SubspaceMixture.fit
    sizes = iter([3, 2, 3])

    def stub(self: SubspaceMixture, X: object, y: object, weight: object) -> SubspaceMixture:
        n = next(sizes)
        chosen = SubspaceMixture(dims=[0] * n, n_init=8, random_state=0)
        fit(chosen, X, None, weight)
        vars(self).update({k: v for k, v in vars(chosen).items() if k.endswith("_")})
        self._held, self._log_volume = chosen._held, chosen._log_volume
        return self

    monkeypatch.setattr(SubspaceMixture, "fit", stub)
    found = consensus_subspaces(SubspaceMixture(dims="auto"), planted.X, n_runs=3)
    assert len(found.best.weights_) == 3
    assert sorted(found.jaccard[1] == 0) == [False, False, True]
    penalty = np.array([14, 9, 14]) * np.log(150) / 300
    np.testing.assert_allclose(
        found.objectives + penalty, [found.best.lower_bound_, *(found.objectives + penalty)[1:]]
    )
    assert found.objectives[0] > found.objectives[1]
    gone = int((found.jaccard[1] == 0).argmax())
    own = found.labels == gone
    np.testing.assert_allclose(found.agreement[own], 2 / 3)
    assert found.recurrence[gone] == 0.5


def test_held_components_are_their_own_partners(planted: data.SimulatedSubspaces) -> None:
    line = {"mean": planted.means[0], "basis": planted.bases[0]}
    model = SubspaceMixture(dims=[1, 0, 2], fixed=line, n_init=4)
    found = consensus_subspaces(model, planted.X, n_runs=4, random_state=0)
    np.testing.assert_allclose(found.reproducibility, 1, atol=1e-3)
    assert (found.labels[:80] == 3).mean() > 0.98


def test_weights_of_rows(square: np.ndarray) -> None:
    """Rows without weight do not count."""
    model = SubspaceMixture(dims=[0, 0], n_init=2)
    weight = np.repeat([1.0, 0.0], [240, 60])
    part = consensus_subspaces(model, square, n_runs=4, sample_weight=weight, random_state=0)
    assert abs(part.best.means_).max() < 10
    assert part.responsibilities.shape == (300, 2)


def test_any_kind_of_matrix(planted: data.SimulatedSubspaces, tmp_path: Path) -> None:
    X = np.where(np.abs(planted.X) < 1, 0, planted.X)
    model = SubspaceMixture(dims=[1, 1, 0, 2], n_init=3)
    few = {"n_runs": 2, "random_state": 0}
    expected = consensus_subspaces(model, X, **few)
    adata = ad.AnnData(sp.csr_matrix(X))
    adata.write_h5ad(tmp_path / "rows.h5ad")
    for rows in (sp.csc_matrix(X), adata, tmp_path / "rows.h5ad"):
        found = consensus_subspaces(model, rows, **few)
        np.testing.assert_array_equal(found.labels, expected.labels)
        np.testing.assert_allclose(found.objectives, expected.objectives, rtol=1e-4)


@pytest.mark.slow
def test_memory_grows_with_the_rows_only(peak_growth: Callable) -> None:
    """No N x N matrix, and no responsibilities of every run: these would take 92 MiB more."""
    n, k = 100_000, 10
    X = np.random.default_rng(0).normal(size=(n, 2))
    model = SubspaceMixture(dims=[0] * k, n_init=1, max_iter=2)
    with pytest.warns(ConvergenceWarning):
        consensus_subspaces(model, X[:2000], n_runs=2, random_state=0)  # all loaded and compiled
        with peak_growth() as growth:
            found = consensus_subspaces(model, X, n_runs=12, random_state=0)
    assert found.agreement.shape == (n,)
    assert growth[0] < 145


@pytest.mark.parametrize("seed", range(4))
def test_adjusted_rand(seed: int) -> None:
    rng = np.random.default_rng(seed)
    first, second = rng.integers(0, 3, 40), rng.integers(0, 5, 40)
    second[:20] = first[:20]
    table = np.histogram2d(first, second, [np.arange(4), np.arange(6)])[0].astype(int)
    assert adjusted_rand(table) == pytest.approx(adjusted_rand_score(first, second))
    assert adjusted_rand(np.array([[5]])) == 1


def test_errors_name_the_argument(planted: data.SimulatedSubspaces) -> None:
    X, model = planted.X, SubspaceMixture(dims=[0, 0])
    with pytest.raises(TypeError, match="model is a dict"):
        consensus_subspaces({}, X)
    with pytest.raises(ValueError, match="n_runs=1 "):
        consensus_subspaces(model, X, n_runs=1)
    with pytest.raises(ValueError, match="n_jobs=0"):
        consensus_subspaces(model, X, n_jobs=0)
    with pytest.raises(ValueError, match="init gives a start"):
        consensus_subspaces(SubspaceMixture(dims=[0, 0], init=planted.labels % 2), X)
    with pytest.raises(ValueError, match="sample_weight has shape"):
        consensus_subspaces(model, X, sample_weight=[1.0])
    with pytest.raises(ValueError, match=r"dims=\[9\]"):
        consensus_subspaces(SubspaceMixture(dims=[9]), X, n_runs=2)


def test_it_is_public() -> None:
    assert ld.consensus_subspaces is consensus_subspaces
