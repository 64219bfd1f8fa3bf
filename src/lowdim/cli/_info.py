"""``lowdim info``: what is in a file, without reading its matrices; or what is installed."""

from __future__ import annotations

import platform
from argparse import Namespace
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from lowdim._version import __version__
from lowdim.cli._anndata_file import opened
from lowdim.cli._output import print_result
from lowdim.cli._paths import check_input
from lowdim.data.stores import elements, kind_of

_PACKAGES = ("torch", "numpy", "scipy", "scikit-learn", "anndata", "pandas", "scanpy")


def run(arguments: Namespace) -> None:
    """Tell what there is."""
    if arguments.file is None:
        facts = installation()
        lines = [(name, str(value)) for name, value in facts["versions"].items()]
        lines.append(("devices", ", ".join(facts["devices"])))
    else:
        facts = contents(check_input(arguments.file))
        lines = _lines(facts)
    print_result(facts, lines, as_json=arguments.json)


def installation() -> dict[str, Any]:
    """Versions of lowdim and what it stands on, and the devices that torch can use."""
    import torch

    versions = {"lowdim": __version__, "Python": platform.python_version()}
    for name in _PACKAGES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            versions[name] = "not installed"
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    devices = ["cpu", *(f"cuda:{i} ({torch.cuda.get_device_name(i)})" for i in range(count))]
    return {"versions": versions, "devices": devices}


def contents(path: Path) -> dict[str, Any]:
    """Shape, matrices, columns and fits in a .h5ad file or a .zarr store."""
    with opened(path) as file:
        if "obs" not in file or "var" not in file:
            raise ValueError(f"{str(path)!r} is not a {kind_of(path)}: it has no obs and var.")
        return _contents(path, file)


def _contents(path: Path, file: Any) -> dict[str, Any]:
    from anndata.io import read_elem

    obs = read_elem(file["obs"])
    uns = file.get("uns", {})
    keys = [k for k in uns if _is_group(uns[k])]
    return {
        "file": str(path),
        "bytes": _size(path),
        "n_rows": len(obs),
        "n_columns": _length(file["var"]),
        "X": _matrix(file["X"]) if "X" in file else None,
        "layers": _matrices(file, "layers"),
        "obsm": _matrices(file, "obsm"),
        "obs": {str(name): _column(obs[name]) for name in obs.columns},
        "fits": {k: _fit(read_elem(uns[k])) for k in keys if _is_fit(uns[k])},
        "searches": {
            k.removesuffix("_selection"): _search(uns[k], read_elem)
            for k in keys
            if _is_search(uns[k])
        },
    }


def _size(path: Path) -> int:
    """Bytes of a file, or of all files in a folder."""
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())


def _matrices(file: Any, place: str) -> dict[str, Any]:
    return {name: _matrix(item) for name, item in elements(file.get(place, {})).items()}


def _length(group: Any) -> int:
    """Rows of a stored table."""
    return int(group[group.attrs.get("_index", "_index")].shape[0])


def _is_group(item: Any) -> bool:
    return hasattr(item, "keys")


def _is_fit(group: Any) -> bool:
    return "version" in group and any(name in group for name in ("bases", "family", "shares"))


def _is_search(group: Any) -> bool:
    return "criterion" in group and "table" in group and "dims" in group["table"]


def _matrix(item: Any) -> dict[str, Any]:
    """Shape, dtype and, where it is stored sparse, the share of zeros."""
    kind = str(item.attrs.get("encoding-type", "array"))
    if kind.endswith("_matrix") and "data" in item:
        shape = [int(n) for n in item.attrs["shape"]]
        zeros = 1.0 - item["data"].shape[0] / max(shape[0] * shape[1], 1)
        return {"shape": shape, "dtype": str(item["data"].dtype), "zeros": zeros, "kind": kind}
    if _is_group(item):
        shape = [_length(item), len(item.attrs.get("column-order", ()))]
        return {"shape": shape, "dtype": "mixed", "zeros": None, "kind": kind}
    return {"shape": list(item.shape), "dtype": str(item.dtype), "zeros": None, "kind": kind}


def _column(values: Any) -> dict[str, Any]:
    return {"dtype": str(values.dtype), "n_unique": int(values.nunique())}


def _fit(record: Mapping[str, Any]) -> dict[str, Any]:
    """A fit in brief."""
    params = record["params"]
    brief = {
        "converged": bool(record["converged"]),
        "version": str(record["version"]),
        "matrix": params.get("layer") or params.get("use_rep") or "X",
    }
    if "bases" in record:
        criteria = record["criteria"]
        own = {"log_likelihood": criteria["log_likelihood"], "bic": criteria["bic"]}
        return {"dims": record["dims"], **own, **brief}
    if "shares" in record:
        numbers = {"n_factors": len(record["shares"]), "n_spatial": int(record["n_spatial"])}
        own = {"model": str(record["model"]), "objective": float(record["objective"])}
        return {**own, **numbers, **brief}
    objective = float(record["objective"])
    return {"family": str(record["family"]), "objective": objective, **brief}


def _fit_text(fit: Mapping[str, Any]) -> str:
    """The same for people."""
    if "dims" in fit:
        dims = ",".join(str(d) for d in fit["dims"])
        return f"dimensions {dims}, BIC {fit['bic']:,.1f}"
    if "model" in fit:
        kind = f"{fit['n_factors']} factors, {fit['n_spatial']} of them spatial ({fit['model']})"
        return f"{kind}, bound per row {fit['objective']:,.2f}"
    return f"{fit['family'].replace('_', ' ')}, objective {fit['objective']:,.4g}"


def _search(group: Any, read_elem: Any) -> dict[str, Any]:
    """A search in brief."""
    dims = read_elem(group["table"]["dims"])
    return {"criterion": str(read_elem(group["criterion"])), "n_mixtures": len(dims)}


def _lines(facts: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The contents for people."""
    lines = [
        ("file", f"{facts['file']} ({facts['bytes'] / 1e6:,.1f} MB)"),
        ("rows x columns", f"{facts['n_rows']:,} x {facts['n_columns']:,}"),
        ("X", "none" if facts["X"] is None else _matrix_text(facts["X"])),
    ]
    for place in ("layers", "obsm"):
        for name, matrix in facts[place].items():
            lines.append((f'{place}["{name}"]', _matrix_text(matrix)))
    for name, column in facts["obs"].items():
        lines.append((f'obs["{name}"]', f"{column['dtype']}, {column['n_unique']:,} different"))
    for key, fit in facts["fits"].items():
        state = "" if fit["converged"] else ", not converged"
        text = f"of {fit['matrix']}: {_fit_text(fit)}{state}"
        lines.append((f'fit "{key}"', f"{text}, by lowdim {fit['version']}"))
    for key, search in facts["searches"].items():
        text = f"{search['n_mixtures']} mixtures, by {search['criterion']}"
        lines.append((f'search "{key}"', text))
    return lines


def _matrix_text(matrix: Mapping[str, Any]) -> str:
    shape = " x ".join(f"{n:,}" for n in matrix["shape"])
    zeros = "" if matrix["zeros"] is None else f", {matrix['zeros']:.1%} zeros"
    return f"{shape}, {matrix['kind'].replace('_', ' ')} of {matrix['dtype']}{zeros}"
