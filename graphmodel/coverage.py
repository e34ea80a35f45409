"""What the data cover: the difference between zero, partly known and not observed."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import pandas as pd

from chiptrail.graphmodel.countries import GROUPS
from chiptrail.graphmodel.hs import held_elsewhere
from chiptrail.graphmodel.periods import period_text

if TYPE_CHECKING:
    from chiptrail.graphmodel.network import TradeNetwork

DAY = pd.Timedelta(days=1)
HS2022_BEGINS = pd.Timestamp("2022-01-01")
"""First day of the HS version of 2022; some reporters changed over later."""
Span = tuple[pd.Timestamp, pd.Timestamp]


@dataclass(frozen=True)
class Observed:
    """What is observed of trade from sellers to a buyer, or from a seller to buyers.

    `status` is `covered`, `partly` or `not covered`; `spans` the days covered; `products` the codes and sets covered;
    `all_goods` whether they hold all goods of the question; `complete` whether a missing row means zero; `text` says it in words.
    """

    status: str
    spans: tuple[Span, ...]
    products: frozenset[str]
    all_goods: bool
    complete: bool
    text: str


NOTHING = Observed("not covered", (), frozenset(), False, False, "not covered")


class CoverageIndex:
    """The coverage of a network, ready to be asked pair by pair."""

    def __init__(self, network: "TradeNetwork") -> None:
        self._place = network.actors.set_index("actor_id")["country"].to_dict()
        self._known_homes: dict[frozenset[str], frozenset[str]] = {}
        self._answers: dict[tuple, Observed] = {}
        self._rows: dict[tuple[str, str], list[dict]] = {}
        for row in network.coverage.to_dict("records"):
            concept = "origin" if row["flow"] == "import" and row["partner_concept"] == "origin" else "dispatched"
            row["partner_set"] = None if row["partners"] == "*" else frozenset(row["partners"].split())
            row["product_set"] = frozenset(row["products"].split())
            self._rows.setdefault((concept, row["reporter"]), []).append(row)

    def observed(
        self, sellers: Iterable[str], buyers: Iterable[str], *, concept: str, codes: frozenset[str] | None,
        exact: frozenset[str] | None = None,
        first: pd.Timestamp | None, last: pd.Timestamp | None,
    ) -> Observed:
        """What the data cover of trade from any of the sellers to any of the buyers.

        Parameters
        ----------
        sellers, buyers
            Actor ids; firms are covered where the country they sit in reports.
        concept
            `dispatched` or `origin`.
        codes
            HS codes and product sets of the question; None for all goods.
        exact
            Those of the codes that must all be covered for the answer to be whole.
        first, last
            Days of the question; None for any.
        """
        if not self._rows:
            return NOTHING
        homes = self._homes(frozenset(sellers)), self._homes(frozenset(buyers))
        question = (homes, concept, codes, exact, first, last)
        if question not in self._answers:
            self._answers[question] = self._observed(*homes, concept, codes, exact, first, last)
        return self._answers[question]

    def _homes(self, actors: frozenset[str]) -> frozenset[str]:
        """The countries in which actors sit."""
        if actors not in self._known_homes:
            self._known_homes[actors] = frozenset(self._place.get(actor) or actor for actor in actors)
        return self._known_homes[actors]

    def _observed(
        self, sellers: frozenset[str], buyers: frozenset[str], concept: str, codes: frozenset[str] | None,
        exact: frozenset[str] | None, first: pd.Timestamp | None, last: pd.Timestamp | None,
    ) -> Observed:
        pairs = [(s, b) for s in sorted(sellers) for b in sorted(buyers) if s != b or sellers == buyers]
        found = [rows for s, b in pairs if (rows := self._matching(s, b, concept, codes, first, last))]
        if not found:
            return NOTHING
        days = [_days(rows, codes, exact, first, last) for rows in found]
        per_pair = [spans for spans, _ in days]
        spans = tuple(_merge([span for spans in per_pair for span in spans]))
        products = frozenset().union(*(row["product_set"] for rows in found for row in rows))
        complete = all(row["complete"] for rows in found for row in rows)
        lacking = sorted({reason for _, reason in days} - {""})
        gaps = []
        if first is not None and last is not None and any(s != [(first, last)] for s in per_pair):
            gaps.append("only " + ", ".join(period_text(*span) for span in spans))
        asked = len(_without_blocs([s for s, _ in pairs])) * len(_without_blocs([b for _, b in pairs]))
        if len(found) < asked:
            gaps.append(f"{len(found)} of {asked} pairs")
        gaps.extend([f"only goods {' '.join(sorted(products))}"] if any(r.startswith("only goods") for r in lacking) else lacking)
        if not complete:
            gaps.append("may miss rows")
        status = "partly" if gaps else "covered"
        return Observed(status, spans, products, not lacking, complete, f"{status}: {'; '.join(gaps)}" if gaps else status)

    def _matching(
        self, seller: str, buyer: str, concept: str, codes: frozenset[str] | None, first: pd.Timestamp | None,
        last: pd.Timestamp | None,
    ) -> list[dict]:
        sides = [("import", buyer, seller)] if concept == "origin" else [("export", seller, buyer), ("import", buyer, seller)]
        return [
            row
            for flow, reporter, partner in sides
            for row in self._rows.get((concept, reporter), [])
            if row["flow"] == flow
            and (row["partner_set"] is None or partner in row["partner_set"])
            and (codes is None or overlaps(row["product_set"], codes))
            and _inside(row, first, last)
        ]

    def described(self) -> str:
        """In a sentence: which concepts, reporters and periods the network covers."""
        rows = [row for group in self._rows.values() for row in group]
        if not rows:
            return "the network states no coverage: it holds selected records, from which no absence can be read"
        parts = []
        for concept in ("dispatched", "origin"):
            chosen = [row for (c, _), group in self._rows.items() if c == concept for row in group]
            if chosen:
                start, end = min(r["period_start"] for r in chosen), max(r["period_end"] for r in chosen)
                reporters = len({r["reporter"] for r in chosen})
                parts.append(f"{concept}: {reporters} reporters, {period_text(start, end)}")
        return "covered are " + "; ".join(parts)


def _without_blocs(names: Iterable[str]) -> set[str]:
    """The names without a bloc that stands beside its members."""
    chosen = set(names)
    return {name for name in chosen if not chosen & (set(GROUPS.get(name, ())) - {name})}


def _days(
    rows: list[dict], codes: frozenset[str] | None, exact: frozenset[str] | None, first: pd.Timestamp | None, last: pd.Timestamp | None
) -> tuple[list[Span], str]:
    """The days on which rows cover a pair, and why not all goods asked for are covered on them; empty if they are.

    Where headings are covered on other days than others, the days on which all of them are; if there are none, all days. Codes within
    a heading take no days away, since another HS version may have replaced them, unless that is known of a code and the other is not
    asked for.
    """
    seen = [(row["product_set"], span) for row in rows if (span := _inside(row, first, last))]
    every = _merge([span for _, span in seen])
    if exact is None:
        return every, ""
    groups = _groups(codes or exact, exact)
    told: dict[str, set[Span]] = {name: set() for name in groups.values()}
    for covered, (start, end) in seen:
        for name, begins, ends in _told(covered, codes or exact, exact):
            if max(start, begins) <= min(end, ends):
                told[name].add((max(start, begins), min(end, ends)))
    days = [_merge(list(spans)) for spans in {frozenset(spans) for spans in told.values()} if spans]
    common = days[0] if days else []
    for other in days[1:]:
        common = [(max(a, c), min(b, d)) for a, b in common for c, d in other if max(a, c) <= min(b, d)]
    products = frozenset().union(*(products for products, _ in seen))
    elsewhere = sorted(code for code, name in groups.items() if not told[name])
    if not all(under(code, products) for code in exact):
        return common or every, f"only goods {' '.join(sorted(products))}"
    if elsewhere:
        return common or every, f"goods of {' '.join(elsewhere[:3])} stood under other codes"
    return common or every, "" if common else f"goods {' '.join(sorted(products))} not on the same days"


@lru_cache(maxsize=4096)
def _groups(codes: frozenset[str], exact: frozenset[str]) -> dict[str, str]:
    """For each code its heading, or the code itself if its goods stood under codes of the other HS version that are not asked for."""
    return {code: code if _away(code, codes) else code[:4] for code in exact}


@lru_cache(maxsize=4096)
def _away(code: str, codes: frozenset[str]) -> frozenset[str]:
    """The HS versions in which the goods of a code stood under others, which are not all among the codes."""
    return frozenset(version for version, held in held_elsewhere(code).items() if not held or not all(under(c, codes) for c in held))


@lru_cache(maxsize=4096)
def _told(covered: frozenset[str], codes: frozenset[str], exact: frozenset[str]) -> frozenset[tuple[str, pd.Timestamp, pd.Timestamp]]:
    """The groups of codes of which covered products hold one, with the first and last day on which it can be told."""
    found = set()
    for code, name in _groups(codes, exact).items():
        if under(code, covered):
            away = frozenset() if code in covered else _away(code, codes)
            found.add((name, HS2022_BEGINS if "HS2017" in away else pd.Timestamp.min,
                       HS2022_BEGINS - DAY if "HS2022" in away else pd.Timestamp.max))
    return frozenset(found)


def overlaps(covered: frozenset[str], codes: frozenset[str]) -> bool:
    """Whether covered products and the codes of a question have goods in common; `*` covers all.

    Examples
    --------
    >>> overlaps(frozenset({"8541+8542"}), frozenset({"854231"})), overlaps(frozenset({"854231"}), frozenset({"8541"}))
    (True, False)
    """
    if "*" in covered or "*" in codes:
        return True
    few, many = (covered, codes) if len(covered) < len(codes) else (codes, covered)
    parts, begun = _beginnings(many)
    return any(code in begun or any(code[:n] in parts for n in range(len(code))) for code in _beginnings(few)[0])


@lru_cache(maxsize=65_536)
def under(code: str, products: frozenset[str]) -> bool:
    """Whether all goods of a code or set are among the products."""
    wide = tuple(part for product in products for part in product.split("+"))
    return "*" in products or all(part.startswith(wide) for part in code.split("+"))


@lru_cache(maxsize=65_536)
def _beginnings(codes: frozenset[str]) -> tuple[frozenset[str], frozenset[str]]:
    """The codes, sets taken apart, and all texts with which any of them begins."""
    parts = frozenset(part for code in codes for part in code.split("+"))
    return parts, frozenset(part[:n] for part in parts for n in range(len(part) + 1))


def _inside(row: dict, first: pd.Timestamp | None, last: pd.Timestamp | None) -> Span | None:
    """The days of a coverage row between first and last, in whole units of its resolution; None if there are none."""
    start, end = row["period_start"], row["period_end"]
    unit = row["resolution"]
    if first is not None and first > start:
        start = first
        if unit in ("month", "year"):
            start += pd.offsets.MonthBegin(0) if unit == "month" else pd.offsets.YearBegin(0)
    if last is not None and last < end:
        end = last
        if unit in ("month", "year") and not (end.is_month_end if unit == "month" else end.is_year_end):
            end -= pd.offsets.MonthEnd(1) if unit == "month" else pd.offsets.YearEnd(1)
    return (start, end) if start <= end else None


def _merge(spans: list[Span]) -> list[Span]:
    """The days of the spans as few spans."""
    merged: list[Span] = []
    for start, end in sorted(spans):
        if merged and start <= merged[-1][1] + DAY:
            merged[-1] = (merged[-1][0], max(merged[-1][1], end))
        else:
            merged.append((start, end))
    return merged
