"""The commands and their options."""

from __future__ import annotations

from argparse import ArgumentParser, RawDescriptionHelpFormatter
from typing import Any

from lowdim._version import __version__
from lowdim.cli._options import (
    add_backed,
    add_checkpoint,
    add_data,
    add_files,
    add_matrix,
    add_results,
    runs,
)
from lowdim.cli._spatial_options import add_grid, add_spatial
from lowdim.cli._values import (
    dims_list,
    natural_number,
    number_or_share,
    parameter,
    positive_int,
    positive_number,
    sizes_list,
)

_EXAMPLES = """\
examples:
  lowdim demo                                          a first look, on real blood cells
  lowdim subspaces cells.h5ad --use-rep X_pca -o out   search for components and dimensions
  lowdim subspaces cells.h5ad --dims 2,1,1 -o fit.h5ad --report
  lowdim mixture cells.h5ad --use-rep X_pca -k 2-10 -o out
  lowdim mixture cells.h5ad --family negative-binomial --layer counts -k 8 -o out
  lowdim embed cells.h5ad --use-rep X_pca --labels cell_type -o out
  lowdim samples cells.h5ad --sample-key patient --label-key state --use-rep X_pca -o out
  lowdim spatial spots.h5ad -n 10 --top-genes 2000 -o out
  lowdim grid spots.h5ad configurations.json -o fits.csv
  lowdim report fit.h5ad --labels cell_type -o report.html
  lowdim info cells.h5ad
"""

_METHODS = (
    "tsne", "umap", "largevis", "infotsne", "pacmap", "phate", "sne", "tsnekhorn", "cosne",
    "laplacian-eigenmaps", "pca", "kernel-pca",
)  # fmt: skip
"""Those of `lowdim.embedding.methods`, which are not loaded for the parser."""


def build_parser() -> ArgumentParser:
    """The parser of ``lowdim``; every command sets `run`, a function of the arguments."""
    parser = ArgumentParser(
        prog="lowdim",
        description="Find low-dimensional structure in single-cell and other high-dimensional "
        "data.",
        epilog=_EXAMPLES,
        formatter_class=RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"lowdim {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    adders = (
        _add_demo, _add_subspaces, _add_mixture, _add_embed, _add_samples, add_spatial, add_grid,
        _add_report, _add_info,
    )  # fmt: skip
    for add in adders:
        command = add(commands)
        command.add_argument("--quiet", action="store_true", help="no progress bars")
        command.add_argument("--debug", action="store_true", help="show where errors come from")
        command.add_argument(
            "--json", action="store_true", help="print one JSON object instead of text"
        )
    return parser


def _add_demo(commands: Any) -> ArgumentParser:
    command: ArgumentParser = commands.add_parser(
        "demo",
        help="analyse real blood cells that come with scanpy",
        description="Search for subspaces in 700 blood cells, and write result.h5ad and "
        "report.html. Needs scanpy; nothing is downloaded.",
    )
    command.add_argument("--output", "-o", default="out", metavar="FOLDER", help="default: out")
    command.add_argument("--random-state", type=natural_number, default=0, metavar="SEED")
    return runs(command, "demo")


def _add_subspaces(commands: Any) -> ArgumentParser:
    command: ArgumentParser = commands.add_parser(
        "subspaces",
        help="fit a mixture of subspaces to a file",
        description="Fit a mixture of subspaces. With neither --dims nor --n-components, or with "
        "--auto, search for the number of components and the dimension of each.",
    )
    add_files(command)
    command.add_argument(
        "--n-components",
        "-k",
        type=positive_int,
        metavar="K",
        help="number of components (default dimension 1); with --auto, the most to try",
    )
    choice = command.add_mutually_exclusive_group()
    choice.add_argument(
        "--dims",
        type=dims_list,
        metavar="D,D,..",
        help="dimension of each component, as in 2,1,1; with -k, one number for all",
    )
    choice.add_argument("--auto", action="store_true", help="search for both")
    add_data(command, "subspaces")
    command.add_argument("--n-init", type=positive_int, default=10, metavar="N", help="restarts")
    add_checkpoint(command)
    return runs(command, "subspaces")


def _add_mixture(commands: Any) -> ArgumentParser:
    command: ArgumentParser = commands.add_parser(
        "mixture",
        help="fit clusters or a mixture to a file",
        description="Cluster the rows by k-means, soft k-means, a mixture of Gaussians, or, for "
        "counts, one of negative binomials.",
    )
    add_files(command)
    command.add_argument(
        "--family",
        choices=("gaussian", "negative-binomial", "kmeans", "soft-kmeans"),
        default="gaussian",
        help="default: gaussian",
    )
    command.add_argument(
        "--n-components",
        "-k",
        type=sizes_list,
        metavar="K",
        help="number of components, as in 8, or those to choose from, as in 2-10 or 2,4,8 "
        "(default: 1-10)",
    )
    command.add_argument(
        "--criterion",
        choices=("auto", "bic", "aic", "icl", "heldout", "elbow"),
        default="auto",
        help="what chooses among several numbers; auto is the rows held out for counts, the elbow "
        "for k-means, else BIC",
    )
    command.add_argument(
        "--covariance-type",
        choices=("full", "tied", "diag", "spherical", "low_rank"),
        help="of Gaussians (default: full)",
    )
    command.add_argument(
        "--rank", type=natural_number, metavar="Q", help="of low_rank covariances (default: 1)"
    )
    add_data(command, "mixture")
    command.add_argument("--n-init", type=positive_int, metavar="N", help="restarts")
    command.add_argument(
        "--n-jobs", type=positive_int, metavar="N", help="numbers of components fitted at a time"
    )
    add_checkpoint(command)
    return runs(command, "mixture")


def _add_embed(commands: Any) -> ArgumentParser:
    command: ArgumentParser = commands.add_parser(
        "embed",
        help="lay the rows of a file out in two dimensions (t-SNE and others)",
        description="Make a layout of the rows, and tell how well it keeps their neighbours. A "
        "folder gets the picture layout.png and the measures quality.csv as well.",
    )
    add_files(command)
    command.add_argument(
        "--method",
        choices=_METHODS,
        default="tsne",
        metavar="METHOD",
        help=f"one of {', '.join(_METHODS)} (default: tsne)",
    )
    command.add_argument(
        "--n-components", "-d", type=positive_int, default=2, metavar="C", help="default: 2"
    )
    add_matrix(command)
    command.add_argument(
        "--neighbors",
        metavar="KEY",
        help="lay out this graph of neighbours, as scanpy leaves it, instead of seeking some",
    )
    command.add_argument(
        "--landmarks",
        type=number_or_share,
        metavar="N",
        help="lay out so many rows, or such a share of them, and place the others in their layout",
    )
    command.add_argument("--init", metavar="NAME", help="where to begin: a name or a key of obsm")
    command.add_argument("--perplexity", type=positive_number, metavar="X", help="of t-SNE's kind")
    command.add_argument("--n-neighbors", type=positive_int, metavar="K", help="of UMAP's kind")
    command.add_argument(
        "--set",
        type=parameter,
        action="append",
        metavar="NAME=VALUE",
        help="another parameter of the method, as in --set exaggeration=4; may be repeated",
    )
    command.add_argument(
        "--color",
        action="append",
        metavar="NAME",
        help="column of obs or gene that colours the picture (default: the labels); may be "
        "repeated",
    )
    command.add_argument(
        "--n-jobs", type=positive_int, metavar="N", help="threads; they change no result"
    )
    add_results(command, None)
    add_checkpoint(command)
    return runs(command, "embed")


def _add_samples(commands: Any) -> ArgumentParser:
    command: ArgumentParser = commands.add_parser(
        "samples",
        help="compare samples of a file, such as patients, as distributions",
        description="Fit a mixture of Gaussians to the rows of every sample, and measure how far "
        "samples are from each other. With labels, tell how well they are predicted for samples "
        "that are held out. A folder gets the distances as a table as well.",
    )
    add_files(command)
    command.add_argument(
        "--sample-key", required=True, metavar="COLUMN", help="column of obs that has the samples"
    )
    command.add_argument(
        "--label-key", metavar="COLUMN", help="column of obs that says what samples are"
    )
    command.add_argument(
        "--group-key", metavar="COLUMN", help="column of obs whose groups are held out whole"
    )
    add_matrix(command)
    command.add_argument(
        "--components",
        "-k",
        type=sizes_list,
        metavar="K",
        help="number of components, as in 8, or those to choose from by BIC, as in 2,4,8 "
        "(default: 1 to 12)",
    )
    command.add_argument(
        "--covariance-type", choices=("full", "diag"), default="full", help="default: full"
    )
    command.add_argument(
        "--eps",
        type=positive_number,
        default=1e-4,
        metavar="X",
        help="added to every variance, relative to the mean variance of a sample (default: 1e-4)",
    )
    command.add_argument(
        "--cost", choices=("mw2", "mixed"), default="mw2", help="of the distances (default: mw2)"
    )
    _add_metric(command)
    command.add_argument(
        "--n-permutations",
        type=natural_number,
        default=0,
        metavar="N",
        help="predict shuffled labels so many times, for a p-value (default: 0)",
    )
    command.add_argument(
        "--n-jobs", type=positive_int, metavar="N", help="samples that are fitted at a time"
    )
    add_results(command, "sample_distances", labels=False)
    add_checkpoint(command)
    return runs(command, "samples")


def _add_metric(command: ArgumentParser) -> None:
    """A learned map, and how it is learned."""
    command.add_argument(
        "--metric", action="store_true", help="learn a map under which samples of a label are near"
    )
    for name, kind, letter, what in (
        ("--axes", positive_int, "R", "of the map (default: 2; needs --metric)"),
        ("--alpha", positive_number, "X", "margin of the map (default: 10; needs --metric)"),
        ("--epochs", positive_int, "N", "of learning it (default: 100; needs --metric)"),
    ):
        command.add_argument(name, type=kind, metavar=letter, help=what)


def _add_report(commands: Any) -> ArgumentParser:
    command: ArgumentParser = commands.add_parser(
        "report",
        help="write an HTML report of a result",
        description="Write a report of a fit: one HTML file that needs no network.",
    )
    command.add_argument("file", metavar="RESULT", help="a .h5ad file or a .zarr store with a fit")
    command.add_argument("--output", "-o", required=True, metavar="FILE", help="the .html file")
    add_backed(command)
    command.add_argument("--labels", metavar="COLUMN", help="column of obs to compare with")
    command.add_argument("--key", default="subspaces", help="name of the result in the file")
    command.add_argument("--title", help="title of the report")
    return runs(command, "report")


def _add_info(commands: Any) -> ArgumentParser:
    command: ArgumentParser = commands.add_parser(
        "info",
        help="tell what is in a file, or which versions and devices there are",
        description="Tell what is in a file without reading its matrices. Without a file, "
        "tell the versions of lowdim and what it stands on, and the devices.",
    )
    command.add_argument("file", nargs="?", metavar="FILE", help="a .h5ad file or a .zarr store")
    return runs(command, "info")
