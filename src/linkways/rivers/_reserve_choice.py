"""Where the next reserves help most: each candidate is tried in the model itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from linkways.rivers._reserve_model import Species, Waters
    from linkways.rivers.reserves import Candidates

    Floats = NDArray[np.float64]

__all__ = ["Search", "State", "centrality", "coherence", "ratio", "reserve_rows"]


SCREENED = 1e-5
"""Tolerance at which every candidate is tried; the best of them are then solved fully."""
SOLVED = 20
"""How many of the best are solved fully at every step."""
EXCHANGED = 60
"""How many of the best are tried in exchanges."""


@dataclass(frozen=True)
class State:
    """The river under given reserves, by place: biomass and catch summed over species, in units of capacity."""

    biomass: Floats
    share: Floats
    catch: Floats
    present: Floats
    by_species: list[Floats]


class Search:
    """The choice of new reserves for one river."""

    def __init__(
        self,
        waters: Waters,
        guilds: Sequence[Species],
        now: Floats,
        objective: str,
        enforcement: float,
        present: float,
    ) -> None:
        self.waters, self.guilds, self.now = waters, guilds, now
        self.objective, self.enforcement, self.present = objective, enforcement, present
        self._shortlist: NDArray[np.int64] = np.empty(0, np.int64)

    def state(self, protection: Floats, start: Sequence[Floats] | None = None, tolerance: float | None = None) -> State:
        """The equilibrium; ``start`` are the abundances by species to begin from."""
        begin: Iterable[Floats | None] = start if start is not None else [None] * len(self.guilds)
        how = {} if tolerance is None else {"tolerance": tolerance}
        found = [self.waters.settle(s, protection, at, **how) for s, at in zip(self.guilds, begin, strict=True)]
        capacity = self.waters.capacity
        share = [np.divide(f.abundance, capacity, out=np.zeros_like(capacity), where=capacity > 0) for f in found]
        return State(
            biomass=np.sum([f.abundance for f in found], axis=0),
            share=np.mean(share, axis=0),
            catch=np.sum([f.catch for f in found], axis=0),
            present=np.sum([s >= self.present for s in share], axis=0).astype(float),
            by_species=[f.abundance for f in found],
        )

    def worth(self, state: State) -> float:
        """The objective of a state."""
        if self.objective == "catch":
            return float(state.catch.sum())
        if self.objective == "species":
            # ties between placings that bring no further species are settled by biomass
            return float(state.present @ self.waters.forest.length_m + 1e-6 * state.biomass.sum())
        return float(state.biomass.sum())

    def with_reserves(self, places: Iterable[int]) -> Floats:
        """Protection with new reserves at these places."""
        protection = self.now.copy()
        protection[list(places)] = self.enforcement
        return protection

    def choose(
        self,
        candidates: Candidates,
        number: int,
        budget: float | None,
        progress: Callable[[float, str], None],
    ) -> tuple[list[int], list[dict[str, Any]]]:
        """Greedy by gain for cost, then exchanges; the places and the steps."""
        base = self.state(self.now)
        before = self.worth(base)
        picked: list[int] = []  # positions among the candidates
        left = np.inf if budget is None else budget
        state = base
        while len(picked) < number:
            progress(len(picked) / (number + 1), f"reserve {len(picked) + 1} of {number}")
            best = self._best_next(candidates, picked, left, state)
            if best is None:
                break
            picked.append(best)
            left -= candidates.cost[best]
            state = self.state(self.with_reserves(candidates.place[picked]), state.by_species)
        picked = self._exchanged(candidates, picked, left, progress)
        steps, value = [], before
        for step, one in enumerate(picked, 1):
            new = self.worth(self.state(self.with_reserves(candidates.place[picked[:step]])))
            steps.append(
                {
                    "step": step,
                    "place": int(candidates.place[one]),
                    "cost": float(candidates.cost[one]),
                    "objective": new,
                    "gain": new - value,
                    "village": candidates.village[one],
                }
            )
            value = new
        return [int(candidates.place[p]) for p in picked], steps

    def _allowed(self, candidates: Candidates, picked: Sequence[int], left: float) -> NDArray[np.int64]:
        taken = {candidates.village[p] for p in picked} - {None}
        free = np.array([v is None or v not in taken for v in candidates.village])
        free[list(picked)] = False
        free &= candidates.cost <= left * (1 + 1e-12)
        if candidates.min_spacing_m > 0:
            others = [int(candidates.place[p]) for p in picked] + np.flatnonzero(self.now > 0).tolist()
            for place in others:
                free &= self._distance(place)[candidates.place] >= candidates.min_spacing_m
        return np.flatnonzero(free)

    def _distance(self, place: int) -> Floats:
        return river_distance(self.waters, place)

    def _best_next(
        self,
        candidates: Candidates,
        picked: Sequence[int],
        left: float,
        state: State,
        among: NDArray[np.int64] | None = None,
    ) -> int | None:
        allowed = self._allowed(candidates, picked, left)
        if among is not None:
            allowed = np.intersect1d(allowed, among)
        if not len(allowed):
            return None
        screened = self._gains(candidates, picked, allowed, state, SCREENED)
        order = np.argsort(-screened, kind="stable")
        if among is None:
            self._shortlist = allowed[order[:EXCHANGED]]
        top = allowed[order[:SOLVED]]
        return int(top[int(np.argmax(self._gains(candidates, picked, top, state, None)))])

    def _gains(
        self,
        candidates: Candidates,
        picked: Sequence[int],
        among: NDArray[np.int64],
        state: State,
        tolerance: float | None,
    ) -> Floats:
        """What each of these adds to the objective for its cost."""
        out = np.empty(len(among))
        now = self.worth(state)
        for i, one in enumerate(among):
            trial = self.with_reserves([*candidates.place[list(picked)], candidates.place[one]])
            out[i] = (self.worth(self.state(trial, state.by_species, tolerance)) - now) / candidates.cost[one]
        return out

    def _exchanged(
        self, candidates: Candidates, picked: list[int], left: float, progress: Callable[[float, str], None]
    ) -> list[int]:
        """Give one up for one of the shortlist, while that helps."""
        value = self.worth(self.state(self.with_reserves(candidates.place[picked])))
        for round_ in range(3):
            better = False
            for position in range(len(picked)):
                progress(len(picked) / (len(picked) + 1), f"exchanges, round {round_ + 1}")
                rest = picked[:position] + picked[position + 1 :]
                room = left + float(candidates.cost[picked[position]])
                state = self.state(self.with_reserves(candidates.place[rest]))
                found = self._best_next(candidates, rest, room, state, self._shortlist)
                if found is None or found == picked[position]:
                    continue
                trial = [*picked[:position], found, *picked[position + 1 :]]
                new = self.worth(self.state(self.with_reserves(candidates.place[trial])))
                if new > value * (1 + 1e-9):
                    left = room - float(candidates.cost[found])
                    picked, value, better = trial, new, True
            if not better:
                break
        return picked

    def alternatives(
        self, candidates: Candidates, chosen: Sequence[int], draws: int, rng: np.random.Generator
    ) -> list[dict[str, Any]]:
        """As many reserves placed otherwise, without regard to cost, villages and spacing."""
        number = len(chosen)
        before = self.worth(self.state(self.now))
        gained = self.worth(self.state(self.with_reserves(chosen))) - before
        place = candidates.place
        central = place[np.argsort(-centrality(self.waters, self.guilds)[place], kind="stable")[:number]]
        even = place[np.round(np.linspace(0, len(place) - 1, number + 2)[1:-1]).astype(int)] if number else place[:0]
        random = [
            self.worth(self.state(self.with_reserves(rng.choice(place, number, replace=False)))) for _ in range(draws)
        ]
        placings = {
            "chosen": gained + before,
            "central": self.worth(self.state(self.with_reserves(central))),
            "evenly spaced": self.worth(self.state(self.with_reserves(even))),
            "random (mean)": float(np.mean(random)),
            "random (best)": float(np.max(random)),
        }
        return [
            {
                "placing": name,
                "objective": value,
                "gain_percent_of_chosen": 100 * (value - before) / gained if gained else float("nan"),
            }
            for name, value in placings.items()
        ]


def river_distance(waters: Waters, place: int) -> Floats:
    """Distance along the river from the middle of a reach to the middle of every other, infinite in other basins."""
    forest = waters.forest
    length, down = forest.length_m, forest.down
    step = np.where(down >= 0, (length + np.where(down >= 0, length[down], 0.0)) / 2, np.inf)
    out = np.full(len(length), np.inf)
    out[place] = 0.0
    at = place
    while down[at] >= 0:
        out[down[at]] = out[at] + step[at]
        at = int(down[at])
    for v in range(len(length) - 1, -1, -1):
        below = down[v]
        if below >= 0 and np.isfinite(out[below]):
            out[v] = min(out[v], out[below] + step[v])
    return out


def centrality(waters: Waters, guilds: Sequence[Species]) -> Floats:
    """What arrives at each reach when every metre of river sends out one fish, mean over species, of the largest."""
    from linkways.rivers._reserve_kernels import arrivals

    total = np.zeros(len(waters.capacity))
    for species in guilds:
        a, b, reachable = waters.factors(species.dispersal_m)
        leaving = np.divide(waters.forest.length_m, reachable, out=np.zeros_like(a), where=reachable > 0)
        out = np.empty_like(a)
        arrivals(waters.forest.down, a, b, leaving, np.empty_like(a), out)
        total += out / len(guilds)
    return total / total.max() if total.max() > 0 else total


def coherence(waters: Waters, guilds: Sequence[Species], inside: NDArray[np.bool_]) -> float:
    """Of fish that leave a reserve, the share that settles in other reserves, to that if all water were reserve."""
    if not inside.any():
        return 0.0
    arriving, leaving = 0.0, 0.0
    for species in guilds:
        into = waters.settling_inside(species, inside)
        own = _staying(waters, species)
        weight = waters.forest.length_m * inside
        arriving += float((weight * (into - own)).sum())
        leaving += float((weight * (1 - own)).sum())
    return max(arriving, 0.0) / leaving if leaving > 0 else 0.0


def _staying(waters: Waters, species: Species) -> Floats:
    """Share of the fish of a reach that settle in it."""
    _, _, reachable = waters.factors(species.dispersal_m)
    length = waters.forest.length_m
    return np.divide(length, reachable, out=np.zeros_like(length), where=reachable > 0)


def reserve_rows(
    waters: Waters,
    guilds: Sequence[Species],
    protection: Floats,
    kind: NDArray[Any],
    without: State,
    with_them: State,
) -> pd.DataFrame:
    """One row for each reserve."""
    import pandas as pd

    inside = protection > 0
    forest = waters.forest
    rows = []
    for place in np.flatnonzero(inside):
        spill, stays, foreign = _exchange(waters, guilds, protection, with_them, int(place))
        others = inside.copy()
        others[place] = False
        rows.append(
            {
                "reach": forest.ids[forest.row[place]],
                "kind": kind[place],
                "length_m": forest.length_m[place],
                "enforcement": protection[place],
                "biomass_ratio": ratio(with_them.biomass[place], without.biomass[place], waters.capacity[place]),
                "species_gained": with_them.present[place] - without.present[place],
                "spillover": spill,
                "staying_percent": 100 * stays,
                "from_reserves_percent": 100 * foreign,
                "nearest_reserve_m": river_distance(waters, int(place))[others].min() if others.any() else np.nan,
            }
        )
    columns = [
        "reach", "kind", "length_m", "enforcement", "biomass_ratio", "species_gained", "spillover", "staying_percent",
        "from_reserves_percent", "nearest_reserve_m",
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=columns)


def ratio(now: float, before: float, capacity: float) -> float:
    """Now to before; not a number where there was next to nothing before."""
    return float(now / before) if before > 1e-9 * capacity else float("nan")


def _exchange(
    waters: Waters, guilds: Sequence[Species], protection: Floats, state: State, place: int
) -> tuple[float, float, float]:
    """Fish that leave a reserve for open water a year, the share that stays, and the settlers' share from reserves."""
    inside = protection > 0
    only = np.zeros_like(inside)
    only[place] = True
    spill, stays, foreign, settlers = 0.0, 0.0, 0.0, 0.0
    for species, abundance in zip(guilds, state.by_species, strict=True):
        survival = np.exp(-waters.fishing * species.catchability * waters.effort(protection))
        after = survival * waters.grown(abundance, species.growth_rate)
        into_reserves = waters.settling_inside(species, inside)[place]
        here = waters.settling_inside(species, only)
        spill += float(after[place] * (1 - into_reserves))
        stays += float(here[place]) / len(guilds)
        others = inside & ~only
        foreign += float((after * here)[others].sum())
        settlers += float((after * here).sum())
    return spill, stays, foreign / settlers if settlers > 0 else 0.0
