"""The forest plot of a food choice trial."""

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

__all__ = ["draw_forest"]

COLOURS = {"preferred": "#1b7837", "avoided": "#762a83", "neither": "#555555"}


def draw_forest(foods: "pd.DataFrame", confidence: float) -> "Figure":
    """Selection ratio and interval of each food, the most chosen on top; 1 is use in proportion to what was offered."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 0.4 * len(foods) + 1.3), layout="constrained")
    ax = figure.subplots()
    for row, one in enumerate(foods.sort_values("w").to_dict("records")):
        colour = COLOURS[one["choice"]]
        if np.isfinite(one["w_low"]):
            ax.plot([one["w_low"], one["w_high"]], [row, row], color=colour, linewidth=2)
        ax.plot(one["w"], row, "o", color=colour, markersize=6)
        ax.text(-0.02, row, one["food"], transform=ax.get_yaxis_transform(), ha="right", va="center", fontsize=8)
    ax.axvline(1, color="#999999", linewidth=1, linestyle="--")
    ax.set_yticks([])
    ax.set_ylim(-0.6, len(foods) - 0.4)
    ax.set_xlim(left=min(0.0, float(np.nanmin(foods["w_low"].to_numpy(dtype=float), initial=0.0))))
    ax.set_xlabel(f"selection ratio with its {confidence:.0%} interval (all foods together); 1: as offered", fontsize=8)
    ax.tick_params(labelsize=7)
    for side in ("top", "right", "left"):
        ax.spines[side].set_visible(False)
    return figure
