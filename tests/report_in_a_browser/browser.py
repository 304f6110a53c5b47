"""Opens a report from the disk in Chromium: browser.py PAGE CHROMIUM FOLDER.

Ends with an error at the first thing that isn't as it should be, else prints JSON of what was seen. Pictures of the page in
light, dark, on a phone and on paper go to FOLDER. `pip install playwright axe-playwright-python`; no browser of playwright's
own is used.
"""

import json
import sys
from pathlib import Path

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import sync_playwright

# The pictures of the page that are as large as they should be, by their titles.
PICTURES = """() => [...document.querySelectorAll("svg")].filter(svg => {
    const box = svg.getBoundingClientRect();
    return box.width >= 150 && box.height >= 100 && svg.querySelector("text");
}).map(svg => svg.querySelector("title").textContent)"""

# Elements that reach beyond the right edge of the window, unless one above them scrolls.
OVERFLOWING = """() => {
    const scrolls = element => element && (getComputedStyle(element).overflowX === "auto" || scrolls(element.parentElement));
    return [...document.querySelectorAll("body *")]
        .filter(element => element.getBoundingClientRect().right > innerWidth + 1 && !scrolls(element.parentElement))
        .map(element => element.outerHTML.slice(0, 120));
}"""

# Headings in order, each at most one level below the one before.
HEADINGS = """() => [...document.querySelectorAll("h1, h2, h3, h4")].map(heading => Number(heading.tagName[1]))"""


def main():
    path, chromium, folder = sys.argv[1], sys.argv[2], Path(sys.argv[3])
    address = Path(path).resolve().as_uri()
    faults, serious, pictures = [], [], None
    with sync_playwright() as playwright:
        # In containers Chromium may not use its own sandbox; it opens this file alone.
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for scheme in ("light", "dark"):
            for width in (1100, 360):
                # The page needs no script; only this one, through the debugger, runs.
                context = browser.new_context(color_scheme=scheme, viewport={"width": width, "height": 900}, offline=True)
                page = context.new_page()
                page.on("console", lambda message: faults.append(f"console: {message.text}"))
                page.on("pageerror", lambda error: faults.append(f"error: {error}"))
                page.on("request", lambda request: request.url == address or faults.append(f"request to {request.url}"))
                page.goto(address)
                assert page.locator("script, link, img, iframe").count() == 0
                found = sorted(page.evaluate(PICTURES))
                assert page.locator("svg").count() == len(found), f"{found}: too small or empty"
                assert pictures in (None, found), f"{found}, not {pictures}"
                pictures = found
                wide = page.evaluate("document.documentElement.scrollWidth")
                assert wide <= width, f"{wide} pixels at a width of {width}: {page.evaluate(OVERFLOWING)}"
                levels = page.evaluate(HEADINGS)
                assert levels[0] == 1 and all(b <= a + 1 for a, b in zip(levels, levels[1:])), levels
                links = page.locator("nav a")
                for link in range(links.count()):
                    target = links.nth(link).get_attribute("href")
                    assert page.locator(target.replace(",", "\\,")).count() == 1, target
                page.screenshot(path=folder / f"report-{scheme}-{width}.png", full_page=True)
                # axe brings a script of its own, which the page's policy would refuse.
                context.close()
                serious += by_axe(browser, address, scheme, width)
        paper = browser.new_context(color_scheme="dark", offline=True).new_page()
        paper.goto(address)
        paper.emulate_media(media="print")
        background = paper.evaluate("getComputedStyle(document.body).backgroundColor")
        ink = paper.evaluate("getComputedStyle(document.querySelector('h1')).color")
        assert background in ("rgba(0, 0, 0, 0)", "rgb(255, 255, 255)") and ink == "rgb(31, 35, 40)", (background, ink)
        paper.pdf(path=folder / "report.pdf", format="A4", print_background=True)
        browser.close()
    assert not faults, faults
    print(json.dumps({"serious": serious, "pictures": pictures}))


def by_axe(browser, address, scheme, width):
    context = browser.new_context(color_scheme=scheme, viewport={"width": width, "height": 900}, bypass_csp=True)
    page = context.new_page()
    page.goto(address)
    found = []
    for violation in Axe().run(page).response["violations"]:
        if violation["impact"] in ("serious", "critical"):
            where = [node["html"][:200] for node in violation["nodes"][:3]]
            found.append(f"{scheme}, {width}: {violation['id']}: {where}")
    context.close()
    return found


main()
