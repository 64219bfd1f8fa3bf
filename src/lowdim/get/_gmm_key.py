"""Which mixtures of samples in an AnnData are meant."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lowdim._keys import GmmKeys
from lowdim.samples._rows import listed
from lowdim.samples._schema import is_record

if TYPE_CHECKING:
    from anndata import AnnData


def find_gmm_key(
    adata: AnnData,
    gmm_key: str | None = None,
    *,
    use_rep: str | None = None,
    layer: str | None = None,
    cells: str | None = None,
) -> str:
    """The key of `uns` of the mixtures that are meant: as named, of the matrix, or the only ones.

    `cells` is the cost that does without mixtures, if there is one, for the message.

    Raises
    ------
    KeyError
        They are not there.
    """
    key = GmmKeys(gmm_key or f"gmm_{use_rep or layer or 'X'}").record
    if key in adata.uns:
        return key
    others = [str(name) for name, record in adata.uns.items() if is_record(record)]
    if len(others) == 1 and gmm_key is None and use_rep is None and layer is None:
        return others[0]
    way = f"but {listed(others)}: name one by gmm_key" if others else "run ld.tl.fit_gmm first"
    instead = f", or take the cells themselves by cost={cells!r}" if cells else ""
    raise KeyError(f"{key!r} is not in uns, {way}{instead}.")
