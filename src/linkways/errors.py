"""The one family of errors a user meets: one sentence that says what is wrong, where, and how to mend it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = ["LinkwaysError", "MissingExtra", "StudyError", "nearest"]


class LinkwaysError(ValueError):
    """Bad input or a request that cannot be met, told in one sentence.

    The command line prints the sentence and exits with code 2; nothing has been written.
    """


class MissingExtra(LinkwaysError):
    """A part of Linkways that is installed on request is missing."""

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        super().__init__(
            f"{purpose} needs the package {package}, which is not installed; install it with: "
            f"pip install 'linkways[{extra}]'"
        )


class StudyError(LinkwaysError):
    """All the mistakes found in one study, each a sentence with file, step and how to mend it."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = list(problems)
        super().__init__("\n".join(self.problems))


def nearest(name: str, choices: Iterable[str]) -> str:
    """Return " (did you mean 'x'?)" for the choice closest to ``name``, or the list of choices when none is.

    >>> nearest("least_cots", ["least_cost", "cores"])
    " (did you mean 'least_cost'?)"
    """
    known = sorted(set(choices))
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    if close:
        return f" (did you mean '{close[0]}'?)"
    if not known:
        return ""
    shown = ", ".join(known[:12]) + (", ..." if len(known) > 12 else "")
    return f" (known: {shown})"
