"""Spatial capture-recapture beside secr 5.5.0 (Efford) and a simulated fence.

The expected values were computed with secr 5.5.0 (R 4.2.2) on the same captures and mask points; those of the fence
with an independent numpy program whose distance matrices at the maximum were given to secr, which agrees. secr counts
animals per hectare, Linkways per km2.
"""

import json

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest

from linkways import populations, spatial
from linkways.spatial import recording

CRS = "EPSG:3857"
PER_HA = np.log(100)


def raster_of(x, y, values, name="habitat", unit=1.0):
    """A raster from the points of a mask, nan between them."""
    step = np.diff(np.unique(np.round(x, 6))).min() * unit
    x, y = x * unit, y * unit
    column = np.round((x - x.min()) / step).astype(int)
    row = np.round((y.max() - y) / step).astype(int)
    cells = np.full((row.max() + 1, column.max() + 1), np.nan)
    cells[row, column] = values
    return spatial.new_raster(
        cells, crs=CRS, cell_size=step, origin=(x.min() - step / 2, y.max() + step / 2), name=name
    )


def read(folder, name="", sub=""):
    captures = pd.read_csv(folder / f"{name}captures{sub}.csv")
    captures = captures.rename(columns={"ID": "individual", "Occasion": "occasion", "TrapID": "detector"})
    traps = pd.read_csv(folder / f"{name}detectors.csv")
    mask = pd.read_csv(folder / f"{name}mask.csv")
    layer = gpd.GeoDataFrame(traps, geometry=gpd.points_from_xy(traps["x"], traps["y"]), crs=CRS)
    return captures, layer, mask


@pytest.fixture(scope="module")
def secr(shared):
    return shared / "data" / "populations" / "secr"


@pytest.fixture(scope="module")
def kruger(shared):
    return shared / "data" / "populations" / "kruger_leopard_sim"


def estimate(found, parameter, term="(intercept)"):
    rows = found.coefficients.set_index(["parameter", "term"])
    return float(rows.loc[(parameter, term), "estimate"])


def error(found, parameter):
    return float(found.coefficients.set_index("parameter").loc[parameter, "standard_error"])


def fit(data, **options):
    captures, layer, mask = data
    habitat = raster_of(mask["x"].to_numpy(), mask["y"].to_numpy(), 1.0)
    return populations.capture(captures, layer, habitat=habitat, **options)


def test_the_captdata_null_model_is_that_of_secr(secr):
    found = fit(read(secr, "captdata_"), detector_type="multi", function="half-normal")
    assert found.log_likelihood == pytest.approx(-759.025746, abs=1e-5)
    assert np.exp(estimate(found, "density")) / 100 == pytest.approx(5.479802, rel=1e-4)
    # secr gives the standard error of a lognormal
    assert np.sqrt(np.expm1(error(found, "density") ** 2)) * 5.479802 == pytest.approx(0.646741, rel=2e-4)
    assert found.coefficients.set_index("parameter").loc["g0", "value"] == pytest.approx(0.273191, abs=2e-5)
    assert found.coefficients.set_index("parameter").loc["sigma", "value"] == pytest.approx(29.365834, rel=2e-5)


def test_the_conditional_likelihood_and_the_area_sampled_are_those_of_secr(secr):
    found = fit(read(secr, "captdata_"), detector_type="multi", function="half-normal", conditional=True)
    assert found.log_likelihood == pytest.approx(-755.940344, abs=1e-5)
    assert found.sampled_km2 * 100 == pytest.approx(13.869100, rel=2e-5)
    # the derived density is n / esa, and its error agrees with that of the full likelihood
    assert found.mean_density / 1e4 == pytest.approx(5.479802, rel=2e-5)
    width = np.log(found.mean_density_high / found.mean_density_low) / 2 / 1.959964
    assert np.sqrt(np.expm1(width**2)) * 5.479802 == pytest.approx(0.646741, rel=1e-3)


def test_the_behavioural_response_is_that_of_secr(secr):
    found = fit(read(secr, "captdata_"), detector_type="multi", function="half-normal", detection=["b"])
    assert found.log_likelihood == pytest.approx(-759.016423, abs=1e-5)
    assert found.models.set_index("model").loc["constant detection", "log_likelihood"] == pytest.approx(
        -759.025746, abs=1e-5
    )


@pytest.mark.parametrize(
    ("function", "expected"),
    [("half-normal", -144.001517), ("exponential", -144.708286), ("hazard half-normal", -143.996907)],
)
def test_the_stoats_of_secr_by_detection_function(secr, function, expected):
    found = fit(read(secr, "stoatCH_"), detector_type="multi", function=function)
    assert found.log_likelihood == pytest.approx(expected, abs=1e-5)
    if function == "half-normal":
        assert estimate(found, "density") - PER_HA == pytest.approx(-3.800349, abs=1e-4)
        assert estimate(found, "g0") == pytest.approx(-2.914012, abs=1e-4)
        assert estimate(found, "sigma") == pytest.approx(5.552634, abs=1e-4)


def test_the_leopards_of_kruger_without_covariates_are_those_of_secr(kruger):
    found = fit(read(kruger, sub="_count"))
    assert found.log_likelihood == pytest.approx(-295.964705, abs=1e-5)
    assert estimate(found, "density") - PER_HA == pytest.approx(-7.668608, abs=1e-4)
    assert estimate(found, "lambda0") == pytest.approx(-0.351260, abs=1e-4)
    assert estimate(found, "sigma") == pytest.approx(8.154721, abs=1e-4)
    assert found.animals_expected == pytest.approx(150.557, abs=5e-3)
    assert np.sqrt(np.expm1(error(found, "density") ** 2)) * found.animals_expected == pytest.approx(20.67, abs=0.01)
    assert found.animals_realised_low < 153 < found.animals_realised_high


def test_a_count_of_chances_is_that_of_secr(kruger):
    found = fit(read(kruger, sub="_count"), function="half-normal")
    assert found.log_likelihood == pytest.approx(-296.184088, abs=1e-5)


@pytest.mark.parametrize(
    ("sub", "options", "expected"),
    [
        ("count", {}, -289.954132),
        ("binary", {"detector_type": "binary", "function": "half-normal"}, -228.896288),
    ],
)
def test_leopard_density_with_habitat_is_that_of_secr(kruger, sub, options, expected):
    captures, layer, mask = read(kruger, sub=f"_{sub}")
    habitat = raster_of(mask["x"].to_numpy(), mask["y"].to_numpy(), mask["habitat.cov"].to_numpy(), "quality")
    found = populations.capture(captures, layer, density_covariates=[habitat], density=["quality"], **options)
    assert found.log_likelihood == pytest.approx(expected, abs=1e-5)
    if sub == "count":
        assert estimate(found, "density") - PER_HA == pytest.approx(-9.334398, abs=2e-4)
        assert estimate(found, "density", "quality") == pytest.approx(0.712100, abs=1e-4)
        assert estimate(found, "lambda0") == pytest.approx(-0.351695, abs=1e-4)
        assert estimate(found, "sigma") == pytest.approx(8.157834, abs=1e-4)
        assert found.animals_expected == pytest.approx(127.398, abs=5e-3)


def test_the_least_cost_profile_of_kruger_is_that_of_secr_with_static_distances(kruger):
    """secr 5.5.0 with userdist from gdistance::costDistance, 8 neighbours, cost exp(alpha (max(hab) - hab))."""
    from linkways.populations._capture_fit import climb
    from linkways.populations._capture_models import assemble, start_values
    from linkways.populations._capture_run import Request, read_survey

    captures, layer, mask = read(kruger, sub="_count")
    quality = mask["habitat.cov"].to_numpy()
    z = raster_of(mask["x"].to_numpy(), mask["y"].to_numpy(), quality.max() - quality, "z")
    request = Request(
        captures=captures,
        detectors=layer,
        effort=None,
        habitat=None,
        density_covariates=[],
        resistance=[z],
        barriers=None,
        detector_type="count",
        function="hazard half-normal",
        density=(),
        detection=(),
        movement=(),
        distance=None,
        neighbours=8,
        buffer_m=None,
        spacing_m=None,
        occasions=None,
        conditional=False,
        profile=(),
        compare=(),
        level=0.95,
        centres_used=1,
        seed=1,
    )
    survey, terms = read_survey(request)
    assembled = assemble(survey, terms)
    others = start_values(survey, assembled)[:-1]
    expected = {0: -296.0757231, 0.25: -294.2551647, 0.5: -301.2592496, 0.75: -317.1748484, 1: -340.8208768}
    for alpha, height in expected.items():
        inner = alpha / assembled.to_raw[-1, -1]

        def profile(theta, inner=inner):
            value, slope = assembled.model.value_and_gradient(np.append(theta, inner))
            return value, slope[:-1]

        others, value, _, _ = climb(profile, others)
        assert value == pytest.approx(height, abs=1e-4)


def fence(shared, which):
    folder = shared / "data" / "populations" / "fence_sim" / which
    captures = pd.read_csv(folder / "captures.csv").assign(occasion=1)
    traps = pd.read_csv(folder / "detectors.csv")
    mask = pd.read_csv(folder / "mask.csv")
    layer = gpd.GeoDataFrame(
        traps, geometry=gpd.points_from_xy(traps["x_km"] * 1000, traps["y_km"] * 1000), crs=CRS
    ).drop(columns=["nights"])
    z = raster_of(mask["x_km"].to_numpy(), mask["y_km"].to_numpy(), mask["fence"].to_numpy(), "fence", 1000.0)
    return captures, layer, z, json.loads((folder / "truth.json").read_text())


def test_a_fence_that_some_cross_has_the_published_estimate_and_profile_interval(shared):
    captures, layer, z, truth = fence(shared, "semi")
    found = populations.capture(captures, layer, resistance=[z], compare=["no resistance", "euclidean"])
    assert found.log_likelihood == pytest.approx(-397.760994, abs=1e-5)
    assert estimate(found, "density") == pytest.approx(-2.752249, abs=2e-4)
    assert estimate(found, "lambda0") == pytest.approx(0.710624, abs=2e-4)
    assert estimate(found, "sigma") - np.log(1000) == pytest.approx(0.882312, abs=2e-4)
    assert estimate(found, "resistance", "fence") == pytest.approx(1.270651, abs=2e-4)
    assert error(found, "resistance") == pytest.approx(0.1751, rel=1e-2)
    row = found.coefficients.set_index("parameter").loc["resistance"]
    assert row["interval"] == "profile"
    assert row["low"] == pytest.approx(0.892, abs=1e-3)
    assert row["high"] == pytest.approx(1.662, abs=1e-3)
    assert row["low"] < truth["truth"]["alpha"] < row["high"]
    models = found.models.set_index("model")
    assert models.loc["no resistance", "log_likelihood"] == pytest.approx(-409.746030, abs=1e-5)
    assert models.loc["euclidean", "log_likelihood"] == pytest.approx(-409.398185, abs=1e-5)
    assert models.loc["no resistance", "likelihood_ratio"] == pytest.approx(2 * (409.746030 - 397.760994), abs=1e-4)


def test_a_fence_that_none_cross_has_a_lower_bound_only(shared):
    captures, layer, z, _ = fence(shared, "strong")
    with recording():
        found = populations.capture(captures, layer, resistance=[z], compare=["no resistance", "euclidean"])
    assert found.log_likelihood == pytest.approx(-250.0152251, abs=1e-4)
    row = found.coefficients.set_index("parameter").loc["resistance"]
    assert row["low"] == pytest.approx(0.883, abs=1e-3)
    assert row["value_low"] == pytest.approx(2.42, abs=5e-3)
    assert np.isinf(row["high"])
    assert np.isinf(row["estimate"])
    assert row["remark"] == "at least 0.883; the data give no upper bound"
    models = found.models.set_index("model")
    assert models.loc["no resistance", "log_likelihood"] == pytest.approx(-254.422086, abs=1e-5)
    assert models.loc["euclidean", "log_likelihood"] == pytest.approx(-254.341335, abs=1e-5)
    assert models.loc["no resistance", "likelihood_ratio"] == pytest.approx(8.81, abs=5e-3)


def test_a_fence_drawn_as_a_line_gives_what_its_cells_give(shared):
    import shapely

    captures, layer, z, _ = fence(shared, "semi")
    line = gpd.GeoDataFrame(geometry=[shapely.LineString([(100, 20500), (39900, 20500)])], crs=CRS)
    found = populations.capture(captures, layer, habitat=z * 0 + 1, barriers=line, compare=[])
    assert found.log_likelihood == pytest.approx(-397.760994, abs=1e-5)
    assert found.barrier_cost_low == pytest.approx(np.exp(0.892), rel=1e-3)
    assert found.detour_km_high == pytest.approx(np.exp(1.662) - 1, rel=2e-3)
    assert found.barrier_p == pytest.approx(9.8e-7, rel=0.02)
