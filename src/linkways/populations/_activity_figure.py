"""The curves of daily activity."""

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

__all__ = ["draw_activity"]

AXIS = {
    "solar": "solar time (sun highest at 12)",
    "sun": "time between sunrise (6) and sunset (18)",
    "local": "local time",
    "hour": "hour of the day",
}
MOST = 12


def draw_activity(curves: "pd.DataFrame", levels: "pd.DataFrame", clock: str) -> "Figure":
    """One panel for each species, the twelve with most records: its density and the band of its interval."""
    from matplotlib.figure import Figure

    shown = levels.sort_values("records", ascending=False).head(MOST)
    columns = min(3, len(shown))
    rows = -(-len(shown) // columns)
    figure = Figure(figsize=(2.9 * columns, 1.9 * rows + 0.3), layout="constrained")
    panels = np.atleast_1d(figure.subplots(rows, columns, sharex=True, squeeze=False)).ravel()
    for panel, one in zip(panels, shown.to_dict("records"), strict=False):
        curve = curves[curves["species"] == one["species"]]
        hour, density, low, high = (
            np.append(curve[name].to_numpy(), curve[name].iloc[0]) for name in ("hour", "density", "low", "high")
        )
        hour[-1] = 24.0
        if np.isfinite(low).all():
            panel.fill_between(hour, low, high, color="#bcd9ea", linewidth=0)
        panel.plot(hour, density, color="#1f5f8b", linewidth=1.4)
        panel.set_title(f"{one['species']} ({one['records']})", fontsize=8)
        panel.set_xlim(0, 24)
        panel.set_ylim(bottom=0)
        panel.set_xticks([0, 6, 12, 18, 24])
        panel.tick_params(labelsize=7)
        for side in ("top", "right"):
            panel.spines[side].set_visible(False)
    for panel in panels[len(shown) :]:
        panel.set_axis_off()
    figure.supxlabel(AXIS[clock], fontsize=8)
    figure.supylabel("activity (density per hour)", fontsize=8)
    return figure
