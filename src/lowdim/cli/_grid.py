"""``lowdim grid``: configurations of spatial factors from a file, fitted to a file, to a table."""

from __future__ import annotations

import json
from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lowdim.cli._anndata_file import counts_layer
from lowdim.cli._data_file import DataFile
from lowdim.cli._fit_file import Whole
from lowdim.cli._output import print_result, print_step

if TYPE_CHECKING:
    import pandas as pd

#: Columns of the table that are printed.
SHOWN = ("deviance_held_out", "explained_held_out", "sparsity", "cpu_seconds")

_REMEDY = "Models nsf, nsfh and pnmf of counts read them in blocks."


def run(arguments: Namespace) -> None:
    """Fit, write the table, and print the best of it."""
    table = run_grid(
        arguments.file,
        arguments.configurations,
        arguments.output,
        layer=arguments.layer,
        spatial_key=arguments.spatial_key,
        sample_key=arguments.sample_key,
        train_key=arguments.train_key,
        held_out=arguments.held_out,
        random_state=arguments.random_state,
        backed=arguments.backed,
        verbose=int(not arguments.quiet),
    )
    failed = table["error"].notna()
    facts = {"table": arguments.output, "n_fits": len(table), "n_failed": int(failed.sum())}
    rows = [("table", arguments.output), ("fits", f"{len(table)}, {failed.sum()} of them failed")]
    if failed.any():
        facts["first_error"] = str(table["error"][failed].iloc[0])
        rows.append(("first error", facts["first_error"]))
    if "deviance_held_out" in table and table["deviance_held_out"].notna().any():
        best = table.loc[table["deviance_held_out"].idxmin()]
        facts["best"] = {name: best[name] for name in ("configuration", *SHOWN)}
        numbers = ", ".join(f"{name} {best[name]:.4g}" for name in SHOWN)
        rows.append(("lowest held out", f"{best['model']}, {best['n_factors']} factors: {numbers}"))
    print_result(facts, rows, as_json=arguments.json)
    if failed.all():
        raise ValueError(f"None of the fits worked; the first: {facts['first_error']}")


def run_grid(
    path: str,
    configurations: Any,
    output: str | Path,
    *,
    layer: str | None = None,
    spatial_key: str = "spatial",
    sample_key: str | None = None,
    train_key: str | None = None,
    held_out: float = 0.05,
    random_state: int = 0,
    backed: str = "auto",
    verbose: int = 1,
) -> pd.DataFrame:
    """Fit configurations to the counts of a file and write one CSV table.

    Parameters
    ----------
    path
        The .h5ad file or .zarr store.
    configurations
        What `lowdim.compare_factorizations` takes, or the path of a JSON file with that.
    output
        The CSV file; fits that it has already are not done again.
    layer
        Where the counts are; by default "counts" if there is such a layer, else `X`.
    spatial_key
        Where the coordinates are, in `obsm`, or a column of `obs`.
    sample_key
        Column of `obs` that tells slides.
    train_key
        Boolean column of `obs` with the rows to fit, as of `lowdim.pp.train_test_split`; by
        default a random part.
    backed
        Whether matrices are left in the file: "auto", "always" or "never".
    held_out, random_state, verbose
        As in `lowdim.compare_factorizations`.

    Returns
    -------
    The table of these configurations.

    Raises
    ------
    FileNotFoundError, TypeError, ValueError
        A file, a key or a configuration cannot be used.
    """
    from lowdim.data import as_rows
    from lowdim.factorization import compare_factorizations
    from lowdim.tl._places import coordinates_of, samples_of

    if isinstance(configurations, str | Path):
        configurations = _read_json(Path(configurations))
    data = DataFile.open(path, backed=backed)
    adata = data.adata
    layer = counts_layer(adata, layer)
    held = [] if data.left_in is None else _that_hold_all_rows(configurations)
    whole = Whole.of(adata, layer, f"model {held[0]}", _REMEDY, dense=True) if held else None
    print_step(data.told if whole is None else whole.told(), quiet=not verbose)
    samples, train = samples_of(adata, sample_key), _column(adata, train_key)
    return compare_factorizations(
        as_rows(adata, layer=layer),
        coordinates_of(adata, spatial_key),
        configurations,
        output,
        samples=samples,
        held_out=held_out,
        train=train,
        random_state=random_state,
        verbose=verbose,
    )


def _that_hold_all_rows(configurations: Any) -> list[str]:
    """Models of the configurations that do not read counts in blocks."""
    from lowdim.factorization.grid import estimators_of

    return [name for name, model in estimators_of(configurations) if not model._by_blocks]


def _column(adata: Any, key: str | None) -> Any:
    if key is None:
        return None
    if key not in adata.obs:
        raise ValueError(f"{key!r} is not a column of obs, which has {list(adata.obs)}.")
    return adata.obs[key].to_numpy()


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise ValueError(f"{str(path)!r} is not a JSON file: {error}") from error
