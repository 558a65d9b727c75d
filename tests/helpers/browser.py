"""A headless Chromium driven over its DevTools pipe: enough to load a page and ask it things."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")


class Browser:
    """One tab. `evaluate` runs in the page as the console would, whatever the page's own policy forbids."""

    def __init__(self, to_browser: int, from_browser: int) -> None:
        self._write = os.fdopen(to_browser, "wb", buffering=0)
        self._read = os.fdopen(from_browser, "rb")
        self._number = 0
        self._session: str | None = None
        self.events: list[dict[str, Any]] = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        self._number += 1
        message = {"id": self._number, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        self._write.write(json.dumps(message).encode() + b"\0")
        while (answer := self._next()).get("id") != self._number:
            self.events.append(answer)
        if "error" in answer:
            raise RuntimeError(f"{method}: {answer['error']}")
        return answer["result"]

    def open(self, page: Path | str, fragment: str = "") -> None:
        self.events.clear()
        url = page if isinstance(page, str) else page.resolve().as_uri()
        if fragment:
            self.call("Page.navigate", url="about:blank")  # a change of the fragment alone would load nothing
            while not any(event.get("method") == "Page.loadEventFired" for event in self.events):
                self.events.append(self._next())
            self.events.clear()
        self.call("Page.navigate", url=url + fragment)
        while not any(event.get("method") == "Page.loadEventFired" for event in self.events):
            self.events.append(self._next())

    def resize(self, width: int, height: int = 900) -> None:
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def scheme(self, name: str) -> None:
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": name}])

    def press(self, key: str) -> None:
        """Press a key where the focus is."""
        text = {"text": key} if len(key) == 1 else {"text": "\r"} if key == "Enter" else {}
        code = {"Enter": 13, "Escape": 27, "ArrowDown": 40, "ArrowUp": 38, "End": 35, "Home": 36, "Tab": 9}.get(key, 0)
        self.call("Input.dispatchKeyEvent", type="keyDown", key=key, windowsVirtualKeyCode=code, **text)
        self.call("Input.dispatchKeyEvent", type="keyUp", key=key, windowsVirtualKeyCode=code)

    def type(self, text: str) -> None:
        """Type into what has the focus."""
        self.call("Input.insertText", text=text)

    def hover(self, selector: str, across: float = 0.5) -> None:
        """Move the mouse over an element, a share of its width from the left."""
        x, y = self.evaluate(
            f"(() => {{ const e = document.querySelector({json.dumps(selector)}); e.scrollIntoView({{block: 'center', "
            f"behavior: 'instant'}}); const b = e.getBoundingClientRect(); "
            f"return [b.x + b.width * {across}, b.y + b.height / 2] }})()"
        )
        for event in ("mouseMoved", "mouseMoved"):
            self.call("Input.dispatchMouseEvent", type=event, x=x, y=y)

    def click(self, selector: str) -> None:
        """Click an element as a person does: what lies over it gets the click."""
        self.hover(selector)
        x, y = self.evaluate(
            f"(() => {{ const b = document.querySelector({json.dumps(selector)}).getBoundingClientRect(); "
            f"return [b.x + b.width / 2, b.y + b.height / 2] }})()"
        )
        for event in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=event, x=x, y=y, button="left", clickCount=1)

    def until(self, condition: str, frames: int = 600) -> None:
        """Wait until an expression holds, looking at every frame that is drawn."""
        waiting = (
            f"new Promise((done, failed) => {{ let left = {frames}; const look = () => ({condition}) ? done(true) : "
            "left-- ? setTimeout(look, 16) : failed(new Error('it never came true')); look() })"
        )
        self.evaluate(waiting)

    def errors(self) -> list[str]:
        """What the console complained of, and what scripts threw."""
        told = [e["params"] for e in self.events if e.get("method") in ("Log.entryAdded", "Runtime.exceptionThrown")]
        return [json.dumps(params) for params in told if params.get("entry", {}).get("level", "error") == "error"]

    def evaluate(self, expression: str) -> Any:
        result = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in result:
            raise RuntimeError(result["exceptionDetails"])
        return result["result"].get("value")

    def requests(self) -> list[str]:
        """Addresses that the page asked for."""
        return [e["params"]["request"]["url"] for e in self.events if e.get("method") == "Network.requestWillBeSent"]

    def _next(self) -> dict[str, Any]:
        data = bytearray()
        while (byte := self._read.read(1)) != b"\0":
            if not byte:
                raise RuntimeError("the browser has gone")
            data += byte
        return json.loads(data)


@contextlib.contextmanager
def browser() -> Iterator[Browser]:
    program = next(found for name in PROGRAMS if (found := shutil.which(name)))
    in_read, in_write = os.pipe()
    out_read, out_write = os.pipe()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        flags = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"]
        # Chromium reads commands from descriptor 3 and answers on 4.
        shell = f'exec 3<&{in_read} 4>&{out_write}; exec "$0" "$@"'
        process = subprocess.Popen(
            ["bash", "-c", shell, program, *flags, "--remote-debugging-pipe", f"--user-data-dir={profile}"],
            pass_fds=(in_read, out_write),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(in_read)
        os.close(out_write)
        try:
            yield Browser(in_write, out_read)
        finally:
            process.kill()
            process.wait()
