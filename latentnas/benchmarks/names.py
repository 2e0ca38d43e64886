"""Which names an imported table may have: those of published benchmarks stay with them."""

from __future__ import annotations

from collections.abc import Iterable

from ..errors import ConfigError
from ..spaces import list_spaces
from .cache import table_path
from .formats import FORMATS, Format
from .reader import ImportedTable

_ANOTHER = "give the imported table another with name= (--name)"


def check_name(name: str, kind: Format, space: object, packaged: Iterable[tuple[str, str]]) -> None:
    """Refuse a name that a table of this format cannot have, as far as this shows before the file is read.

    Args:
        name: the name.
        kind: the format of the file.
        space: the space named by the reader's option of this name; None where it takes none.
        packaged: names that belong to other tables, each with what they belong to.

    Raises:
        ConfigError: the name can be none, or belongs to another benchmark.
    """
    table_path(name)
    for taken, owner in packaged:
        if name == taken:
            raise ConfigError(f"the name {name} belongs to {owner}; {_ANOTHER}")
    owners = [other for other in FORMATS.values() if name in other.tables]
    if owners and kind not in owners:
        raise ConfigError(
            f"the name {name} belongs to tables of the format {' or '.join(other.name for other in owners)}, "
            f"the file is read as {kind.name}; {_ANOTHER}"
        )
    if isinstance(space, str):
        _check_space(name, space)


def check_contents(name: str, table: ImportedTable) -> None:
    """Refuse a name that belongs to another benchmark than what was read.

    Raises:
        ConfigError: the name belongs to the tables of another benchmark or space.
    """
    if name != table.name and any(name in kind.tables for kind in FORMATS.values()):
        raise ConfigError(f"the name {name} belongs to another benchmark than the file's, {table.name}; {_ANOTHER}")
    _check_space(name, table.space)


def _check_space(name: str, space: str) -> None:
    if name != space and name in list_spaces() and not any(name in kind.tables for kind in FORMATS.values()):
        raise ConfigError(f"the name {name} is that of a space, the table's cells are of {space}; {_ANOTHER}")
