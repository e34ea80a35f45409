"""Errors of chiptrail; every message says what, where and what to do.

- `ChiptrailError`: the base of all; catch this one.
    - `InputError`: a file cannot be read as what it was said to be.
    - `ValidationError`: tables break the data model; holds every problem found.
    - `UnknownNameError`: a name of a country, firm, product list or column is not known; offers near misses.
    - `NotComparableError`: the question would compare or add things that do not compare.
"""

import difflib
from collections.abc import Iterable


class ChiptrailError(Exception):
    """Base of all errors that chiptrail raises on purpose."""


class InputError(ChiptrailError):
    """A file cannot be read as what it was said to be."""


class ValidationError(ChiptrailError):
    """Tables break the data model. `problems` lists all of them."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        n = len(problems)
        super().__init__(f"{n} problem{'s' if n > 1 else ''} in the tables:\n" + "\n".join(f"- {p}" for p in problems))


class UnknownNameError(ChiptrailError):
    """A name is not known here."""

    def __init__(self, what: str, name: str, known: Iterable[str] = (), hint: str = "") -> None:
        near = difflib.get_close_matches(name, list(known), n=3, cutoff=0.6)
        message = f"unknown {what} {name[:200]!r}"
        if near:
            message += "; did you mean " + ", ".join(repr(n) for n in near) + "?"
        super().__init__(f"{message}{' ' if near else '; ' if hint else ''}{hint}".rstrip())


class NotComparableError(ChiptrailError):
    """The question would compare or add things that do not compare."""
