"""torch_network.py: the modules and tensor names of a network's text, and with --bntrain that the program's own files load
strictly.

usage: torch_network_test.py SCRIPTS_FOLDER [--bntrain PROGRAM]"""
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import torch
from torch import nn

SCRIPTS = Path(sys.argv.pop(1)).resolve()
sys.path.insert(0, str(SCRIPTS))
import torch_network  # noqa: E402
from pytorch_parity.files import read_safetensors  # noqa: E402
from torch_network import Residual, build  # noqa: E402

PROGRAM = None
if "--bntrain" in sys.argv:
    PROGRAM = sys.argv.pop(sys.argv.index("--bntrain") + 1)
    sys.argv.remove("--bntrain")


def kinds(network):
    return [type(layer).__name__ for layer in network]


class Build(unittest.TestCase):
    def test_reference_has_the_names_of_the_files(self):
        network = build("lenet-bn")
        self.assertEqual(sorted({name.split(".")[0] for name in network.state_dict()}, key=int),
                         ["0", "1", "4", "5", "9", "11"])
        self.assertEqual(kinds(network), ["Conv2d", "BatchNorm2d", "ReLU", "MaxPool2d", "Conv2d", "BatchNorm2d", "ReLU",
                                          "MaxPool2d", "Flatten", "Linear", "ReLU", "Linear"])
        self.assertTrue(network.training)

    def test_every_plain_layer(self):
        network = build("conv4x5s2p1nobias,bn,relu,avgpool2,sigmoid, gelu ,silu,leakyrelu,leakyrelu0.2,flatten,fc12nobias,"
                        "bn,leakyrelu1e-3,fc3", (2, 20, 18), 3, bn_eps=1e-3, bn_momentum=0.8)
        self.assertEqual(kinds(network), ["Conv2d", "BatchNorm2d", "ReLU", "AvgPool2d", "Sigmoid", "GELU", "SiLU",
                                          "LeakyReLU", "LeakyReLU", "Flatten", "Linear", "BatchNorm1d", "LeakyReLU",
                                          "Linear"])
        self.assertEqual((network[0].stride, network[0].padding, network[0].bias), ((2, 2), (1, 1), None))
        self.assertEqual((network[1].eps, network[1].momentum), (1e-3, 0.2))
        self.assertEqual([network[i].negative_slope for i in (7, 8, 12)], [0.01, 0.2, 1e-3])
        self.assertEqual((network[10].in_features, network[10].bias), (4 * 4 * 4, None))

    def test_gelu_is_the_one_with_erf(self):
        x = torch.tensor([[-3.0, -0.5, 0.0, 0.7, 2.0]], dtype=torch.float64)
        expected = x / 2 * (1 + torch.erf(x / 2 ** 0.5))
        torch.testing.assert_close(build("gelu,fc10")[0](x), expected, rtol=1e-14, atol=1e-16)

    def test_residual_names_and_sum(self):
        network = build("conv4x3,res(conv6x3s2p1,bn,res(bn,gelu,res(conv6x1)|conv6x1),relu|conv6x1s2,bn),res(relu),fc10")
        self.assertEqual([name for name in network.state_dict() if name.endswith(("weight", "running_mean"))],
                         ["0.weight", "1.body.0.weight", "1.body.1.weight", "1.body.1.running_mean",
                          "1.body.2.body.0.weight", "1.body.2.body.0.running_mean", "1.body.2.body.2.body.0.weight",
                          "1.body.2.shortcut.0.weight", "1.shortcut.0.weight", "1.shortcut.1.weight",
                          "1.shortcut.1.running_mean", "4.weight"])
        self.assertEqual(kinds(network), ["Conv2d", "Residual", "Residual", "Flatten", "Linear"])
        x = network.eval()[0](torch.randn(3, 1, 28, 28))
        block = network[1]
        torch.testing.assert_close(block(x), block.body(x) + block.shortcut(x), rtol=0, atol=0)
        y = block(x)
        torch.testing.assert_close(network[2](y), y.relu() + y, rtol=0, atol=0)

    def test_flattens_in_branches(self):
        network = build("conv2x5,res(maxpool2,fc24,relu,fc20|fc20),fc10")
        self.assertEqual((kinds(network[1].body), kinds(network[1].shortcut)),
                         (["MaxPool2d", "Flatten", "Linear", "ReLU", "Linear"], ["Flatten", "Linear"]))
        self.assertEqual(kinds(network), ["Conv2d", "Residual", "Linear"])

    def test_no_shortcut_is_the_identity(self):
        x = torch.randn(2, 5)
        torch.testing.assert_close(Residual(nn.Tanh())(x), x.tanh() + x, rtol=0, atol=0)

    def test_presets(self):
        for name in torch_network.PRESETS:
            self.assertEqual(build(name, (3, 32, 32), 7)(torch.zeros(2, 3, 32, 32)).shape, (2, 7))

    def test_names_what_it_does_not_understand(self):
        for text, message in (("convx3,fc10", "no layer 'convx3'"), ("fc10,", "no layer ''"), ("tanh,fc10", "'tanh'"),
                              ("fc3", r"\(3,\), not one element for each of the 10 classes"),
                              ("conv4x3,res(conv5x3p1),fc10", r"adds two equal shapes, not .*\(5, 26, 26\), \(4, 26, 26\)"),
                              ("res(relu|relu|relu),fc10", "res.BODY.SHORTCUT."), ("res(relu,fc10", r"a \( without its \)"),
                              ("relu),fc10", r"a \) without its \("), ("conv4x30,fc10", "'conv4x30' on an input of shape"),
                              ("fc5,conv4x3,fc10", "'conv4x3' on an input of shape")):
            with self.subTest(text), self.assertRaisesRegex(ValueError, message):
                build(text)


class Command(unittest.TestCase):
    def run_script(self, *arguments):
        return subprocess.run([sys.executable, SCRIPTS / "torch_network.py", *arguments], capture_output=True, text=True)

    def test_prints_the_network(self):
        done = self.run_script("conv4x3,res(bn,gelu),fc5", "--input", "3x8x8", "--classes", "5", "--bn-eps", "0.001")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertEqual(done.stdout.strip(), str(build("conv4x3,res(bn,gelu),fc5", (3, 8, 8), 5, bn_eps=0.001)))

    def test_says_what_is_wrong(self):
        done = self.run_script("tanh")
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertEqual(done.stderr, "error: there is no layer 'tanh'\n")
        self.assertEqual(self.run_script("fc10", "--input", "28").returncode, 2)


@unittest.skipIf(PROGRAM is None, "needs --bntrain")
class Files(unittest.TestCase):
    def test_the_programs_files_load_strictly(self):
        for text in torch_network.PRESETS:
            with self.subTest(text), tempfile.TemporaryDirectory() as folder:
                model = Path(folder) / "model.safetensors"
                subprocess.run([PROGRAM, "train", "--data", "synthetic:shape=3x20x20,classes=7,train=64,test=16",
                                "--batch-size", "64", "--device", "cpu", "--network", text, "--epochs", "0", "--quiet",
                                "--save", model], check=True, capture_output=True)
                tensors = {name: torch.tensor(values) for name, values in read_safetensors(model).items()}
                build(text, (3, 20, 20), 7).load_state_dict(tensors, strict=True)
                self.assertIn(torch_network.expand(text, 7).encode(), model.read_bytes())


if __name__ == "__main__":
    unittest.main()
