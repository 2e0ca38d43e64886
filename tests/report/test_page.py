"""The page: well-formed, self-contained, safe with hostile names, complete."""

from __future__ import annotations

import base64
import re
from html.parser import HTMLParser

import pytest

from latentnas.report.page import build_page
from tests.report.campaigns import campaign, trial

VOID = {"meta", "img", "wbr", "br", "link", "input"}
PNG = b"\x89PNG not really"


class Reader(HTMLParser):
    """Collects text, tags and attributes, and fails where tags are not nested."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def read(page: str) -> Reader:
    reader = Reader()
    reader.feed(page)
    reader.close()
    assert reader.open == []
    return reader


def full_page(**changes: object) -> str:
    trials = [trial(0, 90.0), trial(1, 93.0, mean=92.5, std=0.25), trial(2, None)]
    data = campaign([], trials=trials, **{"store": "sqlite:///runs/demo.db", "optimum": 94.0, **changes})
    return build_page(
        data, dict.fromkeys(("convergence", "latent_map", "best_cells", "predictions"), PNG), {"torch": "2"}
    )


def test_page_is_one_file_without_scripts_or_links() -> None:
    page = full_page()
    reader = read(page)
    names = {tag for tag, _ in reader.tags}
    assert not names & {"script", "link", "iframe", "object"}
    for _, attributes in reader.tags:
        assert not any(name.startswith("on") or name in ("href", "srcset") for name in attributes)
    sources = [attributes["src"] for tag, attributes in reader.tags if tag == "img"]
    assert len(sources) == 4
    prefix = "data:image/png;base64,"
    assert all(s is not None and base64.b64decode(s.removeprefix(prefix)) == PNG for s in sources)
    assert "http" not in page and "@import" not in page and "url(" not in page


def test_page_says_what_was_found() -> None:
    reader = read(full_page())
    text = re.sub(r"\s+", " ", "".join(reader.text))
    best = trial(1, 93.0)
    for part in (
        "by hand",
        "The best cell reaches 93.000 % accuracy, 1 points below",
        best.text,
        "92.500 \N{PLUS-MINUS SIGN} 0.25",
        "the loss became NaN",
        "Failed evaluations (1)",
        "3 proposals in order",
        "sqlite:///runs/demo.db",
    ):
        assert part in text
    assert [tag for tag, _ in reader.tags].count("details") == 3


def test_hostile_names_and_texts_are_shown_as_text() -> None:
    evil = "<script>alert('x')</script><img src=x onerror=\"alert(1)\">&amp;"
    trials = [trial(0, 90.0, text=evil, source=evil), trial(1, None, failure=evil)]
    page = build_page(
        campaign([], name=evil, trials=trials, notes=[evil], store=evil, config={"space": evil, "strategy": evil},
                 value_name=evil),
        {"convergence": PNG}, {evil: evil},
    )  # fmt: skip
    reader = read(page)
    assert "script" not in {tag for tag, _ in reader.tags}
    assert [attributes["src"] for tag, attributes in reader.tags if tag == "img" and attributes["src"] == "x"] == []
    assert "".join(reader.text).count("alert('x')") >= 8


@pytest.mark.parametrize("values", [[], [None], [90.0]])
def test_odd_campaigns_have_a_page(values: list[float | None]) -> None:
    reader = read(build_page(campaign(values), {}, {}))
    text = "".join(reader.text)
    assert ("Failed evaluations" in text) == (values == [None])
    assert ("Best cells" in text) == (values == [90.0])
    assert "Map of the latent space" not in text


def test_long_cells_are_short_in_tables_and_whole_over_them() -> None:
    text = "cell-" * 60
    page = build_page(campaign([], trials=[trial(0, 90.0, text=text, key="7.00001.154c49")]), {}, {})
    reader = read(page)
    titles = [attributes["title"] for tag, attributes in reader.tags if tag == "code" and "title" in attributes]
    assert titles == [text, text]  # best cells, all proposals
    shown = "".join(reader.text)
    assert shown.count(text) == 1  # the best cell at the top
    assert shown.count("7.00001.154c49") == 2
    longer = read(build_page(campaign([], trials=[trial(0, 90.0, text=text, key="k" * 101)]), {}, {}))
    assert "".join(longer.text).count(text[:97] + "...") == 2


def test_notes_of_a_kind_are_one_line_at_the_end() -> None:
    page = build_page(campaign([90.0], notes=["512 latents gave 12 new ones", "900 latents gave 7 new ones"]), {}, {})
    text = "".join(read(page).text)
    assert "512 latents" not in text
    assert text.index("900 latents gave 7 new ones (2 such notes") > text.index("All proposals")


def test_proposals_are_numbered_as_evaluations() -> None:
    trials = [trial(0, None), trial(1, None, state="running", finished=None, failure=None), trial(2, 93.0)]
    page = build_page(campaign([], trials=trials), {}, {})
    numbers = re.findall(r"<tr><td class=\"number\">([^<]*)</td><td class=\"number\">\d+</td><td[^>]*>\w+</td>", page)
    assert numbers == ["1", "-", "2"]
    assert "93.000 % (evaluation 2)" in page


def test_many_failures_are_folded() -> None:
    few, many = (build_page(campaign([None] * count), {}, {}) for count in (10, 11))
    assert "evaluations with their reasons" not in few
    assert "<summary>11 evaluations with their reasons</summary>" in many
    assert "".join(read(many).text).count("the loss became NaN") == 11
