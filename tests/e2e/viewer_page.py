#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The page of trace-view in a real browser: what it shows is what summary and SQL say, and every key does what it should."""
import json
import subprocess
import time
import urllib.error
import urllib.request

from selenium import webdriver
from selenium.webdriver import ActionChains
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from viewer_lib import BIN, STORY, Workspace, check, done


class Page:
    """trace-view serving `trace`, and a browser that looks at it."""

    def __init__(self, space, trace, browser):
        self.browser = browser
        self.process = subprocess.Popen(
            [BIN / "trace-view", "--no-browser", "--cache", space.path / "cache", trace],
            env=space.env,
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        for line in self.process.stderr:
            if "listening on" in line:
                self.url = line.split()[-1]
                break
        self.open("")

    def open(self, link):
        self.browser.get("about:blank")
        self.browser.get(self.url + link)
        self.until("window.traceView && !traceView.model.waiting.size")

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.process.terminate()
        check(self.process.wait(20) == 0, "trace-view ends in order when it is told to")

    def js(self, text):
        return self.browser.execute_script(text)

    def until(self, condition, seconds=20):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if self.js(f"return !!({condition})"):
                return True
            time.sleep(0.05)
        return check(False, f"within {seconds} s: {condition}")

    def text(self, selector):
        return self.js(f"return document.querySelector({json.dumps(selector)}).innerText")

    def key(self, *keys):
        self.browser.find_element(By.ID, "timeline-box").send_keys(*keys)

    def view(self):
        view = self.js("return traceView.timeline.view")
        return view["from"], view["to"]

    def settle(self):
        self.until("!traceView.model.waiting.size && !traceView.timeline.isQueued")

    def lane(self, name, kind="thread"):
        """The middle of a lane, from the top left corner of the box."""
        return self.js(
            "const t = traceView.timeline; const lane = t.lanes.find((lane) => lane.kind === arguments[0] &&"
            " lane.name.startsWith(arguments[1])); return lane ? t.top(lane) + lane.height / 2 : null;"
            .replace("arguments[0]", json.dumps(kind)).replace("arguments[1]", json.dumps(name))
        )

    def x(self, ns):
        return self.js(f"return traceView.timeline.x({ns})")

    def mouse(self, path, key=None):
        """Presses at the first point, moves along, lets go at the last."""
        box = self.browser.find_element(By.ID, "timeline-box")
        size = box.size
        at = [(round(x - size["width"] / 2), round(y - size["height"] / 2)) for x, y in path]
        chain = ActionChains(self.browser, duration=20)
        if key:
            chain.key_down(key)
        chain.move_to_element_with_offset(box, *at[0]).click_and_hold()
        for point in at[1:]:
            chain.move_to_element_with_offset(box, *point)
        chain.release()
        if key:
            chain.key_up(key)
        chain.perform()

    def get(self, path):
        with urllib.request.urlopen(self.url + path) as answer:
            return json.load(answer)


def check_numbers(page, space, trace):
    """The page's model against the command line's answers."""
    summary = json.loads(space.view("summary", "--json", trace).stdout)
    mine = page.js("return traceView.model.summary")
    check(mine["trace"]["window_ns"] == summary["trace"]["window_ns"], "the page has the summary's window")
    check(len(mine["threads"]) == len(summary["threads"]), "and its threads")
    rows = json.loads(space.view("sql", "--json", "--cache", space.path / "cache", trace, "SELECT count(*) AS n FROM slice").stdout)
    page.js("document.querySelector('[data-page=SQL]').click()")
    page.js("document.querySelector('textarea').value = 'SELECT count(*) AS n, sum(dur) AS ns FROM slice'")
    page.js("document.getElementById('run-sql').click()")
    page.until("document.querySelectorAll('#table-page td').length == 2")
    cells = page.js("return [...document.querySelectorAll('#table-page td')].map((cell) => cell.innerText)")
    check(int(cells[0]) == rows[0]["n"], f"SQL in the page counts as the command does: {cells} {rows}")
    states = page.get("api/states")
    total = sum(ns for thread in states for state, ns in thread["states"].items() if int(state) != 62)
    check(total == int(cells[1]), f"time in states is the sum of the slices: {total} {cells[1]}")
    page.js("document.querySelector('textarea').value = 'DROP TABLE thread'")
    page.js("document.getElementById('run-sql').click()")
    page.until("document.querySelector('#table-page .bad')")
    check("only be read" in page.text("#table-page .bad"), "a statement that changes something is refused in words")


def check_moves(page):
    page.open("")
    whole = page.view()
    box = page.browser.find_element(By.ID, "timeline-box")
    ActionChains(page.browser).move_to_element(box).perform()
    page.key("w")
    near = page.view()
    check(near[1] - near[0] < whole[1] - whole[0], "W zooms in")
    page.key("d")
    right = page.view()
    check(right[0] > near[0] and abs((right[1] - right[0]) - (near[1] - near[0])) < 2, "D goes to later times")
    page.key("a")
    check(abs(page.view()[0] - near[0]) < 2, "A goes back")
    page.key("s")
    check(page.view()[1] - page.view()[0] > near[1] - near[0], "S zooms out")
    page.key("z")
    page.key("z")
    page.key("z")
    check(page.view() == near, "Z takes back step by step")
    page.key("0")
    check(page.view() == whole, "0 shows all")
    # A drag moves the view.
    page.key("w", "w", "w")
    before = page.view()
    y = page.lane("worker-1")
    page.mouse([(700, y), (650, y), (500, y)])
    check(page.view()[0] > before[0], "a drag to the left goes to later times")
    # The minimap brings the view where it is pressed.
    minimap = page.browser.find_element(By.ID, "minimap")
    ActionChains(page.browser).move_to_element_with_offset(minimap, round(minimap.size["width"] * 0.4), 0).click().perform()
    middle = sum(page.view()) / 2 / whole[1]
    check(0.75 < middle <= 1, f"a press on the minimap goes there: {middle:.2f}")


def check_wait(page):
    """The mutex that one thread holds while others wait: STORY's own numbers."""
    page.open("")
    wait = page.get("api/rows?lane=1.1.0")
    waits = page.js("return traceView.model.summary.locks")
    check(waits, "the summary has locks")
    lane, start, dur = None, 0, 0
    for thread in page.js("return traceView.model.threads.map((thread) => thread.id)"):
        rows = page.get(f"api/rows?lane=1.{thread}.0") if page.js(f"return traceView.model.threads[{thread}].rows") else {"start": []}
        for i in range(len(rows["start"])):
            if rows["label"][i] == "mutex" and rows["dur"][i] > dur and rows["arg"][i] != 0xFFFFFFFF:
                lane, start, dur = thread, rows["start"][i], rows["dur"][i]
    if not check(lane is not None, f"a lane has a wait for a mutex: {wait}"):
        return
    name = page.js(f"return traceView.model.threadName({lane})")
    page.js(f"traceView.timeline.show({start - dur}, {start + 2 * dur})")
    page.settle()
    page.mouse([(page.x(start + dur / 2), page.lane(name))])
    page.until("document.querySelector('#panel h2') && document.querySelector('#panel h2').innerText.includes('mutex')")
    panel = page.text("#panel")
    check("let in by" in panel and "waited at" in panel, f"a click tells who held the lock, and both stacks: {panel}")
    check(page.js("return traceView.timeline.arrows.length") == 1, "an arrow leads from who let go")
    link = page.js("return document.querySelector('#panel h3 a')")
    if check(link is not None, "the holder is a link"):
        page.js("document.querySelector('#panel h3 a').click()")
        page.until(f"traceView.timeline.picked && traceView.timeline.picked.thread !== {lane}")
    # The address brings back what was seen.
    time.sleep(0.4)
    link = page.js("return location.hash")
    view = page.view()
    page.open(link)
    page.settle()
    check(all(abs(a - b) <= 1 for a, b in zip(page.view(), view)), f"a link keeps the range: {page.view()} {view}")
    check(page.js("return traceView.timeline.picked !== null"), "and what was picked")


def check_ranges(page, space, trace):
    page.open("")
    page.settle()
    whole = page.view()[1]
    page.mouse([(page.x(whole * 0.1), 200), (page.x(whole * 0.3), 200), (page.x(whole * 0.6), 205)], Keys.SHIFT)
    page.until("document.querySelector('#panel canvas.flame')")
    selection = page.js("return traceView.timeline.selection")
    check(abs(selection["from"] - whole * 0.1) < whole * 0.01 and abs(selection["to"] - whole * 0.6) < whole * 0.01, f"Shift and drag select: {selection}")
    tree = page.get(f"api/flame?type=offcpu&from={selection['from']}&to={selection['to']}")
    ns = json.loads(space.view("sql", "--json", "--cache", space.path / "cache", trace,
        f"SELECT sum(min(end, {selection['to']}) - max(ts, {selection['from']})) AS ns FROM slice "
        f"WHERE ts < {selection['to']} AND end > {selection['from']} AND state <> 'runnable'").stdout)[0]["ns"]
    check(tree["v"] == ns, f"the flame graph's sum is that of the slices: {tree['v']} {ns}")
    check("Threads by state" in page.text("#panel"), "a range has a table by state")
    page.until("document.querySelectorAll('.histogram div').length > 0")
    bars = page.js("return [...document.querySelectorAll('.histogram div')].map((bar) => bar.title)")
    page.js("[...document.querySelectorAll('.histogram div')].find((bar) => !bar.title.endsWith(': 0')).click()")
    page.until("document.querySelector('.histogram .on')")
    page.until("document.querySelectorAll('#panel table a').length > 0")
    check(bars, "a range has a histogram, whose bars list what is in them")
    page.mouse([(page.x(whole * 0.7), 200), (page.x(whole * 0.8), 200), (page.x(whole * 0.9), 205)], Keys.CONTROL)
    page.until("traceView.timeline.second && document.querySelector('#panel h2').innerText.includes('against')")
    page.key(Keys.ESCAPE)
    check(page.js("return traceView.timeline.selection === null && traceView.timeline.second === null"), "Escape drops the ranges")


def check_search(page):
    page.open("")
    page.key("/")
    page.browser.switch_to.active_element.send_keys("worker")
    check(page.js("return traceView.timeline.search") == "worker", "/ and a word search")
    lanes = page.js("return traceView.timeline.lanes.filter((lane) => lane.kind === 'thread').map((lane) => [lane.name, traceView.timeline.matches(lane)])")
    check(any(match for _, match in lanes) and all(match == ("worker" in name) for name, match in lanes), f"what does not match is dimmed: {lanes}")
    page.browser.switch_to.active_element.send_keys(Keys.ESCAPE)
    check(page.js("return traceView.timeline.search") == "", "Escape ends the search")


def check_pages(page):
    page.open("")
    for name in page.js("return [...document.querySelectorAll('#tabs button')].map((tab) => tab.dataset.page)"):
        page.js(f"document.querySelector('[data-page={json.dumps(name)}]').click()")
        shown = page.js("return document.getElementById('timeline-page').hidden ? document.getElementById('table-page').innerText : 'timeline'")
        check(len(shown) > 5, f"page {name} shows something: {shown!r}")
    # Sorting by a click.
    page.js("document.querySelector('[data-page=threads]').click()")
    page.js("document.querySelector('#table-page th').click()")
    names = page.js("return [...document.querySelectorAll('#table-page tr td:first-child')].map((cell) => cell.innerText)")
    check(names == sorted(names, key=str.lower), f"a click on a title sorts: {names}")


def check_guard(page):
    """Other sites' pages get nothing."""
    for headers in ({"Origin": "http://evil.example"}, {"Host": "evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
        try:
            urllib.request.urlopen(urllib.request.Request(page.url + "api/trace", headers=headers))
            status = 200
        except urllib.error.HTTPError as error:
            status = error.code
        check(status == 403, f"{headers} is refused: {status}")
    try:
        urllib.request.urlopen(page.url + "../../etc/passwd")
        check(False, "there is no such path")
    except urllib.error.HTTPError as error:
        check(error.code == 404, f"an unknown path is 404: {error.code}")


def main():
    options = Options()
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--window-size=1500,950", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    with Workspace() as space:
        options.add_argument(f"--user-data-dir={space.path}/browser")
        browser = webdriver.Chrome(options=options, service=Service("/usr/bin/chromedriver"))
        try:
            trace = space.trace(STORY)
            with Page(space, trace, browser) as page:
                check_numbers(page, space, trace)
                check_moves(page)
                check_wait(page)
                check_ranges(page, space, trace)
                check_search(page)
                check_pages(page)
                check_guard(page)
                errors = [line for line in browser.get_log("browser") if line["level"] == "SEVERE" and "/api/at" not in line["message"]]
                check(not errors, f"the browser has nothing to complain about: {errors}")
        finally:
            browser.quit()
    done()


main()
