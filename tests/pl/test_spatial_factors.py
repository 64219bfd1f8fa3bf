"""Maps show every row at its place in the colour of its value."""

from __future__ import annotations

import anndata as ad
import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.collections import EllipseCollection

import lowdim as ld
from lowdim.pl._tissue import tissue_of

KEY = "spatial_factors"


def spots(ax: Axes) -> EllipseCollection:
    return next(c for c in ax.collections if isinstance(c, EllipseCollection))


def test_a_map_for_every_factor(factorized: ad.AnnData) -> None:
    panels = ld.pl.spatial_factors(factorized)
    assert panels.shape == (3,)
    for k, ax in enumerate(panels):
        drawn = spots(ax)
        np.testing.assert_array_equal(drawn.get_offsets(), factorized.obsm["spatial"])
        assert drawn.get_widths() == pytest.approx(0.95 * 50)  # the grid's distance
        values = factorized.obsm[KEY][:, k]
        top = np.percentile(values, 99.5)
        expected = colormaps["viridis"](np.clip(values / top, 0, 1))
        np.testing.assert_allclose(drawn.get_facecolors()[:, :3], expected[:, :3], atol=1e-12)
        assert ax.get_aspect() == 1
        assert f"I = {factorized.uns[KEY]['moran'][k]:.2f}" in ax.get_title()
    assert "nonspatial" in panels[2].get_title()
    assert "nonspatial" not in panels[0].get_title()


def test_single_factors_and_given_axes(factorized: ad.AnnData) -> None:
    figure, grid = plt.subplots(1, 2)
    assert ld.pl.spatial_factors(factorized, factors=1, ax=grid[0]) is grid[0]
    both = ld.pl.spatial_factors(factorized, factors=[2, 0], ax=grid)
    assert [ax.get_title().split(",")[0] for ax in both] == ["factor 2", "factor 0"]
    assert plt.get_fignums() == [figure.number]
    with pytest.raises(ValueError, match="ax has 2 Axes, but there are 3 factors"):
        ld.pl.spatial_factors(factorized, ax=grid)


def test_uncertainty(factorized: ad.AnnData) -> None:
    cmap = colormaps["viridis"]
    sd, mean = factorized.obsm[f"{KEY}_sd"][:, 0], factorized.obsm[KEY][:, 0]
    for uncertainty, values in ((True, sd), ("relative", sd / mean)):
        ax = ld.pl.spatial_factors(factorized, factors=0, uncertainty=uncertainty)
        expected = cmap(np.clip(values / np.percentile(values, 99.5), 0, 1))[:, :3]
        np.testing.assert_allclose(spots(ax).get_facecolors()[:, :3], expected, atol=1e-12)


def test_an_estimator_is_drawn_at_given_places(tissue: ad.AnnData) -> None:
    model = ld.SpatialFactorization(2, random_state=0)
    model.fit(tissue.layers["counts"], tissue.obsm["spatial"])
    panels = ld.pl.spatial_factors(model, tissue.obsm["spatial"])
    np.testing.assert_array_equal(spots(panels[0]).get_offsets(), tissue.obsm["spatial"])
    assert ld.pl.convergence(model).get_ylabel() == "bound per row"
    assert ld.pl.loadings(model, 0).get_title() == "factor 0"
    with pytest.raises(TypeError, match="coordinates is None"):
        ld.pl.spatial_factors(model)
    with pytest.raises(ValueError, match="coordinates has 3 rows"):
        ld.pl.spatial_factors(model, np.zeros((3, 2)))


def test_places_on_a_line_have_bands(factorized: ad.AnnData) -> None:
    time = np.random.default_rng(0).permutation(144).astype(float)
    factorized.obsm["spatial"] = time[:, None]
    ax = ld.pl.spatial_factors(factorized, factors=1)
    x, y = ax.lines[0].get_data()
    order = np.argsort(time)
    np.testing.assert_array_equal(x, time[order])
    np.testing.assert_array_equal(y, factorized.obsm[KEY][order, 1])
    band = ax.collections[0].get_paths()[0].vertices
    high = factorized.obsm[KEY][:, 1] + 2 * factorized.obsm[f"{KEY}_sd"][:, 1]
    assert band[:, 1].max() == pytest.approx(high.max())
    assert band[:, 1].min() >= 0


def test_of_three_axes_two_are_chosen(factorized: ad.AnnData) -> None:
    places = np.random.default_rng(0).normal(size=(144, 3))
    factorized.obsm["spatial"] = places
    with pytest.raises(ValueError, match=r"3 axes, and a map has two.*axes=\(0, 1\)"):
        ld.pl.spatial_factors(factorized)
    ax = ld.pl.spatial_factors(factorized, factors=0, axes=(2, 0))
    np.testing.assert_array_equal(spots(ax).get_offsets(), places[:, [2, 0]])
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("axis 2", "axis 0")
    with pytest.raises(ValueError, match=r"axes=\(0, 3\)"):
        ld.pl.spatial_factors(factorized, axes=(0, 3))


def test_slides_are_drawn_one_at_a_time(factorized: ad.AnnData) -> None:
    factorized.uns[KEY]["params"]["sample_key"] = "slide"
    ax = ld.pl.spatial_factors(factorized, factors=0, sample="b")
    own = (factorized.obs["slide"] == "b").to_numpy()
    np.testing.assert_array_equal(spots(ax).get_offsets(), factorized.obsm["spatial"][own])
    for sample in (None, "c"):
        with pytest.raises(ValueError, match=r"one of the slides; pass one of \['a', 'b'\]"):
            ld.pl.spatial_factors(factorized, sample=sample)
    del factorized.uns[KEY]["params"]["sample_key"]
    with pytest.raises(ValueError, match="no sample_key"):
        ld.pl.spatial_factors(factorized, sample="b")


def test_the_image_lies_below(factorized: ad.AnnData) -> None:
    library = {
        "images": {"hires": np.ones((60, 120, 3))},
        "scalefactors": {"tissue_hires_scalef": 0.1, "spot_diameter_fullres": 40.0},
    }
    factorized.uns["spatial"] = {"slide": library}
    ax = ld.pl.spatial_factors(factorized, factors=0)
    assert ax.images[0].get_extent() == [0, 1200, 600, 0]
    assert ax.yaxis_inverted()
    assert not ld.pl.spatial_factors(factorized, factors=0, image=False).images
    factorized.uns["spatial"] = {"a": library, "b": {"images": {}}}
    assert not ld.pl.spatial_factors(factorized, factors=0).images  # which one is not known
    places = factorized.obsm["spatial"]
    assert tissue_of(places, factorized, "a").image is not None
    assert tissue_of(places, factorized, "b").image is None


def test_many_places_are_shaded(factorized: ad.AnnData) -> None:
    ax = ld.pl.spatial_factors(factorized, factors=0, max_points=100)
    assert not ax.collections
    assert len(ax.images) == 1


def test_places_without_extent(tissue: ad.AnnData) -> None:
    model = ld.SpatialFactorization(1, random_state=0)
    places = np.ones((144, 2))
    model.fit(tissue.layers["counts"], places)
    ld.pl.spatial_factors(model, places)[0].figure.canvas.draw()


def test_bars_are_the_top_genes(factorized: ad.AnnData) -> None:
    panels = ld.pl.loadings(factorized, n_genes=5, key=KEY)
    table = ld.get.top_genes(factorized, KEY, n_genes=5)
    for k, ax in enumerate(panels):
        part = table[table["factor"] == str(k)]
        names = [label.get_text() for label in ax.get_yticklabels()]
        assert names == part["gene"].tolist()
        np.testing.assert_allclose([bar.get_width() for bar in ax.patches], part["loading"])
        assert [text.get_text() for text in ax.texts] == [f"{s:.0%}" for s in part["share"]]
    with pytest.raises(ValueError, match="component=3 is not one of the 3 factors"):
        ld.pl.loadings(factorized, 3, key=KEY)
    with pytest.raises(TypeError, match="axis=0 is for subspaces"):
        ld.pl.loadings(factorized, 0, 0, key=KEY)


def test_importance(factorized: ad.AnnData) -> None:
    genes, rows = ld.pl.spatial_importance(factorized)
    ordered = ld.get.spatial_importance(factorized)["spatial"].sort_values(ascending=False)
    np.testing.assert_array_equal(genes.lines[0].get_ydata(), ordered)
    assert ordered.index[0] in genes.texts[0].get_text()
    assert ordered.index[-1] in genes.texts[1].get_text()
    assert len(spots(rows).get_offsets()) == 144
    factorized.uns[KEY]["params"]["sample_key"] = "slide"
    ax = ld.pl.spatial_importance(factorized, of="obs")
    assert sum(bar.get_height() for bar in ax.patches) == 144


def test_goodness_of_fit(factorized: ad.AnnData) -> None:
    counts, genes, rows = ld.pl.goodness_of_fit(factorized)
    identity = counts.lines[0]
    np.testing.assert_array_equal(identity.get_xdata(), identity.get_ydata())
    assert len(genes.lines[0].get_xdata()) == 30
    highest = genes.lines[0].get_ydata().max()
    assert genes.get_ylim()[1] > 1.05 * highest  # a name above it stays inside
    assert len(spots(rows).get_offsets()) == 144
    assert ld.pl.goodness_of_fit(factorized, panel="genes").get_ylabel() == "mean deviance"
    with pytest.raises(ValueError, match="panel='cells'"):
        ld.pl.goodness_of_fit(factorized, panel="cells")


def test_convergence(factorized: ad.AnnData) -> None:
    ax = ld.pl.convergence(factorized, key=KEY)
    np.testing.assert_array_equal(ax.lines[0].get_ydata(), factorized.uns[KEY]["lower_bounds"])
    assert ax.get_title().startswith("converged after")


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"factors": 3}, ValueError, "factors=3: pass numbers from 0 to 2"),
        ({"factors": []}, ValueError, "factors="),
        ({"factors": "a"}, TypeError, "factors='a'"),
        ({"uncertainty": "some"}, ValueError, "uncertainty='some'"),
        ({"key": "none"}, ValueError, "no 'none' from lowdim"),
        ({"coordinates": np.zeros((144, 2))}, TypeError, "leave it out"),
        ({"n_columns": 0}, ValueError, "n_columns=0"),
    ],
)
def test_errors(
    factorized: ad.AnnData, options: dict, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        ld.pl.spatial_factors(factorized, **options)
