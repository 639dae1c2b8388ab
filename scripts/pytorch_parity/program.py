"""Runs bntrain on data and states that Python made."""
import json
import os
import subprocess
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from .files import read_safetensors, write_dataset, write_safetensors
from .network import BATCH_SIZE


@dataclass
class Outcome:
    losses: list  # one a step
    after: dict  # the model after the last step, name -> array
    gradients: dict  # of the last step


@dataclass
class Program:
    path: Path
    test: tuple  # (images, labels); bntrain evaluates after every epoch, and a few images will do
    flags: list = field(default_factory=list)  # added to every call

    def call(self, arguments):
        """Its stdout. The caller's BNTRAIN_* must not change what is compared."""
        environment = {key: value for key, value in os.environ.items() if not key.startswith("BNTRAIN_")}
        command = [str(self.path), *map(str, arguments), *self.flags]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=3600)
        if done.returncode != 0:
            raise SystemExit(f"exit code {done.returncode} of: {' '.join(command)}\n{done.stdout}{done.stderr}")
        return done.stdout

    def train(self, state, images, labels, norm, lr, steps):
        """`steps` steps from `state` through the images in their order, again and again."""
        with tempfile.TemporaryDirectory() as folder:
            folder = Path(folder)
            write_dataset(folder, (images, labels), self.test)
            write_safetensors(folder / "state.safetensors", {
                name: values.float().numpy() if values.is_floating_point() else values.numpy().astype(np.int64)
                for name, values in state.items()})
            self.call(["--data", folder, "--init-from", folder / "state.safetensors", "--lr", repr(lr),
                       "--steps", steps, "--shuffle", "none", "--batch-size", BATCH_SIZE,
                       "--norm", "batch" if norm else "none", "--save", folder / "after.safetensors",
                       "--save-gradients", folder / "gradients.safetensors", "--metrics", folder / "m.jsonl",
                       "--log-every", 1, "--quiet"])
            losses = step_losses(folder / "m.jsonl")
            if len(losses) != steps:
                raise SystemExit(f"{len(losses)} step losses in the metrics of {steps} steps")
            return Outcome(losses, read_safetensors(folder / "after.safetensors"),
                           read_safetensors(folder / "gradients.safetensors"))


def step_losses(path):
    """The step losses of a metrics file in their order."""
    records = [json.loads(line) for line in Path(path).read_text().splitlines()]
    return [record["loss"] for record in records if record.get("event") == "step"]
