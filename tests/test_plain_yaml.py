"""Reading YAML: plain data with lines, within limits."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkways.errors import StudyError
from linkways.plain_yaml import DEEPEST, read_yaml, write_yaml


def refusal(text: str) -> str:
    with pytest.raises(StudyError) as caught:
        read_yaml(text, "study.yaml")
    assert len(caught.value.problems) == 1
    return caught.value.problems[0]


def test_scalars_follow_the_core_schema_of_yaml_1_2() -> None:
    text = "[NO, yes, true, 1e5, 1.5, 12, 012, 12:30, 2020-01-31, null, ~, '7', .inf, EPSG:4326]"
    expected = ["NO", "yes", True, 1e5, 1.5, 12, 12, "12:30", "2020-01-31", None, None, "7", float("inf"), "EPSG:4326"]
    assert read_yaml(text, "study.yaml").data == expected


def test_every_key_and_item_has_its_line() -> None:
    document = read_yaml("a: 1\nb:\n  - c: 2\n    d: {e: 3}\n  - x\n", "study.yaml")
    assert document.where("b", 0, "d", "e") == "study.yaml line 4"
    assert document.where("b", 1) == "study.yaml line 5"
    assert document.where("b", 0, "missing") == "study.yaml line 3"
    assert document.where("nowhere") == "study.yaml"


def test_an_alias_stands_for_a_copy() -> None:
    data = read_yaml("a: &same {x: [1]}\nb: *same\n", "study.yaml").data
    data["b"]["x"].append(2)
    assert data["a"] == {"x": [1]}


def test_a_key_given_twice_is_told_with_both_lines() -> None:
    problems = read_yaml("a: 1\nb: 2\na: 3\n", "study.yaml").problems
    assert problems == ("study.yaml line 3: 'a' is given twice (first on line 1); remove one of them",)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x: 1\na: [1,\nb: 2\n", "expected ',' or ']', in what begins on line 2)"),
        ("a: b: c\n", "study.yaml line 1: not valid YAML (mapping values are not allowed"),
        ("a:\n\tb: 1\n", "indent with spaces, not tabs"),
        ("a: *none\n", "line 1: '*none' refers to something that is not written before it"),
        ("a: &a [*a]\n", "line 1: '*a' refers to something that is not written before it"),
        ("a: !!python/object/apply:os.system [ls]\n", "python/object/apply:os.system is not allowed"),
        ("a: !thing x\n", "the tag !thing is not allowed, a study holds no code"),
        ("--- 1\n--- 2\n", "line 2: holds a second document"),
        ("? [a, b]\n: 1\n", "a list or mapping cannot be a key"),
        ("a: \x00\n", "not valid YAML"),
    ],
)
def test_what_is_not_plain_yaml_is_refused_in_one_sentence(text: str, expected: str) -> None:
    assert expected in refusal(text)


@pytest.mark.parametrize("levels", [DEEPEST + 1, 50_000])
def test_deep_nesting_is_refused_whatever_its_depth(levels: int) -> None:
    assert "nested deeper than 20 levels" in refusal("[" * levels + "]" * levels)


def test_depth_through_aliases_counts_too() -> None:
    lines = ["a0: &a0 [1]"] + [f"a{n}: &a{n} [*a{n - 1}]" for n in range(1, 30)]
    assert "nested deeper than 20 levels" in refusal("\n".join(lines))


def test_nested_aliases_cannot_grow_without_bound() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]
    assert "holds more than 100000 values with its aliases written out" in refusal("\n".join(lines))


def test_a_huge_file_is_refused_before_it_is_parsed() -> None:
    assert "larger than 5 MB" in refusal("a: " + "x" * 6_000_000)


plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.floats(allow_nan=False) | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(min_size=1, max_size=8), inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(st.text(min_size=1, max_size=8), plain, max_size=5))
def test_what_is_written_is_read_back_the_same(data: dict) -> None:
    assert read_yaml(write_yaml(data), "study.yaml").data == data


@pytest.mark.parametrize("text", ["1e5", "0o7", "12:30", "NO", "true", "~", "", "1_000", "0x1F", " x", "a: b", "#c"])
def test_text_that_looks_like_something_else_stays_text(text: str) -> None:
    assert read_yaml(write_yaml({"a": text, text or "k": 1}), "study.yaml").data == {"a": text, text or "k": 1}
