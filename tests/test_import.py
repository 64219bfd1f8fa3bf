"""`import lowdim` is quick, and its public names are there."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import lowdim

HEAVY = {"anndata", "h5py", "matplotlib", "pandas", "scanpy", "scipy", "sklearn", "torch", "tqdm"}


def modules_after(statement: str) -> set[str]:
    """The top-level modules that a fresh interpreter has loaded after a statement."""
    source = str(Path(lowdim.__file__).parents[1])
    result = subprocess.run(
        [sys.executable, "-c", f"{statement}; import sys; print(*sys.modules)"],
        env={**os.environ, "PYTHONPATH": source},
        capture_output=True,
        text=True,
        check=True,
    )
    return {name.split(".")[0] for name in result.stdout.split()}


def test_import_loads_nothing_heavy() -> None:
    loaded = modules_after("import lowdim; dir(lowdim); lowdim.__version__")
    assert loaded & HEAVY == set()


@pytest.mark.parametrize(
    "name", ["_device", "_keys", "_progress", "_random", "_results", "_typing"]
)
def test_foundations_load_numpy_at_most(name: str) -> None:
    assert modules_after(f"import lowdim.{name}") & HEAVY == set()


@pytest.mark.parametrize("name", lowdim.__all__)
def test_public_names_load(name: str) -> None:
    assert name in dir(lowdim)
    assert getattr(lowdim, name) is getattr(lowdim, name)


def test_unknown_names_are_attribute_errors() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        lowdim.nonsense  # noqa: B018
    assert not hasattr(lowdim, "__wrapped__")
