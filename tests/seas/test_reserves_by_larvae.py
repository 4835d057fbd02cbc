"""From settlers to a plan: connectivity, metrics, planning.select and back, beside a search of all plans by hand."""

from itertools import product

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely

from linkways.planning import select
from linkways.seas import connectivity, metrics, spillover

N = 9
NAMES = [f"reef {k}" for k in range(N)]
COST = np.array([4.0, 1, 3, 2, 5, 2, 1, 3, 2])
CORAL = np.array([3.0, 0, 2, 1, 4, 0, 2, 1, 3])


@pytest.fixture(scope="module")
def reefs():
    west, south = 146 + 0.2 * (np.arange(N) % 3), -19 + 0.2 * (np.arange(N) // 3)
    return gpd.GeoDataFrame(
        {"site": NAMES, "production": np.linspace(20, 100, N)},
        geometry=shapely.box(west, south, west + 0.1, south + 0.1),
        crs="EPSG:4326",
    )


@pytest.fixture(scope="module")
def settled():
    """Simulated: 500 larvae of each reef on four dates, and who reached whom."""
    rng = np.random.default_rng(4)
    shares = rng.dirichlet(np.append(np.full(N, 0.15), 1.0), N)
    rows = [
        (NAMES[i], NAMES[j], date, 500, int(count))
        for date in ("2020-11-05", "2020-12-04", "2021-11-24", "2021-12-23")
        for i in range(N)
        for j, count in enumerate(rng.multinomial(500, shares[i])[:N])
    ]
    return pd.DataFrame(rows, columns=["source", "sink", "released_on", "released", "settled"])


@pytest.fixture(scope="module")
def found(settled, reefs):
    return connectivity(settled, reefs)


@pytest.fixture(scope="module")
def flow(settled, reefs):
    """Larvae from reef to reef, straight from the settlers."""
    told = settled.groupby(["source", "sink"])[["released", "settled"]].sum()
    out = np.array([[told.settled[a, b] / told.released[a, b] for b in NAMES] for a in NAMES])
    return out * reefs.production.to_numpy()[:, None]


@pytest.fixture(scope="module")
def measures(found, reefs):
    return metrics(
        found.pairs,
        reefs,
        found.by_date,
        recruits_per_recruit=3,
        features=["pagerank", "out_strength", "contribution", "temporal_covariance"],
        discretise="upper_quartile_to_maximum",
        target=0.5,
    )


@pytest.fixture(scope="module")
def problem(measures):
    units = pd.DataFrame({"unit": NAMES, "cost": COST})
    coral = pd.DataFrame({"unit": NAMES, "feature": "coral", "amount": CORAL})
    wanted = pd.DataFrame({"feature": ["coral"], "target": [0.4], "type": ["relative"]})
    return units, pd.concat([coral, measures.amounts]), pd.concat([wanted, measures.targets])


def all_plans(flow, amounts, targets, value):
    """The least value over all plans that meet the targets, by trying each."""
    held = {
        f: part.set_index("unit").amount.reindex(NAMES, fill_value=0).to_numpy()
        for f, part in amounts.groupby("feature")
    }
    wanted = targets.set_index("feature").target
    best = np.inf
    for plan in product([0, 1], repeat=N):
        x = np.array(plan)
        if all(held[f] @ x >= wanted[f] * held[f].sum() - 1e-9 for f in held):
            best = min(best, value(x))
    return best


def test_classes_of_measures_are_features_with_targets(problem, measures, flow):
    units, amounts, targets = problem
    # out_strength by hand: its upper quarter
    apart = flow - np.diag(np.diag(flow))
    upper = np.flatnonzero(apart.sum(axis=1) >= np.quantile(apart.sum(axis=1), 0.75))
    named = amounts[amounts.feature == "out_strength_upper_quartile_to_maximum"].unit
    assert sorted(named) == sorted(NAMES[i] for i in upper)
    plan = select(units, amounts, targets)
    assert plan.features.met.all()
    assert len(plan.features) == 5
    assert plan.objective == pytest.approx(all_plans(flow, amounts, targets, lambda x: COST @ x))


def test_measures_themselves_are_amounts(found, reefs, flow):
    told = metrics(found.pairs, reefs, features=["out_strength"], discretise="none", target=0.6)
    plan = select(pd.DataFrame({"unit": NAMES, "cost": COST}), told.amounts, told.targets)
    out = (flow - np.diag(np.diag(flow))).sum(axis=1)
    chosen = plan.plan.set_index("unit").selected[NAMES].to_numpy()
    assert plan.features.held[0] == pytest.approx(out @ chosen)
    assert out @ chosen >= 0.6 * out.sum() - 1e-9
    assert plan.objective == pytest.approx(all_plans(flow, told.amounts, told.targets, lambda x: COST @ x))


@pytest.mark.parametrize("penalty", [0.05, 0.3])
def test_larvae_lost_from_a_plan_are_a_penalty_with_a_direction(problem, measures, flow, penalty):
    units, amounts, targets = problem
    plan = select(
        units,
        amounts,
        targets,
        connectivity=measures.connectivity,
        connectivity_penalty=penalty,
        asymmetric=True,
    )
    expected = all_plans(flow, amounts, targets, lambda x: COST @ x + penalty * x @ flow @ (1 - x))
    assert plan.objective == pytest.approx(expected)
    turned = all_plans(flow, amounts, targets, lambda x: COST @ x + penalty * (1 - x) @ flow @ x)
    assert turned != pytest.approx(expected)


def test_larvae_kept_in_a_plan_are_a_reward_without_direction(problem, found, reefs, flow):
    units, amounts, targets = problem
    both = metrics(found.pairs, reefs, symmetric=True).connectivity
    plan = select(units, amounts, targets, connectivity=both, connectivity_penalty=0.1)
    apart = flow - np.diag(np.diag(flow))
    expected = all_plans(flow, amounts, targets, lambda x: COST @ x - 0.1 * x @ apart @ x)
    assert plan.objective == pytest.approx(expected)


def test_a_plan_goes_back_to_metrics_and_spillover(problem, measures, found, reefs, flow):
    units, amounts, targets = problem
    plan = select(
        units, amounts, targets, connectivity=measures.connectivity, connectivity_penalty=0.3, asymmetric=True
    )
    x = plan.plan.set_index("unit").selected[NAMES].to_numpy()
    kept = x == 1
    share = flow / reefs.production.to_numpy()[:, None]
    after = metrics(found.pairs, reefs, plan=plan.plan, fished=0.2, recruits_per_recruit=3)
    inside = np.linalg.eigvals(3 * share[np.ix_(kept, kept)]).real.max()
    assert after.lambda_reserves == pytest.approx(inside)
    managed = 3 * share * np.where(kept, 1, 0.2)[:, None]
    rates = after.persistence.set_index("scenario")["lambda"]
    assert rates["reserves and fished sites"] == pytest.approx(np.linalg.eigvals(managed).real.max())
    gives = spillover(found.pairs, reefs, plan.plan, uplift=2.5)
    assert gives.spillover == pytest.approx(2.5 * x @ flow @ (1 - x))
    # what the penalty charges is what spills over without uplift
    charged = (plan.objective - plan.cost) / 0.3
    assert spillover(found.pairs, reefs, plan.plan, uplift=1).spillover == pytest.approx(charged)


def test_maps_open_with_names_units_and_shapes(tmp_path, found, measures, reefs):
    """Layers survive a GeoPackage: columns of numbers stay numbers, and no name is lost."""
    told = spillover(found.pairs, reefs.assign(selected=[1] + [0] * (N - 1)), uplift=2)
    for number, layer in enumerate((found.sites, found.links, measures.site_map, told.site_map, told.links)):
        path = tmp_path / f"{number}.gpkg"
        layer.to_file(path)
        back = gpd.read_file(path)
        assert list(back.columns.drop("geometry")) == list(layer.columns.drop("geometry"))
        assert back.crs == reefs.crs
        for column in layer.columns.drop("geometry"):
            if pd.api.types.is_numeric_dtype(layer[column]):
                assert back[column].to_numpy(float) == pytest.approx(layer[column].to_numpy(float), nan_ok=True)
