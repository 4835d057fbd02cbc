"""Columns of true and false, as files write them."""

from typing import TYPE_CHECKING

import numpy as np

from linkways.errors import LinkwaysError

if TYPE_CHECKING:
    import geopandas as gpd

__all__ = ["flags"]

WORDS = {"true": True, "yes": True, "1": True, "1.0": True, "false": False, "no": False, "0": False, "0.0": False}
EMPTY = ("", "nan", "none", "<na>")


def flags(layer: "gpd.GeoDataFrame", column: str, method: str) -> np.ndarray:
    """The column as booleans: true, yes and 1, or false, no, 0 and empty; all false where there is no such column."""
    if column not in layer.columns:
        return np.zeros(len(layer), bool)
    words = [str(value).strip().lower() for value in layer[column]]
    for row, word in enumerate(words):
        if word not in WORDS and word not in EMPTY:
            raise LinkwaysError(
                f"{method}: the column {column} holds {layer[column].iloc[row]!r} in row {row + 1}, and may hold true "
                "or false; mend it"
            )
    return np.array([WORDS.get(word, False) for word in words], bool)
