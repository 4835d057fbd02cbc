"""Measures of sites as planning takes them: features with amounts, targets, and strengths between units."""

from typing import TYPE_CHECKING, Literal

import numpy as np

from linkways.errors import LinkwaysError, nearest
from linkways.spatial import note

if TYPE_CHECKING:
    import pandas as pd
    from scipy.sparse import csr_array

__all__ = ["Classes", "feature_tables", "strengths"]

Classes = Literal[
    "none", "median_to_maximum", "upper_quartile_to_maximum", "lower_quartile_to_maximum", "minimum_to_median",
    "minimum_to_lower_quartile", "quartiles",
]  # fmt: skip
_RANGES = {
    "median_to_maximum": (0.5, 1.0),
    "upper_quartile_to_maximum": (0.75, 1.0),
    "lower_quartile_to_maximum": (0.25, 1.0),
    "minimum_to_median": (0.0, 0.5),
    "minimum_to_lower_quartile": (0.0, 0.25),
}
_QUARTERS = (
    ("minimum_to_lower_quartile", 0.0, 0.25),
    ("lower_quartile_to_median", 0.25, 0.5),
    ("median_to_upper_quartile", 0.5, 0.75),
    ("upper_quartile_to_maximum", 0.75, 1.0),
)


def feature_tables(
    id: str, table: "pd.DataFrame", features: list[str], discretise: Classes, target: float
) -> tuple["pd.DataFrame", "pd.DataFrame"]:
    """Amounts (unit, feature, amount) of the measures, and a relative target for each feature.

    In classes an amount is 1 from the lowest to the highest quantile of the class, both included, else 0 (no row); of
    quartiles each class but the last leaves its upper end to the next.
    """
    import pandas as pd

    known = [c for c in table.columns if c != "site" and pd.api.types.is_numeric_dtype(table[c])]
    parts = []
    for name in features:
        if name not in known:
            raise LinkwaysError(f"{id}: features names no measure '{name}'{nearest(name, known)}")
        values = table[name].to_numpy(dtype=float)
        if not np.isfinite(values).any():
            raise LinkwaysError(f"{id}: {name} is known of no site, so it can be no feature; leave it out of features")
        for feature, amount in _amounts(id, name, values, discretise):
            some = np.flatnonzero(amount > 0)
            if not len(some):
                note(f"{id}: no site is in {feature}, as too many have the same {name}, so it is no feature")
            parts.append(
                pd.DataFrame({"unit": table["site"].to_numpy()[some], "feature": feature, "amount": amount[some]})
            )
    amounts = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=["unit", "feature", "amount"])
    names = amounts["feature"].unique()
    return amounts, pd.DataFrame({"feature": names, "target": target, "type": "relative"})


def _amounts(id: str, name: str, values: np.ndarray, discretise: Classes) -> list[tuple[str, np.ndarray]]:
    if discretise == "none":
        below = np.flatnonzero(values < 0)
        if len(below):
            raise LinkwaysError(
                f"{id}: {name} has {len(below)} values below 0, which no amount of a feature may be; discretise it"
            )
        if not (values > 0).any():
            raise LinkwaysError(f"{id}: {name} is 0 at every site, so it can be no feature; leave it out of features")
        return [(name, np.nan_to_num(values))]
    known = values[np.isfinite(values)]
    if discretise == "quartiles":
        out = []
        for label, low, high in _QUARTERS:
            ends = np.quantile(known, [low, high])
            inside = (values >= ends[0]) & ((values < ends[1]) if high < 1 else (values <= ends[1]))
            out.append((f"{name}_{label}", inside.astype(float)))
        return out
    ends = np.quantile(known, _RANGES[discretise])
    return [(f"{name}_{discretise}", ((values >= ends[0]) & (values <= ends[1])).astype(float))]


def strengths(links: "csr_array", names: np.ndarray, symmetric: bool) -> "pd.DataFrame":
    """Connectivity between units: from donor to recipient, or both directions added up and each pair once."""
    import pandas as pd

    found = links.tocoo()
    a, b = found.coords
    value = found.data
    if symmetric:
        n = links.shape[0]
        pair, place = np.unique(np.minimum(a, b).astype(np.int64) * n + np.maximum(a, b), return_inverse=True)
        value = np.bincount(place, weights=value, minlength=len(pair))
        a, b = pair // n, pair % n
    return pd.DataFrame({"unit_a": names[a], "unit_b": names[b], "strength": value})
