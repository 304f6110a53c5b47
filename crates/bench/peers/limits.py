r"""The machine's limit for a training step: matrix products at the rate that it reaches, and one pass of the optimizer.

    python crates/bench/peers/limits.py --model MODEL --tokens 400 --threads 2

The products are those of an encoder layer in fp32 and in bf16, forward (Y = X W'), for the inputs (dX = dY W) and for
the weights (dW = dY' X). Each is timed by every library that PyTorch has for it, with both layouts of its weight, and the
fastest counts, because a program may multiply as it likes: the limit is the machine's, not a library's. On a CPU the
libraries are that of `torch.mm` (in fp32 MKL) and oneDNN. A format's rate is all floating-point operations by the sum of
the median times. The optimizer is torch's fused AdamW on as many fp32 numbers as the model has parameters, on memory that
is there already.

Prints one JSON line; what a step takes at least is
`linear_flops_per_token * tokens / (gflops of the faster format * 1e9) + optimizer_seconds`.

Written against torch 2.11.0.
"""

import argparse
import json
import os
import statistics
import sys
import time
from pathlib import Path

ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
ap.add_argument("--model", type=Path, required=True, help="model folder with config.json")
ap.add_argument("--tokens", type=int, default=400, help="tokens of a batch")
ap.add_argument("--seconds", type=float, default=0.03, help="for each way to multiply each product")
ap.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
ap.add_argument("--threads", type=int, default=os.cpu_count())
args = ap.parse_args()

os.environ["OMP_NUM_THREADS"] = str(args.threads)

import torch

MIN_ROUNDS, MAX_ROUNDS = 5, 9
FORMATS = {"fp32": torch.float32, "bf16": torch.bfloat16}


def seconds_of(work, seconds):
    """Median seconds of one call, from rounds of some calls in a row: for about this long, and at least `MIN_ROUNDS`."""
    work()
    once = min(round_of(work, 1) for _ in range(2))
    calls = max(1, int(seconds / MAX_ROUNDS / once))
    rounds, until = [], time.perf_counter() + seconds
    while len(rounds) < MIN_ROUNDS or (len(rounds) < MAX_ROUNDS and time.perf_counter() < until):
        rounds.append(round_of(work, calls))
    return statistics.median(rounds)


def round_of(work, calls):
    """Seconds of one call in a row of them."""
    wait()
    began = time.perf_counter()
    for _ in range(calls):
        work()
    wait()
    return (time.perf_counter() - began) / calls


def wait():
    if args.device == "cuda":
        torch.cuda.synchronize()


def random(dtype, *shape):
    return torch.randn(*shape, device=args.device).to(dtype)


def product(dtype, rows, inner, columns):
    """Seconds of A B for A [rows, inner] and B [inner, columns], by the fastest way to multiply them."""
    a, b, out = random(dtype, rows, inner), random(dtype, inner, columns), random(dtype, rows, columns)
    b_transposed = b.t().contiguous()
    ways = {
        "mm": lambda: torch.mm(a, b, out=out),
        "mm, transposed": lambda: torch.mm(a, b_transposed.t(), out=out),
    }
    if args.device == "cpu" and torch.backends.mkldnn.is_available():
        linear = torch.ops.mkldnn._linear_pointwise
        ways["oneDNN"] = lambda: linear(a, b_transposed, None, "none", [], "")
    times = {}
    for name, work in ways.items():
        try:
            times[name] = seconds_of(work, args.seconds)
        except RuntimeError as error:  # oneDNN refuses formats that the processor has no instructions for
            print(f"limits.py: {name} in {dtype}: {error}", file=sys.stderr)
    return min(times.items(), key=lambda way: way[1])


def rates(config, dtype):
    """GFLOP/s of all products of a layer together, and of each with the way that was the fastest."""
    hidden, inner = config["hidden_size"], config["intermediate_size"]
    shapes = {"qkv": (3 * hidden, hidden), "out": (hidden, hidden), "up": (inner, hidden), "down": (hidden, inner)}
    seconds, operations, by_product = 0.0, 0.0, {}
    for name, (outputs, inputs) in shapes.items():
        flops = 2 * args.tokens * outputs * inputs
        for part, (rows, middle, columns) in {
            "forward": (args.tokens, inputs, outputs),
            "inputs": (args.tokens, outputs, inputs),
            "weights": (outputs, args.tokens, inputs),
        }.items():
            way, time_of_one = product(dtype, rows, middle, columns)
            seconds, operations = seconds + time_of_one, operations + flops
            by_product[f"{name}, {part}"] = {"gflops": flops / time_of_one / 1e9, "way": way}
    return operations / seconds / 1e9, by_product


def optimizer_seconds(parameters):
    weights = torch.nn.Parameter(torch.randn(parameters, device=args.device))
    weights.grad = torch.randn_like(weights)
    optimizer = torch.optim.AdamW([weights], lr=2e-5, weight_decay=0.01, fused=True)
    optimizer.step()
    return seconds_of(optimizer.step, 10 * args.seconds)


def parameters_of(config):
    hidden, inner, layers = config["hidden_size"], config["intermediate_size"], config["num_hidden_layers"]
    rows = config["vocab_size"] + config["max_position_embeddings"] + config.get("type_vocab_size", 2)
    linear = layers * (4 * hidden * hidden + 2 * hidden * inner)
    rest = layers * (9 * hidden + inner) + 2 * hidden + hidden * hidden + hidden
    return linear, linear + rest + rows * hidden


def main():
    torch.set_num_threads(args.threads)
    config = json.loads((args.model / "config.json").read_text("utf-8"))
    measured = {name: rates(config, dtype) for name, dtype in FORMATS.items()}
    linear, parameters = parameters_of(config)
    result = {
        "tokens": args.tokens,
        "gflops": {name: rate for name, (rate, _) in measured.items()},
        "by_product": {name: by_product for name, (_, by_product) in measured.items()},
        "linear_flops_per_token": 2 * 3 * linear,
        "parameters": parameters,
        "optimizer_seconds": optimizer_seconds(parameters),
        "threads": args.threads,
        "versions": {"torch": torch.__version__},
    }
    print(json.dumps(result))


if __name__ == "__main__":
    sys.exit(main())
