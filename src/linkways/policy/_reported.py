"""Rows that a method hands to the policy report."""

import math
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["REPORTED", "reported"]

REPORTED = "values for policy.report: indicator, value, unit, method, thresholds"


def reported(method: str, rows: Iterable[Mapping[str, Any]]) -> "pd.DataFrame":
    """A table of the values that are numbers; ``rows`` hold indicator, value, unit and thresholds."""
    import pandas as pd

    kept = [
        {"indicator": r["indicator"], "value": float(r["value"]), "unit": r.get("unit", ""), "method": method,
         "thresholds": r.get("thresholds", "")}
        for r in rows
        if not math.isnan(float(r["value"]))
    ]  # fmt: skip
    return pd.DataFrame(kept, columns=["indicator", "value", "unit", "method", "thresholds"])
