"""The store, on SQLite and PostgreSQL alike: revisions, blocks, refusals, and several writers."""

import threading
from itertools import pairwise

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from linkways.catalogue import Difference, builtin_records, differences, open_store
from linkways.errors import LinkwaysError
from tests.catalogue.records import plain, record


def test_a_record_comes_back_as_it_was_put(store):
    for one in builtin_records().values():
        store.put(one, author="Ana") if one.id != "costa-rica-land-use" else None
    store.put(builtin_records()["costa-rica-land-use"], author="Ana")
    for id, one in builtin_records().items():
        assert store.get(id) == one
    assert store.ids() == sorted(builtin_records())


def test_all_records_go_in_together_whatever_their_order(store):
    records = sorted(builtin_records().values(), key=lambda one: one.id, reverse=True)
    assert store.put_all(records, author="Ana") == 12
    assert store.put_all(records, author="Ana") == 0


def test_every_change_is_a_revision_with_author_time_and_fields(store):
    store.put(record(), author="Ana", note="first")
    store.put(record(title="Another title"), author="Ben", note="clearer")
    first, second = store.history("a")
    assert (first.number, first.author, first.note, first.changes) == (1, "Ana", "first", ())
    assert (second.number, second.author, second.note) == (2, "Ben", "clearer")
    assert second.changes == (Difference("title", "A corridor for deer", "Another title"),)
    assert first.time.endswith("Z")
    assert first.time <= second.time
    assert store.get("a", 1).title == "A corridor for deer"
    assert store.get("a").title == "Another title"
    assert store.changes("a", 2, 1) == [Difference("title", "Another title", "A corridor for deer")]


def test_a_record_that_has_not_changed_makes_no_revision(store):
    store.put(record(), author="Ana")
    assert store.put(record(), author="Ben").number == 1
    assert len(store.history("a")) == 1


def test_a_new_status_is_a_revision_with_the_same_content(store):
    store.put(record(), author="Ana", status="draft")
    revision = store.set_status("a", "published", author="Ed", note="good")
    assert (revision.number, revision.status, revision.changes) == (2, "published", ())
    assert [one.status for one in store.history("a")] == ["draft", "published"]
    assert store.ids(statuses=["draft"]) == []


@pytest.mark.parametrize("statement", ["UPDATE revisions SET author = 'Eve'", "DELETE FROM revisions"])
def test_the_database_itself_refuses_to_change_a_revision(store, statement):
    store.put(record(), author="Ana")
    with pytest.raises(DBAPIError, match="revisions never change"), store.database.engine.begin() as connection:
        connection.execute(text(statement))
    assert store.history("a")[0].author == "Ana"


def test_work_on_an_old_revision_is_refused_with_who_changed_it(store):
    store.put(record(), author="Ana")
    store.put(record(title="Two"), author="Ben", expected=1)
    with pytest.raises(LinkwaysError, match=r"a has changed since revision 1: revision 2 by Ben of .*; read it again"):
        store.put(record(title="Three"), author="Ana", expected=1)
    with pytest.raises(LinkwaysError, match="b has changed since revision 4: it does not exist"):
        store.put(record("b"), author="Ana", expected=4)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"author": "  "}, "a change needs an author"),
        ({"author": "Ana", "status": "publised"}, r"no status 'publised' \(did you mean 'published'\?\)"),
    ],
)
def test_a_change_without_author_or_with_an_unknown_status_is_refused(store, arguments, sentence):
    with pytest.raises(LinkwaysError, match=sentence):
        store.put(record(), **arguments)
    assert store.ids() == []


def test_a_snapshot_can_be_a_draft_but_not_submitted(store):
    snapshot = record(challenges=[], impacts=[])
    store.put(snapshot, author="Ana", status="draft")
    with pytest.raises(LinkwaysError, match="still a snapshot: it lacks challenges, impacts"):
        store.set_status("a", "submitted", author="Ana")


def test_what_is_not_there_is_told_with_the_nearest(store):
    store.put(record("deer-corridor"), author="Ana")
    with pytest.raises(LinkwaysError, match=r"no solution 'deer-coridor' \(did you mean 'deer-corridor'\?\)"):
        store.get("deer-coridor")
    with pytest.raises(LinkwaysError, match="has revisions 1 to 1, not 3"):
        store.get("deer-corridor", 3)
    with pytest.raises(LinkwaysError, match="no building block 'deer-corridor/gate'"):
        store.block("deer-corridor/gate")


# --- building blocks -----------------------------------------------------------------


def test_a_block_has_versions_of_its_own(store):
    store.put(record(), author="Ana")
    store.put(record(title="Other title, same block"), author="Ana")
    assert store.block("a/fence").version == 1
    store.put(record(building_blocks=[{"id": "fence", "title": "Open it", "description": "Gone."}]), author="Ben")
    assert (store.block("a/fence").version, store.block("a/fence").block.title) == (2, "Open it")
    assert store.block("a/fence", 1).block.title == "Open the fence"
    assert store.get("a").blocks()[0].version == 2
    assert [one.author for one in store.history("a/fence")] == ["Ana", "Ben"]


def test_a_block_taken_over_keeps_its_version_and_knows_who_uses_it(store):
    taken = {"block": "a/fence", "version": 1, "title": "Open the fence", "description": "Here too."}
    store.put(record("a"), author="Ana")
    store.put(record("b", building_blocks=[taken]), author="Ben")
    store.put(record("a", building_blocks=[{"id": "fence", "title": "New", "description": "New."}]), author="Ana")
    assert store.block("a/fence").used_by == {"b": 1}
    assert store.get("b").building_blocks[0].version == 1
    store.put(record("b", building_blocks=[]), author="Ben")
    assert store.block("a/fence").used_by == {}


@pytest.mark.parametrize(
    ("taken", "sentence"),
    [
        ({"block": "a/fense"}, r"no building block 'a/fense' \(did you mean 'a/fence'\?\)"),
        ({"block": "a/fence", "version": 2}, "has versions 1 to 1, not 2"),
    ],
)
def test_a_reference_to_no_block_is_refused_and_nothing_is_kept(store, taken, sentence):
    store.put(record("a"), author="Ana")
    with pytest.raises(LinkwaysError, match=sentence):
        store.put(record("b", building_blocks=[{"title": "t", "description": "d", **taken}]), author="Ben")
    assert store.ids() == ["a"]


def test_blocks_are_found_by_words_and_category(store):
    store.put_all(list(builtin_records().values()), author="Ana")
    assert store.search_blocks("bamboo")[0].id == "qinling-pandas/bamboo-corridor"
    assert {one.id for one in store.search_blocks("fence", category="infrastructure")} == {
        "mule-deer-migration/open-fences"
    }
    every = sum(len(one.blocks()) for one in builtin_records().values())
    assert len(store.search_blocks()) == every
    assert len({one.id for one in store.search_blocks()}) == every


# --- opening -------------------------------------------------------------------------


def test_a_store_opened_again_holds_what_was_put(store_url):
    with open_store(store_url) as first:
        first.put(record(), author="Ana")
    with open_store(store_url) as second:
        assert second.get("a") == record()
        assert second.search("deer").total == 1


def test_what_another_store_puts_is_found_at_once(store_url):
    with open_store(store_url) as one, open_store(store_url) as other:
        assert one.search("").total == 0
        other.put(record(), author="Ana")
        assert one.search("").total == 1
        other.put(record(title="Otters swim again"), author="Ana")
        assert one.search("otters").total == 1
        assert one.search("corridor deer title").total == 0


def test_writers_at_the_same_time_lose_nothing(store_url):
    def write(name):
        with open_store(store_url) as own:
            for n in range(10):
                own.put(record("shared", summary=f"{name} {n}"), author=name)
                own.put(record(f"{name}-{n}"), author=name)

    with open_store(store_url) as store:
        threads = [threading.Thread(target=write, args=(name,)) for name in ("ana", "ben", "cleo")]
        for one in threads:
            one.start()
        for one in threads:
            one.join()
        assert len(store.ids()) == 31
        history = store.history("shared")
        assert [one.number for one in history] == list(range(1, 31))
        assert sorted(one.author for one in history) == ["ana"] * 10 + ["ben"] * 10 + ["cleo"] * 10
        # each difference leads from one revision to the next
        for before, after in pairwise(history):
            assert store.changes("shared", before.number, after.number) == list(after.changes)


def test_a_store_in_memory_needs_no_file():
    with open_store() as store:
        store.put(record(), author="Ana")
        assert store.search("deer").hits[0].id == "a"


def test_a_file_that_is_no_catalogue_is_refused(tmp_path):
    file = tmp_path / "x.sqlite"
    file.write_bytes(b"not a database at all" * 100)
    with pytest.raises(LinkwaysError, match="no catalogue of Linkways"):
        open_store(file)
    with pytest.raises(LinkwaysError, match="lives in SQLite or PostgreSQL, not in 'mysql'"):
        open_store("mysql://x/y")


def test_a_database_that_does_not_answer_is_told_in_one_sentence():
    pytest.importorskip("psycopg")
    with pytest.raises(LinkwaysError, match=r"postgresql.*127.0.0.1:1/x cannot be opened"):
        open_store("postgresql://me:secret@127.0.0.1:1/x")


def test_a_password_is_never_shown():
    pytest.importorskip("psycopg")
    with pytest.raises(LinkwaysError) as told:
        open_store("postgresql://me:secret@127.0.0.1:1/x")
    assert "secret" not in str(told.value)


def test_a_catalogue_of_a_newer_linkways_is_refused(store_url):
    with open_store(store_url) as store, store.database.engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(LinkwaysError, match="of format 9999, this Linkways works with"):
        open_store(store_url)


def test_the_head_that_the_store_knows_is_that_of_the_migrations():
    from pathlib import Path

    from alembic.config import Config
    from alembic.script import ScriptDirectory

    import linkways.catalogue
    from linkways.catalogue._store import HEAD

    config = Config()
    config.set_main_option("script_location", str(Path(linkways.catalogue.__file__).parent / "migrations"))
    assert ScriptDirectory.from_config(config).get_current_head() == HEAD


# --- differences ---------------------------------------------------------------------


def test_a_block_put_in_front_changes_nothing_behind_it():
    before, after = plain(), plain()
    new = {"id": "new", "title": "New", "description": "n"}
    after["building_blocks"] = [new, *after["building_blocks"]]
    assert differences(before, after) == [Difference("building_blocks[new]", None, new)]


def test_blocks_in_another_order_are_one_difference():
    one, two = ({"id": id, "title": id} for id in "xy")
    assert differences({"b": [one, two]}, {"b": [two, one]}) == [Difference("b (order)", ["x", "y"], ["y", "x"])]


def test_true_is_not_one():
    assert differences({"a": [True]}, {"a": [1]}) == [Difference("a[0]", True, 1)]
