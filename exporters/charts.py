"""Charts of the report, as SVG text: drawn without a browser, without scripts, and the same for the same table."""

import re
from typing import Any

import pandas as pd

from chiptrail.graphmodel.errors import ChiptrailError

_USD_AXIS = {"format": "~s", "labelExpr": "replace(replace(datum.label, 'G', ' bn'), 'M', ' m')"}
_PALETTE = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#7f7f7f", "#8c564b", "#bcbd22"]


def legs_chart(table: pd.DataFrame) -> str:
    """Inflow and outflow of hubs now and before, as dots on a logarithmic scale.

    Parameters
    ----------
    table
        `hub`, `leg`, `when` and `usd`; hubs in the order of their first row.
    """
    alt = _altair()
    shown = _numbered(table, "hub")
    shown = shown[shown["usd"].gt(0)]
    chart = alt.Chart(shown).mark_point(size=110, strokeWidth=2.5).encode(
        x=alt.X("usd:Q", title="US dollars (logarithmic)", scale=alt.Scale(type="log"), axis=alt.Axis(**_USD_AXIS)),
        y=alt.Y("hub:N", sort=alt.EncodingSortField("order", op="min"), title=None, axis=alt.Axis(labelLimit=260)),
        color=alt.Color("leg:N", title=None, scale=alt.Scale(range=_PALETTE)),
        shape=alt.Shape("when:N", title=None, scale=alt.Scale(range=["circle", "triangle-up"])),
    )
    return _svg(chart, width=620, height=max(90, 34 * shown["hub"].nunique()))


def intervals_chart(table: pd.DataFrame, *, title: str) -> str:
    """An estimate, its interval, and the most that the balances allow, one line each on a logarithmic scale.

    Parameters
    ----------
    table
        `label`, `usd_attributed`, `usd_low`, `usd_high` and `usd_most`, in the order to show; without an estimate the interval alone.
    title
        Of the axis.
    """
    alt = _altair()
    shown = _numbered(table[table["usd_most"].gt(0)], "label")
    shown = shown.assign(usd_low=shown["usd_low"].clip(lower=shown["usd_most"] / 1e4))
    base = alt.Chart(shown).encode(y=alt.Y("label:N", sort=alt.EncodingSortField("order", op="min"), title=None,
                                           axis=alt.Axis(labelLimit=260)))
    scale = alt.Scale(type="log", zero=False)
    ranges = base.mark_rule(strokeWidth=7, color=_PALETTE[0], opacity=0.45).encode(
        x=alt.X("usd_low:Q", scale=scale, title=title, axis=alt.Axis(**_USD_AXIS)), x2="usd_high:Q")
    most = base.mark_tick(color=_PALETTE[1], thickness=3, height=18).encode(x=alt.X("usd_most:Q", scale=scale))
    points = base.transform_filter("isValid(datum.usd_attributed)").mark_point(filled=True, color="black", size=60, opacity=1).encode(
        x=alt.X("usd_attributed:Q", scale=scale))
    return _svg(ranges + most + points, width=560, height=max(90, 30 * len(shown)))


def years_chart(table: pd.DataFrame) -> str:
    """One line per seller of its value by year; a year that is not covered breaks the line.

    Parameters
    ----------
    table
        `seller`, `year` and `usd` (missing where not covered).
    """
    alt = _altair()
    base = alt.Chart(table).encode(
        x=alt.X("year:O", title=None, axis=alt.Axis(labelAngle=0)),
        y=alt.Y("usd:Q", title="US dollars (logarithmic)", scale=alt.Scale(type="log"), axis=alt.Axis(**_USD_AXIS)),
        color=alt.Color("seller:N", title=None, scale=alt.Scale(range=_PALETTE)),
        shape=alt.Shape("seller:N", legend=None),
    )
    chart = base.mark_line(invalid="break-paths-filter-domains") + base.mark_point(size=60, filled=True)
    return _svg(chart, width=620, height=300)


def months_chart(table: pd.DataFrame, events: pd.DataFrame) -> str:
    """Monthly value by buyer, with a numbered line for each event.

    Parameters
    ----------
    table
        `buyer`, `month` and `usd` (zero where covered and nothing is recorded).
    events
        `number` and `date`.
    """
    alt = _altair()
    values = table.assign(month=table["month"].astype(str))
    x = alt.X("month:T", title=None, axis=alt.Axis(format="%Y-%m", labelAngle=-40))
    lines = alt.Chart(values).mark_line().encode(
        x=x, y=alt.Y("usd:Q", title="US dollars a month", axis=alt.Axis(**_USD_AXIS)),
        color=alt.Color("buyer:N", title=None, scale=alt.Scale(range=_PALETTE)),
        strokeDash=alt.StrokeDash("buyer:N", title=None),
    )
    shown = events.assign(date=events["date"].astype(str))
    rules = alt.Chart(shown).mark_rule(color="#888888", strokeDash=[3, 3]).encode(x="date:T")
    numbers = [  # on three heights, so that neighbours do not meet
        alt.Chart(shown.iloc[i::3]).mark_text(align="left", dx=3, y=8 + 13 * i, fontSize=11, color="#444444").encode(
            x="date:T", text="number:N")
        for i in range(min(3, len(shown)))
    ]
    return _svg(alt.layer(lines, rules, *numbers) if len(shown) else lines, width=620, height=300)


def parts_chart(table: pd.DataFrame) -> str:
    """Parts found by weapon, those of makers in the origin country beside all others.

    Parameters
    ----------
    table
        `weapon`, `makers` (which group) and `n_parts`; weapons in the order of their first row.
    """
    alt = _altair()
    groups = list(dict.fromkeys(table["makers"]))
    chart = alt.Chart(_numbered(table, "weapon")).mark_bar().encode(
        x=alt.X("n_parts:Q", title="different parts found"),
        y=alt.Y("weapon:N", sort=alt.EncodingSortField("order", op="min"), title=None, axis=alt.Axis(labelLimit=340)),
        color=alt.Color("makers:N", title=None, scale=alt.Scale(domain=groups, range=["#0072b2", "#c9ced6"])),
        order=alt.Order("makers:N"),
    )
    return _svg(chart, width=520, height=22 * table["weapon"].nunique())


def _numbered(table: pd.DataFrame, names: str) -> pd.DataFrame:
    """The table with `order`, the number of each name: names to sort by would become part of an expression of Vega's."""
    return table.assign(order=pd.factorize(table[names])[0])


def _altair() -> Any:
    try:
        import altair
        import vl_convert  # noqa: F401
    except ImportError:
        raise ChiptrailError("charts need two more libraries: pip install 'chiptrail[report]'") from None
    return altair


def _svg(chart: Any, *, width: int, height: int) -> str:
    import vl_convert

    chart = chart.properties(width=width, height=height).configure_view(stroke=None).configure(
        font="Arial, Helvetica, Liberation Sans, sans-serif", background="transparent",
        padding={"left": 60, "right": 40, "top": 8, "bottom": 8})
    chart = chart.configure_axis(labelFontSize=12, titleFontSize=12, gridColor="#e5e7eb")
    chart = chart.configure_legend(labelFontSize=12, orient="bottom", columns=4, columnPadding=30, labelLimit=300)
    svg = vl_convert.vegalite_to_svg(chart.to_json())
    return re.sub(r"<!--.*?-->|<\?xml.*?\?>", "", svg, flags=re.DOTALL)
