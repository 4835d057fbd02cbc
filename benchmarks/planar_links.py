"""The planar least-cost links of 91 patches on 400 x 400 cells: CPU seconds, beside a stored figure of grainscape.

Run: ``python benchmarks/planar_links.py``

The landscape is simulated: resistances of 1, 5, 10 and 12 in patches, those of 1 being habitat, of which the 91 largest
blocks are the patches. Timed are `networks.links` with weights on the whole surface (each link a true least-cost path,
8 neighbours) and with grainscape's own convention (zones, entered cells, 4 neighbours, pruned). Every figure is the
least CPU time (user and system) of the repeats. grainscape is an R package and not run here: its 1.3 CPU seconds for
the minimum planar graph of a landscape of the same size (400 x 400 cells, 91 patches, 172 links) were measured once on
a 2-core machine under load and stored; read the comparison as an order of magnitude.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
from scipy.ndimage import gaussian_filter

from linkways import networks, spatial

STORED_GRAINSCAPE_SECONDS = 1.3
RULES = {
    "whole surface, 8 neighbours": {},
    "zones, entered cells, pruned": {
        "weights": "zones", "cost_rule": "entered_cells", "neighbours": 4, "prune": True,
    },
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=400)
    parser.add_argument("--patches", type=int, default=91)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    rng = np.random.default_rng(7)
    field = gaussian_filter(rng.standard_normal((options.size, options.size)), 5)
    classes = np.digitize(field, np.quantile(field, [0.25, 0.75, 0.88]))
    resistance = spatial.new_raster(
        np.array([1.0, 5.0, 10.0, 12.0])[classes], crs="EPSG:3035", cell_size=1, origin=(4e6, 3e6)
    )
    found = networks.patches(resistance.copy(data=(classes == 0).astype(float)))
    kept = found.nlargest(options.patches, "area_ha").sort_values("patch")
    print(f"{options.size} x {options.size} cells, {len(kept)} patches (simulated)")
    for name, given in RULES.items():
        seconds = []
        for _ in range(options.repeats + 1):
            began = time.process_time()
            links = networks.links(kept, resistance, kind="least_cost", topology="planar", **given)
            seconds.append(time.process_time() - began)
        least = min(seconds[1:])
        print(
            f"linkways, {name:29s} {len(links):4d} links {least:7.3f} s CPU   grainscape (stored) takes "
            f"{STORED_GRAINSCAPE_SECONDS / least:5.1f} times as long"
        )


if __name__ == "__main__":
    main()
