"""Relative links of all Markdown files lead somewhere."""

import re
import string
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = sorted(
    [
        *ROOT.glob("*.md"),
        *(page for room in ("docs", "experiments", "ali_jax") for page in (ROOT / room).rglob("*.md")),
    ]
)


def links(text: str) -> list[str]:
    """Targets of links and images in Markdown, code left out."""
    text = re.sub(r"^```.*?^```|`[^`\n]*`", "", text, flags=re.M | re.S)
    return [*re.findall(r"\]\(([^)\s]+)\)", text), *re.findall(r'(?:src|href)="([^"]+)"', text)]


def anchors(text: str) -> set[str]:
    """What GitHub makes of the headings."""
    text = re.sub(r"^```.*?^```", "", text, flags=re.M | re.S)
    dropped = str.maketrans("", "", string.punctuation.replace("-", "").replace("_", ""))
    headings = re.findall(r"^#+ +(.*?) *$", text, re.M)
    return {heading.lower().translate(dropped).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    for link in links(page.read_text()):
        if re.match(r"\w+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        assert target.exists(), f"{link} does not exist"
        assert not anchor or anchor in anchors(target.read_text()), f"{link}: no such heading"


def test_pages_and_links_are_found():
    assert {page.name for page in PAGES} >= {"README.md", "departures.md", "extending.md", "scaling.md"}
    assert links('[a](b.md#c) ![d](e.png) `[f](g)` <img src="h.png">\n```\n[i](j)\n```\n') == [
        *("b.md#c", "e.png", "h.png")
    ]
    assert anchors("# Few labels\n## MNIST, 100 labels (the paper's)\n```\n# no\n```\n") == {
        "few-labels",
        "mnist-100-labels-the-papers",
    }
