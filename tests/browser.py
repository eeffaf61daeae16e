"""A headless Chromium, driven through a pipe by its DevTools protocol."""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

_NAMES = (
    'chromium-headless-shell',
    'chromium',
    'chromium-browser',
    'google-chrome',
    'google-chrome-stable',
)
_SECONDS = 600
# The protocol reads from descriptor 3 and writes to 4.
_START = """
import fcntl, os, sys
pipes = [fcntl.fcntl(int(n), fcntl.F_DUPFD, 10) for n in sys.argv[1:3]]
for there, here in zip((3, 4), pipes):
    os.dup2(here, there)
os.execv(sys.argv[3], sys.argv[3:])
"""


def find_browser() -> str | None:
    """A Chromium: that of MMXDISTILL_BROWSER, or one of the PATH."""
    named = os.environ.get('MMXDISTILL_BROWSER')
    for name in (named,) if named else _NAMES:
        if path := shutil.which(name):
            return path
    return None


class Browser:
    """One window; use it as a context.

    Attributes:
        errors: What scripts of the pages, or the browser about them, said
            since the last :meth:`open`: exceptions, warnings and errors.
        requests: Addresses that the page asked for, but for itself.
    """

    def __init__(self, path: str) -> None:
        self.errors: list[str] = []
        self.requests: list[str] = []
        self._count = 0
        self._buffer = b''
        self._loaded = False
        self._profile = tempfile.TemporaryDirectory(
            prefix='browser', ignore_cleanup_errors=True
        )
        theirs_in, self._out = os.pipe()
        self._in, theirs_out = os.pipe()
        self._process = subprocess.Popen(
            [
                *(sys.executable, '-S', '-c', _START),
                *(str(theirs_in), str(theirs_out)),
                *(path, '--headless', '--remote-debugging-pipe'),
                *('--no-sandbox', '--disable-gpu', '--hide-scrollbars'),
                *('--disable-dev-shm-usage', '--no-first-run'),
                f'--user-data-dir={self._profile.name}',
                'about:blank',
            ],
            pass_fds=(theirs_in, theirs_out),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(theirs_in)
        os.close(theirs_out)
        targets = self._ask('Target.getTargets')['targetInfos']
        page = next(one for one in targets if one['type'] == 'page')
        self._session = None
        self._session = self._ask(
            'Target.attachToTarget', targetId=page['targetId'], flatten=True
        )['sessionId']
        for domain in ('Page', 'Runtime', 'Log', 'Network'):
            self._ask(f'{domain}.enable')

    def __enter__(self) -> Browser:
        return self

    def __exit__(self, *error: object) -> None:
        os.close(self._out)
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        os.close(self._in)
        self._profile.cleanup()

    def open(self, path: Path, width: int = 1400, dark: bool = False) -> None:
        """Open a file in a window of a width in CSS pixels."""
        self._ask(
            'Emulation.setDeviceMetricsOverride',
            width=width,
            height=900,
            deviceScaleFactor=1,
            mobile=False,
        )
        self._ask(
            'Emulation.setEmulatedMedia',
            features=[
                dict(
                    name='prefers-color-scheme',
                    value='dark' if dark else 'light',
                )
            ],
        )
        self.errors.clear()
        self.requests.clear()
        self._loaded = False
        answer = self._ask('Page.navigate', url=path.resolve().as_uri())
        if 'errorText' in answer:
            raise RuntimeError(f'{path}: {answer["errorText"]}')
        while not self._loaded:
            self._receive()

    def run(self, script: str) -> Any:
        """Value of an expression of JavaScript, a promise's when it is kept.

        Raises:
            RuntimeError: It throws.
        """
        answer = self._ask(
            'Runtime.evaluate',
            expression=script,
            returnByValue=True,
            awaitPromise=True,
        )
        if 'exceptionDetails' in answer:
            raise RuntimeError(_describe(answer['exceptionDetails']))
        return answer['result'].get('value')

    def press(self, key: str, code: int) -> None:
        """Press a key, such as ``press('Enter', 13)``."""
        text = {'Enter': '\r', ' ': ' '}.get(key, '')
        for kind in ('keyDown', 'keyUp'):
            self._ask(
                'Input.dispatchKeyEvent',
                type=kind,
                key=key,
                code=key,
                windowsVirtualKeyCode=code,
                text=text if kind == 'keyDown' else '',
            )

    def screenshot(self, path: Path, whole: bool = True) -> None:
        """Write the window, or the whole page, as PNG."""
        data = self._ask(
            'Page.captureScreenshot', captureBeyondViewport=whole
        )['data']
        path.write_bytes(base64.b64decode(data))

    def _ask(self, method: str, **params: Any) -> dict[str, Any]:
        self._count += 1
        message = dict(id=self._count, method=method, params=params)
        if session := getattr(self, '_session', None):
            message['sessionId'] = session
        os.write(self._out, json.dumps(message).encode() + b'\0')
        while True:
            answer = self._receive()
            if answer.get('id') == self._count:
                if 'error' in answer:
                    raise RuntimeError(f'{method}: {answer["error"]}')
                return answer['result']

    def _receive(self) -> dict[str, Any]:
        """Wait for the next message, and note what it tells of the page."""
        end = time.monotonic() + _SECONDS
        while b'\0' not in self._buffer:
            ready, _, _ = select.select(
                [self._in], [], [], max(end - time.monotonic(), 0)
            )
            part = os.read(self._in, 1 << 20) if ready else b''
            if not part:
                raise RuntimeError('the browser does not answer')
            self._buffer += part
        line, _, self._buffer = self._buffer.partition(b'\0')
        message = json.loads(line)
        params = message.get('params', {})
        match message.get('method'):
            case 'Page.loadEventFired':
                self._loaded = True
            case 'Runtime.exceptionThrown':
                self.errors.append(_describe(params['exceptionDetails']))
            case 'Runtime.consoleAPICalled':
                if params['type'] in ('error', 'warning', 'assert'):
                    self.errors.append(str(params['args']))
            case 'Log.entryAdded':
                if params['entry']['level'] in ('error', 'warning'):
                    self.errors.append(params['entry']['text'])
            case 'Network.requestWillBeSent':
                url = params['request']['url']
                own = params['type'] == 'Document' or url.startswith('data:')
                if not own:
                    self.requests.append(url)
        return message


def _describe(details: dict[str, Any]) -> str:
    return details.get('exception', {}).get('description', details['text'])
