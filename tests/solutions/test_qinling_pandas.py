"""The study of the pandas: what a tunnel and bamboo change, on simulated ground, groups and genes."""

import json

import pandas as pd
import pytest

from linkways.solutions import solution_files
from linkways.studies import load_study, run_study


@pytest.fixture(scope="module")
def pandas_run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pandas")
    run_study(load_study(solution_files()["qinling-pandas"]), folder)
    return folder


def table(folder, name):
    return pd.read_csv(folder / "tables" / f"{name}.csv")


def test_each_step_lets_more_through_and_the_tunnel_alone_does_least(pandas_run):
    before, tunnel, bamboo = (
        table(pandas_run, f"flow_{state}.resistances")["resistance"].item() for state in ("before", "tunnel", "bamboo")
    )
    assert before > tunnel > bamboo
    assert before - tunnel < tunnel - bamboo


def test_exchange_is_the_assumed_hundredth_at_a_resistance_of_one(pandas_run):
    for state in ("before", "tunnel", "bamboo"):
        resistance = table(pandas_run, f"flow_{state}.resistances")["resistance"].item()
        rates = table(pandas_run, f"moves_{state}.dispersal_rates")["rate"]
        assert rates.tolist() == pytest.approx([0.01 / resistance] * 2)


def test_the_corridor_lowers_the_risk_of_the_small_group_beyond_chance(pandas_run):
    found = table(pandas_run, "fate_bamboo.difference").set_index("measure").loc["empty: east"]
    assert found["high"] < 0
    assert found["baseline"] > 0.05


def test_the_small_group_has_lost_the_genes_that_its_size_makes_it_lose(pandas_run):
    """Truth: four generations apart at sizes 55 and 10 keep (1 - 1/2N)^4 of the founders' heterozygosity."""
    kept = {name: (1 - 1 / (2 * size)) ** 4 for name, size in (("west", 55), ("east", 10))}
    found = table(pandas_run, "genes_now.populations").set_index("population")["he"]
    # one sample of twelve loci: the ratio scatters by about a tenth
    assert found["east"] / found["west"] == pytest.approx(kept["east"] / kept["west"], abs=0.2)
    assert found["east"] < found["west"]


def test_genes_flow_again_with_the_corridor(pandas_run):
    numbers = json.loads((pandas_run / "run.json").read_text())
    found = {f"{step['id']}.{one['name']}": one["value"] for step in numbers["steps"] for one in step["outputs"]}
    assert found["genes.fst_with"] < found["genes.fst"]
    assert found["genes.heterozygosity_with"] > found["genes.heterozygosity"]
    genes = table(pandas_run, "genes.diversity")
    last = genes[(genes["generation"] == 12) & (genes["population"] != "all")]
    assert (last["heterozygosity"].between(last["simulated_low"], last["simulated_high"])).all()


def test_everything_made_up_is_called_simulated(pandas_run):
    record = json.loads((pandas_run / "run.json").read_text())
    told = {one["name"]: one["simulated"] for one in record["inputs"]}
    assert all(told[name] for name in ("landcover", "road", "road_with_tunnel", "planting", "groups", "genotypes"))
    assert "Simulated data" in (pandas_run / "report.html").read_text()
