"""Larvae are born, move, settle, die and are lost by the rules they are given, and every one is accounted for."""

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import rioxarray  # noqa: F401
import shapely
import xarray as xr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from linkways import LinkwaysError, seas
from linkways.errors import MissingExtra

PLANE = "EPSG:32631"
DAY = "2020-01-01"


def sea(u=0.1, v=0.0, rows=20, columns=60, size=1000.0, days=None, land=(), crs=PLANE, **more):
    """A uniform flow; land: cells (row, column); more: further variables."""
    shape = (rows, columns)
    times = {} if days is None else {"time": pd.date_range(DAY, periods=int(days * 24) + 1, freq="h")}
    lead = tuple(len(t) for t in times.values())
    dims = (*times, "y", "x")
    out = xr.Dataset(
        {n: (dims, np.full((*lead, *shape), w), {"units": "m s-1"}) for n, w in (("u", u), ("v", v))},
        {**times, "x": size * (np.arange(columns) + 0.5), "y": size * (np.arange(rows) + 0.5)},
    )
    out["mask"] = (("y", "x"), np.ones(shape, np.uint8))
    for row, column in land:
        out["mask"].values[row, column] = 0
    for name, (dims, values, unit) in more.items():
        out[name] = (dims, values, {"units": unit})
    return out.rio.write_crs(crs)


def at(x, y, site="a", crs=PLANE, **columns):
    return gpd.GeoDataFrame({"site": [site], **columns}, geometry=[shapely.Point(x, y)], crs=crs)


def box(*bounds, site="a", crs=PLANE):
    return gpd.GeoDataFrame({"site": [site]}, geometry=[shapely.box(*bounds)], crs=crs)


def both(*frames):
    return pd.concat(frames, ignore_index=True)


def drift(currents, releases, habitat=None, **options):
    return seas.drift(currents, releases, habitat, **({"release_dates": [DAY], "number": 100, "days": 2} | options))


def last_places(found):
    return shapely.get_coordinates(shapely.get_point(found.tracks.geometry.values, -1))


# --- settlement ----------------------------------------------------------------------------------------------------


def test_a_larva_settles_when_the_current_has_carried_it_to_habitat():
    """0.1 m/s: 20 km to the reef's edge take 200,000 s; found at the end of a ten-minute step."""
    found = drift(sea(), at(5e3, 10e3), box(25e3, 8e3, 28e3, 12e3, site="reef"), days=5)
    row = found.settlement.iloc[0]
    assert (row.source, row.sink, row.released, row.settled) == ("a", "reef", 100, 100)
    assert row.released_on == pd.Timestamp(DAY)
    assert found.mean_days_to_settle * 86400 == pytest.approx(200_000, abs=600)


def test_larvae_pass_habitat_before_they_are_competent():
    near, far = box(10e3, 8e3, 12e3, 12e3, site="near"), box(25e3, 8e3, 28e3, 12e3, site="far")
    found = drift(sea(), at(5e3, 10e3), both(near, far), days=5, competent_from_d=1)
    assert list(found.settlement["sink"]) == ["far"]


def test_larvae_that_lost_their_competence_pass_too():
    reef = box(25e3, 8e3, 28e3, 12e3)
    kept = drift(sea(), at(5e3, 10e3, "s"), reef, days=5, number=20_000, competence_loss_per_d=0.5)
    share = np.exp(-0.5 * 200_000 / 86400)
    assert kept.settled_percent / 100 == pytest.approx(share, abs=0.02)


def test_competence_is_gained_at_its_rate():
    """Released in habitat: the share settled at age a is 1 - exp(-g (a - t))."""
    reef = box(0, 0, 60e3, 20e3, site="all")
    found = drift(sea(0.0), at(5e3, 10e3), reef, number=20_000, competent_from_d=0.5, competence_gain_per_d=0.7)
    assert found.settled_percent / 100 == pytest.approx(1 - np.exp(-0.7 * 1.5), abs=0.015)


def test_the_sensing_radius_widens_habitat_by_its_metres():
    """The reef lies 2 km beside the path, sub-cells are 50 m."""
    reef = box(25e3, 12e3, 28e3, 14e3)
    assert drift(sea(), at(5e3, 10e3), reef, days=5, habitat_parts=20, sensing_radius_m=1900).settled_percent == 0
    assert drift(sea(), at(5e3, 10e3), reef, days=5, habitat_parts=20, sensing_radius_m=2100).settled_percent == 100


def test_between_two_reefs_in_reach_the_nearer_is_chosen():
    near, far = box(20e3, 11e3, 40e3, 12e3, site="near"), box(20e3, 6e3, 40e3, 8e3, site="far")
    found = drift(sea(), at(5e3, 10e3), both(far, near), days=5, sensing_radius_m=4000)
    assert list(found.settlement["sink"]) == ["near"]


def test_a_habitat_raster_gives_the_sinks_of_the_same_polygons():
    from linkways import spatial

    values = np.zeros((20, 60))
    values[8:12, 25:28], values[2:4, 40:42] = 7, 9
    raster = spatial.new_raster(values, crs=PLANE, cell_size=1000, origin=(0, 20e3))
    found = drift(sea(), both(at(5e3, 10e3), at(30e3, 17e3, "b")), days=5, habitat_raster=raster)
    assert dict(zip(found.settlement["source"], found.settlement["sink"], strict=True)) == {"a": "7", "b": "9"}


def test_a_reef_smaller_than_a_part_of_a_cell_is_still_a_sink():
    tiny = box(25.60e3, 10.30e3, 25.61e3, 10.31e3, site="tiny")
    found = drift(sea(), at(5e3, 10.3e3), tiny, days=5, habitat_parts=1)
    assert found.settled_percent == 100


def test_a_source_without_settlers_keeps_its_larvae_in_the_table():
    reef = box(25e3, 8e3, 28e3, 12e3, site="a")
    found = drift(sea(), both(at(5e3, 10e3, "a"), at(30e3, 17e3, "b")), reef, days=5, number=10)
    table = found.settlement.set_index("source")
    assert table.loc["b", ["sink", "released", "settled"]].tolist() == ["a", 10, 0]
    assert list(found.settlement.columns) == ["source", "sink", "released_on", "released", "settled"]


# --- releases ------------------------------------------------------------------------------------------------------


def test_sites_release_on_every_date_and_a_schedule_may_say_otherwise():
    sites = both(at(5e3, 10e3, "a"), at(5e3, 5e3, "b"))
    dates = ["2020-01-01", "2020-01-02T06:00"]
    found = drift(sea(days=5), sites, number=7, release_dates=dates)
    assert found.larvae == 28
    plan = pd.DataFrame({"site": ["b", "b", "a"], "date": [dates[0], dates[1], dates[1]], "number": [3, 4, 5]})
    planned = drift(sea(days=5), sites, schedule=plan, release_dates=[])
    assert planned.fates.set_index("source")["released"].to_dict() == {"a": 5, "b": 7}


def test_a_larva_released_between_two_times_of_the_field_moves_from_then_on():
    found = drift(sea(days=5), at(5e3, 10e3), release_dates=["2020-01-01T06:25"], number=1, days=1, keep_tracks=1)
    np.testing.assert_allclose(last_places(found)[0], [5e3 + 8640, 10e3], atol=1e-3)
    assert found.tracks["days"].iloc[0] == pytest.approx(1)


def test_larvae_of_a_polygon_begin_all_over_its_water():
    land = [(r, c) for r in range(20) for c in range(10, 20)]
    found = drift(sea(0.0, land=land), box(5e3, 5e3, 15e3, 15e3), number=4000, days=0.05)
    cells = found.density.values[5:15, 5:10] / found.density.values[5:15, 5:10].mean()
    assert np.isnan(found.density.values[:, 10:20]).all()
    np.testing.assert_allclose(cells, 1, atol=0.5)  # 80 larvae a cell: 4.5 standard errors


# --- movement ------------------------------------------------------------------------------------------------------


def test_stokes_drift_and_windage_add_to_the_current():
    one = np.ones((20, 60))
    waves = {"stokes_u": (("y", "x"), 0.05 * one, "m s-1"), "stokes_v": (("y", "x"), 0.0 * one, "m s-1")}
    wind = {"wind_u": (("y", "x"), 0.0 * one, "m s-1"), "wind_v": (("y", "x"), 10.0 * one, "m s-1")}
    found = drift(sea(0.1, **waves, **wind), at(5e3, 5e3), number=1, days=1, windage=0.003, keep_tracks=1)
    np.testing.assert_allclose(last_places(found)[0], [5e3 + 0.15 * 86400, 5e3 + 0.03 * 86400], rtol=1e-6)
    without = drift(sea(0.1, **waves, **wind), at(5e3, 5e3), number=1, days=1, stokes=False, keep_tracks=1)
    np.testing.assert_allclose(last_places(without)[0], [5e3 + 0.1 * 86400, 5e3], rtol=1e-6)


def layered(speeds, depths, days=3, **more):
    base = sea(days=days)
    u = np.broadcast_to(np.array(speeds)[None, :, None, None], (days * 24 + 1, len(depths), 20, 60))
    out = base.assign(u=(("time", "depth", "y", "x"), u, {"units": "m s-1"}),
                      v=(("time", "depth", "y", "x"), np.zeros_like(u), {"units": "m s-1"}))  # fmt: skip
    out = out.assign_coords(depth=("depth", depths, {"units": "m", "positive": "down"}))
    for name, values in more.items():
        out[name] = (("time", "depth", "y", "x"), np.broadcast_to(values, u.shape), {"units": "m s-1"})
    return out


def travelled(found):
    return last_places(found)[0, 0] - 5e3


def test_a_larva_moves_with_the_water_of_its_depth():
    field = layered([0.3, 0.1, 0.0], [0.0, 10.0, 30.0])
    for depth, speed in ((0, 0.3), (5, 0.2), (10, 0.1), (20, 0.05), (30, 0)):
        found = drift(field, at(5e3, 10e3), number=1, days=1, depth_m=depth, keep_tracks=1)
        assert travelled(found) == pytest.approx(speed * 86400, abs=0.01)


@pytest.mark.parametrize(("depth", "share"), [(0, 1.0), (5, 0.5), (10, 0.0), (20, 0.0)])
def test_wind_moves_larvae_at_the_topmost_level_and_less_below(depth, share):
    field = layered([0.0, 0.0, 0.0], [0.0, 10.0, 20.0])
    field["wind_u"] = (("y", "x"), np.full((20, 60), 10.0), {"units": "m s-1"})
    field["wind_v"] = 0 * field["wind_u"].assign_attrs(units="m s-1")
    field["wind_v"].attrs["units"] = "m s-1"
    found = drift(field, at(5e3, 10e3), number=1, days=1, depth_m=depth, windage=0.01, keep_tracks=1)
    assert travelled(found) == pytest.approx(share * 8640, abs=0.01)
    below = {"vertical": "diel", "day_depth_m": 20, "night_depth_m": 10, "windage": 0.01}
    assert travelled(drift(field, at(5e3, 10e3), number=1, days=1, keep_tracks=1, **below)) == pytest.approx(0)


def test_a_temperature_of_one_layer_holds_at_all_depths():
    field = layered([0.01, 0.01, 0.01], [0.0, 10.0, 20.0], days=8)
    field["temperature"] = (("y", "x"), np.full((20, 60), 25.0), {"units": "degree_Celsius"})
    found = drift(field, at(5e3, 10e3), number=1, days=7, larval_duration_d=10, development="q10",
                  reference_temperature_c=15, vertical="diel", day_depth_m=20, keep_tracks=1)  # fmt: skip
    assert found.tracks["days"].iloc[0] == pytest.approx(5, abs=0.01)


@pytest.mark.parametrize(("depth", "coefficient"), [(0, 80.0), (10, 40.0), (20, 0.0)])
def test_larvae_are_mixed_by_the_diffusivity_of_their_depth(depth, coefficient):
    field = layered([0.0, 0.0], [0.0, 20.0])
    k = np.broadcast_to(np.array([80.0, 0.0])[None, :, None, None], field.u.shape)
    field["diffusivity"] = (field.u.dims, k)
    aging = {"vertical": "ontogenetic", "depth_ages_d": [0, 1, 9], "depths_m": [depth, depth, 0]}
    for way in ({"depth_m": depth}, aging):
        found = drift(field, at(30e3, 10e3), number=3000, days=0.1, keep_tracks=3000, **way)
        assert last_places(found).var(axis=0) == pytest.approx(2 * coefficient * 8640, rel=0.12, abs=1e-6)


def test_larvae_that_migrate_by_day_and_night_spend_half_the_day_in_each_current():
    """At longitude 3 E, local solar noon is at 11:48 UTC; any whole day holds twelve hours of each."""
    found = drift(layered([0.3, 0.0], [0.0, 20.0]), at(5e3, 10e3), number=1, days=2, vertical="diel", day_depth_m=20,
                  night_depth_m=0, keep_tracks=1)  # fmt: skip
    assert travelled(found) == pytest.approx(0.3 * 86400, rel=0.02)


def test_larvae_that_sink_with_age_slow_down_by_the_depth_they_are_at():
    """Depth rises evenly from 0 to 20 m over two days where speed falls evenly: the mean speed is half."""
    found = drift(layered([0.3, 0.0], [0.0, 20.0]), at(5e3, 10e3), number=1, days=2, vertical="ontogenetic",
                  depth_ages_d=[0, 2], depths_m=[0, 20], keep_tracks=1)  # fmt: skip
    assert travelled(found) == pytest.approx(0.15 * 2 * 86400, rel=0.01)


def test_rising_water_carries_larvae_up_into_faster_water():
    """w = 1e-4 m/s up: 8.64 m in a day, from 20 m, through speeds that rise evenly to the surface."""
    field = layered([0.2, 0.0], [0.0, 20.0], w=1e-4)
    found = drift(field, at(5e3, 10e3), number=1, days=1, vertical="advected", depth_m=20, keep_tracks=1)
    assert travelled(found) == pytest.approx(0.2 * 8.64 / 20 / 2 * 86400, rel=1e-4)


def test_larvae_that_cross_the_antimeridian_go_on():
    x = np.arange(-180, 180, 2.0)
    y = np.arange(-10.0, 11.0, 2)
    values = (("y", "x"), np.ones((len(y), len(x))), {"units": "m s-1"})
    field = xr.Dataset({"u": values, "v": (values[0], 0 * values[1], values[2])}, {"x": x, "y": y})
    field["mask"] = (("y", "x"), np.ones((len(y), len(x)), np.uint8))
    found = drift(field.rio.write_crs("EPSG:4326"), at(179.5, 0, crs="EPSG:4326"), number=1, days=2, keep_tracks=1)
    assert found.drifting_percent == 100
    np.testing.assert_allclose(last_places(found)[0, 0], 179.5 + np.degrees(2 * 86400 / 6378137), atol=1e-6)


@pytest.mark.parametrize("longitude", [-179.0, 181.0])
def test_releases_are_turned_to_the_longitudes_of_the_field(longitude):
    x, y = np.arange(170, 190, 0.5), np.arange(-5, 5, 0.5)
    values = (("y", "x"), np.zeros((20, 40)), {"units": "m s-1"})
    field = xr.Dataset({"u": values, "v": values}, {"x": x, "y": y})
    field["mask"] = (("y", "x"), np.ones((20, 40), np.uint8))
    reef = box(longitude - 1, -1, longitude + 1, 1, crs="EPSG:4326")
    found = drift(field.rio.write_crs("EPSG:4326"), at(longitude, 0, crs="EPSG:4326"), reef)
    assert found.settled_percent == 100


def world(first):
    """Water at rest all around the world, from a first longitude on."""
    x, y = np.arange(first, first + 360, 2.0), np.arange(-10.0, 11.0, 2)
    still = (("y", "x"), np.zeros((len(y), len(x))), {"units": "m s-1"})
    field = xr.Dataset({"u": still, "v": still}, {"x": x, "y": y})
    field["mask"] = (("y", "x"), np.ones((len(y), len(x)), np.uint8))
    return field.rio.write_crs("EPSG:4326")


@pytest.mark.parametrize(("first", "longitude"), [(-179.0, 180.5), (1.0, -170.0), (-179.0, 200.0), (1.0, 0.0)])
def test_habitat_is_found_on_both_sides_of_the_seam_of_a_field_around_the_world(first, longitude):
    crs = "EPSG:4326"
    sites = both(*(at(longitude + d, 0, f"s{d}", crs) for d in (-3.5, -1.5, 1.5, 3.5)))
    reef = box(longitude - 2, -2, longitude + 2, 2, site="reef", crs=crs)
    reached = drift(world(first), sites, reef, number=1).fates.set_index("source")["settled"]
    assert reached.to_dict() == {"s-3.5": 0, "s-1.5": 1, "s1.5": 1, "s3.5": 0}
    # 1.5 degrees from the edge are 167 km
    assert drift(world(first), sites, reef, number=1, sensing_radius_m=230e3).settled_percent == 100


@pytest.mark.parametrize("seam", [20.0, 0.5])
def test_the_sensing_radius_of_a_habitat_raster_is_in_metres_at_every_latitude(seam):
    """At 60 degrees north a degree of longitude is half as long; the reef also lies across the field's seam."""
    from linkways import spatial

    x, y = np.arange(0.5, 360, 1.0), np.arange(0.5, 70, 1.0)
    still = (("y", "x"), np.zeros((len(y), len(x))), {"units": "m s-1"})
    field = xr.Dataset({"u": still, "v": still}, {"x": x, "y": y}).rio.write_crs("EPSG:4326")
    field["mask"] = (("y", "x"), np.ones((len(y), len(x)), np.uint8))
    values = np.zeros((70, 360))
    row, column = 69 - 60, int(seam)  # the cell from 60 to 61 degrees north
    values[row, column] = 1
    raster = spatial.new_raster(values, crs="EPSG:4326", cell_size=1, origin=(0, 70))
    # 55.4 km a degree there: 4 and 6 degrees west of the reef's edge
    sites = both(*(at((np.floor(seam) - d) % 360, 60.5, f"{d}", "EPSG:4326") for d in (4, 6)))
    found = drift(field, sites, habitat_raster=raster, number=1, sensing_radius_m=5 * 55e3, habitat_parts=2)
    assert found.fates.set_index("source")["settled"].to_dict() == {"4": 1, "6": 0}


# --- coast and edge ------------------------------------------------------------------------------------------------

WALL = [(row, 30) for row in range(20)]


@pytest.mark.parametrize(("coast", "fate"), [("reflect", "drifting"), ("hold", "drifting"), ("beach", "beached")])
def test_at_the_coast_larvae_do_as_the_rule_says(coast, fate):
    """0.5 m/s and steps of three hours: 5.4 km, over a wall one cell wide."""
    found = drift(sea(0.5, land=WALL), at(20.5e3, 10e3), coast=coast, step_min=180, keep_tracks=1)
    assert found.fates[fate].iloc[0] == 100
    if coast != "beach":
        assert last_places(found)[0, 0] <= 30e3


def test_no_larva_crosses_a_wall_by_a_random_walk():
    """Steps of 1.5 cells on average, the wall one cell wide."""
    found = drift(
        sea(0.0, land=WALL), at(25e3, 10e3), number=2000, diffusivity_m2_s=150, step_min=120, keep_tracks=2000
    )
    drifting = found.tracks[found.tracks["fate"] == "drifting"]
    assert len(drifting) > 100
    assert (shapely.get_coordinates(drifting.geometry.values)[:, 0] <= 30e3).all()


def test_on_a_c_grid_no_water_and_no_larva_goes_through_a_coast():
    field = seas.currents(flow="uniform", flow_parameters={"u_m_s": 0.3}, bounds=[0, 0, 60e3, 20e3], cell_size=1e3,
                          crs=PLANE, grid="C")  # fmt: skip
    field["mask"].values[:, 30] = 0
    found = drift(field, at(20e3, 10e3), coast="beach", keep_tracks=1)
    assert found.drifting_percent == 100
    assert 29e3 < last_places(found)[0, 0] <= 30e3


def test_what_leaves_the_field_is_lost():
    found = drift(sea(0.5), both(at(50e3, 10e3, "a"), at(5e3, 10e3, "b")), days=1)
    assert found.fates.set_index("source")["lost"].to_dict() == {"a": 100, "b": 0}


# --- life ----------------------------------------------------------------------------------------------------------


def test_larvae_that_do_not_settle_in_their_larval_time_die_at_its_end():
    found = drift(sea(0.01, days=5), at(5e3, 10e3), days=4, larval_duration_d=3, keep_tracks=1)
    assert found.dead_percent == 100
    assert found.tracks["days"].iloc[0] == pytest.approx(3, abs=0.01)


@pytest.mark.parametrize(
    ("development", "degrees", "pace"),
    [
        ("q10", 20.0, 2.5**0.5),
        ("q10", 15.0, 1.0),
        ("oconnor", 25.0, np.exp(1.34 * np.log(25 / 15) + 0.28 * np.log(25 / 15) ** 2)),
    ],
)
def test_in_warm_water_larval_time_is_shorter_by_the_rule(development, degrees, pace):
    warm = sea(0.001, temperature=(("y", "x"), np.full((20, 60), degrees), "degree_Celsius"))
    rule = {"development": development, "reference_temperature_c": 15} | ({"q10": 2.5} if development == "q10" else {})
    found = drift(warm, at(5e3, 10e3), number=1, days=20, larval_duration_d=10, keep_tracks=1, **rule)
    assert found.tracks["days"].iloc[0] == pytest.approx(10 / pace, abs=0.01)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    u=st.floats(-0.6, 0.6), v=st.floats(-0.6, 0.6), mixing=st.floats(0, 60), mortality=st.floats(0, 1.5),
    duration=st.floats(0.5, 3), coast=st.sampled_from(["reflect", "hold", "beach"]), seed=st.integers(0, 2**31),
    scheme=st.sampled_from(["rk4", "rk45"]),
)  # fmt: skip
def test_every_larva_is_accounted_for(u, v, mixing, mortality, duration, coast, seed, scheme):
    land = [(r, c) for r in (8, 9) for c in range(20, 40)]
    sites = both(at(5e3, 5e3, "a"), box(30e3, 12e3, 40e3, 18e3, site="b"))
    reefs = both(box(0, 0, 3e3, 20e3, site="w"), box(50e3, 5e3, 55e3, 9e3, site="e"))
    found = drift(
        sea(u, v, land=land), sites, reefs, number=150, release_dates=[DAY, "2020-01-01T13:10"], days=2,
        larval_duration_d=duration, mortality_per_d=mortality, diffusivity_m2_s=mixing, coast=coast, seed=seed,
        competent_from_d=0.2, step_min=30, scheme=scheme,
    )  # fmt: skip
    fates = found.fates
    assert (fates["released"] == 300).all()
    assert (fates[["settled", "dead", "lost", "beached", "drifting"]].sum(axis=1) == fates["released"]).all()
    assert (
        found.settlement.groupby("source")["settled"].sum().reindex(fates["source"]).tolist()
        == fates["settled"].tolist()
    )
    assert (found.settlement["settled"] <= found.settlement["released"]).all()
    total = (
        found.settled_percent + found.dead_percent + found.lost_percent + found.beached_percent + found.drifting_percent
    )
    assert total == pytest.approx(100)


def test_the_density_holds_the_days_that_larvae_drifted():
    """Time in the water summed over cells = that of all larvae; 1 km2 cells."""
    found = drift(sea(0.1), at(5e3, 10e3), number=50, days=2)
    assert float(found.density.sum()) == pytest.approx(100)
    assert list(found.density.y.values) == sorted(found.density.y.values, reverse=True)


# --- the same numbers everywhere ----------------------------------------------------------------------------------


def busy(**options):
    field = seas.currents(flow="double_gyre", bounds=[0, 0, 60e3, 20e3], cell_size=1e3, crs=PLANE, days=2)
    reefs = both(box(5e3, 5e3, 9e3, 9e3, site="a"), box(40e3, 10e3, 45e3, 15e3, site="b"))
    return field, reefs, {"number": 3000, "days": 1.5, "diffusivity_m2_s": 20, "mortality_per_d": 0.3, "keep_tracks": 5,
                          "competent_from_d": 0.3, **options}  # fmt: skip


def assert_same(one, two):
    pd.testing.assert_frame_equal(one.settlement, two.settlement)
    pd.testing.assert_frame_equal(one.fates, two.fates)
    np.testing.assert_array_equal(one.density.values, two.density.values)
    assert shapely.equals_exact(one.tracks.geometry.values, two.tracks.geometry.values, 0).all()


def test_results_do_not_depend_on_threads(monkeypatch):
    from linkways.seas import _drift_run

    field, reefs, options = busy()
    one = drift(field, reefs, reefs, **options)
    assert 0 < one.settled_percent < 100
    monkeypatch.setattr(_drift_run, "_SHARE", 100)
    monkeypatch.setattr(_drift_run.os, "cpu_count", lambda: 5)
    assert_same(one, drift(field, reefs, reefs, **options))


def test_results_do_not_depend_on_the_order_of_work(monkeypatch):
    from linkways.seas import _drift_run

    field, reefs, options = busy()
    one = drift(field, reefs, reefs, **options)
    rng = np.random.default_rng(0)

    def shuffled(particles, _):
        order = rng.permutation(len(particles.x))
        return type(particles)(*[values[order] for values in particles])

    monkeypatch.setattr(_drift_run, "_sorted", shuffled)
    monkeypatch.setattr(_drift_run, "_SORT_EVERY", 1)
    assert_same(one, drift(field, reefs, reefs, **options))


@pytest.mark.parametrize("grid", ["A", "C"])
def test_a_larva_among_others_of_other_hours_goes_where_it_goes_alone(grid):
    """Also those that are released, and end, inside an interval of the field's times."""
    field = seas.currents(flow="double_gyre", bounds=[0, 0, 60e3, 20e3], cell_size=1e3, crs=PLANE, days=3, grid=grid)
    rng = np.random.default_rng(5)
    names = [f"s{n:02d}" for n in range(40)]
    sites = both(*(at(*rng.uniform((20e3, 6e3), (40e3, 14e3)), name) for name in names))
    dates = [str(pd.Timestamp(DAY) + pd.Timedelta(minutes=int(m))) for m in rng.choice([0, 7, 60, 100], 40)]
    plan = pd.DataFrame({"site": names, "date": dates, "number": 1})
    options = {"release_dates": [], "days": 1.01}
    together = drift(field, sites, schedule=plan, keep_tracks=40, **options).tracks.set_index("source")
    for n in (0, 13, 39):
        alone = drift(field, sites, schedule=plan.iloc[[n]], keep_tracks=1, **options).tracks.geometry.iloc[0]
        assert alone.coords[-1] == together.geometry[names[n]].coords[-1]


def test_results_do_not_depend_on_chunks_on_a_cluster(monkeypatch):
    distributed = pytest.importorskip("distributed")
    from linkways import workers
    from linkways.seas import _drift_run

    field, reefs, options = busy()
    one = drift(field, reefs, reefs, **options)
    monkeypatch.setattr(_drift_run, "_CHUNK", 1700)
    with (
        distributed.LocalCluster(n_workers=1, threads_per_worker=1, processes=False, dashboard_address=None) as cluster,
        workers.on_cluster(cluster.scheduler_address),
    ):
        assert_same(one, drift(field, reefs, reefs, **options))


def test_another_seed_gives_other_larvae_the_same_seed_the_same():
    field, reefs, options = busy()
    one = drift(field, reefs, reefs, **options)
    assert_same(one, drift(field, reefs, reefs, **options))
    other = drift(field, reefs, reefs, **options, seed=2)
    assert not np.array_equal(one.density.values, other.density.values)


def test_a_field_in_a_file_gives_what_it_gives_in_memory(tmp_path):
    pytest.importorskip("netCDF4")
    from linkways.spatial import read_field, write_field

    field, reefs, options = busy()
    with read_field(write_field(field, tmp_path / "field.nc")) as stored:
        assert_same(drift(field, reefs, reefs, **options), drift(stored, reefs, reefs, **options))


@pytest.mark.parametrize("chunk", [1, 5])
def test_a_field_larger_than_what_is_held_streams(tmp_path, chunk):
    """64 MB in a Zarr folder; held at once: two states, and what is stored in one piece with them."""
    pytest.importorskip("zarr")
    import tracemalloc

    from linkways.spatial import read_field

    times, shape = pd.date_range(DAY, periods=50, freq="h"), (400, 400)
    rng = np.random.default_rng(1)
    values = rng.normal(0, 0.1, (50, *shape)).astype(np.float32)
    side = np.arange(400) * 1e3
    stored = xr.Dataset(
        {n: (("time", "y", "x"), values, {"units": "cm s-1"}) for n in "uv"}, {"time": times, "x": side, "y": side}
    )
    stored["mask"] = (("y", "x"), np.ones(shape, np.uint8))
    coding = {n: {"chunks": (chunk, *shape)} for n in "uv"}
    stored.rio.write_crs(PLANE).to_zarr(tmp_path / "f.zarr", zarr_format=2, consolidated=False, encoding=coding)
    size = 2 * values.nbytes
    site, options = at(200e3, 200e3), {"number": 10, "days": 2}
    expected = drift(seas.currents(stored.rio.write_crs(PLANE)), site, keep_tracks=3, **options)
    del values, stored
    with read_field(tmp_path / "f.zarr") as raw:
        field = seas.currents(raw)
        tracemalloc.start()
        found = drift(field, site, keep_tracks=3, **options)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 0.6 * size
    np.testing.assert_array_equal(last_places(found), last_places(expected))


# --- refusals ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"days": 9}, "100 larvae of 1 release dates .* 2020-01-01 00:00, followed to 2020-01-10 00:00"),
        ({"release_dates": ["2019-12-31"]}, "outside the times"),
        ({"release_dates": ["soon"]}, "no date"),
        ({"release_dates": []}, "release_dates or a schedule"),
        ({"release_dates": [DAY, DAY]}, "given twice"),
        ({"days": None}, "larval_duration_d"),
        ({"competent_from_d": 3, "larval_duration_d": 3}, "none could ever settle"),
        ({"depth_m": 5}, "one layer"),
        ({"vertical": "diel"}, "depth levels"),
        ({"windage": 0.02}, "wind_u"),
        ({"development": "q10", "reference_temperature_c": 20.0}, "temperature"),
        ({"number": 0}, "no larva"),
        ({"sensing_radius_m": 100}, "sensing_radius_m is given but is not used without habitat"),
        ({"competence_loss_per_d": 0.1}, "not used without habitat"),
        ({"mortality_shape": 0.5}, "not used where mortality_per_d is 0"),
        ({"reference_temperature_c": 20.0}, "not used for development constant"),
        ({"night_depth_m": 5}, "not used for vertical fixed"),
        ({"depths_m": [1, 2]}, "not used for vertical fixed"),
        ({"tolerance_m": 5}, "not used for scheme rk4"),
    ],
)
def test_rules_that_cannot_be_followed_are_refused_in_one_sentence(options, words):
    with pytest.raises(LinkwaysError, match=words) as told:
        drift(sea(days=3), at(5e3, 10e3), **options)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(
    ("sites", "words"),
    [
        (at(30.5e3, 10e3), "release site a at 30500, 10000 lies on land"),
        (at(90e3, 10e3), "outside the field"),
        (box(30.1e3, 1e3, 30.9e3, 19e3), "on land"),
        (box(80e3, 1e3, 90e3, 19e3), "outside the field"),
    ],
)
def test_sites_on_land_or_outside_are_refused_by_name(sites, words):
    with pytest.raises(LinkwaysError, match=words):
        drift(sea(land=WALL), sites, number=5)


@pytest.mark.parametrize(
    ("reef", "words"),
    [
        (box(30.4e3, 5e3, 30.6e3, 6e3, site="r"), "habitat r lies on land"),
        (box(9e5, 0, 9.1e5, 1e3, site="r"), "outside"),
    ],
)
def test_habitat_on_land_or_outside_is_refused_by_name(reef, words):
    with pytest.raises(LinkwaysError, match=words):
        drift(sea(land=[(r, c) for r in range(20) for c in (28, 29, 30, 31, 32)]), at(5e3, 10e3), reef)


def test_larvae_that_are_not_followed_until_they_could_settle_are_refused():
    with pytest.raises(LinkwaysError, match="competent at 3 days but are followed for 2"):
        drift(sea(), at(5e3, 10e3), box(25e3, 8e3, 28e3, 12e3), days=2, competent_from_d=3)


def test_a_day_that_ends_before_it_begins_is_refused():
    with pytest.raises(LinkwaysError, match="begin before it ends"):
        drift(layered([0.1, 0.1], [0.0, 20.0]), at(5e3, 10e3), days=1, vertical="diel", day_from_h=18, day_to_h=6)


def test_a_negative_diffusivity_is_refused():
    with pytest.raises(LinkwaysError, match="below 0"):
        drift(sea(diffusivity=(("y", "x"), np.full((20, 60), -1.0), "m2 s-1")), at(5e3, 10e3))


def test_a_field_without_a_land_mask_is_refused():
    with pytest.raises(LinkwaysError, match="no land mask"):
        drift(sea().drop_vars("mask"), at(5e3, 10e3))


def test_larvae_deeper_than_the_currents_reach_are_refused():
    with pytest.raises(LinkwaysError, match="depth of 50 m"):
        drift(layered([0.1, 0.1], [0.0, 20.0]), at(5e3, 10e3), depth_m=50)


def test_releases_of_mixed_longitudes_are_refused():
    field = seas.currents(flow="uniform", bounds=[170, -5, 190, 5], cell_size=0.5)
    sites = both(at(-175.0, 0, "a", crs="EPSG:4326"), at(185.0, 0, "b", crs="EPSG:4326"))
    with pytest.raises(LinkwaysError, match="mixes conventions of longitude"):
        drift(field, sites)


def test_a_schedule_that_names_an_unknown_site_is_refused():
    plan = pd.DataFrame({"site": ["z"], "date": [DAY]})
    with pytest.raises(LinkwaysError, match="site 'z'"):
        drift(sea(), at(5e3, 10e3), schedule=plan, release_dates=[])


def test_parcels_that_is_not_installed_is_told_how_to_install():
    from importlib.util import find_spec

    if find_spec("parcels") is not None:
        pytest.skip("parcels is installed here")
    with pytest.raises(MissingExtra, match="parcels"):
        drift(sea(), at(5e3, 10e3), engine="parcels")


def test_parcels_as_engine_moves_larvae_to_the_same_places():
    pytest.importorskip("parcels", minversion="4")
    field, reefs, options = busy(number=200, days=0.5, diffusivity_m2_s=0, mortality_per_d=0, keep_tracks=400)
    ours, theirs = (drift(field, reefs, reefs, **options, engine=e) for e in ("linkways", "parcels"))
    pd.testing.assert_frame_equal(ours.settlement, theirs.settlement)
    np.testing.assert_allclose(last_places(ours), last_places(theirs), atol=0.1)
