"""Habitat networks in and out: the text files of Conefor, and GraphML."""

from __future__ import annotations

import io
import os
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from linkways.errors import LinkwaysError, nearest
from linkways.spatial.log import note

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "HabitatGraph",
    "conefor_graph",
    "conefor_text",
    "graphml_graph",
    "graphml_table",
    "graphml_text",
    "read_conefor",
    "read_graphml",
    "write_conefor",
    "write_graphml",
]

Weight = Literal["distance_m", "cost", "probability", "resistance"]
_WEIGHTS = ("distance_m", "cost", "probability", "resistance")
_ENDS = ("patch", "patch_a", "patch_b")
_SHAPE = "geometry_wkt"


@dataclass(frozen=True)
class HabitatGraph:
    """The nodes and links of a habitat network as tables.

    Attributes:
        nodes: one row for each patch: ``patch`` and its attributes; features where the file holds their geometry.
        links: one row for each link: ``patch_a``, ``patch_b`` and a weight; features likewise.
    """

    nodes: pd.DataFrame
    links: pd.DataFrame


# --- Conefor -----------------------------------------------------------------------------------------------------


def read_conefor(
    nodes: str | os.PathLike[str], links: str | os.PathLike[str], *, weight: Weight = "distance_m"
) -> HabitatGraph:
    """Return the network of a Conefor node file and connection file (Saura and Torne 2009).

    The node file holds rows of id, attribute and, if there is a third column, 1 for patches that exist and 0 for
    those that could be restored (column ``exists``). The connection file is a list: rows of id, id and the distance,
    cost or probability of the link. Both are separated by blanks or tabs and have no header.

    Args:
        nodes: the node file.
        links: the connection file.
        weight: what its third column holds, which the file does not tell; the links get a column of this name.

    Raises:
        LinkwaysError: no such file, another number of columns, and as ``conefor_graph``.
    """
    from linkways.spatial.tables import read_table

    return conefor_graph(read_table(nodes), read_table(links), weight=weight)


def conefor_graph(nodes: pd.DataFrame, links: pd.DataFrame, *, weight: Weight = "distance_m") -> HabitatGraph:
    """Return the network of the tables of a Conefor node file and connection file, checked; columns by position.

    A pair that is listed in both directions is one link.

    Raises:
        LinkwaysError: another number of columns, ids that are no whole numbers or stand twice, a negative attribute or
            distance, a probability above 1, links of a node to itself or to one that is not listed, or two weights
            for one pair.
    """
    import pandas as pd

    if nodes.shape[1] not in (2, 3):
        raise LinkwaysError(
            f"the node file has {nodes.shape[1]} columns but a Conefor node file has 2 or 3: id, attribute, and "
            "whether the patch exists"
        )
    if links.shape[1] != 3:
        raise LinkwaysError(
            f"the connection file has {links.shape[1]} columns but a Conefor connection list has 3: id, id, and the "
            "distance or probability; write a matrix as such a list"
        )
    ids = _whole(nodes.iloc[:, 0], "node file")
    twice = ids[pd.Series(ids).duplicated()]
    if twice.size:
        raise LinkwaysError(f"node file: the id {twice[0]} stands twice; give every node one row")
    table = pd.DataFrame({"patch": ids, "attribute": _numbers(nodes.iloc[:, 1], "node file", "attribute")})
    if nodes.shape[1] == 3:
        exists = _numbers(nodes.iloc[:, 2], "node file", "third column")
        if not np.isin(exists, (0, 1)).all():
            row = int(np.argmax(~np.isin(exists, (0, 1))))
            raise LinkwaysError(f"node file, row {row + 1}: the third column is {exists[row]:g} but must be 0 or 1")
        table["exists"] = exists.astype(bool)
    return HabitatGraph(table, _links(links, set(ids.tolist()), weight))


def write_conefor(
    nodes: pd.DataFrame,
    links: pd.DataFrame,
    nodes_path: str | os.PathLike[str],
    links_path: str | os.PathLike[str],
    *,
    attribute: str = "attribute",
    weight: Weight | None = None,
) -> tuple[Path, Path]:
    """Write a network as Conefor node file and connection file (lists separated by tabs) and return their paths.

    Numbers keep all their digits. A column ``exists`` of the nodes becomes the third column (1 or 0). Both files are
    written aside and moved into place together.

    Args:
        nodes: patches with ``patch`` (whole numbers) and the attribute.
        links: links with ``patch_a``, ``patch_b`` and the weight.
        nodes_path: the node file.
        links_path: the connection file.
        attribute: the column of ``nodes`` that holds the attribute.
        weight: the column of ``links`` that holds the weight; may be left out where there is only one.

    Raises:
        LinkwaysError: missing columns, patches that are not numbered with whole numbers, negative attributes, or the
            folder missing or not writable.
    """
    from linkways.spatial._atomic import written_aside

    node_text, link_text = conefor_text(nodes, links, attribute=attribute, weight=weight)
    with written_aside(nodes_path) as node_file, written_aside(links_path) as link_file:
        node_file.write_text(node_text, encoding="ascii")
        link_file.write_text(link_text, encoding="ascii")
    return Path(nodes_path), Path(links_path)


def conefor_text(
    nodes: pd.DataFrame, links: pd.DataFrame, *, attribute: str = "attribute", weight: Weight | None = None
) -> tuple[str, str]:
    """Return a network as the text of a Conefor node file and of a connection file; arguments as ``write_conefor``.

    Raises:
        LinkwaysError: missing columns, patches that are not numbered with whole numbers, or negative attributes.
    """
    _need(nodes, ["patch", attribute], "nodes")
    column = _weight_column(links) if weight is None else weight
    _need(links, ["patch_a", "patch_b", column], "links")
    parts: list[np.ndarray] = [
        _whole(nodes["patch"], "nodes, column patch"),
        _numbers(nodes[attribute], "nodes", attribute),
    ]
    if "exists" in nodes.columns:
        parts.append(nodes["exists"].to_numpy().astype(int))
    ends = [_whole(links[name], f"links, column {name}") for name in ("patch_a", "patch_b")]
    return _lines(parts), _lines([*ends, _numbers(links[column], "links", column)])


def _links(links: pd.DataFrame, known: set[int], weight: Weight) -> pd.DataFrame:
    import pandas as pd

    ends = [_whole(links.iloc[:, place], "connection file") for place in (0, 1)]
    values = _numbers(links.iloc[:, 2], "connection file", "third column")
    if weight == "probability" and (values > 1).any():
        row = int(np.argmax(values > 1))
        raise LinkwaysError(
            f"connection file, row {row + 1}: {values[row]:g} is no probability; set weight to 'distance_m' or 'cost' "
            "if that is what the file holds"
        )
    for row, pair in enumerate(zip(*(end.tolist() for end in ends), strict=True)):
        lost = [one for one in pair if one not in known]
        if lost:
            raise LinkwaysError(f"connection file, row {row + 1}: {lost[0]} is not in the node file; add or drop it")
        if pair[0] == pair[1]:
            raise LinkwaysError(f"connection file, row {row + 1} joins {pair[0]} to itself; drop the row")
    low, high = np.minimum(*ends), np.maximum(*ends)
    table = pd.DataFrame({"patch_a": low, "patch_b": high, weight: values})
    return _once(table, weight, "connection file")


def _once(table: pd.DataFrame, weight: str | None, what: str) -> pd.DataFrame:
    """Each pair once; two rows of a pair must agree."""
    again = table.duplicated(["patch_a", "patch_b"])
    if not again.any():
        return table
    columns = ["patch_a", "patch_b", *([weight] if weight else [])]
    differs = again & ~table.duplicated(columns)
    if differs.any():
        a, b = table.loc[differs, ["patch_a", "patch_b"]].iloc[0]
        raise LinkwaysError(
            f"{what}: the pair {a} and {b} stands there with two weights, but links have no direction here; keep one"
        )
    note(f"{what}: {int(again.sum())} pairs listed in both directions taken once")
    once: pd.DataFrame = table[~again].reset_index(drop=True)
    return once


def _whole(column: pd.Series, where: str) -> np.ndarray:
    import pandas as pd

    numbers = pd.to_numeric(column, errors="coerce").to_numpy(dtype=np.float64)
    wrong = ~np.isfinite(numbers) | (numbers % 1 != 0)
    if wrong.any():
        row = int(np.argmax(wrong))
        raise LinkwaysError(f"{where}, row {row + 1}: {column.tolist()[row]!r} is no whole number; number the patches")
    return numbers.astype(np.int64)


def _numbers(column: pd.Series, where: str, name: str) -> np.ndarray:
    import pandas as pd

    numbers = pd.to_numeric(column, errors="coerce").to_numpy(dtype=np.float64)
    wrong = ~np.isfinite(numbers) | (numbers < 0)
    if wrong.any():
        row = int(np.argmax(wrong))
        raise LinkwaysError(
            f"{where}, row {row + 1}: {name} is {column.tolist()[row]!r} but must be a number of 0 or more; correct it"
        )
    return numbers


def _lines(columns: Sequence[np.ndarray]) -> str:
    rows = zip(*(column.tolist() for column in columns), strict=True)
    return "".join("\t".join(repr(value) for value in row) + "\n" for row in rows)


def _need(table: pd.DataFrame, columns: Sequence[str], what: str) -> None:
    for column in columns:
        if column not in table.columns:
            raise LinkwaysError(f"{what} has no column '{column}'{nearest(column, map(str, table.columns))}")


def _weight_column(links: pd.DataFrame) -> str:
    found = [name for name in _WEIGHTS if name in links.columns]
    if len(found) != 1:
        raise LinkwaysError(
            f"links has {'several weights (' + ', '.join(found) + ')' if found else 'no weight'}; name the column with "
            "weight=, one of " + ", ".join(_WEIGHTS)
        )
    return found[0]


# --- GraphML -----------------------------------------------------------------------------------------------------


def write_graphml(
    nodes: pd.DataFrame, links: pd.DataFrame, path: str | os.PathLike[str], *, geometry: bool = True
) -> Path:
    """Write a network as GraphML (.graphml), as ``graphml_text`` has it, and return its path.

    The file is written aside and moved into place.

    Raises:
        LinkwaysError: another ending, the folder missing or not writable, and as ``graphml_text``.
    """
    from linkways.spatial._atomic import check_suffix, written_aside

    check_suffix(path, {".graphml": "GraphML"}, "network")
    text = graphml_text(nodes, links, geometry=geometry)
    with written_aside(path) as aside:
        aside.write_text(text, encoding="utf-8")
    return Path(path)


def graphml_text(nodes: pd.DataFrame, links: pd.DataFrame, *, geometry: bool = True) -> str:
    """Return a network as the text of a GraphML file with all columns of nodes and links.

    Nodes that have a geometry get ``x`` and ``y``, a point inside it, in the CRS that the graph names (``crs``). With
    ``geometry`` the outlines and paths themselves are kept as text (WKT), and come back with ``read_graphml``.

    Raises:
        LinkwaysError: missing columns, or links to patches that nodes does not hold.
    """
    import networkx as nx

    _need(nodes, ["patch"], "nodes")
    _need(links, ["patch_a", "patch_b"], "links")
    graph = nx.Graph()
    crs = getattr(nodes, "crs", None) or getattr(links, "crs", None)
    if crs is not None:
        graph.graph["crs"] = crs.to_string()
    for row in _records(nodes, geometry, with_point=True):
        graph.add_node(str(row["patch"]), **row)
    for number, row in enumerate(_records(links, geometry, with_point=False)):
        a, b = str(row.pop("patch_a")), str(row.pop("patch_b"))
        for end in (a, b):
            if end not in graph:
                raise LinkwaysError(f"links, row {number}: patch {end} is not among the nodes; add or drop it")
        graph.add_edge(a, b, **row)
    file = io.BytesIO()
    nx.write_graphml_xml(graph, file)
    return file.getvalue().decode("utf-8")


def read_graphml(path: str | os.PathLike[str]) -> HabitatGraph:
    """Return the network of a GraphML file: all attributes of its nodes and edges as columns.

    Patches are numbered by the attribute ``patch`` of the nodes, or else by their ids (whole numbers where they all
    are). Geometries that ``write_graphml`` kept come back. Directed graphs are read as undirected.

    Raises:
        LinkwaysError: no such file, not GraphML, or two edges of a pair that differ.
    """
    return graphml_graph(graphml_table(path), what=str(path))


def graphml_table(path: str | os.PathLike[str]) -> pd.DataFrame:
    """Return a GraphML file as one table: a row for each node (``patch``), then each edge (``patch_a``, ``patch_b``).

    The attributes of both are its columns, and where the file names the ``crs`` of its geometries, so is that.
    ``graphml_graph`` makes a network of it.
    """
    import networkx as nx
    import pandas as pd

    from linkways.spatial._atomic import missing_file

    if not Path(path).exists():
        raise missing_file(path, "network")
    try:
        graph = nx.read_graphml(path, force_multigraph=True)
    # what expat and networkx raise for files that are something else
    except (nx.NetworkXError, SyntaxError, ValueError, KeyError) as error:
        reason = str(error).replace("\n", " ")[:200]
        raise LinkwaysError(f"cannot read {path} as GraphML ({reason}); check the file") from error
    if not graph.number_of_nodes():
        raise LinkwaysError(f"{path} holds no nodes; give a GraphML file of a network")
    names = list(graph.nodes)
    known = [data.get("patch") for _, data in graph.nodes(data=True)]
    numbers = _as_numbers(names) if None in known else known
    if len(set(numbers)) < len(numbers):
        raise LinkwaysError(f"{path}: two nodes have the same attribute patch; give every node its own")
    number = dict(zip(names, numbers, strict=True))
    crs = {"crs": graph.graph["crs"]} if "crs" in graph.graph else {}
    rows = [{"patch": number[name], **_without(data, *_ENDS), **crs} for name, data in graph.nodes(data=True)]
    place = {name: k for k, name in enumerate(names)}
    for a, b, data in graph.edges(data=True):
        ends = (number[name] for name in sorted((a, b), key=place.__getitem__))
        rows.append(dict(zip(_ENDS[1:], ends, strict=True)) | _without(data, *_ENDS, "id") | crs)
    columns = dict.fromkeys((*_ENDS, *(name for row in rows for name in row)))
    # values keep their kind: a whole number of nodes does not become a fraction because edges lack it
    return pd.DataFrame([[row.get(name) for name in columns] for row in rows], columns=list(columns), dtype=object)


def graphml_graph(table: pd.DataFrame, *, what: str = "network") -> HabitatGraph:
    """Return the network of a table made by ``graphml_table``, which errors call ``what``.

    Raises:
        LinkwaysError: missing columns, no nodes, or two edges of a pair that differ.
    """
    import pandas as pd

    _need(table, _ENDS, what)
    crs = table["crs"].iloc[0] if "crs" in table.columns and len(table) else None
    is_node = table["patch"].notna().to_numpy()
    if not is_node.any():
        raise LinkwaysError(f"{what} holds no nodes; give the table of a GraphML file")
    nodes, links = (
        pd.DataFrame([_told(row) for row in table[rows].to_dict("records")]) for rows in (is_node, ~is_node)
    )
    if not len(links):
        links = pd.DataFrame(columns=list(_ENDS[1:]))
    weight = next((name for name in _WEIGHTS if name in links.columns), None)
    return HabitatGraph(_with_shapes(nodes, crs), _with_shapes(_once(links, weight, what), crs))


def _records(table: pd.DataFrame, geometry: bool, *, with_point: bool) -> list[dict[str, Any]]:
    """The rows as plain values; missing ones are left out."""
    import pandas as pd

    shape = table.geometry.name if hasattr(table, "geometry") and hasattr(table, "crs") else None
    plain = pd.DataFrame(table.drop(columns=[shape] if shape else []))
    rows = [
        {str(key): value for key, value in row.items() if not (value is None or value is pd.NA)}
        for row in plain.astype(object).to_dict("records")
    ]
    if shape is None:
        return rows
    for row, one in zip(rows, table[shape], strict=True):
        if one is None or one.is_empty:
            continue
        if with_point:
            point = one.representative_point()
            row |= {"x": float(point.x), "y": float(point.y)}
        if geometry:
            row[_SHAPE] = one.wkt
    return rows


def _as_numbers(names: list[Hashable]) -> list[Any]:
    return [int(str(name)) for name in names] if all(str(name).isdigit() for name in names) else list(names)


def _without(data: dict[str, Any], *names: str) -> dict[str, Any]:
    return {key: value for key, value in data.items() if key not in names}


def _told(row: dict[Hashable, Any]) -> dict[Hashable, Any]:
    """What a row of the table holds, without the CRS of its geometry."""
    return {key: value for key, value in row.items() if key != "crs" and not _is_missing(value)}


def _is_missing(value: Any) -> bool:
    return value is None or value != value


def _with_shapes(table: pd.DataFrame, crs: str | None) -> pd.DataFrame:
    import geopandas as gpd

    if _SHAPE not in table.columns or crs is None:
        return table
    shapes = gpd.GeoSeries.from_wkt(table[_SHAPE], crs=crs)
    features: pd.DataFrame = gpd.GeoDataFrame(table.drop(columns=_SHAPE), geometry=shapes, crs=crs)
    return features
