"""Tables of trade: actors by product and period to read, and the panel of corridors, products and periods to estimate with."""

from collections.abc import Sequence

import pandas as pd

from chiptrail.graphmodel.errors import NotComparableError, UnknownNameError
from chiptrail.graphmodel.hs import comparable_code
from chiptrail.graphmodel.network import TradeNetwork
from chiptrail.queries.answer import answer
from chiptrail.queries.cells import Goods, cells, goods_of, shortened
from chiptrail.queries.scope import (
    count_once,
    described_actors,
    period_texts,
    scope_notes,
    shaped,
    trades_in_scope,
    value_concept,
    with_periods,
)
from chiptrail.queries.tiers import finest_first, tier_of, tiers

_LEADING = {"hub_id": "str", "hub": "str", "country": "str", "concept": "str", "product": "str"}
LEADING_COLUMNS = tuple(_LEADING)
_DTYPES = {
    "exporter": "str", "importer": "str", "product": "str", "hs_version": "str", "period": "str",
    "period_start": "datetime64[us]", "concept": "str", "value_usd": "float64", "weight_kg": "float64", "n_records": "int64",
    "n_without_value": "int64", "estimated": "bool", "coverage": "str", "observed": "bool",
}
COLUMNS = tuple(_DTYPES)
SIDES = ("seller", "buyer")
GOODS = ("heading", "tier")
DIGITS = (2, 4, 6)


def tabulate(
    network: TradeNetwork, *, hub: str = "seller", goods: str = "heading", by: str = "year",
    origins: Sequence[str] | None = None, destinations: Sequence[str] | None = None, concept: str | None = None,
    products: str | Sequence[str] | None = None, since: str | None = None, until: str | None = None, prefer: str = "exporter",
) -> pd.DataFrame:
    """One row per hub and product (or tier of the Common High Priority List), one column per period, values in USD.

    Parameters
    ----------
    network
        A network of countries or of firms.
    hub
        Which side of the trade the rows stand for: `seller` (what hubs send) or `buyer` (what they receive).
    goods
        `heading` (four digits of the HS code) or `tier` (of the newest Common High Priority List).
    by
        `month`, `quarter` or `year`.
    origins, destinations
        Sellers and buyers that count: countries, groups (`EU27`), or actors by name or id; None for all.
    concept
        `dispatched` or `origin`. Default: `origin` for countries, `dispatched` for firms. They are never mixed.
    products, since, until
        As in `TradeNetwork.where`.
    prefer
        Whose report is taken where both sides told of a flow: `exporter` or `importer`.

    Returns
    -------
    DataFrame
        `hub_id`, `hub`, `country`, `concept`, `product` (heading or set such as 8541+8542; or the tier, such as 3.A, else `not on
        the list`, `wider than the list` or `code unknown`), then a column for each period, such as 2022-07, 2022-Q3 or 2022 (USD).
        A cell is missing where the data do not cover it or a record has no value, and zero where they cover it completely and
        hold no record. Sorted by hub and product. `attrs` holds the question, notes, records left aside by reason, and sources.

    Raises
    ------
    UnknownNameError
        If a name, concept, product list, side, kind of goods, length of period or preference is not known.
    NotComparableError
        For `concept="brand"`, whose links have no value.

    Notes
    -----
    A cell adds up the corridors of the hub that have any record of the product in the question. Where some of them are not
    covered it is what was recorded, hence at least; the notes name such periods. Records that span several periods are left aside.
    For tiers, a heading counts only where the same corridor, period and goods are not told in finer codes; `wider than the list`
    also holds codes of HS versions for which the list is not known. `Unnamed ...` placeholders get no row.

    Examples
    --------
    >>> import chiptrail as ct
    >>> table = ct.tabulate(ct.load_bundled("countries"), destinations=["RUS"], concept="dispatched", since="2021", until="2022")
    >>> table.set_index("hub_id").loc["KAZ", ["2021", "2022"]].astype(float).round(-3).tolist()
    [246000.0, 18259000.0]
    """
    for what, value, known in (("side", hub, SIDES), ("kind of goods", goods, GOODS)):
        if value not in known:
            raise UnknownNameError(what, value, known, f"choose {' or '.join(known)}")
    concept = value_concept(network, concept)
    trades = trades_in_scope(network, concept=concept, products=products, since=since, until=until, origins=origins,
                             destinations=destinations)
    trades = with_periods(trades, by)
    if goods == "tier":
        trades = finest_first(network, trades.assign(product=tier_of(trades)), prefer)
        meaning = tiers()
    else:
        trades = count_once(network, trades, prefer=prefer)
        trades["product"] = trades["code"].map(lambda code: shortened(code, 4)).astype("str")
        meaning = goods_of(trades)
    found = cells(network, trades, by=by, goods=meaning, since=since, until=until)
    found = described_actors(network, found.rename(columns={f"{hub}_id": "actor_id"}))
    found["period"] = period_texts(found["period"])
    table = _wide(found).assign(concept=concept)
    short = _short(found)
    notes = [
        *scope_notes(network, concept, trades),
        f"not all corridors and goods are covered, so sums may be too small: {', '.join(short)}" if short else "",
    ]
    asked = {"hub": hub, "goods": goods, "by": by, "origins": origins, "destinations": destinations, "concept": concept,
             "products": products, "since": since, "until": until, "prefer": prefer}
    dtypes = _LEADING | dict.fromkeys(sorted(set(found["period"])), "float64")
    return answer(shaped(table, dtypes), network, question=asked, notes=notes, source_ids=trades["source_id"],
                  left_aside=trades["left_aside"])


def panel(
    network: TradeNetwork, *, digits: int = 4, by: str = "year", origins: Sequence[str] | None = None,
    destinations: Sequence[str] | None = None, concept: str | None = None, products: str | Sequence[str] | None = None,
    since: str | None = None, until: str | None = None, prefer: str = "exporter",
) -> pd.DataFrame:
    """One row per exporter, importer, product and period: zero where covered, missing elsewhere.

    Parameters
    ----------
    network
        A network of countries or of firms.
    digits
        Digits of the HS code: 2, 4 or 6.
    by
        `month`, `quarter` or `year`.
    origins, destinations
        Exporters and importers: countries, groups (`EU27`), or actors by name or id; None for all.
    concept
        `dispatched` or `origin`. Default: `origin` for countries, `dispatched` for firms. They are never mixed.
    products, since, until
        As in `TradeNetwork.where`.
    prefer
        Whose report is taken where both sides told of a flow: `exporter` or `importer`.

    Returns
    -------
    DataFrame
        `exporter` and `importer` (ids), `product` (HS code, or a set such as 8541+8542), `hs_version` (HS versions of the
        product's records, joined by spaces; empty if not stated), `period`, `period_start` (its first day), `concept`,
        `value_usd` (USD) and `weight_kg` (kg), each missing where not observed or where a record does not give it, `n_records`,
        `n_without_value` (records without a value), `estimated` (a record is an estimate), `coverage` (`covered`, `partly` or
        `not covered`), `observed` (recorded, or known to be zero). Sorted by exporter, importer, product and period. `attrs`
        holds the question, notes, records left aside by reason, and sources.

    Raises
    ------
    UnknownNameError
        If a name, concept, product list, number of digits, length of period or preference is not known.
    NotComparableError
        If codes of six digits come from HS versions, or from an unknown one, between which they cannot be compared; and for
        `concept="brand"`, whose links have no value.

    Notes
    -----
    The rows are all periods of the question, for every exporter, importer and product with a record in it: what a corridor never
    traded in the question has no row, so the panel grows with the records. Without `since` and `until` the periods run from the
    first record to the last. Codes of fewer digits than asked for, and records that span several periods, are left aside. Codes of
    six digits of different HS versions stand at the code that compares, the wider old one; see `graphmodel.hs.comparable_code`.

    Cautions: a period that is covered partly is recorded in part, and months without a record there are missing. Origin and
    dispatch never stand in one panel. `Unnamed ...` placeholders keep their rows, since a panel ranks nobody.

    Examples
    --------
    >>> import chiptrail as ct
    >>> table = ct.panel(ct.load_bundled("countries"), by="month", origins=["EST"], destinations=["KGZ"], concept="dispatched",
    ...                  products="8542", since="2020-01", until="2022-12")
    >>> table["observed"].sum().item(), len(table)
    (35, 36)
    """
    if digits not in DIGITS:
        raise UnknownNameError("number of digits", str(digits), (), f"choose one of {', '.join(map(str, DIGITS))}")
    concept = value_concept(network, concept)
    trades = trades_in_scope(network, concept=concept, products=products, since=since, until=until, origins=origins,
                             destinations=destinations)
    short = trades["code"].map(lambda code: min(map(len, code.split("+"))) < digits).astype(bool)
    trades.loc[trades["left_aside"].eq("") & short, "left_aside"] = f"code of fewer than {digits} digits"
    trades = count_once(network, with_periods(_comparable(trades, digits, ~short), by), prefer=prefer)
    trades["product"] = trades["code"].map(lambda code: shortened(code, digits)).astype("str")
    goods = goods_of(trades[trades["left_aside"].eq("")])
    if digits == 6:
        versions = frozenset().union(*(g.versions for g in goods.values()))
        goods = {product: Goods(g.codes, versions) for product, g in goods.items()}
    table = cells(network, trades, by=by, goods=goods, since=since, until=until)
    used = trades[trades["left_aside"].eq("")]
    told_in = used.groupby("product")["hs_version"].agg(lambda v: " ".join(sorted(set(v) - {""})))
    table = table.rename(columns={"seller_id": "exporter", "buyer_id": "importer"}).assign(
        hs_version=table["product"].map(told_in), period_start=table["period"].dt.start_time,
        period=period_texts(table["period"]), concept=concept)
    table = table.sort_values(["exporter", "importer", "product", "period_start"], kind="stable")
    unobserved = int((~table["observed"]).sum())
    notes = [
        *scope_notes(network, concept, trades),
        f"{unobserved:,} of {len(table):,} rows are not observed and have no value" if unobserved else "",
    ]
    asked = {"digits": digits, "by": by, "origins": origins, "destinations": destinations, "concept": concept,
             "products": products, "since": since, "until": until, "prefer": prefer}
    return answer(shaped(table, _DTYPES), network, question=asked, notes=notes, source_ids=trades["source_id"],
                  left_aside=trades["left_aside"])


def _wide(found: pd.DataFrame) -> pd.DataFrame:
    """Hubs and products by period: sums of what was recorded, zero where every corridor is known to be zero, else missing."""
    key = ["actor_id", "actor", "country", "product"]
    groups = found.assign(recorded=found["n_records"].gt(0)).groupby([*key, "period"])
    total = found[found["observed"]].groupby([*key, "period"])["value_usd"].sum(skipna=False)
    known = groups["recorded"].any() | groups["observed"].all()
    cells_of = total.reindex(known.index).where(known).rename("value_usd").reset_index()
    table = cells_of.pivot(index=key, columns="period", values="value_usd").rename_axis(columns=None).reset_index()
    return table.rename(columns={"actor_id": "hub_id", "actor": "hub"}).sort_values(["hub_id", "product"], kind="stable")


def _short(found: pd.DataFrame) -> list[str]:
    """Periods in which the sum of a hub and product may lack trade that the data do not cover."""
    work = found.assign(recorded=found["n_records"].gt(0), lacking=found["coverage"].ne("covered"))
    groups = work.groupby(["actor_id", "product", "period"])
    short = groups["recorded"].any() & groups["lacking"].any()
    return sorted(set(short.index[short].get_level_values("period")))


def _comparable(trades: pd.DataFrame, digits: int, deep: pd.Series) -> pd.DataFrame:
    """The trades with codes of six digits replaced by those that compare across the HS versions of the question."""
    versions = sorted(set(trades.loc[deep, "hs_version"]))
    if digits < 6 or versions == [] or (len(versions) == 1 and versions != [""]):
        return trades
    kinds = trades.loc[deep, ["code", "hs_version"]].drop_duplicates()
    try:
        same = {
            (code, version): "+".join(sorted({comparable_code(part[:6], version, versions=versions) for part in code.split("+")}))
            for code, version in kinds.itertuples(index=False, name=None)
        }
    except NotComparableError as error:
        raise NotComparableError(f"{error}; or use digits=4, or choose a period or products of one HS version") from None
    codes = [same.get(key, key[0]) for key in zip(trades["code"], trades["hs_version"], strict=True)]
    return trades.assign(code=pd.Series(codes, index=trades.index, dtype="str"))
