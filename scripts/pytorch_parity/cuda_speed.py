"""Training time on a GPU of bntrain and of PyTorch in each of its modes, strict float32 and TF32, as Markdown."""
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import torch

from .speed import epochs_of
from .torch_device_training import MODES

FOLDER = Path(__file__).resolve().parent
PRECISIONS = ["fp32", "tf32"]


@dataclass
class Timed:
    """The runs of one program in one precision; each is the list of its epochs."""
    name: str
    runs: list
    refusal: str = ""  # why there are none
    process_seconds: float = None  # of one run from start to exit

    @property
    def last_loss(self):
        return statistics.mean(run[-1]["train_loss"] for run in self.runs)

    @property
    def training_ms(self):
        """Of all epochs of a run, evaluation not counted: the median of the runs."""
        return 1000 * statistics.median(sum(epoch["seconds"] for epoch in run) for run in self.runs)


def torch_runs(arguments, mode, precision):
    command = [sys.executable, FOLDER / "torch_device_training.py", "--data", arguments.data, "--mode", mode,
               "--precision", precision, "--epochs", arguments.epochs, "--seeds", *range(arguments.repetitions)]
    done = subprocess.run([*map(str, command)], capture_output=True, text=True)
    name = f"PyTorch {mode}, {precision}"
    if done.returncode != 0:
        return Timed(name, [], refusal=(done.stderr.strip().splitlines() or ["no message"])[-1])
    epochs = epochs_of(done.stdout)
    return Timed(name, [[epoch for epoch in epochs if epoch["seed"] == seed] for seed in range(arguments.repetitions)])


def bntrain_runs(program, arguments, precision):
    runs, processes = [], []
    for seed in range(arguments.repetitions):
        start = time.perf_counter()
        text = program.call(["--data", arguments.data, "--precision", precision, "--json", "--quiet", "--epochs",
                             arguments.epochs, "--lr", 0.2, "--seed", seed])
        processes.append(time.perf_counter() - start)
        runs.append(epochs_of(text))
    return Timed(f"bntrain, {precision}", runs, process_seconds=statistics.median(processes))


def row(timed):
    if timed.refusal:
        return f"| {timed.name} | could not run: {timed.refusal} | | | | | |"
    totals = [1000 * sum(epoch["seconds"] for epoch in run) for run in timed.runs]
    later = [1000 * epoch["seconds"] for run in timed.runs for epoch in run[1:]] or totals
    evaluations = [1000 * epoch["eval_seconds"] for run in timed.runs for epoch in run]
    best = max(epoch["test_accuracy"] for run in timed.runs for epoch in run)
    before = [run[0]["preparation_seconds"] for run in timed.runs if "preparation_seconds" in run[0]]
    process = (f"{timed.process_seconds:.2f} s in all" if timed.process_seconds is not None else
               f"{before[0]:.2f} s before its first step" if before else "")
    losses = " ".join(f"{run[-1]['train_loss']:.3f}" for run in timed.runs)
    return (f"| {timed.name} | {losses} | {best:.4f} | {timed.training_ms:.1f} ({min(totals):.1f} to {max(totals):.1f}) | "
            f"{statistics.median(later):.1f} | {statistics.median(evaluations):.1f} | {process} |")


def markdown(arguments, device, version, of_all):
    """The table, and for each precision how bntrain compares with PyTorch's fastest mode."""
    lines = [f"Training the reference network on a GPU, {date.today()}: {device}, {arguments.repetitions} runs of "
             f"{arguments.epochs} epochs each.", "",
             "| program | last train loss, by run | best test accuracy | ms of training: median (range) of runs | "
             "ms of an epoch but the first | ms of an evaluation | process |", "|---|---|---|---|---|---|---|",
             *map(row, of_all), ""]
    ratios = {}
    for precision in PRECISIONS:
        timed = [each for each in of_all if each.runs and each.name.endswith(precision)]
        ours = [each for each in timed if each.name.startswith("bntrain")]
        theirs = [each for each in timed if each.name.startswith("PyTorch")]
        if ours and theirs:
            fastest = min(theirs, key=lambda each: each.training_ms)
            ratios[precision] = fastest.training_ms / ours[0].training_ms
            lines.append(f"**{ours[0].name} is {ratios[precision]:.2f} times as fast as {fastest.name}.**")
    lines += ["", f"- {version}; PyTorch {torch.__version__}, CUDA {torch.version.cuda}, cuDNN algorithms chosen by "
              "timing them, data on the GPU as float32",
              "- training: from an epoch's first step to the end of its last, the permutation included. PyTorch's by "
              "events, with kernels and graphs built before; bntrain's by its own clock, with its first steps and graph "
              "captures in its first epoch",
              f"- command: `scripts/compare_pytorch.py {' '.join(sys.argv[1:])}`"]
    return ratios, "\n".join(lines) + "\n"


def within_band(of_all, band):
    """Whether everything that ran learned the same; says what did not."""
    low, high = band
    fine = True
    for timed in of_all:
        if timed.runs and not low <= timed.last_loss <= high:
            print(f"\nspeed: the mean last train loss of {timed.name} is {timed.last_loss:.4f}, not within {low} to "
                  f"{high}: no times shown")
            fine = False
    return fine


def check(program, arguments, figures):
    """Loss first; no time is shown of a program that did not learn the same."""
    if not torch.cuda.is_available():
        raise SystemExit(f"--check speed --device cuda: PyTorch {torch.__version__} sees no GPU here")
    version = program.call(["--version"]).strip().splitlines()[0]
    of_all = []
    for precision in PRECISIONS:
        of_all.append(bntrain_runs(program, arguments, precision))
        of_all += [torch_runs(arguments, mode, precision) for mode in MODES]
    if not within_band(of_all, arguments.band):
        return False
    ratios, text = markdown(arguments, torch.cuda.get_device_name(0), version, of_all)
    figures["speed"] = {"ratios": ratios, "runs": {timed.name: timed.runs or timed.refusal for timed in of_all}}
    if arguments.markdown:
        arguments.markdown.write_text(text)
    print("\n" + text)
    slowest = min(ratios.values(), default=0)
    return bool(ratios) and (arguments.at_least is None or slowest >= arguments.at_least)
