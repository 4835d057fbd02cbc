"""The indices' sums by basin alone, for calculations that need them many times."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from linkways.rivers._dispersal import Dispersal, connected, edge_factors
from linkways.rivers._forest import BarrierPlaces, Forest, edge_passability
from linkways.rivers._index import Passabilities, River

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = ["BarrierEdges", "contracted", "index_sums", "pair_total", "sums_between_unmapped"]


def contracted(river: River) -> River:
    """The same river with one reach for each fragment between barriers; sums without a kernel stay as they are."""
    from linkways.rivers._kernels import fragments_of

    forest = river.forest
    n = len(forest.down)
    root = fragments_of(forest.down, np.bincount(river.barriers.place, minlength=n))[0]
    lowest = np.flatnonzero(root == np.arange(n))
    number = np.empty(n, np.int32)
    number[lowest] = np.arange(len(lowest))
    number = number[root]
    below = forest.down[lowest]
    down = np.where(below >= 0, number[below], -1).astype(np.int32)
    same = np.arange(len(lowest), dtype=np.int32)
    small = Forest(
        forest.ids[forest.row[lowest]],
        same,
        same,
        down,
        np.concatenate([[0], number[forest.starts[1:] - 1] + 1]).astype(np.int64),
        np.bincount(number, forest.length_m, len(lowest)).astype(float),
    )
    places = BarrierPlaces(river.barriers.ids, number[river.barriers.place], river.barriers.at_outlet)
    return River(small, np.bincount(number, river.weight, len(lowest)).astype(float), places)


def index_sums(river: River, now: Passabilities, passability: str, dispersal: Dispersal) -> dict[str, "Floats"]:
    """Sums by basin: ``cci`` over pairs, ``dcid`` and ``dcid_up`` and ``dcid_down`` of the access."""
    from linkways.rivers._kernels import sum_access

    out = {"cci": pair_total(river, now, passability, dispersal)}
    for name, p in (("dcid", now.product), ("dcid_up", now.up), ("dcid_down", now.down)):
        if name != "dcid" and now.up is now.down:
            out[name] = out["dcid"]
            continue
        edges = edge_passability(river.forest, river.barriers, p, p)
        out[name] = sum_access(river.forest.down, river.forest.starts, river.weight, edges.down)
    return out


def pair_total(river: River, now: Passabilities, passability: str, dispersal: Dispersal) -> "Floats":
    """Sum over pairs by basin."""
    from linkways.rivers._kernels import sum_pairs

    forest = river.forest
    edges = edge_passability(forest, river.barriers, *now.both(passability))
    if dispersal.kernel in ("threshold", "leptokurtic"):
        return connected(forest, river.weight, edges.down, edges.up, dispersal).total
    factors = edge_factors(forest, edges.down, edges.up, dispersal)
    return np.asarray(sum_pairs(forest.down, forest.starts, river.weight, *factors))


@dataclass(frozen=True)
class BarrierEdges:
    """Edges with barriers, numbered by place; ``count`` is the number of all edges without.

    Attributes:
        count: how many there are.
        of_place: number of the edge below each place, (n,).
        of_barrier: number of the edge of each barrier, (barriers,).
    """

    count: int
    of_place: "NDArray[np.int32]"
    of_barrier: "NDArray[np.int32]"

    @classmethod
    def of(cls, river: River) -> "BarrierEdges":
        """Number the edges."""
        there = np.unique(river.barriers.place)
        of_place = np.full(len(river.forest.down), len(there), np.int32)
        of_place[there] = np.arange(len(there))
        return cls(len(there), of_place, of_place[river.barriers.place])


def sums_between_unmapped(
    river: River,
    edges: BarrierEdges,
    now: Passabilities,
    passability: str,
    rng: np.random.Generator,
    *,
    per_m: float,
    unmapped: float,
    rate: float,
) -> "Floats":
    """One throw of unmapped barriers: sums over all pairs of points and of the access as `index_sums` has, (4, basins).

    Args:
        per_m: unmapped barriers per metre.
        unmapped: what each lets through.
        rate: decay of the kernel per metre.
    """
    from linkways.rivers._kernels import multiply_on_edges, sums_with_unmapped

    forest = river.forest
    ways = {"product": now.product, "up": now.up, "down": now.down}
    if now.up is now.down:
        ways = dict.fromkeys(ways, now.up)
    factors: dict[int, Floats] = {}
    for values in ways.values():
        if id(values) not in factors:
            factors[id(values)] = multiply_on_edges(
                edges.count + 1, edges.of_barrier, river.barriers.order, values, river.barriers.at_outlet
            )[0]
    product, up, down = (factors[id(values)] for values in ways.values())
    moves = (down, up) if passability == "directional" else (product, product)
    totals = np.empty((4, len(forest.starts) - 1))
    expected = per_m * forest.length_m.sum()
    count = int(expected + 8 * np.sqrt(expected) + 20)
    gaps = rng.standard_exponential(count) / per_m
    while not sums_with_unmapped(
        forest.down,
        forest.starts,
        river.weight,
        forest.length_m,
        edges.of_place,
        *moves,
        product,
        up,
        down,
        gaps,
        unmapped,
        rate,
        totals,
    ):
        gaps = np.concatenate([gaps, rng.standard_exponential(count) / per_m])
    return totals
