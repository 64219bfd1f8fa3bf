"""CSV files are those of kspaces, bit for bit and in both directions."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import kspaces
import numpy as np
import pytest

from lowdim.kspaces import (
    affine_subspace,
    bg_space,
    fixed_space,
    read_spaces,
    run_EM,
    write_spaces,
)

NAMES = ("vectors", "translation", "latent_sigmas", "sigma", "prior")


@pytest.fixture
def spaces() -> list[affine_subspace]:
    """One of each class and of each dimension from 0 to 3."""
    rng = np.random.default_rng(0)
    kinds = [affine_subspace, fixed_space, bg_space, affine_subspace, affine_subspace]
    return [
        kind(
            rng.normal(size=(d, 7)),
            rng.normal(size=7) * 10.0**scale,
            rng.uniform() * 10.0**-scale,
            rng.uniform(size=d),
            rng.uniform(),
        )
        for d, (scale, kind) in zip([0, 1, 2, 3, 0], enumerate(kinds), strict=True)
    ]


def assert_same_bits(left: list, right: list) -> None:
    assert len(left) == len(right)
    for a, b in zip(left, right, strict=True):
        assert (type(a).__name__, a.D, a.d) == (type(b).__name__, b.D, b.d)
        for name in NAMES:
            there, here = np.asarray(getattr(a, name)), np.asarray(getattr(b, name))
            assert there.astype(float).tobytes() == here.astype(float).tobytes(), name


def test_what_is_written_is_read(spaces: list[affine_subspace], tmp_path: Path) -> None:
    write_spaces(spaces, tmp_path / "spaces.csv")
    assert_same_bits(read_spaces(tmp_path / "spaces.csv"), spaces)
    assert [path.name for path in tmp_path.iterdir()] == ["spaces.csv"]


def test_kspaces_reads_what_is_written(spaces: list[affine_subspace], tmp_path: Path) -> None:
    write_spaces(spaces, tmp_path / "spaces.csv")
    assert_same_bits(kspaces.read_spaces(tmp_path / "spaces.csv"), spaces)


def test_what_kspaces_writes_is_read(
    spaces: list[affine_subspace], tmp_path: Path, as_old: Callable
) -> None:
    old = as_old(spaces)
    kspaces.write_spaces(old, tmp_path / "spaces.csv")
    assert_same_bits(read_spaces(tmp_path / "spaces.csv"), old)


def test_files_are_the_same_bytes(
    spaces: list[affine_subspace], tmp_path: Path, as_old: Callable
) -> None:
    write_spaces(spaces, tmp_path / "new.csv")
    kspaces.write_spaces(as_old(spaces), tmp_path / "old.csv")
    assert (tmp_path / "new.csv").read_bytes() == (tmp_path / "old.csv").read_bytes()


def test_a_fit_survives(planted, tmp_path: Path, quietly: Callable) -> None:
    new, _ = run_EM(planted.X, [1, 1, 2], silent=True, random_state=0)
    write_spaces(new, tmp_path / "new.csv")
    assert_same_bits(kspaces.read_spaces(tmp_path / "new.csv"), new)
    old, _ = quietly(kspaces.run_EM, planted.X, [1, 1, 2], initializations=2)
    kspaces.write_spaces(old, tmp_path / "old.csv")
    assert_same_bits(read_spaces(tmp_path / "old.csv"), old)


def test_excess_latent_sigmas_of_kspaces_are_left_out(tmp_path: Path) -> None:
    """kspaces gives a fixed space as many as there are columns, and a point of one row one."""
    line = kspaces.fixed_space([[1.0, 0, 0]], [0.0, 0, 0], 0.5, [2.0, 1.0, 1.0], 0.5)
    point = kspaces.affine_subspace([], [1.0, 2.0, 3.0], 0.5, [0.0], 0.5)
    kspaces.write_spaces([line, point], tmp_path / "spaces.csv")
    read = read_spaces(tmp_path / "spaces.csv")
    assert [space.latent_sigmas.tolist() for space in read] == [[2.0], []]


def test_a_failed_write_leaves_the_old_file(spaces: list[affine_subspace], tmp_path: Path) -> None:
    file = tmp_path / "spaces.csv"
    write_spaces(spaces[0], file)  # a single space will do
    before = file.read_bytes()
    with pytest.raises(TypeError, match="dict"):
        write_spaces([spaces[0], {}], file)
    assert file.read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text[: len(text) // 2], "line 1 cannot be read"),
        (lambda text: text.replace("affine_subspace", "circle"), "line 1 cannot be read"),
        (lambda text: "x,y\r\n" + text, "line 1: expected 'new space'"),
        (lambda text: text.replace("7,2,", "8,2,"), "line 1 cannot be read"),
    ],
)
def test_what_is_no_such_file_is_an_error(
    tmp_path: Path, change: Callable[[str], str], message: str
) -> None:
    file = tmp_path / "spaces.csv"
    write_spaces(affine_subspace(np.eye(7)[:2], np.arange(7.0), 1.0, [2.0, 1.0], 1.0), file)
    file.write_text(change(file.read_text()))
    with pytest.raises(ValueError, match=message):
        read_spaces(file)
