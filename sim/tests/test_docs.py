# SPDX-License-Identifier: Apache-2.0
"""Links of all Markdown lead somewhere, and every page has a place in the site.

This reads Markdown only. ``make docs`` builds the site and checks the links of its pages.
"""

from __future__ import annotations

import functools
import importlib.util
import itertools
import re
import shutil
from pathlib import Path
from types import ModuleType

import pytest
from descring_sim.support import paths
from markdown_it import MarkdownIt
from markdown_it.token import Token

SKIPPED = {"build", "dist", "node_modules", "outside", "shared"}


def _root() -> Path:
    root = paths.checkout_root()
    assert root is not None
    return root


def _pages() -> list[str]:
    """Each Markdown file of the repository."""
    found = []
    for page in sorted(_root().rglob("*.md")):
        parts = page.relative_to(_root()).parts
        if not any(part.startswith(".") or part in SKIPPED for part in parts[:-1]):
            found.append("/".join(parts))
    return found


@functools.cache
def _tokens(path: Path) -> list[Token]:
    return MarkdownIt("commonmark").enable("table").parse(path.read_text("utf-8"))


def _inline(path: Path) -> list[Token]:
    return [child for token in _tokens(path) for child in token.children or []]


def _links(path: Path) -> list[str]:
    """What a page links to or shows, outside code."""
    found = [token.attrGet("href") or token.attrGet("src") for token in _inline(path)]
    return [str(target) for target in found if target is not None]


@functools.cache
def _anchors(path: Path) -> frozenset[str]:
    """The anchors that a page's headings get."""
    tokens = _tokens(path)
    seen: dict[str, int] = {}
    anchors = set()
    for opening, content in itertools.pairwise(tokens):
        if opening.type == "heading_open":
            text = "".join(child.content for child in content.children or [])
            slug = re.sub(r"[^\w\- ]", "", text.lower()).strip().replace(" ", "-")
            count = seen[slug] = seen.get(slug, -1) + 1
            anchors.add(f"{slug}-{count}" if count else slug)
    return frozenset(anchors)


def broken(page: Path) -> list[str]:
    """Return the links of a page that lead nowhere."""
    found = []
    for target in _links(page):
        path, _, anchor = target.partition("#")
        if re.match(r"[a-z]+:", target):
            continue
        place = page.parent / path if path else page
        if not place.exists() or (anchor and anchor not in _anchors(place)):
            found.append(target)
    return found


@pytest.mark.parametrize("name", _pages())
def test_links_of_a_page_lead_somewhere(name: str) -> None:
    """Files, folders and headings; other sites are not looked up."""
    assert broken(_root() / name) == []


def test_broken_links_are_found(tmp_path: Path) -> None:
    """A missing file, a missing heading here and elsewhere; code and other sites are no links."""
    (tmp_path / "other.md").write_text("# Some `heading`, twice\n\n# Some heading twice\n")
    page = tmp_path / "page.md"
    page.write_text(
        "# Here\n[a](other.md) [b](other.md#some-heading-twice) [c](#here) [d](https://x.invalid)\n"
        "[e](none.md) [f](other.md#none) [g](#none) `[h](none.md)` ![i](none.svg)\n"
        "[j](other.md#some-heading-twice-1)\n\n| a |\n|---|\n| [k](nowhere.md) |\n"
    )
    assert broken(page) == ["none.md", "other.md#none", "#none", "none.svg", "nowhere.md"]


def test_every_page_has_a_place_in_the_site() -> None:
    """The nav of mkdocs.yml has each page of docs/ once, and no page that is not there.

    A new page is entered there by hand, because its place is a decision.
    """
    nav = (_root() / "mkdocs.yml").read_text().partition("\nnav:\n")[2]
    named = re.findall(r"[\w./-]+\.md$", nav, re.MULTILINE)
    pages = {name.removeprefix("docs/") for name in _pages() if name.startswith("docs/")}
    outside = {"index.md", "contributing.md", "changelog.md", "security.md"}
    assert sorted(named) == sorted({*named}), "a page is named twice"
    assert set(named) - outside == pages


def _pictures() -> ModuleType:
    spec = importlib.util.spec_from_file_location("pictures", _root() / "docs/tools/pictures.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_pictures_are_drawn_from_their_present_sources() -> None:
    """Each SVG has the digest of its sources; `make pictures` draws those that differ."""
    assert _pictures().stale(_root()) == []


def test_a_stale_picture_is_found(tmp_path: Path) -> None:
    """A changed diagram, a missing picture, one without a digest."""
    pictures = _pictures()
    for name in ("docs/pictures", "docs/tools", "docs/results"):
        shutil.copytree(_root() / name, tmp_path / name)
    (tmp_path / "docs/pictures/overview.d2").write_text("a -> b\n")
    (tmp_path / "docs/pictures/rollout-life.svg").unlink()
    (tmp_path / "docs/pictures/chart-verilated.svg").write_text("<svg/>\n")
    names = ("chart-verilated", "overview", "rollout-life")
    assert pictures.stale(tmp_path) == [f"docs/pictures/{name}.svg" for name in names]
