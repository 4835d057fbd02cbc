"""Marxan folders whose best plan can be found by hand."""

import pandas as pd
import pytest

from linkways.cli import main
from linkways.errors import LinkwaysError
from linkways.planning._marxan_files import read_marxan
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
    assert pd.read_csv(tmp_path / "output/toy_ssoln.dat", sep="\t").number.sum() == 2


def test_the_boundary_joins_units_and_a_pair_told_twice_counts_once(tmp_path):
    # 1 and 2 together: cost 10, edge 3 + 2 + 1; 1 and 3: cost 7, edge 3 + 1 + 2 + 1 + 1
    run = solved(tmp_path, blm=2.0)
    assert (run.solutions.tolist(), run.score) == ([1, 1, 0, 0], 10 + 2 * 6)


def test_locked_units_and_amounts_as_targets_are_read(tmp_path):
    pu = "id,cost,status\n1,4,3\n2,6,0\n3,3,2\n4,2,1\n"
    spec = "id,target,spf\n1,5,10\n2,1,10\n"
    assert solved(tmp_path, pu=pu, spec=spec).solutions.tolist() == [0, 1, 1, 1]


def test_targets_that_cannot_be_met_are_lowered_and_told(tmp_path):
    pu = "id,cost,status\n1,4,3\n2,6,0\n3,3,0\n4,2,3\n"
    with recording() as notes:
        run = solved(tmp_path, pu=pu)
    assert run.solutions.tolist() == [0, 1, 0, 0]
    assert any("1 targets lowered to what may be selected (frog 5 to 2.5)" in n for n in notes)


def test_asymmetric_connections_cost_in_one_direction_only(tmp_path):
    bound = "id1,id2,boundary\n1,2,5\n2,1,1\n3,4,1\n"
    run = solved(tmp_path, blm=1.0, bound=bound, more="ASYMMETRICCONNECTIVITY 1\n")
    # {1, 3}: 7 + 5 + 1; {2, 4}: 8 + 1; {1, 2}: 10
    assert (run.solutions.tolist(), run.score) == ([0, 1, 0, 1], 9.0)


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"more": "COSTTHRESH 5\n"}, "a cost threshold"),
        ({"more": "PROBABILITYWEIGHTING 1\n"}, "probabilities of loss"),
        ({"spec": "id,prop,target2\n1,0.5,3\n2,0.5,0\n"}, "least size of clumps"),
        ({"spec": "id,prop,sepnum\n1,0.5,3\n2,0.5,0\n"}, "separated occurrences"),
        ({"spec": "id,prop,targetocc\n1,0.5,3\n2,0.5,0\n"}, "target of occurrences"),
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
