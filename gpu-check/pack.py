#!/usr/bin/env python3
"""Packs the program, the scripts beside this one and the fixtures that they read into one archive: `cargo xtask gpu-check`.

    python3 pack.py PROGRAM FOLDER     writes FOLDER/gpu-check and FOLDER/gpu-check.tar.gz
"""

import json
import platform
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

HERE = Path(__file__).parent
FIXTURES = HERE.parent / "tests" / "fixtures" / "bert"
FILES = {name: HERE / name for name in ["README.md", "autograd.py", "checks.py", "inputs.py", "run.py", "tensors.py"]}
FILES |= {f"fixtures/{name}": FIXTURES / name for name in ["gradients.safetensors", "training.json"]}
MAX_BYTES = 60 << 20


def main(program, folder):
    pack, archive = Path(folder) / "gpu-check", Path(folder) / "gpu-check.tar.gz"
    shutil.rmtree(pack, ignore_errors=True)
    for name, path in FILES.items():
        (pack / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, pack / name)
    shutil.copy(program, pack / "verdict")
    # Its symbols are most of it. A machine without `strip` packs it as it is, and so does one where it is no program.
    if (strip := shutil.which("strip")) is not None and (pack / "verdict").read_bytes().startswith(b"\x7fELF"):
        subprocess.run([strip, pack / "verdict"], check=True)
    described = subprocess.run(["git", "-C", HERE, "describe", "--always", "--dirty"], capture_output=True, text=True)
    packed = {"commit": described.stdout.strip() or "unknown", "glibc": platform.libc_ver()[1], "architecture": platform.machine()}
    (pack / "packed.json").write_text(json.dumps(packed) + "\n")
    with tarfile.open(archive, "w:gz", compresslevel=6) as tar:
        tar.add(pack, arcname="gpu-check")
    size = archive.stat().st_size
    if size > MAX_BYTES:
        sys.exit(f"error: {archive}: expected at most {MAX_BYTES} bytes, found {size}")
    print(f"{archive} ({size / 1e6:.1f} MB)")
    print("on the other machine: tar xf gpu-check.tar.gz && python3 gpu-check/run.py")
    print(f"here, without a GPU, with PyTorch or --libtorch $LIBTORCH/lib: python3 {pack / 'run.py'} --device cpu")


if __name__ == "__main__":
    main(*sys.argv[1:])
