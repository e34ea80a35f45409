"""The trade network: validated, immutable tables, of which every graph is a view."""

import hashlib
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import networkx as nx
import pandas as pd

from chiptrail.graphmodel.aggregate import flows
from chiptrail.graphmodel.coded import REPEATED, coded, constant, joined, numbered, plain
from chiptrail.graphmodel.compiled import Compiled, compile_trades
from chiptrail.graphmodel.countries import country_name
from chiptrail.graphmodel.errors import InputError, NotComparableError
from chiptrail.graphmodel.schema import COUNT, DATE, FLAG, KEYS, NUMBER, TABLES, TEXT
from chiptrail.graphmodel.selection import keep_trades
from chiptrail.graphmodel.storage import read_folder, write_folder
from chiptrail.graphmodel.validation import check_tables, increasing

_DEFAULTS: Mapping[str, Any] = {TEXT: "", NUMBER: float("nan"), COUNT: 0, DATE: pd.NaT, FLAG: False}


def actor_id(kind: str, country: str, name: str) -> str:
    """Identity of an actor: a country's code, else `kind:ISO3:slug-hash`, the same for the same name everywhere.

    Case, accents' encoding and repeated spaces make no difference; anything else does. An unknown country is `ZZZ`.

    Examples
    --------
    >>> actor_id("company", "USA", "Example  Parts Inc.") == actor_id("company", "USA", "EXAMPLE PARTS INC.")
    True
    >>> actor_id("country", "KAZ", "Kazakhstan")
    'KAZ'
    """
    if kind in ("country", "bloc"):
        return country
    plain = " ".join(unicodedata.normalize("NFKC", name).casefold().split())
    ascii_name = unicodedata.normalize("NFKD", plain).encode("ascii", "ignore").decode()
    slug = re.sub(r"[^a-z0-9]+", "-", ascii_name).strip("-")[:40].strip("-")
    digest = hashlib.md5(plain.encode("utf-8", "surrogatepass"), usedforsecurity=False).hexdigest()[:16]
    return f"{kind}:{country or 'ZZZ'}:{slug}-{digest}"


def country_actors(codes: Iterable[str]) -> pd.DataFrame:
    """Rows of the table `actors` for country and bloc codes, one each, sorted."""
    unique = sorted(set(codes))
    rows = [
        {"actor_id": c, "name": country_name(c), "kind": "country" if len(c) == 3 else "bloc", "role": "unknown",
         "country": c}
        for c in unique
    ]
    return conform(pd.DataFrame(rows), "actors")


def empty(table: str) -> pd.DataFrame:
    """An empty table with its columns and dtypes."""
    return pd.DataFrame({c.name: pd.Series(dtype=c.dtype) for c in TABLES[table]})


def conform(frame: pd.DataFrame | None, table: str) -> pd.DataFrame:
    """The frame with all columns of a table in their order and dtypes; columns not given get their defaults.

    Categories of texts stay categories in the table `trades`. Columns under `x_` follow, sorted by name. Other columns stay at
    the end, for validation to name them.

    Raises
    ------
    InputError
        If a column's values cannot take its dtype.
    """
    if frame is None or frame.columns.empty:
        return empty(table)
    columns = {}
    for column in TABLES[table]:
        if column.name not in frame:
            if table == "trades" and column.name in REPEATED:
                columns[column.name] = constant("", frame.index)
            else:
                columns[column.name] = pd.Series(_DEFAULTS[column.dtype], index=frame.index, dtype=column.dtype)
            continue
        values = frame[column.name]
        try:
            if column.dtype == TEXT:
                if table == "trades" and isinstance(values.dtype, pd.CategoricalDtype):
                    columns[column.name] = values
                    continue
                if values.dtype != TEXT or values.hasnans:
                    values = values.astype(object).where(values.notna(), "")
            columns[column.name] = values.astype(pd.api.types.pandas_dtype(column.dtype))
        except (TypeError, ValueError) as error:
            raise InputError(f"table {table}, column {column.name}: {error}; it must be {column.dtype}") from None
    extra = [name for name in frame.columns if name not in columns]
    for name in sorted(extra, key=lambda n: (not str(n).startswith("x_"), str(n))):
        columns[name] = frame[name]
    return pd.DataFrame(columns, index=frame.index, copy=False)


class TradeNetwork:
    """A trade network at one level, `firms` or `countries`.

    The tables `actors`, `trades`, `links`, `listings`, `totals`, `coverage` and `sources` are described column by column in
    `docs/data-model.md`. They are validated on the way in, all problems reported at once, and never change: each property
    returns a copy that may be written to without effect on the network. The order of rows given makes no difference.

    Parameters
    ----------
    level
        `firms` or `countries`. A firm's record and its country's statistic overlap and never stand in one network.
    actors, trades, links, listings, totals, coverage, sources
        The tables. Columns that are not required may be missing; further columns must begin with `x_`.

    Raises
    ------
    ValidationError
        If the tables break the data model; `problems` lists everything found.
    """

    def __init__(
        self, *, level: str, actors: pd.DataFrame, trades: pd.DataFrame, links: pd.DataFrame | None = None,
        listings: pd.DataFrame | None = None, totals: pd.DataFrame | None = None,
        coverage: pd.DataFrame | None = None, sources: pd.DataFrame | None = None,
    ) -> None:
        given = {"actors": actors, "trades": trades, "links": links, "listings": listings, "totals": totals,
                 "coverage": coverage, "sources": sources}
        tables = {name: conform(frame, name) for name, frame in given.items()}
        tables["trades"] = coded(tables["trades"])
        check_tables(level, tables)
        self._level = level
        self._tables = {name: _sorted(frame, name) for name, frame in tables.items()}
        self._tables["trades"] = numbered(self._tables["trades"], self._tables["actors"]["actor_id"])
        self._views: dict[str, Any] = {}

    @classmethod
    def _of(cls, level: str, tables: Mapping[str, pd.DataFrame]) -> Self:
        """A network of tables that are known to be valid and sorted."""
        network = cls.__new__(cls)
        network._level = level
        network._tables = dict(tables)
        network._views = {}
        return network

    @property
    def level(self) -> str:
        """`firms` or `countries`."""
        return self._level

    @property
    def actors(self) -> pd.DataFrame:
        """Actors, one row each."""
        return self._tables["actors"].copy(deep=False)

    @property
    def trades(self) -> pd.DataFrame:
        """Recorded flows, one row each."""
        if "trades" not in self._views:
            self._views["trades"] = plain(self._tables["trades"])
        return self._views["trades"].copy(deep=False)

    @property
    def coded_trades(self) -> pd.DataFrame:
        """The same rows with repeated texts as categories: for millions of rows, a fraction of the memory."""
        return self._tables["trades"].copy(deep=False)

    @property
    def compiled(self) -> Compiled:
        """The trades as integer columns in the order of sellers and days, made once; see `graphmodel.compiled`."""
        if "compiled" not in self._views:
            self._views["compiled"] = compile_trades(self._tables["trades"], self._tables["actors"]["actor_id"])
        return self._views["compiled"]

    @property
    def links(self) -> pd.DataFrame:
        """Relations that are not trade."""
        return self._tables["links"].copy(deep=False)

    @property
    def listings(self) -> pd.DataFrame:
        """Actors on sanctions and control lists. Lists are incomplete: no row means that no listing was found."""
        return self._tables["listings"].copy(deep=False)

    @property
    def totals(self) -> pd.DataFrame:
        """Aggregates as reported; never added to their parts."""
        return self._tables["totals"].copy(deep=False)

    @property
    def coverage(self) -> pd.DataFrame:
        """What the sources cover; outside of it, a missing row is not a zero."""
        return self._tables["coverage"].copy(deep=False)

    @property
    def sources(self) -> pd.DataFrame:
        """Sources with licence, hash and counts of rows."""
        return self._tables["sources"].copy(deep=False)

    def __repr__(self) -> str:
        counts = ", ".join(f"{len(frame):,} {name}" for name, frame in self._tables.items() if len(frame))
        return f"<TradeNetwork of {self.level}: {counts or 'empty'}>"

    def equals(self, other: "TradeNetwork") -> bool:
        """Whether both networks have the same level and the same tables, value for value and dtype for dtype."""
        pairs = [(getattr(self, name), getattr(other, name)) for name in TABLES]
        return self.level == other.level and all(a.equals(b) and a.dtypes.equals(b.dtypes) for a, b in pairs)

    def where(
        self, *, products: str | Sequence[str] | None = None, since: str | None = None, until: str | None = None,
        countries: Sequence[str] | None = None, actors: Sequence[str] | None = None,
        min_value_usd: float | None = None, reported_by: Sequence[str] | None = None,
        basis: Sequence[str] | None = None, concept: str | None = None, partly: bool = False,
    ) -> Self:
        """The part of the network whose trades meet all conditions; links among the actors left stay.

        Parameters
        ----------
        products
            Product list (`chips`, `chpl`, `chpl:1`, `drones`), HS code or codes. A code wider than the question is left out,
            because a part of it cannot be told from the rest, unless the list accepts it.
        since, until
            Period as `2022`, `2022-07` or `2022-07-20`. A trade is kept if its whole period lies inside.
        countries
            Trades with a seller or a buyer in one of these countries or groups (`EU27`).
        actors
            Trades with one of these actors, by name or id.
        min_value_usd
            Smallest value of a single record in US dollars; records without a value are left out.
        reported_by
            Reporters (country codes or publishers).
        basis
            Accepted kinds of evidence, such as `["recorded", "established"]`.
        concept
            `dispatched` or `origin`.
        partly
            Also keep trades whose period lies only partly inside, or has no known start or end.

        Raises
        ------
        UnknownNameError
            If a product list, country, actor, reporter, basis or concept is not known; near misses are offered.
        """
        keep = keep_trades(
            self, products=products, since=since, until=until, countries=countries, actors=actors,
            min_value_usd=min_value_usd, reported_by=reported_by, basis=basis, concept=concept, partly=partly,
        )
        return self._with_trades(self._tables["trades"][keep])

    def _with_trades(self, trades: pd.DataFrame) -> Self:
        """The network with fewer trades; without the actors, links and listings that then stand alone."""
        tables = dict(self._tables)
        tables["trades"] = trades.reset_index(drop=True)
        links = tables["links"]
        named = {*trades["seller_id"].unique(), *trades["buyer_id"].unique()}
        links = links[links["from_id"].isin(named) | links["to_id"].isin(named)]
        named |= set(links["from_id"]) | set(links["to_id"])
        for column in ("maker_id", *(c for c in trades if str(c).startswith("x_") and str(c).endswith("_id"))):
            named |= set(trades[column].unique())
        tables["links"] = links.reset_index(drop=True)
        for table in ("actors", "listings"):
            frame = tables[table]
            tables[table] = frame[frame["actor_id"].isin(named)].reset_index(drop=True)
        tables["trades"] = numbered(tables["trades"], tables["actors"]["actor_id"])
        return self._of(self.level, tables)

    def by_country(self) -> Self:
        """The network of firms seen from afar: the same trades between the countries of their actors.

        It stays a network of firms (its records are cases or shipments, never statistics) and has no links and no listings.
        Actors without a known country become one placeholder. A network of countries is returned as it is.
        """
        if self.level == "countries":
            return self
        actors = self._tables["actors"]
        unknown = actor_id("placeholder", "", "Unnamed actors of unknown country")
        place = actors.set_index("actor_id")["country"].replace("", unknown)
        trades = self._tables["trades"].copy()
        for side in ("seller_id", "buyer_id"):
            trades[side] = trades[side].map(place).astype("category")
        trades["maker_id"] = constant("", trades.index)
        trades = coded(trades)
        named = {*trades["seller_id"].unique(), *trades["buyer_id"].unique()}
        rows = country_actors(named - {unknown})
        if unknown in named:
            row = {"actor_id": unknown, "name": "Unnamed actors of unknown country", "kind": "placeholder", "role": "unknown"}
            rows = pd.concat([rows, conform(pd.DataFrame([row]), "actors")], ignore_index=True)
        tables = dict(self._tables) | {"trades": trades, "actors": _sorted(rows, "actors"), "links": empty("links"),
                                       "listings": empty("listings")}
        return self._of(self.level, tables)

    def flows(self, *, prefer: str = "exporter") -> pd.DataFrame:
        """One row per seller, buyer and concept, each flow counted once; see `graphmodel.aggregate.flows`."""
        return flows(self, prefer=prefer)

    def to_networkx(self) -> nx.MultiDiGraph:
        """A networkx graph with every actor and every trade (keyed by `trade_id`), all tellings of a flow included.

        Cautions: summing over its edges counts flows twice that two parties told; use `to_digraph` for sums. networkx
        centralities read a weight as a distance; use `chiptrail.centrality`, which turns value into distance.
        """
        graph = nx.MultiDiGraph(level=self.level)
        actors = self._tables["actors"]
        graph.add_nodes_from(zip(actors["actor_id"], actors.drop(columns="actor_id").to_dict("records"), strict=True))
        trades = self._tables["trades"]
        attributes = trades.drop(columns=["seller_id", "buyer_id", "trade_id"]).to_dict("records")
        graph.add_edges_from(
            zip(trades["seller_id"], trades["buyer_id"], trades["trade_id"], attributes, strict=True)
        )
        return graph

    def to_digraph(self, *, concept: str | None = None, prefer: str = "exporter") -> nx.DiGraph:
        """A networkx graph with one edge per seller and buyer, each flow counted once.

        Edges carry the columns of `flows`; `value_usd` is NaN where a record has no value.

        Parameters
        ----------
        concept
            `dispatched` or `origin`; needed where the network holds both.
        prefer
            Whose report is taken where both sides told of a flow: `exporter` or `importer`.

        Raises
        ------
        NotComparableError
            If the network holds trades of both concepts and none was chosen.
        """
        table = self.flows(prefer=prefer)
        held = sorted(set(table["concept"]))
        if concept is None and len(held) > 1:
            raise NotComparableError(
                "the network holds trades by customs origin and by dispatch, which do not add up; "
                "choose concept='origin' or concept='dispatched'"
            )
        if concept is not None:
            table = table[table["concept"].eq(concept)]
        graph = nx.DiGraph(level=self.level, concept=concept or "".join(held))
        actors = self._tables["actors"]
        graph.add_nodes_from(zip(actors["actor_id"], actors.drop(columns="actor_id").to_dict("records"), strict=True))
        attributes = table.drop(columns=["seller_id", "buyer_id"]).to_dict("records")
        graph.add_edges_from(zip(table["seller_id"], table["buyer_id"], attributes, strict=True))
        return graph

    def save(self, folder: str | Path) -> Path:
        """The folder written: a Parquet file per table and `sources.json`. `load` gives the identical network back.

        The folder appears whole or not at all; a network that stood there is replaced, any other folder is refused.

        Raises
        ------
        ChiptrailError
            If the folder exists and holds something other than a saved network.
        """
        return write_folder(folder, self.level, self._tables)

    @classmethod
    def load(cls, folder: str | Path) -> Self:
        """The network saved in a folder.

        Raises
        ------
        InputError
            If the folder holds no saved network, or one of another format.
        """
        level, tables = read_folder(folder)
        return cls(level=level, **tables)


def concat(networks: Sequence[TradeNetwork]) -> TradeNetwork:
    """One network with the rows of all; a row of the same file and line, or the same actor or source, stands once.

    Raises
    ------
    NotComparableError
        If the networks are not all of one level: a firm's record is a part of its country's statistic.
    """
    levels = sorted({network.level for network in networks})
    if len(levels) != 1:
        raise NotComparableError(
            f"networks of one level can be joined, these are of {' and '.join(levels) or 'none'}; "
            "a firm's record and its country's statistic overlap"
        )
    if len(networks) == 1:
        return networks[0]
    tables = {}
    for name in TABLES:
        frame = joined([network._tables[name] for network in networks])
        key = [KEYS[name]] if name in KEYS else list(frame.columns)
        tables[name] = conform(frame.drop_duplicates(key), name)
    return TradeNetwork(level=levels[0], **tables)


def _sorted(frame: pd.DataFrame, table: str) -> pd.DataFrame:
    key = [KEYS[table]] if table in KEYS else [column.name for column in TABLES[table]]
    if len(key) == 1 and increasing(frame[key[0]]):
        return frame.reset_index(drop=True)
    return frame.sort_values(key, kind="stable").reset_index(drop=True)
