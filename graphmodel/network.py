"""The trade network: validated, immutable tables, of which every graph is a view."""

import hashlib
import json
import re
import shutil
import tempfile
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import networkx as nx
import pandas as pd

from chiptrail.graphmodel.aggregate import flows
from chiptrail.graphmodel.countries import country_name
from chiptrail.graphmodel.errors import ChiptrailError, InputError, NotComparableError
from chiptrail.graphmodel.schema import COUNT, DATE, FLAG, KEYS, NUMBER, TABLES, TEXT
from chiptrail.graphmodel.selection import keep_trades
from chiptrail.graphmodel.validation import check_tables

_DEFAULTS: Mapping[str, Any] = {TEXT: "", NUMBER: float("nan"), COUNT: 0, DATE: pd.NaT, FLAG: False}
_FORMAT = "chiptrail network 1"


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
    digest = hashlib.md5(plain.encode("utf-8", "surrogatepass"), usedforsecurity=False).hexdigest()[:8]
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

    Columns under `x_` follow, sorted by name. Other columns stay at the end, for validation to name them.

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
            columns[column.name] = pd.Series(_DEFAULTS[column.dtype], index=frame.index, dtype=column.dtype)
            continue
        values = frame[column.name]
        try:
            if column.dtype == TEXT:
                values = values.astype(object).where(values.notna(), "")
            columns[column.name] = values.astype(pd.api.types.pandas_dtype(column.dtype))
        except (TypeError, ValueError) as error:
            raise InputError(f"table {table}, column {column.name}: {error}; it must be {column.dtype}") from None
    extra = [name for name in frame.columns if name not in columns]
    for name in sorted(extra, key=lambda n: (not str(n).startswith("x_"), str(n))):
        columns[name] = frame[name]
    return pd.DataFrame(columns, index=frame.index)


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
        check_tables(level, tables)
        self._level = level
        self._tables = {name: _sorted(frame, name) for name, frame in tables.items()}

    @classmethod
    def _of(cls, level: str, tables: Mapping[str, pd.DataFrame]) -> Self:
        """A network of tables that are known to be valid and sorted."""
        network = cls.__new__(cls)
        network._level = level
        network._tables = dict(tables)
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
        return self._tables["trades"].copy(deep=False)

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
        return self.level == other.level and all(
            self._tables[name].equals(other._tables[name]) and self._tables[name].dtypes.equals(other._tables[name].dtypes)
            for name in TABLES
        )

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
        named = set(trades["seller_id"]) | set(trades["buyer_id"])
        links = links[links["from_id"].isin(named) | links["to_id"].isin(named)]
        named |= set(links["from_id"]) | set(links["to_id"]) | set(trades["maker_id"])
        tables["links"] = links.reset_index(drop=True)
        for table in ("actors", "listings"):
            frame = tables[table]
            tables[table] = frame[frame["actor_id"].isin(named)].reset_index(drop=True)
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
            trades[side] = trades[side].map(place).astype("str")
        trades["maker_id"] = ""
        named = set(trades["seller_id"]) | set(trades["buyer_id"])
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
        target = Path(folder)
        if target.exists() and not (target / "network.json").is_file():
            if not target.is_dir() or any(target.iterdir()):
                raise ChiptrailError(f"{target} exists and is no saved network; choose another folder")
            target.rmdir()
        target.parent.mkdir(parents=True, exist_ok=True)
        fresh = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
        try:
            for name, frame in self._tables.items():
                if name != "sources":
                    frame.to_parquet(fresh / f"{name}.parquet", index=False)
            sources = self._tables["sources"]
            _write_json(fresh / "sources.json", sources.to_dict("records"))
            _write_json(fresh / "network.json", {"format": _FORMAT, "level": self.level, "source_columns": {
                str(name): str(dtype) for name, dtype in sources.dtypes.items()}})
            fresh.chmod(0o755)
            _replace(fresh, target)
        except BaseException:
            shutil.rmtree(fresh, ignore_errors=True)
            raise
        return target

    @classmethod
    def load(cls, folder: str | Path) -> Self:
        """The network saved in a folder.

        Raises
        ------
        InputError
            If the folder holds no saved network, or one of another format.
        """
        source = Path(folder)
        try:
            about = json.loads((source / "network.json").read_text(encoding="utf-8"))
            if about["format"] != _FORMAT:
                raise InputError(f"{source} was saved in the format {about['format']!r}; this version reads {_FORMAT!r}")
            tables = {n: pd.read_parquet(source / f"{n}.parquet") for n in TABLES if n != "sources"}
            rows = json.loads((source / "sources.json").read_text(encoding="utf-8"))
        except (OSError, ValueError, KeyError) as error:
            raise InputError(
                f"{source} holds no whole saved network ({type(error).__name__}); make one with `chiptrail load` or network.save"
            ) from None
        tables["sources"] = pd.DataFrame(rows, columns=list(about["source_columns"])).astype(about["source_columns"])
        return cls(level=about["level"], **tables)


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
    tables = {}
    for name in TABLES:
        frame = pd.concat([network._tables[name] for network in networks], ignore_index=True)
        key = [KEYS[name]] if name in KEYS else list(frame.columns)
        tables[name] = conform(frame.drop_duplicates(key), name)
    return TradeNetwork(level=levels[0], **tables)




def _sorted(frame: pd.DataFrame, table: str) -> pd.DataFrame:
    key = [KEYS[table]] if table in KEYS else [column.name for column in TABLES[table]]
    return frame.sort_values(key, kind="stable").reset_index(drop=True)


def _write_json(path: Path, content: object) -> None:
    path.write_text(json.dumps(content, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def _replace(fresh: Path, target: Path) -> None:
    """Puts `fresh` in the place of `target`; at every moment one whole network stands beside or at `target`."""
    if not target.exists():
        fresh.rename(target)
        return
    old = Path(tempfile.mkdtemp(prefix=f".{target.name}-old-", dir=target.parent))
    target.rename(old / "network")
    fresh.rename(target)
    shutil.rmtree(old)
