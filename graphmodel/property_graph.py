"""A network as a property graph, and back: which table becomes which nodes and relationships, with which labels and keys.

Every node carries the label `Chiptrail` and every node and relationship the properties `network_id` and `key`, by which it is
known. What is not given has no property. Nodes and properties that no table holds (countries of firms, lists, `SUPPLIES`,
`concept`, `left_aside`) are made for reading and are passed over on the way back.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import pandas as pd

from chiptrail.graphmodel.aggregate import counted_once, flows
from chiptrail.graphmodel.countries import country_name
from chiptrail.graphmodel.errors import ChiptrailError, InputError
from chiptrail.graphmodel.network import TradeNetwork, conform
from chiptrail.graphmodel.schema import DATE, FLAG, KEYS, REFERENCES, TABLES, TEXT

MARK = "Chiptrail"
FORMAT = "chiptrail graph 1"
KINDS = {"country": "Country", "bloc": "Bloc", "company": "Company", "weapon": "Weapon", "placeholder": "Placeholder"}
ROLES = {"manufacturer": "Manufacturer", "intermediary": "Intermediary", "end_user": "EndUser", "logistics": "Logistics"}
LINK_TYPES = {"brand": "BRAND_REACHED", "component_found": "COMPONENT_IN", "makes_weapon": "MAKES_WEAPON"}
NODE_TABLES = {"sources": "Source", "totals": "Total", "coverage": "Coverage"}
"""Tables whose rows become nodes of one label; actors have labels by kind and role."""
ENDS = {"trades": ("seller_id", "buyer_id"), "links": ("from_id", "to_id"), "listings": ("actor_id", "list_name")}
"""Tables whose rows become relationships, and the columns that name the two ends."""
TYPES = {"trades": ("TRADED",), "links": tuple(LINK_TYPES.values()), "listings": ("LISTED_ON",), "flows": ("SUPPLIES",),
         "places": ("LOCATED_IN",), "cited": ("FROM_SOURCE",)}
"""Types of relationships by table, also of those that are made for reading."""
LABELS = (MARK, "Network", "WatchList", *KINDS.values(), *ROLES.values(), *NODE_TABLES.values())
_MOST_KEY, _HASHED = 500, "sha256:"
_CHARACTERS = 4_000_000
_NULLABLE = ("boolean", *(f"{kind}{bits}" for kind in ("Int", "UInt") for bits in (8, 16, 32, 64)), "Float32", "Float64")


@dataclass(frozen=True)
class Part:
    """Nodes with the same labels or, where `type` is given, relationships of that type: one row each.

    `rows` has `key`, for relationships also `from_key` and `to_key`, and the properties; None is no property.
    """

    table: str
    labels: tuple[str, ...]
    type: str
    rows: pd.DataFrame

    def batches(self, most: int) -> Iterator[list[dict[str, Any]]]:
        """The rows as Python values, so many at a time at most, and fewer where they hold long texts."""
        columns = [self.rows[name].tolist() for name in self.rows]
        batch: list[dict[str, Any]] = []
        size = 0
        for values in zip(*columns, strict=True):
            batch.append(dict(zip(self.rows.columns, values, strict=True)))
            size += sum(len(value) for value in values if isinstance(value, str))
            if len(batch) == most or size > _CHARACTERS:
                yield batch
                batch, size = [], 0
        if batch:
            yield batch


def graph_parts(network: TradeNetwork) -> Iterator[Part]:
    """All nodes, then all relationships; the same network gives the same parts.

    Raises
    ------
    InputError
        If a column under `x_` has values that a property graph cannot hold.
    """
    tables = {name: getattr(network, name) for name in TABLES}
    made = {name: _properties(frame, name).assign(key=_keys(name, frame)) for name, frame in tables.items()}
    actors = made["actors"]
    labels = tables["actors"]["kind"].map(KINDS) + tables["actors"]["role"].map(ROLES).radd(":").fillna("")
    for label, rows in actors.groupby(labels, sort=True):
        yield Part("actors", (MARK, *str(label).split(":")), "", rows)
    yield from _made_nodes(tables)
    for name, label in NODE_TABLES.items():
        yield Part(name, (MARK, label), "", made[name])
    counted = counted_once(network)
    made["trades"] = made["trades"].assign(
        concept=_given(counted["concept"].astype("str")), left_aside=_given(counted["left_aside"].astype("str")))
    for name, ends in ENDS.items():
        rows = _joined(made[name], tables[name], ends, lists=name == "listings")
        if name == "links":
            for kind, new in LINK_TYPES.items():
                yield Part(name, (), new, rows[tables[name]["kind"].eq(kind)])
        else:
            yield Part(name, (), TYPES[name][0], rows)
    yield from _made_relationships(network, tables)


def about_network(network: TradeNetwork) -> dict[str, Any]:
    """The properties of the node `Network`: format, level, fingerprint of the content, and the columns under `x_` as JSON."""
    own = {name: {str(c): str(d) for c, d in getattr(network, name).dtypes.items() if str(c).startswith("x_")} for name in TABLES}
    return {"format": FORMAT, "level": network.level, "fingerprint": fingerprint(network),
            "own_columns": json.dumps({name: columns for name, columns in own.items() if columns}, sort_keys=True)}


def fingerprint(network: TradeNetwork) -> str:
    """A hash of the level and of all tables, value for value; equal networks have equal ones."""
    digest = hashlib.sha256(network.level.encode())
    for name in TABLES:
        frame = getattr(network, name)
        digest.update(json.dumps([name, len(frame), [(str(c), str(d)) for c, d in frame.dtypes.items()]]).encode())
        for column in frame:
            digest.update(pd.util.hash_pandas_object(frame[column], index=False).to_numpy().tobytes())
    return digest.hexdigest()


def network_from(about: Mapping[str, Any], rows: Mapping[str, Sequence[Mapping[str, Any]]]) -> TradeNetwork:
    """The network of which these are the properties, by table; ends of relationships stand under the names of their columns.

    Raises
    ------
    ChiptrailError
        If the graph was written in another format, or a value in it is not of its column's type.
    ValidationError
        If the rows break the data model.
    """
    if about.get("format") != FORMAT:
        raise ChiptrailError(f"the graph is of format {str(about.get('format'))[:40]!r}; this version reads {FORMAT!r}")
    try:
        own = json.loads(about["own_columns"])
        tables = {name: _table(name, rows[name], own.get(name, {})) for name in TABLES}
        level = about["level"]
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ChiptrailError(f"the node Network was changed and cannot be read ({type(error).__name__}); push the network again") from None
    return TradeNetwork(level=level, **tables)


def node_key(table: str, identity: str) -> str:
    """The key of a node or relationship; a very long identity, which no index takes, gives way to its hash."""
    if len(identity) > _MOST_KEY or identity.startswith(_HASHED):
        identity = _HASHED + hashlib.sha256(identity.encode()).hexdigest()
    return f"{table}:{identity}"


def _keys(table: str, frame: pd.DataFrame) -> list[str]:
    """Keys of rows; a table without one takes the place in the table, which is sorted."""
    if table in KEYS:
        return [node_key(table, identity) for identity in frame[KEYS[table]]]
    return [f"{table}:{i:010}" for i in range(len(frame))]


def _made_nodes(tables: Mapping[str, pd.DataFrame]) -> Iterator[Part]:
    """Countries in which actors sit and that are no actors themselves, and lists."""
    places = [code for code, key in _place_keys(tables["actors"]).items() if key == node_key("places", code)]
    rows = pd.DataFrame({"key": [node_key("places", c) for c in places], "country": places, "name": [_name(c) for c in places]})
    yield Part("places", (MARK, "Country"), "", rows)
    lists = sorted(set(tables["listings"]["list_name"]))
    yield Part("lists", (MARK, "WatchList"), "", pd.DataFrame({"key": [node_key("lists", n) for n in lists], "name": lists}))


def _made_relationships(network: TradeNetwork, tables: Mapping[str, pd.DataFrame]) -> Iterator[Part]:
    table = flows(network).drop(columns="record_refs")
    rows = _properties(table, "flows").drop(columns=["seller_id", "buyer_id"])
    ends = [[node_key("actors", i) for i in table[end]] for end in ("seller_id", "buyer_id")]
    keys = [node_key("flows", json.dumps(names)) for names in zip(table["seller_id"], table["buyer_id"], table["concept"], strict=True)]
    yield Part("flows", (), "SUPPLIES", rows.assign(key=keys, from_key=ends[0], to_key=ends[1]))
    seated = _seated(tables["actors"])
    known = _place_keys(tables["actors"])
    keys = [node_key("actors", i) for i in seated["actor_id"]]
    places = [known[code] for code in seated["country"]]
    yield Part("places", (), "LOCATED_IN", pd.DataFrame({"key": keys, "from_key": keys, "to_key": places}))
    cited = {table for table, column, _, _ in REFERENCES if column == "source_id"}
    parts = [(_keys(name, tables[name]), tables[name]["source_id"]) for name in NODE_TABLES if name in cited]
    keys = [key for found, _ in parts for key in found]
    sources = [node_key("sources", source) for _, found in parts for source in found]
    yield Part("cited", (), "FROM_SOURCE", pd.DataFrame({"key": keys, "from_key": keys, "to_key": sources}))


def _place_keys(actors: pd.DataFrame) -> dict[str, str]:
    """The node of each country in which actors sit: the country's own where it is an actor itself."""
    held = set(actors.loc[actors["kind"].isin(["country", "bloc"]), "actor_id"])
    return {code: node_key("actors" if code in held else "places", code) for code in sorted(set(_seated(actors)["country"]))}


def _seated(actors: pd.DataFrame) -> pd.DataFrame:
    return actors[actors["kind"].isin(["company", "placeholder"]) & actors["country"].ne("")]


def _name(code: str) -> str:
    try:
        return country_name(code)
    except ChiptrailError:
        return code


def _joined(rows: pd.DataFrame, frame: pd.DataFrame, ends: tuple[str, str], *, lists: bool) -> pd.DataFrame:
    """The rows with the keys of both ends in place of their columns; the name of a list stays."""
    keys = [[node_key("lists" if end == "list_name" else "actors", i) for i in frame[end]] for end in ends]
    return rows.drop(columns=[end for end in ends if not lists or end != "list_name"]).assign(from_key=keys[0], to_key=keys[1])


def _given(values: pd.Series) -> pd.Series:
    """The values as Python objects, None in place of empty texts."""
    return values.astype(object).where(values.ne(""), None)


def _properties(frame: pd.DataFrame, table: str) -> pd.DataFrame:
    """The columns as Python objects, None where nothing is given: empty text in a column of the data model, else NaN or NaT."""
    known = {column.name for column in TABLES.get(table, ())}
    columns = {}
    for name in frame:
        if "\0" in str(name):
            raise InputError(f"table {table}, column {str(name)[:40]!r}: a property cannot be named so; rename it")
        values = frame[name]
        if name in known and values.dtype == TEXT:
            columns[str(name)] = _given(values)
        else:
            columns[str(name)] = pd.Series(_python_values(values, f"table {table}, column {name}"), index=frame.index, dtype=object)
    return pd.DataFrame(columns, index=frame.index)


def _python_values(values: pd.Series, where: str) -> list[Any]:
    """Python values; days where no value has a time of day. Refuses what would not come back as it was."""
    kind, missing = values.dtype, values.isna().to_numpy()
    if pd.api.types.is_datetime64_dtype(kind):
        exact = values.astype(pd.api.types.pandas_dtype(DATE))
        if not values[~missing].eq(exact[~missing]).all() or not exact[~missing].dt.year.between(1, 9999).all():
            raise InputError(f"{where}: a property graph keeps microseconds of the years 1 to 9999; round these times, or make them text")
        days = bool(exact[~missing].eq(exact[~missing].dt.normalize()).all())
        found = [value.date() if days else value.to_pydatetime() for value in exact[~missing]]
        return _placed(found, missing)
    plain = isinstance(kind, np.dtype) and kind.kind in "biuf" and kind.itemsize <= 8
    if not plain and str(kind) not in (TEXT, *_NULLABLE):
        raise InputError(f"{where}: a property graph cannot hold values of type {kind}; make them text (.astype('str')), numbers, "
                         "flags or days")
    if pd.api.types.is_unsigned_integer_dtype(kind) and (values > np.iinfo(np.int64).max).any():
        raise InputError(f"{where}: {values.max()} is too large for a property graph; make it text")
    return _placed(values[~missing].tolist(), missing)


def _placed(found: list[Any], missing: np.ndarray) -> list[Any]:
    values = np.full(len(missing), None, dtype=object)
    values[~missing] = np.array([*found, None], dtype=object)[:-1]
    return values.tolist()


def _table(name: str, rows: Sequence[Mapping[str, Any]], own: Mapping[str, str]) -> pd.DataFrame:
    """A table of the network from the properties of its rows."""
    dtypes = {column.name: column.dtype for column in TABLES[name]} | dict(own)
    missing = {column.name: "" for column in TABLES[name] if column.dtype == TEXT}
    columns = {column: _column([row.get(column, missing.get(column)) for row in rows], dtype, f"table {name}, column {column}")
               for column, dtype in dtypes.items()}
    return conform(pd.DataFrame(columns), name)


def _column(values: list[Any], dtype: str, where: str) -> pd.Series:
    """A column of this type; refuses a value that was put in its place and is of another."""
    days = dtype.startswith("datetime64")
    kinds: tuple[type, ...] = (date,) if days else (str,) if dtype == TEXT else (bool,) if dtype.startswith("bool") else (
        (float, int) if dtype.lower().startswith("float") else (int,))
    wrong = next((v for v in values if v is not None and (not isinstance(v, kinds) or (isinstance(v, bool) and bool not in kinds))), None)
    lacking = None in values and (dtype == FLAG or dtype.startswith(("int", "uint")))
    try:
        if wrong is not None or lacking:
            raise ValueError(f"not {str(wrong)[:40]!r}" if wrong is not None else "none is given")
        if days:
            values = [None if value is None else np.datetime64(value, "us") for value in values]
            return pd.Series(values, dtype=DATE).astype(pd.api.types.pandas_dtype(dtype))
        return pd.Series(values, dtype=object).astype(pd.api.types.pandas_dtype(dtype))
    except (TypeError, ValueError, OverflowError) as error:
        raise ChiptrailError(f"{where}: the graph must have a value of type {dtype} ({str(error)[:200]}); correct it in the database, or "
                             "clear the network and push it again") from None
