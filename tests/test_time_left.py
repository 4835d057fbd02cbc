"""The time left: from the speed of the work done now, whatever an earlier run had done."""

import pytest

from linkways.method import mark_taken_over, progress, progress_between, reporting_progress
from linkways.time_left import TimeLeft


class Clock:
    """A clock that stands until it is moved."""

    now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def work(left, clock, start, stop, seconds, signs=50):
    """Work steadily from one share to another."""
    for n in range(1, signs + 1):
        clock.now += seconds / signs
        left.tell(start + (stop - start) * n / signs)


def test_nothing_is_told_before_there_is_something_to_go_by(clock):
    left = TimeLeft(clock)
    assert left.seconds() is None
    clock.now += 100
    left.tell(0.0)
    assert left.seconds() is None


def test_steady_work_ends_when_it_says(clock):
    left = TimeLeft(clock)
    work(left, clock, 0.0, 0.25, 30)
    assert left.seconds() == pytest.approx(90)


def test_the_time_runs_down_between_two_signs_of_progress(clock):
    left = TimeLeft(clock)
    work(left, clock, 0.0, 0.5, 60)
    clock.now += 7
    assert left.seconds() == pytest.approx(53)
    clock.now += 1000
    assert left.seconds() == 0


def test_finished_work_has_no_time_left(clock):
    left = TimeLeft(clock)
    left.tell(1.0)
    assert left.seconds() == 0


def test_what_was_taken_over_does_not_count_as_speed(clock):
    left = TimeLeft(clock)
    left.taken_over = True
    work(left, clock, 0.0, 0.8, 2)
    left.taken_over = False
    work(left, clock, 0.8, 0.85, 50)
    assert left.seconds() == pytest.approx(150)


def test_a_slow_start_is_forgotten(clock):
    left = TimeLeft(clock)
    work(left, clock, 0.0, 0.01, 60)
    work(left, clock, 0.01, 0.61, 60)
    assert left.seconds() == pytest.approx(39, rel=0.1)


def test_work_that_begins_again_is_measured_anew(clock):
    left = TimeLeft(clock)
    work(left, clock, 0.0, 0.9, 9)
    left.tell(0.0)
    work(left, clock, 0.0, 0.1, 10)
    assert left.seconds() == pytest.approx(90)


def test_steady_work_is_told_steadily_through_stages():
    seen = []
    with reporting_progress(lambda done, what: seen.append((done, what))):
        with progress_between(0.0, 0.5):
            progress(0.5, "a")
            with progress_between(0.5, 1.0):
                progress(0.5, "b")
        progress(0.75, "c")
    assert seen == [(0.25, "a"), (0.375, "b"), (0.75, "c")]


def test_stages_and_work_taken_over_are_told_to_nobody_where_nobody_watches():
    with progress_between(0.0, 0.5):
        mark_taken_over(True)
        progress(1.0)


def test_a_watcher_hears_of_work_taken_over_inside_a_stage(clock):
    left = TimeLeft(clock)
    with reporting_progress(lambda *_: None, left), progress_between(0.0, 0.5):
        mark_taken_over(True)
        clock.now += 1
        progress(0.8)
        mark_taken_over(False)
        clock.now += 10
        progress(1.0)
    assert left.seconds() == pytest.approx(50)
