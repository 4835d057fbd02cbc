"""The words of a text as search compares them, the same on every database."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from linkways.catalogue._quantities import singular

__all__ = ["TextQuestion", "read_question", "search_words"]

_WORD = re.compile(r"[^\W_]+")
_LEFT_OUT = frozenset(
    (
        "a",
        "an",
        "and",
        "are",
        "as",
        "at",
        "be",
        "by",
        "for",
        "from",
        "in",
        "is",
        "it",
        "its",
        "of",
        "on",
        "or",
        "that",
        "the",
        "their",
        "they",
        "this",
        "to",
        "was",
        "which",
        "with",
    )
)


def search_words(text: str) -> list[str]:
    """Return the words of a text without accents, case, plural endings and words that say nothing.

    >>> search_words("Ecological corridors of São Paulo's forests")
    ['ecological', 'corridor', 'sao', 'paulo', 's', 'forest']
    """
    plain = unicodedata.normalize("NFKD", text).casefold()
    plain = "".join(letter for letter in plain if not unicodedata.combining(letter))
    return [singular(word) for word in _WORD.findall(plain) if word not in _LEFT_OUT]


@dataclass(frozen=True)
class TextQuestion:
    """What a search text asks for: phrases that must be there, phrases that must not, and a word that may go on."""

    wanted: tuple[tuple[str, ...], ...]
    unwanted: tuple[tuple[str, ...], ...] = ()
    open_end: bool = False
    """The last wanted word may be the beginning of a longer one."""

    def fts5(self) -> str:
        """Return the question in the language of FTS5."""
        wanted = [f'"{" ".join(phrase)}"' for phrase in self.wanted]
        if self.open_end:
            wanted[-1] += " *"
        return " AND ".join(wanted) + "".join(f' NOT "{" ".join(phrase)}"' for phrase in self.unwanted)

    def tsquery(self) -> str:
        """Return the question in the language of PostgreSQL's text search."""
        wanted = [" <-> ".join(phrase) for phrase in self.wanted]
        if self.open_end:
            wanted[-1] += ":*"
        unwanted = [f"!({' <-> '.join(phrase)})" for phrase in self.unwanted]
        return " & ".join([f"({one})" for one in wanted] + unwanted)


def read_question(text: str) -> TextQuestion | None:
    """Return what a search text asks for, None when it holds no word that could be searched.

    All words must occur; ``"in quotes"`` side by side; ``-word`` must not. The last word may be the beginning of a
    longer one, unless it stands in quotes or a space follows it.
    """
    wanted, unwanted = list[tuple[str, ...]](), list[tuple[str, ...]]()
    ended_open = False
    for found in re.finditer(r'(?<!\S)(-?)(?:"([^"]*)"?|([^\s"]+))', text):
        phrase = tuple(search_words(found[2] if found[2] is not None else found[3]))
        if not phrase:
            continue
        if found[1]:
            unwanted.append(phrase)
        elif found[2] is not None:
            wanted.append(phrase)
            ended_open = False
        else:
            wanted.extend((word,) for word in phrase)
            ended_open = found.end() == len(text) and text[-1].isalnum()
    if not wanted:
        return None
    return TextQuestion(tuple(wanted), tuple(unwanted), ended_open)
