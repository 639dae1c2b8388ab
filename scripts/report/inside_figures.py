"""The figures of what went on inside a run: its bn and activation records."""
import math
import statistics

from .figures import grid_height, log_scale, panel_grid
from .style import LIGHT, LOOKS, new_figure, norm_looks, norm_name

PERCENTILES = ("5", "15", "50", "85", "95")
MOST_PANELS = 6
DOTTED = (0, (1.2, 1.2))


def shown_layers(layers):
    """All, or as many as fit, evenly from the first to the last."""
    names = list(layers)
    if len(names) <= MOST_PANELS:
        return names
    return [names[round(index * (len(names) - 1) / (MOST_PANELS - 1))] for index in range(MOST_PANELS)]


def missing_as_nan(values):
    return [math.nan if value is None else value for value in values]


def draw_percentiles(axis, records, key, look):
    """The median as a line, 15 to 85% and 5 to 95% as bands."""
    steps = [record["step"] for record in records]
    at = {p: missing_as_nan(record[key][p] for record in records) for p in PERCENTILES}
    axis.fill_between(steps, at["5"], at["95"], color=look["color"], alpha=0.16, linewidth=0)
    axis.fill_between(steps, at["15"], at["85"], color=look["color"], alpha=0.26, linewidth=0)
    for edge in ("5", "95"):
        axis.plot(steps, at[edge], color=look["color"], linewidth=0.8, linestyle=look["linestyle"])
    axis.plot(steps, at["50"], color=look["color"], linestyle=look["linestyle"])


def over_channels(records, key):
    """(steps, median, min, max) over the channels."""
    rows = []
    for record in records:
        values = [channel[key] for channel in record["channels"] if channel[key] is not None]
        if values:
            rows.append((record["step"], statistics.median(values), min(values), max(values)))
    return list(zip(*rows)) if rows else [(), (), (), ()]


def draw_over_channels(axis, records, key, look, band=True):
    steps, median, low, high = over_channels(records, key)
    if band:
        axis.fill_between(steps, low, high, color=look["color"], alpha=0.2, linewidth=0)
    else:
        for edge in (low, high):
            axis.plot(steps, edge, color=look["color"], linestyle=look["linestyle"], linewidth=0.9)
    axis.plot(steps, median, color=look["color"], linestyle=look["linestyle"])


def line_look(look):
    return {"color": look["color"], "linestyle": look["linestyle"]}


def logarithmic(axes, floor=1e-12):
    """Those on which something positive is drawn."""
    for axis in axes:
        values = [y for line in axis.lines for y in line.get_ydata() if y > 0]
        if values:
            log_scale(axis, max(min(values), floor), max(*values, floor))


def layer_figure(title, entries, layers, ylabel, draw):
    names = shown_layers(layers)
    figure = new_figure(title, entries, grid_height(len(names)) + (0.5 if len(names) <= 2 else 0))
    axes, left = panel_grid(figure, [f"layer {name}" for name in names], "step")
    for axis, name in zip(axes, names):
        draw(axis, layers[name])
        axis.margins(x=0.01)
        axis.locator_params(axis="x", nbins=4)
    for axis in left:
        axis.set_ylabel(ylabel)
    return figure, axes


def input_percentiles(layers, run):
    look = LOOKS[0]
    return layer_figure(f"Input of batch norm, {run}", [(line_look(look), "median, with 15 to 85% and 5 to 95%")], layers,
                        "value", lambda axis, records: draw_percentiles(axis, records, "input_percentiles", look))[0]


def moments(layers, run, moment, word):
    batch, running = LOOKS[0], {"color": LIGHT["ink"], "linestyle": DOTTED}

    def draw(axis, records):
        draw_over_channels(axis, records, f"batch_{moment}", batch)
        draw_over_channels(axis, records, f"running_{moment}", running, band=False)
    figure, axes = layer_figure(f"Batch and running {word}, {run}",
                                [(line_look(batch), "of the batch"), (running, f"running_{moment}")], layers, word, draw)
    if moment == "var":
        logarithmic(axes)
    return figure


def gamma_and_beta(layers, run):
    gamma, beta = LOOKS[0], LOOKS[1]

    def draw(axis, records):
        draw_over_channels(axis, records, "gamma", gamma)
        draw_over_channels(axis, records, "beta", beta)
    return layer_figure(f"gamma and beta, {run}", [(line_look(gamma), "gamma"), (line_look(beta), "beta")], layers,
                        "value", draw)[0]


def gradient_norms(layers, run):
    before, after = LOOKS[0], LOOKS[1]

    def draw(axis, records):
        steps = [record["step"] for record in records]
        for key, look in (("gradient_norm_output", before), ("gradient_norm_input", after)):
            axis.plot(steps, missing_as_nan(record[key] for record in records), **line_look(look))
    figure, axes = layer_figure(f"Gradient norms, {run}", [(line_look(before), "at the output"),
                                                           (line_look(after), "at the input")], layers, "L2 norm", draw)
    logarithmic(axes)
    return figure


def activation_inputs(by_norm, run):
    """by_norm: norm -> {layer: records}. The activation layers of two norms pair by their order."""
    looks = norm_looks(by_norm)
    count = max(len(layers) for layers in by_norm.values())
    pairs = {f"activation {index + 1}": {norm: list(layers.values())[index] for norm, layers in by_norm.items()
                                        if index < len(layers)} for index in range(count)}

    def draw(axis, records_by_norm):
        for norm, records in records_by_norm.items():
            draw_percentiles(axis, records, "percentiles", looks[norm])
    names = shown_layers(pairs)
    figure, axes = layer_figure(f"Input of the activations' unit {unit_of(by_norm)}, {run}",
                                [(line_look(looks[norm]), norm_name(norm)) for norm in by_norm], pairs, "value", draw)
    for axis, name in zip(axes, names):
        axis.set_title(name, loc="left", pad=3)
    return figure


def unit_of(by_norm):
    return next(records[0]["unit"] for layers in by_norm.values() for records in layers.values())
