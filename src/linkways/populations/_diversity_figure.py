"""The curve of species accumulation."""

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

__all__ = ["draw_accumulation"]


def draw_accumulation(curve: "pd.DataFrame", unit: str) -> "Figure":
    """Species against the number of units, and of events: solid as far as the sample goes, dashed beyond."""
    from matplotlib.figure import Figure

    bases = list(dict.fromkeys(curve["basis"]))
    figure = Figure(figsize=(3.6 * len(bases) + 0.4, 3.0), layout="constrained")
    panels = np.atleast_1d(figure.subplots(1, len(bases), sharey=True, squeeze=False)).ravel()
    words = {"events": "independent events", "units": {"site": "sites", "day": "camera days"}[unit]}
    for panel, basis in zip(panels, bases, strict=True):
        mine = curve[curve["basis"] == basis]
        if np.isfinite(mine["low"]).all():
            panel.fill_between(mine["size"], mine["low"], mine["high"], color="#d5e8d0", linewidth=0)
        inside = mine[mine["kind"] != "extrapolated"]
        beyond = mine[mine["kind"] != "rarefied"]
        panel.plot(inside["size"], inside["species"], color="#33691e", linewidth=1.5)
        panel.plot(beyond["size"], beyond["species"], color="#33691e", linewidth=1.2, linestyle="--")
        here = mine[mine["kind"] == "observed"]
        panel.plot(here["size"], here["species"], "o", color="#33691e", markersize=5)
        panel.set_xlabel(words[basis], fontsize=8)
        panel.set_xlim(left=0)
        panel.set_ylim(bottom=0)
        panel.tick_params(labelsize=7)
        for side in ("top", "right"):
            panel.spines[side].set_visible(False)
    panels[0].set_ylabel("species", fontsize=8)
    return figure
