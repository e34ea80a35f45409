"""The scorecard on the data that come with chiptrail, and on a folder of the user's."""

from pathlib import Path

import pandas as pd

from chiptrail.graphmodel.errors import InputError
from chiptrail.loaders.bundled import load_bundled, published_figures
from chiptrail.loaders.mirror_totals import load_mirror_totals
from chiptrail.queries.scorecard import scorecard as scorecard_of

_FOLDER = "mirror_totals"


def scorecard(data: str | Path | None = None) -> pd.DataFrame:
    """Published results beside what the data give: published value, ours, difference and its reason, one row each.

    Parameters
    ----------
    data
        A folder with further data: `mirror_totals` in it, or it itself, holds files that `load_mirror_totals` reads. Without it the
        bundled data alone are used, and results that need more say so.

    Returns
    -------
    DataFrame
        As `queries.scorecard.scorecard`: `publication`, `figure`, `published`, `ours`, `ours_low`, `ours_high`, `difference`, `unit`,
        `kind`, `reason`, `url`.

    Raises
    ------
    InputError
        If the folder does not exist, or a file in it cannot be read.

    Examples
    --------
    >>> import chiptrail as ct
    >>> ct.scorecard().attrs["notes"][0]
    '9 derived results of 7 publications are recomputed from records (11 rows, some of which show the same number)'
    """
    networks = {name: load_bundled(name) for name in ("countries", "firms")}
    if data is not None:
        folder = Path(data)
        if not folder.is_dir():
            raise InputError(f"{folder.name}: no such folder; give the folder that holds {_FOLDER}")
        own = folder if folder.name == _FOLDER else folder / _FOLDER
        files = sorted(own.rglob("*.csv"))
        if files:
            networks["totals"] = load_mirror_totals(files)
    return scorecard_of(published_figures(), networks)
