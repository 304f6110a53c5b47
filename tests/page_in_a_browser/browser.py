"""Visits the server's page in Chromium: browser.py PART ADDRESS CHROMIUM FOLDER.

Ends with an error at the first thing that isn't as it should be, else prints JSON of what was seen. Downloads and pictures
go to FOLDER. `pip install playwright axe-playwright-python`; no browser of playwright's own is used.
"""

import json
import os
import re
import sys
from pathlib import Path
from urllib.parse import urlsplit

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect, sync_playwright

# What Chromium reports of an answer that the page expects and shows.
EXPECTED_STATUS = re.compile(r"^Failed to load resource: the server responded with a status of (401|422) ")
POSITIVE = "the film is superb and the plot is lovely"
NEGATIVE = "the plot is awful and the actor is dull"


class Visit:
    """A page, and everything that must not happen on it."""

    def __init__(self, browser, address, **context):
        self.context = browser.new_context(accept_downloads=True, **context)
        self.page = self.context.new_page()
        self.faults = []
        self.page.on("console", self.said)
        self.page.on("pageerror", lambda error: self.faults.append(f"error: {error}"))
        self.page.on("request", lambda request: self.requested(request, address))
        self.page.goto(f"{address}/ui")

    def said(self, message):
        if message.type in ("error", "warning") and not EXPECTED_STATUS.match(message.text):
            self.faults.append(f"console: {message.text}")

    def requested(self, request, address):
        url = urlsplit(request.url)
        if url.scheme not in ("blob", "data") and f"{url.scheme}://{url.netloc}" != address:
            self.faults.append(f"request to {request.url}")

    def end(self):
        self.context.close()
        assert not self.faults, self.faults


def verdict(page, label):
    expect(page.locator(".verdict")).to_contain_text(label)


def why_positive(page):
    words = page.locator("#answer .why blockquote mark")
    expect(words.first).to_be_visible(timeout=30_000)
    assert page.locator("#answer .why blockquote").inner_text() == POSITIVE
    told = page.locator("#answer .why .listed").first.inner_text()
    assert told.startswith("For it: ") and ("superb" in told or "lovely" in told), told
    superb = page.locator("#answer .why mark", has_text="superb")
    assert superb.get_attribute("title").startswith("+"), superb.get_attribute("title")
    assert "underline" in superb.evaluate("mark => getComputedStyle(mark).textDecorationLine")
    expect(page.locator("#answer .why .caption")).to_contain_text("speaks for positive")


def mouse(browser, address, folder):
    visit = Visit(browser, address)
    page = visit.page
    expect(page.locator("#model")).to_contain_text("Trained on")
    expect(page.locator("#model .headline")).to_contain_text("Accuracy")
    expect(page.locator("#model .confusion tbody tr")).to_have_count(2)

    text = page.locator("#text")
    text.press_sequentially(POSITIVE, delay=5)
    verdict(page, "positive")
    shares = page.locator("#answer .bars span:nth-child(3n)").all_inner_texts()
    assert abs(sum(float(share.removesuffix(" %")) for share in shares) - 100) < 0.3, shares
    page.get_by_role("button", name="Why positive?").click()
    why_positive(page)
    text.fill(f"{POSITIVE} qqq")
    expect(page.locator("#answer .marks")).to_have_text("1 word that the vocabulary doesn't know.")
    text.fill(" ".join(["film"] * 100))
    expect(page.locator("#answer .marks")).to_contain_text("Cut off")
    text.fill("  ")
    expect(page.locator("#answer")).to_be_empty()

    # An answer that comes when another text is on the page is not shown.
    def late_why(route):
        page.wait_for_timeout(500)
        try:
            route.continue_()
        except Exception:
            pass

    page.route("**/explain", late_why)
    text.fill(NEGATIVE)
    page.get_by_role("button", name="Why negative?").click()
    text.fill(POSITIVE)
    verdict(page, "positive")
    expect(page.locator("#answer .why")).to_be_empty()
    page.unroute("**/explain")

    # The answer to an earlier text comes after that to a later one.
    def late(route):
        if "awful" in (route.request.post_data or ""):
            page.wait_for_timeout(700)
        try:
            route.continue_()
        except Exception:
            pass

    page.route("**/predict", late)
    with page.expect_request("**/predict"):
        text.fill(NEGATIVE)
    text.fill(POSITIVE)
    verdict(page, "positive")
    page.wait_for_timeout(1000)
    verdict(page, "positive")
    page.unroute("**/predict")

    page.get_by_label("Each line is a text").check()
    text.fill(f"{POSITIVE}\n\n{NEGATIVE}")
    rows = page.locator(".answers tbody tr")
    expect(rows).to_have_count(2)
    assert [row.split("\t") for row in rows.all_inner_texts()][1][0] == "3", "the number of the line"
    expect(rows.nth(0)).to_contain_text("positive")
    expect(rows.nth(1)).to_contain_text("negative")
    page.locator("#examples button").first.click()
    expect(page.locator(".verdict")).to_be_visible()
    assert not page.get_by_label("Each line is a text").is_checked()

    drop(page, folder / "new.csv")
    link = page.locator("#file-download")
    expect(link).to_have_text("Download new-labeled.csv")
    expect(page.locator("#file-result .marks")).to_contain_text("1 of 3 rows without a text, and so without a label: row 3")
    with page.expect_download() as download:
        link.click()
    assert download.value.suggested_filename == "new-labeled.csv"
    download.value.save_as(folder / "new-labeled.csv")

    # A file whose text has to be named.
    page.set_input_files("#file", folder / "columns.csv")
    expect(page.locator("#file-result .error")).to_contain_text("columns.csv: no column is called text")
    expect(page.locator("#file-result .error")).to_contain_text("Hint: text_column=NAME")
    expect(page.locator("#text-column")).to_be_focused()
    page.keyboard.type("one")
    page.get_by_role("button", name="Try columns.csv again").click()
    expect(link).to_have_text("Download columns-labeled.csv")
    visit.end()
    return {}


def drop(page, path):
    transfer = page.evaluate_handle(
        """([name, text]) => {
            const transfer = new DataTransfer();
            transfer.items.add(new File([text], name));
            return transfer;
        }""",
        [path.name, path.read_text()],
    )
    page.dispatch_event("#drop", "dragover", {"dataTransfer": transfer})
    expect(page.locator("#drop")).to_have_class("drop over")
    page.dispatch_event("#drop", "drop", {"dataTransfer": transfer})


def keyboard(browser, address, folder):
    visit = Visit(browser, address)
    page = visit.page
    # Choosers are intercepted while somebody listens, which takes a moment to begin: before the key is pressed.
    page.on("filechooser", lambda chooser: None)
    expect(page.locator("#model")).to_contain_text("Trained on")
    stops = []

    def tab_to(selector):
        for _ in range(40):
            page.keyboard.press("Tab")
            stops.append(page.evaluate(FOCUSED))
            assert stops[-1]["outline"] != "none", f"no sign of the focus on {stops[-1]}"
            if page.evaluate("selector => document.activeElement.matches(selector)", selector):
                return
        raise AssertionError(f"Tab doesn't reach {selector}: {stops}")

    tab_to(".skip")
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(page.locator("#each-line")).to_be_focused()
    page.keyboard.press("Shift+Tab")
    expect(page.locator("#text")).to_be_focused()
    page.keyboard.type(POSITIVE)
    verdict(page, "positive")
    tab_to("#each-line")
    page.keyboard.press("Space")
    expect(page.locator(".answers tbody tr")).to_have_count(1)
    tab_to("#examples button:nth-child(4)")
    page.keyboard.press("Enter")
    expect(page.locator(".answers tbody tr")).to_have_count(3)

    tab_to("#file")
    with page.expect_file_chooser() as chooser:
        page.keyboard.press("Enter")
    chooser.value.set_files(folder / "new.csv")
    expect(page.locator("#file-download")).to_be_focused()
    with page.expect_download() as download:
        page.keyboard.press("Enter")
    download.value.save_as(folder / "new-labeled-by-keyboard.csv")
    tab_to("a[href='openapi.json']")
    visit.end()
    return {"stops": len(stops)}


# The element with the focus, and the outline of it or of the button that stands for it.
FOCUSED = """() => {
    const element = document.activeElement;
    const shown = element.id === "file" ? element.nextElementSibling : element;
    return { element: element.outerHTML.slice(0, 80), outline: getComputedStyle(shown).outlineStyle };
}"""


def check(page, name, serious):
    wide, width = page.evaluate("document.documentElement.scrollWidth"), page.viewport_size["width"]
    assert wide <= width, f"{name}: {wide} pixels at a width of {width}"
    for violation in Axe().run(page).response["violations"]:
        if violation["impact"] in ("serious", "critical"):
            where = [node["html"] for node in violation["nodes"]]
            serious.append(f"{name}: {violation['id']}: {where}")


def looks(browser, address, folder):
    serious = []
    for scheme in ("light", "dark"):
        for width in (1100, 390):
            visit = Visit(browser, address, color_scheme=scheme, viewport={"width": width, "height": 900})
            page = visit.page
            expect(page.locator("#model")).to_contain_text("Trained on")
            page.locator("#text").fill(f"{POSITIVE} but awful")
            page.get_by_role("button", name=re.compile("Why ")).click()
            expect(page.locator("#answer .why blockquote mark").first).to_be_visible(timeout=30_000)
            check(page, f"{scheme}, {width}, why", serious)
            page.screenshot(path=folder / f"{scheme}-{width}-why.png", full_page=True)
            page.get_by_label("Each line is a text").check()
            page.locator("#text").fill(f"{POSITIVE}\n{NEGATIVE}\nqqq")
            expect(page.locator(".answers tbody tr")).to_have_count(3)
            page.locator("summary").click()
            page.set_input_files("#file", folder / "new.csv")
            expect(page.locator("#file-download")).to_be_visible()
            check(page, f"{scheme}, {width}", serious)
            page.screenshot(path=folder / f"{scheme}-{width}.png", full_page=True)
            visit.end()
    return {"serious": serious}


def key(browser, address, folder):
    visit = Visit(browser, address)
    page = visit.page
    field = page.get_by_label("Key", exact=True)
    expect(field).to_be_focused()
    page.keyboard.type("another-key")
    page.keyboard.press("Enter")
    expect(page.locator("#key-error")).to_have_text("This is not the server's key.")
    field.fill(os.environ["VERDICT_API_KEY"])
    page.keyboard.press("Enter")
    expect(page.locator("#model")).to_contain_text("How good it is")
    expect(page.locator("#model")).to_contain_text("not known: the folder has no record of it")
    expect(page.locator("#key-section")).to_be_hidden()
    page.locator("#text").fill("the film is superb")
    expect(page.locator(".verdict")).to_be_visible()
    page.set_input_files("#file", {"name": "a.csv", "mimeType": "text/csv", "buffer": b"text\nfilm\n"})
    expect(page.locator("#file-download")).to_be_visible()
    # Another visit in this tab needs no key; another tab does.
    page.reload()
    expect(page.locator("#model")).to_contain_text("Trained on")
    other = visit.context.new_page()
    other.goto(f"{address}/ui")
    expect(other.get_by_label("Key", exact=True)).to_be_visible()
    visit.end()
    return {}


def main():
    part, address, chromium, folder = sys.argv[1:]
    with sync_playwright() as playwright:
        # In containers Chromium may not use its own sandbox; it opens this server's page alone.
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        expect.set_options(timeout=20_000)
        seen = globals()[part](browser, address, Path(folder))
        browser.close()
    print(json.dumps(seen))


main()
