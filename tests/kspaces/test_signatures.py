"""Names, parameters and defaults are those of kspaces 0.1.5, and what is added comes last."""

from __future__ import annotations

import importlib
import inspect
import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import kspaces
import pytest

import lowdim.kspaces

FUNCTIONS = {
    "EM": ["E_step", "fit_single_space", "run_EM", "run_EM_parallelized"],
    "affine_subspace_": ["ensure_vector_directions", "read_spaces", "write_spaces"],
    "model_selection_": [
        "get_BIC",
        "get_ICL",
        "get_df",
        "get_entropy",
        "model_selection",
        "total_log_likelihood",
    ],
    "generate_": ["generate", "generate_points_subspace"],
}
CLASSES = ["affine_subspace", "fixed_space", "bg_space"]
METHODS = sorted(
    name
    for name, value in vars(kspaces.affine_subspace).items()
    if inspect.isfunction(value) and name != "__str__"
)


def assert_compatible(old: Any, new: Any) -> None:
    before = list(inspect.signature(old).parameters.values())
    after = list(inspect.signature(new).parameters.values())
    for there, here in zip(before, after, strict=False):
        assert (there.name, there.kind) == (here.name, here.kind)
        # A mutable default has become an immutable one.
        default = () if there.default == [] else there.default
        assert here.default == default, there.name
    assert len(after) >= len(before)
    for added in after[len(before) :]:
        assert added.default is not inspect.Parameter.empty, added.name


def test_the_package_is_compared_with_the_version_it_stands_in_for() -> None:
    assert version("kspaces") == "0.1.5"


@pytest.mark.parametrize(
    ("module", "name"), [(module, name) for module, names in FUNCTIONS.items() for name in names]
)
def test_functions(module: str, name: str) -> None:
    old = getattr(importlib.import_module(f"kspaces.{module}"), name)
    new = getattr(importlib.import_module(f"lowdim.kspaces.{module}"), name)
    assert_compatible(old, new)
    assert getattr(lowdim.kspaces, name) is new


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", CLASSES)
def test_methods(name: str, method: str) -> None:
    old, new = getattr(kspaces, name), getattr(lowdim.kspaces, name)
    assert_compatible(getattr(old, method), getattr(new, method))


@pytest.mark.parametrize("name", CLASSES)
def test_classes(name: str) -> None:
    old, new = getattr(kspaces, name), getattr(lowdim.kspaces, name)
    assert [base.__name__ for base in new.__mro__] == [base.__name__ for base in old.__mro__]


def test_everything_is_reachable_without_the_module_name() -> None:
    public = {name for name in dir(kspaces) if not name.startswith("_")}
    assert public <= set(lowdim.kspaces.__all__)
    names: dict[str, Any] = {}
    exec("from lowdim.kspaces import *", names)
    assert set(lowdim.kspaces.__all__) <= set(names)
    assert dir(lowdim.kspaces) == sorted(lowdim.kspaces.__all__)


def test_importing_the_package_loads_nothing_heavy() -> None:
    """Its functions load what they need when they are first used."""
    statement = "import lowdim.kspaces, sys; dir(lowdim.kspaces); print(*sys.modules)"
    source = str(Path(lowdim.__file__).parents[1])
    result = subprocess.run(
        [sys.executable, "-c", statement],
        env={**os.environ, "PYTHONPATH": source},
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = {name.split(".")[0] for name in result.stdout.split()}
    assert loaded & {"matplotlib", "numpy", "scipy", "sklearn", "torch"} == set()


def test_unknown_names_are_attribute_errors() -> None:
    with pytest.raises(AttributeError, match="nonsense"):
        lowdim.kspaces.nonsense  # noqa: B018
