"""Makers' names and part numbers found in descriptions of goods, against a list that the user gives.

A mention is read out of a text, and so inferred: the record does not state it. Every mention keeps the words matched and
the rule, and `mention_errors` tells how often the rules err on texts that a person has labelled.
"""

import csv
import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from pathlib import Path
from statistics import NormalDist

import pandas as pd

from chiptrail.graphmodel.errors import InputError, UnknownNameError
from chiptrail.graphmodel.network import TradeNetwork

RULES = ("part", "part with maker", "part of a longer number", "maker")
"""How a mention was found: the number alone; a short, plain or shared number beside its maker's name; a number inside a longer
one, beside its maker's name; the name alone."""

_LEAST_PART, _LEAST_NAME = 5, 3
_LOOK_ALIKES = str.maketrans("авсенкмортхo", "abcehkm0ptx0")
_TOKEN = re.compile(r"[^\W_]+")
_BEFORE = re.compile(r"(?:[^\W_]*\d[^\W_]*|(?<![^\W_])[^\W_]{1,3})[-‐-―−]$|[^\W_]*\d[^\W_]*\.$")
_BEHIND = re.compile(r"\.[^\W_]*\d")
_TIGHT = re.compile(r"[-‐-―−/._+#]")
_LOOSE = re.compile(r"\s+|\s*[-‐-―−]\s*")
_INVISIBLE = re.compile("[\u00ad\u200b-\u200d\u2060\ufeff]")
_REACH = 40
_Z = NormalDist().inv_cdf(0.975)


def read_parts(path: str | Path) -> pd.DataFrame:
    """Makers and part numbers to look for, one row for each: `maker`, `part` and `alias`, `""` where not given.

    Parameters
    ----------
    path
        A CSV file (UTF-8) with the columns `maker` and `part`, and `alias` if wished: other spellings of the maker's
        name, such as the Cyrillic one, parted by `;`. A row without a part looks for the name alone; the names of a
        maker are looked for whenever it has a row.

    Returns
    -------
    DataFrame
        `maker`, `part`, `alias`.

    Raises
    ------
    InputError
        If the file is not such a table, a row has no maker, a name or number has no letter or digit, or one name stands
        for two makers.

    Examples
    --------
    >>> parts = read_parts("parts.csv")  # doctest: +SKIP
    """
    parts = _read_csv(Path(path), ("maker", "part"), ("alias",))
    empty = [str(row + 2) for row in parts.index[parts["maker"] == ""]]
    if empty:
        raise InputError(f"{Path(path).name}: row {', '.join(empty[:5])}: no maker; write whose part it is")
    parts = parts.drop_duplicates(ignore_index=True)
    _index(parts, Path(path).name)
    return parts


def read_labelled(path: str | Path) -> pd.DataFrame:
    """Texts with their true mentions, as `mention_errors` takes them: `text`, `maker` and `part`.

    Parameters
    ----------
    path
        A CSV file (UTF-8) with the columns `text`, `maker` and `part`: a row for each true mention of a text, with `part`
        empty for a maker's name, or one row with neither where the text has none.

    Returns
    -------
    DataFrame
        `text`, `maker`, `part`.

    Raises
    ------
    InputError
        If the file is not such a table, or a row has a part without a maker.

    Examples
    --------
    >>> labelled = read_labelled("descriptions.csv")  # doctest: +SKIP
    """
    labelled = _read_csv(Path(path), ("text", "maker", "part"), ())
    orphans = [str(row + 2) for row in labelled.index[(labelled["maker"] == "") & (labelled["part"] != "")]]
    if orphans:
        raise InputError(f"{Path(path).name}: row {', '.join(orphans[:5])}: a part without a maker; write whose part it is")
    return labelled


def find_mentions(texts: pd.Series, parts: pd.DataFrame) -> pd.DataFrame:
    """Makers and parts that texts mention, one row for each mention of a text, in the order of the text.

    Parameters
    ----------
    texts
        Descriptions; equal ones are searched once.
    parts
        `maker`, `part` and `alias`, as from `read_parts`.

    Returns
    -------
    DataFrame
        `text` (place of the text in `texts`, from 0), `maker` and `part` as in the list (`part` is empty where the name was
        found), `matched` (the words found), `rule` (one of `RULES`).

    Raises
    ------
    InputError
        If the list is not of that form.

    Notes
    -----
    Names and numbers count as whole words only, whatever the case, accents, letter O or digit 0, or Cyrillic letters that
    look Latin. A name has the words of the list, with spaces or hyphens between them. Inside a number a hyphen, slash, dot,
    underscore, plus or # may stand anywhere, a space only where the list has a separator: `XC7K325T-2FFG900I` is found as
    `XC7K325T 2FFG900I`, and not across a comma. Of matches that begin at one word the longest counts. A number of fewer
    than 5 letters and digits, of digits alone, or listed for several makers counts only with its maker's name in the same
    text. So does one inside a longer number, as `2N7002` in `12-2N7002`, `A-2N7002-B` or `12.2N7002`; what follows a hyphen
    alone is a suffix to order by, as in `2N7002-K`. Names of fewer than 3 letters and digits are not looked for.

    A mention says that the words are there. "Compatible with" or "instead of" a maker is a mention too, and names that
    are words of the language are found as such: look at the texts before drawing a conclusion.

    Examples
    --------
    >>> parts = pd.DataFrame({"maker": ["Example Semi"], "part": ["EX7K325T-2"], "alias": [""]})
    >>> find_mentions(pd.Series(["FPGA EX7K325T 2, new"]), parts)[["maker", "part", "matched"]].values.tolist()
    [['Example Semi', 'EX7K325T-2', 'EX7K325T 2']]
    """
    index = _index(parts, "the list of parts")
    codes, distinct = pd.factorize(texts.fillna("").astype(str), sort=False)
    rows = [(i, *mention) for i, text in enumerate(distinct) for mention in _mentions(text, index)]
    found = pd.DataFrame(rows, columns=["distinct", "maker", "part", "matched", "rule"])
    found = found.astype(dict.fromkeys(("maker", "part", "matched", "rule"), "str"))
    found["place"] = range(len(found))
    places = pd.DataFrame({"text": range(len(codes)), "distinct": codes})
    every = places.merge(found.astype({"distinct": "int64"}), on="distinct").sort_values(["text", "place"], ignore_index=True)
    return every[["text", "maker", "part", "matched", "rule"]]


def mentions_in(network: TradeNetwork, parts: pd.DataFrame) -> pd.DataFrame:
    """Makers and parts that the goods of a network's trades mention, each with its record; the network stays as it is.

    Parameters
    ----------
    network
        A network whose trades have `goods`.
    parts
        `maker`, `part` and `alias`, as from `read_parts`.

    Returns
    -------
    DataFrame
        `trade_id`, `record_ref`, `seller` and `buyer` (names), `maker_stated` (the maker's name that the record itself
        states, else empty), `maker`, `part`, `matched`, `rule` (see `find_mentions`), `goods` (the whole description) and
        `basis` (always inferred).

    Raises
    ------
    InputError
        If the list is not of the form that `read_parts` gives.

    Notes
    -----
    A mention is a lead to a record, not the record's statement: it sets no `maker_id` and makes no `brand` link. It does not
    say that seller or buyer did anything wrong, nor that the goods are what the words say.

    Examples
    --------
    >>> mentions_in(network, read_parts("parts.csv"))  # doctest: +SKIP
    """
    trades = network.trades
    names = network.actors.set_index("actor_id")["name"]
    found = find_mentions(trades["goods"], parts)
    records = trades.iloc[found["text"].to_numpy()].reset_index(drop=True)
    return pd.DataFrame({
        "trade_id": records["trade_id"], "record_ref": records["record_ref"],
        "seller": records["seller_id"].map(names).astype("str"), "buyer": records["buyer_id"].map(names).astype("str"),
        "maker_stated": records["maker_id"].map(names).fillna("").astype("str"),
        "maker": found["maker"], "part": found["part"], "matched": found["matched"], "rule": found["rule"],
        "goods": records["goods"], "basis": pd.Series("inferred", index=records.index, dtype="str"),
    })


def mention_errors(labelled: pd.DataFrame, parts: pd.DataFrame) -> pd.DataFrame:
    """How often the rules err on labelled texts: a row for each rule and one for all, with 95 % intervals.

    Parameters
    ----------
    labelled
        `text`, `maker` and `part`, as from `read_labelled`; every mention of these texts must be labelled.
    parts
        `maker`, `part` and `alias`, as from `read_parts`.

    Returns
    -------
    DataFrame
        `rule` (one of `RULES`, or all), `n_true` (labelled), `n_found`, `n_right` (found and labelled), `precision` =
        n_right / n_found and `recall` = n_right / n_true (NaN over nothing), each with `_low` and `_high`.

    Raises
    ------
    UnknownNameError
        If a label names a maker that is not in the list.
    InputError
        If the list or the labels are not of the form said.

    Notes
    -----
    A labelled mention belongs to the rule by which it can be found; one whose number is not in the list is missed. The
    intervals are Wilson's (doi 10.1080/01621459.1927.10502953). They hold for texts like the labelled ones: draw these
    at random from the texts at hand, not from those with mentions.

    Examples
    --------
    >>> mention_errors(read_labelled("descriptions.csv"), read_parts("parts.csv"))  # doctest: +SKIP
    """
    compared = _compared(labelled, parts)
    rows = []
    for rule in (*RULES, "all"):
        of_rule = compared if rule == "all" else compared[compared["rule"] == rule]
        n_true, n_found = int(of_rule["labelled"].sum()), int(of_rule["found"].sum())
        n_right = int((of_rule["labelled"] & of_rule["found"]).sum())
        rows.append((rule, n_true, n_found, n_right, *_share(n_right, n_found), *_share(n_right, n_true)))
    return pd.DataFrame(rows, columns=[
        "rule", "n_true", "n_found", "n_right", "precision", "precision_low", "precision_high",
        "recall", "recall_low", "recall_high",
    ]).astype({"rule": "str"})


def mention_faults(labelled: pd.DataFrame, parts: pd.DataFrame) -> pd.DataFrame:
    """Each error behind `mention_errors`, in the order of the texts.

    Parameters
    ----------
    labelled, parts
        As for `mention_errors`.

    Returns
    -------
    DataFrame
        `fault` (`false mention` or `missed`), `text`, `maker`, `part`, `matched` (empty if missed), `rule`.

    Raises
    ------
    UnknownNameError, InputError
        As for `mention_errors`.

    Examples
    --------
    >>> mention_faults(read_labelled("descriptions.csv"), read_parts("parts.csv"))  # doctest: +SKIP
    """
    compared = _compared(labelled, parts)
    faults = compared[compared["labelled"] != compared["found"]].reset_index(drop=True)
    faults.insert(0, "fault", faults["found"].map({True: "false mention", False: "missed"}).astype("str"))
    return faults[["fault", "text", "maker", "part", "matched", "rule"]]


@dataclass(frozen=True)
class _Index:
    """What to look for: numbers by folded letters, each with its makers, its spelling by the list and where the list has a
    separator; makers by the folded words of their names, with single spaces.
    """

    numbers: dict[str, dict[str, tuple[str, frozenset[int]]]]
    names: dict[str, str]
    beginnings: frozenset[str]

    def may_have_spaces(self, key: str, places: set[int]) -> bool:
        """Whether the list has a separator at each of these places of a number."""
        return all(any(place in known for _, known in self.numbers[key].values()) for place in places)

    def needs_maker(self, key: str) -> bool:
        """Whether the number says too little to count without its maker's name."""
        return len(key) < _LEAST_PART or key.isdigit() or len(self.numbers.get(key, {})) > 1


@lru_cache(maxsize=1 << 18)
def _fold(token: str) -> str:
    """The token with case, accents, look-alike letters and O/0 made equal."""
    plain = unicodedata.normalize("NFKD", token.casefold())
    return "".join(c for c in plain if not unicodedata.combining(c)).translate(_LOOK_ALIKES)


def _visible(text: str) -> str:
    return text if text.isascii() else _INVISIBLE.sub("", unicodedata.normalize("NFKC", text))


def _words(text: str) -> list[str]:
    return [_fold(word) for word in _TOKEN.findall(_visible(text))]


def _index(parts: pd.DataFrame, where: str) -> _Index:
    missing = [name for name in ("maker", "part") if name not in parts]
    if missing:
        raise InputError(f"{where}: no column {', '.join(missing)}; it needs maker and part, and may have alias")
    numbers: dict[str, dict[str, tuple[str, frozenset[int]]]] = {}
    names: dict[str, str] = {}
    aliases = parts["alias"] if "alias" in parts else [""] * len(parts)
    for maker, part, alias in zip(parts["maker"], parts["part"], aliases, strict=True):
        for name in (maker, *filter(None, (a.strip() for a in alias.split(";")))):
            words = " ".join(_words(name))
            if not words:
                raise InputError(f"{where}: the name {name[:80]!r} has no letter or digit; correct it")
            if names.setdefault(words, maker) != maker:
                raise InputError(f"{where}: the name {name[:80]!r} stands for {names[words]!r} and {maker!r}; give it to one")
        if part:
            ends = list(accumulate(map(len, pieces := _words(part))))
            if not pieces:
                raise InputError(f"{where}: the part {part[:80]!r} of {maker!r} has no letter or digit; correct it")
            makers = numbers.setdefault("".join(pieces), {})
            first, known = makers.get(maker, (part, frozenset()))
            makers[maker] = (first, known.union(ends))
    names = {words: maker for words, maker in names.items() if len(words.replace(" ", "")) >= _LEAST_NAME}
    whole = [*numbers, *(words.replace(" ", "") for words in names)]
    return _Index(numbers, names, frozenset(key[:i] for key in whole for i in range(1, len(key) + 1)))


def _mentions(text: str, index: _Index) -> list[tuple[str, str, str, str]]:
    """Maker, part, matched words and rule of each mention of one text."""
    possible = list(_possible(text, index))
    named = {maker for maker, part, _, _ in possible if not part}
    found: dict[tuple[str, str], tuple[str, str]] = {}
    for maker, part, matched, rule in possible:
        if rule in ("part", "maker") or maker in named:
            known = found.setdefault((maker, part), (matched, rule))
            if rule == "part" != known[1]:
                found[maker, part] = (matched, rule)
    return [(maker, part, matched, rule) for (maker, part), (matched, rule) in found.items()]


def _possible(text: str, index: _Index) -> Iterator[tuple[str, str, str, str]]:
    """Maker, part, matched words and rule of what is a mention if the maker's name is there, where the rule asks for it."""
    for number, name, matched, longer in _spans(_visible(text), index):
        if name:
            yield index.names[name], "", matched, "maker"
        rule = "part with maker" if index.needs_maker(number) else "part of a longer number" if longer else "part"
        for maker, (part, _) in index.numbers.get(number, {}).items():
            yield maker, part, matched, rule


def _spans(text: str, index: _Index) -> Iterator[tuple[str, str, str, bool]]:
    """Number, name (one may be empty) and words of the longest match at each word of a text, none inside another, and whether
    the match is part of a longer number.
    """
    words = [(match.start(), match.end(), _fold(match[0])) for match in _TOKEN.finditer(text)]
    done = 0
    for i, (start, end, word) in enumerate(words):
        if start < done or word not in index.beginnings:
            continue
        number = name = word
        spaces: set[int] = set()
        best = ("", "", "")
        follow = i
        while number in index.beginnings:
            as_number = number if number in index.numbers and index.may_have_spaces(number, spaces) else ""
            as_name = name if name in index.names else ""
            if as_number or as_name:
                best, done = (as_number, as_name, text[start:end]), end
            follow += 1
            if follow == len(words):
                break
            between = text[end : words[follow][0]]
            if not _TIGHT.fullmatch(between):
                if not _LOOSE.fullmatch(between):
                    break
                spaces.add(len(number))
            end, number, name = words[follow][1], number + words[follow][2], f"{name} {words[follow][2]}"
        if best[2]:
            before = _BEFORE.search(text, max(0, start - _REACH), start)
            yield *best, before is not None or _BEHIND.match(text, done) is not None


def _compared(labelled: pd.DataFrame, parts: pd.DataFrame) -> pd.DataFrame:
    """Mentions labelled or found, in the order of the texts: text, maker, part, matched, rule, labelled, found."""
    index = _index(parts, "the list of parts")
    missing = [name for name in ("text", "maker", "part") if name not in labelled]
    if missing:
        raise InputError(f"the labelled texts: no column {', '.join(missing)}; they need text, maker and part")
    makers = {" ".join(_words(maker)): maker for maker in parts["maker"]}
    place, texts = pd.factorize(labelled["text"])
    rows: dict[tuple[int, str, str], tuple[str, str, bool, bool]] = {}
    for text, maker, part in zip(place, labelled["maker"], labelled["part"], strict=True):
        if not maker:
            continue
        if " ".join(_words(maker)) not in makers:
            raise UnknownNameError("maker", maker, makers.values(), "label with the makers of the list")
        maker, key = makers[" ".join(_words(maker))], "".join(_words(part))
        listed = index.numbers.get(key, {}).get(maker, (part, frozenset()))[0]
        rule = "maker" if not part else "part with maker" if index.needs_maker(key) else "part"
        rules = {(m, p): r for m, p, _, r in _possible(texts[int(text)], index)}
        rows[int(text), maker, listed] = ("", rules.get((maker, listed), rule), True, False)
    for text, maker, part, matched, rule in find_mentions(pd.Series(texts, dtype="str"), parts).itertuples(index=False):
        rows[text, maker, part] = (matched, rule, (text, maker, part) in rows, True)
    ordered = sorted(rows.items())
    table = pd.DataFrame([(texts[key[0]], *key[1:], *value) for key, value in ordered],
                         columns=["text", "maker", "part", "matched", "rule", "labelled", "found"])
    kinds = dict.fromkeys(("text", "maker", "part", "matched", "rule"), "str")
    return table.astype(kinds | {"labelled": "bool", "found": "bool"})


def _share(right: int, of: int) -> tuple[float, float, float]:
    """A share with Wilson's 95 % interval; NaN over nothing."""
    if not of:
        return (float("nan"),) * 3
    share, squared = right / of, _Z**2 / of
    middle = (share + squared / 2) / (1 + squared)
    half = _Z / (1 + squared) * (share * (1 - share) / of + squared / (4 * of)) ** 0.5
    return share, max(0.0, middle - half), min(1.0, middle + half)


def _read_csv(path: Path, needed: Sequence[str], optional: Sequence[str]) -> pd.DataFrame:
    if not path.is_file():
        raise InputError(f"{path.name}: no such file in {path.parent}; check the path")
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            rows = csv.DictReader(file, strict=True)
            missing = [name for name in needed if name not in (rows.fieldnames or ())]
            if missing:
                raise InputError(f"{path.name}: no column {', '.join(missing)}; it needs {', '.join(needed)}")
            read = [{name: (row.get(name) or "").strip() for name in (*needed, *optional)} for row in rows]
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path.name} cannot be read ({error}); save it as CSV in UTF-8") from None
    return pd.DataFrame(read, columns=[*needed, *optional], dtype="str")
