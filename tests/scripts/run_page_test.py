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
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

BNTRAIN = Path(sys.argv.pop(1)).resolve()
WIDTHS = (360, 768, 1300, 3840)
NETWORK = ",".join(["fc12,bn,relu"] * 6 + ["fc10"])
# Run inside every page: opens what is closed, looks at every chart, points at the first one, uses a switch, prints.
PROBE = """
addEventListener("load", async () => {
  const pause = () => new Promise(done => setTimeout(done, 200));
  const all = (selector, of = document) => [...of.querySelectorAll(selector)];
  const box = element => { const { left, right, top, bottom } = element.getBoundingClientRect(); return { left, right, top, bottom }; };
  function look(canvas) {
    const { width, height } = canvas;
    const copy = new OffscreenCanvas(Math.max(width, 1), Math.max(height, 1)).getContext("2d", { willReadFrequently: true });
    if (width && height) copy.drawImage(canvas, 0, 0);
    const pixels = copy.getImageData(0, 0, Math.max(width, 1), Math.max(height, 1)).data;
    const colors = new Set();
    for (let i = 0; i < pixels.length && colors.size <= 3; i += 4) if (pixels[i + 3] > 200) colors.add(pixels[i] << 16 | pixels[i + 1] << 8 | pixels[i + 2]);
    const { width: wide, height: high } = canvas.getBoundingClientRect();
    const chart = Chart.getChart(canvas);
    return { width: wide, height: high, colors: colors.size, alt: canvas.getAttribute("aria-label"),
      legend: (chart?.legend.legendItems || []).map(item => [item.text, (item.lineDash || []).join(), item.pointStyle]),
      dashes: (chart?.data.datasets || []).filter(set => set.group !== undefined).map(set => [set.group, (set.borderDash || []).join()]) };
  }
  const closed = all("details:not([open])").length;
  for (const part of all("details.layer")) part.open = true;
  await pause();
  const charts = Object.fromEntries(all("canvas").map(canvas => [canvas.id, look(canvas)]));
  const first = document.querySelector("canvas"), { left, top, width, height } = first.getBoundingClientRect();
  first.dispatchEvent(new MouseEvent("mousemove", { clientX: left + width / 2, clientY: top + height / 2, bubbles: true }));
  await pause();
  const tooltip = Chart.getChart(first).tooltip;
  const one = document.querySelector("input[data-group]"), shown = () => Chart.getChart(first).getVisibleDatasetCount();
  const before = shown();
  one?.click();
  await pause();
  let again = one ? all("canvas") : [], open_on_paper = true;
  if (innerWidth === 1300) {  // what draws everything again takes its time
    const layer = document.querySelector("details.layer");
    if (layer) layer.open = false;
    await pause();
    dispatchEvent(new Event("beforeprint"));
    open_on_paper = all("details:not([open])").length === 0;
    dispatchEvent(new Event("afterprint"));
    if (layer) layer.open = true;
    await pause();
    again = all("canvas");
  }
  const cut = all("h1, h2, h3, h4, p, dt, dd, figcaption, pre")
    .filter(part => part.scrollWidth > part.clientWidth + 1 && getComputedStyle(part).display !== "inline").map(part => part.textContent.slice(0, 60));
  const matrix = document.querySelector("svg.confusion");
  parent.postMessage({ name: window.name, width: innerWidth, wide: document.documentElement.scrollWidth, charts, cut, closed, open_on_paper,
    redrawn: again.map(canvas => look(canvas).colors), shown: [before, shown()],
    swatches: all(".swatch line").map(line => line.getAttribute("stroke-dasharray")),
    matrix: matrix && { box: box(matrix), labels: all("text", matrix).map(text => [text.textContent, box(text)]), cells: all("path", matrix).map(box) },
    heads: Object.fromEntries(all("#runs ~ .wide th[scope=col]").map(head => [head.textContent, head.getBoundingClientRect().right])),
    numbers: all(".pair td").map(cell => cell.getBoundingClientRect().right),
    paper: getComputedStyle(document.body).backgroundColor, tick: Chart.getChart(first).options.scales.x.ticks.color,
    tooltip: [tooltip.title, tooltip.body.map(part => part.lines)].flat(3),
    fetched: performance.getEntriesByType("resource").map(entry => entry.name).filter(name => !name.startsWith("data:")),
    pictures: all("img").map(image => image.naturalWidth) }, "*");
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
             "--host-resolver-rules=MAP * ~NOTFOUND", "--virtual-time-budget=100000", "--window-size=4000,2000",
             f"--user-data-dir={profile}", *flags, page.as_uri()], capture_output=True, text=True, timeout=300)
    if done.returncode != 0:
        raise AssertionError(f"Chromium failed: {done.stderr}")
    return done.stdout, [line for line in done.stderr.splitlines() if "CONSOLE" in line]


def digest(script):
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


class RunPageTest(unittest.TestCase):
    """All pages are looked at in one browser, each in frames of several widths."""

    @classmethod
    def setUpClass(cls):
        cls.keeper = tempfile.TemporaryDirectory(prefix="a run's & <folder> ")
        cls.folder = Path(cls.keeper.name)
        cls.train("run", "--epochs", 3, "--record", "bn,activations", "--log-every", 5, "--eval-every", 10)
        cls.train("diverged", "--lr", "1e30", "--record", "bn", "--log-every", 1, code=4)
        cls.train("slow", "--epochs", 2, "--lr", 0.01, "--network", "fc24,relu," * 20 + "fc10")
        bntrain("report", cls.folder / "run", cls.folder / "slow", "-o", cls.folder / "both.html")
        pages = {"run": cls.page("run"), "diverged": cls.page("diverged"), "both": (cls.folder / "both.html").read_text(),
                 "names": cls.page_of_classes(["w" * 150] * 10), "classes": cls.page_of_classes([f"class {i}" for i in range(100)])}
        widths = dict.fromkeys(pages, WIDTHS) | {"names": WIDTHS[::2], "classes": WIDTHS[::2]}
        frames = [(name, width, "light") for name in pages for width in widths[name]] + [("run", 1300, "dark")]
        cls.views, cls.console = cls.probe(pages, frames)

    @classmethod
    def tearDownClass(cls):
        cls.keeper.cleanup()

    @classmethod
    def train(cls, name, *more, code=0):
        network = [] if "--network" in more else ["--network", NETWORK]
        bntrain("--data", "synthetic:shape=1x8x8,train=600,test=200", *network, "--init", "he", "--batch-size", 20, "--device", "cpu",
                "--out", cls.folder / name, *more, code=code)

    @classmethod
    def page(cls, name="run"):
        return (cls.folder / name / "report.html").read_text()

    @classmethod
    def page_of_classes(cls, names):
        """That of the diverged run, the shortest, with an evaluation of these classes."""
        folder = cls.folder / f"{len(names)} classes"
        shutil.copytree(cls.folder / "diverged", folder)
        confusion = [[50 if row == column else (row + column) % 7 for column in range(len(names))] for row in range(len(names))]
        (folder / "evaluation.json").write_text(json.dumps({"epoch": 0, "step": 1, "images": "test", "count": 9, "classes": names,
                                                            "confusion": confusion, "mistakes": []}))
        bntrain("report", folder)
        return (folder / "report.html").read_text()

    @classmethod
    def probe(cls, pages, frames):
        """What PROBE found in the frames, by name and width, and the console. The policies stay, with the probe added to them."""
        for name, page in pages.items():
            probed = page.replace("script-src ", f"script-src 'sha256-{digest(PROBE)}' ").replace("</body>", f"<script>{PROBE}</script></body>")
            (cls.folder / f"probed-{name}.html").write_text(probed)
        text = "".join(f'<iframe name="{name} {scheme}" src="probed-{name}.html" style="width:{width}px;color-scheme:{scheme}">'
                       "</iframe>" for name, width, scheme in frames)
        (cls.folder / "frames.html").write_text(
            '<!doctype html><link rel="icon" href="data:,"><style>iframe { position: absolute; top: 0; left: 0; height: 900px; border: 0; }</style>'
            '<script>onmessage = event => document.body.append('
            f'"FOU" + "ND" + JSON.stringify(event.data) + "E" + "ND");</script><body>{text}')
        dom, console = chromium(cls.folder / "frames.html", "--dump-dom")
        found = [json.loads(html.unescape(text)) for text in re.findall("FOUND(.*?)END", dom, re.DOTALL)]
        return {(*view["name"].split(), view["width"]): view for view in found}, console

    def look(self, name, least_charts, widths=WIDTHS):
        """The views of the page, after what every page must be."""
        views = [view for key, view in self.views.items() if key[:2] == (name, "light")]
        self.assertEqual(sorted(view["width"] for view in views), list(widths))
        for view in views:
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
                self.assertGreater(min(view["redrawn"], default=4), 3, "a chart is blank after a switch, a closed part or printing")
                self.assertTrue(view["open_on_paper"])
                self.assertTrue(all(width > 0 for width in view["pictures"]))
        return views

    def test_the_console_is_silent(self):
        self.assertEqual(self.console, [])

    def test_whole_page(self):
        for view in self.look("run", 6 + 6 * 5 + 6 * 2):
            self.assertEqual(view["tooltip"][0], "epoch 1")
            self.assertRegex(" ".join(view["tooltip"]), r"train: [0-9.]+ test: [0-9.]+")
            self.assertGreater(view["closed"], 40)
        self.assertEqual(re.findall(r'<(?:link|img|script|iframe)[^>]*(?:src|href)="(?!data:)[^"]*"', self.page()), [])

    def test_legends_show_lines_as_they_are_drawn(self):
        for view in self.look("run", 40):
            legend = view["charts"]["norm-0-mean"]["legend"]
            self.assertEqual(legend, [["batch, all channels", "", "rect"], ["batch, median channel", "", "line"],
                                      ["running, all channels", "", "rect"], ["running, median channel", "6,3", "line"]])
            self.assertEqual([entry[:2] for entry in view["charts"]["loss-by-epoch"]["legend"]], [["train", ""], ["test", "6,3"]])

    def test_dark(self):
        light, dark = self.views["run", "light", 1300], self.views["run", "dark", 1300]
        self.assertEqual((light["paper"], dark["paper"]), ("rgb(255, 255, 255)", "rgb(13, 17, 23)"))
        self.assertNotEqual(light["tick"], dark["tick"])
        self.assertEqual([chart["colors"] > 3 for chart in dark["charts"].values()], [True] * len(light["charts"]))

    def test_what_comes_with_the_data_runs_no_script_and_fetches_nothing(self):
        foreign = "<script>document.title = 'RAN'</script><img src=\"https://example.org/a.png\"></body>"
        (self.folder / "foreign.html").write_text(self.page().replace("</body>", foreign))
        dom, console = chromium(self.folder / "foreign.html", "--dump-dom")
        self.assertNotIn("<title>RAN", dom)
        self.assertRegex("".join(console), "(?s)inline script.*Content Security Policy")
        self.assertRegex("".join(console), "example.org")

    def test_diverged(self):
        self.look("diverged", 3)

    def test_several_runs(self):
        for view in self.look("both", 6):
            self.assertEqual(view["shown"], [2, 1], "the switch of the first run")
            self.assertEqual(view["swatches"], ["", "6,3"])
            for name, chart in view["charts"].items():
                self.assertEqual(dict(chart["dashes"]), {0: "", 1: "6,3"}, name)
            heads = list(view["heads"])
            self.assertLess(heads.index("images a second"), heads.index("network"))
            if view["width"] >= 1280:
                self.assertLess(view["heads"]["images a second"], view["width"], "results are in view")

    def test_long_names_of_classes_push_no_count_out_of_view(self):
        for view in self.look("names", 3, WIDTHS[::2]):
            self.assertEqual(len(view["numbers"]), 100 + 10 * 5)
            if view["width"] >= 1280:
                self.assertLess(max(view["numbers"]), view["width"])

    def test_large_matrices_have_labels_beside_their_cells(self):
        for view in self.look("classes", 3, WIDTHS[::2]):
            matrix = view["matrix"]
            around, cells = matrix["box"], matrix["cells"]
            left, top = min(cell["left"] for cell in cells), min(cell["top"] for cell in cells)
            self.assertEqual([text for text, _ in matrix["labels"]], ["predicted", "label"])
            for text, box in matrix["labels"]:
                self.assertGreaterEqual(min(box["right"] - box["left"], box["bottom"] - box["top"]), 8, f"{text} is too small")
                self.assertGreaterEqual(box["left"], around["left"] - 1, text)
                self.assertGreaterEqual(box["top"], around["top"] - 1, text)
            predicted, label = (box for _, box in matrix["labels"])
            self.assertLessEqual(predicted["bottom"], top + 1)
            self.assertLessEqual(label["right"], left + 1)

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
