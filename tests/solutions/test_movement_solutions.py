"""The solutions that start from GPS tracks find the truth that their simulated animals were made from."""

import geopandas as gpd
import pandas as pd
import pytest

from linkways.solutions import solution_files
from linkways.studies import load_study, run_study


def ran(id, folder):
    run_study(load_study(solution_files()[id]), folder)
    return folder


@pytest.fixture(scope="module")
def deer(tmp_path_factory):
    return ran("mule-deer-migration", tmp_path_factory.mktemp("deer"))


@pytest.fixture(scope="module")
def elephants(tmp_path_factory):
    return ran("elephant-corridors", tmp_path_factory.mktemp("elephants"))


def packaged(id, name):
    return solution_files()[id].parent / name


def test_every_deer_migrates_twice_at_its_true_time(deer):
    found = pd.read_csv(deer / "tables" / "migration.migrations.csv", parse_dates=["start", "middle", "end"])
    truth = pd.read_csv(packaged("mule-deer-migration", "truth.csv"), index_col="animal")
    assert found.groupby("animal").size().to_dict() == dict.fromkeys(truth.index, 2)
    off = []
    for row in found.itertuples():
        starts, ends = (
            pd.Timestamp(truth.loc[row.animal, f"{row.season}_{which}"], tz="UTC") for which in ("start", "end")
        )
        assert starts <= row.middle <= ends + pd.Timedelta(days=1)
        off += [abs((row.start - starts).days), abs((row.end - ends).days)]
    # a logistic curve is flat at both ends, and stopovers may lie there
    assert pd.Series(off).median() <= 5


def test_the_neck_between_the_lakes_is_found_at_its_place_and_width(deer):
    found = gpd.read_parquet(deer / "layers" / "bottlenecks.bottlenecks.parquet")
    lakes = gpd.read_file(packaged("mule-deer-migration", "lakes.geojson"))
    strait = lakes.geometry.iloc[0].distance(lakes.geometry.iloc[1])
    assert strait == pytest.approx(400, abs=1)
    neck = found.sort_values("width_m").iloc[0]
    assert neck["width_m"] == pytest.approx(strait, abs=50)
    assert neck["share_animals"] == 1
    assert neck["is_cut"]
    assert max(neck.geometry.distance(lake) for lake in lakes.geometry) < strait


def test_the_fence_at_the_neck_is_the_first_to_open(deer):
    ranking = pd.read_csv(deer / "tables" / "fences.ranking.csv")
    assert ranking.iloc[0]["fence"] == "fence at the neck"


def test_what_elephants_choose_is_recovered_for_woodland_and_fields(elephants):
    found = pd.read_csv(elephants / "tables" / "selection.coefficients.csv").set_index("term")
    # the classes of SELECTION in scripts/simulated_tracks.py
    for term, truth in (("landcover[2]", 0.8), ("landcover[3]", -0.5)):
        assert found.loc[term, "low"] < truth < found.loc[term, "high"]


def test_streaks_join_all_three_reserves_and_risk_grows_along_them(elephants):
    joined = pd.read_csv(elephants / "tables" / "streaking.joined.csv")
    assert len(joined) == 3
    assert (joined["with_streak"] == joined["transits"]).all()
    risk = pd.read_csv(elephants / "tables" / "conflict.coefficients.csv").set_index("covariate")
    assert risk.loc["users", "low"] > 0


def test_chilli_and_ginger_are_least_liked_and_maize_most(elephants):
    foods = pd.read_csv(elephants / "tables" / "food_choice.ranking.csv").sort_values("worth")
    # the true strengths of CROPS in scripts/simulated_tracks.py
    assert set(foods["food"].iloc[:2]) == {"chilli", "ginger"}
    assert foods["food"].iloc[-1] == "maize"


def test_five_response_units_are_placed_with_proof(elephants):
    units = pd.read_csv(elephants / "tables" / "units.curve.csv")
    assert (units["covered_share"].diff().dropna() >= 0).all()
