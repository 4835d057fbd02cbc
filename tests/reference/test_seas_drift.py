"""Trajectories against flows whose paths are known by a formula, and random walks against their theory."""

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import rioxarray  # noqa: F401
import shapely
import xarray as xr

from linkways import seas

PLANE = "EPSG:32631"
SPHERE = "+proj=longlat +R=6366707.019493707"  # 1852 * 60 m per degree
DAY = "2020-01-01"


def field(u, v, x, y, times=None, crs=PLANE, **more):
    """A velocity field from arrays; u on (y, x_u) and v on (y_v, x) where they are larger than the cells."""
    lead = () if times is None else ("time",)
    sides = {"x": x, "y": y} | ({} if times is None else {"time": times})
    for side, cells, name in ((u.shape[-1], x, "x_u"), (v.shape[-2], y, "y_v")):
        if side == len(cells) + 1:
            step = cells[1] - cells[0]
            sides[name] = cells[0] + step * (np.arange(side) - 0.5)
    dims_u = (*lead, "y", "x_u" if "x_u" in sides else "x")
    dims_v = (*lead, "y_v" if "y_v" in sides else "y", "x")
    out = xr.Dataset({"u": (dims_u, u, {"units": "m s-1"}), "v": (dims_v, v, {"units": "m s-1"})}, sides)
    out["mask"] = (("y", "x"), np.ones((len(y), len(x)), np.uint8))
    for name, values in more.items():
        out[name] = (("y", "x"), values)
    return out.rio.write_crs(crs)


def points(places, crs=PLANE):
    places = np.atleast_2d(places)
    names = [f"p{n:06d}" for n in range(len(places))]
    return gpd.GeoDataFrame({"site": names}, geometry=shapely.points(places), crs=crs)


def ends(currents, places, *, crs=PLANE, **options):
    """Where larvae released one by one at these places are in the end."""
    options = {"release_dates": [DAY], "number": 1, "keep_tracks": len(np.atleast_2d(places))} | options
    found = seas.drift(currents, points(places, crs), **options)
    assert len(found.tracks) == len(np.atleast_2d(places))
    assert (found.tracks["fate"] == "drifting").all()
    return np.array([line.coords[-1] for line in found.tracks.geometry])


def rotation(cells=61, size=1000.0, period_days=1.0):
    half = cells * size / 2
    return seas.currents(
        flow="solid_rotation", flow_parameters={"period_days": period_days}, bounds=[0, 0, 2 * half, 2 * half],
        cell_size=size, crs=PLANE,
    ), half  # fmt: skip


def test_a_turn_of_a_solid_body_closes():
    """Bilinear interpolation is exact here, so what remains is the scheme's error: about (2 pi h / T)^4 / 120 turns."""
    turn, half = rotation()
    start = np.array([[half + 5e3, half], [half, half + 20e3], [half - 14e3, half - 9e3]])
    np.testing.assert_allclose(ends(turn, start, days=1, step_min=5), start, atol=0.2)


def test_the_scheme_is_of_fourth_order():
    turn, half = rotation()
    start = np.array([[half + 20e3, half]])
    steps = np.array([60.0, 30.0, 15.0])
    errors = [np.hypot(*(ends(turn, start, days=1, step_min=h) - start).T)[0] for h in steps]
    orders = np.log2(np.array(errors[:-1]) / np.array(errors[1:]))
    np.testing.assert_allclose(orders, 4.0, atol=0.15)


def test_on_a_c_grid_too_the_scheme_is_of_fourth_order():
    """A straining flow, u = a x and v = -a y, is exact on faces: after t a larva is at (x exp(a t), y exp(-a t))."""
    rate, size, cells = 2.0**-15, 1000.0, 200  # speeds that float32 holds exactly
    at = size * (np.arange(cells) + 0.5 - cells / 2)
    faces = size * (np.arange(cells + 1) - cells / 2)
    strain = field(np.tile(rate * faces, (cells, 1)), np.tile(-rate * faces[:, None], (1, cells)), at, at)
    start = np.array([[5e3, 60e3]])
    exact = start * np.exp(np.array([1.0, -1.0]) * rate * 86400)
    errors = [np.hypot(*(ends(strain, start, days=1, step_min=h) - exact).T)[0] for h in (60.0, 30.0, 15.0)]
    np.testing.assert_allclose(np.log2(np.array(errors[:-1]) / np.array(errors[1:])), 4.0, atol=0.15)


@pytest.mark.parametrize("tolerance_m", [10.0, 0.01])
def test_the_adaptive_scheme_keeps_its_tolerance_however_long_its_steps_may_be(tolerance_m):
    turn, half = rotation()
    start = np.array([[half + 20e3, half]])
    end = ends(turn, start, days=1, scheme="rk45", tolerance_m=tolerance_m, step_min=60)
    # errors of 24 steps or more at most add up
    assert np.hypot(*(end - start).T)[0] < 60 * tolerance_m


MOVING_EDDY = (13059.913007, 12333.331742)


@pytest.mark.parametrize("scheme", ["rk4", "rk45"])
def test_a_larva_follows_the_moving_eddy(scheme):
    """f = 1e-4, u0 = 0.3, ug = 0.04 m/s, an hour from (12000, 12500); the formula's end place (Fabbroni 2009)."""
    f, u0, ug = 1e-4, 0.3, 0.04
    seconds = np.arange(0, 3601, 60.0)
    x = y = np.arange(0, 25001, 1000.0)
    shape = (len(seconds), len(y), len(x))
    u = np.broadcast_to((ug + (u0 - ug) * np.cos(f * seconds))[:, None, None], shape)
    v = np.broadcast_to((-(u0 - ug) * np.sin(f * seconds))[:, None, None], shape)
    start = np.array([12000.0, 12500.0])
    turn = (u0 - ug) / f
    exact = start + np.array([ug * 3600 + turn * np.sin(f * 3600), turn * (np.cos(f * 3600) - 1)])
    np.testing.assert_allclose(exact, MOVING_EDDY, rtol=1e-9)
    eddy = field(u, v, x, y, np.datetime64(DAY, "ns") + (seconds * 1e9).astype("timedelta64[ns]"))
    end = ends(eddy, start, days=1 / 24, step_min=30, scheme=scheme)
    np.testing.assert_allclose(end[0], exact, rtol=1e-5)


def test_eastward_flow_on_a_sphere_covers_the_degrees_of_its_latitude():
    """dlon = 7200 / (1852 * 60 * cos lat) in two hours at 1 m/s."""
    x, y = np.arange(-10, 11.0), np.arange(-80.0, 81.0)
    east = field(np.ones((161, 21)), np.zeros((161, 21)), x, y, crs=SPHERE)
    latitudes = np.linspace(-75.3, 75.7, 40)
    start = np.column_stack([np.zeros(40), latitudes])
    end = ends(east, start, crs=SPHERE, days=2 / 24)
    np.testing.assert_allclose(end[:, 0], 7200 / (1852 * 60 * np.cos(np.radians(latitudes))), atol=1e-5)
    np.testing.assert_allclose(end[:, 1], latitudes, atol=1e-9)


def test_on_the_ellipsoid_a_larva_goes_as_far_as_the_geodesic():
    """North at 1 m/s for a day along a meridian of WGS 84: 86,400 m by pyproj's geodesic."""
    from pyproj import Geod

    x, y = np.arange(140, 145, 0.25), np.arange(-25, -10, 0.25)
    north = field(np.zeros((60, 20)), np.ones((60, 20)), x, y, crs="EPSG:4326")
    end = ends(north, [[142.0, -20.0]], crs="EPSG:4326", days=1)
    _, _, metres = Geod(ellps="WGS84").inv(142.0, -20.0, *end[0])
    assert metres == pytest.approx(86400, abs=0.5)


def peninsula(grid):
    """Flow around a half disk (Adlandsvik et al. 2009) on 100 x 50 km, and its stream function."""
    x, y = np.arange(250, 100e3, 500.0), np.arange(250, 50e3, 500.0)
    u0, x0, radius = 1.0, 50e3, 0.32 * 50e3

    def stream(px, py):
        return u0 * radius**2 * py / ((px - x0) ** 2 + py**2) - u0 * py

    def inside(px, py):
        return (px - x0) ** 2 + py**2 < radius**2

    if grid == "C":
        cx, cy = np.meshgrid(np.arange(0, 100e3 + 1, 500.0), np.arange(0, 50e3 + 1, 500.0))
        psi = np.where(inside(cx, np.maximum(cy, 1.0)), 0.0, stream(cx, np.maximum(cy, 1e-9)))
        u, v = -np.diff(psi, axis=0) / 500.0, np.diff(psi, axis=1) / 500.0
    else:
        mx, my = np.meshgrid(x, y)
        r2 = (mx - x0) ** 2 + my**2
        u = u0 - u0 * radius**2 * ((mx - x0) ** 2 - my**2) / r2**2
        v = -2 * u0 * radius**2 * (mx - x0) * my / r2**2
        u, v = np.where(inside(mx, my), np.nan, u), np.where(inside(mx, my), np.nan, v)
    out = field(u, v, x, y)
    mx, my = np.meshgrid(x, y)
    out["mask"] = (("y", "x"), (~inside(mx, my)).astype(np.uint8))
    return out, stream


@pytest.mark.parametrize("grid", ["A", "C"])
def test_larvae_keep_their_streamline_around_a_peninsula(grid):
    """23 hours; the stream function (in units of 1 m/s times 1 km) moves by less than 1 % of its range."""
    flow, stream = peninsula(grid)
    start = np.column_stack([np.full(20, 3000.0), np.linspace(3e3, 45e3, 20)])
    end = ends(flow, start, days=23 / 24, step_min=5)
    before, after = stream(*start.T), stream(*end.T)
    np.testing.assert_allclose(after / 45e3, before / 45e3, atol=1e-2)
    assert (end[:, 0] > 60e3).all()


@pytest.mark.parametrize("grid", ["A", "C"])
def test_larvae_keep_their_streamline_in_the_stommel_gyre(grid):
    size, share = 1e6, 0.05
    gyre = seas.currents(
        flow="stommel_gyre", flow_parameters={"boundary_share": share, "speed_m_s": 1.0}, grid=grid,
        bounds=[0, 0, size, size], cell_size=size / 200, crs=PLANE,
    )  # fmt: skip
    root = np.sqrt(1 + (2 * np.pi * share) ** 2)
    a, b = (-1 + root) / (2 * share), (-1 - root) / (2 * share)
    c1 = (1 - np.exp(b)) / (np.exp(b) - np.exp(a))

    def stream(x, y):
        return (c1 * np.exp(a * x / size) - (1 + c1) * np.exp(b * x / size) + 1) * np.sin(np.pi * y / size)

    rng = np.random.default_rng(3)
    start = rng.uniform(0.1 * size, 0.9 * size, (50, 2))
    end = ends(gyre, start, days=30, step_min=30)
    assert np.hypot(*(end - start).T).max() > 0.1 * size
    np.testing.assert_allclose(stream(*end.T), stream(*start.T), rtol=0.02)


@pytest.mark.parametrize("coefficient", [5.0, 100.0])
def test_a_random_walk_spreads_with_variance_2_k_t(coefficient):
    """Within 1 %: a quarter of a million larvae, whose sampled variance has a standard error of 0.28 %."""
    n, days = 250_000, 1.0
    x = np.arange(2e3, 4e5, 4e3)
    # two times: nothing but the two ends of the tracks is noted
    still = field(*np.zeros((2, 2, 100, 100)), x, x, np.array(["2020-01-01", "2020-01-02"], "datetime64[ns]"))
    found = seas.drift(still, points([[2e5, 2e5]]), release_dates=[DAY], number=n, days=days, step_min=60,
                       diffusivity_m2_s=coefficient, keep_tracks=n)  # fmt: skip
    assert found.drifting_percent == 100
    last = shapely.get_coordinates(shapely.get_point(found.tracks.geometry.values, -1)) - 2e5
    np.testing.assert_allclose(last.var(axis=0), 2 * coefficient * days * 86400, rtol=0.01)
    assert abs(np.corrcoef(last.T)[0, 1]) < 0.006
    np.testing.assert_allclose(last.mean(axis=0), 0, atol=5 * np.sqrt(2 * coefficient * days * 86400 / n))


def test_what_is_well_mixed_stays_so_where_diffusivity_varies():
    """Visser 1997: an even spread stays even, though K is ten times as large in the middle; a naive walk empties it."""
    cells, size = 40, 1000.0
    x, y = size * (np.arange(cells + 2) - 0.5), size * (np.arange(6) - 0.5)
    k = 20 + 180 * np.sin(np.pi * x / (cells * size)) ** 2
    times = np.array(["2020-01-01", "2020-01-05"], "datetime64[ns]")
    walled = field(*np.zeros((2, 2, 6, cells + 2)), x, y, times, diffusivity=np.broadcast_to(k, (6, cells + 2)).copy())
    walled["mask"].values[[0, -1]] = 0  # closed by land on all sides
    walled["mask"].values[:, [0, -1]] = 0
    box = gpd.GeoDataFrame({"site": ["all"]}, geometry=[shapely.box(0, 0, cells * size, 4 * size)], crs=PLANE)
    n = 60_000
    found = seas.drift(walled, box, release_dates=[DAY], number=n, days=4, step_min=20, keep_tracks=n)
    assert found.drifting_percent == 100
    last = shapely.get_coordinates(shapely.get_point(found.tracks.geometry.values, -1))[:, 0]
    counts = np.bincount((last / (2 * size)).astype(int), minlength=cells // 2)
    even = n / len(counts)
    # five standard errors of a count, and 1 % for the length of the step
    np.testing.assert_allclose(counts, even, atol=5 * np.sqrt(even) + 0.01 * even)


def test_the_random_numbers_are_philox():
    """Known answers of Random123 (Salmon et al. 2011) for philox4x32-10."""
    from linkways.seas._drift_kernels import philox

    assert [int(w) for w in philox(0, 0, 0, 0, 0, 0)] == [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]
    ones = 0xFFFFFFFF
    assert [int(w) for w in philox(ones, ones, ones, ones, ones, ones)] == [
        0x408F276D,
        0x41C83B0E,
        0xA20BC7C6,
        0x6D5451FD,
    ]
    pi = (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344, 0xA4093822, 0x299F31D0)
    assert [int(w) for w in philox(*pi)] == [0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1]


def test_the_share_alive_falls_as_weibull():
    still = seas.currents(
        flow="uniform", flow_parameters={"u_m_s": 0}, bounds=[0, 0, 1e4, 1e4], cell_size=1e3, crs=PLANE
    )
    n, rate, shape, days = 100_000, 0.1, 0.7, 8
    found = seas.drift(still, points([[5e3, 5e3]]), release_dates=[DAY], number=n, days=days, mortality_per_d=rate,
                       mortality_shape=shape, step_min=60)  # fmt: skip
    alive = np.exp(-((rate * days) ** shape))
    assert found.drifting_percent / 100 == pytest.approx(alive, abs=5 * np.sqrt(alive * (1 - alive) / n))


def test_agulhas_larvae_on_observed_currents_match_an_independent_integration(shared):
    """GlobCurrent 2002, 10 days, beside scipy's DOP853 on the same interpolated field: within 1e-4 of a cell."""
    from scipy.integrate import solve_ivp
    from scipy.interpolate import RegularGridInterpolator

    path = shared / "data" / "planning" / "currents" / "globcurrent_agulhas_90d.nc"
    pytest.importorskip("netCDF4")
    with xr.open_dataset(path) as raw:
        currents = seas.currents(raw, crs=SPHERE).load()
    places = np.array([[20.1, -36.2], [24.3, -35.7], [28.9, -33.9], [21.5, -38.0], [30.7, -37.6]])
    seconds = np.arange(11) * 86400.0
    grid = (seconds, currents.y.values, currents.x.values)
    values = np.stack([np.nan_to_num(currents[n].values[:11]) for n in "uv"], axis=-1)
    sample = RegularGridInterpolator(grid, values)

    def rate(t, at):
        u, v = sample((t, at[1], at[0]))
        return [u / (1852 * 60 * np.cos(np.radians(at[1]))), v / (1852 * 60)]

    expected = []
    for place in places:
        at = place
        for day in range(10):
            span = (seconds[day], seconds[day + 1] - 1e-6)
            at = solve_ivp(rate, span, at, method="DOP853", rtol=1e-10, atol=1e-10, max_step=3600).y[:, -1]
        expected.append(at)
    found = ends(currents, places, crs=SPHERE, release_dates=["2002-01-01"], days=10, step_min=10)
    away = np.abs(found - expected) / 0.25
    assert away.max() < 1e-4
    assert pd.notna(found).all()
