"""Moving larvae and ending their drift: numba kernels on flat arrays, positions in cells of the field's grid.

A position is (x, y): column and row counted in cells, whole numbers at cell centres, so that cell (j, i) reaches from
i - 0.5 to i + 0.5. Depth is in metres, positive down. Times are seconds.
"""

from typing import NamedTuple

import numpy as np
from numba import njit

DRIFTING, SETTLED, DEAD, LOST, BEACHED = 0, 1, 2, 3, 4
RK4, RK45, MOVED = 0, 1, 2
REFLECT, HOLD, BEACH = 0, 1, 2
FIXED, DIEL, ONTOGENETIC, ADVECTED = 0, 1, 2, 3
CONSTANT, Q10, OCONNOR = 0, 1, 2


class Particles(NamedTuple):
    """The larvae, one value each."""

    number: np.ndarray  # int64, unique over all chunks: the stream of random numbers
    x: np.ndarray
    y: np.ndarray
    z: np.ndarray
    released: np.ndarray  # seconds
    ends: np.ndarray  # seconds: no larva is followed beyond
    steps: np.ndarray  # int64 steps made
    development: np.ndarray  # age in days at the reference temperature
    frailty: np.ndarray  # cumulative hazard at which it dies
    competent: np.ndarray  # development at which it becomes competent
    incompetent: np.ndarray  # development at which it is so no more
    trial: np.ndarray  # next step of the adaptive scheme, seconds
    status: np.ndarray  # uint8
    sink: np.ndarray  # int32, -1: none
    ended: np.ndarray  # seconds; NaN while drifting


class Flow(NamedTuple):
    """The field between two of its times."""

    velocity: np.ndarray  # float32, flat: (level, row, column, 4 or 8)
    vertical: np.ndarray  # float32 (level, row, column, 2), metres per second down
    temperature: np.ndarray  # float32 (level, row, column, 2), degrees C
    diffusivity: np.ndarray  # float32 (level, row, column, 2), m2/s
    levels: np.ndarray  # depth of the levels, m
    metric: np.ndarray  # (row, 6): cells per metre along x and along y as quadratics of the way to the next row
    even: bool  # whether the metric is the same everywhere
    water: np.ndarray  # uint8 (row, column)
    habitat: np.ndarray  # int32 (rows * parts, columns * parts): sink or -1
    columns: int
    wraps: bool
    staggered: bool
    start: float  # seconds
    interval: float
    first_longitude: float  # of column 0, and step between columns; step 0: one longitude for all
    longitude_step: float


class Life(NamedTuple):
    """How larvae move and end."""

    key0: int
    key1: int
    scheme: int
    step: float  # seconds
    tolerance: float  # metres
    coast: int
    mixing: float  # constant diffusivity m2/s; a field's is added
    varying: bool
    vertical: int
    day_depth: float
    night_depth: float
    day_from: float
    day_to: float
    depth_ages: np.ndarray  # days
    depths: np.ndarray
    development: int
    q10: float
    reference: float  # degrees C
    duration: float  # days; infinite: not limited
    mortality: float  # 1/day
    shape: float
    parts: int
    settles: bool


# Dormand and Prince (1980), order 5 with an embedded order 4
_NODES = np.array([0.0, 1 / 5, 3 / 10, 4 / 5, 8 / 9, 1.0, 1.0])
_STAGES = np.array(
    [
        [0.0, 0.0, 0.0, 0.0, 0.0, 0.0],
        [1 / 5, 0.0, 0.0, 0.0, 0.0, 0.0],
        [3 / 40, 9 / 40, 0.0, 0.0, 0.0, 0.0],
        [44 / 45, -56 / 15, 32 / 9, 0.0, 0.0, 0.0],
        [19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729, 0.0, 0.0],
        [9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656, 0.0],
        [35 / 384, 0.0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84],
    ]
)
BLOCK = 32  # larvae moved side by side: while one waits for its velocity, the others go on
_ERROR = np.array([71 / 57600, 0.0, -71 / 16695, 71 / 1920, -17253 / 339200, 22 / 525, -1 / 40])


# --- random numbers ------------------------------------------------------------------------------------------------


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def philox(c0, c1, c2, c3, key0, key1):
    """Philox 4x32-10 (Salmon et al. 2011): four words of 32 bits that depend on counter and key alone."""
    low = np.uint64(0xFFFFFFFF)
    half = np.uint64(32)
    a, b, c, d = np.uint64(c0), np.uint64(c1), np.uint64(c2), np.uint64(c3)
    k0, k1 = np.uint64(key0), np.uint64(key1)
    for _ in range(10):
        first = np.uint64(0xD2511F53) * a
        second = np.uint64(0xCD9E8D57) * c
        a, b, c, d = (second >> half) ^ b ^ k0, second & low, (first >> half) ^ d ^ k1, first & low
        k0 = (k0 + np.uint64(0x9E3779B9)) & low
        k1 = (k1 + np.uint64(0xBB67AE85)) & low
    return a, b, c, d


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _unit(word):
    """A number strictly between 0 and 1."""
    return (np.float64(word) + 0.5) * 2.3283064365386963e-10


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _words(number, step, purpose, key0, key1):
    n = np.uint64(number)
    return philox(n & np.uint64(0xFFFFFFFF), n >> np.uint64(32), np.uint64(step), np.uint64(purpose), key0, key1)


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def draw_fates(number, key0, key1):
    """Four uniform numbers of each larva, (n, 4), for what is settled at its release."""
    out = np.empty((len(number), 4))
    for p in range(len(number)):
        a, b, c, d = _words(number[p], 0, 1, key0, key1)
        out[p, 0], out[p, 1], out[p, 2], out[p, 3] = _unit(a), _unit(b), _unit(c), _unit(d)
    return out


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def packed(u, v, later_u, later_v, staggered):
    """All that interpolation reads of a place side by side, flat; u, v (level, row, column), float32.

    A grid: u, v, later u, later v of each node. C grid: u on the first and second face of each cell, v likewise, later
    u, later v.
    """
    levels, rows, columns = len(u), u.shape[1], v.shape[2]
    out = np.empty(levels * rows * columns * (8 if staggered else 4), np.float32)
    n = 0
    for k in range(levels):
        for j in range(rows):
            for i in range(columns):
                if staggered:
                    out[n], out[n + 1], out[n + 2], out[n + 3] = u[k, j, i], u[k, j, i + 1], v[k, j, i], v[k, j + 1, i]
                    n += 4
                    out[n], out[n + 1] = later_u[k, j, i], later_u[k, j, i + 1]
                    out[n + 2], out[n + 3] = later_v[k, j, i], later_v[k, j + 1, i]
                else:
                    out[n], out[n + 1], out[n + 2], out[n + 3] = (
                        u[k, j, i],
                        v[k, j, i],
                        later_u[k, j, i],
                        later_v[k, j, i],
                    )
                n += 4
    return out


# --- the field -----------------------------------------------------------------------------------------------------
# Indices are unsigned where speed matters: signed ones may be negative and are checked for it at every access.


@njit(inline="always", nogil=True, error_model="numpy", fastmath={"contract"})
def _corner(at, size):
    """The lower of the two nodes around a coordinate, and the way to the upper, held within the grid."""
    i = np.int32(min(max(at, 0.0), size - 1.5))
    return np.uint64(i), min(max(at - i, 0.0), 1.0)


@njit(inline="always", nogil=True, error_model="numpy", fastmath={"contract"})
def _metric(metric, even, y):
    """Cells per metre along x and along y."""
    if even:
        return metric[0, 0], metric[0, 3]
    j, s = _corner(y, metric.shape[0] + 1)
    return (
        metric[j, 0] + s * (metric[j, 1] + s * metric[j, 2]),
        metric[j, 3] + s * (metric[j, 4] + s * metric[j, 5]),
    )


@njit(inline="always", nogil=True, error_model="numpy", fastmath={"contract"})
def _centred(velocity, level, rows, width, x, y, tau):
    """u and v (m/s) of an A grid: linear in x, y and time; four numbers a node: u, v, and u, v at the later time."""
    j, b = _corner(y, rows)
    i, a = _corner(x, width)
    w00, w01, w10, w11 = (1.0 - b) * (1.0 - a), (1.0 - b) * a, b * (1.0 - a), b * a
    north = (np.uint64(level * rows) + j) * np.uint64(width) + i
    at, to = north * np.uint64(4), (north + np.uint64(width)) * np.uint64(4)
    one, four = np.uint64(1), np.uint64(4)
    here, there = at + four, to + four
    u0 = w00 * velocity[at] + w01 * velocity[here] + w10 * velocity[to] + w11 * velocity[there]
    at, here, to, there = at + one, here + one, to + one, there + one
    v0 = w00 * velocity[at] + w01 * velocity[here] + w10 * velocity[to] + w11 * velocity[there]
    at, here, to, there = at + one, here + one, to + one, there + one
    u1 = w00 * velocity[at] + w01 * velocity[here] + w10 * velocity[to] + w11 * velocity[there]
    at, here, to, there = at + one, here + one, to + one, there + one
    v1 = w00 * velocity[at] + w01 * velocity[here] + w10 * velocity[to] + w11 * velocity[there]
    return u0 + tau * (u1 - u0), v0 + tau * (v1 - v0)


@njit(inline="always", nogil=True, error_model="numpy", fastmath={"contract"})
def _faces(velocity, level, rows, width, x, y, tau):
    """u (m/s) and the flow v * width (m2/s) of a C grid: linear along their own direction, constant across.

    Eight numbers a cell: u on its first and second face, v on its first and second, and the same at the later time.
    """
    j, i = np.int32(min(max(y + 0.5, 0.0), rows - 0.5)), np.int32(min(max(x + 0.5, 0.0), width - 0.5))
    a, b = min(max(x - i + 0.5, 0.0), 1.0), min(max(y - j + 0.5, 0.0), 1.0)
    one, two = np.uint64(1), np.uint64(2)
    at = ((np.uint64(level * rows) + np.uint64(j)) * np.uint64(width) + np.uint64(i)) * np.uint64(8)
    u0 = velocity[at] + a * (velocity[at + one] - velocity[at])
    at += two
    v0 = velocity[at] + b * (velocity[at + one] - velocity[at])
    at += two
    u1 = velocity[at] + a * (velocity[at + one] - velocity[at])
    at += two
    v1 = velocity[at] + b * (velocity[at + one] - velocity[at])
    return u0 + tau * (u1 - u0), v0 + tau * (v1 - v0)


@njit(inline="always", nogil=True, error_model="numpy", fastmath={"contract"})
def _sheet(velocity, level, metric, even, rows, width, period, staggered, x, y, tau):
    """Cells per second along x and along y in one level."""
    if period > 0:
        x -= period * np.floor(x / period)
    per_x, per_y = _metric(metric, even, y)
    if staggered:
        u, v = _faces(velocity, level, rows, width, x, y, tau)
        v *= per_x
    else:
        u, v = _centred(velocity, level, rows, width, x, y, tau)
    return u * per_x, v * per_y


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _scalar(values, x, y, tau):
    """One quantity, linear in x, y and time, from (row, column, 2)."""
    j, b = _corner(y, values.shape[0])
    i, a = _corner(x, values.shape[1])
    south, east = j + np.uint64(1), i + np.uint64(1)
    w00, w01, w10, w11 = (1.0 - b) * (1.0 - a), (1.0 - b) * a, b * (1.0 - a), b * a
    first = w00 * values[j, i, 0] + w01 * values[j, east, 0] + w10 * values[south, i, 0] + w11 * values[south, east, 0]
    later = w00 * values[j, i, 1] + w01 * values[j, east, 1] + w10 * values[south, i, 1] + w11 * values[south, east, 1]
    return first + tau * (later - first)


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _level(levels, z):
    """The level above a depth, and the way to the one below."""
    last = len(levels) - 1
    if last == 0 or z <= levels[0]:
        return 0, 0.0
    if z >= levels[last]:
        return last - 1, 1.0
    k = 0
    while z >= levels[k + 1]:
        k += 1
    return k, (z - levels[k]) / (levels[k + 1] - levels[k])


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _at_depth(values, levels, x, y, z, tau):
    k, way = _level(levels, z)
    out = _scalar(values[k], x, y, tau)
    if way > 0.0:
        out += way * (_scalar(values[k + 1], x, y, tau) - out)
    return out


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _rates(velocity, vertical, levels, metric, even, rows, width, period, staggered, rises, x, y, z, tau):
    """Cells per second along x and along y, metres per second down, between the levels around a depth."""
    k, way = _level(levels, z)
    dx = dy = w = 0.0
    for lower in range(2 if way > 0.0 else 1):
        share = way if lower else 1.0 - way
        some_x, some_y = _sheet(velocity, k + lower, metric, even, rows, width, period, staggered, x, y, tau)
        dx += share * some_x
        dy += share * some_y
    if rises:
        w = _at_depth(vertical, levels, x - period * np.floor(x / period) if period > 0 else x, y, z, tau)
    return dx, dy, w


# --- one step ------------------------------------------------------------------------------------------------------


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _stage(velocity, metric, even, rows, width, period, staggered, x, y, far, kx, ky, tau, found_x, found_y):
    """Rates of a block of larvae, each ``far`` seconds along earlier rates, in a field of one level."""
    # loops that do one thing each: with its branches inside, one loop took almost three times as long
    for q in range(BLOCK):
        found_x[q], found_y[q] = x[q] + far * kx[q], y[q] + far * ky[q]
    if period > 0:
        for q in range(BLOCK):
            found_x[q] -= period * np.floor(found_x[q] / period)
    if staggered:
        for q in range(BLOCK):
            per_x, per_y = _metric(metric, even, found_y[q])
            u, v = _faces(velocity, 0, rows, width, found_x[q], found_y[q], tau)
            found_x[q], found_y[q] = u * per_x, v * per_x * per_y
    else:
        for q in range(BLOCK):
            per_x, per_y = _metric(metric, even, found_y[q])
            u, v = _centred(velocity, 0, rows, width, found_x[q], found_y[q], tau)
            found_x[q], found_y[q] = u * per_x, v * per_y


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _flat_step(velocity, metric, even, rows, width, period, staggered, x, y, tau, h, share, k):
    """The classical scheme of order four (h seconds, a share of the interval) of a block in a field of one level.

    ``k`` (10, BLOCK): room for the rates; its last two rows are zero.
    """
    half, mid = 0.5 * h, tau + 0.5 * share
    _stage(velocity, metric, even, rows, width, period, staggered, x, y, 0.0, k[8], k[9], tau, k[0], k[1])
    _stage(velocity, metric, even, rows, width, period, staggered, x, y, half, k[0], k[1], mid, k[2], k[3])
    _stage(velocity, metric, even, rows, width, period, staggered, x, y, half, k[2], k[3], mid, k[4], k[5])
    _stage(velocity, metric, even, rows, width, period, staggered, x, y, h, k[4], k[5], tau + share, k[6], k[7])
    sixth = h / 6.0
    for q in range(BLOCK):
        x[q] += sixth * (k[0, q] + 2.0 * (k[2, q] + k[4, q]) + k[6, q])
        y[q] += sixth * (k[1, q] + 2.0 * (k[3, q] + k[5, q]) + k[7, q])


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _deep_step(velocity, vertical, levels, metric, even, rows, width, period, staggered, rises, x, y, z, tau, h, share):
    """The same between levels, and up and down."""
    kx = ky = kz = sx = sy = sz = 0.0
    for stage in range(4):
        part = 0.0 if stage == 0 else 0.5 if stage < 3 else 1.0
        far = part * h
        kx, ky, kz = _rates(
            velocity,
            vertical,
            levels,
            metric,
            even,
            rows,
            width,
            period,
            staggered,
            rises,
            x + far * kx,
            y + far * ky,
            z + far * kz,
            tau + part * share,
        )
        weight = 1.0 if stage == 0 or stage == 3 else 2.0
        sx += weight * kx
        sy += weight * ky
        sz += weight * kz
    return x + h * sx / 6.0, y + h * sy / 6.0, z + h * sz / 6.0


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _adaptive(
    velocity,
    vertical,
    levels,
    metric,
    even,
    rows,
    width,
    period,
    staggered,
    rises,
    interval,
    x,
    y,
    z,
    tau,
    h,
    trial,
    tolerance,
    k,
):
    """Steps of order five over h seconds, each as long as its error in metres allows; also the next trial step."""
    done = 0.0
    trial = min(trial, h)
    while done < h * (1.0 - 1e-12):
        part = min(trial, h - done)
        for stage in range(7):
            dx = dy = dz = 0.0
            for earlier in range(stage):
                weight = part * _STAGES[stage, earlier]
                dx += weight * k[earlier, 0]
                dy += weight * k[earlier, 1]
                dz += weight * k[earlier, 2]
            at = tau + (done + part * _NODES[stage]) / interval
            k[stage, 0], k[stage, 1], k[stage, 2] = _rates(
                velocity,
                vertical,
                levels,
                metric,
                even,
                rows,
                width,
                period,
                staggered,
                rises,
                x + dx,
                y + dy,
                z + dz,
                at,
            )
        ex = ey = ez = 0.0
        for stage in range(7):
            ex += part * _ERROR[stage] * k[stage, 0]
            ey += part * _ERROR[stage] * k[stage, 1]
            ez += part * _ERROR[stage] * k[stage, 2]
        per_x, per_y = _metric(metric, even, y)
        error = np.sqrt((ex / per_x) ** 2 + (ey / per_y) ** 2 + ez**2) / tolerance
        # below a second the kinks of the field between its nodes are all that is left of the error
        if error <= 1.0 or part <= 1.0:
            # the last stage lies at the end of the step
            x, y, z = x + dx, y + dy, z + dz
            done += part
        growth = 5.0 if error < 1e-4 else 0.9 * error**-0.2
        if part >= trial or error > 1.0:
            trial = max(part * min(max(growth, 0.2), 5.0), 1.0)
    return x, y, z, trial


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _random_walk(flow, life, x, y, z, tau, h, number, step):
    """The displacement in cells by turbulence: Milstein's scheme of order one where the diffusivity varies."""
    a, b, _, _ = _words(number, step, 0, life.key0, life.key1)
    radius = np.sqrt(-2.0 * np.log(_unit(a))) * np.sqrt(h)
    angle = 2.0 * np.pi * _unit(b)
    wx, wy = radius * np.cos(angle), radius * np.sin(angle)
    per_x, per_y = _metric(flow.metric, flow.even, y)
    mixing = life.mixing
    drift_x = drift_y = 0.0
    if life.varying:
        if flow.wraps:
            x -= flow.columns * np.floor(x / flow.columns)
        field, levels = flow.diffusivity, flow.levels
        mixing += _at_depth(field, levels, x, y, z, tau)
        # centred differences over half a cell: inside a cell the slope itself, smooth across its edges
        slope_x = _at_depth(field, levels, x + 0.25, y, z, tau) - _at_depth(field, levels, x - 0.25, y, z, tau)
        slope_y = _at_depth(field, levels, x, y + 0.25, z, tau) - _at_depth(field, levels, x, y - 0.25, z, tau)
        drift_x = slope_x * per_x * (wx * wx + h)
        drift_y = slope_y * per_y * (wy * wy + h)
    scale = np.sqrt(2.0 * mixing)
    return (drift_x + scale * wx) * per_x, (drift_y + scale * wy) * per_y


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _cell(at, size, wraps):
    i = int(np.floor(at + 0.5))
    if wraps:
        i -= size * int(np.floor(i / size))
    return i


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _is_land(water, wraps, x, y):
    j, i = _cell(y, water.shape[0], False), _cell(x, water.shape[1], wraps)
    if j < 0 or i < 0 or j >= water.shape[0] or i >= water.shape[1]:
        return False
    return water[j, i] == 0


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _wall(water, wraps, x, y, to, along_x):
    """The edge of the first land cell on the way along one axis; NaN where there is none."""
    start, stop = int(np.floor((x if along_x else y) + 0.5)), int(np.floor(to + 0.5))
    step = 1 if stop > start else -1
    while start != stop:
        start += step
        if _is_land(water, wraps, start if along_x else x, y if along_x else start):
            return start - 0.5 * step
    return np.nan


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _along_the_coast(water, wraps, reflects, x0, y0, x, y):
    """Whether land is met on the way along x and then along y, and where a larva is that is thrown back by it."""
    met = False
    edge = _wall(water, wraps, x0, y0, x, True)
    if not np.isnan(edge):
        met = True
        x = 2.0 * edge - x
        if not np.isnan(_wall(water, wraps, x0, y0, x, True)):
            x = x0
    edge = _wall(water, wraps, x, y0, y, False)
    if not np.isnan(edge):
        met = True
        y = 2.0 * edge - y
        if not np.isnan(_wall(water, wraps, x, y0, y, False)):
            y = y0
    if met and not reflects:
        return met, x0, y0
    return met, x, y


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _depth(flow, life, z, x, time, age_days):
    if life.vertical == DIEL:
        longitude = flow.first_longitude + flow.longitude_step * x
        hour = (time / 3600.0 + longitude / 15.0) % 24.0
        return life.day_depth if life.day_from <= hour < life.day_to else life.night_depth
    if life.vertical == ONTOGENETIC:
        return np.interp(age_days, life.depth_ages, life.depths)
    return z


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _speed_of_development(flow, life, x, y, z, tau):
    """Days of development per day: 1 at the reference temperature."""
    if life.development == CONSTANT:
        return 1.0
    if flow.wraps:
        x -= flow.columns * np.floor(x / flow.columns)
    degrees = _at_depth(flow.temperature, flow.levels, x, y, z, tau)
    if life.development == Q10:
        return life.q10 ** ((degrees - life.reference) / 10.0)
    # O'Connor et al. (2007): ln duration = b - 1.34 ln(T/15) - 0.28 ln(T/15)^2
    here, there = np.log(max(degrees, 0.1) / 15.0), np.log(life.reference / 15.0)
    return np.exp(1.34 * (here - there) + 0.28 * (here * here - there * there))


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _alike(active, first, released, ends, begin, end, start, stop):
    """How many larvae from the first on, a block at most, drift from ``begin`` to ``end`` of this interval."""
    n = 1
    while n < BLOCK and first + n < len(active):
        p = active[first + n]
        if max(start, released[p]) != begin or min(stop, ends[p]) != end:
            break
        n += 1
    return n


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def advance(active, particles, flow, life, moved, stay):
    """Move each active larva to the end of the interval, or to its own end; add its stay (ms) to the cells it is in.

    Steps are equal, at most ``life.step`` long, and never cross a time of the field. ``moved`` (n, 2) holds the new
    positions where another engine moves the larvae (scheme MOVED: one step). Larvae go in blocks of those that begin
    and end together; what a larva does depends on none of the others.
    """
    scratch, rates = np.empty((7, 3)), np.zeros((10, BLOCK))
    x, y, z, status = np.zeros(BLOCK), np.zeros(BLOCK), np.zeros(BLOCK), np.zeros(BLOCK, np.uint8)
    rows, columns = flow.water.shape
    stop = flow.start + flow.interval
    rises = life.vertical == ADVECTED
    migrates = life.vertical == DIEL or life.vertical == ONTOGENETIC
    walks = life.mixing > 0.0 or life.varying
    # handed on one by one: a whole NamedTuple is copied at every call
    velocity, vertical, levels, metric, water = flow.velocity, flow.vertical, flow.levels, flow.metric, flow.water
    staggered, wraps, interval, even = flow.staggered, flow.wraps, flow.interval, flow.even
    period = columns if wraps else 0
    # where the field goes around the world, its first column is once more at the end
    width = columns + 1 if wraps and not staggered else columns
    flat = len(levels) == 1
    first = 0
    while first < len(active):
        p = active[first]
        begin, end = max(flow.start, particles.released[p]), min(stop, particles.ends[p])
        count = _alike(active, first, particles.released, particles.ends, begin, end, flow.start, stop)
        first += count
        if end <= begin:
            continue
        n = max(int(np.ceil((end - begin) / life.step - 1e-9)), 1)
        h = (end - begin) / n
        tau, share = (begin - flow.start) / flow.interval, h / flow.interval
        milliseconds = np.int64(np.rint(h * 1000.0))
        for q in range(count):
            p = active[first - count + q]
            x[q], y[q], z[q], status[q] = particles.x[p], particles.y[p], particles.z[p], DRIFTING
        drifting = count
        for step in range(n):
            at = tau + step * share
            if life.scheme == RK4 and flat:
                _flat_step(velocity, metric, even, rows, width, period, staggered, x, y, at, h, share, rates)
            for q in range(count):
                if status[q] != DRIFTING:
                    continue
                p = active[first - count + q]
                age = begin - particles.released[p]
                x0, y0 = particles.x[p], particles.y[p]
                if migrates:
                    z[q] = _depth(flow, life, z[q], x0, begin + step * h, (age + step * h) / 86400.0)
                if life.scheme == RK4 and not flat:
                    x[q], y[q], z[q] = _deep_step(
                        velocity,
                        vertical,
                        levels,
                        metric,
                        even,
                        rows,
                        width,
                        period,
                        staggered,
                        rises,
                        x0,
                        y0,
                        z[q],
                        at,
                        h,
                        share,
                    )
                elif life.scheme == RK45:
                    x[q], y[q], z[q], particles.trial[p] = _adaptive(
                        velocity,
                        vertical,
                        levels,
                        metric,
                        even,
                        rows,
                        width,
                        period,
                        staggered,
                        rises,
                        interval,
                        x0,
                        y0,
                        z[q],
                        at,
                        h,
                        particles.trial[p],
                        life.tolerance,
                        scratch,
                    )
                elif life.scheme == MOVED:
                    x[q], y[q] = moved[first - count + q, 0], moved[first - count + q, 1]
                if rises:
                    z[q] = min(max(z[q], levels[0]), levels[-1])
                if walks:
                    dx, dy = _random_walk(flow, life, x0, y0, z[q], at, h, particles.number[p], particles.steps[p])
                    x[q] += dx
                    y[q] += dy
                j, i = _cell(y[q], rows, False), _cell(x[q], columns, wraps)
                inside = 0 <= j < rows and 0 <= i < columns
                fate = DRIFTING
                # a long move may leap over land, so that its end does not tell
                if (inside and water[j, i] == 0) or abs(x[q] - x0) > 1.0 or abs(y[q] - y0) > 1.0:
                    met, shore_x, shore_y = _along_the_coast(water, wraps, life.coast == REFLECT, x0, y0, x[q], y[q])
                    if met:
                        x[q], y[q] = shore_x, shore_y
                        j, i = _cell(shore_y, rows, False), _cell(shore_x, columns, wraps)
                        inside = 0 <= j < rows and 0 <= i < columns
                        fate = BEACHED if life.coast == BEACH else fate
                if inside:
                    stay[j, i] += milliseconds
                else:
                    fate = LOST
                particles.x[p], particles.y[p] = x[q], y[q]
                particles.steps[p] += 1
                if fate == DRIFTING:
                    days = (age + (step + 1) * h) / 86400.0
                    speed = 1.0
                    if life.development != CONSTANT:
                        speed = _speed_of_development(flow, life, x[q], y[q], z[q], at + share)
                    particles.development[p] += h / 86400.0 * speed
                    grown = particles.development[p] + 1e-9
                    if life.mortality > 0.0 and (life.mortality * days) ** life.shape >= particles.frailty[p]:
                        fate = DEAD
                    elif life.settles and particles.competent[p] <= grown < particles.incompetent[p]:
                        row = int(np.floor((y[q] + 0.5) * life.parts))
                        turn = np.floor((x[q] + 0.5) / columns) * columns if wraps else 0.0
                        column = int(np.floor((x[q] + 0.5 - turn) * life.parts))
                        sink = flow.habitat[row, column]
                        if sink >= 0:
                            fate = SETTLED
                            particles.sink[p] = sink
                    if fate == DRIFTING and grown >= life.duration:
                        fate = DEAD
                if fate != DRIFTING:
                    status[q] = fate
                    particles.status[p] = fate
                    particles.ended[p] = begin + (step + 1) * h
                    drifting -= 1
            if drifting == 0:
                break
        for q in range(count):
            particles.z[active[first - count + q]] = z[q]
