"""Estimators that keep all they have learned in attributes, in files."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import pandas as pd
from sklearn.utils.validation import check_is_fitted

from lowdim import _storage


class Saved:
    """Saving and loading for an estimator whose fit is its attributes that end in "_"."""

    #: Private attributes that belong to the fit as well.
    _also: ClassVar[tuple[str, ...]] = ()

    def save(self, path: str | Path) -> None:
        """Write the fitted model to one HDF5 file; `lowdim.load` reads it. Never a pickle."""
        check_is_fitted(self)
        state = {
            name: np.asarray(value) if hasattr(value, "__dask_graph__") else value
            for name, value in vars(self).items()
            if (name.endswith("_") and not name.startswith("_")) or name in self._also
        }
        arrays = {n: value for n, value in state.items() if isinstance(value, np.ndarray)}
        tables = {n: value for n, value in state.items() if isinstance(value, pd.DataFrame)}
        header: dict[str, Any] = {
            "class": type(self).__name__,
            "params": _storage.plain(self.get_params()),  # type: ignore[attr-defined]
            "fitted": {
                name: _storage.plain(value)
                for name, value in state.items()
                if name not in arrays and name not in tables
            },
            "tables": {name: list(table.columns) for name, table in tables.items()},
        }
        columns = {
            f"{name}.{column}": table[column].to_numpy()
            for name, table in tables.items()
            for column in table.columns
        }
        _storage.write(path, header, {**arrays, **columns})

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a model that `save` wrote."""
        header, arrays = _storage.read(path, expected=cls.__name__)
        model = cls()
        model.set_params(**_storage.params_of(header))  # type: ignore[attr-defined]
        tables = {
            name: pd.DataFrame({column: arrays.pop(f"{name}.{column}") for column in columns})
            for name, columns in header.get("tables", {}).items()
        }
        for name, value in {**header["fitted"], **arrays, **tables}.items():
            setattr(model, name, value)
        return model


def as_bytes(model: Any) -> np.ndarray:
    """The file that an estimator's `save` writes, (n,), uint8."""
    file = BytesIO()
    model.save(file)
    return np.frombuffer(file.getvalue(), dtype=np.uint8)


def of_bytes(kind: Any, file: np.ndarray) -> Any:
    """The fitted estimator of a class in such a file."""
    return kind.load(BytesIO(file.tobytes()))
