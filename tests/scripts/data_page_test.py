#!/usr/bin/env python3
"""data_page_test.py DATA.md BNTRAIN: what the page's lines make of other formats is trained on."""
import re, subprocess, sys, tempfile
import numpy as np
from PIL import Image

page, bntrain = sys.argv[1:]
lines = {}
exec(re.search(r"```python\n(.*?)```", open(page).read(), re.S).group(1), lines)

def train(folder):
    run = subprocess.run([bntrain, "--data", folder, "--network", "mlp-bn", "--epochs", "1", "--batch-size", "4"],
                         capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return run.stderr

with tempfile.TemporaryDirectory() as work:
    images = np.arange(12 * 5 * 4).reshape(12, 5, 4) % 256
    labels = np.arange(12) % 3
    np.savez(f"{work}/a.npz", x_train=images, y_train=labels, x_test=images[:6], y_test=labels[:6])
    lines["save_npz"](f"{work}/npz", f"{work}/a.npz")
    assert "12 training and 6 test images (1, 5, 4), 3 classes" in train(f"{work}/npz")

    table = np.hstack([labels[:, None], images.reshape(12, -1)])
    np.savetxt(f"{work}/a.csv", table, "%d", delimiter=",", header="label," + ",".join(map(str, range(20))), comments="")
    for part in ("train", "t10k"):
        lines["save_csv"](f"{work}/csv", part, f"{work}/a.csv", 5, 4)
    for kind in ("images-idx3", "labels-idx1"):
        assert open(f"{work}/csv/train-{kind}-ubyte", "rb").read() == open(f"{work}/npz/train-{kind}-ubyte", "rb").read()

    import pathlib
    for c in ("cat", "dog"):
        pathlib.Path(f"{work}/pictures/{c}").mkdir(parents=True)
        for i in range(4):
            Image.new("RGB", (9, 9), (40 * i, 200, 9)).save(f"{work}/pictures/{c}/{i}.png")
    for part in ("train", "t10k"):
        lines["save_pictures"](f"{work}/colours", part, f"{work}/pictures", (6, 7), "RGB")
    assert "8 training and 8 test images (3, 7, 6), 2 classes" in train(f"{work}/colours")
