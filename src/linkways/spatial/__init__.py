"""Rasters, vectors, tables and fields over time in and out; cell geometry, alignment, landscapes, built-in data.

Importing this room is light: the libraries it stands on are loaded by the functions that need them.
"""

from linkways.spatial._grid import Grid, grid_of
from linkways.spatial.align import align, burn_lines, feature_of_cell, rasterize, to_grid_crs
from linkways.spatial.basins import random_barriers, random_basin
from linkways.spatial.blocks import block_values, computed_raster, is_deferred, row_blocks
from linkways.spatial.cells import CellGeometry, cell_geometry, same_grid
from linkways.spatial.fields import read_field, write_field
from linkways.spatial.graphs import (
    HabitatGraph,
    conefor_graph,
    conefor_text,
    graphml_graph,
    graphml_text,
    read_conefor,
    read_graphml,
    write_conefor,
    write_graphml,
)
from linkways.spatial.landscapes import (
    classify_landscape,
    edge_gradient,
    midpoint_displacement,
    planar_gradient,
    random_cluster,
    random_landscape,
    random_mosaic,
)
from linkways.spatial.log import note, recording
from linkways.spatial.rasters import new_raster, raster_like, read_raster, write_raster
from linkways.spatial.sources import IGBP_CLASSES, BuiltinSource, builtin, builtin_sources
from linkways.spatial.tables import read_table, write_table
from linkways.spatial.vectors import holds_features, read_vectors, write_vectors

__all__ = [
    "IGBP_CLASSES",
    "BuiltinSource",
    "CellGeometry",
    "Grid",
    "HabitatGraph",
    "align",
    "block_values",
    "builtin",
    "builtin_sources",
    "burn_lines",
    "cell_geometry",
    "classify_landscape",
    "computed_raster",
    "conefor_graph",
    "conefor_text",
    "edge_gradient",
    "feature_of_cell",
    "graphml_graph",
    "graphml_text",
    "grid_of",
    "holds_features",
    "is_deferred",
    "midpoint_displacement",
    "new_raster",
    "note",
    "planar_gradient",
    "random_barriers",
    "random_basin",
    "random_cluster",
    "random_landscape",
    "random_mosaic",
    "raster_like",
    "rasterize",
    "read_conefor",
    "read_field",
    "read_graphml",
    "read_raster",
    "read_table",
    "read_vectors",
    "recording",
    "row_blocks",
    "same_grid",
    "to_grid_crs",
    "write_conefor",
    "write_field",
    "write_graphml",
    "write_raster",
    "write_table",
    "write_vectors",
]
