"""The shape of the code: which layer may import which, and how long files and functions get."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "src" / "lowdim"
MODULES = sorted(PACKAGE.rglob("*.py"))

# From the top down: a module may import from its own layer and from those below it.
LAYERS = [
    {"__main__", "cli", "kspaces", "report", "pl"},
    {"tl", "get", "io", "pp"},
    {"mixture", "cluster", "factorization", "embedding", "samples"},
    {"neighbors", "affinities", "likelihoods", "kernels", "transport"},
    {"math", "metrics"},
    {"data"},
    {
        "_checkpoint",
        "_compile",
        "_device",
        "_files",
        "_interrupts",
        "_journal",
        "_memory",
        "_keys",
        "_packing",
        "_progress",
        "_random",
        "_results",
        "_saving",
        "_storage",
        "_threads",
        "_typing",
        "_validation",
        "_version",
        "_warnings",
        "__version__",
    },
]
DEPTH = {name: depth for depth, layer in enumerate(LAYERS) for name in layer}

MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 60


def module_name(path: Path, package: Path = PACKAGE) -> str:
    """The dotted name of the module in a file, as in lowdim.data.sources."""
    parts = path.relative_to(package.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported_modules(source: str, module: str, *, is_package: bool) -> list[str]:
    """The dotted names that a module imports, at any place in it, relative ones made absolute."""
    package = module if is_package else module.rpartition(".")[0]
    names: list[str] = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            origin = node.module or ""
            if node.level:
                base = package.split(".")[: len(package.split(".")) - node.level + 1]
                origin = ".".join([*base, *([node.module] if node.module else [])])
            if origin == "lowdim":
                names += [f"lowdim.{alias.name}" for alias in node.names]
            else:
                names.append(origin)
    return names


def upward_imports(source: str, module: str, *, is_package: bool = False) -> list[str]:
    """What a module imports from lowdim although it lies above it, or in no layer."""
    own = DEPTH[module.split(".")[1]]
    return [
        name
        for name in imported_modules(source, module, is_package=is_package)
        if name.split(".")[0] == "lowdim" and DEPTH.get(f"{name}.".split(".")[1], -1) < own
    ]


def function_lengths(source: str) -> dict[str, int]:
    """The number of lines of each function, its decorators and docstring not counted."""
    lengths: dict[str, int] = {}
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = node.end_lineno - node.lineno + 1
            if ast.get_docstring(node, clean=False) is not None:
                lines -= node.body[0].end_lineno - node.body[0].lineno + 1
            lengths[f"{node.name}:{node.lineno}"] = lines
    return lengths


@pytest.mark.parametrize("path", MODULES, ids=module_name)
def test_imports_only_go_down(path: Path) -> None:
    module = module_name(path)
    if module == "lowdim":  # the list of public names
        return
    assert module.split(".")[1] in DEPTH, f"{module} is in no layer: add it to LAYERS"
    is_package = path.name == "__init__.py"
    assert upward_imports(path.read_text(encoding="utf-8"), module, is_package=is_package) == []


@pytest.mark.parametrize("path", MODULES, ids=module_name)
def test_files_and_functions_stay_short(path: Path) -> None:
    source = path.read_text(encoding="utf-8")
    assert len(source.splitlines()) <= MAX_FILE_LINES
    too_long = {n: k for n, k in function_lengths(source).items() if k > MAX_FUNCTION_LINES}
    assert too_long == {}


def test_every_file_has_a_subject() -> None:
    assert [path for path in MODULES if path.stem.strip("_") in {"utils", "util", "helpers"}] == []


@pytest.mark.parametrize(
    ("source", "module", "is_package", "expected"),
    [
        ("import lowdim.tl", "lowdim.mixture._em", False, ["lowdim.tl"]),
        ("from lowdim import tl", "lowdim.mixture._em", False, ["lowdim.tl"]),
        ("from ..tl import f", "lowdim.mixture._em", False, ["lowdim.tl"]),
        ("from .. import tl", "lowdim.mixture._em", False, ["lowdim.tl"]),
        ("from .. import tl", "lowdim.mixture", True, ["lowdim.tl"]),
        ("from .tl import f", "lowdim.mixture", True, []),  # lowdim.mixture.tl
        ("def f():\n    import lowdim", "lowdim.data.demo", False, ["lowdim"]),
        ("from lowdim.data import as_rows", "lowdim.math.linalg", False, []),
        ("from lowdim.math import x", "lowdim.data.sources", False, ["lowdim.math"]),
        ("from lowdim import SubspaceMixture", "lowdim.cli", True, ["lowdim.SubspaceMixture"]),
        ("from lowdim import __version__, _device", "lowdim.data.demo", False, []),
        ("import numpy, lowdimensional", "lowdim.data.demo", False, []),
    ],
)
def test_upward_imports_are_found(
    source: str, module: str, is_package: bool, expected: list[str]
) -> None:
    assert upward_imports(source, module, is_package=is_package) == expected


def test_docstrings_do_not_count_as_lines() -> None:
    source = '@decorator\ndef f(\n    x,\n):\n    """One.\n\n    Two.\n    """\n    return x\n'
    assert function_lengths(source) == {"f:2": 4}
