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

    def step_records(self, arguments):
        """Those that a training run with `arguments` writes to its metrics, one a step."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "metrics.jsonl"
            self.call([*arguments, "--metrics", path, "--log-every", 1, "--quiet"])
            records = [json.loads(line) for line in path.read_text().splitlines()]
        return [record for record in records if record.get("event") == "step"]

    def train(self, state, images, labels, setting, optimizer, steps):
        """`steps` steps from `state` through the images in their order, again and again."""
        with tempfile.TemporaryDirectory() as folder:
            folder = Path(folder)
            write_dataset(folder, (images, labels), self.test)
            write_safetensors(folder / "state.safetensors", {
                name: values.float().numpy() if values.is_floating_point() else values.numpy().astype(np.int64)
                for name, values in state.items()})
            records = self.step_records([
                "--data", folder, "--init-from", folder / "state.safetensors", *setting.flags, *optimizer.flags(),
                "--steps", steps, "--schedule-steps", max(steps, optimizer.warmup), "--shuffle", "none", "--batch-size", BATCH_SIZE,
                "--save", folder / "after.safetensors", "--save-gradients", folder / "gradients.safetensors"])
            if len(records) != steps:
                raise SystemExit(f"{len(records)} step records in the metrics of {steps} steps")
            return Outcome([record["loss"] for record in records], read_safetensors(folder / "after.safetensors"),
                           read_safetensors(folder / "gradients.safetensors"))
