"""The search over components and dimensions."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from sklearn.metrics import adjusted_rand_score

from lowdim import SubspaceMixture, data, select_subspaces
from lowdim.mixture import SubspaceSelection

COLUMNS = [
    "dims",
    "n_components",
    "log_likelihood",
    "n_parameters",
    "bic",
    "icl",
    "restarts_agreeing",
    "smallest_component",
    "degenerate",
]


@pytest.fixture(scope="module")
def simple() -> data.SimulatedSubspaces:
    """A line and a blob in four columns."""
    return data.subspaces([90, 60], dims=[1, 0], n_columns=4, random_state=0)


@pytest.fixture(scope="module")
def selection(simple: data.SimulatedSubspaces) -> SubspaceSelection:
    return select_subspaces(simple.X, [1, 2, 3], [0, 1, 2], n_init=4, random_state=0)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_planted_dimensions_are_found_without_a_list(seed: int, planted: Callable) -> None:
    simulated = planted(seed)
    found = select_subspaces(simulated.X, range(1, 5), range(4), n_init=5, random_state=0)
    assert found.table["dims"][0] == (2, 1, 1)
    labels = found.best_estimator_.predict(simulated.X)
    assert adjusted_rand_score(simulated.labels, labels) > 0.99
    direct = SubspaceMixture(dims=[2, 1, 1], n_init=20, random_state=0).fit(simulated.X)
    assert found.best_estimator_.score(simulated.X) == pytest.approx(
        direct.score(simulated.X), abs=1e-4
    )


def test_the_table_is_ranked_and_complete(
    selection: SubspaceSelection, simple: data.SimulatedSubspaces
) -> None:
    table = selection.table
    assert list(table.columns) == COLUMNS
    assert table["dims"][0] == (1, 0)
    assert selection.criterion == "bic"
    sound = table[~table["degenerate"]]
    assert sound["bic"].is_monotonic_increasing
    assert (np.diff(table["degenerate"].astype(int)) >= 0).all()  # degenerate ones come last
    assert not table["dims"].duplicated().any()
    assert table["n_components"].tolist() == [len(dims) for dims in table["dims"]]
    assert set(table["n_components"]) == {1, 2, 3}
    assert all(d in (0, 1, 2) for dims in table["dims"] for d in dims)
    assert (table["restarts_agreeing"] >= 1).all()
    assert table["smallest_component"][0] == pytest.approx(60, rel=0.05)
    assert (table["icl"] >= table["bic"] - 1e-9).all()
    np.testing.assert_allclose(
        table["bic"], table["n_parameters"] * np.log(150) - 2 * table["log_likelihood"]
    )


def test_the_table_agrees_with_the_estimator(
    selection: SubspaceSelection, simple: data.SimulatedSubspaces
) -> None:
    best, row, X = selection.best_estimator_, selection.table.iloc[0], simple.X
    assert tuple(best.dims_) == row["dims"]
    assert best.dims == [1, 0]
    assert row["log_likelihood"] == pytest.approx(best.score_samples(X).sum(), abs=1e-2)
    assert row["n_parameters"] == best.n_parameters()
    assert row["bic"] == pytest.approx(best.bic(X), abs=2e-2)
    assert row["icl"] == pytest.approx(best.icl(X), abs=5e-2)
    assert best.n_features_in_ == 4
    again = SubspaceMixture(**{**best.get_params(), "n_init": 10}).fit(X)
    assert again.score(X) == pytest.approx(best.score(X), abs=1e-4)


@pytest.mark.parametrize("criterion", ["icl", "heldout"])
def test_other_criteria_rank_by_themselves(criterion: str, simple: data.SimulatedSubspaces) -> None:
    found = select_subspaces(simple.X, 3, 2, criterion=criterion, n_init=3, random_state=0)
    table = found.table
    sound = table[~table["degenerate"]][criterion]
    assert sound.is_monotonic_increasing or criterion == "heldout"
    assert sound.is_monotonic_decreasing or criterion == "icl"
    assert found.criterion == criterion
    assert ("heldout" in table) == (criterion == "heldout")
    best = found.best_estimator_
    assert tuple(best.dims_) == table["dims"][0]
    truth = table[table["dims"] == (1, 0)][criterion].iloc[0]
    assert abs(truth - table[criterion][0]) < 0.1  # chance may favour a neighbour, not much more
    assert best.lower_bound_ == pytest.approx(best.score(simple.X), abs=1e-6)  # on all rows


def test_heldout_scores_are_of_rows_not_seen(simple: data.SimulatedSubspaces) -> None:
    found = select_subspaces(
        simple.X, [2], [0, 1], criterion="heldout", heldout_fraction=0.3, n_init=3, random_state=0
    )
    row = found.table.iloc[0]
    train = row["log_likelihood"] / 105
    assert row["heldout"] < train + 0.5  # about as likely, not a total
    assert row["heldout"] == pytest.approx(train, abs=1)


def test_icl_wants_separate_clusters() -> None:
    """A heavy-tailed cloud: two scales for BIC, one cluster for ICL."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(800, 2)) * np.where(rng.random(800) < 0.5, 1, 2)[:, None]
    by = {
        criterion: select_subspaces(X, 2, [0], criterion=criterion, n_init=4, random_state=0)
        for criterion in ("bic", "icl")
    }
    assert by["bic"].table["dims"][0] == (0, 0)
    assert by["icl"].table["dims"][0] == (0,)


def test_noise_is_one_component() -> None:
    for n, n_columns in ((60, 10), (200, 3)):
        X = np.random.default_rng(0).normal(size=(n, n_columns))
        found = select_subspaces(X, 3, 2, n_init=3, random_state=0)
        assert found.table["dims"][0] == (0,)
        assert not found.best_estimator_.degenerate_


def test_degenerate_mixtures_are_ranked_last() -> None:
    """A row repeated often enough makes a component of no width, of boundless likelihood."""
    rng = np.random.default_rng(0)
    X = np.concatenate([rng.normal(size=(60, 3)), np.repeat(rng.normal(size=(1, 3)) + 6, 20, 0)])
    found = select_subspaces(X, 3, 1, n_init=6, random_state=0)
    assert found.table["degenerate"].any()
    assert not found.table["degenerate"][0]
    worst = found.table[found.table["degenerate"]]
    assert worst["log_likelihood"].max() > found.table["log_likelihood"][0]
    assert not found.best_estimator_.degenerate_


def test_the_same_seed_gives_the_same_search(simple: data.SimulatedSubspaces) -> None:
    runs = [select_subspaces(simple.X, 2, 1, n_init=2, random_state=5) for _ in range(2)]
    pd.testing.assert_frame_equal(runs[0].table, runs[1].table, check_exact=True)
    np.testing.assert_array_equal(runs[0].best_estimator_.means_, runs[1].best_estimator_.means_)


def test_it_stops_when_more_components_have_not_helped_for_long(
    simple: data.SimulatedSubspaces,
) -> None:
    found = select_subspaces(simple.X, range(1, 20), [0, 1], patience=1, n_init=2, random_state=0)
    assert found.table["n_components"].max() == 3  # one more than the best
    assert found.table["dims"][0] == (1, 0)


def test_progress_is_shown_on_request(
    simple: data.SimulatedSubspaces, capsys: pytest.CaptureFixture[str]
) -> None:
    select_subspaces(simple.X, 1, 1, n_init=1, random_state=0)
    assert capsys.readouterr() == ("", "")
    select_subspaces(simple.X, 1, 1, n_init=1, random_state=0, verbose=1)
    SubspaceMixture(n_init=1, random_state=0, verbose=1).fit(simple.X)
    out, err = capsys.readouterr()
    assert out == ""
    assert "subspaces" in err
    assert "EM" in err
    assert "objective" in err


def test_units_do_not_change_the_choice(simple: data.SimulatedSubspaces) -> None:
    one = select_subspaces(simple.X, 2, 2, n_init=3, random_state=0).table
    two = select_subspaces(simple.X * 1e-4 + 7, 2, 2, n_init=3, random_state=0).table
    assert one["dims"][0] == two["dims"][0]
    shift = 2 * simple.X.size * np.log(1e-4)
    assert two["bic"][0] - shift == pytest.approx(one["bic"][0], abs=0.05)


def test_sparse_and_weighted_rows(simple: data.SimulatedSubspaces) -> None:
    times = np.random.default_rng(0).integers(1, 3, 150)
    runs = [
        select_subspaces(X, 2, 1, n_init=3, sample_weight=weight, random_state=0).table
        for X, weight in [
            (simple.X, None),
            (sp.csr_matrix(simple.X), None),
            (np.repeat(simple.X, times, axis=0), None),
            (simple.X, times),
        ]
    ]
    assert [table["dims"][0] for table in runs] == [(1, 0)] * 4
    bic = [table["bic"][0] for table in runs]
    assert bic[1] == pytest.approx(bic[0], abs=0.01)
    assert bic[3] == pytest.approx(bic[2], abs=0.01)
    assert abs(bic[2] - bic[0]) > 100


def test_held_components_take_part(simple: data.SimulatedSubspaces) -> None:
    rng = np.random.default_rng(0)
    X = np.concatenate([simple.X, rng.uniform(-60, 60, (20, 4))])
    found = select_subspaces(X, 3, 1, background="uniform", n_init=4, random_state=0)
    best = found.best_estimator_
    assert found.table["dims"][0] == (1, 0)  # the learned ones
    assert np.isinf(best.noise_variances_[-1])
    assert found.table["n_parameters"][0] == best.n_parameters()
    assert found.table["bic"][0] == pytest.approx(best.bic(X), abs=0.05)


# dims="auto" --------------------------------------------------------------------------------------


def test_auto_is_the_short_form(simple: data.SimulatedSubspaces) -> None:
    model = SubspaceMixture(dims="auto", n_components=3, n_init=4, random_state=0).fit(simple.X)
    assert model.dims_.tolist() == [1, 0]
    assert model.dims == "auto"  # the parameter is left alone
    assert model.score(simple.X) == pytest.approx(model.lower_bound_, abs=1e-6)
    assert adjusted_rand_score(simple.labels, model.predict(simple.X)) > 0.95
    assert model.transform(simple.X).shape == (150, 1)
    names = {name for name in vars(model) if name.endswith("_")}
    fixed = SubspaceMixture(dims=[1, 0], n_init=2, random_state=0).fit(simple.X)
    of_search = {"search_", "search_trace_"}
    assert names - of_search == {name for name in vars(fixed) if name.endswith("_")}
    assert model.search_ == {
        "n_components": [1, 2, 3],
        "dims": [0, 1, 2, 3],
        "criterion": "bic",
        "patience": 3,
    }
    model.set_params(dims=[1], n_components=1).fit(simple.X)  # and it can be fitted otherwise
    assert model.dims_.tolist() == [1]


def test_the_trace_has_every_run(
    selection: SubspaceSelection, simple: data.SimulatedSubspaces
) -> None:
    """In the units of the table: its best BIC, sizes and numbers of runs are in the trace."""
    sizes, values = selection.best_estimator_.search_trace_.T
    table = selection.table[~selection.table["degenerate"]]
    for size, own in table.groupby("n_components"):
        assert values[sizes == size].min() == pytest.approx(own["bic"].min(), rel=1e-12)
    assert len(values) >= selection.table["restarts_agreeing"].sum()
    assert sizes[:4].tolist() == [1, 1, 1, 1]  # n_init fresh starts
    axis = {"mean": np.zeros(4), "basis": np.eye(4)[:1]}
    held = select_subspaces(simple.X * 7, 2, 1, n_init=2, fixed=axis, random_state=0)
    best = held.best_estimator_
    assert best.search_trace_[:, 1].min() == pytest.approx(held.table["bic"].min(), rel=1e-12)
    best.fit(simple.X)
    assert not hasattr(best, "search_trace_")
    assert not hasattr(best, "search_")


def test_auto_explores_more_than_is_asked_for_by_default() -> None:
    X = data.subspaces([30] * 3, dims=[0] * 3, n_columns=2, separation=60, random_state=1).X
    model = SubspaceMixture(dims="auto", n_init=2, random_state=0).fit(X)
    assert model.dims_.tolist() == [0] * 3


# Arguments ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"criterion": "aic"}, r"criterion='aic' .*'bic', 'icl', 'heldout'"),
        ({"n_components": []}, r"n_components is empty"),
        ({"n_components": 0}, r"n_components=0"),
        ({"n_components": [0, 1]}, r"n_components=0"),
        ({"dims": []}, r"dims is empty"),
        ({"dims": [-1]}, r"dims=-1"),
        ({"dims": [5]}, r"dims=.* 5 dimensions, but X has 4 columns"),
        ({"n_components": [200]}, r"150 sample\(s\), but 200 component"),
        ({"patience": 0}, r"patience=0"),
        ({"heldout_fraction": 1.0}, r"heldout_fraction=1.0"),
        ({"heldout_fraction": 0.0}, r"heldout_fraction=0.0"),
        ({"init": np.zeros(150, int)}, r"init must name a kind of start"),
        ({"n_init": 0}, r"n_init=0"),
        ({"sample_weight": np.ones(3)}, r"sample_weight has shape \(3,\)"),
    ],
    ids=str,
)
def test_arguments_are_checked(
    arguments: dict, message: str, simple: data.SimulatedSubspaces
) -> None:
    with pytest.raises(ValueError, match=message):
        select_subspaces(simple.X, **arguments)
