"""The rules by which larvae live, checked against the field, and in the kernel's terms."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from linkways.errors import LinkwaysError

if TYPE_CHECKING:
    import xarray as xr
    from numpy.typing import NDArray

    from linkways.seas._drift_field import Wanted
    from linkways.seas._drift_kernels import Life, Particles
    from linkways.seas._drift_release import Cohorts

_SCHEMES = {"rk4": 0, "rk45": 1}
_COASTS = {"reflect": 0, "hold": 1, "beach": 2}
_VERTICAL = {"fixed": 0, "diel": 1, "ontogenetic": 2, "advected": 3}
_DEVELOPMENT = {"constant": 0, "q10": 1, "oconnor": 2}
_DAY_S = 86400.0


@dataclass(frozen=True)
class Rules:
    """The parameters of seas.drift under the same names."""

    larval_duration_d: float | None
    days: float | None
    competent_from_d: float
    competence_gain_per_d: float | None
    competence_loss_per_d: float
    mortality_per_d: float
    mortality_shape: float
    development: str
    reference_temperature_c: float | None
    q10: float
    vertical: str
    depth_m: float
    day_depth_m: float
    night_depth_m: float
    day_from_h: float
    day_to_h: float
    depth_ages_d: tuple[float, ...]
    depths_m: tuple[float, ...]
    stokes: bool
    windage: float
    diffusivity_m2_s: float
    coast: str
    step_min: float
    scheme: str
    tolerance_m: float
    parts: int
    radius_m: float

    @property
    def followed_d(self) -> float:
        """Days that each larva is followed at most."""
        if self.development != "constant":
            return float(self.days or 0)
        known = [d for d in (self.days, self.larval_duration_d) if d is not None]
        return float(min(known))


def checked_rules(rules: Rules, field: xr.Dataset, *, settles: bool) -> Rules:
    """The rules, or one sentence on what they or the field lack, or on what would not be used."""
    _check_life(rules)
    _check_used(rules, settles)
    _check_temperature(rules, field)
    _check_depths(rules, field)
    if rules.windage > 0 and not {"wind_u", "wind_v"} <= set(field.data_vars):
        raise LinkwaysError(
            f"windage is {rules.windage:g} but the currents have no wind_u and wind_v; add them or set it to 0"
        )
    return rules


def _check_life(rules: Rules) -> None:
    if rules.larval_duration_d is None and rules.days is None:
        raise LinkwaysError("seas.drift: give larval_duration_d, or days to follow larvae without such an end")
    last = rules.larval_duration_d
    if last is not None and rules.competent_from_d >= last:
        raise LinkwaysError(
            f"larvae become competent at {rules.competent_from_d:g} days but their larval duration ends at {last:g}; "
            "none could ever settle: lower competent_from_d or raise larval_duration_d"
        )


def _check_used(rules: Rules, settles: bool) -> None:
    """Parameters that differ from their defaults but bear on nothing."""
    migrates = rules.vertical in ("diel", "ontogenetic")
    diel, aging = rules.vertical == "diel", rules.vertical == "ontogenetic"
    habitat = "without habitat or habitat_raster"
    for name, value, default, used, why in (
        ("competent_from_d", rules.competent_from_d, 0.0, settles, habitat),
        ("competence_gain_per_d", rules.competence_gain_per_d, None, settles, habitat),
        ("competence_loss_per_d", rules.competence_loss_per_d, 0.0, settles, habitat),
        ("sensing_radius_m", rules.radius_m, 0.0, settles, habitat),
        ("habitat_parts", rules.parts, 4, settles, habitat),
        ("mortality_shape", rules.mortality_shape, 1.0, rules.mortality_per_d > 0, "where mortality_per_d is 0"),
        ("reference_temperature_c", rules.reference_temperature_c, None, rules.development != "constant",
         "for development constant"),
        ("q10", rules.q10, 2.0, rules.development == "q10", f"for development {rules.development}"),
        ("depth_m", rules.depth_m, 0.0, not migrates, f"for vertical {rules.vertical}"),
        ("day_depth_m", rules.day_depth_m, 10.0, diel, f"for vertical {rules.vertical}"),
        ("night_depth_m", rules.night_depth_m, 0.0, diel, f"for vertical {rules.vertical}"),
        ("day_from_h", rules.day_from_h, 6.0, diel, f"for vertical {rules.vertical}"),
        ("day_to_h", rules.day_to_h, 18.0, diel, f"for vertical {rules.vertical}"),
        ("depth_ages_d", rules.depth_ages_d, (), aging, f"for vertical {rules.vertical}"),
        ("depths_m", rules.depths_m, (), aging, f"for vertical {rules.vertical}"),
        ("tolerance_m", rules.tolerance_m, 1.0, rules.scheme == "rk45", f"for scheme {rules.scheme}"),
    ):  # fmt: skip
        if value != default and not used:
            raise LinkwaysError(f"seas.drift: {name} is given but is not used {why}; leave it out")
    if settles and rules.development == "constant" and rules.competent_from_d >= rules.followed_d:
        raise LinkwaysError(
            f"larvae become competent at {rules.competent_from_d:g} days but are followed for {rules.followed_d:g}; "
            "none could ever settle: lower competent_from_d or raise days"
        )


def _check_temperature(rules: Rules, field: xr.Dataset) -> None:
    if rules.development == "constant":
        return
    if "temperature" not in field:
        raise LinkwaysError(
            f"development {rules.development} needs temperature, which the currents lack; add it or take constant"
        )
    if rules.reference_temperature_c is None:
        raise LinkwaysError(
            f"development {rules.development} needs reference_temperature_c, at which larval_duration_d holds"
        )
    if rules.days is None:
        raise LinkwaysError(
            f"development {rules.development} needs days, the longest that larvae are followed, because cold water "
            "lengthens their larval time"
        )


def _check_depths(rules: Rules, field: xr.Dataset) -> None:
    layered = "depth" in field.dims
    if rules.vertical != "fixed" and not layered:
        raise LinkwaysError(
            f"vertical {rules.vertical} needs currents with depth levels; these have one layer: take fixed"
        )
    if rules.vertical == "fixed" and rules.depth_m > 0 and not layered:
        raise LinkwaysError(f"depth_m is {rules.depth_m:g} but the currents have one layer; leave it out")
    if rules.vertical == "advected" and "w" not in field:
        raise LinkwaysError("vertical advected needs the variable w, which the currents lack; add it or take fixed")
    if rules.vertical == "diel" and rules.day_from_h >= rules.day_to_h:
        raise LinkwaysError(
            f"day_from_h is {rules.day_from_h:g} and day_to_h {rules.day_to_h:g}; the day must begin before it ends"
        )
    if rules.vertical == "ontogenetic":
        ages = np.asarray(rules.depth_ages_d)
        if not len(ages) or len(ages) != len(rules.depths_m) or (np.diff(ages) <= 0).any():
            raise LinkwaysError(
                f"vertical ontogenetic needs depth_ages_d that rise and as many depths_m; they are {len(ages)} and "
                f"{len(rules.depths_m)}: {list(rules.depth_ages_d)}"
            )


def check_times(field: xr.Dataset, cohorts: Cohorts, rules: Rules) -> tuple[np.datetime64, NDArray[np.float64]]:
    """Midnight before the first release, and the seconds from it at which each larva is released.

    Raises LinkwaysError where larvae would be in the water at times the field does not have.
    """
    dates = np.array([d.to_datetime64() for d in cohorts.dates]).astype("datetime64[ns]")
    origin = dates.min().astype("datetime64[D]").astype("datetime64[ns]")
    if "time" in field.dims:
        first, last = field["time"].values[[0, -1]].astype("datetime64[ns]")
        ends = dates + np.timedelta64(round(rules.followed_d * 86400e3), "ms")
        wrong = np.flatnonzero((dates < first) | (ends > last))
        if len(wrong):
            larvae = int(cohorts.number[np.isin(cohorts.date, wrong)].sum())
            one = wrong[0]
            raise LinkwaysError(
                f"{larvae} larvae of {len(wrong)} release dates would drift outside the times of the currents "
                f"({_time(first)} to {_time(last)}), first those of {_time(dates[one])}, followed to "
                f"{_time(ends[one])}; change the dates, follow them for less long, or give currents for that time"
            )
    seconds = (dates - origin) / np.timedelta64(1, "s")
    return origin, np.repeat(seconds[cohorts.date], cohorts.number)


def _time(moment: Any) -> str:
    return str(np.datetime_as_string(moment, unit="m")).replace("T", " ")


def wanted_of(rules: Rules, field: xr.Dataset) -> Wanted:
    """What the rules need of the field."""
    from linkways.seas._drift_field import Wanted

    depths = {
        "fixed": (rules.depth_m,),
        "diel": (rules.day_depth_m, rules.night_depth_m),
        "ontogenetic": rules.depths_m,
        "advected": tuple(float(d) for d in field["depth"].values) if "depth" in field.dims else (0.0,),
    }[rules.vertical]
    has = set(field.data_vars)
    return Wanted(
        depths=(min(depths), max(depths)),
        rises=rules.vertical == "advected",
        temperature=rules.development != "constant",
        diffusivity="diffusivity" in has,
        stokes=rules.stokes and {"stokes_u", "stokes_v"} <= has,
        windage=rules.windage,
    )


def life_of(rules: Rules, field: xr.Dataset, keys: NDArray[np.int64], *, settles: bool) -> Life:
    """The rules as the kernel takes them."""
    from linkways.seas._drift_kernels import Life

    return Life(
        key0=int(keys[0]),
        key1=int(keys[1]),
        scheme=_SCHEMES[rules.scheme],
        step=rules.step_min * 60.0,
        tolerance=rules.tolerance_m,
        coast=_COASTS[rules.coast],
        mixing=rules.diffusivity_m2_s,
        varying="diffusivity" in field,
        vertical=_VERTICAL[rules.vertical],
        day_depth=rules.day_depth_m,
        night_depth=rules.night_depth_m,
        day_from=rules.day_from_h,
        day_to=rules.day_to_h,
        depth_ages=np.asarray(rules.depth_ages_d or (0.0,), float),
        depths=np.asarray(rules.depths_m or (0.0,), float),
        development=_DEVELOPMENT[rules.development],
        q10=rules.q10,
        reference=float(rules.reference_temperature_c or 15.0),
        duration=float(rules.larval_duration_d) if rules.larval_duration_d is not None else np.inf,
        mortality=rules.mortality_per_d,
        shape=rules.mortality_shape,
        parts=rules.parts,
        settles=settles,
    )


def born(
    x: NDArray[np.float64], y: NDArray[np.float64], released: NDArray[np.float64], rules: Rules, keys: NDArray[np.int64]
) -> Particles:
    """The larvae at their release, with what chance settles for each: when it dies, and when it is competent."""
    from linkways.seas._drift_kernels import Particles, draw_fates

    n = len(x)
    numbers = np.arange(n, dtype=np.int64)
    chance = -np.log(draw_fates(numbers, int(keys[0]), int(keys[1])))
    competent = np.full(n, rules.competent_from_d)
    if rules.competence_gain_per_d is not None:
        competent = competent + chance[:, 1] / rules.competence_gain_per_d
    incompetent = np.full(n, np.inf)
    if rules.competence_loss_per_d > 0:
        incompetent = competent + chance[:, 2] / rules.competence_loss_per_d
    return Particles(
        number=numbers,
        x=x.copy(),
        y=y.copy(),
        z=np.full(n, rules.depth_m),
        released=released.copy(),
        ends=released + rules.followed_d * _DAY_S,
        steps=np.zeros(n, np.int64),
        development=np.zeros(n),
        frailty=chance[:, 0].copy(),
        competent=competent,
        incompetent=incompetent,
        trial=np.full(n, rules.step_min * 60.0),
        status=np.zeros(n, np.uint8),
        sink=np.full(n, -1, np.int32),
        ended=np.full(n, np.nan),
    )
