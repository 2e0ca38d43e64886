"""NAS-Bench-1Shot1: the part of the NAS-Bench-101 table that each of its three sub-spaces can reach.

The paper has no measurements of its own: a cell's results are those of its network in NAS-Bench-101.
The table of a sub-space holds the networks of that sub-space, so best, ranks and regret are those of
the sub-space.
"""

from __future__ import annotations

from ..errors import DataFileError
from ..spaces import NASBench1Shot1, get_space
from .table import TabularBenchmark

SOURCE = "nasbench101"
TABLES = {f"nasbench1shot1-{variant}": variant for variant in (1, 2, 3)}
"""Names of the tables, and the variants of the space."""


def restrict(table: TabularBenchmark, variant: int) -> TabularBenchmark:
    """The rows of a NAS-Bench-101 table whose networks a sub-space has, in the order of the sub-space's codes.

    Args:
        table: of the space nasbench101.
        variant: 1, 2 or 3.

    Returns:
        A table by network, named after the sub-space, with the same columns.

    Raises:
        DataFileError: the table holds none of the networks, or a column has no value for any of them.
    """
    space = get_space(f"nasbench1shot1-{variant}")
    assert isinstance(space, NASBench1Shot1)
    codes = space.networks()
    wanted = space.to_nasbench101(codes)
    held = table.holds(wanted)
    if not bool(held.any()):
        raise DataFileError(f"{table.name} holds none of the {len(codes):,} networks of {space.name}")
    rows = table.rows(wanted[held])
    return TabularBenchmark(
        space.name,
        space,
        codes[held],
        {column: table.values(column)[rows] for column in table.columns},
        default=table.default_metric,
        minimize=table.minimize,
        incomplete=None,
        by_network=True,
        source=f"networks of {space.name} in {table.name}: {table.source}",
        units=table.units,
        facts={"part_of": table.name},
    )
