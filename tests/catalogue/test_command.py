"""``linkways solutions``: every subcommand, with and without --json, and its refusals."""

import json
import subprocess
import sys

import pytest
from click.testing import CliRunner

from linkways.catalogue import builtin_records, record_text
from linkways.catalogue._command import solutions
from linkways.errors import LinkwaysError
from tests.catalogue.records import record


@pytest.fixture(autouse=True)
def own_catalogue(tmp_path, monkeypatch):
    """A user's catalogue that does not exist yet."""
    file = tmp_path / "own" / "catalogue.sqlite"
    monkeypatch.setenv("LINKWAYS_CATALOGUE", str(file))
    return file


def run(*arguments):
    result = CliRunner().invoke(solutions, [str(one) for one in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def as_json(*arguments):
    return json.loads(run(*arguments, "--json"))


def test_all_twelve_are_listed_and_nothing_is_written_to_read_them(own_catalogue):
    listed = as_json("list")
    assert [one["id"] for one in listed] == sorted(builtin_records())
    assert {one["id"] for one in listed if one["study"]} == {i for i, r in builtin_records().items() if r.study}
    assert "qinling-pandas" in run("list")
    assert not own_catalogue.exists()


def test_a_solution_is_shown():
    assert as_json("show", "jaguar-corridor") == builtin_records()["jaguar-corridor"].to_data()
    assert "learnt: Where reserves lie matters" in run("show", "great-barrier-reef")


def test_a_solution_without_a_study_tells_the_methods_it_waits_for(tmp_path):
    file = tmp_path / "waiting.yaml"
    file.write_text(record_text(record(waits_for=[{"method": "seas.drift", "purpose": "larvae"}])), encoding="utf-8")
    run("import", file)
    text = run("show", "a")
    assert "Its study waits for" in text
    assert "seas.drift" in text


def test_search_answers_in_words_and_json():
    assert "width 400 m" in run("search", "corridor", "narrower", "than", "500 m")
    found = as_json("search", "--facet", "realm=river", "--facet", "realm=sea")
    assert {hit["id"] for hit in found["hits"]} == {"pacific-salmon", "salween-reserves", "great-barrier-reef"}
    assert as_json("search", "--species", "Ursus arctos")["total"] == 2
    assert as_json("search", "--bounds", "140", "-30", "160", "-10")["hits"][0]["id"] == "great-barrier-reef"


def test_search_within_a_geojson_file(tmp_path):
    file = tmp_path / "area.geojson"
    shape = {"type": "Polygon", "coordinates": [[[57, 37], [60, 37], [57, 40], [57, 37]]]}
    file.write_text(json.dumps({"type": "Feature", "properties": {}, "geometry": shape}), encoding="utf-8")
    assert [hit["id"] for hit in as_json("search", "--within", file)["hits"]] == ["kopet-dag-cats"]


def test_an_imported_record_is_kept_with_its_history(tmp_path, own_catalogue):
    file = tmp_path / "mine.yaml"
    file.write_text(record_text(record("mine")), encoding="utf-8")
    assert as_json("import", file, "--author", "Ana")["new_revisions"] == 1
    file.write_text(record_text(record("mine", title="A new title")), encoding="utf-8")
    assert as_json("import", file, "--author", "Ben", "--note", "clearer")["new_revisions"] == 1
    assert as_json("import", file, "--author", "Ben")["new_revisions"] == 0
    assert own_catalogue.exists()
    history = as_json("show", "mine", "--history")
    assert [(one["author"], one["status"]) for one in history] == [("Ana", "draft"), ("Ben", "draft")]
    assert history[1]["changes"][0]["place"] == "title"
    assert "title:" in run("show", "mine", "--history")
    assert as_json("show", "mine", "--revision", 1)["title"] == "A corridor for deer"
    assert as_json("search", "new title")["hits"][0]["id"] == "mine"


def test_a_check_tells_mistakes_and_puts_nothing_in(tmp_path, own_catalogue):
    file = tmp_path / "mine.yaml"
    file.write_text(record_text(record("mine")), encoding="utf-8")
    assert "1 read, no mistakes" in run("import", "--check", file)
    assert not own_catalogue.exists()


def test_a_built_in_solution_that_someone_changed_stays_changed(tmp_path):
    file = tmp_path / "y2y.yaml"
    changed = builtin_records()["y2y"].model_copy(update={"title": "Ours"})
    file.write_text(record_text(changed), encoding="utf-8")
    run("import", file, "--author", "Ana")
    assert as_json("show", "y2y")["title"] == "Ours"


@pytest.mark.parametrize("name", ["all.json", "all.geojson", "all.csv", "site", "sheet.xlsx"])
def test_the_catalogue_is_exported_by_the_ending(name, tmp_path):
    told = as_json("export", "--out", tmp_path / name)
    assert (tmp_path / name).exists()
    assert told["solutions"] == sorted(builtin_records())


@pytest.mark.parametrize(("name", "form"), [("x.yaml", []), ("x.xlsx", []), ("crate", ["--as", "crate"])])
def test_one_solution_is_exported_alone(name, form, tmp_path):
    run("export", "y2y", "--out", tmp_path / name, *form)
    assert (tmp_path / name).exists()


def test_what_was_exported_comes_in_again(tmp_path):
    run("export", "--out", tmp_path / "all.json")
    run("export", "y2y", "--out", tmp_path / "y2y.xlsx")
    assert "12 read, 0 new revisions" in run(
        "import", tmp_path / "all.json", "--author", "Linkways", "--status", "published"
    )
    assert "1 read" in run("import", "--check", tmp_path / "y2y.xlsx")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["show", "y2x"], r"no solution 'y2x' \(did you mean 'y2y'\?\)"),
        (["show", "y2y", "--language", "es"], "not translated into 'es'"),
        (["search", "--facet", "realm"], "must read NAME=CODE"),
        (["search", "--facet", "relm=sea"], "did you mean 'realm'"),
        (["search", "--order", "best"], "no order 'best'"),
        (["export", "--out", "x.shp"], "no form 'shp'"),
        (["export", "--out", "x.yaml"], "yaml holds one solution and 12 are asked for"),
        (["export", "y2y", "--out", "x.json", "--run", "r"], "--run goes into a crate"),
        (["import", "nothing.yaml"], "there is no file nothing.yaml"),
        (["list", "--store", "mysql://x"], "not in 'mysql'"),
    ],
)
def test_a_mistake_is_one_sentence(arguments, sentence, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(LinkwaysError, match=sentence):
        CliRunner().invoke(solutions, arguments, catch_exceptions=False)
    assert list(tmp_path.iterdir()) == []


def without(package, statement):
    """Run a statement where a package is not installed, and return what it prints."""
    code = f"import sys; sys.modules[{package!r}] = None\n{statement}"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("package", ["pydantic", "sqlalchemy", "alembic"])
def test_without_the_extra_the_catalogue_says_in_one_sentence_what_to_install(package):
    told = without(
        package,
        "from linkways.errors import MissingExtra\n"
        "try:\n    from linkways.catalogue import open_store, read_record\n    open_store()\n"
        "except MissingExtra as error:\n    print(error)",
    )
    assert f"needs the package {package}" in told
    assert "pip install 'linkways[catalogue]'" in told


def test_without_the_extra_studies_of_solutions_still_load():
    told = without("pydantic", "from linkways.studies import load_study; print(load_study('y2y').title)")
    assert told.startswith("A protected network")


def test_importing_the_command_loads_none_of_the_extra():
    code = "import linkways.catalogue._command, sys; print(*sorted(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"pydantic", "sqlalchemy", "alembic", "openpyxl", "shapely", "numpy"} & set(loaded)
