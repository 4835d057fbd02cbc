"""Habitat patches: the nodes of a habitat network."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np

from linkways.errors import LinkwaysError
from linkways.method import Layer, Param, Raster, Vector, method

if TYPE_CHECKING:
    import geopandas as gpd
    import xarray as xr

    from linkways.networks._patches import FoundPatches

__all__ = ["patch_raster", "patches"]

Threshold = Annotated[float, Param("a cell of the raster habitat is habitat from this value up")]
Classes = Annotated[Sequence[int] | None, Param("the classes of the land cover that are habitat")]
MinArea = Annotated[float, Param("smaller patches are left out", unit="ha", ge=0)]
PatchNeighbours = Annotated[
    Literal[4, 8],
    Param(
        "cells that touch by an edge (4), or also by a corner (8), belong to one patch",
        source="8 as in FRAGSTATS; Graphab and restopt take 4",
    ),
]
InvalidRule = Annotated[Literal["repair", "refuse"], Param("invalid polygons: made valid, with a note, or refused")]

FOLTETE = (
    "Foltete JC, Clauzel C, Vuidel G (2012) A software tool dedicated to the modelling of landscape networks. "
    "Environmental Modelling and Software 38:316-327"
)


@method(
    "networks.patches",
    references=(
        FOLTETE,
        "Rosenfeld A, Pfaltz JL (1966) Sequential operations in digital picture processing. J. ACM 13",
    ),
)
def patches(
    habitat: Annotated["xr.DataArray | None", Raster("habitat suitability, 0 to 1, or a 0/1 mask")] = None,
    land_cover: Annotated["xr.DataArray | None", Raster("classes, some of which are habitat", classes=True)] = None,
    polygons: Annotated["gpd.GeoDataFrame | None", Vector("patches as polygons", geometry=("Polygon",))] = None,
    quality: Annotated["xr.DataArray | None", Raster("quality of the cells, 0 or more; weights the area")] = None,
    *,
    threshold: Threshold = 0.5,
    classes: Classes = None,
    min_area_ha: MinArea = 0.0,
    neighbours: PatchNeighbours = 8,
    attribute: Annotated[str | None, Param("of polygons: the column with their attribute; none: the area")] = None,
    overlaps: Annotated[
        Literal["refuse", "dissolve", "keep"],
        Param("polygons that overlap by more than a millionth: refused, made one patch, or kept as they are"),
    ] = "refuse",
    invalid: InvalidRule = "repair",
) -> Annotated["gpd.GeoDataFrame", Layer("habitat patches: patch, area_ha, attribute")]:
    """Habitat patches with number, area, attribute and outline, from a raster of habitat or from polygons.

    Habitat cells (value >= ``threshold``, or a class among ``classes``) that touch form a patch. Patches are numbered
    from 1 in the order of their first cells, row by row from the north-west. The area is the sum of the cell areas,
    from the ellipsoid row by row on a geographic CRS. The attribute is the area in hectares, or area x mean quality
    (the area-weighted mean of the cells that have one) where a quality is given. Outlines follow the cell edges; parts
    of a patch that touch by a corner only are polygons of their own.

    The raster is looked at in blocks of whole rows, so that memory holds some blocks and the patches: a raster of 1e9
    cells that was opened and not read (``spatial.read_raster`` of so large a file does that) needs under 4 GB.

    Polygons keep the numbers of a column ``patch``; their area is geodesic on a geographic CRS.

    Raises LinkwaysError when nothing is left, for negative attributes, overlaps and invalid polygons where these are
    refused, and coordinates in degrees with a CRS in metres.

    Examples
    --------
    >>> from linkways import networks, spatial
    >>> habitat = spatial.new_raster([[1, 1, 0, 1], [1, 0, 0, 0], [0, 0, 1, 0]], crs="EPSG:3035", cell_size=100)
    >>> networks.patches(habitat)[["patch", "area_ha", "attribute"]]
       patch  area_ha  attribute
    0      1      3.0        3.0
    1      2      1.0        1.0
    2      3      1.0        1.0
    """
    if sum(given is not None for given in (habitat, land_cover, polygons)) != 1:
        raise LinkwaysError("networks.patches: give one of habitat, land_cover or polygons")
    if polygons is not None:
        return _from_polygons(polygons, quality, classes, min_area_ha, attribute, overlaps, invalid)
    if attribute is not None:
        raise LinkwaysError("networks.patches: attribute names a column of polygons; leave it out, or give polygons")
    found = _found(habitat, land_cover, quality, threshold, classes, min_area_ha, neighbours)
    return _table(found)


@method("networks.patch_raster", references=(FOLTETE,))
def patch_raster(
    habitat: Annotated["xr.DataArray | None", Raster("habitat suitability, 0 to 1, or a 0/1 mask")] = None,
    land_cover: Annotated["xr.DataArray | None", Raster("classes, some of which are habitat", classes=True)] = None,
    *,
    threshold: Threshold = 0.5,
    classes: Classes = None,
    min_area_ha: MinArea = 0.0,
    neighbours: PatchNeighbours = 8,
) -> Annotated["xr.DataArray", Layer("number of the patch of each cell, empty outside patches")]:
    """The number of the habitat patch that each cell belongs to, NaN outside patches.

    The numbers are those of ``networks.patches`` with the same parameters. Of a raster that is not in memory the
    numbers are computed block by block when they are asked for, as when they are written to a file.

    Examples
    --------
    >>> from linkways import networks, spatial
    >>> habitat = spatial.new_raster([[1, 1, 0, 1], [1, 0, 0, 0]], crs="EPSG:3035", cell_size=100)
    >>> networks.patch_raster(habitat).values
    array([[ 1.,  1., nan,  2.],
           [ 1., nan, nan, nan]])
    """
    from linkways.spatial import computed_raster, is_deferred

    if (habitat is None) == (land_cover is None):
        raise LinkwaysError("networks.patch_raster: give either habitat or land_cover")
    found = _found(habitat, land_cover, None, threshold, classes, min_area_ha, neighbours)
    raster = found.habitat.raster
    attrs = {"classes": True} | ({"simulated": True} if raster.attrs.get("simulated") else {})

    def window(rows: range, columns: range) -> np.ndarray:
        cells = found.window(rows, columns).astype(np.float64)
        cells[cells == 0] = np.nan
        return cells

    stored = next(kind for kind in (np.uint8, np.uint16, np.int32) if len(found) < np.iinfo(kind).max)
    result = computed_raster(
        raster, window, dtype=np.float64, name="patch_raster", attrs=attrs, block_rows=len(found.blocks[0]),
        stored=(stored, 0),
    )  # fmt: skip
    return result if is_deferred(raster) else result.load()


def _found(
    habitat: "xr.DataArray | None",
    land_cover: "xr.DataArray | None",
    quality: "xr.DataArray | None",
    threshold: float,
    classes: Sequence[int] | None,
    min_area_ha: float,
    neighbours: int,
) -> "FoundPatches":
    from linkways.networks._patches import Habitat, find_patches

    if (land_cover is not None) != (classes is not None):
        raise LinkwaysError(
            "land_cover needs classes, the list of its classes that are habitat"
            if classes is None
            else "classes are those of a land cover; give land_cover, or threshold for habitat"
        )
    raster = habitat if habitat is not None else land_cover
    assert raster is not None
    chosen = None if classes is None else tuple(classes)
    return find_patches(
        Habitat(raster, threshold, chosen, quality), neighbours=neighbours, min_area_m2=min_area_ha * 1e4
    )


def _table(found: "FoundPatches") -> "gpd.GeoDataFrame":
    import geopandas as gpd

    ids = np.arange(1, len(found) + 1)
    area = found.area_m2 / 1e4
    with_quality = found.habitat.quality is not None
    if with_quality and np.isnan(found.quality).any():
        bad = ids[np.isnan(found.quality)]
        raise LinkwaysError(
            f"{len(bad)} patches have no quality on any of their cells, first patch {bad[0]}; fill in the quality, or "
            "leave these cells out of the habitat"
        )
    value = area * found.quality if with_quality else area
    return gpd.GeoDataFrame(
        {"patch": ids, "area_ha": area, "attribute": value}, geometry=found.outlines, crs=found.habitat.raster.rio.crs
    )


def _from_polygons(
    polygons: "gpd.GeoDataFrame",
    quality: "xr.DataArray | None",
    classes: Sequence[int] | None,
    min_area_ha: float,
    attribute: str | None,
    overlaps: Literal["refuse", "dissolve", "keep"],
    invalid: Literal["repair", "refuse"],
) -> "gpd.GeoDataFrame":
    from linkways.networks._patch_polygons import checked_polygons, measured

    if classes is not None:
        raise LinkwaysError("networks.patches: classes are those of a land cover; leave them out, or give land_cover")
    if quality is not None and attribute is not None:
        raise LinkwaysError("networks.patches: give quality or attribute; each says what the attribute of patches is")
    checked = checked_polygons(polygons, "polygons", invalid=invalid, overlaps=overlaps, attribute=attribute)
    table = measured(checked, attribute, "polygons")
    table = table[table["area_ha"] >= min_area_ha].reset_index(drop=True)
    if not len(table):
        raise LinkwaysError(f"no polygon reaches {min_area_ha:g} ha; lower min_area_ha")
    return table if quality is None else _weighted(table, quality)


def _weighted(table: "gpd.GeoDataFrame", quality: "xr.DataArray") -> "gpd.GeoDataFrame":
    """The patches with area x mean quality as their attribute, the mean over cells whose centre lies inside."""
    from linkways.spatial import cell_geometry, feature_of_cell

    owner = feature_of_cell(table, quality).ravel()
    values = np.asarray(quality.values, dtype=np.float64).ravel()
    area = np.broadcast_to(cell_geometry(quality).area_m2[:, None], quality.shape).ravel()
    known = np.isfinite(values) & (owner >= 0)
    if (values[known] < 0).any():
        raise LinkwaysError(f"quality is negative in patches (least {values[known].min():g}); give values of 0 or more")
    total = np.bincount(owner[known], area[known] * values[known], minlength=len(table))
    share = np.bincount(owner[known], area[known], minlength=len(table))
    if (share == 0).any():
        bad = table["patch"][int(np.argmax(share == 0))]
        raise LinkwaysError(
            f"{int((share == 0).sum())} patches hold no cell with a quality, first patch {bad}; drop them, or give a "
            "finer or wider quality raster"
        )
    return table.assign(attribute=table["area_ha"].to_numpy() * total / share)
