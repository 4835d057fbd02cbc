"""Names and numbers on a map, placed one after the other so that none covers another."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from linkways.studies.map_style import FAINT, INK, Label

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Board"]

_MOST_LABELS = 200
_SIZE = 6.6
_PAD = 2.5
"""Dots kept free around a text."""
_MARKER = 6.0
"""Dots kept free on each side of a marked point."""


@dataclass(frozen=True)
class _Box:
    left: float
    bottom: float
    right: float
    top: float

    def clashes(self, other: _Box) -> bool:
        return (
            self.left < other.right and other.left < self.right and self.bottom < other.top and other.bottom < self.top
        )


class Board:
    """The free room of a map: texts are written on it in turn, each where it covers none before it."""

    def __init__(self, axes: Axes, taken: Iterable[Any] = ()) -> None:
        self.axes = axes
        frame = axes.get_window_extent()
        self.frame = _Box(frame.x0, frame.y0, frame.x1, frame.y1)
        self.taken = [_Box(box.x0, box.y0, box.x1, box.y1) for box in taken]

    def write(self, labels: Sequence[Label]) -> int:
        """Write the labels in white boxes, lowest order first; return how many in view found no room."""
        self.taken += [_around(point) for label in labels if label.beside for point in self._dots(label)]
        visible = [label for label in sorted(labels, key=lambda one: one.order) if self._in_frame(label).any()]
        return sum(not self._place(label) for label in visible[:_MOST_LABELS]) + max(0, len(visible) - _MOST_LABELS)

    def write_name(self, text: str, place: tuple[float, float], room: float) -> None:
        """Write a faint name centred on ``place`` if it fits ``room`` dots across and covers nothing."""
        width, height = self._size(text, 6.2)
        x, y = self.axes.transData.transform(place)
        box = _Box(x - width / 2, y - height / 2, x + width / 2, y + height / 2)
        if width > room or not self._free(box):
            return
        self.taken.append(box)
        self._text(x, y, text, size=6.2, color=FAINT, style="italic", halo=True)

    def _dots(self, label: Label) -> np.ndarray:
        dots: np.ndarray = self.axes.transData.transform(label.places)
        return dots

    def _in_frame(self, label: Label) -> np.ndarray:
        at = self._dots(label)
        frame = self.frame
        inside: np.ndarray = (
            (at[:, 0] > frame.left) & (at[:, 0] < frame.right) & (at[:, 1] > frame.bottom) & (at[:, 1] < frame.top)
        )
        return inside

    def _place(self, label: Label) -> bool:
        places = self.axes.transData.transform(label.places[self._in_frame(label)])
        width, height = (side + 2 * _PAD for side in self._size(label.text, _SIZE))
        near = [] if label.beside else [(x, y) for x, y in places]
        x0, y0 = places[0]
        side_x, side_y = width / 2 + _MARKER, height / 2 + _MARKER
        near += [(x0 + dx * side_x, y0 + dy * side_y) for dx, dy in _AROUND]
        far = [
            (x0 + distance * math.cos(angle) * 1.2, y0 + distance * math.sin(angle))
            for distance in (34, 52, 74)
            for angle in np.linspace(0, 2 * math.pi, 12, endpoint=False)
        ]
        for number, (x, y) in enumerate([*near, *far]):
            box = _Box(x - width / 2, y - height / 2, x + width / 2, y + height / 2)
            if self._free(box):
                self.taken.append(box)
                if number >= len(near):
                    self._leader((x0, y0), (x, y))
                self._text(x, y, label.text, size=_SIZE, color=INK, boxed=True)
                return True
        return False

    def _free(self, box: _Box) -> bool:
        frame = self.frame
        inside = box.left >= frame.left and box.right <= frame.right
        inside = inside and box.bottom >= frame.bottom and box.top <= frame.top
        return inside and not any(box.clashes(other) for other in self.taken)

    def _size(self, text: str, size: float) -> tuple[float, float]:
        from matplotlib.font_manager import FontProperties

        renderer = self.axes.figure.canvas.get_renderer()  # type: ignore[attr-defined]
        width, height, _ = renderer.get_text_width_height_descent(text, FontProperties(size=size), False)
        return float(width), float(height)

    def _leader(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        from matplotlib.lines import Line2D

        (x0, y0), (x1, y1) = self.axes.transData.inverted().transform([start, end])
        self.axes.add_line(Line2D([x0, x1], [y0, y1], color=INK, linewidth=0.6, zorder=19))

    def _text(
        self, x: float, y: float, text: str, *, size: float, color: str, style: str = "normal", boxed: bool = False,
        halo: bool = False,
    ) -> None:  # fmt: skip
        from matplotlib.patheffects import withStroke

        at_x, at_y = self.axes.transData.inverted().transform((x, y))
        box = {"boxstyle": "round,pad=0.15", "facecolor": "white", "edgecolor": INK, "linewidth": 0.4, "alpha": 0.92}
        written = self.axes.text(
            at_x, at_y, text, fontsize=size, color=color, fontstyle=style, ha="center", va="center",
            zorder=20 if boxed else 18, bbox=box if boxed else None, parse_math=False, gid="label" if boxed else "name",
        )  # fmt: skip
        if halo:
            written.set_path_effects([withStroke(linewidth=1.8, foreground=(1, 1, 1, 0.85))])


def _around(point: np.ndarray) -> _Box:
    x, y = (float(side) for side in point)
    reach = _MARKER - 1.0
    return _Box(x - reach, y - reach, x + reach, y + reach)


_AROUND = ((1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (-1, 1), (1, -1), (-1, -1))
