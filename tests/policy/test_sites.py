"""Protected areas as the WDPA and WD-OECM give them, old fields and new, and which of them count."""

import math

import pytest
import shapely

from linkways import LinkwaysError
from linkways.policy import protconn
from linkways.policy._sites import Decisions, Filters, read_sites
from tests.policy.places import layer, square

OLD = {
    "WDPAID": [1.0, 2.0, 3.0, 4.0],
    "PA_DEF": ["1", "0", "1", "1"],
    "STATUS": ["Designated", "Established", "Proposed", "Inscribed"],
    "STATUS_YR": [1980, 2015, 2020, 0],
    "DESIG_ENG": ["National Park", "OECM", "Nature Reserve", "UNESCO-MAB Biosphere Reserve"],
    "MARINE": ["0", "2", "1", "0"],
}
NEW = {
    "SITE_ID": [1, 2, 3, 4],
    "SITE_TYPE": ["PA", "OECM", "PA", "PA"],
    "STATUS": OLD["STATUS"],
    "STATUS_YR": OLD["STATUS_YR"],
    "DESIG_ENG": OLD["DESIG_ENG"],
    "REALM": ["Terrestrial", "Marine", "Coastal", "Terrestrial"],
}
BOTH = pytest.mark.parametrize("fields", [OLD, NEW, {k.lower(): v for k, v in OLD.items()}], ids=["old", "new", "case"])


def read(fields, **filters):
    decisions = Decisions()
    areas = layer(*[square(2000 * i, 0) for i in range(4)], **fields)
    sites = read_sites(areas, Filters(**filters), decisions)
    return sites, decisions.table()


@BOTH
def test_fields_of_either_schema_are_read(fields):
    sites, table = read(fields)
    assert sites.name.tolist() == ["1", "2", "3", "4"]
    assert sites.oecm.tolist() == [False, True, False, False]
    assert sites.year[:3].tolist() == [1980, 2015, 2020]
    assert math.isnan(sites.year[3])
    assert table.features[0] == 4


@BOTH
@pytest.mark.parametrize(
    ("filters", "left"),
    [
        ({"exclude_status": ("proposed", "Not Reported")}, ["1", "2", "4"]),
        ({"unesco_mab": "drop"}, ["1", "2", "3"]),
        ({"oecm": "exclude"}, ["1", "3", "4"]),
        ({"oecm": "only"}, ["2"]),
        ({"realm": "terrestrial"}, ["1", "3", "4"]),
        ({"realm": "marine"}, ["2", "3"]),
    ],
)
def test_a_filter_drops_its_sites_and_counts_them(fields, filters, left):
    sites, table = read(fields, **filters)
    assert sites.name.tolist() == left
    dropped = table[table.decision.str.startswith("dropped")]
    assert dropped.features.sum() == 4 - len(left)


def test_filters_one_after_the_other_count_no_site_twice():
    _, table = read(NEW, exclude_status=("Proposed",), unesco_mab="drop", oecm="exclude", realm="terrestrial")
    assert table[table.decision.str.startswith("dropped")].features.tolist() == [1, 1, 1, 0]


def test_a_layer_without_these_fields_is_taken_whole_and_says_so():
    sites, table = read({}, exclude_status=("Proposed",), realm="terrestrial")
    assert len(sites) == 4
    assert table.decision.str.contains("no field STATUS").any()
    assert table.decision.str.contains("no field REALM or MARINE").any()


def test_nothing_left_after_the_filters_is_refused():
    with pytest.raises(LinkwaysError, match="none of the 4 features is left"):
        read(NEW, exclude_status=("Designated", "Established", "Proposed", "Inscribed"))


def points():
    places = [shapely.Point(5000, 5000), shapely.Point(9000, 5000), square(0, 0)]
    return layer(*places, REP_AREA=[3.0, 0.0, 1.0])


def test_points_become_circles_of_exactly_their_reported_area():
    found = protconn(points(), layer(shapely.box(0, 0, 20_000, 20_000)), distances_km=[10])
    assert found.fractions.protected_km2.iloc[0] == pytest.approx(4.0, rel=1e-12)
    counts = found.decisions.set_index("decision").features
    assert counts["points became circles of their reported area"] == 1
    assert counts["dropped: points without a reported area"] == 1
    without = protconn(points(), layer(shapely.box(0, 0, 20_000, 20_000)), points="drop")
    assert without.fractions.protected_km2.iloc[0] == pytest.approx(1.0)


def test_points_in_degrees_become_circles_of_exactly_their_reported_area():
    areas = layer(shapely.Point(20, 60), crs="EPSG:4326", REP_AREA=[7.0])
    found = protconn(areas, layer(shapely.box(19, 59, 21, 61), crs="EPSG:4326"), distances_km=[10])
    assert found.fractions.protected_km2.iloc[0] == pytest.approx(7.0, rel=1e-9)


BOWTIE = shapely.Polygon([(0, 0), (1000, 1000), (1000, 0), (0, 1000)])


def test_invalid_polygons_are_repaired_and_counted_or_refused():
    areas = layer(square(5000, 0), BOWTIE)
    country = layer(shapely.box(0, 0, 20_000, 20_000))
    found = protconn(areas, country)
    repair = found.decisions[found.decisions.step == "repair"].iloc[0]
    assert repair.features == 1
    assert "Self-intersection" in repair.decision
    assert found.fractions.protected_km2.iloc[0] == pytest.approx(1.5)
    with pytest.raises(LinkwaysError, match=r"the one with index 1.*Self-intersection"):
        protconn(areas, country, invalid="refuse")


def test_an_empty_layer_is_refused():
    with pytest.raises(LinkwaysError, match="holds no features"):
        protconn(layer(square(0, 0)).iloc[:0], layer(square(0, 0)))
