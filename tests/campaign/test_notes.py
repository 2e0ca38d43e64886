from __future__ import annotations

from latentnas.campaign.notes import collapse_notes, note_kind


def test_notes_of_one_kind_are_one_line() -> None:
    notes = [
        "8,192 latents gave 12 new ones, 3.4-fold",
        "all known",
        "512 latents gave 1 new ones, 1-fold",
        "all known",
    ]
    assert note_kind(notes[0]) == note_kind(notes[2]) != note_kind(notes[1])
    assert collapse_notes([notes[0], notes[1], notes[2]]) == [
        f"{notes[2]} (2 such notes, this is the last)",
        "all known",
    ]
    assert collapse_notes([]) == []
