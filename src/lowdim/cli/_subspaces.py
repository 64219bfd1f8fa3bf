"""``lowdim subspaces``: fit a mixture of subspaces to a file."""

from __future__ import annotations

from argparse import Namespace
from typing import TYPE_CHECKING, Any

from lowdim.cli._fit_file import fit_file
from lowdim.cli._usage import UsageError

if TYPE_CHECKING:
    from anndata import AnnData


def run(arguments: Namespace) -> None:
    """Fit or search, and write what was found."""
    dims, n_components = _model(arguments)
    fit_file(arguments, lambda adata: _fit(adata, arguments, dims, n_components), "Subspaces")


def _model(arguments: Namespace) -> tuple[Any, int | None]:
    """The dimensions, "auto" for a search, and the number of components."""
    dims, n_components = arguments.dims, arguments.n_components
    if arguments.auto or (dims is None and n_components is None):
        return "auto", n_components
    if dims is None:
        return 1, n_components
    if n_components is None or len(dims) == n_components:
        return dims, len(dims)
    if len(dims) == 1:
        return dims[0], n_components
    raise UsageError(
        f"--dims has {len(dims)} dimensions but --n-components is {n_components}; leave one out."
    )


def _fit(adata: AnnData, arguments: Namespace, dims: Any, n_components: int | None) -> None:
    """Fit or search; the results go into `adata`."""
    from lowdim import tl
    from lowdim._keys import SubspaceKeys

    verbose = int(not arguments.quiet)
    if isinstance(dims, str):
        tl.select_subspaces(
            adata,
            n_components,
            layer=arguments.layer,
            use_rep=arguments.use_rep,
            key_added=arguments.key,
            n_init=arguments.n_init,
            random_state=arguments.random_state,
            checkpoint=arguments.checkpoint,
            verbose=verbose,
        )
        return
    tl.subspaces(
        adata,
        n_components or 1,
        dims,
        layer=arguments.layer,
        use_rep=arguments.use_rep,
        key_added=arguments.key,
        n_init=arguments.n_init,
        random_state=arguments.random_state,
        checkpoint=arguments.checkpoint,
        verbose=verbose,
    )
    # The table of an earlier search would be taken for that of this fit.
    adata.uns.pop(SubspaceKeys(arguments.key).selection, None)
