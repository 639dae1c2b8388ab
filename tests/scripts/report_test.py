#!/usr/bin/python3
"""The report of a bench as its readers meet it: the program's files, messages and exit codes, and the page in Chromium.

usage: report_test.py PLOT_REPORT [ARGUMENT OF unittest...]
"""
import html.parser
import json
import os
import re
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from sample_bench import make_bench, write_bench

PROGRAM = Path(sys.argv.pop(1)).resolve()
COMPARISON = ["accuracy-against-learning-rate", "accuracy-over-epochs", "loss-over-epochs", "steps-to-target", "difference"]
INSIDE = ["bn-input", "bn-mean", "bn-var", "bn-gamma-beta", "bn-gradients", "activation-inputs"]
WIDTHS = (400, 1200)
# Run inside the page: sizes of figures, labels outside of their figure or on top of each other, width of the contents.
PROBE = """<script>addEventListener("load", () => {
  const figures = {};
  for (const figure of document.querySelectorAll("figure")) {
    const svg = figure.querySelector("svg"), frame = svg.getBoundingClientRect();
    const texts = [...svg.querySelectorAll("text")].map(text => [text.textContent, text.getBoundingClientRect()]);
    const cut = texts.filter(([_, box]) => box.left < frame.left - 1 || box.right > frame.right + 1 ||
                                           box.top < frame.top - 1 || box.bottom > frame.bottom + 1);
    const hidden = texts.filter(([_, one], index) => texts.slice(0, index).some(([_, other]) =>
      Math.min(one.right, other.right) - Math.max(one.left, other.left) > 1 &&
      Math.min(one.bottom, other.bottom) - Math.max(one.top, other.top) > one.height / 3));
    figures[figure.id] = {width: frame.width, height: frame.height, illegible: [...cut, ...hidden].map(([text]) => text),
                          marks: svg.querySelectorAll("path, use").length, alt: svg.getAttribute("aria-label"),
                          caption: figure.querySelector("figcaption").textContent};
  }
  parent.postMessage({width: innerWidth, wide: document.documentElement.scrollWidth, figures}, "*");
});</script>"""


def report(*arguments, environment=None):
    return subprocess.run([PROGRAM, *map(str, arguments)], capture_output=True, text=True,
                          env={**os.environ, **(environment or {})})


def chromium(page):
    """(the DOM after loading, what the console said)."""
    with tempfile.TemporaryDirectory() as profile:
        done = subprocess.run(
            ["chromium", "--headless=new", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", "--log-level=0",
             "--virtual-time-budget=20000", "--window-size=1300,2000", f"--user-data-dir={profile}", "--dump-dom",
             page.as_uri()], capture_output=True, text=True, timeout=300)
    if done.returncode != 0:
        raise AssertionError(f"Chromium failed: {done.stderr}")
    return done.stdout, [line for line in done.stderr.splitlines() if "CONSOLE" in line]


class Elements(html.parser.HTMLParser):
    """Names of a page's elements, and its text."""

    def __init__(self, page):
        super().__init__()
        self.names, self.text, self.addresses = [], "", []
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.names.append(tag)
        self.addresses += [value for key, value in attributes if key in ("href", "src", "xlink:href")]

    def handle_data(self, data):
        self.text += data


class ReportTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="a bench's & folder ")
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def draw(self, bench, records=False):
        """The page's text."""
        write_bench(self.folder, bench, records)
        done = report(self.folder)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertEqual(done.stdout, f"{self.folder / 'report.html'}\n")
        return (self.folder / "report.html").read_text()

    def probe(self, page):
        """What PROBE found in the page, at each width."""
        (self.folder / "probed.html").write_text(page.replace("</body>", PROBE + "</body>"))
        frames = "".join(f'<iframe src="probed.html" style="width:{width}px;height:900px;border:0"></iframe>' for width in WIDTHS)
        (self.folder / "frames.html").write_text(
            f'<!doctype html><link rel="icon" href="data:,"><script>onmessage = event => document.body.append('
            f'"FOU" + "ND" + JSON.stringify(event.data) + "E" + "ND");</script><body>{frames}')
        dom, console = chromium(self.folder / "frames.html")
        self.assertEqual(console, [])
        found = [json.loads(Elements(text).text) for text in re.findall("FOUND(.*?)END", dom, re.DOTALL)]
        self.assertEqual(sorted(view["width"] for view in found), list(WIDTHS))
        return found

    def look(self, page, expected):
        """Opens the page at each width; the figures must be the expected ones, whole, legible and described."""
        found = self.probe(page)
        for view in found:
            self.assertLessEqual(view["wide"], view["width"])
            self.assertEqual(sorted(view["figures"]), sorted(expected))
            for name, figure in view["figures"].items():
                with self.subTest(figure=name, width=view["width"]):
                    self.assertGreater(figure["width"], 300)
                    self.assertGreater(figure["height"], 150)
                    self.assertGreater(figure["marks"], 20)
                    self.assertEqual(figure["illegible"], [])
                    self.assertGreater(len(figure["alt"]), 40)
                    self.assertGreater(len(figure["caption"]), 20)
        for name in expected:
            self.assertTrue((self.folder / f"{name}.svg").read_text().startswith("<?xml"))
            self.assertTrue((self.folder / f"{name}.png").read_bytes().startswith(b"\x89PNG"))

    def assert_refused(self, code, *words):
        done = report(self.folder)
        self.assertEqual(done.returncode, code, done.stderr)
        self.assertEqual(done.stdout, "")
        self.assertRegex(done.stderr, r"\Aerror: [^\n]*\n\Z")
        for word in words:
            self.assertIn(word, done.stderr)
        self.assertFalse((self.folder / "report.html").is_file())

    def test_console_errors_would_be_seen(self):
        page = self.folder / "broken.html"
        page.write_text('<link rel="icon" href="data:,"><script>no_such_name()</script>')
        self.assertRegex("".join(chromium(page)[1]), "no_such_name")

    def test_whole_report(self):
        bench = make_bench(lrs=(0.2, 1, 2), seeds=(0, 1), epochs=2)
        page = self.draw(bench, records=True)
        self.look(page, [f"{name}-{init}" for name in COMPARISON + INSIDE for init in ("tutorial", "torch")])
        elements = Elements(page)
        for sentence in (
                "Batch norm against no norm on Fashion-MNIST",
                "24 runs on 60,000", "Best setting: batch norm, init tutorial, learning rate 1: 92.7%, the mean of",
                "Both seeds trained up to a learning rate of 1 with batch norm and at no learning rate without batch norm.",
                "Both seeds trained up to a learning rate of 0.2 with batch norm and up to 1 without batch norm: batch norm "
                "lowered the limit by a factor of 5.",
                "; behind at 1 (−", "Of 6 runs with batch norm 1 diverged and 1 stayed at chance",
                "Learning rate 0.2, seed 0, batch norm.", "--lr 0.2,1,2", "--seeds 0,1", "Invented Processor, 2 cores"):
            self.assertIn(sentence, elements.text)
        self.assertIn(">✕ 1<", (self.folder / "accuracy-against-learning-rate-tutorial.svg").read_text())
        # Self-contained: no script, nothing fetched, links within the page only.
        self.assertNotIn("script", elements.names)
        self.assertEqual([at for at in elements.addresses if not at.startswith(("#", "data:,"))], [])
        self.assertNotRegex(page, r"@import|url\((?!#)")
        ids = re.findall(r'\bid="([^"]*)"', page)
        self.assertEqual(len(ids), len(set(ids)))

    def test_panels_have_scales_of_their_own_that_show_every_value(self):
        sys.path.insert(0, str(PROGRAM.parent))
        from report import arms, figures
        bench = arms.open_bench(make_bench(inits=("torch",), lrs=(0.2, 1, 2), seeds=(0, 1), epochs=2))
        for draw in (figures.accuracy_over_epochs, figures.loss_over_epochs):
            axes = draw(bench, "torch").axes
            self.assertEqual(len({axis.get_ylim() for axis in axes}), 3)
            for axis in axes:
                low, high = axis.get_ylim()
                self.assertGreater(len([tick for tick in axis.get_yticks() if low <= tick <= high]), 1)
                for line in axis.lines:
                    self.assertTrue(all(low <= value <= high for value in line.get_ydata()))

    def test_same_results_same_bytes(self):
        bench = make_bench(inits=("torch",), lrs=(0.2, 2), seeds=(0, 1), epochs=2)
        self.draw(bench, records=True)

        def contents():
            return {path.name: path.read_bytes() for path in self.folder.iterdir() if path.is_file()}
        before = contents()
        self.assertEqual(len(before), 2 + 2 * (1 + len(COMPARISON + INSIDE)))  # results.json, report.html, pictures
        self.draw(bench, records=True)
        after = contents()
        self.assertEqual([name for name in before if before[name] != after.get(name)], [])

    def test_one_norm_one_init_one_rate_one_seed_one_epoch(self):
        page = self.draw(make_bench(norms=("batch",), inits=("torch",), lrs=(0.2,), seeds=(7,), epochs=1))
        self.look(page, [f"{name}-torch" for name in COMPARISON if name != "difference"])
        text = Elements(page).text
        self.assertIn("Batch norm on Fashion-MNIST", text)
        self.assertIn("Learning rate 0.2, init torch, 1 seed, 1 epoch of 235 steps: 1 run on", text)
        self.assertIn("At 0.2, the only learning rate tried, the one seed trained with batch norm.", text)
        self.assertIn("The one run with batch norm trained.", text)
        self.assertIn("There is one run of each kind", text)
        self.assertNotIn("minus", text)

    def test_every_run_diverged_at_once(self):
        bench = make_bench(inits=("tutorial",), lrs=(0.5, 5), epochs=3)
        for arm in bench["arms"]:
            for run in arm["runs"]:
                run.update(outcome="diverged", divergence={"epoch": 0, "step": 1, "layer": ""}, best_test_accuracy=None,
                           steps_to_target=None, epochs=[], evaluations=[])
            arm["summary"] = {"trained": 0, "below_target": 0, "chance": 0, "diverged": 3, "epochs": [],
                              "best_test_accuracy": None, "steps_to_target": None}
        for entry in bench["largest_lr"]:
            entry["lr"] = None
        for row in bench["differences"]:
            row["test_accuracy"] = None
        page = self.draw(bench)
        self.look(page, [f"{name}-tutorial" for name in COMPARISON])
        text = Elements(page).text
        self.assertIn("At no learning rate tried did all 3 seeds train, with or without batch norm.", text)
        self.assertIn("In test accuracy after the last epoch, there is no pair to compare at 0.5 and 5.", text)
        self.assertIn("All 6 runs with batch norm diverged; all 6 runs without batch norm diverged.", text)
        self.assertIn("There is no best setting: in every one a run diverged or is missing.", text)
        self.assertEqual((self.folder / "accuracy-against-learning-rate-tutorial.svg").read_text().count(">✕ 3<"), 4)

    def test_large_grid_fits(self):
        lrs = [0.001 * 2 ** index for index in range(12)]
        page = self.draw(make_bench(inits=("he",), lrs=lrs, seeds=range(10), epochs=12, every=2000))
        self.look(page, [f"{name}-he" for name in COMPARISON])

    def test_text_is_escaped(self):
        bench = make_bench(inits=("he",), lrs=(0.1,), seeds=(0,), epochs=1)
        nasty = '<img src=x onerror="alert(1)"> & $x^{ </style>'
        bench["dataset"]["name"] = bench["environment"]["processor"] = bench["config"]["network"] = nasty
        bench["arms"][0]["network"] = nasty
        elements = Elements(self.draw(bench))
        self.assertNotIn("img", elements.names)
        self.assertEqual(elements.text.count(nasty), 7)  # title twice, network twice, data, processor, configuration
        self.assertIn("&lt;img", (self.folder / "overview.svg").read_text())

    def test_picture(self):
        bench = make_bench(lrs=(0.2, 2), seeds=(0, 1), epochs=2)
        write_bench(self.folder, bench)
        for name in ("picture.svg", "picture.png", "again.svg", "again.png"):
            done = report(self.folder, "--picture", self.folder / name)
            self.assertEqual((done.returncode, done.stderr), (0, ""))
        for suffix in ("svg", "png"):
            self.assertEqual((self.folder / f"picture.{suffix}").read_bytes(), (self.folder / f"again.{suffix}").read_bytes())
        self.assertFalse((self.folder / "report.html").exists())
        picture = (self.folder / "picture.svg").read_text()
        for view in self.probe(f"<body><figure id='picture'>{picture[picture.index('<svg'):]}<figcaption></figcaption></figure></body>"):
            self.assertEqual(view["figures"]["picture"]["illegible"], [])
            self.assertGreater(view["figures"]["picture"]["marks"], 20)
        page = self.folder / "readme.html"
        page.write_text('<link rel="icon" href="data:,"><img src="picture.svg" width=830><img src="picture.png" width=830><script>'
                        'onload = () => document.body.append("SIZES " + [...document.images].map('
                        'image => image.naturalWidth > 500 && image.height > 200))</script>')
        dom, console = chromium(page)
        self.assertEqual(console, [])
        self.assertIn("SIZES true,true", dom)
        self.assertEqual(report(self.folder, "--picture", "picture.pdf").returncode, 2)

    def test_bad_results(self):
        self.assert_refused(3, str(self.folder / "results.json"), "does not exist")
        good = make_bench(inits=("he",), lrs=(0.1,), seeds=(0,), epochs=1)
        path = self.folder / "results.json"

        def refused(change, *words):
            bench = json.loads(json.dumps(good))
            change(bench)
            path.write_text(json.dumps(bench))
            self.assert_refused(3, str(path), *words)
        path.write_text('{\n "schema": "bntrain-bench",\n "schema_version" 1 }')
        self.assert_refused(3, f"{path}, line 3, column 19")
        path.write_text('{"schema": "bntrain-bench", "schema_version": NaN}')
        self.assert_refused(3, f"{path}: NaN")
        path.write_bytes(b'{"schema": "\xff"}')
        self.assert_refused(3, f"{path}: no UTF-8 at byte 12")
        path.write_text("[]")
        self.assert_refused(3, f'{path}: its "schema" is not "bntrain-bench"')
        refused(lambda bench: bench.update(schema="else"), 'is not "bntrain-bench"')
        refused(lambda bench: bench.update(schema_version=2), "schema_version is 2, and this report reads 1")
        refused(lambda bench: bench["arms"][1]["runs"][0].pop("outcome"), 'arms[1].runs[0] has no "outcome"')
        refused(lambda bench: bench["arms"][0].update(lr="0.1"), 'arms[0].lr is "0.1", and must be a number')
        refused(lambda bench: bench["arms"][0].update(lr=0), "arms[0].lr is 0, and must be above 0")
        refused(lambda bench: bench["arms"][0]["runs"][0].update(outcome="fine"), '"fine"', "trained, below_target")
        refused(lambda bench: bench["arms"][0].update(init="../x"), 'arms[0].init is "../x"')
        refused(lambda bench: bench.update(arms=[]), "holds no run")

    def test_bad_records(self):
        write_bench(self.folder, make_bench(inits=("he",), lrs=(0.1,), seeds=(0,), epochs=1), records=True)
        path = self.folder / "runs" / "batch-he-lr0.1-seed0.jsonl"
        lines = path.read_text().splitlines()
        path.write_text("\n".join([*lines[:4], lines[4][:20], *lines[5:]]))
        self.assert_refused(3, f"{path}, line 5, column ")
        record = json.loads(lines[1])
        del record["channels"]
        path.write_text("\n".join([lines[0], json.dumps(record)]))
        self.assert_refused(3, f'{path}, line 2 has no "channels"')
        path.write_text("")
        self.assert_refused(3, f"{path}")

    def test_folder_that_cannot_be_written(self):
        write_bench(self.folder, make_bench(inits=("he",), lrs=(0.1,), seeds=(0,), epochs=1))
        (self.folder / "overview.svg").mkdir()
        self.assert_refused(1, str(self.folder / "overview.svg"), "Is a directory")

    def test_without_matplotlib(self):
        (self.folder / "matplotlib.py").write_text("raise ImportError")
        done = report(self.folder, environment={"PYTHONPATH": str(self.folder)})
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertRegex(done.stderr, r"\Aerror: [^\n]*apt-get install python3-matplotlib[^\n]*setup.sh --report\n\Z")


if __name__ == "__main__":
    unittest.main()
