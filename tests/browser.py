"""Headless Chromium over its own protocol, through two pipes: no driver, no package, no port."""

import base64
import contextlib
import itertools
import json
import os
import queue
import shutil
import subprocess
import tempfile
import threading
import time

__all__ = ["Browser", "chromium"]


def chromium():
    """Path of a Chromium, or None."""
    names = ("chromium", "chromium-browser", "google-chrome")
    return next((path for name in names if (path := shutil.which(name))), None)


class Browser:
    """One page. `requests` lists every address that it asked for."""

    def __init__(self, width=900, height=700):
        self.size = width, height
        self.requests, self.errors = [], []

    def __enter__(self):
        self.profile = tempfile.mkdtemp()
        to_child, self._write = os.pipe()
        self._read, from_child = os.pipe()
        command = [
            chromium(),
            "--headless=new",
            "--no-sandbox",  # root in a container has none
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--no-first-run",
            "--disable-background-networking",
            "--remote-debugging-pipe",
            f"--user-data-dir={self.profile}",
        ]

        def pipes():  # Chromium reads from descriptor 3 and writes to 4
            high = [os.dup(to_child), os.dup(from_child)]
            spare = [fd for fd in high if fd in (3, 4)]
            assert not spare, "descriptors 3 and 4 are taken"
            os.dup2(high[0], 3)
            os.dup2(high[1], 4)

        self.process = subprocess.Popen(
            command,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            preexec_fn=pipes,
            close_fds=False,
        )
        os.close(to_child)
        os.close(from_child)
        self._ids = itertools.count(1)
        self._replies = queue.Queue()
        self._session = None
        threading.Thread(target=self._listen, daemon=True).start()
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Network", "DOM", "Log"):
            self.call(f"{domain}.enable")
        self.resize(*self.size)
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(20)
        with contextlib.suppress(OSError):
            os.close(self._write)
        shutil.rmtree(self.profile, ignore_errors=True)

    def _listen(self):
        rest = b""
        with contextlib.suppress(OSError):
            while data := os.read(self._read, 1 << 20):
                *messages, rest = (rest + data).split(b"\0")
                for message in map(json.loads, messages):
                    if "id" in message:
                        self._replies.put(message)
                    elif message["method"] == "Network.requestWillBeSent":
                        self.requests.append(message["params"]["request"]["url"])
                    elif message["method"] in ("Runtime.exceptionThrown", "Log.entryAdded"):
                        self.errors.append(message["params"])

    def call(self, method, **parameters):
        """One command of the DevTools protocol; its result."""
        number = next(self._ids)
        message = {"id": number, "method": method, "params": parameters}
        if self._session is not None:
            message["sessionId"] = self._session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while True:
            reply = self._replies.get(timeout=60)
            if reply["id"] == number:
                assert "error" not in reply, (method, reply["error"])
                return reply["result"]

    def run(self, script):
        """The value of a JavaScript expression."""
        options = {"returnByValue": True, "awaitPromise": True}
        reply = self.call("Runtime.evaluate", expression=script, **options)
        assert "exceptionDetails" not in reply, reply
        return reply["result"].get("value")

    def open(self, url):
        self.call("Page.navigate", url=url)
        self.wait(f"location.href.startsWith({json.dumps(url)}) && document.readyState=='complete'")

    def wait(self, condition, seconds=30):
        """Until a JavaScript expression is true."""
        deadline = time.monotonic() + seconds
        while not self.run(f"Boolean({condition})"):
            assert time.monotonic() < deadline, f"waited in vain for {condition}"
            time.sleep(0.05)

    def resize(self, width, height, *, dark=False, scale=1):
        screen = {"width": width, "height": height, "deviceScaleFactor": scale, "mobile": False}
        self.call("Emulation.setDeviceMetricsOverride", **screen)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])

    def choose(self, selector, *files):
        """Put files into a file field, as its dialog does."""
        root = self.call("DOM.getDocument")["root"]["nodeId"]
        node = self.call("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
        self.call("DOM.setFileInputFiles", nodeId=node, files=[str(file) for file in files])

    def press(self, key):
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, code=key)

    def screenshot(self):
        """PNG bytes of what is seen."""
        return base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"])
