"""Reading and writing tables."""

import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

from linkways.errors import LinkwaysError
from linkways.spatial import read_table, write_table


@pytest.fixture
def pairs():
    return pd.DataFrame({"from_core": [1, 1], "to_core": [2, 3], "cost": [1 / 3, np.nan], "name": ["é", "b,c"]})


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_what_is_written_comes_back_with_all_digits(tmp_path, pairs, ending):
    assert_frame_equal(read_table(write_table(pairs, tmp_path / f"p.{ending}")), pairs)


def test_csv_is_plain_text_without_the_row_numbers(tmp_path, pairs):
    write_table(pairs.iloc[:1], tmp_path / "p.csv")
    assert (tmp_path / "p.csv").read_bytes().decode() == "from_core,to_core,cost,name\n1,2,0.3333333333333333,é\n"


def test_a_named_index_is_kept(tmp_path, pairs):
    write_table(pairs.set_index("from_core"), tmp_path / "p.csv")
    assert list(read_table(tmp_path / "p.csv").columns) == ["from_core", "to_core", "cost", "name"]


def test_compressed_csv_and_a_byte_order_mark_are_read(tmp_path, pairs):
    pairs.to_csv(tmp_path / "p.csv.gz", index=False, encoding="utf-8-sig")
    assert_frame_equal(read_table(tmp_path / "p.csv.gz"), pairs)


def test_columns_are_chosen_in_order_and_a_missing_one_names_the_nearest(tmp_path, pairs):
    write_table(pairs, tmp_path / "p.csv")
    assert list(read_table(tmp_path / "p.csv", columns=["cost", "to_core"]).columns) == ["cost", "to_core"]
    with pytest.raises(LinkwaysError, match=r"table p.csv has no column 'to_cor' \(did you mean 'to_core'\?\)"):
        read_table(tmp_path / "p.csv", columns=["to_cor"])


@pytest.mark.parametrize(
    ("name", "content"),
    [("e.csv", b""), ("r.csv", b"a,b\n1,2\n1,2,3,4\n"), ("u.csv", b"a\n\xff\xfe\n"), ("p.parquet", b"hello")],
)
def test_files_that_are_no_tables_are_refused(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(LinkwaysError, match=f"cannot read .*{name} as a"):
        read_table(tmp_path / name)


def test_missing_files_and_other_endings_are_refused(tmp_path, pairs):
    write_table(pairs, tmp_path / "pairs.csv")
    with pytest.raises(LinkwaysError, match=r"did you mean 'pairs.csv'"):
        read_table(tmp_path / "pair.csv")
    with pytest.raises(LinkwaysError, match=r"cannot tell the format of table t.xlsx: end the name with .csv \(CSV\)"):
        read_table(tmp_path / "t.xlsx")
    with pytest.raises(LinkwaysError, match=r"cannot tell the format of table t.txt"):
        write_table(pairs, tmp_path / "t.txt")
