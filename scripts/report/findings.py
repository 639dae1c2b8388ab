"""What the runs show, in sentences that are computed from the data; also where it speaks against batch norm."""
from .arms import count
from .style import norm_name, number

FEW_SEEDS = 5


def percent(value):
    return f"{100 * value:.1f}%"


def points(value):
    """A difference of two accuracies."""
    return f"{100 * value:+.1f}".replace("-", "−").replace("+0.0", "0.0").replace("−0.0", "0.0")


def spread(stat, text=points):
    if stat is None or stat["mean"] is None:
        return "–"
    if stat["n"] == 1:
        return text(stat["mean"])
    return f"{text(stat['mean'])} ({text(stat['min'])} to {text(stat['max'])})"


def listed(words):
    words = list(words)
    return words[0] if len(words) == 1 else ", ".join(words[:-1]) + " and " + words[-1]


def plural(n, word):
    return f"{n} {word}{'' if n == 1 else 's'}"


def reach(bench, norm, init):
    """Up to which learning rate all seeds trained."""
    largest = bench.largest_lr(norm, init)
    if largest is None:
        return f"at none with {norm_name(norm)}"
    arms = [(lr, arm) for lr in bench.lrs if lr < largest and (arm := bench.arm(norm, init, lr))]
    failing = [lr for lr, arm in arms if arm["summary"]["trained"] < len(arm["runs"])]
    remarks = ["the largest tried"] if largest == max(bench.lrs) else []
    if failing:
        remarks.append(f"but not at {listed(map(number, failing))}")
    return f"up to {number(largest)} with {norm_name(norm)}{f' ({listed(remarks)})' if remarks else ''}"


def limit_sentence(bench, init):
    """Which learning rates trained, and who allowed the larger one."""
    seeds = len(bench.results["config"]["seeds"])
    who = {1: "The one seed", 2: "Both seeds"}.get(seeds, f"All {seeds} seeds")
    text = f"{who} trained at learning rates {listed(reach(bench, norm, init) for norm in bench.norms)}"
    batch, none = bench.largest_lr("batch", init), bench.largest_lr("none", init)
    if not bench.paired or batch is None and none is None:
        return f"{text}."
    if batch == none:
        return text + (": no difference." if batch < max(bench.lrs) else ": the limits lie beyond this grid.")
    larger = none is None or batch is not None and batch > none
    factor = "" if None in (batch, none) else f" by a factor of {number(round(max(batch, none) / min(batch, none), 2))}"
    return f"{text}: batch norm allowed {'larger' if larger else 'only smaller'} ones{factor}."


def best_sentence(bench, init):
    def best(norm):
        means = [(arm["summary"]["best_test_accuracy"]["mean"], lr) for lr in bench.lrs
                 if (arm := bench.arm(norm, init, lr)) and arm["summary"]["best_test_accuracy"]]
        return max(means, key=lambda pair: (pair[0], -pair[1]), default=None)
    parts = [f"{percent(found[0])} with {norm_name(norm)} (at {number(found[1])})" for norm in bench.norms
             if (found := best(norm))]
    return f"The best mean accuracy of any learning rate was {listed(parts)}." if parts else ""


def difference_sentence(bench, init, epoch, words):
    """At which learning rates batch norm was ahead in every pair, behind in every pair, or neither."""
    found = {"ahead": [], "behind": [], "undecided": [], "without a pair to compare": []}
    for lr in bench.lrs:
        stat = bench.difference(init, lr, epoch)
        if stat is None:
            found["without a pair to compare"].append(number(lr))
        else:
            verdict = "ahead" if stat["min"] > 0 else "behind" if stat["max"] < 0 else "undecided"
            found[verdict].append(f"{number(lr)} ({points(stat['mean'])})")
    parts = [f"{verdict} at {listed(at)}" for verdict, at in found.items() if at]
    return f"In points of test accuracy after {words}, batch norm was {'; '.join(parts)}."


def missing_sentence(bench, init):
    parts = []
    for norm in bench.norms:
        runs = [run for lr in bench.lrs for run in bench.runs(norm, init, lr)]
        failed = [f"{n} {words}" for outcome, words in (("diverged", "diverged"), ("chance", "stayed at chance"),
                                                        ("below_target", "stayed below the target"))
                  if (n := count(runs, lambda run, kind=outcome: run["outcome"] == kind))]
        parts.append(f"of {plural(len(runs), 'run')} with {norm_name(norm)} {listed(failed) if failed else 'none failed'}")
    text = "; ".join(parts)
    return text[0].upper() + text[1:] + "."


def findings(bench, init):
    """The sentences about one initialisation."""
    sentences = [limit_sentence(bench, init)]
    if bench.paired:
        last = bench.epochs - 1
        if last > 0:
            sentences.append(difference_sentence(bench, init, 0, "the first epoch"))
        sentences.append(difference_sentence(bench, init, last, "the last epoch"))
    sentences += [best_sentence(bench, init), missing_sentence(bench, init)]
    return [sentence for sentence in sentences if sentence]


def caveat(bench):
    results = bench.results
    seeds = len(results["config"]["seeds"])
    text = (f"A run trained when it reached {100 * results['target']:g}% test accuracy; it stayed at chance when it never "
            f"passed {100 * results['chance']:g}%. A limit lies between the rate named and the next of the grid. ")
    if bench.paired:
        text += "Batch norm is called ahead or behind where it was in every pair of runs of one seed, else undecided. "
    if seeds == 1:
        return text + "One seed an arm: no figure here has a spread, and small differences mean nothing."
    few = f", which for {seeds} seeds is no confidence interval" if seeds < FEW_SEEDS else ""
    return text + f"Ranges are the smallest and largest of {seeds} seeds{few}."
