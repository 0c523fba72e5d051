# SPDX-License-Identifier: Apache-2.0
"""Opens the pages of a built site in Chromium, at two widths, light and dark.

check_browser.py FOLDER [PATTERN]...

A page must fit the width, show all its pictures, log nothing, have its text as far from the paper
as WCAG AA asks, and be darker in dark; the search must have results. PATTERN selects pages, as in
'results/*.html'. Exit code 1: findings, one a line, each with the widths and looks that have it.
Without a browser nothing is checked, and a line reports that.
"""

from __future__ import annotations

import contextlib
import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from selenium import webdriver
from selenium.common.exceptions import TimeoutException
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

WIDTHS = (390, 1280)
LOOKS = ("light", "dark")
NO_BROWSER = "no browser here: sudo apt-get install -y chromium chromium-driver"
SEARCHED = "doorbell"
SHOWN = 3
"""Elements of a page that are named for one kind of finding; the others are counted."""
SEARCH_S = 30
_TIMEOUT_S = 60

WIDE = """
const room = document.documentElement.clientWidth;
const name = (e) => e.tagName.toLowerCase() + (e.id ? "#" + e.id : "")
  + (e.classList.length ? "." + e.classList[0] : "");
const style = (e) => getComputedStyle(e);
const out = [], far = [];
const page = Math.max(document.documentElement.scrollWidth, document.body.scrollWidth);
if (page > room) out.push(`${page} wide, has ${room}`);
for (const e of document.body.querySelectorAll("*")) {
  if (e.ownerSVGElement || !e.checkVisibility({opacityProperty: true, visibilityProperty: true}))
    continue;
  const box = e.getBoundingClientRect();
  if (!box.width || !box.height || box.right <= 0) continue;
  if (box.right > room + 1) {
    let up = e.parentElement;
    while (up && up !== document.body && !["auto", "scroll"].includes(style(up).overflowX))
      up = up.parentElement;
    const known = far.some((other) => other.contains(e));
    if (!known && (!up || up === document.body) && far.push(e))
      out.push(`${name(e)} reaches to ${Math.round(box.right)} of ${room}`);
  }
  const cuts = ["hidden", "clip"].includes(style(e).overflowX) && style(e).textOverflow === "clip";
  if (cuts && e.closest("article, body > main, body > table") && e.scrollWidth > e.clientWidth + 1)
    out.push(`${name(e)} cuts what it has, ${e.scrollWidth} wide, to ${e.clientWidth}`);
}
return out;
"""
"""What is wider than the page, cannot be scrolled to, or is cut."""

PICTURES = """
return [...document.images].filter((i) => !i.complete || !i.naturalWidth)
  .map((i) => i.getAttribute("src"));
"""

PAPER = """
let e = document.body;
while (e && /, 0\\)$|^transparent$/.test(getComputedStyle(e).backgroundColor)) e = e.parentElement;
const c = document.createElement("canvas").getContext("2d");
c.fillStyle = e ? getComputedStyle(e).backgroundColor : "#fff";
c.fillRect(0, 0, 1, 1);
const [r, g, b] = c.getImageData(0, 0, 1, 1).data;
return 0.2126 * r + 0.7152 * g + 0.0722 * b;
"""
"""Brightness of the page's background."""

CONTRAST = """
const pen = Object.assign(document.createElement("canvas"), {width: 1, height: 1})
  .getContext("2d", {willReadFrequently: true});
const rgba = (text) => {
  pen.clearRect(0, 0, 1, 1);
  pen.fillStyle = text;
  pen.fillRect(0, 0, 1, 1);
  const [r, g, b, a] = pen.getImageData(0, 0, 1, 1).data;
  return [r, g, b, a / 255];
};
const over = ([r, g, b, a], paper) => [r, g, b].map((c, k) => c * a + paper[k] * (1 - a));
const linear = (c) => c / 255 <= 0.04045 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4;
const light = ([r, g, b]) => 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
const hex = (c) => "#" + c.map((v) => Math.round(v).toString(16).padStart(2, "0")).join("");
const seen = new Set(), out = [];
const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (texts.nextNode()) {
  const e = texts.currentNode.parentElement, text = texts.currentNode.data.trim();
  if (!text || e.ownerSVGElement
      || !e.checkVisibility({opacityProperty: true, visibilityProperty: true})) continue;
  const own = getComputedStyle(e);
  const size = parseFloat(own.fontSize), bold = own.fontWeight >= 700;
  const least = size >= 24 || (bold && size >= 18.66) ? 3 : 4.5;
  const layers = [];
  let opacity = 1;
  for (let up = e; up; up = up.parentElement) {
    const style = getComputedStyle(up);
    layers.unshift(style.backgroundColor);
    opacity *= style.opacity;
  }
  const key = [own.color, least, opacity, ...layers].join("|");
  if (seen.has(key)) continue;
  seen.add(key);
  const canvas = rgba("canvas");
  const paper = layers.map(rgba).reduce((below, layer) => over(layer, below), canvas.slice(0, 3));
  const [r, g, b, a] = rgba(own.color);
  const ink = over([r, g, b, a * opacity], paper);
  const [dark, bright] = [light(ink), light(paper)].sort((x, y) => x - y);
  const ratio = Math.floor((bright + 0.05) / (dark + 0.05) * 100) / 100;
  if (ratio < least)
    out.push(`contrast ${ratio} of ${least}, ${hex(ink)} on ${hex(paper)}: ${text.slice(0, 50)}`);
}
return out;
"""
"""Texts too near their background by WCAG 2 AA, one of each style. axe-core needs minutes."""


@contextlib.contextmanager
def chromium() -> Iterator[webdriver.Chrome]:
    """A headless browser that keeps its log."""
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or ""
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    service = webdriver.ChromeService(executable_path=shutil.which("chromedriver"))
    browser = webdriver.Chrome(options=options, service=service)
    try:
        browser.set_page_load_timeout(_TIMEOUT_S)
        browser.set_script_timeout(_TIMEOUT_S)
        yield browser
    finally:
        browser.quit()


def available() -> bool:
    """Whether there are a browser and its driver."""
    return all(shutil.which(name) for name in ("chromium", "chromedriver"))


def _few(items: Sequence[str]) -> list[str]:
    different = list(dict.fromkeys(items))
    more = len(different) - SHOWN
    return different[:SHOWN] + ([f"and {more} more of the kind"] if more > 0 else [])


def finds(browser: webdriver.Chrome, site: Path, word: str) -> bool:
    """Whether the search of the site, opened from its folder, has a result for ``word``."""
    browser.get((site / "index.html").as_uri())
    browser.execute_script("document.querySelector('label[for=__search]').click()")
    browser.find_element(By.CSS_SELECTOR, "[data-md-component=search-query]").send_keys(word)
    with contextlib.suppress(TimeoutException):
        WebDriverWait(browser, SEARCH_S).until(
            lambda _: browser.find_elements(By.CSS_SELECTOR, ".md-search-result__item a")
        )
        return True
    return False


def look_at(browser: webdriver.Chrome, page: Path) -> dict[str, list[str]]:
    """Findings of one page, each with the widths and looks that have it."""
    found: dict[str, list[str]] = {}
    papers: dict[str, float] = {}
    for look in LOOKS:
        theme = [{"name": "prefers-color-scheme", "value": look}]
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": theme})
        for width in WIDTHS:
            size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
            browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
            browser.get(page.as_uri())
            papers[look] = browser.execute_script(PAPER)
            here = _few([f"too wide: {text}" for text in browser.execute_script(WIDE)])
            here += _few([f"no picture: {name}" for name in browser.execute_script(PICTURES)])
            here += _few(browser.execute_script(CONTRAST))
            log: Any = browser.get_log("browser")  # type: ignore[no-untyped-call]
            here += _few([f"{entry['level']} in the console: {entry['message']}" for entry in log])
            for text in here:
                found.setdefault(text, []).append(f"{width} {look}")
    if not papers["dark"] < papers["light"]:
        found["is not darker in dark"] = ["both"]
    return found


def check(site: Path, patterns: Sequence[str] = ("**/*.html",)) -> tuple[int, list[str]]:
    """Open the pages of ``site``; how many there are, and what is wrong with them."""
    pages = sorted({page for pattern in patterns for page in site.glob(pattern)})
    # It is only ever served, and has absolute links.
    pages = [page for page in pages if page.name != "404.html"]
    if not pages:
        return 0, [f"{site}: expected pages, got none"]
    findings = []
    with chromium() as browser:
        for page in pages:
            for text, where in look_at(browser, page).items():
                findings.append(f"{page.relative_to(site)} [{', '.join(where)}]: {text}")
        if (site / "search").is_dir() and not finds(browser, site, SEARCHED):
            findings.append(f"index.html: the search has no result for {SEARCHED}")
    return len(pages), findings


def main(arguments: list[str]) -> int:
    """Check a folder; return the exit code."""
    if not arguments or arguments[0].startswith("-"):
        print(__doc__, file=sys.stderr)
        return 2
    if not available():
        print(f"SKIPPED: {NO_BROWSER}", file=sys.stderr)
        return 0
    count, findings = check(Path(arguments[0]).resolve(), arguments[1:] or ["**/*.html"])
    for finding in findings:
        print(finding, file=sys.stderr)
    if not findings:
        looks = f"at {' and '.join(map(str, WIDTHS))} pixels, {' and '.join(LOOKS)}"
        print(f"{count} pages in Chromium, {looks}: nothing found")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
