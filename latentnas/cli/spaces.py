"""``latentnas spaces`` and ``latentnas benchmarks``: what there is."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from .app import app, one_line
from .output import print_pairs, print_table

if TYPE_CHECKING:
    from ..spaces import SearchSpace


@app.command("spaces")
def spaces(
    show: Annotated[
        str | None, typer.Option("--show", metavar="NAME", help="Describe one space: its code, its networks, a cell.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the cell that --show draws.")] = 0,
) -> None:
    """List the search spaces."""
    from ..spaces import get_space, list_spaces
    from ..spaces.base import format_count

    if show is None:
        rows = []
        for name in list_spaces():
            space = get_space(name)
            views = "node, edge" if space.edge_types else "node"
            venue = _VENUE.search(_origin(space))
            rows.append(
                [
                    name,
                    str(space.dim),
                    format_count(space.size),
                    _networks(space, MOST_COUNTED),
                    str(space.max_nodes),
                    views,
                    venue[0] if venue else "-",
                ]
            )
        head = ["space", "code length", "codes", "networks", "vertices", "views", "published"]
        print_table(head, rows, right=(1, 2, 3, 4))
        return
    space = get_space(show)
    code = space.sample(1, seed=seed)
    networks = _networks(space, 50 * MOST_COUNTED, slow=True)
    counted = "" if networks == "-" else f", {networks} networks"
    pairs = [("space", f"{space.name}, {format_count(space.size)} codes{counted}")]
    for name, text in (("origin", _origin(space)), ("cells", _first_line(type(space).__doc__))):
        if text:
            pairs.append((name, text))
    pairs.append(("operations", shortened(", ".join(space.edge_types or space.node_types[2:]), 400)))
    pairs += [("column" if k == 0 else "", line) for k, line in enumerate(_columns(space))]
    pairs += [
        ("a cell", space.format(code)[0]),
        ("its code", " ".join(map(str, code[0].tolist()))),
        ("its key", space.keys(code)[0]),
        ("pictures", f"latentnas draw --space {space.name} --sample 4 --out cells.png"),
    ]
    print_pairs(pairs)


MOST_COUNTED = 200_000
"""Codes of a space whose networks the list counts; a second or so for all spaces."""

_VENUE = re.compile(r"\b(ICML|ICLR|ICCV|CVPR|ECCV|AAAI|NeurIPS|JMLR|TMLR) (19|20)\d\d\b")
_SLOW = ("enas_micro",)
"""Spaces that take longer than that to count their networks."""


def _networks(space: SearchSpace, most: int, *, slow: bool = False) -> str:
    """The number of networks, "-" where it is not known or takes long to count.

    Args:
        space: the space.
        most: codes that are gone through, where the space has no way of its own to count.
        slow: also where the way of its own takes seconds.
    """
    from ..errors import SpaceTooLargeError
    from ..spaces import SearchSpace
    from ..spaces.base import format_count

    quick = type(space).canonical is SearchSpace.canonical or type(space).num_networks is not SearchSpace.num_networks
    if (quick and (slow or space.name not in _SLOW)) or space.size <= most:
        try:
            return format_count(space.num_networks)
        except SpaceTooLargeError:
            pass
    return "-"


def _first_line(text: str | None) -> str:
    return (text or "").strip().split("\n")[0]


def _origin(space: SearchSpace) -> str:
    """The paper of a space: the first line of its module."""
    return _first_line(getattr(sys.modules.get(type(space).__module__), "__doc__", None))


def _columns(space: SearchSpace) -> list[str]:
    """What the columns of a code mean, one line for those with the same values."""
    groups: dict[tuple[str, ...], list[str]] = {}
    for name, values in zip(space.columns, space.column_values(), strict=True):
        groups.setdefault(values, []).append(name)
    lines = []
    for values, names in groups.items():
        plain = values == tuple(map(str, range(len(values))))
        meaning = f"0..{len(values) - 1}" if plain else ", ".join(f"{k} = {value}" for k, value in enumerate(values))
        shown = ", ".join(names) if len(names) <= 6 else f"{names[0]}, {names[1]}, ..., {names[-1]} ({len(names)})"
        lines.append(f"{shown}: {meaning}")
    return lines


@app.command("benchmarks")
def benchmarks() -> None:
    """List the benchmark tables that can be queried now, each with its best cell; see also ``data``."""
    from ..benchmarks import get_benchmark, list_benchmarks, nasbench1shot1
    from ..errors import LatentNASError

    rows, faults = [], []
    for name in list_benchmarks():
        if name in nasbench1shot1.TABLES:  # made when it is used, which takes seconds
            rows.append([name, name, "", f"part of {nasbench1shot1.SOURCE}", "", ""])
            continue
        try:
            table = get_benchmark(name)
            best = table.best()
            others = len(table.metrics) - 1
            metric = best.metric + (f" and {others} more" if others else "")
            rows.append([name, table.space.name, f"{len(table):,}", metric, f"{best.value:.5g}", shortened(best.text)])
        except LatentNASError as error:  # the other tables are still worth listing
            faults.append(f"{name} cannot be read: {one_line(error)}")
    print_table(["table", "space", "rows", "metric", "best", "best cell"], rows, right=(2, 4))
    typer.echo("latentnas data show TABLE has every metric and the best cells in full")
    for fault in faults:
        typer.echo(fault)


def shortened(text: str, most: int = 100) -> str:
    """At most ``most`` characters of a text."""
    return text if len(text) <= most else f"{text[: most - 3]}..."
