"""The sheet a map stands on: its frame, title, legend, scale bar, north arrow, and the lines under it."""

from __future__ import annotations

import math
import textwrap
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from linkways.studies._map_frame import (
    View,
    crs_line,
    degree_text,
    degree_ticks,
    plane_ticks,
    scale_bar,
    true_north,
)
from linkways.studies.map_style import FAINT, INK, Key
from linkways.studies.numbers import number

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["DPI", "Sheet"]

DPI = 150
_LEFT, _RIGHT, _GAP, _PANEL = 0.36, 0.12, 0.18, 1.78
_WIDTH, _TALLEST = 7.4, 6.6
_TICKS, _STRIP, _LINE, _ENTRY = 0.24, 0.40, 0.135, 0.135
_BAR_LENGTH, _BAR_THICKNESS = 1.5, 0.15
_WIDE = 0.56
"""A map flatter than this has its legend below it."""
STAMP = "SIMULATED DATA"


@dataclass
class Sheet:
    """Lays out one map; all lengths in inches, measured from the lower left corner of the sheet."""

    view: View
    title: str
    caption: str
    source: str
    licence: str
    borders: str
    simulated: bool
    keys: list[Key]
    figure: Figure = field(init=False)
    axes: Axes = field(init=False)

    def lay_out(self) -> Axes:
        """Make the figure with everything but the map's content; return the axes to draw that on."""
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        below = self.view.shape < _WIDE
        map_width = _WIDTH - _LEFT - _RIGHT - (0.0 if below else _GAP + _PANEL)
        map_height = map_width * self.view.shape
        if map_height > _TALLEST:
            map_width, map_height = _TALLEST / self.view.shape, _TALLEST
        panel_width = map_width if below else _PANEL
        width = _LEFT + map_width + _RIGHT + (0.0 if below else _GAP + _PANEL)
        bar = scale_bar(self.view)
        blocks, panel_height = _arranged(self.keys, panel_width, below)
        title = textwrap.wrap(self.title, int(width * 11.5))
        caption = textwrap.wrap(self.caption, int(width * 17.5))
        footer = self._footer(width)
        head = 0.10 + 0.22 * len(title) + 0.14 * len(caption) + (0.06 if title or caption else 0.0)
        foot = 0.08 + _LINE * len(footer)
        body = map_height + _TICKS + _STRIP
        body = body + panel_height + 0.1 if below else max(body, panel_height)
        height = head + body + foot
        self.figure = Figure(figsize=(width, height), dpi=DPI, facecolor="white")
        FigureCanvasAgg(self.figure)
        top = height - head
        self._write_head(title, caption, height)
        self.axes = self._frame(_LEFT, top - map_height, map_width, map_height)
        strip = top - map_height - _TICKS
        self._draw_scale_bar(_LEFT, strip, bar, map_width)
        self._draw_north(_LEFT + map_width - 0.14, strip - 0.14)
        corner = (_LEFT, strip - _STRIP) if below else (_LEFT + map_width + _GAP, top)
        for key, x, y in blocks:
            self._draw_key(key, corner[0] + x, corner[1] - y, below)
        for at, line in enumerate(footer):
            self._text(_LEFT, foot - 0.05 - _LINE * at, line, size=6.0, color=FAINT, va="top")
        if self.simulated:
            self._stamp()
        return self.axes

    def note(self, text: str) -> None:
        """Write a remark at the lower right of the map."""
        self.axes.text(
            0.99, 0.01, text, transform=self.axes.transAxes, ha="right", va="bottom", fontsize=6.0, color=INK,
            zorder=30, parse_math=False, bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.85, "pad": 1.5},
        )  # fmt: skip

    def announce(self, text: str) -> None:
        """Write across the middle of the map that there is nothing to see."""
        self.axes.text(
            0.5, 0.5, text, transform=self.axes.transAxes, ha="center", va="center", fontsize=11, color=FAINT,
            zorder=30, parse_math=False,
        )  # fmt: skip

    # the parts

    def _footer(self, width: float) -> list[str]:
        lines = [crs_line(self.view)]
        lines += [f"Source: {self.source}"] if self.source else []
        lines += [f"Licence: {self.licence}"] if self.licence else []
        lines += [f"Borders: {self.borders}"] if self.borders else []
        return [row for line in lines for row in textwrap.wrap(line, int((width - _LEFT) * 21))]

    def _write_head(self, title: list[str], caption: list[str], height: float) -> None:
        y = height - 0.10
        for line in title:
            self._text(_LEFT, y, line, size=10.5, va="top", weight="bold")
            y -= 0.22
        for line in caption:
            self._text(_LEFT, y, line, size=7.2, va="top", color=FAINT)
            y -= 0.14

    def _frame(self, x: float, y: float, width: float, height: float) -> Axes:
        sheet_width, sheet_height = self.figure.get_size_inches()
        axes = self.figure.add_axes(
            (x / sheet_width, y / sheet_height, width / sheet_width, height / sheet_height), label="map"
        )
        view = self.view
        axes.set(xlim=(view.west, view.east), ylim=(view.south, view.north), facecolor="white", autoscale_on=False)
        axes.tick_params(labelsize=6.2, length=2.5, width=0.5, color=FAINT, labelcolor=FAINT, pad=1.5)
        for spine in axes.spines.values():
            spine.set(linewidth=0.6, color=FAINT, zorder=40)
        self._ticks(axes, width, height)
        return axes

    def _ticks(self, axes: Axes, width: float, height: float) -> None:
        view, crs = self.view, self.view.crs
        across, up = max(2, round(width)), max(2, round(height))
        if crs.is_geographic:
            unit = math.degrees(crs.axis_info[0].unit_conversion_factor)
            west, south, east, north = (side * unit for side in (view.west, view.south, view.east, view.north))
            xs = _clear(degree_ticks(west, east, across), west, east, width)
            ys = [y for y in _clear(degree_ticks(south, north, up), south, north, height) if abs(y) <= 90]
            axes.set_xticks([x / unit for x in xs], [degree_text(x, "EW") for x in xs])
            axes.set_yticks([y / unit for y in ys], [degree_text(y, "NS") for y in ys])
        else:
            factor, name = _plane_unit(crs)
            xs = _clear(plane_ticks(view.west, view.east, across), view.west, view.east, width)
            ys = _clear(plane_ticks(view.south, view.north, up), view.south, view.north, height)
            axes.set_xticks(xs, [f"{number(x / factor, 7)} {name}" for x in xs])
            axes.set_yticks(ys, [f"{number(y / factor, 7)} {name}" for y in ys])
        for tick in axes.get_yticklabels():
            tick.set(rotation=90, va="center")

    def _draw_scale_bar(self, x: float, y: float, bar: Any, map_width: float) -> None:
        from matplotlib.patches import Rectangle

        length = bar.width / self.view.width * map_width
        for at, (start, face) in enumerate(((0.0, INK), (length / 2, "white"))):
            self.figure.add_artist(
                Rectangle(
                    (x + start, y - 0.28), length / 2, 0.05, transform=self.figure.dpi_scale_trans, facecolor=face,
                    edgecolor=INK, linewidth=0.6, gid=f"scale-bar-{at}",
                )
            )  # fmt: skip
        self._text(x, y - 0.20, "0", size=6.4, ha="center")
        if length > 0.9:
            self._text(x + length / 2, y - 0.20, bar.half_text, size=6.4, ha="center")
        self._text(x + length, y - 0.20, bar.text, size=6.4, ha="center", gid="scale-bar-text")
        if bar.strays > 0.10:
            varies = f"true at the centre of the map; the scale varies by up to {bar.strays:.0%} across it"
            self._text(x + length + 0.35, y - 0.29, varies, size=6.0, color=FAINT)

    def _draw_north(self, x: float, y: float) -> None:
        from matplotlib.patches import Polygon

        angle = math.radians(true_north(self.view))
        if abs(angle) < math.radians(0.5):
            angle = 0.0
        points = [(0.0, 0.17), (0.065, -0.09), (0.0, -0.045), (-0.065, -0.09)]
        turned = [
            (x + px * math.cos(angle) + py * math.sin(angle), y - px * math.sin(angle) + py * math.cos(angle))
            for px, py in points
        ]
        self.figure.add_artist(
            Polygon(turned, closed=True, transform=self.figure.dpi_scale_trans, color=INK, gid="north-arrow")
        )
        self._text(x, y - 0.19, "N", size=6.8, ha="center", va="center", weight="bold")

    def _draw_key(self, key: Key, x: float, y: float, below: bool) -> None:
        if key.kind == "bar":
            self._draw_bar(key, x, y, below)
            return
        if key.kind == "heading":
            self._lines(x, y, _wrapped(key), weight="bold")
            return
        self._draw_symbol(key, x, y - _ENTRY / 2)
        self._lines(x + 0.29, y, _wrapped(key))

    def _draw_symbol(self, key: Key, x: float, y: float) -> None:
        from matplotlib.lines import Line2D
        from matplotlib.patches import Rectangle

        where = self.figure.dpi_scale_trans
        if key.kind == "patch":
            self.figure.add_artist(
                Rectangle(
                    (x, y - 0.048), 0.21, 0.096, transform=where, facecolor=key.colour,
                    edgecolor=key.edge or "#7B8285", linewidth=0.9 if key.edge else 0.4,
                )
            )  # fmt: skip
        elif key.kind == "line":
            self.figure.add_artist(Line2D([x, x + 0.21], [y, y], transform=where, color=key.colour, lw=key.width))
        else:
            self.figure.add_artist(
                Line2D([x + 0.105], [y], transform=where, color=key.colour, marker="o", markersize=4.5, lw=0)
            )

    def _draw_bar(self, key: Key, x: float, y: float, below: bool) -> None:
        from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

        lines = _wrapped(key)
        self._lines(x, y, lines, weight="bold")
        y -= _ENTRY * len(lines) + 0.04
        box = (x, y - _BAR_THICKNESS, 2.2, _BAR_THICKNESS) if below else (x, y - _BAR_LENGTH, _BAR_THICKNESS, 1.5)
        width, height = self.figure.get_size_inches()
        axes = self.figure.add_axes(
            (box[0] / width, box[1] / height, box[2] / width, box[3] / height), label="colour bar"
        )
        assert key.scale is not None
        bar = self.figure.colorbar(
            key.scale.mappable(), cax=axes, orientation="horizontal" if below else "vertical", extend=key.scale.extend
        )
        log = type(key.scale.norm).__name__ == "LogNorm"
        low, high = float(key.scale.norm.vmin or 0.0), float(key.scale.norm.vmax or 0.0)
        bar.locator = (
            LogLocator(subs=(1.0, 2.0, 5.0) if high < 1e3 * low else (1.0,), numticks=8)
            if log
            else MaxNLocator(5 if not below else 4, steps=[1, 2, 2.5, 5, 10])
        )
        bar.formatter = FuncFormatter(lambda value, _: number(value))
        bar.update_ticks()
        bar.ax.yaxis.set_minor_locator(NullLocator())
        bar.ax.xaxis.set_minor_locator(NullLocator())
        bar.ax.tick_params(labelsize=6.4, length=2, width=0.5, pad=1.5, color=FAINT, labelcolor=INK)
        bar.outline.set_linewidth(0.4)

    def _stamp(self) -> None:
        self.axes.text(
            0.015, 0.985, STAMP, transform=self.axes.transAxes, ha="left", va="top", fontsize=9, weight="bold",
            color="#8A1C1C", zorder=50, gid="stamp",
            bbox={"facecolor": "white", "edgecolor": "#8A1C1C", "linewidth": 1.0, "boxstyle": "square,pad=0.3"},
        )  # fmt: skip

    def _lines(self, x: float, y: float, lines: list[str], weight: str = "normal") -> None:
        for at, line in enumerate(lines):
            self._text(x, y - _ENTRY * (at + 0.5), line, size=6.8, va="center_baseline", weight=weight)

    def _text(
        self, x: float, y: float, text: str, *, size: float, ha: str = "left", va: str = "baseline", color: str = INK,
        weight: str = "normal", gid: str | None = None,
    ) -> None:  # fmt: skip
        self.figure.text(
            x, y, text, transform=self.figure.dpi_scale_trans, fontsize=size, ha=ha, va=va, color=color, weight=weight,
            parse_math=False, gid=gid,
        )  # fmt: skip


def _arranged(keys: list[Key], width: float, below: bool) -> tuple[list[tuple[Key, float, float]], float]:
    """Return each entry of the legend with its place (right of and under the panel's corner) and the panel's height.

    Beside the map the entries stand in one column; below it, each bar and each heading with its entries is a block,
    and blocks fill rows.
    """
    if not below:
        placed, y = [], 0.0
        for at, key in enumerate(keys):
            y += 0.08 if at and key.kind in ("bar", "heading") else 0.0
            placed.append((key, 0.0, y))
            y += _height(key, below)
        return placed, y
    return _in_rows(_blocks(keys), width)


def _blocks(keys: list[Key]) -> list[list[Key]]:
    blocks: list[list[Key]] = []
    for key in keys:
        if not blocks or key.kind in ("bar", "heading") or blocks[-1][0].kind == "bar" or len(blocks[-1]) >= 7:
            blocks.append([key])
        else:
            blocks[-1].append(key)
    return blocks


def _in_rows(blocks: list[list[Key]], width: float) -> tuple[list[tuple[Key, float, float]], float]:
    placed: list[tuple[Key, float, float]] = []
    x = y = tallest = 0.0
    for block in blocks:
        across = 2.45 if block[0].kind == "bar" else 2.1
        if x and x + across > width + 0.3:
            x, y, tallest = 0.0, y + tallest + 0.08, 0.0
        depth = 0.0
        for key in block:
            placed.append((key, x, y + depth))
            depth += _height(key, True)
        x, tallest = x + across, max(tallest, depth)
    return placed, y + tallest


def _height(key: Key, below: bool) -> float:
    text = _ENTRY * len(_wrapped(key)) + 0.02
    if key.kind != "bar":
        return text
    return text + (_BAR_THICKNESS + 0.22 if below else _BAR_LENGTH + 0.14)


def _wrapped(key: Key) -> list[str]:
    return textwrap.wrap(key.text, 30 if key.kind in ("heading", "bar") else 27) or ([""] if key.kind != "bar" else [])


def _clear(ticks: list[float], low: float, high: float, length: float) -> list[float]:
    """Leave out the ticks so near the corners of the frame that their labels would meet."""
    return [tick for tick in ticks if 0.24 < (tick - low) / (high - low) * length < length - 0.24]


def _plane_unit(crs: Any) -> tuple[float, str]:
    """How many units of the CRS one unit on the frame is, and that unit's name."""
    factor = crs.axis_info[0].unit_conversion_factor if crs.axis_info else 1.0
    if math.isclose(factor, 1.0):
        return 1000.0, "km"
    name = crs.axis_info[0].unit_name if crs.axis_info else ""
    return (1.0, "ft") if "foot" in name.lower() else (1.0, name)
