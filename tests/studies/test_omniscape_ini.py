"""Omniscape's INI files: run unchanged, every key honoured or refused by name."""

import numpy as np
import pytest
import rasterio
from rasterio.transform import from_origin

from linkways.errors import LinkwaysError
from linkways.spatial import recording
from linkways.studies.omniscape_ini import DEFAULTS, run_omniscape

pytestmark = pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")


def write(path, values, crs=None):
    profile = {"driver": "GTiff", "dtype": "float64", "nodata": -9999, "count": 1, "crs": crs}
    transform = from_origin(10, 20, 1, 1)
    with rasterio.open(
        path, "w", height=values.shape[0], width=values.shape[1], transform=transform, **profile
    ) as file:
        file.write(np.where(np.isnan(values), -9999, values), 1)


def read(path):
    with rasterio.open(path) as file:
        return file.read(1), file.profile


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder with small inputs, which is the current directory."""
    rng = np.random.default_rng(0)
    resistance = np.exp(rng.normal(size=(12, 13)))
    resistance[3, 4] = np.nan
    write(tmp_path / "resistance.tif", resistance, "EPSG:3035")
    write(tmp_path / "source.tif", rng.random((12, 13)), "EPSG:3035")
    write(tmp_path / "classes.tif", rng.integers(1, 3, (12, 13)).astype(float), "EPSG:3035")
    write(tmp_path / "other_size.tif", np.ones((5, 5)), "EPSG:3035")
    (tmp_path / "reclass.txt").write_text('1\t5\n2\t"missing"\n')
    monkeypatch.chdir(tmp_path)
    return tmp_path


BASE = {"resistance_file": "resistance.tif", "source_file": "source.tif", "radius": "4", "project_name": "out"}


def ini(place, **changes):
    """An INI file with the base settings and these changes; None leaves a key out."""
    settings = {k: v for k, v in (BASE | changes).items() if v is not None}
    path = place / "config.ini"
    path.write_text("[Options]\n" + "\n".join(f"{k} = {v}" for k, v in settings.items()) + "\n")
    return path


def maps(place, **changes):
    """What a run with these changes writes, by name."""
    return {path.stem: read(path)[0] for path in run_omniscape(ini(place, **changes)) if path.suffix != ".ini"}


# --- Omniscape's own files -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "changes", "written"),
    [
        ("config", {}, ["test1/cum_currmap.tif", "test1/flow_potential.tif", "test1/normalized_cum_currmap.tif"]),
        # the file as it is asks for no map
        ("config5", {"write_raw_currmap = false": "write_raw_currmap = true"}, ["test5/cum_currmap.tif"]),
        ("config_reclass", {}, ["test_reclass/classified_resistance.asc", "test_reclass/cum_currmap.asc"]),
    ],
)
def test_omniscapes_own_files_run_unchanged_and_give_its_outputs(shared, tmp_path, monkeypatch, name, changes, written):
    given = shared / "data/corridors/omniscape"
    (tmp_path / "input").mkdir()
    for path in (given / "input").iterdir():
        (tmp_path / "input" / path.name).write_bytes(path.read_bytes())
    config = tmp_path / f"input/{name}.ini"
    text = config.read_text()
    for old, new in changes.items():
        text = text.replace(old, new)
    config.write_text(text)
    monkeypatch.chdir(tmp_path)
    files = run_omniscape(config)
    assert [path.as_posix() for path in files] == [*written, f"{written[0].split('/')[0]}/config.ini"]
    assert sorted(path.name for path in files[0].parent.iterdir()) == sorted(path.name for path in files)
    for file in written:
        ours, profile = read(file)
        theirs, reference = read(given / "output_verify" / file)
        assert np.linalg.norm(ours - theirs) / np.linalg.norm(theirs) < 1e-6
        assert {k: profile[k] for k in ("driver", "dtype", "nodata", "transform")} == {
            k: reference[k] for k in ("driver", "dtype", "nodata", "transform")
        }


def test_the_file_as_it_is_may_ask_for_no_map_at_all(place):
    files = run_omniscape(ini(place, write_raw_currmap="false"))
    assert [path.as_posix() for path in files] == ["out/config.ini"]


# --- keys ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", sorted(DEFAULTS))
def test_every_documented_key_is_honoured_or_refused_by_its_name(place, key):
    # a value that no key can take: keys that read their value name themselves, the others are free text
    needed = {
        "source_from_resistance": "false",
        "conditional": "true",
        "n_conditions": "2",
        "compare_to_future": "both",
        "condition1_file": "classes.tif",
        "condition2_file": "classes.tif",
        "condition1_future_file": "classes.tif",
        "condition2_future_file": "classes.tif",
        "reclassify_resistance": "true",
        "reclass_table": "reclass.txt",
        "write_reclassified_resistance": "true",
        "calc_flow_potential": "true",
        "radius": "4",
    }
    path = ini(place, **(needed | {key: "nonsense value"}))
    if key == "project_name":
        assert run_omniscape(path)[0].parent.name == "nonsense value"
    elif key == "solver":
        with recording() as notes:
            run_omniscape(path)
        assert any("solver 'nonsense value' is not one of Omniscape's" in sentence for sentence in notes)
    else:
        with pytest.raises(LinkwaysError, match=key):
            run_omniscape(path)


def test_an_unknown_key_is_refused_with_the_nearest_and_its_line(place):
    with pytest.raises(
        LinkwaysError, match=r"line 6: Omniscape has no key 'blocksize' \(did you mean 'block_size'\?\)"
    ):
        run_omniscape(ini(place, blocksize="3"))


def test_nothing_is_written_when_a_file_is_refused(place):
    with pytest.raises(LinkwaysError):
        run_omniscape(ini(place, blocksize="3"))
    assert not (place / "out").exists()


@pytest.mark.parametrize("key", ["resistance_file", "radius", "project_name"])
def test_a_missing_required_key_is_named(place, key):
    with pytest.raises(LinkwaysError, match=f"config.ini lacks {key}"):
        run_omniscape(ini(place, **{key: None}))


def test_sources_without_file_are_asked_for(place):
    with pytest.raises(LinkwaysError, match="lacks source_file, which these settings need"):
        run_omniscape(ini(place, source_file=None))


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"radius": "0"}, "radius is '0' but must be a number of at least 1"),
        ({"buffer": "inf"}, "buffer is 'inf' but must be a whole number"),
        ({"mask_nodata": "yes"}, "mask_nodata is 'yes' but must be true or false"),
        ({"source_file": "sauce.tif"}, "source_file names sauce.tif, which is neither in the current directory nor"),
        ({"source_file": "reclass.txt"}, "source_file: cannot read reclass.txt as a raster"),
        ({"source_file": "other_size.tif"}, "source_file has 5 rows and 5 columns, resistance_file 12 and 13"),
        ({"radius": "12"}, "is larger than the raster"),
        ({"source_from_resistance": "true", "r_cutoff": "1e-9"}, "no cell is a source"),
        ({"conditional": "true"}, "lacks condition1_file"),
    ],
)
def test_values_that_cannot_be_run_are_refused_by_name(place, changes, sentence):
    with pytest.raises(LinkwaysError, match=sentence):
        run_omniscape(ini(place, **changes))


# --- what the keys do ----------------------------------------------------------------------------------------


def test_outputs_lie_on_the_inputs_grid_with_nodata_where_resistance_has_it(place):
    run_omniscape(ini(place))
    values, profile = read("out/cum_currmap.tif")
    assert values[3, 4] == profile["nodata"] == -9999
    assert (values >= 0).sum() == 12 * 13 - 1
    assert profile["crs"].to_epsg() == 3035
    assert profile["transform"] == from_origin(10, 20, 1, 1)
    assert (profile["dtype"], profile["compress"]) == ("float64", "lzw")


def test_an_older_run_is_kept_and_the_new_one_gets_a_number(place):
    first, second, third = (run_omniscape(ini(place))[0].parent.name for _ in range(3))
    assert (first, second, third) == ("out", "out_1", "out_2")


def test_ascii_grids_have_no_files_beside_them(place):
    files = run_omniscape(ini(place, write_as_tif="false", calc_flow_potential="true"))
    assert [path.name for path in files] == ["cum_currmap.asc", "flow_potential.asc", "config.ini"]
    found = {path.name for path in (place / "out").iterdir()}
    # the projection of the inputs, as Omniscape writes it
    assert found == {"cum_currmap.asc", "cum_currmap.prj", "flow_potential.asc", "flow_potential.prj", "config.ini"}


def test_single_precision_writes_32_bit_values(place):
    path = run_omniscape(ini(place, precision="single"))[0]
    assert read(path)[1]["dtype"] == "float32"


def test_unmasked_maps_hold_flow_potential_on_nodata(place):
    found = maps(place, mask_nodata="false", calc_flow_potential="true", calc_normalized_current="true")
    assert found["cum_currmap"][3, 4] == 0
    assert found["flow_potential"][3, 4] > 0
    assert found["normalized_cum_currmap"][3, 4] == 0


def test_normalised_current_is_current_over_flow_potential(place):
    found = maps(place, calc_flow_potential="true", calc_normalized_current="true")
    known = found["cum_currmap"] >= 0
    ratio = found["cum_currmap"][known] / found["flow_potential"][known]
    np.testing.assert_allclose(found["normalized_cum_currmap"][known], ratio)


def test_conductance_is_the_inverse_of_resistance_under_both_names_of_its_key(place):
    plain = maps(place)["cum_currmap"]
    write(place / "conductance.tif", 1 / np.where(read("resistance.tif")[0] > 0, read("resistance.tif")[0], np.nan))
    for key in ("resistance_is_conductance", "resistance_file_is_conductance"):
        with recording():
            found = maps(place, resistance_file="conductance.tif", **{key: "true"})["cum_currmap"]
        np.testing.assert_allclose(found, plain, rtol=1e-9)


def test_parallel_keys_change_how_and_not_what(place):
    plain = maps(place)["cum_currmap"]
    for keys in ({"parallelize": "false"}, {"parallel_batch_size": "3"}):
        np.testing.assert_allclose(maps(place, **keys)["cum_currmap"], plain, rtol=1e-9)


def test_layers_that_say_they_lie_elsewhere_are_told_of_unless_allowed(place):
    write(place / "source.tif", np.ones((12, 13)), "EPSG:3857")
    with recording() as notes:
        run_omniscape(ini(place))
    assert any("source_file and resistance_file say that they lie in different places" in note for note in notes)
    with recording() as notes:
        run_omniscape(ini(place, allow_different_projections="true"))
    assert notes == []


def test_an_even_block_is_raised_as_omniscape_does(place):
    with recording() as notes:
        even = maps(place, block_size="2")["cum_currmap"]
    assert notes == ["config.ini: block_size 2 is even, and a block needs a centre: raised to 3"]
    np.testing.assert_array_equal(even, maps(place, block_size="3")["cum_currmap"])


def test_each_setting_changes_the_map(place):
    base = maps(place, block_size="3")["cum_currmap"]
    for change in (
        {"buffer": "2"},
        {"source_threshold": "0.5"},
        {"connect_four_neighbors_only": "true"},
        {"correct_artifacts": "false"},
        {"source_from_resistance": "true"},
        {"conditional": "true", "condition1_file": "classes.tif", "comparison1": "equal"},
        {"conditional": "true", "condition1_file": "classes.tif", "condition1_upper": "1"},
    ):
        assert np.abs(maps(place, block_size="3", **change)["cum_currmap"] - base).max() > 1e-3, change


def test_future_values_are_those_of_the_target(place):
    write(place / "later.tif", read("classes.tif")[0] + 7)
    settings = {"conditional": "true", "condition1_file": "classes.tif"}
    with recording():
        plain = maps(place, **settings)
        shifted = maps(
            place, **settings, compare_to_future="1", condition1_future_file="later.tif",
            condition1_lower="-7", condition1_upper="-7",
        )  # fmt: skip
    np.testing.assert_allclose(shifted["cum_currmap"], plain["cum_currmap"], rtol=1e-12)


def test_a_reclass_table_that_is_not_asked_for_is_not_read(place):
    assert maps(place, reclass_table="no/such/file.txt")


def test_reclassified_resistance_is_written_with_missing_as_nodata(place):
    classes = read("classes.tif")[0]
    found = maps(
        place, resistance_file="classes.tif", reclassify_resistance="true", reclass_table="reclass.txt",
        write_reclassified_resistance="true",
    )  # fmt: skip
    np.testing.assert_array_equal(found["classified_resistance"], np.where(classes == 1, 5, -9999))
