"""The hard cohort of ggml-ot's benchmark: classes differ in covariances of few cells."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import ortho_group

from lowdim._random import generator
from lowdim._validation import check_positive_int
from lowdim.data.cohorts import CohortTruth, draw_cells

if TYPE_CHECKING:
    from anndata import AnnData

    from lowdim._typing import Float64Array, RandomState

#: Features, components (two of them with the signal), and the share of cells of those two.
D, K, SHARE = 16, 12, 0.08
#: Distance of the signal's components from the origin of the plane, and by how much a class
#: moves it; distance of the others off the plane; deviation of all means between samples.
NEAR, MOVED, FAR, JITTER = 22.5, 0.1, 1.62, 1.8
#: Size of covariances in the plane, and ratio of their axes.
SIZE, RATIO = 1.2, 12.0
#: Largest turn, in degrees, and change of scale of a covariance between samples.
TURN, SCALE = 10.0, 0.15
#: Of components 0 and 1 in classes 0 and 1: multiples of the long and the short variance along
#: the two axes of the plane, and the angle.
SHAPES = {
    (0, 0): ((0.9, 4.0), 20.0),
    (0, 1): ((1.8, 0.4), -5.0),
    (1, 0): ((1.5, 1.6), -10.0),
    (1, 1): ((2.5, 0.7), 0.0),
}
#: Directions off the plane in which a component without signal is long.
SPIKES = 2


def simulate_hard_cohort(
    n_samples: int = 40, n_cells: int = 500, *, random_state: RandomState = 0
) -> AnnData:
    """Draw the hard synthetic task of ggml-ot's benchmark, of two classes in 16 features.

    Two of twelve components, with 8 percent of the cells, lie on the axes of a plane. A class
    shapes and turns their covariances, and hardly moves their means; both differ more between
    samples than between classes off the plane. The other ten components have no signal.

    With mixtures as drawn, 40 samples, 28 of them for training, and 5 neighbours, transport
    without a learned map predicts .68 of the others by its mixed cost and .54 by MW2 in ggml-ot's
    draws with the seeds 42 to 44.

    Parameters
    ----------
    n_samples : int, default=40
        S, even: half of them of each class.
    n_cells : int, default=500
        Cells of every sample, at least 50, shared out without chance.
    random_state : int, Generator or RandomState, default=0

    Returns
    -------
    AnnData of all cells x 16, as of `simulate_cohort`, without batches and scores.

    Raises
    ------
    TypeError, ValueError
        An argument of the wrong type or range.

    References
    ----------
    The settings are those of the synthetic benchmark among the tests of ggml-ot 0.9 (MIT licence);
    cells and parameters follow the same distributions and are other draws.

    Examples
    --------
    >>> import lowdim as ld
    >>> adata = ld.data.simulate_hard_cohort(n_samples=4, n_cells=100)
    >>> adata.shape, adata.uns["truth"]["means"].shape
    ((400, 16), (4, 12, 16))
    """
    S = check_positive_int(n_samples, "n_samples", minimum=2)
    if S % 2:
        raise ValueError(f"n_samples={S} must be even: half of them are of each class.")
    n_cells = check_positive_int(n_cells, "n_cells", minimum=50)
    rng = generator(random_state)
    labels = np.repeat([0, 1], S // 2)
    in_plane, off_plane = _archetypes(rng)
    centres = np.zeros((K, D))
    away = rng.standard_normal((K - 2, D - 2))
    away *= FAR * rng.uniform(0.9, 1.1, (K - 2, 1)) / np.linalg.norm(away, axis=1, keepdims=True)
    centres[2:, 2:] = away
    means = centres + JITTER * rng.standard_normal((S, K, D))
    covariances = np.zeros((S, K, D, D))
    for s, k in np.ndindex(S, K):
        if k < 2:  # moved by the class and, from sample to sample, along its own axis only
            means[s, k, k] += NEAR + MOVED * (-1 if labels[s] == k else 1)
            means[s, k, 1 - k] = 0.0
        shape = in_plane[k, int(labels[s])] if k < 2 else in_plane[k, 0]
        covariances[s, k, :2, :2] = _varied(shape, rng)
        covariances[s, k, 2:, 2:] = _varied(off_plane[k], rng)
    rotation = ortho_group.rvs(D, random_state=rng)
    signal = round(SHARE * n_cells)
    own = np.concatenate([_shared_out(signal, 2), _shared_out(n_cells - signal, K - 2)])
    truth = CohortTruth(
        np.tile(own / n_cells, (S, 1)),
        means @ rotation,
        rotation.T @ covariances @ rotation,
        rotation[:2],
        labels,
    )
    return draw_cells(truth, np.tile(own, (S, 1)), rng)


def _archetypes(
    rng: np.random.Generator,
) -> tuple[dict[tuple[int, int], Float64Array], list[Float64Array]]:
    """Covariances in the plane by component and class, and off the plane by component."""
    long, short = SIZE * np.sqrt(RATIO), SIZE / np.sqrt(RATIO)
    in_plane = {}
    for (k, label), (factors, angle) in SHAPES.items():
        variances = np.array([long, short] if k == 0 else [short, long]) * factors
        turn = angle + (rng.uniform(-TURN, TURN) if k == 1 else 0.0)
        in_plane[k, label] = _turned(np.diag(variances), 0, 1, turn)
    round_ = [_ellipsoid(0.08 * SIZE, rng) for _ in range(2)]
    spiked = [_spiked(0.45 * SIZE, rng) for _ in range(K - 2)]
    for k in range(2, K):
        ratio = np.sqrt(rng.uniform(1.0, RATIO / 2))
        shape = 0.55 * SIZE * np.diag([ratio, 1 / ratio])
        in_plane[k, 0] = _turned(shape, 0, 1, rng.uniform(-180.0, 180.0))
    return in_plane, round_ + spiked


def _ellipsoid(variance: float, rng: np.random.Generator) -> Float64Array:
    """A covariance off the plane with variances from a tenth to 1.9 times the mean one."""
    axes = np.linalg.qr(rng.standard_normal((D - 2, D - 2)))[0]
    return np.asarray((axes * rng.uniform(0.1 * variance, 1.9 * variance, D - 2)) @ axes.T)


def _spiked(variance: float, rng: np.random.Generator) -> Float64Array:
    """One off the plane with 85 percent of its variance in a few directions."""
    axes = np.linalg.qr(rng.standard_normal((D - 2, SPIKES)))[0]
    spikes = 0.85 * variance * (D - 2) * rng.dirichlet(np.full(SPIKES, 2.0))
    return np.asarray(0.15 * variance * np.eye(D - 2) + (axes * spikes) @ axes.T)


def _varied(covariance: Float64Array, rng: np.random.Generator) -> Float64Array:
    """A sample's own: turned a little in random planes, and scaled."""
    n = len(covariance)
    for _ in range(n // 2):
        i, j = rng.choice(n, 2, replace=False)
        covariance = _turned(covariance, i, j, rng.uniform(-TURN, TURN))
    return covariance * rng.uniform(1 - SCALE, 1 + SCALE)


def _turned(covariance: Float64Array, i: int, j: int, degrees: float) -> Float64Array:
    """Rotated in the plane of two axes."""
    rotation = np.eye(len(covariance))
    angle = np.radians(degrees)
    rotation[i, i] = rotation[j, j] = np.cos(angle)
    rotation[j, i], rotation[i, j] = np.sin(angle), -np.sin(angle)
    return np.asarray(rotation @ covariance @ rotation.T)


def _shared_out(n: int, parts: int) -> np.ndarray:
    """A number in nearly equal whole parts."""
    return np.full(parts, n // parts) + (np.arange(parts) < n % parts)
