"""Tables of spatial factors say what the arrays say."""

from pathlib import Path

import anndata as ad
import numpy as np
import pytest
from sklearn.metrics import d2_tweedie_score, mean_poisson_deviance

import lowdim as ld
from lowdim.factorization import markers, rescale
from lowdim.get._fit_quality import fit_quality

KEY = "spatial_factors"


def arrays(adata: ad.AnnData) -> tuple[np.ndarray, np.ndarray]:
    return adata.obsm[KEY], adata.varm[f"{KEY}_loadings"]


def test_a_row_for_every_factor(factorized: ad.AnnData) -> None:
    F, W = arrays(factorized)
    table = ld.get.factors(factorized)
    assert table.index.tolist() == ["0", "1", "2"]
    assert table["kind"].tolist() == ["spatial", "spatial", "nonspatial"]
    np.testing.assert_array_equal(table["moran"], factorized.uns[KEY]["moran"])
    rates = np.einsum("il,jl->l", F, W)
    np.testing.assert_allclose(table["share"], rates / rates.sum())
    np.testing.assert_array_equal(table["n_genes"], (W > 0).sum(0))
    relative = np.median(factorized.obsm[f"{KEY}_sd"] / F, axis=0)
    np.testing.assert_allclose(table["relative_sd"], relative)


def test_a_wrong_key_is_told_which_fits_there_are(factorized: ad.AnnData) -> None:
    for ask in (ld.get.top_genes, ld.get.loadings, ld.get.components):
        with pytest.raises(ValueError, match=rf"no 'subspaces' .* with key=: \['{KEY}'\]"):
            ask(factorized)
    with pytest.raises(ValueError, match=rf"\['{KEY}'\]\); run .* first\.$"):
        ld.get.factors(factorized, "own")


def test_shares_and_importance(factorized: ad.AnnData) -> None:
    F, W = arrays(factorized)
    rows = ld.get.factor_shares(factorized)
    genes = ld.get.factor_shares(factorized, of="var")
    np.testing.assert_array_equal(rows, rescale(F, W).factors)
    np.testing.assert_array_equal(genes, rescale(F, W, "spde").loadings)
    assert rows.index.equals(factorized.obs_names)
    assert genes.index.equals(factorized.var_names)
    for of, shares in (("obs", rows), ("var", genes)):
        table = ld.get.spatial_importance(factorized, of=of)
        np.testing.assert_allclose(table.sum(1), 1)
        np.testing.assert_allclose(table["nonspatial"], shares["2"], atol=1e-12)


def test_top_genes_are_those_of_the_measure(factorized: ad.AnnData) -> None:
    found = markers(*arrays(factorized))
    for by in ("divergence", "log2_fold_change", "share", "loading"):
        table = ld.get.top_genes(factorized, KEY, n_genes=4, by=by)
        for k in range(3):
            part = table[table["factor"] == str(k)]
            values = getattr(found, by)[:, k]
            best = np.argsort(-values, kind="stable")[:4]
            assert part["gene"].tolist() == factorized.var_names[best].tolist()
            np.testing.assert_array_equal(part[by], values[best])
            assert part["rank"].tolist() == [1, 2, 3, 4]
    default = ld.get.top_genes(factorized, KEY, n_genes=100)
    assert (default["divergence"] > 0).all()
    kinds = default.groupby("factor")["gene"].first().str.rstrip("0123456789")
    assert sorted(kinds) == ["band", "odd", "spot"]
    assert kinds["2"] == "odd"


def test_loadings_are_profiles(factorized: ad.AnnData) -> None:
    table = ld.get.loadings(factorized, KEY)
    np.testing.assert_allclose(table.sum(), 1)
    np.testing.assert_array_equal(table, rescale(*arrays(factorized)).loadings)


def test_gene_sets(factorized: ad.AnnData, tmp_path: Path) -> None:
    sets = {kind: [f"{kind}{j}" for j in range(10)] for kind in ("spot", "band", "odd")}
    table = ld.get.enrichment(factorized, sets)
    first = table.groupby("factor")["gene_set"].first()
    assert sorted(first) == ["band", "odd", "spot"]
    assert first["2"] == "odd"
    path = tmp_path / "sets.gmt"
    path.write_text("".join(f"{k}\tx\t" + "\t".join(v) + "\n" for k, v in sets.items()))
    assert ld.get.enrichment(factorized, path).equals(table)
    with pytest.raises(TypeError, match="gene_sets is a int"):
        ld.get.enrichment(factorized, 3)


def test_the_quality_of_the_fit(factorized: ad.AnnData) -> None:
    F, W = arrays(factorized)
    y, expected = factorized.layers["counts"].astype(float), F @ W.T
    found = fit_quality(factorized)
    for j in (0, 17):
        assert found.gene_deviances[j] == pytest.approx(
            mean_poisson_deviance(y[:, j], expected[:, j])
        )
    assert found.row_deviances[5] == pytest.approx(mean_poisson_deviance(y[5], expected[5]))
    null = np.broadcast_to(y.mean(0), y.shape)
    total = mean_poisson_deviance(y.ravel(), null.ravel())
    own = mean_poisson_deviance(y.ravel(), expected.ravel())
    assert found.explained == pytest.approx(1 - own / total)
    one = d2_tweedie_score(y[:, 0], expected[:, 0], power=1)
    alone = 1 - found.gene_deviances[0] / mean_poisson_deviance(y[:, 0], null[:, 0])
    assert alone == pytest.approx(one)
    np.testing.assert_allclose(found.gene_means, y.mean(0))
    np.testing.assert_allclose(found.model_sd**2, found.expected)


def test_deviance_of_the_negative_binomial(tissue: ad.AnnData) -> None:
    ld.tl.spatial_factors(tissue, 2, likelihood="negative_binomial", size_factors="mean")
    F, W = arrays(tissue)
    y, r = tissue.layers["counts"].astype(float), 1 / tissue.var[f"{KEY}_dispersion"].to_numpy()
    mu = tissue.obs[f"{KEY}_size_factor"].to_numpy()[:, None] * (F @ W.T)

    def log_likelihood(rate: np.ndarray) -> np.ndarray:
        known = np.where(y > 0, y * np.log(np.where(y > 0, rate / (r + rate), 1)), 0.0)
        return known + r * np.log(r / (r + rate))

    expected = 2 * (log_likelihood(y) - log_likelihood(mu))
    np.testing.assert_allclose(fit_quality(tissue).gene_deviances, expected.mean(0), rtol=1e-6)


def test_values_that_are_not_known_are_left_out(factorized: ad.AnnData) -> None:
    before = fit_quality(factorized)
    y = factorized.layers["counts"].copy()
    hidden = y.copy()
    hidden[3, 4] = np.nan
    factorized.layers["counts"] = hidden
    after = fit_quality(factorized)
    F, W = arrays(factorized)
    own = mean_poisson_deviance([y[3, 4]], [F[3] @ W[4]])
    assert after.gene_deviances[4] == pytest.approx((144 * before.gene_deviances[4] - own) / 143)
    assert after.row_deviances[3] == pytest.approx((30 * before.row_deviances[3] - own) / 29)


def test_real_valued_factors_have_no_shares(factorized: ad.AnnData) -> None:
    rng = np.random.default_rng(0)
    factorized.obsm[KEY] = rng.normal(size=(144, 3))
    factorized.varm[f"{KEY}_loadings"] = W = rng.normal(size=(30, 3))
    factorized.uns[KEY]["nonnegative"] = False
    for ask in (ld.get.factor_shares, ld.get.spatial_importance):
        with pytest.raises(ValueError, match="real-valued factors is not defined"):
            ask(factorized)
    with pytest.raises(ValueError, match="by='share' is not a choice; pass one of 'loading'"):
        ld.get.top_genes(factorized, KEY, by="share")
    scaled = W * factorized.obsm[KEY].std(0)
    np.testing.assert_allclose(ld.get.loadings(factorized, KEY), scaled)
    table = ld.get.top_genes(factorized, KEY, n_genes=30)
    first = table[table["factor"] == "0"]
    assert (np.diff(first["loading"].abs()) <= 0).all()
    assert (first["loading"] < 0).any()
    np.testing.assert_allclose(table.groupby("gene")["share"].sum(), 1)


def test_what_is_missing_is_told(factorized: ad.AnnData) -> None:
    with pytest.raises(ValueError, match=r"run ld.tl.spatial_factors\(adata, key_added='none'\)"):
        ld.get.factors(factorized, "none")
    with pytest.raises(ValueError, match="layer='counts' is for by='mean'"):
        ld.get.top_genes(factorized, KEY, layer="counts")
    with pytest.raises(ValueError, match="by='axis' is not a choice"):
        ld.get.top_genes(factorized, KEY, by="axis")
    factorized.uns[KEY]["n_spatial"] = 3
    with pytest.raises(ValueError, match="3 spatial factors of 3"):
        ld.get.spatial_importance(factorized)
    del factorized.obsm[KEY]
    with pytest.raises(ValueError, match=r"adata.obsm has no 'spatial_factors'; run the fit again"):
        ld.get.factors(factorized)
