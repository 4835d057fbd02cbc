"""When and where animals migrate: models of net squared displacement, penalised contrast, or given dates."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

from linkways.method import Figure, Indicator, Layer, Param, Table, TableOf, Vector, method

if TYPE_CHECKING:
    import geopandas as gpd
    import matplotlib.figure
    import pandas as pd

__all__ = ["Migration", "migration"]


@dataclass(frozen=True)
class Migration:
    """Migrations as sequences of fixes, and what they were told from."""

    sequences: Annotated[
        "gpd.GeoDataFrame",
        Layer(
            "the fixes of every migration: animal, time, sequence (such as 317_sp08), season, stopover (true where the "
            "animal stays), and the other columns of the fixes"
        ),
    ]
    lines: Annotated["gpd.GeoDataFrame", Layer("one line for each migration, with the columns of the migrations")]
    migrations: Annotated[
        "pd.DataFrame",
        TableOf(
            "animal, sequence, season, year, start, middle, end, days, fixes, net_km (first to last fix), path_km, "
            "max_displacement_km (from the first fix), rate_km_day (path by days), stopovers, stopover_days, "
            "stopover_share (of the time), how, confidence (Akaike weight), complete (tracked from start to end)"
        ),
    ]
    models: Annotated[
        "pd.DataFrame | None",
        TableOf(
            "animal, year (in which it begins), model, best, gamma, delta (km2), beta (km2 per day), kappa (per day), "
            "theta, phi, rho, phi2 (days since the first fix), zeta, rss (km4), aic, weight"
        ),
    ]
    years: Annotated[
        "pd.DataFrame",
        TableOf(
            "animal, year, start, end, daily_fixes, how (model, contrast, dates, or too short), model (the best), "
            "weight, stays (by contrast), migrations, max_nsd_km2, max_nsd_date"
        ),
    ]
    displacement: Annotated["matplotlib.figure.Figure", Figure("net squared displacement with the fitted curves")]
    migration_count: Annotated[int, Indicator("migrations found")]
    migrating_animals: Annotated[int, Indicator("animals with at least one migration")]
    median_distance_km: Annotated[float, Indicator("median net distance of a migration", unit="km")]


@method(
    "movement.migration",
    references=(
        "Bunnefeld N, Börger L, van Moorter B et al. (2011) A model-driven approach to quantify migration patterns: "
        "individual, regional and yearly differences. Journal of Animal Ecology 80:466-476",
        "Spitz DB, Hebblewhite M, Stephenson TR (2017) 'MigrateR': extending model-driven methods for classifying and "
        "quantifying animal movement behavior. Ecography 40:788-799",
        "Lavielle M (2005) Using penalized contrasts for the change-point problem. Signal Processing 85:1501-1510",
        "Sawyer H, Kauffman MJ, Nielson RM, Horne JS (2009) Identifying and prioritizing ungulate migration routes for "
        "landscape-level conservation. Ecological Applications 19:2016-2025 (stopovers)",
        "Fauchald P, Tveraa T (2003) Using first-passage time in the analysis of area-restricted search and habitat "
        "selection. Ecology 84:282-288",
    ),
)
def migration(
    fixes: Annotated["gpd.GeoDataFrame", Vector("GPS fixes", geometry=("Point",), columns=("animal", "time"))],
    dates: Annotated[
        "pd.DataFrame | None",
        Table("migrations that are known: animal, start, end, perhaps season", columns=("animal", "start", "end")),
    ] = None,
    *,
    how: Annotated[
        Literal["auto", "models", "contrast"],
        Param("models of displacement, penalised contrast, or models for complete years and contrast for others"),
    ] = "auto",
    year_start: Annotated[
        str, Param("month and day on which an animal's year begins", source="Migration Mapper: 1 February")
    ] = "02-01",
    complete_days: Annotated[
        float,
        Param("a year is complete, and fitted with models, if first and last fix are this far apart", "days", ge=30),
    ] = 270.0,
    min_distance_km: Annotated[float, Param("shorter moves are no migration", "km", ge=0)] = 5.0,
    min_stay_days: Annotated[int, Param("shortest stay between two migrations", "days", ge=2)] = 14,
    max_stays: Annotated[int, Param("most stays in a year that contrast looks for", ge=2)] = 10,
    bend: Annotated[
        float, Param("bend of the contrasts that a number of stays must show", gt=0, source="Lavielle 2005")
    ] = 0.75,
    stopover_radius_km: Annotated[float, Param("an animal that stays within this radius", "km", gt=0)] = 1.0,
    stopover_hours: Annotated[float, Param("for this long is at a stopover", "hours", gt=0)] = 24.0,
    time_zone: Annotated[str, Param("IANA zone of the given dates")] = "UTC",
) -> Migration:
    """Migrations of every animal with their dates, distances and stopovers, as sequences for corridor maps.

    An animal's year begins on ``year_start``; net squared displacement (NSD) is the squared distance of the first fix
    of every UTC day from the first of the year. A complete year gets five models by bounded least squares from a grid
    of starts: resident gamma (1 - e^(kappa t)), nomad beta t, disperser delta / (1 + e^((theta - t) / phi)), migrant,
    which comes back at theta + 2 phi + 2 phi2 + rho over phi2, and mixed migrant, which comes back over zeta of the way
    (Bunnefeld 2011; bounds of Spitz 2017: theta and rho 1 to 364, phi and phi2 1 to 21 days, zeta 0.05 to 0.95, kappa
    -1 to -0.01, delta up to the largest NSD). The model with the lowest AIC is taken whose distance (root of delta)
    reaches ``min_distance_km`` and whose stay (rho) ``min_stay_days``. A migration lasts from 3 phi before its middle
    to 3 phi after (4.7 to 95.3 per cent of delta). Confidence is the Akaike weight of all models with that leg;
    neighbouring days are not independent, so it is a comparison of models rather than a probability.

    Other years, and all with ``how='contrast'``, are cut into stays: the cut of the daily places with the least sum of
    squared distances to the mean of each part, exact by dynamic programming, for the number of parts where the curve
    of contrasts last bends by more than ``bend`` (Lavielle 2005). A logistic fitted to the places of two neighbouring
    stays along the line between them dates the move; confidence is its Akaike weight against staying and against an
    even drift. This finds any number of legs.

    With ``dates`` nothing is fitted; a day given as end counts whole. Windows that overlap are cut at the middle of the
    overlap. A season without name is spring if its middle lies from February to July (August to January in the south)
    and autumn otherwise. A fix is at a stopover if it belongs to a passage in which the animal stays within the radius
    of one fix for the time asked for without leaving (first-passage time, Fauchald and Tveraa 2003); such slow bouts
    make the places of high use that Sawyer (2009) calls stopovers.

    Raises LinkwaysError for what `fixes` must hold, a ``year_start`` that is no day, and given dates of an unknown
    animal, in the wrong order, or without two fixes between them.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> from linkways import movement
    >>> day = np.arange(300)
    >>> away = 40e3 / (1 + np.exp((90 - day) / 3)) - 40e3 / (1 + np.exp((230 - day) / 3))
    >>> table = pd.DataFrame({"animal": "doe", "time": pd.date_range("2019-02-01", periods=300, tz="UTC")})
    >>> track = movement.tracks(table.assign(x=5e5 + away, y=4.7e6), xy_crs="EPSG:32612").fixes
    >>> found = movement.migration(track)
    >>> found.migrations[["sequence", "season", "net_km"]].round(1)
      sequence  season  net_km
    0  doe_sp19  spring    30.3
    1  doe_fa19  autumn    30.3
    """
    from linkways.movement._displacement import day_of_year
    from linkways.movement._fixes import fixes_of
    from linkways.movement._migration_result import Settings, find_migrations

    month, day = day_of_year(year_start)
    settings = Settings(
        how=how,
        month=month,
        day=day,
        complete_days=complete_days,
        min_distance_km=min_distance_km,
        min_stay_days=min_stay_days,
        max_stays=max_stays,
        bend=bend,
        stopover_radius_m=stopover_radius_km * 1000,
        stopover_s=stopover_hours * 3600,
        time_zone=time_zone,
    )
    return find_migrations(fixes_of(fixes), dates, settings)
