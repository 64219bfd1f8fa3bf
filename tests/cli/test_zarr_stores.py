"""Commands on `.zarr` stores: as on `.h5ad` files, in memory and out of it."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pytest
from commands_on_files import COMMANDS, D, N, assert_chosen, assert_same, small_file

from lowdim.cli import _anndata_file, _beside, _data_file, _fit_file, main
from lowdim.cli._data_file import DataFile

zarr = pytest.importorskip("zarr")
pytestmark = [
    pytest.mark.filterwarnings("ignore:Writing zarr v2 data"),
    pytest.mark.filterwarnings("ignore:Consolidated metadata"),
    pytest.mark.filterwarnings("ignore:zarr v3 autosharding"),
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]

KMEANS = ["mixture", "--family", "kmeans", "-k", "3", "--labels", "group", "--key", "fit"]


@pytest.fixture
def h5ad(tmp_path: Path) -> Path:
    return small_file(tmp_path / "cells.h5ad")


@pytest.fixture
def store(h5ad: Path) -> Path:
    path = h5ad.with_suffix(".zarr")
    ad.read_h5ad(h5ad).write_zarr(path)
    return path


@pytest.fixture
def little_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing fits."""
    for module in (_data_file, _fit_file):
        monkeypatch.setattr(module, "free_memory", lambda: 1)


def run(words: list[str], file: Path, output: Path, *more: str) -> int:
    command, *options = words
    return main([command, str(file), *options, *more, "-o", str(output)])


def read(path: Path) -> ad.AnnData:
    return ad.read_zarr(path) if path.suffix == ".zarr" else ad.read_h5ad(path)


@pytest.mark.parametrize(
    "name",
    ["layer", "representation", "counts", "components", "graph", "chosen genes", "samples"],
)
def test_results_are_those_of_an_h5ad_file(
    name: str,
    h5ad: Path,
    store: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    request: pytest.FixtureRequest,
) -> None:
    words = [*COMMANDS[name], "--key", "fit"]
    assert run(words, h5ad, tmp_path / "fit.h5ad") == 0
    assert run(words, store, tmp_path / "fit.zarr") == 0
    assert "in blocks" not in capsys.readouterr().err
    request.getfixturevalue("little_memory")
    assert run(words, store, tmp_path / "out") == 0  # of the kind of the source
    assert f"reading {store} in blocks: its matrices" in capsys.readouterr().err
    assert (tmp_path / "out" / "report.html").stat().st_size > 10_000
    assert not list((tmp_path / "out").glob(".*"))
    expected = read(tmp_path / "fit.h5ad")
    for path in (tmp_path / "fit.zarr", tmp_path / "out" / "result.zarr"):
        assert_same(read(path), expected)


@pytest.mark.parametrize("backed", ["always", "never"])
@pytest.mark.parametrize(("source", "target"), [(".h5ad", ".zarr"), (".zarr", ".h5ad")])
def test_a_result_may_be_of_the_other_kind(
    source: str, target: str, backed: str, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_beside, "_BLOCK_BYTES", 8 * 50)  # several blocks
    file, found = store.with_suffix(source), store.with_name(f"fit{target}")
    assert run(KMEANS, file, found, "--backed", backed, "--quiet") == 0
    same = store.with_name(f"same{source}")
    assert run(KMEANS, file, same, "--backed", backed, "--quiet") == 0
    assert_same(read(found), read(same))


def test_a_store_of_the_third_format_stays_one(h5ad: Path, tmp_path: Path) -> None:
    with ad.settings.override(zarr_write_format=3):
        ad.read_h5ad(h5ad).write_zarr(tmp_path / "third.zarr")
    assert run(KMEANS, tmp_path / "third.zarr", tmp_path / "fit.zarr", "--backed", "always") == 0
    group = zarr.open_group(str(tmp_path / "fit.zarr"), mode="r")
    assert group.metadata.zarr_format == 3
    assert group.metadata.consolidated_metadata is not None
    assert "fit" in list(group["obs"])
    assert "fit" in read(tmp_path / "fit.zarr").obs


def test_genes_are_copied_in_blocks(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_beside, "_BLOCK_BYTES", 8 * D * 50)
    kept = np.arange(D) % 3 == 1
    DataFile.left(store).of_genes(kept, store.parent).write(store.parent / "few.zarr")
    own, expected = read(store.parent / "few.zarr"), read(store)[:, kept]
    assert_chosen(own, expected)


@pytest.mark.parametrize("backed", ["always", "never"])
def test_a_fit_that_fails_leaves_the_former_store(
    backed: str, store: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    former = store.with_name("fit.zarr")
    assert run(KMEANS, store, former, "--quiet") == 0
    before = {path: path.read_bytes() for path in former.rglob("*") if path.is_file()}

    def full_disk(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("anndata.io.write_elem", full_disk)
    monkeypatch.setattr(ad.AnnData, "write_zarr", full_disk)
    assert run(KMEANS, store, former, "--backed", backed, "--no-report") == 1
    assert "No space left" in capsys.readouterr().err
    assert before == {path: path.read_bytes() for path in former.rglob("*") if path.is_file()}
    names = sorted(path.name for path in store.parent.iterdir())
    assert names == ["cells.h5ad", "cells.zarr", "fit.zarr"]
    monkeypatch.undo()
    assert run([*KMEANS[:4], "2", *KMEANS[5:]], store, former, "--backed", backed) == 0
    assert read(former).obs["fit"].nunique() == 2  # the former one was replaced
    assert sorted(path.name for path in store.parent.iterdir()) == names


def test_reports_tables_and_contents(
    store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fit = tmp_path / "fit.zarr"
    assert run(KMEANS, store, fit, "--report", "--quiet") == 0
    assert (tmp_path / "fit.html").is_file()
    for backed in ("always", "never"):
        page = tmp_path / f"{backed}.html"
        assert main(["report", str(fit), "--key", "fit", "--backed", backed, "-o", str(page)]) == 0
        assert page.stat().st_size > 10_000
    (tmp_path / "fits.json").write_text('{"model": "pnmf", "n_factors": [1, 2], "max_iter": 3}')
    words = ["grid", str(store), str(tmp_path / "fits.json")]
    assert main([*words, "-o", str(tmp_path / "t.csv")]) == 0
    capsys.readouterr()
    assert main(["info", str(fit), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert main(["info", str(store.with_suffix(".h5ad")), "--json"]) == 0
    own = json.loads(capsys.readouterr().out)
    for name in ("n_rows", "n_columns", "X", "layers"):
        assert facts[name] == own[name]
    assert facts["bytes"] == sum(p.stat().st_size for p in fit.rglob("*") if p.is_file())
    assert facts["fits"]["fit"]["family"] == "kmeans"


def test_the_input_is_never_overwritten(
    store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "link.zarr").symlink_to(store)
    inside = store / "obsm" / "fit.zarr"
    for output in (store, tmp_path / "link.zarr", inside, store / "fit.h5ad"):
        assert run(KMEANS, store, output) == 2
        assert "would overwrite the input" in capsys.readouterr().err
    around = tmp_path / "all.zarr"
    around.mkdir()
    store.rename(around / "cells.zarr")
    assert run(KMEANS, around / "cells.zarr", around) == 2
    assert "would overwrite the input" in capsys.readouterr().err
    assert read(around / "cells.zarr").shape == (N, D)


def test_what_is_no_store_is_named(
    store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = tmp_path / "mine.zarr"
    mine.mkdir()
    (mine / "letter.txt").write_text("dear")
    assert run(KMEANS, store, mine) == 2
    assert "mine.zarr is a folder" in capsys.readouterr().err
    assert (mine / "letter.txt").read_text() == "dear"
    (tmp_path / "file.zarr").write_text("no folder")
    for path in (tmp_path, tmp_path / "file.zarr"):
        assert run(KMEANS, path, tmp_path / "fit.zarr") == 1
        said = capsys.readouterr().err
        assert "is neither a .h5ad file nor the folder of a .zarr store" in said
    assert run(KMEANS, mine, tmp_path / "fit.zarr") == 1
    assert "cannot be read as a .zarr store" in capsys.readouterr().err
    assert run(KMEANS, store, tmp_path / "fit.csv") == 2
    assert "must be a .h5ad file, a .zarr store or a folder" in capsys.readouterr().err


def test_without_the_package_zarr_it_is_asked_for(
    h5ad: Path, store: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "zarr", None)
    assert run(KMEANS, store, store.with_name("fit.h5ad")) == 1
    assert "pip install zarr" in capsys.readouterr().err
    assert run(KMEANS, h5ad, store.with_name("fit.zarr")) == 1
    assert "pip install zarr" in capsys.readouterr().err
    assert run(KMEANS, h5ad, store.with_name("fit.h5ad"), "--quiet") == 0


def test_where_memory_does_not_do_the_switch_is_named(
    store: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def too_much(*arguments: object, **options: object) -> None:
        raise MemoryError("Unable to allocate")

    monkeypatch.setattr("lowdim.tl.mixture", too_much)
    for backed, told in (("auto", True), ("never", True), ("always", False)):
        assert run(KMEANS, store, store.with_name("fit.zarr"), "--backed", backed) == 1
        said = capsys.readouterr().err
        assert "MemoryError: Unable to allocate" in said
        assert ("--backed always leaves" in said) == told


def refuse(*arguments: object) -> Any:
    raise AssertionError("not to be read so")


@pytest.mark.parametrize("kind", [".h5ad", ".zarr"])
def test_where_rows_live_is_for_the_user_to_say(
    kind: str,
    store: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = store.with_suffix(kind)
    assert run(KMEANS, file, tmp_path / "auto.h5ad", "--no-report") == 0
    said = capsys.readouterr().err
    assert f"reading {file} into memory: its matrices (0.0 GB) take no more than 40%" in said
    for module in (_data_file, _fit_file):
        monkeypatch.setattr(module, "free_memory", lambda: 1)
    monkeypatch.setattr(DataFile, "left", refuse)
    assert run(KMEANS, file, tmp_path / "never.h5ad", "--backed", "never", "--no-report") == 0
    assert f"reading {file} into memory: --backed never" in capsys.readouterr().err
    monkeypatch.undo()
    monkeypatch.setattr(_anndata_file, "read", refuse)
    assert run(KMEANS, file, tmp_path / "always.h5ad", "--backed", "always", "--no-report") == 0
    assert f"reading {file} in blocks: --backed always" in capsys.readouterr().err
    words = ["embed", "--use-rep", "X_pca", "--set", "max_iter=10"]
    assert run(words, file, tmp_path / "rep.h5ad", "--no-report") == 0
    assert f"reading nothing but obsm['X_pca'] and the tables of {file}" in capsys.readouterr().err
    found = [read(tmp_path / f"{name}.h5ad") for name in ("auto", "never", "always")]
    for one in found[1:]:
        assert one.obs["fit"].tolist() == found[0].obs["fit"].tolist()
