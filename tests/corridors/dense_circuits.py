"""Circuits solved the slow, plain way: every branch listed, dense matrices, no code of ours."""

import math

import numpy as np
from scipy.sparse.csgraph import connected_components


def branches(resistance, *, cell_m=1.0, average="resistance", neighbours=8):
    """(i, j, conductance) for every pair of neighbouring cells that can be entered, flat indices."""
    rows, columns = resistance.shape
    steps = [(0, 1, 1.0), (1, 0, 1.0)]
    if neighbours == 8:
        steps += [(1, 1, math.sqrt(2)), (1, -1, math.sqrt(2))]
    out = []
    for row in range(rows):
        for column in range(columns):
            for down, right, length in steps:
                k, m = row + down, column + right
                if not (0 <= k < rows and 0 <= m < columns):
                    continue
                a, b = resistance[row, column], resistance[k, m]
                if np.isnan(a) or np.isnan(b):
                    continue
                mean = (1 / a + 1 / b) / 2 if average == "conductance" else 2 / (a + b)
                out.append((row * columns + column, k * columns + m, mean / (length * cell_m)))
    return out


def solved(resistance, groups, amperes, **options):
    """Voltages (rows, columns) when ``amperes[g]`` enter at each tied group, which together sum to 0."""
    count = resistance.size
    node = np.arange(count)
    for cells in groups:
        node[cells] = cells[0]
    laplacian = np.zeros((count, count))
    for i, j, c in branches(resistance, **options):
        a, b = node[i], node[j]
        if a != b:
            laplacian[[a, b], [a, b]] += c
            laplacian[[a, b], [b, a]] -= c
    enters = np.zeros(count)
    for cells, current in zip(groups, amperes, strict=True):
        enters[cells[0]] += current
    # the part that the current runs through, its last node held at 0
    label = connected_components(laplacian != 0)[1]
    inside = np.flatnonzero(label == label[groups[0][0]])[:-1]
    voltage = np.zeros(count)
    voltage[inside] = np.linalg.solve(laplacian[np.ix_(inside, inside)], enters[inside])
    return voltage[node].reshape(resistance.shape)


def effective_resistance(resistance, one, two, **options):
    """R between two tied groups of flat cells."""
    voltage = solved(resistance, [one, two], [1.0, -1.0], **options).ravel()
    return voltage[one[0]] - voltage[two[0]]


def currents(resistance, voltage, **options):
    """max(inflow, outflow) of every cell; not meant for tied cells."""
    inflow, outflow = np.zeros(resistance.size), np.zeros(resistance.size)
    flat = voltage.ravel()
    for i, j, c in branches(resistance, **options):
        flow = c * (flat[i] - flat[j])
        giver, taker = (i, j) if flow > 0 else (j, i)
        outflow[giver] += abs(flow)
        inflow[taker] += abs(flow)
    return np.maximum(inflow, outflow).reshape(resistance.shape)
