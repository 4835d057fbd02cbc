"""Spatial capture-recapture: the likelihood by hand, what the parts add up to, and what is refused."""

from collections import Counter
from math import factorial, lgamma

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely

from linkways import populations, spatial
from linkways.errors import LinkwaysError
from linkways.spatial import recording

CRS = "EPSG:32640"
ROWS, COLUMNS, CELL = 13, 12, 500.0


def survey(seed=3, occasions=4, **traps):
    """Captures on a grid of 16 detectors by animals whose centres lie around it."""
    rng = np.random.default_rng(seed)
    x, y = np.meshgrid(1250 + 1000 * np.arange(4), 1250 + 1000 * np.arange(4))
    layer = gpd.GeoDataFrame(
        {"detector": [f"d{k}" for k in range(16)], **traps},
        geometry=gpd.points_from_xy(x.ravel(), y.ravel()),
        crs=CRS,
    )
    rows = []
    for i in range(70):
        home = rng.uniform(0, [COLUMNS * CELL, ROWS * CELL])
        sex = i % 2
        chance = 0.35 * np.exp(-((x.ravel() - home[0]) ** 2 + (y.ravel() - home[1]) ** 2) / 2 / (600 + 250 * sex) ** 2)
        for s in range(occasions):
            seen = np.flatnonzero(rng.random(16) < chance)
            rows += [(f"a{i:02}", s + 1, f"d{k}", "male" if sex else "female") for k in seen]
    return pd.DataFrame(rows, columns=["individual", "occasion", "detector", "sex"]), layer


def one_trap_an_occasion(captures):
    return captures.drop_duplicates(["individual", "occasion"])


HABITAT = spatial.new_raster(np.ones((ROWS, COLUMNS)), crs=CRS, cell_size=CELL, origin=(0, ROWS * CELL), name="habitat")
GRADIENT = HABITAT.copy(data=np.linspace(0, 3, ROWS * COLUMNS).reshape(ROWS, COLUMNS) ** 1.3).rename("gradient")


def hazards(found, layer, behaviour, density_term=None):
    """Weights of the cells, and a function from sex and caught before (0, 1) to hazards, from the coefficients."""
    b = found.coefficients.set_index(["parameter", "term"])["estimate"].to_dict()
    function = found.models.loc[0, "function"]
    x, y = (v.ravel() for v in np.meshgrid(HABITAT.x.values, HABITAT.y.values))
    d = np.hypot(layer.geometry.x.to_numpy()[:, None] - x, layer.geometry.y.to_numpy()[:, None] - y)
    d = np.maximum(d, 1e-6)  # a power of 0 would be infinite
    density = b[("density", "(intercept)")]
    if density_term is not None:
        density = density + b[("density", density_term.name)] * density_term.values.ravel()
    name = "lambda0" if function.startswith("hazard ") else "g0"
    tracks = layer["tracks"].to_numpy()[:, None] if "tracks" in layer else 0.0

    def hazard(sex, caught):
        level = b[(name, "(intercept)")] + b.get((name, f"sex {sex}"), 0.0) + caught * b.get((name, behaviour), 0.0)
        level = level + b.get((name, "tracks"), 0.0) * tracks
        sigma = np.exp(b[("sigma", "(intercept)")] + b.get(("sigma", f"sex {sex}"), 0.0))
        if "rate" in function:
            shape = 1 - np.exp(-((d / sigma) ** -np.exp(b[("shape", "(intercept)")])))
        elif "exponential" in function:
            shape = np.exp(-d / sigma)
        else:
            shape = np.exp(-(d**2) / 2 / sigma**2)
        if name == "lambda0":
            return np.exp(level) * shape
        return -np.log(1 - shape / (1 + np.exp(-level)))

    return np.exp(density) * np.full(x.size, CELL**2 / 1e6), hazard


def chance_of(seen, h, kind):
    """Chance of what the detectors saw on an occasion, for every cell; h are the hazards by detector and cell."""
    whole = h.sum(axis=0)
    y = seen[:, None]
    if kind == "multi":
        at = np.flatnonzero(seen)
        return np.exp(-whole) if not len(at) else -np.expm1(-whole) * h[at[0]] / whole
    if kind == "binary":
        return np.prod(np.where(y > 0, -np.expm1(-h), np.exp(-h)), axis=0)
    return np.prod(h**y * np.exp(-h) / np.array([[factorial(int(v))] for v in seen]), axis=0)


def by_hand(found, captures, layer, kind, effort, *, sexes=None, behaviour=None, covariate=None):
    """The log-likelihood from its definition, animal by animal, cell by cell, occasion by occasion."""
    weight, hazard = hazards(found, layer, behaviour, covariate)
    shares = {None: 1.0}
    if sexes:
        logit = found.coefficients.set_index("parameter").loc["share", "estimate"]
        shares = {sexes[0]: 1 / (1 + np.exp(logit)), sexes[1]: 1 / (1 + np.exp(-logit))}
    total, histories = 0.0, []
    for _, mine in captures.groupby("individual"):
        seen = np.zeros(effort.shape)
        np.add.at(seen, (mine["detector"].str[1:].astype(int), mine["occasion"] - 1), 1)
        histories.append(tuple(seen.ravel()))
        told = mine["sex"].iloc[0] if sexes else None
        likelihood = 0.0
        for sex, share in shares.items():
            if told in (None, sex) or pd.isna(told):
                product = share
                for s in range(effort.shape[1]):
                    here = seen[:, :s].sum(axis=1) > 0
                    before = {"bk": here, "b": here | here.any()}.get(behaviour, np.zeros(16, bool))
                    h = np.where(before[:, None], hazard(sex, 1), hazard(sex, 0)) * effort[:, s][:, None]
                    product = product * chance_of(seen[:, s], h, kind)
                likelihood = likelihood + product
        total += np.log(likelihood @ weight)
    for sex, share in shares.items():
        total -= share * (weight @ -np.expm1(-(hazard(sex, 0) * effort.sum(axis=1)[:, None]).sum(axis=0)))
    return total - sum(lgamma(c + 1) for c in Counter(histories).values())


@pytest.mark.parametrize("kind", ["count", "binary", "multi"])
@pytest.mark.parametrize("behaviour", [None, "b", "bk"])
def test_the_likelihood_is_its_definition_for_every_detector_and_behaviour(kind, behaviour):
    captures, layer = survey()
    captures = one_trap_an_occasion(captures) if kind == "multi" else captures
    effort = np.ones((16, 4))
    effort[3, 1], effort[5] = 0.0, 2.0
    captures = captures[~((captures["detector"] == "d3") & (captures["occasion"] == 2))]
    table = pd.DataFrame(
        [(f"d{k}", s + 1, effort[k, s]) for k in range(16) for s in range(4)],
        columns=["detector", "occasion", "effort"],
    )
    found = populations.capture(
        captures, layer, table, HABITAT, detector_type=kind, detection=[behaviour] if behaviour else None, compare=[]
    )
    expected = by_hand(found, captures.drop(columns="sex"), layer, kind, effort, behaviour=behaviour)
    assert found.log_likelihood == pytest.approx(expected, abs=1e-7)


@pytest.mark.parametrize(
    "function", ["hazard exponential", "hazard hazard-rate", "half-normal", "exponential", "hazard-rate"]
)
def test_the_likelihood_is_its_definition_for_every_detection_function(function):
    captures, layer = survey()
    found = populations.capture(captures, layer, habitat=HABITAT, detector_type="binary", function=function, compare=[])
    expected = by_hand(found, captures.drop(columns="sex"), layer, "binary", np.ones((16, 4)))
    assert found.log_likelihood == pytest.approx(expected, abs=1e-7)


def test_the_likelihood_is_its_definition_with_sexes_covariates_and_unknown_sex():
    captures, layer = survey(tracks=np.tile([0.0, 1.5, 0.3, 2.0], 4))
    captures.loc[captures["individual"].isin(captures["individual"].unique()[::5]), "sex"] = None
    found = populations.capture(
        captures, layer, habitat=HABITAT, density_covariates=[GRADIENT], detector_type="binary", density=["gradient"],
        detection=["sex", "tracks"], movement=["sex"], compare=[],
    )  # fmt: skip
    expected = by_hand(found, captures, layer, "binary", np.ones((16, 4)), sexes=["female", "male"], covariate=GRADIENT)
    assert found.log_likelihood == pytest.approx(expected, abs=1e-7)


def test_no_parameter_can_be_moved_to_a_higher_likelihood():
    captures, layer = survey()
    found = populations.capture(captures, layer, habitat=HABITAT, detector_type="binary", compare=[])
    for row in range(3):
        for by in (-0.02, 0.02):
            moved = populations.CaptureModel(**{**vars(found), "coefficients": found.coefficients.copy()})
            moved.coefficients.loc[row, "estimate"] += by
            there = by_hand(moved, captures.drop(columns="sex"), layer, "binary", np.ones((16, 4)))
            assert there < found.log_likelihood
            # and the standard error is what the curvature says: 2 drop / by^2 is the information of this parameter,
            # which is at least the inverse of the variance
            assert (
                2 * (found.log_likelihood - there) / by**2 >= 0.9 / found.coefficients.loc[row, "standard_error"] ** 2
            )


def test_maps_add_up_to_the_numbers():
    captures, layer = survey()
    found = populations.capture(
        captures, layer, habitat=HABITAT, density_covariates=[GRADIENT], density=["gradient"], detector_type="binary"
    )
    cell_km2 = CELL**2 / 1e6
    assert float(found.density.sum()) * cell_km2 == pytest.approx(found.animals_expected, rel=1e-9)
    assert float(found.centres.sum()) == pytest.approx(found.animals_realised, rel=1e-9)
    assert found.state_space_km2 == pytest.approx(ROWS * COLUMNS * cell_km2)
    assert found.animals_captured == captures["individual"].nunique()
    assert found.animals_captured < found.animals_realised_low < found.animals_realised < found.animals_realised_high
    assert found.density.attrs["units"] == "animals/km2"
    assert np.isnan(found.barrier_cost)
    assert found.crossing is None


def test_sigma_of_each_sex_is_told_apart_and_compared():
    captures, layer = survey()
    found = populations.capture(captures, layer, habitat=HABITAT, detector_type="binary", movement=["sex"])
    assert list(found.models["model"]) == ["as asked", "same sigma"]
    terms = found.coefficients.set_index(["parameter", "term"])
    assert terms.loc[("sigma", "sex male"), "value"] == pytest.approx(850 / 600, rel=0.25)
    assert found.models.loc[1, "df"] == 1
    ratio = 2 * (found.models.loc[0, "log_likelihood"] - found.models.loc[1, "log_likelihood"])
    assert found.models.loc[1, "likelihood_ratio"] == pytest.approx(ratio)


def test_effort_counts_for_as_many_detectors_in_one_place():
    """Twice the effort in counts is the same as half the hazard: lambda0 falls by log 2, nothing else changes."""
    captures, layer = survey(occasions=1)
    once = populations.capture(captures, layer, habitat=HABITAT, compare=[])
    twice = populations.capture(captures, layer.assign(effort=2.0), habitat=HABITAT, compare=[])
    assert twice.log_likelihood == pytest.approx(once.log_likelihood, abs=1e-6)
    one, two = (f.coefficients.set_index("parameter")["estimate"] for f in (once, twice))
    assert two["lambda0"] - one["lambda0"] == pytest.approx(-np.log(2), abs=1e-4)
    assert two["sigma"] == pytest.approx(one["sigma"], abs=1e-4)


def test_the_order_of_rows_and_the_names_of_animals_do_not_matter():
    captures, layer = survey()
    shuffled = captures.sample(frac=1, random_state=1).assign(individual=lambda t: "z" + t["individual"].str[::-1])
    one = populations.capture(captures, layer, habitat=HABITAT, detector_type="binary", compare=[])
    two = populations.capture(
        shuffled, layer.iloc[::-1].reset_index(drop=True), habitat=HABITAT, detector_type="binary", compare=[]
    )
    assert two.log_likelihood == pytest.approx(one.log_likelihood, abs=1e-6)
    assert two.animals_expected == pytest.approx(one.animals_expected, rel=1e-3)


def test_a_coarser_state_space_holds_the_same_area_and_nearly_the_same_animals():
    captures, layer = survey()
    fine = populations.capture(captures, layer, habitat=HABITAT, detector_type="binary", compare=[])
    coarse = populations.capture(captures, layer, habitat=HABITAT, detector_type="binary", spacing_m=1000, compare=[])
    assert coarse.state_space_km2 == pytest.approx(fine.state_space_km2)
    assert coarse.animals_expected == pytest.approx(fine.animals_expected, rel=0.1)
    assert len(np.unique(coarse.centres)) <= 7 * 6


def test_the_conditional_estimate_of_density_is_that_of_the_full_likelihood():
    """With constant density both have their maximum at the same detection, and D = n / a (Borchers and Efford 2008)."""
    captures, layer = survey()
    full = populations.capture(captures, layer, habitat=HABITAT, detector_type="binary", compare=[])
    conditional = populations.capture(
        captures, layer, habitat=HABITAT, detector_type="binary", conditional=True, compare=[]
    )
    assert conditional.mean_density == pytest.approx(full.mean_density, rel=1e-3)
    assert conditional.sampled_km2 == pytest.approx(full.sampled_km2, rel=1e-3)
    assert conditional.animals_realised == pytest.approx(full.animals_realised, rel=1e-3)
    n = full.animals_captured
    poisson = n * np.log(n) - n - lgamma(n + 1)
    assert conditional.log_likelihood == pytest.approx(full.log_likelihood - poisson, abs=1e-5)


def test_degrees_give_what_metres_give():
    captures, layer = survey()
    degrees = layer.set_crs(CRS, allow_override=True)
    degrees = degrees.set_geometry(degrees.translate(500_000, 4_200_000)).set_crs(CRS, allow_override=True)
    with recording() as log:
        moved = populations.capture(
            captures, degrees.to_crs(4326), detector_type="binary", buffer_m=2000, spacing_m=500, compare=[]
        )
    assert any("reprojected from EPSG:4326" in sentence for sentence in log)
    plain = populations.capture(captures, layer, detector_type="binary", buffer_m=2000, spacing_m=500, compare=[])
    assert moved.animals_expected == pytest.approx(plain.animals_expected, rel=0.02)


def test_a_raster_in_degrees_is_measured_on_the_ellipsoid():
    captures, layer = survey()
    far = layer.set_geometry(layer.translate(500_000, 4_200_000)).set_crs(CRS, allow_override=True)
    corner = far.to_crs(4326).total_bounds
    raster = spatial.new_raster(
        np.ones((60, 60)), crs="EPSG:4326", cell_size=0.0015, origin=(corner[0] - 0.025, corner[3] + 0.025), name="h"
    )
    over = populations.capture(captures, far, habitat=raster, detector_type="binary", compare=[])
    flat = populations.capture(captures, layer, buffer_m=2500, spacing_m=150, detector_type="binary", compare=[])
    assert over.mean_density == pytest.approx(flat.mean_density, rel=0.02)


def test_a_narrow_buffer_is_told():
    captures, layer = survey()
    with recording() as log:
        populations.capture(captures, layer, buffer_m=700, spacing_m=250, detector_type="binary", compare=[])
    assert any("lies outside of the state space" in sentence for sentence in log)
    with recording() as log:
        populations.capture(captures, layer, buffer_m=4500, spacing_m=250, detector_type="binary", compare=[])
    assert not any("lies outside" in sentence for sentence in log)


def test_a_profile_interval_of_sigma_is_near_that_of_its_standard_error():
    captures, layer = survey()
    found = populations.capture(captures, layer, habitat=HABITAT, detector_type="binary", profile=["sigma"], compare=[])
    row = found.coefficients.set_index("parameter").loc["sigma"]
    assert row["interval"] == "profile"
    assert row["low"] == pytest.approx(row["estimate"] - 1.96 * row["standard_error"], abs=0.3 * row["standard_error"])
    assert row["high"] == pytest.approx(row["estimate"] + 1.96 * row["standard_error"], abs=0.3 * row["standard_error"])
    ends = found.profiles[found.profiles["drop"] > 1.9]
    assert ends["value"].min() == pytest.approx(row["low"], abs=0.02)


def test_other_detection_functions_are_compared_by_aic():
    captures, layer = survey()
    found = populations.capture(captures, layer, habitat=HABITAT, detector_type="binary", compare=["other functions"])
    assert set(found.models["function"]) == {"hazard half-normal", "hazard exponential", "hazard hazard-rate"}
    assert found.models["weight"].sum() == pytest.approx(1.0)
    assert found.models["delta_aic"].min() == 0.0
    assert found.models["p"].isna().all()


# --- barriers ------------------------------------------------------------------------


def fence(north=2750.0):
    return gpd.GeoDataFrame(geometry=[shapely.LineString([(10, north), (COLUMNS * CELL - 10, north)])], crs=CRS)


def test_removing_a_fence_lets_animals_cross_more():
    captures, layer = survey()
    home = {}
    for row in captures.itertuples():  # keep captures on the side of each animal's first
        home.setdefault(row.individual, int(row.detector[1:]) >= 8)
    captures = captures[
        [(int(d[1:]) >= 8) == home[i] for i, d in zip(captures["individual"], captures["detector"], strict=True)]
    ]
    found = populations.capture(captures, layer, habitat=HABITAT, barriers=fence(), detector_type="binary")
    share = found.crossing.set_index("scenario")["crossing_share"]
    assert share["as estimated"] < share["low end"] < share["removed"]
    assert found.barrier_cost_low > 1
    assert np.isinf(found.barrier_cost_high)
    assert found.detour_km_low == pytest.approx((found.barrier_cost_low - 1) * CELL / 1000)
    cell_km2 = CELL**2 / 1e6
    for layer_of_use in (found.space_use, found.space_use_without):
        assert float(layer_of_use.sum()) * cell_km2 == pytest.approx(found.animals_expected, rel=1e-6)
    assert found.coefficients.set_index("parameter").loc["resistance", "remark"].startswith("at least")


def test_space_use_carried_by_drawn_centres_repeats_with_its_seed_and_keeps_all_animals():
    captures, layer = survey()
    options = {"habitat": HABITAT, "barriers": fence(), "detector_type": "binary", "centres_used": 40, "compare": []}
    one = populations.capture(captures, layer, seed=5, **options)
    two = populations.capture(captures, layer, seed=5, **options)
    other = populations.capture(captures, layer, seed=6, **options)
    assert np.array_equal(one.space_use, two.space_use)
    assert not np.array_equal(one.space_use, other.space_use)
    assert float(one.space_use.sum()) * CELL**2 / 1e6 == pytest.approx(one.animals_expected, rel=1e-6)


def test_the_state_space_does_not_depend_on_the_barrier():
    captures, layer = survey()
    without = populations.capture(captures, layer, buffer_m=1500, habitat=HABITAT, detector_type="binary", compare=[])
    behind = populations.capture(
        captures, layer, buffer_m=1500, habitat=HABITAT, barriers=fence(), detector_type="binary", compare=[]
    )
    assert behind.state_space_km2 == without.state_space_km2


# --- what is refused -----------------------------------------------------------------


def refused(match, captures, layer, **options):
    with pytest.raises(LinkwaysError, match=match):
        populations.capture(captures, layer, **{"habitat": HABITAT, "detector_type": "binary", **options})


def test_captures_at_unknown_detectors_are_refused_by_name():
    captures, layer = survey()
    captures.loc[4, "detector"] = "d99"
    refused(
        r"row 4 of the table captures names the detector 'd99', which is not in the layer detectors", captures, layer
    )


def test_an_animal_in_two_traps_at_once_is_refused():
    captures, layer = survey()
    refused(
        r"is at two places at once: at detectors d\d+ and d\d+ on occasion \d", captures, layer, detector_type="multi"
    )


def test_a_mask_that_leaves_detectors_outside_is_refused():
    captures, layer = survey()
    holed = HABITAT.copy(data=np.where(np.arange(COLUMNS) < 4, np.nan, 1.0) * np.ones((ROWS, 1)))
    refused(r"4 of 16 detectors lie outside of the mask .* first d0", captures, layer, habitat=holed)
    refused("16 of 16 detectors lie outside", captures, layer.set_geometry(layer.translate(1e6)))


def test_a_capture_without_effort_is_refused():
    captures, layer = survey()
    table = pd.DataFrame(
        [(f"d{k}", s, 1.0) for k in range(16) for s in range(1, 5)], columns=["detector", "occasion", "effort"]
    )
    row = captures.iloc[0]
    table.loc[(table["detector"] == row["detector"]) & (table["occasion"] == row["occasion"]), "effort"] = 0.0
    refused(
        rf"{row['individual']} at detector {row['detector']} on occasion {row['occasion']}, when its effort is 0",
        captures,
        layer,
        effort=table,
    )


def test_a_detector_without_any_effort_is_refused():
    captures, layer = survey()
    refused(
        "detector d2 has no effort on any occasion",
        captures[captures["detector"] != "d2"],
        layer.assign(effort=np.where(np.arange(16) == 2, 0.0, 1.0)),
    )


def test_an_animal_of_two_sexes_is_refused():
    captures, layer = survey()
    row = captures.index[captures["individual"].duplicated()][0]
    was = captures.loc[row, "sex"]
    captures.loc[row, "sex"] = "other"
    name = captures.loc[row, "individual"]
    refused(f"row {row} of the table captures has {name} as other, and another row as {was}", captures, layer)


FLAT = {"density": ["flat"], "density_covariates": [HABITAT.rename("flat")]}
TWICE = {"density": ["gradient", "twice"], "density_covariates": [GRADIENT, (2 * GRADIENT + 1).rename("twice")]}
UNIDENTIFIABLE = [
    ("sigma cannot be estimated", {}, lambda c: c.drop_duplicates("individual")),
    ("behavioural response b cannot be estimated", {"detection": ["b"]}, lambda c: c.assign(occasion=1)),
    ("behavioural response bk cannot", {"detection": ["bk"]}, lambda c: c.drop_duplicates(["individual", "detector"])),
    ("the captures tell only female", {"detection": ["sex"]}, lambda c: c[c["sex"] == "female"]),
    ("density names flat, which is the same all over the mask", FLAT, lambda c: c),
    ("density names twice, which follows from the other columns", TWICE, lambda c: c),
    ("detection names shade, which is the same all over the detectors", {"detection": ["shade"]}, lambda c: c),
    ("since flat has the same value", {"resistance": [HABITAT.rename("flat")]}, lambda c: c),
    ("b and bk, whose parameters cannot be told apart", {"detection": ["b", "bk"]}, lambda c: c),
]


@pytest.mark.parametrize(("match", "options", "change"), UNIDENTIFIABLE, ids=[case[0][:40] for case in UNIDENTIFIABLE])
def test_what_the_captures_cannot_tell_is_refused_by_its_parameter(match, options, change):
    captures, layer = survey(shade=np.ones(16))
    refused(match, change(captures), layer, **options)


def test_a_barrier_that_no_detector_can_tell_of_is_refused():
    captures, layer = survey()
    wide = spatial.new_raster(np.ones((ROWS, 160)), crs=CRS, cell_size=CELL, origin=(0, ROWS * CELL), name="habitat")
    far = gpd.GeoDataFrame(geometry=[shapely.LineString([(79_000, 100), (79_000, 6000)])], crs=CRS)
    refused("resistance of barriers cannot be told", captures, layer, habitat=wide, buffer_m=2500, barriers=far)


@pytest.mark.parametrize(
    ("match", "options"),
    [
        ("distance is euclidean, which no resistance changes", {"barriers": fence(), "distance": "euclidean"}),
        (
            r"density names 'gradent'.*did you mean 'gradient'",
            {"density": ["gradent"], "density_covariates": [GRADIENT]},
        ),
        ("holds the raster gradient, which density does not name", {"density_covariates": [GRADIENT]}),
        ("detection names 'moon', which is neither sex, b, bk nor a column", {"detection": ["moon"]}),
        ("movement names 'b'", {"movement": ["b"]}),
        ("a conditional likelihood has a constant density", {"conditional": True, "density": ["gradient"]}),
        ("compare names 'null', which is no model", {"compare": ["null"]}),
        ("compare names 'constant density', which is the asked model itself", {"compare": ["constant density"]}),
        ("profile names 'lambda', which is no parameter", {"profile": ["lambda"]}),
        ("none of the 1 barriers touches the raster", {"barriers": fence(1e6)}),
        ("captured on occasion 4 and the parameter occasions is 2", {"occasions": 2}),
    ],
)
def test_mistakes_are_told_in_one_sentence(match, options):
    captures, layer = survey()
    refused(match, captures, layer, **options)


def test_captures_on_two_sides_of_what_cannot_be_entered_are_refused_by_animal():
    captures, layer = survey()
    split = HABITAT.copy(data=np.where(np.arange(ROWS)[:, None] == 7, np.nan, 1.0) * np.ones((1, COLUMNS)))
    refused(
        "no cell of the mask can be reached from all detectors that captured a",
        captures,
        layer,
        habitat=split,
        distance="least_cost",
    )


def test_histories_from_camera_tables_go_straight_in():
    rng = np.random.default_rng(8)
    east, north = np.meshgrid(np.arange(5) * 1500.0 + 500_000, np.arange(4) * 1500.0 + 4_190_000)
    places = gpd.GeoSeries(gpd.points_from_xy(east.ravel(), north.ravel()), crs=CRS)
    degrees = places.to_crs(4326)
    deployments = pd.DataFrame(
        {
            "deploymentID": [f"c{k}" for k in range(20)],
            "latitude": degrees.y,
            "longitude": degrees.x,
            "deploymentStart": "2024-03-01T12:00:00Z",
            "deploymentEnd": "2024-03-31T12:00:00Z",
        }
    )
    seen = []
    for i in range(40):
        home = rng.uniform([499_000, 4_189_000], [507_000, 4_195_500])
        rate = 2.0 * np.exp(-((places.x - home[0]) ** 2 + (places.y - home[1]) ** 2) / 2 / 1100**2)
        for k, number in enumerate(rng.poisson(rate)):
            days = rng.integers(1, 30, number)
            seen += [(f"c{k}", "Panthera pardus", f"L{i}", f"2024-03-{day:02}T2{k % 4}:{i:02}:00Z") for day in days]
    observations = pd.DataFrame(seen, columns=["deploymentID", "scientificName", "individualID", "eventStart"])
    histories = populations.capture_histories(
        deployments, observations, species="Panthera pardus", site="deployment", invalid="leave out"
    )
    found = populations.capture(histories.captures, histories.detectors, histories.effort, detector_type="binary")
    assert found.animals_captured == histories.individuals_known
    assert found.animals_realised_low <= 40 * found.state_space_km2 / (8 * 6.5) <= found.animals_realised_high * 1.5
    assert found.coefficients.set_index("parameter").loc["sigma", "value"] == pytest.approx(1100, rel=0.2)
    # 20 cameras, 30 days: lambda0 is per camera day
    assert found.coefficients.set_index("parameter").loc["lambda0", "value"] == pytest.approx(2.0 / 30, rel=0.4)
