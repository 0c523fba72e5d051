# SPDX-License-Identifier: Apache-2.0
"""Checks the pages of the built site: links, what they load, Markdown that stayed as it was.

check_site.py FOLDER

Every link of every page must lead to a file of the site and to an anchor in it; nothing may be
loaded from elsewhere. Exit code 1: findings, one a line.
"""

from __future__ import annotations

import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

LOADING = {("script", "src"), ("link", "href"), ("img", "src"), ("source", "src"), ("use", "href")}
NOT_LOADED = {"canonical", "alternate", "next", "prev"}
"""Relations of a link element that only name another page."""
QUIET = {"code", "pre", "script", "style", "title"}
RAW = re.compile(r"```|^\s*[-*] \S|\]\(|^\s*\d+\. \S|\*\*\w|^\|.*\|\s*$", re.MULTILINE)
"""Markdown that a reader should not see."""
SHOWS_SOURCES = "source/"


class _Page(HTMLParser):
    """Anchors, links and text of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.paragraphs: list[str] = []
        self._quiet = 0
        self._in_text = 0
        self._in_article = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.anchors |= {str(values[name]) for name in ("id", "name") if values.get(name)}
        named_only = tag == "link" and str(values.get("rel")) in NOT_LOADED
        for name, value in attrs:
            if value and (tag, name) in LOADING and not named_only:
                self.loaded.append(value)
            elif value and (tag, name) == ("a", "href"):
                self.links.append(value)
        self._quiet += tag in QUIET
        self._in_article |= tag == "article"
        if tag in ("p", "li", "td"):
            self._in_text += 1
            self.paragraphs.append("")

    def handle_endtag(self, tag: str) -> None:
        self._quiet -= tag in QUIET
        self._in_article &= tag != "article"
        self._in_text -= tag in ("p", "li", "td")

    def handle_data(self, data: str) -> None:
        if self._in_article and self._in_text and not self._quiet:
            self.paragraphs[-1] += data


def check(site: Path) -> list[str]:
    """Return what is wrong with the pages of a site."""
    pages: dict[Path, _Page] = {}
    for path in sorted(site.rglob("*.html")):
        pages[path] = page = _Page()
        page.feed(path.read_text("utf-8"))
    found = []
    for path, page in pages.items():
        name = path.relative_to(site).as_posix()
        if name == "404.html":
            continue
        for target in page.loaded:
            if urlsplit(target).scheme not in ("", "data"):
                found.append(f"{name}: loads {target} from elsewhere")
        for target in [*page.links, *page.loaded]:
            parts = urlsplit(target)
            if parts.scheme or parts.netloc:
                continue
            place = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            anchor = unquote(parts.fragment)
            if place.is_dir():
                place = place / "index.html"
            if not place.is_file():
                found.append(f"{name}: dead link {target}")
            elif anchor and place in pages and anchor not in pages[place].anchors:
                found.append(f"{name}: dead anchor {target}")
        if not name.startswith(SHOWS_SOURCES):
            found += [
                f"{name}: Markdown that was not understood: {text.strip()[:70]!r}"
                for text in page.paragraphs
                if RAW.search(text)
            ]
    if not pages:
        found.append(f"{site}: expected pages, got none")
    return found


def main(arguments: list[str]) -> int:
    """Check a folder; return the exit code."""
    if len(arguments) != 1:
        print(__doc__, file=sys.stderr)
        return 2
    site = Path(arguments[0]).resolve()
    found = check(site)
    for finding in found:
        print(finding, file=sys.stderr)
    if not found:
        print(f"{sum(1 for _ in site.rglob('*.html'))} pages without a dead link")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
