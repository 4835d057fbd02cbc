"""The RO-Crate of a run: another program reads back what was made, from what, by which method."""

import hashlib
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.studies.small_study import CHAIN, go

Write = Callable[..., Path]

pytestmark = pytest.mark.usefixtures("plain_report")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_crate_reads_back_with_every_file_and_its_hash(write: Write, calls: Counter[str]) -> None:
    from rocrate.rocrate import ROCrate

    run = go(write(CHAIN))
    crate = ROCrate(str(run.folder))
    assert crate.name == "A chain"
    assert crate.root_dataset["identifier"] == run.id
    files = {entity.id: entity for entity in crate.data_entities}
    on_disk = {
        path.relative_to(run.folder).as_posix()
        for path in run.folder.rglob("*")
        if path.is_file() and ".steps" not in path.parts
    }
    assert set(files) == on_disk - {"ro-crate-metadata.json"}
    for name, entity in files.items():
        assert entity["sha256"] == hashlib.sha256((run.folder / name).read_bytes()).hexdigest()
        assert int(entity["contentSize"]) == (run.folder / name).stat().st_size


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_crate_tells_which_method_made_what_from_what(write: Write, calls: Counter[str]) -> None:
    from rocrate.rocrate import ROCrate

    run = go(write(CHAIN))
    crate = ROCrate(str(run.folder))
    actions = {entity["name"].split(":")[0]: entity for entity in crate.get_by_type("CreateAction")}
    assert set(actions) == {"value", "double", "noise", "both", "summary", "outline"}
    both = actions["both"]
    assert both["instrument"]["name"] == "corridors.test_add"
    assert {one.id for one in both["object"]} == {"layers/double.test_double.tif", "layers/noise.test_noise.tif"}
    assert [one.id for one in both["result"]] == ["layers/both.total.tif"]
    double = {one.id: one for one in actions["double"]["object"]}
    assert double["#parameter-double.factor"]["value"] == 3.0
    assert double["#parameter-double.factor"]["unitText"] == "times"
    (source,) = [one for one in actions["noise"]["object"] if one.id == "#input-land"]
    assert source["sha256"] == hashlib.sha256((run.folder.parent / "land.tif").read_bytes()).hexdigest()
    assert source["usageInfo"] == "CC0-1.0"
    total = next(one for one in actions["summary"]["result"] if one.id == "#value-summary.total")
    assert total["value"] == 6300.0
    assert "land: CC0-1.0" in crate.dereference("#licences")["description"]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_every_reference_in_the_crate_leads_somewhere(write: Write, calls: Counter[str]) -> None:
    import json

    graph = json.loads((go(write(CHAIN)).folder / "ro-crate-metadata.json").read_text())["@graph"]
    ids = [entity["@id"] for entity in graph]
    assert len(ids) == len(set(ids))

    def references(value: object) -> set[str]:
        if isinstance(value, list):
            return set().union(*map(references, value)) if value else set()
        if isinstance(value, dict) and set(value) == {"@id"}:
            return {str(value["@id"])}
        return set()

    used = set().union(*(references(value) for entity in graph for value in entity.values()))
    outside = {"https://w3id.org/ro/crate/1.1", "http://schema.org/CompletedActionStatus"}
    assert used - outside <= set(ids)
