"""Small records for tests."""

from linkways.catalogue import record_from


def plain(id="a", **changes):
    """Plain data of a full record."""
    return {
        "id": id,
        "title": "A corridor for deer",
        "summary": "Deer cross a road again.",
        "place": {"name": "A valley", "countries": ["US"], "bounds": [-110, 42, -109, 43]},
        "species": [{"scientific_name": "Odocoileus hemionus", "name": "mule deer"}],
        "classifications": {"iucn-habitats": ["4.4"], "realm": ["land"], "gbf": ["3"]},
        "challenges": ["A road cuts the way."],
        "building_blocks": [{"id": "fence", "title": "Open the fence", "description": "Wires come down."}],
        "impacts": [{"fact": "Deer cross.", "source": "report"}],
        "sources": {"report": "A report (2020)"},
        **changes,
    }


def record(id="a", **changes):
    return record_from(plain(id, **changes))
