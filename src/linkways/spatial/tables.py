"""Tables in and out: CSV and Parquet as DataFrames."""

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


def read_table(path: str | os.PathLike[str], *, columns: Sequence[str] | None = None) -> pd.DataFrame:
    """Return the rows of a CSV (.csv, .csv.gz; comma, UTF-8) or Parquet file.

    Args:
        path: the file.
        columns: columns that must be there; only they are returned, in this order. By default all.

    Raises:
        LinkwaysError: no such file or column, another ending, or not readable as a table.
    """
    import pandas as pd

    from linkways.spatial._atomic import check_suffix, missing_file

    file = Path(path)
    suffix = check_suffix(file.with_suffix("") if file.suffix.lower() == ".gz" else file, _FORMATS, "table")
    if not file.exists():
        raise missing_file(file, "table")
    try:
        frame = pd.read_parquet(file) if suffix == ".parquet" else pd.read_csv(file, encoding="utf-8-sig")
    # The errors of pyarrow are children of these.
    except (ValueError, OSError, KeyError, NotImplementedError) as error:
        reason = str(error).strip().replace("\n", " ")[:300]
        raise LinkwaysError(f"cannot read {file} as a {_FORMATS[suffix]} table ({reason}); check the file") from error
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
