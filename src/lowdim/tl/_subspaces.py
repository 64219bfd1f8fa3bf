"""A mixture of subspaces for an AnnData."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lowdim._keys import SubspaceKeys
from lowdim.mixture import SubspaceMixture
from lowdim.tl._input import open_rows, warn_of_counts
from lowdim.tl._results import subspace_results

if TYPE_CHECKING:
    from anndata import AnnData

    from lowdim._typing import DeviceLike, DTypeLike, PathLike, RandomState


def subspaces(
    adata: AnnData,
    n_components: int = 1,
    dims: Any = 1,
    *,
    use_rep: str | None = None,
    layer: str | None = None,
    key_added: str = "subspaces",
    random_state: RandomState = 0,
    copy: bool = False,
    assignment: str = "soft",
    n_init: int = 10,
    max_iter: int = 200,
    tol: float = 1e-6,
    init: Any = "auto",
    shared_noise: bool = False,
    annealing: tuple[float, float] | None = None,
    fixed: Any = None,
    background: Any = None,
    reg_covar: float = 1e-6,
    reassign_dims: bool = True,
    batch_size: int | None = None,
    minibatch_size: int | None = None,
    n_jobs: int | None = None,
    device: DeviceLike = "auto",
    dtype: DTypeLike | None = None,
    checkpoint: PathLike | None = None,
    verbose: int = 0,
) -> AnnData | None:
    """Group the rows of an AnnData into low-dimensional subspaces.

    Each component of the mixture is a point, a line, a plane, ... with noise around it. The
    values are used as they are: normalise and reduce counts first. No PCA is run; name one that
    you have run with `use_rep`.

    Parameters
    ----------
    adata
        The data, N rows. Backed files are read in blocks; results go to memory.
    n_components
        K, the number of components; with a list of `dims`, its length.
    dims
        The dimension of each component: an int, a list of K, or "auto" for a search (see
        `select_subspaces`, which also keeps the table).
    use_rep
        Key of `obsm` to fit, such as "X_pca".
    layer
        Key of `layers` to fit. With neither, `X` is fitted.
    key_added
        Where results go. What an earlier call left there is replaced, except for the table of
        a search.
    random_state
        Seed; the same seed gives the same result on the same machine.
    copy
        Return a copy with the results and leave `adata` as it is.
    assignment, n_init, max_iter, tol, init, shared_noise, annealing, fixed, background, reg_covar
        As in `lowdim.SubspaceMixture`.
    reassign_dims, batch_size, minibatch_size, n_jobs, device, dtype, checkpoint, verbose
        As in `lowdim.SubspaceMixture`.

    Returns
    -------
    None, or with `copy` the copy. It has:

    ``obs[key_added]``
        The component of each row, categorical: "0", "1", ...
    ``obsm[key_added]``
        Latent coordinates in that component, (N, max d), padded with zeros.
    ``obsm[f"{key_added}_proba"]``
        The probability of each component, (N, K).
    ``varm[key_added]``
        The axes of all components, component by component, (n_vars, sum d). `varm` is written
        where columns are genes, or principal components whose axes over the genes are known.
    ``varm[f"{key_added}_means"]``
        The centre of each component, (n_vars, K). ``uns[key_added]["params"]["gene_means"]`` is
        "expression", or "centred" for differences from the mean of all rows: principal
        components have no other if they are not those of the expression in `adata`.
    ``uns[key_added]``
        The fit: ``params``, ``objective``, ``objective_trace``, ``n_iter``, ``converged``,
        ``stop_reason``, ``version``, ``criteria``, ``weights``, ``means``, ``bases``,
        ``latent_variances``, ``noise_variances``, ``dims`` and more, and with ``dims="auto"`` the
        settings of the ``search``; `ld.get.model` makes an estimator of it.

    Raises
    ------
    TypeError, ValueError
        An argument or the data cannot be used. `adata` is then as it was.

    See Also
    --------
    lowdim.SubspaceMixture : The same for arrays.

    Examples
    --------
    >>> import lowdim as ld
    >>> adata = ld.data.pbmc68k()  # doctest: +SKIP
    >>> ld.tl.subspaces(adata, n_components=6, dims=2, use_rep="X_pca")  # doctest: +SKIP
    >>> ld.get.components(adata, labels="bulk_labels")  # doctest: +SKIP
    """
    keys = SubspaceKeys(key_added)
    written = (keys.coordinates, keys.probabilities)
    source = open_rows(adata, layer=layer, use_rep=use_rep, written=written, copy=copy)
    warn_of_counts(source, layer=layer, use_rep=use_rep)
    model = SubspaceMixture(
        n_components,
        dims,
        assignment=assignment,
        n_init=n_init,
        max_iter=max_iter,
        tol=tol,
        init=init,
        shared_noise=shared_noise,
        annealing=annealing,
        fixed=fixed,
        background=background,
        reg_covar=reg_covar,
        reassign_dims=reassign_dims,
        batch_size=batch_size,
        minibatch_size=minibatch_size,
        n_jobs=n_jobs,
        device=device,
        dtype=dtype,
        random_state=random_state,
        checkpoint=checkpoint,
        verbose=verbose,
    ).fit(source)
    results = subspace_results(adata, source, model, keys, layer=layer, use_rep=use_rep)
    target = adata.copy() if copy else adata
    results.write(target)
    return target if copy else None
