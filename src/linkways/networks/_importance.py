"""The measures of importance as arrays, by patch, link and candidate."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from linkways.errors import LinkwaysError
from linkways.method import progress, progress_between
from linkways.networks._graph import Network, horizon_of, read_attribute, read_ends, read_weights

if TYPE_CHECKING:
    import pandas as pd

    from linkways.kernels.reach import Gain

__all__ = ["Candidates", "Measured", "candidates_of", "measure"]

Columns = dict[str, np.ndarray]


@dataclass(frozen=True)
class Candidates:
    """Patches and links that could be added: first the patches, then the links."""

    patches: np.ndarray
    """ids of the candidate patches."""
    attribute: np.ndarray
    """(patches + links,) 0 for links."""
    ptr: np.ndarray
    ends: np.ndarray
    """Existing patches that each candidate is linked to, candidate by candidate as ``ptr`` tells."""
    raw: np.ndarray
    """Weights of these links; for the second end of a candidate link NaN: no way at all."""
    pairs: np.ndarray
    """(links, 2) the existing patches of each candidate link."""

    def steps(self, found: Network) -> np.ndarray:
        """-ln p of each link."""
        return np.where(np.isnan(self.raw), 0.0, found.rule(np.nan_to_num(self.raw)))

    def hops(self, found: Network) -> np.ndarray:
        """1 for links that join, infinite for others; 0 for the second end of a candidate link."""
        return np.where(np.isnan(self.raw), 0.0, np.where(found.joins(np.nan_to_num(self.raw)), 1.0, np.inf))


@dataclass(frozen=True)
class Measured:
    """Columns by patch and link, the table of candidates, and the numbers of the whole network."""

    patches: Columns
    links: Columns
    candidates: "pd.DataFrame"
    equivalent_connectivity: float
    missing: float
    largest_error: float


def candidates_of(
    found: Network, patches: "pd.DataFrame | None", links: "pd.DataFrame | None", attribute: str
) -> Candidates:
    """Read and check the candidates of a network."""
    from linkways.spatial import note

    method, n = found.method, len(found.ids)
    new = np.zeros(0, found.ids.dtype)
    own = np.zeros(0)
    if patches is not None and len(patches):
        own = read_attribute(method, "candidate_patches", patches, attribute)
        new = patches["patch"].to_numpy()
        there = set(found.ids.tolist()) & set(new.tolist())
        if there:
            raise LinkwaysError(
                f"{method}: candidate_patches names patch {min(there, key=str)}, which is there already; drop the row"
            )
    ends, raw = np.zeros((0, 2), np.int64), np.zeros(0)
    if links is not None and len(links):
        ids = np.concatenate((found.ids.astype(object), new.astype(object)))
        ends = read_ends(method, "candidate_links", links, ids)
        raw = read_weights(method, "candidate_links", links, found.column)
    added = (ends >= n).sum(axis=1)
    if (added == 2).any():
        note(
            f"{method}: {int((added == 2).sum())} candidate links between two candidate patches were left out, because "
            "every candidate is added alone"
        )
    to_patch, between = added == 1, added == 0
    owner = ends[to_patch].max(axis=1, initial=0) - n
    order = np.argsort(owner, kind="stable")
    pairs = ends[between]
    counts = np.concatenate((np.bincount(owner, minlength=len(new)), np.full(len(pairs), 2)))
    second = np.full((len(pairs), 2), np.nan)
    second[:, 0] = raw[between]
    return Candidates(
        new,
        np.concatenate((own, np.zeros(len(pairs)))),
        np.concatenate(([0], np.cumsum(counts))).astype(np.int64),
        np.concatenate((ends[to_patch].min(axis=1, initial=n)[order], pairs.ravel())),
        np.concatenate((raw[to_patch][order], second.ravel())),
        pairs,
    )


def measure(
    found: Network,
    candidates: Candidates,
    changed: np.ndarray | None,
    measures: tuple[str, ...],
    of: tuple[str, ...],
    smallest_probability: float,
    after: bool,
) -> Measured:
    """All measures; ``changed`` (m,) other weights of the links in the unit of the weight column."""
    links = found.links if "links" in of else 0
    horizon = horizon_of(smallest_probability)
    span = 1 / (len(set(measures)) or 1)
    of_patches: Columns = {}
    of_links: Columns = {}
    of_candidates: Columns = {}
    with progress_between(0.0, span):
        whole, missing, error = _of_probability(
            found, candidates, links, changed, "PC" in measures, horizon, after, of_patches, of_links, of_candidates
        )
    number = None
    if "IIC" in measures:
        with progress_between(1 - 2 * span if "BC" in measures else 1 - span, 1 - span if "BC" in measures else 1.0):
            number = _of_hops(found, candidates, links, after, of_patches, of_links, of_candidates)
    if "BC" in measures:
        with progress_between(1 - span, 1.0):
            _betweenness(found, horizon, whole, number, of_patches, of_links)
    if not links:
        of_links = {}
    if "patches" not in of:
        of_patches = {}
    return Measured(
        of_patches, of_links, _candidate_table(found, candidates, of_candidates), math.sqrt(whole), missing, error
    )


def _of_probability(
    found: Network,
    candidates: Candidates,
    links: int,
    changed: np.ndarray | None,
    wanted: bool,
    horizon: float,
    after: bool,
    of_patches: Columns,
    of_links: Columns,
    of_candidates: Columns,
) -> tuple[float, float, float]:
    """Fill in dPC; returned are PCnum, the share of it that may be missing and the largest error, in %."""
    from linkways.kernels.reach import added_gain, probability_sum, removal_loss

    graph, a = found.probable(), found.attribute
    if not wanted:
        reach = probability_sum(graph, a, 2 * horizon, progress=_telling("sums"))
        return reach.total, 100 * reach.bound / reach.total, 0.0
    shares = (0.7, 0.8, 0.9) if changed is not None else (0.9, 0.9, 0.9)
    with progress_between(0.0, shares[0]):
        lost = removal_loss(graph, a, 2 * horizon, repair_horizon=horizon, links=links, progress=_telling("dPC"))
    total = lost.total
    percent = 100 / total
    of_patches |= _percent("dPC", lost.node, (lost.intra, lost.flux, lost.connector), percent)
    of_patches["dPC_error"] = percent * (lost.error + lost.node * (lost.bound / total))
    if links:
        of_links["dPC"] = percent * lost.link
        of_links["dPC_error"] = percent * (lost.link_error + lost.link * (lost.bound / total))
    if changed is not None:
        other = found.rule(changed)
        with progress_between(shares[0], shares[1]):
            worse = removal_loss(
                graph,
                a,
                2 * horizon,
                repair_horizon=horizon,
                links=found.links,
                changed_weight=np.maximum(other, found.weight),
                progress=_telling("changed links"),
            ).link
        with progress_between(shares[1], shares[2]):
            better = _better(found, other, 2 * horizon)
        of_links["dPC_change"] = percent * (worse - better)
    if len(candidates.attribute):
        with progress_between(shares[2], 1.0):
            gain = added_gain(
                graph,
                a,
                candidates.attribute,
                candidates.ptr,
                candidates.ends,
                candidates.steps(found),
                2 * horizon,
                progress=_telling("candidates"),
            )
        of_candidates |= _gains("dPC", gain, total, after)
        of_candidates["dPC_error"] = 100 * gain.error / _base(gain, total, after)
    bound = percent * lost.bound
    largest = max(float(c["dPC_error"].max(initial=0.0)) for c in (of_patches, of_links) if "dPC_error" in c)
    return total, bound, largest


def _better(found: Network, other: np.ndarray, horizon: float) -> np.ndarray:
    """(m,) what PCnum gains by each link that gets a smaller weight."""
    from linkways.kernels.reach import added_gain, link_candidates

    rows = np.flatnonzero(other < found.weight)
    out = np.zeros(found.links)
    if len(rows):
        candidates = link_candidates(found.ends[rows], other[rows])
        out[rows] = added_gain(
            found.probable(), found.attribute, *candidates, horizon, progress=_telling("improved links")
        ).total
    return out


def _of_hops(
    found: Network,
    candidates: Candidates,
    links: int,
    after: bool,
    of_patches: Columns,
    of_links: Columns,
    of_candidates: Columns,
) -> float:
    """Fill in dIIC; returned is IICnum."""
    from linkways.kernels.reach import hops_added_gain, hops_removal_loss

    graph, a = found.binary(), found.attribute
    with progress_between(0.0, 0.9):
        lost = hops_removal_loss(graph, a, links=links, progress=_telling("dIIC"))
    percent = 100 / lost.total
    of_patches |= _percent("dIIC", lost.node, (lost.intra, lost.flux, lost.connector), percent)
    if links:
        of_links["dIIC"] = percent * lost.link
    if len(candidates.attribute):
        with progress_between(0.9, 1.0):
            gain = hops_added_gain(
                graph,
                a,
                candidates.attribute,
                candidates.ptr,
                candidates.ends,
                candidates.hops(found),
                progress=_telling("candidates"),
            )
        of_candidates |= _gains("dIIC", gain, lost.total, after)
    return lost.total


def _betweenness(
    found: Network, horizon: float, whole: float, number: float | None, of_patches: Columns, of_links: Columns
) -> None:
    from linkways.kernels.reach import betweenness, hop_sum

    n, a, m = len(found.ids), found.attribute, found.links
    binary = found.binary()
    with progress_between(0.0, 0.3):
        plain = betweenness(binary, links=m, by_hops=True, progress=_telling("BC"))
    with progress_between(0.3, 0.6):
        hops = betweenness(binary, a, pairs="hops", links=m, by_hops=True, progress=_telling("BC_IIC"))
        number = hop_sum(binary, a).total if number is None else number
    with progress_between(0.6, 1.0):
        best = betweenness(
            found.probable(), a, pairs="probability", links=m, horizon=2 * horizon, progress=_telling("BC_PC")
        )
    of_patches["BC"] = plain.node / max((n - 1) * (n - 2) / 2, 1)
    of_links["BC"] = plain.link / max(n * (n - 1) / 2, 1)
    for columns, one, two in ((of_patches, best.node, hops.node), (of_links, best.link, hops.link)):
        # sums over both orders, as PCnum and IICnum are
        columns["BC_PC"] = 200 * one / whole
        columns["BC_IIC"] = 200 * two / number


def _telling(what: str) -> Any:
    return lambda done: progress(done, what)


def _percent(name: str, whole: np.ndarray, parts: tuple[np.ndarray, ...], percent: float) -> Columns:
    names = (f"{name}_intra", f"{name}_flux", f"{name}_connector")
    return {name: percent * whole} | {n: percent * p for n, p in zip(names, parts, strict=True)}


def _base(gain: "Gain", total: float, after: bool) -> np.ndarray:
    return total + gain.total if after else np.full(len(gain.intra), total)


def _gains(name: str, gain: "Gain", total: float, after: bool) -> Columns:
    base = _base(gain, total, after)
    parts = {"": gain.total, "_intra": gain.intra, "_flux": gain.flux, "_connector": gain.connector}
    return {f"{name}{part}": 100 * value / base for part, value in parts.items()}


def _candidate_table(found: Network, candidates: Candidates, columns: Columns) -> "pd.DataFrame":
    import pandas as pd

    patches, links = len(candidates.patches), len(candidates.pairs)
    none = [None]
    ids = found.ids.astype(object)
    table = pd.DataFrame(
        {
            "kind": ["patch"] * patches + ["link"] * links,
            "patch": [*candidates.patches.tolist(), *(none * links)],
            "patch_a": [*(none * patches), *ids[candidates.pairs[:, 0]].tolist()],
            "patch_b": [*(none * patches), *ids[candidates.pairs[:, 1]].tolist()],
        }
    ).assign(**columns)
    if not columns:
        return table
    return table.sort_values(next(iter(columns)), ascending=False, kind="stable").reset_index(drop=True)
