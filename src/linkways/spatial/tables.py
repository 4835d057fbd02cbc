"""Tables in and out: CSV, Parquet and the text tables of older programs as DataFrames."""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from linkways.errors import LinkwaysError, nearest

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["read_table", "write_table"]

_FORMATS = {".csv": "CSV", ".parquet": "Parquet"}
_READ = {**_FORMATS, ".txt": "text", ".graphml": "GraphML"}


def read_table(path: str | os.PathLike[str], *, columns: Sequence[str] | None = None) -> pd.DataFrame:
    """Return the rows of a CSV (.csv, .csv.gz; comma, UTF-8), Parquet or text file (.txt, .txt.gz; blanks or tabs).

    A text file whose first row holds numbers only has no header; its columns are then called ``column_1`` and so on.
    A network (.graphml) is one table of its nodes and its links, as ``graphml_table`` tells.

    Args:
        path: the file.
        columns: columns that must be there; only they are returned, in this order. By default all.

    Raises:
        LinkwaysError: no such file or column, another ending, or not readable as a table.
    """
    import pandas as pd

    from linkways.spatial._atomic import check_suffix, missing_file

    file = Path(path)
    suffix = check_suffix(file.with_suffix("") if file.suffix.lower() == ".gz" else file, _READ, "table")
    if not file.exists():
        raise missing_file(file, "table")
    try:
        if suffix == ".graphml":
            from linkways.spatial.graphs import graphml_table

            frame = graphml_table(file)
        elif suffix == ".txt":
            frame = _read_text(file)
        else:
            frame = pd.read_parquet(file) if suffix == ".parquet" else pd.read_csv(file, encoding="utf-8-sig")
    # The errors of pyarrow are children of these.
    except (ValueError, OSError, KeyError, NotImplementedError) as error:
        reason = str(error).strip().replace("\n", " ")[:300]
        raise LinkwaysError(f"cannot read {file} as a {_READ[suffix]} table ({reason}); check the file") from error
    if columns is None:
        return frame
    for column in columns:
        if column not in frame.columns:
            raise LinkwaysError(f"table {file.name} has no column {column!r}{nearest(column, map(str, frame.columns))}")
    return frame[list(columns)]


def write_table(frame: pd.DataFrame, path: str | os.PathLike[str]) -> Path:
    """Write a table as CSV (.csv) or Parquet (.parquet) and return its path.

    Numbers keep all their digits. The index is written when it has a name. The file is written aside and moved into
    place.

    Raises:
        LinkwaysError: another ending, the folder missing or not writable, the disk full.
    """
    from linkways.spatial._atomic import check_suffix, written_aside

    final = Path(path)
    suffix = check_suffix(final, _FORMATS, "table")
    keep_index = any(name is not None for name in frame.index.names)
    if suffix == ".csv":
        content = frame.to_csv(index=keep_index, lineterminator="\n").encode()
    else:
        buffer = io.BytesIO()
        frame.to_parquet(buffer, compression="zstd", index=keep_index)
        content = buffer.getvalue()
    with written_aside(final) as aside:
        aside.write_bytes(content)
    return final


def _read_text(file: Path) -> pd.DataFrame:
    """The rows of a text file separated by blanks, with or without a header."""
    import pandas as pd

    first = pd.read_csv(file, sep=r"\s+", header=None, nrows=1, dtype=str, encoding="utf-8-sig").iloc[0].astype(str)
    if first.str.fullmatch(r"-?\d+,\d+").any():
        raise ValueError("its numbers have decimal commas; write them with points")
    has_header = bool(pd.to_numeric(first, errors="coerce").isna().any())
    names = None if has_header else [f"column_{k}" for k in range(1, len(first) + 1)]
    return pd.read_csv(
        file, sep=r"\s+", header=0 if has_header else None, names=names, index_col=False, encoding="utf-8-sig"
    )
