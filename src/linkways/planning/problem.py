"""A planning problem put together from small verbs, read back as a sentence, checked, and solved."""

import contextlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

from linkways.errors import LinkwaysError, nearest

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

    from linkways.planning.select import Selection

__all__ = ["PlanningProblem", "problem"]

ID = "planning.problem"
_MINIMISE = {"cost": "min_set", "shortfall": "min_shortfall", "largest shortfall": "min_largest_shortfall"}
_MAXIMISE = {"features": "max_features", "coverage": "max_coverage", "utility": "max_utility"}
_SPOKEN = {
    "min_set": "at least cost",
    "min_shortfall": "so that the shares missed of all targets are least together",
    "min_largest_shortfall": "so that the largest share missed of any target is least",
    "max_features": "so that as many targets as possible are met",
    "max_coverage": "so that as many features as possible are held at all",
    "max_utility": "so that as much as possible is held of all features by their weights",
}
_PORTFOLIOS = {
    "gap": "plans that differ as much as can be",
    "shuffle": "plans found after shuffling",
    "extra": "next best plans",
}


class _CheckedOnly(Exception):
    """Ends planning.select where the checks are done and solving would begin."""


@dataclass(frozen=True, repr=False)
class PlanningProblem:
    """What is to be planned, so far: every verb returns a new problem, so that variants grow from one stem.

    ``str(problem)`` reads it back as a sentence; ``check`` tells what is wrong or risky before anything is solved;
    ``solve`` gives what planning.select gives. ``given`` holds the arguments of planning.select, for a study file.
    """

    given: Mapping[str, Any] = field(default_factory=dict)

    # --- what is wanted --------------------------------------------------------------------------------------------

    def protect(
        self,
        features: "pd.DataFrame | Sequence[xr.DataArray] | None" = None,
        *,
        share: float | None = None,
        targets: "pd.DataFrame | None" = None,
        small_range: float | None = None,
        small_share: float | None = None,
        large_range: float | None = None,
        large_share: float | None = None,
    ) -> "PlanningProblem":
        """Protect these features: a table (unit, feature, amount), rasters, or (left out) columns of the units.

        ``share`` is wanted of every feature, or ``targets`` says for each (feature, target, type absolute, relative or
        loglinear, weight, range); the ranges and shares bend log-linear targets, see planning.select.
        """
        is_table = features is not None and hasattr(features, "columns")
        return self._with(
            amounts=features if is_table else None,
            features=None if features is None or is_table else [*features],
            target=share,
            targets=targets,
            small_range=small_range,
            small_share=small_share,
            large_range=large_range,
            large_share=large_share,
        )

    def minimise(self, what: Literal["cost", "shortfall", "largest shortfall"]) -> "PlanningProblem":
        """Minimise the cost of meeting all targets, or what a budget leaves missing of them."""
        return self._with(objective=_named(what, _MINIMISE, "minimise"))

    def maximise(self, what: Literal["features", "coverage", "utility"]) -> "PlanningProblem":
        """Maximise, within a budget, the targets met, the features held at all, or all weighted amounts."""
        return self._with(objective=_named(what, _MAXIMISE, "maximise"))

    # --- what must be kept to --------------------------------------------------------------------------------------

    def spend_at_most(
        self,
        budget: float | None = None,
        *,
        by_group: "Mapping[str, float] | pd.DataFrame | None" = None,
        group_share: float | None = None,
    ) -> "PlanningProblem":
        """Keep the cost below a budget, that of each group below its own, or each group's share of all cost."""
        import pandas as pd

        table = by_group
        if isinstance(by_group, Mapping):
            table = pd.DataFrame({"group": list(by_group), "budget": list(by_group.values())})
        return self._with(budget=budget, budgets=table, most_group_share=group_share)

    def lock_in(self, units: "Iterable[Any] | xr.DataArray") -> "PlanningProblem":
        """Select these units in any case: their names, or with a raster of costs a raster that is 1 there."""
        return self._locked("locked_in", units)

    def lock_out(self, units: "Iterable[Any] | xr.DataArray") -> "PlanningProblem":
        """Never select these units: their names, or with a raster of costs a raster that is 1 there."""
        return self._locked("locked_out", units)

    def require(self, column: str, sense: Literal["<=", ">=", "="], limit: float) -> "PlanningProblem":
        """Keep the sum of a column of the units, or of a feature, over the selected units to a limit; adds up."""
        import pandas as pd

        row = pd.DataFrame({"column": [column], "sense": [sense], "limit": [float(limit)]})
        before = self.given.get("constraints")
        return self._with(constraints=row if before is None else pd.concat([before, row], ignore_index=True))

    def in_one_piece(self) -> "PlanningProblem":
        """Let the selected units hang together by shared edges."""
        return self._with(contiguous=True)

    def in_patches(self, at_least_km2: float) -> "PlanningProblem":
        """Let every piece of the selection have at least this area."""
        return self._with(min_patch_km2=at_least_km2)

    def replicate(self, pieces: int) -> "PlanningProblem":
        """Let at least so many pieces of the selection touch each region (a column of the units)."""
        return self._with(replicates=pieces)

    def with_neighbours(self, number: int) -> "PlanningProblem":
        """Let each selected unit share an edge with at least so many selected ones."""
        return self._with(neighbours=number)

    # --- what is better --------------------------------------------------------------------------------------------

    def keep_compact(
        self, penalty: float, edges: "pd.DataFrame | None" = None, *, outer: float = 1.0
    ) -> "PlanningProblem":
        """Charge ``penalty`` for a unit of the selection's edge, measured from shapes or told (unit_a, unit_b, length).

        ``outer`` is how much of an edge counts that no other unit shares: 1 as in Marxan, or 0.5.
        """
        return self._with(boundary_penalty=penalty, boundary=edges, edge_factor=outer)

    def connect(
        self,
        strengths: "pd.DataFrame",
        penalty: float,
        *,
        directed: bool = False,
        columns: tuple[str, str, str] = ("unit_a", "unit_b", "strength"),
    ) -> "PlanningProblem":
        """Reward links between selected units, or (directed) charge each selected source without its target.

        ``strengths`` is a table whose ``columns`` name the two units and the strength, as corridors, currents, larvae
        or rivers give them, or a square matrix with the units' names as index and columns (rows lead to columns).
        """
        return self._with(
            connectivity=_as_links(strengths, columns, directed), connectivity_penalty=penalty, asymmetric=directed
        )

    # --- how ---------------------------------------------------------------------------------------------------------

    def in_shares(self, *, least: float = 0.0, most: float = 1.0) -> "PlanningProblem":
        """Let shares of units be selected; with ``least``, either none of a unit or at least that share."""
        kind = "semicontinuous" if least > 0 else "proportion"
        return self._with(decision=kind, least_share=least, most_share=most)

    def offer(
        self, number: int, how: Literal["gap", "shuffle", "extra"] = "gap", *, within_percent: float = 10.0
    ) -> "PlanningProblem":
        """Offer several plans: far apart within a gap, found after shuffling, or the next best ones."""
        return self._with(
            portfolio=_named(how, {k: k for k in _PORTFOLIOS}, "offer"),
            number=number,
            portfolio_gap_percent=within_percent,
        )

    def check(self) -> list[str]:
        """What one should know before solving, a sentence each; empty if nothing is risky.

        Raises:
            LinkwaysError: the problem cannot be meant or met, see planning.select.
        """
        from linkways.method import reporting_progress
        from linkways.planning.select import select
        from linkways.spatial import recording

        def stop(_: float, what: str) -> None:
            if what == "solving":
                raise _CheckedOnly

        with recording() as told, contextlib.suppress(_CheckedOnly), reporting_progress(stop):
            select(**self.given)
        return [sentence.removeprefix("planning.select: ") for sentence in told]

    def solve(
        self,
        *,
        gap_percent: float = 0.0,
        time_limit_s: float = 300.0,
        solver: Literal["automatic", "highs", "min_cut", "annealing"] = "automatic",
        iterations: int = 10_000_000,
        seed: int = 0,
    ) -> "Selection":
        """The best plan, its bound and what it holds: what planning.select gives.

        Raises:
            LinkwaysError: see planning.select; demands that cannot be met together name a smallest set that clashes.
        """
        from linkways.planning.select import select

        return select(
            **self.given,
            gap_percent=gap_percent,
            time_limit_s=time_limit_s,
            solver=solver,
            iterations=iterations,
            seed=seed,
        )

    def __str__(self) -> str:
        given = self.given
        parts = [
            f"Of {_units_told(given)}, select {_decision_told(given)} {_SPOKEN[given.get('objective', 'min_set')]}"
        ]
        parts += [_features_told(given), *_limits_told(given), *_wishes_told(given)]
        if "portfolio" in given:
            parts.append(f"offer {given['number']} {_PORTFOLIOS[given['portfolio']]}")
        return "; ".join(part for part in parts if part) + "."

    def __repr__(self) -> str:
        return f"<planning problem: {self}>"

    def _with(self, **arguments: Any) -> "PlanningProblem":
        """The problem with arguments of planning.select set, or (None) left to their defaults."""
        changed = {**self.given, **arguments}
        return replace(self, given={name: value for name, value in changed.items() if value is not None})

    def _locked(
        self, column: Literal["locked_in", "locked_out"], which: "Iterable[Any] | xr.DataArray"
    ) -> "PlanningProblem":
        if "cost" in self.given:
            if not hasattr(which, "dims"):
                raise LinkwaysError(f"{ID}: the units are cells, so mark those {_plain(column)} in a raster, 1 there")
            return self._with(**{column: which})
        if hasattr(which, "dims"):
            raise LinkwaysError(f"{ID}: the units are a table, so give the names of those {_plain(column)}, no raster")
        from linkways.planning._coverage_inputs import flags

        names = {which} if isinstance(which, str) else {*which}
        units = self.given["units"]
        known = {*units["unit"]}
        for name in names - known:
            close = nearest(str(name), map(str, known))
            raise LinkwaysError(f"{ID}: {name!r} is to be {_plain(column)}, and no unit is called so{close}")
        marked = units["unit"].isin(list(names))
        if column in units.columns:
            marked |= flags(units, column, ID)
        return self._with(units=units.assign(**{column: marked}))


def problem(units: "pd.DataFrame | xr.DataArray", *, negative_costs: bool = False) -> PlanningProblem:
    """Begin a planning problem with its units: a table or layer with unit and cost, or a raster of costs.

    Columns locked_in, locked_out, group, together, region and area_km2 are used where they are, as in planning.select,
    which solves the problem. Costs below 0 need ``negative_costs``.

    Examples
    --------
    >>> import pandas as pd
    >>> from linkways import planning
    >>> units = pd.DataFrame({"unit": ["a", "b", "c"], "cost": [3.0, 2.0, 2.0], "frog": [4, 2, 1], "owl": [0, 1, 1]})
    >>> targets = pd.DataFrame({"feature": ["frog", "owl"], "target": [3.0, 1.0], "type": "absolute"})
    >>> plain = planning.problem(units).protect(targets=targets).minimise("cost")
    >>> print(plain)
    Of 3 planning units, select whole ones at least cost; 2 features hold their targets.
    >>> plain.solve().cost, plain.lock_in(["a"]).solve().cost
    (4.0, 5.0)
    """
    is_raster = hasattr(units, "dims")
    given: dict[str, Any] = {"cost" if is_raster else "units": units}
    if not is_raster and "unit" not in getattr(units, "columns", ()):
        raise LinkwaysError(f"{ID}: units has no column 'unit'; name each unit there, or give a raster of costs")
    return PlanningProblem({**given, "negative_costs": True} if negative_costs else given)


def _named(word: str, known: Mapping[str, str], verb: str) -> str:
    if word not in known:
        raise LinkwaysError(f"{ID}: cannot {verb} {word!r}; choose {', '.join(known)}{nearest(word, known)}")
    return known[word]


def _plain(column: str) -> str:
    return column.replace("_", " ")


def _as_links(strengths: "pd.DataFrame", columns: tuple[str, str, str], directed: bool) -> "pd.DataFrame":
    """The table unit_a, unit_b, strength of a table with other names or of a square matrix."""
    import numpy as np
    import pandas as pd

    if {*columns} <= {*map(str, strengths.columns)}:
        return strengths[list(columns)].set_axis(["unit_a", "unit_b", "strength"], axis=1)
    if strengths.shape[0] != strengths.shape[1] or [*strengths.index] != [*strengths.columns]:
        raise LinkwaysError(
            f"{ID}: strengths has neither the columns {', '.join(columns)} nor the same units as rows and columns; "
            "name its columns, or give a square matrix whose index and columns are the units in the same order"
        )
    values = strengths.to_numpy(dtype=float)
    if not directed and not np.allclose(values, values.T, equal_nan=True):
        row, column = np.argwhere(~np.isclose(values, values.T, equal_nan=True))[0]
        names = strengths.index
        raise LinkwaysError(
            f"{ID}: the matrix of strengths has {values[row, column]:g} from {names[row]} to {names[column]} and "
            f"{values[column, row]:g} back; say directed, or make both directions equal"
        )
    keep = (values != 0) & ~np.eye(len(values), dtype=bool)
    if not directed:
        keep &= np.triu(keep)
    a, b = np.nonzero(keep)
    units = strengths.index.to_numpy()
    return pd.DataFrame({"unit_a": units[a], "unit_b": units[b], "strength": values[a, b]})


# --- the problem in words ------------------------------------------------------------------------------------------


def _units_told(given: Mapping[str, Any]) -> str:
    if "cost" in given:
        return f"{int(given['cost'].count()):,} cells with a cost"
    return f"{len(given['units']):,} planning units"


def _decision_told(given: Mapping[str, Any]) -> str:
    kind = given.get("decision", "binary")
    if kind == "binary":
        return "whole ones"
    least = f" of at least {given['least_share']:g}" if kind == "semicontinuous" else ""
    return f"shares{least} up to {given['most_share']:g}"


def _features_told(given: Mapping[str, Any]) -> str:
    if given.get("objective") in ("max_coverage", "max_utility"):
        return ""
    if "target" in given:
        return f"every feature holds {100 * given['target']:g} % of what there is"
    return f"{len(given['targets']):,} features hold their targets" if "targets" in given else ""


def _limits_told(given: Mapping[str, Any]) -> list[str]:
    told = []
    if "budget" in given:
        told.append(f"for at most {given['budget']:,g}")
    if "budgets" in given:
        told.append(f"within the budgets of {len(given['budgets'])} groups")
    if "most_group_share" in given:
        told.append(f"no group bears more than {100 * given['most_group_share']:g} % of the cost")
    if "constraints" in given:
        told += [f"{row.column} {row.sense} {row.limit:,g}" for row in given["constraints"].itertuples()]
    for column in ("locked_in", "locked_out"):
        number = _locked_number(given, column)
        if number:
            told.append(f"{number:,} unit{'s' * (number > 1)} {_plain(column)}")
    if given.get("contiguous"):
        told.append("in one piece")
    if "min_patch_km2" in given:
        told.append(f"in patches of at least {given['min_patch_km2']:g} km2")
    if "replicates" in given:
        told.append(f"at least {given['replicates']} pieces in each region")
    if "neighbours" in given:
        told.append(f"each with at least {given['neighbours']} selected neighbours")
    return told


def _locked_number(given: Mapping[str, Any], column: str) -> int:
    from linkways.planning._coverage_inputs import flags

    if column in given:
        return int((given[column].fillna(0) != 0).sum())
    units = given.get("units")
    if units is None or column not in units.columns:
        return 0
    return int(flags(units, column, ID).sum())


def _wishes_told(given: Mapping[str, Any]) -> list[str]:
    told = []
    if given.get("boundary_penalty"):
        told.append(f"a unit of edge costs {given['boundary_penalty']:g}")
    if given.get("connectivity_penalty"):
        what = "a selected source without its target costs" if given.get("asymmetric") else "a unit of links is worth"
        told.append(f"{what} {given['connectivity_penalty']:g} ({len(given['connectivity']):,} links)")
    return told
