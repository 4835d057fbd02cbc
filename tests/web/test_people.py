"""People: invitations, sessions, roles, what each may see and do, and the whole way of a record through review."""

import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from linkways.web import Settings, create_app
from linkways.web.accounts import COOKIE
from linkways.web.worker import Worker
from tests.web.conftest import tiny_record

READ = {"accept": "text/html"}
SECRET = "a wide bridge over the road"


class People:
    """One application with accounts, and a browser per person."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.app = create_app(settings, crew=False)
        self.site = self.app.state.site

    def browser(self) -> TestClient:
        return TestClient(self.app, follow_redirects=False)

    def join(self, name: str, role: str) -> TestClient:
        """Someone with an account, signed in."""
        token = self.site.accounts.invite(None, f"{name}@example.org", role)
        browser = self.browser()
        given = {"token": token, "email": f"{name}@example.org", "name": name.title(), "password": SECRET}
        assert browser.post("/join", data=given, headers=READ).status_code == 303
        browser.headers["x-csrf-token"] = token_of(browser)
        return browser

    def work(self) -> None:
        worker = Worker(self.settings.runs, steps_at_once=1)
        while (job := worker.jobs.take(5)) is not None:
            worker.run(job)


def token_of(browser: TestClient) -> str:
    found = re.search(r'name="csrf" value="([^"]+)"', browser.get("/my", headers=READ).text)
    assert found is not None
    return found[1]


@pytest.fixture
def people(tmp_path: Path, catalogue: Path) -> Iterator[People]:
    settings = Settings(tmp_path / "runs", hosts=("testserver",), auth=True)
    settings.own.mkdir(parents=True)
    shutil.copy(catalogue, settings.own)
    opened = People(settings)
    yield opened
    opened.site.store.close()


def test_everyone_reads_and_only_who_is_signed_in_changes(people: People) -> None:
    anyone = people.browser()
    assert anyone.get("/", headers=READ).status_code == 200
    assert anyone.get("/solutions/tiny-hills").status_code == 200
    refused = anyone.post("/solutions/tiny-hills/replicate")
    assert (refused.status_code, refused.json()["detail"]) == (401, "sign in first; accounts are made by invitation")
    led = anyone.get("/my", headers=READ)
    assert (led.status_code, led.headers["location"]) == (303, "/sign-in?next=/my")


def test_an_invitation_makes_one_account_with_its_role(people: People) -> None:
    token = people.site.accounts.invite(None, "ana@example.org", "reviewer")
    browser = people.browser()
    assert "invited as reviewer" in browser.get(f"/join?token={token}", headers=READ).text
    given = {"token": token, "email": "ana@example.org", "name": "Ana", "password": SECRET}
    wrong = browser.post("/join", data=given | {"password": "short"}, headers=READ)
    assert wrong.status_code == 422
    assert "12 characters or more" in wrong.text
    other = browser.post("/join", data=given | {"email": "eve@example.org"})
    assert "for another e-mail address" in other.json()["detail"]
    assert browser.post("/join", data=given, headers=READ).headers["location"] == "/my"
    assert people.browser().post("/join", data=given).status_code == 404
    assert [(one.name, one.role) for one in people.site.accounts.people()] == [("Ana", "reviewer")]


def test_the_cookie_is_signed_hidden_from_scripts_and_worth_nothing_after_signing_out(people: People) -> None:
    browser = people.join("ana", "contributor")
    answer = people.browser().post(
        "/sign-in", data={"email": "ana@example.org", "password": SECRET, "next": "/runs"}, headers=READ
    )
    assert answer.headers["location"] == "/runs"
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=lax" in cookie
    kept = browser.cookies[COOKIE]
    assert browser.post("/sign-out", headers=READ).status_code == 303
    again = people.browser()
    again.cookies.set(COOKIE, kept)
    assert again.get("/my").status_code == 401
    forged = people.browser()
    forged.cookies.set(COOKIE, kept[:-2] + "xx")
    assert forged.get("/my").status_code == 401


def test_no_password_and_no_session_token_stands_in_the_database(people: People) -> None:
    browser = people.join("ana", "contributor")
    token = browser.cookies[COOKIE].split(".")[0].strip('"')
    files = b"".join(file.read_bytes() for file in people.settings.own.glob("catalogue.sqlite*"))
    assert SECRET.encode() not in files
    assert token.encode() not in files
    assert b"$argon2id$" in files


def test_wrong_passwords_are_told_alike_and_run_out(people: People) -> None:
    people.join("ana", "contributor")
    browser = people.browser()
    told = set()
    for email in ("ana@example.org", "nobody@example.org"):
        answer = browser.post("/sign-in", data={"email": email, "password": "wrong password"})
        told.add((answer.status_code, answer.json()["detail"]))
    assert told == {(403, "e-mail address and password do not belong together; check both")}
    for _ in range(10):
        last = browser.post("/sign-in", data={"email": "ana@example.org", "password": "wrong password"})
    assert last.status_code == 429
    assert browser.post("/sign-in", data={"email": "ana@example.org", "password": SECRET}).status_code == 429


@pytest.mark.parametrize("to", ["https://evil.example", "//evil.example", "/\\evil.example", "javascript:alert(1)"])
def test_signing_in_leads_nowhere_else(people: People, to: str) -> None:
    people.join("ana", "contributor")
    given = {"email": "ana@example.org", "password": SECRET, "next": to}
    assert people.browser().post("/sign-in", data=given, headers=READ).headers["location"] == "/"


def test_a_form_without_the_sessions_token_is_refused(people: People) -> None:
    ana, bob = people.join("ana", "contributor"), people.join("bob", "contributor")
    token = ana.headers.pop("x-csrf-token")
    assert ana.post("/solutions", data={"title": "A bridge"}).status_code == 403
    others = bob.headers["x-csrf-token"]
    assert ana.post("/solutions", data={"title": "A bridge", "csrf": others}).status_code == 403
    assert ana.post("/solutions", data={"title": "A bridge", "csrf": token}).status_code == 201


def test_every_form_of_every_page_carries_the_token(people: People) -> None:
    boss = people.join("boss", "administrator")
    id = boss.post("/solutions", data={"title": "A bridge"}).json()["id"]
    run = boss.post("/solutions/tiny-hills/replicate").json()["run"]
    pages = ["/my", "/people", "/account", "/review", "/solutions/tiny-hills", f"/solutions/{id}/edit"]
    for path in (*pages, f"/solutions/{id}/review", f"/runs/{run}"):
        page = boss.get(path, headers=READ)
        assert page.status_code == 200, path
        forms = re.findall(r'<form method="post".*?</form>', page.text, re.S)
        assert forms, path
        assert all('name="csrf"' in form for form in forms), path


def test_only_administrators_give_roles_and_the_last_one_stays(people: People) -> None:
    boss, ana = people.join("boss", "administrator"), people.join("ana", "contributor")
    ids = {one.name: one.id for one in people.site.accounts.people()}
    assert ana.get("/people").status_code == 403
    assert ana.post(f"/people/{ids['Ana']}", data={"role": "administrator"}).status_code == 403
    assert boss.post(f"/people/{ids['Boss']}", data={"role": "editor"}).json()["detail"].startswith("this is the only")
    assert boss.post(f"/people/{ids['Ana']}", data={"role": "reviewer"}).status_code == 200
    assert ana.get("/review").status_code == 200
    boss.post(f"/people/{ids['Ana']}", data={"then": "close"})
    assert ana.get("/my").status_code == 401
    assert people.browser().post("/sign-in", data={"email": "ana@example.org", "password": SECRET}).status_code == 403


def test_an_invitation_from_the_page_is_a_link_that_works(people: People) -> None:
    boss = people.join("boss", "administrator")
    page = boss.post("/people/invite", data={"email": "", "role": "editor"}, headers=READ).text
    link = re.search(r"http://testserver(/join\?token=[\w-]+)", page)
    assert link is not None
    assert "invited as editor" in people.browser().get(link[1], headers=READ).text


def test_another_password_ends_the_other_sessions(people: People) -> None:
    ana = people.join("ana", "contributor")
    other = people.browser()
    other.post("/sign-in", data={"email": "ana@example.org", "password": SECRET})
    wrong = ana.post("/account/password", data={"old": "no", "new": SECRET + "s"})
    assert wrong.status_code == 403
    assert ana.post("/account/password", data={"old": SECRET, "new": SECRET + "s"}).json()["changed"] is True
    assert ana.get("/my").status_code == 200
    assert other.get("/my").status_code == 401


def test_a_session_ends_after_its_days(people: People, monkeypatch: pytest.MonkeyPatch) -> None:
    ana = people.join("ana", "contributor")
    later = time.time() + 15 * 86400
    monkeypatch.setattr(time, "time", lambda: later)
    assert ana.get("/my").status_code == 401


def test_runs_are_for_their_owners_and_editors(people: People) -> None:
    ana, bob, rev = people.join("ana", "contributor"), people.join("bob", "contributor"), people.join("rev", "reviewer")
    run = ana.post("/solutions/tiny-hills/replicate").json()["run"]
    seen = {name: one.get(f"/runs/{run}.json").status_code for name, one in (("a", ana), ("b", bob), ("r", rev))}
    assert seen == {"a": 200, "b": 404, "r": 404}
    assert people.browser().get(f"/runs/{run}/progress").status_code == 404
    listed = [one["id"] for one in bob.get("/runs.json").json()["runs"]]
    assert run not in listed
    assert bob.post(f"/runs/{run}/start").status_code == 404
    assert rev.post(f"/runs/{run}/start").status_code == 404
    editor = people.join("edi", "editor")
    assert editor.get(f"/runs/{run}.json").status_code == 200
    assert editor.post(f"/runs/{run}/start").status_code == 403


def test_a_draft_is_for_its_authors(people: People) -> None:
    ana, bob = people.join("ana", "contributor"), people.join("bob", "contributor")
    id = ana.post("/solutions", data={"title": "A bridge"}).json()["id"]
    assert ana.get(f"/solutions/{id}.json").status_code == 200
    for path in (f"/solutions/{id}.json", f"/solutions/{id}/review.json", f"/solutions/{id}/edit.json"):
        assert bob.get(path).status_code == 404
    assert bob.post(f"/solutions/{id}/edit", data={"title": "Mine"}).status_code == 404
    assert bob.get("/solutions/tiny-hills/review.json").status_code == 403


def test_an_edit_is_a_revision_and_its_mistakes_stand_beside_the_fields(people: People) -> None:
    ana = people.join("ana", "contributor")
    id = ana.post("/solutions", data={"title": "A bridge"}).json()["id"]
    wrong = ana.post(f"/solutions/{id}/edit", data={"species": "- {scientific_name: 7}", "story": "It began."})
    assert wrong.status_code == 422
    assert set(wrong.json()["mistakes"]) == {"species"}
    saved = ana.post(
        f"/solutions/{id}/edit", data={"story": "It began.", "keywords": "bridge\r\nroad", "revision": "1"}
    )
    assert saved.json() == {"revision": 2}
    record = ana.get(f"/solutions/{id}.json").json()["record"]
    assert (record["story"], record["keywords"], record["title"]) == ("It began.", ["bridge", "road"], "A bridge")
    late = ana.post(f"/solutions/{id}/edit", data={"story": "No, so.", "revision": "1"})
    assert "has changed since revision 1" in late.json()["detail"]


@pytest.mark.slow
def test_a_replication_goes_through_review_with_the_platforms_own_check(people: People) -> None:
    ana, rev, boss = people.join("ana", "contributor"), people.join("rev", "reviewer"), people.join("boss", "editor")
    run = ana.post("/solutions/tiny-hills/replicate").json()["run"]
    assert ana.post(f"/runs/{run}/start").status_code == 303
    people.work()
    draft = ana.get(f"/runs/{run}.json").json()["results"]["draft"]
    record = ana.get(f"/solutions/{draft}.json").json()["record"]
    assert [one["computed"] for one in record["reproduces"]] == ["change.total_percent"]
    told = {"challenges": "- A road.", "impacts": "- {fact: Deer cross., source: Rangers}"}
    assert ana.post(f"/solutions/{draft}/edit", data=told).status_code == 200
    assert ana.post(f"/solutions/{draft}/status", data={"to": "submitted"}).json()["status"] == "submitted"
    assert ana.post(f"/solutions/{draft}/check").status_code == 403

    verdicts = {f"met.{name}": "yes" for name in ("relevance", "impact", "replicable")}
    assert rev.post(f"/solutions/{draft}/verdicts", data=verdicts).status_code == 200
    early = rev.post(f"/solutions/{draft}/status", data={"to": "approved"})
    assert "has not been run" in early.json()["detail"]
    assert rev.post(f"/solutions/{draft}/check").status_code == 201
    people.work()
    check = rev.get(f"/solutions/{draft}/review.json").json()["checks"][0]
    assert check["state"] == "passed", check
    assert check["told"][0].startswith("change.total_percent: stated")
    assert rev.post(f"/solutions/{draft}/status", data={"to": "approved"}).status_code == 200
    assert rev.post(f"/solutions/{draft}/status", data={"to": "published"}).status_code == 403
    assert boss.post(f"/solutions/{draft}/status", data={"to": "published"}).status_code == 200
    assert people.browser().get(f"/solutions/{draft}.json").status_code == 200
    news = ana.get("/my.json").json()["notices"]
    assert news[0]["body"] == "published by Boss"
    # the run of a published record may be seen by everyone
    assert people.browser().get(f"/runs/{run}.json").status_code == 200


@pytest.mark.slow
def test_a_figure_that_the_study_does_not_give_fails_the_check(people: People) -> None:
    from linkways.catalogue import record_from

    stated = tiny_record() | {"id": "wrong-hills", "reproduces": [{"computed": "change.total_percent", "value": -1.0}]}
    people.site.store.put(record_from(stated), author="ana", status="submitted")
    rev = people.join("rev", "reviewer")
    assert rev.post("/solutions/wrong-hills/check").status_code == 201
    people.work()
    check = rev.get("/solutions/wrong-hills/review.json").json()["checks"][0]
    assert check["state"] == "failed"
    assert "differs by more than 1 per cent" in check["told"][0]


def test_without_accounts_the_one_person_may_do_everything_and_there_are_no_people(client: TestClient) -> None:
    assert client.get("/people").status_code == 404
    id = client.post("/solutions", data={"title": "A bridge"}).json()["id"]
    assert client.post(f"/solutions/{id}/comments", data={"body": "So."}).status_code == 201
    assert client.get("/sign-in").status_code == 404
