"""Files larger than a share of the free memory: read in blocks, written beside, same results."""

from __future__ import annotations

from pathlib import Path

import anndata as ad
import numpy as np
import pytest
import scipy.sparse as sp

from lowdim import _memory
from lowdim.cli import _h5ad, main

N, D = 240, 70


def small_file(path: Path) -> Path:
    """A file with everything that an AnnData can hold."""
    rng = np.random.default_rng(0)
    rates = rng.gamma(0.4, 2.0, (3, D))[np.arange(N) % 3]
    adata = ad.AnnData(sp.csr_matrix(np.log1p(rng.poisson(rates)), dtype=np.float32))
    adata.layers["counts"] = sp.csr_matrix(rng.poisson(rates), dtype=np.float32)
    adata.layers["dense"] = rng.normal(size=(N, D))
    adata.obs["group"] = np.array(["a", "b", "c"])[np.arange(N) % 3]
    adata.obsm["X_pca"] = rng.normal(size=(N, 3))
    adata.obsp["graph"] = sp.identity(N, format="csr")
    adata.uns["note"] = {"by": "hand"}
    adata.raw = adata
    adata.write_h5ad(path)
    return path


@pytest.fixture
def little_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing fits, and reading a file whole is an error."""

    def refuse(path: str) -> ad.AnnData:
        raise AssertionError(f"{path} was read whole")

    monkeypatch.setattr(_h5ad, "free_memory", lambda: 1)
    monkeypatch.setattr(_h5ad, "read", refuse)


COMMANDS = {
    "subspaces": ["subspaces", "--dims", "1,1,0", "--n-init", "2"],
    "layer": ["subspaces", "--dims", "1,1,0", "--n-init", "2", "--layer", "dense"],
    "representation": ["subspaces", "--dims", "1,0", "--n-init", "2", "--use-rep", "X_pca"],
    "kmeans": ["mixture", "--family", "kmeans", "-k", "3"],
    "counts": ["mixture", "--family", "negative-binomial", "--layer", "counts", "-k", "3"],
}


@pytest.mark.parametrize("name", COMMANDS)
def test_results_are_those_of_the_file_in_memory(
    name: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    request: pytest.FixtureRequest,
) -> None:
    file = str(small_file(tmp_path / "cells.h5ad"))
    command, *options = COMMANDS[name]
    options += ["--labels", "group", "--key", "fit"]
    assert main([command, file, *options, "-o", str(tmp_path / "whole.h5ad")]) == 0
    assert "in blocks" not in capsys.readouterr().err
    request.getfixturevalue("little_memory")
    assert main([command, file, *options, "-o", str(tmp_path / "out")]) == 0
    said = capsys.readouterr().err
    assert "in blocks: its matrices (0.0 GB) take more than 40% of the free memory" in said
    expected = ad.read_h5ad(tmp_path / "whole.h5ad")
    found = ad.read_h5ad(tmp_path / "out" / "result.h5ad")
    assert (tmp_path / "out" / "report.html").stat().st_size > 10_000
    assert found.obs["fit"].tolist() == expected.obs["fit"].tolist()
    assert found.uns["fit"].keys() == expected.uns["fit"].keys()
    assert found.uns["note"] == {"by": "hand"}
    for kind in ("obsm", "varm", "layers", "obsp"):
        own, other = getattr(found, kind), getattr(expected, kind)
        assert own.keys() == other.keys()
        for key in own:
            first, second = (
                value.toarray() if sp.issparse(value) else np.asarray(value)
                for value in (own[key], other[key])
            )
            np.testing.assert_allclose(first, second, rtol=1e-4, atol=1e-4)
    np.testing.assert_array_equal(found.X.toarray(), expected.X.toarray())
    np.testing.assert_array_equal(found.raw.X.toarray(), expected.raw.X.toarray())


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
    assert _h5ad.matrix_bytes(str(file)) == sizes + adata.layers["dense"].nbytes
