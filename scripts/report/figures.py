"""The figures of the comparison: one for each initialisation, and the overview."""
import math

from matplotlib.ticker import MaxNLocator

from .arms import accuracy_points, count, curve, loss_points
from .style import LIGHT, new_figure, norm_looks, norm_name, number, ticks

PERCENT = [0, 20, 40, 60, 80, 100]
# In a symmetric logarithmic axis, percentage points up to here are drawn to scale.
LINEAR_POINTS = 2
MOST_LABELS = 8  # of learning rates along an axis
LEAST_LOSS = 1e-12  # that a logarithmic scale shows
CROSS = {"marker": "X", "markersize": 7, "markeredgecolor": LIGHT["paper"], "markeredgewidth": 0.6}


def norm_entries(bench):
    return [(look, norm_name(norm)) for norm, look in norm_looks(bench.norms).items()]


def grid_shape(panels):
    columns = min(2 if panels <= 8 else 3, panels)
    return math.ceil(panels / columns), columns


def grid_height(panels):
    return 1.32 * grid_shape(panels)[0] + 0.3


def panel_grid(figure, titles, xlabel):
    """Panels with a vertical scale of their own, one a title; returns them as a list, and those of the first column."""
    rows, columns = grid_shape(len(titles))
    grid = figure.subplots(rows, columns, sharex=True, squeeze=False)
    axes = list(grid.flat)
    for axis in axes[len(titles):]:
        axis.remove()
    axes = axes[:len(titles)]
    for axis, title in zip(axes, titles):
        axis.set_title(title, loc="left", pad=3)
    for axis in axes[-columns:]:
        axis.set_xlabel(xlabel)
        axis.tick_params(labelbottom=True)
    return axes, axes[::columns]


def draw_over_epochs(figure, bench, init, points, floor):
    """Mean and min..max of the seeds in each panel; a cross where a run diverged, on the curve's last mean or `floor`.
    Returns the panels, each with the least and the largest value that it shows, and those of the first column."""
    axes, left = panel_grid(figure, [f"learning rate {number(lr)}" for lr in bench.lrs], "epochs trained")
    steps_per_epoch = bench.results["steps_per_epoch"]
    ranges = []
    for axis, lr in zip(axes, bench.lrs):
        shown = []
        for norm, look in norm_looks(bench.norms).items():
            runs = bench.runs(norm, init, lr)
            x, mean, low, high = curve(runs, points)
            shown += [*low, *high]
            if len(x) > 1:
                axis.fill_between(x, low, high, color=look["color"], alpha=0.2, linewidth=0)
            axis.plot(x, mean, **{**look, "marker": ""})
            ends = [(at, value) for at, value in zip(x, mean) if at == int(at)]
            axis.plot(*zip(*ends) if ends else ((), ()), **{**look, "linestyle": ""})
            for run in runs:
                if run["divergence"]:
                    own = [value for _, value in points(run) if value is not None]
                    shown.append(own[-1] if own else floor)
                    axis.plot(run["divergence"]["step"] / steps_per_epoch, shown[-1], color=look["color"], zorder=5,
                              clip_on=False, **CROSS)
        axis.set_xlim(0, bench.epochs * 1.02)
        step = max(1, math.ceil(bench.epochs / 6))
        ticks(axis.xaxis, list(range(0, bench.epochs + 1, step)))
        ranges.append((min(shown, default=floor), max(shown, default=floor)))
    return list(zip(axes, ranges)), left


def accuracy_over_epochs(bench, init):
    figure = new_figure(f"Test accuracy over epochs, init {init}", norm_entries(bench), grid_height(len(bench.lrs)))
    steps_per_epoch, chance = bench.results["steps_per_epoch"], 1 / bench.results["dataset"]["classes"]
    panels, left = draw_over_epochs(figure, bench, init, lambda run: accuracy_points(run, steps_per_epoch), chance)
    for axis, (low, high) in panels:
        room = 0.06 * (high - low) + 0.005
        axis.set_ylim(max(low - room, 0), min(high + room, 1))
        few_ticks(axis.yaxis, *axis.get_ylim(), lambda value: number(100 * value))
    for axis in left:
        axis.set_ylabel("accuracy, %")
    return figure


def loss_over_epochs(bench, init):
    figure = new_figure(f"Train loss over epochs, init {init}", norm_entries(bench), grid_height(len(bench.lrs)))
    panels, left = draw_over_epochs(figure, bench, init, loss_points, math.log(bench.results["dataset"]["classes"]))
    for axis, (low, high) in panels:
        log_scale(axis, max(low, LEAST_LOSS), max(high, LEAST_LOSS))
    for axis in left:
        axis.set_ylabel("loss, nats")
    return figure


def few_ticks(axis, low, high, text=number):
    """Round values between low and high; the text of a value is rounded like the value."""
    values = [round(value, 12) for value in MaxNLocator(nbins=4).tick_values(low, high) if low <= value <= high]
    ticks(axis, values, [text(value) for value in values])


def log_scale(axis, low, high):
    """With the ticks of a logarithmic scale, and where those are fewer than three, with those of a linear one."""
    axis.set_yscale("log")
    bottom, top = low / 1.15, high * 1.15
    axis.set_ylim(bottom, top)
    values = log_ticks(bottom, top)
    if len(values) > 2:
        ticks(axis.yaxis, values)
    else:
        few_ticks(axis.yaxis, bottom, top)


def log_ticks(bottom, top):
    """1, 2, 5 times powers of ten, powers alone where those are many."""
    decades = range(math.floor(math.log10(bottom)), math.ceil(math.log10(top)) + 1)
    for factors in ((1, 2, 5), (1, 3), (1,)):
        values = [factor * 10.0 ** decade for decade in decades for factor in factors
                  if bottom <= factor * 10.0 ** decade <= top]
        if len(values) <= 6:
            break
    return values[::math.ceil(len(values) / 6)] if len(values) > 6 else values


def rate_axis(axis, lrs):
    """Logarithmic, with the learning rates of the grid as its ticks; as many labels as fit."""
    axis.set_xscale("log")
    spread = (max(lrs) / min(lrs)) ** 0.08 if len(lrs) > 1 else 1.5
    axis.set_xlim(min(lrs) / spread, max(lrs) * spread)
    every = math.ceil(len(lrs) / MOST_LABELS)
    ticks(axis.xaxis, lrs, [number(lr) if index % every == 0 else "" for index, lr in enumerate(lrs)])


def nudged(lr, index, total, lrs):
    """Side by side instead of on top of each other."""
    span = math.log(max(lrs) / min(lrs)) if len(lrs) > 1 else 1
    return lr * math.exp(0.018 * span * (index - (total - 1) / 2))


def draw_rates(axis, bench, lrs, looks, stats, points=None):
    """Mean with min..max bars over the seeds; stats(key, lr) is a STAT or None. points(key, lr), where there is one,
    gives (value, whether it diverged) of every run."""
    for index, (key, look) in enumerate(looks.items()):
        rows = [(nudged(lr, index, len(looks), bench.lrs), stats(key, lr)) for lr in lrs]
        for lr, (x, stat) in zip(lrs, rows):
            ends = [(stat[end], False) for end in ("min", "max")] if stat else []
            for value, diverged in points(key, lr) if points else ends:
                axis.plot(x, value, linestyle="", color=look["color"], zorder=4 if diverged else 2,
                          **(CROSS if diverged else {"marker": "_", "markersize": 5, "markeredgewidth": 1}))
        for x, stat in rows:
            if stat:
                axis.plot([x, x], [stat["min"], stat["max"]], color=look["color"], linewidth=1.2)
        # A gap in the line where no run has a value.
        axis.plot([x for x, _ in rows], [stat["mean"] if stat else math.nan for _, stat in rows], **look)


def add_lane(axis, bench, looks, names, counts, label):
    """Below an axis, one row a series: of how many of its runs the label is true. counts(key, lr) -> (n, of)."""
    keys = list(looks)
    axis.set_ylim(len(keys) - 0.4, -0.6)
    ticks(axis.yaxis, range(len(keys)), names)
    axis.tick_params(axis="y", length=0, labelsize=8)
    axis.grid(False)
    axis.set_facecolor(LIGHT["lane"])
    axis.spines["left"].set_visible(False)
    seeds = len(bench.results["config"]["seeds"])
    axis.set_title(f"{label} (of {seeds})", loc="left", size=8, color=LIGHT["muted"], pad=2)
    cross = "✕ " if len(bench.lrs) <= MOST_LABELS else ""
    for row, key in enumerate(keys):
        for lr in bench.lrs:
            found, of = counts(key, lr)
            if found:
                axis.text(lr, row, f"{cross}{found}", ha="center", va="center", size=8, color=looks[key]["color"],
                          weight="bold")
            elif of:
                axis.text(lr, row, "0", ha="center", va="center", size=8, color=LIGHT["muted"])


def rate_figure(bench, title, entries, lanes, height=2.1):
    """A figure over learning rates; its axes, and one for each lane below."""
    figure = new_figure(title, entries, height + 0.55 * lanes + 0.2)
    axes = figure.subplots(1 + lanes, 1, sharex=True, squeeze=False,
                           gridspec_kw={"height_ratios": [height] + [0.32] * lanes})[:, 0]
    axes[-1].set_xlabel("learning rate")
    return figure, axes


def reference_line(axis, y, label):
    axis.axhline(y, color=LIGHT["muted"], linewidth=0.9, linestyle=(0, (1, 2)))
    axis.annotate(label, (1, y), xycoords=("axes fraction", "data"), xytext=(3, 0), textcoords="offset points",
                  va="center", size=8, color=LIGHT["muted"], annotation_clip=False)


def draw_accuracy_against_rate(axis, lane, bench, init):
    looks = norm_looks(bench.norms)

    def best(norm, lr):
        arm = bench.arm(norm, init, lr)
        return arm and arm["summary"]["best_test_accuracy"]

    def every_run(norm, lr):
        return [(run["best_test_accuracy"], run["outcome"] == "diverged")
                for run in bench.runs(norm, init, lr) if run["best_test_accuracy"] is not None]

    draw_rates(axis, bench, bench.lrs, looks, best, every_run)
    axis.set_ylim(0, 1)
    ticks(axis.yaxis, [value / 100 for value in PERCENT], [str(value) for value in PERCENT])
    reference_line(axis, bench.results["target"], f"target {100 * bench.results['target']:g}")
    chance = 1 / bench.results["dataset"]["classes"]
    reference_line(axis, chance, f"chance {100 * chance:.3g}")
    rate_axis(axis, bench.lrs)

    def diverged(norm, lr):
        runs = bench.runs(norm, init, lr)
        return count(runs, lambda run: run["outcome"] == "diverged"), len(runs)

    add_lane(lane, bench, looks, list(looks), diverged, "diverged runs")


def accuracy_against_rate(bench, init):
    figure, (axis, lane) = rate_figure(bench, f"Best test accuracy, init {init}", norm_entries(bench), 1)
    draw_accuracy_against_rate(axis, lane, bench, init)
    axis.set_ylabel("accuracy, %")
    return figure


def steps_against_rate(bench, init):
    target = f"{100 * bench.results['target']:g}%"
    figure, (axis, lane) = rate_figure(bench, f"Steps to {target} test accuracy, init {init}", norm_entries(bench), 1)
    looks = norm_looks(bench.norms)

    def steps(norm, lr):
        arm = bench.arm(norm, init, lr)
        return arm and arm["summary"]["steps_to_target"]

    def every_run(norm, lr):
        return [(run["steps_to_target"], run["outcome"] == "diverged")
                for run in bench.runs(norm, init, lr) if run["steps_to_target"] is not None]

    def missed(norm, lr):
        runs = bench.runs(norm, init, lr)
        return count(runs, lambda run: run["steps_to_target"] is None), len(runs)

    draw_rates(axis, bench, bench.lrs, looks, steps, every_run)
    axis.set_ylim(0, bench.epochs * bench.results["steps_per_epoch"] * 1.05)
    rate_axis(axis, bench.lrs)
    axis.set_ylabel("steps")
    add_lane(lane, bench, looks, list(looks), missed, "runs that did not reach it")
    return figure


def difference_figure(bench, init):
    first, last = ({**norm_looks(["batch", "none"])["none"], "color": LIGHT["fourth"], "marker": "D"},
                   {**norm_looks(["batch"])["batch"], "color": LIGHT["third"], "marker": "^",
                    "markerfacecolor": LIGHT["third"]})
    looks = {0: first, bench.epochs - 1: last} if bench.epochs > 1 else {0: last}
    words = {0: "after the first epoch", bench.epochs - 1: "after the last epoch"}
    figure, (axis, lane) = rate_figure(bench, f"Batch norm minus no norm, init {init}",
                                       [(look, words[epoch]) for epoch, look in looks.items()], 1)

    def points(epoch, lr):
        stat = bench.difference(init, lr, epoch)
        return stat and {key: None if stat[key] is None else 100 * stat[key] for key in ("mean", "min", "max")}

    def unpaired(epoch, lr):
        stat, of = bench.difference(init, lr, epoch), len(bench.runs("batch", init, lr))
        return of - (stat["n"] if stat else 0), of

    draw_rates(axis, bench, bench.lrs, looks, points)
    axis.axhline(0, color=LIGHT["ink"], linewidth=0.9)
    rate_axis(axis, bench.lrs)
    ends = [stat[end] for epoch in looks for lr in bench.lrs if (stat := points(epoch, lr)) for end in ("min", "max")]
    low, high = min([*ends, -0.5]), max([*ends, 0.5])
    if max(-low, high) > 10 * LINEAR_POINTS:
        axis.set_yscale("symlog", linthresh=LINEAR_POINTS, linscale=1)
        axis.set_ylim(min(1.6 * low, -LINEAR_POINTS), max(1.6 * high, LINEAR_POINTS))
        ticks(axis.yaxis, [-50, -10, -2, 0, 2, 10, 50], ["−50", "−10", "−2", "0", "+2", "+10", "+50"])
    else:
        axis.set_ylim(low - 0.12 * (high - low), high + 0.12 * (high - low))
    axis.set_ylabel("percentage points")
    add_lane(lane, bench, looks, ["first", "last"][-len(looks):], unpaired, "pairs without both accuracies")
    return figure


def overview(bench):
    """The one picture that answers the question, for the first screen of a README: 830 pixels wide."""
    columns = min(2, len(bench.inits))
    rows = math.ceil(len(bench.inits) / columns)
    results, seeds = bench.results, len(bench.results["config"]["seeds"])
    title = (f"Best test accuracy against learning rate: {results['dataset']['name']}, {bench.epochs} "
             f"epoch{'s' * (bench.epochs != 1)}, {seeds} seed{'s' * (seeds != 1)}")
    figure = new_figure(title, norm_entries(bench), 2.9 * rows, width=7.8)
    figure.text(0.99, 1 - 0.29 / figure.get_figheight(), "bars: smallest to largest seed,  ✕ a run that diverged", size=8,
                color=LIGHT["muted"], ha="right", va="top")
    grid = figure.add_gridspec(2 * rows, columns, height_ratios=[2.3, 0.36] * rows)
    for index, init in enumerate(bench.inits):
        row, column = divmod(index, columns)
        axis = figure.add_subplot(grid[2 * row, column])
        lane = figure.add_subplot(grid[2 * row + 1, column], sharex=axis)
        draw_accuracy_against_rate(axis, lane, bench, init)
        axis.tick_params(labelbottom=False)
        axis.set_title(f"init {init}", loc="left", weight="bold")
        lane.set_xlabel("learning rate")
        if column == 0:
            axis.set_ylabel("accuracy, %")
    return figure
