"""Fill the template and write the file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lowdim._files import replacing
from lowdim.report import _text

if TYPE_CHECKING:
    from anndata import AnnData
    from jinja2 import Environment

    from lowdim._typing import PathLike

_ASSETS = Path(__file__).parent / "assets"


def write(
    adata: AnnData,
    path: PathLike,
    *,
    key: str = "subspaces",
    labels: str | None = None,
    title: str | None = None,
) -> Path:
    """Write a report of a fit: one HTML file that needs nothing else.

    It tells, with words on how to read each part, what was fitted, how the model was chosen, what
    the components are and which genes make them, how the rows lie (with a view in 3-D that turns),
    whether the fit can be trusted, and with which settings and versions it was made. A report of
    subspaces compares them with all clusterings that `lowdim.tl.mixture` left, and shows them in
    all layouts that `lowdim.tl.embed` left; one of such a clustering is shorter. One of spatial
    factors shows their maps, genes, importance and fit; one of samples their map and distances,
    mixtures, the axes of a ground metric, and what `lowdim.tl.sample_validation` found; one of a
    layout its picture, and how far it can be believed.

    Parameters
    ----------
    adata
        Data with the results of `lowdim.tl.subspaces`, `lowdim.tl.select_subspaces`,
        `lowdim.tl.mixture`, `lowdim.tl.embed`, `lowdim.tl.spatial_factors`,
        `lowdim.tl.sample_distances` or `lowdim.tl.ground_metric`. What
        ``adata.uns["preprocessing"]`` says, a text or several, is quoted.
    path
        The file; replaced if it exists, and its folder made if it does not.
    key
        The `key_added` of the fit.
    labels
        A column of `adata.obs` to compare the components with, such as known cell types.
    title
        The title; by default the number of subspaces, components or factors, and of rows.

    Returns
    -------
    The path.

    Raises
    ------
    TypeError, ValueError
        `adata` has no such results, or no such column. Nothing is written then.
    """
    from lowdim.report._content import gather

    html = render(gather(adata, key, labels, title))
    with replacing(path) as temporary:
        temporary.write_text(html, encoding="utf-8")
    return Path(path)


def render(content: dict[str, Any]) -> str:
    """The report as HTML; everything in `content` is escaped."""
    return _environment().get_template(content["template"]).render(**content)


def _environment() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=FileSystemLoader(_ASSETS),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["asset"] = lambda name: Markup((_ASSETS / name).read_text("utf-8"))
    environment.filters |= {
        "number": _text.number,
        "percent": _text.percent,
        "count": _text.count,
        "dims": _text.dims_text,
    }
    environment.filters["embed"] = lambda value: Markup(as_script(value))
    return environment


def as_script(value: Any) -> str:
    """Compact JSON that cannot end the element that it stands in."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
