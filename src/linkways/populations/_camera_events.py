"""Independent events of a camera trap survey, and how often there are some (relative abundance index)."""

from typing import TYPE_CHECKING, Literal

import numpy as np

from linkways.populations._camera_survey import Survey, local_clock, spans

if TYPE_CHECKING:
    import geopandas as gpd
    import pandas as pd
    from matplotlib.figure import Figure

__all__ = [
    "abundance_index",
    "draw_operation",
    "effort_table",
    "event_table",
    "independent",
    "site_layer",
    "site_rates",
]

Rule = Literal["last independent", "last record"]


def independent(group: np.ndarray, seconds: np.ndarray, gap_s: float, rule: Rule) -> tuple[np.ndarray, np.ndarray]:
    """The order of the records by group and time, and which of them, in this order, are independent."""
    from linkways.populations._camtrap_kernels import independent_records

    order = np.lexsort((seconds, group))
    kept = independent_records(
        group[order].astype(np.int64), seconds[order].astype(np.int64), round(gap_s), rule == "last independent"
    )
    return order, kept


def event_table(survey: Survey, gap_minutes: float, rule: Rule) -> "pd.DataFrame":
    """One row for each independent event: the records of a species at a site from it to the next.

    ``individuals`` is the largest number of animals in one event or file among them.
    """
    import pandas as pd

    records = survey.records
    site = survey.site[records.deployment]
    group = site * max(len(records.names), 1) + records.species
    order, kept = independent(group, records.seconds, gap_minutes * 60, rule)
    number = np.cumsum(kept) - 1
    at = order[kept]
    together = pd.DataFrame({"event": number, "at": records.together[order], "count": records.count[order]})
    most = together.groupby(["event", "at"])["count"].sum().groupby("event").max()
    deployment = records.deployment[at]
    found = pd.DataFrame(
        {
            "site": survey.sites[site[at]],
            "deploymentID": survey.deployments[deployment],
            "species": np.array(records.names, object)[records.species[at]] if len(at) else np.zeros(0, object),
            "time": pd.DatetimeIndex(records.seconds[at].astype("datetime64[s]"), tz="UTC"),
            "local_time": local_clock(survey, deployment, records.seconds[at]).astype("datetime64[s]"),
            "records": np.bincount(number, minlength=len(at)) if len(number) else np.zeros(0, int),
            "individuals": most.to_numpy(dtype=float).astype(int),
            "latitude": survey.latitude[deployment],
            "longitude": survey.longitude[deployment],
            "timestamp_issues": survey.clock_issues[deployment],
        }
    )
    found = found.sort_values(["time", "site", "species"], kind="stable", ignore_index=True)
    found.insert(0, "event", np.arange(1, len(found) + 1))
    return found


def effort_table(survey: Survey) -> "pd.DataFrame":
    """deploymentID, site, start, end, days, failures, failed_days, effort_days."""
    import pandas as pd

    days = (survey.end - survey.start) / 86400
    failures = survey.failures["deploymentID"].value_counts()
    return pd.DataFrame(
        {
            "deploymentID": survey.deployments,
            "site": survey.sites[survey.site],
            "start": pd.DatetimeIndex(survey.start.astype("datetime64[s]"), tz="UTC"),
            "end": pd.DatetimeIndex(survey.end.astype("datetime64[s]"), tz="UTC"),
            "days": days,
            "failures": pd.Series(survey.deployments).map(failures).fillna(0).to_numpy().astype(int),
            "failed_days": days - survey.effort_days,
            "effort_days": survey.effort_days,
        }
    )


def site_rates(survey: Survey, events: "pd.DataFrame") -> "pd.DataFrame":
    """site, species, events, effort_days and rai for every species at every site, also where there was none."""
    import pandas as pd

    names = survey.records.names
    codes = {name: k for k, name in enumerate(survey.sites)}
    counts = np.zeros((len(survey.sites), len(names)), int)
    rows = events["site"].map(codes).to_numpy(dtype=np.int64)
    np.add.at(counts, (rows, pd.Categorical(events["species"], names).codes), 1)
    effort = survey.site_effort_days
    return pd.DataFrame(
        {
            "site": np.repeat(survey.sites, len(names)),
            "species": np.tile(np.array(names, object), len(survey.sites)),
            "events": counts.ravel(),
            "effort_days": np.repeat(effort, len(names)),
            "rai": (100 * counts / effort[:, None]).ravel(),
        }
    )


def abundance_index(
    survey: Survey, events: "pd.DataFrame", rates: "pd.DataFrame", repeats: int, confidence: float, seed: int
) -> "pd.DataFrame":
    """RAI of each species with its interval by resampling sites (percentiles of the ratio of sums)."""
    import pandas as pd

    names = survey.records.names
    counts = rates["events"].to_numpy().reshape(len(survey.sites), len(names))
    effort = survey.site_effort_days
    low, high = _interval(counts, effort, repeats, confidence, seed)
    individuals = events.groupby("species")["individuals"].sum().reindex(names).to_numpy()
    found = pd.DataFrame(
        {
            "species": names,
            "events": counts.sum(axis=0),
            "individuals": individuals,
            "sites_detected": (counts > 0).sum(axis=0),
            "sites": len(survey.sites),
            "naive_occupancy": (counts > 0).mean(axis=0),
            "effort_days": effort.sum(),
            "rai": 100 * counts.sum(axis=0) / effort.sum(),
            "rai_low": low,
            "rai_high": high,
        }
    )
    return found.sort_values(["events", "species"], ascending=[False, True], ignore_index=True)


def _interval(
    counts: np.ndarray, effort: np.ndarray, repeats: int, confidence: float, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    n = len(effort)
    if repeats == 0 or n < 2:
        nothing = np.full(counts.shape[1], np.nan)
        return nothing, nothing
    rng = np.random.default_rng(seed)
    rates = np.empty((repeats, counts.shape[1]))
    block = max(1, 4_000_000 // n)
    for first in range(0, repeats, block):
        weights = rng.multinomial(n, np.full(n, 1 / n), size=min(block, repeats - first)).astype(float)
        rates[first : first + len(weights)] = 100 * (weights @ counts) / (weights @ effort)[:, None]
    low, high = np.quantile(rates, [(1 - confidence) / 2, (1 + confidence) / 2], axis=0)
    return low, high


def site_layer(survey: Survey, rates: "pd.DataFrame") -> "gpd.GeoDataFrame":
    """A point for each site: its deployments, effort, events, species, and a column with the RAI of each species."""
    import geopandas as gpd
    import pandas as pd
    import shapely

    names = survey.records.names
    counts = rates["events"].to_numpy().reshape(len(survey.sites), len(names))
    longitude, latitude = survey.site_places()
    found = pd.DataFrame(
        {
            "site": survey.sites,
            "deployments": np.bincount(survey.site, minlength=len(survey.sites)),
            "effort_days": survey.site_effort_days,
            "events": counts.sum(axis=1),
            "species": (counts > 0).sum(axis=1),
        }
    )
    rai = pd.DataFrame(rates["rai"].to_numpy().reshape(counts.shape), columns=[f"RAI {name}" for name in names])
    points = shapely.points(longitude, latitude)
    return gpd.GeoDataFrame(pd.concat([found, rai], axis=1), geometry=points, crs="EPSG:4326")


def draw_operation(survey: Survey, events: "pd.DataFrame") -> "Figure":
    """When each camera worked (bars), failed (red) and recorded a species (ticks); the first set up on top."""
    from matplotlib.figure import Figure

    n = len(survey.sites)
    figure = Figure(figsize=(8, min(max(2.0, 0.16 * n + 1), 9)), layout="constrained")
    ax = figure.subplots()
    day = 1 / 86400
    order = np.argsort(spans(survey)[0], kind="stable")
    place = np.empty(n, int)
    place[order] = np.arange(n)
    working = survey.working
    rows = place[survey.site[working[:, 0]]]
    ax.hlines(rows, working[:, 1] * day, working[:, 2] * day, color="#4d9221", linewidth=3, label="worked")
    if len(survey.failures):
        index = {name: k for k, name in enumerate(survey.deployments)}
        at = place[survey.site[survey.failures["deploymentID"].map(index).to_numpy(dtype=int)]]
        failed = survey.failures[["start", "end"]].to_numpy(dtype=float) * day
        ax.hlines(at, failed[:, 0], failed[:, 1], color="#c51b7d", linewidth=3, label="failed")
    if len(events):
        index = {name: k for k, name in enumerate(survey.sites)}
        seconds = events["time"].dt.tz_localize(None).to_numpy().astype("datetime64[s]").astype(np.int64)
        at = place[events["site"].map(index).to_numpy(dtype=int)]
        ax.plot(seconds * day, at, "|", color="#222222", markersize=3, label="event")
    ax.xaxis_date()
    ax.set_ylim(n - 0.5, -0.5)
    ax.set_yticks(range(n) if n <= 60 else [], list(survey.sites[order]) if n <= 60 else [], fontsize=6)
    ax.set_ylabel("sites", fontsize=8)
    ax.tick_params(axis="x", labelsize=7)
    ax.legend(fontsize=7, ncols=3, loc="lower left", bbox_to_anchor=(0, 1), frameon=False)
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)
    return figure
