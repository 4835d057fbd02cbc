"""A velocity field as models write it becomes a velocity field as drift reads it: names, grid, land, units, time."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from linkways.errors import LinkwaysError
from linkways.seas._currents_land import with_mask
from linkways.spatial import note

if TYPE_CHECKING:
    import xarray as xr
    from numpy.typing import NDArray

STANDARD_NAMES = {
    "u": ("eastward_sea_water_velocity", "sea_water_x_velocity", "x_sea_water_velocity",
          "surface_eastward_sea_water_velocity", "surface_geostrophic_eastward_sea_water_velocity"),
    "v": ("northward_sea_water_velocity", "sea_water_y_velocity", "y_sea_water_velocity",
          "surface_northward_sea_water_velocity", "surface_geostrophic_northward_sea_water_velocity"),
    "w": ("upward_sea_water_velocity",),
    "temperature": ("sea_water_temperature", "sea_water_potential_temperature", "sea_surface_temperature",
                    "sea_water_conservative_temperature"),
    "stokes_u": ("sea_surface_wave_stokes_drift_x_velocity", "sea_surface_wave_stokes_drift_eastward_velocity"),
    "stokes_v": ("sea_surface_wave_stokes_drift_y_velocity", "sea_surface_wave_stokes_drift_northward_velocity"),
    "wind_u": ("eastward_wind", "x_wind"),
    "wind_v": ("northward_wind", "y_wind"),
    "diffusivity": ("ocean_momentum_xy_laplacian_diffusivity", "ocean_tracer_xy_laplacian_diffusivity"),
    "mask": ("sea_binary_mask",),
}  # fmt: skip
"""What CF calls the variables."""

USUAL_NAMES = {
    "u": ("u", "uo", "water_u", "U", "ucur", "uvel", "vozocrtx", "u_eastward"),
    "v": ("v", "vo", "water_v", "V", "vcur", "vvel", "vomecrty", "v_northward"),
    "w": ("w", "wo", "W", "vovecrtz"),
    "temperature": ("temperature", "thetao", "temp", "water_temp", "sst", "votemper"),
    "stokes_u": ("stokes_u", "VSDX", "vsdx", "ust"),
    "stokes_v": ("stokes_v", "VSDY", "vsdy", "vst"),
    "wind_u": ("wind_u", "u10", "uwnd"),
    "wind_v": ("wind_v", "v10", "vwnd"),
    "diffusivity": ("diffusivity", "Kh", "kh"),
    "mask": ("mask", "tmask", "mask_rho"),
}
VELOCITIES = ("u", "v", "w", "stokes_u", "stokes_v", "wind_u", "wind_v")
_SPEED_UNITS = {"ms-1": 1.0, "m/s": 1.0, "meters-1": 1.0, "metres-1": 1.0, "meter/s": 1.0, "metersecond-1": 1.0,
                "meter/second": 1.0, "m.s-1": 1.0, "meterssecond-1": 1.0, "ms^-1": 1.0, "ms**-1": 1.0,
                "meterpersecond": 1.0, "meterspersecond": 1.0, "cms-1": 0.01, "cm/s": 0.01, "km/h": 1 / 3.6,
                "kmh-1": 1 / 3.6, "knots": 1852 / 3600, "knot": 1852 / 3600, "m/day": 1 / 86400, "mday-1": 1 / 86400,
                "md-1": 1 / 86400}  # fmt: skip
_AXES = {
    "time": (("time",), "T", ("time", "ocean_time", "t", "time_counter")),
    "depth": (("depth", "height", "ocean_sigma_coordinate"), "Z", ("depth", "lev", "level", "z", "zc", "deptht")),
    "y": (("latitude", "projection_y_coordinate", "grid_latitude"), "Y", ("y", "lat", "latitude", "Y", "nav_lat")),
    "x": (("longitude", "projection_x_coordinate", "grid_longitude"), "X", ("x", "lon", "longitude", "X", "nav_lon")),
}
_WANDER = 0.01  # coordinates stored as float32 wander by a small part of a cell


@dataclass(frozen=True)
class Reading:
    """What the file does not tell."""

    crs: str | None = None
    velocity_unit: str | None = None
    staggered: bool = False
    land: str = "nan"


def standard_field(field: xr.Dataset, reading: Reading = Reading(), name: str = "currents") -> xr.Dataset:
    """The field with standard names, dims (time, [depth,] y, x), m/s, metres or degrees, a CRS and a land mask.

    Nothing but coordinates, and one time for the mask, is read. C grids have u on (y, x_u) and v on (y_v, x): the
    faces of the cells, one more than cells along their own direction; A grids have both on (y, x).

    Raises LinkwaysError for what cannot be told or mended, in one sentence.
    """
    found = _named(field, name)
    found = _one_time_axis(found, name)
    found = _axes(found, reading, name)
    found = _in_metres_per_second(found, reading, name)
    found = _placed(found, reading, name)
    found = with_mask(found, reading.land, name)
    order = [d for d in ("time", "depth", "y", "y_v", "x", "x_u") if d in found.dims]
    return found.transpose(*order).assign_attrs(grid="C" if "x_u" in found.dims else "A")


# --- names ---------------------------------------------------------------------------------------------------------


def _named(field: xr.Dataset, name: str) -> xr.Dataset:
    chosen = {}
    for wanted, standard in STANDARD_NAMES.items():
        by_standard = [str(v) for v in field.data_vars if str(field[v].attrs.get("standard_name")) in standard]
        usual = [one for one in USUAL_NAMES[wanted] if one in field.variables]
        if wanted in usual:
            chosen[wanted] = wanted
        elif len(by_standard) == 1:
            chosen[by_standard[0]] = wanted
        elif len(by_standard) > 1:
            raise LinkwaysError(
                f"field {name} has {len(by_standard)} variables that CF calls {field[by_standard[0]].standard_name} "
                f"({', '.join(by_standard)}); keep one, or name it {wanted}"
            )
        elif usual:
            chosen[usual[0]] = wanted
    missing = [one for one in ("u", "v") if one not in chosen.values()]
    if missing:
        raise LinkwaysError(
            f"field {name} has no variable {missing[0]}: none is called {', '.join(USUAL_NAMES[missing[0]])} or has "
            f"the standard_name {STANDARD_NAMES[missing[0]][0]}; rename it "
            f"(found: {', '.join(map(str, field.data_vars))})"
        )
    crs = field.rio.crs if hasattr(field, "rio") else _crs_of(field)
    kept = field[list(chosen)].rename({a: b for a, b in chosen.items() if a != b})
    if crs is not None:
        kept.attrs["_crs"] = crs
    for one, unit in ((v, kept[v].attrs.get("units", kept[v].attrs.get("Unit"))) for v in kept.variables):
        if unit is not None:
            kept[one].attrs["units"] = unit
    return kept


def _crs_of(field: xr.Dataset) -> Any:
    import rioxarray  # noqa: F401

    return field.rio.crs


def _axis(array: xr.DataArray, field: xr.Dataset, axis: str) -> str | None:
    """The dimension of a variable that is this axis."""
    standard, letter, usual = _AXES[axis]
    for dim in map(str, array.dims):
        attrs = field[dim].attrs if dim in field.coords else {}
        if attrs.get("standard_name") in standard or attrs.get("axis") == letter:
            return dim
    for dim in map(str, array.dims):
        if dim in usual or re.fullmatch(rf"({'|'.join(usual)})_?(rho|u|v|t|f)?", dim):
            return dim
    return None


def _axes(field: xr.Dataset, reading: Reading, name: str) -> xr.Dataset:
    u, v = field["u"], field["v"]
    renamed = {}
    for axis in ("time", "depth"):
        dim = _axis(u, field, axis)
        if dim is not None and dim != axis:
            renamed[dim] = axis
    across, along = _axis(v, field, "x"), _axis(u, field, "y")
    u_faces, v_faces = _axis(u, field, "x"), _axis(v, field, "y")
    if None in (across, along, u_faces, v_faces):
        raise LinkwaysError(
            f"field {name} has u on ({', '.join(map(str, u.dims))}), where the dimensions along x and y cannot be "
            "told; name them x and y or give them the attribute axis"
        )
    for dim in (across, along, u_faces, v_faces):
        if dim not in field.coords:
            raise LinkwaysError(
                f"field {name} has no coordinate for its dimension {dim} (a curvilinear grid?); bring it to a regular "
                "grid first, or give the dimension its coordinate"
            )
    renamed |= {str(across): "x", str(along): "y"}
    if u_faces != across or v_faces != along:
        renamed |= {str(u_faces): "x_u", str(v_faces): "y_v"}
    field = field.rename({a: b for a, b in renamed.items() if a != b})
    known = {"time", "depth", "x", "y", "x_u", "y_v"}
    for one in field.data_vars:
        extra = [str(d) for d in field[one].dims if d not in known]
        if extra and all(field.sizes[d] == 1 for d in extra):
            field[one] = field[one].isel(dict.fromkeys(extra, 0), drop=True)
        elif extra:
            raise LinkwaysError(
                f"variable {one} of field {name} has the dimension {extra[0]}, which is none of time, depth, y and x; "
                "select one value of it"
            )
    field = field.drop_vars([str(c) for c in field.coords if c not in known])
    if reading.staggered and "x_u" not in field.dims:
        return _right_faces(field)
    return field


def _right_faces(field: xr.Dataset) -> xr.Dataset:
    """u and v that share their dims are taken for the second faces of the cells (NEMO: east and north)."""
    out = field.drop_vars(["u", "v"])
    for one, dim, faces in (("u", "x", "x_u"), ("v", "y", "y_v")):
        values = field[dim].values
        moved = field[one].rename({dim: faces})
        out[one] = moved.assign_coords({faces: values + 0.5 * (values[1] - values[0])})
        out[faces].attrs = dict(field[dim].attrs)
    return out


# --- time ----------------------------------------------------------------------------------------------------------


def _one_time_axis(field: xr.Dataset, name: str) -> xr.Dataset:
    import xarray as xr

    dim = _axis(field["u"], field, "time")
    if dim is None:
        return field
    if dim not in field.coords:
        raise LinkwaysError(f"field {name} has no coordinate for its dimension {dim}; give it the times")
    times = field[dim]
    if times.dtype.kind in "fiu":
        unit = str(times.attrs.get("units", ""))
        if "since" not in unit:
            raise LinkwaysError(
                f"the times of field {name} are numbers without a unit; give {dim} the attribute units, like "
                "'hours since 1950-01-01'"
            )
        calendar = str(times.attrs.get("calendar", "standard"))
        coded = xr.Dataset(coords={dim: (dim, times.values, {"units": unit, "calendar": calendar})})
        field = field.assign_coords({dim: xr.decode_cf(coded)[dim]})
        times = field[dim]
    if times.dtype.kind == "O":
        field = _to_standard_calendar(field, dim, name)
        times = field[dim]
    seconds = times.values.astype("datetime64[ms]").astype(np.int64)
    late = np.flatnonzero(np.diff(seconds) <= 0)
    if len(late):
        raise LinkwaysError(
            f"the times of field {name} do not increase: number {late[0] + 1} is {times.values[late[0] + 1]} after "
            f"{times.values[late[0]]}; sort them and keep each once"
        )
    return field


def _to_standard_calendar(field: xr.Dataset, dim: str, name: str) -> xr.Dataset:
    calendar = field[dim].dt.calendar
    if calendar in ("noleap", "365_day", "all_leap", "366_day", "julian", "proleptic_gregorian", "gregorian"):
        note(f"the calendar of field {name} is {calendar}; its dates are taken as dates of the standard calendar")
        before = field.sizes[dim]
        moved = field.convert_calendar("standard", dim=dim, use_cftime=False)
        if moved.sizes[dim] != before:
            note(f"field {name}: {before - moved.sizes[dim]} times are no dates of the standard calendar and left out")
        return moved
    raise LinkwaysError(
        f"field {name} uses the calendar {calendar}, whose dates are not days of a year; convert it to the standard "
        "calendar first (xarray: convert_calendar)"
    )


# --- units ---------------------------------------------------------------------------------------------------------


def _in_metres_per_second(field: xr.Dataset, reading: Reading, name: str) -> xr.Dataset:
    out = field
    for one in VELOCITIES:
        if one not in field:
            continue
        unit = str(field[one].attrs.get("units") or reading.velocity_unit or "").strip()
        factor = _factor(unit)
        if factor is not None and reading.velocity_unit and _factor(reading.velocity_unit) != factor:
            raise LinkwaysError(
                f"velocity_unit is {reading.velocity_unit} but variable {one} of field {name} has the unit {unit}; "
                "leave velocity_unit out, or set the attribute units of the field"
            )
        if factor is None and reading.velocity_unit:
            unit, factor = reading.velocity_unit, _factor(reading.velocity_unit)
        if factor is None:
            said = f"the unit '{unit}', which is no speed that Linkways knows" if unit else "no unit"
            raise LinkwaysError(
                f"variable {one} of field {name} has {said}; set its attribute units to 'm s-1', or give velocity_unit"
            )
        if factor != 1.0:
            note(f"variable {one} of field {name} converted from {unit} to m s-1")
            out = out.assign({one: _scaled(out[one], factor)})
        out[one].attrs["units"] = "m s-1"
    if "temperature" in out and str(out["temperature"].attrs.get("units", "")).lower() in ("k", "kelvin"):
        note(f"temperature of field {name} converted from kelvin to degrees C")
        out = out.assign(temperature=_scaled(out["temperature"], 1.0, -273.15))
        out["temperature"].attrs["units"] = "degree_Celsius"
    return out


def _factor(unit: str) -> float | None:
    """Metres per second of this unit; None where it is no known speed."""
    return _SPEED_UNITS.get(re.sub(r"\s", "", unit.lower()))


def _scaled(array: xr.DataArray, factor: float, shift: float = 0.0) -> xr.DataArray:
    """The values times a factor, computed only as they are read where that can be."""
    lazy = array if array.variable._in_memory else _in_chunks(array)
    scaled = lazy * factor + shift
    scaled.attrs = dict(array.attrs)
    return scaled


def _in_chunks(array: xr.DataArray) -> xr.DataArray:
    from importlib.util import find_spec

    if find_spec("dask") is None or "time" not in array.dims or array.chunks:
        return array
    return array.chunk({"time": int(array.encoding.get("preferred_chunks", {}).get("time", 1))})


# --- place ---------------------------------------------------------------------------------------------------------


def _placed(field: xr.Dataset, reading: Reading, name: str) -> xr.Dataset:
    import rioxarray  # noqa: F401

    crs = _crs(field, reading, name)
    field = field.copy()
    field.attrs.pop("_crs", None)
    for axis in [a for a in ("x", "y", "x_u", "y_v") if a in field.dims]:
        field = _coordinate_units(field, axis, crs.is_geographic, name)
    if crs.is_geographic:
        field = _unwrapped(field, name)
    steps = {}
    for axis in ("x", "y"):
        steps[axis] = _regular(field[axis].values, axis, name)
        # exact multiples: what is stored as float32 wanders
        first, count = float(field[axis].values[0]), field.sizes[axis]
        field = field.assign_coords({axis: (axis, first + steps[axis] * np.arange(count), field[axis].attrs)})
    for faces, axis in (("x_u", "x"), ("y_v", "y")):
        if faces in field.dims:
            field = _all_faces(field, faces, axis, steps[axis], name)
    if "depth" in field.dims:
        field = _depths(field, name)
    if "time" in field.dims and field.sizes["time"] == 1:
        note(f"field {name} has one time and is taken as steady")
        field = field.isel(time=0, drop=True)
    placed: xr.Dataset = field.rio.write_crs(crs)
    return placed


def _crs(field: xr.Dataset, reading: Reading, name: str) -> Any:
    from pyproj import CRS
    from pyproj.exceptions import CRSError

    own = field.attrs.get("_crs")
    given = reading.crs if reading.crs is not None else own
    if given is not None:
        try:
            place = CRS.from_user_input(given)
        except CRSError:
            raise LinkwaysError(f"crs '{given}' is no CRS; give an EPSG code like 'EPSG:4326'") from None
        if own is not None and not CRS.from_user_input(own).equals(place, ignore_axis_order=True):
            raise LinkwaysError(
                f"crs is {given} but field {name} is in {CRS.from_user_input(own).name}; leave crs out, or write the "
                "right one with field.rio.write_crs"
            )
        return place
    x = field["x"]
    if str(x.attrs.get("standard_name")) == "longitude" or str(x.attrs.get("units", "")).lower().startswith("degree"):
        note(f"field {name} names no CRS; its longitudes and latitudes are taken as WGS 84 (EPSG:4326)")
        return CRS.from_epsg(4326)
    raise LinkwaysError(
        f"field {name} has no CRS; give crs, or write it with field.rio.write_crs('EPSG:...'), because metres cannot "
        "be told from degrees"
    )


def _coordinate_units(field: xr.Dataset, axis: str, geographic: bool, name: str) -> xr.Dataset:
    attrs = field[axis].attrs
    unit = str(attrs.get("units", "")).lower()
    if geographic or unit in ("", "m", "metre", "meter", "metres", "meters") or unit.startswith("degree"):
        wanted = ("degrees_east" if axis[0] == "x" else "degrees_north") if geographic else "m"
        factor = 1.0
    elif unit in ("km", "kilometer", "kilometre", "kilometers", "kilometres"):
        wanted, factor = "m", 1000.0
    else:
        raise LinkwaysError(f"coordinate {axis} of field {name} has the unit '{unit}'; it must be m, km or degrees")
    values = np.asarray(field[axis].values, float) * factor
    return field.assign_coords({axis: (axis, values, attrs | {"units": wanted})})


def _unwrapped(field: xr.Dataset, name: str) -> xr.Dataset:
    """Longitudes that jump once at the edge of the map run on instead."""
    for axis in [a for a in ("x", "x_u") if a in field.dims]:
        values = field[axis].values
        if (values.min() < -180.0 - 1e-6 and values.max() > 180.0 + 1e-6) or np.ptp(values) > 361.0:
            raise LinkwaysError(
                f"longitudes of field {name} mix conventions: they reach from {values.min():g} to {values.max():g}; "
                "bring them all to -180..180 or all to 0..360"
            )
        jumps = np.flatnonzero(np.diff(values) < 0)
        falling = len(values) > 1 and len(jumps) == len(values) - 1
        if not len(jumps) or falling:
            continue
        if len(jumps) > 1 or abs(values[jumps[0] + 1] + 360.0 - values[jumps[0]] - (values[1] - values[0])) > 0.1 * abs(
            values[1] - values[0]
        ):
            raise LinkwaysError(
                f"longitudes of field {name} mix conventions: after {values[jumps[0]]:g} follows "
                f"{values[jumps[0] + 1]:g}; bring them all to -180..180 or all to 0..360, in order"
            )
        run_on = values.copy()
        run_on[jumps[0] + 1 :] += 360.0
        note(f"longitudes of field {name} run on past 180 where they jumped to {values[jumps[0] + 1]:g}")
        field = field.assign_coords({axis: (axis, run_on, field[axis].attrs)})
    return field


def _regular(values: NDArray[np.float64], axis: str, name: str) -> float:
    if len(values) < 2:
        raise LinkwaysError(f"field {name} has one value along {axis}; at least two are needed")
    step = (values[-1] - values[0]) / (len(values) - 1)
    off = np.abs(values - (values[0] + step * np.arange(len(values))))
    worst = int(off.argmax())
    if step == 0 or off[worst] > _WANDER * abs(step):
        raise LinkwaysError(
            f"coordinate {axis} of field {name} is not regular: value {worst} is {values[worst]:g}, "
            f"{off[worst] / abs(step) if step else np.inf:.2g} cells off even steps of {step:g}; bring the field to a "
            "regular grid (xarray: field.interp)"
        )
    return float(step)


def _all_faces(field: xr.Dataset, faces: str, axis: str, step: float, name: str) -> xr.Dataset:
    """A face at both ends of every cell: those at the rim that are not stored are closed."""
    cells = field[axis].values
    first = float((field[faces].values[0] - cells[0]) / step + 0.5)
    lead = round(first)
    tail = len(cells) + 1 - lead - field.sizes[faces]
    if abs(first - lead) > 0.05 or lead not in (0, 1) or tail not in (0, 1):
        raise LinkwaysError(
            f"{faces} of field {name} starts {first - 0.5:.2g} cells from the first cell centre and has "
            f"{field.sizes[faces]} values for {len(cells)} cells; faces of a C grid lie half a cell from the centres"
        )
    edges = cells[0] + step * (np.arange(len(cells) + 1) - 0.5)
    if lead or tail:
        one = "u" if faces == "x_u" else "v"
        padded = _in_chunks(field[one]).pad({faces: (lead, tail)}, constant_values=np.nan)
        padded.attrs = dict(field[one].attrs)
        field = field.drop_vars([one, faces]).assign({one: padded.drop_vars(faces, errors="ignore")})
    return field.assign_coords({faces: (faces, edges, dict(field[axis].attrs))})


def _depths(field: xr.Dataset, name: str) -> xr.Dataset:
    if "depth" not in field.coords:
        raise LinkwaysError(
            f"field {name} has no coordinate for its dimension depth; give the depth of each level in m"
        )
    depth = field["depth"]
    values = np.asarray(depth.values, float)
    if not np.isfinite(values).all() or len(np.unique(values)) != len(values):
        raise LinkwaysError(f"the depths of field {name} are not all different numbers; give the depth of each level")
    if str(depth.attrs.get("positive", "")) == "up" or (values <= 0).all():
        values = -values
    attrs = dict(depth.attrs) | {"units": "m", "positive": "down"}
    field = field.assign_coords(depth=("depth", values + 0.0, attrs))
    return field.isel(depth=np.argsort(values)) if (np.diff(values) < 0).any() else field
