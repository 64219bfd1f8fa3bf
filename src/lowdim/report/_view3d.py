"""Rows and subspaces in three dimensions, as numbers for the page to draw."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from lowdim._keys import SubspaceKeys
from lowdim.data.columns import column
from lowdim.pl._colors import MISSING, palette
from lowdim.pl._fitted import column_names, read_labels
from lowdim.pl._geometry import project_flats
from lowdim.pl._projection import choose_projection

if TYPE_CHECKING:
    from anndata import AnnData

    from lowdim._typing import Float64Array
    from lowdim.data.sources import RowSource
    from lowdim.pl._fitted import FittedSubspaces
    from lowdim.pl._geometry import Flat
    from lowdim.report._components import Component

MAX_POINTS = 5_000
SD = 2.0
"""How far subspaces are drawn, in standard deviations."""

_EXTENT = 1000
"""Half the width of the scene, in whole units: finer than any screen."""

_SHAPES = {0: "point", 1: "line", 2: "disc"}


def scene(
    adata: AnnData,
    source: RowSource,
    fit: FittedSubspaces,
    components: Sequence[Component],
    key: str,
    labels: str | None,
) -> dict[str, Any]:
    """Everything that the view draws, as plain lists of whole numbers and texts.

    The rows (a sample of 5,000 if there are more) and the subspaces are projected onto the first
    three principal axes of the data, or onto their columns if there are no more than three.
    """
    names = column_names(adata, key, fit)
    projection = choose_projection(source, min(3, source.n_cols), names=names)
    chosen = _sample(source.n_rows)
    points = _padded(projection.points(source.take(chosen)))
    center = (points.max(0) + points.min(0)) / 2
    scale = _EXTENT / max(float(np.abs(points - center).max()), 1e-300)
    probabilities = np.asarray(adata.obsm[SubspaceKeys(key).probabilities])[chosen]
    names, codes, colors = _label_codes(adata, labels, chosen)
    assigned = read_labels(adata, None, key, fit)[chosen]
    return {
        "axes": [*projection.labels, *[""] * (3 - len(projection.labels))],
        "total": source.n_rows,
        "points": _whole((points - center) * scale).ravel().tolist(),
        "component": assigned.tolist(),
        "confidence": _whole(100 * probabilities.max(1)).tolist(),
        "components": [
            {"name": c.name, "color": c.color, "kind": c.kind, "size": c.size} for c in components
        ],
        "flats": [
            _flat(flat, int(fit.dims[flat.component]), center, scale)
            for flat in project_flats(fit, projection)
        ],
        "column": labels or "",
        "labels": names,
        "label": codes,
        "labelColors": colors,
        "missing": MISSING,
    }


def _sample(n_rows: int) -> np.ndarray:
    """Numbers of at most 5,000 rows, ascending and always the same."""
    if n_rows <= MAX_POINTS:
        return np.arange(n_rows)
    chosen = np.random.default_rng(0).choice(n_rows, MAX_POINTS, replace=False, shuffle=False)
    return np.sort(chosen)


def _label_codes(
    adata: AnnData, labels: str | None, chosen: np.ndarray
) -> tuple[list[str], list[int], list[str]]:
    """Names, the code of each chosen row (-1 is missing) and colours."""
    if labels is None:
        return [], [], []
    found = column(adata.obs, labels).astype("category").cat.remove_unused_categories().cat
    names = [str(name) for name in found.categories]
    return names, found.codes.to_numpy()[chosen].tolist(), palette(len(names))


def _flat(flat: Flat, dim: int, center: Float64Array, scale: float) -> dict[str, Any]:
    """A component as its middle and the half axes of what is drawn, in the scene's units.

    A point is drawn as the sphere of its noise, a line and a disc as far as their own axes reach,
    and more dimensions as the ellipsoid of the rows.
    """
    if dim in (1, 2):
        axes = flat.axes
    else:
        spread, directions = flat.ellipse()
        axes = spread[:, None] * directions
    middle = (_padded(flat.mean[None])[0] - center) * scale
    return {
        "component": flat.component,
        "shape": _SHAPES.get(dim, "ellipsoid"),
        "middle": _whole(middle).tolist(),
        "axes": _whole(SD * scale * _padded(axes)).tolist(),
    }


def _padded(points: Float64Array) -> Float64Array:
    """Coordinates with zeros for the axes that the data do not have, (n, 3)."""
    return np.pad(points, ((0, 0), (0, 3 - points.shape[1])))


def _whole(values: Float64Array) -> np.ndarray:
    return np.rint(values).astype(np.int64)
