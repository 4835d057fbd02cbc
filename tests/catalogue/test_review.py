"""The editorial flow: who may do what, what must be so before a record is approved, and who is told."""

import pytest

from linkways.catalogue import Desk, Reviewer, Store, builtin_record, open_store, record_from
from linkways.errors import LinkwaysError

ANA, REV, ED = Reviewer("ana", "contributor"), Reviewer("rev", "reviewer"), Reviewer("ed", "editor")
FULL = {
    "id": "hill-road",
    "title": "A road over a hill",
    "summary": "Animals cross it.",
    "place": {"name": "A hill"},
    "challenges": ["A road."],
    "building_blocks": [{"id": "bridge", "title": "A bridge", "description": "Over the road."}],
    "impacts": [{"fact": "Deer cross.", "source": "The rangers"}],
}
STUDY = {"linkways": 1, "steps": [{"id": "cores", "method": "corridors.cores"}]}


@pytest.fixture
def store():
    with open_store() as opened:
        opened.put(record_from(FULL), author="ana", status="draft")
        yield opened


@pytest.fixture
def desk(store: Store) -> Desk:
    return Desk(store)


def all_met(desk: Desk, who: Reviewer = REV) -> None:
    desk.judge("hill-road", who, dict.fromkeys(("relevance", "impact", "replicable"), (True, "")))


def test_a_record_goes_from_draft_to_published_and_its_author_hears_of_every_step(desk: Desk, store: Store) -> None:
    desk.move("hill-road", "submitted", ANA)
    desk.move("hill-road", "feedback", REV, "tell more of the deer")
    desk.move("hill-road", "submitted", ANA)
    all_met(desk)
    desk.move("hill-road", "approved", REV)
    desk.move("hill-road", "published", ED)
    assert [one.status for one in store.history("hill-road")] == [
        *("draft", "submitted", "feedback", "submitted", "approved", "published")
    ]
    assert [one.body for one in desk.notices("ana")] == [
        "published by {ed}",
        "approved by {rev}",
        "feedback by {rev}: tell more of the deer",
    ]
    desk.saw("ana")
    assert all(one.seen for one in desk.notices("ana"))


@pytest.mark.parametrize(
    ("path", "to", "who", "told"),
    [
        ([], "published", ED, "is draft and cannot become 'published'"),
        ([], "submitted", REV, "only its authors may make hill-road 'submitted'"),
        (["submitted"], "feedback", ANA, "only reviewers may"),
        (["submitted"], "approved", REV, "not met or not yet judged: relevance, impact, replicable"),
        (["submitted"], "aproved", REV, "cannot become 'aproved'.*'approved'"),
    ],
)
def test_a_step_that_is_not_this_persons_or_not_yet_due_is_refused(desk: Desk, path, to, who, told) -> None:
    for state in path:
        desk.move("hill-road", state, ANA)
    with pytest.raises(LinkwaysError, match=told):
        desk.move("hill-road", to, who)


def test_nobody_approves_or_judges_a_record_of_their_own(desk: Desk, store: Store) -> None:
    store.put(record_from(FULL | {"summary": "Changed."}), author="rev", status="draft")
    desk.move("hill-road", "submitted", ANA)
    with pytest.raises(LinkwaysError, match="you wrote hill-road; only someone else judges it"):
        all_met(desk)
    all_met(desk, Reviewer("other", "reviewer"))
    with pytest.raises(LinkwaysError, match="you wrote hill-road; only another reviewer approves it"):
        desk.move("hill-road", "approved", REV)
    assert "approved" not in desk.moves("hill-road", REV)
    assert "approved" in desk.moves("hill-road", Reviewer("other", "reviewer"))


def test_the_one_person_without_accounts_may_do_everything(desk: Desk) -> None:
    me = Reviewer("ana", "administrator", alone=True)
    desk.move("hill-road", "submitted", me)
    all_met(desk, me)
    desk.move("hill-road", "approved", me)
    assert desk.move("hill-road", "published", me).status == "published"


def test_one_verdict_against_keeps_a_record_from_approval(desk: Desk) -> None:
    desk.move("hill-road", "submitted", ANA)
    all_met(desk)
    desk.judge("hill-road", Reviewer("two", "reviewer"), {"impact": (False, "no source")})
    with pytest.raises(LinkwaysError, match="not yet judged: impact"):
        desk.move("hill-road", "approved", REV)


def test_verdicts_hold_for_the_content_they_were_given_on(desk: Desk, store: Store) -> None:
    desk.move("hill-road", "submitted", ANA)
    all_met(desk)
    desk.move("hill-road", "feedback", REV)
    desk.move("hill-road", "submitted", ANA)
    assert len(desk.verdicts("hill-road")) == 3
    store.put(record_from(FULL | {"summary": "Other words."}), author="ana", status="submitted")
    assert desk.verdicts("hill-road") == []


def test_a_record_with_a_study_is_approved_only_when_its_check_passed(desk: Desk, store: Store) -> None:
    store.put(record_from(FULL | {"study": STUDY}), author="ana", status="draft")
    desk.move("hill-road", "submitted", ANA)
    all_met(desk)
    with pytest.raises(LinkwaysError, match="has not been run and found right"):
        desk.move("hill-road", "approved", REV)
    desk.note_check("hill-road", "run1", "running")
    desk.note_check("hill-road", "run1", "failed", ["cores.count: stated 3, found 2"])
    with pytest.raises(LinkwaysError, match="has not been run and found right"):
        desk.move("hill-road", "approved", REV)
    desk.note_check("hill-road", "run2", "passed")
    assert desk.move("hill-road", "approved", REV).status == "approved"
    assert [one.state for one in desk.checks("hill-road")] == ["failed", "passed"]


def test_a_snapshot_cannot_be_submitted(desk: Desk, store: Store) -> None:
    store.put(record_from({**FULL, "impacts": []}), author="ana", status="draft")
    with pytest.raises(LinkwaysError, match="lacks impacts"):
        desk.move("hill-road", "submitted", ANA)


def test_comments_stand_on_fields_reach_the_authors_and_are_settled(desk: Desk) -> None:
    said = desk.comment("hill-road", REV, "Which deer?", "impacts.0")
    assert (said.field, said.author, said.revision) == ("impacts.0", "rev", 1)
    assert desk.notices("ana")[0].body == "{rev} commented on impacts.0: Which deer?"
    with pytest.raises(LinkwaysError, match=r"only who wrote comment . and the authors"):
        desk.settle(said.number, Reviewer("stranger", "reviewer"))
    desk.settle(said.number, ANA)
    assert desk.comments("hill-road")[0].settled_by == "ana"


@pytest.mark.parametrize(
    ("body", "field", "told"),
    [("  ", "", "is empty"), ("x" * 10_001, "", "longer than"), ("so", "impact", "has no field 'impact'.*'impacts'")],
)
def test_a_comment_that_says_nothing_or_stands_nowhere_is_refused(desk: Desk, body: str, field: str, told: str) -> None:
    with pytest.raises(LinkwaysError, match=told):
        desk.comment("hill-road", REV, body, field)


def test_a_contributor_judges_nothing(desk: Desk) -> None:
    desk.move("hill-road", "submitted", ANA)
    with pytest.raises(LinkwaysError, match="only reviewers judge criteria"):
        desk.judge("hill-road", Reviewer("bob", "contributor"), {"impact": (True, "")})


def test_what_waits_and_what_is_mine(desk: Desk, store: Store) -> None:
    store.put(builtin_record("y2y"), author="Linkways")
    assert desk.waiting() == []
    desk.move("hill-road", "submitted", ANA)
    assert desk.waiting() == [("hill-road", "A road over a hill", "submitted")]
    assert desk.records_of("ana") == [("hill-road", "A road over a hill", "submitted")]


def test_a_stated_result_must_name_a_step_of_the_study() -> None:
    with pytest.raises(LinkwaysError, match=r"reproduces: the study has no step 'core'.*'cores'"):
        record_from(FULL | {"study": STUDY, "reproduces": [{"computed": "core.count", "value": 3}]})


@pytest.mark.parametrize(("found", "met"), [(100.0, True), (100.9, True), (98.9, False), (None, False)])
def test_a_stated_result_is_met_within_its_tolerance(found: float | None, met: bool) -> None:
    record = record_from(FULL | {"study": STUDY, "reproduces": [{"computed": "cores.count", "value": 100}]})
    assert record.reproduces[0].met_by(found) is met
