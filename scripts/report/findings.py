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


def with_norm(norm):
    return {"batch": "with batch norm", "none": "without batch norm"}.get(norm, f"with {norm} norm")


def who_trained(bench):
    seeds = len(bench.results["config"]["seeds"])
    return {1: "the one seed", 2: "both seeds"}.get(seeds, f"all {seeds} seeds")


def capital(text):
    return text[0].upper() + text[1:]


def reach(bench, norm, init):
    """Up to which learning rate all seeds trained."""
    largest = bench.largest_lr(norm, init)
    if largest is None:
        return f"at no learning rate {with_norm(norm)}"
    arms = [(lr, arm) for lr in bench.lrs if lr < largest and (arm := bench.arm(norm, init, lr))]
    failing = [lr for lr, arm in arms if arm["summary"]["trained"] < len(arm["runs"])]
    remarks = ["the largest tried"] if largest == max(bench.lrs) else []
    if failing:
        remarks.append(f"although not at {listed(map(number, failing))}")
    remark = f" ({', '.join(remarks)})" if remarks else ""
    return f"up to a learning rate of {number(largest)} {with_norm(norm)}{remark}"


def limit_sentence(bench, init):
    """Which learning rates trained, and who allowed the larger one."""
    who, norms = who_trained(bench), bench.norms
    trained = [norm for norm in norms if bench.largest_lr(norm, init) is not None]
    if not trained:
        both = "with or without batch norm" if bench.paired else listed(map(with_norm, norms))
        return f"At no learning rate tried did {who} train, {both}."
    if len(bench.lrs) == 1:
        failed = [norm for norm in norms if norm not in trained]
        but = f", but not {listed(map(with_norm, failed))}" if failed else ""
        return f"At {number(bench.lrs[0])}, the only learning rate tried, {who} trained {listed(map(with_norm, trained))}{but}."
    first, words, others = listed(reach(bench, norm, init) for norm in norms).partition(" a learning rate of")
    text = f"{capital(who)} trained {first}{words}{others.replace(words, '')}"
    if not bench.paired:
        return f"{text}."
    batch, none = bench.largest_lr("batch", init), bench.largest_lr("none", init)
    if None in (batch, none):
        return f"{text}."
    if batch == none:
        return text + (": the same limit." if batch < max(bench.lrs) else ": the limits lie beyond this grid.")
    # A limit at the end of the grid may be a larger one.
    least = "at least " if max(batch, none) == max(bench.lrs) else ""
    factor = number(round(max(batch, none) / min(batch, none), 2))
    return f"{text}: batch norm {'raised' if batch > none else 'lowered'} the limit by a factor of {least}{factor}."


def best_sentence(bench, init):
    def best(norm):
        means = [(arm["summary"]["best_test_accuracy"]["mean"], lr) for lr in bench.lrs
                 if (arm := bench.arm(norm, init, lr)) and arm["summary"]["best_test_accuracy"]]
        return max(means, key=lambda pair: (pair[0], -pair[1]), default=None)
    parts = [f"{percent(found[0])} {with_norm(norm)} (at {number(found[1])})" for norm in bench.norms if (found := best(norm))]
    mean = "" if len(bench.results["config"]["seeds"]) == 1 else ", as a mean over the seeds,"
    return f"The best test accuracy of any learning rate{mean} was {listed(parts)}." if parts else ""


def best_setting(bench):
    """The arm of the highest mean, of those in which every run ended with finite numbers."""
    seeds = len(bench.results["config"]["seeds"])
    finite = [arm for arm in bench.results["arms"] if len(arm["runs"]) == seeds and not arm["summary"]["diverged"]
              and arm["summary"]["best_test_accuracy"]]
    if not finite:
        return "There is no best setting: in every one a run diverged or is missing."
    arm = max(finite, key=lambda one: one["summary"]["best_test_accuracy"]["mean"])
    mean = "the mean of the best test accuracies of its runs" if seeds > 1 else "the best test accuracy of its run"
    return (f"Best setting: {norm_name(arm['norm'])}, init {arm['init']}, learning rate {number(arm['lr'])}: "
            f"{percent(arm['summary']['best_test_accuracy']['mean'])}, {mean}.")


def difference_sentence(bench, init, epoch, words):
    """At which learning rates batch norm was ahead in every pair, behind in every pair, or neither."""
    clauses = {"batch norm was ahead": [], "batch norm was behind": [], "both were level": [], "the pairs disagree": [],
               "there is no pair to compare": []}
    unit = " points"  # said once

    def verdict(stat):
        if stat is None:
            return "there is no pair to compare"
        if stat["min"] == stat["max"] == 0:
            return "both were level"
        return ("batch norm was ahead" if stat["min"] > 0 else "batch norm was behind" if stat["max"] < 0
                else "the pairs disagree")
    for lr in bench.lrs:
        stat = bench.difference(init, lr, epoch)
        clauses[verdict(stat)].append((lr, stat))
    parts = []
    for clause, found in clauses.items():
        at = []
        for lr, stat in found:
            at.append(number(lr) if stat is None or clause == "both were level" else f"{number(lr)} ({points(stat['mean'])}{unit})")
            unit = "" if at[-1].endswith(")") else unit
        if at:
            parts.append(f"{clause.removeprefix('batch norm was ') if parts else clause} at {listed(at)}")
    return f"In test accuracy after {words}, {'; '.join(parts)}."


def missing_sentence(bench, init):
    parts = []
    for norm in bench.norms:
        runs = [run for lr in bench.lrs for run in bench.runs(norm, init, lr)]
        failed = [(n, words) for outcome, words in (("diverged", "diverged"), ("chance", "stayed at chance"),
                                                    ("below_target", "stayed below the target"))
                  if (n := count(runs, lambda run, kind=outcome: run["outcome"] == kind))]
        every = {1: "the one run", 2: "both runs"}.get(len(runs), f"all {len(runs)} runs")
        if len(failed) == 1 and failed[0][0] == len(runs):
            parts.append(f"{every} {with_norm(norm)} {failed[0][1]}")
        elif failed:
            parts.append(f"of {plural(len(runs), 'run')} {with_norm(norm)} {listed(f'{n} {words}' for n, words in failed)}")
        else:
            parts.append(f"{every} {with_norm(norm)} trained")
    return f"{capital('; '.join(parts))}."


def findings(bench, init):
    """The sentences about one initialisation."""
    sentences = [limit_sentence(bench, init)]
    if bench.paired:
        sentences += difference_sentences(bench, init)
    sentences += [best_sentence(bench, init), missing_sentence(bench, init)]
    return [sentence for sentence in sentences if sentence]


def difference_sentences(bench, init):
    if bench.epochs == 1:
        return [difference_sentence(bench, init, 0, "the only epoch")]
    return [difference_sentence(bench, init, 0, "the first epoch"),
            difference_sentence(bench, init, bench.epochs - 1, "the last epoch")]


def caveat(bench):
    results = bench.results
    seeds = len(results["config"]["seeds"])
    text = (f"A run trained when it reached {100 * results['target']:g}% test accuracy; it stayed at chance when it never "
            f"passed {100 * results['chance']:g}%. A limit lies between the learning rate named and the next of the grid. ")
    if bench.paired and seeds > 1:
        text += "Batch norm is called ahead or behind where it was so in every pair of runs of one seed. "
    if seeds == 1:
        return text + "There is one run of each kind: no figure here has a spread, and small differences mean nothing."
    few = ", which is no confidence interval" if seeds < FEW_SEEDS else ""
    return text + f"Ranges go from the smallest to the largest of {seeds} seeds{few}."
