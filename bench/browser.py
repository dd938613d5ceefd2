"""Chromium as on a machine without a graphics card: it draws in software."""

from __future__ import annotations

from playwright.sync_api import Browser, Page, Playwright

_PROGRAM = "/usr/bin/chromium"
_FLAGS = ["--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]


def launch(playwright: Playwright) -> Browser:
    """Start it."""
    return playwright.chromium.launch(executable_path=_PROGRAM, args=_FLAGS)


def sign_in(page: Page, email: str, password: str) -> None:
    """Sign in to the application that the page's addresses are of."""
    page.goto("/sign-in")
    page.fill("input[name=email]", email)
    page.fill("input[name=password]", password)
    page.click("button.primary")
    page.wait_for_url("**/sites**")
