"""Loops of restoration planning that numba compiles: distances over units, effective mesh size, exact search."""

import numpy as np
from numba import njit

__all__ = [
    "CAPACITY",
    "HOPS",
    "PROBABILITY",
    "connectivity",
    "connectivity_gains",
    "covered_sets",
    "distances_from",
    "enclosing_diameter",
    "mesh_gains",
    "piece_sizes",
    "relax_rows",
    "search_place",
]


# --- distances over the graph of units ------------------------------------------------------------------------


@njit(cache=True, nogil=True)
def _push(heap_cost, heap_node, size, cost, node):
    at = size
    while at > 0:
        up = (at - 1) >> 1
        if heap_cost[up] <= cost:
            break
        heap_cost[at], heap_node[at] = heap_cost[up], heap_node[up]
        at = up
    heap_cost[at], heap_node[at] = cost, node
    return size + 1


@njit(cache=True, nogil=True)
def _pop(heap_cost, heap_node, size):
    size -= 1
    cost, node = heap_cost[size], heap_node[size]
    at = 0
    while True:
        down = 2 * at + 1
        if down >= size:
            break
        if down + 1 < size and heap_cost[down + 1] < heap_cost[down]:
            down += 1
        if heap_cost[down] >= cost:
            break
        heap_cost[at], heap_node[at] = heap_cost[down], heap_node[down]
        at = down
    heap_cost[at], heap_node[at] = cost, node
    return size


@njit(cache=True, nogil=True)
def distances_from(starts, sources, indptr, indices, length, resistance, own_free, horizon, out):
    """Fill ``out[i]`` with the least cost from the units ``sources[starts[i]:starts[i + 1]]`` to every unit.

    A step costs its length times the mean resistance of its two units, with ``own_free`` that of the row's sources
    counting as 0; beyond ``horizon`` distances stay infinite.
    """
    count = len(indptr) - 1
    capacity = len(indices) + count + 1
    heap_cost, heap_node = np.empty(capacity), np.empty(capacity, np.int64)
    for row in range(len(starts) - 1):
        best = out[row]
        best[:] = np.inf
        size = 0
        for k in range(starts[row], starts[row + 1]):
            best[sources[k]] = 0.0
            size = _push(heap_cost, heap_node, size, 0.0, sources[k])
        while size > 0:
            cost, node = heap_cost[0], heap_node[0]
            size = _pop(heap_cost, heap_node, size)
            if cost > best[node]:
                continue
            leaving = 0.0 if own_free and cost == 0.0 else resistance[node]
            for k in range(indptr[node], indptr[node + 1]):
                other = indices[k]
                reached = cost + length[k] * 0.5 * (leaving + resistance[other])
                if reached < best[other] and reached <= horizon:
                    best[other] = reached
                    size = _push(heap_cost, heap_node, size, reached, other)


@njit(cache=True, nogil=True)
def relax_rows(rows, through, entry):
    """``rows[i, v] = min(rows[i, v], entry[i] + through[v])``: every distance may now pass the changed place."""
    for i in range(rows.shape[0]):
        at = entry[i]
        if at == np.inf:
            continue
        for v in range(rows.shape[1]):
            passing = at + through[v]
            if passing < rows[i, v]:
                rows[i, v] = passing


# --- the smallest enclosing circle -----------------------------------------------------------------------------


@njit(cache=True, nogil=True)
def _holds(x, y, cx, cy, r2):
    reach = r2 * (1.0 + 1e-12) + 1e-12
    for i in range(len(x)):
        if (x[i] - cx) ** 2 + (y[i] - cy) ** 2 > reach:
            return i
    return -1


@njit(cache=True, nogil=True)
def enclosing_diameter(x, y):
    """Diameter of the smallest circle around the points (Welzl's increments, points in the given order)."""
    n = len(x)
    if n < 2:
        return 0.0
    cx, cy, r2 = x[0], y[0], 0.0
    for i in range(1, n):
        if (x[i] - cx) ** 2 + (y[i] - cy) ** 2 <= r2 * (1.0 + 1e-12) + 1e-12:
            continue
        cx, cy, r2 = x[i], y[i], 0.0
        for j in range(i):
            if (x[j] - cx) ** 2 + (y[j] - cy) ** 2 <= r2 * (1.0 + 1e-12) + 1e-12:
                continue
            cx, cy = 0.5 * (x[i] + x[j]), 0.5 * (y[i] + y[j])
            r2 = 0.25 * ((x[i] - x[j]) ** 2 + (y[i] - y[j]) ** 2)
            for k in range(j):
                if (x[k] - cx) ** 2 + (y[k] - cy) ** 2 <= r2 * (1.0 + 1e-12) + 1e-12:
                    continue
                bx, by, px, py = x[j] - x[i], y[j] - y[i], x[k] - x[i], y[k] - y[i]
                twice = 2.0 * (bx * py - by * px)
                if twice == 0.0:
                    continue
                b2, p2 = bx * bx + by * by, px * px + py * py
                ux, uy = (py * b2 - by * p2) / twice, (bx * p2 - px * b2) / twice
                cx, cy, r2 = x[i] + ux, y[i] + uy, ux * ux + uy * uy
    return 2.0 * np.sqrt(r2)


# --- effective mesh size: the exact search ------------------------------------------------------------------------


@njit(cache=True, nogil=True)
def _root(parent, node):
    while parent[node] != node:
        parent[node] = parent[parent[node]]
        node = parent[node]
    return node


@njit(cache=True, nogil=True)
def _merge(state, level, unit_ptr, unit_of, touch_ptr, touch, patches, parent, active):
    """Union of the patches and of the units of all options whose state is at least ``level``."""
    for node in range(len(parent)):
        parent[node] = node
    active[:patches] = True
    active[patches:] = False
    for option in range(len(state)):
        if state[option] >= level:
            for k in range(unit_ptr[option], unit_ptr[option + 1]):
                active[patches + unit_of[k]] = True
    for option in range(len(state)):
        if state[option] < level:
            continue
        for k in range(unit_ptr[option], unit_ptr[option + 1]):
            unit = unit_of[k]
            for t in range(touch_ptr[unit], touch_ptr[unit + 1]):
                other = touch[t]
                if active[other]:
                    a, b = _root(parent, patches + unit), _root(parent, other)
                    if a != b:
                        parent[a] = b


@njit(cache=True, nogil=True)
def _knapsack(order, profit, cost, left):
    """The fractional knapsack: the most profit that ``left`` buys, taking ``order`` by falling profit per cost."""
    total = 0.0
    for option in order:
        if cost[option] <= left:
            left -= cost[option]
            total += profit[option]
        else:
            if cost[option] > 0.0:
                total += profit[option] * left / cost[option]
            break
    return total


@njit(cache=True, nogil=True)
def _one_piece(state, unit_ptr, unit_of, touch_ptr, touch, patches, queue, seen):
    """Whether the chosen units form one piece by touching each other (not through existing habitat)."""
    chosen, first = 0, -1
    seen[:] = 0
    for option in range(len(state)):
        if state[option] == 2:
            for k in range(unit_ptr[option], unit_ptr[option + 1]):
                seen[unit_of[k]] = 1
                first = unit_of[k]
                chosen += 1
    if chosen == 0:
        return True
    queue[0], head, tail = first, 0, 1
    seen[first] = 2
    while head < tail:
        unit = queue[head]
        head += 1
        for t in range(touch_ptr[unit], touch_ptr[unit + 1]):
            other = touch[t] - patches
            if other >= 0 and seen[other] == 1:
                seen[other] = 2
                queue[tail] = other
                tail += 1
    return tail == chosen


@njit(cache=True, nogil=True)
def mesh_search(
    unit_ptr,
    unit_of,
    touch_ptr,
    touch,
    size,
    patches,
    cost,
    group,
    zone,
    zone_left,
    budget,
    locked,
    connected,
    joined,
    floor,
    slack,
    keep,
    node_limit,
):
    """Branch and bound over the options of one place: the sets of options with the largest sum of squared sizes.

    ``size`` holds the sizes of the ``patches`` existing patches and then of the units; ``touch`` the nodes (patches,
    then units) beside each unit. Only sets that gain more than ``floor - slack`` are looked for. Returns (best gain,
    kept gains, kept sets, nodes searched, bound): gains are of the sum of squares over the present one; sets within
    ``slack`` of the best are kept, at most ``keep``; ``bound`` is above every set that was not searched because of
    ``node_limit``, and -inf when all were.

    The bound of a node: let every undecided option be free and let C be a piece of the union, F its size without
    undecided units and t the size of the undecided units in it that are taken. Then (F + t)^2 <= F^2 + (2F + cap) t
    for 0 <= t <= cap with cap the most that budget and piece allow, which is linear in the options; the fractional
    knapsack over them is above every completion.
    """
    m = len(cost)
    units = len(touch_ptr) - 1
    state = np.ones(m, np.int32)  # 0 left out, 1 undecided, 2 taken, -d ruled out at depth d
    decided, branch, tops = np.empty(m + 1, np.int64), np.empty(m + 1, np.int8), np.empty(m + 1)
    parent, active = np.empty(patches + units, np.int64), np.empty(patches + units, np.bool_)
    fixed, free = np.empty(patches + units), np.empty(patches + units)
    profit, ratio, area = np.zeros(m), np.empty(m), np.zeros(m)
    queue, seen = np.empty(units + 1, np.int64), np.empty(units + 1, np.int8)
    kept_gain, kept_set, kept = np.empty(keep), np.zeros((keep, m), np.bool_), 0
    for option in range(m):
        for k in range(unit_ptr[option], unit_ptr[option + 1]):
            area[option] += size[patches + unit_of[k]]
    base = 0.0
    for node in range(patches):
        base += size[node] * size[node]
    left, best, bound = budget, floor, -np.inf
    zones_left = zone_left.copy()
    tolerance = 1e-9 * abs(budget)
    for option in range(m):
        if locked[option]:
            state[option] = 2
            left -= cost[option]
            if zone[option] >= 0:
                zones_left[zone[option]] -= cost[option]
    for option in range(m):
        if state[option] == 1:
            for other in range(m):
                if locked[other] and group[other] == group[option]:
                    state[option] = 0
    going = left >= -tolerance
    for z in range(len(zones_left)):
        going = going and zones_left[z] >= -tolerance
    depth, nodes, taken = 1, 0, True
    while going:
        nodes += 1
        if taken:  # a set not met before: its gain, and whether it is lawful
            _merge(state, np.int64(2), unit_ptr, unit_of, touch_ptr, touch, patches, parent, active)
            fixed[:] = 0.0
            for node in range(patches + units):
                if active[node]:
                    fixed[_root(parent, node)] += size[node]
            gain = -base
            for node in range(patches + units):
                gain += fixed[node] * fixed[node]
            if gain >= best - slack:
                lawful = True
                for k in range(1, len(joined)):
                    lawful = lawful and _root(parent, joined[k]) == _root(parent, joined[0])
                if lawful and connected:
                    lawful = _one_piece(state, unit_ptr, unit_of, touch_ptr, touch, patches, queue, seen)
                if lawful:
                    if gain > best:
                        best = gain
                        fresh = 0
                        for k in range(kept):
                            if kept_gain[k] >= best - slack:
                                kept_gain[fresh] = kept_gain[k]
                                kept_set[fresh] = kept_set[k]
                                fresh += 1
                        kept = fresh
                    place = kept
                    if kept == keep:
                        place = int(np.argmin(kept_gain))
                    if kept < keep or kept_gain[place] < gain:
                        kept = min(kept + 1, keep)
                        kept_gain[place] = gain
                        for option in range(m):
                            kept_set[place, option] = state[option] == 2
        undecided = 0
        for option in range(m):
            if state[option] == 1:
                if cost[option] > left + tolerance or (
                    zone[option] >= 0 and cost[option] > zones_left[zone[option]] + tolerance
                ):
                    state[option] = -depth
                else:
                    undecided += 1
        top, pick = -np.inf, -1
        if undecided > 0:
            _merge(state, np.int64(1), unit_ptr, unit_of, touch_ptr, touch, patches, parent, active)
            fixed[:] = 0.0
            free[:] = 0.0
            for node in range(patches):
                fixed[_root(parent, node)] += size[node]
            for option in range(m):
                ratio[option] = np.inf
                if state[option] < 1:
                    continue
                for k in range(unit_ptr[option], unit_ptr[option + 1]):
                    unit = patches + unit_of[k]
                    if state[option] == 2:
                        fixed[_root(parent, unit)] += size[unit]
                    else:
                        free[_root(parent, unit)] += size[unit]
                if state[option] == 1:
                    ratio[option] = -area[option] / max(cost[option], 1e-300)
            reachable = True
            for k in range(1, len(joined)):
                reachable = reachable and _root(parent, joined[k]) == _root(parent, joined[0])
            if reachable:
                order = np.argsort(ratio)[:undecided]
                most = _knapsack(order, area, cost, left + tolerance)
                top = -base
                for node in range(patches + units):
                    top += fixed[node] * fixed[node]
                for option in range(m):
                    if state[option] == 1:
                        profit[option] = 0.0
                        for k in range(unit_ptr[option], unit_ptr[option + 1]):
                            root = _root(parent, patches + unit_of[k])
                            slope = 2.0 * fixed[root] + min(free[root], most)
                            profit[option] += slope * size[patches + unit_of[k]]
                        ratio[option] = -profit[option] / max(cost[option], 1e-300)
                order = np.argsort(ratio)[:undecided]
                top += _knapsack(order, profit, cost, left + tolerance)
                pick = order[0]
        if pick >= 0 and top > best - slack:
            if nodes >= node_limit:
                bound = top
                for d in range(1, depth):
                    if branch[d] == 2:
                        bound = max(bound, tops[d])
                break
            decided[depth], branch[depth], tops[depth] = pick, 2, top
            state[pick] = 2
            left -= cost[pick]
            if zone[pick] >= 0:
                zones_left[zone[pick]] -= cost[pick]
            depth += 1
            for option in range(m):
                if state[option] == 1 and group[option] == group[pick]:
                    state[option] = -depth
            taken = True
            continue
        going = False
        while True:  # back to the last option that was taken, and leave it out
            for option in range(m):
                if state[option] == -depth:
                    state[option] = 1
            depth -= 1
            if depth == 0:
                break
            option = decided[depth]
            if branch[depth] == 2:
                left += cost[option]
                if zone[option] >= 0:
                    zones_left[zone[option]] += cost[option]
                branch[depth] = 0
                state[option] = 0
                depth += 1
                taken = False
                going = True
                break
            state[option] = 1
    return best, kept_gain[:kept].copy(), kept_set[:kept].copy(), nodes, bound


# --- places that a circle covers -------------------------------------------------------------------------------


@njit(cache=True, nogil=True)
def _add_code(seen, code):
    """Whether the code is new to the table, which then holds it."""
    if code == 0:
        return False
    at = (code & 0x7FFFFFFFFFFFFFFF) % len(seen)
    while seen[at] != 0:
        if seen[at] == code:
            return False
        at = (at + 1) % len(seen)
    seen[at] = code
    return True


@njit(cache=True, nogil=True)
def covered_sets(x, y, owner, size, near_ptr, near, radius, keys):
    """The sets of options whose points a circle covers, each once, as compressed rows; smaller ones may be left out.

    ``owner`` names the option of each point and ``size`` its number of points, all of which must be covered; ``near``
    the other points within the diameter of each point; ``keys`` a random number for each option. A circle that covers
    a set can be moved until it still does and a point of the set lies on it, and turned about that point until
    another is about to leave; of those only such that one has entered since the last left can be largest.
    """
    n = len(x)
    seen = np.zeros(1024, np.int64)  # open addressing; 0 is an empty place and the code of the empty set
    ptr, flat = np.zeros(1024, np.int64), np.empty(16384, np.int64)
    rows, used = 0, 0
    inside = np.zeros(len(size), np.int64)
    reach = (radius * (1.0 + 1e-9)) ** 2
    turn = 2.0 * np.pi
    for i in range(n):
        k = near_ptr[i + 1] - near_ptr[i]
        starts, ends = np.empty(k), np.empty(k)
        for m in range(k):
            j = near[near_ptr[i] + m]
            dx, dy = x[j] - x[i], y[j] - y[i]
            half = np.arccos(min(np.sqrt(dx * dx + dy * dy) / (2.0 * radius), 1.0))
            toward = np.arctan2(dy, dx)
            starts[m], ends[m] = (toward - half) % turn, (toward + half) % turn
        starts.sort()
        ends.sort()
        at = 0
        for m in range(max(k, 1)):
            if k > 0:
                last = ends[m - 1] - (turn if m == 0 else 0.0) - 1e-7
                while at < k and starts[at] <= ends[m] + 1e-7:
                    at += 1
                entered = at > 0 and starts[at - 1] > last
                entered = entered or (last < 0.0 and starts[k - 1] - turn > last)
                entered = entered or (ends[m] + 1e-7 > turn and starts[0] + turn < ends[m] + 1e-7)
                if not entered:
                    continue
                cx, cy = x[i] + radius * np.cos(ends[m]), y[i] + radius * np.sin(ends[m])
            else:
                cx, cy = x[i], y[i]
            first, code = used, np.int64(0)
            if used + k + 1 > len(flat):
                grown = np.empty(2 * len(flat) + k + 1, np.int64)
                grown[:used] = flat[:used]
                flat = grown
            for t in range(-1, k):
                j = i if t < 0 else near[near_ptr[i] + t]
                if (x[j] - cx) ** 2 + (y[j] - cy) ** 2 <= reach:
                    inside[owner[j]] += 1
                    if inside[owner[j]] == size[owner[j]]:
                        flat[used] = owner[j]
                        used += 1
                        code ^= keys[owner[j]]
            for t in range(-1, k):
                j = i if t < 0 else near[near_ptr[i] + t]
                inside[owner[j]] = 0
            if not _add_code(seen, code):
                used = first
                continue
            rows += 1
            if 2 * rows > len(seen):
                wider = np.zeros(4 * len(seen), np.int64)
                for t in range(len(seen)):
                    _add_code(wider, seen[t])
                seen = wider
            if rows + 1 > len(ptr):
                longer = np.zeros(2 * len(ptr), np.int64)
                longer[:rows] = ptr[:rows]
                ptr = longer
            ptr[rows] = used
    return ptr[: rows + 1].copy(), flat[:used].copy()


@njit(cache=True, nogil=True)
def search_place(
    own,
    unit_ptr,
    unit_of,
    touch_ptr,
    touch,
    patch,
    patch_ha,
    area_ha,
    local_unit,
    local_patch,
    cost,
    group,
    zone,
    zone_left,
    budget,
    locked,
    connected,
    joined,
    floor,
    slack,
    keep,
    node_limit,
):
    """`mesh_search` over the options ``own`` of the landscape, with ``local_unit`` and ``local_patch`` all -1."""
    total, units = 0, 0
    for o in own:
        total += unit_ptr[o + 1] - unit_ptr[o]
    ptr, flat, members = np.zeros(len(own) + 1, np.int64), np.empty(total, np.int64), np.empty(total, np.int64)
    total = 0
    for i in range(len(own)):
        for k in range(unit_ptr[own[i]], unit_ptr[own[i] + 1]):
            unit = unit_of[k]
            if local_unit[unit] < 0:
                local_unit[unit] = units
                members[units] = unit
                units += 1
            flat[total] = local_unit[unit]
            total += 1
        ptr[i + 1] = total
    steps = 0
    for i in range(units):
        steps += touch_ptr[members[i] + 1] - touch_ptr[members[i]]
    known, patches = np.empty(steps + len(joined), np.int64), 0
    for k in range(len(joined)):
        if local_patch[joined[k]] < 0:
            local_patch[joined[k]] = patches
            known[patches] = joined[k]
            patches += 1
    for i in range(units):
        for t in range(touch_ptr[members[i]], touch_ptr[members[i] + 1]):
            p = patch[touch[t]]
            if p >= 0 and local_patch[p] < 0:
                local_patch[p] = patches
                known[patches] = p
                patches += 1
    beside, beside_ptr, filled = np.empty(steps, np.int64), np.zeros(units + 1, np.int64), 0
    for i in range(units):
        for t in range(touch_ptr[members[i]], touch_ptr[members[i] + 1]):
            p = patch[touch[t]]
            if p >= 0:
                beside[filled] = local_patch[p]
                filled += 1
            elif local_unit[touch[t]] >= 0:
                beside[filled] = patches + local_unit[touch[t]]
                filled += 1
        beside_ptr[i + 1] = filled
    size = np.empty(patches + units)
    for k in range(patches):
        size[k] = patch_ha[known[k]]
    for i in range(units):
        size[patches + i] = area_ha[members[i]]
    ends = np.empty(len(joined), np.int64)
    for k in range(len(joined)):
        ends[k] = local_patch[joined[k]]
    for k in range(patches):
        local_patch[known[k]] = -1
    for i in range(units):
        local_unit[members[i]] = -1
    return mesh_search(
        ptr,
        flat,
        beside_ptr,
        beside[:filled],
        size,
        len(size) - units,  # a number that numba does not take for a constant and compile the search for
        cost[own],
        group[own],
        zone[own],
        zone_left,
        budget,
        locked[own],
        connected,
        ends,
        floor,
        slack,
        keep,
        node_limit,
    )


# --- indices of connectivity from distances between patches --------------------------------------------------------

PROBABILITY, HOPS, CAPACITY = 0, 1, 2


@njit(cache=True, nogil=True)
def connectivity(kind, d, a, scale):
    """An index from distances ``d`` between nodes of areas ``a``; nodes 0 apart are one patch.

    0: sum of a_i a_j exp(-scale d_ij); 1: sum of a_i a_j / (1 + hops_ij) with links where d < scale; 2: the leading
    eigenvalue of a_i a_j exp(-scale d_ij), i = j included.
    """
    n = len(a)
    total = 0.0
    if kind == 0:
        for i in range(n):
            total += a[i] * a[i]
            for j in range(i):
                if d[i, j] < np.inf:
                    total += 2.0 * a[i] * a[j] * np.exp(-scale * d[i, j])
        return total
    patch, count = np.full(n, -1, np.int64), 0
    first = np.empty(n, np.int64)
    queue = np.empty(n, np.int64)
    for start in range(n):
        if patch[start] >= 0:
            continue
        patch[start] = count
        first[count] = start
        queue[0], head, tail = start, 0, 1
        while head < tail:
            i = queue[head]
            head += 1
            for j in range(n):
                if patch[j] < 0 and d[i, j] == 0.0:
                    patch[j] = count
                    queue[tail] = j
                    tail += 1
        count += 1
    area = np.zeros(count)
    for i in range(n):
        area[patch[i]] += a[i]
    if kind == 1:
        near = np.zeros((count, count), np.bool_)
        for i in range(n):
            for j in range(n):
                if d[i, j] < scale and patch[i] != patch[j]:
                    near[patch[i], patch[j]] = True
        hops = np.empty(count, np.int64)
        for s in range(count):
            hops[:] = -1
            hops[s] = 0
            queue[0], head, tail = s, 0, 1
            while head < tail:
                i = queue[head]
                head += 1
                total += area[s] * area[i] / (1.0 + hops[i])
                for j in range(count):
                    if near[i, j] and hops[j] < 0:
                        hops[j] = hops[i] + 1
                        queue[tail] = j
                        tail += 1
        return total
    matrix = np.empty((count, count))
    for i in range(count):
        for j in range(count):
            matrix[i, j] = area[i] * area[j] * np.exp(-scale * d[first[i], first[j]])
    if count == 0:
        return 0.0
    return np.linalg.eigvalsh(matrix)[-1]


@njit(cache=True, nogil=True)
def connectivity_gains(kind, d, a, scale, entry, added, out):
    """``out[o]``: the index with one more node, of area ``added[o]`` and ``entry[o, i]`` away from node i.

    Links of hops (1) are what they were; other paths may pass the new node.
    """
    n = len(a)
    wider, areas = np.empty((n + 1, n + 1)), np.empty(n + 1)
    areas[:n] = a
    now = connectivity(kind, d, a, scale) if kind == 0 else 0.0
    for o in range(len(added)):
        at = entry[o]
        if kind == 0:  # only pairs that get nearer change
            total = now + added[o] * added[o]
            for i in range(n):
                if at[i] == np.inf:
                    continue
                total += 2.0 * added[o] * a[i] * np.exp(-scale * at[i])
                for j in range(i):
                    passing = at[i] + at[j]
                    if passing < d[i, j]:
                        before = np.exp(-scale * d[i, j]) if d[i, j] < np.inf else 0.0
                        total += 2.0 * a[i] * a[j] * (np.exp(-scale * passing) - before)
            out[o] = total
            continue
        areas[n] = added[o]
        for i in range(n):
            wider[i, n] = wider[n, i] = at[i]
            for j in range(n):
                wider[i, j] = d[i, j] if kind == 1 else min(d[i, j], at[i] + at[j])
        wider[n, n] = 0.0
        out[o] = connectivity(kind, wider, areas, scale)


@njit(cache=True, nogil=True)
def piece_sizes(mask, touch_ptr, touch, area, label):
    """Number the connected pieces of the mask in ``label`` (-1 outside) and return their areas."""
    n = len(mask)
    label[:] = -1
    queue, sizes, count = np.empty(n, np.int64), np.empty(n), 0
    for start in range(n):
        if not mask[start] or label[start] >= 0:
            continue
        queue[0], head, tail, size = start, 0, 1, 0.0
        label[start] = count
        while head < tail:
            unit = queue[head]
            head += 1
            size += area[unit]
            for t in range(touch_ptr[unit], touch_ptr[unit + 1]):
                other = touch[t]
                if mask[other] and label[other] < 0:
                    label[other] = count
                    queue[tail] = other
                    tail += 1
        sizes[count] = size
        count += 1
    return sizes[:count].copy()


@njit(cache=True, nogil=True)
def mesh_gains(options, unit_ptr, unit_of, touch_ptr, touch, area, label, sizes, out):
    """What each option adds to the sum of squared areas of the pieces ``label`` with ``sizes``."""
    n = len(label)
    local = np.full(n, -1, np.int64)
    parent = np.empty(len(sizes) + n, np.int64)
    for i in range(len(options)):
        o = options[i]
        first, last = unit_ptr[o], unit_ptr[o + 1]
        for k in range(first, last):  # the option's units are nodes len(sizes), len(sizes) + 1, ...
            if label[unit_of[k]] < 0:
                local[unit_of[k]] = k - first
                parent[len(sizes) + k - first] = len(sizes) + k - first
            for t in range(touch_ptr[unit_of[k]], touch_ptr[unit_of[k] + 1]):
                if label[touch[t]] >= 0:
                    parent[label[touch[t]]] = label[touch[t]]
        for k in range(first, last):
            unit = unit_of[k]
            if local[unit] < 0:
                continue
            for t in range(touch_ptr[unit], touch_ptr[unit + 1]):
                other = touch[t]
                node = label[other] if label[other] >= 0 else -1
                if node < 0 and local[other] >= 0:
                    node = len(sizes) + local[other]
                if node >= 0:
                    a, b = _root(parent, len(sizes) + local[unit]), _root(parent, node)
                    parent[a] = b
        gain = 0.0
        # areas of the merged pieces: gather by root, each old piece once
        roots = np.empty(5 * (last - first) + 1, np.int64)
        met = np.empty(5 * (last - first) + 1, np.int64)
        weight = np.zeros(5 * (last - first) + 1)
        count, seen = 0, 0
        for k in range(first, last):
            unit = unit_of[k]
            if local[unit] < 0:
                continue
            root = _root(parent, len(sizes) + local[unit])
            place = -1
            for c in range(count):
                if roots[c] == root:
                    place = c
            if place < 0:
                place = count
                roots[count] = root
                count += 1
            weight[place] += area[unit]
            for t in range(touch_ptr[unit], touch_ptr[unit + 1]):
                piece = label[touch[t]]
                if piece < 0:
                    continue
                new = True
                for c in range(seen):
                    if met[c] == piece:
                        new = False
                if new:
                    met[seen] = piece
                    seen += 1
                    weight[place] += sizes[piece]
                    gain -= sizes[piece] * sizes[piece]
        for c in range(count):
            gain += weight[c] * weight[c]
        for k in range(first, last):
            local[unit_of[k]] = -1
        out[i] = gain
