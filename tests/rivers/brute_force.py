"""The indices of a river from their definitions, pair by pair: slow, plain, and apart from the code under test."""

import numpy as np
import pandas as pd


class Pairs:
    """All ordered pairs of reaches and the edges between them.

    ``down`` is a list of row numbers, -1 at an outlet; edge e is the one below row e.
    """

    def __init__(self, down):
        self.down = list(down)
        self.n = len(self.down)
        neighbours = [[] for _ in range(self.n)]
        for v, u in enumerate(self.down):
            if u >= 0:
                neighbours[v].append((u, v, True))
                neighbours[u].append((v, v, False))
        self.way = {}
        for i in range(self.n):
            self.way[i, i] = ((), ())
            waiting = [i]
            while waiting:
                v = waiting.pop()
                downs, ups = self.way[i, v]
                for u, edge, downstream in neighbours[v]:
                    if (i, u) not in self.way:
                        self.way[i, u] = ((*downs, edge), ups) if downstream else (downs, (*ups, edge))
                        waiting.append(u)

    def connections(self, down_pass, up_pass, kernel=lambda i, j, downs, ups: 1.0):
        """The matrix C(i, j)."""
        c = np.zeros((self.n, self.n))
        for (i, j), (downs, ups) in self.way.items():
            value = kernel(i, j, downs, ups)
            for e in downs:
                value *= down_pass[e]
            for e in ups:
                value *= up_pass[e]
            c[i, j] = value
        return c

    def root(self, v):
        while self.down[v] >= 0:
            v = self.down[v]
        return v

    def to_outlet(self, passability):
        """R_j: the product down to the outlet."""
        out = np.ones(self.n)
        for v in range(self.n):
            u = v
            while self.down[u] >= 0:
                out[v] *= passability[u]
                u = self.down[u]
        return out


def edge_products(n, rows, values):
    out = np.ones(n)
    for row, value in zip(rows, values, strict=True):
        out[row] *= value
    return out


def random_forest(rng, most=12):
    """Rows of the reaches downstream, in any order: bushes, chains, stars, several roots."""
    n = int(rng.integers(1, most + 1))
    shape = rng.integers(4)
    if shape == 0:
        down = np.arange(-1, n - 1)
    elif shape == 1:
        down = np.where(np.arange(n) > 0, 0, -1)
    else:
        down = np.array([rng.integers(-1 if shape == 3 else 0, i) if i else -1 for i in range(n)])
    order = rng.permutation(n)
    mixed = np.full(n, -1)
    for v, u in enumerate(down):
        mixed[order[v]] = order[u] if u >= 0 else -1
    return mixed


def random_river(rng, most=12):
    """Tables of a random river, and its rows downstream; lengths and passabilities of 0 and 1 among them."""
    down = random_forest(rng, most)
    n = len(down)
    ids = rng.choice(10**6 if rng.random() < 0.5 else n + 3, n, replace=False)
    length = np.where(rng.random(n) < 0.1, 0.0, rng.uniform(1, 1000, n))
    length[rng.integers(n)] = 500.0
    reaches = pd.DataFrame({"reach": ids, "down": np.where(down >= 0, ids[down], -1), "length_m": length})
    count = int(rng.integers(0, n + 3))
    rows = rng.integers(0, n, count)
    up, down_pass = (
        np.select([rng.random(count) < 0.25, rng.random(count) < 0.2], [0.0, 1.0], rng.random(count)) for _ in range(2)
    )
    barriers = pd.DataFrame(
        {"barrier": np.arange(count) + 7, "reach": ids[rows], "pass_up": up, "pass_down": down_pass}
    )
    return reaches, barriers, down, rows
