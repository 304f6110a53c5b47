"""Reads, writes and compares files of safetensors with the standard library; with PyTorch where it is there, as it is faster."""

import array
import json
import math
import struct
import sys

try:
    import torch
except ImportError:
    torch = None

assert sys.byteorder == "little", "the files are little-endian, and this machine is not"


def read(path):
    """Every fp32 tensor of a file, by name: its shape and its numbers."""
    with open(path, "rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header, data = json.loads(file.read(length)), file.read()
    header.pop("__metadata__", None)
    tensors = {}
    for name, about in header.items():
        assert about["dtype"] == "F32", f"{path}: expected F32, found {about['dtype']}"
        start, end = about["data_offsets"]
        tensors[name] = (about["shape"], array.array("f", data[start:end]))
    return tensors


def write(path, tensors):
    """The inverse of `read`."""
    header, end = {}, 0
    for name, (shape, numbers) in tensors.items():
        start, end = end, end + 4 * len(numbers)
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [start, end]}
    text = json.dumps(header).encode()
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for _, numbers in tensors.values():
            file.write(numbers.tobytes())


def largest_difference(ours, theirs):
    """The largest absolute difference of two lists of numbers; infinite where one is not a number or their lengths differ."""
    if len(ours) != len(theirs):
        return math.inf
    if torch and len(ours) > 10_000:
        difference = (_tensor(ours) - _tensor(theirs)).abs().max().item()
    else:
        difference = max((abs(one - other) for one, other in zip(ours, theirs)), default=0.0)
        difference = math.nan if any(one != one or other != other for one, other in zip(ours, theirs)) else difference
    return difference if math.isfinite(difference) else math.inf


def norm(numbers):
    if torch and len(numbers) > 10_000:
        return _tensor(numbers).norm().item()
    return math.sqrt(math.fsum(number * number for number in numbers))


def norm_of_difference(ours, theirs):
    if len(ours) != len(theirs):
        return math.inf
    if torch and len(ours) > 10_000:
        return (_tensor(ours) - _tensor(theirs)).norm().item()
    return math.sqrt(math.fsum((one - other) ** 2 for one, other in zip(ours, theirs)))


def _tensor(numbers):
    return torch.frombuffer(numbers, dtype=torch.float32).double()
