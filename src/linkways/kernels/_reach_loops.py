"""Compiled loops over the sources of a habitat graph: trees of best paths, their repair, shortcuts and betweenness.

Every path has a worth that its links lower step by step. In ``product`` mode a link of weight w multiplies it by
exp(-w) and the worth is the probability of the path; otherwise every link subtracts 1, so that the worth of a path is
minus its hops and its value 1 / (1 + hops). The best path is the one of the largest worth in both, so that the same
loops serve both; a path whose worth is below ``floor`` does not exist.
"""

from __future__ import annotations

import numpy as np
from numba import njit

__all__ = ["betweenness_block", "gain_block", "length_block", "loss_block", "order_nodes", "sum_block"]

SAME = 1e-11  # path lengths that differ relatively by less are ties


@njit(cache=True, nogil=True, inline="always")
def _extend(worth, step, product):  # type: ignore[no-untyped-def]
    return worth * step if product else worth + step


@njit(cache=True, nogil=True, inline="always")
def _value(worth, product):  # type: ignore[no-untyped-def]
    return worth if product else 1.0 / (1.0 - worth)  # of minus infinity: 0


@njit(cache=True, nogil=True, inline="always")
def _push(keys, items, count, key, item):  # type: ignore[no-untyped-def]
    """Put an item on a heap whose largest key is first; return how many it holds then."""
    at = count
    while at > 0:
        above = (at - 1) >> 1
        if keys[above] >= key:
            break
        keys[at], items[at] = keys[above], items[above]
        at = above
    keys[at], items[at] = key, item
    return count + 1


@njit(cache=True, nogil=True, inline="always")
def _pop(keys, items, count):  # type: ignore[no-untyped-def]
    """Take the first item off a heap (read it before); return how many it holds then."""
    count -= 1
    key, item = keys[count], items[count]
    at = 0
    while True:
        below = 2 * at + 1
        if below >= count:
            break
        if below + 1 < count and keys[below + 1] > keys[below]:
            below += 1
        if keys[below] <= key:
            break
        keys[at], items[at] = keys[below], items[below]
        at = below
    keys[at], items[at] = key, item
    return count


@njit(cache=True, nogil=True)
def _grow(source, indptr, neighbour, step, product, floor, best, order, parent, edge, keys, items):  # type: ignore[no-untyped-def]
    """Tree of best paths from a source: fills ``order`` and, by node, ``best``, ``parent`` and ``edge``; its size.

    ``best`` must hold "no path" (0 or minus infinity) for all nodes before.
    """
    best[source] = 1.0 if product else 0.0
    parent[source] = -1
    count = 0
    if not product:  # breadth first: the order is the queue
        order[0] = source
        count = 1
        at = 0
        while at < count:
            u = order[at]
            at += 1
            worth = best[u] - 1.0
            if worth < floor:
                break
            for e in range(indptr[u], indptr[u + 1]):
                v = neighbour[e]
                if best[v] == -np.inf:
                    best[v] = worth
                    parent[v] = u
                    edge[v] = e
                    order[count] = v
                    count += 1
        return count
    held = _push(keys, items, 0, best[source], source)
    while held > 0:
        key, u = keys[0], items[0]
        held = _pop(keys, items, held)
        if key < best[u]:
            continue
        order[count] = u
        count += 1
        for e in range(indptr[u], indptr[u + 1]):
            v = neighbour[e]
            worth = key * step[e]
            if worth > best[v] and worth >= floor:
                best[v] = worth
                parent[v] = u
                edge[v] = e
                held = _push(keys, items, held, worth, v)
    return count


@njit(cache=True, nogil=True)
def order_nodes(indptr, neighbour):  # type: ignore[no-untyped-def]
    """Nodes breadth first from the far end of each component, so that near nodes are near in the order."""
    n = len(indptr) - 1
    order = np.empty(n, np.int64)
    seen = np.zeros(n, np.uint8)
    first = 0
    for root in range(n):
        if seen[root] == 2:
            continue
        start = root
        for sweep in range(1, 3):
            count = first + 1
            order[first] = start
            seen[start] = sweep
            at = first
            while at < count:
                u = order[at]
                at += 1
                for e in range(indptr[u], indptr[u + 1]):
                    v = neighbour[e]
                    if seen[v] < sweep:
                        seen[v] = sweep
                        order[count] = v
                        count += 1
            start = order[count - 1]
        first = count
    return order


@njit(cache=True, nogil=True)
def sum_block(first, last, indptr, neighbour, step, product, floor, attribute, every, inflow, covered):  # type: ignore[no-untyped-def]
    """For sources first..last: sum over the others of attribute times value, and the attribute within reach."""
    n = len(indptr) - 1
    none = 0.0 if product else -np.inf
    best = np.full(n, none)
    order, parent, edge = np.empty(n, np.int32), np.empty(n, np.int32), np.empty(n, np.int64)
    keys, items = np.empty(len(neighbour) + 1), np.empty(len(neighbour) + 1, np.int32)
    for s in range(first, last):
        if attribute[s] == 0.0 and not every:
            continue
        count = _grow(s, indptr, neighbour, step, product, floor, best, order, parent, edge, keys, items)
        total, reached = 0.0, attribute[s]
        for i in range(1, count):
            v = order[i]
            total += attribute[v] * _value(best[v], product)
            reached += attribute[v]
        for i in range(count):
            best[order[i]] = none
        inflow[s - first] = total
        covered[s - first] = reached


@njit(cache=True, nogil=True)
def _repair(start, end, cut, one_link, other, product, floor, none, worth, target, ptr, bound, near, step, new, queued, queue):  # type: ignore[no-untyped-def] # fmt: skip # noqa: E501
    """What a source loses among the nodes start..end of its tree, in preorder, when ``cut`` above them is lost.

    ``one_link``: only the link from ``cut`` to ``start`` is lost, its step becomes ``other``. Returned are the loss and
    the sum of the targets that are no longer within the floor. The first ``bound`` neighbours of a node are those not
    known to lie within start..end; the others stay within when the search moves up the tree. New worths are the best
    of those that come from outside, brought to the others by a sweep in either direction and a queue for the rest.
    """
    for v in range(start, end):
        found = none
        j = ptr[v]
        stop = j + bound[v]
        while j < stop:
            u = near[j]
            if u >= start and u < end:
                stop -= 1
                near[j], near[stop] = near[stop], u
                step[j], step[stop] = step[stop], step[j]
                continue
            if u != cut or (one_link and v != start):
                found = max(found, _extend(worth[u], step[j], product))
            elif one_link:
                found = max(found, _extend(worth[u], other, product))
            j += 1
        bound[v] = stop - ptr[v]
        new[v] = found if found >= floor else none
    for v in range(start, end):
        found = new[v]
        for j in range(ptr[v] + bound[v], ptr[v + 1]):
            found = max(found, _extend(new[near[j]], step[j], product))
        new[v] = found
    held = 0
    for v in range(end - 1, start - 1, -1):
        found = new[v]
        for j in range(ptr[v] + bound[v], ptr[v + 1]):
            found = max(found, _extend(new[near[j]], step[j], product))
        queued[v] = found > new[v]
        if queued[v]:
            new[v] = found
            queue[held] = v
            held += 1
    room = end - start
    head, tail = 0, held % room
    while held > 0:
        v = queue[head]
        head = head + 1 if head + 1 < room else 0
        held -= 1
        queued[v] = False
        for j in range(ptr[v] + bound[v], ptr[v + 1]):
            u = near[j]
            found = _extend(new[v], step[j], product)
            if found > new[u]:
                new[u] = found
                if not queued[u]:
                    queued[u] = True
                    queue[tail] = u
                    tail = tail + 1 if tail + 1 < room else 0
                    held += 1
    lost, crossing = 0.0, 0.0
    for v in range(start, end):
        if target[v] > 0.0 and new[v] < worth[v]:
            if new[v] >= floor:
                lost += target[v] * (_value(worth[v], product) - _value(new[v], product))
            else:
                lost += target[v] * _value(worth[v], product)
                crossing += target[v]
    return lost, crossing


@njit(cache=True, nogil=True)
def _beyond(count, order, best, attribute, floor):  # type: ignore[no-untyped-def]
    """Sum of a_i p_i a_j p_j over the ordered pairs of nodes in a tree, its source left out, with p_i p_j < floor."""
    total, tail = 0.0, 0.0
    j = count - 1
    for i in range(1, count):
        own = best[order[i]]
        while j > 0 and best[order[j]] * own < floor:
            tail += attribute[order[j]] * best[order[j]]
            j -= 1
        total += attribute[order[i]] * own * tail
    return total


@njit(cache=True, nogil=True)
def loss_block(first, last, indptr, neighbour, step, link, other, product, floor, near_floor, attribute, links, inflow, covered, beyond, connector, by_link, crossed, crossed_link, far, far_link):  # type: ignore[no-untyped-def] # fmt: skip # noqa: E501
    """For sources first..last, as sum_block; and what their pairs with later nodes lose without each node and link.

    Every pair is looked at from its earlier node and counts twice. The tree of best paths down to ``near_floor`` is
    laid out in preorder, so that what hangs below a node is an interval; only that changes when the node is lost.
    ``crossed``: attribute products of pairs that fall below near_floor; ``far``: the sum over the pairs between the
    two floors whose path in the tree uses the node or link, which are not looked at; ``beyond``: the sum over all
    pairs of nodes that the source reaches but that it joins by a path below the floor, at most, in product mode.
    """
    n = len(indptr) - 1
    none = 0.0 if product else -np.inf
    best = np.full(n, none)
    order, parent, edge = np.empty(n, np.int32), np.empty(n, np.int32), np.empty(n, np.int64)
    keys, items = np.empty(len(neighbour) + 1), np.empty(len(neighbour) + 1, np.int32)
    place = np.full(n, -1, np.int32)
    size, slot, node = np.empty(n, np.int32), np.empty(n, np.int32), np.empty(n, np.int32)
    worth, target, new, over = np.empty(n), np.empty(n), np.empty(n), np.zeros(n)
    wanted, end = np.empty(n, np.int32), np.empty(n, np.int32)
    queued, queue = np.empty(n, np.bool_), np.empty(n, np.uint32)
    ptr, bound = np.empty(n + 1, np.int64), np.empty(n, np.int64)
    near, local = np.empty(len(neighbour), np.uint32), np.empty(len(neighbour))  # unsigned: no check for negatives
    for s in range(first, last):
        if attribute[s] == 0.0:
            continue
        count = _grow(s, indptr, neighbour, step, product, floor, best, order, parent, edge, keys, items)
        total, reached = 0.0, attribute[s]
        for i in range(1, count):
            total += attribute[order[i]] * _value(best[order[i]], product)
            reached += attribute[order[i]]
        inflow[s - first] = total
        covered[s - first] = reached
        if product:
            beyond[s - first] = _beyond(count, order, best, attribute, floor)
        within = count
        while best[order[within - 1]] < near_floor:
            within -= 1
        if within < count:
            for i in range(count - 1, 0, -1):
                v = order[i]
                below = over[v]
                far[v] += 2.0 * attribute[s] * below
                if i >= within and v > s:
                    below += attribute[v] * _value(best[v], product)
                if links:
                    far_link[link[edge[v]]] += 2.0 * attribute[s] * below
                over[parent[v]] += below
                over[v] = 0.0
            over[s] = 0.0
        for i in range(within):
            size[order[i]] = 1
        for i in range(within - 1, 0, -1):
            size[parent[order[i]]] += size[order[i]]
        place[s] = 0
        slot[s] = 1
        node[0] = s
        end[0] = within
        for i in range(1, within):
            v = order[i]
            u = parent[v]
            at = slot[u]
            slot[u] += size[v]
            slot[v] = at + 1
            place[v] = at
            node[at] = v
            end[at] = at + size[v]
        for i in range(within):
            v = node[i]
            worth[i] = best[v]
            target[i] = attribute[v] if v > s else 0.0
            wanted[i] = 1 if target[i] > 0.0 else 0
        for i in range(within - 1, 0, -1):
            wanted[place[parent[node[i]]]] += wanted[i]
        filled = 0
        branch = 1
        ptr[0] = 0
        bound[0] = 0
        for i in range(1, within):
            if i >= end[branch]:
                branch = i
            ptr[i] = filled
            if wanted[branch] > 0:
                v = node[i]
                for e in range(indptr[v], indptr[v + 1]):
                    at = place[neighbour[e]]
                    if at >= 0:
                        near[filled] = at
                        local[filled] = step[e]
                        filled += 1
            bound[i] = filled - ptr[i]
        ptr[within] = filled
        twice = 2.0 * attribute[s]
        for k in range(within - 1, 0, -1):
            if wanted[k] == 0:
                continue
            v = node[k]
            if wanted[k] > (1 if target[k] > 0.0 else 0):
                lost, crossing = _repair(
                    k + 1, end[k], k, False, none, product, near_floor, none,
                    worth, target, ptr, bound, near, local, new, queued, queue,
                )  # fmt: skip
                connector[v] += twice * lost
                crossed[v] += twice * crossing
            if links:
                e = edge[v]
                lost, crossing = _repair(
                    k, end[k], place[parent[v]], True, other[e], product, near_floor, none,
                    worth, target, ptr, bound, near, local, new, queued, queue,
                )  # fmt: skip
                by_link[link[e]] += twice * lost
                crossed_link[link[e]] += twice * crossing
        for i in range(count):
            best[order[i]] = none
        for i in range(within):
            place[order[i]] = -1


@njit(cache=True, nogil=True)
def gain_block(
    first,
    last,
    indptr,
    neighbour,
    step,
    product,
    floor,
    attribute,
    own,
    ends_ptr,
    ends,
    ends_step,
    at_ptr,
    at_candidate,
    at_step,
    covered,
    flux,
    connector,
):  # type: ignore[no-untyped-def]
    """What the pairs of sources first..last gain from each candidate: by its own attribute, and by shorter paths.

    A candidate is a node with attribute ``own`` and steps to existing nodes ``ends``; ``at_ptr``... lists the
    candidates at each node. Only nodes that come nearer are visited.
    """
    n = len(indptr) - 1
    none = 0.0 if product else -np.inf
    best, better = np.full(n, none), np.full(n, none)
    order, parent, edge = np.empty(n, np.int32), np.empty(n, np.int32), np.empty(n, np.int64)
    longest = 0
    for c in range(len(own)):
        longest = max(longest, ends_ptr[c + 1] - ends_ptr[c])
    room = len(neighbour) + longest + 1
    keys, items = np.empty(room), np.empty(room, np.int32)
    reach = np.full(len(own), none)
    found, touched = np.empty(len(own), np.int64), np.empty(n, np.int32)
    for s in range(first, last):
        if attribute[s] == 0.0:
            continue
        count = _grow(s, indptr, neighbour, step, product, floor, best, order, parent, edge, keys, items)
        candidates = 0
        reached = 0.0
        for i in range(count):
            u = order[i]
            reached += attribute[u]
            for j in range(at_ptr[u], at_ptr[u + 1]):
                worth = _extend(best[u], at_step[j], product)
                if worth >= floor and worth > reach[at_candidate[j]]:
                    if reach[at_candidate[j]] == none:
                        found[candidates] = at_candidate[j]
                        candidates += 1
                    reach[at_candidate[j]] = worth
        covered[s - first] = reached
        for i in range(candidates):
            c = found[i]
            flux[c] += 2.0 * attribute[s] * own[c] * _value(reach[c], product)
            held = 0
            for j in range(ends_ptr[c], ends_ptr[c + 1]):
                u = ends[j]
                worth = _extend(reach[c], ends_step[j], product)
                if worth > best[u] and worth > better[u] and worth >= floor:
                    better[u] = worth
                    held = _push(keys, items, held, worth, u)
            visited = 0
            gained = 0.0
            while held > 0:
                key, u = keys[0], items[0]
                held = _pop(keys, items, held)
                if key < better[u]:
                    continue
                touched[visited] = u
                visited += 1
                gained += attribute[u] * (_value(key, product) - _value(best[u], product))
                for e in range(indptr[u], indptr[u + 1]):
                    v = neighbour[e]
                    worth = _extend(key, step[e], product)
                    if worth > best[v] and worth > better[v] and worth >= floor:
                        better[v] = worth
                        held = _push(keys, items, held, worth, v)
            connector[c] += attribute[s] * gained
            for j in range(visited):
                better[touched[j]] = none
            reach[c] = none
        for i in range(count):
            best[order[i]] = none


@njit(cache=True, nogil=True, inline="always")
def _leads(u, v, weight, length, level):  # type: ignore[no-untyped-def]
    """Whether the link from u to v ends a shortest path to v."""
    if length[u] < length[v]:
        return length[u] + weight <= length[v] * (1.0 + SAME)
    return length[u] == length[v] and length[u] + weight == length[v] and level[u] + 1 == level[v]


@njit(cache=True, nogil=True)
def _level_nodes_at_one_length(count, order, indptr, neighbour, weight, length, level, queue):  # type: ignore[no-untyped-def]
    """Order nodes that links of no weight join by the number of such links since a link of some weight."""
    first = 1  # the source is at level 0, and leads its own group
    while first < count:
        start = first - 1 if first == 1 and length[order[1]] == 0.0 else first
        stop = first
        while stop < count and length[order[stop]] == length[order[first]]:
            stop += 1
        if stop - start > 1:
            held = 0
            for i in range(start, stop):
                v = order[i]
                level[v] = 0 if i == 0 else -1
                for e in range(indptr[v], indptr[v + 1]):
                    u = neighbour[e]
                    if length[u] < length[v] and length[u] + weight[e] <= length[v] * (1.0 + SAME):
                        level[v] = 0
                if level[v] == 0:
                    queue[held] = v
                    held += 1
            at = 0
            while at < held:
                u = queue[at]
                at += 1
                for e in range(indptr[u], indptr[u + 1]):
                    v = neighbour[e]
                    if level[v] < 0 and length[u] == length[v] and length[u] + weight[e] == length[v]:
                        level[v] = level[u] + 1
                        queue[held] = v
                        held += 1
            order[start:stop] = queue[:held]
        first = stop


@njit(cache=True, nogil=True)
def betweenness_block(first, last, indptr, neighbour, weight, link, horizon, attribute, kind, by_node, by_link):  # type: ignore[no-untyped-def]
    """Brandes' sums over the pairs of sources first..last, both orders, paths of equal length sharing a pair.

    ``kind`` 0: every pair counts 1; 1: a_i a_j exp(-length); 2: a_i a_j / (1 + length). A link of no weight leads on
    only to nodes that no link of some weight reaches as shortly.
    """
    n = len(indptr) - 1
    length, level = np.full(n, np.inf), np.zeros(n, np.int32)
    paths, share = np.zeros(n), np.zeros(n)
    order, queue = np.empty(n, np.int32), np.empty(n, np.int32)
    keys, items = np.empty(len(neighbour) + 1), np.empty(len(neighbour) + 1, np.int32)
    for s in range(first, last):
        if kind > 0 and attribute[s] == 0.0:
            continue
        length[s] = 0.0
        held = _push(keys, items, 0, 0.0, s)
        count = 0
        while held > 0:
            key, u = -keys[0], items[0]
            held = _pop(keys, items, held)
            if key > length[u]:
                continue
            order[count] = u
            count += 1
            for e in range(indptr[u], indptr[u + 1]):
                v = neighbour[e]
                far = key + weight[e]
                if far < length[v] and far <= horizon:
                    length[v] = far
                    held = _push(keys, items, held, -far, v)
        _level_nodes_at_one_length(count, order, indptr, neighbour, weight, length, level, queue)
        paths[s] = 1.0
        for i in range(1, count):
            v = order[i]
            total = 0.0
            for e in range(indptr[v], indptr[v + 1]):
                u = neighbour[e]
                if _leads(u, v, weight[e], length, level):
                    total += paths[u]
            paths[v] = total
        for i in range(count - 1, 0, -1):
            v = order[i]
            own = 1.0
            if kind == 1:
                own = attribute[s] * attribute[v] * np.exp(-length[v])
            elif kind == 2:
                own = attribute[s] * attribute[v] / (1.0 + length[v])
            carried = (own + share[v]) / paths[v]
            for e in range(indptr[v], indptr[v + 1]):
                u = neighbour[e]
                if _leads(u, v, weight[e], length, level):
                    part = paths[u] * carried
                    share[u] += part
                    by_link[link[e]] += part
            by_node[v] += share[v]
        for i in range(count):
            v = order[i]
            length[v] = np.inf
            level[v] = 0
            paths[v] = 0.0
            share[v] = 0.0


@njit(cache=True, nogil=True)
def length_block(first, last, indptr, neighbour, weight, by_hops, sums):  # type: ignore[no-untyped-def]
    """Add up the shortest paths from sources first..last: number, total, total of reciprocals, and the longest."""
    n = len(indptr) - 1
    best = np.full(n, -np.inf)
    order, parent, edge = np.empty(n, np.int32), np.empty(n, np.int32), np.empty(n, np.int64)
    keys, items = np.empty(len(neighbour) + 1), np.empty(len(neighbour) + 1, np.int32)
    for s in range(first, last):
        if by_hops:
            count = _grow(s, indptr, neighbour, weight, False, -1e18, best, order, parent, edge, keys, items)
        else:
            best[s] = 0.0
            held = _push(keys, items, 0, 0.0, s)
            count = 0
            while held > 0:
                key, u = keys[0], items[0]
                held = _pop(keys, items, held)
                if key < best[u]:
                    continue
                order[count] = u
                count += 1
                for e in range(indptr[u], indptr[u + 1]):
                    v = neighbour[e]
                    if key - weight[e] > best[v]:
                        best[v] = key - weight[e]
                        held = _push(keys, items, held, best[v], v)
        for i in range(1, count):
            far = -best[order[i]]
            sums[0] += 1.0
            sums[1] += far
            if far > 0.0:
                sums[2] += 1.0 / far
            sums[3] = max(sums[3], far)
        for i in range(count):
            best[order[i]] = -np.inf
