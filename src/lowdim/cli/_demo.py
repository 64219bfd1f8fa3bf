"""``lowdim demo``: the main job, on real data, from a raw matrix to a report."""

from __future__ import annotations

import time
from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lowdim.cli._anndata_file import write
from lowdim.cli._output import print_result, print_step
from lowdim.cli._paths import check_output

if TYPE_CHECKING:
    from anndata import AnnData

N_PCS = 10
"""Components kept: as many as exceed those of the same genes with their cells shuffled.

The labels have no part in the choice. The test of this module repeats it.
"""

LABELS = "bulk_labels"

OTHERS: dict[str, tuple[str, dict[str, Any]]] = {
    "Gaussians": ("gaussian", {"use_rep": "X_pca"}),
    "counts": ("negative_binomial", {"layer": "counts"}),
}
"""Key, family and matrix of what the subspaces are compared with."""

_PREPROCESSING = [
    "700 of the 68,000 blood cells of Zheng et al. (2017), with the 765 variable genes that "
    "scanpy's pbmc68k_reduced keeps",
    "X: UMI counts per 10,000, log(1 + x)",
    f"X_pca: the first {N_PCS} principal components that come with the set, of scaled genes; as "
    "many as exceed those of the same genes shuffled among cells",
    f"{LABELS}: types by comparison with sorted cells, not used by the fit",
]


def run(arguments: Namespace) -> None:
    """Load, search, write and say what was found."""
    folder = Path(arguments.output)
    result, report = folder / "result.h5ad", folder / "report.html"
    for path in (result, report):
        check_output(path)
    start = time.perf_counter()
    adata = load()
    print_step("searching for subspaces in 700 blood cells", quiet=arguments.quiet)

    from lowdim import tl

    tl.select_subspaces(
        adata,
        use_rep="X_pca",
        random_state=arguments.random_state,
        verbose=int(not arguments.quiet),
    )

    print_step("other clusterings of the same cells, to compare", quiet=arguments.quiet)
    for key, (family, matrix) in OTHERS.items():
        tl.mixture(adata, family, key_added=key, random_state=arguments.random_state, **matrix)

    print_step("a layout of the cells by their neighbours", quiet=arguments.quiet)
    tl.embed(adata, "tsne", use_rep="X_pca", random_state=arguments.random_state)

    from lowdim import report as reports
    from lowdim.cli._facts import fit_facts, fit_lines

    facts = fit_facts(adata, "subspaces", LABELS)
    others = {key: fit_facts(adata, key, LABELS) for key in OTHERS}
    print_step("writing the report", quiet=arguments.quiet)
    write(adata, result)
    title = "Subspaces of blood cells"
    reports.write(adata, report, labels=LABELS, title=title)
    seconds = time.perf_counter() - start
    lines = [
        *fit_lines(facts),
        *((key, _line(own)) for key, own in others.items()),
        ("seconds", f"{seconds:.1f}"),
        ("result", str(result)),
        ("report", str(report)),
    ]
    written = {"seconds": round(seconds, 3), "result": str(result), "report": str(report)}
    print_result({**facts, "others": others, **written}, lines, as_json=arguments.json)


def _line(facts: dict[str, Any]) -> str:
    """Another clustering in a line."""
    return f"{facts['n_components']} components, ARI {facts['ari']:.3f}"


def load() -> AnnData:
    """The demo's cells, with the principal components that stand out of the noise."""
    from lowdim.data import pbmc68k

    adata = pbmc68k()
    adata.obsm["X_pca"] = adata.obsm["X_pca"][:, :N_PCS].copy()
    adata.varm["PCs"] = adata.varm["PCs"][:, :N_PCS].copy()
    adata.uns["preprocessing"] = _PREPROCESSING
    return adata
