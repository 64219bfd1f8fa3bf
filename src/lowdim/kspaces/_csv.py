"""Models in the CSV files of kspaces.

Of each space: a line ``new space,<class>``, one of D, d, sigma and prior, one of latent sigmas,
one per vector (an empty one for d = 0), and one of the translation. Numbers are the shortest that
read back as the same float64.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lowdim._files import replacing
from lowdim._typing import PathLike
from lowdim.kspaces._spaces import affine_subspace, bg_space, fixed_space

_MARK = "new space"
_CLASSES = {kind.__name__: kind for kind in (affine_subspace, fixed_space, bg_space)}


def write_spaces(spaces: Any, file: PathLike) -> None:
    """Write spaces to a CSV file, which `read_spaces` and kspaces read back bit for bit.

    Parameters
    ----------
    spaces : list of affine_subspace
        Or a single one.
    file : str or path
        Where to; the file appears whole or not at all.

    Raises
    ------
    TypeError
        Something in `spaces` is none of the three kinds of space.
    """
    spaces = [spaces] if isinstance(spaces, affine_subspace) else list(spaces)
    rows: list[Sequence[Any]] = []
    for space in spaces:
        kind = type(space).__name__
        if kind not in _CLASSES or not isinstance(space, affine_subspace):
            raise TypeError(f"spaces contains a {kind}; pass spaces as run_EM returns them.")
        rows += [[_MARK, kind], [space.D, space.d, space.sigma, space.prior]]
        rows += [space.latent_sigmas.tolist(), *(space.vectors.tolist() or [[]])]
        rows.append(space.translation.tolist())
    with replacing(file) as path, path.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows(rows)


def read_spaces(file: PathLike) -> list[affine_subspace]:
    """Read spaces from a CSV file that `write_spaces` or kspaces wrote.

    Parameters
    ----------
    file : str or path

    Returns
    -------
    The spaces in the file's order, each of its own class.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    ValueError
        It is no such file, or is cut short; the message names the line.
    """
    with Path(file).open(newline="", encoding="utf-8") as stream:
        rows = list(csv.reader(stream))
    spaces, line = [], 0
    while line < len(rows):
        if rows[line][:1] != [_MARK]:
            raise ValueError(f"{file}, line {line + 1}: expected {_MARK!r}, got {rows[line]!r}.")
        try:
            space, length = _parse(rows[line:])
        except (IndexError, KeyError, ValueError) as error:
            raise ValueError(
                f"{file}: the space that begins in line {line + 1} cannot be read: {error}."
            ) from error
        spaces.append(space)
        line += length
    return spaces


def _parse(rows: list[list[str]]) -> tuple[affine_subspace, int]:
    """The space that the first rows describe, and how many rows do."""
    kind = _CLASSES[rows[0][1]]
    n_columns, d = int(rows[1][0]), int(rows[1][1])
    sigma, prior = float(rows[1][2]), float(rows[1][3])
    numbers = [[float(value) for value in row] for row in rows[2 : 4 + max(d, 1)]]
    latent, vectors, translation = numbers[0], numbers[1 : 1 + d], numbers[1 + max(d, 1)]
    if len(translation) != n_columns:
        raise ValueError(f"{len(translation)} numbers in the translation, expected {n_columns}")
    # kspaces gives fixed spaces, and points that own one row, more latent sigmas than vectors.
    return kind(vectors, translation, sigma, latent[:d], prior), 4 + max(d, 1)
