"""Open every page of the built documentation in Chromium, wide and narrow.

python doc/check_site.py doc/_build/html

Reports errors on the console, failed requests, requests that leave the site, dead
internal links, formulas that are not drawn, and pages wider than a phone. Takes
``pip install playwright`` and a Chromium, in the path or by ``playwright install``.
"""

import shutil
import sys
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import unquote, urldefrag, urlsplit

from playwright.sync_api import sync_playwright

WIDTHS = {"desktop": (1280, 900), "phone": (375, 812)}
# Everything that a page links to, and how far it is wider than its window.
LOOK = """async () => {
    if (window.MathJax && MathJax.startup) await MathJax.startup.promise;
    const root = document.documentElement;
    return {
        links: [...document.querySelectorAll('a[href]')].map(a => a.href),
        ids: [...document.querySelectorAll('[id], a[name]')].map(e => e.id || e.name),
        formulas: document.querySelectorAll('.math').length,
        drawn: document.querySelectorAll('mjx-container').length,
        failed: document.querySelectorAll('mjx-merror').length,
        wider: root.scrollWidth - root.clientWidth,
    };
}"""


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


def serve(folder):
    server = ThreadingHTTPServer(("localhost", 0), partial(Quiet, directory=folder))
    Thread(target=server.serve_forever, daemon=True).start()
    return f"http://localhost:{server.server_port}/"


def look_at(page, base, name):
    """What a page says of itself, and what went wrong while it loaded."""
    wrong = []
    listeners = {
        "console": lambda m: m.type == "error" and wrong.append(f"console: {m.text}"),
        "pageerror": lambda error: wrong.append(f"script: {error}"),
        # The icon may still be on its way when the next page is opened.
        "requestfailed": lambda request: (
            request.failure == "net::ERR_ABORTED"
            or wrong.append(f"failed: {request.url}")
        ),
        "request": lambda request: (
            request.url.startswith((base, "data:", "blob:"))
            or wrong.append(f"leaves the site: {request.url}")
        ),
    }
    for event, listener in listeners.items():
        page.on(event, listener)
    page.goto(base + name, wait_until="load")
    seen = page.evaluate(LOOK)
    for event, listener in listeners.items():
        page.remove_listener(event, listener)
    if seen["wider"] > 0:
        wrong.append(f"{seen['wider']} pixels wider than the window")
    if seen["failed"] or seen["drawn"] < seen["formulas"]:
        wrong.append(f"{seen['drawn']} of {seen['formulas']} formulas are drawn")
    return seen, wrong


def dead_links(seen, base, folder):
    """(page, link) of links within the site that lead nowhere."""
    for name, page in seen.items():
        for link in page["links"]:
            if not link.startswith(base):
                continue
            url, fragment = urldefrag(link)
            path = unquote(urlsplit(url).path).lstrip("/") or "index.html"
            if path in seen:
                found = not fragment or unquote(fragment) in seen[path]["ids"]
            else:
                found = (folder / path).exists()
            if not found:
                yield name, link


def main(folder):
    folder = Path(folder)
    pages = sorted(str(p.relative_to(folder)) for p in folder.rglob("*.html"))
    pages = [name for name in pages if not name.startswith("_static")]
    base = serve(folder)
    n_wrong = 0
    with sync_playwright() as player:
        browser = player.chromium.launch(executable_path=shutil.which("chromium"))
        for kind, (width, height) in WIDTHS.items():
            page = browser.new_page(viewport={"width": width, "height": height})
            seen = {}
            for name in pages:
                seen[name], wrong = look_at(page, base, name)
                n_wrong += len(wrong)
                for what in wrong:
                    print(f"{kind} {name}: {what}")
        browser.close()
    for name, link in dead_links(seen, base, folder):
        n_wrong += 1
        print(f"{name}: dead link {link}")
    print(f"{len(pages)} pages, {n_wrong} faults")
    return n_wrong


if __name__ == "__main__":
    sys.exit(bool(main(*sys.argv[1:])))
