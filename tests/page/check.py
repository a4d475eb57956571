#!/usr/bin/env python3
"""Looks at palmd's page in a real browser.

    tests/page/check.py PALMD [--pictures]

Starts PALMD with the synthetic hand and the HTTP output, and drives a headless Chromium: the canvas
must move, gestures must be told, nothing may be refused by the page's own policy, it must fit
on a phone, follow light and dark, show the camera's picture for as long as it may, and find palmd again after a
restart. `--pictures` takes the pictures for docs/. Needs `playwright` (PyPI) and Debian's chromium-headless-shell, or
another Chromium in CHROMIUM.
"""

import contextlib
import http.server
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import urllib.request

from playwright.sync_api import sync_playwright

ROOT = pathlib.Path(__file__).resolve().parents[2]
HAND = (
    "synthetic:repeat 400 { open-palm 2s; wait 1s; swipe-left 0.5s; wait 1s; fist 2s; wait 1s; "
    "swipe-right 0.5s; wait 1s; thumb-up 2s; wait 1s }"
)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def configuration(folder, port, kiosk):
    path = pathlib.Path(folder) / "palmd.toml"
    path.write_text(
        f'[outputs.http]\nenabled = true\nlisten = "127.0.0.1:{port}"\nset-up-time = "8s"\n'
        f'allowed-origins = ["http://127.0.0.1:{kiosk}"]\n'
    )
    return path


@contextlib.contextmanager
def daemon(program, configured, port):
    command = [program, "run", "--config", configured, "--source", HAND]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        for _ in range(300):
            if process.poll() is not None:
                sys.exit(f"palmd ended with {process.returncode}")
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=1).close()
                break
            except OSError:
                threading.Event().wait(0.1)
        else:
            sys.exit("palmd doesn't answer")
        yield
    finally:
        process.terminate()
        process.wait(10)


@contextlib.contextmanager
def served(folder, port):
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args):
            super().__init__(*args, directory=folder)

        def log_message(self, *args):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Quiet)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield
    finally:
        server.shutdown()


def check(holds, what):
    print(("ok    " if holds else "FAIL  ") + what)
    if not holds:
        check.failed = True


check.failed = False


def live(page):
    """The live view's pixels."""
    return page.evaluate("document.getElementById('view').toDataURL()")


def until(page, so, seconds=60):
    """Waits until an expression holds. (Playwright's own `wait_for_function` is stopped by the page's policy.)"""
    for _ in range(10 * seconds):
        if page.evaluate(so):
            return
        page.wait_for_timeout(100)
    sys.exit(f"FAIL  never so: {so}")


def hand(page):
    """Waits for a hand and a gesture."""
    until(page, "/^(?!No).*hand in view/.test(document.getElementById('view').ariaLabel)")
    until(page, "document.getElementById('now').textContent !== 'None yet'")


def look(browser, program, folder, pictures, port):
    configured = configuration(folder, port, kiosk := free_port())
    url = f"http://127.0.0.1:{port}/"
    problems = []
    with daemon(program, configured, port):
        for scheme, size, name, seconds in [
            ("light", (1180, 900), "page-light.png", 20),
            ("dark", (1180, 900), "page-dark.png", 1),
            ("light", (390, 844), "page-phone.png", 1),
        ]:
            context = browser.new_context(
                color_scheme=scheme, viewport=dict(zip(("width", "height"), size)), reduced_motion="reduce"
            )
            page = context.new_page()
            page.on("console", lambda m: problems.append(m.text) if m.type == "error" else None)
            page.on("pageerror", lambda e: problems.append(str(e)))
            page.goto(url)
            hand(page)
            before = live(page)
            page.wait_for_timeout(1000 * seconds)
            check(live(page) != before, f"{name}: the hand moves")
            ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
            dark = sum(int(n) for n in ground[4:-1].split(",")) < 384
            check(dark == (scheme == "dark"), f"{name}: {scheme}")
            wide = page.evaluate("document.documentElement.scrollWidth - innerWidth")
            check(wide <= 0, f"{name}: nothing is wider than the screen")
            check(page.inner_text("#state") == "Watching", f"{name}: it says so in words")
            page.screenshot(path=pictures / name, full_page=scheme == "light" and size[0] > size[1])
            context.close()

        context = browser.new_context(viewport={"width": 1180, "height": 1100})
        page = context.new_page()
        page.on("pageerror", lambda e: problems.append(str(e)))
        page.goto(url)
        hand(page)
        # By keyboard alone.
        page.focus("#aiming")
        page.keyboard.press("Space")
        page.focus("#ranges input")
        for _ in range(20):
            page.keyboard.press("ArrowRight")
        check("zone = [0.20, 0.00, 1.00, 1.00]" in page.inner_text("#toml"), "the zone becomes lines of TOML")
        check("This palm has a length of" in page.inner_text("#fits"), "it says whether the palm counts")
        page.click("#picture")
        until(page, "picture !== null")
        page.screenshot(path=pictures / "page-aim.png")
        beginning = "ask('/set-up/picture').then(r => r.arrayBuffer()).then(b => [...new Uint8Array(b, 0, 2)])"
        check(page.evaluate(beginning) == [0xFF, 0xD8], "the camera's picture is a JPEG")
        until(page, "picture === null", 30)
        until(page, "document.getElementById('picture').textContent === \"Show the camera's picture\"", 10)
        check(True, "it ends by itself")
        check(page.locator("[aria-live]").inner_text() != "", "gestures are told to a screen reader")
        tokens = page.request.get(url + "status", headers={"Origin": "http://evil.example"})
        check(tokens.status == 403, "a foreign page is refused")

        with served(ROOT / "examples" / "kiosk", kiosk):
            show = context.new_page()
            show.on("pageerror", lambda e: problems.append(str(e)))
            show.goto(f"http://127.0.0.1:{kiosk}/?palmd=http://127.0.0.1:{port}")
            until(show, "document.getElementById('hint').classList.contains('seen')", 60)
            first = show.evaluate("at")
            until(show, f"at !== {first}", 60)
            check(True, "the kiosk page turns by a swipe")
            show.wait_for_timeout(600)
            show.screenshot(path=pictures / "kiosk.jpg", quality=80)
            show.close()

    until(page, "document.body.classList.contains('away')", 20)
    check("Lost palmd" in page.inner_text("#state"), "a lost palmd is said")
    with daemon(program, configured, port):
        until(page, "!document.body.classList.contains('away')", 30)
        hand(page)
        check(True, "it finds palmd again")
    check(not problems, f"no errors in the console {problems}")


def main():
    program, *options = sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        chromium = os.environ.get("CHROMIUM", "chromium-headless-shell")
        browser = playwright.chromium.launch(executable_path=shutil.which(chromium))
        pictures = ROOT / "docs" if "--pictures" in options else pathlib.Path(folder)
        look(browser, program, folder, pictures, free_port())
        browser.close()
    sys.exit(check.failed)


if __name__ == "__main__":
    main()
