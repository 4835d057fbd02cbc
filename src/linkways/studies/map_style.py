"""How layers look on a map: colours that colour-blind readers tell apart, classes, and the entries of the legend."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from linkways.errors import LinkwaysError, nearest
from linkways.studies.numbers import number, unit_text

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Colormap, Normalize

__all__ = [
    "MOST_CLASSES",
    "PALETTES",
    "Key",
    "Label",
    "Scale",
    "Styled",
    "Wishes",
    "class_colours",
    "class_scale",
    "continuous_scale",
    "own_colours",
    "palette_for",
    "repeating_scale",
]

PALETTES = {
    "resistance": "YlOrBr",
    "cost": "cividis_r",
    "corridor": "magma",
    "current": "inferno",
    "habitat": "YlGn",
    "elevation": "cividis",
    "difference": "PuOr",
    "priority": "viridis_r",
}
"""Palettes by what they show; every one keeps its order for colour-blind readers. Matplotlib's names work too."""

_HINTS = (
    ("difference", ("difference", "change", "gain", "loss")),
    ("resistance", ("resistance",)),
    ("corridor", ("corridor", "mosaic", "slack")),
    ("cost", ("cost", "distance", "effort")),
    ("current", ("current", "flow", "pinch", "passage", "voltage")),
    ("habitat", ("habitat", "suitab", "forest", "quality", "condition", "cover")),
    ("elevation", ("elevation", "dem", "altitude", "height", "depth")),
    ("priority", ("rank", "priority")),
)

# Qualitative schemes made for colour-blind readers: Okabe and Ito (2008), then Tol's muted and light schemes (2021).
_QUALITATIVE = (
    "#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#332288",
    "#44AA99", "#882255", "#999933", "#BBBBBB", "#117733", "#EE8866", "#77AADD", "#AA4499",
    "#DDCC77", "#661100", "#99DDFF", "#6F6F6F",
)  # fmt: skip

# Land cover has colours readers expect; the first pattern found in a class's name wins. Their lightness differs where
# hue alone would not tell them apart.
_EXPECTED = (
    (r"\bwater|\bsea\b|\bocean|\blake", "#A6CDE8"), (r"\bwetland|\bswamp|\bmarsh", "#4F8FA8"),
    (r"\burban|\bbuilt", "#C2185B"), (r"\bsnow|\bice\b", "#EDF4FA"), (r"\bmosaic", "#D9A441"),
    (r"\bcrop|\bagricult|\bfarm", "#F3DC7C"), (r"\bbarren|\bbare\b|\brock", "#CFC6BC"),
    (r"\bevergreen broad", "#064E3B"), (r"\bevergreen", "#17766B"), (r"\bdeciduous needle", "#8FBF7A"),
    (r"\bdeciduous", "#5C9E45"), (r"\bmixed forest", "#3A8259"), (r"\bforest|\bwoodland", "#2B7A4B"),
    (r"\bclosed shrub", "#7A5C26"), (r"\bshrub|\bscrub", "#B3935A"), (r"\bwoody savanna", "#A8BB5F"),
    (r"\bsavanna", "#CBD58A"), (r"\bgrass|\bpasture|\bmeadow", "#E4EAB8"),
)  # fmt: skip

MOST_CLASSES = len(_QUALITATIVE)
"""Classes that a legend lists."""


INK = "#22282B"
FAINT = "#5A6468"
NODATA = "#E4E4E0"
STROKES = ("#D55E00", "#0072B2", "#111111", "#AA4499", "#009E73")


@dataclass(frozen=True)
class Wishes:
    """How one layer of a map is to be drawn."""

    name: str = ""
    column: str | None = None
    label: str | None = None
    width: str | None = None
    palette: str | None = None
    log: bool = False
    unit: str = ""
    class_names: Mapping[Any, str] | None = None
    stroke: str = STROKES[0]
    main: bool = False

    def heading(self, fallback: str = "") -> str:
        """The name with its unit."""
        unit = unit_text(self.unit)
        name = self.name or fallback
        return f"{name} ({unit})" if unit and name and unit.lower() not in name.lower() else name or unit


@dataclass(frozen=True)
class Label:
    """A text that wants a place at, or beside, one of some points in map units; lower orders choose first."""

    text: str
    order: float
    places: np.ndarray
    beside: bool = False


@dataclass(frozen=True)
class Styled:
    """A layer ready to draw, with what the legend says of it and the labels it wants."""

    draw: Callable[[Axes], None]
    keys: tuple[Key, ...]
    labels: tuple[Label, ...] = ()
    message: str = ""
    """What to write across the map when there is nothing to see."""


@dataclass(frozen=True)
class Key:
    """One entry of the legend: a heading, a patch, a line, a point or a colour bar."""

    kind: str
    text: str
    colour: Any = None
    edge: Any = None
    width: float = 1.0
    scale: Scale | None = None


@dataclass(frozen=True)
class Scale:
    """How values become colours, and the legend entries that tell it."""

    cmap: Colormap
    norm: Normalize
    keys: tuple[Key, ...]
    extend: str = "neither"

    def mappable(self) -> ScalarMappable:
        """The scale as Matplotlib's colour bar wants it."""
        from matplotlib.cm import ScalarMappable

        return ScalarMappable(self.norm, self.cmap)


def palette_for(palette: str | None, about: str, values: np.ndarray | None = None) -> Colormap:
    """Return the colours to use: those asked for, or those that suit what the layer is ``about``.

    Raises:
        LinkwaysError: no palette has this name.
    """
    import matplotlib

    if palette is not None:
        name = PALETTES.get(palette, palette)
        if name not in matplotlib.colormaps:
            raise LinkwaysError(f"there is no palette '{palette}'{nearest(palette, [*PALETTES, 'viridis', 'cividis'])}")
        return matplotlib.colormaps[name]
    text = about.lower()
    crosses_zero = values is not None and values.size > 0 and values.min() < 0 < values.max()
    for kind, words in _HINTS:
        if any(word in text for word in words) and (kind != "difference" or crosses_zero):
            return matplotlib.colormaps[PALETTES[kind]]
    return matplotlib.colormaps["viridis"]


def continuous_scale(values: np.ndarray, *, palette: str | None, about: str, heading: str, log: bool) -> Scale:
    """Return the colour scale of finite ``values`` (not empty), its ends moved in when a few values lie far out.

    The ends are the extremes unless these lie more than three times as far apart as the 2nd and 98th percentiles;
    then the percentiles are the ends and the bar has arrows there. Diverging palettes are centred on 0.

    Raises:
        LinkwaysError: no such palette, or a logarithmic scale without a value above 0.
    """
    from matplotlib.colors import LogNorm, Normalize

    if log:
        values = values[values > 0]
        if values.size == 0:
            raise LinkwaysError(f"the map of {heading or 'this layer'} has no value above 0; leave log out")
    cmap = palette_for(palette, about, values)
    low, high, extend = _ends(np.log10(values) if log else values)
    if low == high:
        value = 10.0**low if log else low
        colour = cmap(0.6)
        key = Key("patch", f"{number(value)} everywhere", colour)
        return Scale(_single(colour), Normalize(value - 0.5, value + 0.5), (Key("heading", heading), key))
    if log:
        norm: Normalize = LogNorm(10.0**low, 10.0**high)
    elif cmap.name in ("PuOr", "RdBu", "BrBG", "PRGn", "coolwarm", "RdBu_r", "PuOr_r") and low < 0 < high:
        far = max(-low, high)
        norm = Normalize(-far, far)
    else:
        norm = Normalize(low, high)
    scale = Scale(cmap, norm, (), extend)
    return Scale(cmap, norm, (Key("bar", heading, scale=scale),), extend)


def class_scale(
    codes: np.ndarray,
    names: Mapping[Any, str],
    *,
    palette: str | None,
    heading: str,
    own: Mapping[str, str] | None = None,
) -> Scale:
    """Return the colours of the class ``codes`` (sorted numbers), one legend entry each, with its name where known.

    ``own``: colours that the layer itself brings, by name; they are taken where they tell every class.
    """
    import matplotlib
    from matplotlib.colors import BoundaryNorm, ListedColormap

    labels = [_class_name(code, names) for code in codes]
    if palette is not None:
        ramp = palette_for(palette, "")
        chosen: list[Any] = [ramp(x) for x in np.linspace(0, 1, len(codes))]
    else:
        chosen = class_colours(labels, own)
    middles = (codes[1:] + codes[:-1]) / 2
    edges = np.concatenate([[codes[0] - 0.5], middles, [codes[-1] + 0.5]])
    norm = BoundaryNorm(edges, len(codes))
    cmap = ListedColormap([matplotlib.colors.to_rgba(colour) for colour in chosen])
    entries = (Key("patch", label, colour) for label, colour in zip(labels, chosen, strict=True))
    return Scale(cmap, norm, (Key("heading", heading), *entries))


def repeating_scale(count: int, heading: str) -> Scale:
    """Return the colours of more classes than a legend can list, by their position modulo `MOST_CLASSES`."""
    from matplotlib.colors import ListedColormap, Normalize

    keys = (Key("heading", heading), Key("patch", f"{count} classes; colours repeat", _QUALITATIVE[0]))
    return Scale(ListedColormap(_QUALITATIVE[:MOST_CLASSES]), Normalize(-0.5, MOST_CLASSES - 0.5), keys)


def own_colours(frame: pd.DataFrame, column: str) -> dict[str, str]:
    """Return the colour of each class of a column that the layer brings in its column ``colour``, as plans do.

    Empty where it brings none, or not one for each class.
    """
    from matplotlib.colors import is_color_like

    if "colour" not in frame.columns or column == "colour":
        return {}
    pairs = frame[[column, "colour"]].dropna(subset=[column]).drop_duplicates()
    if pairs[column].duplicated().any() or not all(is_color_like(colour) for colour in pairs["colour"]):
        return {}
    return dict(zip(pairs[column].astype(str), pairs["colour"], strict=True))


def class_colours(labels: list[str], own: Mapping[str, str] | None = None) -> list[str]:
    """Return one colour per class: the layer's own, those readers expect of land cover, or told-apart ones."""
    if own and set(labels) <= set(own):
        return [own[label] for label in labels]
    found = [next((colour for word, colour in _EXPECTED if re.search(word, label.lower())), None) for label in labels]
    known = [colour for colour in found if colour is not None]
    if len(labels) > 2 and len(known) >= 0.8 * len(labels) and len(set(known)) == len(known):
        spare = iter(_QUALITATIVE)
        return [next(spare) if colour is None else colour for colour in found]
    return [_QUALITATIVE[i % len(_QUALITATIVE)] for i in range(len(labels))]


def _class_name(code: Any, names: Mapping[Any, str]) -> str:
    value = code.item() if hasattr(code, "item") else code
    whole = int(value) if isinstance(value, float) and value == int(value) else value
    for key in (whole, str(whole), value):
        if key in names:
            return str(names[key])
    return f"class {number(whole)}" if isinstance(whole, (int, float)) else str(whole)


def _ends(values: np.ndarray) -> tuple[float, float, str]:
    low, high = float(values.min()), float(values.max())
    near, far = (float(q) for q in np.quantile(values, (0.02, 0.98)))
    if not far > near or high - low <= 3 * (far - near):
        return low, high, "neither"
    span = far - near
    below, above = low < near - span, high > far + span
    extend = {(True, True): "both", (True, False): "min", (False, True): "max"}.get((below, above), "neither")
    return (near if below else low), (far if above else high), extend


def _single(colour: Any) -> Colormap:
    from matplotlib.colors import ListedColormap

    return ListedColormap([colour])
