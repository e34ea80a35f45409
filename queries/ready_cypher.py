"""The ready Cypher queries of `queries/cypher`: what they answer, their parameters, and how they are run or kept in Neo4j Browser.

A file begins with a title, sentences, cautions and its parameters, each as `// :param name => default  meaning`; a default is JSON,
which is Cypher too. A parameter of one name has one default and one meaning in all files.
"""

import io
import json
import re
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.resources import files
from itertools import takewhile
from typing import Any

from chiptrail.graphmodel.errors import InputError, UnknownNameError
from chiptrail.graphmodel.periods import parse_period

GRAPH = "graph"
"""The column, last where there is one, of nodes, relationships and paths that Browser draws; no part of a table."""
NETWORK_ID = "bundled-firms"
_PARAM = re.compile(r"// :param (?P<name>\w+) => (?P<default>.+?)  (?P<meaning>.+)")
_FIRST_DAYS, _LAST_DAYS = ("since", "after"), ("until",)
_WHOLE = {"hops": range(1, 6), "limit": range(1, 1_000_001)}


@dataclass(frozen=True)
class ReadyQuery:
    """A query: its name, what it answers with its cautions, its parameters as default and meaning by name, and its text.

    Each takes also `network_id`, the id of the network in the database.
    """

    name: str
    answers: str
    parameters: Mapping[str, tuple[Any, str]]
    text: str


def ready_queries() -> list[ReadyQuery]:
    """The ready queries in the order of their names.

    Examples
    --------
    >>> [query.name for query in ready_queries()][:3]
    ['evidence', 'hubs', 'listed_trade']
    """
    found = files("chiptrail.queries").joinpath("cypher").iterdir()
    texts = {item.name: item.read_text(encoding="utf-8") for item in found if item.name.endswith(".cypher")}
    return [_read(name.removesuffix(".cypher"), texts[name]) for name in sorted(texts)]


def ready_query(name: str) -> ReadyQuery:
    """The ready query of this name.

    Raises
    ------
    UnknownNameError
        If there is none; near misses are offered.
    """
    known = {query.name: query for query in ready_queries()}
    if name not in known:
        raise UnknownNameError("ready query", name, known, f"known: {', '.join(known)}")
    return known[name]


def parameters(query: ReadyQuery, given: Iterable[str] = ()) -> dict[str, Any]:
    """The parameters of a query but `network_id`: defaults, and in their place what texts such as `origins=USA,KAZ` give.

    Items of a list are separated by commas; items that hold one are given as a JSON list. Days are given as a year, month or day,
    and mean its first, for `until` its last day. Nothing after `=` means null, or an empty list.

    Raises
    ------
    UnknownNameError
        If the query has no such parameter; near misses are offered.
    InputError
        If a text is not `name=value`, stands twice, or its value is not of the parameter's type.

    Examples
    --------
    >>> asked = parameters(ready_query("hubs"), ["origins=USA,KAZ", "until=2022-02"])
    >>> asked["origins"], asked["until"], asked["destinations"]
    (['USA', 'KAZ'], '2022-02-28', ['RUS'])
    """
    values: dict[str, Any] = {}
    for text in given:
        name, sign, value = (part.strip() for part in text.partition("="))
        if not sign:
            raise InputError(f"{text[:100]!r} is no parameter; write name=value, such as limit=10")
        if name not in query.parameters:
            raise UnknownNameError(f"parameter of {query.name}", name, query.parameters, f"it has {', '.join(query.parameters)}")
        if name in values:
            raise InputError(f"{name} is given twice; a list is written {name}=a,b")
        values[name] = _value(name, value, *query.parameters[name])
    if (values.get("since") or "") > (values.get("until") or "9999"):
        raise InputError(f"the period ends before it begins: since {values['since']}, until {values['until']}")
    return {name: default for name, (default, _) in query.parameters.items()} | values


def favourites(network_id: str = NETWORK_ID) -> dict[str, str]:
    """Texts of favourites for Neo4j Browser, by name: first the parameters of all queries as one command, then each query.

    Browser's own command sets the parameters; every query run afterwards takes its own from them.
    """
    defaults: dict[str, Any] = {"network_id": network_id}
    for query in ready_queries():
        defaults |= {name: default for name, (default, _) in query.parameters.items()}
    lines = ",\n".join(f"  {name}: {_written(value)}" for name, value in defaults.items())
    start = f"// Parameters of the queries of chiptrail: change what you ask, and run this first\n:params {{\n{lines}\n}}"
    return {"parameters": start} | {query.name: query.text.strip() for query in ready_queries()}


def favourites_page(network_id: str = NETWORK_ID) -> str:
    """The favourites as one text to copy from, each into Browser's editor and kept there with its star.

    Browser keeps what stands in its editor as one favourite, also a whole file dropped on it; `favourites_zip` brings all at once.
    """
    return "\n\n\n".join(favourites(network_id).values()) + "\n"


def favourites_zip(network_id: str = NETWORK_ID) -> bytes:
    """The favourites as a zip file: dropped on Neo4j Browser's window, it adds them all in a folder `chiptrail`."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as packed:
        for name, text in favourites(network_id).items():
            packed.writestr(zipfile.ZipInfo(f"chiptrail/{name}.cypher"), text)
    return out.getvalue()


def _read(name: str, text: str) -> ReadyQuery:
    head = list(takewhile(lambda line: line.startswith("//"), text.splitlines()))
    found = [match for line in head if (match := _PARAM.fullmatch(line)) and match["name"] != "network_id"]
    answers = " ".join(line.removeprefix("//").strip() for line in head if not line.startswith("// :param")).strip()
    return ReadyQuery(name, answers, {match["name"]: (json.loads(match["default"]), match["meaning"]) for match in found}, text)


def _value(name: str, text: str, default: Any, meaning: str) -> Any:
    """The value that a text gives a parameter, of the type that its name and default say; a word if its meaning quotes words."""
    if isinstance(default, list):
        return _listed(name, text)
    if name in _WHOLE:
        if not re.fullmatch(r"\d{1,9}", text) or int(text) not in _WHOLE[name]:
            raise InputError(f"{name}={text[:40]} is no whole number from {_WHOLE[name][0]} to {_WHOLE[name][-1]:,}")
        return int(text)
    if not text:
        if default is None:
            return None
        raise InputError(f"{name} needs a value")
    if name in _FIRST_DAYS or name in _LAST_DAYS:
        return str(parse_period(text)[name in _LAST_DAYS].date())
    words = re.findall(r'"(\w+)"', meaning)
    if words and text not in words:
        raise UnknownNameError(name, text, words, f"choose one of {', '.join(words)}")
    return text


def _listed(name: str, text: str) -> list[str]:
    if not text.startswith("["):
        return [item.strip() for item in text.split(",") if item.strip()]
    try:
        items = json.loads(text)
    except ValueError:
        items = None
    if not isinstance(items, list) or not all(isinstance(item, str) for item in items):
        raise InputError(f"{name}={text[:40]} begins as a JSON list and is none of texts; write {name}=USA,KAZ or {name}=[\"USA\"]")
    return items


def _written(value: Any) -> str:
    """A value as Browser's `:params` reads it; marks that end a command or begin a comment there are written as numbers."""
    return re.sub(r"[$;=>/{}]", lambda mark: f"\\u{ord(mark[0]):04x}", json.dumps(value))
