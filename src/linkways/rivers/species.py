"""Connectivity of one river network for several species and life stages."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from linkways.errors import LinkwaysError, nearest
from linkways.method import Layer, Table, TableOf, method, progress
from linkways.rivers._index import Mended

if TYPE_CHECKING:
    import geopandas as gpd
    import pandas as pd

    from linkways.rivers.connectivity import RiverConnectivity

__all__ = ["SpeciesConnectivity", "species_connectivity"]

_INDICES = ("cci", "dcip", "dcid", "dcid_up", "dcid_down")
_NUMBERS = (
    "distance_m",
    "distance_up_m",
    "distance_down_m",
    "sigma_stationary_m",
    "sigma_mobile_m",
    "stationary_share",
)
_WORDS = ("weight", "suitability", "passability", "pass_up", "pass_down", "kernel", "distances")
_OWN = ("species", "stage", "index", "note", "source")


@dataclass(frozen=True)
class SpeciesConnectivity:
    """Connectivity of a river network by species and life stage."""

    species: Annotated[
        "pd.DataFrame",
        TableOf(
            "species, stage, index (its name), index_percent (its value), and all of cci, dcip, dcid, dcid_up, "
            "dcid_down, kernel_error"
        ),
    ]
    basins: Annotated[
        "pd.DataFrame", TableOf("the same indices by species, stage and basin, with the basin's weight for them")
    ]
    reaches: Annotated[
        "gpd.GeoDataFrame | pd.DataFrame",
        Layer("the reaches with source_, sink_ or access_, then the species and stage: what its index adds up"),
    ]
    barriers: Annotated[
        "gpd.GeoDataFrame | pd.DataFrame",
        Layer("the barriers with gain_, then the species and stage: points of its index gained by mending each alone"),
    ]


@method(
    "rivers.species_connectivity",
    references=(
        "Cote D, Kehler DG, Bourne C, Wiersma YF (2009) A new measure of longitudinal connectivity for stream "
        "networks. Landscape Ecology 24:101-113",
        "Baldan D, Cunillera-Montcusi D, Funk A, Hein T (2022) Introducing 'riverconn': an R package to assess river "
        "connectivity indices. Environmental Modelling & Software 156:105470",
    ),
)
def species_connectivity(
    reaches: Annotated[
        "pd.DataFrame",
        Table(
            "reaches, table or layer: reach, down (-1 at an outlet), length_m", columns=("reach", "down", "length_m")
        ),
    ],
    barriers: Annotated[
        "pd.DataFrame",
        Table(
            "barriers, table or layer: barrier, reach whose lower end carries it, and columns with passabilities",
            columns=("barrier", "reach"),
        ),
    ],
    species: Annotated[
        "pd.DataFrame",
        Table(
            "one row for each species, or for each of its stages: species, and as needed stage, index, and any "
            "parameter of rivers.connectivity: weight, suitability, passability, pass_up, pass_down, kernel, "
            "distances, distance_m, distance_up_m ...",
            columns=("species",),
        ),
    ],
    *,
    mended: Mended = 1.0,
) -> SpeciesConnectivity:
    """Connectivity by species and life stage, each with its own passabilities, habitat and dispersal.

    Each row of ``species`` is one call of rivers.connectivity with the parameters that the row gives; an empty cell
    leaves a parameter at its default. ``index`` names the index that counts for the row: ``cci`` (the default) for
    animals that stay in the river; ``dcid`` for the whole life of one that migrates, with pass_up naming the column of
    those that come in and pass_down that of those that leave (adult salmon and smolts, elvers and silver eels), so
    that a reach counts with R_up x R_down; ``dcid_up`` or ``dcid_down`` for a stage that moves one way only.

    Raises LinkwaysError for a column that says nothing here, an index or kernel that does not exist, and all that
    rivers.connectivity refuses, with the species named.

    Examples
    --------
    >>> import pandas as pd
    >>> from linkways import rivers
    >>> reaches = pd.DataFrame({"reach": [1, 2], "down": [2, -1], "length_m": [1000.0, 1000.0]})
    >>> barriers = pd.DataFrame({"barrier": [1], "reach": [1], "adults": [0.4], "smolts": [0.9]})
    >>> species = pd.DataFrame({"species": ["salmon", "salmon"], "stage": ["adult", "all"],
    ...     "index": ["dcid_up", "dcid"], "pass_up": ["adults", "adults"], "pass_down": ["smolts", "smolts"]})
    >>> rivers.species_connectivity(reaches, barriers, species).species[["species", "stage", "index_percent"]]
      species  stage  index_percent
    0  salmon  adult           70.0
    1  salmon    all           68.0
    """
    import pandas as pd

    from linkways.rivers.connectivity import connectivity

    _refuse_columns(species)
    rows: list[dict[str, Any]] = []
    basins: list[pd.DataFrame] = []
    of_reaches: dict[str, Any] = {}
    of_barriers: dict[str, Any] = {}
    for number, row in enumerate(species.to_dict("records")):
        name = _name(row)
        progress(number / len(species), name)
        index = _index(row, name)
        try:
            found = connectivity(reaches, barriers, mended=mended, **_parameters(row))
        except LinkwaysError as error:
            raise LinkwaysError(f"species {name}: {error}") from error
        told = {"species": row["species"], **({"stage": row["stage"]} if "stage" in species.columns else {})}
        rows.append({**told, "index": index, "index_percent": _percent(found, index), **_indices(found)})
        basins.append(found.basins.assign(**told)[[*told, *found.basins.columns]])
        slug = name.replace(" ", "_")
        if index in ("cci", "dcip"):
            of_reaches |= {f"{what}_{slug}": found.reaches[what] for what in ("source", "sink")}
        else:
            of_reaches[f"access_{slug}"] = found.reaches[f"access{index[4:]}"]
        gain = "gain_points" if index in ("cci", "dcip") else f"gain_{index}"
        assert found.barriers is not None
        of_barriers[f"gain_{slug}"] = found.barriers[gain]
    return SpeciesConnectivity(
        pd.DataFrame(rows),
        pd.concat(basins, ignore_index=True),
        reaches.assign(**of_reaches),
        barriers.assign(**of_barriers),
    )


def _refuse_columns(species: "pd.DataFrame") -> None:
    known = (*_OWN, *_WORDS, *_NUMBERS)
    for column in map(str, species.columns):
        if column not in known:
            raise LinkwaysError(f"species: column '{column}' says nothing here{nearest(column, known)}; remove it")
    if not len(species):
        raise LinkwaysError("species: the table has no rows; give at least one species")
    keys = species[[c for c in ("species", "stage") if c in species.columns]]
    if keys.duplicated().any():
        twice = _name(species[keys.duplicated()].iloc[0].to_dict())
        raise LinkwaysError(f"species: {twice} is there more than once; tell its rows apart by a column stage")


def _name(row: dict[Any, Any]) -> str:
    stage = row.get("stage")
    return f"{row['species']} {stage}" if isinstance(stage, str) and stage else str(row["species"])


def _index(row: dict[Any, Any], name: str) -> str:
    index = row.get("index")
    index = index if isinstance(index, str) and index else "cci"
    if index not in _INDICES:
        raise LinkwaysError(f"species {name}: there is no index '{index}'{nearest(index, _INDICES)}")
    kernel = row.get("kernel")
    if index == "dcip" and isinstance(kernel, str) and kernel not in ("", "none"):
        raise LinkwaysError(f"species {name}: dcip takes no kernel; name the index cci, or leave the kernel out")
    return index


def _parameters(row: dict[Any, Any]) -> dict[str, Any]:
    """What the row gives; cells that are empty are left out."""
    given = {key: value for key, value in row.items() if key in (*_WORDS, *_NUMBERS)}
    kept = {key: value for key, value in given.items() if value is not None and value == value and value != ""}
    return {key: float(value) if key in _NUMBERS else str(value) for key, value in kept.items()}


def _indices(found: "RiverConnectivity") -> dict[str, float]:
    return {name: getattr(found, name) for name in (*_INDICES, "kernel_error")}


def _percent(found: "RiverConnectivity", index: str) -> float:
    value = float(getattr(found, index))
    return 100 * value if index == "cci" else value
