"""Notes of a campaign: sentences for its user, of which many say the same with other numbers."""

from __future__ import annotations

import re
from collections.abc import Iterable

_NUMBER = re.compile(r"\d[\d.,]*")


def note_kind(note: str) -> str:
    """The sentence without its numbers: equal for notes that say the same."""
    return _NUMBER.sub("#", note)


def collapse_notes(notes: Iterable[str]) -> list[str]:
    """One line for every kind, in order of its first note: its last note, and how many there were."""
    kinds: dict[str, list[str]] = {}
    for note in notes:
        kinds.setdefault(note_kind(note), []).append(note)
    return [same[-1] + (f" ({len(same):,} such notes, this is the last)" if len(same) > 1 else "")
            for same in kinds.values()]  # fmt: skip
