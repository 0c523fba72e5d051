# SPDX-License-Identifier: Apache-2.0
"""The verdict's files: JUnit XML, JSON, badge, and the page in a real browser."""

from __future__ import annotations

import datetime
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote
from xml.etree import ElementTree

import pytest
from browser_support import page_checker
from conform_support import plugin
from descring_model.rules import all_rules
from descring_sim.conform.duts.find import find_dut
from descring_sim.conform.execute import run_test
from descring_sim.conform.report.page import to_page
from descring_sim.conform.report.prose import Prose
from descring_sim.conform.report.write import FILES, write_report
from descring_sim.conform.suite.catalogue import all_tests
from descring_sim.conform.verdict import Verdict, skipped, versions
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

BODY = "result.done['kv_offset'][7:8] ^= np.uint64(0xFF00) if isinstance(job, StreamJob) else 0"

BROKEN = """
const lines = (e) => {
  const inside = document.createRange();
  inside.selectNodeContents(e);
  return new Set([...inside.getClientRects()].map((box) => box.top)).size;
};
return [...document.querySelectorAll("a.rule, #rules thead th, #rules .count")]
  .filter((e) => lines(e) > 1).map((e) => e.textContent);
"""
"""Ids of rules, headings and counts that take more than one line."""


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Verdict]:
    """The report on an implementation that spoils one field, by the rules of sections 1 and 2."""
    folder = tmp_path_factory.mktemp("report")
    reference = plugin(folder, BODY)
    dut = find_dut(reference)
    description = dut.describe()
    chosen = (test for test in all_tests() if test.rule[:2] in ("DE", "OP", "RI"))
    tests = tuple(test for test in chosen if test.smoke)
    results = tuple(
        skipped(test, description, 1)
        or run_test(dut, description, test, 1, timeout_s=30.0, waves=False)
        for test in tests
    )
    began = datetime.datetime.now(datetime.UTC)
    verdict = Verdict(reference, description, results, tests, 1, 1.0, began, versions())
    write_report(folder / "out", verdict)
    return folder / "out", verdict


def test_json_and_junit_agree(report: tuple[Path, Verdict]) -> None:
    """Both have every test once, with its outcome, and what breaks is named."""
    folder, verdict = report
    assert sorted(path.name for path in folder.iterdir()) == sorted(FILES)
    data = json.loads((folder / "verdict.json").read_text())
    suite = ElementTree.parse(folder / "junit.xml").getroot()
    assert len(data["tests"]) == len(verdict.results) == len(suite.findall("testcase"))
    assert int(suite.get("failures", "0")) == data["counts"]["failed"] > 0
    assert (
        int(suite.get("skipped", "0"))
        == data["counts"]["not claimed"] + (data["counts"]["not applicable"])
    )
    assert next(iter(data["broken_rules"])) == "DESC-006"
    failed = next(test for test in data["tests"] if test["status"] == "failed")
    assert failed["failure"]["repeat"].startswith(f"descring conform {verdict.reference} --only")
    differing = failed["failure"]["diff"]
    assert bytes.fromhex(differing["expected"]) != bytes.fromhex(differing["actual"])


def test_the_badge_is_red_svg(report: tuple[Path, Verdict]) -> None:
    """An implementation that does not conform gets no green badge."""
    text = (report[0] / "badge.svg").read_text()
    root = ElementTree.fromstring(text)
    assert root.tag.endswith("svg")
    assert "rules broken" in text
    assert "#c62828" in text
    assert "#2e7d32" not in text


@pytest.fixture(scope="module")
def passing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the report on an implementation that conforms in part."""
    folder = tmp_path_factory.mktemp("passing")
    dut = find_dut("model")
    description = dut.describe()
    tests = tuple(test for test in all_tests() if test.rule.startswith("OP") and test.smoke)
    results = tuple(
        run_test(dut, description, test, 1, timeout_s=30.0, waves=False) for test in tests
    )
    began = datetime.datetime.now(datetime.UTC)
    verdict = Verdict("model", description, results, tests, 1, 1.0, began, versions())
    assert verdict.ok
    write_report(folder, verdict)
    return folder


@pytest.fixture
def browser() -> Iterator[webdriver.Chrome]:
    """A browser of 1200 pixels."""
    with page_checker().chromium() as opened:
        opened.set_window_size(1200, 900)
        yield opened


class _Page(HTMLParser):
    """Ids, links and texts of a page; ``plain`` are the texts outside links, code and pre."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.links: list[dict[str, str | None]] = []
        self.plain: list[str] = []
        self.codes: set[str] = set()
        self.texts: dict[str, str] = {}
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        if tag not in ("meta", "br"):
            self.open.append(tag)
        if name := named.get("id"):
            self.ids.append(name)
        if tag == "a":
            self.links.append(named)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not {"style", "script", "title"} & set(self.open):
            under = self.ids[-1] if self.ids else ""
            self.texts[under] = self.texts.get(under, "") + data
            if "code" in self.open:
                self.codes.add(data)
            elif not {"a", "pre"} & set(self.open):
                self.plain.append(data)


def _page(folder: Path) -> _Page:
    return _Page((folder / "report.html").read_text())


def test_each_rule_named_links_to_its_text(report: tuple[Path, Verdict], passing: Path) -> None:
    """Also one that only the text of another names; each link of the page has its end there."""
    rules = {rule.rule: rule for rule in all_rules()}
    for folder in (report[0], passing):
        page = _page(folder)
        assert len(set(page.ids)) == len(page.ids)
        inside = [str(link["href"])[1:] for link in page.links if str(link["href"])[0] == "#"]
        assert set(inside) <= set(page.ids)
        named = re.findall(r"(?<![\w/-])[A-Z]+-[0-9A-Z]+(?![\w/-])", " ".join(page.plain))
        assert not set(named) & set(rules), "named without a link"
        for rule in set(page.ids) & set(rules):
            assert rules[rule].text.replace("`", "") in page.texts[rule]

    assert {"others", "DESC-006"} <= set(_page(report[0]).ids)


def test_a_rule_that_another_names_has_its_text_too() -> None:
    """And those that this one names."""
    texts = {rule.rule: rule.text for rule in all_rules()}
    added = 0
    for rule in texts:
        prose = Prose([], [])
        prose.rule(rule)
        found = {other.rule for other in prose.others()}
        wanted = {
            name for other in found for name in texts if re.search(rf"\b{name}\b", texts[other])
        }
        assert found == {rule} | wanted
        added += len(found) > 2
    assert added


def test_backticks_become_code(report: tuple[Path, Verdict], passing: Path) -> None:
    """In rules, titles of sections, and what the implementation is."""
    for folder in (report[0], passing):
        assert "`" not in (folder / "report.html").read_text().partition("<script>")[0]
    assert {"hw_desc_t", "[8k+7:8k]", "submit_decode"} <= _page(report[0]).codes
    page = to_page(
        replace(report[1], description=replace(report[1].description, details="a `<b>` of DEC-003"))
    )
    assert 'a <code>&lt;b&gt;</code> of <a class="rule" href="#DEC-003">DEC-003</a>' in page


def test_waves_and_differences_are_one_click_away(
    report: tuple[Path, Verdict], tmp_path: Path
) -> None:
    """From the row of the rule and from the head of the failure; none where none were kept."""
    folder, verdict = report
    assert not [link for link in _page(folder).links if link.get("class") == "waves"]
    waves = tmp_path / "run" / "x.fst"
    waves.parent.mkdir()
    waves.write_bytes(b"waves")
    failing = verdict.failures[0]
    assert failing.failure is not None
    kept = replace(failing, failure=replace(failing.failure, waves=str(waves)))
    results = tuple(kept if result is failing else result for result in verdict.results)
    written = tmp_path / "report"
    write_report(written, replace(verdict, results=results))
    moved = written.rename(tmp_path / "moved")
    text = (moved / "report.html").read_text()
    links = [str(link["href"]) for link in _Page(text).links if link.get("class") == "waves"]
    assert len(links) == 2
    for link in links:
        assert (moved / unquote(link)).read_bytes() == b"waves"
    assert str(waves) in (moved / "verdict.json").read_text()
    row = text.partition(f'<tr id="{failing.rule}"')[2].partition("</tr>")[0]
    head = text.partition(f'id="{failing.test}"')[2].partition("</summary>")[0]
    assert links[0] in row and links[0] in head
    for result in verdict.failures:
        row = text.partition(f'<tr id="{result.rule}"')[2].partition("</tr>")[0]
        assert f'href="#{result.test}"' in row
        assert bool(result.failure and result.failure.diff) is (
            f'class="difference" href="#{result.test}"' in row
        )


def test_pages_at_both_widths_and_looks(report: tuple[Path, Verdict], passing: Path) -> None:
    """Nothing overflows, every text has contrast, dark is dark, no id of a rule is broken."""
    checker = page_checker()
    with checker.chromium() as opened:
        for folder in (report[0], passing):
            assert checker.look_at(opened, folder / "report.html") == {}
            for width in checker.WIDTHS:
                size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
                opened.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
                assert opened.execute_script(BROKEN) == []


def test_a_link_shows_what_is_hidden(
    report: tuple[Path, Verdict], browser: webdriver.Chrome
) -> None:
    """A rule that the filter hides, and a failure that is closed."""
    browser.get((report[0] / "report.html").as_uri())
    browser.find_element(By.CSS_SELECTOR, "button[data-status='failed']").click()
    row = browser.find_element(By.CSS_SELECTOR, "#rules tr[data-status='passed']")
    assert not row.is_displayed()
    name = row.get_attribute("id")
    for _ in range(2):
        browser.execute_script(f"document.querySelector('a[href=\"#{name}\"]').click()")
        WebDriverWait(browser, 5).until(lambda _: row.is_displayed())
        browser.find_element(By.CSS_SELECTOR, "button[data-status='failed']").click()
    closed = browser.find_element(By.CSS_SELECTOR, "details.failure:not([open])")
    name = closed.get_attribute("id")
    browser.execute_script(f"document.querySelector('a.difference[href=\"#{name}\"]').click()")
    WebDriverWait(browser, 5).until(lambda _: closed.get_attribute("open"))


def test_the_page_in_a_browser(report: tuple[Path, Verdict], browser: webdriver.Chrome) -> None:
    """It shows verdict, difference and rules, filters them, asks for nothing, and logs no error."""
    browser.get((report[0] / "report.html").as_uri())
    assert "does not conform" in browser.find_element(By.ID, "verdict").text
    differing = browser.find_element(By.CSS_SELECTOR, "details[open] tr.differs")
    assert "kv_offset" in differing.text
    assert len(differing.find_elements(By.CSS_SELECTOR, ".b.x")) == 1
    rows = browser.find_elements(By.CSS_SELECTOR, "#rules tbody tr[data-status]")
    button = browser.find_element(By.CSS_SELECTOR, "button[data-status='failed']")
    button.click()
    shown = [row for row in rows if row.is_displayed()]
    assert 0 < len(shown) < len(rows)
    assert {row.get_attribute("data-status") for row in shown} == {"failed"}
    asked = browser.execute_script("return performance.getEntriesByType('resource').length")
    assert asked == 0
    log = browser.get_log("browser")  # type: ignore[no-untyped-call]
    assert [entry["message"] for entry in log] == []
