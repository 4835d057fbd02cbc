"""The study of the cats of the Kopet Dag finds the truth that its simulated camera traps were made from."""

import json

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest

from linkways.errors import LinkwaysError
from linkways.solutions import solution_files
from linkways.spatial import builtin_sources
from linkways.studies import load_study, run_study

LEOPARD, MANUL, URIAL, GOAT = "Panthera pardus saxicolor", "Otocolobus manul", "Ovis vignei", "Capra aegagrus"
BEFORE_THE_FENCE = {f"KD-{number:02d}" for number in range(1, 7)}


@pytest.fixture(scope="module")
def cats(tmp_path_factory):
    for source in builtin_sources():
        try:
            source.path()
        except LinkwaysError as error:
            pytest.skip(str(error))
    folder = tmp_path_factory.mktemp("cats")
    run_study(load_study("kopet-dag-cats"), folder)
    return folder


@pytest.fixture(scope="module")
def truth():
    return packaged("truth.csv").set_index("quantity")["value"]


def packaged(name):
    return pd.read_csv(solution_files()["kopet-dag-cats"].parent / name)


def layer(name):
    return gpd.read_file(solution_files()["kopet-dag-cats"].parent / name)


def table(folder, name):
    return pd.read_csv(folder / "tables" / f"{name}.csv")


def numbers(folder):
    record = json.loads((folder / "run.json").read_text())
    return {f"{s['id']}.{o['name']}": o["value"] for s in record["steps"] for o in s["outputs"] if "value" in o}


def test_twenty_cameras_stand_in_a_reserve_of_497_km2_on_both_sides_of_its_fence():
    reserve, fence = layer("reserve.geojson"), layer("fence.geojson")
    assert reserve.area.sum() / 1e6 == pytest.approx(497, abs=0.1)
    cameras = packaged("deployments.csv")
    assert len(cameras) == 20
    places = gpd.GeoSeries.from_xy(cameras["longitude"], cameras["latitude"], crs=4326).to_crs(reserve.crs)
    assert places.within(reserve.geometry.iloc[0]).all()
    # the fence runs from west to east: what lies on its right is before it, towards the border
    line = fence.geometry.iloc[0]
    below = [place.y < line.interpolate(line.project(place)).y for place in places]
    assert set(cameras["deploymentID"][below]) == BEFORE_THE_FENCE


def test_effort_is_the_time_of_all_cameras_less_their_failures(cats):
    def days(frame, start, end):
        return ((pd.to_datetime(frame[end]) - pd.to_datetime(frame[start])) / pd.Timedelta(days=1)).sum()

    expected = days(packaged("deployments.csv"), "deploymentStart", "deploymentEnd")
    expected -= days(packaged("failures.csv"), "start", "end")
    assert numbers(cats)["survey.total_effort_days"] == pytest.approx(expected)


def test_the_pictures_taken_on_the_way_home_are_named_and_left_out(cats):
    given, rows = packaged("observations.csv"), table(cats, "tables.rows")
    ends = packaged("deployments.csv").set_index("deploymentID")["deploymentEnd"]
    late = pd.to_datetime(given["eventStart"]) > pd.to_datetime(given["deploymentID"].map(ends))
    assert late.sum() == 3
    assert rows.loc[rows["outcome"] == "rejected", "row"].tolist() == (np.flatnonzero(late) + 1).tolist()
    assert len(table(cats, "tables.observations")) == len(given) - 3


@pytest.mark.parametrize("other", [URIAL, GOAT, MANUL])
def test_the_overlap_of_the_leopards_day_with_each_other_is_recovered(cats, truth, other):
    found = table(cats, "days.overlaps").set_index(["species_a", "species_b"]).loc[(LEOPARD, other)]
    assert found["low"] < truth[f"overlap of {LEOPARD} and {other}"] < found["high"]


@pytest.mark.parametrize(("step", "species", "visits_a_day"), [("pallas_cat", MANUL, 0.028), ("urial", URIAL, 0.08)])
def test_occupancy_and_detection_are_recovered(cats, truth, step, species, visits_a_day):
    season = table(cats, f"{step}.seasons").iloc[0]
    assert season["psi_low"] < truth[f"occupancy of {species}"] < season["psi_high"]
    # a Poisson number of visits in ten days is not 0
    seen = -np.expm1(-10 * visits_a_day)
    found = table(cats, f"{step}.coefficients").set_index("parameter").loc["detection"]
    assert found["low"] < np.log(seen / (1 - seen)) < found["high"]


def test_pallas_cat_is_found_to_live_on_rocky_ground_as_it_was_made_to(cats, truth):
    found = table(cats, "pallas_cat.coefficients").set_index("term").loc["rocky"]
    assert 0 < found["low"] < truth[f"slope of {MANUL}"] < found["high"]


def test_stations_with_a_cat_are_told_from_those_without(cats, truth):
    fitted = table(cats, "pallas_cat.fitted")
    assert fitted["psi_conditional"].mean() == pytest.approx(truth[f"stations with {MANUL}"], abs=0.05)


def test_density_range_and_visits_of_leopards_are_recovered(cats, truth):
    found = numbers(cats)
    assert found["leopards.mean_density_low"] < truth["density"] < found["leopards.mean_density_high"]
    assert found["leopards.animals_captured"] == truth["individuals recorded"]
    coefficients = table(cats, "leopards.coefficients").set_index("parameter")
    for name in ("sigma", "lambda0"):
        assert coefficients.loc[name, "value_low"] < truth[name] < coefficients.loc[name, "value_high"]


def test_the_cost_of_the_fence_is_bounded_below_only_where_no_leopard_was_seen_on_both_sides(cats, truth):
    seen = packaged("observations.csv").dropna(subset="individualID")
    before = seen["deploymentID"].isin(BEFORE_THE_FENCE).groupby(seen["individualID"]).mean()
    assert set(before) == {0.0, 1.0}
    found = table(cats, "leopards.coefficients").set_index("parameter").loc["resistance"]
    assert 0 < found["low"] < truth["alpha of the fence"] < found["high"]
    assert np.isinf(found["high"])
    assert numbers(cats)["leopards.barrier_p"] < 0.01


def test_a_model_without_the_fence_takes_ranges_for_smaller_than_they_are(cats, truth):
    straight = table(cats, "straight.coefficients").set_index("parameter").loc["sigma"]
    assert straight["value_high"] < truth["sigma"]
    models = table(cats, "leopards.models").set_index("model")
    assert models["delta_aic"].idxmin() == "as asked"
    assert models.loc["euclidean", "delta_aic"] > 4


def test_without_the_fence_leopards_cross_more_than_at_the_least_cost_that_the_data_allow(cats):
    crossing = table(cats, "leopards.crossing").set_index("scenario")["crossing_share"]
    assert crossing["as estimated"] <= crossing["low end"] < crossing["removed"]


def test_the_fence_parts_the_south_from_all_other_places_and_hardly_parts_them(cats):
    """Node 2 is the only place before the fence; north (3) and west (4) lie far behind it."""
    open_land, fenced, tight = (
        table(cats, f"flow_{state}.resistances").set_index(["node_a", "node_b"])["resistance"]
        for state in ("open", "fenced", "tight")
    )
    # current needs no less where a cell is costlier (Rayleigh)
    assert (open_land < fenced).all()
    assert (fenced < tight).all()
    rise = tight - open_land
    across = [(1, 2), (2, 3), (2, 4)]
    assert rise[across].min() > 3 * rise.drop(across).max()
    assert rise[(3, 4)] < 0.05 * open_land[(3, 4)]


def test_everything_made_up_is_called_simulated_and_the_land_cover_is_real(cats):
    record = json.loads((cats / "run.json").read_text())
    told = {one["name"]: one["simulated"] for one in record["inputs"]}
    real = {"landcover", "classes", "countries"}
    assert {name for name, simulated in told.items() if not simulated} == real
    page = (cats / "report.html").read_text(encoding="utf-8")
    assert "Simulated data" in page
    assert "MODIS" in page
    assert "elevation" in page
    for name in ("deployments.csv", "observations.csv"):
        (column,) = [column for column in packaged(name) if column.endswith("Tags")]
        assert (packaged(name)[column] == "simulated:true").all()
