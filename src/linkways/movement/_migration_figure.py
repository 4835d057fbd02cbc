"""The figure of a year's displacement: daily points, the fitted curve, and the windows of the migrations."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from linkways.spatial import note

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Panel", "draw_displacement"]

#: more panels would be too small to read
_MOST = 30
_COLOURS = {"spring": "#4d9221", "autumn": "#c2660a"}
_OTHER = "#6a51a3"


@dataclass
class Panel:
    """What is drawn of one animal; times are seconds since 1970."""

    animal: str
    points: list[tuple[np.ndarray, np.ndarray]] = field(default_factory=list)
    curves: list[tuple[np.ndarray, np.ndarray, str]] = field(default_factory=list)
    windows: list[tuple[float, float, str]] = field(default_factory=list)


def draw_displacement(panels: list[Panel]) -> "Figure":
    """One panel for each animal, the first 30."""
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
    from matplotlib.figure import Figure

    if len(panels) > _MOST:
        note(f"movement.migration: the figure shows the first {_MOST} of {len(panels)} animals")
    shown = panels[:_MOST]
    columns = min(3, len(shown))
    rows = -(-len(shown) // columns)
    figure = Figure(figsize=(4.2 * columns, 2.3 * rows + 0.5), layout="constrained")
    axes = np.atleast_1d(figure.subplots(rows, columns, squeeze=False)).ravel()
    for panel, ax in zip(shown, axes, strict=False):
        _draw(panel, ax)
        ax.xaxis.set_major_locator(AutoDateLocator(maxticks=7))  # type: ignore[no-untyped-call]
        ax.xaxis.set_major_formatter(ConciseDateFormatter(ax.xaxis.get_major_locator()))  # type: ignore[no-untyped-call]
        ax.tick_params(labelsize=7)
    for ax in axes[len(shown) :]:
        ax.set_visible(False)
    figure.supylabel("net squared displacement (km²)", fontsize=9)
    handles = _legend(shown)
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), fontsize=8, frameon=False)
    return figure


def _draw(panel: Panel, ax: Any) -> None:
    for start, end, season in panel.windows:
        ax.axvspan(_time(start), _time(end), color=_COLOURS.get(season, _OTHER), alpha=0.2, linewidth=0)
    for times, values in panel.points:
        ax.plot(_times(times), values, ".", color="#555555", markersize=2)
    for times, values, _ in panel.curves:
        ax.plot(_times(times), values, color="#08519c", linewidth=1.2)
    told = ", ".join(dict.fromkeys(model for _, _, model in panel.curves))
    ax.set_title(f"{panel.animal} ({told})" if told else panel.animal, fontsize=8, loc="left")


def _legend(panels: list[Panel]) -> list[Any]:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    handles: list[Any] = [Line2D([], [], marker=".", linestyle="", color="#555555", label="first fix of a day")]
    if any(panel.curves for panel in panels):
        handles.append(Line2D([], [], color="#08519c", label="best model"))
    seasons = sorted({season for panel in panels for _, _, season in panel.windows})
    return handles + [Patch(color=_COLOURS.get(one, _OTHER), alpha=0.2, label=f"{one} migration") for one in seasons]


def _times(seconds: np.ndarray) -> np.ndarray:
    return np.asarray(np.round(seconds).astype(np.int64).astype("datetime64[s]"))


def _time(seconds: float) -> Any:
    return np.datetime64(int(seconds), "s")
