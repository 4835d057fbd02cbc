"""The gradient of the likelihood beside central differences, for every detector, function and kind of term."""

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest

from linkways import spatial
from linkways.populations._capture_model import SHAPES
from linkways.populations._capture_models import assemble, start_values
from linkways.populations._capture_run import Request, read_survey

CRS = "EPSG:32640"
NORTH = 10


def request(kind, function, detection, conditional):
    rng = np.random.default_rng(2)
    x, y = (v.ravel() for v in np.meshgrid(1250 + 1000 * np.arange(3), 1250 + 1000 * np.arange(3)))
    layer = gpd.GeoDataFrame(
        {"detector": [f"d{k}" for k in range(9)], "shade": rng.random(9)}, geometry=gpd.points_from_xy(x, y), crs=CRS
    )
    rows = []
    for i in range(25):
        home = rng.uniform(500, 4000, 2)
        chance = 0.4 * np.exp(-((x - home[0]) ** 2 + (y - home[1]) ** 2) / 2 / 700**2)
        sex = ("female", "male", None)[i % 3]
        for s in range(3):
            seen = np.flatnonzero(rng.random(9) < chance)[: 1 if kind == "multi" else None]
            rows += [(f"a{i}", s + 1, f"d{k}", sex) for k in seen]
    values = np.random.default_rng(5).random((2, NORTH, NORTH))
    rough, cost = (
        spatial.new_raster(v, crs=CRS, cell_size=500, origin=(0, NORTH * 500), name=name)
        for v, name in zip(values, ("rough", "cost"), strict=True)
    )
    return Request(
        captures=pd.DataFrame(rows, columns=["individual", "occasion", "detector", "sex"]),
        detectors=layer,
        effort=None,
        habitat=None,
        density_covariates=[] if conditional else [rough],
        resistance=[cost],
        barriers=None,
        detector_type=kind,
        function=function,
        density=() if conditional else ("rough",),
        detection=detection,
        movement=("sex", "shade"),
        distance=None,
        neighbours=16,
        buffer_m=None,
        spacing_m=None,
        occasions=3,
        conditional=conditional,
        profile=(),
        compare=(),
        level=0.95,
        centres_used=1,
        seed=1,
    )


CASES = [
    *(("binary", function, ("sex",), False) for function in SHAPES),
    *((kind, "half-normal", ("shade", b), False) for kind in ("count", "binary", "multi") for b in ("b", "bk")),
    ("multi", "hazard hazard-rate", ("sex", "b"), True),
    ("count", "hazard exponential", ("bk",), True),
]


@pytest.mark.parametrize(("kind", "function", "detection", "conditional"), CASES)
def test_the_gradient_is_that_of_central_differences(kind, function, detection, conditional):
    survey, terms = read_survey(request(kind, function, detection, conditional))
    assembled = assemble(survey, terms)
    model = assembled.model
    theta = start_values(survey, assembled) + 0.1 * np.sin(np.arange(model.layout.size) + 1.0)
    theta[model.layout.resistance] = 0.6
    value, slope = model.value_and_gradient(theta)
    assert value == pytest.approx(model.log_likelihood(theta), rel=1e-12)
    step = 1e-5
    for j, direction in enumerate(np.eye(len(theta))):
        ahead, behind = (model.log_likelihood(theta + sign * step * direction) for sign in (1, -1))
        assert slope[j] == pytest.approx((ahead - behind) / (2 * step), rel=1e-5, abs=1e-5), assembled.labels[j]
