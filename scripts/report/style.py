"""How the figures look: colours, markers, sizes, and how they are written."""
import io
import re
from html import escape

import matplotlib
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedFormatter, FixedLocator, NullLocator

# Every colour has a name, so that the page can put one for a dark background in its place.
LIGHT = {"ink": "#1f2328", "muted": "#59636e", "grid": "#d8dee4", "paper": "#ffffff", "lane": "#f3f5f7",
         "first": "#0072b2", "second": "#c84e00", "third": "#007a5a", "fourth": "#8a3f78"}
DARK = {"ink": "#e6edf3", "muted": "#9aa4af", "grid": "#30363d", "paper": "#0d1117", "lane": "#161b22",
        "first": "#56b4e9", "second": "#f0a132", "third": "#4fc79f", "fourth": "#d79ac6"}
# Blue and vermilion of Okabe and Ito's set, a little darker for the contrast of thin lines; a filled circle on a full
# line against an open square on dashes says the same without colour.
LOOKS = ({"color": LIGHT["first"], "marker": "o", "linestyle": "-", "markerfacecolor": LIGHT["first"]},
         {"color": LIGHT["second"], "marker": "s", "linestyle": (0, (4, 1.6)), "markerfacecolor": LIGHT["paper"]},
         {"color": LIGHT["third"], "marker": "^", "linestyle": (0, (1.2, 1.2)), "markerfacecolor": LIGHT["third"]},
         {"color": LIGHT["fourth"], "marker": "D", "linestyle": (0, (6, 1.5, 1.2, 1.5)), "markerfacecolor": LIGHT["paper"]})
NORM_NAMES = {"batch": "batch norm", "none": "no norm"}
WIDTH = 4.8  # inches of a figure, 460 pixels of a page

matplotlib.rcdefaults()
matplotlib.rcParams.update({
    "svg.hashsalt": "bntrain", "svg.fonttype": "none", "text.parse_math": False, "font.size": 9, "font.family": "sans-serif",
    "axes.edgecolor": LIGHT["muted"], "axes.labelcolor": LIGHT["ink"], "axes.linewidth": 0.7, "axes.titlesize": 9,
    "axes.titlecolor": LIGHT["ink"], "axes.labelsize": 9, "axes.spines.top": False, "axes.spines.right": False,
    "axes.grid": True, "axes.axisbelow": True, "grid.color": LIGHT["grid"], "grid.linewidth": 0.6,
    "text.color": LIGHT["ink"], "xtick.color": LIGHT["muted"], "ytick.color": LIGHT["muted"],
    "xtick.labelcolor": LIGHT["ink"], "ytick.labelcolor": LIGHT["ink"], "xtick.labelsize": 8.5, "ytick.labelsize": 8.5,
    "xtick.major.size": 3, "ytick.major.size": 3, "figure.facecolor": LIGHT["paper"], "axes.facecolor": "none",
    "lines.linewidth": 1.6, "lines.markersize": 4.5, "lines.markeredgewidth": 1.2, "legend.frameon": False,
    "legend.fontsize": 9, "legend.handlelength": 2.6})


def norm_name(norm):
    return NORM_NAMES.get(norm, f"{norm} norm")


def norm_looks(norms):
    """norm -> look; batch and none always look the same."""
    others = [norm for norm in norms if norm not in NORM_NAMES]
    return {norm: LOOKS[("batch", "none", *others).index(norm) % len(LOOKS)] for norm in norms}


def new_figure(title, entries, height, width=WIDTH):
    """A figure with its title and, below that, a legend of (look, label), both above the axes, so that they cover no
    data."""
    header = 0.52 if entries else 0.3
    figure = Figure(figsize=(width, height + header))
    figure.set_layout_engine("constrained", rect=(0, 0, 1, 1 - header / (height + header)), h_pad=0.04, w_pad=0.04)
    total = height + header
    figure.text(0.06 / width, 1 - 0.06 / total, title, weight="bold", size=10, va="top")
    if entries:
        handles = [Line2D([], [], **look) for look, _ in entries]
        figure.legend(handles, [label for _, label in entries], loc="upper left", ncol=len(entries), borderpad=0,
                      bbox_to_anchor=(0.06 / width, 1 - 0.27 / total), borderaxespad=0, columnspacing=1.6)
    return figure


def number(value):
    """The shortest text of a learning rate and the like."""
    return f"{value:g}".replace("e-0", "e-")


def ticks(axis, values, labels=None):
    axis.set_major_locator(FixedLocator(values))
    axis.set_major_formatter(FixedFormatter(labels or [number(value) for value in values]))
    axis.set_minor_locator(NullLocator())


def svg_text(figure):
    text = io.StringIO()
    figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    return text.getvalue()


def write_picture(figure, path):
    """As the suffix says; the same figure gives the same bytes."""
    if path.suffix == ".svg":
        path.write_text(svg_text(figure), encoding="utf-8")
    else:
        figure.savefig(path, format="png", dpi=200, metadata={"Software": None})


def inline(svg, name, label):
    """The SVG as an element of a page: colours from the page, names that no other figure has, a text alternative."""
    head, body = svg[svg.index("<svg"):].split(">", 1)
    view = re.search(r'viewBox="[^"]*"', head).group()  # without width and height it takes the width of its place
    body = re.sub(r"<metadata>.*?</metadata>\s*", "", body, flags=re.DOTALL)
    body = re.sub(r'<g id="[^"]*">', "<g>", body)
    body = re.sub(r'( id="|href="#|url\(#)', rf"\g<1>{name}-", body)
    for colour, value in LIGHT.items():
        body = body.replace(value, f"var(--{colour})")
    return f'<svg xmlns:xlink="http://www.w3.org/1999/xlink" {view} role="img" aria-label="{escape(label)}">{body}'
