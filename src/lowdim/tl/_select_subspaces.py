"""A search over mixtures of subspaces for an AnnData."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lowdim._keys import SubspaceKeys
from lowdim.mixture import select_subspaces as search
from lowdim.tl._input import open_rows, warn_of_counts
from lowdim.tl._results import selection_record, subspace_results

if TYPE_CHECKING:
    from collections.abc import Iterable

    from anndata import AnnData

    from lowdim._typing import DeviceLike, DTypeLike, PathLike, RandomState


def select_subspaces(
    adata: AnnData,
    n_components: int | Iterable[int] | None = None,
    dims: int | Iterable[int] | None = None,
    criterion: str = "bic",
    *,
    use_rep: str | None = None,
    layer: str | None = None,
    key_added: str = "subspaces",
    random_state: RandomState = 0,
    copy: bool = False,
    n_init: int = 10,
    max_iter: int = 200,
    tol: float = 1e-6,
    init: str = "auto",
    shared_noise: bool = False,
    fixed: Any = None,
    background: Any = None,
    reg_covar: float = 1e-6,
    patience: int = 3,
    heldout_fraction: float = 0.2,
    batch_size: int | None = None,
    device: DeviceLike = "auto",
    dtype: DTypeLike | None = None,
    checkpoint: PathLike | None = None,
    verbose: int = 0,
) -> AnnData | None:
    """Search over the number of subspaces and the dimension of each, and keep the best mixture.

    Parameters
    ----------
    adata
        The data, N rows; see `subspaces`.
    n_components
        Numbers of components to try; an int means 1 to that many; by default 1 to 10.
    dims
        Dimensions that a component may have; an int means 0 to that; by default 0 to 5.
    criterion
        What ranks the mixtures: "bic"; "icl", which also counts overlap against them; or
        "heldout", the likelihood of rows held out of the search.
    use_rep
        Key of `obsm` to fit, such as "X_pca".
    layer
        Key of `layers` to fit. With neither, `X` is fitted.
    key_added
        Where results go. What an earlier call left there is replaced.
    random_state
        Seed.
    copy
        Return a copy with the results and leave `adata` as it is.
    n_init, max_iter, tol, init, shared_noise, fixed, background, reg_covar, patience
        As in `lowdim.select_subspaces`.
    heldout_fraction, batch_size, device, dtype, checkpoint, verbose
        As in `lowdim.select_subspaces`.

    Returns
    -------
    None, or with `copy` the copy. It has all that `subspaces` writes, for the best mixture, and

    ``uns[f"{key_added}_selection"]``
        The ``criterion``; the ranked ``table``, a dict of arrays over the mixtures that were
        tried, with ``dims`` as text ("2,1,1"), of which `ld.get.selection` makes a DataFrame; and
        all settings of the search as ``params``, with the numbers of components and the dimensions
        that it could try as ``n_components`` and ``dims``.

    Raises
    ------
    TypeError, ValueError
        An argument or the data cannot be used. `adata` is then as it was.

    See Also
    --------
    lowdim.select_subspaces : The same for arrays.
    """
    keys = SubspaceKeys(key_added)
    written = (keys.coordinates, keys.probabilities)
    source = open_rows(adata, layer=layer, use_rep=use_rep, written=written, copy=copy)
    warn_of_counts(source, layer=layer, use_rep=use_rep)
    selection = search(
        source,
        n_components,
        dims,
        criterion=criterion,
        n_init=n_init,
        max_iter=max_iter,
        tol=tol,
        init=init,
        shared_noise=shared_noise,
        fixed=fixed,
        background=background,
        reg_covar=reg_covar,
        patience=patience,
        heldout_fraction=heldout_fraction,
        batch_size=batch_size,
        device=device,
        dtype=dtype,
        random_state=random_state,
        checkpoint=checkpoint,
        verbose=verbose,
    )
    model = selection.best_estimator_
    results = subspace_results(adata, source, model, keys, layer=layer, use_rep=use_rep)
    results.uns[keys.selection] = selection_record(selection, layer=layer, use_rep=use_rep)
    target = adata.copy() if copy else adata
    results.write(target)
    return target if copy else None
