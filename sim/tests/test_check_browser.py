# SPDX-License-Identifier: Apache-2.0
"""The check of the site's pages in a browser finds what is wrong with a page, and nothing else."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import pytest
from browser_support import page_checker

STYLE = """
body { color: #222; background: #fff; }
@media (prefers-color-scheme: dark) { body { color: #ddd; background: #111; } }
"""
DOT = "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' width='9' height='9'/%3E"
GOOD = f"""
<h1>A page</h1><p>Text of a page, <code>code</code> and <img src="{DOT}" alt="a dot"></p>
<div style="overflow-x: auto"><table><tr><td style="min-width: 900px">wide</td></tr></table></div>
<div style="position: fixed; left: -300px; width: 290px">drawer</div>
"""
GREY = "<p style='color: {0}; background: {1}'>hard to read</p>"
FAULTS = {
    "a table wider than a phone": (
        "<table><tr><td style='min-width: 600px'>wide</td></tr></table>",
        ["[390 light, 390 dark]: too wide: 6", "[390 light, 390 dark]: too wide: table reaches to"],
    ),
    "a part that is cut": (
        "<article style='overflow: hidden'><div style='width: 700px'>wide</div></article>",
        [
            "[390 light, 390 dark]: too wide: article cuts what it has, 700 wide, to 374",
            "[390 light, 390 dark]: too wide: div reaches to 708 of 390",
        ],
    ),
    "a part outside that cannot be scrolled to": (
        "<div style='position: fixed; left: 1000px; width: 700px'>far</div>",
        ["too wide: div reaches to 1700 of 390", "too wide: div reaches to 1700 of 1280"],
    ),
    "a missing picture": (
        "<img src='none.svg' alt=''>",
        ["no picture: none.svg", "SEVERE in the console"],
    ),
    "grey text in light": (
        GREY.format("#999", "transparent"),
        ["[390 light, 1280 light]: contrast 2.84 of 4.5, #999999 on #ffffff: "],
    ),
    "grey text in dark": (
        GREY.format("#555", "transparent"),
        ["[390 dark, 1280 dark]: contrast 2.53 of 4.5, #555555 on #111111: "],
    ),
    "an error of a script": (
        "<script>undefinedFunction()</script>",
        ["SEVERE in the console: "],
    ),
    "no dark look": (
        "<style>body { color: #222 !important; background: #fff !important; }</style>",
        ["[both]: is not darker in dark"],
    ),
}


@pytest.fixture(scope="module")
def checker() -> ModuleType:
    """The program as a module, where there is a browser."""
    return page_checker()


def _write(folder: Path, name: str, body: str) -> None:
    head = "<meta charset='utf-8'><meta name='viewport' content='width=device-width'>"
    text = f"<!DOCTYPE html><html lang='en'><head>{head}<title>{name}</title><style>{STYLE}</style>"
    (folder / f"{name}.html").write_text(f"{text}</head><body><main>{body}</main></body></html>")


@pytest.mark.slow
def test_each_fault_of_a_page_is_found(checker: ModuleType, tmp_path: Path) -> None:
    """With the width and look that have it, and no other finding; a good page has none."""
    _write(tmp_path, "good", GOOD)
    names = {f"fault{at}": fault for at, fault in enumerate(FAULTS)}
    for name, fault in names.items():
        _write(tmp_path, name, GOOD + FAULTS[fault][0])
    count, findings = checker.check(tmp_path)
    assert count == 1 + len(FAULTS)
    for name, fault in names.items():
        mine = [text for text in findings if text.startswith(f"{name}.html ")]
        findings = [text for text in findings if text not in mine]
        for wanted in FAULTS[fault][1]:
            hits = [text for text in mine if wanted in text]
            assert hits, f"{fault}: expected {wanted!r}, got {mine}"
            mine = [text for text in mine if text not in hits]
        assert mine == [], fault
    assert findings == []


@pytest.mark.slow
def test_exit_codes(
    checker: ModuleType,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """0 without findings, 1 with one or without a page, 2 for wrong use."""
    _write(tmp_path, "good", GOOD)
    assert checker.main([str(tmp_path)]) == 0
    assert "1 pages in Chromium" in capsys.readouterr().out
    _write(tmp_path, "bad", GREY.format("#999", "#fff"))
    assert checker.main([str(tmp_path), "bad.*"]) == 1
    assert "bad.html [390 light" in capsys.readouterr().err
    assert checker.main([str(tmp_path), "none.*"]) == 1
    assert "expected pages, got none" in capsys.readouterr().err
    assert checker.main([]) == 2
    monkeypatch.setattr(checker, "available", lambda: False)
    assert checker.main([str(tmp_path)]) == 0
    assert capsys.readouterr().err.endswith("SKIPPED: " + checker.NO_BROWSER + "\n")


@pytest.mark.slow
def test_a_search_without_results_is_found(
    checker: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A site has a folder ``search``; its search must list a result."""
    field = "<label for='__search'></label><input id='__search' type='checkbox' hidden>"
    field += "<input data-md-component='search-query' aria-label='search' oninput='seek()'>"
    result = '<div class="md-search-result__item"><a href="good.html">doorbell</a></div>'
    script = f"<script>function seek() {{ document.querySelector('p').innerHTML = '{result}' }}"
    (tmp_path / "search").mkdir()
    _write(tmp_path, "index", GOOD + field + script + "</script>")
    assert checker.check(tmp_path) == (1, [])
    _write(tmp_path, "index", GOOD + field + "<script>function seek() {}</script>")
    monkeypatch.setattr(checker, "SEARCH_S", 1)
    assert checker.check(tmp_path)[1] == ["index.html: the search has no result for doorbell"]
