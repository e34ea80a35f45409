"""Which column of a customs or bill-of-lading file says what: mappings in small TOML files, and proposals for new files."""

import difflib
import json
import re
import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from importlib.resources import files
from pathlib import Path
from typing import Any

from chiptrail.graphmodel.errors import ChiptrailError, InputError, UnknownNameError
from chiptrail.loaders.cells import CURRENCIES, day_orders, moment, place
from chiptrail.loaders.reader import open_table

ROLES: dict[str, str] = {
    "exporter": "firm that sends the goods",
    "exporter_country": "its country",
    "importer": "firm that receives the goods",
    "importer_country": "its country",
    "contract_holder": "firm that holds the contract, where it is another",
    "contract_holder_country": "its country",
    "carrier": "carrier or forwarder; never ranked as a trader",
    "maker": "maker or brand of the goods",
    "origin_country": "country of origin by customs",
    "dispatch_country": "country from which the goods were sent",
    "trading_country": "country of the firm that sold the goods",
    "hs_code": "HS code",
    "goods": "description of the goods",
    "value": "value in `currency`",
    "value_usd": "value in US dollars",
    "currency": "currency of `value`",
    "weight_kg": "net weight in kilograms",
    "gross_weight_kg": "weight with packing in kilograms; never taken for the net weight",
    "quantity": "quantity",
    "quantity_unit": "unit of `quantity`",
    "date": "day of the shipment or declaration",
    "declaration": "number of the declaration or bill of lading",
    "item": "number of the item in the declaration",
    "amendment": "date or number of the version of the declaration",
    "flow": "import or export, as the reporter states it",
    "reported_by": "country or publisher that reports",
}
"""Roles that a column can have, and what each means. Columns to be kept as text have roles that begin with `x_`."""

PARTIES = (("exporter", "exporter_country"), ("importer", "importer_country"))
_SETTINGS: dict[str, tuple[type, ...]] = {
    "title": (str,), "source": (str, list), "day_first": (bool,), "decimal": (str,), "encoding": (str,), "sheet": (str,),
    "header_row": (int,), "columns": (dict,), "constants": (dict,),
}

_COUNTRY = r"стран|country|pays|pa[ií]s|\bland|[uü]lke|国"
_WORDS: dict[str, str] = {
    "exporter": r"отправител|экспортер|продав|поставщик|shipper|exporter|seller|supplier|consignor|exp[eé]diteur|vendeur|absender|"
                r"verk[aä]ufer|exportador|ihracat|g[oö]nderi|发货|出口商",
    "importer": r"получател|импортер|покупат|consignee|importer|buyer|receiver|destinataire|acheteur|k[aä]ufer|empf[aä]nger|"
                r"importador|ithalat|al[iı]c[iı]|收货|进口商",
    "contract_holder": r"контрактодерж|держатель контракт|contract ?holder",
    "carrier": r"перевозчик|экспедитор|carrier|forwarder|shipping line|transporteur|spediteur|transportista|ta[sş][iı]y[iı]c|承运",
    "maker": r"изготовит|производит|manufactur|maker|brand|fabricant|hersteller|[uü]retici|生产",
    "origin_country": r"происхожд|origin|ursprung|orig[ei]n|men[sş]e|原产",
    "dispatch_country": r"отправлени|отгрузк|dispatch|departure|lading|provenance|procedencia|versend",
    "trading_country": r"торгующ|trading",
    "hs_code": r"тн ?вэд|hs ?-?code|\bhs\b|\bhts|tariff|commodity code|nomenclat|zolltarif|warennummer|taric|arancel|\bncm\b|gtip|"
               r"税号|код товар",
    "goods": r"описан|наименование товар|характеристик|description|goods|product|commodity|marchandise|warenbe|mercanc|e[sş]ya|"
             r"货物|品名|товар",
    "value": r"стоимост|сумма|value|amount|invoice|valeur|\bwert|valor|k[iı]ymet|金额",
    "value_usd": r"(стоимост|сумма|value|amount|valeur|wert|valor|fob|cif).*(usd|долл|\$)",
    "currency": r"валют|currency|devise|w[aä]hrung|moneda|d[oö]viz|币",
    "weight_kg": r"нетто|вес\b|масса|\bnet ?w|netto|weight|poids|peso|gewicht|a[gğ][iı]rl[iı]k|\bkg\b|重量",
    "gross_weight_kg": r"брутто|gross|brut\b|brutto|bruto",
    "quantity": r"количеств|кол-?во|quantit|\bqty|menge|cantidad|miktar|数量",
    "quantity_unit": r"единиц|ед\.? ?изм|\bunit|unit[eé]|einheit|unidad|birim|单位",
    "date": r"дата|\bdate|datum|fecha|tarih|日期|\bday\b",
    "declaration": r"номер (дт|декл|гтд)|деклараци|declaration|bill of lading|\bb/?l\b|entry n|\bdua\b|beyanname|报关",
    "item": r"(номер|№|\bn) ?(товар|п/?п|позиц)|\bitem|line n|kalem|项号",
    "amendment": r"корректиров|верси|amend|version",
    "flow": r"направлени|flow|direction|import ?/ ?export|им ?/ ?эк|экспорт ?/ ?импорт",
}
_LESS_LIKELY = re.compile(r"брутто|gross|brut\b|brutto|bruto|за ед|за кг|per unit|unit price|цена|таможенн|адрес|address")
_GROSS = re.compile(_WORDS["gross_weight_kg"])
_NO_NUMBER = re.compile(r"rate|price|value|amount|weight|quantit|\bqty|цена|курс|стоимост|\bвес|количеств|fiyat|precio|preis|prix")
_COMPANY = re.compile(
    r"\b(ооо|оао|зао|пао|ао|ип|тоо|осоо|llc|ltd|limited|inc|corp|co|gmbh|ag|sa|s\.a|srl|bv|nv|oy|as|a\.?[sş]|jsc|llp|plc|pte|sarl|"
    r"kg|fze|fzco|sdn|bhd)\b|公司", re.IGNORECASE)
_AMOUNT = re.compile(r"[+-]?\d[\d .,'\u00a0\u202f]*([eE][+-]?\d+)?")
GARBLED = "[\x80-\x9f]"
"""Pattern of characters that no text holds; they come from bytes read as Latin-1 that are none."""
_N_SAMPLE = 2000
_ENOUGH, _CLOSE = 0.7, 0.3


@dataclass(frozen=True)
class Guess:
    """A column proposed for a role: why, a value of it, and whether the user should confirm it."""

    column: str
    why: str
    sample: str
    confirm: bool


@dataclass(frozen=True)
class Proposal:
    """What a file's columns seem to say: a guess by role, the columns left over with a value of each, and settings."""

    file: str
    guesses: dict[str, Guess]
    unused: dict[str, str]
    constants: dict[str, str]
    day_first: bool | None
    day_first_known: bool
    encoding: str
    encoding_known: bool


@dataclass(frozen=True)
class Mapping:
    """What a mapping says: for each role the names that its column may have, and fixed texts for roles without a column.

    Roles in `needed` must have their column in the file; of others, a file may lack it.
    """

    columns: dict[str, tuple[str, ...]] = field(default_factory=dict)
    needed: frozenset[str] = frozenset()
    constants: dict[str, str] = field(default_factory=dict)
    title: str = ""
    source: str = ""
    day_first: bool | None = None
    decimal: str = ""
    encoding: str | None = None
    sheet: str | None = None
    header_row: int | None = None


def ready_mappings() -> list[str]:
    """Names of the mappings that come with the package."""
    folder = files("chiptrail.loaders") / "mappings"
    return sorted(f.name.removesuffix(".toml") for f in folder.iterdir() if f.name.endswith(".toml"))


def read_mapping(path_or_name: str | Path) -> Mapping:
    """The mapping in a TOML file, or the one of that name that comes with the package.

    Raises
    ------
    InputError
        If the file does not exist, is no TOML, or has an entry that is not known or of a wrong kind.
    """
    name = str(path_or_name)
    path = Path(path_or_name)
    if path.is_file():
        content = path.read_bytes()
    elif name in ready_mappings():
        content = (files("chiptrail.loaders") / "mappings" / f"{name}.toml").read_bytes()
    else:
        known = ", ".join(ready_mappings())
        raise UnknownNameError("mapping", name, ready_mappings(), f"give a TOML file or one of: {known}")
    try:
        table = tomllib.loads(content.decode("utf-8-sig"))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InputError(f"{path.name} is no mapping in TOML ({str(error)[:100]}); correct it") from None
    return _mapping(table, path.name)


def with_columns(mapping: Mapping, columns: dict[str, str] | None) -> Mapping:
    """The mapping with columns named by the user; an empty name takes a role out."""
    given = {_role(role, "the columns given"): name for role, name in (columns or {}).items()}
    kept = {role: names for role, names in mapping.columns.items() if role not in given}
    constants = {role: text for role, text in mapping.constants.items() if role not in given}
    named = {role: (name,) for role, name in given.items() if name}
    return replace(mapping, columns=kept | named, constants=constants, needed=(mapping.needed - set(given)) | set(named))


def choose(mapping: Mapping, header: Sequence[str], file: str) -> dict[str, str]:
    """The column of each role in a file.

    Raises
    ------
    InputError
        If a needed column, or both name and country of a party, are missing.
    """
    found = {_plain(name): name for name in reversed(header)}
    chosen = {}
    for role, names in mapping.columns.items():
        column = next((found[_plain(name)] for name in names if _plain(name) in found), None)
        if column is not None:
            chosen[role] = column
        elif role in mapping.needed:
            near = difflib.get_close_matches(names[0], header, n=3, cutoff=0.5)
            hint = f"did you mean {', '.join(repr(n[:60]) for n in near)}?" if near else f"found {_listed(header)}"
            raise InputError(f"{file}: no column {names[0][:60]!r} for {role}; {hint}")
    for party, country in PARTIES:
        if not ({party, country} & (chosen.keys() | mapping.constants.keys())):
            looked = " or ".join(repr(name[:40]) for name in mapping.columns.get(party, (party,))[:3])
            raise InputError(
                f"{file}: no column for the {party} (looked for {looked}); found {_listed(header)}; name it "
                f"({party}=column), or make a mapping with `chiptrail map {file}`"
            )
    return chosen


def fitting(header: Sequence[str], file: str) -> Mapping:
    """The mapping by which most columns of a header have a role: the roles' own names, or one that is ready.

    Raises
    ------
    InputError
        If none fits, or two equally.
    """
    named: dict[str, tuple[str, ...]] = {role: (role,) for role in ROLES}
    own = Mapping(columns=named | {_plain(name): (name,) for name in header if re.fullmatch("x_[a-z0-9_]+", _plain(name))})
    fits = []
    for name, mapping in [("", own), *((name, read_mapping(name)) for name in ready_mappings())]:
        try:
            fits.append((len(choose(mapping, header, file)), name, mapping))
        except InputError:
            continue
    if not fits:
        choose(own, header, file)
    most = max(n for n, _, _ in fits)
    best = [(name, mapping) for n, name, mapping in fits if n == most]
    if len(best) > 1:
        raise InputError(f"{file}: the mappings {' and '.join(name for name, _ in best)} fit equally; say which (mapping=)")
    if not best[0][0]:
        _refuse_near_misses(header, file)
    return best[0][1]


def _refuse_near_misses(header: Sequence[str], file: str) -> None:
    """Raises where a column is named almost as a role that no column has: it may be that column under a new name."""
    plain = {_plain(name): name for name in header}
    for name in sorted(plain.keys() - ROLES.keys()):
        near = difflib.get_close_matches(name, [role for role in ROLES if role not in plain], n=1, cutoff=0.8)
        if near:
            raise InputError(
                f"{file}: column {plain[name][:60]!r} is not known and there is no {near[0]!r}: is it that column under a new name? "
                f"Rename it, or map it ({near[0]}=column)"
            )


def propose(path: str | Path, *, encoding: str | None = None, sheet: str | None = None) -> Proposal:
    """A proposal of what each column of a file says, from its name (several languages) and the first 2,000 rows.

    Raises
    ------
    InputError
        If the file cannot be read.

    Notes
    -----
    A guess is to be confirmed where only the contents speak for it, or where another column fits about as well.
    """
    with open_table(path, encoding=encoding, sheet=sheet) as opened:
        names = [f"c{i}" for i in range(len(opened.header))]
        rows = opened.records.order_by("row").limit(_N_SAMPLE).select(*names).to_pyarrow()
    if encoding is None and opened.encoding == "latin-1":
        sample = "\n".join([*opened.header, *(v for c in names for v in rows[c].to_pylist() if v)])
        if re.search(GARBLED, sample):
            return replace(propose(path, encoding=_likely_encoding(sample), sheet=sheet), encoding_known=False)
    texts = {name: [t for v in rows[c].to_pylist() if (t := (v or "").strip())] for c, name in zip(names, opened.header, strict=True)}
    scores = {(role, name): score for name, values in texts.items() for role, score in _scores(name, values).items()}
    guesses: dict[str, Guess] = {}
    for (role, name), score in sorted(scores.items(), key=lambda entry: (-entry[1][0], *entry[0])):
        if role in guesses or name in {guess.column for guess in guesses.values()}:
            continue
        rivals = [other for (r, other), (points, _) in scores.items() if r == role and other != name
                  and points > score[0] - _CLOSE and other not in {guess.column for guess in guesses.values()}]
        why = score[1] + (f"; {', '.join(repr(r[:40]) for r in rivals[:3])} may be it too" if rivals else "")
        guesses[role] = Guess(name, why, texts[name][0][:60] if texts[name] else "", bool(rivals) or "name" not in score[1])
    taken = {guess.column for guess in guesses.values()}
    unused = {name: (values[0][:60] if values else "") for name, values in texts.items() if name not in taken}
    constants = {}
    if "value" in guesses and "currency" not in guesses:
        found = re.search(r"usd|eur|rub|руб|cny|долл|евро", guesses["value"].column.casefold())
        constants["currency"] = {"руб": "RUB", "долл": "USD", "евро": "EUR"}.get(found[0], found[0].upper()) if found else ""
    begins, known = None, True
    if "date" in guesses:
        try:
            begins = "mdy" not in day_orders(texts[guesses["date"].column], None, opened.file).values()
        except InputError:
            begins, known = True, False
    return Proposal(opened.file, guesses, unused, constants, begins, known, encoding or "", encoding_known=True)


def _likely_encoding(garbled: str) -> str:
    """The encoding of a text that was read as Latin-1 by mistake: cp866 where its bytes stand in Cyrillic words."""
    cyrillic = sum(map(len, re.findall("[\x80-\xaf\xe0-\xf1]{3,}", garbled)))
    undefined = re.search("[\x81\x8d\x8f\x90\x9d]", garbled)
    if 2 * cyrillic > len(re.findall("[\x80-\xff]", garbled)) or undefined:
        return "cp866"
    return "windows-1254" if not re.search("[\x8e\x9e]", garbled) and re.search("[\xd0\xdd\xde\xf0\xfd\xfe]", garbled) else "windows-1252"


def mapping_text(proposal: Proposal) -> str:
    """The proposal as a mapping in TOML, with a comment for each role; lines to look at say `CONFIRM`."""
    lines = [f"# Proposed for {_comment(proposal.file)}. Read each line; correct or remove what is wrong, above all where it says CONFIRM.",
             f"title = {_quoted(proposal.file)}"]
    if proposal.encoding:
        doubt = "" if proposal.encoding_known else "  # CONFIRM: guessed; look at the names below, else try another such as windows-1254"
        lines.append(f"encoding = {_quoted(proposal.encoding)}{doubt}")
    if proposal.day_first is not None:
        doubt = "" if proposal.day_first_known else "  # CONFIRM: dates such as 03/04/2022 may begin with the day or the month"
        lines.append(f"day_first = {str(proposal.day_first).lower()}{doubt}")
    lines += ["", "[columns]"]
    for role, meaning in ROLES.items():
        guess = proposal.guesses.get(role)
        if guess is None:
            continue
        confirm = "CONFIRM: " if guess.confirm else ""
        lines += [f"# {confirm}{meaning}; {_comment(guess.why)}; for example {_comment(guess.sample)}",
                  f"{role} = {_quoted(guess.column)}"]
    if proposal.unused:
        lines += ["", "# Columns not used; give one a role, or keep it as text under a name such as x_port:"]
        lines += [f"# {_comment(name)}: {_comment(sample)}" for name, sample in proposal.unused.items()]
    missing = [role for role in ROLES if role not in proposal.guesses and role not in proposal.constants]
    lines += ["", "# Roles not found: " + ", ".join(missing) + "."] if missing else []
    lines += ["", "[constants]", "# Fixed texts for roles without a column, such as flow = \"import\" and reported_by = \"KAZ\""]
    for role, text in proposal.constants.items():
        lines += [f"# CONFIRM: {ROLES[role]}" + ("" if text else "; not found, fill it in"),
                  f"{'' if text else '# '}{role} = {_quoted(text)}"]
    return "\n".join(lines) + "\n"


def _scores(name: str, values: list[str]) -> dict[str, tuple[float, str]]:
    """Points for each role that a column may have, and why."""
    plain = re.sub(r"[_\s]+", " ", name.casefold().replace("ё", "е"))
    kinds = _kinds(values)
    scores = {}
    for role in ROLES:
        words = _WORDS.get(role) or _WORDS.get(role.removesuffix("_country"))
        kind = _kind_of(role)
        fits = kinds.get(kind, 0.0) if values else 0.5
        if words is None or fits < 0.5 or not re.search(words, plain):
            continue
        if role not in _WORDS and not re.search(_COUNTRY, plain):
            continue
        if (role == "weight_kg" and _GROSS.search(plain)) or (role == "gross_weight_kg" and not re.search(_WORDS["weight_kg"], plain)):
            continue
        if role == "item" and _NO_NUMBER.search(plain):
            continue
        points = 2 + fits + 0.4 * (role == "value_usd") - bool(role != "gross_weight_kg" and _LESS_LIKELY.search(plain))
        points -= 0.5 * (role in ("goods", "value", "quantity") and re.search(r"номер|№|код|code", plain) is not None)
        scores[role] = (points, "by its name" + (f" and its {kind}" if values else ""))
    for role, kind in (("hs_code", "HS codes"), ("date", "dates"), ("currency", "currencies"), ("flow", "flows")):
        if role not in scores and kinds.get(kind, 0) > 0.95:
            scores[role] = (kinds[kind], f"by its {kind} alone")
    return scores


def _kind_of(role: str) -> str:
    if role.endswith("_country"):
        return "countries"
    return {"hs_code": "HS codes", "date": "dates", "currency": "currencies", "flow": "flows", "value": "numbers",
            "value_usd": "numbers", "weight_kg": "numbers", "gross_weight_kg": "numbers", "quantity": "numbers",
            "declaration": "texts", "item": "whole numbers", "amendment": "texts", "quantity_unit": "words"}.get(role, "words")


def _kinds(values: list[str]) -> dict[str, float]:
    """Share of the values that may be dates, HS codes, countries and so on."""
    distinct = list(dict.fromkeys(values))[:300]
    if not distinct:
        return {}

    def share(test: Any) -> float:
        return sum(map(bool, map(test, distinct))) / len(distinct)

    found = {
        "numbers": share(_AMOUNT.fullmatch), "dates": share(_is_day), "countries": share(_is_country), "texts": 1.0,
        "whole numbers": share(re.compile(r"[0-9]{1,9}").fullmatch),
        "HS codes": share(lambda t: re.fullmatch(r"(0[1-9]|[1-6]\d|7[0-689]|8\d|9[0-7])(\.?\d\d){1,4}", t)),
        "currencies": share(lambda t: t.upper() in CURRENCIES or t.upper() in CURRENCIES.values()),
        "flows": share(lambda t: t.casefold() in ("им", "эк", "импорт", "экспорт", "import", "export", "im", "ex", "imp", "exp")),
    }
    other = max(found["countries"], found["dates"]) > _ENOUGH
    found["words"] = share(lambda t: re.search(r"[^\W\d_]{2}", t)) * (0.3 if other else 1)
    found["words"] += 0.2 * share(_COMPANY.search)
    return found


def _is_day(text: str) -> bool:
    for order in ("dmy", "mdy", "ymd"):
        try:
            return bool(moment(text, dict.fromkeys("-./", order)))
        except InputError:
            continue
    return False


def _is_country(text: str) -> bool:
    try:
        return bool(place(text))
    except ChiptrailError:
        return False


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _comment(text: str) -> str:
    return "".join(c if c.isprintable() else " " for c in text)


def _mapping(table: dict[str, Any], file: str) -> Mapping:
    for key, value in table.items():
        if key not in _SETTINGS:
            raise UnknownNameError(f"entry of the mapping {file},", key, _SETTINGS)
        if not isinstance(value, _SETTINGS[key]):
            raise InputError(f"{file}: {key} must be a {_SETTINGS[key][0].__name__}")
    if table.get("decimal", ".") not in (".", ","):
        raise InputError(f"{file}: decimal must be '.' or ','")
    columns, needed = {}, set()
    for role, names in table.get("columns", {}).items():
        known = _role(role, file)
        listed = [names] if isinstance(names, str) else names
        if not isinstance(listed, list) or not listed or not all(isinstance(name, str) and name for name in listed):
            raise InputError(f"{file}: the column of {role} must be a name or a list of names that it may have")
        columns[known] = tuple(listed)
        if isinstance(names, str):
            needed.add(known)
    constants = {_role(role, file): text for role, text in table.get("constants", {}).items()}
    for role, text in constants.items():
        if not isinstance(text, str):
            raise InputError(f"{file}: the constant {role} must be a text")
    source = table.get("source", "")
    rest = {key: table[key] for key in ("title", "day_first", "decimal", "encoding", "sheet", "header_row") if key in table}
    return Mapping(columns, frozenset(needed), constants, source=source if isinstance(source, str) else "; ".join(source), **rest)


def _role(role: str, where: str) -> str:
    if role not in ROLES and not re.fullmatch("x_[a-z0-9_]+", role):
        raise UnknownNameError(f"role in {where},", role, ROLES, f"roles are {', '.join(ROLES)}, or x_ and a name of your own")
    return role


def _plain(name: str) -> str:
    return " ".join(name.casefold().split())


def _listed(header: Iterable[str]) -> str:
    names = [repr(name[:40]) for name in header]
    return ", ".join(names[:12]) + (", ..." if len(names) > 12 else "")
