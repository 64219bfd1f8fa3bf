"""Values that look like raw counts are pointed out."""

import logging

import anndata as ad
import numpy as np
import pytest
import scipy.sparse as sp

from lowdim.data import as_rows
from lowdim.tl._input import warn_of_counts

COUNTS = np.random.default_rng(0).poisson(8, (300, 5)) * np.array([1, 1, 1, 5, 0])


def warnings_for(X: object, caplog: pytest.LogCaptureFixture, **matrix: str | None) -> str:
    caplog.clear()
    with caplog.at_level(logging.WARNING, logger="lowdim"):
        warn_of_counts(as_rows(X), **{"layer": None, "use_rep": None, **matrix})
    return caplog.text


@pytest.mark.parametrize("kind", [np.asarray, sp.csr_matrix, lambda X: X.astype(np.float32)])
def test_counts_are_noticed(kind, caplog: pytest.LogCaptureFixture) -> None:
    assert "adata.X looks like raw counts" in warnings_for(kind(COUNTS), caplog)
    assert "layers['raw']" in warnings_for(kind(COUNTS), caplog, layer="raw")


@pytest.mark.parametrize(
    "X",
    [np.log1p(COUNTS), COUNTS - 50.0, COUNTS % 3, np.zeros((4, 2)), sp.csr_matrix((4, 2))],
    ids=["logarithms", "centred", "small", "zero", "empty"],
)
def test_other_values_are_not(X: object, caplog: pytest.LogCaptureFixture) -> None:
    assert warnings_for(X, caplog) == ""


def test_representations_are_no_counts(caplog: pytest.LogCaptureFixture) -> None:
    assert warnings_for(COUNTS, caplog, use_rep="ranks") == ""
    assert warnings_for(COUNTS, caplog, use_rep="X") != ""


def test_the_tool_warns_and_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    import lowdim as ld

    adata = ad.AnnData(COUNTS.astype(np.float32))
    with caplog.at_level(logging.WARNING, logger="lowdim"):
        ld.tl.subspaces(adata, 1, n_init=1)
    assert "sc.pp.normalize_total" in caplog.text
    assert "subspaces" in adata.uns
