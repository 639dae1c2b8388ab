#!/usr/bin/python3
"""The page of a run in Chromium: every chart drawn, nothing fetched, no error, no sideways scrolling, light and dark, on paper.

usage: run_page_test.py BNTRAIN [ARGUMENT OF unittest...]
"""
import base64
import hashlib
import html
import json
import os
import re
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

BNTRAIN = Path(sys.argv.pop(1)).resolve()
WIDTHS = (360, 768, 1300, 3840)
NETWORK = ",".join(["fc12,bn,relu"] * 6 + ["fc10"])
# Run inside the page: opens what is closed, looks at every chart and points at the first one.
PROBE = """
addEventListener("load", async () => {
  const pause = () => new Promise(done => setTimeout(done, 200));
  for (const part of document.querySelectorAll("details.layer")) part.open = true;
  await pause();
  const charts = {};
  for (const canvas of document.querySelectorAll("canvas")) {
    const { width, height } = canvas;
    const pixels = width && height ? canvas.getContext("2d").getImageData(0, 0, width, height).data : [];
    const colors = new Set();
    for (let i = 0; i < pixels.length; i += 4) if (pixels[i + 3] > 200) colors.add(pixels[i] << 16 | pixels[i + 1] << 8 | pixels[i + 2]);
    const box = canvas.getBoundingClientRect();
    charts[canvas.id] = { width: box.width, height: box.height, colors: colors.size, alt: canvas.getAttribute("aria-label") };
  }
  const first = document.querySelector("canvas"), box = first.getBoundingClientRect();
  first.dispatchEvent(new MouseEvent("mousemove", { clientX: box.left + box.width / 2, clientY: box.top + box.height / 2, bubbles: true }));
  await pause();
  const tooltip = Chart.getChart(first).tooltip;
  const one = document.querySelector("input[data-group]"), shown = () => Chart.getChart(first).getVisibleDatasetCount();
  const before = shown();
  one?.click();
  await pause();
  const cut = [...document.querySelectorAll("h1, h2, h3, h4, p, dt, dd, figcaption, pre")]
    .filter(part => part.scrollWidth > part.clientWidth + 1 && getComputedStyle(part).display !== "inline").map(part => part.textContent.slice(0, 60));
  parent.postMessage({ width: innerWidth, wide: document.documentElement.scrollWidth, charts, cut, shown: [before, shown()],
    paper: getComputedStyle(document.body).backgroundColor, tick: Chart.getChart(first).options.scales.x.ticks.color,
    tooltip: [tooltip.title, tooltip.body.map(part => part.lines)].flat(3),
    fetched: performance.getEntriesByType("resource").map(entry => entry.name).filter(name => !name.startsWith("data:")),
    pictures: [...document.images].map(image => image.naturalWidth) }, "*");
});
"""


def bntrain(*arguments, code=0):
    environment = {name: value for name, value in os.environ.items() if not name.startswith("BNTRAIN_")}
    done = subprocess.run([BNTRAIN, *map(str, arguments)], capture_output=True, text=True, env=environment)
    if done.returncode != code:
        raise AssertionError(f"{arguments}: exit code {done.returncode}: {done.stderr}")
    return done.stdout


def chromium(page, *flags):
    """(stdout, what the console said)."""
    with tempfile.TemporaryDirectory() as profile:
        done = subprocess.run(
            ["chromium", "--headless=new", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", "--log-level=0",
             "--host-resolver-rules=MAP * ~NOTFOUND", "--virtual-time-budget=20000", "--window-size=4000,2000",
             f"--user-data-dir={profile}", *flags, page.as_uri()], capture_output=True, text=True, timeout=300)
    if done.returncode != 0:
        raise AssertionError(f"Chromium failed: {done.stderr}")
    return done.stdout, [line for line in done.stderr.splitlines() if "CONSOLE" in line]


class RunPageTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.keeper = tempfile.TemporaryDirectory(prefix="a run's & <folder> ")
        cls.folder = Path(cls.keeper.name)
        cls.train("run", "--epochs", 3, "--record", "bn,activations", "--log-every", 5, "--eval-every", 10)

    @classmethod
    def tearDownClass(cls):
        cls.keeper.cleanup()

    @classmethod
    def train(cls, name, *more, code=0):
        bntrain("--data", "synthetic:shape=1x8x8,train=600,test=200", "--network", NETWORK, "--init", "he", "--batch-size", 20, "--device", "cpu",
                "--out", cls.folder / name, *more, code=code)

    def page(self, name="run"):
        return (self.folder / name / "report.html").read_text()

    def probe(self, page, *flags):
        """What PROBE found in the page, by width. The policy of the page stays, with the probe added to it."""
        digest = base64.b64encode(hashlib.sha256(PROBE.encode()).digest()).decode()
        self.assertEqual(page.count("script-src "), 1)
        probed = page.replace("script-src ", f"script-src 'sha256-{digest}' ").replace("</body>", f"<script>{PROBE}</script></body>")
        (self.folder / "probed.html").write_text(probed)
        frames = "".join(f'<iframe src="probed.html" style="width:{width}px;height:900px;border:0"></iframe>' for width in WIDTHS)
        (self.folder / "frames.html").write_text(
            f'<!doctype html><link rel="icon" href="data:,"><script>onmessage = event => document.body.append('
            f'"FOU" + "ND" + JSON.stringify(event.data) + "E" + "ND");</script><body>{frames}')
        dom, console = chromium(self.folder / "frames.html", "--dump-dom", *flags)
        self.assertEqual(console, [])
        found = [json.loads(html.unescape(text)) for text in re.findall("FOUND(.*?)END", dom, re.DOTALL)]
        self.assertEqual(sorted(view["width"] for view in found), list(WIDTHS))
        return found

    def look(self, page, least_charts, *flags):
        found = self.probe(page, *flags)
        for view in found:
            with self.subTest(width=view["width"]):
                self.assertLessEqual(view["wide"], view["width"])
                self.assertEqual(view["fetched"], [])
                self.assertEqual(view["cut"], [])
                self.assertGreaterEqual(len(view["charts"]), least_charts)
                for name, chart in view["charts"].items():
                    self.assertGreater(chart["width"], 240, name)
                    self.assertGreater(chart["height"], 200, name)
                    self.assertGreater(chart["colors"], 3, f"{name} is blank")
                    self.assertGreater(len(chart["alt"]), 40)
                self.assertTrue(all(width > 0 for width in view["pictures"]))
        return found

    def test_whole_page(self):
        page = self.page()
        for view in self.look(page, 6 + 6 * 5 + 6 * 2):
            self.assertEqual(view["tooltip"][0], "epoch 1")
            self.assertRegex(" ".join(view["tooltip"]), r"train: [0-9.]+ test: [0-9.]+")
        self.assertEqual(re.findall(r'<(?:link|img|script|iframe)[^>]*(?:src|href)="(?!data:)[^"]*"', page), [])

    def test_dark(self):
        light = self.look(self.page(), 40, "--blink-settings=preferredColorScheme=1")[0]
        dark = self.look(self.page(), 40, "--blink-settings=preferredColorScheme=0")[0]
        self.assertEqual((light["paper"], dark["paper"]), ("rgb(255, 255, 255)", "rgb(13, 17, 23)"))
        self.assertNotEqual(light["tick"], dark["tick"])

    def test_console_errors_and_requests_would_be_seen(self):
        page = self.page().replace("</body>", '<img src="https://example.org/a.png"></body>')
        (self.folder / "broken.html").write_text(page)
        self.assertRegex("".join(chromium(self.folder / "broken.html", "--dump-dom")[1]), "example.org")

    def test_a_script_that_came_with_the_data_would_not_run(self):
        page = self.page().replace("</body>", "<script>document.title = 'RAN'</script></body>")
        (self.folder / "foreign.html").write_text(page)
        dom, console = chromium(self.folder / "foreign.html", "--dump-dom")
        self.assertNotIn("<title>RAN", dom)
        self.assertRegex("".join(console), "Content Security Policy")

    def test_diverged(self):
        self.train("diverged", "--lr", "1e30", "--record", "bn", "--log-every", 1, code=4)
        self.look(self.page("diverged"), 3)

    def test_several_runs(self):
        self.train("slow", "--epochs", 2, "--lr", 0.01)
        file = self.folder / "both.html"
        bntrain("report", self.folder / "run", self.folder / "slow", "-o", file)
        for view in self.look(file.read_text(), 6):
            self.assertEqual(view["shown"], [2, 1], "the switch of the first run")

    def test_on_paper_every_table_is_open(self):
        def pages(text):
            file = self.folder / "paper.html"
            file.write_text(text)
            pdf = self.folder / "paper.pdf"
            chromium(file, f"--print-to-pdf={pdf}")
            return len(re.findall(rb"/Type\s*/Page\b", pdf.read_bytes()))
        page = self.page()
        without_tables = re.sub(r'<details class="values">.*?</details>', "", page, flags=re.DOTALL)
        self.assertGreater(pages(page), pages(without_tables) + 1)


if __name__ == "__main__":
    unittest.main()
