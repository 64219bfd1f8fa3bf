"""The palette holds up for colour-blind eyes, and kinds of arrays are told apart."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb

from lowdim.pl._colors import INK, MISSING, PALETTE, array_coloring, palette

# Machado, Oliveira and Fernandes (2009), complete deficiency, on linear RGB.
EYES = {
    "normal": np.eye(3),
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216],
         [-0.003882, -0.048116, 1.051998]]
    ),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413],
         [-0.011820, 0.042940, 0.968881]]
    ),
    "tritanopia": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602],
         [0.004733, 0.691367, 0.303900]]
    ),
}  # fmt: skip


def oklab(colors: list[str], eyes: np.ndarray) -> np.ndarray:
    """Coordinates in OKLab (Ottosson, 2020) of colours as seen, (n, 3)."""
    rgb = np.array([to_rgb(color) for color in colors])
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    seen = np.clip(linear @ eyes.T, 0, 1)
    cones = seen @ np.array(
        [[0.4122214708, 0.5363325363, 0.0514459929], [0.2119034982, 0.6806995451, 0.1073969566],
         [0.0883024619, 0.2817188376, 0.6299787005]]
    ).T  # fmt: skip
    return np.cbrt(cones) @ np.array(
        [[0.2104542553, 0.7936177850, -0.0040720468], [1.9779984951, -2.4285922050, 0.4505937099],
         [0.0259040371, 0.7827717662, -0.8086757660]]
    ).T  # fmt: skip


@pytest.mark.parametrize("eyes", EYES)
@pytest.mark.parametrize(("n", "least"), [(8, 0.07), (16, 0.06), (30, 0.04)])
def test_colours_are_told_apart(eyes: str, n: int, least: float) -> None:
    lab = oklab([*PALETTE[:n], MISSING, INK, "white"], EYES[eyes])
    distance = np.linalg.norm(lab[:, None] - lab[None], axis=-1)
    assert distance[np.triu_indices(len(lab), 1)].min() > least


def test_colours_repeat_after_thirty() -> None:
    assert palette(3) == PALETTE[:3]
    assert len(set(palette(30))) == 30
    assert palette(31)[30] == PALETTE[0]


def test_floats_are_values_and_the_rest_labels() -> None:
    assert array_coloring([0.5, 1.0, 2.0], 3, "viridis").values is not None
    assert array_coloring([1, 0, 1], 3, "viridis").names == ("0", "1")
    assert array_coloring(np.arange(31), 31, "viridis").values is not None
    assert array_coloring([True, False, True], 3, "viridis").names == ("False", "True")
    labels = array_coloring(["b", None, "a"], 3, "viridis")
    assert labels.names == ("a", "b", "missing")
    assert labels.counts == (1, 1, 1)
    assert labels.colors[-1] == MISSING


def test_categories_keep_their_order_and_lose_what_is_unused() -> None:
    values = pd.Categorical(["low", "high"], categories=["low", "mid", "high"], ordered=True)
    assert array_coloring(values, 2, "viridis").names == ("low", "high")


def test_extreme_values_do_not_take_all_colours() -> None:
    values = np.append(np.linspace(0, 1, 999), 1e6)
    assert array_coloring(values, 1000, "viridis").norm.vmax < 2
    nothing = array_coloring([np.nan, np.inf], 2, "viridis")
    np.testing.assert_allclose(nothing.rgb, [to_rgb(MISSING)] * 2)
    nullable = array_coloring(pd.array([1.5, None]), 2, "viridis")
    assert np.isnan(nullable.values[1])


def test_one_entry_per_row() -> None:
    with pytest.raises(ValueError, match=r"color has shape \(2,\), but there are 3 rows"):
        array_coloring([1, 2], 3, "viridis")
    with pytest.raises(ValueError, match=r"\(3, 2\)"):
        array_coloring(np.ones((3, 2)), 3, "viridis")
