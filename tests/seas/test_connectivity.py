"""Dispersal between sites, checked by hand, by brute force over settlers, and by what must hold of any matrix."""

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from linkways import LinkwaysError
from linkways.seas import connectivity
from linkways.spatial import recording


def layer(names, production=None, **columns):
    frame = gpd.GeoDataFrame(
        {"site": list(names), **columns},
        geometry=gpd.points_from_xy(146 + 0.1 * np.arange(len(names)), -18 - 0.05 * np.arange(len(names))),
        crs="EPSG:4326",
    )
    return frame if production is None else frame.assign(production=np.asarray(production, dtype=float))


def settlers(rows, dated=True):
    columns = ["source", "sink", "released_on", "released", "settled"]
    return pd.DataFrame(rows, columns=columns if dated else [c for c in columns if c != "released_on"])


TWO_YEARS = settlers(
    [
        ("a", "a", "2020-10-01", 100, 10),
        ("a", "b", "2020-10-01", 100, 30),
        ("a", "b", "2020-11-01", 300, 30),
        ("a", "b", "2021-10-01", 200, 0),
        ("b", "a", "2020-10-01", 50, 5),
        ("b", None, "2021-10-01", 50, 0),
    ]
)


def matrix_of(pairs, names, column):
    out = pd.DataFrame(0.0, index=list(names), columns=list(names))
    for row in pairs.itertuples():
        out.loc[row.source, row.sink] = getattr(row, column)
    return out.to_numpy()


def test_probabilities_pool_settlers_and_releases_of_all_dates():
    found = connectivity(TWO_YEARS, layer("ab", [1000, 10]))
    assert matrix_of(found.pairs, "ab", "probability") == pytest.approx(np.array([[10, 60], [5, 0]]) / [[600], [100]])
    assert matrix_of(found.pairs, "ab", "flow") == pytest.approx(np.array([[1000 / 60, 100], [0.5, 0]]))
    assert matrix_of(found.pairs, "ab", "migration").sum(axis=0) == pytest.approx([1, 1])


def test_variance_over_dates_and_years_counts_releases_without_settlers_as_zero():
    found = connectivity(TWO_YEARS, layer("ab")).pairs.set_index(["source", "sink"])
    # a to b: 0.3, 0.1 and 0 on three dates; 60 of 400 and 0 of 200 in two years
    assert found.variance_dates["a", "b"] == pytest.approx(np.var([0.3, 0.1, 0.0], ddof=1))
    assert found.variance_years["a", "b"] == pytest.approx(np.var([60 / 400, 0.0], ddof=1))
    # b released on two dates of the three
    assert found.variance_dates["b", "a"] == pytest.approx(np.var([0.1, 0.0], ddof=1))


def test_variances_of_flows_follow_from_the_flows_of_each_date():
    found = connectivity(TWO_YEARS, layer("ab", [1000, 10])).sites.set_index("site")
    assert found.inflow_variance_dates["b"] == pytest.approx(np.var([300, 100, 0], ddof=1))
    assert found.outflow_variance_dates["b"] == pytest.approx(np.var([1, 0], ddof=1))
    assert found.inflow_variance_years["b"] == pytest.approx(np.var([150, 0], ddof=1))


def test_the_tables_by_date_tell_each_date_alone():
    found = connectivity(TWO_YEARS, layer("ab", [1000, 10]))
    october = found.by_date[found.by_date.released_on == "2020-10-01"]
    assert matrix_of(october, "ab", "probability") == pytest.approx(np.array([[0.1, 0.3], [0.1, 0]]))
    assert found.dates.year.tolist() == [2020, 2020, 2021]
    assert found.dates.released.tolist() == [150, 300, 250]
    assert found.dates.settled_share[0] == pytest.approx((400 + 1) / 1010)


def test_retention_recruitment_and_the_source_sink_index_are_those_of_their_definitions():
    rows = [("a", "a", 100, 20), ("a", "b", 100, 30), ("b", "b", 100, 5), ("b", "a", 100, 1)]
    found = connectivity(settlers(rows, dated=False), layer("ab", [10, 40])).sites.set_index("site")
    assert found.local_retention.tolist() == pytest.approx([0.2, 0.05])
    assert found.relative_local_retention.tolist() == pytest.approx([2 / 5, 2 / 2.4])
    assert found.self_recruitment.tolist() == pytest.approx([2 / 2.4, 2 / 5])
    assert found.inflow.tolist() == pytest.approx([0.4, 3])
    assert found.outflow.tolist() == pytest.approx([3, 0.4])
    assert found.export_share.tolist() == pytest.approx([0.3, 0.01])
    assert found.import_share.tolist() == pytest.approx([0.4 / 2.4, 0.6])
    assert found.source_sink_index.tolist() == pytest.approx([2.6 / 3.4, -2.6 / 3.4])
    assert found.role.tolist() == ["source", "sink"]


def test_a_site_that_released_nothing_has_no_known_retention():
    with recording() as log:
        found = connectivity(settlers([("a", "b", 10, 5)], dated=False), layer("ab"))
    assert np.isnan(found.sites.local_retention[1])
    assert found.settled_share == 0.5
    assert any("nothing was released at 1 sites" in sentence for sentence in log)


def test_settlement_sites_may_be_another_layer():
    table = settlers([("a", "a", 100, 20), ("a", "x", 100, 30), ("b", "", 50, 0)], dated=False)
    sinks = layer(["a", "x"]).to_crs("EPSG:32755").rename_geometry("shape")
    found = connectivity(table, layer("ab", [10, 4]), sinks)
    assert found.sites.site.tolist() == ["a", "b", "x"]
    assert matrix_of(found.pairs, "abx", "flow") == pytest.approx(np.array([[2, 0, 3], [0, 0, 0], [0, 0, 0]]))
    assert found.settled_share == pytest.approx(5 / 14)
    assert found.pairs.distance_km[1] == pytest.approx(connectivity(table, layer("axb")).pairs.distance_km[1])


@pytest.mark.slow
def test_settlers_of_drift_are_taken_as_they_are():
    from shapely.geometry import box

    from linkways.seas import currents, drift

    east = currents(
        flow="uniform", flow_parameters={"u_m_s": 0.1}, bounds=[0, 0, 100e3, 20e3], cell_size=1000, crs="EPSG:32631"
    )
    reefs = gpd.GeoDataFrame(
        {"site": ["west reef", "east reef"]},
        geometry=[box(5e3, 5e3, 10e3, 15e3), box(50e3, 5e3, 60e3, 15e3)],
        crs="EPSG:32631",
    )
    drifted = drift(
        east, reefs, reefs, release_dates=["2020-01-01", "2021-01-01"], number=50, larval_duration_d=6,
        competent_from_d=4,
    )  # fmt: skip
    found = connectivity(drifted.settlement, reefs)
    # 8.64 km a day carry all larvae of the west reef to the east reef while they are competent
    assert found.pairs[["source", "sink", "probability"]].to_numpy().tolist() == [["west reef", "east reef", 1.0]]
    assert found.pairs.variance_years.tolist() == [0.0]
    assert found.dates.year.tolist() == [2020, 2021]
    assert found.pairs.direction_deg[0] == pytest.approx(90, abs=2)
    assert found.sites.role.tolist() == ["source", "sink"]


def test_limits_of_probabilities_are_wilsons():
    rows = [("a", "a", 40, 0.0), ("a", "b", 40, 7), ("b", "a", 25, 25)]
    found = connectivity(settlers(rows, dated=False), layer("ab"), confidence=0.9)
    for row in found.pairs.itertuples():
        expected = binomtest(int(row.settled), int(row.released)).proportion_ci(0.9, "wilson")
        assert (row.lower, row.upper) == pytest.approx((expected.low, expected.high), abs=1e-12)
    never = binomtest(0, 40).proportion_ci(0.9, "wilson").high
    assert found.sites.unseen_upper[0] == pytest.approx(never)


def test_distances_and_directions_are_geodesics_between_centroids():
    reefs = gpd.GeoDataFrame(
        {"site": ["o", "n", "e"]}, geometry=gpd.points_from_xy([0, 0, 1], [0, 1, 0]), crs="EPSG:4326"
    ).to_crs("EPSG:3857")
    rows = [("o", "o", 9, 1), ("o", "n", 9, 1), ("n", "o", 9, 1), ("o", "e", 9, 1), ("e", "o", 9, 1)]
    found = connectivity(settlers(rows, dated=False), reefs).pairs.set_index(["source", "sink"])
    assert found.distance_km["o", "n"] == pytest.approx(110.574, abs=1e-3)  # a degree of latitude at the equator
    assert found.distance_km["o", "e"] == pytest.approx(111.3195, abs=1e-3)  # and of longitude, WGS84
    assert found.direction_deg["o", "n"] == 0
    assert found.direction_deg["n", "o"] == 180
    assert found.direction_deg["e", "o"] == pytest.approx(270)
    assert np.isnan(found.direction_deg["o", "o"])


def test_the_mean_direction_of_the_outflow_weighs_larvae():
    reefs = gpd.GeoDataFrame(
        {"site": ["o", "n", "e"]}, geometry=gpd.points_from_xy([0, 0, 0.1], [0, 0.1, 0]), crs="EPSG:4326"
    )
    rows = [("o", "n", 100, 10), ("o", "e", 100, 10), ("o", "o", 100, 80)]
    found = connectivity(settlers(rows, dated=False), reefs).sites
    assert found.mean_direction_deg[0] == pytest.approx(45, abs=1e-6)
    assert found.mean_distance_km[0] == pytest.approx((11.0574 + 11.1319) / 2, abs=1e-3)


def test_the_strongest_links_lead_from_source_to_sink():
    rows = [("a", "a", 100, 90), ("a", "b", 100, 5), ("b", "a", 100, 9), ("b", "c", 100, 2)]
    found = connectivity(settlers(rows, dated=False), layer("abc"), strongest=2).links
    assert list(zip(found.source, found.sink, strict=True)) == [("b", "a"), ("a", "b")]
    assert found.geometry[1].coords[0] == pytest.approx((146.0, -18.0))
    assert found.geometry[1].coords[1] == pytest.approx((146.1, -18.05))


# --- what must hold of any dispersal ---------------------------------------------------------------------------


@st.composite
def dispersals(draw):
    n = draw(st.integers(1, 5))
    dates = draw(st.integers(1, 3))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    rows = []
    for date in range(dates):
        for i in range(n):
            released = int(rng.integers(1, 200))
            shares = rng.dirichlet(np.full(n + 1, 0.4))
            counts = rng.multinomial(released, shares)[:n]
            rows += [(f"s{i}", f"s{j}", f"202{date}-01-01", released, c) for j, c in enumerate(counts)]
    production = rng.uniform(0.1, 50, n)
    return settlers(rows), layer([f"s{i}" for i in range(n)], production), production


@settings(max_examples=12, deadline=None)
@given(dispersals())
def test_rows_and_columns_sum_as_defined(case):
    table, sites, production = case
    found = connectivity(table, sites)
    names = sites.site
    probability, flow, migration = (matrix_of(found.pairs, names, c) for c in ("probability", "flow", "migration"))
    assert probability.sum(axis=1) == pytest.approx(found.sites.settled_share.to_numpy())
    assert (probability.sum(axis=1) <= 1 + 1e-12).all()
    assert flow.sum(axis=1) == pytest.approx(production * probability.sum(axis=1))
    columns = migration.sum(axis=0)
    assert columns == pytest.approx((flow.sum(axis=0) > 0).astype(float))
    assert found.sites.inflow.sum() == pytest.approx(found.sites.outflow.sum())
    own = np.diag(flow)
    assert found.settled_share * production.sum() == pytest.approx(flow.sum())
    assert found.local_retention * production.sum() == pytest.approx(own.sum())


@settings(max_examples=12, deadline=None)
@given(dispersals(), st.randoms(use_true_random=False))
def test_the_order_of_rows_and_sites_changes_nothing(case, random):
    table, sites, _ = case
    order = list(range(len(sites)))
    random.shuffle(order)
    one = connectivity(table, sites)
    other = connectivity(table.sample(frac=1, random_state=random.randrange(2**31)), sites.iloc[order])
    key = ["source", "sink"]
    left, right = (f.pairs.sort_values(key).reset_index(drop=True) for f in (one, other))
    pd.testing.assert_frame_equal(left, right, rtol=1e-9, atol=1e-12)
    columns = ["self_recruitment", "source_sink_index", "inflow_variance_dates", "mean_distance_km"]
    left, right = (f.sites.set_index("site")[columns].sort_index() for f in (one, other))
    pd.testing.assert_frame_equal(left, right, rtol=1e-9, atol=1e-12)


@settings(max_examples=12, deadline=None)
@given(dispersals(), st.floats(0.01, 100))
def test_more_production_everywhere_scales_flows_and_leaves_shares(case, times):
    table, sites, production = case
    one, other = connectivity(table, sites), connectivity(table, sites.assign(production=production * times))
    assert other.pairs.flow.to_numpy() == pytest.approx(one.pairs.flow.to_numpy() * times)
    for column in ("probability", "migration"):
        assert other.pairs[column].to_numpy() == pytest.approx(one.pairs[column].to_numpy())


@settings(max_examples=12, deadline=None)
@given(dispersals())
def test_flow_of_one_call_gives_the_same_pairs_in_another(case):
    table, sites, _ = case
    first = connectivity(table, sites)
    again = connectivity(first.pairs[["source", "sink", "flow"]].pipe(with_all_sites, sites.site), sites, kind="flow")
    for column in ("probability", "flow", "migration", "distance_km"):
        assert again.pairs[column].to_numpy() == pytest.approx(first.pairs[column].to_numpy())


def with_all_sites(pairs, names):
    blank = pd.DataFrame({"source": names, "sink": names, "flow": 0.0})
    return pd.concat([pairs, blank]).groupby(["source", "sink"], as_index=False)["flow"].sum()


# --- matrices as other programs write them ---------------------------------------------------------------------


SQUARE = np.array([[0.1, 0.4, 0.0], [0.0, 0.2, 0.3], [0.05, 0.0, 0.0]])


def test_a_square_matrix_and_its_list_of_entries_tell_the_same():
    sites = layer([1, 2, 3], [10, 20, 30])
    square = pd.DataFrame(SQUARE, columns=["1", "2", "3"])
    square.insert(0, "Unnamed: 0", [1, 2, 3])
    edges = pd.DataFrame(
        [(i + 1, j + 1, SQUARE[i, j]) for i in range(3) for j in range(3)], columns=["id1", "id2", "value"]
    )
    indexed = pd.DataFrame(SQUARE, index=[1, 2, 3], columns=["1", "2", "3"])
    found = [connectivity(t, sites, kind="probability").pairs for t in (square, edges, indexed)]
    assert matrix_of(found[0], [1, 2, 3], "flow") == pytest.approx(SQUARE * [[10], [20], [30]])
    pd.testing.assert_frame_equal(found[0], found[1])
    pd.testing.assert_frame_equal(found[0], found[2])


def test_columns_of_a_square_matrix_may_stand_in_another_order():
    sites = layer("abc")
    square = pd.DataFrame(SQUARE[:, [2, 0, 1]], index=list("abc"), columns=list("cab"))
    found = connectivity(square, sites, kind="probability").pairs
    assert matrix_of(found, "abc", "probability") == pytest.approx(SQUARE)


def test_a_matrix_over_years_is_averaged_and_a_missing_entry_is_zero():
    edges = pd.DataFrame(
        [(2000, "a", "b", 0.2), (2001, "a", "b", 0.4), (2001, "b", "a", 0.1), (2002, "a", "a", 0.0)],
        columns=["time", "id1", "id2", "value"],
    )
    found = connectivity(edges, layer("ab"), kind="probability").pairs.set_index(["source", "sink"])
    assert found.probability["a", "b"] == pytest.approx(0.2)
    assert found.variance_years["b", "a"] == pytest.approx(np.var([0, 0.1, 0], ddof=1))


def test_a_flow_without_production_gives_shares_of_the_settlers_and_says_so():
    square = pd.DataFrame([[1.0, 3.0], [0.0, 2.0]], index=list("ab"), columns=list("ab"))
    with recording() as log:
        found = connectivity(square, layer("ab"), kind="flow")
    assert found.sites.settled_share.tolist() == pytest.approx([1, 1])
    assert matrix_of(found.pairs, "ab", "probability") == pytest.approx(np.array([[0.25, 0.75], [0, 1]]))
    assert any("shares of the settlers" in sentence for sentence in log)


def test_a_migration_matrix_becomes_a_flow_by_the_recruits_of_each_site():
    square = pd.DataFrame([[0.75, 0.5], [0.25, 0.5]], index=list("ab"), columns=list("ab"))
    sites = layer("ab", [20, 10], recruits=[8.0, 2.0])
    found = connectivity(square, sites, kind="migration").pairs
    assert matrix_of(found, "ab", "flow") == pytest.approx(np.array([[6, 1], [2, 1]]))
    assert matrix_of(found, "ab", "migration") == pytest.approx(square.to_numpy())
    assert matrix_of(found, "ab", "probability") == pytest.approx(np.array([[0.3, 0.05], [0.2, 0.1]]))


def test_rows_above_one_are_divided_as_asked():
    square = pd.DataFrame([[1.0, 1.0], [0.1, 0.3]], index=list("ab"), columns=list("ab"))
    whole = connectivity(square, layer("ab"), kind="probability", excess="largest").pairs
    assert matrix_of(whole, "ab", "probability") == pytest.approx(square.to_numpy() / 2)
    rows = connectivity(square, layer("ab"), kind="probability", excess="rows").pairs
    assert matrix_of(rows, "ab", "probability") == pytest.approx(np.array([[0.5, 0.5], [0.1, 0.3]]))


def test_areas_of_polygons_are_measured_on_the_ellipsoid():
    from pyproj import Geod
    from shapely.geometry import box

    shapes = [box(146, -18, 146.1, -17.9), box(147, -60, 147.1, -59.9)]
    sites = gpd.GeoDataFrame({"site": ["a", "b"]}, geometry=shapes, crs="EPSG:4326").to_crs("EPSG:3857")
    found = connectivity(settlers([("a", "b", 10, 5)], dated=False), sites, production="area_km2").sites
    expected = [abs(Geod(ellps="WGS84").geometry_area_perimeter(s)[0]) / 1e6 for s in shapes]
    assert found.production.tolist() == pytest.approx(expected, rel=1e-6)


# --- whether particles suffice ---------------------------------------------------------------------------------


def drawn(rng, true, released):
    n = len(true)
    rows = []
    for i in range(n):
        counts = rng.multinomial(released, [*true[i], 1 - true[i].sum()])[:n]
        rows += [(f"s{i}", f"s{j}", released, c) for j, c in enumerate(counts)]
    return settlers(rows, dated=False)


def test_unexplained_variance_is_that_of_estimates_against_the_truth():
    rng = np.random.default_rng(4)
    n, released = 12, 60
    true = rng.dirichlet(np.full(n + 1, 0.3), n)[:, :n]
    sites = layer([f"s{i}" for i in range(n)])
    told, seen = [], []
    for _ in range(25):
        found = connectivity(drawn(rng, true, released), sites)
        told.append(found.unexplained_variance)
        estimate = matrix_of(found.pairs, sites.site, "probability")
        seen.append(1 - np.corrcoef(estimate.ravel(), true.ravel())[0, 1] ** 2)
    assert np.mean(told) == pytest.approx(np.mean(seen), rel=0.1)


def test_the_particles_needed_bring_the_noise_to_the_limit():
    rng = np.random.default_rng(5)
    n = 10
    true = rng.dirichlet(np.full(n + 1, 0.3), n)[:, :n]
    sites = layer([f"s{i}" for i in range(n)])
    few = connectivity(drawn(rng, true, 400), sites, most_unexplained=0.002)
    many = connectivity(drawn(rng, true, round(few.particles_needed / n)), sites, most_unexplained=0.002)
    assert few.unexplained_variance > 0.002
    assert many.unexplained_variance == pytest.approx(0.002, rel=0.15)


def test_links_expected_from_fewer_particles_are_those_of_draws_without_replacement():
    rng = np.random.default_rng(6)
    counts = np.array([1, 2, 5, 12])
    rows = [("s0", f"s{j}", 40, c) for j, c in enumerate(counts)]
    found = connectivity(settlers(rows, dated=False), layer([f"s{i}" for i in range(4)])).rarefaction
    particles = np.repeat([0, 1, 2, 3, -1], [*counts, 40 - counts.sum()])
    for share in (0.1, 0.5):
        samples = [rng.choice(particles, round(share * 40), replace=False) for _ in range(4000)]
        seen = np.mean([len(set(s.tolist()) - {-1}) for s in samples])
        told = found.links[np.isclose(found.particle_share, share)].item()
        assert told == pytest.approx(seen, abs=0.06)
    assert found.links.iloc[-1] == 4


def test_a_matrix_has_no_particles_to_judge():
    square = pd.DataFrame(SQUARE, index=list("abc"), columns=list("abc"))
    found = connectivity(square, layer("abc"), kind="probability")
    assert len(found.rarefaction) == 0
    assert np.isnan(found.unexplained_variance)


# --- refusals --------------------------------------------------------------------------------------------------


ROW = ("a", "b", 10, 5)


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([ROW, ("a", "x", 10, 1)], "sites misses 1 sites of settlement: x"),
        ([ROW, ("b", "a", 0, 0)], "1 releases that are of 0 larvae, first from b to a"),
        ([ROW, ("b", "a", 10, np.nan)], "no finite numbers, first from b to a"),
        ([ROW, ("b", "a", 10, -1)], "below 0, first from b to a"),
        ([ROW, ROW], "from a to b twice"),
        ([ROW, ("a", "a", 20, 5)], "two numbers of larvae released at a"),
        ([ROW, ("a", "a", 10, 6)], "more settled than were released, first that of site a"),
        ([ROW, ("b", None, 10, 2)], "no sink in row 2"),
    ],
)
def test_settlers_that_cannot_be_are_refused(rows, words):
    with pytest.raises(LinkwaysError, match=words) as told:
        connectivity(settlers(rows, dated=False), layer("ab"))
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(
    ("values", "kind", "words"),
    [
        ([[0.9, 0.3], [0, 0.1]], "probability", "1 rows of the matrix sum to more than 1, the largest that of site a"),
        ([[0.9, 0.3], [0, 0.1]], "migration", "columns of the matrix sum neither to 1 nor to 0, first that of site a"),
        ([[1, 0.3], [0, 0.7]], "migration", "add a column recruits"),
        ([[np.nan, 0.3], [0, 0.7]], "flow", "no finite numbers, first at row a column a"),
        ([[-1, 0.3], [0, 0.7]], "flow", "below 0, first from a to a"),
        ([[1, 5], [0, 7]], "flow", "more than the production of their site, first site a"),
    ],
)
def test_matrices_that_are_not_of_their_kind_are_refused(values, kind, words):
    square = pd.DataFrame(values, index=list("ab"), columns=list("ab"))
    with pytest.raises(LinkwaysError, match=words) as told:
        connectivity(square, layer("ab", [2, 9]), kind=kind)
    assert "\n" not in str(told.value)


def test_sites_that_a_matrix_misses_are_named():
    square = pd.DataFrame([[0.1, 0.2], [0, 0.1]], index=list("ab"), columns=list("ab"))
    with pytest.raises(LinkwaysError, match="the matrix misses 2 of the sites: c, d; add them"):
        connectivity(square, layer("abcd"), kind="probability")


def test_a_table_that_is_no_square_matrix_is_refused():
    with pytest.raises(LinkwaysError, match="2 rows and 4 columns"):
        connectivity(pd.DataFrame(np.zeros((2, 4))), layer("ab"), kind="flow")


def test_a_column_of_production_that_is_not_there_is_refused_with_the_nearest():
    with pytest.raises(LinkwaysError, match=r"no column 'prodction'.*did you mean 'production'"):
        connectivity(settlers([ROW], dated=False), layer("ab", [1, 1]), production="prodction")
