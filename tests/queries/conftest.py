import pytest

from chiptrail.graphmodel.network import TradeNetwork

ORIGIN = {"flow": "import", "partner_concept": "origin"}


@pytest.fixture(scope="session")
def small_countries(build) -> TradeNetwork:
    """Origins by importer, dispatches by exporter, one of them told by both sides; months of Germany, years of the others."""
    origin = [("USA", "KAZ", "2021", 100.0), ("USA", "KAZ", "2022", 250.0), ("USA", "TUR", "2022", 400.0),
              ("CHN", "KAZ", "2022", 900.0), ("USA", "CHN", "2022", 5000.0), ("CHN", "TUR", "2022", 310.0)]
    rows = [(s, b, "8541+8542", p, v, ORIGIN | {"reported_by": b, "hs_version": ""}) for s, b, p, v in origin]
    rows += [
        ("KAZ", "RUS", "8542", "2021", 20.0), ("KAZ", "RUS", "8542", "2022", 700.0), ("TUR", "RUS", "8542", "2022", 90.0),
        ("CHN", "RUS", "8542", "2022", 3000.0), ("CHN", "KAZ", "8542", "2022", 620.0),
        ("DEU", "KAZ", "854231", "2022-01", 11.0), ("DEU", "KAZ", "854231", "2022-03", 33.0),
        ("USA", "KAZ", "8542", "2022", 77.0),
        ("USA", "KAZ", "8542", "2022", 79.0, {"flow": "import", "partner_concept": "consignment", "reported_by": "KAZ"}),
    ]
    coverage = [("KAZ", "*", "8541+8542", "2021/2022", ORIGIN), ("TUR", "*", "8541+8542", "2022", ORIGIN),
                ("CHN", "*", "8541+8542", "2022", ORIGIN), ("KAZ", "RUS", "8542", "2021/2022"), ("TUR", "RUS", "8542", "2022"),
                ("CHN", "*", "8542", "2022"), ("DEU", "KAZ", "8542", "2022-01/2022-06")]
    return build(rows, coverage=coverage)


@pytest.fixture(scope="session")
def small_firms(build) -> TradeNetwork:
    """Two chains from the USA to Russia, one of them through somebody without a name, and a value that nobody gives."""
    rows = [
        ("maker.USA", "trader.HKG", "8542", "2022-01", 500.0), ("trader.HKG", "buyer.RUS", "8542", "2022-03", 300.0),
        ("maker.USA", "Unnamed firms", "8542", "2022-02", 80.0), ("Unnamed firms", "buyer.RUS", "8542", "2022-05", 70.0),
        ("second.USA", "shop.TUR", "8471", "2022-01", None), ("shop.TUR", "office.RUS", "8471", "2022-04", 40.0),
        ("trader.HKG", "shop.TUR", "8542", "2022-02", 6.0),
    ]
    links = [("brand", "second.USA", "office.RUS"), ("makes_weapon", "buyer.RUS", "w:drone")]
    return build(rows, level="firms", links=links)
