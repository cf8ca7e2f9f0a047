"""report.html in a real Chromium: it sorts, filters and drills down, without an error and without a network request.

The browser is driven over the DevTools protocol on a pipe (file descriptors 3 and 4, messages end with a zero byte), so
no client library and no open port is needed.
"""

import json
import os
import shutil
import signal
import subprocess
import time
from dataclasses import replace

import pytest

from bench.report import write_report

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(BROWSER is None, reason="no Chromium here (Debian's package: chromium)")

FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--disable-extensions", "--hide-scrollbars",
    "--remote-debugging-pipe",
)  # fmt: skip


class Browser:
    """One Chromium with one page; every console message, exception and request is kept."""

    def __init__(self, profile):
        to_browser, self._out = os.pipe()
        self._in, from_browser = os.pipe()

        def wire():
            # both ends may already be numbered 3 or 4: move them out of the way first
            read, write = os.dup(to_browser), os.dup(from_browser)
            os.dup2(read, 3)
            os.dup2(write, 4)

        self._process = subprocess.Popen(
            [BROWSER, *FLAGS, f"--user-data-dir={profile}"],
            preexec_fn=wire,
            close_fds=False,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        os.close(to_browser)
        os.close(from_browser)
        self._buffer, self._number, self._session = b"", 0, None
        self.problems, self.requests = [], []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")

    def call(self, method, **params):
        self._number += 1
        message = {"id": self._number, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._receive()
            if answer.get("id") == self._number:
                assert "error" not in answer, answer
                return answer["result"]

    def _receive(self):
        while b"\0" not in self._buffer:
            chunk = os.read(self._in, 1 << 16)
            assert chunk, "the browser has ended"
            self._buffer += chunk
        line, self._buffer = self._buffer.split(b"\0", 1)
        answer = json.loads(line)
        self._note(answer.get("method"), answer.get("params", {}))
        return answer

    def _note(self, method, params):
        if method == "Runtime.exceptionThrown":
            self.problems.append(params["exceptionDetails"])
        elif method == "Runtime.consoleAPICalled" and params["type"] in ("error", "warning"):
            self.problems.append(params["args"])
        elif method == "Log.entryAdded" and params["entry"]["level"] in ("error", "warning"):
            self.problems.append(params["entry"])
        elif method == "Network.requestWillBeSent":
            self.requests.append(params["request"]["url"])

    def run(self, script):
        """Return what a JavaScript expression gives, promises awaited."""
        result = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    def wait_for(self, script):
        for _ in range(200):
            if self.run(script):
                return
            time.sleep(0.1)
        raise AssertionError(f"never true: {script}")

    def key(self, name, code):
        for kind in ("rawKeyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=name, code=name, windowsVirtualKeyCode=code)

    def open(self, path, width=1280, height=1000, theme="light"):
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": theme}])
        self.call("Page.navigate", url=path.as_uri())
        self.wait_for("document.readyState === 'complete'")

    def close(self):
        os.close(self._out)
        try:
            self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        os.close(self._in)


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    browser = Browser(tmp_path_factory.mktemp("profile"))
    yield browser
    browser.close()


@pytest.fixture(scope="module")
def page(make_run, tmp_path_factory):
    run = make_run()
    evil = "</script><script>window.hacked = 1</script><img src=http://127.0.0.1:9/x onerror=window.hacked=1>"
    rows = [replace(r, model=evil) if r.model == "qda" else r for r in run.rows]
    run.rows[:] = [replace(r, message=evil) if r.status == "timeout" else r for r in rows]
    folder = run.write(tmp_path_factory.mktemp("browser") / "run")
    write_report(folder)
    return folder / "report.html"


@pytest.fixture
def opened(browser, page):
    browser.problems.clear()
    browser.requests.clear()
    browser.open(page)
    yield browser
    assert browser.problems == []
    assert [url for url in browser.requests if not url.startswith(("file:", "data:", "blob:"))] == []
    assert browser.run("window.hacked") is None


def models(browser):
    return browser.run(
        "[...document.querySelectorAll('.scores tbody tr:not([hidden]) th')].map(th => th.dataset.value)"
    )


def choose(selector, value):
    change = "f.dispatchEvent(new Event('change'))"
    return f"(() => {{ const f = document.querySelector('{selector}'); f.value = '{value}'; {change}; }})()"


def test_sorts_and_says_so_to_screen_readers(opened):
    unsorted = models(opened)
    click = "document.querySelectorAll('.sort')[1].click()"
    values = "[...document.querySelectorAll('.scores tbody tr')].map(tr => tr.cells[1].dataset.value)"
    state = "document.querySelectorAll('.scores thead th')[1].getAttribute('aria-sort')"
    opened.run(click)
    assert opened.run(state) == "descending"
    scores = [float(v) for v in opened.run(values) if v != ""]
    assert scores == sorted(scores, reverse=True)
    opened.run(click)
    assert opened.run(state) == "ascending"
    assert [float(v) for v in opened.run(values)] == sorted(scores)
    opened.run(click)
    assert opened.run(state) == "none"
    assert models(opened) == unsorted


def test_what_has_no_score_sorts_last_either_way(opened):
    click = "document.querySelectorAll('.sort')[4].click()"  # hog: one timeout, one skipped
    values = "[...document.querySelectorAll('.scores tbody tr')].map(tr => tr.cells[4].dataset.value)"
    for _ in range(2):
        opened.run(click)
        assert opened.run(values)[-2:] == ["", ""]


def test_filters_by_name_and_family(opened):
    set_find = (
        "(() => {{ const f = document.querySelector('.find'); f.value = {}; f.dispatchEvent(new Event('input')); }})()"
    )
    opened.run(set_find.format("'SVC'"))
    assert models(opened) == ["linear_svc", "svc_rbf"]
    assert opened.run("document.querySelector('.count').textContent") == "2 of 18 models"
    opened.run(set_find.format("''"))
    opened.run(choose(".family", "deep"))
    assert "conv16_32" in models(opened) and "lda" not in models(opened)


def test_shows_another_measure_and_comes_back(opened):
    text = "document.querySelector('.scores tbody td.cell .open').textContent"
    before = opened.run(text)
    opened.run(choose(".measure", "time_fit_s"))
    opened.wait_for(f"{text} === '0.00039'")
    assert "median" in opened.run("document.querySelector('.showing').textContent")
    opened.run(choose(".measure", "accuracy"))
    opened.wait_for(f"{text} === {json.dumps(before)}")


def test_drills_down_by_keyboard_to_folds_and_hashes(opened):
    opened.run("document.querySelector('.scores tbody td.cell .open').focus()")
    opened.call(
        "Input.dispatchKeyEvent", type="keyDown", key="Enter", code="Enter", windowsVirtualKeyCode=13, text="\r"
    )
    opened.wait_for("document.querySelector('dialog').open")
    assert opened.run("document.querySelector('#drill-title').textContent") == "dummy on raw (digits)"
    assert opened.run("document.querySelectorAll('#drill-body table')[0].tBodies[0].rows.length") == 5
    assert len(opened.run("document.querySelector('#drill-body code').title")) == 64
    opened.key("Escape", 27)
    opened.wait_for("!document.querySelector('dialog').open")
    assert opened.run("document.activeElement.className") == "open"


def test_charts_are_drawn_with_hover_in_both_themes(opened):
    opened.run("document.querySelector('.charts').scrollIntoView()")
    opened.wait_for("document.querySelectorAll('.chart[data-drawn]').length === 2")
    assert opened.run("document.querySelectorAll('.chart svg.marks path, .chart svg.marks text').length") > 100
    light = opened.run("document.querySelector('[data-chart=pareto] svg.marks text').getAttribute('fill')")
    opened.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark"}])
    opened.wait_for(f"document.querySelector('[data-chart=pareto] svg.marks text')?.getAttribute('fill') !== '{light}'")


def test_a_phone_scrolls_only_the_table(opened, page):
    opened.open(page, width=390, height=844)
    assert opened.run("document.documentElement.scrollWidth") <= 390
    assert opened.run("document.querySelector('.scroll').scrollWidth > document.querySelector('.scroll').clientWidth")


def test_names_that_look_like_markup_are_text(opened):
    assert any(name.startswith("</script>") for name in models(opened))
    assert opened.run("document.querySelectorAll('main img').length") == 0


# -- a run of networks with curves, confusions and probabilities, on two data sets


@pytest.fixture(scope="module")
def rich_page(make_run, tmp_path_factory):
    few = {"lda": ("classical", 95.0, 0.1), "knn": ("classical", 97.0, 0.01), "mlp_100": ("deep", 98.0, 0.2)}
    run = make_run(models=few, features={"raw": 0.0})
    bins = [[9, 100, 0.62, 0.5], [14, 259, 0.98, 1.0]]
    curve = {"epoch": [1, 2, 4], "time_s": [0.05, 0.1, 0.2], "loss": [2.0, 1.0, 0.5], "score": [0.5, 0.7, 0.9]}
    batches = [{"batch": 1, "n": 3, "p50_s": 1e-4, "samples_s": [1e-4, 2e-4]}]
    more = {"confusion": [[170, 5], [4, 180]], "calibration": {"n_bins": 15, "ece": 0.02, "bins": bins}, "cpu_fit_s": 0.125}
    rows = [replace(r, **more, curve=curve if r.family == "deep" else None, predict_batches=batches) for r in run.rows]
    run.rows[:] = [replace(r, dataset=name) for name in ("wine", "iris") for r in rows]
    run.manifest["datasets"] = {"wine": {"classes": ["<b>red</b>", "white"]}}
    folder = run.write(tmp_path_factory.mktemp("rich") / "run")
    write_report(folder)
    return folder / "report.html"


@pytest.fixture
def rich(browser, rich_page):
    browser.problems.clear()
    browser.requests.clear()
    browser.open(rich_page)
    yield browser
    assert browser.problems == []
    assert [url for url in browser.requests if not url.startswith(("file:", "data:", "blob:"))] == []


def test_every_chart_is_drawn_and_has_its_numbers(rich):
    names = rich.run("[...document.querySelectorAll('[data-section=\"0\"] .chart')].map(n => n.dataset.chart)")
    curves = ["time", "learning", "loss"]
    assert names == ["heatmap", "pareto", *curves, "confusion_deep", "confusion_classical", "reliability"]
    n = rich.run("document.querySelectorAll('.chart').length")
    assert n == 2 * len(names) + 1  # and the mean ranks
    for i in range(n):
        rich.run(f"document.querySelectorAll('.chart')[{i}].scrollIntoView({{behavior: 'instant'}})")
        rich.wait_for(f"document.querySelectorAll('.chart')[{i}].querySelector('svg') !== null")
    rich.run("document.querySelectorAll('.numbers').forEach(d => { d.open = true; })")
    rich.wait_for(f"document.querySelectorAll('.numbers tbody').length === {n}")
    assert rich.run("[...document.querySelectorAll('.numbers tbody')].every(t => t.rows.length > 0)")
    assert rich.run("document.querySelectorAll('main b:not(caption b)').length") == 0  # a class named <b>red</b> is text


def test_a_cell_opens_to_its_ledger_raw_samples_and_mistakes(rich):
    rich.run("document.querySelectorAll('.scores td.cell .open')[2].click()")
    rich.wait_for("document.querySelector('dialog').open")
    text = rich.run("document.querySelector('#drill-body').textContent")
    for part in ("The ledger", "cpu fit, s", "0.13", "predict batches 1 p50, s", "taken for", "<b>red</b>", "SHA-256"):
        assert part in text, part
    assert rich.run("document.querySelectorAll('#drill-body .strip i').length") >= 5


def test_what_scrolls_can_be_reached_by_keyboard_and_has_a_name(rich):
    scrolling = "[...document.querySelectorAll('.scroll')]"
    assert rich.run(f"{scrolling}.every(n => n.tabIndex === 0 && (n.getAttribute('aria-label') || '').length > 5)")
    assert rich.run("[...document.querySelectorAll('.chart')].every(n => n.getAttribute('role') === 'img')")
    assert rich.run("[...document.querySelectorAll('input, select')].every(n => n.closest('label') !== null)")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_text_has_contrast(rich, rich_page, theme):
    """WCAG 2.1, 1.4.3: 4.5 to 1 for text; of the colours that the page names, on its paper and on its cards."""
    rich.open(rich_page, theme=theme)
    names = ("ink", "faint", "accent", "alarm")
    values = rich.run(
        "(() => { const s = getComputedStyle(document.documentElement);"
        f" return Object.fromEntries({[*names, 'paper', 'card']}.map(n => [n, s.getPropertyValue('--' + n).trim()])); }})()"
    )

    def luminance(colour):
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
        return sum(weight * c for weight, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))

    for name in names:
        for paper in ("paper", "card"):
            pair = sorted((luminance(values[name]), luminance(values[paper])))
            assert (pair[1] + 0.05) / (pair[0] + 0.05) >= 4.5, (name, paper, values)


def test_folds_that_were_left_out_are_said(browser, make_run, tmp_path, monkeypatch):
    monkeypatch.setattr("bench.report.folds.MOST_BYTES", 10)
    folder = make_run(models={"lda": ("classical", 95.0, 0.1)}, features={"raw": 0.0}).write(tmp_path / "run")
    write_report(folder)
    browser.open(folder / "report.html")
    assert "are left out" in browser.run("document.querySelector('.made').textContent")
    browser.run("document.querySelector('.scores td.cell .open').click()")
    browser.wait_for("document.querySelector('dialog').open")
    assert "rows.jsonl holds them" in browser.run("document.querySelector('#drill-body').textContent")


def test_a_contestant_with_many_folds_shows_each_and_the_ledger_of_some(browser, make_run, tmp_path, monkeypatch):
    monkeypatch.setattr("bench.report.folds.MOST_FOLDS", 7)
    run = make_run(models={"lda": ("classical", 95.0, 0.1)}, features={"raw": 0.0}, repeats=120)
    browser.open(written(run, tmp_path))
    assert "Of contestants with more than 7 folds" in browser.run("document.querySelector('.made').textContent")
    browser.run("document.querySelector('.scores td.cell .open').click()")
    browser.wait_for("document.querySelector('dialog').open")
    assert "Of 600 folds" in browser.run("document.querySelector('#drill-body').textContent")
    rows = "document.querySelectorAll('#drill-body table')[0].tBodies[0].rows.length"
    assert browser.run(rows) == 500
    assert "500 of 600" in browser.run("document.querySelector('#drill-body .more').textContent")
    browser.run("document.querySelector('#drill-body .more').click()")
    assert browser.run(rows) == 600
    assert browser.run("document.querySelector('#drill-body .more')") is None
    assert browser.run("document.querySelectorAll('#drill-body table')[1].tHead.rows[0].cells.length") == 2 + 7
    assert browser.run("document.querySelectorAll('#drill-body .strip')[0].querySelectorAll('i').length") == 500


def written(run, folder):
    write_report(run.write(folder / "run"))
    return folder / "run" / "report.html"
