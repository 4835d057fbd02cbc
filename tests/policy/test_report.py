"""The policy report puts each value where its indicator stands and hides nothing that is missing."""

import csv
from importlib.resources import files

import geopandas as gpd
import pandas as pd
import pytest
import shapely

from linkways import policy
from linkways.errors import LinkwaysError


def values(**columns):
    return pd.DataFrame(
        {"indicator": ["protconn", "protconn", "urban-green-share"], "value": [7.5, 4.25, 31.0], **columns}
    )


def listed():
    text = (files("linkways.policy") / "data" / "framework_indicators.csv").read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))


def test_every_listed_indicator_has_a_place_a_source_and_a_date():
    rows = listed()
    assert {(row["framework"], row["target"]) for row in rows} == {
        ("GBF", "2"), ("GBF", "3"), ("GBF", "12"), ("CMS", "2.1"), ("CMS", "2.2"), ("CMS", "2.3"), ("CMS", "12.26"),
    }  # fmt: skip
    assert all(row["place"] and row["source"] and len(row["source_date"]) == 10 for row in rows)
    assert len({row["key"] for row in rows}) == len(rows)


def test_every_method_that_the_list_names_exists():
    from linkways.method import methods

    named = {row["linkways_method"] for row in listed()} - {""}
    assert named <= set(methods())


def test_values_stand_at_their_indicator_in_their_order():
    table = policy.report([values(unit="%", thresholds=["10 km", "30 km", ""])], place="Somewhere").indicators
    connected = table[table["indicator"].str.contains("ProtConn")]
    assert list(connected["value"]) == [7.5, 4.25]
    assert list(connected["thresholds"]) == ["10 km", "30 km"]
    assert set(connected["place"]) == {"component"}
    green = table[table["number"] == "12.1"]
    assert list(green["value"]) == [31.0]


def test_an_indicator_without_a_value_stays_and_is_said_not_to_be_computed():
    found = policy.report([values()], place="Somewhere")
    assert found.answered == 2
    assert found.answered + found.unanswered == len(listed())
    assert found.document.count(">not computed<") == found.unanswered
    assert found.indicators["value"].isna().sum() == found.unanswered


def test_only_the_frameworks_asked_for_are_reported():
    table = policy.report([values()], place="Somewhere", frameworks=["GBF 12"]).indicators
    assert set(table["target"]) == {"12"}


def test_a_value_keeps_its_own_date_and_the_others_take_the_reports():
    dated = policy.report([values(data_date=["2020", None, None])], place="Somewhere", data_date="2024").indicators
    assert list(dated.loc[dated["value"].notna(), "data_date"]) == ["2020", "2024", "2024"]


def test_a_corridor_gets_every_field_of_the_record_with_what_is_told():
    shape = shapely.box(-52.5, -22.6, -52.3, -22.4)
    corridors = gpd.GeoDataFrame(
        {"name": ["Black Lion"], "tenure": ["private farms"], "cost": [3.0]}, geometry=[shape], crs="EPSG:4326"
    )
    found = policy.report([values()], corridors, place="Somewhere")
    told = dict(zip(found.corridors["field"], found.corridors["content"], strict=True))
    assert told["name"] == "Black Lion"
    assert told["tenure"] == "private farms"
    assert told["location"] == "22.500 degrees south, 52.400 degrees west"
    assert told["governance"] == ""
    assert "cost" not in told
    assert "private farms" in found.document


def test_what_users_write_is_shown_and_never_run():
    found = policy.report([values(method="<script>alert(1)</script>")], place="<b>here</b>")
    assert "<script>alert" not in found.document
    assert "&lt;b&gt;here" in found.document


def test_an_own_list_replaces_the_packaged_one():
    own = pd.DataFrame(
        {"framework": ["National"], "target": ["7"], "place": ["headline"], "indicator": ["Green bridges"],
         "key": ["bridges"], "source": ["ministry"], "source_date": ["2026-01-01"]}
    )  # fmt: skip
    one = pd.DataFrame({"indicator": ["bridges"], "value": [12]})
    found = policy.report([one], None, own, place="Somewhere", frameworks=["GBF 2", "CMS"])
    assert list(found.indicators["indicator"]) == ["Green bridges"]


def test_an_unknown_key_is_refused_with_the_nearest_one():
    wrong = pd.DataFrame({"indicator": ["protcon"], "value": [1.0]})
    with pytest.raises(LinkwaysError, match=r"values table 1 holds the indicator 'protcon'.*protconn"):
        policy.report([wrong], place="Somewhere")


def test_no_values_at_all_are_refused():
    with pytest.raises(LinkwaysError, match="no values to report"):
        policy.report([values().iloc[:0]], place="Somewhere")


def test_values_of_every_indicator_method_go_straight_into_the_report():
    parks = gpd.GeoDataFrame(geometry=[shapely.box(0, 0, 2000, 1000), shapely.box(5000, 0, 6000, 1000)], crs=3035)
    region = gpd.GeoDataFrame({"name": ["here"]}, geometry=[shapely.box(0, 0, 10_000, 1000)], crs=3035)
    tables = [
        policy.protconn(parks, region, distances_km=[1, 10]).reported,
        policy.representation(parks, region).reported,
        policy.urban_green(parks, region).reported,
        policy.protected_isolation(parks).reported,
    ]
    found = policy.report(tables, place="here")
    told = found.indicators.dropna(subset="value").groupby("indicator")["value"].first()
    assert told["Coverage of protected areas and other effective area-based conservation measures"] == pytest.approx(30)
    assert told.filter(like="green or blue").iloc[0] == pytest.approx(30)
    connected = found.indicators[found.indicators["indicator"].str.contains("ProtConn")]
    assert list(connected["thresholds"]) == ["probability 0.5 at 1 km", "probability 0.5 at 10 km"]
    assert "policy.protconn" in found.document
