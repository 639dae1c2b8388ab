"""The checks of compare_pytorch.py against PyTorch itself in float32 in bntrain's place: what is right passes, planted
errors are noticed.

usage: step_check_test.py SCRIPTS_FOLDER"""
import sys
import unittest
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import nn

sys.path.insert(0, str(Path(sys.argv.pop(1)).resolve()))
from pytorch_parity import step_check  # noqa: E402
from pytorch_parity.free_check import STEPS_PER_EPOCH, FreeRun  # noqa: E402
from pytorch_parity.network import BATCH_SIZE, CORRECT, Network, Setting  # noqa: E402
from pytorch_parity.optimizers import Optimizer  # noqa: E402
from pytorch_parity.program import Outcome  # noqa: E402
from torch_network import Residual  # noqa: E402

SGD = Optimizer(0.02)
ADAMW = Optimizer(1e-3, "adamw")
NESTEROV = Optimizer(0.1, momentum=0.9, nesterov=True, weight_decay=0.01, decay="weights")
SMALL = "conv3x5s3,bn,gelu,fc16,bn,silu,fc10"
NETWORKS = ["conv4x5,bn,gelu,maxpool2,conv8x3,bn,silu,avgpool2,fc32,leakyrelu,fc10",
            "conv4x5,gelu,avgpool2,conv8x3,bn,silu,avgpool2,fc32,bn,gelu,fc10",
            "conv4x5,bn,leakyrelu0.2,maxpool2,fc32,silu,fc10",
            "conv6x3,bn,relu,res(conv6x3p1,bn,relu,conv6x3p1,bn),relu,maxpool2,fc10",
            "conv6x3,bn,relu,res(conv8x3s2p1,bn,relu,conv8x3p1,bn|conv8x1s2,bn),relu,avgpool2,fc10",
            "res(conv1x3p1,bn,gelu),conv6x5,res(bn,relu,res(conv6x3p1,bn|conv6x1),silu,conv6x3p1),maxpool2,bn,fc10",
            "fc32,bn,relu,res(fc32,bn,relu,fc32,bn),relu,res(fc16,gelu|fc16nobias),fc10",
            "conv4x5,relu,maxpool4,res(fc24,relu,fc20|fc20),fc10"]


class InPlaceOfProgram:
    """Trains like Program.train(), but `alter` may change the network, and `optimizer` replaces the one asked for."""

    def __init__(self, alter=lambda module: None, optimizer=None):
        self.alter, self.optimizer = alter, optimizer

    def twin(self, module, optimizer):
        return (self.optimizer or optimizer).twin(module)

    def train(self, state, images, labels, setting, optimizer, steps):
        network = Network(setting.text)
        network.load({name: values.float() if values.is_floating_point() else values for name, values in state.items()})
        self.alter(network.module)
        twin, losses = self.twin(network.module, optimizer), []
        batches = -(-len(images) // BATCH_SIZE)
        for step, lr in enumerate((self.optimizer or optimizer).learning_rates(steps, batches)):
            rows = slice(step % batches * BATCH_SIZE, (step % batches + 1) * BATCH_SIZE)
            taken = network.step(images[rows], labels[rows])
            losses.append(taken.loss)
            network.update(twin, lr)
        return Outcome(losses, {name: values.numpy() for name, values in network.state().items()},
                       {name: values.numpy() for name, values in taken.gradients.items()})


class AdamInPlaceOfAdamW(InPlaceOfProgram):
    """The decay added to the gradient, not taken off the weights."""

    def twin(self, module, optimizer):
        groups = [{name: group[name] for name in ("params", "weight_decay")}
                  for group in optimizer.twin(module).param_groups]
        return torch.optim.Adam(groups, optimizer.lr, optimizer.betas, optimizer.adam_eps)


def problem():
    """Images with something to learn, as `data` of compare_pytorch.py."""
    random = np.random.default_rng(1)
    labels = random.integers(0, 10, 24 * BATCH_SIZE + 96)
    means = random.integers(0, 200, (10, 7, 7)).repeat(4, 1).repeat(4, 2)
    images = means[labels] + random.integers(0, 56, (len(labels), 28, 28))
    return images.astype(np.uint8), labels.astype(np.uint8)


PROBLEM = problem()


def failures(program, text, optimizer, states=1):
    measured = step_check.run(program, *PROBLEM, Setting.of(text), optimizer, "torch", 0, states, 3)
    return [row[0] for row in measured[CORRECT.name].failures()]


def set_gelu_to_tanh(module):
    for layer in module.modules():
        if isinstance(layer, nn.GELU):
            layer.approximate = "tanh"


def set_slopes(module):
    for layer in module.modules():
        if isinstance(layer, nn.LeakyReLU):
            layer.negative_slope = 0.02


def cut_shortcuts(module):
    """The sum is right, but no gradient runs through the identity."""
    for layer in module.modules():
        if isinstance(layer, Residual):
            layer.shortcut.register_forward_hook(lambda module, inputs, output: output.detach())


class StepCheck(unittest.TestCase):
    def test_passes_every_kind_of_layer(self):
        for text in NETWORKS:
            with self.subTest(text):
                self.assertEqual(failures(InPlaceOfProgram(), text, SGD, 2), [])

    def test_passes_every_optimizer(self):
        for optimizer in (ADAMW, NESTEROV, replace(ADAMW, weight_decay=0.1, decay="weights", betas=(0.8, 0.95)),
                          replace(SGD, momentum=0.5), replace(NESTEROV, decay="all", schedule="step:1:0.5"),
                          replace(SGD, schedule="linear:0=0.5,2=1", warmup=1)):
            with self.subTest(optimizer):
                self.assertEqual(failures(InPlaceOfProgram(), SMALL, optimizer), [])

    def test_notices_a_wrong_layer(self):
        for alter, text in ((set_gelu_to_tanh, SMALL), (set_slopes, "fc32,bn,leakyrelu,fc10"),
                            (cut_shortcuts, NETWORKS[3]),
                            (cut_shortcuts, "fc32,bn,relu,res(fc32,bn,silu),fc10")):
            with self.subTest(alter.__name__, text=text):
                noticed = failures(InPlaceOfProgram(alter), text, SGD)
                self.assertTrue([name for name in noticed if name.startswith("gradient")], noticed)

    def test_notices_a_wrong_update(self):
        for asked, done in ((NESTEROV, replace(NESTEROV, nesterov=False)), (NESTEROV, replace(NESTEROV, decay="all")),
                            (NESTEROV, replace(NESTEROV, weight_decay=0.0101)), (ADAMW, replace(ADAMW, decay="weights")),
                            (ADAMW, replace(ADAMW, betas=(0.9, 0.99))), (ADAMW, replace(ADAMW, adam_eps=1e-7)),
                            (ADAMW, replace(ADAMW, weight_decay=0.0)), (SGD, replace(SGD, lr=1.0001 * SGD.lr)),
                            (replace(SGD, schedule="step:1:0.5"), SGD), (replace(SGD, warmup=2), SGD)):
            with self.subTest(asked=asked, done=done):
                self.assertEqual(failures(InPlaceOfProgram(optimizer=done), SMALL, asked), ["updates / rounding"])
        with self.subTest("Adam"):
            self.assertEqual(failures(AdamInPlaceOfAdamW(), SMALL, ADAMW), ["updates / rounding"])

    def test_leaves_rates_that_depend_on_the_steps_to_free_runs(self):
        with self.assertRaisesRegex(SystemExit, "depend on the number of steps"):
            failures(InPlaceOfProgram(), SMALL, replace(SGD, schedule="onecycle"))


class FreeCheck(unittest.TestCase):
    def test_follows_the_schedule(self):
        asked = Optimizer(0.002, momentum=0.9, nesterov=True, schedule="cosine", warmup=5)
        run = FreeRun(InPlaceOfProgram(), *PROBLEM, Setting.of(SMALL), 0, asked)
        self.assertEqual(-(-len(run.images) // BATCH_SIZE), STEPS_PER_EPOCH)
        self.assertLess(run.error(), 2e-6)
        for done in (replace(asked, warmup=0), replace(asked, schedule="constant"), replace(asked, nesterov=False)):
            self.assertGreater(FreeRun(InPlaceOfProgram(optimizer=done), *PROBLEM, run.setting, 0, asked).error(), 2e-5)


if __name__ == "__main__":
    torch.set_num_threads(1)
    unittest.main()
