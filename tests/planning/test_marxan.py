"""Marxan folders whose best plan can be found by hand."""

import itertools

import numpy as np
import pandas as pd
import pytest

from linkways.cli import main
from linkways.errors import LinkwaysError
from linkways.planning._marxan_files import read_marxan
from linkways.planning._marxan_problem import greedy_penalty, marxan_problem
from linkways.planning.marxan import run_marxan, solve_marxan
from linkways.spatial import recording

SETTINGS = """Input file for Annealing program.

BLM {blm}
INPUTDIR input
PUNAME pu.dat
SPECNAME spec.dat
PUVSPRNAME puvspr.dat
BOUNDNAME bound.dat
SCENNAME toy
SAVERUN 3
SAVEBEST 3
SAVESUMMARY 3
SAVETARGMET 2
SAVESUMSOLN 1
MISSLEVEL 0.95
OUTPUTDIR output
"""


def folder(path, *, blm=0.0, more="", pu=None, spec=None, bound=None):
    """Four units in a row; frog in 1, 2 and 4, owl in 2 and 3."""
    (path / "input").mkdir(exist_ok=True)
    (path / "input.dat").write_text(SETTINGS.format(blm=blm) + more)
    files = {
        "pu.dat": pu or "id,cost,status\n1,4,0\n2,6,0\n3,3,0\n4,2,0\n",
        "spec.dat": spec or "id\tprop\tspf\tname\n1\t0.5\t1\tfrog\n2\t0.5\t1\towl, barn\n",
        "puvspr.dat": "species,pu,amount\n1,1,5\n1,2,2.5\n1,4,2.5\n2,2,1\n2,3,1\n",
        "bound.dat": bound or "id1 id2 boundary\n1 1 3\n2 2 2\n3 3 2\n4 4 3\n1 2 1\n2 1 1\n2 3 1\n3 4 1\n",
    }
    for name, text in files.items():
        (path / "input" / name).write_text(text)
    return path / "input.dat"


def solved(path, **changes):
    return solve_marxan(read_marxan(folder(path, **changes)))


def test_a_folder_is_solved_and_its_output_written_as_asked(tmp_path):
    written = run_marxan(folder(tmp_path))
    # frog: 5 of 10; owl: 1 of 2; units 1 and 3 cost 7, units 2 and 4 cost 8
    best = pd.read_csv(tmp_path / "output/toy_best.csv")
    assert best.columns.tolist() == ["PUID", "SOLUTION"]
    assert dict(best.values) == {1: 1, 2: 0, 3: 1, 4: 0}
    assert {f.name for f in written} == {
        "toy_best.csv",
        "toy_r00001.csv",
        "toy_mvbest.txt",
        "toy_mv00001.txt",
        "toy_sum.csv",
        "toy_ssoln.dat",
        "toy_bound.csv",
    }
    summary = pd.read_csv(tmp_path / "output/toy_sum.csv").iloc[0]
    assert (summary.Score, summary.Cost, summary.Planning_Units, summary.Missing_Values) == (7.0, 7.0, 2, 0)
    missing = pd.read_csv(tmp_path / "output/toy_mvbest.txt")
    assert missing["Amount Held"].tolist() == [5.0, 1.0]
    assert missing["Target Met"].tolist() == ["yes", "yes"]
    assert (tmp_path / "output/toy_ssoln.dat").read_text() == "1\t1\n2\t0\n3\t1\n4\t0\n"


def test_the_boundary_joins_units_and_a_pair_told_twice_counts_once(tmp_path):
    # 1 and 2 together: cost 10, edge 3 + 2 + 1; 1 and 3: cost 7, edge 3 + 1 + 2 + 1 + 1
    run = solved(tmp_path, blm=2.0)
    assert (run.solution.tolist(), run.score) == ([1, 1, 0, 0], 10 + 2 * 6)


def test_locked_units_and_amounts_as_targets_are_read(tmp_path):
    pu = "id,cost,status\n1,4,3\n2,6,0\n3,3,2\n4,2,1\n"
    spec = "id,target,spf\n1,5,10\n2,1,10\n"
    assert solved(tmp_path, pu=pu, spec=spec).solution.tolist() == [0, 1, 1, 1]


def test_targets_that_cannot_be_met_are_lowered_and_told(tmp_path):
    pu = "id,cost,status\n1,4,3\n2,6,0\n3,3,0\n4,2,3\n"
    with recording() as notes:
        run = solved(tmp_path, pu=pu)
    assert run.solution.tolist() == [0, 1, 0, 0]
    assert any("the target of frog lowered from 5 to 2.5" in n for n in notes)


def test_asymmetric_connections_cost_in_one_direction_only(tmp_path):
    bound = "id1,id2,boundary\n1,2,5\n2,1,1\n3,4,1\n"
    run = solved(tmp_path, blm=1.0, bound=bound, more="ASYMMETRICCONNECTIVITY 1\n")
    # {1, 3}: 7 + 5 + 1; {2, 4}: 8 + 1; {1, 2}: 10
    assert (run.solution.tolist(), run.score) == ([0, 1, 0, 1], 9.0)


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"more": "COSTTHRESH 5\n"}, "a cost threshold"),
        ({"more": "PROBABILITYWEIGHTING 1\n"}, "probabilities of loss"),
        ({"spec": "id,prop,target2\n1,0.5,3\n2,0.5,0\n"}, "least size of clumps"),
        ({"spec": "id,prop,sepnum\n1,0.5,3\n2,0.5,0\n"}, "separated occurrences"),
        ({"spec": "id,prop,sepdistance\n1,0.5,3\n2,0.5,0\n"}, "a distance between occurrences"),
        ({"more": "BLOCKDEFNAME blocks.dat\n"}, "targets by blocks of features"),
        ({"spec": "id,spf\n1,1\n2,1\n"}, "neither a column target nor prop"),
        ({"bound": "id1,id2,length\n1,2,3\n"}, "bound.dat has no column 'boundary'"),
        ({"blm": "much"}, "BLM in input.dat is 'much'"),
    ],
)
def test_what_marxan_can_and_we_cannot_is_refused(tmp_path, changes, match):
    with pytest.raises(LinkwaysError, match=match):
        solved(tmp_path, **changes)


def test_files_that_are_missing_are_named(tmp_path):
    with pytest.raises(LinkwaysError, match="there is no file"):
        run_marxan(tmp_path / "input.dat")
    config = folder(tmp_path)
    (tmp_path / "input/pu.dat").unlink()
    with pytest.raises(LinkwaysError, match=r"there is no file .*pu.dat"):
        run_marxan(config)


def test_the_command_solves_a_folder_and_names_what_it_wrote(tmp_path, capsys):
    with pytest.raises(SystemExit, match=r"^0$"):
        main(["planning", "marxan", str(folder(tmp_path))])
    assert str(tmp_path / "output" / "toy_best.csv") in capsys.readouterr().out
    with pytest.raises(SystemExit, match=r"^2$"):
        main(["planning", "marxan", str(tmp_path / "none.dat")])


# --- runs and prices -------------------------------------------------------------------------------------------


def test_repeats_are_written_run_by_run_and_summed(tmp_path):
    written = run_marxan(
        folder(tmp_path, more="NUMREPS 4\nNUMITNS 2000\nSAVESOLUTIONSMATRIX 3\nSAVESCEN 1\nSAVELOG 1\n")
    )
    out = tmp_path / "output"
    assert {f"toy_r{k:05d}.csv" for k in range(1, 5)} <= {f.name for f in written}
    summary = pd.read_csv(out / "toy_sum.csv")
    assert summary["Run_Number"].tolist() == [1, 2, 3, 4]
    assert (summary["Missing_Values"] == 0).all()
    assert (summary["Score"] >= 7.0).all()
    runs = [pd.read_csv(out / f"toy_r{k:05d}.csv").SOLUTION for k in range(1, 5)]
    summed = pd.read_csv(out / "toy_ssoln.dat", sep="\t", header=None)[1]
    assert summed.tolist() == sum(runs).tolist()
    matrix = pd.read_csv(out / "toy_solutionsmatrix.csv", index_col=0)
    np.testing.assert_array_equal(matrix, runs)
    assert matrix.columns.tolist() == ["P1", "P2", "P3", "P4"]
    assert matrix.index.tolist() == ["S1", "S2", "S3", "S4"]
    assert "Number of runs 4" in (out / "toy_sen.dat").read_text()
    assert "run 2: annealing" in (out / "toy_log.dat").read_text()


def test_headers_are_those_of_marxan_4(tmp_path):
    run_marxan(folder(tmp_path))
    out = tmp_path / "output"
    assert (out / "toy_best.csv").read_text().startswith("PUID,SOLUTION\n1,1\n")
    first = (out / "toy_sum.csv").read_text().partition("\n")[0]
    assert first == (
        '"Run_Number","Score","Cost","Planning_Units","Connectivity","Connectivity_Total","Connectivity_In",'
        '"Connectivity_Edge","Connectivity_Out","Connectivity_In_Fraction","Penalty","Shortfall","Missing_Values","MPM"'
    )
    first = (out / "toy_mvbest.txt").read_text().partition("\n")[0]
    assert first == (
        '"Conservation Feature","Feature Name","Target","Amount Held","Occurrence Target ","Occurrences Held",'
        '"Separation Target ","Separation Achieved","Target Met","MPM"'
    )


def test_connections_within_across_and_outside_add_up(tmp_path):
    run_marxan(folder(tmp_path))
    row = pd.read_csv(tmp_path / "output/toy_sum.csv").iloc[0]
    # units 1 and 3 of a row of four: inner edges 1, outer edges 3, 2, 2 and 3
    assert (row.Connectivity_In, row.Connectivity_Edge, row.Connectivity_Out) == (0, 3 + 2 + 3, 2 + 3)
    assert (row.Connectivity, row.Connectivity_Total) == (8, 13)


def all_scores(problem):
    may = problem.allowed()
    options = [np.flatnonzero(row) for row in may]
    return min(problem.value(np.array(choice)) for choice in itertools.product(*options))


@pytest.mark.parametrize(("spf", "score", "solution"), [(0.1, 0.7, [0, 0, 0, 0]), (10.0, 7.0, [1, 0, 1, 0])])
def test_a_target_is_missed_where_its_price_is_below_its_cost(tmp_path, spf, score, solution):
    spec = f"id\tprop\tspf\tname\n1\t0.5\t{spf}\tfrog\n2\t0.5\t{spf}\towl\n"
    given = read_marxan(folder(tmp_path, spec=spec))
    run = solve_marxan(given, spf=True)
    # frog alone costs 4 (unit 1), owl alone 3 (unit 3): a tenth of both is less than any unit
    assert run.score == pytest.approx(score)
    assert run.score == pytest.approx(all_scores(run.problem))
    assert run.solution.tolist() == solution
    annealed = solve_marxan(given, spf=True, solver="annealing")
    assert annealed.score == pytest.approx(run.score)


def test_the_price_of_a_target_is_what_meeting_it_alone_costs():
    amount, cost = np.array([5.0, 2.5, 0.0, 2.5]), np.array([4.0, 6.0, 3.0, 2.0])
    none = np.zeros(4, bool)
    assert greedy_penalty(amount, cost, none, 5.0, 0) == 4.0
    # nothing meets 6 alone: unit 1 and unit 4 have 1.25 a coin, and then the cheapest that does
    assert greedy_penalty(amount, cost, none, 6.0, 0) == 6.0
    assert greedy_penalty(amount, cost, none, 20.0, 0) == 12.0 * 2
    # one that is fixed counts first
    assert greedy_penalty(amount, cost, np.array([True, False, False, False]), 6.0, 0) == 6.0
    assert greedy_penalty(amount, cost, np.array([True, False, False, False]), 5.0, 0) == 0.0
    assert greedy_penalty(amount, cost, none, 1.0, 3) == 12.0


def test_targets_of_occurrences_count_units(tmp_path):
    spec = "id,target,targetocc,spf,name\n1,2,2,1,frog\n2,0,1,1,owl\n"
    run_marxan(folder(tmp_path, spec=spec))
    told = pd.read_csv(tmp_path / "output/toy_mvbest.txt")
    # frog in two of units 1, 2 and 4, owl in 2 or 3: 2 and 4 for 8
    assert told["Occurrences Held"].tolist() == [2, 1]
    assert told["Occurrence Target "].tolist() == [2, 1]
    assert pd.read_csv(tmp_path / "output/toy_sum.csv").Score[0] == 8.0


def test_rows_of_unknown_units_are_left_out_and_told(tmp_path):
    config = folder(tmp_path, blm=1.0)
    with (tmp_path / "input/puvspr.dat").open("a") as file:
        file.write("1,99,100\n")
    with (tmp_path / "input/bound.dat").open("a") as file:
        file.write("4 99 1\n")
    with recording() as notes:
        run = solve_marxan(read_marxan(config))
    assert run.problem.goals.target.tolist() == [5.0, 1.0]
    assert sum("rows of" in n and "left out" in n for n in notes) == 2


# --- the numbers of Marxan's own unit tests --------------------------------------------------------------------


def problem_of(path, bound, more="", blm=1.0, pu="id,cost,status\n1,0,0\n2,0,0\n", spec=None, puvspr=None):
    folder(path, blm=blm, bound=bound, pu=pu, more=more, spec=spec or "id,target,spf\n1,0,1\n")
    (path / "input/puvspr.dat").write_text(puvspr or "species,pu,amount\n1,1,1\n")
    return marxan_problem(read_marxan(path / "input.dat"), spf=True)


def test_connections_cost_as_in_marxans_unit_tests(tmp_path):
    """test/computation_test.cpp, ConnectionCost2: one unit, then two neighbours, symmetric and not."""
    alone = "id1,id2,boundary\n1,1,50\n"
    one = problem_of(tmp_path, alone)
    assert one.penalty(np.array([1, 0])) == 50
    assert problem_of(tmp_path, alone, blm=15.0).penalty(np.array([1, 0])) == 750
    two = problem_of(tmp_path, "id1,id2,boundary\n1,1,50\n2,2,2\n1,2,30\n")
    value = {x: two.penalty(np.array(x)) for x in itertools.product((0, 1), repeat=2)}
    # change of adding unit 1 beside a selected neighbour, of adding unit 2 likewise, and of adding unit 2 alone
    assert value[1, 1] - value[0, 1] == 50 - 30
    assert value[1, 1] - value[1, 0] == 2 - 30
    assert value[0, 1] - value[0, 0] == 2 + 30


def test_directed_connections_cost_where_the_origin_stands_alone(tmp_path):
    """ReserveCost of version 4: a selected origin whose destination is not selected pays."""
    two = problem_of(tmp_path, "id1,id2,boundary\n1,2,30\n", more="ASYMMETRICCONNECTIVITY 1\n")
    value = {x: two.penalty(np.array(x)) for x in itertools.product((0, 1), repeat=2)}
    assert value == {(0, 0): 0, (0, 1): 0, (1, 0): 30, (1, 1): 0}


def test_all_connections_of_a_unit_add_up_as_in_marxans_unit_tests(tmp_path):
    """connectionCost1: fixed 10 and neighbours 2.0 and 4.4 give 16.4; with its own cost of 7, 23.4."""
    bound = "id1,id2,boundary\n1,1,10\n1,2,2.0\n1,3,4.4\n"
    pu = "id,cost,status\n1,7,0\n2,1000,0\n3,1000,0\n"
    priced = problem_of(tmp_path, bound, pu=pu, spec="id,target,spf\n1,1,1\n")
    assert priced.goals.price.tolist() == [pytest.approx(23.4)]
    directed = problem_of(
        tmp_path,
        "id1,id2,boundary\n1,2,2.0\n3,1,4.4\n",
        pu=pu,
        spec="id,target,spf\n1,1,1\n",
        more="ASYMMETRICCONNECTIVITY 1\n",
    )
    # the connection from another unit is not its own; Marxan drops a unit's own row of 10 here
    assert directed.goals.price.tolist() == [pytest.approx(7 + 2.0)]


@pytest.mark.parametrize(
    ("amounts", "spec", "level", "missing", "shortfall", "mpm"),
    [
        ("1,1,5", "id,target,spf\n1,10,1\n", 0.25, 0, 5, 0.5),
        ("1,1,5", "id,target,spf\n1,10,1\n", 0.75, 1, 5, 0.5),
        ("1,1,5", "id,target,targetocc,spf\n1,10,4,1\n", 0.25, 0, 8, 0.25),
        ("1,1,5", "id,target,targetocc,spf\n1,10,4,1\n", 0.75, 1, 8, 0.25),
        ("1,1,15", "id,target,targetocc,spf\n1,10,4,1\n", 0.3, 1, 3, 0.25),
    ],
)
def test_shortfalls_add_up_as_in_marxans_unit_tests(tmp_path, amounts, spec, level, missing, shortfall, mpm):
    """computeRepresentationMISSLEVEL: one feature of which 5 (or 15) of 10 and 1 of 4 occurrences are held."""
    config = folder(tmp_path, spec=spec, pu="id,cost,status\n1,0,2\n2,9,3\n3,9,3\n4,9,3\n")
    config.write_text(config.read_text().replace("MISSLEVEL 0.95", f"MISSLEVEL {level}"))
    (tmp_path / "input/puvspr.dat").write_text(f"species,pu,amount\n{amounts}\n1,2,1\n1,3,1\n1,4,1\n")
    run_marxan(config, spf=True)
    row = pd.read_csv(tmp_path / "output/toy_sum.csv").iloc[0]
    assert (row.Missing_Values, row.Shortfall, row.MPM) == (missing, shortfall, mpm)


def test_the_toy_of_pymarxan_is_solved_to_its_optimum(tmp_path):
    """razinkele/pymarxan, docs/VALIDATION.md: units 2, 4 and 6 for 35 (their annealing finds 43)."""
    pu = "id,cost,status\n1,10,0\n2,15,0\n3,20,0\n4,12,0\n5,18,0\n6,8,0\n"
    config = folder(tmp_path, pu=pu, spec="id,target,spf\n1,30,1\n2,20,1\n3,15,1\n")
    held = {1: (10, 15, 5, 12, 8, 10), 2: (5, 10, 8, 3, 12, 7), 3: (0, 6, 10, 4, 5, 8)}
    rows = [f"{f},{u},{a}" for f, amounts in held.items() for u, a in enumerate(amounts, start=1) if a]
    (tmp_path / "input/puvspr.dat").write_text("species,pu,amount\n" + "\n".join(rows) + "\n")
    for solver in ("exact", "annealing"):
        run = solve_marxan(read_marxan(config), solver=solver)
        assert (run.solution.tolist(), run.score) == ([0, 1, 0, 1, 0, 1], 35.0)
