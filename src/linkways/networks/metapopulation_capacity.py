"""How large a metapopulation a habitat network can hold, and what each patch adds to it."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np

from linkways.errors import LinkwaysError
from linkways.method import Indicator, Param, Table, TableOf, method

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["MetapopulationCapacity", "metapopulation_capacity"]


@dataclass(frozen=True)
class MetapopulationCapacity:
    """The metapopulation capacity and the patches' parts in it."""

    capacity: Annotated[float, Indicator("metapopulation capacity, the leading eigenvalue of the landscape matrix")]
    patches: Annotated[
        "pd.DataFrame",
        TableOf(
            "patch, its attribute, share (square of its entry in the leading eigenvector; the shares sum to 1) and "
            "loss (by how much the capacity falls without the patch; empty unless asked for)"
        ),
    ]


@method(
    "networks.metapopulation_capacity",
    references=(
        "Hanski I, Ovaskainen O (2000) The metapopulation capacity of a fragmented landscape. Nature 404:755-758",
        "Schnell JK, Harris GM, Pimm SL, Russell GJ (2013) Estimating extinction risk with metapopulation models of "
        "large-scale fragmentation. Conservation Biology 27:520-530 (self-colonisation)",
        "Huang R, Pimm SL, Giri C (2020) Using metapopulation theory for practical conservation of mangrove endemic "
        "birds. Conservation Biology 34:266-275 (exponent of the area)",
        "Van Houtan KS, Pimm SL, Halley JM, Bierregaard RO, Lovejoy TE (2007) Dispersal of Amazonian birds in "
        "continuous and fragmented forest. Ecology Letters 10:219-229 (log-sech kernel)",
    ),
)
def metapopulation_capacity(
    patches: Annotated["pd.DataFrame", Table("habitat patches with their attribute", columns=("patch",))],
    links: Annotated[
        "pd.DataFrame",
        Table("distances between patches, all that disperse to each other", columns=("patch_a", "patch_b")),
    ],
    *,
    attribute: Annotated[str, Param("column of patches that holds the attribute a_i")] = "area_ha",
    weight: Annotated[
        Literal["distance_m", "cost", "probability"], Param("column of links that says how far apart patches are")
    ] = "distance_m",
    distance: Annotated[
        float | None, Param("distance (m) or cost that the share `probability` of dispersers reaches", gt=0)
    ] = None,
    probability: Annotated[float, Param("share of dispersers that reach the distance", gt=0, lt=1)] = 0.5,
    kernel: Annotated[
        Literal["exponential", "linear", "log_sech"], Param("how the share of dispersers falls with distance")
    ] = "exponential",
    tail: Annotated[float, Param("shape of the log-sech kernel; above 1 its tail is heavier", gt=0)] = 1.0,
    exponent: Annotated[
        float, Param("x in M_ij = f(d_ij) a_i^x a_j: extinctions become rarer with area to this power", ge=0)
    ] = 1.0,
    own_colonists: Annotated[
        bool, Param("patches are recolonised from themselves: M_ii = a_i^(1 + x) instead of 0")
    ] = False,
    exact_losses: Annotated[
        bool, Param("compute the capacity without each patch in turn, as many eigenvalues as patches")
    ] = False,
) -> MetapopulationCapacity:
    """The metapopulation capacity of a habitat network, with the share of each patch.

    The leading eigenvalue of M_ij = f(d_ij) a_i^x a_j for i != j, M_ii = 0 or a_i^(1 + x), where f is the share of
    dispersers that go at least as far as d_ij: exponential p^(d / d0), linear max(0, 1 - (1 - p) d / d0), or log-sech
    1 - (2 / pi) arctan((d / s)^(1 / tail)) with s such that f(d0) = p. A metapopulation persists where the capacity
    exceeds the ratio of its extinction and colonisation rates. d_ij is the weight of the link itself, not of a path
    through other patches, and patches without a link do not exchange dispersers. The unit is that of the attribute to
    the power 1 + x.

    Raises LinkwaysError for an attribute or weight that is missing or negative, a link to an unknown patch or of a
    patch to itself, and for a kernel other than the exponential where the weight is a probability.

    Examples
    --------
    >>> import pandas as pd
    >>> from linkways import networks
    >>> patches = pd.DataFrame({"patch": ["a", "b"], "area_ha": [3.0, 4.0]})
    >>> links = pd.DataFrame({"patch_a": ["a"], "patch_b": ["b"], "distance_m": [1000.0]})
    >>> round(networks.metapopulation_capacity(patches, links, distance=1000).capacity, 9)  # 3 x 4 x 0.5
    6.0
    """
    from linkways.networks._graph import network
    from linkways.networks._metapopulation import landscape_matrix, leading, losses, reached

    id = "networks.metapopulation_capacity"
    if weight == "probability" and kernel != "exponential":
        raise LinkwaysError(f"{id}: kernel {kernel} needs distances, but weight is probability; name another weight")
    found = network(
        id,
        patches,
        links,
        attribute=attribute,
        weight=weight,
        distance=distance,
        probability=probability,
        threshold=None,
    )
    if weight == "probability":
        share = found.raw
    else:
        assert distance is not None
        share = reached(found.raw, kernel, distance, probability, tail)
    matrix = landscape_matrix(found, share, exponent=exponent, own_colonists=own_colonists)
    value, vector = leading(matrix)
    lost = losses(matrix, value, vector) if exact_losses else np.full(len(vector), np.nan)
    table = patches[["patch", attribute]].reset_index(drop=True)
    return MetapopulationCapacity(value, table.assign(share=vector**2, loss=lost))
