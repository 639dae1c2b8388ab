"""report.html: the sections, tables, configuration, in one file that needs no other."""
import shlex
from html import escape
from pathlib import Path

from .findings import best_setting, caveat, findings, listed, plural, points, spread
from .sections import comparison_sections, inside_sections
from .style import DARK, LIGHT, inline, norm_name, number, svg_text, write_picture
from .figures import overview

MOST_EPOCH_COLUMNS = 6


def title(bench):
    norms = [norm_name(norm) for norm in bench.norms]
    compared = f"{norms[0]} against {listed(norms[1:])}" if len(norms) > 1 else norms[0]
    return f"{compared[0].upper()}{compared[1:]} on {bench.results['dataset']['name']}"


def lead(bench):
    results = bench.results
    dataset = results["dataset"]
    rates = f"{len(bench.lrs)} learning rates from {number(bench.lrs[0])} to {number(bench.lrs[-1])}"
    return (f"{rates if len(bench.lrs) > 1 else f'Learning rate {number(bench.lrs[0])}'}, "
            f"init {listed(bench.inits)}, {plural(len(results['config']['seeds']), 'seed')}, {plural(bench.epochs, 'epoch')} "
            f"of {plural(results['steps_per_epoch'], 'step')}: {plural(sum(len(arm['runs']) for arm in results['arms']), 'run')} on "
            f"{dataset['train']:,} training images, tested on {dataset['test']:,}.")


def table(caption, head, rows, kind=""):
    def cells(tag, values):
        return "".join(f"<{tag}>{escape(str(value))}</{tag}>" for value in values)
    scope = "".join(f'<th scope="col">{escape(str(value))}</th>' for value in head)
    header = f"<thead><tr>{scope}</tr></thead>" if head else ""
    body = "\n".join(f"<tr>{cells('td', row)}</tr>" for row in rows)
    return (f'<div class="wide" tabindex="0"><table class="{kind}"><caption>{escape(caption)}</caption>{header}\n'
            f"<tbody>{body}</tbody></table></div>")


def percent_with_spread(stat):
    return spread(stat, lambda value: f"{100 * value:.1f}")


def mean_seconds(arm, key):
    values = [run[key] for run in arm["runs"] if run.get(key) is not None]
    return sum(values) / len(values) if values else None


def arms_table(bench, init):
    arms = [arm for norm in bench.norms for lr in bench.lrs if (arm := bench.arm(norm, init, lr))]
    timed = any(mean_seconds(arm, "seconds_to_target") is not None for arm in arms)
    rows = []
    for arm in arms:
        summary = arm["summary"]
        last = summary["epochs"][-1]["train_loss"] if summary["epochs"] else None
        seconds = mean_seconds(arm, "seconds_to_target")
        rows.append([norm_name(arm["norm"]), number(arm["lr"]), summary["trained"], summary["below_target"],
                     summary["chance"], summary["diverged"], percent_with_spread(summary["best_test_accuracy"]),
                     spread(last, lambda value: f"{value:.3f}"),
                     spread(summary["steps_to_target"], lambda value: f"{value:.0f}")]
                    + ([f"{seconds:.1f}" if seconds is not None else "–"] if timed else []))
    head = ["norm", "learning rate", "trained", "below target", "at chance", "diverged", "best test accuracy, %",
            "train loss, last epoch", "steps to target"] + (["seconds to target"] if timed else [])
    return table(f"Init {init}: how the runs ended, and the mean (smallest to largest) over the seeds", head, rows)


def differences_table(bench, init):
    epochs = range(bench.epochs)
    if bench.epochs > MOST_EPOCH_COLUMNS:
        last = MOST_EPOCH_COLUMNS - 1
        epochs = sorted({round(index * (bench.epochs - 1) / last) for index in range(last + 1)})
    rows = [[number(lr)] + [spread(bench.difference(init, lr, epoch), points) for epoch in epochs] for lr in bench.lrs]
    return table(f"Init {init}: batch norm minus no norm in percentage points of test accuracy, mean (smallest to largest) "
                 "over the pairs of equal seed; epochs counted from 1", ["learning rate"] + [f"epoch {epoch + 1}" for epoch in epochs], rows)


def as_text(value):
    if isinstance(value, list):
        return ",".join(as_text(entry) for entry in value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return number(value) if isinstance(value, float) else str(value)


def command(config):
    """The bench's command line, from its resolved configuration."""
    words = ["bntrain", "bench"]
    for key, value in config.items():
        if value is None or value is False or value == "" or value == []:
            continue
        words += [f"--{key}"] if value is True else [f"--{key}", as_text(value)]
    return shlex.join(words)


def figure_html(section, init, figure, seen, numbers, folder):
    stem = f"{section.name}-{init}"
    svg = svg_text(figure)
    (folder / f"{stem}.svg").write_text(svg, encoding="utf-8")
    write_picture(figure, folder / f"{stem}.png")
    label = " ".join(f"{section.heading}, init {init}. {seen} {numbers}".split())
    return (f'<figure id="{stem}">{inline(svg, stem, label)}'
            f"<figcaption><strong>Init {escape(init)}.</strong> {escape(seen)}</figcaption></figure>")


def section_html(section, folder, level=2):
    figures = "\n".join(figure_html(section, *drawn, folder) for drawn in section.figures)
    return (f'<section id="{section.name}"><h{level}>{escape(section.heading)}</h{level}>'
            f'<p>{escape(section.reading)}</p><div class="pair">{figures}</div></section>')


def findings_html(bench):
    cards = "\n".join(
        f'<div class="card"><h3>Init {escape(init)}</h3><ul>'
        + "".join(f"<li>{escape(sentence)}</li>" for sentence in findings(bench, init)) + "</ul></div>" for init in bench.inits)
    return (f'<section id="findings"><h2>What these runs show</h2><p>{escape(best_setting(bench))}</p><div class="pair">{cards}</div>'
            f'<p class="note">{escape(caveat(bench))}</p></section>')


def tables_html(bench):
    tables = "".join(arms_table(bench, init) for init in bench.inits)
    if bench.paired:
        tables += "".join(differences_table(bench, init) for init in bench.inits)
    return f'<section id="tables"><h2>Tables</h2>{tables}</section>'


def origin_html(bench):
    results = bench.results
    networks = dict.fromkeys((arm["norm"], arm["network"]) for arm in results["arms"])
    rows = [[f"network, {norm_name(norm)}", network] for norm, network in networks]
    rows += [[f"data: {key}", as_text(value)] for key, value in results["dataset"].items()]
    environment = [["bntrain", results["bntrain"]]] + [[key, as_text(value)] for key, value in results["environment"].items()]
    configuration = [[key, as_text(value)] for key, value in results["config"].items()]
    return (f'<section id="origin"><h2>How it was made</h2><p>The runs, from their resolved configuration:</p>'
            f"<pre>{escape(command(results['config']))}</pre><p>This report, in the folder that the bench wrote:</p>"
            "<pre>plot_report.py .</pre><p>Every figure lies beside this page as .svg and .png, every number in results.json "
            "and results.csv, every run in runs/.</p>"
            f'{table("Networks and data", [], rows, "text")}{table("Environment", [], environment, "text")}'
            f'{table("Configuration", [], configuration, "text")}</section>')


def stylesheet():
    def variables(colours):
        return " ".join(f"--{name}: {value};" for name, value in colours.items())
    css = Path(__file__).with_name("page.css").read_text(encoding="utf-8")
    return css.replace("LIGHT", variables(LIGHT)).replace("DARK", variables(DARK))


def write_report(bench, folder):
    """Writes the pictures and report.html, and returns its path."""
    comparison, inside = comparison_sections(bench), inside_sections(bench, folder)
    for suffix in (".svg", ".png"):
        write_picture(overview(bench), folder / f"overview{suffix}")
    body = [findings_html(bench)] + [section_html(section, folder) for section in comparison]
    if inside:
        body.append('<section id="inside"><h2>Inside batch norm</h2><p>From the records of single runs, one for each '
                    "initialisation: the first seed, at the largest learning rate at which every run trained.</p>"
                    + "".join(section_html(section, folder, 3) for section in inside) + "</section>")
    body += [tables_html(bench), origin_html(bench)]
    links = [("findings", "What these runs show")] + [(section.name, section.heading) for section in comparison]
    links += [("inside", "Inside batch norm")] * bool(inside) + [("tables", "Tables"), ("origin", "How it was made")]
    navigation = "".join(f'<li><a href="#{name}">{escape(words)}</a></li>' for name, words in links)
    heading = escape(title(bench))
    page = f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,">
<title>{heading} – bntrain bench</title>
<style>
{stylesheet()}</style>
</head>
<body>
<header><h1>{heading}</h1><p class="lead">{escape(lead(bench))}</p><nav aria-label="Sections"><ul>{navigation}</ul></nav></header>
<main>
{chr(10).join(body)}
</main>
<footer><p class="note">Written by bntrain {escape(bench.results['bntrain'])}, bench and plot_report.py.</p></footer>
</body>
</html>
"""
    path = folder / "report.html"
    path.write_text(page, encoding="utf-8")
    return path
