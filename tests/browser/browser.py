"""A real browser for tests: headless Chromium, driven as a visitor would, with the mouse and the keyboard.

    def test_something(browser: Browser) -> None:
        with browser.page() as page:                      # a window of its own: no cookies, no cache
            page.open("http://127.0.0.1:8000/demo")
            page.type("[name=email]", "anna@example.com")
            page.choose_file("[type=file]", path)
            page.click("button", navigates=True)
            assert "Thank you" in page.text()
            assert page.problems == []                    # console errors, exceptions, violated policies

`browser.page(javascript=False)` is a visitor without JavaScript (`evaluate`, `text` and the others still work, because
they are the developer tools'); `width=360`, `dark=True` and `language="de"` are what they say. Every name under
`.example` is this machine, so `http://shop.example:{port}` is a page of another site; nothing leaves the machine.

The fixture `browser` starts Chromium once for each test process, and skips where it is not installed, unless CI is set.
"""

import base64
import json
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.browser.devtools import DevTools, DevToolsError
from tests.neighbours import absent

WAIT_S = 30.0

_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-proxy-server",
    "--remote-debugging-pipe",
    "--host-resolver-rules=MAP *.example 127.0.0.1, MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
)


class Page:
    """One window; a selector is CSS and stands for the first element that it fits."""

    def __init__(self, devtools: DevTools, session: str) -> None:
        self._devtools = devtools
        self._session = session

    def send(self, method: str, **params: Any) -> dict[str, Any]:
        """Any command of the protocol."""
        return self._devtools.send(method, self._session, **params)

    def open(self, url: str) -> None:
        """Go to an address and wait until everything of it has loaded."""
        with self._navigating():
            result = self.send("Page.navigate", url=url)
            assert "errorText" not in result, f"{url}: {result['errorText']}"

    def evaluate(self, expression: str) -> Any:
        """The value of an expression, in JSON's types; of a promise, what it comes to. Raises AssertionError."""
        result = self.send(
            "Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True, userGesture=True
        )
        assert "exceptionDetails" not in result, f"{expression}: {result['exceptionDetails']}"
        return result["result"].get("value")

    def wait_for(self, expression: str, *, timeout_s: float = WAIT_S) -> Any:
        """Its value as soon as that is true; the page may be on its way to another one meanwhile."""
        deadline = time.monotonic() + timeout_s
        seen: object = None
        while time.monotonic() < deadline:
            try:
                if seen := self.evaluate(expression):
                    return seen
            except (AssertionError, DevToolsError) as error:
                # Between two documents there is nothing to ask.
                seen = error
            time.sleep(0.05)
        raise AssertionError(f"{expression} is still {seen!r} after {timeout_s} s on {self.url}: {self.problems}")

    def click(self, selector: str, *, navigates: bool = False) -> None:
        """With the mouse, in the middle of it, as a visitor sees it; `navigates` waits for the page that follows."""
        if navigates:
            with self._navigating():
                self._click(selector)
        else:
            self._click(selector)

    def type(self, selector: str, text: str) -> None:
        """Into a field, behind what is there."""
        self._click(selector)
        self.send("Input.insertText", text=text)

    def choose_file(self, selector: str, *paths: Path) -> None:
        node = self.send("DOM.querySelector", nodeId=self._document(), selector=selector)["nodeId"]
        assert node, f"{selector} is not there"
        self.send("DOM.setFileInputFiles", nodeId=node, files=[str(path) for path in paths])

    def text(self, selector: str = "body") -> str:
        """What a visitor reads there."""
        found: str = self.evaluate(f"document.querySelector({json.dumps(selector)}).innerText")
        return found

    def value(self, selector: str) -> str:
        """Of a field."""
        found: str = self.evaluate(f"document.querySelector({json.dumps(selector)}).value")
        return found

    def has(self, selector: str) -> bool:
        return bool(self.evaluate(f"document.querySelector({json.dumps(selector)}) !== null"))

    def screenshot(self, path: Path) -> None:
        image = self.send("Page.captureScreenshot", format="png", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(image["data"]))

    @property
    def url(self) -> str:
        found: str = self.evaluate("location.href")
        return found

    @property
    def problems(self) -> list[str]:
        """What the console shows as an error: failed requests, violated policies, exceptions of scripts."""
        entries = [event["entry"] for event in self._devtools.events(self._session, "Log.entryAdded")]
        found = [f"{entry['text']} {entry.get('url', '')}".strip() for entry in entries if entry["level"] == "error"]
        for event in self._devtools.events(self._session, "Runtime.exceptionThrown"):
            details = event["exceptionDetails"]
            found.append(details.get("exception", {}).get("description") or details["text"])
        for event in self._devtools.events(self._session, "Runtime.consoleAPICalled"):
            if event["type"] == "error":
                found.append(" ".join(str(part.get("value", part.get("description"))) for part in event["args"]))
        return found

    @property
    def requests(self) -> list[str]:
        """The method and the address of everything that was asked for."""
        events = self._devtools.events(self._session, "Network.requestWillBeSent")
        return [f"{event['request']['method']} {event['request']['url']}" for event in events]

    def _document(self) -> int:
        found: int = self.send("DOM.getDocument", depth=0)["root"]["nodeId"]
        return found

    def _click(self, selector: str) -> None:
        place = self.evaluate(
            f"(() => {{ const element = document.querySelector({json.dumps(selector)}); if (!element) return null;"
            " element.scrollIntoView({block: 'center', behavior: 'instant'});"
            " const box = element.getBoundingClientRect();"
            " const [x, y] = [box.x + box.width / 2, box.y + box.height / 2];"
            " const there = document.elementFromPoint(x, y);"
            " const isSeen = element.contains(there) || [...element.labels ?? []].some(label => label.contains(there));"
            " return {x, y, isSeen, instead: there?.outerHTML.slice(0, 200)}; })()"
        )
        assert place is not None, f"{selector} is not on {self.url}"
        assert place["isSeen"], f"{selector} cannot be clicked, in its place is {place['instead']}"
        where = {"x": place["x"], "y": place["y"], "button": "left", "clickCount": 1}
        self.send("Input.dispatchMouseEvent", type="mousePressed", **where)
        self.send("Input.dispatchMouseEvent", type="mouseReleased", **where)

    @contextmanager
    def _navigating(self) -> Iterator[None]:
        before = len(self._devtools.events(self._session, "Page.loadEventFired"))
        yield
        arrived = self._devtools.wait_for_events(self._session, "Page.loadEventFired", before + 1, timeout_s=WAIT_S)
        assert arrived, f"nothing was loaded: {self.problems}"


class Browser:
    """One Chromium."""

    def __init__(self, executable: str, directory: Path) -> None:
        self._devtools = DevTools(
            [executable, *_FLAGS, f"--user-data-dir={directory / 'profile'}", "about:blank"],
            log_path=directory / "log",
        )
        try:
            self.version: str = self._devtools.send("Browser.getVersion")["product"]
        except DevToolsError as error:
            self.close()
            raise DevToolsError(f"{error}: {(directory / 'log').read_text(errors='replace')[-2000:]}") from error

    @contextmanager
    def page(
        self, *, javascript: bool = True, width: int = 1024, dark: bool = False, language: str = ""
    ) -> Iterator[Page]:
        """A window without a past, closed at the end."""
        send = self._devtools.send
        context = send("Target.createBrowserContext")["browserContextId"]
        target = send("Target.createTarget", url="about:blank", browserContextId=context)["targetId"]
        session = send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        page = Page(self._devtools, session)
        for domain in ("Page", "Runtime", "Log", "Network", "DOM"):
            page.send(f"{domain}.enable")
        page.send(
            "Emulation.setDeviceMetricsOverride", width=width, height=800, deviceScaleFactor=1, mobile=width < 600
        )
        if dark:
            page.send("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark"}])
        if language:
            page.send("Network.setExtraHTTPHeaders", headers={"Accept-Language": language})
        if not javascript:
            page.send("Emulation.setScriptExecutionDisabled", value=True)
        try:
            yield page
        finally:
            send("Target.disposeBrowserContext", browserContextId=context)
            self._devtools.forget(session)

    def close(self) -> None:
        self._devtools.close()


def find_chromium() -> str | None:
    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Starts with the first test that asks for it."""
    executable = find_chromium()
    if executable is None:
        absent("Chromium is not installed")
    # Its own directory, because Chromium writes there until its end, and a short name, because of its sockets.
    directory = Path(tempfile.mkdtemp(prefix="chromium-"))
    try:
        started = Browser(executable, directory)
        yield started
        started.close()
    finally:
        shutil.rmtree(directory, ignore_errors=True)
