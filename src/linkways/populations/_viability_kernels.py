"""Individuals that live, breed, move and die: one population viability simulation after another.

Every draw comes from a counter-based stream (splitmix64) that belongs to a replicate, a year, a population and a
process. Two scenarios with the same seed therefore see the same years and catastrophes, and are the same to the last
individual until the first year in which they differ.
"""

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

__all__ = ["BEVERTON_HOLT", "GRID", "GRID_LIMIT", "NO_DENSITY", "RICKER", "Model", "simulate"]

RANDOM, PAIRS, HERMAPHRODITE, ONE_SEX = 0, 1, 2, 3
GRID = 1025
"""Points at which the quantile function of a varying rate is tabulated, evenly from -GRID_LIMIT to GRID_LIMIT."""
GRID_LIMIT = 5.0
NO_DENSITY, BEVERTON_HOLT, RICKER = 0, 1, 2

STEP = np.uint64(0x9E3779B97F4A7C15)
MIX_A = np.uint64(0xBF58476D1CE4E5B9)
MIX_B = np.uint64(0x94D049BB133111EB)
S30, S27, S31, S11 = np.uint64(30), np.uint64(27), np.uint64(31), np.uint64(11)
ONE = np.uint64(1)
ZERO = np.uint64(0)
TO_UNIT = 1.0 / 9007199254740992.0
WEATHER, SURVIVE, BREED, MOVE, CROWD, FOUND = 1, 2, 3, 4, 5, 6
# columns of an individual; slots of all rows, in use or not, are a permutation of the rows of the genes
DEME, SEX, STAGE, CLOCK, FIRST, SLOT = 0, 1, 2, 3, 4, 5
BIT = (1 << np.arange(16)).astype(np.uint16)
LOW = np.uint64(0xFFFF)
FRESH = 2
"""Of FIRST: born in this year, so that this year's losses pass it by; 1: in its first year; 0: older."""
GONE = -1
"""Population of the dead of this year, who leave the arrays at its end."""


_inner = njit(cache=True, nogil=True, no_cpython_wrapper=True, no_cfunc_wrapper=True)
"""Called from compiled code only: a way in from Python, with all arrays of a model, took half of the compilation."""


class Model(NamedTuple):
    """What one scenario's simulations share; S stages, D populations, Y years."""

    years: int
    breed_first: bool
    mating: int
    poisson: bool
    female_share: float
    survival: NDArray[np.float64]
    """(2, S, GRID) by sex and stage, at the quantiles of the year."""
    breeding: NDArray[np.float64]
    """(2, S, GRID) share of females that breed, of males that may sire."""
    fecundity: NDArray[np.float64]
    """(S, GRID) young of a breeding female."""
    advance: NDArray[np.float64]
    """(2, S) yearly probability of moving on to the next stage, where it has no fixed length."""
    duration: NDArray[np.int64]
    """(2, S) years in a stage of fixed length, else 0; of the last stage: years to live."""
    shared_weather: float
    concordance: float
    catastrophe: NDArray[np.float64]
    """(C, 3) probability a year, multipliers of survival and of fecundity."""
    struck: NDArray[np.bool_]
    """(C, D) which populations a catastrophe strikes."""
    capacity: NDArray[np.float64]
    """(D,) inf where there is no ceiling."""
    density: int
    slope: NDArray[np.float64]
    """(D,) strength of density dependence per individual."""
    moves: NDArray[np.float64]
    """(P, D, D) share that moves from row to column in a year of period P."""
    period: NDArray[np.int64]
    """(Y,) period of each year."""
    mover: NDArray[np.bool_]
    """(2, S) who moves."""
    arrive: float
    loci: int
    depression: float
    """Lethal equivalents per gamete that act through the inbreeding coefficient."""
    lethals: float
    """Recessive lethal alleles per gamete of a founder."""
    founders: NDArray[np.int64]
    """(D, A) individuals by age class at the start."""
    class_stage: NDArray[np.int64]
    class_clock: NDArray[np.int64]
    report: NDArray[np.bool_]
    """(Y + 1,) whether genes are counted in the year."""
    most: int


@_inner
def _next(state, k):
    z = state[k] + STEP
    state[k] = z
    z = (z ^ (z >> S30)) * MIX_A
    z = (z ^ (z >> S27)) * MIX_B
    return z ^ (z >> S31)


@_inner
def _uniform(state, k):
    return np.int64(_next(state, k) >> S11) * TO_UNIT


@_inner
def _seed_streams(state, seed, year, process):
    """Set one stream for each population; adding one more population leaves those of the others alone."""
    for k in range(len(state)):
        state[k] = np.uint64(seed)
        _next(state, k)
        state[k] = _next(state, k) ^ np.uint64(year)
        state[k] = _next(state, k) ^ np.uint64(process)
        state[k] = _next(state, k) ^ np.uint64(k)
        state[k] = _next(state, k)


@_inner
def _normal(state, k):
    radius = np.sqrt(-2.0 * np.log(1.0 - _uniform(state, k)))
    return radius * np.cos(2.0 * np.pi * _uniform(state, k))


@_inner
def _poisson(state, k, mean, none):
    """A Poisson number by inversion, in parts of mean 10; ``none`` is exp(-mean)."""
    count = 0
    whole = mean
    while mean > 0.0:
        part = min(mean, 10.0)
        chance = none if part == whole else np.exp(-part)
        mean -= part
        left = _uniform(state, k)
        number = 0
        while left >= chance and number < 100:
            left -= chance
            number += 1
            chance *= part / number
        count += number
    return count


@_inner
def _round(state, k, mean):
    whole = np.floor(mean)
    return int(whole) + (1 if _uniform(state, k) < mean - whole else 0)


@_inner
def _at(table, z):
    place = (min(max(z, -GRID_LIMIT), GRID_LIMIT) + GRID_LIMIT) * ((GRID - 1) / (2 * GRID_LIMIT))
    left = min(int(place), GRID - 2)
    return table[left] + (place - left) * (table[left + 1] - table[left])


@_inner
def _weather(m, seed, year, state, survival, breeding, fecundity):
    """The rates of a year in every population: good and bad years, then catastrophes."""
    populations, stages = m.capacity.shape[0], m.fecundity.shape[0]
    _seed_streams(state, seed, year, WEATHER)
    common_s, common_b = _normal(state, populations), _normal(state, populations)
    together, apart = np.sqrt(m.shared_weather), np.sqrt(1.0 - m.shared_weather)
    own = np.sqrt(1.0 - m.concordance**2)
    for d in range(populations):
        z_s = together * common_s + apart * _normal(state, d)
        z_b = m.concordance * z_s + own * (together * common_b + apart * _normal(state, d))
        for s in range(stages):
            fecundity[d, s] = _at(m.fecundity[s], z_b)
            for sex in range(2):
                survival[d, sex, s] = _at(m.survival[sex, s], z_s)
                breeding[d, sex, s] = _at(m.breeding[sex, s], z_b)
    for c in range(m.catastrophe.shape[0]):
        if _uniform(state, populations) >= m.catastrophe[c, 0]:
            continue
        for d in range(populations):
            if m.struck[c, d]:
                for s in range(stages):
                    fecundity[d, s] *= m.catastrophe[c, 2]
                    for sex in range(2):
                        survival[d, sex, s] = min(survival[d, sex, s] * m.catastrophe[c, 1], 1.0)


@_inner
def _grown(array, rows):
    larger = np.zeros((rows, array.shape[1]), array.dtype)
    for i in range(array.shape[0]):
        for c in range(array.shape[1]):
            larger[i, c] = array[i, c]
    return larger


@_inner
def _shift(who, source, target):
    """Bring an individual to another row; its genes stay where they are, and the rows change slots."""
    slot = who[target, SLOT]
    for c in range(SLOT + 1):
        who[target, c] = who[source, c]
    who[source, SLOT] = slot


@_inner
def _homozygous(genes, i, loci):
    same = 0
    for locus in range(loci):
        if genes[i, locus] == genes[i, loci + locus]:
            same += 1
    return same


@_inner
def _born_dead(lethal, i):
    half = lethal.shape[1] // 2
    for w in range(half):  # noqa: SIM110
        if lethal[i, w] & lethal[i, half + w] != ZERO:
            return True
    return False


@_inner
def _survive(m, seed, year, state, survival, who, genes, lethal, n):
    _seed_streams(state, seed, year, SURVIVE)
    stages = m.fecundity.shape[0]
    duration, advance, depression, loci = m.duration, m.advance, m.depression, m.loci
    for i in range(n):
        if who[i, FIRST] == FRESH:
            continue
        d, sex, stage = who[i, DEME], who[i, SEX], who[i, STAGE]
        chance = survival[d, sex, stage]
        draw = _uniform(state, d)
        if who[i, FIRST] == 1:
            if depression > 0.0:
                chance *= np.exp(-depression * _homozygous(genes, who[i, SLOT], loci) / loci)
            if lethal.shape[1] > 0 and _born_dead(lethal, who[i, SLOT]):
                chance = 0.0
        if draw >= chance:
            who[i, DEME] = GONE
            continue
        clock = who[i, CLOCK] + 1
        length = duration[sex, stage]
        if stage == stages - 1:
            if length > 0 and clock >= length:
                who[i, DEME] = GONE
                continue
        elif (length > 0 and clock >= length) or (length == 0 and _uniform(state, d) < advance[sex, stage]):
            stage += 1
            clock = 0
        who[i, STAGE] = stage
        who[i, CLOCK] = clock
        who[i, FIRST] = 0


@_inner
def _inherit(state, d, genes, lethal, parent, child, side, loci):
    """One gamete: at every locus either copy of the parent, loci unlinked."""
    mine, theirs = genes[parent, :loci], genes[parent, loci:]
    target = genes[child, side * loci : (side + 1) * loci]
    bits = ZERO
    for first in range(0, loci, 16):
        if first & 63 == 0:
            bits = _next(state, d)
        word = np.uint16(bits & LOW)
        bits >>= np.uint64(16)
        if loci - first >= 16:
            for k in range(16):
                a, b = mine[first + k], theirs[first + k]
                target[first + k] = a if word & BIT[k] == 0 else b
        else:
            for k in range(loci - first):
                a, b = mine[first + k], theirs[first + k]
                target[first + k] = a if word & BIT[k] == 0 else b
    half = lethal.shape[1] // 2
    for w in range(half):
        bits = _next(state, d)
        lethal[child, side * half + w] = (lethal[parent, w] & bits) | (lethal[parent, half + w] & ~bits)


@_inner
def _by_population(who, n, start, members):
    """Individuals by population: those of d are members[start[d] : start[d + 1]], in their order."""
    for d in range(len(start)):
        start[d] = 0
    for i in range(n):
        if who[i, DEME] != GONE:
            start[who[i, DEME] + 1] += 1
    for d in range(len(start) - 1):
        start[d + 1] += start[d]
    for i in range(n):
        d = who[i, DEME]
        if d != GONE:
            members[start[d]] = i
            start[d] += 1
    for d in range(len(start) - 1, 0, -1):
        start[d] = start[d - 1]
    start[0] = 0


@_inner
def _sires(mating, state, d, shares, who, members, sires):
    """The members of a population that may sire this year, in ``sires``; how many."""
    found = 0
    sex = 0 if mating == HERMAPHRODITE else 1
    for i in members:
        if who[i, SEX] != sex:
            continue
        share = shares[sex, who[i, STAGE]]
        if share > 0.0 and (share >= 1.0 or _uniform(state, d) < share):
            sires[found] = i
            found += 1
    if mating == PAIRS:
        for i in range(found - 1, 0, -1):
            j = int(_uniform(state, d) * (i + 1))
            sires[i], sires[j] = sires[j], sires[i]
    return found


@_inner
def _crowding(m, d, count):
    if m.density == BEVERTON_HOLT:
        return 1.0 / (1.0 + m.slope[d] * count)
    if m.density == RICKER:
        return np.exp(-m.slope[d] * count)
    return 1.0


@_inner
def _breed(m, seed, year, state, counted, breeding, fecundity, who, genes, lethal, n):
    """Append the young; the arrays may be replaced by larger ones. ``counted``: numbers (D,) at the last count."""
    _seed_streams(state, seed, year, BREED)
    adults = n
    mating, poisson, female_share, loci, most = m.mating, m.poisson, m.female_share, m.loci, m.most
    populations = m.capacity.shape[0]
    start = np.empty(populations + 1, np.int64)
    ordered = np.empty(adults, np.int64)
    sires = np.empty(adults, np.int64)
    none = np.empty(fecundity.shape[1])
    _by_population(who, adults, start, ordered)
    for d in range(populations):
        members = ordered[start[d] : start[d + 1]]
        if len(members) == 0:
            continue
        males = 0 if mating == ONE_SEX else _sires(mating, state, d, breeding[d], who, members, sires)
        if males == 0 and mating != ONE_SEX:
            continue
        crowding = _crowding(m, d, counted[d])
        for stage in range(len(none)):
            none[stage] = np.exp(-crowding * fecundity[d, stage])
        taken = 0
        for i in members:
            if who[i, SEX] != 0:
                continue
            stage = who[i, STAGE]
            mean = fecundity[d, stage] * crowding
            share = breeding[d, 0, stage]
            if mean <= 0.0 or (share < 1.0 and _uniform(state, d) >= share):
                continue
            sire = i
            if mating == PAIRS:
                if taken == males:
                    break
                sire = sires[taken]
                taken += 1
            young = _poisson(state, d, mean, none[stage]) if poisson else _round(state, d, mean)
            if young == 0:
                continue
            if mating == RANDOM:
                sire = sires[int(_uniform(state, d) * males)]
            if n + young > most:
                return who, genes, lethal, -1
            if n + young > who.shape[0]:
                before = who.shape[0]
                rows = max(n + young, 2 * before)
                who = _grown(who, rows)
                genes = _grown(genes, rows)
                lethal = _grown(lethal, rows)
                for row in range(before, rows):
                    who[row, SLOT] = row
            for _ in range(young):
                if mating == HERMAPHRODITE:
                    sire = sires[int(_uniform(state, d) * males)]
                who[n, DEME] = d
                who[n, SEX] = 0 if mating >= HERMAPHRODITE or _uniform(state, d) < female_share else 1
                who[n, STAGE] = 0
                who[n, CLOCK] = 0
                who[n, FIRST] = FRESH
                _inherit(state, d, genes, lethal, who[i, SLOT], who[n, SLOT], 0, loci)
                _inherit(state, d, genes, lethal, who[sire, SLOT], who[n, SLOT], 1, loci)
                n += 1
    return who, genes, lethal, n


@_inner
def _move(m, seed, year, state, who, n):
    """Let the movers move; one that is lost on the way is gone. Returns how many arrived."""
    _seed_streams(state, seed, year, MOVE)
    rates = m.moves[m.period[year - 1]]
    mover, arrive = m.mover, m.arrive
    leave = np.zeros(rates.shape[0])
    for source in range(rates.shape[0]):
        for target in range(rates.shape[1]):
            leave[source] += rates[source, target]
    arrived = 0
    for i in range(n):
        source = who[i, DEME]
        if source == GONE or leave[source] == 0.0 or not mover[who[i, SEX], who[i, STAGE]]:
            continue
        draw = _uniform(state, source)
        if draw >= leave[source]:
            continue
        lost = _uniform(state, source) >= arrive
        for target in range(rates.shape[1]):
            draw -= rates[source, target]
            if draw < 0.0:
                who[i, DEME] = GONE if lost else target
                arrived += not lost
                break
    return arrived


@_inner
def _crowd(m, seed, year, state, who, n):
    """Above the ceiling a random choice dies; then all who are gone leave the arrays. Returns how many stay."""
    _seed_streams(state, seed, year, CROWD)
    populations = m.capacity.shape[0]
    count = np.zeros(populations, np.int64)
    for i in range(n):
        if who[i, DEME] != GONE:
            count[who[i, DEME]] += 1
    room = np.empty(populations, np.int64)
    for d in range(populations):
        room[d] = count[d] if m.capacity[d] >= count[d] else int(m.capacity[d])
    left = 0
    for i in range(n):
        d = who[i, DEME]
        if d == GONE:
            continue
        # the classic sequential sample: room[d] of the count[d] that are still to come stay
        if room[d] < count[d] and _uniform(state, d) * count[d] >= room[d]:
            count[d] -= 1
            continue
        count[d] -= 1
        room[d] -= 1
        if who[i, FIRST] == FRESH:
            who[i, FIRST] = 1
        if left != i:
            _shift(who, i, left)
        left += 1
    return left


@_inner
def _count_genes(who, genes, n, populations, loci, labels, out):
    """Fill (D + 1, 3): gene diversity within, observed heterozygosity, alleles; last row: total diversity and all."""
    size = np.zeros(populations, np.int64)
    for i in range(n):
        size[who[i, DEME]] += 1
    occupied = 0
    weight = np.zeros(populations)
    for d in range(populations):
        if size[d] > 0:
            occupied += 1
            weight[d] = 0.5 / size[d]
    for d in range(populations + 1):
        for c in range(3):
            out[d, c] = 0.0
    home = np.empty(n, np.int64)
    row = np.empty(n, np.int64)
    for i in range(n):
        home[i] = who[i, DEME]
        row[i] = who[i, SLOT]
    counts = np.zeros((labels, populations), np.int32)
    pairs = np.zeros((populations, populations), np.int64)
    for locus in range(loci):
        counts[:] = 0
        pairs[:] = 0
        for i in range(n):
            d = home[i]
            a, b = genes[row[i], locus], genes[row[i], loci + locus]
            out[d, 1] += a != b
            for label in (a, b):
                copies = counts[label]
                out[d, 2] += copies[d] == 0
                seen = 0
                for e in range(populations):
                    seen += copies[e]
                    pairs[d, e] += copies[e]
                out[populations, 2] += seen == 0
                copies[d] += 1
        within = summed = 0.0
        for d in range(populations):
            if size[d] == 0:
                continue
            same = (2.0 * pairs[d, d] + 2.0 * size[d]) * weight[d] ** 2
            copies_d = 2.0 * size[d]
            apart = (copies_d * same - 1.0) / (copies_d - 1.0)
            out[d, 0] += 1.0 - apart
            within += apart - same
            summed += same
            for e in range(d):
                summed += 2.0 * (pairs[d, e] + pairs[e, d]) * weight[d] * weight[e]
        if occupied > 0:
            out[populations, 0] += 1.0 - (summed + within) / (occupied * occupied)
    for d in range(populations):
        out[populations, 1] += out[d, 1]
    for d in range(populations + 1):
        of = n if d == populations else size[d]
        for c in range(3):
            out[d, c] = out[d, c] / loci if of > 0 else np.nan
        if of > 0:
            out[d, 1] /= of


@_inner
def _found(m, seed, state, who, genes, lethal):
    """The individuals at the start, each with two alleles of its own at every locus, and with its lethals."""
    _seed_streams(state, seed, 0, FOUND)
    n = 0
    bit = 0
    half = lethal.shape[1] // 2
    for d in range(m.founders.shape[0]):
        total = 0
        for a in range(m.founders.shape[1]):
            total += m.founders[d, a]
        females = total if m.mating >= HERMAPHRODITE else _round(state, d, total * m.female_share)
        left = total
        for a in range(m.founders.shape[1]):
            for _ in range(m.founders[d, a]):
                is_female = _uniform(state, d) * left < females
                females -= is_female
                left -= 1
                who[n, DEME] = d
                who[n, SEX] = 0 if is_female else 1
                who[n, STAGE] = m.class_stage[a]
                who[n, CLOCK] = m.class_clock[a]
                who[n, FIRST] = 1 if m.class_stage[a] == 0 and m.class_clock[a] == 0 else 0
                for locus in range(m.loci):
                    genes[n, locus] = 2 * n
                    genes[n, m.loci + locus] = 2 * n + 1
                for side in range(2 if half > 0 else 0):
                    for _ in range(_round(state, d, m.lethals)):
                        lethal[n, side * half + bit // 64] |= ONE << np.uint64(bit % 64)
                        bit += 1
                n += 1
    return n


@_inner
def _census(who, n, numbers, females):
    for d in range(len(numbers)):
        numbers[d] = 0
        females[d] = 0
    for i in range(n):
        numbers[who[i, DEME]] += 1
        females[who[i, DEME]] += who[i, SEX] == 0


@_inner
def _replicate(m, seed, numbers, females, moved, heterozygosity):
    populations, stages = m.capacity.shape[0], m.fecundity.shape[0]
    founders = 0
    for d in range(populations):
        for a in range(m.founders.shape[1]):
            founders += m.founders[d, a]
    words = int(np.ceil(2.0 * founders * np.ceil(m.lethals) / 64.0))
    room = int(founders * 2 + 64)
    who = np.zeros((room, 6), np.int32)
    for i in range(room):
        who[i, SLOT] = i
    genes = np.zeros((room, 2 * m.loci), np.uint16)
    lethal = np.zeros((room, 2 * words), np.uint64)
    state = np.zeros(populations + 1, np.uint64)
    survival = np.empty((populations, 2, stages))
    breeding = np.empty((populations, 2, stages))
    fecundity = np.empty((populations, stages))
    n = _found(m, seed, state, who, genes, lethal)
    _census(who, n, numbers[0], females[0])
    reported = 0
    if m.loci > 0:
        _count_genes(who, genes, n, populations, m.loci, 2 * founders, heterozygosity[0])
        reported = 1
    for year in range(1, m.years + 1):
        if n > 0:
            _weather(m, seed, year, state, survival, breeding, fecundity)
            if m.breed_first:
                who, genes, lethal, n = _breed(
                    m, seed, year, state, numbers[year - 1], breeding, fecundity, who, genes, lethal, n
                )
                if n < 0:
                    return False
                _survive(m, seed, year, state, survival, who, genes, lethal, n)
            else:
                _survive(m, seed, year, state, survival, who, genes, lethal, n)
                who, genes, lethal, n = _breed(
                    m, seed, year, state, numbers[year - 1], breeding, fecundity, who, genes, lethal, n
                )
                if n < 0:
                    return False
            moved[year] = _move(m, seed, year, state, who, n)
            n = _crowd(m, seed, year, state, who, n)
        _census(who, n, numbers[year], females[year])
        if m.loci > 0 and m.report[year]:
            _count_genes(who, genes, n, populations, m.loci, 2 * founders, heterozygosity[reported])
            reported += 1
    return True


@njit(cache=True, nogil=True)
def simulate(m, seeds, numbers, females, moved, heterozygosity):
    """Run one replicate for each seed; False where one outgrew ``m.most``.

    numbers, females : (R, Y + 1, D) int32; moved : (R, Y + 1) int32 that arrived elsewhere;
    heterozygosity : (R, reports, D + 1, 3), see _count_genes.
    """
    for r in range(len(seeds)):  # noqa: SIM110
        if not _replicate(m, seeds[r], numbers[r], females[r], moved[r], heterozygosity[r]):
            return False
    return True
