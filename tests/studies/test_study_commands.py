"""`linkways study check | run | show` from the command line."""

import json
import sys

import pytest

from linkways.cli import main
from tests.studies.small_study import CHAIN


def linkways(*arguments, capsys):
    with pytest.raises(SystemExit) as ended:
        main([str(a) for a in arguments])
    out, err = capsys.readouterr()
    return ended.value.code, out, err


def test_a_study_is_checked_run_shown_and_taken_over(write, calls, plain_report, capsys):
    study = write(CHAIN)
    out = study.parent / "out"
    code, said, _ = linkways("study", "check", study, capsys=capsys)
    assert (code, said.strip()) == (0, "A chain: 2 inputs and 6 steps, no mistakes found")
    code, said, told = linkways("study", "run", study, "--out", out, capsys=capsys)
    assert code == 0
    assert f"Report: {out / 'report.html'}" in said
    assert "[6/6]" in told
    code, said, _ = linkways("study", "show", out, capsys=capsys)
    assert "both: corridors.test_add" in said
    code, said, _ = linkways("study", "show", out, "--json", capsys=capsys)
    assert json.loads(said)["title"] == "A chain"
    code, _, told = linkways("study", "run", study, "--out", out, "--set", "double.factor=5", capsys=capsys)
    assert "value (kept from before)" in told
    assert calls["double"] == 2
    assert calls["reclass"] == 1


def test_a_study_is_shown_before_it_runs(write, calls, capsys):
    code, said, _ = linkways("study", "show", write(CHAIN), capsys=capsys)
    assert code == 0
    assert "  double: corridors.test_double" in said


def test_all_mistakes_are_told_a_line_each_and_nothing_is_written(write, calls, capsys):
    study = write(CHAIN.replace("factor: 3", "factr: 3").replace("corridors.test_noise", "corridors.test_nois"))
    code, said, told = linkways("study", "run", study, "--out", study.parent / "out", capsys=capsys)
    assert code == 2
    assert said == ""
    lines = told.strip().splitlines()
    assert len(lines) == 2
    assert all(line.startswith("Error: ") and "study.yaml line" in line for line in lines)
    assert not (study.parent / "out").exists()
    code, _, told = linkways("study", "check", study, capsys=capsys)
    assert code == 2
    assert [line for line in told.strip().splitlines() if line.startswith("Error: ")] == lines


def test_a_stopped_run_ends_with_its_own_code(write, calls, plain_report, capsys, monkeypatch):
    from linkways.studies import RunStopped, run

    def stopped(*_, **__):
        raise RunStopped("stopped with 1 of 6 steps finished")

    monkeypatch.setattr(run, "run_study", stopped)
    monkeypatch.setattr("linkways.studies.run_study", stopped, raising=False)
    study = write(CHAIN)
    code, _, told = linkways("study", "run", study, "--out", study.parent / "out", capsys=capsys)
    assert code == 130
    assert "stopped with 1 of 6" in told


def test_printing_to_pdf_without_its_package_is_refused_before_work(write, calls, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "weasyprint", None)
    study = write(CHAIN)
    code, _, told = linkways("study", "run", study, "--out", study.parent / "out", "--pdf", capsys=capsys)
    assert code == 2
    assert "pip install 'linkways[pdf]'" in told
    assert not (study.parent / "out").exists()
    assert not calls


@pytest.mark.filterwarnings("ignore")
def test_the_report_is_printed_to_pdf(write, calls, capsys):
    try:
        import weasyprint  # noqa: F401
    except (ImportError, OSError):
        pytest.skip("WeasyPrint or the Pango library it needs is not on this machine")
    study = write(CHAIN)
    code, said, _ = linkways("study", "run", study, "--out", study.parent / "out", "--pdf", capsys=capsys)
    assert code == 0
    assert "report.pdf" in said
    assert (study.parent / "out/report.pdf").read_bytes().startswith(b"%PDF")
