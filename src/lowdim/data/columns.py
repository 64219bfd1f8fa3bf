"""`obs` and `var` as pandas has them, also where AnnData has left them in a file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    import pandas as pd


def frame(table: Any, names: Sequence[Hashable] | None = None) -> pd.DataFrame:
    """Some columns of a table, or all; those of `anndata.experimental.read_lazy` are read."""
    chosen = table if names is None else table[list(names)]
    return chosen.to_memory() if hasattr(table, "to_memory") else chosen


def column(table: Any, name: Hashable) -> pd.Series:
    """A column of a table; that of `anndata.experimental.read_lazy` is read."""
    return frame(table, [name])[name] if hasattr(table, "to_memory") else table[name]
