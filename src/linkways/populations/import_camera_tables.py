"""Camera trap tables from plain tables of stations and records, as field teams keep them and camtrapR reads them."""

import re
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np

from linkways.errors import LinkwaysError, nearest
from linkways.method import Param, Table, method
from linkways.populations.import_camtrapdp import CameraTrapTables, checked_tables

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["import_camera_tables"]

ID = "populations.import_camera_tables"


@method(
    ID,
    references=(
        "Niedballa J, Sollmann R, Courtiol A, Wilting A (2016) camtrapR: an R package for efficient camera trap data "
        "management. Methods in Ecology and Evolution 7:1457-1462 (station and record tables, camera operation)",
    ),
)
def import_camera_tables(
    stations: Annotated["pd.DataFrame", Table("one row for each station (or camera, or deployment)")],
    records: Annotated["pd.DataFrame", Table("one row for each record of a species")],
    *,
    xy_crs: Annotated[str, Param("CRS of the coordinates, e.g. EPSG:32650, or EPSG:4326 for longitude and latitude")],
    time_zone: Annotated[str, Param("IANA zone of the cameras' clocks")],
    station_column: Annotated[str, Param("column that names the station, in both tables")] = "Station",
    x_column: Annotated[str, Param("easting or longitude of a station")] = "utm_x",
    y_column: Annotated[str, Param("northing or latitude of a station")] = "utm_y",
    start_column: Annotated[str, Param("when the camera was set up")] = "Setup_date",
    end_column: Annotated[str, Param("when the camera was taken down")] = "Retrieval_date",
    species_column: Annotated[str, Param("species of a record")] = "Species",
    time_column: Annotated[str, Param("when a record was made")] = "DateTimeOriginal",
    individual_column: Annotated[str | None, Param("individual of a record, where it is known")] = None,
    count_column: Annotated[str | None, Param("how many animals a record shows")] = None,
    station_time_format: Annotated[
        str | None, Param("how times of stations are written, e.g. %d/%m/%Y; year first without it")
    ] = None,
    record_time_format: Annotated[
        str | None, Param("how times of records are written, e.g. %d/%m/%Y %H:%M; year first without it")
    ] = None,
    days: Annotated[
        Literal["half days", "whole days"],
        Param("what the days of set-up and take-down count, where only their dates are known", source="camtrapR"),
    ] = "half days",
    same_place_m: Annotated[
        float, Param("stations this close are one place for an individual seen at both", "m", ge=0)
    ] = 50.0,
) -> CameraTrapTables:
    """Stations and records as Camtrap DP tables, checked row by row, with the times when cameras failed.

    Problems stand in pairs of columns ``Problem1_from`` and ``Problem1_to``, ``Problem2_from`` and so on; a date there
    is a whole day on which the camera did not work. Where only the date of set-up or take-down is known, a record may
    be from any hour of that day, and the day counts for half (as in camtrapR) or whole. Each record is an observation
    at the level of media. The rules are those of `import_camtrapdp`.

    Raises LinkwaysError for columns that are missing, texts that are no times, a problem with one end, coordinates that
    are no numbers, and an unknown CRS or zone.

    Examples
    --------
    >>> import pandas as pd
    >>> from linkways import populations
    >>> stations = pd.DataFrame({"Station": ["A"], "utm_x": [526000], "utm_y": [604000]})
    >>> stations["Setup_date"], stations["Retrieval_date"] = "2009-04-02", "2009-05-14"
    >>> records = pd.DataFrame({"Station": ["A"], "Species": ["VTA"], "DateTimeOriginal": ["2009-04-10 05:07:00"]})
    >>> found = populations.import_camera_tables(stations, records, xy_crs="EPSG:32650", time_zone="Asia/Kuala_Lumpur")
    >>> found.failures[["start", "end"]].iloc[0].to_list()
    ['2009-04-02T00:00:00+08:00', '2009-04-02T12:00:00+08:00']
    """
    import pandas as pd

    from linkways.populations._camtrap_columns import where_known
    from linkways.populations._camtrap_dates import camtrap_times, half_days, read_moments, span_of

    needed = (station_column, x_column, y_column, start_column, end_column)
    _there(stations, "stations", needed)
    extra = [one for one in (individual_column, count_column) if one is not None]
    _there(records, "records", (station_column, species_column, time_column, *extra))
    start, end = (
        read_moments(stations[name], f"stations.{name}", station_time_format, ID) for name in (start_column, end_column)
    )
    seen = read_moments(records[time_column], f"records.{time_column}", record_time_format, ID)
    first, last = span_of(start, end)
    names = stations[station_column].astype(str).to_numpy(dtype=object)
    longitude, latitude = _degrees(stations, x_column, y_column, xy_crs)
    deployments = pd.DataFrame(
        {
            "deploymentID": names,
            "locationID": names,
            "latitude": latitude,
            "longitude": longitude,
            "deploymentStart": where_known(start.known, camtrap_times(first, time_zone)),
            "deploymentEnd": where_known(end.known, camtrap_times(last, time_zone)),
        }
    )
    times = where_known(seen.known, camtrap_times(seen.clock, time_zone))
    observations = pd.DataFrame(
        {
            "observationID": [f"record_{k + 1}" for k in range(len(records))],
            "deploymentID": records[station_column].astype(str).to_numpy(dtype=object),
            "eventStart": times,
            "eventEnd": times,
            "observationLevel": "media",
            "observationType": "animal",
            "scientificName": records[species_column].to_numpy(),
        }
    )
    if individual_column is not None:
        observations["individualID"] = records[individual_column].to_numpy()
    if count_column is not None:
        observations["count"] = records[count_column].to_numpy()
    failures = [_problems(stations, names, station_time_format, time_zone)]
    if days == "half days":
        failures.append(half_days(names, start, end, time_zone))
    told = pd.concat(failures, ignore_index=True)
    told = told.drop_duplicates(ignore_index=True).sort_values(["deploymentID", "start"], ignore_index=True)
    frames = {"deployments": deployments, "observations": observations}
    kept = None if told.empty else told
    return checked_tables(frames, None, None, same_place_m, version="1.0", failures=kept, method=ID)


def _there(table: "pd.DataFrame", name: str, columns: tuple[str, ...]) -> None:
    for column in columns:
        if column not in table.columns:
            found = [str(one) for one in table.columns]
            raise LinkwaysError(f"{ID}: the table {name} has no column '{column}'{nearest(column, found)}")


def _degrees(stations: "pd.DataFrame", x: str, y: str, crs: str) -> tuple[np.ndarray, np.ndarray]:
    import pandas as pd
    from pyproj import Transformer
    from pyproj.exceptions import CRSError

    places = [pd.to_numeric(stations[name], errors="coerce").to_numpy(dtype=float) for name in (x, y)]
    wrong = np.flatnonzero(~np.isfinite(places[0]) | ~np.isfinite(places[1]))
    if len(wrong):
        raise LinkwaysError(f"{ID}: stations row {wrong[0] + 1} has no place in {x} and {y}; give numbers")
    try:
        to_degrees = Transformer.from_crs(crs, "EPSG:4326", always_xy=True)
    except CRSError:
        raise LinkwaysError(f"{ID}: xy_crs '{crs[:80]}' is not a CRS; write it like EPSG:32650") from None
    longitude, latitude = to_degrees.transform(places[0], places[1])
    return np.asarray(longitude), np.asarray(latitude)


def _problems(stations: "pd.DataFrame", names: np.ndarray, time_format: str | None, time_zone: str) -> "pd.DataFrame":
    """The pairs Problem<n>_from and Problem<n>_to as failures."""
    import pandas as pd

    from linkways.populations._camtrap_dates import camtrap_times, read_moments, span_of

    rows = [pd.DataFrame({"deploymentID": [], "start": [], "end": [], "reason": []}, dtype=object)]
    begins = [str(c) for c in stations.columns if re.fullmatch(r"(?i)problem\d+_from", str(c))]
    for column in begins:
        other = column[: -len("from")] + ("to" if column.endswith("from") else "TO")
        _there(stations, "stations", (other,))
        start = read_moments(stations[column], f"stations.{column}", time_format, ID)
        end = read_moments(stations[other], f"stations.{other}", time_format, ID)
        odd = np.flatnonzero(start.known != end.known)
        if len(odd):
            raise LinkwaysError(
                f"{ID}: stations row {odd[0] + 1} has one of {column} and {other}; give both or neither"
            )
        first, last = span_of(start, end)
        at = np.flatnonzero(start.known)
        rows.append(
            pd.DataFrame(
                {
                    "deploymentID": names[at],
                    "start": camtrap_times(first[at], time_zone),
                    "end": camtrap_times(last[at], time_zone),
                    "reason": column[: -len("_from")],
                }
            )
        )
    return pd.concat(rows, ignore_index=True)
