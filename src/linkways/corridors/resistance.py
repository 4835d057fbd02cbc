"""Resistance to movement from land cover, habitat suitability, other layers, and features burnt in."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np

from linkways.errors import LinkwaysError, nearest
from linkways.method import Layer, Param, Raster, Table, Vector, method

if TYPE_CHECKING:
    import geopandas as gpd
    import pandas as pd
    import xarray as xr

__all__ = ["reclassify", "resistance"]

Within = Annotated[
    "gpd.GeoDataFrame | None",
    Vector("the study region: cells whose centre lies outside become nodata", geometry=("Polygon",)),
]


@method(
    "corridors.resistance",
    references=(
        "Zeller KA, McGarigal K, Whiteley AR (2012) Estimating landscape resistance to movement: a review. "
        "Landscape Ecology 27:777-797",
        "Keeley ATH, Beier P, Gagnon JW (2016) Estimating landscape resistance from habitat suitability. "
        "Landscape Ecology 31:2151-2162 (negative exponential transforms)",
    ),
)
def resistance(
    landcover: Annotated["xr.DataArray | None", Raster("land-cover classes", classes=True)] = None,
    table: Annotated[
        "pd.DataFrame | None", Table("resistance of each land-cover class", columns=("class", "resistance"))
    ] = None,
    suitability: Annotated["xr.DataArray | None", Raster("habitat suitability from 0 (none) to 1 (best)")] = None,
    layers: Annotated[
        "Sequence[xr.DataArray]", Raster("further resistance layers", unit="resistance", positive=True, many=True)
    ] = (),
    overlays: Annotated[
        "Sequence[gpd.GeoDataFrame]",
        Vector(
            "roads, rivers, fences, crossings and the like, burnt in with the number in their column resistance "
            "(empty: cannot be crossed); later layers lie over earlier ones",
            columns=("resistance",),
            many=True,
        ),
    ] = (),
    within: Within = None,
    *,
    transform: Annotated[
        Literal["negative_exponential", "linear"], Param("how suitability becomes resistance")
    ] = "negative_exponential",
    c: Annotated[
        float,
        Param(
            "shape of the negative exponential; larger: resistance stays low until habitat is poor",
            gt=0,
            le=64,
            source="Keeley et al. 2016 compare c from 0.25 to 64",
        ),
    ] = 4.0,
    max_resistance: Annotated[
        float, Param("resistance at suitability 0; at 1 it is 1", unit="resistance", gt=1)
    ] = 100.0,
    combine: Annotated[Literal["max", "sum", "product"], Param("how several layers become one")] = "max",
    overlay_rule: Annotated[
        Literal["replace", "max"],
        Param("whether a burnt-in feature replaces what lies under it or only raises it"),
    ] = "replace",
    all_touched: Annotated[
        bool, Param("burn every cell that a feature touches, so that a line has no diagonal leaks")
    ] = True,
) -> Annotated["xr.DataArray", Layer("resistance to movement", unit="resistance")]:
    """Resistance to movement, cell by cell, from any of land cover, habitat suitability and other layers.

    Land-cover classes take their number from the table; a class whose number is empty cannot be entered. Suitability
    h becomes, with M = ``max_resistance``, linear: R = M - (M - 1) h, or negative exponential:
    R = M - (M - 1) (1 - exp(-c h)) / (1 - exp(-c)). All layers given are combined cell by cell; a cell that is
    nodata in one of them cannot be entered. Features are burnt in last.

    Raises LinkwaysError for a class that the table lacks (which, how many cells), suitability outside 0 to 1, and
    resistances that are not finite and above 0.

    Examples
    --------
    >>> import pandas as pd
    >>> from linkways import corridors, spatial
    >>> landcover = spatial.new_raster([[1, 1, 2], [1, 2, 2]], crs="EPSG:3035", cell_size=100)
    >>> table = pd.DataFrame({"class": [1, 2], "resistance": [1, 30]})
    >>> corridors.resistance(landcover, table).values
    array([[ 1.,  1., 30.],
           [ 1., 30., 30.]])
    """
    import xarray as xr

    made: list[xr.DataArray] = list(layers)
    if landcover is not None:
        if table is None:
            raise LinkwaysError(
                "corridors.resistance: landcover is given without table; add a table with columns class and resistance"
            )
        made.insert(0, _by_class(landcover, table, "resistance"))
    elif table is not None:
        raise LinkwaysError("corridors.resistance: table is given without landcover; add the land-cover raster")
    if suitability is not None:
        made.append(_from_suitability(suitability, transform, c, max_resistance))
    if not made:
        raise LinkwaysError("corridors.resistance: give landcover with table, suitability, or layers")
    values = made[0].values.astype(np.float64)
    joins = {"max": np.maximum, "sum": np.add, "product": np.multiply}
    for layer in made[1:]:
        values = joins[combine](values, layer.values)
    for overlay in overlays:
        values = _burn(values, overlay, made[0], overlay_rule, all_touched)
    values = _cut_to(values, within, made[0])
    _refuse_not_positive(values)
    out = made[0].copy(data=values)
    out.name = "resistance"
    simulated = any(layer.attrs.get("simulated") for layer in (*layers, landcover, suitability) if layer is not None)
    out.attrs = {"units": "resistance", **({"simulated": True} if simulated else {})}
    return out


@method("corridors.reclassify")
def reclassify(
    landcover: Annotated["xr.DataArray", Raster("classes, such as land cover", classes=True)],
    table: Annotated["pd.DataFrame", Table("a number for each class", columns=("class",))],
    within: Within = None,
    *,
    column: Annotated[str, Param("the column of the table that holds the number, such as habitat")],
) -> Annotated["xr.DataArray", Layer("the number of each cell's class")]:
    """A raster of numbers from a raster of classes, by a table.

    Serves habitat (1 for habitat, 0 for none, shares between), human use, or any other quality that a class stands
    for. An empty number in the table is nodata.

    Raises LinkwaysError for a class that the table lacks and for a column that is not there.

    Examples
    --------
    >>> import pandas as pd
    >>> from linkways import corridors, spatial
    >>> landcover = spatial.new_raster([[1, 2]], crs="EPSG:3035", cell_size=100)
    >>> table = pd.DataFrame({"class": [1, 2], "habitat": [1.0, 0.2]})
    >>> corridors.reclassify(landcover, table, column="habitat").values
    array([[1. , 0.2]])
    """
    layer = _by_class(landcover, table, column)
    return layer.copy(data=_cut_to(layer.values, within, layer))


def _by_class(landcover: "xr.DataArray", table: "pd.DataFrame", column: str) -> "xr.DataArray":
    import pandas as pd

    if column not in table.columns:
        raise LinkwaysError(f"the class table has no column '{column}'{nearest(column, map(str, table.columns))}")
    codes = pd.to_numeric(table["class"], errors="coerce")
    numbers = pd.to_numeric(table[column], errors="coerce")
    wrong = codes.isna() | (numbers.isna() & table[column].notna())
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        raise LinkwaysError(f"the class table's row {row + 1} has no number in column class or {column}; fill it in")
    if codes.duplicated().any():
        raise LinkwaysError(
            f"class {codes[codes.duplicated()].iloc[0]:g} stands twice in the class table; keep one row"
        )
    values = landcover.values.astype(np.float64)
    valid = np.isfinite(values)
    present, where, counts = np.unique(values[valid], return_inverse=True, return_counts=True)
    mapping = dict(zip(codes.astype(float), numbers.astype(float), strict=True))
    missing = [(code, n) for code, n in zip(present, counts, strict=True) if code not in mapping]
    if missing:
        told = ", ".join(f"class {code:g} ({n} cells)" for code, n in missing)
        raise LinkwaysError(f"the class table lacks {told}; add a row for each, or set these cells to nodata")
    out = np.full(values.shape, np.nan)
    out[valid] = np.array([mapping[code] for code in present])[where] if len(present) else []
    layer = landcover.copy(data=out)
    layer.name = column
    layer.attrs = {k: v for k, v in landcover.attrs.items() if k == "simulated"}
    return layer


def _cut_to(values: np.ndarray, region: "gpd.GeoDataFrame | None", template: "xr.DataArray") -> np.ndarray:
    if region is None:
        return values
    from linkways.spatial import rasterize

    return np.where(rasterize(region, template).values, values, np.nan)


def _from_suitability(suitability: "xr.DataArray", transform: str, c: float, top: float) -> "xr.DataArray":
    h = suitability.values.astype(np.float64)
    bad = (h < 0) | (h > 1)
    if bad.any():
        row, column = (int(i) for i in np.argwhere(bad)[0])
        raise LinkwaysError(
            f"suitability has {int(bad.sum())} cells outside 0 to 1, first at row {row} column {column} "
            f"({h[row, column]:g}); rescale it"
        )
    share = h if transform == "linear" else (1 - np.exp(-c * h)) / (1 - np.exp(-c))
    return suitability.copy(data=top - (top - 1) * share)


def _burn(
    values: np.ndarray, overlay: "gpd.GeoDataFrame", template: "xr.DataArray", rule: str, all_touched: bool
) -> np.ndarray:
    import pandas as pd

    from linkways.spatial import feature_of_cell

    numbers = pd.to_numeric(overlay["resistance"], errors="coerce")
    bad = (numbers <= 0) | np.isinf(numbers) | (numbers.isna() & overlay["resistance"].notna())
    if bad.any():
        raise LinkwaysError(
            f"overlay feature {overlay.index[bad][0]} has resistance {overlay['resistance'][bad].iloc[0]!r}; give a "
            "number above 0, or leave it empty where nothing can cross"
        )
    # looked up by position, so that an empty number still closes its cells
    where = feature_of_cell(overlay, template, all_touched=all_touched)
    burnt = np.append(numbers.to_numpy(dtype=float), np.nan)[where]
    if rule == "max":
        burnt = np.maximum(burnt, values)
    return np.where(where >= 0, burnt, values)


def _refuse_not_positive(values: np.ndarray) -> None:
    bad = np.isinf(values) | (values <= 0)
    if bad.any():
        row, column = (int(i) for i in np.argwhere(bad)[0])
        raise LinkwaysError(
            f"resistance has {int(bad.sum())} cells that are zero, negative or infinite, first at row {row} column "
            f"{column} ({values[row, column]:g}); set them to nodata or to a finite value above 0"
        )
