"""The curve over the number of components."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pytest

from lowdim import GaussianMixture, pl, select_mixture, tl


def test_the_curve_is_drawn() -> None:
    rng = np.random.default_rng(0)
    corners = 6.0 * np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]])
    X = corners[rng.integers(4, size=400)] + rng.normal(size=(400, 3))
    found = select_mixture(X, GaussianMixture(random_state=0), n_components=6)
    ax = pl.elbow(found)
    line, star = ax.get_lines()
    np.testing.assert_allclose(line.get_ydata(), found.table["bic"])
    assert list(star.get_xdata()) == [4]
    assert "4" in ax.get_legend().get_texts()[0].get_text()
    assert "log-likelihood" in pl.elbow(found, criterion="log_likelihood").get_ylabel()
    adata = ad.AnnData(X)
    tl.mixture(adata, n_components=range(1, 7))
    stored, its_star = pl.elbow(adata).get_lines()
    np.testing.assert_array_equal(stored.get_ydata(), line.get_ydata())
    assert list(its_star.get_xdata()) == [4]
    with pytest.raises(ValueError, match="criterion"):
        pl.elbow(found, criterion="inertia")
    with pytest.raises(TypeError, match="select_mixture"):
        pl.elbow(found.table)
