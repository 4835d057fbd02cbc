"""Notes of safe repairs reach the run that made them."""

import contextvars
import logging
import threading

from linkways.spatial import note, recording


def test_notes_are_collected_in_order():
    with recording() as log:
        note("first")
        note("second")
    assert log == ["first", "second"]


def test_notes_after_the_block_do_not_reach_it(caplog):
    with recording() as log:
        pass
    with caplog.at_level(logging.INFO, logger="linkways"):
        note("later")
    assert log == []
    assert [(record.name, record.levelname, record.message) for record in caplog.records] == [
        ("linkways", "INFO", "later")
    ]


def test_an_inner_recording_also_reaches_the_outer_one(caplog):
    with caplog.at_level(logging.INFO, logger="linkways"), recording() as run:
        note("before")
        with recording() as step:
            note("inside")
    assert step == ["inside"]
    assert run == ["before", "inside"]
    assert not caplog.records


def test_threads_take_part_when_they_run_in_a_copy_of_the_context():
    with recording() as log:
        context = contextvars.copy_context()
        inside = threading.Thread(target=context.run, args=(note, "from the copy"))
        outside = threading.Thread(target=note, args=("from elsewhere",))
        for thread in (inside, outside):
            thread.start()
            thread.join()
    assert log == ["from the copy"]


def test_a_failed_block_ends_its_recording(caplog):
    try:
        with recording():
            raise KeyError
    except KeyError:
        pass
    with caplog.at_level(logging.INFO, logger="linkways"):
        note("after")
    assert caplog.messages == ["after"]
