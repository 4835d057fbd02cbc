"""How much longer a piece of work will take, from the signs of progress it gives."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

__all__ = ["TimeLeft", "clock_words"]

OBSERVED = 1.0  # seconds of work to look at before the first estimate
RECENT = 10.0  # the speed is that of the last so many seconds, or of the last half of the work if that is longer
SPACING = 0.25  # signs of progress closer than this are one


class TimeLeft:
    """The time left of one piece of work, at the speed of its last half.

    What was taken over from an earlier run counts as done, but says nothing about the speed: set ``taken_over`` while
    that is told. Between two signs of progress the time left runs down like a clock.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.taken_over = False
        self._clock = clock
        self._start(0.0)

    def _start(self, done: float) -> None:
        self._began = self._clock()
        self._done = done
        self._samples = deque([(self._began, done)])
        self._last = self._samples[0]

    def tell(self, done: float) -> None:
        """Take note that so much (0 to 1) is done now."""
        if self.taken_over or done < self._done:
            self._start(done)
            return
        self._done = done
        now = self._clock()
        self._last = (now, done)
        if now - self._samples[-1][0] >= SPACING:
            self._samples.append(self._last)
        window = max(RECENT, (now - self._began) / 2)
        while len(self._samples) > 1 and self._samples[1][0] <= now - window:
            self._samples.popleft()

    def seconds(self) -> float | None:
        """The seconds that remain, or None where too little was seen to tell."""
        if self._done >= 1.0:
            return 0.0
        (since, before), (until, done) = self._samples[0], self._last
        if until - since < OBSERVED or done <= before:
            return None
        remain = (1.0 - done) * (until - since) / (done - before)
        return max(0.0, remain - (self._clock() - until))


def clock_words(seconds: float | None) -> str:
    """Seconds as hours:minutes:seconds; dashes where they are not known.

    >>> clock_words(3725.4), clock_words(59), clock_words(None)
    ('1:02:05', '0:00:59', '-:--:--')
    """
    if seconds is None:
        return "-:--:--"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}"
