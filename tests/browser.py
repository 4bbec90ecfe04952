"""A headless Chromium for tests, spoken to in its own DevTools protocol over a pipe (no package, no port)."""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import subprocess
import time
from pathlib import Path

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
SECONDS = 60.0


class Browser:
    """One browser with one page. `events` are what the page did: console messages, errors, requests."""

    def __init__(self, folder: Path) -> None:
        """Start it. folder: an empty one for its profile."""
        ours, theirs = os.pipe(), os.pipe()  # what we write, what it writes

        flags = "--headless=new --no-sandbox --disable-gpu --disable-dev-shm-usage --hide-scrollbars --no-first-run"
        flags += " --disable-background-networking --disable-component-update --remote-debugging-pipe"
        # Chromium reads descriptor 3 and writes descriptor 4.
        start = f'exec "$@" 3</dev/fd/{ours[0]} 4>/dev/fd/{theirs[1]}'
        command = ["sh", "-c", start, "sh", CHROMIUM, *flags.split(), f"--user-data-dir={folder}", "about:blank"]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self._process = subprocess.Popen(command, pass_fds=(ours[0], theirs[1]), **quiet)
        os.close(ours[0])
        os.close(theirs[1])
        self._to, self._from, self._rest = ours[1], theirs[0], b""
        self._number, self._session, self.events = 0, None, []
        page = next(t for t in self.call("Target.getTargets")["targetInfos"] if t["type"] == "page")
        answer = self.call("Target.attachToTarget", targetId=page["targetId"], flatten=True)
        self._session = answer["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait()
        os.close(self._to)
        os.close(self._from)

    def call(self, method: str, **params) -> dict:
        """Return the answer to a command of the protocol."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        end = time.monotonic() + SECONDS
        while True:
            answer = self._next(end)
            if answer.get("id") == self._number:
                assert "error" not in answer, (method, answer["error"])
                return answer["result"]

    def _next(self, end: float) -> dict:
        """Return the next message; keep events."""
        while b"\0" not in self._rest:
            ready, _, _ = select.select([self._from], [], [], max(0.0, end - time.monotonic()))
            data = os.read(self._from, 1 << 20) if ready else b""
            assert data, "the browser says nothing"
            self._rest += data
        line, self._rest = self._rest.split(b"\0", 1)
        message = json.loads(line)
        if "method" in message:
            self.events.append((message["method"], message["params"]))
        return message

    def open(self, path: Path, width: int = 1280, height: int = 900, dark: bool = False) -> float:
        """Open a file; return the seconds until it is there."""
        self.screen(width, height, dark)
        self.events.clear()
        start = time.monotonic()
        self.call("Page.navigate", url=path.resolve().as_uri())
        self.wait("document.readyState == 'complete'")
        return time.monotonic() - start

    def wait(self, script: str) -> None:
        """Wait until a JavaScript expression is true."""
        end = time.monotonic() + SECONDS
        while not self.run(script):
            assert time.monotonic() < end, f"never: {script}"
            time.sleep(0.02)

    def draw(self) -> None:
        """Scroll through the page until every chart is drawn."""
        for number in range(self.run("document.querySelectorAll('.chart').length")):
            self.run(f"document.querySelectorAll('.chart')[{number}].scrollIntoView({{behavior: 'instant'}})")
            self.wait(f"document.querySelectorAll('.chart')[{number}].matches('.drawn')")
        self.run("scrollTo({top: 0, behavior: 'instant'})")

    def screen(self, width: int, height: int, dark: bool = False) -> None:
        """Set size and colours of the screen."""
        scale = {"deviceScaleFactor": 1, "mobile": width < 600}
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, **scale)
        feature = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[feature])

    def run(self, script: str):
        """Return the value of a JavaScript expression, awaited."""
        answer = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def picture(self, path: Path, whole: bool = False) -> None:
        """Write a picture of the page."""
        data = self.call("Page.captureScreenshot", captureBeyondViewport=whole)["data"]
        path.write_bytes(base64.b64decode(data))

    def paper(self, path: Path) -> None:
        """Write the page as it prints."""
        path.write_bytes(base64.b64decode(self.call("Page.printToPDF", preferCSSPageSize=True)["data"]))

    def complaints(self) -> list[str]:
        """Return what went wrong: errors in the console, and requests for anything but the page and inline data."""
        found = []
        for method, what in self.events:
            if method == "Runtime.exceptionThrown":
                found.append(json.dumps(what["exceptionDetails"])[:500])
            elif method == "Runtime.consoleAPICalled" and what["type"] in ("error", "warning", "assert"):
                found.append(json.dumps(what["args"])[:500])
            elif method == "Log.entryAdded" and what["entry"]["level"] in ("error", "warning"):
                found.append(what["entry"]["text"])
            elif method == "Network.requestWillBeSent" and not what["request"]["url"].startswith(
                ("file:", "data:", "blob:")
            ):
                found.append(f"request: {what['request']['url']}")
        return found
