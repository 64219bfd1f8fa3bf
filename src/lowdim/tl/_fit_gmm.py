"""A Gaussian mixture for every sample of an AnnData."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import numpy as np
from anndata import AnnData

from lowdim._keys import GmmKeys
from lowdim._validation import check_in
from lowdim._warnings import warn_caller
from lowdim.samples import SampleDataset, SampleGaussianMixtures
from lowdim.samples._fits import CRITERIA, check_sizes, numbers_of_components
from lowdim.samples._rows import listed
from lowdim.samples._schema import record_of
from lowdim.tl._input import open_rows
from lowdim.tl._results import Results

if TYPE_CHECKING:
    from lowdim._typing import PathLike

SHARING = ("auto", "sample_specific", "global")
REFIT = ("full", "none")
TOO_SMALL = ("raise", "drop")

_logger = logging.getLogger("lowdim")


def fit_gmm(
    data: Any,
    samples: Any = None,
    *,
    sample_key: str | None = None,
    label_key: str | None = None,
    use_rep: str | None = None,
    layer: str | None = None,
    component_sharing: str = "auto",
    k_comps: Any = None,
    k_selection_metric: str = "bic",
    refit: str = "full",
    covariance_type: str = "full",
    train_size: float = 0.5,
    max_iter: int = 100,
    tol: float = 1e-3,
    n_init: int = 1,
    eps: float = 1e-4,
    singularity_handling: str = "guarded",
    too_small: str = "raise",
    gmm_key: str | None = None,
    random_state: Any = 0,
    n_jobs: int | None = None,
    checkpoint: PathLike | None = None,
    verbose: bool = True,
) -> SampleDataset:
    """Fit a Gaussian mixture to the rows of every sample, such as the cells of each patient.

    The arguments are those of ``ggml_ot.gmm.fit_gmm``, and the AnnData holds the same entries
    afterwards, so that files can be read by either package. Rows may come in any order and units.

    Parameters
    ----------
    data
        An AnnData (with `sample_key`), rows, (N, D) (with `samples`), or a `lowdim.SampleDataset`.
    samples : (N,)
        The sample of every row, where `data` are rows.
    sample_key, label_key
        Columns of `obs`: the samples, and what they are, such as "case" and "control".
    use_rep, layer
        Key of `obsm` to fit, such as "X_pca", or of `layers`. With neither, `X` is fitted.
    component_sharing : {"auto", "sample_specific", "global"}, default="auto"
        Whether every sample has components of its own, or all have the same with weights of their
        own. "auto" is "sample_specific" for what comes from an AnnData and "global" for arrays.
    k_comps : int, iterable of int or None, default=None
        K. Several are tried for each sample, and `k_selection_metric` chooses; None tries 1 to 12
        as far as a sample has rows for.
    k_selection_metric : {"bic", "aic", "heldout_nll"}, default="bic"
        Low is good. The first two are of fits to all rows; for "heldout_nll" a random
        `train_size` of a sample's rows is fitted, and the mean negative log-likelihood of its
        other rows counts.
    refit : {"full", "none"}, default="full"
        Whether the number that "heldout_nll" has chosen is fitted again to all rows. With "none"
        the fit to some of the rows is kept. Without rows held out it makes no difference.
    covariance_type : {"full", "diag"}, default="full"
    train_size : float, default=0.5
    max_iter, tol
        EM stops after so many passes, or when one raises the mean log-likelihood per row by less.
    n_init
        Starts, of which the fit is kept that makes rows likeliest that are left out of it.
    eps
        Added to every variance, relative to the mean variance per column of a sample's rows: 1e-4
        is one percent of a typical standard deviation.
    singularity_handling : {"guarded", "robust", "strict"}, default="guarded"
        What is done about components whose rows hardly vary along some direction, by less than
        `eps`. With "guarded" `eps` is their width there and a warning names the samples; with
        "robust" these samples are fitted again with 100 `eps`; "strict" makes it an error.
    too_small : {"raise", "drop"}, default="raise"
        Whether samples with fewer rows than the fit needs are an error, or left out with a
        warning that names them. Their rows then have component -1 and no responsibilities.
    gmm_key
        Key of `uns` for an AnnData; by default ``"gmm_"`` and the name of the matrix.
    random_state
        Seed; the same seed gives the same result on the same machine.
    n_jobs
        Samples that are fitted at the same time, in threads; -1 is one per core.
    checkpoint
        A file that keeps the samples that are fitted. The same call goes on from there.
    verbose
        Whether a bar shows how many samples are done.

    Returns
    -------
    SampleDataset
        The samples with their mixtures: ``supports``, ``covariances``, ``weights``, and the
        estimator in ``gmm``. An AnnData that was passed has in addition:

        ``uns[gmm_key]``
            The mixtures: ``model`` (``mu``, ``var``, ``pi``), ``distribution_weights``,
            ``weight_inference`` (``distribution_ids`` are the samples), ``selection``, settings.
        ``obs[f"{gmm_key}_comp"]``
            The component of each row among those of its sample.
        ``obsm[f"{gmm_key}_resp"]``
            The responsibilities, (N, K).

    Raises
    ------
    KeyError
        There is no such column of `obs`.
    TypeError, ValueError
        An argument or the data cannot be used; samples are named. An AnnData is then as it was.

    Examples
    --------
    >>> import lowdim as ld
    >>> data = ld.tl.fit_gmm(adata, sample_key="patient", use_rep="X_pca")  # doctest: +SKIP
    >>> data.supports.shape  # doctest: +SKIP
    (20, 12, 50)
    """
    sharing = check_in(component_sharing, "component_sharing", SHARING)
    check_in(too_small, "too_small", TOO_SMALL)
    check_in(k_selection_metric, "k_selection_metric", CRITERIA)
    wanted = numbers_of_components(k_comps, "k_comps")  # by its name here
    key = GmmKeys(gmm_key or f"gmm_{use_rep or layer or 'X'}")
    use_rep = None if use_rep == "X" else use_rep
    dataset = _dataset(data, samples, sample_key, label_key, use_rep, layer, key)
    if sharing == "auto":
        sharing = "sample_specific" if dataset.origin == "anndata" else "global"
    model = SampleGaussianMixtures(
        k_comps, sharing=sharing, criterion=k_selection_metric, covariance_type=covariance_type,
        train_size=train_size, refit=check_in(refit, "refit", REFIT) == "full", max_iter=max_iter,
        tol=tol, n_init=n_init, reg_covar=eps, singularity_handling=singularity_handling,
        n_jobs=n_jobs, random_state=random_state, checkpoint=checkpoint, verbose=int(verbose),
    )  # fmt: skip
    whole = dataset
    if too_small == "drop" and sharing == "sample_specific":
        dataset = _large_enough(dataset, model.min_rows)
    _check_sizes(dataset, sharing, model.min_rows, wanted)
    model.fit(dataset.source, dataset.groups)
    if isinstance(data, AnnData):
        _results(model, whole, dataset, key, use_rep=use_rep, layer=layer).write(data)
    _logger.info("Mixtures of %d samples, %d components at most.", *model.weights_.shape)
    return dataset.with_gmm(model)


def _dataset(
    data: Any,
    samples: Any,
    sample_key: str | None,
    label_key: str | None,
    use_rep: str | None,
    layer: str | None,
    key: GmmKeys,
) -> SampleDataset:
    """The samples, whatever holds them."""
    if isinstance(data, AnnData):
        if sample_key is None or samples is not None:
            raise TypeError(
                "Of an AnnData, name the samples by sample_key=, a column of obs, and leave out "
                "samples."
            )
        open_rows(data, layer=layer, use_rep=use_rep, written=(key.responsibilities,))
        return SampleDataset.from_anndata(
            data, sample_key=sample_key, label_key=label_key, use_rep=use_rep, layer=layer
        )
    given = {"sample_key": sample_key, "label_key": label_key, "use_rep": use_rep, "layer": layer}
    for name, value in given.items():
        if value is not None:
            raise TypeError(f"{name}={value!r} needs an AnnData, got a {type(data).__name__}.")
    if isinstance(data, SampleDataset):
        if samples is not None:
            raise TypeError("A SampleDataset knows its samples; leave out samples.")
        return data
    if samples is None:
        raise TypeError("samples is missing: pass the name of every row's sample.")
    return SampleDataset.from_arrays(data, samples)


def _check_sizes(
    dataset: SampleDataset, sharing: str, min_rows: int, wanted: tuple[int, ...] | None
) -> None:
    """What the fit would check, in the words of the arguments here."""
    n_rows = {"all samples": dataset.source.n_rows}
    if sharing == "sample_specific":
        n_rows = dict(zip(dataset.names, dataset.groups.counts.tolist(), strict=True))
    drop = "drop these samples, as too_small='drop' does"
    check_sizes(n_rows, min_rows, wanted, argument="k_comps", drop=drop)


def _large_enough(dataset: SampleDataset, min_rows: int) -> SampleDataset:
    """The samples with enough rows; the others are named in a warning."""
    enough = dataset.groups.counts >= min_rows
    if enough.all() or not enough.any():  # if none has, the fit says so
        return dataset
    warn_caller(
        f"too_small='drop' leaves out {listed(dataset.names[~enough])}, with fewer than "
        f"{min_rows} rows."
    )
    return dataset.select(dataset.names[enough])


def _results(
    model: SampleGaussianMixtures,
    whole: SampleDataset,
    fitted: SampleDataset,
    key: GmmKeys,
    *,
    use_rep: str | None,
    layer: str | None,
) -> Results:
    """Everything that the fit says about the rows."""
    own = model.predict_proba(fitted.source, fitted.groups)
    _, rows = whole.groups.select(fitted.names)
    R = np.zeros((whole.source.n_rows, own.shape[1]))
    components = np.full(len(R), -1)
    R[rows], components[rows] = own, own.argmax(1)
    dropped = sorted(set(whole.names) - set(fitted.names))
    record = record_of(model, use_rep=use_rep, layer=layer, dropped=dropped)
    return Results(
        obs={key.components: components},
        obsm={key.responsibilities: R},
        varm={},
        uns={key.record: record},
    )
