"""Marks stand at the estimates, between the ends of their intervals."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

import lowdim as ld
from lowdim.mixture import Estimate, SubspaceBootstrap


def make(dims: list[int], *, failed: int = 0, lost: int = 0) -> SubspaceBootstrap:
    """A result of 20 replicates in four columns, each estimate between 0.9 and 1.2 of itself."""

    def estimate(value: np.ndarray) -> Estimate:
        return Estimate(value, 0.07 * value, 0.9 * value, 1.2 * value)

    n, largest = len(dims), max(dims)
    rng = np.random.default_rng(0)
    overlap = np.full((20, n), 0.9)
    overlap[:lost, 0] = 0.2
    angles = np.sort(rng.uniform(1, 30, (20, n, largest)))[..., ::-1].copy()
    for k, d in enumerate(dims):
        angles[:, k, d:] = np.nan
    overlap[20 - failed :] = np.nan
    angles[20 - failed :] = np.nan
    return SubspaceBootstrap(
        weights=estimate(np.full(n, 1 / n)),
        noise_variances=estimate(np.linspace(1, 2, n)),
        latent_variances=[estimate(np.arange(d, 0, -1.0) * 5) for d in dims],
        means=estimate(np.ones((n, 4))),
        bases=[estimate(np.eye(4)[:d]) for d in dims],
        angles=angles,
        overlap=overlap,
        failed=failed,
        unconverged=0,
        level=0.9,
    )


def marks(ax: plt.Axes) -> tuple[np.ndarray, np.ndarray]:
    """Places of the dots, (n, 2), and (low, high, height) of the lines, (n, 3)."""
    dots = [line.get_xydata()[0] for line in ax.lines if line.get_marker() == "o"]
    bars = [line.get_xydata() for line in ax.lines if line.get_marker() == "|"]
    return np.array(dots), np.array([[bar[0, 0], bar[1, 0], bar[0, 1]] for bar in bars])


def test_four_panels() -> None:
    result = make([2, 0, 1])
    panels = ld.pl.bootstrap(result)
    assert panels.shape == (4,)
    assert "90% intervals of 20 replicates" in panels[0].figure.get_suptitle()
    for ax, estimate in zip(panels[:2], (result.weights, result.noise_variances), strict=True):
        dots, bars = marks(ax)
        np.testing.assert_allclose(dots, np.column_stack([estimate.value, [0, 1, 2]]))
        np.testing.assert_allclose(bars[:, :2], np.column_stack([estimate.low, estimate.high]))
    dots, bars = marks(panels[2])
    np.testing.assert_allclose(dots[:, 0], [10, 5, 5])
    np.testing.assert_allclose(dots[:, 1].round(), [0, 0, 2])
    assert dots[0, 1] < dots[1, 1]  # the axis points down: the first axis is on top
    np.testing.assert_allclose(bars[:, 1], 1.2 * dots[:, 0])
    dots, bars = marks(panels[3])
    np.testing.assert_allclose(dots[:, 0], result.angles_median[[0, 0, 2], [0, 1, 0]])
    np.testing.assert_allclose(bars[:, 0], dots[:, 0])
    np.testing.assert_allclose(bars[:, 1], result.angles_high[[0, 0, 2], [0, 1, 0]])
    names = [label.get_text() for label in panels[0].get_yticklabels()]
    assert names == ["0 (d = 2)", "1 (d = 0)", "2 (d = 1)"]
    low, high = panels[0].get_ylim()
    assert low > high


def test_failures_and_losses_are_said() -> None:
    panels = ld.pl.bootstrap(make([1, 1], failed=3, lost=4))
    assert "3 of them failed" in panels[0].figure.get_suptitle()
    assert panels[0].get_yticklabels()[0].get_text() == "0 (d = 1)\nlost in 4 of 17"
    assert np.isfinite(marks(panels[3])[0]).all()


def test_points_have_no_panels_of_axes() -> None:
    assert len(ld.pl.bootstrap(make([0, 0]))) == 2
    with pytest.raises(ValueError, match="quantity='angles'"):
        ld.pl.bootstrap(make([0, 0]), quantity="angles")


def test_far_apart_variances_have_a_logarithmic_scale() -> None:
    result = make([1, 1])
    assert ld.pl.bootstrap(result, quantity="noise_variances").get_xscale() == "linear"
    noise = result.noise_variances
    for part in (noise.value, noise.low, noise.high):
        part *= [1, 100]
    ax = ld.pl.bootstrap(result, quantity="noise_variances")
    assert ax.get_xscale() == "log"
    assert ld.pl.bootstrap(result, quantity="weights").get_xscale() == "linear"


def test_a_uniform_background_has_a_weight_only() -> None:
    result = make([1, 0])
    noise = result.noise_variances
    noise.value[1], noise.low[1], noise.high[1] = np.inf, np.nan, np.nan
    ax = ld.pl.bootstrap(result, quantity="noise_variances")
    assert len(marks(ax)[0]) == 1
    assert ax.get_yticklabels()[1].get_text() == "1 (background)"
    assert len(marks(ld.pl.bootstrap(result, quantity="weights"))[0]) == 2


def test_given_axes_are_drawn_on() -> None:
    result = make([1, 1])
    figure, axes = plt.subplots(2, 2)
    panels = ld.pl.bootstrap(result, ax=axes)
    assert [panel is ax for panel, ax in zip(panels, axes.ravel(), strict=True)] == [True] * 4
    _, ax = plt.subplots()
    assert ld.pl.bootstrap(result, quantity="angles", ax=ax) is ax
    assert "90% intervals" in ax.get_title()
    assert len(plt.get_fignums()) == 2
    assert figure.get_suptitle() == ""


@pytest.mark.parametrize("quantity", [None, "angles"])
def test_nothing_that_is_written_is_cut_off(quantity: str | None) -> None:
    panels = np.atleast_1d(ld.pl.bootstrap(make([3, 2, 1, 0, 1, 1], lost=3), quantity=quantity))
    figure = panels[0].figure
    figure.draw_without_rendering()
    whole = figure.bbox
    for ax in panels:
        for text in (ax.xaxis.label, ax.yaxis.label, *ax.get_yticklabels()):
            box = text.get_window_extent()
            assert box.x0 >= 0 and box.x1 <= whole.x1 + 1, text.get_text()
            assert box.y0 >= -1 and box.y1 <= whole.y1 + 1, text.get_text()


def test_errors() -> None:
    result = make([1, 1])
    with pytest.raises(TypeError, match="result is a str"):
        ld.pl.bootstrap("result")
    with pytest.raises(ValueError, match=r"quantity='means'.*'weights'"):
        ld.pl.bootstrap(result, quantity="means")
    with pytest.raises(ValueError, match="ax holds 1 Axes, but 4"):
        ld.pl.bootstrap(result, ax=plt.subplots()[1])
    with pytest.raises(TypeError, match="ax is a int"):
        ld.pl.bootstrap(result, ax=[1, 2, 3, 4])


def test_of_a_fit() -> None:
    planted = ld.data.subspaces([60, 40], dims=[1, 0], n_columns=3, random_state=0)
    model = ld.SubspaceMixture(dims=[1, 0], init=planted.labels).fit(planted.X)
    result = ld.bootstrap_subspaces(model, planted.X, n_boot=4, random_state=0)
    dots, _ = marks(ld.pl.bootstrap(result)[1])
    np.testing.assert_allclose(dots[:, 0], model.noise_variances_)
