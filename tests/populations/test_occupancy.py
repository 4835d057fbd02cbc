"""Occupancy as users call it: recovery of what was simulated, tables, maps, corridors, and what is refused."""

import itertools

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit
from scipy.stats import norm

from linkways import LinkwaysError, populations, spatial


def long(y, **columns):
    """Histories of an array (sites, visits); further columns in the same shape, or one value for each site."""
    y = np.asarray(y, float)
    sites, visits = y.shape
    table = pd.DataFrame({"site": np.repeat(np.arange(sites), visits), "occasion": np.tile(np.arange(visits), sites)})
    table["detected"] = y.ravel()
    for name, values in columns.items():
        values = np.asarray(values)
        table[name] = np.repeat(values, visits) if values.ndim == 1 else values.ravel()
    return table


def simulated(sites=400, visits=5, psi=(0.3, 0.8), p=(-0.4, 0.6), seed=0):
    rng = np.random.default_rng(seed)
    forest, effort = rng.normal(3, 2, sites), rng.normal(10, 3, (sites, visits))
    there = rng.random(sites) < expit(psi[0] + psi[1] * (forest - 3) / 2)
    y = (rng.random((sites, visits)) < expit(p[0] + p[1] * (effort - 10) / 3)) & there[:, None]
    return long(y, forest=forest, effort=effort), there


def within(found, truth, errors=3.5):
    table = found.coefficients
    assert len(table) == len(truth)
    off = np.abs(table["estimate"].to_numpy() - truth) / table["se"].to_numpy()
    assert (off < errors).all(), (table[["parameter", "term", "estimate", "se"]], truth)


# --- recovery ------------------------------------------------------------------------


def test_a_simulated_season_is_recovered_with_honest_standard_errors():
    off = []
    for seed in range(40):
        table, _ = simulated(150, 4, seed=seed)
        found = populations.occupancy(table, occupancy=["forest"], detection=["effort"], standardise=True)
        forest = table.drop_duplicates("site")["forest"]
        truth = np.array([0.3 + 0.8 * (forest.mean() - 3) / 2, 0.8 * forest.std() / 2])
        rows = found.coefficients.iloc[:2]
        off.append((rows["estimate"] - truth) / rows["se"])
    scores = np.array(off)
    # 40 draws of a standard normal: mean within 3.5 / sqrt(40), about 95 % within 1.96
    assert (np.abs(scores.mean(axis=0)) < 0.55).all()
    assert ((np.abs(scores) < 1.96).mean(axis=0) > 0.85).all()


def test_colonisation_and_extinction_are_recovered():
    rng = np.random.default_rng(3)
    sites, seasons, visits = 400, 5, 3
    x, wet = rng.normal(size=sites), rng.normal(size=(sites, seasons))
    there = rng.random(sites) < expit(0.2 + 0.5 * x)
    rows = []
    for t in range(seasons):
        y = (rng.random((sites, visits)) < 0.5) & there[:, None]
        rows.append(long(y, x=x, wet=wet[:, t]).assign(season=2001 + t))
        there = np.where(
            there, rng.random(sites) > expit(-1.2 + 0.6 * wet[:, t]), rng.random(sites) < expit(-1 + 0.7 * x)
        )
    table = pd.concat(rows)
    found = populations.occupancy(table, model="dynamic", occupancy=["x"], colonisation=["x"], extinction=["wet"])
    within(found, [0.2, 0.5, -1.0, 0.7, -1.2, 0.6, 0.0])
    assert found.seasons["season"].tolist() == [2001, 2002, 2003, 2004, 2005]
    # the mean of the model's own occupancy obeys the balance of the two rates
    assert (found.seasons["growth"].dropna() > 0).all()


def test_colonisation_from_occupied_sites_around_is_recovered():
    rng = np.random.default_rng(11)
    sites, seasons, visits, a, c = 300, 7, 3, 2.0, 1.2
    at = rng.uniform(0, 30, (sites, 2))
    distance = np.hypot(*(at[:, None] - at[None]).T)
    kernel = np.exp(-distance / a) * (1 - np.eye(sites))
    # the model's own occupancy stands for the neighbours, as the method says
    psi0 = expit(1.5 * (at[:, 0] - 15) / 10)
    there, psi = rng.random(sites) < psi0, psi0
    rows = []
    for t in range(seasons):
        y = (rng.random((sites, visits)) < 0.6) & there[:, None]
        rows.append(long(y, east=(at[:, 0] - 15) / 10).assign(season=t))
        come = expit(-3 + c * kernel @ psi)
        there = np.where(there, rng.random(sites) > 0.3, rng.random(sites) < come)
        psi = psi * 0.7 + (1 - psi) * come
    first, second = np.triu_indices(sites, 1)
    pairs = pd.DataFrame({"site_a": first, "site_b": second, "distance": distance[first, second]})
    pairs = pairs[pairs["distance"] < 20]
    free = populations.occupancy(pd.concat(rows), distances=pairs, model="dynamic", occupancy=["east"])
    terms = free.coefficients.set_index("term")
    assert abs(terms.loc["connectivity", "estimate"] - c) < 3.5 * terms.loc["connectivity", "se"]
    log_a = terms.loc["log(dispersal_distance)"]
    assert abs(log_a["estimate"] - np.log(a)) < 3.5 * log_a["se"]
    given_a = populations.occupancy(
        pd.concat(rows), distances=pairs, model="dynamic", occupancy=["east"], dispersal_distance=2.0
    )
    none = populations.occupancy(pd.concat(rows), model="dynamic", occupancy=["east"])
    assert none.log_likelihood < given_a.log_likelihood <= free.log_likelihood + 1e-9
    assert none.aic > free.aic + 10


def test_abundance_behind_detection_is_recovered():
    rng = np.random.default_rng(4)
    x = rng.normal(size=500)
    number = rng.poisson(np.exp(0.4 + 0.5 * x))
    y = rng.random((500, 6)) < (1 - (1 - 0.25) ** number)[:, None]
    found = populations.occupancy(long(y, x=x), model="royle_nichols", occupancy=["x"])
    within(found, [0.4, 0.5, np.log(0.25 / 0.75)])
    assert found.fitted["abundance"].sum() == pytest.approx(number.sum(), rel=0.25)
    np.testing.assert_allclose(found.fitted["psi"], 1 - np.exp(-found.fitted["abundance"]))


def interviews(seed, sites=300, people=4, confirmed=0.0, cameras=0):
    """Interviews that may err (p 0.6, false 0.15), and camera visits that cannot (p 0.4)."""
    rng = np.random.default_rng(seed)
    there = rng.random(sites) < 0.5
    told = rng.random((sites, people)) < np.where(there, 0.6, 0.15)[:, None]
    sure = told & there[:, None] & (rng.random((sites, people)) < confirmed)
    table = long(told + 1.0 * sure).assign(certain=0, camera=0.0)
    if cameras:
        seen = long((rng.random((sites, cameras)) < 0.4) & there[:, None]).assign(certain=1, camera=1.0)
        table = pd.concat([table, seen.assign(occasion=seen["occasion"] + people)])
    return table, there


def test_interviews_with_false_reports_and_cameras_recover_occupancy_and_both_errors():
    table, _ = interviews(5, cameras=3)
    found = populations.occupancy(table, model="false_positive", detection=["camera"])
    camera = np.log(0.4 / 0.6) - np.log(0.6 / 0.4)
    within(found, [0.0, np.log(0.6 / 0.4), camera, np.log(0.15 / 0.85)])
    # taken at their word, the interviews find the species nearly everywhere
    believed = populations.occupancy(table.assign(detected=table["detected"].clip(upper=1)), detection=["camera"])
    assert believed.mean_psi > found.mean_psi + 0.15


def test_confirmed_reports_take_the_place_of_cameras():
    table, _ = interviews(6, confirmed=0.3)
    found = populations.occupancy(table, model="false_positive")
    within(found, [0.0, np.log(0.6 / 0.4), np.log(0.15 / 0.85), np.log(0.3 / 0.7)])
    assert found.coefficients["parameter"].tolist() == ["occupancy", "detection", "false_detection", "confirmation"]


def test_without_anything_certain_detection_is_what_is_likelier_and_the_log_says_so():
    table, _ = interviews(7, people=6)
    with spatial.recording() as log:
        found = populations.occupancy(table, model="false_positive")
    within(found, [0.0, np.log(0.6 / 0.4), np.log(0.15 / 0.85)])
    assert any("likelier than false detection" in line for line in log)


# --- what is reported ----------------------------------------------------------------


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_estimated_occupancy_is_never_below_the_share_of_sites_with_a_detection(seed):
    rng = np.random.default_rng(seed)
    y = (rng.random((40, 4)) < rng.uniform(0.15, 0.8)) & (rng.random((40, 1)) < rng.uniform(0.2, 0.9))
    if not y.any():
        return
    found = populations.occupancy(long(y))
    status = found.coefficients["status"].iloc[0]
    if status == "estimated":
        psi = expit(found.coefficients["estimate"].iloc[0])
        assert psi >= found.naive - 1e-6
        assert found.mean_psi == pytest.approx(psi) or "boundary" in set(found.coefficients["status"])


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_the_order_of_rows_changes_nothing(seed):
    table, _ = simulated(80, 4, seed=seed)
    one = populations.occupancy(table, occupancy=["forest"], detection=["effort"])
    two = populations.occupancy(table.sample(frac=1, random_state=seed), occupancy=["forest"], detection=["effort"])
    np.testing.assert_allclose(one.coefficients["estimate"], two.coefficients["estimate"], rtol=1e-5, atol=1e-6)
    ours = one.fitted.set_index("site")["psi_conditional"]
    np.testing.assert_allclose(ours, two.fitted.set_index("site")["psi_conditional"][ours.index], atol=1e-6)


def test_conditional_occupancy_is_one_where_seen_and_by_bayes_elsewhere():
    table, _ = simulated()
    found = populations.occupancy(table)
    psi, p = expit(found.coefficients["estimate"]).tolist()
    unseen = psi * (1 - p) ** 5 / (psi * (1 - p) ** 5 + 1 - psi)
    seen = found.fitted["detections"] > 0
    assert (found.fitted.loc[seen, "psi_conditional"] == 1).all()
    np.testing.assert_allclose(found.fitted.loc[~seen, "psi_conditional"], unseen)


def test_coefficients_in_own_units_and_of_standard_deviations_say_the_same():
    table, _ = simulated()
    one = populations.occupancy(table, occupancy=["forest", "forest**2"], detection=["effort"])
    two = populations.occupancy(table, occupancy=["forest", "forest**2"], detection=["effort"], standardise=True)
    np.testing.assert_allclose(one.fitted["psi"], two.fitted["psi"])
    b = one.coefficients.set_index(["parameter", "term"])["estimate"]
    forest = table.drop_duplicates("site")["forest"].to_numpy()
    by_hand = b["occupancy", "intercept"] + b["occupancy", "forest"] * forest + b["occupancy", "forest**2"] * forest**2
    np.testing.assert_allclose(one.fitted["psi"], expit(by_hand))
    slope = two.coefficients.set_index("term").loc["forest", "estimate"]
    assert slope == pytest.approx(b["occupancy", "forest"] * forest.std(ddof=1))


def test_empty_occasions_are_left_out_and_visits_without_effort_too():
    table, _ = simulated(100, 4)
    gaps = table.copy()
    gaps.loc[::7, "detected"] = np.nan
    one = populations.occupancy(gaps)
    two = populations.occupancy(gaps.dropna(subset=["detected"]))
    assert one.log_likelihood == pytest.approx(two.log_likelihood)
    unknown = table.copy()
    unknown.loc[::7, "effort"] = np.nan
    with spatial.recording() as log:
        three = populations.occupancy(unknown, detection=["effort"])
    four = populations.occupancy(unknown.dropna(), detection=["effort"])
    assert three.log_likelihood == pytest.approx(four.log_likelihood)
    assert any("visits left out" in line for line in log)


def test_classes_are_compared_with_the_first():
    table, _ = simulated(200, 5)
    table["job"] = np.where(table["occasion"] % 2 == 0, "farmer", "hunter")
    found = populations.occupancy(table, detection=["job"])
    assert found.coefficients["term"].tolist() == ["intercept", "intercept", "job[hunter]"]
    numeric = populations.occupancy(table.assign(hunts=(table["job"] == "hunter") * 1.0), detection=["hunts"])
    np.testing.assert_allclose(found.coefficients["estimate"], numeric.coefficients["estimate"], atol=1e-6)


def test_intervals_by_profile_hold_the_likelihood_they_should():
    table, _ = simulated(120, 4, seed=3)
    found = populations.occupancy(table, occupancy=["forest"], interval="profile", confidence=0.9)
    wald = populations.occupancy(table, occupancy=["forest"], confidence=0.9)
    row, other = found.coefficients.iloc[1], wald.coefficients.iloc[1]
    assert row["estimate"] == other["estimate"]
    assert other["high"] - other["estimate"] == pytest.approx(norm.ppf(0.95) * other["se"])
    # asymmetric, yet close to the normal ones
    assert row["low"] == pytest.approx(other["low"], abs=0.1)
    assert row["high"] == pytest.approx(other["high"], abs=0.1)
    assert row["high"] - row["estimate"] != pytest.approx(row["estimate"] - row["low"], abs=1e-4)


def test_separated_sites_are_told_as_a_boundary_and_predicted_all_the_same():
    """Found in every wet site and in no dry one: the slope has no estimate, but a lower end."""
    wet = np.repeat([0.0, 1.0], 20)
    y = np.tile([[1, 0, 1, 1], [1, 1, 0, 1], [0, 1, 1, 1], [1, 1, 1, 0]], (10, 1)) * wet[:, None]
    found = populations.occupancy(long(y, wet=wet), occupancy=["wet"])
    table = found.coefficients.set_index(["parameter", "term"])
    assert table.loc[("occupancy", "wet"), "status"] == "boundary"
    assert np.isnan(table.loc[("occupancy", "wet"), "estimate"])
    assert table.loc[("occupancy", "wet"), "low"] > 0
    assert np.isinf(table.loc[("occupancy", "wet"), "high"])
    assert table.loc[("detection", "intercept"), "status"] == "estimated"
    assert expit(table.loc[("detection", "intercept"), "estimate"]) == pytest.approx(0.75, abs=1e-4)
    psi = found.fitted["psi"].to_numpy()
    assert (psi[:20] < 0.1).all()
    assert (psi[20:] > 0.9).all()
    assert np.isfinite(found.fitted[["psi_se", "psi_low", "psi_high"]]).all(axis=None)


def test_candidates_are_ranked_by_aic_and_weights_sum_to_one():
    table, _ = simulated(300, 4)
    table["noise"] = np.random.default_rng(1).normal(size=len(table))
    found = populations.occupancy(
        table, occupancy=["forest"], detection=["effort", "noise"], candidates=["all"], report="best"
    )
    models = found.models
    assert len(models) == 8
    assert models["weight"].sum() == pytest.approx(1)
    assert models["aic"].is_monotonic_increasing
    np.testing.assert_allclose(models["aic"], 2 * models["coefficients"] - 2 * models["log_likelihood"])
    np.testing.assert_allclose(models["weight"] / models["weight"][0], np.exp(-models["delta"] / 2))
    assert found.aic == models["aic"].iloc[0]
    assert {"forest", "effort"} <= set(found.coefficients["term"])
    named = populations.occupancy(table, candidates=["occupancy(forest) detection(effort + noise)", "detection(noise)"])
    assert named.models["model"].tolist()[0] == "occupancy(forest) detection(effort + noise)"
    assert len(named.models) == 3
    assert named.coefficients["term"].tolist() == ["intercept", "intercept"]


def test_c_hat_is_near_one_for_the_right_model_and_far_above_for_visits_that_copy_each_other():
    table, _ = simulated(150, 4, psi=(0.3, 0), p=(-0.2, 0))
    right = populations.occupancy(table, bootstrap=40, seed=1)
    assert 0.5 < right.c_hat < 1.6
    assert right.goodness_of_fit["p"].iloc[0] > 0.02
    rng = np.random.default_rng(2)
    y = (rng.random((150, 2)) < 0.5) & (rng.random((150, 1)) < 0.6)
    copied = populations.occupancy(long(np.repeat(y, 2, axis=1)), bootstrap=40, seed=1)
    assert copied.c_hat > 2
    assert copied.goodness_of_fit["p"].iloc[0] == pytest.approx(1 / 41)


# --- maps and corridors --------------------------------------------------------------


def landscape(seed=0, cells=30):
    rng = np.random.default_rng(seed)
    forest = spatial.new_raster(rng.random((cells, cells)), crs="EPSG:3035", cell_size=1000, name="forest")
    return forest.rename("forest")


def placed(forest, sites, visits=5, seed=1):
    rng = np.random.default_rng(seed)
    cells = rng.choice(forest.size, sites, replace=False)
    row, column = np.divmod(cells, forest.shape[1])
    value = forest.values[row, column]
    there = rng.random(sites) < expit(-1 + 3 * value)
    points = [shapely.Point(forest.x.values[c], forest.y.values[r]) for r, c in zip(row, column, strict=True)]
    layer = gpd.GeoDataFrame({"site": [f"s{k}" for k in range(sites)]}, geometry=points, crs="EPSG:3035")
    table = long((rng.random((sites, visits)) < 0.5) & there[:, None])
    table["site"] = "s" + table["site"].astype(str)
    return table, layer, value


def test_the_map_is_the_model_at_every_cell_with_its_standard_error():
    forest = landscape()
    table, layer, value = placed(forest, 200)
    found = populations.occupancy(table, layer, covariates=[forest], occupancy=["forest"])
    b = found.coefficients["estimate"].to_numpy()
    np.testing.assert_allclose(found.occupancy.values, expit(b[0] + b[1] * forest.values), rtol=1e-9)
    # at the sites the map and the table of sites agree, in the error too
    np.testing.assert_allclose(found.fitted["psi"], expit(b[0] + b[1] * value), rtol=1e-9)
    cell = {round(float(v), 12): (r, c) for (r, c), v in np.ndenumerate(forest.values)}
    at = [cell[round(float(v), 12)] for v in value]
    np.testing.assert_allclose(found.fitted["psi_se"], [found.occupancy_se.values[k] for k in at], rtol=1e-5)
    assert found.sites["psi_conditional"].tolist() == found.fitted["psi_conditional"].tolist()
    assert found.occupancy.rio.crs == forest.rio.crs


def test_sites_that_nobody_visited_are_predicted():
    forest = landscape()
    table, layer, value = placed(forest, 150)
    few = table[~table["site"].isin(["s3", "s7"])]
    found = populations.occupancy(few, layer, covariates=[forest], occupancy=["forest"])
    rows = found.fitted.set_index("site").loc[["s3", "s7"]]
    assert rows["visits"].tolist() == [0, 0]
    np.testing.assert_allclose(rows["psi"], rows["psi_conditional"])
    b = found.coefficients["estimate"].to_numpy()
    np.testing.assert_allclose(rows["psi"], expit(b[0] + b[1] * value[[3, 7]]))
    assert found.seasons["surveyed"].tolist() == [148]


def test_grid_cells_take_the_mean_of_the_raster_inside():
    forest = landscape(cells=12)
    boxes = [shapely.box(x * 3000, -y * 3000 - 3000, x * 3000 + 3000, -y * 3000) for y in range(4) for x in range(4)]
    layer = gpd.GeoDataFrame({"site": np.arange(16)}, geometry=boxes, crs="EPSG:3035")
    rng = np.random.default_rng(0)
    table = long(rng.random((16, 6)) < 0.4)
    found = populations.occupancy(table, layer, covariates=[forest], detection=["forest"])
    means = forest.values.reshape(4, 3, 4, 3).mean(axis=(1, 3)).ravel()
    by_hand = populations.occupancy(table.assign(forest=np.repeat(means, 6)), detection=["forest"])
    np.testing.assert_allclose(found.log_likelihood, by_hand.log_likelihood, rtol=1e-10)


def test_a_corridor_is_compared_with_what_lies_outside():
    rng = np.random.default_rng(8)
    boxes = [shapely.box(x, -y - 1, x + 1, -y) for y in range(12) for x in range(12)]
    layer = gpd.GeoDataFrame({"site": np.arange(144)}, geometry=boxes, crs="EPSG:3035")
    inside = np.tile(np.arange(12) < 5, 12)
    there = rng.random(144) < np.where(inside, 0.8, 0.2)
    table = long((rng.random((144, 6)) < 0.6) & there[:, None])
    corridor = gpd.GeoDataFrame(geometry=[shapely.box(0, -12, 5, 0)], crs="EPSG:3035")
    found = populations.occupancy(table, layer, corridor=corridor, occupancy=["in_corridor"])
    rows = found.corridor.set_index("where")
    assert rows["sites"].tolist() == [60, 84, 144]
    for where, of in (("inside", inside), ("outside", ~inside)):
        row = rows.loc[where]
        assert abs(row["occupied"] - there[of].mean()) < 3 * row["se"] + 0.02
        assert row["low"] < row["occupied"] < row["high"]
    assert rows.loc["difference", "low"] > 0.3
    assert rows.loc["difference", "occupied"] == pytest.approx(rows["occupied"].iloc[0] - rows["occupied"].iloc[1])
    slope = found.coefficients.set_index("term").loc["in_corridor"]
    assert slope["low"] > 0


def test_a_class_raster_is_mapped_by_class():
    codes = np.tile([[1.0, 2.0, 5.0]], (20, 10))
    cover = spatial.new_raster(codes, crs="EPSG:3035", cell_size=1000, name="cover").rename("cover")
    cover.attrs["classes"] = True
    rng = np.random.default_rng(0)
    at = [(r, c) for r in range(20) for c in range(0, 30, 2)]
    points = [shapely.Point(cover.x.values[c], cover.y.values[r]) for r, c in at]
    layer = gpd.GeoDataFrame({"site": np.arange(len(at))}, geometry=points, crs="EPSG:3035")
    kind = np.array([codes[k] for k in at])
    there = rng.random(len(at)) < np.select([kind == 1, kind == 2], [0.2, 0.5], 0.8)
    table = long((rng.random((len(at), 5)) < 0.6) & there[:, None])
    found = populations.occupancy(table, layer, covariates=[cover], occupancy=["cover"])
    assert found.coefficients["term"].tolist()[:3] == ["intercept", "cover[2]", "cover[5]"]
    b = found.coefficients["estimate"].to_numpy()
    expected = expit(b[0] + np.select([codes == 2, codes == 5], [b[1], b[2]], 0.0))
    np.testing.assert_allclose(found.occupancy.values, expected)


# --- what is refused -----------------------------------------------------------------


def refused(words, table, *args, **kwargs):
    with pytest.raises(LinkwaysError, match=words):
        populations.occupancy(table, *args, **kwargs)


def test_mistakes_in_histories_are_refused_with_their_row():
    table, _ = simulated(30, 3)
    refused("row 5 has detected 3", table.assign(detected=np.where(np.arange(90) == 4, 3, table["detected"])))
    refused("row 2 tells site 0, occasion 0 a second time", table.assign(occasion=table["occasion"] // 2))
    refused("nothing was detected", table.assign(detected=0))
    refused("row 1 has no site", table.assign(site=[None, *table["site"][1:]]))
    refused("has 3 seasons, but model single has one", table.assign(season=table["occasion"]))
    refused("no rows", table.iloc[:0])


def test_what_cannot_be_identified_is_refused_by_name():
    table, _ = simulated(60, 3)
    refused("occupancy and detection cannot both be identified", table[table["occasion"] == 0])
    refused("coefficient of flat for occupancy cannot be identified", table.assign(flat=1.0), occupancy=["flat"])
    twin = table.assign(twin=2 * table["forest"] + 1)
    refused("coefficient of twin for occupancy cannot be identified", twin, occupancy=["forest", "twin"])
    refused("colonisation and extinction cannot be identified from one season", table.assign(season=1), model="dynamic")


def test_a_dispersal_distance_that_nothing_tells_is_refused():
    """Colonisation that does not depend on neighbours leaves the scale of their distance without meaning."""
    rng = np.random.default_rng(1)
    rows = [long(rng.random((12, 3)) < 0.5).assign(season=t) for t in range(3)]
    pairs = pd.DataFrame(itertools.combinations(range(12), 2), columns=["site_a", "site_b"]).assign(distance=1.0)
    refused(
        "cannot identify .*connectivity|cannot identify .*dispersal", pd.concat(rows), distances=pairs, model="dynamic"
    )


def test_covariates_that_are_unknown_or_differ_within_a_site_are_refused():
    table, _ = simulated(30, 3)
    refused("no covariate is called forrest .did you mean 'forest'", table, occupancy=["forrest"])
    refused("effort differs among the visits of one site .site 0", table, occupancy=["effort"])
    refused("is no term", table, occupancy=["log(forest"])
    refused("given twice", table, occupancy=["forest", "forest"])


def test_what_the_model_does_not_use_is_refused():
    table, _ = simulated(30, 3)
    pairs = pd.DataFrame({"site_a": [0], "site_b": [1], "distance": [1.0]})
    refused("distances act on colonisation", table, distances=pairs)
    refused("model single has no colonisation", table, colonisation=["forest"])
    refused("max_abundance is of model royle_nichols", table, max_abundance=10)
    refused("names colonisation, which is no part", table, candidates=["colonisation(forest)"])
    layer = gpd.GeoDataFrame({"site": [0]}, geometry=[shapely.Point(0, 0)], crs="EPSG:3035")
    refused("sites has no row for 29 sites of histories, first 1", table, layer)


def test_a_low_limit_of_abundance_is_told():
    rng = np.random.default_rng(0)
    number = rng.poisson(6, 150)
    table = long(rng.random((150, 4)) < (1 - 0.9**number)[:, None])
    with spatial.recording() as log:
        populations.occupancy(table, model="royle_nichols", max_abundance=8)
    assert any("raise max_abundance" in line for line in log)
    with spatial.recording() as log:
        populations.occupancy(table, model="royle_nichols")
    assert not any("raise max_abundance" in line for line in log)
