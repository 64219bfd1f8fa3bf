"""Clusters and mixtures of an AnnData."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from lowdim._keys import MixtureKeys
from lowdim._validation import check_in
from lowdim._version import __version__
from lowdim.cluster import KMeans, SoftKMeans
from lowdim.mixture import (
    GaussianMixture,
    MixtureSelection,
    NegativeBinomialMixture,
    select_mixture,
)
from lowdim.mixture._scores import MixtureScores, criteria_of, posterior
from lowdim.mixture._sizing import kind_of
from lowdim.tl._genes import GeneSpace, gene_space
from lowdim.tl._input import open_rows, warn_of_counts
from lowdim.tl._params import to_uns
from lowdim.tl._results import Results

if TYPE_CHECKING:
    from anndata import AnnData

    from lowdim._typing import PathLike
    from lowdim.data.sources import RowSource

FAMILIES = {
    "kmeans": KMeans,
    "soft_kmeans": SoftKMeans,
    "gaussian": GaussianMixture,
    "negative_binomial": NegativeBinomialMixture,
}
#: Sizes that "auto" tries.
AUTO = range(1, 11)
#: Fitted attributes that stand elsewhere in the AnnData, or that it has itself.
ELSEWHERE = ("labels_", "feature_names_in_")


def mixture(
    adata: AnnData,
    family: Any = "gaussian",
    *,
    n_components: int | str | Iterable[int] = "auto",
    criterion: str = "auto",
    use_rep: str | None = None,
    layer: str | None = None,
    key_added: str = "mixture",
    random_state: Any = 0,
    n_jobs: int | None = None,
    checkpoint: PathLike | None = None,
    verbose: int = 0,
    copy: bool = False,
) -> AnnData | None:
    """Cluster the rows of an AnnData by k-means or a mixture.

    Parameters
    ----------
    adata
        The AnnData.
    family : {"gaussian", "negative_binomial", "kmeans", "soft_kmeans"} or an estimator
        With a name, an estimator with its defaults; for other settings pass an unfitted
        `lowdim.GaussianMixture`, `lowdim.NegativeBinomialMixture`, `lowdim.KMeans` or
        `lowdim.SoftKMeans`, whose size and seed are replaced by those here. The negative binomial
        is for raw counts.
    n_components : int, "auto" or iterable of int, default="auto"
        Number of components, or those to choose from; "auto" is 1 to 10.
    criterion : {"auto", "bic", "aic", "icl", "heldout", "elbow"}, default="auto"
        What to choose by; see `lowdim.select_mixture`.
    use_rep
        Key of `obsm` to fit, such as "X_pca".
    layer
        Key of `layers` to fit. With neither, `X` is fitted.
    key_added
        Where results go. What an earlier call left there is replaced.
    random_state
        Seed; the same seed gives the same result on the same machine.
    n_jobs
        Sizes that are fitted at the same time.
    checkpoint
        A file to keep the fit in every few iterations; the same call goes on from there.
        For one size only.
    verbose
        1 shows a progress bar.
    copy
        Return a copy with the results and leave `adata` as it is.

    Returns
    -------
    None, or with `copy` the copy. It has:

    ``obs[key_added]``
        The component of each row, categorical: "0", "1", ...
    ``obsm[f"{key_added}_proba"]``
        The probability of each component, (N, K); not for "kmeans".
    ``varm[f"{key_added}_means"]``
        The centre of each component, (n_vars, K), where columns are genes, or principal components
        whose axes over the genes are known; see `lowdim.tl.subspaces`.
    ``varm[f"{key_added}_log2fc"]``, ``varm[f"{key_added}_log2fc_se"]``
        For "negative_binomial": log2 fold changes of the genes of each component against the
        others, and their standard errors, (n_vars, K); see `lowdim.get.top_genes`.
    ``uns[key_added]``
        The fit: ``family``, ``params``, ``objective``, ``criteria`` (log-likelihood, number of
        parameters, BIC, AIC and ICL; not for k-means and soft k-means), ``version`` and the
        estimator's fitted attributes without their underscore.
    ``uns[f"{key_added}_selection"]``
        If sizes were chosen from: the ``table`` of them and the ``criterion``.

    Raises
    ------
    TypeError, ValueError
        An argument or the data cannot be used. `adata` is then as it was.

    Examples
    --------
    >>> import lowdim as ld
    >>> adata = ld.data.pbmc68k()  # doctest: +SKIP
    >>> ld.tl.mixture(adata, n_components=8, use_rep="X_pca")  # doctest: +SKIP
    """
    keys = MixtureKeys(key_added)
    estimator = _estimator(family, random_state)
    if checkpoint is not None:
        estimator.set_params(checkpoint=checkpoint)
    kind = kind_of(estimator)
    source = open_rows(
        adata, layer=layer, use_rep=use_rep, written=(keys.probabilities,), copy=copy
    )
    if not kind.counts:
        warn_of_counts(source, layer=layer, use_rep=use_rep)
    chosen: MixtureSelection | None = None
    if isinstance(n_components, str):
        check_in(n_components, "n_components", ("auto",))
        n_components = AUTO
    if np.iterable(n_components):
        chosen = select_mixture(
            source,
            estimator,
            n_components=n_components,
            criterion=criterion,
            n_jobs=n_jobs,
            verbose=verbose,
            random_state=random_state,
        )
        model = chosen.best_estimator_
    else:
        if verbose:
            estimator.set_params(verbose=verbose)
        model = kind.sized(estimator, n_components).fit(source)
    results = _results(adata, source, model, keys, chosen, layer=layer, use_rep=use_rep)
    target = adata.copy() if copy else adata
    results.write(target)
    if chosen is None and keys.selection in target.uns:
        del target.uns[keys.selection]
    return target if copy else None


def _estimator(family: Any, random_state: Any) -> Any:
    if isinstance(family, str):
        check_in(family, "family", tuple(FAMILIES))
        return FAMILIES[family](random_state=random_state)
    kind_of(family)
    if type(family) not in FAMILIES.values():
        raise TypeError(
            f"family is of type {type(family).__name__}; for mixtures of subspaces use "
            "lowdim.tl.subspaces."
        )
    from sklearn.base import clone

    return clone(family).set_params(random_state=random_state)


def _results(
    adata: AnnData,
    source: RowSource,
    model: Any,
    keys: MixtureKeys,
    chosen: MixtureSelection | None,
    *,
    layer: str | None,
    use_rep: str | None,
) -> Results:
    """Everything that a fit says about its rows."""
    import pandas as pd

    kind = kind_of(model)
    centres = model.cluster_centers_ if kind.clusters else model.means_
    names = pd.Index([str(k) for k in range(len(centres))])
    labels, probabilities, criteria = _of_rows(model, source)
    genes = gene_space(adata, source, layer=layer, use_rep=use_rep)
    state = {
        name.rstrip("_"): value
        for name, value in vars(model).items()
        if name.endswith("_") and not name.startswith("_") and name not in ELSEWHERE
    }
    matrix = {"layer": layer, "use_rep": use_rep, "gene_means": genes and genes.means_are}
    record = {
        **state,
        "family": next(name for name, own in FAMILIES.items() if type(model) is own),
        "params": to_uns({**model.get_params(), **matrix}),
        "objective": float(getattr(model, kind.objective)),
        "version": __version__,
        **criteria,
    }
    uns: dict[str, Any] = {keys.record: record}
    if chosen is not None:
        table = {str(name): chosen.table[name].to_numpy() for name in chosen.table}
        uns[keys.selection] = {"table": table, "criterion": chosen.criterion}
    return Results(
        obs={keys.labels: pd.Categorical.from_codes(labels.tolist(), categories=names)},
        obsm={} if probabilities is None else {keys.probabilities: probabilities},
        varm={} if genes is None else _over_genes(model, genes, centres, keys),
        uns=uns,
        stale=[keys.means, keys.fold_changes, keys.fold_change_errors, keys.probabilities],
    )


def _over_genes(
    model: Any, genes: GeneSpace, centres: np.ndarray, keys: MixtureKeys
) -> dict[str, np.ndarray]:
    """The centres, and for counts how they differ, (n_vars, K)."""
    found = {keys.means: genes.means(centres)}
    if hasattr(model, "markers") and len(centres) > 1:
        tables = [model.markers(k, sort=False) for k in range(len(centres))]
        for name, column in (
            (keys.fold_changes, "log2_fold_change"),
            (keys.fold_change_errors, "standard_error"),
        ):
            found[name] = np.stack([table[column].to_numpy() for table in tables], axis=1)
    return found


def _of_rows(
    model: Any, source: RowSource
) -> tuple[np.ndarray, np.ndarray | None, dict[str, dict[str, float]]]:
    """Labels, (N,), probabilities, (N, K), and criteria, of which k-means has none."""
    if isinstance(model, MixtureScores):
        joint = model._log_joint(source)
        criteria = criteria_of(joint, model.n_parameters())
        return joint.argmax(1), posterior(joint), {"criteria": criteria}
    probabilities = model.predict_proba(source) if hasattr(model, "predict_proba") else None
    return model.predict(source), probabilities, {}
