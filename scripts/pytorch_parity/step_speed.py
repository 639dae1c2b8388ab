"""Milliseconds of a training step of any networks, bntrain beside PyTorch on the CPU, by turns, as a Markdown table.

First both train the same steps from the same weights; no time is shown of a network whose losses differ."""
import json
import os
import shlex
import statistics
import subprocess
import sys
import tempfile
from datetime import date
from pathlib import Path

import numpy as np
import torch
from torch import nn

from torch_network import build, expand, parse_shape

from .files import write_dataset, write_safetensors
from .speed import FAIR_ENVIRONMENT, fair_environment, processor

FOLDER = Path(__file__).resolve().parent
STEPS, LR = 3, 0.05
LOSS_BOUND = 1e-4  # of the losses of these steps: float32 on both sides, and the steps multiply its rounding
IMAGES = 512
# image, images in a batch, network: narrow and wide, convolutional and fully connected, small and large batches
CASES = [
    ("1x28x28", 256, "lenet-bn"),
    ("1x28x28", 1, "lenet-bn"),
    ("1x28x28", 16, "lenet-bn"),
    ("1x28x28", 1024, "lenet-bn"),
    ("1x28x28", 256, "mlp-bn"),
    ("1x28x28", 256, "fc1024,bn,relu,fc1024,bn,relu,fc10"),
    ("1x28x28", 32, "fc1024,bn,relu,fc10"),
    ("3x32x32", 128, "conv16x3p1,bn,relu,conv16x3p1,bn,relu,conv16x3p1,bn,relu,conv32x3s2p1,bn,relu,conv32x3p1,bn,relu,"
                     "conv64x3s2p1,bn,relu,conv64x3p1,bn,relu,fc10"),
    ("3x32x32", 64, "conv64x3p1,bn,relu,conv64x3p1,bn,relu,maxpool2,conv128x3p1,bn,relu,conv128x3p1,bn,relu,maxpool2,fc10"),
    ("3x32x32", 64, "conv32x1,bn,relu,conv64x1,bn,relu,conv64x1,bn,relu,fc10"),
    ("3x64x64", 32, "conv32x7s2p3,bn,relu,maxpool2,conv64x3p1,bn,relu,conv64x3p1,bn,relu,maxpool2,fc10"),
]


def add_arguments(group):
    group.add_argument("--case", nargs=3, action="append", metavar=("CxHxW", "BATCH", "TEXT"),
                       help="images, batch size, network; may be repeated (default: the table of the documentation)")
    group.add_argument("--rounds", type=int, default=3, metavar="N", help="of all programs by turns (default 3)")
    group.add_argument("--compile", action="store_true", help="torch.compile too")


def random_images(shape, classes):
    random = np.random.default_rng(1)
    size = (IMAGES, *shape) if shape[0] > 1 else (IMAGES, *shape[1:])
    return random.integers(0, 256, size, np.uint8), random.integers(0, classes, IMAGES).astype(np.uint8)


def torch_losses(network, images, labels, batch):
    optimizer = torch.optim.SGD(network.parameters(), LR)
    x = torch.from_numpy(images.astype(np.float32) / 255).reshape(len(images), -1, *images.shape[-2:])
    y = torch.from_numpy(labels.astype(np.int64))
    losses = []
    for step in range(STEPS):
        pick = torch.arange(step * batch, (step + 1) * batch) % (len(images) // batch * batch)
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(network(x[pick]), y[pick])
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def compare_losses(program, folder, text, shape, batch):
    """The largest relative difference of the losses of some steps from the same weights."""
    torch.manual_seed(0)
    network = build(text, shape)
    images, labels = (np.concatenate([part] * max(1, -(-batch // IMAGES))) for part in random_images(shape, 10))
    write_dataset(folder, (images, labels), (images[:10], np.arange(10, dtype=np.uint8)))
    write_safetensors(folder / "state.safetensors", {name: values.numpy() for name, values in network.state_dict().items()})
    records = program.step_records(["--data", folder, "--init-from", folder / "state.safetensors", "--network", text,
                                    "--bn-convention", "torch", "--lr", LR, "--steps", STEPS, "--shuffle", "none",
                                    "--batch-size", batch])
    theirs = torch_losses(network, images, labels, batch)
    return max(abs(record["loss"] - loss) / (loss or 1) for record, loss in zip(records, theirs, strict=True))


def our_step(program, folder, text, batch, threads):
    timed = json.loads(program.call(["time", "--data", folder, "--network", text, "--batch-size", batch, "--threads", threads,
                                     "--quiet", "--json"]))
    return 1000 * timed["step_seconds"]["median"]


def torch_steps(text, shape, batch, threads, compiled):
    """(precision, layout, mode) -> milliseconds"""
    command = [sys.executable, FOLDER / "torch_step_time.py", "--device", "cpu", "--network", expand(text), "--input",
               "x".join(map(str, shape)), "--batch-size", batch, "--precision", "fp32", "bf16", "--threads", threads,
               *(["--compile"] if compiled else [])]
    done = subprocess.run([*map(str, command)], env=fair_environment(threads), capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"PyTorch's run failed:\n{done.stderr}")
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    return {(row["precision"], row["layout"] + (", compiled" if row["compiled"] else "")): row["milliseconds"] for row in rows}


def text_of(samples):
    return f"{statistics.median(samples):.3g} ({min(samples):.3g} to {max(samples):.3g})"


def check(program, arguments, figures):
    load = os.getloadavg()[0]
    if load > 0.5:
        print(f"steps: the load average is {load:.1f}: others share this machine, and waiting threads suffer most from that",
              file=sys.stderr)
    version = program.call(["--version"]).strip().splitlines()[0]
    lines, passed = [], True
    for image, batch, text in arguments.case or CASES:
        shape, batch = parse_shape(image), int(batch)
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            error = compare_losses(program, folder, expand(text), shape, batch)
            if not error <= LOSS_BOUND:
                print(f"steps: {text}: the losses differ by {error:.1e}, allowed {LOSS_BOUND:.0e}: no times")
                passed = False
                continue
            ours, theirs = [], {}
            for _ in range(arguments.rounds):
                ours.append(our_step(program, folder, expand(text), batch, arguments.threads))
                for key, value in torch_steps(text, shape, batch, arguments.threads, arguments.compile).items():
                    theirs.setdefault(key, []).append(value)
        best = {precision: min(((key[1], values) for key, values in theirs.items() if key[0] == precision),
                               key=lambda variant: statistics.median(variant[1])) for precision in ("fp32", "bf16")}
        ratio = {precision: statistics.median(values) / statistics.median(ours) for precision, (_, values) in best.items()}
        figures[f"step {image} {batch} {text}"] = {"bntrain": ours, "PyTorch": {" ".join(k): v for k, v in theirs.items()}}
        lines.append(f"| `{text}`, {image} ({batch}) | {text_of(ours)} | {text_of(best['fp32'][1])}, {best['fp32'][0]} | "
                     f"{text_of(best['bf16'][1])}, {best['bf16'][0]} | **{ratio['fp32']:.2f}** | {ratio['bf16']:.2f} |")
        print(lines[-1], flush=True)
    if not lines:
        return passed
    table = "\n".join([
        f"Milliseconds of a training step, {date.today()}: {processor()}, {arguments.threads} threads, medians (least to most) of "
        f"{arguments.rounds} rounds by turns; load average before: {load:.1f}.", "",
        "| network, image (batch) | bntrain | PyTorch, float32 | PyTorch, bfloat16 | times as fast as its float32 | as its bfloat16 |",
        "|---|---|---|---|---|---|", *lines, "",
        f"- {version}; PyTorch {torch.__version__}, the faster of NCHW and channels last{', eager and compiled' if arguments.compile else ''}; "
        "one batch that is in memory already, where bntrain gathers its images in every step",
        "- PyTorch's environment: " + " ".join(f"{key}={value}" for key, value in FAIR_ENVIRONMENT.items()),
        f"- losses of {STEPS} steps from the same weights differ by less than {LOSS_BOUND:.0e}",
        f"- command: `scripts/compare_pytorch.py {shlex.join(sys.argv[1:])}`"]) + "\n"
    if arguments.markdown:
        arguments.markdown.write_text(table)
    print("\n" + table)
    return passed
