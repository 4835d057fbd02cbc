"""Search in the catalogue: 10,000 generated records, many kinds of questions, facet counts with each answer.

    python benchmarks/catalogue.py                                  # SQLite in a file
    python benchmarks/catalogue.py --records 50000 --url postgresql://USER@HOST/NAME

Records are generated: titles, texts, species, codes, places and figures drawn at random (their words follow a Zipf law,
as words of texts do). The questions are the same for every run. Told are CPU times (SQLite) or wall times (a server) of
whole searches, with counts of all facets and the first page, in one process after a first search; and what the same
answers cost SQLite alone when it also ranks everything and counts the facets, in the same run.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np

from linkways.catalogue import FACETS, Solution, open_store, vocabulary

WORDS = 4000
GENERA = [f"Genus{chr(97 + n % 26)}{chr(97 + n // 26)}" for n in range(200)]


def generated(count: int, seed: int = 7) -> list[Solution]:
    """Records that look like those of people in size and in how codes and words repeat."""
    rng = np.random.default_rng(seed)
    lexicon = np.array([_word(n) for n in range(WORDS)])
    weights = 1 / np.arange(1, WORDS + 1)
    weights /= weights.sum()

    def text(length: int) -> str:
        return " ".join(rng.choice(lexicon, length, p=weights))

    codes = {s: list(vocabulary(s).labels) for s in ("iucn-habitats", "iucn-threats", "cmp-actions", "gbf", "sdg")}
    countries, categories = list(vocabulary("iso-countries").labels), list(vocabulary("block-category").labels)
    return [_record(n, rng, text, codes, countries, categories) for n in range(count)]


def _record(n, rng, text, codes, countries, categories):
    west, south = rng.uniform(-178, 170), rng.uniform(-60, 70)
    side = rng.uniform(0.1, 8)
    blocks = [
        {
            "id": f"block-{b}",
            "title": text(5),
            "description": text(40),
            "category": str(rng.choice(categories)),
            "enabling_factors": [text(12)],
            "lessons_learned": [text(12)],
        }
        for b in range(rng.integers(2, 5))
    ]
    return Solution.model_validate(
        {
            "id": f"solution-{n}",
            "title": text(8),
            "summary": text(80),
            "place": {
                "name": text(4),
                "countries": [str(rng.choice(countries))],
                "bounds": [west, south, west + side, south + side],
            },
            "species": [{"scientific_name": f"{rng.choice(GENERA)} {_word(rng.integers(200))}"} for _ in range(2)],
            "classifications": {
                **{scheme: [str(c) for c in rng.choice(known, 3, replace=False)] for scheme, known in codes.items()},
                "scale": [str(rng.choice(list(vocabulary("scale").labels)))],
                "realm": [str(rng.choice(list(vocabulary("realm").labels)))],
            },
            "context": text(60),
            "challenges": [text(20), text(20)],
            "building_blocks": blocks,
            "impacts": [
                {
                    "fact": text(25),
                    "source": "A report",
                    "figures": [
                        {"of": "corridor", "measure": "width", "value": float(rng.lognormal(6, 1.5)), "unit": "m"},
                        {"of": "reserve", "measure": "area", "value": float(rng.lognormal(5, 2)), "unit": "km2"},
                    ],
                }
            ],
        }
    )


def _word(n: int) -> str:
    letters, word, n = "bcdfghjklmnpqrstvwxz", "", int(n) + 20
    while n:
        word += letters[n % 20] + "aeiou"[n // 20 % 5]
        n //= 20
    return word


def questions(count: int, seed: int = 11) -> list[dict]:
    """Requests of all kinds: no words, common and rare words, facets, places, numbers, and several together."""
    rng = np.random.default_rng(seed)
    habitats, gbf = list(vocabulary("iucn-habitats").labels), list(vocabulary("gbf").labels)
    asked = []
    for n in range(count):
        kind = n % 10
        word = _word(int(rng.integers(1, 30) if n % 20 < 10 else rng.integers(30, WORDS)))
        west, south = rng.uniform(-170, 120), rng.uniform(-60, 40)
        asked.append(
            [
                {},
                {"asked": word},
                {"asked": f"{word} {_word(int(rng.integers(0, 50)))}"},
                {"facets": {"iucn-habitats": [str(rng.choice(habitats))], "realm": ["land"]}},
                {"asked": word, "facets": {"gbf": [str(rng.choice(gbf))]}},
                {"area": [west, south, west + 40, south + 25]},
                {"asked": "corridor narrower than 500 m"},
                {"asked": f"{word} area over 1,000 km2", "facets": {"scale": ["national", "local"]}},
                {"asked": word[:3], "order": "title", "offset": 40},
                {"area": [-180, -90, 180, 90], "asked": _word(0), "facets": {"realm": ["river", "sea"]}},
            ][kind]
        )
    return asked


def in_sql_alone(store, words: str) -> float:
    """Seconds that SQLite takes to rank all matches and count the facets itself."""
    from sqlalchemy import text

    started = time.process_time()
    with store.reading() as connection:
        connection.execute(
            text(
                "SELECT rowid FROM record_text WHERE record_text MATCH :q AND rowid IN (SELECT pk FROM records) "
                "ORDER BY rank LIMIT 20"
            ),
            {"q": f'"{words}"'},
        ).all()
        connection.execute(
            text(
                "SELECT facet, code, count(*) FROM facets WHERE record IN "
                "(SELECT rowid FROM record_text WHERE record_text MATCH :q) GROUP BY facet, code"
            ),
            {"q": f'"{words}"'},
        ).all()
    return time.process_time() - started


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=10_000)
    parser.add_argument("--questions", type=int, default=500)
    parser.add_argument("--url", help="an empty database; a new SQLite file when not given")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        url = given.url or f"sqlite:///{Path(folder) / 'catalogue.sqlite'}"
        started = time.perf_counter()
        records = generated(given.records)
        made = time.perf_counter()
        with open_store(url) as store:
            store.put_all(records, author="benchmark")
            stored = time.perf_counter()
            store.search("")
            first = time.perf_counter()
            print(f"{len(records):,} records, {len(FACETS)} facets: made in {made - started:.1f} s, stored in "
                  f"{stored - made:.1f} s, index in memory in {first - stored:.2f} s")  # fmt: skip
            clock = time.process_time if url.startswith("sqlite") else time.perf_counter
            spent: dict[str, list[float]] = {}
            for n, one in enumerate(questions(given.questions)):
                begun = clock()
                store.search(**one)
                spent.setdefault(str(n % 10), []).append(1000 * (clock() - begun))
            every = np.concatenate(list(spent.values()))
            names = ["all", "word", "two words", "two facets", "word, facet", "box", "number",
                     "word, number, facet", "prefix, by title, page 3", "common word, world, facet"]  # fmt: skip
            for name, times in zip(names, spent.values(), strict=True):
                print(f"  {name:<26} median {np.median(times):6.1f} ms   95th {np.percentile(times, 95):6.1f} ms")
            print(f"  {'together':<26} median {np.median(every):6.1f} ms   95th {np.percentile(every, 95):6.1f} ms")
            if url.startswith("sqlite"):
                ours = min(_timed(lambda: store.search(_word(0) + " ")) for _ in range(3))
                alone = min(in_sql_alone(store, _word(0)) for _ in range(3))
                print(f"  word in most records: {1000 * ours:.0f} ms; ranked and counted in SQL alone: "
                      f"{1000 * alone:.0f} ms ({alone / ours:.0f} times)")  # fmt: skip


def _timed(work) -> float:
    started = time.process_time()
    work()
    return time.process_time() - started


if __name__ == "__main__":
    main()
