"""Configuration files of Circuitscape: what they switch on is written, what they cannot mean is refused by name."""

import gzip
from pathlib import Path

import numpy as np
import pytest
import rasterio

from linkways.errors import LinkwaysError
from linkways.spatial import recording
from linkways.studies.circuitscape_ini import KEYS, read_circuitscape_ini, run_circuitscape

HEADER = "ncols {1}\nnrows {0}\nxllcorner 0\nyllcorner 0\ncellsize 10\nNODATA_value -9999\n"


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def grid(name, values):
    values = np.asarray(values)
    body = "\n".join(" ".join(str(v) for v in row) for row in values.tolist())
    Path(name).write_text(HEADER.format(*values.shape) + body + "\n")
    return name


def config(**keys):
    """A pairwise case on a row of four cells with resistances 2, 2, 4, 4 (steps 2, 3, 4) and nodes 1, 2, 3."""
    if "habitat_file" not in keys:
        keys["habitat_file"] = grid("habitat.asc", [[2, 2, 4, 4]])
    if "point_file" not in keys and keys.get("scenario") != "advanced":
        keys["point_file"] = grid("points.asc", [[1, -9999, 2, 3]])
    given = {"scenario": "pairwise", "connect_using_avg_resistances": "True", "output_file": "out/run.out"} | keys
    text = "[Section]\n# a remark\n" + "".join(f"{key} = {value}\n" for key, value in given.items())
    Path("case.ini").write_text(text)
    return Path("case.ini")


def names(written):
    return sorted(p.name for p in written)


def rows(path):
    return [[float(w) for w in line.split()] for line in Path(path).read_text().splitlines()]


def values_of(path):
    data = Path(path).read_bytes()
    text = (gzip.decompress(data) if path.endswith(".gz") else data).decode()
    return np.array([[float(w) for w in line.split()] for line in text.splitlines()[6:]])


def refusal(**keys):
    with pytest.raises(LinkwaysError) as error:
        run_circuitscape(config(**keys))
    assert not list(Path("out").glob("*")) if Path("out").exists() else True
    return str(error.value)


# --- reading the configuration -----------------------------------------------------------------------------------


def test_an_unknown_key_is_refused_with_the_nearest_and_its_line():
    said = refusal(wrte_cur_maps="True")
    assert "Circuitscape has no key 'wrte_cur_maps' (did you mean 'write_cur_maps'?)" in said
    assert "line 6:" in said


def test_values_of_the_wrong_kind_are_refused():
    assert "write_cur_maps is 'perhaps' but must be True or False" in refusal(write_cur_maps="perhaps")
    assert "scenario is 'all' but must be one of pairwise" in refusal(scenario="all")
    assert "max_parallel is '-2' but must be a whole number" in refusal(max_parallel="-2")
    assert "remove_src_or_gnd is 'both'" in refusal(remove_src_or_gnd="both")


def test_what_is_missing_is_named():
    assert "point_file names no file" in refusal(point_file="(Browse for file with locations of focal points)")
    assert "mask_file names nowhere.asc, which is neither" in refusal(use_mask="True", mask_file="nowhere.asc")
    Path("case.ini").write_text("habitat_file = habitat.asc\n")
    with pytest.raises(LinkwaysError, match="scenario is missing"):
        run_circuitscape(Path("case.ini"))
    with pytest.raises(LinkwaysError, match="there is no configuration file"):
        run_circuitscape(Path("absent.ini"))


def test_networks_have_no_one_to_all_mode():
    assert "networks are run with scenario pairwise or advanced" in refusal(data_type="network", scenario="one-to-all")


def test_keys_that_cannot_be_honoured_are_refused_by_name():
    assert "profiler_log_file = profile.log cannot be honoured" in refusal(profiler_log_file="profile.log")
    assert "print_rusages = True cannot be honoured" in refusal(print_rusages="True")


def test_keys_about_how_to_compute_are_noted():
    with recording() as notes:
        run_circuitscape(config(solver="cholmod", low_memory_mode="True", precision="Single"))
    assert [n.split(" = ")[0].split()[-1] for n in notes] == ["solver", "precision", "low_memory_mode"]


def test_every_documented_key_is_read():
    given = {key: "False" for key, (kind, _) in KEYS.items() if kind == "flag"}
    settings = read_circuitscape_ini(config(**given))
    assert settings["use_mask"] is False
    assert settings["use_64bit_indexing"] is False
    with recording() as notes:
        run_circuitscape(config(solver="cholmod", suppress_messages="True"))
    assert notes == []


# --- what is written -----------------------------------------------------------------------------------------------


def test_pairwise_writes_both_resistance_files_and_no_maps_unless_asked():
    assert names(run_circuitscape(config())) == ["run_resistances.out", "run_resistances_3columns.out"]
    assert rows("out/run_resistances.out") == [[0, 1, 2, 3], [1, 0, 5, 9], [2, 5, 0, 4], [3, 9, 4, 0]]
    assert rows("out/run_resistances_3columns.out") == [[1, 2, 5], [1, 3, 9], [2, 3, 4]]


def test_maps_are_written_by_pair_and_together():
    found = names(run_circuitscape(config(write_cur_maps="True", write_volt_maps="True", write_max_cur_maps="True")))
    pairs = ["1_2", "1_3", "2_3"]
    by_pair = [f"run_{kind}_{pair}.asc" for kind in ("curmap", "voltmap") for pair in pairs]
    assert [n for n in found if "map" in n] == sorted([*by_pair, "run_cum_curmap.asc", "run_max_curmap.asc"])
    np.testing.assert_allclose(values_of("out/run_cum_curmap.asc"), [[2, 2, 3, 2]], atol=1e-9)
    np.testing.assert_allclose(values_of("out/run_max_curmap.asc"), [[1, 1, 1, 1]], atol=1e-9)
    np.testing.assert_allclose(values_of("out/run_voltmap_1_3.asc"), [[0, 2, 5, 9]], atol=1e-9)


def test_the_cumulative_map_can_be_had_alone():
    found = names(run_circuitscape(config(write_cur_maps="True", write_cum_cur_map_only="True")))
    assert [n for n in found if "map" in n] == ["run_cum_curmap.asc"]


def test_maps_can_be_log_transformed_compressed_and_blank_on_nodata():
    habitat = grid("barred.asc", [[1, 1, 1], [1, -9999, -9999], [1, -9999, 1]])
    points = grid("two.asc", [[1, -9999, 2], [-9999, -9999, -9999], [-9999, -9999, -9999]])
    keys = {"habitat_file": habitat, "point_file": points, "connect_four_neighbors_only": "True"}
    keys |= {"write_cur_maps": "True", "compress_grids": "True"}
    run_circuitscape(config(**keys, log_transform_maps="True"))
    logged = values_of("out/run_curmap_1_2.asc.gz")
    np.testing.assert_allclose(logged[0], 0, atol=1e-9)
    assert (logged[1:, 0] == -9999).all()  # a dead end carries no current, whose logarithm is nodata
    run_circuitscape(config(**keys, set_null_currents_to_nodata="True"))
    blank = values_of("out/run_cum_curmap.asc.gz")
    assert blank[1, 1] == -9999
    assert blank[2, 0] == 0


def test_maps_can_be_geotiffs_with_the_same_values():
    run_circuitscape(config(write_cur_maps="True"))
    run_circuitscape(config(write_cur_maps="True", write_as_tif="True"))
    with rasterio.open("out/run_cum_curmap.tif") as tif:
        np.testing.assert_allclose(tif.read(1), values_of("out/run_cum_curmap.asc"), atol=1e-9)
        assert tuple(tif.bounds) == (0, 0, 40, 10)
        assert tif.nodata == -9999


def test_focal_currents_can_be_zero_on_the_nodes_of_the_pair():
    run_circuitscape(config(write_cur_maps="True", set_focal_node_currents_to_zero="True"))
    np.testing.assert_allclose(values_of("out/run_cum_curmap.asc"), [[0, 2, 1, 0]], atol=1e-9)


def test_the_log_file_holds_the_notes():
    run_circuitscape(config(solver="pardiso", log_file="run.log", print_timings="True"))
    lines = Path("run.log").read_text().splitlines()
    assert "solver = pardiso has no effect" in lines[0]
    assert "finished in" in lines[1]


# --- what is read ----------------------------------------------------------------------------------------------------


def test_focal_nodes_may_be_a_text_list_and_lie_on_nodata():
    Path("list.txt").write_text("1\t5\t5\n2 25 5\n\n4 15 15\n")
    habitat = grid("two_rows.asc", [[-9999, -9999, -9999], [1, 1, 1]])
    with recording() as notes:
        run_circuitscape(config(habitat_file=habitat, point_file="list.txt"))
    assert rows("out/run_resistances.out") == [[0, 1, 2, 4], [1, 0, 2, -1], [2, 2, 0, -1], [4, -1, -1, 0]]
    assert any("focal nodes 4 lie on nodata" in n for n in notes)


def test_a_repeated_id_is_one_region():
    points = grid("regions.asc", [[1, 1, -9999, 2]])
    run_circuitscape(config(point_file=points))
    assert rows("out/run_resistances_3columns.out") == [[1, 2, 7]]


def test_zipped_grids_and_headers_without_nodata_are_read():
    text = "NCOLS 4\nNROWS 1\nXLLCENTER 5\nYLLCENTER 5\nCELLSIZE 10\n2 2 4 4\n"
    Path("habitat.asc.gz").write_bytes(gzip.compress(text.encode()))
    run_circuitscape(config(habitat_file="habitat.asc.gz"))
    assert rows("out/run_resistances_3columns.out")[0] == [1, 2, 5]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("mode include\n1 3\n", [[1, 3, 9]]),
        ("mode\texclude\n3 1\n", [[1, 2, 5], [1, 3, -1], [2, 3, 4]]),
        ("min 2\nmax 50\n0 1 2 3\n1 0 7 60\n2 7 0 1\n3 60 1 0\n", [[1, 2, 5], [1, 3, -1], [2, 3, -1]]),
    ],
)
def test_pairs_may_be_listed_left_out_or_chosen_by_a_matrix(text, expected):
    Path("pairs.txt").write_text(text)
    run_circuitscape(config(use_included_pairs="True", included_pairs_file="pairs.txt"))
    assert rows("out/run_resistances_3columns.out") == expected


def test_habitat_values_can_be_reclassified_and_masked():
    Path("reclass.txt").write_text("4 2\n")
    run_circuitscape(config(use_reclass_table="True", reclass_file="reclass.txt"))
    assert rows("out/run_resistances_3columns.out") == [[1, 2, 4], [1, 3, 6], [2, 3, 2]]
    mask = grid("mask.asc", [[1, 0, 1, 1]])
    run_circuitscape(config(use_mask="True", mask_file=mask))
    assert rows("out/run_resistances_3columns.out") == [[1, 2, -1], [1, 3, -1], [2, 3, 4]]


def test_source_strengths_vary_and_default_to_one():
    Path("strengths.txt").write_text("1 5\n")
    keys = {"use_variable_source_strengths": "True", "variable_source_file": "strengths.txt", "write_cur_maps": "True"}
    run_circuitscape(config(scenario="all-to-one", **keys))
    np.testing.assert_allclose(values_of("out/run_curmap_3.asc"), [[5, 5, 6, 6]], atol=1e-8)
    assert rows("out/run_resistances.out") == [[1, 0], [2, 0], [3, 0]]


def test_advanced_mode_honours_unit_currents_and_direct_grounds():
    Path("sources.txt").write_text("3 5 5\n")
    Path("grounds.txt").write_text("10 35 5\n")
    keys = {
        "scenario": "advanced",
        "source_file": "sources.txt",
        "ground_file": "grounds.txt",
        "write_volt_maps": "True",
    }
    run_circuitscape(config(**keys))
    np.testing.assert_allclose(values_of("out/run_voltmap.asc"), [[57, 51, 42, 30]], atol=1e-7)
    run_circuitscape(config(**keys, use_unit_currents="True", use_direct_grounds="True"))
    np.testing.assert_allclose(values_of("out/run_voltmap.asc"), [[9, 7, 4, 0]], atol=1e-7)
    run_circuitscape(config(**keys, ground_file_is_resistances="False"))
    np.testing.assert_allclose(values_of("out/run_voltmap.asc"), [[27.3, 21.3, 12.3, 0.3]], atol=1e-7)


def test_a_network_is_solved_and_written_as_lists():
    Path("net.txt").write_text("0 1 2\n1 2 2\n")
    Path("focal.txt").write_text("0\n2\n")
    keys = {"data_type": "network", "habitat_file": "net.txt", "point_file": "focal.txt", "write_cur_maps": "True"}
    found = names(run_circuitscape(config(**keys, write_volt_maps="True")))
    assert found == sorted(
        f"run_{n}"
        for n in (
            "branch_currents_0_2.txt", "branch_currents_cum.txt", "node_currents_0_2.txt", "node_currents_cum.txt",
            "voltages_0_2.txt", "resistances.out", "resistances_3columns.out",
        )
    )  # fmt: skip
    assert rows("out/run_voltages_0_2.txt") == [[0, 0], [1, 2], [2, 4]]
    assert rows("out/run_branch_currents_0_2.txt") == [[0, 1, 1], [1, 2, 1]]


# --- mistakes in the inputs ----------------------------------------------------------------------------------------


def test_zeros_and_ones_given_as_resistance_are_told_to_look_like_habitat():
    said = refusal(habitat_file=grid("binary.asc", [[1, 0, 1, 1]]))
    assert "only zeros and ones" in said
    assert "habitat_map_is_resistances = False" in said


def test_grids_of_different_size_are_refused():
    points = grid("small.asc", [[1, 2]])
    assert "has 1 rows and 2 columns but the habitat map has 1 and 4" in refusal(point_file=points)


def test_points_outside_the_map_are_refused():
    Path("far.txt").write_text("1 5 5\n2 500 5\n")
    assert "the point 500 5 (value 2) lies outside the habitat map" in refusal(point_file="far.txt")


def test_a_habitat_map_given_as_focal_nodes_is_refused_unless_meant():
    habitat = grid("large.asc", np.ones((71, 71), int))
    points = grid("ids.asc", np.arange(1, 71 * 71 + 1).reshape(71, 71))
    assert "5041 ids, more than 5000: is it a habitat map?" in refusal(habitat_file=habitat, point_file=points)


def test_broken_files_are_told_with_their_line():
    Path("odd.txt").write_text("1 5 5\n2 five 5\n")
    assert "line 2: '2 five 5' must hold numbers only" in refusal(point_file="odd.txt")
    Path("short.asc").write_text(HEADER.format(1, 4) + "1 2\n")
    assert "holds 2 values but its header tells 1 rows of 4" in refusal(habitat_file="short.asc")
    Path("pairs.txt").write_text("1 2\n")
    assert "must start with 'mode include'" in refusal(use_included_pairs="True", included_pairs_file="pairs.txt")


def test_network_nodes_that_do_not_exist_are_refused():
    Path("net.txt").write_text("0 1 2\n")
    Path("focal.txt").write_text("0\n7\n")
    assert "node 7 is not in the network" in refusal(
        data_type="network", habitat_file="net.txt", point_file="focal.txt"
    )
