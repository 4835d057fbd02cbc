"""Flows that are known by a formula, and a simulated shelf: velocities at given places and times."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from linkways.errors import LinkwaysError, nearest

if TYPE_CHECKING:
    from numpy.typing import NDArray

Array = "NDArray[np.float64]"

DEFAULTS: dict[str, dict[str, float]] = {
    "uniform": {"u_m_s": 0.1, "v_m_s": 0.0},
    "solid_rotation": {"period_days": 1.0},
    "double_gyre": {"speed_m_s": 0.3, "epsilon": 0.25, "period_days": 10.0},
    "bickley_jet": {"speed_m_s": 0.6, "width_km": 50.0},
    "stommel_gyre": {"speed_m_s": 0.5, "boundary_share": 0.05},
    "shelf": {
        "mean_speed_m_s": 0.15,
        "mean_toward_deg": 150.0,
        "shelf_km": 60.0,
        "tide_speed_m_s": 0.3,
        "tide_toward_deg": 60.0,
        "tide_ellipticity": 0.2,
        "tide_wavelength_km": 1500.0,
        "wind_speed_m_s": 6.0,
        "wind_toward_deg": 310.0,
        "wind_gusts_m_s": 4.0,
        "wind_memory_days": 3.0,
        "wind_share": 0.02,
        "wind_turn_deg": -20.0,
        "eddies": 12.0,
        "eddy_speed_m_s": 0.2,
        "eddy_radius_km": 40.0,
        "coast_km": 5.0,
        "depth_scale_m": 50.0,
    },
}
"""The parameters of each flow."""

STEADY = ("uniform", "solid_rotation", "stommel_gyre")
_M2_S, _S2_S = 12.4206012 * 3600.0, 12.0 * 3600.0


@dataclass(frozen=True)
class Ground:
    """The domain: its edges in metres from its south-west corner, and the distance to the coast."""

    width: float
    height: float
    days: float
    distance: NDArray[np.float64] | None = None
    """Metres to the nearest land, on the cells; None where there is none."""


def parameters_of(flow: str, given: Mapping[str, float]) -> dict[str, float]:
    """The flow's parameters, those given in place of their defaults."""
    known = DEFAULTS[flow]
    for name, value in given.items():
        if name not in known:
            raise LinkwaysError(f"flow {flow} has no parameter '{name}'{nearest(name, known)}")
        if not np.isfinite(value):
            raise LinkwaysError(f"flow parameter {name} is {value}; give a finite number")
    chosen = {**known, **given}
    for name in ("period_days", "width_km", "boundary_share", "shelf_km", "wind_memory_days", "eddy_radius_km",
                 "coast_km", "depth_scale_m", "tide_wavelength_km"):  # fmt: skip
        if name in chosen and chosen[name] <= 0:
            raise LinkwaysError(f"flow parameter {name} is {chosen[name]:g} but must be above 0")
    if flow == "stommel_gyre" and chosen["boundary_share"] < 0.01:
        raise LinkwaysError(f"flow parameter boundary_share is {chosen['boundary_share']:g} but must be at least 0.01")
    return chosen


def velocity_of(flow: str, chosen: dict[str, float], ground: Ground, rng: np.random.Generator) -> Callable[..., Any]:
    """A function (x, y, seconds) -> (u, v): x and y in metres from the south-west corner, velocities in m/s."""
    makers: dict[str, Callable[..., Any]] = {
        "uniform": _uniform,
        "solid_rotation": _solid_rotation,
        "double_gyre": _double_gyre,
        "bickley_jet": _bickley_jet,
        "stommel_gyre": _stommel_gyre,
        "shelf": _shelf,
    }
    made: Callable[..., Any] = makers[flow](ground, rng, **chosen)
    return made


# --- analytic ------------------------------------------------------------------------------------------------------


def _uniform(ground: Ground, rng: Any, u_m_s: float, v_m_s: float) -> Callable[..., Any]:  # noqa: ARG001
    return lambda x, y, t: (np.full(np.shape(x), u_m_s), np.full(np.shape(y), v_m_s))  # noqa: ARG005


def _solid_rotation(ground: Ground, rng: Any, period_days: float) -> Callable[..., Any]:  # noqa: ARG001
    """Everything turns, counter-clockwise, around the middle."""
    turn = 2.0 * np.pi / (period_days * 86400.0)
    return lambda x, y, t: (-turn * (y - ground.height / 2), turn * (x - ground.width / 2))  # noqa: ARG005


def _double_gyre(ground: Ground, rng: Any, speed_m_s: float, epsilon: float, period_days: float) -> Callable[..., Any]:  # noqa: ARG001
    """Two gyres whose border swings (Shadden, Lekien and Marsden 2005)."""
    half, high = ground.width / 2.0, ground.height

    def at(x: Any, y: Any, t: float) -> tuple[Any, Any]:
        swing = epsilon * np.sin(2.0 * np.pi * t / (period_days * 86400.0))
        across, up = x / half, np.pi * y / high
        f = swing * across**2 + (1.0 - 2.0 * swing) * across
        slope = 2.0 * swing * across + 1.0 - 2.0 * swing
        return (
            -speed_m_s * np.sin(np.pi * f) * np.cos(up),
            speed_m_s * high / half * np.cos(np.pi * f) * np.sin(up) * slope,
        )

    return at


def _bickley_jet(ground: Ground, rng: Any, speed_m_s: float, width_km: float) -> Callable[..., Any]:  # noqa: ARG001
    """A zonal jet with three Rossby waves (Rypina et al. 2007): vortices on both sides, a barrier between them."""
    scale = width_km * 1000.0
    numbers = 2.0 * np.pi * np.arange(1, 4) / ground.width
    second, third = 0.205 * speed_m_s, 0.461 * speed_m_s
    first = third + (np.sqrt(5.0) - 1.0) / 2.0 * numbers[1] / numbers[0] * (second - third)
    waves = tuple(zip((0.0075, 0.15, 0.3), numbers, (first, second, third), strict=True))

    def at(x: Any, y: Any, t: float) -> tuple[Any, Any]:
        eta = (y - ground.height / 2.0) / scale
        sech2 = 1.0 / np.cosh(eta) ** 2
        u = speed_m_s * sech2
        v = np.zeros(np.broadcast(x, y).shape)
        for size, k, c in waves:
            u = u + 2.0 * speed_m_s * size * sech2 * np.tanh(eta) * np.cos(k * (x - c * t))
            v = v - speed_m_s * scale * size * k * sech2 * np.sin(k * (x - c * t))
        return u, v

    return at


def _stommel_gyre(ground: Ground, rng: Any, speed_m_s: float, boundary_share: float) -> Callable[..., Any]:  # noqa: ARG001
    """The wind-driven gyre with a western boundary current (Stommel 1948); speed is that of the boundary current."""
    root = np.sqrt(1.0 + (2.0 * np.pi * boundary_share) ** 2)
    grow, fall = (-1.0 + root) / (2.0 * boundary_share), (-1.0 - root) / (2.0 * boundary_share)
    one = (1.0 - np.exp(fall)) / (np.exp(fall) - np.exp(grow))
    two = -(1.0 + one)
    strongest = abs(one * grow + two * fall)

    def at(x: Any, y: Any, t: float) -> tuple[Any, Any]:  # noqa: ARG001
        across, up = x / ground.width, np.pi * y / ground.height
        shape = one * np.exp(grow * across) + two * np.exp(fall * across) + 1.0
        slope = one * grow * np.exp(grow * across) + two * fall * np.exp(fall * across)
        unit = speed_m_s / strongest
        return (
            -unit * ground.width * np.pi / ground.height * shape * np.cos(up),
            unit * slope * np.sin(up),
        )

    return at


# --- simulated shelf -----------------------------------------------------------------------------------------------


def _toward(degrees: float) -> tuple[float, float]:
    """The unit vector towards this direction, clockwise from north."""
    return float(np.sin(np.radians(degrees))), float(np.cos(np.radians(degrees)))


def _shelf(ground: Ground, rng: np.random.Generator, **p: float) -> Callable[..., Any]:
    """A boundary current, tides, wind and eddies, turned along the coast near it; x, y must be the cells'."""
    wind_times, winds = _weather(ground, rng, p)
    vortices = _vortices(ground, rng, p)
    coast = _coast(ground, p)
    mean, tide = _toward(p["mean_toward_deg"]), _toward(p["tide_toward_deg"])

    def at(x: Any, y: Any, t: float) -> tuple[Any, Any]:
        offshore = 1.0 if coast is None else coast[2]
        u, v = p["mean_speed_m_s"] * mean[0] * offshore, p["mean_speed_m_s"] * mean[1] * offshore
        phase = 2.0 * np.pi * (x * tide[0] + y * tide[1]) / (p["tide_wavelength_km"] * 1000.0)
        for period, share in ((_M2_S, 0.7), (_S2_S, 0.3)):
            along = share * p["tide_speed_m_s"] * np.cos(2.0 * np.pi * t / period - phase)
            across = share * p["tide_speed_m_s"] * p["tide_ellipticity"] * np.sin(2.0 * np.pi * t / period - phase)
            u = u + along * tide[0] - across * tide[1]
            v = v + along * tide[1] + across * tide[0]
        u = u + p["wind_share"] * np.interp(t, wind_times, winds[:, 0])
        v = v + p["wind_share"] * np.interp(t, wind_times, winds[:, 1])
        size = p["eddy_radius_km"] * 1000.0
        for x0, y0, cx, cy, spin in vortices:
            # they leave on one side and come back on the other; cells lie in rows and columns
            dx = ((x[:1] - x0 - cx * t + ground.width / 2) % ground.width - ground.width / 2) / size
            dy = ((y[:, :1] - y0 - cy * t + ground.height / 2) % ground.height - ground.height / 2) / size
            # a Gaussian vortex, whose fastest ring lies at its radius
            across, up = np.exp(0.25 - dx**2 / 2.0), spin * np.exp(0.25 - dy**2 / 2.0)
            u, v = u - across * (up * dy), v + (across * dx) * up
        return (u, v) if coast is None else _along_coast(u, v, coast)

    return at


def _weather(ground: Ground, rng: np.random.Generator, p: dict[str, float]) -> tuple[Any, Any]:
    """Hourly wind: a mean and gusts that are remembered for some days (Ornstein-Uhlenbeck), turned."""
    hours = int(np.ceil(ground.days * 24.0)) + 2
    memory = np.exp(-1.0 / (24.0 * p["wind_memory_days"]))
    shocks = rng.normal(size=(hours, 2)) * p["wind_gusts_m_s"]
    gusts = np.empty_like(shocks)
    gusts[0] = shocks[0]
    for hour in range(1, hours):
        gusts[hour] = memory * gusts[hour - 1] + np.sqrt(1.0 - memory**2) * shocks[hour]
    wind = np.array(_toward(p["wind_toward_deg"])) * p["wind_speed_m_s"] + gusts
    turn = np.radians(p["wind_turn_deg"])
    clockwise = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    return np.arange(hours) * 3600.0, wind @ clockwise.T


def _vortices(ground: Ground, rng: np.random.Generator, p: dict[str, float]) -> list[tuple[float, ...]]:
    mean = _toward(p["mean_toward_deg"])
    found: list[tuple[float, ...]] = []
    for n in range(int(p["eddies"])):
        x0, y0 = rng.uniform(0, ground.width), rng.uniform(0, ground.height)
        pace = 0.5 * p["mean_speed_m_s"] * rng.uniform(0.5, 1.5)
        spin = p["eddy_speed_m_s"] * rng.uniform(0.5, 1.0) * (1 if n % 2 else -1)
        found.append((x0, y0, pace * mean[0], pace * mean[1], spin))
    return found


def _coast(ground: Ground, p: dict[str, float]) -> tuple[Any, Any, Any, Any] | None:
    """Direction away from the coast, how open the sea is towards it, and how far out on the shelf, on the cells."""
    if ground.distance is None:
        return None
    from scipy.ndimage import gaussian_filter

    smooth = gaussian_filter(ground.distance, 1.0)
    step = ground.height / ground.distance.shape[0], ground.width / ground.distance.shape[1]
    gy, gx = np.gradient(smooth, *step)
    size = np.maximum(np.hypot(gx, gy), 1e-9)
    # the coast is the edge of the land cell, half a cell from its middle
    away = np.maximum(ground.distance - 0.25 * sum(step), 0.0)
    near = np.exp(-((away / (p["coast_km"] * 1000.0)) ** 2))
    out = 1.0 - 0.8 * np.exp(-away / (p["shelf_km"] * 1000.0))
    return gx / size, gy / size, out, near


def _along_coast(u: Any, v: Any, coast: tuple[Any, Any, Any, Any]) -> tuple[Any, Any]:
    """The part of the flow that runs against or off the coast fades towards it, and friction halves the rest."""
    nx, ny, _, near = coast
    through = u * nx + v * ny
    slow = 1.0 - 0.5 * near
    return (u - near * through * nx) * slow, (v - near * through * ny) * slow
