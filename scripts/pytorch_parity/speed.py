"""Training images per second of bntrain and PyTorch, by turns on the same machine, as a Markdown fragment."""
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from datetime import date
from pathlib import Path

import torch

FOLDER = Path(__file__).resolve().parent
# Stock settings give PyTorch half its speed: malloc returns every large tensor to the system and faults it in again.
FAIR_ENVIRONMENT = {"OPENBLAS_NUM_THREADS": "1", "MALLOC_MMAP_THRESHOLD_": "1073741824",
                    "MALLOC_TRIM_THRESHOLD_": "8589934592", "MALLOC_TOP_PAD_": "268435456"}
TRIAL_STEPS = 60
# Multiplications and additions of one training image: forward, weight gradients, and input gradients except for the
# first convolution's.
FORWARD_FLOPS = 2 * (20 * 24 * 24 * 25 + 50 * 10 * 10 * 20 * 9 + 1250 * 128 + 128 * 10)
TRAINING_FLOPS = 3 * FORWARD_FLOPS - 2 * 20 * 24 * 24 * 25


def add_arguments(group):
    group.add_argument("--epochs", type=int, default=5, metavar="N")
    group.add_argument("--repetitions", type=int, default=3, metavar="N",
                       help="runs of each program, by turns, one a seed from 0 (default 3)")
    group.add_argument("--band", type=float, nargs=2, default=(0.30, 0.37), metavar=("LOW", "HIGH"),
                       help="of the mean last train loss, for both (default 0.30 0.37)")
    group.add_argument("--at-least", type=float, metavar="X", help="fail under X times PyTorch's images per second")
    group.add_argument("--peak-gflops", type=float, metavar="X", help="of the processor; measured when left out")
    group.add_argument("--markdown", type=Path, metavar="FILE", help="write the result there, else to stdout")


def fair_environment(threads):
    environment = {key: value for key, value in os.environ.items() if key != "OPENBLAS_CORETYPE"}
    return environment | FAIR_ENVIRONMENT | {"OMP_NUM_THREADS": str(threads)}


def epochs_of(text):
    """The epoch objects of a program's JSON lines."""
    records = [json.loads(line) for line in text.splitlines()]
    return [record for record in records if record.get("event", "epoch") == "epoch" and "images_per_second" in record]


def run_torch(arguments, extra):
    command = [sys.executable, FOLDER / "torch_training.py", "--data", arguments.data, "--threads", arguments.threads]
    done = subprocess.run([*map(str, command), *map(str, extra)], env=fair_environment(arguments.threads),
                          capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"PyTorch's run failed:\n{done.stderr}")
    return epochs_of(done.stdout)


def fastest_torch(arguments):
    """The flags of PyTorch's fastest variant, each tried for two short epochs, the first to warm up."""
    variants = [[], ["--channels-last"], ["--pool-first"], ["--channels-last", "--pool-first"]]
    return max(variants, key=lambda flags: run_torch(
        arguments, ["--epochs", 2, "--steps", TRIAL_STEPS, *flags])[-1]["images_per_second"])


def measure_peak(threads):
    """GFLOP/s of fused multiply-adds in float32, None where there is no compiler."""
    with tempfile.TemporaryDirectory() as folder:
        program = Path(folder) / "fma_peak"
        try:
            subprocess.run(["g++", "-O3", "-march=native", "-std=c++17", "-pthread", FOLDER / "fma_peak.cpp", "-o",
                            program], check=True)
        except FileNotFoundError:
            return None
        return float(subprocess.run([program, str(threads)], check=True, capture_output=True, text=True).stdout)


def processor():
    lines = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    return f"{lines[0].split(':')[1].strip()}, {len(lines)} cores" if lines else platform.processor()


def median_and_spread(rates):
    return f"{statistics.median(rates):,.0f} ({min(rates):,.0f} to {max(rates):,.0f})"


def markdown(arguments, version, variant, runs, peak, load):
    rates = {name: [epoch["images_per_second"] for run in of for epoch in run] for name, of in runs.items()}
    medians = {name: statistics.median(values) for name, values in rates.items()}
    lines = [f"Training speed of the reference network, {date.today()}: {processor()}, {arguments.threads} threads, "
             f"{arguments.repetitions} runs of {arguments.epochs} epochs each, by turns; "
             f"load average before: {load:.1f}.", "",
             "| program | last train loss, by run | best test accuracy | images/s: median (range) of epochs | "
             "GFLOP/s | of the FMA peak |", "|---|---|---|---|---|---|"]
    for name, of in runs.items():
        gflops = medians[name] * TRAINING_FLOPS / 1e9
        losses = " ".join(f"{run[-1]['train_loss']:.3f}" for run in of)
        best = max(epoch["test_accuracy"] for run in of for epoch in run)
        lines.append(f"| {name} | {losses} | {best:.4f} | {median_and_spread(rates[name])} | {gflops:.0f} | "
                     f"{f'{gflops / peak:.0%}' if peak else 'not measured'} |")
    ours, theirs = runs
    lines += ["", f"**{ours} is {medians[ours] / medians[theirs]:.2f} times as fast as PyTorch.**", "",
              f"- peak in the same run: {f'{peak:.0f} GFLOP/s float32' if peak else 'not measured'}; "
              f"{TRAINING_FLOPS / 1e6:.2f} MFLOP a training image, evaluation not counted",
              f"- {version}; PyTorch {torch.__version__} (its fastest variant here: {variant}), data preloaded as "
              "float32, no loader processes",
              "- PyTorch's environment: " + " ".join(
                  f"{key}={value}" for key, value in
                  {"OMP_NUM_THREADS": arguments.threads, **FAIR_ENVIRONMENT}.items()),
              f"- command: `scripts/compare_pytorch.py {' '.join(sys.argv[1:])}`"]
    return medians[ours] / medians[theirs], "\n".join(lines) + "\n"


def check(program, arguments, figures):
    """Loss first; no time is shown of a program that did not learn the same."""
    load = os.getloadavg()[0]
    if load > 0.5:
        print(f"speed: the load average is {load:.1f}: others share this machine, and PyTorch's waiting threads suffer "
              "most from that", file=sys.stderr)
    variant = fastest_torch(arguments)
    version = program.call(["--version"]).strip().splitlines()[0]
    peaks = [arguments.peak_gflops or measure_peak(arguments.threads)]
    runs = {"bntrain": [], "PyTorch": []}
    for seed in range(arguments.repetitions):
        common = ["--epochs", arguments.epochs, "--lr", 0.2, "--seed", seed]
        runs["bntrain"].append(epochs_of(program.call(
            ["--data", arguments.data, "--threads", arguments.threads, "--json", "--quiet", *common])))
        runs["PyTorch"].append(run_torch(arguments, [*variant, *common]))
    if peaks[0] and not arguments.peak_gflops:
        peaks.append(measure_peak(arguments.threads))  # another tenant may have come or gone
    peak = max(peaks) if peaks[0] else None

    low, high = arguments.band
    for name, of in runs.items():
        loss = statistics.mean(run[-1]["train_loss"] for run in of)
        if not low <= loss <= high:
            print(f"\nspeed: the mean last train loss of {name} is {loss:.4f}, not within {low} to {high}: no times shown")
            return False
    ratio, text = markdown(arguments, version, " ".join(variant) or "plain", runs, peak, load)
    figures["speed"] = {"ratio": ratio, "peak_gflops": peak, "variant": variant, "runs": runs}
    if arguments.markdown:
        arguments.markdown.write_text(text)
    print("\n" + text)
    return arguments.at_least is None or ratio >= arguments.at_least
