"""Newcomers: whose first trade lies after a date, where the time before is known."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from chiptrail.graphmodel.coverage import DAY, CoverageIndex, Observed, under
from chiptrail.graphmodel.errors import UnknownNameError
from chiptrail.graphmodel.hs import held_elsewhere
from chiptrail.graphmodel.network import TradeNetwork
from chiptrail.graphmodel.periods import parse_period, period_text
from chiptrail.queries.answer import answer, names_of
from chiptrail.queries.baseline import EVERYBODY, WIDE, common_code, in_force
from chiptrail.queries.growth import unplaced
from chiptrail.queries.question import Question, question_of, unfit_between
from chiptrail.queries.scope import count_once, scope_notes, shaped, trades_in_scope, value_concept

WHO = ("pair", "seller", "buyer")
YEARS = 1
"""A newcomer has been seen not to trade for so many years before its first trade."""
_DTYPES = {
    "seller_id": "str", "seller": "str", "seller_country": "str", "buyer_id": "str", "buyer": "str", "buyer_country": "str",
    "concept": "str", "first_date": "datetime64[us]", "first_date_end": "datetime64[us]", "value_usd": "float64",
    "known_usd": "float64", "n_records": "int64", "n_without_value": "int64", "products": "str", "coverage_before": "str",
    "covered_before": "str", "status": "str",
}
COLUMNS = tuple(_DTYPES)


def newcomers(
    network: TradeNetwork, *, since: str | None = None, until: str | None = None, who: str = "pair",
    origins: Sequence[str] | None = None, destinations: Sequence[str] | None = None, concept: str | None = None,
    products: str | Sequence[str] | None = None, prefer: str = "exporter",
) -> pd.DataFrame:
    """One row per pair (or seller, or buyer) whose first recorded trade in the question lies on or after a date.

    Only where the data cover the year before completely is it a `newcomer`; else it is first seen, and whether it traded before is not
    known. First seen is not founded: an old firm may begin a new trade, and a new name may be an old firm.

    Parameters
    ----------
    network
        A network of countries or of firms.
    since
        The date, such as `2022-03`; default the first day of the last year with trades, which a note then says.
    until
        End of the period in which trade is counted; None for the end of the data.
    who
        `pair`, `seller` (to any of the destinations) or `buyer` (from any of the origins).
    origins, destinations
        Sellers and buyers: countries, groups (`EU27`), or actors by name or id; None for all.
    concept
        `dispatched` or `origin`. Default: `origin` for countries, `dispatched` for firms. They are never mixed.
    products
        As in `TradeNetwork.where`.
    prefer
        Whose report is taken where both sides told of a flow: `exporter` or `importer`.

    Returns
    -------
    DataFrame
        `seller_id`, `seller`, `seller_country`, `buyer_id`, `buyer`, `buyer_country` (empty on the side that `who` leaves out),
        `concept`, `first_date`, `first_date_end` (first and last day of the period of the first record counted: it may be a year),
        `value_usd`
        (USD of all records in the period; missing if any has no value), `known_usd` (USD, sum of the values known), `n_records`,
        `n_without_value`, `products` (codes, joined by spaces), `coverage_before` (what the data cover before the first record),
        `covered_before` (the days before the date that are covered without a gap), `status` (`newcomer`, or `not known: ` and why).
        Newcomers first, by value. `attrs` holds the question, notes, records left aside by reason, and sources.

    Raises
    ------
    UnknownNameError
        If a name, concept, product list, preference or `who` is not known.
    NotComparableError
        For `concept="brand"`, whose links have no value.

    Notes
    -----
    A record that begins before the date and ends after it may be of either time: whoever has one is no newcomer and has the status
    `not known`. So has who trades goods under a code that the HS version of the year before did not have, who has a record without
    dates, and who has a record in a code wider than the products, unless finer codes tell of the same days or the same value.
    Placeholders and forwarders are left out. A newcomer is a lead, and most of them are ordinary new customers.

    Examples
    --------
    >>> import chiptrail as ct
    >>> found = ct.newcomers(ct.load_bundled("countries"), since="2022-03", destinations=["KGZ"], concept="dispatched", products="8542")
    >>> found.loc[found["status"].eq("newcomer"), "seller_id"].tolist()
    ['LTU', 'POL', 'EST', 'ITA', 'ESP', 'LUX']
    """
    if who not in WHO:
        raise UnknownNameError("who", who, WHO, f"choose one of {', '.join(WHO)}")
    concept = value_concept(network, concept)
    trades = trades_in_scope(network, concept=concept, products=products, since=None, until=until, origins=origins,
                             destinations=destinations)
    note = ""
    if since is None and trades["period_end"].notna().any():
        since = str(trades["period_end"].max().year)
        note = f"no date was given: {since} is the last year with trades"
    asked = {"since": since, "until": until, "who": who, "origins": origins, "destinations": destinations, "concept": concept,
             "products": products, "prefer": prefer}
    actors = network.actors
    unfit = set(actors.loc[unfit_between(network), "actor_id"])
    trades = trades[~trades["seller_id"].isin(unfit) & ~trades["buyer_id"].isin(unfit) & trades["seller_id"].ne(trades["buyer_id"])]
    if since is None or trades.empty:
        return answer(shaped(pd.DataFrame(), _DTYPES), network, question=asked, notes=[note, *scope_notes(network, concept, trades)])
    date = parse_period(since)[0]
    question = question_of(network, origins=[] if origins is None else origins, destinations=[] if destinations is None else destinations,
                           concept=concept, products=products)
    trades = count_once(network, trades, prefer=prefer)
    trades = trades.assign(unplaced=unplaced(network, trades, concept))
    sides = {"pair": ["seller_id", "buyer_id"], "seller": ["seller_id"], "buyer": ["buyer_id"]}[who]
    coverage = CoverageIndex(network)
    rows = []
    for key, found in trades.groupby(sides, sort=True):
        seller, buyer = (str(key[i]) if who in ("pair", side) else "" for i, side in ((0, "seller"), (-1, "buyer")))
        found = found[found["unplaced"] | found["left_aside"].ne(WIDE)]
        told = found[found["left_aside"].ne(WIDE)]
        if told["period_end"].lt(date).any() or (told.empty and found["period_start"].lt(date).any()):
            continue
        row = _row(found)
        sellers = [seller] if seller else sorted(question.origins) if origins is not None else EVERYBODY
        buyers = [buyer] if buyer else sorted(question.destinations) if destinations is not None else EVERYBODY
        seen = _seen(coverage, sellers, buyers, concept, told, question.codes, date)
        rows.append(row | {"seller_id": seller, "buyer_id": buyer} | _status(found, seen, date, question))
    table = _described(pd.DataFrame(rows, columns=list(COLUMNS)), network, concept)
    counted = trades["left_aside"].eq("")
    notes = [note, *scope_notes(network, concept, trades),
             "first seen is not founded: it says when the data hold the first record, and only of a newcomer that there was none in "
             "the year before",
             "whether the others traded before is not known" if table["status"].ne("newcomer").any() else ""]
    return answer(shaped(table, _DTYPES), network, question=asked, notes=notes, source_ids=trades.loc[counted, "source_id"],
                  left_aside=trades["left_aside"])


def _row(found: pd.DataFrame) -> dict[str, Any]:
    counted = found[found["left_aside"].eq("")]
    days = counted.sort_values(["period_start", "period_end", "trade_id"], na_position="first")[["period_start", "period_end"]]
    first, last = days.iloc[0] if len(days) else (pd.NaT, pd.NaT)
    missing = counted["value_usd"].isna()
    known = counted["value_usd"].sum() if len(counted) and not missing.all() else np.nan
    return {
        "first_date": first, "first_date_end": last,
        "value_usd": np.nan if missing.any() else known, "known_usd": known, "n_records": len(counted),
        "n_without_value": int(missing.sum()), "products": " ".join(sorted(set(counted["code"]) - {""})),
    }


def _seen(
    coverage: CoverageIndex, sellers: Sequence[str], buyers: Sequence[str], concept: str, found: pd.DataFrame,
    codes: frozenset[str] | None, date: pd.Timestamp,
) -> Observed:
    """What the data cover of the years before the date, of the goods asked for, or else of those traded."""
    own = frozenset(part for code in found["code"] for part in code.split("+")) - {""}
    wide = own.union(*(held for code in own for held in held_elsewhere(code).values()))
    return coverage.observed(sellers, buyers, concept=concept, codes=codes or wide or None, exact=own or None,
                             first=date - pd.DateOffset(years=YEARS), last=date - DAY)


def _status(found: pd.DataFrame, seen: Observed, date: pd.Timestamp, question: Question) -> dict[str, str]:
    wide = found["left_aside"].eq(WIDE)
    early = found["period_start"].lt(date)
    undated = found["period_start"].isna() | found["period_end"].isna()
    begin = next((a for a, b in seen.spans if b == date - DAY), None)
    days = period_text(begin, date - DAY) if begin is not None else ""
    known = in_force(date - pd.DateOffset(years=YEARS))
    whole = frozenset(code for code in question.exact or () if len(code) <= 4)
    new_codes = [
        code for code, version in found.loc[~wide, ["code", "hs_version"]].drop_duplicates().itertuples(index=False)
        if version and version > known and not _asked_before(code, common_code(code, version, frozenset({version, known}), whole), question)
    ]
    if undated.any():
        status = "not known: a record has no dates"
    elif (early & ~wide).any():
        status = "not known: a record begins before the date and ends after it"
    elif early.any():
        status = "not known: told before in a wider code"
    elif found["left_aside"].ne("").all():
        status = "not known: told only in wider codes, or in dates partly outside the period"
    elif wide.any():
        status = "not known: when it began, since it is told in a wider code too"
    elif seen.status == "not covered":
        status = "not known: the time before is not covered"
    elif seen.status == "partly":
        status = f"not known: the year before is covered {seen.text}"
    elif new_codes:
        status = f"not known: {', '.join(sorted(new_codes)[:3])} did not stand in {known}"
    else:
        status = "newcomer"
    return {"coverage_before": seen.text, "covered_before": days, "status": status}


def _asked_before(code: str, before: str, question: Question) -> bool:
    """Whether the question asks for the goods of a code also at the code under which they stood before."""
    return bool(before) and (question.codes is None or before == code[:6] or under(before, question.codes))


def _described(table: pd.DataFrame, network: TradeNetwork, concept: str) -> pd.DataFrame:
    names, places = names_of(network), network.actors.set_index("actor_id")["country"].to_dict()
    for side in ("seller", "buyer"):
        table[side] = [names.get(i, "") for i in table[f"{side}_id"]]
        table[f"{side}_country"] = [places.get(i, "") for i in table[f"{side}_id"]]
    table = table.assign(concept=concept, later=table["status"].ne("newcomer"))
    table = table.sort_values(["seller_id", "buyer_id"], kind="stable")
    return table.sort_values(["later", "known_usd"], ascending=[True, False], kind="stable", na_position="last")
