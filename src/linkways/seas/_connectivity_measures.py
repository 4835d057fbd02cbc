"""What dispersal between sites adds up to: of pairs and sites, over dates and years, and whether particles suffice."""

from statistics import NormalDist
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

    from linkways.seas._connectivity_dispersal import Dispersal

__all__ = ["by_date", "pair_table", "rarefaction", "site_columns", "unexplained", "wilson"]


def wilson(settled: np.ndarray, released: np.ndarray, confidence: float) -> tuple[np.ndarray, np.ndarray]:
    """Limits of a share by Wilson's score interval (1927)."""
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    share = settled / released
    centre = share + z**2 / (2 * released)
    half = z * np.sqrt(share * (1 - share) / released + z**2 / (4 * released**2))
    scale = 1 + z**2 / released
    # of all or none settled, one limit is the share itself and rounding must not pass it
    return np.maximum((centre - half) / scale, 0.0) * (settled > 0), np.minimum((centre + half) / scale, 1.0)


# --- pairs -----------------------------------------------------------------------------------------------------


def pair_table(found: "Dispersal", confidence: float) -> "pd.DataFrame":
    """One row for each pair of sites with settlers, a site with itself too, in the order of the sites."""
    import pandas as pd

    probability = found.probability.tocoo()
    source, sink = probability.coords
    n = found.sites.n
    pair = source.astype(np.int64) * n + sink
    counted = found.kind == "settlement"
    released = found.released.sum(axis=1)[source]
    settled = np.asarray(probability.data * released) if counted else np.full(len(pair), np.nan)
    low = high = np.full(len(pair), np.nan)
    if counted and len(pair):
        low, high = wilson(settled, released, confidence)
    dates, years = variance_over(found, pair, "dates"), variance_over(found, pair, "years")
    return pd.DataFrame(
        {
            "source": found.sites.names[source],
            "sink": found.sites.names[sink],
            "released": released if counted else np.nan,
            "settled": settled,
            "probability": probability.data,
            "lower": low,
            "upper": high,
            "flow": _at(found.flow, source, sink),
            "migration": _at(found.migration, source, sink),
            "variance_dates": dates,
            "variance_years": years,
        }
    )


def _at(matrix: Any, source: np.ndarray, sink: np.ndarray) -> np.ndarray:
    return np.asarray(matrix[source, sink]).ravel() if len(source) else np.zeros(0)


def _groups(found: "Dispersal", over: str) -> tuple[np.ndarray, np.ndarray]:
    """(dates,) the date or year that each date counts for, and (n, groups) what was released in each."""
    if over == "dates" or not found.years:
        group = np.arange(len(found.dates)) if over == "dates" else np.zeros(len(found.dates), np.int64)
    else:
        group = np.unique(found.years, return_inverse=True)[1]
    released = np.zeros((found.sites.n, int(group.max(initial=0)) + 1))
    np.add.at(released.T, group, found.released.T)
    return group, released


def variance_over(found: "Dispersal", pairs: np.ndarray, over: str) -> np.ndarray:
    """Sample variance of each pair's probability over dates or years with a release; NaN where they are fewer than 2.

    ``pairs`` (m,) are source x n + sink, ascending. A date with a release and no settler counts with 0.
    """
    group, released = _groups(found, over)
    n, groups = released.shape
    pair = np.searchsorted(pairs, found.source.astype(np.int64) * n + found.sink)
    key, place = np.unique(pair.astype(np.int64) * groups + group[found.date], return_inverse=True)
    total = np.bincount(place, weights=found.value, minlength=len(key))
    pair, when = key // groups, key % groups
    source = pairs // n
    value = total / released[source[pair], when] * found.factor[source[pair]]
    count = (released > 0).sum(axis=1)[source].astype(float)
    mean = np.bincount(pair, weights=value, minlength=len(pairs)) / np.maximum(count, 1)
    present = np.bincount(pair, minlength=len(pairs))
    squares = np.bincount(pair, weights=(value - mean[pair]) ** 2, minlength=len(pairs)).astype(float)
    squares += (count - present) * mean**2
    return np.asarray(np.where(count > 1, squares / np.maximum(count - 1, 1), np.nan))


# --- sites -----------------------------------------------------------------------------------------------------


def site_columns(found: "Dispersal", confidence: float) -> dict[str, np.ndarray]:
    """The measures of each site; see the result of seas.connectivity for what each column is."""
    own_share, own_flow = found.probability.diagonal(), found.flow.diagonal()
    share = np.asarray(found.probability.sum(axis=1)).ravel()
    out_all, in_all = np.asarray(found.flow.sum(axis=1)).ravel(), found.inflow_all
    outflow, inflow = np.maximum(out_all - own_flow, 0.0), np.maximum(in_all - own_flow, 0.0)
    counted = found.kind == "settlement"
    released = found.released.sum(axis=1) if counted else np.full(found.sites.n, np.nan)
    index = _share(outflow - inflow, outflow + inflow)
    unknown = np.where(found.sends, 0.0, np.nan)
    unseen = np.full(found.sites.n, np.nan)
    if counted and (released > 0).any():
        some = released > 0
        unseen[some] = wilson(np.zeros(some.sum()), released[some], confidence)[1]
    return {
        "released": released,
        "production": found.production,
        "settled_share": share + unknown,
        "local_retention": own_share + unknown,
        "relative_local_retention": _share(own_flow, out_all),
        "self_recruitment": _share(own_flow, in_all),
        "inflow": inflow,
        "outflow": outflow,
        "export_share": np.maximum(share - own_share, 0.0) + unknown,
        "import_share": _share(inflow, in_all),
        "source_sink_index": index,
        "role": np.select([index > 0, index < 0, index == 0], ["source", "sink", "balanced"], "isolated"),
        "unseen_upper": unseen,
        **_flow_variances(found),
    }


def _share(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """part / whole, NaN where there is nothing to share."""
    return np.asarray(np.divide(part, whole, out=np.full(len(whole), np.nan), where=whole > 0))


def _flow_variances(found: "Dispersal") -> dict[str, np.ndarray]:
    """Sample variance of inflow and outflow over dates and years; NaN where they are fewer than 2."""
    out = {}
    apart = found.source != found.sink
    source, sink, value = found.source[apart], found.sink[apart], found.value[apart]
    for over in ("dates", "years"):
        group, released = _groups(found, over)
        n, groups = released.shape
        when = group[found.date[apart]]
        flow = value / released[source, when] * (found.factor * found.production)[source]
        for name, end, count in (
            ("inflow", sink, np.full(n, groups)),
            ("outflow", source, (released > 0).sum(axis=1)),
        ):
            series = np.bincount(end * groups + when, weights=flow, minlength=n * groups).reshape(n, groups)
            used = np.ones((n, groups), bool) if name == "inflow" else released > 0
            mean = series.sum(axis=1) / np.maximum(count, 1)
            squares = (np.where(used, series - mean[:, None], 0.0) ** 2).sum(axis=1)
            out[f"{name}_variance_{over}"] = np.where(count > 1, squares / np.maximum(count - 1, 1), np.nan)
    return out


# --- dates -----------------------------------------------------------------------------------------------------


def by_date(found: "Dispersal") -> tuple["pd.DataFrame", "pd.DataFrame"]:
    """The matrix on each date (entries above 0; one of 0 where none is), and what each date adds up to."""
    import pandas as pd

    released = found.released[found.source, found.date]
    probability = found.value / released * found.factor[found.source]
    flow = probability * found.production[found.source]
    dates = np.array([str(d).removesuffix(" 00:00:00") for d in found.dates], dtype=object)
    long = pd.DataFrame(
        {
            "released_on": dates[found.date],
            "source": found.sites.names[found.source],
            "sink": found.sites.names[found.sink],
            "probability": probability,
            "flow": flow,
        }
    )
    count = len(found.dates)
    # a date on which nothing settled is a date too, for whoever takes a variance over them
    bare = np.setdiff1d(np.arange(count), found.date)
    if len(bare) and len(long):
        first = long["source"].iloc[0]
        none = pd.DataFrame(
            {"released_on": dates[bare], "source": first, "sink": first, "probability": 0.0, "flow": 0.0}
        )
        long = pd.concat([long, none], ignore_index=True)
    own = found.source == found.sink
    whole = np.bincount(found.date, weights=flow, minlength=count)
    retained = np.bincount(found.date[own], weights=flow[own], minlength=count)
    produced = ((found.released > 0) * found.production[:, None]).sum(axis=0)
    summary = pd.DataFrame(
        {
            "released_on": dates,
            "year": found.years if found.years else pd.array([None] * count, dtype="Int64"),
            "released": found.released.sum(axis=0) if found.kind == "settlement" else np.nan,
            "pairs": np.bincount(found.date, minlength=count),
            "settled_share": _share(whole, produced),
            "local_retention": _share(retained, produced),
            "self_recruitment": _share(retained, whole),
        }
    )
    return long, summary


# --- particles -------------------------------------------------------------------------------------------------


def noise_and_signal(found: "Dispersal") -> tuple[float, float]:
    """Mean variance of the probabilities' estimates, and variance of the probabilities without it.

    Over all pairs whose source released larvae, those never seen too. Sum_ij p (1 - p) / (N_i - 1) is unbiased for
    the variance that finite numbers of particles add.
    """
    released = found.released.sum(axis=1)
    kept = released > 1
    pairs = int(kept.sum()) * found.sites.n
    if not pairs:
        return np.nan, np.nan
    matrix = found.probability.tocoo()
    source = matrix.coords[0]
    some = kept[source]
    p, n = matrix.data[some], released[source[some]]
    noise = float((p * (1 - p) / (n - 1)).sum() / pairs)
    spread = float((p**2).sum() / pairs - (p.sum() / pairs) ** 2)
    return noise, max(spread - noise, 0.0)


def unexplained(noise: float, signal: float, share: np.ndarray | float) -> np.ndarray:
    """Expected 1 - r2 between the estimates from a share of the particles and the true probabilities."""
    with np.errstate(invalid="ignore"):
        scaled = noise / np.asarray(share, dtype=float)
        return np.asarray(scaled / (signal + scaled))


def rarefaction(found: "Dispersal", most_unexplained: float) -> tuple["pd.DataFrame", float, float]:
    """The curve of links and of unexplained variance by particles, that of all, and the particles needed."""
    import pandas as pd
    from scipy.special import gammaln

    columns = ["particle_share", "particles", "links", "unexplained_variance"]
    if found.kind != "settlement":
        return pd.DataFrame(columns=columns, dtype=float), np.nan, np.nan
    noise, signal = noise_and_signal(found)
    shares = np.array([0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0])
    released = found.released.sum(axis=1)
    matrix = found.probability.tocoo()
    n = released[matrix.coords[0]]
    settled = np.minimum(matrix.data * n, n)
    links = []
    for share in shares:
        # chance that none of a draw without replacement is among the settlers (Hurlbert 1971)
        drawn = share * n
        rest = n - settled
        free = np.maximum(rest - drawn, 0.0)
        log = gammaln(rest + 1) - gammaln(free + 1) - gammaln(n + 1) + gammaln(n - drawn + 1)
        links.append(float((1 - np.where(rest >= drawn, np.exp(np.minimum(log, 0.0)), 0.0)).sum()))
    links[-1] = float(len(n))
    curve = pd.DataFrame(
        {
            "particle_share": shares,
            "particles": shares * released.sum(),
            "links": links,
            "unexplained_variance": unexplained(noise, signal, shares),
        }
    )
    limit = most_unexplained
    needed = released.sum() * noise * (1 - limit) / (limit * signal) if signal > 0 else np.inf
    return curve[columns], float(curve["unexplained_variance"].iloc[-1]), float(needed)
