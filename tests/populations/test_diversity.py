"""Species diversity from camera traps, against all samples counted out and against known communities."""

from itertools import combinations
from math import comb

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linkways.errors import LinkwaysError
from linkways.populations import diversity
from linkways.populations._diversity_estimates import (
    Sample,
    accumulated,
    coverage_at,
    estimated,
    observed,
    size_at_coverage,
)

EVENTS = pd.DataFrame(
    {
        "species": ["fox"] * 5 + ["boar"] * 3 + ["lynx", "wolf"],
        "site": ["a", "a", "b", "c", "d", "a", "b", "b", "c", "d"],
    }
)


def test_observed_hill_numbers_are_those_of_the_shares():
    hill = diversity(EVENTS, bootstrap=0).hill
    p = np.array([0.5, 0.3, 0.1, 0.1])
    of_events = hill[hill["basis"] == "events"]["observed"].tolist()
    assert of_events == pytest.approx([4, np.exp(-(p * np.log(p)).sum()), 1 / (p**2).sum()])


def test_chao2_and_chao1_follow_their_formulas():
    """Two species once, none twice: f1 (f1 - 1) / 2 = 1, times (n-1)/n, for 10 events and for 4 sites (boar in 2)."""
    hill = diversity(EVENTS, bootstrap=0).hill.set_index(["basis", "q"])["estimate"]
    assert hill["events", 0] == pytest.approx(4 + 9 / 10)
    # of sites: fox 4, boar 2, lynx 1, wolf 1: Q1 = 2, Q2 = 1
    assert hill["units", 0] == pytest.approx(4 + 3 / 4 * 4 / 2)


def test_rarefied_richness_is_the_mean_over_all_subsamples():
    curve = diversity(EVENTS, bootstrap=0).accumulation
    of_sites = {site: set(group) for site, group in EVENTS.groupby("site")["species"]}
    for size in (1, 2, 3, 4):
        every = [len(set().union(*(of_sites[s] for s in chosen))) for chosen in combinations(of_sites, size)]
        told = curve[(curve["basis"] == "units") & (curve["size"] == size)]["species"].iloc[0]
        assert told == pytest.approx(np.mean(every))


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(1, 12), min_size=2, max_size=8), st.data())
def test_rarefaction_and_coverage_count_out_all_subsamples(counts, data):
    n = sum(counts)
    size = data.draw(st.integers(1, n - 1))
    sample = Sample(np.array(counts), n, False)
    expected = sum(1 - comb(n - x, size) / comb(n, size) for x in counts)
    assert accumulated(sample, np.array([size]))[0] == pytest.approx(expected)
    missed = sum(x / n * comb(n - x, size) / comb(n - 1, size) for x in counts)
    assert coverage_at(sample, np.array([size]))[0] == pytest.approx(1 - missed)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(1, 30), min_size=2, max_size=20))
def test_the_curve_rises_to_the_estimate_and_coverage_to_one(counts):
    sample = Sample(np.array(counts), sum(counts), False)
    sizes = np.arange(1, 4 * sample.size)
    species, coverage = accumulated(sample, sizes), coverage_at(sample, sizes)
    assert (np.diff(species) >= -1e-9).all()
    assert species[sample.size - 1] == pytest.approx(len(counts))
    assert species[-1] <= estimated(sample)[0] + 1e-9
    assert (np.diff(coverage[: sample.size - 1]) >= -1e-9).all()


def test_chaos_shannon_is_exact_when_the_tail_is_summed_term_by_term():
    counts, n = np.array([400, 300, 200, 97, 1, 1, 1]), 1000
    a = 2 / ((n - 1) * (3 - 1) + 2)
    seen = sum(x / n * sum(1 / k for k in range(x, n)) for x in counts)
    tail = sum((1 - a) ** j / (n - 1 + j) for j in range(1, 60_000))
    expected = np.exp(seen + 3 / n * tail)
    assert estimated(Sample(counts, n, False))[1] == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(("once", "twice"), [(3, 40), (40, 3)])
def test_both_forms_of_the_tail_agree(once, twice):
    counts = np.array([50] * 20 + [1] * once + [2] * twice)
    n = int(counts.sum())
    a = 2 * twice / ((n - 1) * once + 2 * twice)
    seen = sum(x / n * sum(1 / k for k in range(x, n)) for x in counts)
    tail = sum((1 - a) ** j / (n - 1 + j) for j in range(1, 400_000))
    assert estimated(Sample(counts, n, False))[1] == pytest.approx(np.exp(seen + once / n * tail), rel=1e-9)


def test_estimates_find_the_truth_of_a_known_community_better_than_counts_do():
    rng = np.random.default_rng(3)
    p = np.exp(-np.arange(40) / 8)
    p /= p.sum()
    truth = np.exp(-(p * np.log(p)).sum())
    errors = []
    for _ in range(60):
        drawn = rng.multinomial(80, p)
        sample = Sample(drawn[drawn > 0], 80, False)
        errors.append([observed(sample)[1] - truth, estimated(sample)[1] - truth])
    mean = np.mean(errors, axis=0)
    assert mean[0] < -1
    assert abs(mean[1]) < abs(mean[0]) / 3


def test_sites_without_events_count_when_effort_tells_of_them():
    effort = pd.DataFrame({"site": list("abcdef"), "effort_days": 10.0})
    curve = diversity(EVENTS, effort, bootstrap=0).accumulation
    assert curve.loc[(curve["basis"] == "units") & (curve["kind"] == "observed"), "size"].tolist() == [6]
    found = diversity(EVENTS, effort, bootstrap=0)
    assert found.sites.set_index("site").loc["e"].tolist() == [0, 0, 0, 0]


def test_days_as_units_are_counted_by_effort():
    events = EVENTS.assign(time=[f"2024-03-0{1 + k % 3}T10:00:00Z" for k in range(10)])
    effort = pd.DataFrame({"site": list("abcd"), "effort_days": 10.0})
    curve = diversity(events, effort, unit="day", bootstrap=0).accumulation
    assert curve.loc[(curve["basis"] == "units") & (curve["kind"] == "observed"), "size"].tolist() == [40]
    with pytest.raises(LinkwaysError, match="needs the table effort"):
        diversity(events, unit="day")


def test_the_size_at_a_coverage_has_that_coverage():
    sample = Sample(np.array([10, 6, 3, 2, 1, 1, 1]), 24, False)
    for coverage in (0.5, 0.8, 0.95):
        size = size_at_coverage(sample, coverage)
        assert coverage_at(sample, np.array([size]))[0] == pytest.approx(coverage, abs=1e-6)
    found = diversity(EVENTS, at_coverage=0.6, bootstrap=0).standardised
    assert found["basis"].tolist() == ["events", "units"]
    assert found["kind"].tolist()[0] == "rarefied"


def test_intervals_of_richness_begin_above_what_was_found():
    hill = diversity(EVENTS, bootstrap=100).hill
    richness = hill[hill["q"] == 0]
    assert (richness["low"] >= richness["observed"]).all()
    assert (richness["low"] < richness["estimate"]).all()
    assert (richness["estimate"] < richness["high"]).all()


def test_names_that_are_no_species_can_be_left_out():
    assert diversity(EVENTS, exclude=["wolf"], bootstrap=0).species_found == 3


@pytest.mark.parametrize(
    ("events", "effort", "words"),
    [
        (EVENTS[:0], None, "no event of a species"),
        (EVENTS.assign(site="a"), None, "one sampling unit"),
        (EVENTS, pd.DataFrame({"site": ["a", "b"]}), "the site 'c', which effort does not have"),
    ],
)
def test_events_that_tell_no_diversity_are_refused(events, effort, words):
    with pytest.raises(LinkwaysError, match=words):
        diversity(events, effort)
