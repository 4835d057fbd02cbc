"""Patches and links as arrays, checked: the one way in which the methods of this room read a habitat network."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from linkways.errors import LinkwaysError, nearest

if TYPE_CHECKING:
    import geopandas as gpd
    import pandas as pd

    from linkways.kernels.reach import Graph

__all__ = [
    "Network",
    "Weight",
    "area_unit",
    "check_landscape",
    "horizon_of",
    "mapped",
    "network",
    "patch_ids",
    "read_attribute",
    "read_ends",
    "read_weights",
]

Weight = Literal["distance_m", "cost", "probability"]


@dataclass(frozen=True)
class Network:
    """A habitat network as arrays."""

    method: str
    ids: np.ndarray
    """(n,) patch ids."""
    attribute: np.ndarray
    """(n,) >= 0."""
    ends: np.ndarray
    """(m, 2) patch number of either end of each link."""
    raw: np.ndarray
    """(m,) the weight column: distance, cost or probability."""
    weight: np.ndarray
    """(m,) -ln of the probability of each link."""
    joined: np.ndarray
    """(m,) whether the link joins its patches in the binary graph."""
    column: Weight
    """What the weight column holds."""
    rule: Callable[[np.ndarray], np.ndarray]
    """From values of the weight column to -ln of the probability."""
    joins: Callable[[np.ndarray], np.ndarray]
    """From values of the weight column to whether such a link joins its patches in the binary graph."""

    @property
    def links(self) -> int:
        """Number of links."""
        return len(self.ends)

    def probable(self) -> "Graph":
        """The graph of all links, weighted by -ln p."""
        from linkways.kernels.reach import graph

        return graph(len(self.ids), self.ends, self.weight)

    def binary(self) -> "Graph":
        """The graph of the links that join, by distance or cost, or by -ln p where that is all that is known."""
        from linkways.kernels.reach import graph

        length = self.weight if self.column == "probability" else self.raw
        return graph(len(self.ids), self.ends, np.where(self.joined, length, np.inf))

    def components(self) -> np.ndarray:
        """(n,) number of the component of each patch in the binary graph, from 0 in the order of the patches."""
        from scipy.sparse import coo_array
        from scipy.sparse.csgraph import connected_components

        a, b = self.ends[self.joined].T
        n = len(self.ids)
        _, label = connected_components(coo_array((np.ones(len(a)), (a, b)), shape=(n, n)), directed=False)
        _, first, number = np.unique(label, return_index=True, return_inverse=True)
        return np.argsort(np.argsort(first))[number]


def network(
    method: str,
    patches: "pd.DataFrame",
    links: "pd.DataFrame",
    *,
    attribute: str,
    weight: Weight,
    distance: float | None,
    probability: float,
    threshold: float | None,
) -> Network:
    """Read and check a habitat network.

    A link of distance (or cost) d has the probability p0^(d/d0), p0 = ``probability`` at d0 = ``distance``, or its own
    where the weight is one. It joins its patches in the binary graph when d < ``threshold`` (default: ``distance``),
    or when its probability > ``threshold`` (default: 0).
    """
    ids = patch_ids(method, patches)
    values = _attribute(method, patches, ids, attribute)
    if weight != "probability" and distance is None:
        raise LinkwaysError(
            f"{method}: parameter distance is missing; give the {weight} at which the probability is {probability:g}"
        )
    if weight == "probability" and threshold is not None and threshold > 1:
        raise LinkwaysError(
            f"{method}: threshold is {threshold:g}, but the links' weight is a probability; give 0 to 1"
        )
    ends = read_ends(method, "links", links, ids)
    raw = read_weights(method, "links", links, weight)

    def rule(some: np.ndarray) -> np.ndarray:
        if weight == "probability":
            with np.errstate(divide="ignore"):
                return np.asarray(np.abs(np.log(some)))  # of 1: 0, not minus 0
        assert distance is not None
        return some * (-math.log(probability) / distance)

    def joins(some: np.ndarray) -> np.ndarray:
        if weight == "probability":
            return np.asarray(some > (0.0 if threshold is None else threshold))
        return np.asarray(some < (distance if threshold is None else threshold))

    return Network(method, ids, values, ends, raw, rule(raw), joins(raw), weight, rule, joins)


def patch_ids(method: str, patches: "pd.DataFrame", what: str = "patches") -> np.ndarray:
    """The patch ids, each once."""
    _need_columns(method, what, patches, ("patch",))
    if not len(patches):
        raise LinkwaysError(f"{method}: {what} holds no patches; give at least one")
    ids = patches["patch"].to_numpy()
    missing = np.flatnonzero(patches["patch"].isna().to_numpy())
    if len(missing):
        raise LinkwaysError(f"{method}: {what} row {missing[0] + 1} has no patch id; fill the column patch")
    twice = np.flatnonzero(patches["patch"].duplicated().to_numpy())
    if len(twice):
        raise LinkwaysError(
            f"{method}: {what} row {twice[0] + 1} repeats patch {ids[twice[0]]}; every patch must have one row"
        )
    return np.asarray(ids)


def _attribute(method: str, patches: "pd.DataFrame", ids: np.ndarray, column: str, what: str = "patches") -> np.ndarray:
    _need_columns(method, what, patches, (column,))
    values = _numbers(method, what, patches, column)
    wrong = np.flatnonzero(~(values >= 0) | np.isinf(values))
    if len(wrong):
        row = int(wrong[0])
        raise LinkwaysError(
            f"{method}: {what} has {len(wrong)} rows whose {column} is not a finite number from 0 up, first row "
            f"{row + 1} (patch {ids[row]}: {values[row]:g}); mend or drop them"
        )
    return values


def read_ends(method: str, what: str, links: "pd.DataFrame", ids: np.ndarray) -> np.ndarray:
    """(m, 2) the patch number of both ends of each link."""
    import pandas as pd

    _need_columns(method, what, links, ("patch_a", "patch_b"))
    index = pd.Index(ids)
    ends = np.empty((len(links), 2), np.int64)
    for side, column in enumerate(("patch_a", "patch_b")):
        ends[:, side] = index.get_indexer(pd.Index(links[column]))
        unknown = np.flatnonzero(ends[:, side] < 0)
        if len(unknown):
            row = int(unknown[0])
            raise LinkwaysError(
                f"{method}: {what} has {len(unknown)} rows whose {column} is not among the patches, first row "
                f"{row + 1} ({links[column].iloc[row]!r}); drop the rows or add the patches"
            )
    same = np.flatnonzero(ends[:, 0] == ends[:, 1])
    if len(same):
        row = int(same[0])
        raise LinkwaysError(f"{method}: {what} row {row + 1} joins patch {ids[ends[row, 0]]} to itself; drop the row")
    return ends


def read_weights(method: str, what: str, links: "pd.DataFrame", weight: str, column: str | None = None) -> np.ndarray:
    """(m,) a column of what ``weight`` says: distances and costs >= 0 (infinite: no way), or probabilities."""
    column = column or weight
    _need_columns(method, what, links, (column,))
    values = _numbers(method, what, links, column)
    top, words = (1.0, "a probability from 0 to 1") if weight == "probability" else (np.inf, "a number from 0 up")
    wrong = np.flatnonzero(~((values >= 0) & (values <= top)))
    if len(wrong):
        row = int(wrong[0])
        pair = f"{links['patch_a'].iloc[row]} - {links['patch_b'].iloc[row]}"
        raise LinkwaysError(
            f"{method}: {what} has {len(wrong)} rows whose {column} is not {words}, first row {row + 1} "
            f"({pair}: {values[row]:g}); mend or drop them"
        )
    return values


def read_attribute(method: str, what: str, patches: "pd.DataFrame", column: str) -> np.ndarray:
    """(n,) a column of finite numbers >= 0 of a table with patch ids."""
    return _attribute(method, patches, patch_ids(method, patches, what), column, what)


def check_landscape(method: str, attribute: np.ndarray, landscape_area: float | None) -> None:
    """Refuse a landscape that is smaller than its patches."""
    total = float(attribute.sum())
    if landscape_area is not None and landscape_area < total * (1 - 1e-9):
        raise LinkwaysError(
            f"{method}: landscape_area is {landscape_area:g}, but the patches sum to {total:g}; give both in the same "
            "unit, and the area of the whole landscape"
        )


def horizon_of(smallest_probability: float) -> float:
    """-ln p of the least probable path that counts; infinite when all do."""
    return -math.log(smallest_probability) if smallest_probability > 0 else math.inf


def area_unit(attribute: str) -> str:
    """The unit that an attribute's name ends in."""
    for unit in ("ha", "km2", "m2"):
        if attribute.endswith(f"_{unit}"):
            return unit
    return "attribute"


def mapped(layer: "pd.DataFrame", table: "pd.DataFrame") -> "gpd.GeoDataFrame | None":
    """The table with the geometry of the layer's rows of the same labels; None for a layer without geometry."""
    if not any(base.__name__ == "GeoDataFrame" for base in type(layer).__mro__):
        return None
    import geopandas as gpd

    geometry = layer.geometry
    return gpd.GeoDataFrame(
        table.reset_index(drop=True), geometry=geometry.loc[table.index].to_numpy(), crs=geometry.crs
    )


def _numbers(method: str, what: str, table: "pd.DataFrame", column: str) -> np.ndarray:
    try:
        return np.asarray(table[column], dtype=np.float64)
    except (TypeError, ValueError):
        raise LinkwaysError(f"{method}: column {column} of {what} must hold numbers; mend or name another") from None


def _need_columns(method: str, what: str, table: "pd.DataFrame", columns: tuple[str, ...]) -> None:
    for column in columns:
        if column not in table.columns:
            raise LinkwaysError(
                f"{method}: {what} has no column '{column}'{nearest(column, [str(c) for c in table.columns])}"
            )
