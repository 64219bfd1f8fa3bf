"""Parameters go into uns and come back."""

import numpy as np
import pytest

import lowdim as ld
from lowdim.tl._params import from_uns, to_uns

FLAT = {"mean": np.zeros(3), "basis": np.eye(3)[:1]}


@pytest.mark.parametrize(
    "params",
    [
        {"dims": 2, "tol": 1e-6, "init": "auto", "shared_noise": True},
        {"dims": [2, 1, 0], "annealing": (0.1, 1.1)},
        {"dims": "auto", "dtype": "float32", "device": "cpu"},
        {"background": "uniform"},
        {"background": ["uniform", {"mean": [0.0, 0.0, 0.0], "noise_variance": 2.0}]},
        {"fixed": {"mean": [0.0, 1.0, 0.0], "basis": [[1.0, 0.0, 0.0]]}},
    ],
)
def test_parameters_come_back(params: dict) -> None:
    assert from_uns(to_uns(params)) == params
    assert from_uns(to_uns(from_uns(to_uns(params)))) == params


@pytest.mark.parametrize(
    ("value", "kept"),
    [(np.float32, "float32"), (np.dtype("float64"), "float64"), ("float32", "float32")],
)
def test_types_have_names(value: object, kept: str) -> None:
    assert to_uns({"dtype": value}) == {"dtype": kept}


def test_what_cannot_be_kept_is_left_out() -> None:
    rng = np.random.default_rng(0)
    assert to_uns({"annealing": None, "random_state": rng, "fixed": []}) == {}


def test_a_start_that_was_given_is_named() -> None:
    stored = to_uns({"init": np.arange(5), "n_init": 1})
    assert stored == {"init": "given", "n_init": 1}
    assert from_uns(stored) == {"n_init": 1}


def test_defaults_survive() -> None:
    defaults = ld.SubspaceMixture().get_params()
    back = ld.SubspaceMixture(**from_uns(to_uns(defaults)))
    assert back.get_params() == defaults


def test_arrays_within_a_flat_stay() -> None:
    stored = to_uns({"fixed": [FLAT, FLAT]})
    assert set(stored["fixed"]) == {"0", "1"}
    assert np.array_equal(stored["fixed"]["1"]["basis"], FLAT["basis"])
