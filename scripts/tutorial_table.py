#!/usr/bin/env python3
"""Trains the 2017 tutorial's three experiments over five seeds and prints them beside its recorded numbers.

    scripts/tutorial_table.py [--bntrain build/release/bntrain] [--seeds 0,1,2,3,4] [--json FILE]

Each cell is train loss / train accuracy / test accuracy. Losses and accuracies are means of batch means over one epoch, as the tutorial printed them; `best` is the best test
accuracy over all 10,000 images. Exits with 1 when a result leaves the band that PyTorch's own runs of the same
experiments set.
"""
import argparse
import json
import pathlib
import statistics
import subprocess
import sys

# (loss, train accuracy, test accuracy) after each epoch, one run each, 2017, MXNet.
EXPERIMENTS = {
    "BN, init tutorial": {
        "flags": [],
        "recorded": [(2.147481, .178408, .643457), (.607631, .765281, .840234), (.417004, .844886, .875586),
                     (.350738, .870656, .873633), (.312399, .883760, .878516)],
        "last_loss": (0.30, 0.37), "best_mean": 0.86, "best_each": 0.83,
    },
    "BN, init gluon": {
        "flags": ["--init", "gluon"],
        "recorded": [(.685993, .738990, .837402), (.388239, .855801, .875879), (.324464, .879693, .887793),
                     (.287061, .893822, .901367), (.266674, .901230, .899512)],
        "last_loss": (0.25, 0.28), "best_mean": 0.885, "best_each": 0.0,
    },
    "no BN, init tutorial": {
        "flags": ["--norm", "none"],
        "recorded": [(2.302478, .101980, .185998), (1.473099, .448902, .699920), (.670971, .737964, .768630),
                     (.535203, .793286, .821214), (.463232, .827841, .840645)],
        "last_loss": (0.42, 0.48), "best_mean": 0.0, "best_each": 0.0,
        "first_loss": (2.28, 2.31), "first_accuracy": 0.15,
    },
}


def train(program, flags, seed):
    command = [program, "--epochs", "5", "--lr", "0.2", "--seed", str(seed), "--json", "--quiet", *flags]
    lines = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()
    return [record for record in map(json.loads, lines) if "train_loss" in record]


def cell(runs, epoch):
    """Loss, train and test accuracy of one epoch over the seeds, the outer two with their standard deviations."""
    def figure(key, with_deviation):
        values = [run[epoch][key] for run in runs]
        deviation = f" ± {statistics.stdev(values):.3f}" if with_deviation and len(values) > 1 else ""
        return f"{statistics.mean(values):.3f}{deviation}"
    return (f"{figure('train_loss_batch_mean', True)} / {figure('train_accuracy_batch_mean', False)} / "
            f"{figure('test_accuracy_batch_mean', True)}")


def best_accuracies(runs):
    return [max(epoch["test_accuracy"] for epoch in run) for run in runs]


def misses(name, experiment, runs):
    """The bands that the runs leave, in words."""
    last = statistics.mean(run[-1]["train_loss"] for run in runs)
    best = best_accuracies(runs)
    low, high = experiment["last_loss"]
    found = []
    if not low <= last <= high:
        found.append(f"{name}: mean last train loss {last:.3f} is not within {low} to {high}")
    if statistics.mean(best) < experiment["best_mean"]:
        found.append(f"{name}: mean best test accuracy {statistics.mean(best):.3f} is below {experiment['best_mean']}")
    if min(best) < experiment["best_each"]:
        found.append(f"{name}: a best test accuracy of {min(best):.3f} is below {experiment['best_each']}")
    if "first_loss" in experiment:
        low, high = experiment["first_loss"]
        first = [(run[0]["train_loss"], run[0]["train_accuracy"]) for run in runs]
        if any(not low <= loss <= high or accuracy >= experiment["first_accuracy"] for loss, accuracy in first):
            found.append(f"{name}: epoch 0 leaves {low} to {high} or reaches accuracy {experiment['first_accuracy']}: {first}")
    return found


def print_table(results):
    print("| epoch | " + " | ".join(f"{name}: 2017 | ours" for name in results) + " |")
    print("|---|" + "---|---|" * len(results))
    for epoch in range(5):
        columns = []
        for name, runs in results.items():
            columns.append(" / ".join(f"{value:.3f}" for value in EXPERIMENTS[name]["recorded"][epoch]))
            columns.append(cell(runs, epoch))
        print(f"| {epoch} | " + " | ".join(columns) + " |")
    print()
    for name, runs in results.items():
        best = best_accuracies(runs)
        print(f"- {name}: mean last train loss by image {statistics.mean(run[-1]['train_loss'] for run in runs):.3f}, "
              f"best test accuracy {statistics.mean(best):.3f} ({min(best):.3f} to {max(best):.3f} over the seeds)")


def main():
    root = pathlib.Path(__file__).resolve().parent.parent
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bntrain", default=str(root / "build/release/bntrain"))
    parser.add_argument("--seeds", default="0,1,2,3,4", help="comma-separated")
    parser.add_argument("--json", help="write every epoch of every run there")
    arguments = parser.parse_args()
    seeds = [int(seed) for seed in arguments.seeds.split(",")]
    results, missed = {}, []
    for name, experiment in EXPERIMENTS.items():
        runs = results[name] = [train(arguments.bntrain, experiment["flags"], seed) for seed in seeds]
        missed += misses(name, experiment, runs)
    print_table(results)
    if arguments.json:
        pathlib.Path(arguments.json).write_text(json.dumps(results, indent=1) + "\n")
    for line in missed:
        print(f"missed: {line}", file=sys.stderr)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
