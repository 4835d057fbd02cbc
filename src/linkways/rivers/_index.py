"""The indices of a river network from arrays: all pairs, access from the outlets, and the gain at every barrier."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np

from linkways.errors import LinkwaysError
from linkways.method import Param
from linkways.rivers._dispersal import Connected, Dispersal, connected
from linkways.rivers._forest import (
    BarrierPlaces,
    EdgePassability,
    Forest,
    edge_passability,
    numbers,
    passability_columns,
    read_barriers,
    read_forest,
    read_weights,
)

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = [
    "Access",
    "Compat",
    "Mended",
    "PassDown",
    "PassUp",
    "Passabilities",
    "Passability",
    "River",
    "Suitability",
    "Weight",
    "all_access",
    "gains",
    "read_passabilities",
    "read_river",
    "share",
]

CompatName = Literal["riverconn", "dci"]
Weight = Annotated[str, Param("column of the reaches that weighs them: length_m, an area, a volume, habitat ...")]
Suitability = Annotated[
    str | None, Param("column of the reaches that multiplies the weight, such as habitat suitability from 0 to 1")
]
Passability = Annotated[
    Literal["product", "directional"],
    Param(
        "product: a barrier lets pass_up x pass_down through, whichever way (there and back); directional: pass_up "
        "counts for moves upstream and pass_down for moves downstream. A single column passability is that product",
        source="product: Cote et al. (2009)",
    ),
]
PassUp = Annotated[
    str | None,
    Param("column with the passability upstream; pass_up when there, else passability, the product for both ways"),
]
PassDown = Annotated[str | None, Param("column with the passability downstream; likewise")]
Mended = Annotated[
    float,
    Param(
        "passability of a barrier once it is mended (1: removed), in each direction; a column mended, or mended_up and "
        "mended_down, says so barrier by barrier; a barrier that is better already stays as it is",
        ge=0,
        le=1,
    ),
]
Compat = Annotated[
    CompatName | None,
    Param(
        "numbers as others publish them: riverconn (version 0.3.33) takes the length of the upper reach for the "
        "distance between two neighbours; dci (version 1.0.3) counts the reach just below a barrier as above it"
    ),
]


@dataclass(frozen=True)
class River:
    """A forest with weights and barriers; ``total_weight`` is by basin."""

    forest: Forest
    weight: "Floats"
    barriers: BarrierPlaces

    @property
    def total_weight(self) -> "Floats":
        return self.forest.sum_by_basin(self.weight)


@dataclass(frozen=True)
class Passabilities:
    """Passability of each barrier upstream and downstream, (barriers,), the same array where there is but one."""

    up: "Floats"
    down: "Floats"

    @property
    def product(self) -> "Floats":
        """There and back: up x down, or the one that is given."""
        return self.up if self.up is self.down else self.up * self.down

    def where(self, stands: "NDArray[np.bool_]") -> "Passabilities":
        """The same where a barrier stands, and 1 elsewhere."""
        up = np.where(stands, self.up, 1.0)
        return Passabilities(up, up if self.up is self.down else np.where(stands, self.down, 1.0))

    def both(self, rule: str) -> tuple["Floats", "Floats"]:
        """Downstream and upstream under the rule ``product`` or ``directional``."""
        if rule == "directional":
            return self.down, self.up
        product = self.product
        return product, product


@dataclass(frozen=True)
class Access:
    """Access from the outlets: share by place, weighted sum by basin, and gain of the sum at each barrier."""

    share: "Floats"
    total: "Floats"
    gain: "Floats"


def read_river(
    reaches: "pd.DataFrame",
    barriers: "pd.DataFrame | None",
    weight: str,
    suitability: str | None = None,
    *,
    compat: str | None = None,
    method: str,
) -> River:
    """Check both tables; what is noted names ``method``."""
    from linkways.spatial import note

    forest = read_forest(reaches)
    weights = read_weights(reaches, forest, weight, suitability)
    found = read_barriers(barriers, forest)
    if compat == "dci":
        found = _one_reach_down(forest, found)
    if found.at_outlet.any():
        ids = found.ids[found.at_outlet]
        shown = ", ".join(map(str, ids[:5])) + (", ..." if len(ids) > 5 else "")
        note(
            f"{method}: {len(ids)} barriers at the lower end of an outlet reach ({shown}) part nothing in the basin "
            "and do not count; to count them, add a reach of length 0 below"
        )
    return River(forest, weights, found)


def _one_reach_down(forest: Forest, found: BarrierPlaces) -> BarrierPlaces:
    """Barriers moved below the reach that they stand above, as dci 1.0.3 sees them; those at confluences stay."""
    branches = np.bincount(forest.down[forest.down >= 0], minlength=len(forest.down))
    below = forest.down[found.place]
    moves = (below >= 0) & (branches[np.maximum(below, 0)] == 1)
    place = np.where(moves, below, found.place).astype(np.int32)
    return BarrierPlaces(found.ids, place, forest.down[place] < 0)


def read_passabilities(
    barriers: "pd.DataFrame | None", up: str | None = None, down: str | None = None
) -> Passabilities:
    """Passability of each barrier by row, from the columns named or those found."""
    if barriers is None or not len(barriers):
        return Passabilities(*(np.empty(0),) * 2)
    names = passability_columns(barriers, (up, down))
    ids = barriers["barrier"]
    values = [numbers(barriers, name, "barriers", ids, "barrier", least=0.0, most=1.0) for name in names[:1]]
    if names[1] != names[0]:
        values.append(numbers(barriers, names[1], "barriers", ids, "barrier", least=0.0, most=1.0))
    return Passabilities(values[0], values[-1])


def mended_passabilities(barriers: "pd.DataFrame | None", now: Passabilities, mended: float) -> Passabilities:
    """Passabilities once mended: of the columns or the one value, and never worse than now."""
    if barriers is None or not len(barriers):
        return now
    ids = barriers["barrier"]

    def read(name: str) -> "Floats":
        return numbers(barriers, name, "barriers", ids, "barrier", least=0.0, most=1.0)

    if {"mended_up", "mended_down"} & set(barriers.columns):
        if now.up is now.down:
            raise LinkwaysError(
                "barriers: mended_up and mended_down need pass_up and pass_down beside them; for a single passability "
                "give one column mended"
            )
        then = read("mended_up"), read("mended_down")
    else:
        then = (read("mended") if "mended" in barriers.columns else np.full(len(ids), mended),) * 2
    up = np.maximum(now.up, then[0])
    return Passabilities(up, up if now.up is now.down else np.maximum(now.down, then[1]))


def gains(
    river: River,
    edges: EdgePassability,
    now: tuple["Floats", "Floats"],
    then: tuple["Floats", "Floats"],
    found: Connected,
) -> "Floats":
    """What mending each barrier alone adds to the sum over pairs of its basin; exact."""
    place = river.barriers.place
    down = (then[0] - now[0]) * edges.other_down * found.slope_down[place]
    return np.asarray(down + (then[1] - now[1]) * edges.other_up * found.slope_up[place])


def all_access(river: River, now: Passabilities, then: Passabilities) -> dict[str, Access]:
    """Access under the product, upstream only and downstream only."""
    from linkways.rivers._kernels import access_from_outlets

    out: dict[str, Access] = {}
    for name, p, mended in (
        ("", now.product, then.product),
        ("_up", now.up, then.up),
        ("_down", now.down, then.down),
    ):
        if name and now.up is now.down:
            out[name] = out[""]
            continue
        edges = edge_passability(river.forest, river.barriers, p, p)
        share, total, slope = access_from_outlets(river.forest.down, river.forest.starts, river.weight, edges.down)
        out[name] = Access(share, total, (mended - p) * edges.other_down * slope[river.barriers.place])
    return out


def pair_sums(
    river: River, now: Passabilities, passability: str, dispersal: Dispersal
) -> tuple[EdgePassability, Connected]:
    """Edges, and sums over pairs."""
    edges = edge_passability(river.forest, river.barriers, *now.both(passability))
    return edges, connected(river.forest, river.weight, edges.down, edges.up, dispersal)


def share(part: Any, whole: Any) -> Any:
    """part / whole, NaN where there is nothing."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(part) / np.asarray(whole)
