"""``--checkpoint``: commands that are cut off go on, and those on AnnData do as well."""

from __future__ import annotations

from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from cut_off_fits import after, cut_off

import lowdim as ld
from lowdim import _checkpoint, _journal
from lowdim.cli import main


def assert_same(found: ad.AnnData, expected: ad.AnnData, key: str) -> None:
    for name in expected.obsm:
        np.testing.assert_array_equal(found.obsm[name], expected.obsm[name])
    assert set(found.uns[key]["params"]) == set(expected.uns[key]["params"])
    if "objective" in expected.uns[key]:
        assert found.uns[key]["objective"] == expected.uns[key]["objective"]


@pytest.mark.parametrize(
    "words",
    [
        ["subspaces", "-k", "2"],
        ["subspaces", "--auto", "-k", "2", "--n-init", "2"],
        ["mixture", "-k", "3"],
        ["mixture", "-k", "3", "--family", "kmeans"],
        ["spatial", "--model", "pnmf", "-n", "2", "--layer", "counts"],
        ["embed", "--set", "max_iter=40"],
        ["embed", "--set", "max_iter=40", "--landmarks", "100"],
        ["embed", "--set", "max_iter=40", "--method", "sne"],
    ],
    ids=lambda words: " ".join(words),
)
def test_a_command_that_was_cut_off_goes_on(
    words: list[str], cells: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    adata = ad.read_h5ad(cells)
    adata.layers["counts"] = np.random.default_rng(0).poisson(3.0, adata.shape)
    adata.write_h5ad(cells)
    command = [words[0], str(cells), *words[1:], "--quiet"]
    key = {"spatial": "spatial_factors", "embed": "tsne"}.get(words[0], words[0])
    key = "sne" if "sne" in words else key
    path, whole, out = tmp_path / "fit.h5", tmp_path / "whole.h5ad", tmp_path / "out.h5ad"
    assert main([*command, "-o", str(whole)]) == 0
    command += ["-o", str(out), "--checkpoint", str(path)]
    monkeypatch.setattr(_journal, "EVERY", 1)
    monkeypatch.setattr(_checkpoint, "SHARE", np.inf)
    with monkeypatch.context() as patched:
        after(patched, 3, cut_off)
        assert main(command) != 0
    assert path.exists()
    assert not out.exists()
    assert main(command) == 0
    assert_same(ad.read_h5ad(out), ad.read_h5ad(whole), key)


def test_each_part_of_the_work_on_samples_has_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    adata = ld.data.simulate_cohort(12, 30, 3, signal="mean", separation=6.0, random_state=0)
    adata.write_h5ad(tmp_path / "cohort.h5ad")
    command = ["samples", str(tmp_path / "cohort.h5ad"), "--sample-key", "sample", "-k", "2"]
    command += ["--label-key", "label", "--metric", "--epochs", "4", "--quiet"]
    whole, out = tmp_path / "whole.h5ad", tmp_path / "out.h5ad"
    assert main([*command, "-o", str(whole)]) == 0
    command += ["-o", str(out), "--checkpoint", str(tmp_path / "fit.h5")]
    monkeypatch.setattr(_journal, "EVERY", 1)
    monkeypatch.setattr(_checkpoint, "SHARE", np.inf)
    with monkeypatch.context() as patched:
        after(patched, 3, cut_off)
        assert main(command) != 0
    kept = sorted(path.name for path in tmp_path.glob("fit*"))
    assert kept == ["fit.metric.h5", "fit.mixtures.h5"]
    assert main(command) == 0
    assert (tmp_path / "fit.validation.h5").exists()
    found, expected = ad.read_h5ad(out), ad.read_h5ad(whole)
    for name in expected.obsm:
        np.testing.assert_array_equal(found.obsm[name], expected.obsm[name])
    tables = (own.uns["sample_validation"]["tables"]["learned metric"] for own in (found, expected))
    pd.testing.assert_frame_equal(*tables)


def test_a_checkpoint_of_another_fit_is_told(
    cells: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, out = str(tmp_path / "fit.h5"), str(tmp_path / "out.h5ad")
    command = ["mixture", str(cells), "--quiet", "-o", out, "--checkpoint", path]
    assert main([*command, "-k", "2"]) == 0
    assert main([*command, "-k", "3"]) != 0
    assert "n_components was 2 and is 3" in capsys.readouterr().err
    assert main(command) != 0
    assert "keeps a single fit" in capsys.readouterr().err


def test_where_a_fit_was_kept_is_no_setting_of_the_model(cells: Path, tmp_path: Path) -> None:
    adata = ad.read_h5ad(cells)
    ld.tl.subspaces(adata, 2, checkpoint=tmp_path / "fit.h5")
    assert "checkpoint" not in adata.uns["subspaces"]["params"]
    assert ld.get.model(adata).checkpoint is None


def test_a_method_without_checkpoints_says_so(
    cells: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["embed", str(cells), "--method", "phate", "--quiet", "-o", str(tmp_path / "o.h5ad")]
    assert main([*command, "--checkpoint", str(tmp_path / "fit.h5")]) == 1
    assert "is given, but PHATE keeps none" in capsys.readouterr().err
