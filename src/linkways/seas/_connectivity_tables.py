"""Who feeds whom, read from a table: settlers by source and sink, a matrix, or a list of its entries."""

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from linkways.errors import LinkwaysError, nearest
from linkways.spatial import note

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "ROUNDING",
    "Excess",
    "Kind",
    "Sites",
    "column_of",
    "dated",
    "is_square",
    "listed",
    "long_rows",
    "placed",
    "read_sites",
    "refuse_bad_values",
    "sites_of",
]

Kind = Literal["settlement", "probability", "flow", "migration"]
Excess = Literal["refuse", "largest", "rows"]
ROUNDING = 1e-9  # shares that sum to 1 may miss it by so much after they were printed


@dataclass(frozen=True)
class Sites:
    """The sites in the order of their layer, and their table where one was given."""

    names: np.ndarray
    table: "pd.DataFrame | None" = None

    @property
    def n(self) -> int:
        """How many they are."""
        return len(self.names)

    @cached_property
    def keys(self) -> "pd.Index[Any]":
        """Their names as they compare."""
        import pandas as pd

        keys: pd.Index[Any] = pd.Index(_keys(self.names))
        return keys

    def places(self, values: Any) -> np.ndarray:
        """The place of each name, -1 where there is no such site."""
        import pandas as pd

        return np.asarray(self.keys.get_indexer(pd.Index(_keys(values))))


# --- sites -----------------------------------------------------------------------------------------------------


def _key(value: Any) -> str:
    if isinstance(value, (float, np.floating)) and float(value).is_integer():
        return str(int(value))
    return str(value).strip()


def _keys(values: Any) -> np.ndarray:
    """Names as they compare: text without blanks around, whole numbers without a decimal point."""
    return np.array([_key(v) for v in np.asarray(values)], dtype=object)


def read_sites(id: str, table: "pd.DataFrame", name: str = "sites") -> Sites:
    """The sites of a layer or table; refused without names, or with the same name twice."""
    import pandas as pd

    column = next((c for c in ("site", "unit") if c in table.columns), None)
    if column is None:
        known = [str(c) for c in table.columns]
        raise LinkwaysError(f"{id}: {name} has no column 'site'{nearest('site', known)}; it names the sites")
    table = table.reset_index(drop=True)
    empty = np.flatnonzero(table[column].isna())
    if len(empty):
        raise LinkwaysError(f"{id}: {name} has {len(empty)} rows without a {column}, first row {empty[0] + 1}; name it")
    found = Sites(table[column].to_numpy(), table)
    twice = np.flatnonzero(pd.Series(found.keys).duplicated())
    if len(twice):
        raise LinkwaysError(
            f"{id}: {name} holds {column} {found.names[twice[0]]} twice, again in row {twice[0] + 1}; merge the two"
        )
    if not found.n:
        raise LinkwaysError(f"{id}: {name} holds no site; give at least one")
    return found


def column_of(id: str, sites: Sites, column: str, *, name: str = "sites") -> np.ndarray:
    """Finite numbers of 0 or more from a column of the sites."""
    import pandas as pd

    table = sites.table
    if table is None or column not in table.columns:
        known = [] if table is None else [str(c) for c in table.columns]
        raise LinkwaysError(f"{id}: {name} has no column '{column}'{nearest(column, known)}; add it, or name another")
    values = pd.to_numeric(table[column], errors="coerce").to_numpy(dtype=float)
    wrong = np.flatnonzero(~np.isfinite(values) | (values < 0))
    if len(wrong):
        raise LinkwaysError(
            f"{id}: {column} of {len(wrong)} rows of {name} is no finite number of 0 or more, "
            f"first that of {sites.names[wrong[0]]} ({table[column].iloc[wrong[0]]}); mend the column"
        )
    return np.asarray(values)


# --- tables ----------------------------------------------------------------------------------------------------


def is_square(table: "pd.DataFrame") -> bool:
    return not ({"source", "sink"} <= set(table.columns) or {"id1", "id2"} <= set(table.columns))


def long_rows(id: str, table: "pd.DataFrame", kind: Kind, name: str) -> "pd.DataFrame":
    """The entries as columns source, sink, when (or None), value and, of settlers, released; of both kinds, flow."""
    import pandas as pd

    if not len(table):
        raise LinkwaysError(f"{id}: {name} is empty; give it at least one row")
    if kind == "settlement":
        missing = [c for c in ("source", "sink", "released", "settled") if c not in table.columns]
        if missing:
            raise LinkwaysError(
                f"{id}: {name} has no column '{missing[0]}'{nearest(missing[0], map(str, table.columns))}; a table of "
                "settlers has source, sink, released, settled (a matrix needs kind probability, flow or migration)"
            )
        return pd.DataFrame(
            {
                "source": table["source"].to_numpy(),
                # of a release of which nothing settled the sink may be empty
                "sink": table["sink"].mask(table["sink"] == "").to_numpy(),
                "when": _when(id, table, name),
                "value": pd.to_numeric(table["settled"], errors="coerce").to_numpy(dtype=float),
                "released": pd.to_numeric(table["released"], errors="coerce").to_numpy(dtype=float),
            }
        )
    if is_square(table):
        return _from_square(id, table, name)
    ends = ("source", "sink") if "source" in table.columns else ("id1", "id2")
    value = next((c for c in ("value", kind) if c in table.columns), None)
    if value is None:
        raise LinkwaysError(
            f"{id}: {name} has neither a column '{kind}' nor 'value'{nearest(kind, map(str, table.columns))}; one of "
            "them holds the entries of the matrix"
        )
    out = pd.DataFrame(
        {
            "source": table[ends[0]].to_numpy(),
            "sink": table[ends[1]].to_numpy(),
            "when": _when(id, table, name),
            "value": pd.to_numeric(table[value], errors="coerce").to_numpy(dtype=float),
        }
    )
    if kind == "probability" and "flow" in table.columns:
        out["flow"] = pd.to_numeric(table["flow"], errors="coerce").to_numpy(dtype=float)
    return out


def _when(id: str, table: "pd.DataFrame", name: str) -> Any:
    column = next((c for c in ("released_on", "time") if c in table.columns), None)
    if column is None:
        return np.full(len(table), "")
    empty = np.flatnonzero(table[column].isna())
    if len(empty):
        raise LinkwaysError(
            f"{id}: {name} has {len(empty)} rows without a {column}, first row {empty[0] + 1}; fill it or drop it"
        )
    return table[column].to_numpy()


def _from_square(id: str, table: "pd.DataFrame", name: str) -> "pd.DataFrame":
    """A matrix whose rows are named by its first column or its index, or like its columns."""
    import pandas as pd

    rows, columns = table.shape
    named = not isinstance(table.index, pd.RangeIndex)
    if columns == rows + 1 and not named:
        labels, body = table.iloc[:, 0].to_numpy(), table.iloc[:, 1:]
    elif columns == rows:
        labels, body = (table.index.to_numpy() if named else table.columns.to_numpy()), table
    else:
        raise LinkwaysError(
            f"{id}: {name} has {rows} rows and {columns} columns, so it is no square matrix; give it as many columns "
            "as rows (and one with the names), or columns source, sink and value"
        )
    across = Sites(body.columns.to_numpy())
    for names, axis in ((Sites(labels), "rows"), (across, "columns")):
        if names.keys.has_duplicates:
            twice = names.keys[names.keys.duplicated()][0]
            raise LinkwaysError(f"{id}: {name} names {twice} twice in its {axis}; add the two up")
    strange = np.flatnonzero(across.places(labels) < 0)
    if len(strange):
        raise LinkwaysError(
            f"{id}: {name} has a row {labels[strange[0]]} and no such column; its rows (named by the first column or "
            "the index) and its columns must name the same sites"
        )
    values = np.column_stack([pd.to_numeric(body.iloc[:, k], errors="coerce") for k in range(rows)]).astype(float)
    wrong = np.argwhere(~np.isfinite(values))
    if len(wrong):
        row, column = wrong[0]
        raise LinkwaysError(
            f"{id}: {name} has {len(wrong)} entries that are no finite numbers, first at row {labels[row]} column "
            f"{body.columns[column]} ({body.iloc[row, column]}); set those without larvae to 0"
        )
    return pd.DataFrame(
        {
            "source": np.repeat(labels, rows),
            "sink": np.tile(labels[_across_order(labels, across)], rows),
            "when": "",
            "value": values.ravel(),
        }
    )


def _across_order(labels: np.ndarray, across: Sites) -> np.ndarray:
    """For each column the place of its name among the rows."""
    out = np.empty(len(labels), np.int64)
    out[across.places(labels)] = np.arange(len(labels))
    return out


def sites_of(rows: "pd.DataFrame", *, square: bool) -> Sites:
    """The sites that a table names: in its order where it is square, else sources first."""
    import pandas as pd

    ends = [rows["source"]] if square else [rows["source"], rows["sink"].dropna()]
    return Sites(np.asarray(pd.unique(pd.concat(ends, ignore_index=True))))


def placed(id: str, rows: "pd.DataFrame", sites: Sites, sparse: bool, name: str) -> "pd.DataFrame":
    """Names become places; sites that only one of table and layer knows are refused."""
    places = {}
    for end in ("source", "sink"):
        blank = rows[end].isna().to_numpy()
        # the name of a sink may be missing where none of the larvae of a release settled
        if (blank & (rows["value"].to_numpy() != 0)).any() or (end == "source" and blank.any()):
            row = int(np.flatnonzero(blank)[0])
            raise LinkwaysError(f"{id}: {name} has no {end} in row {row + 1}; name it, or drop the row")
        codes, labels = rows[end].factorize()
        place = np.where(codes >= 0, sites.places(labels)[codes], -2) if len(labels) else np.full(len(rows), -2)
        unknown = np.flatnonzero(place == -1)
        if len(unknown):
            strange = list(dict.fromkeys(str(v) for v in rows[end].iloc[unknown]))
            raise LinkwaysError(
                f"{id}: sites misses {len(strange)} sites of {name}: {listed(strange)}"
                f"{nearest(strange[0], sites.keys)}; add them to the layer, or rename them"
            )
        places[end] = place
    absent = np.setdiff1d(np.arange(sites.n), np.concatenate(list(places.values())))
    if len(absent):
        who = listed([str(sites.names[i]) for i in absent])
        if not sparse:
            raise LinkwaysError(
                f"{id}: {name} misses {len(absent)} of the sites: {who}; add them with entries of 0, or leave them out "
                "of sites"
            )
        note(f"{id}: {len(absent)} sites neither send larvae nor receive any: {who}")
    return rows.assign(**places)


def listed(names: list[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def refuse_bad_values(id: str, rows: "pd.DataFrame", sites: Sites, name: str) -> None:
    words = {
        "value": "numbers of settlers" if "released" in rows else "entries",
        "flow": "flows",
        "released": "releases",
    }
    for column, word in words.items():
        if column not in rows:
            continue
        values = rows[column].to_numpy()
        for wrong, why, mend in (
            (~np.isfinite(values), "no finite numbers", "fill them, 0 where there are no larvae"),
            (values < 0, "below 0", "set them to 0 where there are no larvae"),
            ((values == 0) & (column == "released"), "of 0 larvae", "leave out dates and sites without a release"),
        ):
            at = np.flatnonzero(wrong)
            if len(at):
                first = rows.iloc[at[0]]
                # a sink may be unnamed where nothing settled
                sink = "nowhere" if first["sink"] < 0 else sites.names[first["sink"]]
                raise LinkwaysError(
                    f"{id}: {name} has {len(at)} {word} that are {why}, first from {sites.names[first['source']]} to "
                    f"{sink} ({values[at[0]]:g}); {mend}"
                )


def dated(
    id: str, rows: "pd.DataFrame", sites: Sites, kind: Kind, name: str
) -> tuple[np.ndarray, "pd.DataFrame", list[Any], list[int]]:
    """Larvae released by site and date, the rows with a number of their date, the dates and their years."""
    import pandas as pd

    date, labels = pd.factorize(rows["when"], sort=True)
    rows = rows.assign(date=date)
    dates = list(labels)
    reached = rows[rows["sink"] >= 0]
    twice = np.flatnonzero(reached.duplicated(["source", "sink", "date"]))
    if len(twice):
        first = reached.iloc[twice[0]]
        when = dates[int(first["date"])]
        on = f" on {when}" if str(when) else ""
        raise LinkwaysError(
            f"{id}: {name} tells of larvae from {sites.names[first['source']]} to {sites.names[first['sink']]}{on} "
            "twice; add the two up"
        )
    if kind != "settlement":
        return np.ones((sites.n, len(dates))), rows, dates, _years(dates)
    released = np.zeros((sites.n, len(dates)))
    told = rows.groupby(["source", "date"])["released"].agg(["min", "max"]).reset_index()
    uneven = told[told["min"] != told["max"]]
    if len(uneven):
        first = uneven.iloc[0]
        raise LinkwaysError(
            f"{id}: {name} tells two numbers of larvae released at {sites.names[int(first['source'])]} on "
            f"{dates[int(first['date'])]} ({first['min']:g} and {first['max']:g}); every row of a release repeats it"
        )
    released[told["source"], told["date"]] = told["max"]
    settled = np.zeros_like(released)
    np.add.at(settled, (rows["source"].to_numpy(), date), rows["value"].to_numpy())
    over = np.argwhere(settled > released * (1 + ROUNDING))
    if len(over):
        at, when = over[0]
        raise LinkwaysError(
            f"{id}: {name} has {len(over)} releases of which more settled than were released, first that of site "
            f"{sites.names[at]} ({settled[at, when]:g} of {released[at, when]:g}); mend the numbers"
        )
    return released, rows, dates, _years(dates)


def _years(dates: list[Any]) -> list[int]:
    """The year of each date: of whole numbers from 1000 to 9999 themselves, else as the date tells; none: empty."""
    import pandas as pd

    values = pd.Series(dates)
    if pd.api.types.is_numeric_dtype(values):
        whole = values.between(1000, 9999) & (values % 1 == 0)
        return [int(v) for v in values] if whole.all() else []
    told = pd.to_datetime(values, errors="coerce", format="mixed")
    return [] if told.isna().any() else [int(v.year) for v in told]
