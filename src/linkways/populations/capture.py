"""Spatial capture-recapture: density of animals known one by one, and what a fence costs them, with its interval."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

from linkways.method import Figure, Indicator, Layer, Param, Raster, Table, TableOf, Vector, method

if TYPE_CHECKING:
    import geopandas as gpd
    import matplotlib.figure
    import pandas as pd
    import xarray as xr

__all__ = ["CaptureModel", "capture"]

ID = "populations.capture"


@dataclass(frozen=True)
class CaptureModel:
    """A fitted model of spatial capture-recapture and what it says of animals and barriers."""

    coefficients: Annotated[
        "pd.DataFrame",
        TableOf(
            "parameter (density, lambda0 or g0, sigma, shape, share, resistance), term, estimate (logarithm; logit of "
            "g0 and share; alpha of resistance), standard_error, low, high, interval (Wald, profile), value with "
            "value_low and value_high (as it is, or times as much), unit, remark (bounds that the data do not give)"
        ),
    ]
    models: Annotated[
        "pd.DataFrame",
        TableOf(
            "model, parameters, log_likelihood, aic, aicc, delta_aic, weight; LR test of the asked model against it "
            "where it is a special case: likelihood_ratio, df, p"
        ),
    ]
    density: Annotated["xr.DataArray", Layer("density of activity centres", unit="animals/km2")]
    density_se: Annotated["xr.DataArray", Layer("its standard error", unit="animals/km2")]
    centres: Annotated[
        "xr.DataArray",
        Layer(
            "activity centres of the animals of this survey, caught and not caught; sums to realised N", unit="animals"
        ),
    ]
    space_use: Annotated[
        "xr.DataArray | None",
        Layer("where animals are expected at any time, barriers as estimated", unit="animals/km2"),
    ]
    space_use_without: Annotated["xr.DataArray | None", Layer("the same with the barriers removed", unit="animals/km2")]
    crossing: Annotated[
        "pd.DataFrame | None",
        TableOf(
            "scenario (as estimated, at the low and high end of the interval, removed), alpha, crossing_share: part of "
            "the animals' time spent beyond a barrier from their centre, animals_beyond: animals beyond at any time"
        ),
    ]
    profiles: Annotated[
        "pd.DataFrame", TableOf("parameter, term, value, log_likelihood maximised over the rest, drop from the maximum")
    ]
    animals_expected: Annotated[float, Indicator("expected number of animals in the state space", unit="animals")]
    animals_expected_low: Annotated[
        float, Indicator("expected number of animals, low end of the interval", unit="animals")
    ]
    animals_expected_high: Annotated[
        float, Indicator("expected number of animals, high end of the interval", unit="animals")
    ]
    animals_realised: Annotated[float, Indicator("animals there during the survey", unit="animals")]
    animals_realised_low: Annotated[
        float, Indicator("animals there during the survey, low end of the interval", unit="animals")
    ]
    animals_realised_high: Annotated[
        float, Indicator("animals there during the survey, high end of the interval", unit="animals")
    ]
    animals_captured: Annotated[int, Indicator("animals captured", unit="animals")]
    mean_density: Annotated[float, Indicator("mean density of the state space", unit="animals/100 km2")]
    mean_density_low: Annotated[float, Indicator("mean density, low end of the interval", unit="animals/100 km2")]
    mean_density_high: Annotated[float, Indicator("mean density, high end of the interval", unit="animals/100 km2")]
    sampled_km2: Annotated[float, Indicator("effective sampling area (esa)", unit="km2")]
    state_space_km2: Annotated[float, Indicator("area of the state space", unit="km2")]
    log_likelihood: Annotated[float, Indicator("log-likelihood", unit="natural logarithm")]
    barrier_cost: Annotated[
        float, Indicator("cost of a metre in a barrier's cell, times that of open land; infinite: only bounded below")
    ]
    barrier_cost_low: Annotated[float, Indicator("cost of the barrier, low end of the profile interval")]
    barrier_cost_high: Annotated[
        float, Indicator("cost of the barrier, high end of the profile interval; infinite: the data give none")
    ]
    detour_km: Annotated[
        float, Indicator("detour that costs as much as crossing the barrier; infinite: only bounded below", unit="km")
    ]
    detour_km_low: Annotated[
        float, Indicator("detour as costly as the barrier, low end of the profile interval", unit="km")
    ]
    detour_km_high: Annotated[
        float, Indicator("detour as costly as the barrier, high end; infinite: the data give none", unit="km")
    ]
    barrier_p: Annotated[float, Indicator("p of the likelihood ratio test against a barrier without effect")]
    figure: Annotated["matplotlib.figure.Figure", Figure("detection with distance, and the profile likelihoods")]


@method(
    ID,
    references=(
        "Borchers DL, Efford MG (2008) Spatially explicit maximum likelihood methods for capture-recapture studies. "
        "Biometrics 64:377-385",
        "Royle JA, Chandler RB, Gazenski KD, Graves TA (2013) Spatial capture-recapture models for jointly estimating "
        "population density and landscape connectivity. Ecology 94:287-294 (least-cost distance)",
        "Sutherland C, Fuller AK, Royle JA (2015) Modelling non-Euclidean movement and landscape connectivity in "
        "highly structured ecological networks. Methods in Ecology and Evolution 6:169-177",
        "Efford MG, Fewster RM (2013) Estimating population size by spatially explicit capture-recapture. Oikos "
        "122:918-928 (expected and realised numbers)",
    ),
)
def capture(
    captures: Annotated[
        "pd.DataFrame",
        Table(
            "captures: individual, occasion (from 1), detector; optional count, sex (empty: not known)",
            columns=("individual", "occasion", "detector"),
        ),
    ],
    detectors: Annotated[
        "gpd.GeoDataFrame",
        Vector(
            "cameras or traps; optional effort (on each occasion) and columns that detection and movement name",
            geometry=("Point",),
            columns=("detector",),
        ),
    ],
    effort: Annotated[
        "pd.DataFrame | None",
        Table("effort of each detector on each occasion, 0: not there", columns=("detector", "occasion", "effort")),
    ] = None,
    habitat: Annotated[
        "xr.DataArray | None",
        Raster("where activity centres can be: above 0; 0: only passed through; nodata: cannot be entered"),
    ] = None,
    density_covariates: Annotated[
        "Sequence[xr.DataArray] | None", Raster("what density may depend on, each by its name", many=True)
    ] = None,
    resistance: Annotated[
        "Sequence[xr.DataArray] | None",
        Raster("what the cost of movement may depend on, higher where harder, each by its name", many=True),
    ] = None,
    barriers: Annotated[
        "gpd.GeoDataFrame | None", Vector("fences, roads, rivers across the way", geometry=("LineString",))
    ] = None,
    *,
    detector_type: Annotated[
        Literal["count", "binary", "multi"],
        Param("counts of visits, seen or not on an occasion, or traps that hold an animal for the occasion"),
    ] = "count",
    function: Annotated[
        Literal[
            "hazard half-normal",
            "hazard exponential",
            "hazard hazard-rate",
            "half-normal",
            "exponential",
            "hazard-rate",
        ],
        Param("how detection falls with distance: of the hazard (lambda0), or of the chance (g0)"),
    ] = "hazard half-normal",
    density: Annotated[
        Sequence[str] | None, Param("rasters on which log density depends; constant without them")
    ] = None,
    detection: Annotated[
        Sequence[str] | None,
        Param("what lambda0 or g0 depends on: sex, b (caught before), bk (caught before here), columns of detectors"),
    ] = None,
    movement: Annotated[Sequence[str] | None, Param("what sigma depends on: sex, columns of detectors")] = None,
    distance: Annotated[
        Literal["euclidean", "least_cost"] | None,
        Param(
            "straight, or over the raster by least cost; left out: least cost where resistance or barriers are given"
        ),
    ] = None,
    neighbours: Annotated[Literal[8, 16], Param("cells that a step can reach, for least-cost distance")] = 8,
    buffer_m: Annotated[
        float | None,
        Param("state space this far around detectors; left out: all of the rasters, or about 5 sigma", unit="m", gt=0),
    ] = None,
    spacing_m: Annotated[
        float | None,
        Param("between activity centres; left out: the raster's cell, or about a third of sigma", unit="m", gt=0),
    ] = None,
    occasions: Annotated[
        int | None, Param("number of occasions; left out: the last of effort or captures", ge=1)
    ] = None,
    conditional: Annotated[
        bool, Param("likelihood given the animals captured; density is then constant and derived")
    ] = False,
    profile: Annotated[
        Sequence[str] | None, Param("parameters beside resistance with profile intervals: density, lambda0, sigma ...")
    ] = None,
    compare: Annotated[
        Sequence[str] | None,
        Param(
            "models to compare with: no resistance, euclidean, constant density, constant detection, same sigma, other "
            "functions; left out: all special cases of the asked one"
        ),
    ] = None,
    level: Annotated[float, Param("confidence of the intervals", gt=0, lt=1)] = 0.95,
    centres_used: Annotated[int, Param("activity centres that carry the map of space use, drawn if more", ge=1)] = 2000,
    seed: Annotated[int, Param("seed of drawing them", ge=0)] = 1,
) -> CaptureModel:
    """Density and numbers of animals known one by one, and the cost of a barrier to them, from spatial captures.

    Animals have activity centres, of density ``log D = X beta`` over a fixed state space. A detector at distance d
    catches with hazard h per unit of effort: ``lambda0 exp(-d^2 / (2 sigma^2))`` (half-normal), ``lambda0 exp(-d /
    sigma)``, ``lambda0 (1 - exp(-(d / sigma)^-z))``, or with chances g of these forms (g0) and ``h = -log(1 - g)``.
    Counts are Poisson, binary detectors see with ``1 - exp(-h)``, a multi-catch trap takes the share ``h / H`` of ``1 -
    exp(-H)``, H the hazard of all traps; this also serves for single-catch traps. Sexes not told are summed over.

    Least-cost distance makes a metre cost ``exp(sum alpha z)``, with z the resistance rasters less their least value,
    and 1 in cells that a barrier touches. Each alpha is estimated with density and detection, by the exact gradient.
    The state space stays the same whatever alpha is. Its interval is by profile likelihood: where no animal was caught
    on both sides the likelihood can be level towards infinity, and only a lower bound is given. Compare with the model
    without resistance: it has the same paths over the grid, which are longer than straight lines (up to 8 % with 8
    neighbours, 3 % with 16). Crossing a barrier costs as much as a detour of ``(exp(alpha) - 1)`` cells.

    Removed, alpha of the barriers is 0 and all else as estimated; an animal's use of a cell is in proportion to h.

    Raises LinkwaysError for unknown detectors, captures without effort, an individual in two traps at once, detectors
    outside of the mask, and terms that the captures cannot tell, by their parameter.

    Examples
    --------
    >>> import geopandas as gpd, pandas as pd
    >>> from linkways import populations
    >>> x, y = [0, 1000, 2000] * 3, [0] * 3 + [1000] * 3 + [2000] * 3
    >>> traps = gpd.GeoDataFrame({"detector": list("abcdefghi")}, geometry=gpd.points_from_xy(x, y), crs="EPSG:32640")
    >>> caught = pd.DataFrame({"individual": list("11122334445"), "detector": list("abdcfghaefi"), "occasion": 1})
    >>> found = populations.capture(caught, traps, buffer_m=3000, spacing_m=500)
    >>> found.animals_captured, found.animals_realised > 5, round(found.state_space_km2)
    (5, True, 56)
    """
    from linkways.populations._capture_run import Request, run

    return run(
        Request(
            captures=captures,
            detectors=detectors,
            effort=effort,
            habitat=habitat,
            density_covariates=list(density_covariates or ()),
            resistance=list(resistance or ()),
            barriers=barriers,
            detector_type=detector_type,
            function=function,
            density=tuple(density or ()),
            detection=tuple(detection or ()),
            movement=tuple(movement or ()),
            distance=distance,
            neighbours=neighbours,
            buffer_m=buffer_m,
            spacing_m=spacing_m,
            occasions=occasions,
            conditional=conditional,
            profile=tuple(profile or ()),
            compare=None if compare is None else tuple(compare),
            level=level,
            centres_used=centres_used,
            seed=seed,
        )
    )
