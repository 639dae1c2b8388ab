"""PyTorch's side of the comparison on a GPU, as far as a CPU runs it; and the table that is made of what both measured.

usage: torch_device_test.py SCRIPTS_FOLDER"""
import argparse
import contextlib
import io
import json
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import numpy as np
import torch
from torch import nn

SCRIPTS = Path(sys.argv.pop(1)).resolve()
sys.path.insert(0, str(SCRIPTS))
from pytorch_parity import cuda_speed  # noqa: E402
from pytorch_parity.files import write_dataset  # noqa: E402
from pytorch_parity.network import BATCH_SIZE, REFERENCE, Network, initial_state  # noqa: E402
from pytorch_parity.speed import epochs_of  # noqa: E402
from pytorch_parity.torch_device_training import Training, on_device  # noqa: E402
from pytorch_parity.torch_step_time import make_step  # noqa: E402
from pytorch_parity.torch_training import make_network  # noqa: E402
from torch_network import build  # noqa: E402

CPU = torch.device("cpu")
IMAGES = BATCH_SIZE + 96  # an epoch of a full batch and of a short one
LR = 0.002


def problem():
    random = np.random.default_rng(1)
    return random.integers(0, 256, (IMAGES, 28, 28), np.uint8), random.integers(0, 10, IMAGES, np.uint8)


def network_with(state):
    network = make_network(False)
    network.load_state_dict({name: values.float() if values.is_floating_point() else values
                             for name, values in state.items()})
    return network


def training(mode="eager", network=None):
    return Training(CPU, mode, *on_device(*problem(), CPU), LR, network or network_with(initial_state(REFERENCE.text, "torch", 0)))


class TrainingOnADevice(unittest.TestCase):
    def test_is_the_reference_experiment(self):
        images, labels = problem()
        reference = Network(REFERENCE.text)
        reference.load(initial_state(REFERENCE.text, "torch", 0))
        twin = torch.optim.SGD(reference.module.parameters(), LR)
        ours = training()
        for _ in range(2):
            losses = []
            for first in (0, BATCH_SIZE):
                batch = slice(first, first + BATCH_SIZE)
                losses.append(reference.step(images[batch], labels[batch]).loss * len(labels[batch]))
                reference.update(twin, LR)
            loss, _, count, seconds = ours.epoch(shuffle=False)
            self.assertEqual(count, IMAGES)
            self.assertGreater(seconds, 0)
            self.assertAlmostEqual(loss, sum(losses) / IMAGES, delta=2e-5)
        state = reference.state()
        for name, values in ours.network.state_dict().items():
            if not name.endswith("running_var"):  # unbiased in PyTorch, biased in the experiment
                torch.testing.assert_close(values.double(), state[name].double(), rtol=1e-4, atol=1e-5)

    def test_building_first_changes_nothing(self):
        state = initial_state(REFERENCE.text, "torch", 3)
        trained = training(network=network_with(state))
        for name, values in trained.network.state_dict().items():
            torch.testing.assert_close(values.double(), state[name].float().double(), rtol=0, atol=0)

    def test_counts_only_the_steps_that_it_takes(self):
        _, accuracy, count, _ = training().epoch(steps=1)
        self.assertEqual(count, BATCH_SIZE)
        self.assertTrue(0 <= accuracy <= 1)

    def test_names_a_mode_that_it_does_not_have(self):
        with self.assertRaisesRegex(SystemExit, "CUDA graphs need a GPU"):
            training("graph")
        if not hasattr(torch, "compile"):
            with self.assertRaisesRegex(SystemExit, "has no torch.compile"):
                training("compile")

    def test_reports_an_epoch_a_line(self):
        with tempfile.TemporaryDirectory() as folder:
            write_dataset(folder, problem(), problem())
            command = [sys.executable, SCRIPTS / "pytorch_parity/torch_device_training.py", "--data", folder, "--device",
                       "cpu", "--mode", "eager", "--epochs", "2", "--seeds", "0", "1"]
            done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=True)
        epochs = epochs_of(done.stdout)
        self.assertEqual([(epoch["seed"], epoch["epoch"]) for epoch in epochs], [(0, 0), (0, 1), (1, 0), (1, 1)])
        self.assertTrue(all(epoch["seconds"] > 0 and epoch["eval_seconds"] > 0 for epoch in epochs))


class StepTime(unittest.TestCase):
    NETWORK = "conv4x3p1,bn,relu,res(conv4x3p1,bn),maxpool2,fc3"

    def test_the_step_learns_its_batch(self):
        torch.manual_seed(1)
        step = make_step(build(self.NETWORK, (2, 8, 8), 3), torch.randn(16, 2, 8, 8), torch.randint(0, 3, (16,)), "fp32")
        losses = [step().item() for _ in range(40)]
        self.assertLess(losses[-1], 0.5 * losses[0])

    def test_reports_a_precision_and_layout_a_line(self):
        command = [sys.executable, SCRIPTS / "pytorch_parity/torch_step_time.py", "--device", "cpu", "--network", self.NETWORK,
                   "--input", "2x8x8", "--classes", "3", "--batch-size", "4", "--precision", "fp32", "bf16"]
        done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=True)
        rows = [json.loads(line) for line in done.stdout.splitlines()]
        self.assertEqual([(row["precision"], row["layout"]) for row in rows],
                         [("fp32", "NCHW"), ("fp32", "channels last"), ("bf16", "NCHW"), ("bf16", "channels last")])
        self.assertTrue(all(row["milliseconds"] > 0 for row in rows))


def run_of(*seconds, loss=0.33):
    return [{"train_loss": loss, "test_accuracy": 0.87, "seconds": each, "eval_seconds": 0.01} for each in seconds]


class Table(unittest.TestCase):
    ARGUMENTS = argparse.Namespace(repetitions=2, epochs=2)

    def of_all(self):
        return [cuda_speed.Timed("bntrain, fp32", [run_of(0.06, 0.04), run_of(0.08, 0.04)], process_seconds=1.5),
                cuda_speed.Timed("PyTorch eager, fp32", [run_of(0.6, 0.6), run_of(0.6, 0.6)]),
                cuda_speed.Timed("PyTorch compile, fp32", [], refusal="no compiler"),
                cuda_speed.Timed("PyTorch graph, fp32", [run_of(0.1, 0.12), run_of(0.1, 0.12)]),
                cuda_speed.Timed("bntrain, tf32", [run_of(0.05, 0.05), run_of(0.05, 0.05)], process_seconds=1.4)]

    def test_compares_with_the_fastest_mode_of_the_same_precision(self):
        ratios, text = cuda_speed.markdown(self.ARGUMENTS, "a GPU", "bntrain 0", self.of_all())
        self.assertEqual(list(ratios), ["fp32"])
        self.assertAlmostEqual(ratios["fp32"], 0.22 / 0.11)
        self.assertIn("**bntrain, fp32 is 2.00 times as fast as PyTorch graph, fp32.**", text)
        self.assertIn("| bntrain, fp32 | 0.330 0.330 | 0.8700 | 110.0 (100.0 to 120.0) | 40.0 | 10.0 | 1.50 s in all |",
                      text)

    def test_names_what_could_not_run(self):
        self.assertIn("| PyTorch compile, fp32 | could not run: no compiler |",
                      cuda_speed.markdown(self.ARGUMENTS, "a GPU", "bntrain 0", self.of_all())[1])

    def test_shows_no_times_of_what_did_not_learn(self):
        of_all = self.of_all()
        self.assertTrue(cuda_speed.within_band(of_all, (0.30, 0.37)))
        for loss in (0.40, 0.2, float("nan")):
            said = io.StringIO()
            of_all[3].runs = [run_of(0.1, loss=loss)]
            with contextlib.redirect_stdout(said):
                self.assertFalse(cuda_speed.within_band(of_all, (0.30, 0.37)))
            self.assertIn("PyTorch graph, fp32", said.getvalue())


if __name__ == "__main__":
    unittest.main()
