"""How browser tests look at pages: both themes, wide and narrow, with axe, and with pictures where they are wanted.

A look finds what axe finds, a page that is wider than its window and, on a walk, what the console complains of. All of
axe's rules are asked once in each theme and once in each width; the two views that are left, whose document is the
same, are asked what theme and width can change: contrast, and the size of what is clicked, in the first rows of tables.
A page is loaded once in each theme, at the width where all rules are asked, and resized for the other, so that a walk
sees pages loaded wide and loaded narrow.

With SPENDOPS_TEST_SCREENSHOTS=FOLDER every view leaves its picture there.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Error, Page, ViewportSize

from tests.chromium import Window

DESKTOP: ViewportSize = {"width": 1440, "height": 900}
PHONE: ViewportSize = {"width": 390, "height": 844}

EVERY_RULE: dict[str, Any] = {"rules": {"target-size": {"enabled": True}}}  # axe leaves WCAG 2.2 out by itself
OF_THEME_AND_WIDTH: dict[str, Any] = {"runOnly": {"type": "rule", "values": ["color-contrast", "target-size"]}}
LATER_ROWS = "tbody > tr:nth-child(n+13)"  # contrast takes a second on a table of 100 rows
DOCUMENTS_MOST = 5  # how often a page may go on to another while it is looked at

# Changes the theme as the button does, without keeping it, and then says whether the page is at rest.
AT_REST = """theme => {
  const root = document.documentElement;
  if (theme && root.dataset.bsTheme !== theme) {
    root.dataset.bsTheme = theme;
    document.dispatchEvent(new CustomEvent("spendops:theme"));
    return false;
  }
  const all = (selector) => [...document.querySelectorAll(selector)];
  const drawn = (chart) => {
    const plot = chart.querySelector(".main-svg");
    return plot && (!chart.clientWidth || Math.abs(plot.getBoundingClientRect().width - chart.clientWidth) < 2);
  };
  const passes = (each) => each.playState === "running" && each.effect.getComputedTiming().endTime !== Infinity;
  return document.readyState === "complete" && document.fonts.status === "loaded"
    && all("[data-chart]").every(drawn)
    && all("[hx-trigger^=load]").every((panel) => window.answeredPanels.has(panel))
    && !document.getAnimations().some(passes);
}"""

FINDINGS = """async ({ options, without }) => {
  const exclude = without ? [...document.querySelectorAll(without)] : [];
  const { violations } = await axe.run({ include: [document], exclude }, { resultTypes: ["violations"], ...options });
  return violations.map(({ id, nodes }) => `${id} (${nodes.length}): ${nodes[0].html.slice(0, 200)}`);
}"""

Found = dict[str, list[str]]  # what there is to say, by view: NAME-THEME-WIDTH


class View(NamedTuple):
    theme: Literal["light", "dark"]
    size: ViewportSize
    options: dict[str, Any]
    without: str = ""  # what selects the elements that are left out


VIEWS = (
    View("light", DESKTOP, EVERY_RULE),
    View("light", PHONE, OF_THEME_AND_WIDTH, LATER_ROWS),
    View("dark", PHONE, EVERY_RULE),
    View("dark", DESKTOP, OF_THEME_AND_WIDTH, LATER_ROWS),
)


def settled(page: Page, *, theme: str = "") -> None:
    """Wait until the page has drawn its charts at their size, fetched its panels and ended its transitions.

    With a theme the page changes to it first.
    """
    page.wait_for_load_state("load")
    page.wait_for_function(AT_REST, arg=theme)


def keep_picture(page: Page, name: str) -> None:
    folder = os.environ.get("SPENDOPS_TEST_SCREENSHOTS")
    if folder:
        page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)


def inaccessible(page: Page) -> list[str]:
    """What axe finds on the page at rest: for every rule its name, the number of places and the first of them."""
    return list(_at_rest(page, lambda: _findings(page, EVERY_RULE)))


def sideways(page: Page) -> int:
    """By how many pixels the page is wider than its window."""
    return int(page.evaluate("document.documentElement.scrollWidth - window.innerWidth"))


def look_here(page: Page, name: str) -> Found:
    """Look at a page as it stands, without loading it: what was found, by view. The window gets its size back."""
    found: Found = {}
    size = page.viewport_size or DESKTOP
    for view in VIEWS:
        page.emulate_media(color_scheme=view.theme)  # what has no theme of its own follows the system's: mails
        page.set_viewport_size(view.size)
        found |= _seen(page, name, view, theme=view.theme)
    page.emulate_media(color_scheme="light")
    page.set_viewport_size(size)
    return found


def look_around(
    window: Window,
    pages: dict[str, str],
    *,
    themes: Sequence[str] = ("light", "dark"),
    ready: Callable[[str], None] | None = None,
) -> Found:
    """Load every page in the themes and look at it: what was found, by view. Pages are addresses by their name.

    `ready` is told the name of the page that is at rest; it may wait for more, or act on the page before the look.
    """
    found: Found = {}
    size = window.page.viewport_size or DESKTOP
    for theme in themes:
        window.context.add_cookies([{"name": "theme", "value": theme, "url": window.site}])
        for name, address in pages.items():
            found |= _visited(window, name, address, [view for view in VIEWS if view.theme == theme], ready)
    window.context.clear_cookies(name="theme")
    window.page.set_viewport_size(size)
    return found


def _visited(
    window: Window, name: str, address: str, views: Sequence[View], ready: Callable[[str], None] | None
) -> Found:
    found: Found = {}
    page = window.page
    page.set_viewport_size(views[0].size)
    answer = page.goto(address)
    assert answer is not None
    assert answer.status == 200, address
    settled(page)
    if ready:
        ready(name)
    for view in views:
        page.set_viewport_size(view.size)
        found |= _seen(page, name, view)
    if window.complaints:
        found[f"{name}-{views[0].theme}"] = list(window.complaints)
    window.complaints.clear()
    return found


def _seen(page: Page, name: str, view: View, *, theme: str = "") -> Found:
    full_name = f"{name}-{view.theme}-{view.size['width']}"
    found, too_wide = _at_rest(page, lambda: (_findings(page, view.options, view.without), sideways(page)), theme=theme)
    keep_picture(page, full_name)
    if too_wide > 0:
        found.append(f"{too_wide} px too wide")
    return {full_name: found} if found else {}


def _findings(page: Page, options: dict[str, Any], without: str = "") -> list[str]:
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE_SCRIPT)
    return list(page.evaluate(FINDINGS, {"options": options, "without": without}))


def _at_rest(page: Page, ask: Callable[[], Any], *, theme: str = "") -> Any:
    """What a page at rest answers. A click's navigation may still be under way: then the new document is asked."""
    for _ in range(DOCUMENTS_MOST):
        settled(page, theme=theme)
        try:
            return ask()
        except Error as error:
            if "Execution context was destroyed" not in error.message:
                raise
    raise AssertionError(f"{page.url} does not stay: it goes on to another page each time it is looked at")
