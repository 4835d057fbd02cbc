"""From histories, sites and the terms asked for to models that can be fitted."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from linkways.errors import LinkwaysError
from linkways.populations._occupancy_histories import Covariates, Histories
from linkways.populations._occupancy_models import (
    PARTS,
    Dynamic,
    FalsePositive,
    Model,
    Network,
    RoyleNichols,
    Single,
)
from linkways.populations._occupancy_terms import Columns, Design, columns_of, design_of, read_term
from linkways.spatial import note

if TYPE_CHECKING:
    from linkways.populations._occupancy_sites import Places

__all__ = ["Setup", "prepare"]

ID = "populations.occupancy"
Floats = NDArray[np.float64]
Terms = Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class Setup:
    """Visits and the designs of all terms that any model has, on the same rows for all models."""

    kind: str
    histories: Histories
    places: "Places"
    """Of the sites kept."""
    designs: dict[str, Design]
    levels: dict[str, list[str]]
    network: Network | None
    most: int = 25

    def chosen(self, terms: Terms) -> dict[str, Design]:
        """The designs of one model."""
        return {part: design.chosen(terms.get(part, ())) for part, design in self.designs.items()}

    def model(self, designs: Mapping[str, Design]) -> Model:
        """The model of these designs."""
        h = self.histories
        blocks = {part: design.x for part, design in designs.items()}
        if self.kind == "dynamic":
            return Dynamic(h.first, h.y, blocks, seasons=len(h.seasons), network=self.network)
        if self.kind == "royle_nichols":
            return RoyleNichols(h.first, h.y, blocks, most=self.most)
        if self.kind == "false_positive":
            return FalsePositive(h.first, h.y, blocks, certain=h.certain)
        return Single(h.first, h.y, blocks)

    def rows(self, designs: Mapping[str, Design]) -> tuple[tuple[str, str], ...]:
        """(part, term) of every coefficient."""
        rows = [(part, name) for part, design in designs.items() for name in design.names]
        if self.network is not None:
            rows.append(("colonisation", "connectivity"))
            if not self.network.given:
                rows.append(("colonisation", "log(dispersal_distance)"))
        return tuple(rows)

    def scaling(self, designs: Mapping[str, Design], standardise: bool) -> tuple[Floats, Floats]:
        """What brings coefficients to those that are reported: matrix @ theta + shift."""
        count = len(self.rows(designs))
        matrix, shift = np.eye(count), np.zeros(count)
        start = 0
        for design in designs.values():
            size = len(design.names)
            if not standardise:
                matrix[start : start + size, start : start + size] = design.raw()
            start += size
        if self.network is not None:
            matrix[start, start] = 1 / self.network.scale
            if not self.network.given:
                shift[start + 1] = np.log(self.network.unit)
        return matrix, shift


def prepare(
    kind: str,
    histories: Histories,
    places: "Places",
    terms: Terms,
    distance: NDArray[np.float64] | None,
    dispersal_distance: float | None,
    most: int,
) -> Setup:
    """The designs of all terms; sites and visits whose covariates are missing are left out, and told."""
    histories = replace(histories, sites=places.sites)
    covariates = Covariates(histories, places.values)
    parts = [part for part in PARTS[kind] if part != "confirmation" or (histories.y == 2).any()]
    columns, levels = _columns(covariates, parts, terms)
    sites, visits = _complete(histories, columns)
    if not (sites.all() and visits.all()):
        note(
            f"{ID}: {int((~sites).sum())} sites and {int((~visits & sites[histories.site]).sum())} visits left out, "
            "which lack a covariate"
        )
        histories = histories.kept(sites, visits)
        if not (histories.y > 0).any():
            raise LinkwaysError(
                f"{ID}: no detection is left after leaving out rows that lack a covariate; fill them in"
            )
        places = _kept(places, sites)
        distance = None if distance is None else distance[np.ix_(sites, sites)]
        columns, levels = _columns(Covariates(histories, places.values), parts, terms)
    _refuse_single_visits(kind, histories)
    counts = _row_counts(histories)
    designs = {part: design_of(part, columns[part], counts[_level(part)]) for part in parts}
    network = None if distance is None else _network(distance, dispersal_distance)
    return Setup(kind, histories, places, designs, levels, network, most)


def _level(part: str) -> str:
    return {"occupancy": "sites", "colonisation": "seasons", "extinction": "seasons"}.get(part, "visits")


def _row_counts(histories: Histories) -> dict[str, int]:
    sites = len(histories.sites)
    return {"sites": sites, "seasons": sites * (len(histories.seasons) - 1), "visits": len(histories.y)}


def _columns(
    covariates: Covariates, parts: Sequence[str], terms: Terms
) -> tuple[dict[str, Columns], dict[str, list[str]]]:
    held = {"sites": covariates.of_sites, "seasons": covariates.of_seasons, "visits": covariates.of_visits}
    levels: dict[str, list[str]] = {}
    out = {}
    for part in parts:
        # classes of visits are not those of sites: each part finds its own
        own: dict[str, list[str]] = {}
        out[part] = columns_of([read_term(text) for text in terms.get(part, ())], held[_level(part)], own)
        if part == "occupancy":
            levels = own
    return out, levels


def _complete(histories: Histories, columns: Mapping[str, Columns]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    sites, visits = np.ones(len(histories.sites), bool), np.ones(len(histories.y), bool)
    for part, found in columns.items():
        if not found.names:
            continue
        ok = np.isfinite(found.values).all(axis=1)
        if _level(part) == "visits":
            visits &= ok
        else:
            sites &= ok.reshape(len(sites), -1).all(axis=1)
    return sites, visits


def _kept(places: "Places", sites: NDArray[np.bool_]) -> "Places":
    layer = None if places.layer is None else places.layer[sites].reset_index(drop=True)
    return replace(
        places, sites=places.sites[sites], values={n: v[sites] for n, v in places.values.items()}, layer=layer
    )


def _refuse_single_visits(kind: str, histories: Histories) -> None:
    most = int(np.diff(histories.first).max(initial=0))
    if most < 2 and kind in ("single", "royle_nichols"):
        raise LinkwaysError(
            f"{ID}: occupancy and detection cannot both be identified, because no site has two visits; give repeated "
            "visits of the same season"
        )


def _network(distance: NDArray[np.float64], given: float | None) -> Network:
    from scipy.stats import gmean

    finite = distance[np.isfinite(distance) & (distance > 0)]
    if not len(finite):
        raise LinkwaysError(f"{ID}: all distances are 0 or missing; give distances between sites")
    if given is not None:
        return Network(distance, given, True)
    nearest = np.where(np.isfinite(distance) & (distance > 0), distance, np.inf).min(axis=1)
    return Network(distance, 2 * float(gmean(nearest[np.isfinite(nearest)])), False)


def subsets(terms: Terms, most: int = 1024) -> list[dict[str, list[str]]]:
    """All models with some of the terms."""
    pairs = [(part, term) for part, some in terms.items() for term in some]
    if 2 ** len(pairs) > most:
        raise LinkwaysError(
            f"{ID}: {len(pairs)} terms make {2 ** len(pairs)} candidate models, more than {most}; name the candidates"
        )
    out: list[dict[str, list[str]]] = []
    for code in range(2 ** len(pairs)):
        model: dict[str, list[str]] = {part: [] for part in terms}
        for k, (part, term) in enumerate(pairs):
            if code >> k & 1:
                model[part].append(term)
        out.append(model)
    return out


def name_of(terms: Mapping[str, Sequence[Any]]) -> str:
    """A model as candidates name it."""
    return " ".join(f"{part}({' + '.join(some) or '.'})" for part, some in terms.items())
