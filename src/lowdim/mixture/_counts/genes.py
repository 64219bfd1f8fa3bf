"""Compiled M-step: the genes' means and dispersions, one gene at a time.

Given the responsibilities, genes do not depend on each other. Import on first use only: numba is
slow to load.
"""

from __future__ import annotations

import numpy as np

from lowdim._compile import compiled_fast
from lowdim.mixture._counts.special import log, log1p, zero_slopes

#: Newton steps on the dispersion per M-step, and how often each is shortened if it leads down.
NOISE_STEPS, SHORTER = 1, 4
#: The longest step in log phi.
LONGEST = 1.5
#: A mean is not allowed to be smaller: log mu must be finite for counts that are seen later.
MEAN_FLOOR = 1e-10


@compiled_fast
def gather(rows, counts, active, sizes, pseudo, starts, share, size):
    """Sort a gene's counts by component: r x to `share`, s to `size`, from starts[k] on.

    The first of each component is its pseudo-cell, of count times weight `pseudo` and size one.
    """
    pointer, component, owned = active
    n_components = len(starts) - 1
    for k in range(n_components + 1):
        starts[k] = 0
    for e in range(len(rows)):
        for a in range(pointer[rows[e]], pointer[rows[e] + 1]):
            starts[component[a] + 1] += 1
    for k in range(n_components):
        starts[k + 1] += starts[k] + 1
        share[starts[k]] = pseudo
        size[starts[k]] = 1.0
    place = starts[:-1] + 1
    for e in range(len(rows)):
        i = rows[e]
        for a in range(pointer[i], pointer[i + 1]):
            k = component[a]
            share[place[k]] = owned[a] * counts[e]
            size[place[k]] = sizes[i]
            place[k] += 1


@compiled_fast
def tail_weights(rows, active, rank, weight, out):
    """Write to out, (q, K), the weight of a component's rows with more than m counts, at nodes m.

    Entries come by descending count, and the first `rank` of them have more than m.
    """
    pointer, component, owned = active
    total = np.zeros(out.shape[1])
    e = 0
    for q in range(len(rank) - 1, -1, -1):
        while e < rank[q]:
            for a in range(pointer[rows[e]], pointer[rows[e] + 1]):
                total[component[a]] += owned[a]
            e += 1
        for k in range(out.shape[1]):
            out[q, k] = total[k] * weight[q]


@compiled_fast
def next_mean(share, size, nodes, weights, mean, phi):
    """Fisher's fixed point: ``sum r x / (1 + s phi mu)`` by ``sum r s / (1 + s phi mu)``."""
    rate, above, below = phi * mean, 0.0, 0.0
    for e in range(len(share)):
        above += share[e] / (1.0 + size[e] * rate)
    for j in range(len(nodes)):
        below += weights[j] * nodes[j] / (1.0 + nodes[j] * rate)
    if below <= 1e-12:  # a component without rows and without a prior stays where it is
        return mean
    return max(above / below, MEAN_FLOOR)


@compiled_fast
def likelihood(share, size, nodes, weights, mean, phi):
    """A gene's log-likelihood in a component, and its first two derivatives in phi.

    All but ``sum_m C_m log(1 + m phi)``; rows without a count are sums over the nodes.
    """
    rate, total, value, first, second = phi * mean, 0.0, 0.0, 0.0, 0.0
    for e in range(len(share)):
        y = size[e] * rate
        a = size[e] * mean / (1.0 + y)
        lost = share[e] * a
        total += share[e]
        value -= share[e] * log1p(y)
        first -= lost
        second += lost * a
    value += total * log(mean)
    if phi == 0.0:
        for j in range(len(nodes)):
            value -= weights[j] * nodes[j] * mean
        return value, 0.0, 0.0
    for j in range(len(nodes)):
        a = nodes[j] * mean
        cost, slope, bend = zero_slopes(a * phi)
        owned = weights[j] * a * a
        value -= weights[j] * cost / phi
        first += owned * slope
        second += owned * a * bend
    return value, first, second


@compiled_fast
def tails(m, weights, phi):
    """``sum_m C_m log(1 + m phi)`` and its first two derivatives in phi."""
    value, first, second = 0.0, 0.0, 0.0
    for q in range(len(m)):
        a = m[q] / (1.0 + m[q] * phi)
        value += weights[q] * log1p(m[q] * phi)
        first += weights[q] * a
        second -= weights[q] * a * a
    return value, first, second


@compiled_fast
def evaluate(span, stored, nodes, weights, tail, prior, mean, phi):
    """The objective of components that share phi, and its first two derivatives in log phi.

    Parameters
    ----------
    span : (int, int)
        The first component, and the one after the last.
    stored : (starts, share, size)
        From `gather`.
    nodes, weights : (M + 1,), (K, M + 1)
        Sizes, and the weight of each component's rows at them; the last is the pseudo-cell.
    tail : (m, C)
    prior : (float, float, float, float)
        Weight of the pseudo-cell, its count, and centre and precision of the normal prior on
        log phi.
    mean : (K,)
    phi : float
    """
    starts, share, size = stored
    strength, count, centre, precision = prior
    value, first, second = tails(tail[0], tail[1], phi)
    for k in range(span[0], span[1]):
        own = slice(starts[k], starts[k + 1])
        v, f, s = likelihood(share[own], size[own], nodes, weights[k], mean[k], phi)
        value, first, second = value + v, first + f, second + s
    if strength > 0.0:  # the pseudo-cell counts by how far the mean is from its own
        alone, one = np.full(1, strength * count), np.ones(1)
        v, f, s = likelihood(alone, one, one, one * strength, count, phi)
        number = span[1] - span[0]
        value, first, second = value - number * v, first - number * f, second - number * s
    if phi == 0.0:
        return value, 0.0, 0.0
    away = log(phi) - centre
    value -= 0.5 * precision * away * away
    bend = phi * first + phi * phi * second - precision
    return value, phi * first - precision * away, bend


@compiled_fast
def move_means(span, stored, nodes, weights, tail, prior, mean, phi):
    """One step of the means of components that share phi; the objective never falls.

    The geometric mean of the old mean and Fisher's fixed point maximises a lower bound of the
    log-likelihood that touches it at the old mean, so it serves where the whole step leads down.
    """
    starts, share, size = stored
    before = evaluate(span, stored, nodes, weights, tail, prior, mean, phi)
    old = mean[span[0] : span[1]].copy()
    for k in range(span[0], span[1]):
        own = slice(starts[k], starts[k + 1])
        mean[k] = next_mean(share[own], size[own], nodes, weights[k], mean[k], phi)
    after = evaluate(span, stored, nodes, weights, tail, prior, mean, phi)
    if after[0] >= before[0]:
        return after
    for k in range(span[0], span[1]):
        mean[k] = np.sqrt(mean[k] * old[k - span[0]])
    after = evaluate(span, stored, nodes, weights, tail, prior, mean, phi)
    if after[0] >= before[0]:
        return after
    mean[span[0] : span[1]] = old  # rounding: it is at its maximum
    return before


@compiled_fast
def move_noise(span, stored, nodes, weights, tail, prior, mean, phi, bounds, now):
    """Newton steps on log phi, shortened until the objective does not fall.

    `now` is what `evaluate` says at phi. Returns phi and what it says there.
    """
    for _ in range(NOISE_STEPS):
        slope, bend = now[1], now[2]
        step = -slope / bend if bend < 0.0 else np.sign(slope) * LONGEST
        step = min(max(step, -LONGEST), LONGEST)
        moved = False
        for _ in range(SHORTER):
            other = min(max(phi * np.exp(step), bounds[0]), bounds[1])
            if other == phi:
                break
            value = evaluate(span, stored, nodes, weights, tail, prior, mean, other)
            if value[0] >= now[0]:
                phi, now, moved = other, value, True
                break
            step *= 0.25
        if not moved:
            break
    return phi, now


@compiled_fast
def update_genes(span, columns, tail, active, zeros, priors, mean, noise, plan, bends, width):
    """The M-step of some genes: `mean` and `noise`, (D, K), are changed in place.

    Parameters
    ----------
    span : (int, int)
        The first gene, and the one after the last.
    columns : (pointer, rows, counts)
        CSC; each gene's entries by descending count.
    tail : (pointer, m, weight, rank, owned)
        Nodes of the sums over m < x, gene by gene, and the sums' weights over all rows.
    active : (pointer, component, share)
        Responsibilities times row weights that are not negligible, row by row.
    zeros : (sizes, nodes, weights)
        Size factors of the rows (N,), nodes (M + 1,), and weights at them (K, M + 1).
    priors : (strength, counts, centres, precision)
        Of the pseudo-cells, and of log phi; counts and centres for every gene.
    plan : (bool, bool, bool, float, float)
        Whether phi is the component's own, whether means move, whether phi moves, and the least
        and the largest phi.
    bends : (D, K)
        Second derivatives in log phi are written here.
    width : int
        No gene has more entries, counted once per active component.

    Returns
    -------
    The sum over these genes of what `evaluate` says.
    """
    own, moves, noisy, least, most = plan
    sizes, nodes, weights = zeros
    n_components = mean.shape[1]
    starts, share, size = np.zeros(n_components + 1, np.int64), np.empty(width), np.empty(width)
    value, slope, bend = 0.0, 0.0, 0.0
    for g in range(span[0], span[1]):
        entries = slice(columns[0][g], columns[0][g + 1])
        knots = slice(tail[0][g], tail[0][g + 1])
        rows = columns[1][entries]
        prior = (priors[0], priors[1][g], priors[2][g], priors[3])
        gather(rows, columns[2][entries], active, sizes, prior[0] * prior[1], starts, share, size)
        stored = (starts, share, size)
        above = np.empty((n_components if own else 1, knots.stop - knots.start)).T
        if own:
            tail_weights(rows, active, tail[3][knots], tail[2][knots], above)
        else:
            above[:, 0] = tail[4][knots]
        for k in range(n_components if own else 1):
            part = (k, k + 1) if own else (0, n_components)
            more = (tail[1][knots], above[:, k])
            phi, bounds = noise[g, k], (least, most)
            if moves:
                now = move_means(part, stored, nodes, weights, more, prior, mean[g], phi)
            else:
                now = evaluate(part, stored, nodes, weights, more, prior, mean[g], phi)
            if noisy:
                phi, now = move_noise(
                    part, stored, nodes, weights, more, prior, mean[g], phi, bounds, now
                )
            noise[g, part[0] : part[1]] = phi
            bends[g, part[0] : part[1]] = now[2]
            value, slope, bend = value + now[0], slope + now[1], bend + now[2]
    return value, slope, bend
