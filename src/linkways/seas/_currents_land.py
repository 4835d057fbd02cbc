"""Land and water of a velocity field."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from linkways.errors import LinkwaysError

if TYPE_CHECKING:
    import xarray as xr
    from numpy.typing import NDArray


def with_mask(field: xr.Dataset, rule: str, name: str) -> xr.Dataset:
    """The field with the variable mask, 1 water and 0 land: its own, or read from its first time by the rule.

    Rules: nan (land has no value), zero (land is at rest), polygons (as nan, but all may be water), none (all is).

    Raises LinkwaysError where no land can be told from water.
    """
    if "mask" in field:
        water = _given_mask(field, name)
    elif rule == "none":
        water = np.ones((field.sizes["y"], field.sizes["x"]), bool)
    else:
        water = _water_of(field, rule, name)
    if not water.any():
        raise LinkwaysError(f"field {name} is all land; check its variable mask and its nodata value")
    attrs = {"long_name": "1 water, 0 land", "flag_values": [0, 1], "flag_meanings": "land water"}
    return field.assign(mask=(("y", "x"), water.astype(np.uint8), attrs))


def _given_mask(field: xr.Dataset, name: str) -> NDArray[np.bool_]:
    mask = field["mask"]
    mask = mask.isel({d: 0 for d in mask.dims if d in ("time", "depth")})
    if set(mask.dims) != {"y", "x"}:
        raise LinkwaysError(f"the mask of field {name} is on ({', '.join(map(str, mask.dims))}); it must be on (y, x)")
    return np.asarray(np.nan_to_num(mask.transpose("y", "x").values.astype(float)) > 0.5)


def _water_of(field: xr.Dataset, rule: str, name: str) -> NDArray[np.bool_]:
    flows = [_flowing(field[one], rule) for one in ("u", "v")]
    if "x_u" in field.dims:
        moving_u, moving_v = flows
        water = moving_u[:, :-1] | moving_u[:, 1:] | moving_v[:-1] | moving_v[1:]
    else:
        water = flows[0] | flows[1] if rule == "zero" else flows[0] & flows[1]
    if water.all() and rule != "polygons":
        raise LinkwaysError(
            f"field {name} has no land mask: no variable mask, and no cell is "
            f"{'at rest' if rule == 'zero' else 'without a value'}; add mask (1 water, 0 land), give land polygons, "
            "or say land_from 'zero' (land is at rest) or 'none' (all is water)"
        )
    return np.asarray(water)


def _flowing(velocity: xr.DataArray, rule: str) -> NDArray[np.bool_]:
    """(row, column) where there is a value, and where zeros are land one that moves, at the first time and level."""
    first = velocity.isel({d: 0 for d in ("time", "depth") if d in velocity.dims})
    across = "x_u" if "x_u" in first.dims else "x"
    values = first.transpose(..., across).values
    known = np.isfinite(values)
    return np.asarray(known & (values != 0.0) if rule == "zero" else known)
