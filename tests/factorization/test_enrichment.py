"""Gene sets: files, tests against scipy's and scikit-learn's own, corrections."""

from pathlib import Path

import numpy as np
import pytest
from scipy.stats import fisher_exact, mannwhitneyu
from sklearn.metrics import roc_auc_score

from lowdim.factorization import enrichment, read_gmt

GENES = [f"g{j}" for j in range(60)]


def scored() -> tuple[np.ndarray, dict[str, list[str]]]:
    """Scores of two factors; the first is high in a set, the second in none."""
    rng = np.random.default_rng(0)
    scores = rng.normal(size=(60, 2))
    scores[:10, 0] += 2
    sets = {"own": [*GENES[:10], "elsewhere"], "other": GENES[20:35], "tiny": GENES[:3]}
    return scores, sets


def test_rank_test() -> None:
    scores, sets = scored()
    with pytest.warns(UserWarning, match=r"1 of 3 sets are left out.*min_size=5.*: tiny \(3\)\.$"):
        table = enrichment(scores, GENES, sets).set_index(["factor", "gene_set"])
    assert len(table) == 4
    row = table.loc[("0", "own")]
    own = np.arange(60) < 10
    test = mannwhitneyu(scores[own, 0], scores[~own, 0], alternative="greater")
    assert row["n_genes"] == 10
    assert row["auc"] == pytest.approx(roc_auc_score(own, scores[:, 0]))
    assert row["p_value"] == pytest.approx(test.pvalue)
    assert row["q_value"] < 1e-3
    assert (table.drop(("0", "own"))["q_value"] > 0.1).all()


def test_hypergeometric_test() -> None:
    scores, sets = scored()
    table = enrichment(scores, GENES, sets, test="hypergeometric", n_top=12)
    table = table.set_index(["factor", "gene_set"])
    own, top = np.arange(60) < 10, np.zeros(60, dtype=bool)
    top[np.argsort(-scores[:, 0])[:12]] = True
    cells = [[(own & top).sum(), (own & ~top).sum()], [(~own & top).sum(), (~own & ~top).sum()]]
    row = table.loc[("0", "own")]
    assert row["n_overlap"] == cells[0][0]
    assert row["p_value"] == pytest.approx(fisher_exact(cells, alternative="greater").pvalue)
    assert row["fold"] == pytest.approx(cells[0][0] / (12 * 10 / 60))


def test_a_few_of_the_sets_that_are_left_out_are_named() -> None:
    scores, sets = scored()
    small = {f"s{i}": GENES[i : i + 2] for i in range(13)} | {"all": GENES}
    with pytest.warns(UserWarning, match=r"14 of 16 sets.*: s0 \(2\), s1 \(2\).* and 4 more\.$"):
        enrichment(scores, GENES, {**small, "own": sets["own"], "other": sets["other"]})


def test_the_most_significant_set_of_each_factor_comes_first() -> None:
    rng = np.random.default_rng(0)
    sets = {f"s{i}": rng.choice(GENES, 8, replace=False).tolist() for i in range(20)}
    table = enrichment(rng.normal(size=(60, 12)), GENES, sets)
    assert table["factor"].drop_duplicates().tolist() == [str(k) for k in range(12)]
    for _, part in table.groupby("factor"):
        assert part["p_value"].is_monotonic_increasing
    # Benjamini and Hochberg: the smallest of p n / rank from there on.
    p = np.sort(table["p_value"])
    q = np.minimum.accumulate((p * len(p) / np.arange(1, len(p) + 1))[::-1])[::-1]
    np.testing.assert_allclose(np.sort(table["q_value"]), q)


def test_files_of_sets(tmp_path: Path) -> None:
    path = tmp_path / "sets.gmt"
    path.write_text("A\tabout\tg1\tg2\tg1\t\n\nB\t\tg3\n", encoding="utf-8")
    assert read_gmt(path) == {"A": ["g1", "g2"], "B": ["g3"]}
    path.write_text("A\tx\tg1\nA\tx\tg2\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"Line 2 .*'A' once more"):
        read_gmt(path)
    path.write_text("A\tx\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"Line 1 .* no genes"):
        read_gmt(path)
    with pytest.raises(FileNotFoundError):
        read_gmt(tmp_path / "none.gmt")


def test_bad_input_is_refused() -> None:
    scores, sets = scored()
    with pytest.raises(ValueError, match=r"no set with 5 to 500 of the 60 genes"):
        enrichment(scores, GENES, {"upper": [gene.upper() for gene in GENES[:20]]})
    with pytest.raises(ValueError, match=r"scores has shape \(59, 2\)"):
        enrichment(scores[1:], GENES, sets)
    with pytest.raises(ValueError, match="test='t'"):
        enrichment(scores, GENES, sets, test="t")
    with pytest.raises(TypeError, match="gene_sets is a list"):
        enrichment(scores, GENES, ["g1"])
    with pytest.raises(ValueError, match="repeated"):
        enrichment(scores, ["g"] * 60, sets)


def test_genes_without_a_score_are_not_among_the_top() -> None:
    scores, sets = scored()
    scores[:, 1] = 0.0
    scores[20:26, 1] = 1.0  # six genes of the set "other", and no more
    table = enrichment(scores, GENES, sets, test="hypergeometric", n_top=12)
    table = table.set_index(["factor", "gene_set"])
    other = np.isin(np.arange(60), np.arange(20, 35))
    cells = [[6, 9], [0, 45]]
    assert table.loc[("1", "other"), "n_overlap"] == 6
    expected = fisher_exact(cells, alternative="greater").pvalue
    assert table.loc[("1", "other"), "p_value"] == pytest.approx(expected)
    assert table.loc[("1", "own"), ["n_overlap", "p_value"]].tolist() == [0, 1]
    assert other.sum() == 15
    nothing = enrichment(np.zeros((60, 1)), GENES, sets, test="hypergeometric")
    assert (nothing["p_value"] == 1).all()
    assert (nothing["fold"] == 1).all()


def test_scores_and_sets_that_cannot_be_used_are_named() -> None:
    scores, sets = scored()
    with pytest.raises(TypeError, match=r"gene_sets\['own'\] is the string 'g1'"):
        enrichment(scores, GENES, {"own": "g1"})
    scores[3, 1] = np.nan
    with pytest.raises(ValueError, match="scores has values that are not finite"):
        enrichment(scores, GENES, sets)
