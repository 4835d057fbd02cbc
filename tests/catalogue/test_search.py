"""Search, on SQLite and PostgreSQL alike: against brute force over the records, and on the twelve solutions."""

import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linkways.catalogue import FACETS, builtin_records, open_store, parse_questions
from linkways.errors import LinkwaysError
from tests.catalogue.records import record


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def twelve(request):
    """The built-in solutions in a store of each kind."""
    url = "sqlite://" if request.param == "sqlite" else request.getfixturevalue("module_postgres_url")
    with open_store(url) as store:
        store.put_all(list(builtin_records().values()), author="Linkways")
        yield store


@pytest.fixture(scope="module")
def module_postgres_url(postgres_cluster):
    import psycopg

    with psycopg.connect(f"{postgres_cluster}/postgres", autocommit=True) as connection:
        connection.execute("DROP DATABASE IF EXISTS search_module WITH (FORCE)")
        connection.execute("CREATE DATABASE search_module")
    return f"{postgres_cluster}/search_module"


def ids(found):
    return [hit.id for hit in found.hits]


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("corridor narrower than 500 m", {"mule-deer-migration"}),
        ("corridor wider than 500 m", set()),
        ("corridor area over 1,000 km2", {"jaguar-corridor"}),
        ("area under 500 km2", {"kopet-dag-cats", "atlantic-forest"}),
        ("more than 1,000 dams", {"pacific-salmon"}),
        ("over 2 million trees", {"atlantic-forest"}),
        ("fence taller than 2 m", {"mule-deer-migration"}),
        ("forest cover at least 30 %", {"corehabs"}),
        ("jaguars", {"jaguar-corridor"}),
        ("Panthera onca", {"jaguar-corridor"}),
        ('"giant panda"', {"qinling-pandas"}),
        ("salmon -panda", {"pacific-salmon"}),
        ("Turkmenistan", {"kopet-dag-cats"}),
        ("SÃO PAULO", {"atlantic-forest"}),
        ("xylophone", set()),
    ],
)
def test_the_twelve_are_found_by_words_and_numbers(twelve, asked, expected):
    assert set(ids(twelve.search(asked))) == expected


def test_the_figure_that_answers_is_told(twelve):
    assert twelve.search("corridor narrower than 0.5 km").hits[0].answers == (
        "migration corridor at its bottleneck: width 400 m",
    )


def test_title_and_species_come_before_the_rest_of_the_text(twelve):
    found = ids(twelve.search("fence"))
    assert len(found) >= 2
    assert ids(twelve.search("bears"))[0] in {"corehabs", "y2y"}
    assert ids(twelve.search("reef"))[0] == "great-barrier-reef"


def test_a_wider_taxon_finds_narrower_ones(twelve):
    assert set(ids(twelve.search(species="Ursus arctos"))) == {"corehabs", "y2y"}
    assert set(ids(twelve.search(species="panthera"))) == {"jaguar-corridor", "kopet-dag-cats"}


def test_a_broader_code_finds_narrower_ones(twelve):
    assert "pacific-salmon" in ids(twelve.search(facets={"iucn-threats": ["7"]}))
    assert set(ids(twelve.search(facets={"region": ["142"]}))) == {
        "kopet-dag-cats",
        "qinling-pandas",
        "salween-reserves",
    }


def test_places_are_found_by_box_polygon_and_across_the_antimeridian(twelve):
    assert set(ids(twelve.search(area=[100, -30, 180, 0]))) == {"great-barrier-reef"}
    triangle = {"type": "Polygon", "coordinates": [[[57, 37], [60, 37], [57, 40], [57, 37]]]}
    assert set(ids(twelve.search(area=triangle))) == {"kopet-dag-cats"}
    # west of 170 E or east of 100 W: none of Asia
    assert "y2y" in ids(twelve.search(area=[170, 30, -100, 70]))
    assert "kopet-dag-cats" not in ids(twelve.search(area=[170, 30, -100, 70]))


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"facets": {"relm": ["sea"]}}, r"no facet 'relm' \(did you mean 'realm'\?\)"),
        ({"facets": {"realm": ["see"]}}, r"no record has 'see' as realm \(did you mean 'sea'\?\)"),
        ({"facets": {"realm": []}}, "asked for without a code"),
        ({"species": "Panthera ones"}, r"species 'Panthera ones' \(did you mean 'Panthera onca'\?\)"),
        ({"area": [1, 2, 3]}, "give four numbers"),
        ({"area": [0, 5, 1, 4]}, "south .* must lie below north"),
        ({"area": {"type": "Polygn"}}, "did you mean 'Polygon'"),
        ({"order": "best"}, "no order 'best'"),
        ({"limit": -1}, "limit 0 to 1000"),
        ({"asked": "width under 3 ha"}, "asks for a width in ha; write mm, cm, m, km, ft, mi"),
    ],
)
def test_a_question_that_cannot_be_read_is_refused(twelve, options, sentence):
    with pytest.raises(LinkwaysError, match=sentence):
        twelve.search(**options)


@settings(max_examples=80, deadline=None)
@given(st.text(max_size=40) | st.text(alphabet="ab \"-*():^<>&|!'%", max_size=20))
def test_no_text_at_all_breaks_the_search(asked):
    with_text = STORE.search(asked)
    assert 0 <= with_text.total <= 12


@pytest.fixture(scope="module", autouse=True)
def one_store_for_hypothesis():
    global STORE
    with open_store() as STORE:
        STORE.put_all(list(builtin_records().values()), author="Linkways")
        yield


# --- against brute force -------------------------------------------------------------

HABITATS, COUNTRIES = ["1.4", "1.6", "4.4", "9.8", "9.8.1"], ["US", "BR", "KE", "TH"]
WORDS = ["otter", "heron", "river", "forest", "marsh", "bridge", "valley", "badger"]


def random_records(count, seed):
    draw = random.Random(seed)

    def some(choices, most):
        return draw.sample(choices, draw.randint(0, most))

    return [
        record(
            f"r{n}",
            title=" ".join(draw.choices(WORDS, k=3)),
            summary=" ".join(draw.choices(WORDS, k=5)),
            place={
                "name": "A place",
                "countries": some(COUNTRIES, 2),
                **({"bounds": box(draw)} if draw.random() < 0.9 else {}),
            },
            classifications={"iucn-habitats": some(HABITATS, 3), "realm": some(["land", "river", "sea"], 2)},
            species=[{"scientific_name": s} for s in some(["Lutra lutra", "Lynx lynx", "Lynx rufus"], 2)],
            figures=[
                {
                    "of": draw.choice(["corridor", "reserve"]),
                    "measure": "area",
                    "value": draw.randint(1, 9),
                    "unit": "km2",
                }
                for _ in range(draw.randint(0, 2))
            ],
        )
        for n in range(count)
    ]


def box(draw):
    west, south = draw.uniform(-179, 170), draw.uniform(-80, 70)
    return [west, south, west + draw.uniform(0.1, 9), south + draw.uniform(0.1, 9)]


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def crowd(request):
    """Two hundred random records in a store of each kind, with the records."""
    records = random_records(200, 5)
    if request.param == "sqlite":
        url = "sqlite://"
    else:
        url = request.getfixturevalue("module_postgres_url").replace("search_module", "postgres")
    with open_store(url) as store:
        store.put_all(records, author="Ana")
        yield store, records


def expected_codes(one):
    """All (facet, code) of a random record, told in another way than the product does."""
    codes = set()
    for habitat in one.classifications.codes("iucn-habitats"):
        parts = habitat.split(".")
        codes |= {("iucn-habitats", ".".join(parts[: n + 1])) for n in range(len(parts))}
    codes |= {("realm", code) for code in one.classifications.codes("realm")}
    codes |= {("country", code) for code in one.place.countries}
    for species in one.species:
        genus, epithet = species.scientific_name.split()
        codes |= {("species", genus), ("species", f"{genus} {epithet}")}
    return codes


def answers(one, word, facets, area, over_km2):
    """Whether a random record answers, by plain reading."""
    text = f"{one.title} {one.summary}".split()
    if word and word not in text:
        return False
    if any(not {(facet, code) for code in codes} & expected_codes(one) for facet, codes in facets.items()):
        return False
    if area is not None:
        if one.place.bounds is None:
            return False
        w, s, e, n = one.place.bounds
        if w > area[2] or e < area[0] or s > area[3] or n < area[1]:
            return False
    return over_km2 is None or any(f.value > over_km2 for f in one.figures if f.of == "corridor")


QUESTIONS = [
    (
        draw.choice(["", *WORDS]),
        {
            facet: draw.sample(codes, draw.randint(1, 2))
            for facet, codes in {
                "iucn-habitats": ["1", "9.8", "4.4"],
                "realm": ["land", "sea"],
                "country": ["US", "KE"],
            }.items()
            if draw.random() < 0.4
        },
        draw.choice([None, None, [-120, -60, 0, 60], [0, 0, 170, 80]]),
        draw.choice([None, None, 2, 5]),
    )
    for draw in [random.Random(11)]
    for _ in range(60)
]


def test_searches_and_all_facet_counts_equal_brute_force(crowd):
    store, records = crowd
    facets_told = {"iucn-habitats", "realm", "country", "species"}
    for word, facets, area, over_km2 in QUESTIONS:
        asked = word + (f" corridor area over {over_km2} km2" if over_km2 is not None else "")
        found = store.search(asked, facets=facets, area=area, limit=1000)
        right = [one for one in records if answers(one, word, facets, area, over_km2)]
        assert sorted(ids(found)) == sorted(one.id for one in right), asked
        assert found.total == len(right)
        for facet in facets_told:
            others = {name: codes for name, codes in facets.items() if name != facet}
            free = [one for one in records if answers(one, word, others, area, over_km2)]
            counts = Counter(code for one in free for name, code in expected_codes(one) if name == facet)
            told = {one.code: one.count for one in found.facets.get(facet, ()) if one.count}
            assert told == dict(counts), (asked, facet)


def test_pages_together_are_the_whole_answer_in_one_order(crowd):
    store, _ = crowd
    for order in ("relevance", "title", "newest"):
        whole = ids(store.search("otter", order=order, limit=1000))
        pages = [ids(store.search("otter", order=order, offset=n, limit=7)) for n in range(0, len(whole), 7)]
        assert [id for page in pages for id in page] == whole
        assert len(set(whole)) == len(whole)
    titles = [hit.title.casefold() for hit in store.search("", order="title", limit=1000).hits]
    assert titles == sorted(titles)


def test_more_matches_than_are_ranked_still_all_come_and_titles_first(crowd, monkeypatch):
    store, records = crowd
    monkeypatch.setattr(store.database, "ranked_at_most", 10)
    found = ids(store.search("otter", limit=1000))
    by_id = {one.id: one for one in records}
    in_text = {one.id for one in records if "otter" in f"{one.title} {one.summary}"}
    assert set(found) == in_text
    first = found[:10]
    assert all("otter" in by_id[id].title for id in first)


def test_states_of_records_narrow_the_search(store):
    store.put(record("a"), author="Ana", status="draft")
    store.put(record("b"), author="Ana")
    assert ids(store.search("", statuses=["published"])) == ["b"]
    assert store.search("").total == 2
    assert store.search("", statuses=["approved"]).total == 0


def test_every_facet_has_a_title_and_every_count_a_label(twelve):
    for facet, counts in twelve.search("").facets.items():
        assert FACETS[facet]
        assert all(one.label for one in counts)
    land = next(one for one in twelve.search("").facets["realm"] if one.code == "land")
    assert land.label == "Land"


# --- questions about numbers ---------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "rest", "comparison", "value", "measures", "subject"),
    [
        ("narrower than 500 m", "", "<", 500, ("width",), ()),
        ("at least 1.5 km wide", "", ">=", 1500, ("width",), ()),
        ("less than 3 ha", "", "<", 30_000, ("area",), ()),
        ("reserves over 12 mi2", "", ">", 12 * 2_589_988.110336, ("area",), ("reserve",)),
        ("under 10 years", "", "<", 10, ("duration",), ()),
        ("up to 5 thousand otters", "", "<=", 5000, ("count",), ("otter",)),
        ("rare otters of more than 2 million ha in Peru", "rare in Peru", ">", 2e10, ("area",), ("otter",)),
    ],
)
def test_a_question_is_read_from_words(text, rest, comparison, value, measures, subject):
    left, (question,) = parse_questions(text, ["otters counted", "reserve"])
    assert (left, question.comparison, question.measures, question.subject) == (rest, comparison, measures, subject)
    assert question.value == pytest.approx(value)


@given(st.floats(0.001, 1e9), st.floats(0.001, 1e9))
def test_the_same_length_in_metres_and_kilometres_asks_the_same(low, value):
    (metres,) = parse_questions(f"wider than {value:.6f} m", [])[1]
    (kilometres,) = parse_questions(f"wider than {value / 1000:.9f} km", [])[1]
    assert kilometres.value == pytest.approx(metres.value, rel=1e-6, abs=2e-6)


def test_a_range_answers_only_when_all_of_it_does():
    with open_store() as store:
        store.put(
            record(figures=[{"of": "corridor", "measure": "width", "low": 300, "high": 600, "unit": "m"}]), author="Ana"
        )
        store.put(record("b", figures=[{"of": "dams", "measure": "count", "low": 400}]), author="Ana")
        assert store.search("corridor narrower than 500 m").total == 0
        assert store.search("corridor narrower than 700 m").total == 1
        assert store.search("more than 300 dams").total == 1
        assert store.search("fewer than 1,000 dams").total == 0


@pytest.mark.parametrize(
    ("text", "understood"),
    [
        ("corridor area over 1,000 km2", "corridor: area > 1,000 km2"),
        ("corridor narrower than 500 m", "corridor: width < 500 m"),
        ("at least 3 dams", "dam: count >= 3"),
        ("area over 2 million ha", "area > 2 million ha"),
    ],
)
def test_a_question_about_numbers_is_told_as_it_was_understood(text, understood):
    (question,) = parse_questions(text, ["corridor", "dam"])[1]
    assert str(question) == understood
