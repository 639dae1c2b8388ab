"""One network between bntrain, PyTorch and ONNX Runtime, in both directions, on all test images of Fashion-MNIST.

Goes on in build/python, which scripts/setup.sh --tests makes; exits with 77 where that is missing."""
import argparse
import json
import os
import sys
import tempfile
from pathlib import Path

root = Path(__file__).resolve().parents[2]
environment = root / "build" / "python"
if not (environment / "installed.txt").exists():
    print("skipped: scripts/setup.sh --tests makes build/python, which has ONNX Runtime")
    sys.exit(77)
if Path(sys.prefix) != environment:
    python = str(environment / "bin" / "python")  # Python finds its environment by its own name
    os.execv(python, [python, *sys.argv])

import numpy as np  # noqa: E402
import onnx  # noqa: E402
os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # read when it is imported
import onnxruntime  # noqa: E402
import torch  # noqa: E402
from safetensors import safe_open  # noqa: E402
from safetensors.numpy import load_file  # noqa: E402
from safetensors.torch import load_file as load_torch, save_file as save_torch  # noqa: E402

sys.path += [str(root / "scripts"), str(Path(__file__).resolve().parent)]
import torch_model  # noqa: E402
from agreement import accuracy, expect_same  # noqa: E402
from pytorch_parity.files import read_dataset  # noqa: E402
from pytorch_parity.program import Program  # noqa: E402
from torch_network import build  # noqa: E402

EPS = 1e-5
SINGLE_IMAGES = 300
OLDER_OPERATOR_SETS = (13, 14, 15, 16)


class RoundTrips:
    def __init__(self, arguments, folder):
        self.text, self.init, self.steps, self.lr = (arguments.network, arguments.init, arguments.steps, arguments.lr)
        self.folder = Path(folder)
        self.data = arguments.data
        self.program = Program(arguments.bntrain, None, ["--quiet", "--device", "cpu", "--threads", "2"])
        raw = read_dataset(arguments.data)
        self.train_images, self.images = (
            (images.astype(np.float32) / np.float32(255))[:, None] for images in (raw[0], raw[2]))
        self.train_labels, self.labels = raw[1].astype(np.int64), raw[3].astype(np.int64)

    def file(self, name):
        return self.folder / name

    def evaluate(self, model, *flags):
        """bntrain's logits and the record of `bntrain eval`."""
        record = json.loads(self.program.call(["eval", model, "--data", self.data, "--json", "--logits",
                                               self.file("logits.safetensors"), *flags]))
        return load_file(self.file("logits.safetensors"))["logits"], record

    def load_in_torch(self, model, text):
        network = build(text, bn_eps=EPS)
        network.load_state_dict(load_torch(model), strict=True)
        return torch_model.logits(network, self.images)

    def to_torch(self):
        model = self.file("bntrain.safetensors")
        self.program.call(["train", "--data", self.data, "--network", self.text, "--init", self.init, "--seed", 1,
                           "--steps", self.steps, "--lr", self.lr, "--save", model])
        ours, record = self.evaluate(model)
        told = record["results"][0]["accuracy"]
        if abs(told - accuracy(ours, self.labels)) > 1e-9:
            raise SystemExit(f"bntrain eval says accuracy {told}, its logits {accuracy(ours, self.labels)}")
        expect_same("bntrain in PyTorch", self.text, ours, self.load_in_torch(model, self.text), self.labels)
        return model, ours

    def from_torch(self):
        model, back = self.file("torch.safetensors"), self.file("back.safetensors")
        torch.manual_seed(1)
        network = build(self.text, bn_eps=EPS)
        torch_model.train(network, self.train_images, self.train_labels, self.steps, self.lr)
        save_torch(network.state_dict(), model)
        ours, _ = self.evaluate(model, "--network", self.text, *(["--bn-eps", EPS] if "bn" in self.text else []))
        expect_same("PyTorch in bntrain", self.text, ours, torch_model.logits(network, self.images), self.labels)
        self.program.call(["train", "--data", self.data, "--network", self.text, "--epochs", 0, "--init-from", model,
                           "--save", back])
        before, after = load_file(model), load_file(back)
        if before.keys() != after.keys() or any((before[name] != after[name]).any() for name in before):
            raise SystemExit("PyTorch's tensors come back changed")

    def run_onnx(self, path, batch, images):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        return np.concatenate([session.run(["logits"], {"input": images[first:first + batch]})[0]
                               for first in range(0, len(images), batch)])

    def to_onnx(self, model, ours, *flags):
        path = self.file("model.onnx")
        self.program.call(["export", model, "-o", path, "--data", self.data, *flags])
        proto = onnx.load(path)
        onnx.checker.check_model(proto, full_check=True)
        if [opset.version for opset in proto.opset_import] != [17]:
            raise SystemExit(f"operator sets {proto.opset_import}")
        norms = sum(node.op_type == "BatchNormalization" for node in proto.graph.node)
        told = {entry.key: entry.value for entry in proto.metadata_props}["network"].count("bn")
        if norms != told or (norms < self.text.count("bn")) != bool(flags):
            raise SystemExit(f"{norms} batch norms with {flags}, {told} by the file's own word")
        name = " ".join(["ONNX Runtime", *flags])
        expect_same(name + ", batch 256", self.text, ours, self.run_onnx(path, 256, self.images), self.labels)
        few = slice(0, SINGLE_IMAGES)
        expect_same(name + ", batch 1", self.text, ours[few], self.run_onnx(path, 1, self.images[few]),
                    self.labels[few])

    def to_older_operator_sets(self, model, ours):
        few = slice(0, SINGLE_IMAGES)
        for opset in OLDER_OPERATOR_SETS:
            path = self.file("older.onnx")
            self.program.call(["export", model, "-o", path, "--opset", opset])
            proto = onnx.load(path)
            onnx.checker.check_model(proto, full_check=True)
            if [imported.version for imported in proto.opset_import] != [opset]:
                raise SystemExit(f"operator sets {proto.opset_import}, asked for {opset}")
            expect_same(f"ONNX Runtime, operator set {opset}", self.text, ours[few],
                        self.run_onnx(path, SINGLE_IMAGES, self.images[few]), self.labels[few])

    def to_folded_safetensors(self, model, ours):
        path = self.file("folded.safetensors")
        self.program.call(["export", model, "-o", path, "--data", self.data, "--fold"])
        with safe_open(path, "np") as file:
            text = file.metadata()["network"]
        if text.count("bn") >= self.text.count("bn"):
            raise SystemExit(f"nothing was folded: {text}")
        expect_same("folded, in PyTorch", self.text, ours, self.load_in_torch(path, text), self.labels)
        expect_same("folded, in bntrain", self.text, ours, self.evaluate(path)[0], self.labels)

    def run(self):
        model, ours = self.to_torch()
        self.from_torch()
        self.to_onnx(model, ours)
        self.to_older_operator_sets(model, ours)
        if "bn" in self.text:
            self.to_onnx(model, ours, "--fold")
            self.to_folded_safetensors(model, ours)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bntrain", type=Path, required=True)
    parser.add_argument("--data", default="/usr/share/datasets/fashion-mnist")
    parser.add_argument("--network", required=True, help="layers with commas, no preset")
    parser.add_argument("--init", default="torch")
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--lr", type=float, default=0.1)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        RoundTrips(arguments, folder).run()


if __name__ == "__main__":
    main()
