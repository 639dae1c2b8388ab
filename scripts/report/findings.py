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


def rates(values):
    return listed(number(value) for value in values)


def plural(n, word):
    return f"{n} {word}{'' if n == 1 else 's'}"


def trained_words(bench):
    seeds = len(bench.results["config"]["seeds"])
    return "its one seed" if seeds == 1 else "both seeds" if seeds == 2 else f"all {seeds} seeds"


def largest_sentence(bench, norm, init):
    largest, name = bench.largest_lr(norm, init), norm_name(norm)
    if largest is None:
        return f"With {name}, no learning rate of the grid trained {trained_words(bench)}."
    limit = ", the largest of the grid, so the limit was not found" if largest == max(bench.lrs) else ""
    failing = [lr for lr in bench.lrs if lr < largest and bench.arm(norm, init, lr) and
               bench.arm(norm, init, lr)["summary"]["trained"] < len(bench.runs(norm, init, lr))]
    holes = f" ({rates(failing)} did not, though lower)" if failing else ""
    return f"With {name}, the largest learning rate that trained {trained_words(bench)} was {number(largest)}{limit}{holes}."


def limit_sentence(bench, init):
    """Who allowed the larger learning rate."""
    batch, none = bench.largest_lr("batch", init), bench.largest_lr("none", init)
    if batch is None and none is None:
        return ""
    if batch is not None and none is not None and batch == none:
        return "Batch norm allowed no larger learning rate than no norm." if batch < max(bench.lrs) else \
            "The grid does not tell which of the two allows the larger learning rate."
    if none is None or batch is not None and batch > none:
        factor = "" if none is None else f": {number(round(batch / none, 2))} times as large"
        return f"Batch norm allowed a larger learning rate{factor}."
    factor = "" if batch is None else f": no norm trained at one {number(round(none / batch, 2))} times as large"
    return f"Batch norm allowed a smaller learning rate than no norm{factor}."


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
    ahead, behind, mixed, none = [], [], [], []
    for lr in bench.lrs:
        stat = bench.difference(init, lr, epoch)
        if stat is None:
            none.append(number(lr))
        elif stat["min"] > 0:
            ahead.append(f"{number(lr)} ({points(stat['mean'])})")
        elif stat["max"] < 0:
            behind.append(f"{number(lr)} ({points(stat['mean'])})")
        else:
            mixed.append(f"{number(lr)} ({points(stat['mean'])})")
    single = len(bench.results["config"]["seeds"]) == 1
    parts = []
    if ahead:
        parts.append(f"ahead {'' if single else 'in every pair of seeds '}at {listed(ahead)}")
    if behind:
        parts.append(f"behind {'' if single else 'in every pair of seeds '}at {listed(behind)}")
    if mixed:
        parts.append(f"{'level' if single else 'neither in every pair'} at {listed(mixed)}")
    if none:
        parts.append(f"without a pair to compare at {listed(none)}")
    return f"After {words}, by learning rate and in percentage points of test accuracy, batch norm was {'; '.join(parts)}."


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
    sentences = [limit_sentence(bench, init)] if bench.paired else []
    sentences += [largest_sentence(bench, norm, init) for norm in bench.norms]
    if bench.paired:
        last = bench.epochs - 1
        if last > 0:
            sentences.append(difference_sentence(bench, init, 0, "the first epoch"))
        sentences.append(difference_sentence(bench, init, last, f"the last epoch ({plural(bench.epochs, 'epoch')})"))
    sentences += [best_sentence(bench, init), missing_sentence(bench, init)]
    return [sentence for sentence in sentences if sentence]


def caveat(bench):
    results = bench.results
    seeds = len(results["config"]["seeds"])
    text = (f"A run trained when it reached {100 * results['target']:g}% test accuracy; it stayed at chance when it never "
            f"passed {100 * results['chance']:g}%. A limit lies between the rate named and the next of the grid. ")
    if seeds == 1:
        return text + "One seed an arm: no figure here has a spread, and small differences mean nothing."
    few = f", which for {seeds} seeds is no confidence interval" if seeds < FEW_SEEDS else ""
    return text + f"Ranges are the smallest and largest of {seeds} seeds{few}."
