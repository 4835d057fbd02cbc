"""Who may do what: every route asked by everyone, against a table that is written from the rules and not from code.

The rules. Whoever is not signed in reads what is published and changes nothing. A contributor writes solutions and runs
studies of their own. What is not published is read by its authors and by editors; reviewers read it from the moment
it is submitted. Reviewers judge what is submitted and start checks. Editors change, publish and withdraw.
Administrators do all that and care for accounts. A run belongs to who asked for it, and is read by whoever may read
the record it made.
"""

import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from linkways.web import Settings
from tests.web.conftest import BOX
from tests.web.test_people import SECRET, People

ALL = "ncorea"
"""n nobody in particular (not signed in), c another contributor, o the owner (a contributor), r reviewer, e editor,
a administrator."""
SIGNED_IN, REVIEWERS, ADMINISTRATORS = "corea", "rea", "a"
REFUSED = (401, 403, 404)
ROLES = {"c": "contributor", "o": "contributor", "r": "reviewer", "e": "editor", "a": "administrator"}

READERS = {"draft": "oea", "submitted": "orea", "published": ALL}
"""Who reads a record, and the run that made it."""
READING_AS_SIGNED_IN = {"draft": "oea", "submitted": "orea", "published": SIGNED_IN}
EDITORS_OF = {"draft": "oea", "submitted": "ea", "published": "ea"}
AT_THE_DESK = {"draft": "oea", "submitted": "orea", "published": "orea"}
CHECKERS = {"draft": "ea", "submitted": "rea", "published": "rea"}
SETTLERS = {"draft": "oea", "submitted": "oea", "published": "oea"}
MOVERS = {"draft": "oea", "submitted": "oea", "published": "ea"}
JUDGES = {"draft": "ea", "submitted": "rea", "published": "rea"}
OWNER = dict.fromkeys(READERS, "o")


def always(who: str) -> dict[str, str]:
    return dict.fromkeys(READERS, who)


LON, LAT = (BOX[0] + BOX[2]) / 2, (BOX[1] + BOX[3]) / 2
DRAWN = {"kind": "road", "input": "resistance", "value": "90", "coordinates": f"{BOX[0]} {LAT}; {BOX[2]} {LAT}"}
OVER_RUN = {"habitat": {"run": "RUN", "layer": "resistance.resistance"}}


@dataclass(frozen=True)
class Rule:
    """Who gets an answer of a route in each state of the record; everyone else is refused."""

    may: dict[str, str]
    data: dict[str, Any] = field(default_factory=dict)
    params: dict[str, Any] = field(default_factory=dict)
    json: Any = None


PUBLIC, ANYBODY = Rule(always(ALL)), Rule(always(SIGNED_IN))
RECORD, RUN, BOTH = Rule(READERS), Rule(READERS), {"before": "RUN", "after": "RUN"}
POINT = Rule(READERS, params={"lon": LON, "lat": LAT})
RULES: dict[str, Rule] = {
    "GET /": PUBLIC,
    "GET /index.json": PUBLIC,
    "GET /places.geojson": PUBLIC,
    "GET /about": PUBLIC,
    "GET /api": PUBLIC,
    "GET /words/{language}.json": PUBLIC,
    "GET /methods": PUBLIC,
    "GET /methods/{id}": PUBLIC,
    "GET /runs": PUBLIC,
    "GET /ogc": PUBLIC,
    "GET /ogc/conformance": PUBLIC,
    "GET /ogc/collections": PUBLIC,
    "GET /ogc/processes": PUBLIC,
    "GET /ogc/processes/{id}": PUBLIC,
    "GET /ogc/jobs": PUBLIC,
    "GET /sign-in": PUBLIC,
    "GET /join": Rule(always(ALL), params={"token": "TOKEN"}),
    "GET /my": ANYBODY,
    "POST /my/seen": ANYBODY,
    "GET /account": ANYBODY,
    "POST /account/password": Rule(always(SIGNED_IN), {"old": SECRET, "new": SECRET}),
    "POST /solutions": Rule(always(SIGNED_IN), {"title": "A bridge"}),
    "GET /review": Rule(always(REVIEWERS)),
    "GET /people": Rule(always(ADMINISTRATORS)),
    "POST /people/invite": Rule(always(ADMINISTRATORS), {"role": "contributor"}),
    "POST /people/{id}": Rule(always(ADMINISTRATORS), {"role": "contributor"}),
    "GET /solutions/{id}": RECORD,
    "GET /solutions/{id}.yaml": RECORD,
    "GET /solutions/{id}.geojson": RECORD,
    "GET /solutions/{id}/changes": RECORD,
    "GET /solutions/{id}/review": Rule(AT_THE_DESK),
    "GET /solutions/{id}/edit": Rule(EDITORS_OF),
    "POST /solutions/{id}/edit": Rule(EDITORS_OF, {"species": "- {scientific_name: 7}"}),
    "POST /solutions/{id}/status": Rule(MOVERS, {"to": "TO"}),
    "POST /solutions/{id}/comments": Rule(READING_AS_SIGNED_IN),
    "POST /solutions/{id}/comments/{number}/settle": Rule(SETTLERS),
    "POST /solutions/{id}/verdicts": Rule(JUDGES, {"met.beauty": "yes"}),
    "POST /solutions/{id}/check": Rule(CHECKERS),
    "POST /solutions/{id}/replicate": Rule(READING_AS_SIGNED_IN),
    "GET /runs/{id}": RUN,
    "GET /runs/{id}/progress": RUN,
    "GET /runs/{id}/report": RUN,
    "GET /runs/{id}/files/{name:path}": RUN,
    "GET /runs/{id}/tables/{reference}": RUN,
    "GET /runs/{id}/layers.json": RUN,
    "GET /runs/{id}/layers/{name}.geojson": RUN,
    "GET /runs/{id}/layers/{name}.pmtiles": RUN,
    "GET /runs/{id}/layers/{name}/features/{row}": RUN,
    "GET /runs/{id}/layers/{name}/value": POINT,
    "GET /runs/{id}/layers/{name}/{z}/{x}/{y}.png": RUN,
    "GET /runs/{id}/inputs/{name}.geojson": RUN,
    "GET /runs/{id}/what-if": RUN,
    "POST /runs/{id}/what-if": Rule(READING_AS_SIGNED_IN, DRAWN),
    "POST /runs/{id}/what-if/now": Rule(READING_AS_SIGNED_IN, DRAWN),
    "POST /runs/{id}/setup": Rule(OWNER),
    "POST /runs/{id}/start": Rule(OWNER),
    "POST /runs/{id}/cancel": Rule(OWNER),
    "POST /runs/{id}/remove": Rule(OWNER),
    "GET /compare": Rule(READERS, params=BOTH),
    "GET /compare/{before}/{after}/{name}.geojson": RUN,
    "GET /compare/{before}/{after}/{name}/value": POINT,
    "GET /compare/{before}/{after}/{name}/{z}/{x}/{y}.png": RUN,
    "GET /stac/{id}/collection.json": RUN,
    "GET /stac/{id}/{name}.json": RUN,
    "GET /ogc/collections/{id}": RUN,
    "GET /ogc/collections/{id}/items": RUN,
    "GET /ogc/collections/{id}/items/{feature}": RUN,
    "GET /ogc/jobs/{id}": RUN,
    "GET /ogc/jobs/{id}/results": RUN,
    "DELETE /ogc/jobs/{id}": Rule(OWNER),
    "POST /ogc/processes/{id}/execution": Rule(READING_AS_SIGNED_IN, json={"inputs": OVER_RUN}),
}
SESSIONS = {"POST /sign-in", "POST /sign-out", "POST /join"}
"""Begin and end sessions, and have tests of their own in test_people."""
STEP = {"draft": "submitted", "submitted": "draft", "published": "superseded"}
"""A state that each state may be followed by."""
ASKED_LAST = ("POST /solutions/{id}/status", "POST /runs/{id}/remove")
"""What changes that which the others ask about."""


class Scene(People):
    """A record that a contributor's run made, and one person of every role."""

    def __init__(self, settings: Settings, run: str) -> None:
        super().__init__(settings)
        self.people = {"n": self.browser()} | {who: self.join(f"p{who}", role) for who, role in ROLES.items()}
        ids = {one.name: one.id for one in self.site.accounts.people()}
        self.owner, self.other, self.run = ids["Po"], ids["Pc"], run
        self._adopt()
        self.token = self.site.accounts.invite(None, "", "contributor")
        who = self.site.reviewer(self.site.accounts.person(self.owner))
        self.comment = self.site.desk.comment(self.record, who, "Mind the river.").number

    def _adopt(self) -> None:
        """Make the run the owner's, and its record a draft of theirs."""
        import sqlite3
        from contextlib import closing

        from linkways.catalogue import read_record, record_from

        with closing(sqlite3.connect(self.settings.database)) as db, db:
            db.execute("UPDATE jobs SET owner = ? WHERE id = ?", (self.owner, self.run))
        read = read_record(self.settings.job_folder(self.run) / "solution.yaml")
        told = {"challenges": [{"text": "A road."}], "impacts": [{"fact": "Deer cross.", "source": "Rangers"}]}
        record = record_from(read.to_data() | told)
        self.record = record.id
        self.site.store.put(record, author=self.owner, status="draft")

    def state(self, state: str) -> None:
        self.site.store.set_status(self.record, state, author=self.owner)
        self.site.records.forget(self.record)

    def ask(self, route: str, who: str, state: str) -> Any:
        method, path = route.split(" ", 1)
        rule, values = RULES[route], self.values(route)
        for name, value in values.items():
            path = path.replace(f"{{{name}}}", str(value)).replace(f"{{{name}:path}}", str(value))
        words = {"RUN": self.run, "TOKEN": self.token, "TO": STEP[state]}
        put = {name: words.get(str(value), value) for name, value in {**rule.params}.items()}
        data = {name: words.get(str(value), value) for name, value in rule.data.items()}
        if rule.json is not None:
            text = {name: {**one, "run": self.run} for name, one in rule.json["inputs"].items()}
            return self.people[who].request(method, path, json={"inputs": text})
        return self.people[who].request(method, path, params=put, data=data or None)

    def values(self, route: str) -> dict[str, Any]:
        """What stands in the path."""
        tile = {"z": 6, "x": 16, "y": 29}
        layer = "cores.cores" if any(part in route for part in (".geojson", ".pmtiles", "features")) else "habitat"
        named = layer if layer == "cores.cores" else "habitat.reclassify"
        if "/processes/" in route:
            return {"id": "corridors.cores"}
        if "/methods/" in route:
            return {"id": "corridors.cores"}
        if "/people/" in route:
            return {"id": self.other}
        if "/collections/" in route:
            return {"id": f"{self.run}:cores.cores", "feature": 0}
        if "/compare/" in route:
            return {"before": self.run, "after": self.run, "name": named, **tile}
        if "/inputs/" in route:
            return {"id": self.run, "name": "classes"}
        if "/solutions" in route:
            return {"id": self.record, "number": self.comment}
        if "/files/" in route:
            return {"id": self.run, "name": "study.yaml"}
        if "/tables/" in route:
            return {"id": self.run, "reference": "cores.table"}
        return {"id": self.run, "name": named, "row": 0, "language": "es", **tile}


@pytest.fixture
def scene(tmp_path: Path, catalogue: Path, ran: tuple[Path, str]) -> Iterator[Scene]:
    folder, run = ran
    shutil.copytree(folder, tmp_path / "runs")
    shutil.copy(catalogue, tmp_path / "runs" / ".linkways")
    opened = Scene(Settings(tmp_path / "runs", hosts=("testserver",), auth=True, most_waiting=1000), run)
    yield opened
    opened.site.store.close()


def routes_of(app: Any) -> set[str]:
    """Every route with each of its methods; the JSON twin of a page stands with its page."""
    found = set()
    for path, offered in app.openapi()["paths"].items():
        found |= {f"{method.upper()} {path.removesuffix('.json')}" for method in offered if offered}
    return found


def test_every_route_has_its_rule(scene: Scene) -> None:
    told = {route.replace(":path", "").removesuffix(".json") for route in RULES} | SESSIONS
    # the start page's twin is /index.json; the words of scripts are no part of the API
    assert routes_of(scene.app) - told == set()
    assert told - routes_of(scene.app) == {"GET /", "GET /words/{language}"}


# what a rule lets through may still be no table, or not now; then it is told as another mistake than a refusal
NO_SUCH_THING = {"GET /runs/{id}/tables/{reference}", "GET /runs/{id}/inputs/{name}.geojson"}


@pytest.mark.parametrize("state", ["draft", "submitted", "published"])
def test_everyone_gets_what_the_rules_give_and_nothing_else(scene: Scene, state: str) -> None:
    if state != "draft":
        scene.state(state)
    before = fingerprint(scene)
    wrong = []
    for route, rule in RULES.items():
        for who in ALL:
            if who not in rule.may[state]:
                answer = scene.ask(route, who, state)
                # what is hidden is told like what is not there, and not by a mistake further in
                hidden = answer.status_code != 404 or re.search("there is no (run|solution)", answer.text)
                if answer.status_code not in REFUSED or not hidden:
                    wrong.append(f"{route}: {who} was let in ({answer.status_code} {answer.text[:120]})")
    assert "\n".join(wrong) == ""
    assert fingerprint(scene) == before
    for route in sorted(RULES, key=lambda one: one in ASKED_LAST):
        for who in RULES[route].may[state]:
            answer = scene.ask(route, who, state)
            if answer.status_code in REFUSED and route not in NO_SUCH_THING:
                wrong.append(f"{route}: {who} was refused ({answer.status_code} {answer.text[:160]})")
            if answer.status_code >= 500:
                wrong.append(f"{route}: {who} met an error ({answer.status_code})")
    assert "\n".join(wrong) == ""


def fingerprint(scene: Scene) -> tuple[Any, ...]:
    """Everything that a refused request could have changed."""
    site = scene.site
    jobs = [(one.id, one.state, one.owner, one.title) for one in site.jobs.select()]
    history = [(one.number, one.status, one.author) for one in site.store.history(scene.record)]
    people = [(one.id, one.role) for one in site.accounts.people()]
    files = sorted(str(file) for file in (scene.settings.runs / scene.run).rglob("*"))
    return jobs, history, site.desk.comments(scene.record), site.desk.verdicts(scene.record), people, files


def test_nothing_of_a_draft_or_its_run_stands_in_what_everyone_reads(scene: Scene) -> None:
    for path in ("/", "/index.json", "/places.geojson", "/runs.json", "/compare.json", "/about.json",
                 "/ogc/collections", "/ogc/collections/solutions/items", "/solutions/tiny-hills.json",
                 "/methods/corridors.cores.json", "/ogc/jobs"):  # fmt: skip
        for who in "nc":
            answer = scene.people[who].get(path)
            assert answer.status_code == 200, path
            assert scene.run not in answer.text, f"{path} tells {who} of the run"
            assert scene.record not in answer.text, f"{path} tells {who} of the record"


def test_a_scenario_of_a_published_run_is_its_owners(scene: Scene) -> None:
    """The study still names the published solution, which makes the scenario no part of it."""
    scene.state("published")
    made = scene.people["c"].post(f"/runs/{scene.run}/what-if", data=DRAWN).json()
    scene.work()
    assert scene.people["c"].get(f"/runs/{made['run']}.json").json()["run"]["state"] == "finished"
    seen = {who: scene.people[who].get(f"/runs/{made['run']}.json").status_code for who in ALL}
    assert seen == {"n": 404, "c": 200, "o": 404, "r": 404, "e": 200, "a": 200}


def test_a_check_takes_no_inputs_from_a_run_that_its_record_only_names(scene: Scene) -> None:
    """Whoever writes a record may name any run in it; only the run's owner may have its inputs read for it."""
    from linkways.catalogue import record_from

    stolen = scene.site.store.get(scene.record).to_data() | {"id": "taken-hills", "title": "Taken"}
    scene.site.store.put(record_from(stolen), author=scene.other, status="submitted")
    secret = scene.settings.job_folder(scene.run) / "inputs" / "secret.csv"
    secret.parent.mkdir(exist_ok=True)
    secret.write_text("where\nnest\n")
    answer = scene.people["r"].post("/solutions/taken-hills/check")
    copied = scene.settings.job_folder(answer.json().get("run", "none")) / "inputs" / "secret.csv"
    assert not copied.exists()


def test_requests_without_the_token_are_refused_on_every_route_that_changes(scene: Scene) -> None:
    boss: TestClient = scene.people["a"]
    del boss.headers["x-csrf-token"]
    changing = [route for route in RULES if not route.startswith("GET")]
    assert len(changing) == 20
    for route in changing:
        answer = scene.ask(route, "a", "draft")
        assert answer.status_code == 403, route
        assert "another session" in answer.json()["detail"], route
