#!/usr/bin/env python3
"""Checks the program on this machine's GPU and leaves one report: report.json, and report.md to read.

    python3 run.py                  on the GPU, with the libtorch of the PyTorch 2.11 that this python3 has
    python3 run.py --device cpu     plays it without a GPU, through the operations that other devices use

It needs no Rust and no network, and writes below --output only. A check that fails does not stop the others; the exit
code is 1 if one failed.
"""

import argparse
import datetime
import importlib.util
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import time
import traceback
from pathlib import Path

import inputs
from checks import Checks, NotRun

HERE = Path(__file__).parent
VERSION = "2.11.0"


def main():
    arguments = parse()
    output = arguments.output.absolute()
    output.mkdir(parents=True, exist_ok=True)
    environment = environment_of(arguments)
    report = about(arguments)
    with tempfile.TemporaryDirectory(dir=output) as work:
        program = Program(arguments.program.absolute(), arguments.device, environment, Path(work))
        checks = Checks(program, Path(work), arguments.device, arguments.model, arguments.steps)
        chosen = [check for check in checks.all() if not arguments.only or check[0] in arguments.only + ["device"]]
        report["checks"] = [run(*check) for check in chosen]
    report["described"] = getattr(checks, "described", None)
    report["passed"] = all(check["result"] != "failed" for check in report["checks"])
    (output / "report.json").write_text(json.dumps(report, indent=2) + "\n")
    (output / "report.md").write_text(readable(report))
    print(f"report: {output / 'report.md'}")
    return 0 if report["passed"] else 1


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    parser.add_argument("--model", choices=list(inputs.SHAPES), help="[default: bert-base on a GPU, minilm on a CPU]")
    parser.add_argument("--steps", type=int, help="steps of each measurement of speed [default: 60 on a GPU, 12 on a CPU]")
    parser.add_argument("--only", action="append", metavar="CHECK", help="only the check of this name; may be repeated")
    parser.add_argument("--output", type=Path, default=Path("gpu-check-report"), help="[default: gpu-check-report]")
    parser.add_argument("--program", type=Path, default=HERE / "verdict", help="[default: the one beside this script]")
    parser.add_argument("--libtorch", type=Path, help="folder of libtorch's libraries [default: those of this python3's PyTorch]")
    arguments = parser.parse_args()
    on_gpu = arguments.device == "cuda"
    arguments.model = arguments.model or ("bert-base" if on_gpu else "minilm")
    arguments.steps = arguments.steps or (60 if on_gpu else 12)
    return arguments


def environment_of(arguments):
    """The environment in which the program finds libtorch."""
    libraries = arguments.libtorch
    if libraries is None:
        found = importlib.util.find_spec("torch")
        if found is None:
            sys.exit(f"error: this python3 has no PyTorch (hint: pip install torch=={VERSION}, or --libtorch DIR)")
        folder = Path(found.submodule_search_locations[0])
        version = re.search(r"__version__ = '([^']*)'", (folder / "version.py").read_text())[1]
        if version.split("+")[0] != VERSION:
            sys.exit(f"error: expected PyTorch {VERSION}, found {version} (hint: pip install torch=={VERSION})")
        libraries = folder / "lib"
    environment = dict(os.environ, HF_HUB_OFFLINE="1")
    environment.pop("VERDICT_KERNELS", None)
    environment["LD_LIBRARY_PATH"] = os.pathsep.join(filter(None, [str(libraries), os.environ.get("LD_LIBRARY_PATH")]))
    # The program was linked where there is no GPU. The library of CUDA's operations registers them when it is loaded.
    if (cuda := libraries / "libtorch_cuda.so").exists():
        environment["LD_PRELOAD"] = str(cuda)
    elif arguments.device == "cuda":
        sys.exit(f"error: {libraries} is a build without CUDA: there is no libtorch_cuda.so (hint: --device cpu)")
    return environment


class Program:
    """Runs verdict, in a folder of its own."""

    def __init__(self, path, device, environment, work):
        self.path, self.device, self.environment, self.work = path, device, environment, work

    def __call__(self, *arguments, kernels=False, log=None, wait=True):
        """What it prints; where it fails, an error with that. Without `kernels` a CPU takes the operations of other devices."""
        environment = dict(self.environment)
        if self.device == "cpu" and not kernels:
            environment["VERDICT_KERNELS"] = "off"
        if log:
            environment["RUST_LOG"] = log
        command = [str(self.path), *map(str, arguments)]
        how = {"env": environment, "cwd": self.work, "text": True}
        if not wait:
            return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **how)
        ended = subprocess.run(command, capture_output=True, timeout=1800, **how)
        if ended.returncode != 0:
            said = (ended.stdout + ended.stderr)[-2000:].strip()
            raise RuntimeError(f"`verdict {' '.join(command[1:])}` ended with {ended.returncode}:\n{said}")
        return ended.stdout if arguments[0] == "device-check" else ended.stdout + ended.stderr


def run(name, about, check):
    """One check: its figures, or why there are none."""
    print(f"{name} ... ", end="", flush=True)
    began, figures, detail = time.monotonic(), [], ""
    try:
        figures = check()
        result = "passed" if all(figure.passed for figure in figures) else "failed"
    except NotRun as reason:
        result, detail = "not run", str(reason)
    except Exception as error:
        result, detail = "failed", f"{type(error).__name__}: {error}"
        traceback.print_exc(file=sys.stderr)
    print(result, flush=True)
    return {
        "name": name,
        "about": about,
        "result": result,
        "detail": detail,
        "seconds": round(time.monotonic() - began, 2),
        "figures": [vars(figure) for figure in figures],
    }


def about(arguments):
    """Where and when."""
    return {
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "device": arguments.device,
        "model": arguments.model,
        "program": json.loads((HERE / "packed.json").read_text()) if (HERE / "packed.json").exists() else None,
        "driver": first_line("/proc/driver/nvidia/version"),
        "gpus": printed("nvidia-smi", "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader"),
        "processor": processor(),
        "system": platform.platform(),
        "pytorch": printed(sys.executable, "-c", "import torch; print(torch.__version__)"),
    }


def first_line(path):
    try:
        return Path(path).read_text().splitlines()[0]
    except OSError:
        return None


def processor():
    try:
        found = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    except OSError:
        found = None
    return f"{found[1] if found else platform.machine()}, {os.cpu_count()} threads"


def printed(*command):
    if shutil.which(command[0]) is None:
        return None
    ended = subprocess.run(command, capture_output=True, text=True)
    return ended.stdout.strip() if ended.returncode == 0 else None


def number(value):
    return "not a number" if value != value else f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}"


def readable(report):
    described = report["described"] or {}
    cuda = described.get("cuda")
    cuda = f"{cuda // 1000}.{cuda % 1000 // 10}" if cuda else "none"
    played = "" if report["device"] == "cuda" else (
        "\nPlayed on a CPU, through the operations that other devices use. This shows that the checks work, and proves nothing of "
        "a GPU.\n"
    )
    lines = [
        "# Check of a GPU",
        played,
        "| | |",
        "| --- | --- |",
        f"| result | {'passed' if report['passed'] else 'FAILED'} |",
        f"| date | {report['date']} |",
        f"| device | {described.get('gpu') or described.get('device') or 'not found'} |",
        f"| GPUs | {report['gpus'] or 'none that nvidia-smi shows'} |",
        f"| driver | {report['driver'] or 'none'} |",
        f"| PyTorch, CUDA | {report['pytorch'] or 'not importable'}, {cuda} |",
        f"| model of parity, memory, speed | {report['model']} |",
        f"| processor | {report['processor']} |",
        f"| system | {report['system']} |",
        f"| program | {json.dumps(report['program']) if report['program'] else 'not from a pack'} |",
        "",
        "| check | result | figure | found | at most |",
        "| --- | --- | --- | --- | --- |",
    ]
    for check in report["checks"]:
        result = check["result"] if check["result"] != "failed" else "FAILED"
        rows = [(f["what"], f"{number(f['value'])} {f['unit']}".strip(), "" if f["limit"] is None else number(f["limit"]))
                for f in check["figures"]] or [("", "", "")]
        for row in rows:
            lines.append(f"| {check['name']} | {result} | " + " | ".join(row) + " |")
    for check in report["checks"]:
        lines += ["", f"**{check['name']}** ({check['seconds']} s): {check['about']}"]
        if check["detail"]:
            lines += ["", "```text", check["detail"], "```"]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
