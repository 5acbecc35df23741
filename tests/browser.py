"""Debian's chromium, driven by playwright."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

import pytest

FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--enable-unsafe-swiftshader",
]  # fmt: skip
NEEDED = "HYPERFACTOR_BROWSER"  # set where a missing browser is a failure: in CI


def skip(reason: str) -> NoReturn:
    """Skip a test that needs a browser, or fail where browsers are needed."""
    if os.environ.get(NEEDED):
        pytest.fail(f"no browser: {reason}")
    pytest.skip(f"no browser: {reason}")


@contextmanager
def chromium() -> Iterator[Any]:
    """Open the browser; skip the test, with the reason, where there is none."""
    path = shutil.which("chromium")
    if path is None:
        skip("chromium is not installed (Debian: apt-get install chromium)")
    try:
        from playwright.sync_api import sync_playwright
    except ModuleNotFoundError:
        skip("playwright is not installed (pip install -e '.[dev]')")
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield opened
        opened.close()
