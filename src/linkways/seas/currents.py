"""Currents: velocity fields of ocean models in one form, analytic flows, and a simulated shelf."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np

from linkways.errors import LinkwaysError
from linkways.method import Field, FieldOf, Param, Vector, method

if TYPE_CHECKING:
    import geopandas as gpd
    import xarray as xr

__all__ = ["currents"]

_EAGER_BYTES = 256e6
_MOST_CELLS = 1e8


@method(
    "seas.currents",
    references=(
        "Eaton B, Gregory J, Drach B et al. (2023) NetCDF Climate and Forecast (CF) metadata conventions 1.11",
        "Arakawa A, Lamb VR (1977) Computational design of the basic dynamical processes of the UCLA general "
        "circulation model. Methods in Computational Physics 17:173-265 (grids A and C)",
        "Shadden SC, Lekien F, Marsden JE (2005) Definition and properties of Lagrangian coherent structures from "
        "finite-time Lyapunov exponents in two-dimensional aperiodic flows. Physica D 212:271-304 (double gyre)",
        "Rypina II, Brown MG, Beron-Vera FJ et al. (2007) On the Lagrangian dynamics of atmospheric zonal jets and "
        "the permeability of the stratospheric polar vortex. Journal of the Atmospheric Sciences 64:3595-3610",
        "Stommel H (1948) The westward intensification of wind-driven ocean currents. Transactions of the American "
        "Geophysical Union 29:202-206",
    ),
)
def currents(
    field: Annotated["xr.Dataset | None", Field("velocity field of an ocean model (NetCDF or Zarr, CF)")] = None,
    land: Annotated["gpd.GeoDataFrame | None", Vector("land, cut out of the water", geometry=("Polygon",))] = None,
    *,
    flow: Annotated[
        Literal["uniform", "solid_rotation", "double_gyre", "bickley_jet", "stommel_gyre", "shelf"] | None,
        Param("in place of a field: a flow known by a formula, or a simulated shelf with tides, wind and eddies"),
    ] = None,
    flow_parameters: Annotated[
        Mapping[str, float] | None, Param("parameters of the flow by name; see below for what each has")
    ] = None,
    bounds: Annotated[
        Sequence[float] | None, Param("west, south, east and north edge of the flow, in units of the CRS")
    ] = None,
    cell_size: Annotated[float | None, Param("side of a cell of the flow, in units of the CRS", gt=0)] = None,
    start: Annotated[str, Param("first time of the flow (UTC)")] = "2020-01-01",
    days: Annotated[float, Param("how long the flow lasts", unit="d", gt=0)] = 30.0,
    interval_h: Annotated[float, Param("time between two states of the flow", unit="h", gt=0)] = 1.0,
    depths_m: Annotated[Sequence[float], Param("levels of the simulated shelf; none: one layer", unit="m", ge=0)] = (),
    grid: Annotated[
        Literal["auto", "A", "C"],
        Param("A: u and v at cell centres; C: on the faces of the cells (auto: as the coordinates of a field tell)"),
    ] = "auto",
    crs: Annotated[str | None, Param("CRS, where the field names none; of the flow EPSG:4326")] = None,
    velocity_unit: Annotated[str | None, Param("unit of the velocities, where the field names none")] = None,
    land_from: Annotated[
        Literal["nan", "zero", "none"],
        Param("land where the field has no variable mask: cells without a value, cells at rest, or there is none"),
    ] = "nan",
    seed: Annotated[int, Param("seed of the simulated wind and eddies", ge=0)] = 1,
) -> Annotated[
    "xr.Dataset", FieldOf("velocities in the form that seas.drift reads: u, v, mask, and what else is there")
]:
    """Velocity field in one form: names, grid, units, times, longitudes and land settled, values read when used.

    The result has the variables ``u`` and ``v`` (m/s, towards growing x and y), ``mask`` (1 water, 0 land) and, where
    the field has them, ``w`` (m/s, up), ``temperature`` (degrees C), ``stokes_u``, ``stokes_v``, ``wind_u``, ``wind_v``
    (m/s) and ``diffusivity`` (m2/s); the dimensions (time, [depth,] y, x); cell centres in degrees or metres at even
    steps; and a CRS. A field without times is steady. On a C grid ``u`` lies on (y, x_u) and ``v`` on (y_v, x): x_u
    and y_v are the faces of the cells, one more than cells; faces at the rim that a file leaves out are closed.
    ``grid="C"`` takes u and v that share their dimensions for the second faces (east and north, as NEMO writes them).

    What is safe is mended and noted: names (by CF standard_name or usual name), km to m, cm/s to m/s, kelvin,
    calendars without leap days, longitudes that jump once at 180 or 360. What is not is refused.

    Flows (defaults in brackets), in place of a field, over ``bounds`` with ``cell_size``; x and y of their formulas
    are metres from the south-west corner:

    - uniform: u_m_s (0.1), v_m_s (0);
    - solid_rotation: period_days (1), counter-clockwise around the middle;
    - double_gyre: speed_m_s (0.3), epsilon (0.25), period_days (10): Shadden et al. 2005;
    - bickley_jet: speed_m_s (0.6), width_km (50): jet with three waves, Rypina et al. 2007;
    - stommel_gyre: speed_m_s (0.5), boundary_share (0.05): Stommel 1948;
    - shelf, SIMULATED: a boundary current (mean_speed_m_s 0.15, mean_toward_deg 150, slower within shelf_km 60 of the
      coast), the tides M2 and S2 (tide_speed_m_s 0.3, tide_toward_deg 60, tide_ellipticity 0.2, tide_wavelength_km
      1500), wind with gusts (wind_speed_m_s 6, wind_toward_deg 310, wind_gusts_m_s 4, wind_memory_days 3) that moves
      the water by wind_share (0.02) turned by wind_turn_deg (-20), and eddies (12) of eddy_speed_m_s (0.2) and
      eddy_radius_km (40); within coast_km (5) the flow turns along the coast; with ``depths_m`` it falls as
      exp(-depth / depth_scale_m (50)). Directions are those towards which things move, clockwise from north.

    Uniform flow, solid rotation and the Stommel gyre are steady: start, days and interval_h do not bear on them.

    Raises LinkwaysError for longitudes of mixed conventions, an uneven or curvilinear grid, a missing CRS, unit or
    land mask, times that do not increase, and unknown parameters of a flow.

    Examples
    --------
    >>> from linkways import seas
    >>> gyre = seas.currents(flow="double_gyre", bounds=[0, 0, 200e3, 100e3], cell_size=10e3, crs="EPSG:32631", days=1)
    >>> gyre.u.dims, gyre.u.shape
    (('time', 'y', 'x'), (25, 10, 20))
    >>> round(float(gyre.u[0, 0, 4]), 4)  # 0.3 sin(0.45 pi) cos(0.05 pi), westward
    -0.2927
    """
    if (field is None) == (flow is None):
        raise LinkwaysError("seas.currents: give either field (a file) or flow (a name), not both and not neither")
    if field is not None:
        from linkways.seas._currents_standard import Reading, standard_field

        for name, given in (("flow_parameters", flow_parameters), ("bounds", bounds), ("cell_size", cell_size),
                            ("depths_m", depths_m)):  # fmt: skip
            if given:
                raise LinkwaysError(f"seas.currents: {name} is for a flow, but a field is given; leave it out")
        found = standard_field(field, Reading(crs, velocity_unit, grid == "C", _rule(land_from, land)))
        if grid == "A" and "x_u" in found.dims:
            raise LinkwaysError(
                "seas.currents: grid is A but the field has u and v on the faces of its cells; take auto"
            )
    else:
        assert flow is not None
        if velocity_unit or land_from != "nan":
            name = "velocity_unit" if velocity_unit else "land_from"
            raise LinkwaysError(f"seas.currents: {name} is for a field, but flow {flow} is asked for; leave it out")
        found = _made(flow, flow_parameters or {}, bounds, cell_size, start, days, interval_h, depths_m, grid, crs,
                      land, seed)  # fmt: skip
    return found if land is None else _without_land(found, land)


def _rule(land_from: str, land: "gpd.GeoDataFrame | None") -> str:
    """Polygons tell the land of a field that has no other sign of it."""
    return "polygons" if land is not None and land_from == "nan" else land_from


def _without_land(field: "xr.Dataset", land: "gpd.GeoDataFrame") -> "xr.Dataset":
    mask = field["mask"].values & ~_land_cells(land, field)
    if not mask.any():
        raise LinkwaysError("the land polygons cover the whole field; check their CRS")
    return field.assign(mask=(("y", "x"), mask.astype(np.uint8), dict(field["mask"].attrs)))


def _land_cells(land: "gpd.GeoDataFrame", field: "xr.Dataset") -> np.ndarray:
    """Cells whose centre is on land."""
    from linkways.seas._currents_places import on_field
    from linkways.spatial import feature_of_cell

    like = field["mask"].rio.write_crs(field.rio.crs)
    return np.asarray(feature_of_cell(on_field(land, field, "land"), like) >= 0)


# --- flows ---------------------------------------------------------------------------------------------------------


def _made(
    flow: str,
    given: Mapping[str, float],
    bounds: Sequence[float] | None,
    cell_size: float | None,
    start: str,
    days: float,
    interval_h: float,
    depths_m: Sequence[float],
    grid: str,
    crs: str | None,
    land: "gpd.GeoDataFrame | None",
    seed: int,
) -> "xr.Dataset":
    from linkways.seas._currents_flows import STEADY, Ground, parameters_of, velocity_of

    chosen = parameters_of(flow, given)
    if depths_m and flow != "shelf":
        raise LinkwaysError(f"seas.currents: flow {flow} has no depth; leave out depths_m, or take flow shelf")
    base = _empty(bounds, cell_size, crs or "EPSG:4326")
    per_x, per_y = _metres(base)
    times = None if flow in STEADY else _times(start, days, interval_h)
    distance = _coast_distance(base, land, per_x, per_y) if flow == "shelf" and land is not None else None
    size = base.sizes["x"] * per_x, base.sizes["y"] * per_y
    velocity = velocity_of(flow, chosen, Ground(*size, days, distance), np.random.default_rng(seed))
    scale = np.exp(-np.sort(np.asarray(depths_m, float)) / chosen["depth_scale_m"]) if depths_m else None
    out = base
    centred = grid != "C" or flow == "shelf"
    places = (("y", "x"), ("y", "x")) if centred else (("y", "x_u"), ("y_v", "x"))
    parts = _values(velocity, base, places, (per_x, per_y), times, scale)
    for part, one in enumerate("uv"):
        out = out.assign({one: parts[part]})
        out[one].attrs = {"units": "m s-1", "standard_name": f"sea_water_{'xy'[part]}_velocity"}
    if grid == "C" and centred:
        out = _on_faces(out)
    if scale is not None:
        out = out.assign_coords(
            depth=("depth", np.sort(np.asarray(depths_m, float)), {"units": "m", "positive": "down", "axis": "Z"})
        )
    return _described(out, flow, chosen, seed, grid)


def _empty(bounds: Sequence[float] | None, cell_size: float | None, crs: str) -> "xr.Dataset":
    """The cells of the flow, all water."""
    import rioxarray  # noqa: F401
    import xarray as xr
    from pyproj import CRS
    from pyproj.exceptions import CRSError

    if bounds is None or cell_size is None:
        raise LinkwaysError("seas.currents: a flow needs bounds (west, south, east, north) and cell_size")
    if len(bounds) != 4 or not (bounds[2] > bounds[0] and bounds[3] > bounds[1]):
        raise LinkwaysError(
            f"seas.currents: bounds are {list(bounds)} but must be west, south, east and north, west below east and "
            "south below north"
        )
    try:
        place = CRS.from_user_input(crs)
    except CRSError:
        raise LinkwaysError(f"crs '{crs}' is no CRS; give an EPSG code like 'EPSG:4326'") from None
    columns, rows = (max(round((bounds[i + 2] - bounds[i]) / cell_size), 0) for i in (0, 1))
    if columns < 2 or rows < 2:
        raise LinkwaysError(
            f"seas.currents: bounds hold {rows} x {columns} cells of {cell_size:g}; make cell_size less"
        )
    if columns * rows > _MOST_CELLS:
        raise LinkwaysError(
            f"seas.currents: bounds hold {rows:,} x {columns:,} cells of {cell_size:g}; check that bounds and "
            f"cell_size are in units of the CRS ({place.name}), or make cell_size greater"
        )
    sides = {}
    for side, first, count in (("x", bounds[0], columns), ("y", bounds[1], rows)):
        sides[side] = first + cell_size * (np.arange(count) + 0.5)
        sides[side + ("_u" if side == "x" else "_v")] = first + cell_size * np.arange(count + 1)
    names = ("longitude", "latitude") if place.is_geographic else ("projection_x_coordinate", "projection_y_coordinate")
    out = xr.Dataset(coords={"x": sides["x"], "y": sides["y"]})
    out["mask"] = (("y", "x"), np.ones((rows, columns), np.uint8), {"long_name": "1 water, 0 land"})
    out.attrs["_faces"] = (sides["x_u"], sides["y_v"])
    for side, name in zip("xy", names, strict=True):
        unit = ("degrees_east" if side == "x" else "degrees_north") if place.is_geographic else "m"
        out[side].attrs = {"standard_name": name, "axis": side.upper(), "units": unit}
    written: xr.Dataset = out.rio.write_crs(place)
    return written


def _metres(base: "xr.Dataset") -> tuple[float, float]:
    """A cell's width and height in metres, in the middle of the domain."""
    from linkways.seas._currents_places import metres_per_cell

    per_x, per_y = metres_per_cell(base)
    middle = len(per_x) // 2
    return float(per_x[middle]), float(abs(per_y[middle]))


def _times(start: str, days: float, interval_h: float) -> Any:
    import pandas as pd

    try:
        first = pd.Timestamp(start)
    except ValueError:
        raise LinkwaysError(f"seas.currents: start '{start}' is no date; give one like 2020-01-31") from None
    if first.tzinfo is not None:
        first = first.tz_convert("UTC").tz_localize(None)
    count = int(np.ceil(days * 24.0 / interval_h - 1e-9)) + 1
    return pd.date_range(first, periods=count, freq=pd.Timedelta(hours=interval_h), unit="ns")


def _values(
    velocity: Any,
    base: "xr.Dataset",
    places: tuple[tuple[str, str], tuple[str, str]],
    per_cell: tuple[float, float],
    times: Any,
    scale: Any,
) -> list["xr.DataArray"]:
    """u and v on their places; where they share them, both from one look at the flow."""
    import xarray as xr

    shared = places[0] == places[1]
    seconds = np.zeros(1) if times is None else (times - times[0]).total_seconds().to_numpy()
    levels = () if scale is None else (len(scale),)
    states = []
    for part, dims in enumerate(places[:1] if shared else places):
        x, y = _positions(base, dims, per_cell)

        def state(t: float, x: Any = x, y: Any = y, parts: Any = (0, 1) if shared else (part,)) -> np.ndarray:
            found = velocity(x, y, t)
            flat = np.stack([found[one] for one in parts])
            values = flat if scale is None else flat[:, None] * scale[:, None, None]
            return values if times is None else np.asarray(values, np.float32)

        made = _over_time(state, seconds, (2 if shared else 1, *levels, *x.shape))
        states += [made[:, 0], made[:, 1]] if shared else [made[:, 0]]
    faces = dict(zip(("x_u", "y_v"), base.attrs["_faces"], strict=True))
    out = []
    for values, dims in zip(states, places, strict=True):
        sides: dict[str, Any] = {d: faces[d] if d in faces else base[d].values for d in dims}
        if times is None:
            out.append(xr.DataArray(values[0], sides, dims))
        else:
            out.append(xr.DataArray(values, {"time": times, **sides}, ("time", *(("depth",) if levels else ()), *dims)))
    return out


def _positions(base: "xr.Dataset", dims: tuple[str, str], per_cell: tuple[float, float]) -> list[np.ndarray]:
    """Metres from the south-west corner, (rows, columns) each."""
    rows, columns = base.sizes["y"], base.sizes["x"]
    x = (np.arange(columns) + 0.5 if dims[1] == "x" else np.arange(columns + 1)) * per_cell[0]
    y = (np.arange(rows) + 0.5 if dims[0] == "y" else np.arange(rows + 1)) * per_cell[1]
    return list(np.meshgrid(x, y))


def _over_time(state: Any, seconds: np.ndarray, shape: tuple[int, ...]) -> Any:
    """All states at once where they are small, each when it is used where they are not."""
    import importlib
    from importlib.util import find_spec

    if len(seconds) * np.prod(shape) * 4 <= _EAGER_BYTES or find_spec("dask") is None:
        return np.stack([state(t) for t in seconds])
    da: Any = importlib.import_module("dask.array")

    def block(t: np.ndarray) -> np.ndarray:
        return np.stack([state(one) for one in t])

    new = list(range(1, len(shape) + 1))
    chunks = ((1,) * len(seconds), *((n,) for n in shape))
    return da.map_blocks(block, da.from_array(seconds, chunks=1), dtype=np.float32, new_axis=new, chunks=chunks)


def _on_faces(field: "xr.Dataset") -> "xr.Dataset":
    """Velocities between cell centres; the rim's are those of its cells."""
    faces = dict(zip(("x_u", "y_v"), field.attrs["_faces"], strict=True))
    out = field
    for one, dim, face in (("u", "x", "x_u"), ("v", "y", "y_v")):
        padded = field[one].pad({dim: 1}, mode="edge")
        count = padded.sizes[dim]
        low, high = padded.isel({dim: slice(0, count - 1)}), padded.isel({dim: slice(1, count)})
        middle = (low.drop_vars(dim) + high.drop_vars(dim)) / 2
        middle = middle.rename({dim: face}).assign_coords({face: faces[face]})
        middle.attrs = dict(field[one].attrs)
        out = out.drop_vars(one).assign({one: middle})
    return out


def _coast_distance(base: "xr.Dataset", land: "gpd.GeoDataFrame", per_x: float, per_y: float) -> np.ndarray | None:
    from linkways.kernels.clearance import distance_to_outside

    water = ~_land_cells(land, base)
    if water.all():
        return None
    rows = base.sizes["y"]
    return np.asarray(distance_to_outside(water, np.full(rows, per_x), np.full(max(rows - 1, 1), per_y), wraps=False))


def _described(field: "xr.Dataset", flow: str, chosen: dict[str, float], seed: int, grid: str) -> "xr.Dataset":
    from linkways.spatial import note

    for one, side in (("x_u", "x"), ("y_v", "y")):
        if one in field.dims:
            field[one].attrs = dict(field[side].attrs)
    words = ", ".join(f"{k} {v:g}" for k, v in chosen.items())
    field.attrs = {"Conventions": "CF-1.11", "grid": "C" if grid == "C" else "A", "source": f"flow {flow}: {words}"}
    if flow == "shelf":
        field.attrs |= {"simulated": "true", "title": "SIMULATED shelf circulation, not an observed one", "seed": seed}
        note("seas.currents: the currents are simulated (flow shelf), not those of an ocean model")
    order = [d for d in ("time", "depth", "y", "y_v", "x", "x_u") if d in field.dims]
    return field.transpose(*order)
