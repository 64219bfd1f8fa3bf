"""Model files: one HDF5 group of arrays and a JSON header; never a pickle.

A file is written beside its destination and renamed, so a failed save leaves the former one whole.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from lowdim._device import resolve_device
from lowdim._files import replacing
from lowdim._version import __version__

FORMAT = "lowdim-model"
FORMAT_VERSION = 1


def plain(value: Any) -> Any:
    """A value as JSON can hold it.

    Raises
    ------
    TypeError
        The value has no faithful plain form.
    """
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, range)):
        return [plain(item) for item in value]
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, np.generic):
        return value.item()
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, (np.random.Generator, np.random.RandomState)):
        return None  # a stream that has moved on cannot be given back
    if isinstance(value, type) and issubclass(value, np.generic):
        return np.dtype(value).name
    return str(value).removeprefix("torch.")  # of a dtype: the name that arguments take


def write(
    path: str | Path | BytesIO, header: Mapping[str, Any], arrays: Mapping[str, np.ndarray]
) -> None:
    """Write a model file.

    Parameters
    ----------
    path
        Where to; replaced if it exists. Its folder is made if it does not exist. Or memory.
    header
        JSON-ready facts; must name the "class".
    arrays
        Numeric arrays, or object arrays of strings.
    """
    import h5py

    facts = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "lowdim_version": __version__,
        **header,
    }
    whole = BytesIO()  # HDF5 does not get over a disk that is full in the midst of a file
    with h5py.File(whole, "w") as file:
        file.attrs["header"] = json.dumps(facts)
        for name, array in arrays.items():
            if array.dtype.kind in "OU":
                text = [str(item) for item in array.tolist()]
                file.create_dataset(name, data=text, dtype=h5py.string_dtype())
            else:
                file.create_dataset(name, data=array)
    if isinstance(path, BytesIO):
        path.write(whole.getbuffer())
        return
    with replacing(path) as temporary:
        temporary.write_bytes(whole.getbuffer())


def read_header(path: str | Path | BytesIO) -> dict[str, Any]:
    """The header of a model file.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    ValueError
        It is not a model file, or one of a newer format.
    """
    import h5py

    if not isinstance(path, BytesIO) and not Path(path).is_file():
        raise FileNotFoundError(f"There is no model file {str(path)!r}.")
    try:
        with h5py.File(path, "r") as file:
            header = json.loads(file.attrs["header"])
    except (OSError, KeyError, ValueError) as error:
        raise ValueError(f"{str(path)!r} is not a lowdim model file.") from error
    known = isinstance(header, dict) and header.get("format") == FORMAT
    if not known or not isinstance(header.get("format_version"), int):
        raise ValueError(f"{str(path)!r} is not a lowdim model file.")
    if header["format_version"] > FORMAT_VERSION:
        raise ValueError(
            f"{str(path)!r} has format {header['format_version']}, written by lowdim "
            f"{header.get('lowdim_version')}; this is lowdim {__version__}, which reads up to "
            f"format {FORMAT_VERSION}. Upgrade lowdim."
        )
    return header


def params_of(header: Mapping[str, Any]) -> dict[str, Any]:
    """The estimator's arguments, but for where its fit was kept.

    Where this machine has not their device, "auto" stands for it.
    """
    params = dict(header["params"])
    if "checkpoint" in params:
        params["checkpoint"] = None
    try:
        resolve_device("auto" if params.get("device") is None else params["device"])
    except ValueError:
        warnings.warn(
            f"The model was saved with device={params['device']!r}, which this machine does not "
            "have; it has device='auto' now.",
            stacklevel=4,
        )
        params["device"] = "auto"
    return params


def read(
    path: str | Path | BytesIO, *, expected: str
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Header and arrays of a model file that holds the class ``expected``."""
    import h5py

    header = read_header(path)
    if header.get("class") != expected:
        raise ValueError(f"{str(path)!r} holds a {header.get('class')!r}, not a {expected}.")
    arrays = {}
    with h5py.File(path, "r") as file:
        for name, dataset in file.items():
            if h5py.check_string_dtype(dataset.dtype):
                arrays[name] = np.array(dataset.asstr()[:], dtype=object)
            else:
                arrays[name] = dataset[...]
    return header, arrays
