"""Samples as distributions: what distances between them tell, in simulated and real cohorts.

    python benchmarks/cohorts.py [simulated] [bcrxl] [covid] [kang] [--quick] [--write]

Real cohorts lie in a folder that LOWDIM_DATASETS names: `bcrxl_cytof` (Bodenmiller et al. 2012: 8
donors, each with and without stimulation), `covid_patients_pcs` (Stephenson et al. 2021: 16
patients and 4 healthy donors, 500 cells of each) and `kang_control_8_donors` (Kang et al. 2018).
"""

from __future__ import annotations

import argparse
import os
import warnings
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
from _parts import Part, arguments, run
from _tables import Table
from scipy.spatial.distance import cdist
from scipy.special import ndtr
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import StratifiedShuffleSplit

import lowdim as ld
from lowdim.samples import (
    baseline_distances,
    cross_validate_samples,
    knn_predict,
    permutation_test,
)
from lowdim.transport import Clouds, Mixtures, mixture_distances, transport_plan

DATASETS = Path(__file__).resolve().parents[2] / "shared" / "datasets"
#: Components of a sample's mixture, and what keeps their covariances regular.
K, FLOOR = 5, 1e-2
N_PCS = 20


def load(name: str) -> ad.AnnData:
    """A real cohort."""
    folder = Path(os.environ.get("LOWDIM_DATASETS", DATASETS))
    return ad.read_h5ad(folder / f"{name}.h5ad")


def mixtures(dataset: ld.SampleDataset, k: int = K, **options: Any) -> Mixtures:
    """One of every sample."""
    rows = dataset.source.take(np.arange(dataset.source.n_rows))
    settings = {"covariance_type": "diag", "reg_covar": FLOOR, "random_state": 0} | options
    model = ld.SampleGaussianMixtures(k, **settings)
    return model.fit(rows, dataset.names[dataset.groups.codes]).mixtures()


def percent(values: Any) -> str:
    """Mean and standard deviation."""
    return f"{np.mean(values):.2f} (sd {np.std(values, ddof=1):.2f})"


# Simulated ----------------------------------------------------------------------------------


def simulated(options: argparse.Namespace) -> Table:
    """Classes that differ in covariances within a plane."""
    table = Table(
        "cohorts-simulated",
        "Simulated cohorts: accuracy over samples held out",
        ["cohort", "bound", "true plane", "no map", "sample means", "learned map"],
        "Mixtures as drawn, mixed cost, 5 neighbours. `simulate_cohort` (60 samples, 8 features, "
        "signal in covariances): 5 folds; the bound is what the scores behind the samples allow; "
        "`GroundMetric(2)` with alpha from 0.1, 1 and 10 by the training samples, one start of 60 "
        "epochs. `simulate_hard_cohort`: seeds 42 to 44, three splits into 28 and 12 samples; "
        "`GroundMetric(2)` with its defaults otherwise.",
    )
    table.begin([22, 6, 10, 8, 12, 12])
    for separation in (3.0,) if options.quick else (1.0, 2.0, 3.0, 4.0):
        adata = ld.data.simulate_cohort(60, 10, 8, n_components=5, separation=separation)
        known, truth = drawn(adata)
        seen = fixed(known, truth["plane"])
        labels = truth["labels"]
        scores = [cross_validate_samples(D, labels, random_state=0).score for D in seen]
        metric = ld.GroundMetric(2, n_init=1, max_iter=60)
        grid = {"alpha": [0.1, 1.0, 10.0]}
        found = cross_validate_samples(known, labels, metric, grid=grid, random_state=0)
        cells = [ndtr(separation / 2), *scores, found.score]
        table.add(f"separation {separation:g}", *(f"{cell:.2f}" for cell in cells))
    seeds = (42,) if options.quick else (42, 43, 44)
    accuracies = np.mean([hard(seed) for seed in seeds], axis=0)
    table.add("hard", "-", *(f"{accuracy:.2f}" for accuracy in accuracies))
    return table


def drawn(adata: ad.AnnData) -> tuple[Mixtures, dict[str, Any]]:
    """The mixtures that cells were drawn from, and the rest of the truth."""
    truth = adata.uns["truth"]
    return Mixtures.of(truth["weights"], truth["means"], truth["covariances"]), truth


def fixed(known: Mixtures, plane: np.ndarray) -> list[np.ndarray]:
    """Distances in the true plane, without a map, and of the samples' means."""
    means = (known.weights[..., None] * known.means).sum(1)
    seen = known.mapped(plane), known
    return [*(mixture_distances(own, cost="mixed") for own in seen), cdist(means, means)]


def hard(seed: int) -> list[float]:
    """Accuracies of the true plane, no map, means and a learned map, over three splits."""
    known, truth = drawn(ld.data.simulate_hard_cohort(random_state=seed))
    labels = truth["labels"]
    tables = fixed(known, truth["plane"])
    scores = []
    splits = StratifiedShuffleSplit(3, train_size=0.7, random_state=42)
    for train, test in splits.split(labels, labels):
        metric = ld.GroundMetric(2, random_state=seed).fit(known.take(train), labels[train])
        predicted = [
            knn_predict(D, labels, train, test) for D in (*tables, metric.distances(known))
        ]
        scores.append([np.mean(own == labels[test]) for own in predicted])
    return np.mean(scores, axis=0).tolist()


# BCR-XL: paired donors ----------------------------------------------------------------------


def bcrxl(_: argparse.Namespace) -> Table:
    """Stimulation of a donor from the other seven."""
    adata = load("bcrxl_cytof")
    obs = adata.obs.astype(str)
    rows = np.arcsinh(np.asarray(adata.X, dtype=np.float64) / 5)
    surface = ~adata.var_names.str.startswith("p")
    table = Table(
        "cohorts-bcrxl",
        "BCR-XL: condition of a donor held out, and what each step adds",
        ["distance", "24 markers", "centred per donor", f"{surface.sum()} surface markers"],
        "Accuracy of the nearest neighbour among the other donors, over 16 samples, and the "
        "margin: (distance to the nearest sample of the other condition - to the nearest of its "
        "own) over their sum, mean over samples held out. Centred: the mean of a donor's two "
        f"sample means is subtracted. Mixtures have {K} full components; the learned map is "
        "`GroundMetric(2)` with its defaults otherwise, from the other donors alone.",
    )
    table.begin([34, 14, 18, 20])
    cohorts = []
    for values in (rows, centred(rows, obs), rows[:, surface]):
        dataset = ld.SampleDataset.from_arrays(values, obs["sample"], obs["condition"].to_numpy())
        cohorts.append((dataset, mixtures(dataset, covariance_type="full")))
    donors = cohorts[0][0].groups.labels(obs["donor"].to_numpy())
    steps: dict[str, Any] = {
        "means": lambda d, _: baseline_distances(d, "means"),
        "covariances": lambda d, _: baseline_distances(d, "covariances"),
        "one Gaussian each (W2)": lambda d, _: baseline_distances(d, "gaussians"),
        "mixtures, MW2": lambda _, m: mixture_distances(m),
        "mixtures, mixed cost": lambda _, m: mixture_distances(m, cost="mixed"),
        "mixtures, MW2, learned map": lambda _, m: learned(m, "mw2", cohorts[0][0], donors),
        "mixtures, mixed cost, learned map": lambda _, m: learned(
            m, "mixed", cohorts[0][0], donors
        ),
    }
    for name, step in steps.items():
        table.add(name, *(told(step(*cohort), cohort[0].labels, donors) for cohort in cohorts))
    return table


def centred(rows: np.ndarray, obs: pd.DataFrame) -> np.ndarray:
    """Rows less the mean of their donor's sample means."""
    means = pd.DataFrame(rows).groupby([obs["donor"].to_numpy(), obs["sample"].to_numpy()]).mean()
    return rows - means.groupby(level=0).mean().loc[obs["donor"]].to_numpy()


def learned(
    known: Mixtures, cost: str, dataset: ld.SampleDataset, donors: np.ndarray
) -> np.ndarray:
    """Distances of the samples of a donor, in rows, under the map of the other donors."""
    out = np.zeros((len(known), len(known)))
    for donor in np.unique(donors):
        others = np.flatnonzero(donors != donor)
        metric = ld.GroundMetric(2, cost=cost, random_state=0)
        metric.fit(known.take(others), dataset.labels[others])
        out[donors == donor] = metric.distances(known)[donors == donor]
    return out


def told(distances: np.ndarray, labels: np.ndarray, donors: np.ndarray) -> str:
    """Accuracy and margin of every sample among those of the other donors."""
    right, margins = [], []
    for s, donor in enumerate(donors):
        others = donors != donor
        own = distances[s, others & (labels == labels[s])].min()
        other = distances[s, others & (labels != labels[s])].min()
        right.append(own < other)
        margins.append((other - own) / (other + own))
    return f"{np.mean(right):.2f}, {np.mean(margins):.2f}"


# Covid: few healthy donors ------------------------------------------------------------------


def covid(options: argparse.Namespace) -> Table:
    """Phenotype of patients held out."""
    adata = load("covid_patients_pcs")
    rows = np.asarray(adata.X, dtype=np.float64)
    obs = adata.obs.astype(str)
    repeats, some, permutations = (2, 2, 19) if options.quick else (10, 3, 99)
    common = {"n_neighbors": 1, "n_splits": 4, "random_state": 0}
    table = Table(
        "cohorts-covid",
        "Covid patients and healthy donors: balanced accuracy over patients held out",
        ["distance", "10 PCs", "20 PCs", "50 PCs", "p, 50 PCs"],
        f"Nearest neighbour, 4 stratified folds, {repeats} repeats: mean, and standard deviation "
        "over repeats, which is that of the splits alone. There are 4 healthy donors: one more or "
        "less moves a figure by 0.125. Mixtures are diagonal. Nested: the row and column above "
        "are chosen on folds of the training samples, as a user would have to. Learned map: "
        f"`GroundMetric(cost='mw2')` of mixtures of {K}, with its components (1, 2, 5) and alpha "
        f"(1, 10) so chosen, one start, {some} repeats. p: {permutations} permutations of the "
        "labels.",
    )
    table.begin([30, 14, 14, 14, 9])
    sizes, kinds = (10, 20, 50), {}
    cohorts = {
        d: ld.SampleDataset.from_arrays(rows[:, :d], obs["sample_id"], obs["phenotype"].to_numpy())
        for d in sizes
    }
    fitted = {d: mixtures(own) for d, own in cohorts.items()}
    for d, own in cohorts.items():
        for kind in ("means", "covariances", "gaussians", "proportions", "cell_type_means"):
            kinds[kind, d] = baseline_distances(own, kind, cell_types=obs["cluster_id"])
        for k, of_k in ((K, fitted[d]), (2 * K, mixtures(own, 2 * K))):
            kinds[f"mixtures of {k}, MW2", d] = mixture_distances(of_k)
            kinds[f"mixtures of {k}, mixed cost", d] = mixture_distances(of_k, cost="mixed")
    labels = cohorts[50].labels
    for kind in dict.fromkeys(kind for kind, _ in kinds):
        cells = [
            percent(balanced(kinds[kind, d], labels, n_repeats=repeats, **common)) for d in sizes
        ]
        test = permutation_test(kinds[kind, 50], labels, n_permutations=permutations, **common)
        table.add(kind, *cells, f"{test.p_value:.2f}")
    nested = {f"{kind}, {d}": D for (kind, d), D in kinds.items() if "mixtures" not in kind}
    for name, several in (
        ("nested, all but mixtures", nested),
        ("nested, all", {f"{kind}, {d}": D for (kind, d), D in kinds.items()}),
    ):
        found = balanced(several, labels, n_repeats=repeats, **common)
        test = permutation_test(several, labels, n_permutations=permutations, **common)
        table.add(name, "-", "-", percent(found), f"{test.p_value:.2f}")
    grid = {"n_components": [1, 2, 5], "alpha": [1.0, 10.0]}
    metric = ld.GroundMetric(cost="mw2", n_init=1)
    cells = [
        percent(balanced(own, labels, metric=metric, grid=grid, n_repeats=some, **common))
        for own in fitted.values()
    ]
    table.add("mixtures of 5, MW2, learned map", *cells, "-")
    return table


def balanced(distributions: Any, labels: np.ndarray, **options: Any) -> pd.Series:
    """Balanced accuracy of every repeat."""
    return cross_validate_samples(distributions, labels, **options).by_repeat["balanced_accuracy"]


# Kang: halves of donors ---------------------------------------------------------------------


def kang(options: argparse.Namespace) -> Table:
    """Whether the other half of a donor's cells is the nearest of 15."""
    adata = load("kang_control_8_donors")
    counts = adata.X.toarray().astype(np.float64)
    scaled = np.log1p(1e4 * counts / counts.sum(1, keepdims=True))
    rows = PCA(N_PCS, random_state=0).fit_transform(scaled)
    donors, types = (adata.obs[key].astype(str).to_numpy() for key in ("donor", "cell_type"))
    n_splits = 2 if options.quick else 10
    table = Table(
        "cohorts-kang",
        "Eight donors in halves: how often the other half is the nearest of 15",
        ["distance", "all cells", "100 cells", "50 cells"],
        f"Mean and standard deviation over {n_splits} random splits of each donor's cells, with "
        "all of them (204 to 1,369 in a half), or so many of each half. Chance is 0.07. "
        f"{N_PCS} principal components of log-normalised counts; pseudobulk from counts. Mixtures "
        f"are diagonal, of {K} components, or of 10 that samples share. Transport of cells (W2) "
        "takes 100 of each half.",
    )
    table.begin([30, 14, 14, 14])
    found: dict[str, list[list[float]]] = {}
    rng = np.random.default_rng(0)
    for column, n_cells in enumerate((None, 100, 50)):
        for _ in range(n_splits):
            keep, names = halves(donors, n_cells, rng)
            for kind, D in of_halves(rows[keep], counts[keep], types[keep], names).items():
                found.setdefault(kind, [[], [], []])[column].append(pairing(D))
    for kind, cells in found.items():
        table.add(kind, *(percent(rates) for rates in cells))
    return table


def halves(
    donors: np.ndarray, n_cells: int | None, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Cells of two halves of every donor, and the names of these; partners are neighbours."""
    keep, names = [], []
    for donor in np.unique(donors):
        own = rng.permutation(np.flatnonzero(donors == donor))
        for half, part in enumerate(np.array_split(own, 2)):
            keep.append(part[:n_cells])
            names += [f"{donor}-{half}"] * len(keep[-1])
    return np.concatenate(keep), np.array(names)


def of_halves(
    rows: np.ndarray, counts: np.ndarray, types: np.ndarray, names: np.ndarray
) -> dict[str, np.ndarray]:
    """Distances by their kind."""
    dataset = ld.SampleDataset.from_arrays(rows, names)
    kinds = ("means", "covariances", "gaussians", "proportions", "cell_type_means")
    found = {kind: baseline_distances(dataset, kind, cell_types=types) for kind in kinds}
    found["pseudobulk"] = baseline_distances(
        ld.SampleDataset.from_arrays(counts, names), "pseudobulk"
    )
    own = mixtures(dataset)
    found["mixtures, MW2"] = mixture_distances(own)
    found["mixtures, mixed cost"] = mixture_distances(own, cost="mixed")
    shared = ld.SampleGaussianMixtures(
        10, sharing="global", covariance_type="diag", reg_covar=FLOOR, random_state=0
    )
    found["shared components, MW2"] = mixture_distances(shared.fit(rows, names).mixtures())
    found["cells, W2"] = cloud_w2(dataset.clouds(100))
    return found


def cloud_w2(clouds: Clouds) -> np.ndarray:
    """Wasserstein distances of point clouds."""
    out = np.zeros((len(clouds), len(clouds)))
    for i, j in zip(*np.triu_indices(len(clouds), 1), strict=True):
        cost = cdist(clouds.points[clouds.rows(i)], clouds.points[clouds.rows(j)], "sqeuclidean")
        out[i, j] = out[j, i] = np.sqrt((transport_plan(cost) * cost).sum())
    return out


def pairing(distances: np.ndarray) -> float:
    """Share of halves whose nearest other is their partner."""
    S = len(distances)
    nearest = (distances + np.diag(np.full(S, np.inf))).argmin(1)
    return float(np.mean(nearest == (np.arange(S) ^ 1)))


def main() -> None:
    """Run the parts that were asked for."""
    parts: dict[str, Part] = {"simulated": simulated, "bcrxl": bcrxl, "covid": covid, "kang": kang}
    parser = arguments(__doc__, parts)
    parser.add_argument(
        "--quick", action="store_true", help="fewer repeats, seeds and permutations"
    )
    warnings.simplefilter("ignore", ConvergenceWarning)  # 30 epochs are what is asked for
    warnings.filterwarnings("ignore", "Components of")  # narrow ones, held by FLOOR
    run(parser, parts)


if __name__ == "__main__":
    main()
