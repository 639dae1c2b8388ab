"""The files that bntrain reads and writes: safetensors and IDX."""
import gzip
import json
import struct
from pathlib import Path

import numpy as np

DTYPES = {"F32": np.dtype("<f4"), "F64": np.dtype("<f8"), "I64": np.dtype("<i8")}
IMAGES_MAGIC, LABELS_MAGIC = 0x803, 0x801


def read_safetensors(path):
    """name -> array; https://github.com/huggingface/safetensors: u64 header length, JSON header, bytes."""
    content = Path(path).read_bytes()
    (length,) = struct.unpack_from("<Q", content)
    header = json.loads(content[8:8 + length])
    header.pop("__metadata__", None)
    tensors = {}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        values = np.frombuffer(content[8 + length + begin:8 + length + end], DTYPES[entry["dtype"]])
        tensors[name] = values.reshape(entry["shape"])
    return tensors


def write_safetensors(path, tensors):
    """`tensors`: name -> float32 or int64 array."""
    header, content = {}, b""
    for name, values in tensors.items():
        dtype = next(key for key, value in DTYPES.items() if value == values.dtype)
        header[name] = {"dtype": dtype, "shape": list(values.shape),
                        "data_offsets": [len(content), len(content) + values.nbytes]}
        content += values.tobytes()
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    Path(path).write_bytes(struct.pack("<Q", len(text)) + text + content)


def read_idx(path):
    content = gzip.open(path).read() if path.suffix == ".gz" else path.read_bytes()
    (magic,) = struct.unpack_from(">I", content)
    rank = magic & 0xFF
    shape = struct.unpack_from(f">{rank}I", content, 4)
    return np.frombuffer(content, np.uint8, offset=4 + 4 * rank).reshape(shape)


def read_dataset(directory):
    """(train images, train labels, test images, test labels) as bytes, images (N, 28, 28)."""
    def find(stem):
        for name in (stem, stem.replace("-idx", ".idx")):
            for path in (Path(directory) / name, Path(directory) / (name + ".gz")):
                if path.exists():
                    return read_idx(path)
        raise SystemExit(f"no {stem} in {directory}: give --data DIR or install dataset-fashion-mnist")

    return tuple(find(stem) for stem in ("train-images-idx3-ubyte", "train-labels-idx1-ubyte",
                                         "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"))


def write_dataset(directory, train, test):
    """`train` and `test`: (images, labels) as bytes, images (N, H, W) or (N, C, H, W)."""
    for stem, (images, labels) in (("train", train), ("t10k", test)):
        header = struct.pack(f">{1 + images.ndim}I", 0x800 + images.ndim, *images.shape)
        (Path(directory) / f"{stem}-images-idx3-ubyte").write_bytes(header + images.tobytes())
        (Path(directory) / f"{stem}-labels-idx1-ubyte").write_bytes(
            struct.pack(">II", LABELS_MAGIC, len(labels)) + labels.tobytes())
