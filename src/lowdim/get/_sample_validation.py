"""Cross-validated predictions of samples, as they were found."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from lowdim._keys import SampleValidationKeys
from lowdim.samples import CrossValidation, PermutationTest

if TYPE_CHECKING:
    from anndata import AnnData


def sample_validation(adata: AnnData, key: str = "sample_validation") -> dict[str, CrossValidation]:
    """What `ld.tl.sample_validation` found: a cross-validation for each kind of distances.

    Parameters
    ----------
    adata
        Data with its results.
    key
        Its `key_added`.

    Returns
    -------
    By kind, the simplest first. `lowdim.pl.sample_scores` and `lowdim.pl.confusion` draw them.

    Raises
    ------
    ValueError
        There are no such results.
    """
    record = _find(adata, key)
    return {
        str(name): CrossValidation(
            record["tables"][name], record["predictions"][name], str(record["scoring"])
        )
        for name in np.asarray(record["names"]).astype(str)
    }


def permutation_tests(adata: AnnData, key: str) -> dict[str, PermutationTest]:
    """The permutation test of a kind of distances, if there was one."""
    test: Any = _find(adata, key).get("permutation")
    if test is None:
        return {}
    null = np.asarray(test["null_scores"], dtype=np.float64)
    return {str(test["of"]): PermutationTest(float(test["score"]), null, float(test["p_value"]))}


def has_validation(adata: AnnData, key: str) -> bool:
    """Whether ``uns[key]`` is a result of `ld.tl.sample_validation`."""
    record = adata.uns.get(key)
    return isinstance(record, Mapping) and "predictions" in record and "tables" in record


def _find(adata: AnnData, key: str) -> Mapping[str, Any]:
    if not has_validation(adata, key):
        raise ValueError(
            f"adata.uns has no cross-validation in {key!r}; run ld.tl.sample_validation(adata, "
            f"key_added={key!r}) first."
        )
    record: Mapping[str, Any] = adata.uns[SampleValidationKeys(key).record]
    return record
