"""Invented worlds whose true trade is known, lot by lot, and the statistics that such a world would publish.

They judge the methods: what a method says of the statistics is compared with what the lots did. The countries between the USA and
Russia are invented and carry codes that ISO 3166 leaves to its users; no number says anything about a real country.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import pandas as pd

from chiptrail.graphmodel.network import TradeNetwork, actor_id, conform

ORIGIN, DESTINATION = "USA", "RUS"
MONTHS = pd.date_range("2019-01-01", "2024-12-01", freq="MS", unit="us")
LISTED = ("854231", "854239", "854150", "854151", "854159")
NEIGHBOUR = "853400"
CODES = (*LISTED, NEIGHBOUR)
_EMBARGO, _HS2022, _CLOSURE = (int(MONTHS.searchsorted(pd.Timestamp(day))) for day in ("2022-03-01", "2022-01-01", "2023-03-01"))
_GOODS = 4
"""Kinds of goods: 854231, 854239, 854150 (from 2022 on 854151 and 854159), and the unlisted neighbour 853400."""
_WEIGHT = np.array([0.35, 0.3, 0.2, 0.15])
_PRICE = np.array([2_000.0, 900.0, 150.0, 60.0])
_STOPS = 4
"""A lot visits four countries at most: it has three legs."""


@dataclass(frozen=True)
class World:
    """A simulated world: what its statistics show, and the truth behind them.

    Attributes
    ----------
    countries
        Network of countries, monthly 2019 to 2024: exports by destination (FOB) and imports by country of origin (CIF), as reported.
    legs
        The truth, one row per lot and leg: `lot_id`, `leg` (0 is the first), `seller_id`, `buyer_id`, `declared_id` (buyer in the
        exporter's declaration; another one for goods that never arrive there), `seller_firm`, `buyer_firm`, `month` (first day),
        `hs_code`, `value_usd`, `weight_kg`, `origin`, `destination` (country where the lot ends).
    hubs
        Planted hubs: they pass goods on to the destination. The last one may report no imports.
    decoys
        Hubs that trade more, lawfully: to other countries, or goods of other origins to the destination.
    donors
        Ordinary countries, which also trade a little with the destination.
    closed_hub, closed_on
        Hub whose trade with the destination is closed, and its first day; the day is None in a world without a closure.
    rerouted
        Of the value that the closed hub lost, the share that other hubs took over (0-1); NaN without a closure.
    seed, exact
        As asked for.
    """

    countries: TradeNetwork
    legs: pd.DataFrame
    hubs: tuple[str, ...]
    decoys: tuple[str, ...]
    donors: tuple[str, ...]
    closed_hub: str
    closed_on: pd.Timestamp | None
    rerouted: float
    seed: int
    exact: bool

    def through(self, hub: str, since: str | None = None, until: str | None = None, *, listed: bool = True) -> float:
        """USD of goods of the origin that left a hub in a period and end in the destination; `listed`: of the listed codes alone."""
        legs = self.legs
        chosen = legs["seller_id"].eq(hub) & legs["origin"].eq(ORIGIN) & legs["destination"].eq(DESTINATION)
        chosen &= legs["month"].between(pd.Timestamp(since or MONTHS[0]), pd.Timestamp(until or MONTHS[-1]))
        if listed:
            chosen &= legs["hs_code"].isin(LISTED)
        return float(legs.loc[chosen, "value_usd"].sum())

    @cached_property
    def firms(self) -> TradeNetwork:
        """Shipment records between firms: all of them in an exact world, else nine in ten of those that three hubs' customs saw."""
        return _shipments(self)


class _Cast(NamedTuple):
    """Who plays what, as numbers of countries: 0 is the origin, 1 the destination, 2 and 3 make goods too."""

    codes: list[str]
    hubs: np.ndarray
    decoys: np.ndarray
    donors: np.ndarray


class _Relation(NamedTuple):
    """Goods of one kind on one path, month after month."""

    path: tuple[int, ...]
    goods: int
    mean_usd: float
    kind: str
    declared: int = -1


def simulate(seed: int, *, exact: bool = False, closure: bool = True, response: float | None = None) -> World:
    """An invented world; the same seed gives the same world, with a closure or without.

    Makers in three countries sell to firms in some thirty others, partly by way of entrepots. After an embargo in March 2022 the
    planted hubs pass on what the destination can no longer buy directly, at their own pace, directly or by way of distributors.

    Parameters
    ----------
    seed
        Seed of everything.
    exact
        Whether statistics show the truth to the cent, and nothing is lost on the way. Otherwise reporters understate, use wrong
        codes, name the country of dispatch as origin, are partly silent, and some goods declared to a hub never arrive there.
    closure
        Whether one hub is closed in March 2023.
    response
        Share of the closed hub's trade that other hubs take over; default by chance, 0.05 to 0.95.

    Examples
    --------
    >>> world = simulate(1, exact=True)
    >>> len(world.hubs), len(world.decoys), len(world.donors)
    (5, 6, 24)
    >>> hub = world.hubs[0]
    >>> round(world.through(hub, "2021-01", "2021-12") / 1e6, 1), round(world.through(hub, "2022-01", "2022-12") / 1e6, 1)
    (6.2, 39.1)
    """
    structure, chance, statistics = (np.random.default_rng(s) for s in np.random.SeedSequence(seed).spawn(3))
    cast = _cast(structure)
    relations = _relations(structure, cast)
    lots = _lots(chance, relations, cast)
    closed = int(cast.hubs[0])
    share = float(structure.uniform(0.05, 0.95)) if response is None else response
    lost, moved = _close(chance, lots, cast, closed, share if closure else None)
    if exact:
        lots.declared[:] = -1
    legs = _legs(lots, cast, markup=0.0 if exact else 0.1, rng=chance)
    names = [tuple(cast.codes[i] for i in group) for group in (cast.hubs, cast.decoys, cast.donors)]
    return World(
        countries=_statistics(statistics, legs, cast, exact, seed), legs=legs, hubs=names[0], decoys=names[1], donors=names[2],
        closed_hub=cast.codes[closed], closed_on=MONTHS[_CLOSURE] if closure else None,
        rerouted=moved / lost if closure else float("nan"), seed=seed, exact=exact)


def _cast(rng: np.random.Generator) -> _Cast:
    """Codes are given out by chance, so that no order of names tells who plays what."""
    n_hubs, n_decoys, n_donors = int(rng.integers(5, 8)), int(rng.integers(4, 7)), int(rng.integers(20, 25))
    n = 2 + n_hubs + n_decoys + n_donors
    letters = [f"X{a}{b}" for a in "ABCD" for b in "ABCDEFGHIJKLMNOPQRSTUVWXYZ"]
    codes = [ORIGIN, DESTINATION, *rng.choice(letters, n, replace=False).tolist()]
    places = np.arange(4, 2 + n)
    return _Cast(codes, places[:n_hubs], places[n_hubs:n_hubs + n_decoys], places[n_hubs + n_decoys:])


def _relations(rng: np.random.Generator, cast: _Cast) -> list[_Relation]:
    makers = [0, 2, 3]
    size = np.zeros(len(cast.codes))
    size[cast.donors] = rng.lognormal(np.log(8e6), 0.8, len(cast.donors))
    size[cast.decoys] = rng.lognormal(np.log(30e6), 0.5, len(cast.decoys))
    size[cast.hubs] = rng.lognormal(np.log(5e6), 0.7, len(cast.hubs))
    size[[1, 2, 3]] = 100e6, 60e6, 80e6
    american = rng.beta(2, 8, len(size))
    american[1] = rng.uniform(0.2, 0.4)
    split = rng.beta(3, 3, len(size))
    shares = np.c_[american, (1 - american) * split, (1 - american) * (1 - split)]
    found = [
        _Relation((maker, c), goods, size[c] * shares[c, i] * _WEIGHT[goods], "consumed")
        for c in range(1, len(size)) for i, maker in enumerate(makers) if maker != c for goods in range(_GOODS)
    ]
    found += _re_exports(rng, cast, size, makers)
    found += _small_trade_with_the_destination(rng, cast, makers)
    return found + _diverted(rng, cast, size[1] * american[1], makers)


def _re_exports(rng: np.random.Generator, cast: _Cast, size: np.ndarray, makers: list[int]) -> list[_Relation]:
    """What entrepots lawfully pass on to other countries."""
    found = []
    ordinary = np.r_[cast.donors, cast.decoys]
    some = rng.choice(cast.donors, 6, replace=False)
    for entrepots, n_customers, scale in ((cast.decoys, 9, 1.2), (cast.hubs, 4, 0.4), (some, 3, 0.3)):
        for e in entrepots:
            customers = rng.choice(ordinary[ordinary != e], n_customers, replace=False)
            for c, share in zip(customers, rng.dirichlet(np.ones(n_customers)), strict=True):
                for maker, part in zip(makers, rng.dirichlet([1, 2, 2]), strict=True):
                    for goods in rng.choice(_GOODS, 2, replace=False):
                        found.append(_Relation((maker, int(e), int(c)), int(goods), size[e] * scale * share * part / 2, "re-exported"))
    return found


def _small_trade_with_the_destination(rng: np.random.Generator, cast: _Cast, makers: list[int]) -> list[_Relation]:
    """Before and after the embargo alike: donors and hubs a little, two decoys much, of goods made elsewhere."""
    found = []
    for e in np.r_[cast.donors, cast.hubs]:
        for goods in rng.choice(_GOODS, 2, replace=False):
            maker = int(rng.choice(makers, p=[0.15, 0.4, 0.45]))
            found.append(_Relation((maker, int(e), 1), int(goods), rng.lognormal(np.log(2e5), 0.6), "re-exported"))
    for d in cast.decoys[:2]:
        for goods in range(_GOODS):
            found.append(_Relation((int(rng.choice(makers[1:])), int(d), 1), goods, rng.lognormal(np.log(1e6), 0.5), "re-exported"))
    return found


def _diverted(rng: np.random.Generator, cast: _Cast, lost: float, makers: list[int]) -> list[_Relation]:
    """After the embargo: by way of the hubs, directly or from a distributor; a part is only declared to a hub."""
    found = []
    weights = np.sort(rng.dirichlet(np.full(len(cast.hubs), 3.0)))[::-1]
    weights = weights[np.r_[0, rng.permutation(np.arange(1, len(weights)))]]
    for hub, weight in zip(cast.hubs, weights, strict=True):
        for maker, scale in zip(makers, (1.0, rng.uniform(0.3, 1.2), rng.uniform(0.3, 1.2)), strict=True):
            total = lost * rng.uniform(0.3, 0.8) * weight * scale
            between = [-1, int(rng.choice(cast.decoys)), int(rng.choice(cast.donors))]
            for via, part in zip(between, rng.dirichlet([4, 2, 2]), strict=True):
                path = (maker, int(hub), 1) if via < 0 else (maker, via, int(hub), 1)
                found += [_Relation(path, goods, total * part * w, "diverted") for goods, w in enumerate(_WEIGHT[:3] / _WEIGHT[:3].sum())]
            ghost = total * rng.uniform(0.02, 0.25) / 3
            via = int(rng.choice(cast.donors))
            found += [_Relation((maker, via, 1), goods, ghost, "diverted", int(hub)) for goods in range(3)]
    return found


class _Lots(NamedTuple):
    """One entry per lot; `path` has a row per lot, -1 after its end."""

    path: np.ndarray
    declared: np.ndarray
    goods: np.ndarray
    month: np.ndarray
    lag: np.ndarray
    value: np.ndarray
    firm: np.ndarray
    relation: np.ndarray


def _lots(rng: np.random.Generator, relations: list[_Relation], cast: _Cast) -> _Lots:
    """A lot in most months of each relation: a level of its own, seasons, the common cycle of trade, and chance."""
    n, n_months = len(relations), len(MONTHS)
    paths = np.array([[*r.path, *[-1] * (_STOPS - len(r.path))] for r in relations])
    cycle = np.cumsum(rng.normal(0, 0.03, n_months))
    appetite = np.cumsum(rng.normal(0, 0.03, n_months))
    season = 0.1 * np.sin(2 * np.pi * (np.arange(n_months) / 12 + rng.uniform()))
    ends_there = np.array([r.path[-1] == 1 for r in relations])
    level = np.log([r.mean_usd for r in relations])[:, None] + cycle + season + ends_there[:, None] * appetite
    level = level + rng.normal(0, 0.3, (n, n_months)) + np.cumsum(rng.normal(0, 0.02, (n, n_months)), axis=1)
    value, active = np.exp(level), rng.random((n, n_months)) < 0.85
    months = np.arange(n_months)
    diverted = np.array([r.kind == "diverted" for r in relations])
    begins = _EMBARGO + 1 + np.array([sum(r.path) % 4 for r in relations])
    ramp = np.clip((months - begins[:, None] + 1) / 6, 0, 1)
    value = np.where(diverted[:, None], value * ramp, value)
    barred = (paths[:, 0] == 0) & ends_there & ~diverted
    active &= ~(barred[:, None] & (months >= _EMBARGO))
    active &= value > 0
    relation, month = np.nonzero(active)
    lag = np.cumsum(rng.random((len(relation), _STOPS - 1)) < 0.3, axis=1)
    inside = month + lag[:, -1] < n_months
    relation, month, lag = relation[inside], month[inside], lag[inside]
    young = diverted[:, None] & (rng.random((n, _STOPS)) < 0.5)
    firm = np.where(young, rng.integers(6, 10, (n, _STOPS)), rng.integers(0, 6, (n, _STOPS)))
    return _Lots(paths[relation], np.array([r.declared for r in relations])[relation], np.array([r.goods for r in relations])[relation],
                 month, lag, np.round(value[relation, month], 2), firm[relation], relation)


def _close(rng: np.random.Generator, lots: _Lots, cast: _Cast, closed: int, share: float | None) -> tuple[float, float]:
    """Changes the lots in place: what the closed hub would have sent to the destination stops, or takes another hub.

    Returns the value lost there and the value taken over elsewhere. Chance is drawn without a closure too, so that the rest of the
    world stays as it is.
    """
    n = len(lots.month)
    stays, follows, by_way = rng.random(n) < 0.05, rng.random(n), rng.random(n) < 0.3
    others = cast.hubs[cast.hubs != closed]
    instead = rng.choice(others, n, p=rng.dirichlet(np.full(len(others), 2.0)))
    if share is None:
        return 0.0, 0.0
    last = (lots.path >= 0).sum(axis=1) - 2
    rows = np.arange(n)
    leaving = lots.month + np.where(last > 0, lots.lag[rows, np.maximum(last - 1, 0)], 0)
    concerned = (lots.path[rows, last] == closed) & (lots.path[rows, last + 1] == 1) & (leaving >= _CLOSURE) & ~stays
    moved = concerned & (follows < share)
    lost, kept = float(lots.value[concerned].sum()), float(lots.value[moved].sum())
    long = moved & by_way & (last == 1)
    lots.path[moved & ~long, last[moved & ~long]] = instead[moved & ~long]
    lots.path[long, 2], lots.path[long, 3] = instead[long], 1
    lots.value[concerned & ~moved] = 0.0
    return lost, kept


def _legs(lots: _Lots, cast: _Cast, markup: float, rng: np.random.Generator) -> pd.DataFrame:
    codes = np.array(cast.codes, dtype=object)
    added = rng.uniform(0, markup, (len(lots.month), _STOPS - 1))
    price = rng.lognormal(0, 0.2, len(lots.month))
    ends = (lots.path >= 0).sum(axis=1) - 1
    parts = []
    for leg in range(_STOPS - 1):
        has = (ends > leg) & (lots.value > 0)
        seller, buyer = lots.path[has, leg], lots.path[has, leg + 1]
        month = lots.month[has] + (lots.lag[has, leg - 1] if leg else 0)
        value = np.round(lots.value[has] * np.prod(1 + added[has, :leg], axis=1), 2)
        declared = np.where((ends[has] == leg + 1) & (lots.declared[has] >= 0), lots.declared[has], buyer)
        parts.append(pd.DataFrame({
            "lot_id": np.flatnonzero(has), "leg": leg, "seller_id": codes[seller], "buyer_id": codes[buyer],
            "declared_id": codes[declared], "seller_firm": _firm(codes[seller], lots.firm[has, leg]),
            "buyer_firm": _firm(codes[buyer], lots.firm[has, leg + 1]), "month": MONTHS[month],
            "hs_code": _code(lots.goods[has], month, lots.relation[has]), "value_usd": value,
            "weight_kg": np.round(lots.value[has] / (_PRICE[lots.goods[has]] * price[has]), 3),
            "origin": codes[lots.path[has, 0]], "destination": codes[lots.path[has, ends[has]]],
        }))
    return pd.concat(parts).sort_values(["lot_id", "leg"], ignore_index=True)


def _firm(country: np.ndarray, number: np.ndarray) -> np.ndarray:
    return np.array([f"Invented firm {i} of {c}" for c, i in zip(country, number.tolist(), strict=True)], dtype=object)


def _code(goods: np.ndarray, month: np.ndarray, relation: np.ndarray) -> np.ndarray:
    names = np.array(["854231", "854239", "854150", NEIGHBOUR, "854151", "854159"], dtype=object)
    split = (goods == 2) & (month >= _HS2022)
    return names[np.where(split, 4 + relation % 2, goods)]


def _statistics(rng: np.random.Generator, legs: pd.DataFrame, cast: _Cast, exact: bool, seed: int) -> TradeNetwork:
    """What exporters and importers report, each in its own way."""
    silent = {"import": [], "export": []} if exact else _silence(rng, cast)
    exports = _reported(rng, _declared_exports(rng, legs, cast, exact), 0.0 if exact else 0.05)
    imports = _reported(rng, _declared_imports(rng, legs, cast, exact), 0.0 if exact else 0.05)
    exports = exports.assign(flow="export", partner_concept="destination", valuation="FOB", reported_by=exports["seller_id"])
    imports = imports.assign(flow="import", partner_concept="origin", valuation="CIF", reported_by=imports["buyer_id"])
    covered = _coverage(cast, silent, exact)
    until = {(row.reporter, row.flow): row.period_end for row in covered.itertuples()}
    trades = pd.concat([exports, imports], ignore_index=True)
    last = [until.get(key, pd.Timestamp.min) for key in zip(trades["reported_by"], trades["flow"], strict=True)]
    trades = trades[trades["month"].to_numpy() <= np.array(last, dtype="datetime64[us]")]
    trades = trades.sort_values(["flow", "seller_id", "buyer_id", "hs_code", "month"], ignore_index=True)
    return TradeNetwork(level="countries", actors=_countries(cast), trades=_trade_table(trades, f"simulated-{seed}"),
                        coverage=covered, sources=_source(seed, len(trades)))


def _silence(rng: np.random.Generator, cast: _Cast) -> dict[str, list[int]]:
    """Who reports nothing: a donor, and in three worlds of ten the last hub of its imports."""
    mute = int(rng.choice(cast.donors))
    hub = [int(cast.hubs[-1])] if rng.random() < 0.3 else []
    return {"import": [mute, *hub], "export": [mute]}


def _declared_exports(rng: np.random.Generator, legs: pd.DataFrame, cast: _Cast, exact: bool) -> pd.DataFrame:
    told = legs[["seller_id", "declared_id", "hs_code", "month", "value_usd", "weight_kg"]].rename(columns={"declared_id": "buyer_id"})
    if exact:
        return told
    hubs = [cast.codes[i] for i in cast.hubs]
    understated = dict(zip(cast.codes, rng.beta(1, 60, len(cast.codes)), strict=True))
    understated |= dict(zip(hubs, rng.beta(2, 8, len(hubs)), strict=True))
    miscoded = dict(zip(hubs, rng.uniform(0, 0.25, len(hubs)), strict=True))
    to_destination = told["buyer_id"].eq(DESTINATION)
    kept = 1 - told["seller_id"].map(understated).where(to_destination, 0.0)
    moved = told["seller_id"].map(miscoded).fillna(0.0).where(to_destination & told["hs_code"].ne(NEIGHBOUR), 0.0)
    amounts = ["value_usd", "weight_kg"]
    right, wrong = told.copy(), told[moved.gt(0)].assign(hs_code=NEIGHBOUR)
    right[amounts] = told[amounts].mul(kept * (1 - moved), axis=0)
    wrong[amounts] = wrong[amounts].mul((kept * moved)[moved.gt(0)], axis=0)
    return pd.concat([right, wrong], ignore_index=True)


def _declared_imports(rng: np.random.Generator, legs: pd.DataFrame, cast: _Cast, exact: bool) -> pd.DataFrame:
    told = legs[["origin", "seller_id", "buyer_id", "hs_code", "month", "value_usd", "weight_kg"]]
    by_origin = told.drop(columns="seller_id").rename(columns={"origin": "seller_id"})
    if exact:
        return by_origin
    margin = dict(zip(cast.codes, rng.uniform(0.02, 0.12, len(cast.codes)), strict=True))
    mistaken = dict(zip(cast.codes, rng.beta(1, 6, len(cast.codes)), strict=True))
    wrong = told["buyer_id"].map(mistaken).where(told["origin"].ne(told["seller_id"]), 0.0)
    parts = []
    for frame, share in ((by_origin, 1 - wrong), (told.drop(columns="origin")[wrong.gt(0)], wrong[wrong.gt(0)])):
        part = frame.copy()
        part["value_usd"] *= share * (1 + part["buyer_id"].map(margin))
        part["weight_kg"] *= share
        parts.append(part)
    return pd.concat(parts, ignore_index=True)


def _reported(rng: np.random.Generator, told: pd.DataFrame, noise: float) -> pd.DataFrame:
    """The sums by month, each with an error of its own, the same whatever else the world holds."""
    key = ["seller_id", "buyer_id", "hs_code", "month"]
    sums = told.groupby(key, as_index=False)[["value_usd", "weight_kg"]].sum()
    sums = sums[sums["value_usd"].gt(0.5)]
    if noise:
        countries = sorted({*told["seller_id"], *told["buyer_id"], ORIGIN, DESTINATION})
        error = rng.normal(-noise**2 / 2, noise, (100, 100, len(CODES), len(MONTHS)))
        number = {code: i for i, code in enumerate(countries)}
        place = (sums["seller_id"].map(number), sums["buyer_id"].map(number), sums["hs_code"].map(CODES.index),
                 sums["month"].map({month: i for i, month in enumerate(MONTHS)}))
        sums[["value_usd", "weight_kg"]] = sums[["value_usd", "weight_kg"]].mul(np.exp(error[place]), axis=0)
    return sums.assign(value_usd=sums["value_usd"].round(2))


def _coverage(cast: _Cast, silent: dict[str, list[int]], exact: bool) -> pd.DataFrame:
    """Every reporter covers all partners and goods; the destination falls silent in 2022, and a donor's last year is partial."""
    ends = dict.fromkeys(range(len(cast.codes)), MONTHS[-1])
    if not exact:
        ends[1], ends[int(cast.donors[0])] = MONTHS[_HS2022 - 1], pd.Timestamp("2024-03-01")
    rows = [
        {"source_id": "simulated", "reporter": cast.codes[i], "partners": "*", "products": " ".join(sorted(CODES)), "flow": flow,
         "partner_concept": concept, "period_start": MONTHS[0], "period_end": end + pd.offsets.MonthEnd(0), "resolution": "month",
         "complete": True}
        for i, end in ends.items() for flow, concept in (("export", "destination"), ("import", "origin")) if i not in silent[flow]
    ]
    return conform(pd.DataFrame(rows), "coverage")


def _countries(cast: _Cast) -> pd.DataFrame:
    names = [c if c in (ORIGIN, DESTINATION) else f"Invented country {c}" for c in cast.codes]
    return conform(pd.DataFrame({"actor_id": cast.codes, "name": names, "kind": "country", "role": "unknown", "country": cast.codes}),
                   "actors").sort_values("actor_id", ignore_index=True)


def _trade_table(rows: pd.DataFrame, file: str) -> pd.DataFrame:
    number = [f"{i:08}" for i in range(len(rows))]
    return conform(rows.drop(columns="month").assign(
        trade_id=[f"{file}-{i}" for i in number], record_ref=[f"{file}:{int(i) + 2}" for i in number], source_id="simulated",
        period_start=rows["month"], period_end=rows["month"] + pd.offsets.MonthEnd(0), value=rows["value_usd"], currency="USD",
        fx_rate=1.0, hs_version=np.where(rows["month"] >= MONTHS[_HS2022], "HS2022", "HS2017"), basis="recorded"), "trades")


def _source(seed: int, n: int) -> pd.DataFrame:
    return conform(pd.DataFrame([{
        "source_id": "simulated", "title": f"Simulated world {seed}: invented, no real trade", "publisher": "chiptrail",
        "redistributable": True, "rows_read": n, "rows_kept": n}]), "sources")


def _shipments(world: World) -> TradeNetwork:
    legs = world.legs
    if not world.exact:
        seen = legs["seller_id"].isin(world.hubs[:3]) | legs["buyer_id"].isin(world.hubs[:3])
        legs = legs[seen & (np.random.default_rng(world.seed).random(len(legs)) < 0.9)]
    firms = sorted({*zip(legs["seller_firm"], legs["seller_id"], strict=True), *zip(legs["buyer_firm"], legs["buyer_id"], strict=True)})
    ids = {name: actor_id("company", country, name) for name, country in firms}
    actors = pd.DataFrame({"actor_id": [ids[name] for name, _ in firms], "name": [name for name, _ in firms], "kind": "company",
                           "role": "unknown", "country": [country for _, country in firms]})
    rows = legs.assign(seller_id=legs["seller_firm"].map(ids), buyer_id=legs["buyer_firm"].map(ids), origin_country=legs["origin"],
                       flow="export", partner_concept="destination", reported_by="simulated customs")
    rows = rows.drop(columns=["lot_id", "leg", "declared_id", "seller_firm", "buyer_firm", "origin", "destination"])
    trades = _trade_table(rows.reset_index(drop=True), f"simulated-{world.seed}-shipments")
    return TradeNetwork(level="firms", actors=conform(actors, "actors").sort_values("actor_id", ignore_index=True), trades=trades,
                        sources=_source(world.seed, len(trades)))
