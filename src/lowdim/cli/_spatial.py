"""``lowdim spatial``: fit spatial factors to a file."""

from __future__ import annotations

from argparse import Namespace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lowdim.cli._anndata_file import counts_layer
from lowdim.cli._fit_file import Facts, Lines, Whole, fit_file
from lowdim.cli._output import print_step
from lowdim.cli._usage import UsageError

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from anndata import AnnData

_N_GENES = 50
"""Genes of each factor in the table."""


def run(arguments: Namespace) -> None:
    """Fit, and write what was found."""
    if arguments.model is None:
        arguments.model = "nsf" if arguments.n_spatial is None else "nsfh"
    if arguments.n_spatial is not None and arguments.model != "nsfh":
        raise UsageError(f"--n-spatial is for --model nsfh, not {arguments.model}.")
    sets = None
    if arguments.gene_sets is not None:
        if not Path(arguments.gene_sets).is_file():
            raise UsageError(f"There is no file {arguments.gene_sets!r} with --gene-sets.")
        from lowdim.factorization import read_gmt

        sets = read_gmt(arguments.gene_sets)
    fit_file(
        arguments,
        partial(_fit, arguments=arguments),
        "Spatial factors",
        select=None if arguments.top_genes is None else partial(_genes, arguments=arguments),
        whole=partial(_whole, arguments=arguments),
        describe=partial(_describe, key=arguments.key),
        tables=partial(_tables, key=arguments.key, sets=sets),
    )


def _genes(adata: AnnData, *, arguments: Namespace) -> np.ndarray:
    """The genes that were asked for, (D,) booleans."""
    from lowdim.pp import deviance_selection

    layer = counts_layer(adata, arguments.layer)
    deviance_selection(adata, arguments.top_genes, layer=layer)
    chosen = adata.var["highly_deviant"].to_numpy()
    print_step(f"fitting the {chosen.sum():,} genes of largest deviance", quiet=arguments.quiet)
    return chosen


def _whole(adata: AnnData, *, arguments: Namespace) -> Whole | None:
    """Models of values, and those of real-valued factors, hold all rows."""
    from lowdim.factorization.models import reads_blocks

    if reads_blocks(arguments.model, arguments.likelihood):
        return None
    layer = counts_layer(adata, arguments.layer)
    remedy = "Models nsf, nsfh and pnmf of counts read them in blocks."
    return Whole.of(adata, layer, f"--model {arguments.model}", remedy, dense=True)


def _fit(adata: AnnData, *, arguments: Namespace) -> None:
    """Fit; the factors go into `adata`."""
    from lowdim import tl

    sizes = arguments.size_factors
    tl.spatial_factors(
        adata,
        arguments.n_factors,
        arguments.model,
        n_spatial=arguments.n_spatial,
        layer=counts_layer(adata, arguments.layer),
        spatial_key=arguments.spatial_key,
        sample_key=arguments.sample_key,
        likelihood=arguments.likelihood,
        length_scale=arguments.length_scale,
        inducing=arguments.inducing,
        size_factors=None if sizes == "none" else sizes,
        key_added=arguments.key,
        random_state=arguments.random_state,
        checkpoint=arguments.checkpoint,
        verbose=int(not arguments.quiet),
    )


def _describe(adata: AnnData, *, key: str) -> tuple[Facts, Lines]:
    """What was found, for programs and for people."""
    from lowdim import get
    from lowdim.get._fit_quality import fit_quality
    from lowdim.get._record import find_factors
    from lowdim.report._data import matrix_name

    record: Any = find_factors(adata, key)
    table = get.factors(adata, key)
    top = get.top_genes(adata, key, n_genes=5)
    facts = {
        "key": key,
        "model": record["model"],
        "matrix": matrix_name(record["params"]),
        "n_rows": adata.n_obs,
        "n_columns": adata.n_vars,
        "n_factors": len(table),
        "n_spatial": int(record["n_spatial"]),
        "converged": bool(record["converged"]),
        "n_iter": int(record["n_iter"]),
        "objective": float(record["objective"]),
        "deviance_explained": fit_quality(adata, key).explained,
        "factors": [
            {**row, "factor": name, "top_genes": top.loc[top["factor"] == name, "gene"].tolist()}
            for name, row in table.to_dict("index").items()
        ],
    }
    state = "converged" if facts["converged"] else "did not converge"
    lines = [
        ("data", f"{adata.n_obs:,} x {adata.n_vars:,}, {facts['matrix']}"),
        ("factors", f"{facts['n_factors']}, {facts['n_spatial']} of them spatial"),
        ("fit", f"{state} after {facts['n_iter']} rounds, bound per row {facts['objective']:,.2f}"),
        ("deviance explained", f"{facts['deviance_explained']:.1%}"),
    ]
    lines += [(f"factor {row['factor']}", _line(row)) for row in facts["factors"]]
    return facts, lines


def _line(row: dict[str, Any]) -> str:
    """A factor in a line."""
    moran = f", Moran's I {row['moran']:.2f}" if "moran" in row else ""
    return f"{row['kind']}{moran}, share {row['share']:.0%}: {', '.join(row['top_genes'])}"


def _tables(
    adata: AnnData, *, key: str, sets: dict[str, list[str]] | None
) -> dict[str, pd.DataFrame]:
    """Factors, their genes and gene sets."""
    from lowdim import get

    tables = {
        "factors": get.factors(adata, key),
        "top_genes": get.top_genes(adata, key, n_genes=_N_GENES),
    }
    if sets is not None:
        tables["gene_sets"] = get.enrichment(adata, sets, key)
    return tables
