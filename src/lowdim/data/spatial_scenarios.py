"""Simulated counts on a grid, with spatial factors of known shape."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from lowdim._random import generator
from lowdim._validation import check_in, check_interval, check_positive_int

if TYPE_CHECKING:
    from anndata import AnnData

    from lowdim._typing import Float64Array, RandomState

#: Places along each side of the grid, and the half-width of the square that it covers.
SIDE, HALF_WIDTH = 36, 2.0
#: Probability that a nonspatial factor is on.
NONSPATIAL_ON = 0.2
#: Of a gene's signal in the mixed design, the share that is spatial.
SPATIAL_SHARE = 0.6

#: Where each factor is on, "#", as a map with y upward; enlarged to the grid.
PATTERNS = {
    "quilt": [
        "............ .####..####. .####..####. .####..####. .####..####. ............ "
        "............ .####..####. .####..####. .####..####. .####..####. ............",
        "############ #####..##### ####....#### ###......### ##........## #..........# "
        "#..........# ##........## ###......### ####....#### #####..##### ############",
        "#..........# .#........#. ..#......#.. ...#....#... ....#..#.... .....##..... "
        ".....##..... ....#..#.... ...#....#... ..#......#.. .#........#. #..........#",
        "..##.. ..##.. ##..## ##..## ..##.. ..##..",
    ],
    "ggblocks": [
        ".#.... ###... .#.... ...... ...... ......",
        "...### ...#.# ...### ...... ...... ......",
        "...... ...... ...... #..... ##.... ###...",
        "...... ...... ...... ...### ....#. ....#.",
    ],
}
PATTERNS["both"] = PATTERNS["ggblocks"] + PATTERNS["quilt"]

DESIGNS = ("spatial", "separate", "mixed")


def simulate_spatial(
    scenario: str = "quilt",
    design: str = "spatial",
    *,
    n_genes: int | None = None,
    n_nonspatial: int | None = None,
    expression: float = 20.0,
    background: float = 0.2,
    shape: float = 10.0,
    random_state: RandomState = 0,
) -> AnnData:
    """Draw counts on a grid of 36 x 36 places from binary factors with sharp edges.

    The simulations of the paper on nonnegative spatial factorization (see References): a count of
    gene j at place i is negative binomial with the mean
    ``background + sum_l f_il w_jl + sum_l u_il v_jl``, where f are patterns on the grid and each
    u_il is 1 with probability 0.2 and else 0, whatever the place.

    Parameters
    ----------
    scenario : {"quilt", "ggblocks", "both"}, default="quilt"
        Four patterns that overlap and cover the grid; four small ones apart from each other; or
        all eight.
    design : {"spatial", "separate", "mixed"}, default="spatial"
        Every gene has one spatial factor, drawn at random; the first half of the genes have a
        spatial one and the others a nonspatial one; or every gene has one of each kind, with
        0.6 and 0.4 of its expression.
    n_genes : int, optional
        J; by default 200, with nonspatial factors 500.
    n_nonspatial : int, optional
        Number of nonspatial factors; by default as in the paper 3, for "both" 6, and none for
        the design "spatial".
    expression : float, default=20
        What a gene's factors add to its mean where they are on.
    background : float, default=0.2
        Mean of all genes where none is on.
    shape : float, default=10
        Of the negative binomial: the variance is ``mean + mean**2 / shape``; ``inf`` is Poisson.
    random_state : int, Generator or RandomState, default=0

    Returns
    -------
    AnnData of 1,296 places x J genes, places row by row from the lower left:
    `layers["counts"]`, CSR float32; `X`, log(1 + counts);
    `obsm["spatial"]`, coordinates from -2 to 2;
    `obsm["true_spatial_factors"]` (N, T) and `varm["true_spatial_loadings"]` (J, T), f and w;
    `obsm["true_nonspatial_factors"]` and `varm["true_nonspatial_loadings"]`, u and v, if there are
    any;
    `uns["simulation"]`, the arguments.

    Raises
    ------
    TypeError, ValueError
        An argument of the wrong type or range.

    References
    ----------
    Townes and Engelhardt (2023), Nonnegative spatial factorization applied to spatial genomics.

    Examples
    --------
    >>> import lowdim as ld
    >>> adata = ld.data.simulate_spatial("quilt", random_state=1)
    >>> adata.shape, adata.obsm["true_spatial_factors"].shape
    ((1296, 200), (1296, 4))
    """
    check_in(scenario, "scenario", tuple(PATTERNS))
    check_in(design, "design", DESIGNS)
    check_interval(expression, "expression", low=0.0)
    check_interval(background, "background", low=0.0)
    if shape != np.inf:
        check_interval(shape, "shape", low=0.0, closed="neither")
    n_genes = check_positive_int(
        (200 if design == "spatial" else 500) if n_genes is None else n_genes, "n_genes"
    )
    n_nonspatial = _check_nonspatial(n_nonspatial, design, scenario)
    rng = generator(random_state)
    F = spatial_patterns(scenario)
    U = (rng.random((len(F), n_nonspatial)) < NONSPATIAL_ON).astype(np.float64)
    W, V = _draw_loadings(design, n_genes, F.shape[1], n_nonspatial, rng)
    mean = background + expression * (F @ W.T + U @ V.T)
    if shape != np.inf:
        mean = mean * rng.gamma(shape, 1 / shape, size=mean.shape)
    arguments = {"scenario": scenario, "design": design, "expression": float(expression),
                 "background": float(background), "shape": float(shape)}  # fmt: skip
    truth = {"spatial": (F, expression * W)}
    if n_nonspatial:
        truth["nonspatial"] = (U, expression * V)
    return _as_anndata(rng.poisson(mean), truth, arguments)


def grid() -> Float64Array:
    """Coordinates of the places, (1296, 2), row by row from the lower left."""
    line = np.linspace(-HALF_WIDTH, HALF_WIDTH, SIDE)
    x, y = np.meshgrid(line, line)
    return np.column_stack([x.ravel(), y.ravel()])


def spatial_patterns(scenario: str) -> Float64Array:
    """The factors of a scenario over the places of `grid`, zeros and ones, (1296, T)."""
    columns = []
    for pattern in PATTERNS[scenario]:
        small = np.array([[sign == "#" for sign in line] for line in pattern.split()][::-1])
        factor = SIDE // len(small)
        columns.append(np.kron(small, np.ones((factor, factor))).ravel())
    return np.stack(columns, axis=1)


def _check_nonspatial(n_nonspatial: int | None, design: str, scenario: str) -> int:
    if design == "spatial":
        if n_nonspatial:
            raise ValueError(
                f"n_nonspatial={n_nonspatial} has no meaning with design='spatial'; leave it out, "
                "or pass design='separate' or 'mixed'."
            )
        return 0
    default = 6 if scenario == "both" else 3
    return check_positive_int(default if n_nonspatial is None else n_nonspatial, "n_nonspatial")


def _draw_loadings(
    design: str, n_genes: int, n_spatial: int, n_nonspatial: int, rng: np.random.Generator
) -> tuple[Float64Array, Float64Array]:
    """Shares of a gene's expression that are due to its factors, (J, T) and (J, L - T)."""
    W = np.eye(n_spatial)[rng.integers(n_spatial, size=n_genes)]
    if design == "spatial":
        return W, np.zeros((n_genes, 0))
    V = np.eye(n_nonspatial)[rng.integers(n_nonspatial, size=n_genes)]
    if design == "mixed":
        return SPATIAL_SHARE * W, (1 - SPATIAL_SHARE) * V
    W[(n_genes + 1) // 2 :] = 0
    V[: (n_genes + 1) // 2] = 0
    return W, V


def _as_anndata(
    counts: np.ndarray,
    truth: dict[str, tuple[Float64Array, Float64Array]],
    arguments: dict[str, Any],
) -> AnnData:
    from anndata import AnnData
    from scipy.sparse import csr_matrix

    stored = csr_matrix(counts, dtype=np.float32)
    adata = AnnData(X=stored.log1p(), layers={"counts": stored}, uns={"simulation": arguments})
    adata.obs_names = [f"place_{i}" for i in range(adata.n_obs)]
    adata.var_names = [f"gene_{j}" for j in range(adata.n_vars)]
    adata.obsm["spatial"] = grid()
    for kind, (factors, loadings) in truth.items():
        adata.obsm[f"true_{kind}_factors"] = factors
        adata.varm[f"true_{kind}_loadings"] = loadings
    return adata
