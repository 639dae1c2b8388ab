"""Milliseconds of a training step of any network in PyTorch, on one random batch that is on the device: NCHW and channels
last, in float32, TF32 and bfloat16 (autocast). One JSON object a row on stdout.

On a GPU the step is captured into a CUDA graph, cuDNN picks its algorithms by timing them, and events stand around 10
replays; on a CPU it is called. The median of some such samples. Beside it: bntrain time --network TEXT."""
import argparse
import json
import statistics
import sys
import time
from pathlib import Path

import torch
from torch import nn

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from torch_network import build, parse_shape  # noqa: E402

PRECISIONS = ["fp32", "tf32", "bf16"]
LAYOUTS = {"NCHW": torch.contiguous_format, "channels last": torch.channels_last}
WARM_UP_STEPS, STEPS_A_SAMPLE, SAMPLES = 6, 10, 7


def make_step(network, images, labels, precision):
    optimizer = torch.optim.SGD(network.parameters(), 0.05)

    def step():
        optimizer.zero_grad(set_to_none=False)
        with torch.autocast(images.device.type, torch.bfloat16, enabled=precision == "bf16"):
            loss = nn.functional.cross_entropy(network(images), labels)
        loss.backward()
        optimizer.step()
        return loss

    return step


def captured(step):
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(WARM_UP_STEPS):
            step()
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step()
    return graph.replay


def milliseconds(step, on_gpu):
    def sample():
        if not on_gpu:
            begin = time.perf_counter()
            step()
            return 1000 * (time.perf_counter() - begin)
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        begin.record()
        for _ in range(STEPS_A_SAMPLE):
            step()
        end.record()
        end.synchronize()
        return begin.elapsed_time(end) / STEPS_A_SAMPLE

    sample()
    return statistics.median(sample() for _ in range(SAMPLES))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", required=True, metavar="TEXT")
    parser.add_argument("--input", type=parse_shape, default=(1, 28, 28), metavar="CxHxW")
    parser.add_argument("--classes", type=int, default=10)
    parser.add_argument("--batch-size", type=int, default=256)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--threads", type=int, metavar="N", help="on a CPU")
    parser.add_argument("--compile", action="store_true", help="on a CPU: also through torch.compile")
    parser.add_argument("--precision", nargs="+", choices=PRECISIONS, default=PRECISIONS)
    arguments = parser.parse_args()
    device = torch.device(arguments.device)
    if device.type == "cuda" and not torch.cuda.is_available():
        raise SystemExit(f"PyTorch {torch.__version__} sees no GPU here")
    torch.backends.cudnn.benchmark = True
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    for precision in arguments.precision:
        torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = precision != "fp32"
        for layout, memory_format in LAYOUTS.items():
            torch.manual_seed(0)
            network = build(arguments.network, arguments.input, arguments.classes).to(device, memory_format=memory_format)
            images = torch.randn(arguments.batch_size, *arguments.input, device=device).to(memory_format=memory_format)
            labels = torch.randint(0, arguments.classes, (arguments.batch_size,), device=device)
            for compiled in [False, True][:1 + arguments.compile]:
                step = make_step(torch.compile(network) if compiled else network, images, labels, precision)
                replay = captured(step) if device.type == "cuda" else step
                print(json.dumps({"precision": precision, "layout": layout, "compiled": compiled,
                                  "milliseconds": milliseconds(replay, device.type == "cuda")}), flush=True)


if __name__ == "__main__":
    main()
