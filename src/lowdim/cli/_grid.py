"""Configurations of spatial factors from a file, fitted to a file, to a table."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lowdim.cli import _h5ad

if TYPE_CHECKING:
    import pandas as pd


def run_grid(
    path: str,
    configurations: Any,
    output: str | Path,
    *,
    layer: str | None = None,
    spatial_key: str = "spatial",
    train_key: str | None = None,
    held_out: float = 0.05,
    random_state: int = 0,
    verbose: int = 1,
) -> pd.DataFrame:
    """Fit configurations to the counts of a .h5ad file and write one CSV table.

    Parameters
    ----------
    path
        The .h5ad file.
    configurations
        What `lowdim.compare_factorizations` takes, or the path of a JSON file with that.
    output
        The CSV file; fits that it has already are not done again.
    layer
        Where the counts are; by default `X`.
    spatial_key
        Where the coordinates are, in `obsm`.
    train_key
        Boolean column of `obs` with the rows to fit, as of `lowdim.pp.train_test_split`; by
        default a random part.
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

    if isinstance(configurations, str | Path):
        configurations = _read_json(Path(configurations))
    adata = _h5ad.read(path)
    train = None
    if train_key is not None:
        if train_key not in adata.obs:
            raise ValueError(f"{train_key!r} is not a column of obs, which has {list(adata.obs)}.")
        train = adata.obs[train_key].to_numpy()
    if spatial_key not in adata.obsm:
        raise ValueError(f"{spatial_key!r} is not a key of obsm, which has {sorted(adata.obsm)}.")
    return compare_factorizations(
        as_rows(adata, layer=layer),
        adata.obsm[spatial_key],
        configurations,
        output,
        held_out=held_out,
        train=train,
        random_state=random_state,
        verbose=verbose,
    )


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise ValueError(f"{str(path)!r} is not a JSON file: {error}") from error
