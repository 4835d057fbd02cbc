"""Conefor files on the command line and in a study."""

import pandas as pd
import pytest

from linkways import networks
from linkways.cli import main
from linkways.studies import check_study, load_study, run_study

STUDY = """
linkways: 1
title: A network from Conefor files
inputs:
  nodes: {path: nodes.txt}
  links: {path: links.txt}
steps:
  - {id: read, method: networks.import_conefor, inputs: {nodes: nodes, links: links}}
  - id: worth
    method: networks.indices
    inputs: {patches: read.patches, links: read.links}
    parameters: {attribute: attribute, distance: 350.5}
"""


@pytest.fixture
def files(tmp_path):
    (tmp_path / "nodes.txt").write_text("1\t20.5\n2\t7\n", encoding="utf-8")
    (tmp_path / "links.txt").write_text("2\t1\t350.5\n", encoding="utf-8")
    return tmp_path


def test_the_command_line_reads_conefor_files(files):
    given = ["--nodes", str(files / "nodes.txt"), "--links", str(files / "links.txt"), "--out", str(files / "out")]
    with pytest.raises(SystemExit) as end:
        main(["networks", "import-conefor", *given])
    assert end.value.code == 0
    links = pd.read_csv(files / "out/import_conefor.links.csv")
    assert links.to_dict("records") == [{"patch_a": 1, "patch_b": 2, "distance_m": 350.5}]


def test_the_indices_take_what_was_imported():
    found = networks.import_conefor(pd.DataFrame([[1, 3.0], [2, 4.0]]), pd.DataFrame([[1, 2, 1000.0]]))
    result = networks.indices(found.patches, found.links, attribute="attribute", distance=1000)
    # 9 + 16 + 2 x 12 x 0.5
    assert result.equivalent_connectivity == pytest.approx(37**0.5)


def test_a_study_reads_conefor_files_by_their_path(files):
    (files / "study.yaml").write_text(STUDY, encoding="utf-8")
    study = load_study(files / "study.yaml")
    assert check_study(study) == []
    run_study(study, files / "out")
    found = next((files / "out").rglob("*worth*indices*.csv"))
    table = pd.read_csv(found).set_index("index")["value"]
    assert table["EC(PC)"] == pytest.approx((20.5**2 + 7**2 + 20.5 * 7) ** 0.5)
