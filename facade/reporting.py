"""The report with the bundled data in the places that the user's own network does not fill."""

import shlex
from collections.abc import Sequence
from pathlib import Path

from chiptrail.exporters import report
from chiptrail.graphmodel.network import TradeNetwork
from chiptrail.loaders.bundled import load_bundled, policy_events, published_figures


def write_report(
    path: str | Path, *, network: TradeNetwork | None = None, origins: Sequence[str] = ("USA",),
    destinations: Sequence[str] = ("RUS",), products: str | Sequence[str] | None = None, since: str | None = None,
    until: str | None = None, concept: str | None = None, network_name: str = "",
) -> Path:
    """The path of the HTML page written; it opens offline.

    Parameters
    ----------
    path
        File to write.
    network
        A network of countries or of firms, which takes the place of the bundled one of its level; None for the bundled data.
    origins, destinations, products, since, until, concept
        The question, as in `transit_hubs`.
    network_name
        How the page's own command names the network; its folder.

    Examples
    --------
    >>> import tempfile
    >>> page = write_report(Path(tempfile.mkdtemp()) / "report.html")
    >>> "What the data cannot tell" in page.read_text(encoding="utf-8")
    True
    """
    countries = network if network and network.level == "countries" else load_bundled("countries")
    firms = network if network and network.level == "firms" else load_bundled("firms")
    words = ["chiptrail", "report", *([network_name] if network_name else []), "--out", Path(path).name]
    for option, values in (("--from", origins), ("--to", destinations), ("--product", products), ("--since", since),
                           ("--until", until), ("--concept", concept)):
        for value in [values] if isinstance(values, str) else values or []:
            words += [option, value]
    return report.write_report(
        path, countries=countries, firms=firms, events=policy_events(), figures=published_figures(), origins=origins,
        destinations=destinations, products=products, since=since, until=until, concept=concept, command=shlex.join(words))
