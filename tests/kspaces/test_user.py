"""What users of kspaces write who change only the import."""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import kspaces
import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt

import lowdim
from lowdim.data import SimulatedSubspaces
from lowdim.kspaces import (
    affine_subspace,
    bg_space,
    fixed_space,
    generate,
    get_df,
    model_selection,
    read_spaces,
    run_EM,
    view_3D_pca_mpl,
    view_3D_pretransformed_mpl,
    write_spaces,
)

PAGE = Path(__file__).resolve().parents[2] / "docs" / "kspaces.md"


def test_what_the_page_tells_to_type_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.M | re.S)
    names: dict[str, Any] = {}
    for block in blocks:
        exec(block, names)
    assert len(blocks) >= 5
    assert names["plane"].shape == (600, 2)
    assert names["model"].dims_.tolist() == [1, 2]
    assert (tmp_path / "spaces.csv").exists()


def test_the_page_names_all_that_is_public() -> None:
    page = PAGE.read_text(encoding="utf-8")
    modules = {"EM", "affine_subspace_", "generate_", "model_selection_", "plotting"}
    for name in set(lowdim.kspaces.__all__) - modules:
        assert re.search(rf"`{name}\b", page), name
    for argument in inspect.signature(run_EM).parameters:
        assert re.search(rf"^\| .*`{argument}`.* \|", page, re.M), argument


def test_the_module_is_an_attribute_of_the_package() -> None:
    assert lowdim.kspaces.run_EM is run_EM


@pytest.mark.parametrize("module", ["EM", "model_selection_", "generate_", "affine_subspace_"])
def test_a_star_import_of_a_module_brings_what_is_public(module: str) -> None:
    there = importlib.import_module(f"lowdim.kspaces.{module}")
    names: dict[str, Any] = {}
    exec(f"from lowdim.kspaces.{module} import *", names)
    assert {name for name in names if not name.startswith("_")} == set(there.__all__)
    assert set(there.__all__) <= set(dir(importlib.import_module(f"kspaces.{module}")))


@pytest.mark.parametrize("latent", [[], [0], [1], [1, 1, 1], None])
def test_a_point_has_no_latent_sigmas_whatever_is_given(latent: Any) -> None:
    if latent is None:  # what kspaces makes of a point without vectors
        latent = kspaces.affine_subspace([], [0, 0, 0], 1, [0], 1).latent_sigmas
    for kind in (affine_subspace, fixed_space, bg_space):
        point = kind([], [1, 2, 3], 0.5, latent, 1)
        assert point.latent_sigmas.shape == (0,)
        assert np.isfinite(point.probability([1, 2, 3], log=True))
    with pytest.raises(ValueError, match="latent_sigmas"):
        affine_subspace([], [1, 2, 3], 0.5, [-1], 1).update_latent_sigmas([np.nan])


@pytest.mark.parametrize("legacy", [False, True])
def test_a_fixed_space_has_its_part_in_equal_noise(legacy: bool) -> None:
    rng = np.random.default_rng(0)
    points = np.concatenate([rng.normal(0, 0.2, (200, 3)), rng.normal(8, 0.6, (300, 3))])
    points[200:, 0] *= 3
    held = {"vec": [], "tr": [0, 0, 0]}
    spaces, _ = run_EM(
        points, [1], fixed_spaces=[held], set_noise_equal=True, silent=True, random_state=0
    )
    off_line = spaces[0].orthogonal_distance(points[200:], squared=True).sum()
    pooled = (np.square(points[:200]).sum() + off_line) / (3 * 200 + 2 * 300)
    assert spaces[0].sigma == spaces[1].sigma == pytest.approx(np.sqrt(pooled), rel=1e-6)
    # A line in three columns: mean, axis and its variance; then the noise, and a weight.
    assert get_df(spaces, True, legacy=legacy) == 6 + (1 if legacy else 1 + 1)


def test_files_go_both_ways(tmp_path: Path, as_old: Callable) -> None:
    spaces = [
        affine_subspace([[1, 2, 3.0], [0, 1, 1]], [0.1, 0.2, 1 / 3], 0.1, [3, 1 / 7], 0.5),
        affine_subspace([], [0.1, 0.2, 1 / 3], 0.1, [1, 1, 1], 0.25),
        bg_space([], [0, 0, 0], 5, [], 0.25),
    ]
    write_spaces(spaces, tmp_path / "new.csv")
    kspaces.write_spaces(as_old(spaces), str(tmp_path / "old.csv"))
    assert (tmp_path / "new.csv").read_bytes() == (tmp_path / "old.csv").read_bytes()
    for there, here in zip(
        kspaces.read_spaces(str(tmp_path / "new.csv")),
        read_spaces(tmp_path / "old.csv"),
        strict=True,
    ):
        assert type(there).__name__ == type(here).__name__
        for name in ("vectors", "translation", "latent_sigmas", "sigma", "prior"):
            np.testing.assert_array_equal(
                np.ravel(getattr(there, name)), np.ravel(getattr(here, name))
            )


def test_models_may_be_single_spaces_and_tuples(planted: SimulatedSubspaces) -> None:
    line = affine_subspace([[1, 0, 0, 0, 0]], np.zeros(5), 1.0, [2.0], 1.0)
    point = affine_subspace([], np.zeros(5), 1.0, [], 1.0)
    frame = pd.DataFrame(planted.X)
    answers = {
        model_selection(points, model, null)
        for points in (planted.X, frame)
        for model, null in ((line, point), ([line], [point]), ((line,), (point,)))
    }
    assert answers == {"model"}
    assert generate((line, point), 4, seed=0).shape == (4, 5)


@pytest.mark.parametrize("kind", [list, np.array, pd.Series, pd.Categorical])
@pytest.mark.parametrize("view", [view_3D_pca_mpl, view_3D_pretransformed_mpl])
def test_labels_of_any_kind_are_drawn(
    view: Callable[..., Any], kind: Callable[[Any], Any], planted: SimulatedSubspaces
) -> None:
    labels = ["a", "b", "c"] * 200
    colors = {"a": "red", "b": "blue"}
    figure, axs = view(
        planted.X[:, :3], subtypes=kind(labels), color_dict=colors, show=False, return_figure=True
    )
    [points] = axs[0, 0].collections
    assert len(points.get_offsets()) == 600
    [legend] = figure.legends
    assert sorted(text.get_text() for text in legend.get_texts()) == ["a", "b", "c"]
    plt.close(figure)


def test_no_marker_of_a_legend_covers_the_next(planted: SimulatedSubspaces) -> None:
    figure, _ = view_3D_pretransformed_mpl(
        planted.X[:, :3],
        subtypes=["a", "b"] * 300,
        distances=np.linspace(0, 3, 600),
        s_points=10,
        show=False,
        return_figure=True,
    )
    figure.canvas.draw()
    [legend] = figure.legends
    boxes = [handle.get_window_extent() for handle in legend.legend_handles]
    sizes = [handle.get_markersize() * figure.dpi / 72 for handle in legend.legend_handles]
    centers = [(box.y0 + box.y1) / 2 for box in boxes]
    for i in range(len(centers) - 1):
        assert centers[i] - centers[i + 1] >= 0.95 * (sizes[i] + sizes[i + 1]) / 2
    plt.close(figure)
