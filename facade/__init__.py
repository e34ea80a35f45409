"""chiptrail: through which transit hubs, firms and routes do controlled goods travel, and how sure can we be?

The public names. Each is imported when it is first used, so that `import chiptrail` is quick.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_HOME = {
    "TradeNetwork": "graphmodel.network",
    "concat": "graphmodel.network",
    "ChiptrailError": "graphmodel.errors",
    "InputError": "graphmodel.errors",
    "NotComparableError": "graphmodel.errors",
    "UnknownNameError": "graphmodel.errors",
    "Database": "graphmodel.database",
    "ValidationError": "graphmodel.errors",
    "product_lists": "graphmodel.products",
    "read_concordance": "graphmodel.hs",
    "pull_neo4j": "loaders.neo4j",
    "stored_networks": "loaders.neo4j",
    "load_bundled": "loaders.bundled",
    "policy_events": "loaders.bundled",
    "published_figures": "loaders.bundled",
    "load_baci": "loaders.baci",
    "load_comext": "loaders.comext",
    "load_comtrade": "loaders.comtrade",
    "load_mirror_totals": "loaders.mirror_totals",
    "load_shipments": "loaders.shipments",
    "load_tables": "loaders.tables",
    "find_mentions": "loaders.mentions",
    "mention_errors": "loaders.mentions",
    "mention_faults": "loaders.mentions",
    "mentions_in": "loaders.mentions",
    "read_labelled": "loaders.mentions",
    "read_parts": "loaders.mentions",
    "simulate": "loaders.simulated",
    "attribution": "queries.attribution",
    "centrality": "queries.centrality",
    "code_shift": "queries.code_shift",
    "chokepoints": "queries.chokepoints",
    "communities": "queries.communities",
    "components": "queries.communities",
    "mirror_gaps": "queries.mirror",
    "newcomers": "queries.newcomers",
    "origin_table": "queries.origin_table",
    "displacement": "queries.displacement",
    "panel": "queries.panel",
    "reconcile": "queries.reconcile",
    "supply_routes": "queries.routes",
    "surge": "queries.surge",
    "tabulate": "queries.panel",
    "timeline": "queries.timeline",
    "transit_hubs": "queries.hubs",
    "what_if": "queries.what_if",
    "export_csv": "exporters.graph_files",
    "export_gexf": "exporters.graph_files",
    "export_graphml": "exporters.graph_files",
    "export_html": "exporters.html",
    "clear_neo4j": "exporters.neo4j",
    "push_neo4j": "exporters.neo4j",
    "push_scores": "exporters.neo4j",
    "write_import_files": "exporters.neo4j",
    "unit_values": "queries.unit_values",
    "with_ghost_trade": "queries.mirror",
    "scorecard": "scoring",
    "write_report": "reporting",
    "write_table": "exporters.tables",
}
__all__ = ["__version__", *_HOME]

if TYPE_CHECKING:
    from chiptrail.exporters.graph_files import export_csv as export_csv
    from chiptrail.exporters.graph_files import export_gexf as export_gexf
    from chiptrail.exporters.graph_files import export_graphml as export_graphml
    from chiptrail.exporters.html import export_html as export_html
    from chiptrail.exporters.neo4j import clear_neo4j as clear_neo4j
    from chiptrail.exporters.neo4j import push_neo4j as push_neo4j
    from chiptrail.exporters.neo4j import push_scores as push_scores
    from chiptrail.exporters.neo4j import write_import_files as write_import_files
    from chiptrail.exporters.tables import write_table as write_table
    from chiptrail.graphmodel.database import Database as Database
    from chiptrail.graphmodel.errors import ChiptrailError as ChiptrailError
    from chiptrail.graphmodel.errors import InputError as InputError
    from chiptrail.graphmodel.errors import NotComparableError as NotComparableError
    from chiptrail.graphmodel.errors import UnknownNameError as UnknownNameError
    from chiptrail.graphmodel.errors import ValidationError as ValidationError
    from chiptrail.graphmodel.hs import read_concordance as read_concordance
    from chiptrail.graphmodel.network import TradeNetwork as TradeNetwork
    from chiptrail.graphmodel.network import concat as concat
    from chiptrail.graphmodel.products import product_lists as product_lists
    from chiptrail.loaders.baci import load_baci as load_baci
    from chiptrail.loaders.bundled import load_bundled as load_bundled
    from chiptrail.loaders.bundled import policy_events as policy_events
    from chiptrail.loaders.bundled import published_figures as published_figures
    from chiptrail.loaders.comext import load_comext as load_comext
    from chiptrail.loaders.comtrade import load_comtrade as load_comtrade
    from chiptrail.loaders.mentions import find_mentions as find_mentions
    from chiptrail.loaders.mentions import mention_errors as mention_errors
    from chiptrail.loaders.mentions import mention_faults as mention_faults
    from chiptrail.loaders.mentions import mentions_in as mentions_in
    from chiptrail.loaders.mentions import read_labelled as read_labelled
    from chiptrail.loaders.mentions import read_parts as read_parts
    from chiptrail.loaders.mirror_totals import load_mirror_totals as load_mirror_totals
    from chiptrail.loaders.neo4j import pull_neo4j as pull_neo4j
    from chiptrail.loaders.neo4j import stored_networks as stored_networks
    from chiptrail.loaders.shipments import load_shipments as load_shipments
    from chiptrail.loaders.simulated import simulate as simulate
    from chiptrail.loaders.tables import load_tables as load_tables
    from chiptrail.queries.attribution import attribution as attribution
    from chiptrail.queries.centrality import centrality as centrality
    from chiptrail.queries.chokepoints import chokepoints as chokepoints
    from chiptrail.queries.code_shift import code_shift as code_shift
    from chiptrail.queries.communities import communities as communities
    from chiptrail.queries.communities import components as components
    from chiptrail.queries.displacement import displacement as displacement
    from chiptrail.queries.hubs import transit_hubs as transit_hubs
    from chiptrail.queries.mirror import mirror_gaps as mirror_gaps
    from chiptrail.queries.mirror import with_ghost_trade as with_ghost_trade
    from chiptrail.queries.newcomers import newcomers as newcomers
    from chiptrail.queries.origin_table import origin_table as origin_table
    from chiptrail.queries.panel import panel as panel
    from chiptrail.queries.panel import tabulate as tabulate
    from chiptrail.queries.reconcile import reconcile as reconcile
    from chiptrail.queries.routes import supply_routes as supply_routes
    from chiptrail.queries.surge import surge as surge
    from chiptrail.queries.timeline import timeline as timeline
    from chiptrail.queries.unit_values import unit_values as unit_values
    from chiptrail.queries.what_if import what_if as what_if
    from chiptrail.reporting import write_report as write_report
    from chiptrail.scoring import scorecard as scorecard


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'chiptrail' has no attribute {name!r}")
    value = getattr(import_module(f"chiptrail.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
