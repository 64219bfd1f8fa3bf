"""What goes wrong in ggml-ot 0.9.94 with distances and learned metrics, and must not here.

Every check takes a package, ours or theirs. Ours passes; theirs fails, which is looked at where
ggml-ot is installed. What goes wrong when mixtures are fitted is in test_fit_gmm_defects.py.
"""

from __future__ import annotations

import tomllib
import warnings
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

import anndata as ad
import matplotlib.pyplot as plt
import numpy as np
import pytest
from sklearn.metrics import silhouette_score

import lowdim as ld
from lowdim.samples import cross_validate_samples, embed_samples, train, train_gmm
from lowdim.transport import (
    Mixtures,
    bures_squared,
    gaussian_wasserstein,
    mixture_distances,
)

ALPHA = 100.0


def as_anndata(X: np.ndarray, samples: Any, labels: Any) -> ad.AnnData:
    adata = ad.AnnData(np.asarray(X, dtype=np.float64))
    adata.obs["sample"] = np.asarray(samples).astype(str)
    adata.obs["label"] = np.asarray(labels).astype(str)
    return adata


class Lowdim:
    """Ours."""

    @staticmethod
    def needs() -> list[str]:
        with (Path(__file__).parents[2] / "pyproject.toml").open("rb") as file:
            return list(tomllib.load(file)["project"]["dependencies"])

    @staticmethod
    def distances(
        mixtures: Mixtures, W: Any = None, *, cost: str | None = None, entropic: float = 0.0
    ) -> np.ndarray:
        own = mixtures if W is None else mixtures.mapped(W)
        return mixture_distances(own, entropic=entropic, **({} if cost is None else {"cost": cost}))

    @staticmethod
    def trained_on(mixtures: Mixtures, labels: np.ndarray, W: Any, entropic: float) -> float:
        """What training takes for the mean of ``D_ij - D_jk`` over triplets."""
        model = ld.GroundMetric(len(W), init=W, alpha=ALPHA, entropic=entropic, max_iter=1)
        return model.fit(mixtures, labels).history_["hinge"][0] - ALPHA

    @staticmethod
    def train_shared(adata: ad.AnnData, entropic: float) -> np.ndarray:
        data = ld.SampleDataset.from_anndata(adata, sample_key="sample", label_key="label")
        data = ld.tl.fit_gmm(data, component_sharing="global", k_comps=3, verbose=False)
        return train_gmm(data, n_comps=2, max_iter=2, entropic_reg=entropic).components_

    @staticmethod
    def standardized(adata: ad.AnnData, sharing: str) -> np.ndarray:
        """Rows under the map that was trained on columns of one scale, (N, r)."""
        ld.tl.fit_gmm(
            adata, sample_key="sample", component_sharing=sharing, k_comps=2, gmm_key="key",
            verbose=False,
        )  # fmt: skip
        ld.tl.ground_metric(
            adata, sample_key="sample", label_key="label", gmm_key="key", n_components=2,
            standardize=True, max_iter=2,
        )  # fmt: skip
        return np.asarray(adata.obsm["ground_metric"])

    @staticmethod
    def train_cells(adata: ad.AnnData, n_cells: int) -> tuple[np.ndarray, int]:
        """The map, and how many samples it was learned from."""
        data = ld.SampleDataset.from_anndata(adata, sample_key="sample", label_key="label")
        return train(data, n_comps=2, n_cells=n_cells, max_iter=3).components_, len(data)

    @staticmethod
    def auto_from_arrays(X: np.ndarray, samples: np.ndarray) -> np.ndarray:
        """Means of the components of every sample."""
        return ld.tl.fit_gmm(X, samples, k_comps=2, verbose=False).supports

    @staticmethod
    def best_of_a_grid(mixtures: Mixtures, labels: np.ndarray, grid: dict[str, Any]) -> float:
        """The accuracy that is told of the settings that were chosen."""
        metric = ld.GroundMetric(max_iter=1, random_state=0)
        found = cross_validate_samples(
            mixtures, labels, metric, grid=grid, n_splits=3, scoring="accuracy", random_state=0
        )
        return found.score

    @staticmethod
    def embed(distances: np.ndarray, method: str) -> np.ndarray:
        method = {"fast_diffusion": "diffusion"}.get(method, method)
        return embed_samples(distances, method=method)

    @staticmethod
    def top_genes(loadings: np.ndarray, genes: list[str], n_genes: int | None) -> list[str]:
        """Of the first axis, with loadings (D, r)."""
        adata = ad.AnnData(np.ones((4, len(genes))))
        adata.var_names, adata.varm["ground_metric"] = genes, loadings
        adata.uns["ground_metric"] = {"components": loadings.T, "history": {"loss": [1.0]},
                                      "params": {"use_rep": "X_other"}}  # fmt: skip
        number = {} if n_genes is None else {"n_genes": n_genes}
        table = ld.get.top_genes(adata, "ground_metric", **number)
        return table.loc[table["axis"] == "0", "gene"].tolist()


class GgmlOt:
    """Theirs."""

    @staticmethod
    def needs() -> list[str]:
        return [need for need in metadata.requires("ggml-ot") or [] if "extra ==" not in need]

    @staticmethod
    def distances(
        mixtures: Mixtures, W: Any = None, *, cost: str | None = None, entropic: float = 0.0
    ) -> np.ndarray:
        from ggml_ot.distances.ot import compute_OT

        squared = {} if cost is None else {"squared_ground_cost": cost == "mw2"}
        found = compute_OT(
            mixtures.means, mixtures.covariances, mixtures.weights,
            ground_metric=W, entropic_reg=entropic, **squared,
        )  # fmt: skip
        return np.asarray(found) ** (0.5 if cost == "mw2" else 1.0)

    @staticmethod
    def trained_on(mixtures: Mixtures, labels: np.ndarray, W: Any, entropic: float) -> float:
        import torch
        from ggml_ot.optimization import loss, params

        parts = (mixtures.means, mixtures.weights, mixtures.covariances)
        means, weights, covariances = (torch.tensor(part, dtype=torch.float32) for part in parts)
        options = params.WassersteinBuresParams(entropic_reg=entropic, sinkhorn_max_iter=1000)
        by = loss.batch_triplet_loss_sinkhorn if entropic else loss.batch_triplet_loss_emd2
        map_A = torch.tensor(W, dtype=torch.float32, requires_grad=True)
        found = by(
            torch.zeros(()), means, weights, covariances, torch.tensor(triplets(labels)), map_A,
            ALPHA, options,
        )  # fmt: skip
        return float(found) - ALPHA

    @staticmethod
    def read(adata: ad.AnnData, n_cells: int = 10) -> Any:
        import ggml_ot

        return ggml_ot.from_anndata(adata, patient_col="sample", label_col="label", n_cells=n_cells)

    @classmethod
    def fitted(cls, adata: ad.AnnData, sharing: str, k: int) -> Any:
        from ggml_ot.gmm import fit_gmm

        data = cls.read(adata)
        fit_gmm(data, component_sharing=sharing, k_comps=k, gmm_key="key", verbose=False)
        return data

    @classmethod
    def train_shared(cls, adata: ad.AnnData, entropic: float) -> np.ndarray:
        import ggml_ot

        data = cls.fitted(adata, "global", 3)
        return ggml_ot.train_gmm(data, n_comps=2, max_iter=2, entropic_reg=entropic, plot_iter=0)[0]

    @classmethod
    def standardized(cls, adata: ad.AnnData, sharing: str) -> np.ndarray:
        import ggml_ot

        data = cls.fitted(adata, sharing, 2).normalize()
        ggml_ot.train(data, n_comps=2, max_iter=2, plot_iter=0)
        return np.asarray(adata.obsm["X_ggml"])

    @classmethod
    def train_cells(cls, adata: ad.AnnData, n_cells: int) -> tuple[np.ndarray, int]:
        import ggml_ot

        data = cls.read(adata, n_cells)
        W = ggml_ot.train(data, n_comps=2, max_iter=3, return_dataset=False)
        return np.asarray(W), len(data.distribution_labels)

    @staticmethod
    def auto_from_arrays(X: np.ndarray, samples: np.ndarray) -> np.ndarray:
        import ggml_ot
        from ggml_ot.gmm import fit_gmm

        parts = np.stack([X[samples == name] for name in np.unique(samples)])
        data = ggml_ot.from_numpy(parts, np.arange(len(parts)) % 2)
        fit_gmm(data, k_comps=2, verbose=False)
        means = np.asarray(data.supports)
        return means if means.ndim == 3 else np.repeat(means[None], len(parts), axis=0)

    @staticmethod
    def best_of_a_grid(mixtures: Mixtures, labels: np.ndarray, grid: dict[str, Any]) -> float:
        import ggml_ot

        data = ggml_ot.from_numpy(
            mixtures.means, labels, weights=mixtures.weights, covariances=mixtures.covariances
        )
        options = {"n_splits": 2, "max_iter": 1, "scoring": ("knn",), "plot_split": False}
        found = [
            ggml_ot.train_test(data, alpha=a, n_comps=r, print_table=False, **options)[1]
            for a in grid["alpha"]
            for r in grid["n_components"]
        ]
        # What `tune` sorts by, and tells.
        return max(float(table["knn"]["mean"].iloc[0]) for table in found)

    @staticmethod
    def embed(distances: np.ndarray, method: str) -> np.ndarray:
        from ggml_ot.plot.embedding import _compute_embedding

        return np.asarray(_compute_embedding(distances, method)).real

    @staticmethod
    def top_genes(loadings: np.ndarray, genes: list[str], n_genes: int | None) -> list[str]:
        from ggml_ot.gene import top_ranked

        adata = ad.AnnData(np.ones((4, len(genes))))
        adata.var_names, adata.varm["W_ggml"] = genes, loadings
        number = {} if n_genes is None else {"n_genes": n_genes}
        return list(top_ranked(adata, **number)[0])


Package = type[Lowdim] | type[GgmlOt]


def triplets(labels: np.ndarray) -> np.ndarray:
    S = range(len(labels))
    return np.array(
        [
            (i, j, k)
            for i in S for j in S for k in S
            if i != j and labels[i] == labels[j] != labels[k]
        ]
    )  # fmt: skip


def mixtures(S: int = 6, K: int = 3, d: int = 6, seed: int = 0) -> Mixtures:
    rng = np.random.default_rng(seed)
    roots = rng.normal(size=(S, K, d, d))
    covariances = roots @ roots.swapaxes(-1, -2) / d + 0.1 * np.eye(d)
    weights = rng.dirichlet(np.full(K, 5.0), size=S)
    return Mixtures.of(weights, rng.normal(size=(S, K, d)), covariances)


def cells(S: int = 6, n: int = 30, d: int = 4) -> ad.AnnData:
    rng = np.random.default_rng(0)
    codes = np.repeat(np.arange(S), n)
    X = rng.normal(size=(S * n, d)) + 2.0 * (codes % 2)[:, None]
    X[:, 0] += 5.0 * (rng.random(S * n) < 0.5)
    return as_anndata(X, [f"p{s}" for s in codes], np.where(codes % 2, "odd", "even"))


def training_takes_other_distances_than_evaluation(package: Package) -> None:
    own, labels = mixtures(), np.arange(6) % 2
    W = np.linalg.qr(np.random.default_rng(1).normal(size=(6, 3)))[0].T
    D = package.distances(own, W, cost="mixed")
    i, j, k = triplets(labels).T
    expected = (D[i, j] - D[j, k]).mean()
    assert package.trained_on(own, labels, W, 0.0) == pytest.approx(expected, abs=2e-3)


def entropic_training_has_another_penalty_than_evaluation(package: Package) -> None:
    own, labels = mixtures(), np.arange(6) % 2
    own.means[5] *= 50.0  # one sample far off
    W = np.linalg.qr(np.random.default_rng(1).normal(size=(6, 1)))[0].T
    D = package.distances(own, W, cost="mixed", entropic=0.5)
    i, j, k = triplets(labels).T
    expected = (D[i, j] - D[j, k]).mean()
    assert package.trained_on(own, labels, W, 0.5) == pytest.approx(expected, abs=2e-3)


def in_training_a_sample_is_off_its_copy(package: Package) -> None:
    W = np.linalg.qr(np.random.default_rng(1).normal(size=(6, 3)))[0].T
    far = np.linalg.norm(W @ np.ones(6))
    for seed in range(4):
        one = mixtures(1, 1, seed=seed)
        pairs = (np.repeat(own, 4, 0) for own in (one.weights, one.means, one.covariances))
        copies = Mixtures(*pairs)
        copies.means[2:], copies.covariances[2:] = one.means + 1.0, np.eye(6)
        apart = far + bures_squared(W @ one.covariances[0] @ W.T, np.eye(3)[None])[0, 0]
        found = package.trained_on(copies, np.array([0, 0, 1, 1]), W, 0.0)
        assert found == pytest.approx(-apart, abs=2e-3)


def shared_components_and_entropic_plans_break(package: Package) -> None:
    for S in (6, 2 * 2):
        for entropic in (0.0, 0.5):
            assert np.isfinite(package.train_shared(cells(S), entropic)).all()
    assert np.isfinite(package.train_shared(cells(4).copy()[:, :2].copy(), 0.5)).all()


def maps_of_standardized_columns_are_applied_to_raw_ones(package: Package) -> None:
    adata, other = cells(), cells()
    other.X = other.X * np.array([1.0, 0.1, 10.0, 1.0])
    first, second = (package.standardized(own, "sample_specific") for own in (adata, other))
    gaps = [np.linalg.norm(Z[:50, None] - Z[:50], axis=2) for Z in (first, second)]
    np.testing.assert_allclose(gaps[1], gaps[0], rtol=0.1, atol=0.05 * gaps[0].max())


def shared_components_cannot_be_standardized(package: Package) -> None:
    assert np.isfinite(package.standardized(cells(), "global")).all()


def the_default_cost_has_no_unit(package: Package) -> None:
    own, W = mixtures(), np.eye(6)
    plain = package.distances(own, W)
    for s in (0.1, 10.0):
        scaled = Mixtures.of(own.weights, s * own.means, s**2 * own.covariances)
        np.testing.assert_allclose(package.distances(scaled, W), s * plain, rtol=1e-4, atol=1e-4)


def without_a_map_there_is_no_distance(package: Package) -> None:
    assert np.isfinite(package.distances(mixtures())).all()


def small_variances_are_clamped(package: Package) -> None:
    rng = np.random.default_rng(0)
    roots = rng.normal(size=(4, 5, 5))
    spread = 1e-2 * (roots @ roots.swapaxes(1, 2) / 5 + 0.1 * np.eye(5))
    means = np.zeros((4, 1, 5))
    own = Mixtures.of(np.ones((4, 1)), means, spread[:, None])
    expected = gaussian_wasserstein(means[:, 0], spread, means[:, 0], spread)
    found = package.distances(own, np.eye(5), cost="mw2")
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-6)


def two_trainings_from_the_same_seed_differ(package: Package) -> None:
    first, second = (package.train_cells(cells(), 10)[0] for _ in range(2))
    np.testing.assert_array_equal(first, second)


def small_samples_are_dropped(package: Package) -> None:
    adata = cells()
    small = adata[np.r_[0:10, 30 : len(adata)]].copy()
    assert package.train_cells(small, 20)[1] == 6


def every_training_ends_with_a_plot(package: Package) -> None:
    plt.close("all")
    package.train_cells(cells(), 10)
    left = plt.get_fignums()
    plt.close("all")
    assert not left


def auto_is_not_what_it_is_said_to_be(package: Package) -> None:
    adata = cells(4)
    means = package.auto_from_arrays(adata.X, adata.obs["sample"].to_numpy())
    for own in means[1:]:  # "auto" of arrays is "global"
        np.testing.assert_allclose(own, means[0], rtol=1e-6)


def settings_are_chosen_on_test_samples(package: Package) -> None:
    """Where there is nothing to tell, the accuracy that is told is a half, give or take .04."""
    grid = {"alpha": [0.1, 10.0], "n_components": [1, 2, 3]}
    scores = [
        package.best_of_a_grid(mixtures(12, 1, 4, seed), np.arange(12) % 2, grid)
        for seed in range(30, 42)
    ]
    assert np.mean(scores) < 0.58


def groups() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    labels = rng.permutation(np.repeat([0, 1], 15))
    points = rng.normal(size=(30, 3)) + 4.0 * labels[:, None]
    return np.linalg.norm(points[:, None] - points, axis=2), labels


def diffusion_maps_are_rows_of_eigenvectors(package: Package) -> None:
    distances, labels = groups()
    assert silhouette_score(package.embed(distances, "fast_diffusion"), labels) > 0.5


def tsne_has_one_perplexity_for_all(package: Package) -> None:
    distances = groups()[0][:3, :3]
    assert np.isfinite(package.embed(distances, "tsne")).all()


LOADINGS, GENES = np.array([[3.0, -1, 0.1, 0.5, -4, 2], [0, 0, 1, 0, 0, -1.0]]).T, list("abcdef")


def the_weakest_genes_come_first(package: Package) -> None:
    assert package.top_genes(LOADINGS, GENES, 3) == ["e", "a", "f"]


def without_a_number_there_are_no_genes(package: Package) -> None:
    assert package.top_genes(LOADINGS, GENES, None)[:3] == ["e", "a", "f"]


def it_needs_what_few_use_and_old_versions(package: Package) -> None:
    needs = package.needs()
    assert not [need for need in needs if "<" in need.partition(";")[0]]
    heavy = ("decoupler", "gprofiler", "igraph", "pydiffmap", "umap", "tbb")
    assert not [need for need in needs if need.startswith(heavy)]


CHECKS = [
    settings_are_chosen_on_test_samples,
    training_takes_other_distances_than_evaluation,
    entropic_training_has_another_penalty_than_evaluation,
    in_training_a_sample_is_off_its_copy,
    shared_components_and_entropic_plans_break,
    maps_of_standardized_columns_are_applied_to_raw_ones,
    shared_components_cannot_be_standardized,
    the_default_cost_has_no_unit,
    without_a_map_there_is_no_distance,
    small_variances_are_clamped,
    two_trainings_from_the_same_seed_differ,
    small_samples_are_dropped,
    every_training_ends_with_a_plot,
    auto_is_not_what_it_is_said_to_be,
    diffusion_maps_are_rows_of_eigenvectors,
    tsne_has_one_perplexity_for_all,
    the_weakest_genes_come_first,
    without_a_number_there_are_no_genes,
    it_needs_what_few_use_and_old_versions,
]


@pytest.mark.filterwarnings("ignore:The loss was still falling")
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_not_here(check: Callable[[Package], None]) -> None:
    check(Lowdim)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_in_ggml_ot(check: Callable[[Package], None]) -> None:
    pytest.importorskip("ggml_ot")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            check(GgmlOt)
        except (AssertionError, ArithmeticError, LookupError, RuntimeError, TypeError, ValueError):
            return
    pytest.fail("ggml-ot passes")
