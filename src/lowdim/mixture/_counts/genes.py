"""Compiled M-step: the genes' means and dispersions, one gene at a time.

Given the responsibilities, genes do not depend on each other. Import on first use only: numba is
slow to load.
"""

from __future__ import annotations

import numpy as np

from lowdim._compile import compiled_fast
from lowdim.mixture._counts.special import log, log1p, zero_slopes

#: The longest Newton step in log phi, and how often it is shortened if it leads down.
LONGEST, SHORTER = 1.5, 4
#: A mean is not allowed to be smaller: log mu must be finite for counts that are seen later.
MEAN_FLOOR = 1e-10


@compiled_fast
def tail_weights(rows, active, rank, weight, out):
    """Write to out, (K, q), the weight of a component's rows with more than m counts, at nodes m.

    Entries come by descending count, and the first `rank` of them have more than m.
    """
    pointer, component, owned = active
    total = np.zeros(len(out))
    e = 0
    for q in range(len(rank) - 1, -1, -1):
        while e < rank[q]:
            for a in range(pointer[rows[e]], pointer[rows[e] + 1]):
                total[component[a]] += owned[a]
            e += 1
        for k in range(len(out)):
            out[k, q] = total[k] * weight[q]


@compiled_fast
def likelihood(nodes, held, owned, pseudo, exposure, mean, phi):
    """A gene's log-likelihood and log prior in a component, and where its mean should go.

    All but ``sum_m C_m log(1 + m phi)``: ``A log mu - sum_j (A_j + W_j / phi) log(1 + s_j phi mu)``
    with the counts A_j and the rows W_j at the nodes s_j, and ``a log mu - b mu`` with the prior's
    counts a and exposure b; and Fisher's fixed point of the mean,
    ``a + sum_j A_j / (1 + s_j phi mu)`` by ``b + sum_j W_j s_j / (1 + s_j phi mu)``.
    """
    total, value, above, below = pseudo, -exposure * mean, pseudo, exposure
    if phi == 0.0:
        for j in range(len(nodes)):
            total += held[j]
            below += owned[j] * nodes[j]
        value, above = -below * mean, total
    else:
        rate, inverse = phi * mean, 1.0 / phi
        for j in range(len(nodes)):
            y = nodes[j] * rate
            kept = 1.0 / (1.0 + y)
            total += held[j]
            value -= (held[j] + owned[j] * inverse) * log1p(y)
            above += held[j] * kept
            below += owned[j] * nodes[j] * kept
    value += total * log(mean)
    if below <= 1e-12:  # a component without rows and without a prior stays where it is
        return value, mean
    return value, max(above / below, MEAN_FLOOR)


@compiled_fast
def slopes(nodes, held, owned, mean, phi):
    """The first two derivatives of `likelihood` in phi."""
    first, second = 0.0, 0.0
    for j in range(len(nodes)):
        a = nodes[j] * mean
        _, slope, bend = zero_slopes(a * phi)
        lost = a / (1.0 + a * phi)
        first += owned[j] * a * a * slope - held[j] * lost
        second += owned[j] * a * a * a * bend + held[j] * lost * lost
    return first, second


@compiled_fast
def objective(span, gene, mean, phi, fixed):
    """The objective of components that share phi.

    Parameters
    ----------
    span : (int, int)
        The first component, and the one after the last.
    gene : (nodes, held, owned, m, tail, prior)
        Sizes (M,); counts of the components, and their rows, at them, (K, M); the nodes of the sums
        below a count and their weights; counts and exposure of the gamma prior on the means, and
        centre and precision of the normal prior on log phi.
    mean : (K,)
    phi : float
    fixed : (K,)
        Fisher's fixed points of the means are written here.
    """
    nodes, held, owned, m, tail, prior = gene
    value = 0.0
    for q in range(len(m)):
        value += tail[q] * log1p(m[q] * phi)
    for k in range(span[0], span[1]):
        own, fixed[k] = likelihood(nodes, held[k], owned[k], prior[0], prior[1], mean[k], phi)
        value += own
    if phi == 0.0:
        return value
    away = log(phi) - prior[2]
    return value - 0.5 * prior[3] * away * away


@compiled_fast
def noise_slopes(span, gene, mean, phi):
    """The first two derivatives of `objective` in log phi."""
    nodes, held, owned, m, tail, prior = gene
    if phi == 0.0:
        return 0.0, 0.0
    first, second = 0.0, 0.0
    for q in range(len(m)):
        a = m[q] / (1.0 + m[q] * phi)
        first += tail[q] * a
        second -= tail[q] * a * a
    for k in range(span[0], span[1]):
        f, s = slopes(nodes, held[k], owned[k], mean[k], phi)
        first, second = first + f, second + s
    slope = phi * first
    return slope - prior[3] * (log(phi) - prior[2]), slope + phi * phi * second - prior[3]


@compiled_fast
def move_both(span, gene, mean, phi, bounds, fixed):
    """One step of the means and of phi, which components share; the objective never falls.

    The two hardly depend on each other, so they move at once; one after the other if that leads
    down. Returns phi and the objective.
    """
    before = objective(span, gene, mean, phi, fixed)
    old, new = mean.copy(), fixed.copy()
    other = min(max(phi * np.exp(noise_step(span, gene, mean, phi)), bounds[0]), bounds[1])
    mean[span[0] : span[1]] = new[span[0] : span[1]]
    after = objective(span, gene, mean, other, fixed)
    if after >= before:
        return other, after
    mean[:], fixed[:] = old, new
    value = move_means(span, gene, mean, phi, fixed, before)
    step = noise_step(span, gene, mean, phi)
    for _ in range(SHORTER):
        other = min(max(phi * np.exp(step), bounds[0]), bounds[1])
        if other == phi:
            break
        after = objective(span, gene, mean, other, fixed)
        if after >= value:
            return other, after
        step *= 0.25
    return phi, value


@compiled_fast
def move_means(span, gene, mean, phi, fixed, before):
    """One step of the means towards their fixed points; the objective, now `before`, never falls.

    The geometric mean of the old mean and Fisher's fixed point maximises a lower bound of the
    log-likelihood that touches it at the old mean, so it serves where the whole step leads down.
    """
    old, new = mean.copy(), fixed.copy()
    for shorter in (False, True):
        for k in range(span[0], span[1]):
            mean[k] = np.sqrt(new[k] * old[k]) if shorter else new[k]
        after = objective(span, gene, mean, phi, fixed)
        if after >= before:
            return after
    mean[:] = old  # rounding: it is at its maximum
    return before


@compiled_fast
def noise_step(span, gene, mean, phi):
    """A Newton step in log phi."""
    slope, bend = noise_slopes(span, gene, mean, phi)
    step = -slope / bend if bend < 0.0 else np.sign(slope) * LONGEST
    return min(max(step, -LONGEST), LONGEST)


@compiled_fast
def update_genes(span, stored, tail, columns, active, priors, mean, noise, plan, bends):
    """The M-step of some genes: `mean` and `noise`, (D, K), are changed in place.

    Parameters
    ----------
    span : (int, int)
        The first gene, and the one after the last.
    stored : (nodes, held, weights)
        The nodes, (M,); counts of the genes at the nodes, (K, D, M); and each component's rows at
        them, (K, M).
    tail : (pointer, m, weight, rank, owned)
        Nodes of the sums over m < x, gene by gene, and the sums' weights over all rows.
    columns : (pointer, rows, counts)
        CSC; each gene's entries by descending count.
    active : (pointer, component, share)
        Responsibilities times row weights that are not negligible, row by row; needed where phi is
        the component's own.
    priors : (count, exposures, centres, precision)
        Of the means, and of log phi; exposures and centres for every gene.
    plan : (bool, bool, bool, float, float)
        Whether phi is the component's own, whether means move, whether phi moves, and the least
        and the largest phi.
    bends : (D, K)
        Where phi does not move, the second derivatives in log phi are written here.

    Returns
    -------
    The objective's sum over these genes and, where phi does not move, its first two derivatives in
    log phi.
    """
    own, moves, noisy, least, most = plan
    nodes, all_held, owned = stored
    n_components = mean.shape[1]
    fixed, held = np.empty(n_components), np.empty(owned.shape)
    value, slope, bend = 0.0, 0.0, 0.0
    for g in range(span[0], span[1]):
        knots = slice(tail[0][g], tail[0][g + 1])
        prior = (priors[0], priors[1][g], priors[2][g], priors[3])
        for k in range(n_components):
            held[k] = all_held[k, g]
        above = np.empty((n_components if own else 1, knots.stop - knots.start))
        if own:
            rows = columns[1][columns[0][g] : columns[0][g + 1]]
            tail_weights(rows, active, tail[3][knots], tail[2][knots], above)
        else:
            above[0] = tail[4][knots]
        for k in range(n_components if own else 1):
            part = (k, k + 1) if own else (0, n_components)
            gene = (nodes, held, owned, tail[1][knots], above[k], prior)
            phi = noise[g, k]
            if moves and noisy:
                phi, now = move_both(part, gene, mean[g], phi, (least, most), fixed)
                noise[g, part[0] : part[1]], value = phi, value + now
                continue
            now = objective(part, gene, mean[g], phi, fixed)
            if moves:
                now = move_means(part, gene, mean[g], phi, fixed, now)
            first, second = noise_slopes(part, gene, mean[g], phi)
            value, slope, bend = value + now, slope + first, bend + second
            bends[g, part[0] : part[1]] = second
    return value, slope, bend
