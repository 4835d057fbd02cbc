"""Sites and the ways between them on the map: distances, directions, lines, and the figure."""

from typing import TYPE_CHECKING, Any

import numpy as np

from linkways.errors import LinkwaysError

if TYPE_CHECKING:
    import geopandas as gpd
    import pandas as pd
    from matplotlib.figure import Figure

__all__ = ["Ways", "areas_km2", "draw", "is_layer", "refuse_unplaced", "strongest_links"]


def is_layer(table: Any) -> bool:
    """Whether a table of sites has shapes."""
    return type(table).__name__ == "GeoDataFrame"


def refuse_unplaced(id: str, layer: "gpd.GeoDataFrame", name: str = "sites") -> None:
    """Sites of a layer must lie somewhere: a CRS, and no shape that is missing or empty."""
    if layer.crs is None:
        raise LinkwaysError(f"{id}: {name} has no CRS; give it one with {name}.set_crs('EPSG:...')")
    bare = np.flatnonzero(np.asarray(layer.geometry.isna() | layer.geometry.is_empty))
    if len(bare):
        column = next(c for c in ("site", "unit") if c in layer.columns)
        raise LinkwaysError(
            f"{id}: {len(bare)} {name} have no shape, first {layer[column].iloc[bare[0]]} in row {bare[0] + 1}; "
            "draw them, or leave them out"
        )


def _geodetic(layer: "gpd.GeoDataFrame") -> tuple[Any, np.ndarray]:
    """The ellipsoid and the centroids of features in degrees (n, 2)."""
    import shapely
    from pyproj import Transformer

    points = shapely.centroid(layer.geometry.values)
    xy = np.column_stack((shapely.get_x(points), shapely.get_y(points)))
    to_degrees = Transformer.from_crs(layer.crs, layer.crs.geodetic_crs, always_xy=True)
    return layer.crs.get_geod(), np.column_stack(to_degrees.transform(xy[:, 0], xy[:, 1]))


class Ways:
    """Straight ways over the ellipsoid between the centroids of sites."""

    def __init__(self, layer: "gpd.GeoDataFrame") -> None:
        self.layer = layer
        self._geod, self._degrees = _geodetic(layer)

    def between(self, source: np.ndarray, sink: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Distance in km, and the direction in which it sets out, degrees clockwise from north; NaN to itself."""
        if not len(source):
            return np.zeros(0), np.zeros(0)
        one, other = self._degrees[source], self._degrees[sink]
        azimuth, _, metres = self._geod.inv(one[:, 0], one[:, 1], other[:, 0], other[:, 1])
        # a bearing of -1e-15 is north too
        bearing = np.mod(np.round(azimuth, 9), 360.0)
        return np.asarray(metres) / 1000, np.where(source == sink, np.nan, bearing)

    def lines(self, source: np.ndarray, sink: np.ndarray) -> np.ndarray:
        """A line for each way, in the coordinates of the layer."""
        import shapely

        points = shapely.get_coordinates(shapely.centroid(self.layer.geometry.values))
        return np.asarray(shapely.linestrings(np.stack((points[source], points[sink]), axis=1)))


def areas_km2(layer: "gpd.GeoDataFrame") -> np.ndarray:
    """(n,) geodesic area of polygons, whatever their projection does to areas; 0 of points."""
    from shapely.geometry.polygon import orient

    shapes = layer.geometry.to_crs(layer.crs.geodetic_crs)
    geod = layer.crs.get_geod()
    # a ring's geodesic area has a sign, so that holes must run against their shell
    parts = [[orient(part) for part in getattr(shape, "geoms", [shape]) if part.area] for shape in shapes]
    return np.array([sum(abs(geod.geometry_area_perimeter(part)[0]) for part in one) / 1e6 for one in parts])


def strongest_links(
    pairs: "pd.DataFrame", source: np.ndarray, sink: np.ndarray, ways: Ways, most: int
) -> "gpd.GeoDataFrame":
    """Lines from source to sink of the links with most larvae, the strongest first; none of a site with itself."""
    import geopandas as gpd

    apart = np.flatnonzero(source != sink)
    order = apart[np.argsort(-pairs["flow"].to_numpy()[apart], kind="stable")][:most]
    columns = ["source", "sink", "flow", "probability", "migration", "distance_km", "direction_deg"]
    table = pairs.iloc[order][columns].reset_index(drop=True)
    return gpd.GeoDataFrame(table, geometry=list(ways.lines(source[order], sink[order])), crs=ways.layer.crs)


def draw(curve: "pd.DataFrame", pairs: "pd.DataFrame", most_unexplained: float) -> "Figure":
    """How far larvae settle, and where they were counted how links and certainty grow with particles."""
    from matplotlib.figure import Figure

    counted = len(curve) > 0
    figure = Figure(figsize=(9.0 if counted else 4.6, 3.2), layout="constrained")
    axes: Any = np.ravel(figure.subplots(1, 2 if counted else 1, squeeze=False))
    _draw_distances(axes[0], pairs)
    if counted:
        _draw_curve(axes[1], curve, most_unexplained)
    return figure


def _draw_distances(ax: Any, pairs: "pd.DataFrame") -> None:
    distance, flow = pairs["distance_km"].to_numpy(), pairs["flow"].to_numpy()
    if len(distance) and flow.sum() > 0:
        edges = np.linspace(0.0, max(float(distance.max()), 1e-9), 25)
        ax.hist(distance, bins=edges, weights=100 * flow / flow.sum(), color="#2b7a9b")
    ax.set_xlabel("distance from source (km)")
    ax.set_ylabel("settlers (%)")


def _draw_curve(ax: Any, curve: "pd.DataFrame", most_unexplained: float) -> None:
    ax.plot(curve["particles"], 100 * curve["unexplained_variance"], color="#c2660a", marker="o", markersize=3)
    ax.axhline(100 * most_unexplained, color="#888888", linewidth=0.8, linestyle="--")
    ax.set_xscale("log")
    ax.set_ylim(0, None)
    ax.set_xlabel("particles")
    ax.set_ylabel("unexplained variance (%)", color="#c2660a")
    beside = ax.twinx()
    beside.plot(curve["particles"], curve["links"], color="#2b7a9b", marker="s", markersize=3)
    beside.set_ylabel("links found", color="#2b7a9b")
    beside.set_ylim(0, None)
