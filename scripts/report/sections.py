"""The sections with figures: what is drawn, how to read it, and in words what is seen."""
from dataclasses import dataclass

from . import figures, inside_figures
from .findings import difference_sentences, limit_sentence, listed, percent, points
from .results import read_records, runs_by_arm
from .style import norm_name, number


@dataclass
class Section:
    name: str      # of its files, and of the place in the page
    heading: str
    reading: str   # how to read the figures
    figures: list  # (init, figure, what is seen, its numbers in words)


def by_rate(bench, value, text):
    """norm by norm and rate by rate; value(norm, lr) is a STAT or None."""
    parts = []
    for norm in bench.norms:
        stats = [(lr, value(norm, lr)) for lr in bench.lrs]
        cells = [f"{number(lr)}: {text(stat['mean']) if stat and stat['mean'] is not None else 'none'}" for lr, stat in stats]
        parts.append(f"{norm_name(norm)} {', '.join(cells)}")
    return f"Means by learning rate: {'; '.join(parts)}."


def summary_of(bench, init, key):
    """norm, lr -> the STAT under that key of the arm's summary, or, where it is one of an epoch, that after the last."""
    def find(norm, lr):
        arm = bench.arm(norm, init, lr)
        if arm is None or key in arm["summary"]:
            return arm and arm["summary"][key]
        return next((epoch[key] for epoch in arm["summary"]["epochs"] if epoch["epoch"] == bench.epochs - 1), None)
    return find


def extreme(bench, value, choose, text, words):
    """Which learning rate gave each norm its best mean."""
    parts = []
    for norm in bench.norms:
        means = [(stat["mean"], lr) for lr in bench.lrs if (stat := value(norm, lr)) and stat["mean"] is not None]
        if means:
            mean, lr = choose(means, key=lambda pair: pair[0])
            parts.append(f"{norm_name(norm)} {text(mean)} at {number(lr)}")
        else:
            parts.append(f"{norm_name(norm)} none")
    return f"{words}: {'; '.join(parts)}."


def comparison_sections(bench):
    target = f"{100 * bench.results['target']:g}%"

    def section(name, heading, reading, draw, seen, value, text):
        return Section(name, heading, reading, [
            (init, draw(bench, init), seen(init), by_rate(bench, value(init), text)) for init in bench.inits])

    def whole(value):
        return f"{value:.0f}"

    def loss(value):
        return f"{value:.3f}"
    sections = [
        section("accuracy-against-learning-rate", "Accuracy against learning rate",
                "The best test accuracy of a run: the mean over the seeds, a bar from the smallest to the largest, and a "
                "short stroke for every run. Runs that diverged are not dropped: they count with the best that they had "
                "reached, which a cross marks, and the strip below says how many there were at each learning rate.",
                figures.accuracy_against_rate,
                lambda init: limit_sentence(bench, init),
                lambda init: summary_of(bench, init, "best_test_accuracy"), percent),
        section("accuracy-over-epochs", "Test accuracy over epochs",
                "One panel a learning rate, each with a scale of its own: the mean over the seeds, and a band from the smallest "
                "to the largest. A cross is where a run diverged; from there on the mean is over those that remain.",
                figures.accuracy_over_epochs,
                lambda init: extreme(bench, summary_of(bench, init, "test_accuracy"), max, percent,
                                     "Highest mean after the last epoch"),
                lambda init: summary_of(bench, init, "test_accuracy"), percent),
        section("loss-over-epochs", "Train loss over epochs",
                "The mean loss of an epoch's images, on a logarithmic scale; panels, bands and crosses as above.",
                figures.loss_over_epochs,
                lambda init: extreme(bench, summary_of(bench, init, "train_loss"), min, loss,
                                     "Lowest mean in the last epoch"),
                lambda init: summary_of(bench, init, "train_loss"), loss),
        section("steps-to-target", f"Steps to {target} test accuracy",
                "The step of the first evaluation that reached the target, over the seeds that did. The strip below says how "
                "many did not.",
                figures.steps_against_rate,
                lambda init: extreme(bench, summary_of(bench, init, "steps_to_target"), min, whole, "Fewest steps on average"),
                lambda init: summary_of(bench, init, "steps_to_target"), whole)]
    if bench.paired:
        sections.append(difference_section(bench))
    return sections


def difference_section(bench):
    def seen(init):
        return " ".join(difference_sentences(bench, init))

    def means(init, epoch):
        return ", ".join(f"{number(lr)}: {points(stat['mean']) if (stat := bench.difference(init, lr, epoch)) else 'none'}"
                         for lr in bench.lrs)
    return Section(
        "difference", "Batch norm minus no norm",
        "The difference in test accuracy between two runs of the same seed, which start from the same weights and see the "
        "same batches in the same order: mean, and bar from the smallest to the largest. Above 0 batch norm is ahead. Where "
        "differences are large, the scale is linear up to 2 points and logarithmic beyond.",
        [(init, figures.difference_figure(bench, init), seen(init),
          f"Means by learning rate after the last epoch: {means(init, bench.epochs - 1)}.") for init in bench.inits])


def rate_inside(bench, init, files):
    """The largest learning rate at which every norm trained, else the largest at which batch norm did, else the
    smallest: (lr, seed), or None where there is no file."""
    seed = bench.results["config"]["seeds"][0]
    lrs = [lr for lr in bench.lrs if any((norm, init, lr, seed) in files for norm in bench.norms)]

    def trained(norm, lr):
        arm = bench.arm(norm, init, lr)
        return arm is not None and arm["summary"]["trained"] == len(arm["runs"])
    for norms in (bench.norms, ["batch"]):
        fitting = [lr for lr in lrs if all(trained(norm, lr) for norm in norms)]
        if fitting:
            return fitting[-1], seed
    return (lrs[0], seed) if lrs else None


def inside_sections(bench, folder):
    """From the records of one run for each initialisation; none where nothing was recorded."""
    files = runs_by_arm(folder)
    sections = {}

    def add(name, heading, reading, init, figure, seen):
        sections.setdefault(name, Section(name, heading, reading, [])).figures.append((init, figure, seen, ""))

    for init in bench.inits:
        chosen = rate_inside(bench, init, files)
        if chosen is None:
            continue
        lr, seed = chosen
        records = {norm: read_records(files[norm, init, lr, seed]) for norm in bench.norms if (norm, init, lr, seed) in files}
        run = f"init {init}"
        of = f"Learning rate {number(lr)}, seed {seed}"
        for norm, found in records.items():
            if layers := found["bn"]:
                add_bn_figures(add, layers, init, run, f"{of}, {norm_name(norm)}")
        by_norm = {norm: found["activation"] for norm, found in records.items() if found["activation"]}
        if by_norm:
            add("activation-inputs", "Input of the activations",
                "What one unit of each activation layer receives over a batch: the median as a line, bands from the 15th to "
                "the 85th and from the 5th to the 95th percentile.", init,
                inside_figures.activation_inputs(by_norm, run),
                f"{of}. {spreads(by_norm)}")
    return list(sections.values())


def spreads(by_norm):
    """How wide the last layer's input was at the end."""
    parts = []
    for norm, layers in by_norm.items():
        layer, records = list(layers.items())[-1]
        low, high = records[-1]["percentiles"]["5"], records[-1]["percentiles"]["95"]
        if low is not None and high is not None:
            parts.append(f"{norm_name(norm)} {high - low:.3g}")
    return f"From the 5th to the 95th percentile in the last of these layers, at the last record: {', '.join(parts)}." \
        if parts else ""


def add_bn_figures(add, layers, init, run, of):
    last = {name: records[-1] for name, records in layers.items()}
    add("bn-input", "Input of batch norm",
        "The values that enter each batch norm layer, over the batch and all channels: the median as a line, bands from the "
        "15th to the 85th and from the 5th to the 95th percentile.", init,
        inside_figures.input_percentiles(layers, run), f"{of}.")
    for moment, word in (("mean", "mean"), ("var", "variance")):
        add(f"bn-{moment}", f"Batch and running {word}",
            f"The {word} of each channel's batch, which training normalises by, and the moving average, which the test "
            "uses: the median channel, and the range of all channels (a band for the batch, thin lines for the average). "
            "Where the two differ, training and test do not see the same function.", init,
            inside_figures.moments(layers, run, moment, word), f"{of}.")
    add("bn-gamma-beta", "gamma and beta",
        "The scale and the shift that were learnt: the median channel, and a band over all channels.", init,
        inside_figures.gamma_and_beta(layers, run), f"{of}.")
    ratios = [f"{name} {record['gradient_norm_input'] / record['gradient_norm_output']:.3g}" for name, record in last.items()
              if record["gradient_norm_input"] is not None and record["gradient_norm_output"]]
    add("bn-gradients", "Gradient before and after batch norm",
        "The norm of the loss's gradient with respect to the output of each batch norm layer, and to its input, which is "
        "what the layers below receive; logarithmic.", init, inside_figures.gradient_norms(layers, run),
        f"{of}. Norm at the input over norm at the output, at the last record: {listed(ratios)}." if ratios else f"{of}.")
