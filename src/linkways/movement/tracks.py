"""Clean tracks from tables of fixes, with every fix that is left out explained."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

from linkways.method import Indicator, Layer, Param, Table, TableOf, method

if TYPE_CHECKING:
    import geopandas as gpd
    import pandas as pd

__all__ = ["Tracks", "tracks"]


@dataclass(frozen=True)
class Tracks:
    """Tracks ready for analysis, and what was left out on the way to them."""

    fixes: Annotated[
        "gpd.GeoDataFrame",
        Layer(
            "fixes kept, by animal and time: animal, time (UTC), burst, row of the table, and dop, error_m, "
            "argos_class, sensor, species, sequence, season where the table has them"
        ),
    ]
    lines: Annotated[
        "gpd.GeoDataFrame",
        Layer("one line for each burst of two fixes or more: animal, burst, n, length_m, start, end"),
    ]
    dropped: Annotated[
        "gpd.GeoDataFrame | None", Layer("fixes left out that have an animal and a place: animal, time, row, why")
    ]
    log: Annotated[
        "pd.DataFrame",
        TableOf(
            "what was decided, in order: rule, setting, fixes (that it concerns), animals (likewise), left_out (fixes)"
        ),
    ]
    reasons: Annotated["pd.DataFrame", TableOf("every row of the table that was not kept: row, animal, time, why")]
    animals: Annotated[
        "pd.DataFrame",
        TableOf(
            "animal, fixes_read, fixes_kept, median_interval_h, missing (fixes that regular sampling at this interval "
            "would have between first and last), bursts, start, end, days, path_km, max_speed_m_s"
        ),
    ]
    still: Annotated[
        "pd.DataFrame",
        TableOf("clusters in which an animal hardly moved (dead, or collar shed?): animal, start, end, hours, fixes"),
    ]
    fixes_kept: Annotated[int, Indicator("fixes kept")]
    fixes_dropped: Annotated[int, Indicator("rows of the table left out")]
    animals_kept: Annotated[int, Indicator("animals")]
    path_km: Annotated[float, Indicator("length of all steps within bursts", unit="km")]
    max_speed_m_s: Annotated[float, Indicator("speed of the fastest step within a burst", unit="m/s")]


@method(
    "movement.tracks",
    references=(
        "Gupte PR, Beardsworth CE, Spiegel O et al. (2022) A guide to pre-processing high-throughput animal tracking "
        "data. Journal of Animal Ecology 91:287-307",
        "Merkle JA, Gage J, Sawyer H et al. (2022) Migration Mapper: identifying movement corridors and seasonal "
        "ranges for large mammal conservation. Methods in Ecology and Evolution 13:2397-2403 (problem points, still "
        "clusters, gaps)",
        "Signer J, Fieberg J, Avgar T (2019) Animal movement tools (amt): R package for managing tracking data and "
        "conducting habitat selection analyses. Ecology and Evolution 9:880-890 (squared displacement rate, round "
        "trips, defunct clusters, resampling)",
    ),
)
def tracks(
    table: Annotated["pd.DataFrame", Table("fixes: a Movebank CSV, any table with animal, time and place, or points")],
    *,
    animal_column: Annotated[str | None, Param("column that names the animal; found by its name without it")] = None,
    time_columns: Annotated[
        list[str] | None, Param("column of the time, or those of date and time of day; found without it")
    ] = None,
    x_column: Annotated[str | None, Param("column of the easting or longitude; found without it")] = None,
    y_column: Annotated[str | None, Param("column of the northing or latitude; found without it")] = None,
    xy_crs: Annotated[
        str | None, Param("CRS of the coordinates; EPSG:4326 for columns of longitude and latitude")
    ] = None,
    project_to: Annotated[
        str | None, Param("CRS of the result, in metres; one that fits the tracks without it")
    ] = None,
    time_zone: Annotated[
        str | None, Param("IANA zone of times that are written without one, e.g. UTC or America/Denver")
    ] = None,
    time_format: Annotated[
        str | None, Param("how times are written (codes of strftime), or unix seconds, unix milliseconds")
    ] = None,
    clock_change: Annotated[
        Literal["before", "after", "leave out"],
        Param("local times that the clock shows twice or skips: the offset before the change, after it, or no time"),
    ] = "before",
    sensors: Annotated[list[str] | None, Param("only fixes of these sensors, e.g. gps; all without it")] = None,
    keep: Annotated[list[str] | None, Param("further columns of the table to carry on")] = None,
    duplicate_s: Annotated[
        float, Param("of fixes within this time the one with the lowest dop, or nearest to the last, stays", "s", ge=0)
    ] = 0.0,
    max_dop: Annotated[
        float | None, Param("fixes with a higher dilution of precision are left out; none without it", gt=0)
    ] = None,
    max_speed_m_s: Annotated[
        float | None,
        Param("fixes reached and left faster are left out", "m/s", gt=0, source="Migration Mapper, for large mammals"),
    ] = 3.0,
    fast_step_km_h: Annotated[
        float | None,
        Param("fixes reached by a step above this speed, held for fast_step_minutes, are left out", "km/h", gt=0),
    ] = None,
    fast_step_minutes: Annotated[float, Param("how long that speed can be held", "minutes", gt=0)] = 60.0,
    round_trip_km_h: Annotated[
        float | None,
        Param("fixes reached and left by a fast round trip above this speed are left out", "km/h", gt=0),
    ] = None,
    round_trip_minutes: Annotated[float, Param("how long that speed can be held", "minutes", gt=0)] = 60.0,
    round_trip_factor: Annotated[
        float, Param("how much faster both ways must be than the direct step (epsilon)", gt=0, source="amt")
    ] = 10.0,
    still_m: Annotated[
        float | None, Param("steps up to this length count as still", "m", ge=0, source="Migration Mapper")
    ] = 50.0,
    still_hours: Annotated[
        float, Param("still for longer than this is reported", "hours", ge=0, source="Migration Mapper")
    ] = 48.0,
    tail_m: Annotated[
        float | None,
        Param("the end of a track that stays within this distance of its last fix is left out", "m", ge=0),
    ] = None,
    tail_steps: Annotated[int, Param("fewest steps of such an end", ge=1)] = 10,
    tail_hours: Annotated[float, Param("shortest such end", "hours", ge=0)] = 48.0,
    burst_gap_hours: Annotated[
        float, Param("a longer time without fix begins a new burst", "hours", gt=0, source="Migration Mapper")
    ] = 49.0,
    interval_minutes: Annotated[
        float | None, Param("keep only fixes this far apart; as sampled without it", "minutes", gt=0)
    ] = None,
    tolerance_minutes: Annotated[float, Param("how far a fix may be off that interval", "minutes", ge=0)] = 10.0,
) -> Tracks:
    """Clean tracks from a table of fixes: read, put in order, filtered by stated rules, projected, cut into bursts.

    Columns are known by the names that Movebank, MoveApps and common programs give them (in any case, with hyphens or
    underscores), or named. Animals are individuals, never tags, and their names are text. Movebank's timestamps are
    UTC; other times need their zone. A local time that the clock shows twice or skips is read with the offset before
    the change (02:30 skipped becomes 03:30), or as ``clock_change`` says, and counted. 0 and 0 degrees are no place.

    Rules, in this order, each on what the one before left (a fix left out is told with the first that it met):
    no animal; no time; no place; not visible or marked as outlier (Movebank); another sensor; dop above ``max_dop``;
    duplicates; problem points, reached and left faster than ``max_speed_m_s`` within a burst (Migration Mapper);
    fast steps, whose squared displacement rate d^2/dt from the last kept fix is above v^2 T; fast round trips, whose
    rates to and from a fix exceed both v^2 T / epsilon and epsilon times the rate of the direct step (amt); the still
    end of a track; fixes off the interval; the only fix of an animal. Still clusters, runs of fixes that begin steps
    of at most ``still_m`` within a burst for longer than ``still_hours``, are reported and stay.

    Longitudes and latitudes are projected to the UTM zone of their middle if all are within 3.5 degrees of its own
    middle (lengths right to 2 in 1000), otherwise to a Lambert azimuthal equal-area map about the middle, also
    across the 180th meridian. With an interval, the next fix is the one nearest to an interval after the last kept,
    within the tolerance; if there is none a new burst begins. Lengths and speeds are those on the map, within bursts.

    Raises LinkwaysError for columns that are not found, tags without individuals, texts that are no times, times
    without zone, an unknown zone, coordinates without CRS, degrees taken for metres, and when no animal has two fixes.

    Examples
    --------
    >>> import pandas as pd
    >>> from linkways import movement
    >>> table = pd.DataFrame({"id": [7, 7, 7], "x": [500000, 500300, 500000], "y": [4.7e6, 4.7e6, 4.7004e6]})
    >>> table["time"] = ["2014-05-01 06:00", "2014-05-01 04:00", "2014-05-01 06:00"]
    >>> found = movement.tracks(table, xy_crs="EPSG:32612", time_zone="America/Denver")
    >>> found.fixes[["animal", "time", "row"]]
      animal                      time  row
    0      7 2014-05-01 10:00:00+00:00    2
    1      7 2014-05-01 12:00:00+00:00    1
    >>> found.reasons[["row", "animal", "why"]]
       row animal        why
    0    3      7  duplicate
    """
    from linkways.movement._tracks_result import Rules, clean_tracks
    from linkways.movement._tracks_table import Columns, read_fixes

    raw = read_fixes(
        table,
        Columns(animal_column, time_columns, x_column, y_column, keep or ()),
        crs=xy_crs,
        time_zone=time_zone,
        time_format=time_format,
        clock_change=clock_change,
    )
    rules = Rules(
        sensors=sensors,
        duplicate_s=duplicate_s,
        max_dop=max_dop,
        max_speed_m_s=max_speed_m_s,
        fast_step=(fast_step_km_h, fast_step_minutes),
        round_trip=(round_trip_km_h, round_trip_minutes),
        round_trip_factor=round_trip_factor,
        still_m=still_m,
        still_hours=still_hours,
        tail_m=tail_m,
        tail_steps=tail_steps,
        tail_hours=tail_hours,
        gap_hours=burst_gap_hours,
        interval_minutes=interval_minutes,
        tolerance_minutes=tolerance_minutes,
    )
    return clean_tracks(raw, rules, project_to)
