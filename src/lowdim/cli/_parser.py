"""The commands and their options."""

from __future__ import annotations

from argparse import ArgumentParser, RawDescriptionHelpFormatter
from typing import Any

from lowdim._version import __version__
from lowdim.cli._options import add_checkpoint, add_data, add_files, add_matrix, add_results, runs
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
        _add_demo, _add_subspaces, _add_mixture, _add_embed, _add_samples, _add_spatial, _add_grid,
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
        help="fit a mixture of subspaces to a .h5ad file",
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
        help="fit clusters or a mixture to a .h5ad file",
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
        help="lay the rows of a .h5ad file out in two dimensions (t-SNE and others)",
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
        help="compare samples of a .h5ad file, such as patients, as distributions",
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


def _add_spatial(commands: Any) -> ArgumentParser:
    command: ArgumentParser = commands.add_parser(
        "spatial",
        help="fit factors that vary smoothly over space to a .h5ad file",
        description="Fit spatial factors to the counts of a file whose rows have coordinates. A "
        "folder gets tables of factors and genes as well.",
    )
    add_files(command)
    command.add_argument(
        "--n-factors", "-n", type=positive_int, default=10, metavar="L", help="default: 10"
    )
    command.add_argument(
        "--n-spatial",
        type=positive_int,
        metavar="T",
        help="how many of them are spatial; the rest is not (model nsfh)",
    )
    command.add_argument(
        "--model",
        choices=("nsf", "nsfh", "rsf", "pnmf", "fa", "mefisto"),
        help="default: nsf, or nsfh with --n-spatial",
    )
    command.add_argument(
        "--likelihood",
        choices=("poisson", "negative_binomial", "gaussian"),
        help="of the noise (default: that of the model)",
    )
    command.add_argument(
        "--layer", metavar="KEY", help="fit this layer (default: counts if there is one, else X)"
    )
    command.add_argument(
        "--spatial-key", default="spatial", metavar="KEY", help="of obsm (default: spatial)"
    )
    command.add_argument("--sample-key", metavar="COLUMN", help="column of obs that tells slides")
    command.add_argument(
        "--top-genes",
        type=positive_int,
        metavar="N",
        help="keep only the N genes of largest deviance from a constant rate",
    )
    command.add_argument(
        "--size-factors",
        choices=("none", "mean", "median", "median_ratio"),
        default="none",
        help="how deeply rows were counted: totals over their mean or median (default: none)",
    )
    command.add_argument(
        "--length-scale", type=positive_number, metavar="X", help="in the units of the coordinates"
    )
    command.add_argument(
        "--inducing", type=positive_int, metavar="M", help="places through which factors are known"
    )
    command.add_argument(
        "--gene-sets", metavar="GMT", help="test the sets in this file for each factor"
    )
    add_results(command, "spatial_factors")
    add_checkpoint(command)
    return runs(command, "spatial")


def _add_grid(commands: Any) -> ArgumentParser:
    command: ArgumentParser = commands.add_parser(
        "grid",
        help="fit many configurations of spatial factors to a .h5ad file, into one table",
        description="Fit every configuration in a JSON file to some rows, judge it by the others, "
        "and write fit, sparsity and time to one CSV table. A configuration is an object such as "
        '{"model": "nsf", "n_factors": 10}; pass a list of them, or one object whose entries are '
        "lists, for all combinations. Fits that the table has already are not done again.",
    )
    command.add_argument("file", metavar="FILE", help="the .h5ad file; it is not changed")
    command.add_argument("configurations", metavar="JSON", help="a file with the configurations")
    command.add_argument("--output", "-o", required=True, metavar="CSV", help="the table to write")
    command.add_argument(
        "--layer", metavar="KEY", help="fit this layer (default: counts if there is one, else X)"
    )
    command.add_argument(
        "--spatial-key", default="spatial", metavar="KEY", help="of obsm (default: spatial)"
    )
    command.add_argument("--sample-key", metavar="COLUMN", help="column of obs that tells slides")
    held = command.add_mutually_exclusive_group()
    held.add_argument(
        "--train-key", metavar="COLUMN", help="boolean column of obs: the rows to fit"
    )
    held.add_argument(
        "--held-out",
        type=positive_number,
        default=0.05,
        metavar="X",
        help="share of the places held out, at random (default: 0.05)",
    )
    command.add_argument(
        "--random-state",
        type=natural_number,
        default=0,
        metavar="SEED",
        help="of the rows held out, and of fits that name none (default: 0)",
    )
    return runs(command, "grid")


def _add_report(commands: Any) -> ArgumentParser:
    command: ArgumentParser = commands.add_parser(
        "report",
        help="write an HTML report of a result",
        description="Write a report of a fit: one HTML file that needs no network.",
    )
    command.add_argument("file", metavar="RESULT", help="a .h5ad file with a fit")
    command.add_argument("--output", "-o", required=True, metavar="FILE", help="the .html file")
    command.add_argument("--labels", metavar="COLUMN", help="column of obs to compare with")
    command.add_argument("--key", default="subspaces", help="name of the result in the file")
    command.add_argument("--title", help="title of the report")
    return runs(command, "report")


def _add_info(commands: Any) -> ArgumentParser:
    command: ArgumentParser = commands.add_parser(
        "info",
        help="tell what is in a .h5ad file, or which versions and devices there are",
        description="Tell what is in a .h5ad file without reading its matrices. Without a file, "
        "tell the versions of lowdim and what it stands on, and the devices.",
    )
    command.add_argument("file", nargs="?", metavar="FILE", help="a .h5ad file")
    return runs(command, "info")
