"""Folders of Marxan with Zones whose best zoning is found by trying them all."""

import itertools

import numpy as np
import pandas as pd
import pytest

from linkways.errors import LinkwaysError
from linkways.planning._marxan_files import read_marxan
from linkways.planning._marxan_problem import marxan_problem, zone_shares
from linkways.planning.marxan import run_marxan, solve_marxan

SETTINGS = """General Parameters
NUMREPS {repeats}
NUMITNS 20000
RANDSEED 3

INPUTDIR input
PUNAME pu.dat
FEATNAME feat.dat
PUVSPRNAME puvfeat.dat
BOUNDNAME bound.dat
ZONESNAME zones.dat
COSTSNAME costs.dat
ZONECOSTNAME zonecost.dat
ZONEBOUNDCOSTNAME zoneboundcost.dat
{more}

SCENNAME mz
SAVERUN 3
SAVEBEST 3
SAVESUMMARY 3
SAVETARGMET 3
SAVESUMSOLN 3
SAVEZONECONNECTIVITYSUM 3
SAVESOLUTIONSMATRIX 3
OUTPUTDIR output
RUNMODE 1
MISSLEVEL 1
"""
FILES = {
    "pu.dat": "id,area,rent\n1,2,1\n2,2,5\n3,2,1\n4,2,3\n5,2,2\n",
    "feat.dat": "id,target,fpf,name\n1,6,1,frog\n2,4,1,owl\n",
    "puvfeat.dat": "featureid,puid,amount\n1,1,4\n1,2,4\n1,3,2\n2,3,3\n2,4,3\n2,5,3\n",
    "bound.dat": "id1,id2,boundary\n1,2,1\n2,3,1\n3,4,1\n4,5,1\n1,1,1\n5,5,1\n",
    "zones.dat": "zoneid,zonename\n1,available\n2,partial\n3,reserve\n",
    "costs.dat": "costid,costname\n1,area\n2,rent\n",
    "zonecost.dat": "zoneid,costid,multiplier\n2,1,0.5\n3,1,1\n3,2,1\n",
    "zoneboundcost.dat": "zoneid1,zoneid2,cost\n1,3,1\n2,3,0.25\n1,2,0.5\n",
    "zonecontrib.dat": "zoneid,featureid,fraction\n2,1,0.5\n3,1,1\n2,2,0.5\n3,2,1\n",
    "zonecontrib2.dat": "zoneid,fraction\n2,0.25\n3,1\n",
    "zonecontrib3.dat": "zoneid,puid,featureid,fraction\n3,1,1,1\n3,2,1,1\n2,3,1,0.5\n3,4,2,1\n3,5,2,1\n",
    "zonetarget.dat": "zoneid,featureid,target,targettype\n3,1,0.4,1\n2,2,1,2\n",
    "zonetarget2.dat": "zoneid,target,targettype\n3,2,0\n",
    "pulock.dat": "puid,zoneid\n1,2\n",
    "puzone.dat": "puid,zoneid\n4,1\n4,2\n5,1\n5,2\n",
}


def folder(path, more="ZONECONTRIBNAME zonecontrib.dat", repeats=1, **files):
    (path / "input").mkdir(exist_ok=True)
    (path / "input.dat").write_text(SETTINGS.format(more=more, repeats=repeats))
    for name, text in (FILES | files).items():
        text = text.replace("featureid,puid", "species,pu") if name == "puvfeat.dat" else text
        (path / "input" / name).write_text(text)
    return path / "input.dat"


def least(problem):
    options = [np.flatnonzero(row) for row in problem.allowed()]
    best = np.inf
    for choice in itertools.product(*options):
        z = np.array(choice)
        if np.isfinite(problem.goals.price).all() or not problem.shortfall(z).any():
            best = min(best, problem.value(z))
    return best


def score(zones):
    """Cost and connections of a zoning, written out by hand for the folder above."""
    area, rent = [2, 2, 2, 2, 2], [1, 5, 1, 3, 2]
    cost = {1: lambda i: 0, 2: lambda i: 0.5 * area[i], 3: lambda i: area[i] + rent[i]}
    edge = {(1, 3): 1.0, (2, 3): 0.25, (1, 2): 0.5}
    between = sum(edge.get((min(a, b), max(a, b)), 0.0) for a, b in itertools.pairwise(zones))
    return sum(cost[z](i) for i, z in enumerate(zones)) + between + 2


def contributed(zones):
    frog, owl = [4, 4, 2, 0, 0], [0, 0, 3, 3, 3]
    share = {1: 0.0, 2: 0.5, 3: 1.0}
    return [sum(r[i] * share[z] for i, z in enumerate(zones)) for r in (frog, owl)]


def test_the_score_is_cost_and_connections_and_the_best_of_all_is_found(tmp_path):
    given = read_marxan(folder(tmp_path))
    problem = marxan_problem(given, spf=False)
    every = list(itertools.product((1, 2, 3), repeat=5))
    for zones in every[::7]:
        z = np.array(zones)
        assert problem.value(z) == pytest.approx(score(zones))
        assert problem.held(z).tolist() == contributed(zones)
    best = min(score(z) for z in every if contributed(z)[0] >= 6 and contributed(z)[1] >= 4)
    run = solve_marxan(given)
    assert run.score == pytest.approx(best)
    assert run.bound == pytest.approx(best)


@pytest.mark.parametrize(
    "more",
    [
        "ZONECONTRIBNAME zonecontrib.dat\nZONETARGETNAME zonetarget.dat",
        "ZONECONTRIB2NAME zonecontrib2.dat\nZONETARGET2NAME zonetarget2.dat",
        "ZONECONTRIB3NAME zonecontrib3.dat",
        "PULOCKNAME pulock.dat",
        "PULOCKNAME pulock.dat\nPUZONENAME puzone.dat\nZONECONTRIBNAME zonecontrib.dat",
    ],
)
@pytest.mark.parametrize("spf", [False, True])
def test_every_table_of_zones_has_its_say(tmp_path, more, spf):
    given = read_marxan(folder(tmp_path, more))
    run = solve_marxan(given, spf=spf)
    assert run.score == pytest.approx(least(run.problem))
    annealed = solve_marxan(given, spf=spf, solver="annealing")
    assert run.score - 1e-9 <= annealed.score <= run.score * 1.25


def test_targets_of_zones_count_what_is_there(tmp_path):
    goals = marxan_problem(read_marxan(folder(tmp_path, "ZONETARGETNAME zonetarget.dat")), spf=False).goals
    # four tenths of 10 frogs in the reserve, and one occurrence of the owl in the partial zone
    assert goals.zone == ("all", "reserve", "all", "partial")
    assert goals.target.tolist() == [6.0, 4.0, 4.0, 1.0]
    each = marxan_problem(read_marxan(folder(tmp_path, "ZONETARGET2NAME zonetarget2.dat")), spf=False).goals
    assert each.zone == ("all", "reserve", "all", "reserve")
    assert each.target.tolist() == [6.0, 2.0, 4.0, 2.0]


def test_contributions_are_those_of_marxans_unit_tests(tmp_path):
    """test/zones_test.cpp: without a file the first zone holds nothing and others all; pairs not listed nothing."""
    shares = zone_shares(read_marxan(folder(tmp_path, "")))
    assert [s.sum() for s in shares] == [0, 0, 19, 19]
    shares = zone_shares(
        read_marxan(folder(tmp_path, **{"zonecontrib.dat": "zoneid,featureid,fraction\n3,1,0.5\n9,1,1\n"}))
    )
    assert [s.sum() for s in shares] == [0, 0, 0, 5]


def test_the_output_files_are_those_of_marxan_with_zones(tmp_path):
    written = run_marxan(folder(tmp_path, repeats=3))
    names = {f.name for f in written}
    assert names == {
        "mz_best.csv",
        "mz_mvbest.csv",
        "mz_zoneconnectivitysumbest.csv",
        *(f"mz_{kind}{k:05d}.csv" for kind in ("r", "mv", "zoneconnectivitysum") for k in (1, 2, 3)),
        "mz_sum.csv",
        "mz_ssoln.csv",
        *(f"mz_solutionsmatrix_zone{k}.csv" for k in (1, 2, 3)),
        "mz_bound.csv",
    }
    out = tmp_path / "output"
    best = pd.read_csv(out / "mz_best.csv")
    assert best.columns.tolist() == ["planning_unit", "zone"]
    zones = best["zone"].tolist()
    summary = pd.read_csv(out / "mz_sum.csv")
    assert summary.columns.tolist() == [
        "Run Number",
        "Score",
        "Cost",
        "Planning Units",
        *(f"{z} PuCount" for z in ("available", "partial", "reserve")),
        *(f"{z} Cost" for z in ("available", "partial", "reserve")),
        "Connection Strength",
        "Penalty",
        "Shortfall",
        "Missing_Values",
        "MPM",
    ]
    row = summary.iloc[0]
    assert row["Score"] == pytest.approx(score(zones))
    assert row["Cost"] + row["Connection Strength"] == pytest.approx(row["Score"])
    assert row["reserve PuCount"] == zones.count(3)
    missing = pd.read_csv(out / "mz_mvbest.csv").set_index("Feature Name")
    assert missing["Contributing Amount Held"].tolist() == contributed(zones)
    assert missing["Amount Held reserve"]["frog"] == sum(
        a for a, z in zip([4, 4, 2, 0, 0], zones, strict=True) if z == 3
    )
    runs = [pd.read_csv(out / f"mz_r{k:05d}.csv")["zone"] for k in (1, 2, 3)]
    summed = pd.read_csv(out / "mz_ssoln.csv")
    assert summed["reserve"].tolist() == sum((r == 3).astype(int) for r in runs).tolist()
    assert summed["number"].tolist() == sum((r > 1).astype(int) for r in runs).tolist()
    between = pd.read_csv(out / "mz_zoneconnectivitysumbest.csv", index_col=0)
    apart = sum(a != b for a, b in itertools.pairwise(zones))
    assert between.to_numpy().sum() == 2 * apart + 2


@pytest.mark.parametrize(
    ("more", "files", "match"),
    [
        ("ZONECONTRIBNAME zonecontrib.dat\nZONECONTRIB2NAME zonecontrib2.dat", {}, "keep one"),
        ("", {"zonecost.dat": "zoneid,costid,multiplier\n7,1,1\n"}, "name the zone 7"),
        ("", {"zonecost.dat": "zoneid,costid,multiplier\n2,5,1\n"}, "name the cost 5"),
        ("ASYMMETRICCONNECTIVITY 1", {}, "zones know no directed connections"),
        ("", {"costs.dat": "costid,costname\n1,price\n"}, "no column for the cost price"),
        ("", {"zones.dat": "zoneid\n1\n"}, "zones.dat has 1 columns, and needs 2: zone, name"),
        ("", {"feat.dat": "id,target,fpf,name\n1,60,1,frog\n"}, "these clash.*frog >= 60"),
    ],
)
def test_what_is_wrong_in_a_folder_is_told(tmp_path, more, files, match):
    with pytest.raises(LinkwaysError, match=match):
        solve_marxan(read_marxan(folder(tmp_path, more, **files)))
