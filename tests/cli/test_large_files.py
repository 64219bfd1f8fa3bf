"""Files larger than a share of the free memory: read in blocks, written beside, same results."""

from __future__ import annotations

from pathlib import Path

import anndata as ad
import h5py
import numpy as np
import pytest
from commands_on_files import COMMANDS, D, N, assert_chosen, assert_same, small_file

from lowdim import _memory
from lowdim.cli import _anndata_file, _beside, _data_file, _fit_file, main
from lowdim.cli._data_file import DataFile
from lowdim.cli._fit_file import Whole


@pytest.fixture
def little_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing fits, and reading a file whole is an error."""

    def refuse(path: str) -> ad.AnnData:
        raise AssertionError(f"{path} was read whole")

    for module in (_data_file, _fit_file):
        monkeypatch.setattr(module, "free_memory", lambda: 1)
    monkeypatch.setattr(_anndata_file, "read", refuse)


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_results_are_those_of_the_file_in_memory(
    name: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    request: pytest.FixtureRequest,
) -> None:
    file = str(small_file(tmp_path / "cells.h5ad"))
    command, *options = COMMANDS[name]
    options += ["--key", "fit"]
    assert main([command, file, *options, "-o", str(tmp_path / "whole.h5ad")]) == 0
    assert "in blocks" not in capsys.readouterr().err
    request.getfixturevalue("little_memory")
    assert main([command, file, *options, "-o", str(tmp_path / "out")]) == 0
    said = capsys.readouterr().err
    assert "in blocks: its matrices (0.0 GB) take more than 40% of the free memory" in said
    assert (tmp_path / "out" / "report.html").stat().st_size > 10_000
    assert not list((tmp_path / "out").glob(".*"))
    expected = ad.read_h5ad(tmp_path / "whole.h5ad")
    found = ad.read_h5ad(tmp_path / "out" / "result.h5ad")
    assert_same(found, expected)
    for kind in ("obs", "var"):
        assert list(getattr(found, kind)) == list(getattr(expected, kind))


@pytest.mark.usefixtures("little_memory")
@pytest.mark.parametrize(
    ("words", "who"),
    [
        (["embed", "--set", "max_iter=10"], "t-SNE"),
        (["spatial", "--model", "rsf", "-n", "2"], "--model rsf"),
        (["spatial", "--model", "fa", "-n", "2", "--layer", "counts"], "--model fa"),
    ],
)
def test_what_needs_all_rows_in_memory_says_so_first(
    words: list[str], who: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = str(small_file(tmp_path / "cells.h5ad"))
    command, *options = words
    assert main([command, file, *options, "--no-report", "-o", str(tmp_path / "fit.h5ad")]) == 0
    said = capsys.readouterr().err
    assert said.startswith(f"lowdim: {who} needs all rows of ")
    assert "in memory: at least 0.0 GB, and 0.0 GB are free" in said
    assert "in blocks: its" not in said


@pytest.mark.usefixtures("little_memory")
def test_a_table_of_fits_reads_the_counts_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, table = str(small_file(tmp_path / "cells.h5ad")), tmp_path / "fits.csv"
    (tmp_path / "fits.json").write_text('{"model": "pnmf", "n_factors": [1, 2], "max_iter": 3}')
    assert main(["grid", file, str(tmp_path / "fits.json"), "-o", str(table)]) == 0
    assert "in blocks: its matrices" in capsys.readouterr().err
    assert table.read_text().count("pnmf") >= 2
    (tmp_path / "fits.json").write_text('{"model": ["pnmf", "rsf"], "n_factors": 1, "max_iter": 3}')
    assert main(["grid", file, str(tmp_path / "fits.json"), "-o", str(table)]) == 0
    assert 'model rsf needs all rows of layers["counts"] in memory' in capsys.readouterr().err


def test_the_memory_that_is_told_is_that_of_the_matrix_named(tmp_path: Path) -> None:
    adata = DataFile.left(small_file(tmp_path / "cells.h5ad")).adata
    sparse = ad.read_h5ad(tmp_path / "cells.h5ad").X
    stored = sparse.data.nbytes + sparse.indices.nbytes + sparse.indptr.nbytes
    for layer, dense, name, size in (
        (None, False, "X", stored),
        (None, True, "X", 8 * N * D),
        ("dense", False, 'layers["dense"]', 8 * N * D),
    ):
        whole = Whole.of(adata, layer, "t-SNE", "", dense=dense)
        assert whole is not None
        assert (whole.matrix, whole.size) == (name, size)
    assert Whole.of(adata, "none", "t-SNE", "") is None


@pytest.mark.parametrize(
    "words",
    [["embed", "--set", "max_iter=20"], ["samples", "--sample-key", "sample", "-k", "2"]],
)
def test_a_fit_to_a_representation_reads_no_other_matrix(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = str(small_file(tmp_path / "cells.h5ad"))
    read = h5py.Dataset.__getitem__
    seen = []

    def note(dataset: h5py.Dataset, *arguments: object, **options: object) -> object:
        seen.append(dataset.name)
        return read(dataset, *arguments, **options)

    monkeypatch.setattr(h5py.Dataset, "__getitem__", note)
    command, *options = words
    assert main([command, file, *options, "--use-rep", "X_pca", "-o", str(tmp_path / "out")]) == 0
    assert any(name.startswith("/obs/") for name in seen)
    assert [name for name in seen if name.startswith(("/X", "/layers", "/raw"))] == []


def test_matrices_stored_by_columns_are_read_where_they_are_small(tmp_path: Path) -> None:
    file = small_file(tmp_path / "cells.h5ad")
    adata = ad.read_h5ad(file)
    adata.X = adata.X.tocsc()
    adata.write_h5ad(file)
    words = ["subspaces", str(file), "--dims", "1,0", "--use-rep", "X_pca", "--n-init", "1"]
    assert main([*words, "--quiet", "-o", str(tmp_path / "fit.h5ad")]) == 0
    np.testing.assert_array_equal(
        ad.read_h5ad(tmp_path / "fit.h5ad").X.toarray(), adata.X.toarray()
    )


def test_genes_are_copied_in_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_beside, "_BLOCK_BYTES", 8 * D * 50)
    file = small_file(tmp_path / "cells.h5ad")
    kept = np.arange(D) % 3 == 1
    found = DataFile.left(file).of_genes(kept, tmp_path)
    found.write(tmp_path / "few.h5ad")
    own, expected = ad.read_h5ad(tmp_path / "few.h5ad"), ad.read_h5ad(file)[:, kept]
    assert_chosen(own, expected)


@pytest.mark.usefixtures("little_memory")
def test_a_fit_that_fails_leaves_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = str(small_file(tmp_path / "cells.h5ad"))
    (tmp_path / "old.h5ad").write_text("an older result")

    def full_disk(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("anndata.io.write_elem", full_disk)
    command = ["mixture", file, "--family", "kmeans", "-k", "3", "--no-report"]
    assert main([*command, "-o", str(tmp_path / "old.h5ad")]) == 1
    assert "No space left" in capsys.readouterr().err
    assert (tmp_path / "old.h5ad").read_text() == "an older result"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cells.h5ad", "old.h5ad"]


def test_what_is_free_is_what_the_kernel_or_the_container_leaves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("_MEMINFO", "_LIMIT", "_USED"):
        monkeypatch.setattr(_memory, name, tmp_path / name)
    everything = _memory.free_memory()
    assert everything is None or everything > 0
    (tmp_path / "_MEMINFO").write_text("MemTotal: 99 kB\nMemAvailable:  7 kB\n")
    assert _memory.free_memory() == 7 * 1024
    (tmp_path / "_LIMIT").write_text("max")
    assert _memory.free_memory() == 7 * 1024
    (tmp_path / "_LIMIT").write_text("5000")
    (tmp_path / "_USED").write_text("1000")
    assert _memory.free_memory() == 4000


def test_the_size_of_a_file_is_that_of_its_matrices(tmp_path: Path) -> None:
    file = small_file(tmp_path / "cells.h5ad")
    adata = ad.read_h5ad(file)
    stored = [adata.X, adata.layers["counts"]]
    sizes = sum(m.data.nbytes + m.indices.nbytes + m.indptr.nbytes for m in stored)
    assert _anndata_file.matrix_bytes(str(file)) == sizes + adata.layers["dense"].nbytes
