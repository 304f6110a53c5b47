r"""The machine's limit for a training step: matrix products at the rate that it reaches, and one pass of the optimizer.

    python crates/bench/peers/limits.py --model MODEL --tokens 400 --threads 2

The products are those of an encoder layer in bf16, forward (Y = X W'), for the inputs (dX = dY W) and for the weights
(dW = dY' X). Each is timed with both layouts of its weight and the quicker one counts, because a program may store it
as it likes. The rate is all their floating-point operations by the sum of their median times. The optimizer is torch's
fused AdamW on as many fp32 numbers as the model has parameters, on memory that is there already.

Prints one JSON line; what a step takes at least is `linear_flops_per_token * tokens / (gflops * 1e9) + optimizer_seconds`.

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
ap.add_argument("--repeats", type=int, default=9)
ap.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
ap.add_argument("--threads", type=int, default=os.cpu_count())
args = ap.parse_args()

os.environ["OMP_NUM_THREADS"] = str(args.threads)

import torch


def seconds_of(work, inner):
    """Median seconds of one call out of `inner` in a row."""
    times = []
    for repeat in range(args.repeats + 2):
        wait()
        began = time.perf_counter()
        for _ in range(inner):
            work()
        wait()
        if repeat >= 2:
            times.append((time.perf_counter() - began) / inner)
    return statistics.median(times)


def wait():
    if args.device == "cuda":
        torch.cuda.synchronize()


def random(*shape):
    return torch.randn(*shape, device=args.device).to(torch.bfloat16)


def products(tokens, outputs, inputs):
    """Seconds of the three products of one linear layer."""
    x, dy = random(tokens, inputs), random(tokens, outputs)
    layouts = [random(outputs, inputs), random(inputs, outputs).t()]
    y, dx, dw = random(tokens, outputs), random(tokens, inputs), random(outputs, inputs)
    inner = max(1, int(2e9 / (2 * tokens * outputs * inputs)))
    forward = min(seconds_of(lambda w=w: torch.mm(x, w.t(), out=y), inner) for w in layouts)
    backward = min(seconds_of(lambda w=w: torch.mm(dy, w, out=dx), inner) for w in layouts)
    return {"forward": forward, "inputs": backward, "weights": seconds_of(lambda: torch.mm(dy.t(), x, out=dw), inner)}


def optimizer_seconds(parameters):
    weights = torch.nn.Parameter(torch.randn(parameters, device=args.device))
    weights.grad = torch.randn_like(weights)
    optimizer = torch.optim.AdamW([weights], lr=2e-5, weight_decay=0.01, fused=True)
    optimizer.step()
    return seconds_of(optimizer.step, 1)


def parameters_of(config):
    hidden, inner, layers = config["hidden_size"], config["intermediate_size"], config["num_hidden_layers"]
    rows = config["vocab_size"] + config["max_position_embeddings"] + config.get("type_vocab_size", 2)
    linear = layers * (4 * hidden * hidden + 2 * hidden * inner)
    rest = layers * (9 * hidden + inner) + 2 * hidden + hidden * hidden + hidden
    return linear, linear + rest + rows * hidden


def main():
    torch.set_num_threads(args.threads)
    config = json.loads((args.model / "config.json").read_text("utf-8"))
    hidden, inner = config["hidden_size"], config["intermediate_size"]
    shapes = {"qkv": (3 * hidden, hidden), "out": (hidden, hidden), "up": (inner, hidden), "down": (hidden, inner)}
    seconds, operations, rates = 0.0, 0.0, {}
    for name, (outputs, inputs) in shapes.items():
        flops = 2 * args.tokens * outputs * inputs
        times = products(args.tokens, outputs, inputs)
        seconds, operations = seconds + sum(times.values()), operations + 3 * flops
        rates[name] = {product: flops / time / 1e9 for product, time in times.items()}
    linear, parameters = parameters_of(config)
    result = {
        "tokens": args.tokens,
        "gflops": operations / seconds / 1e9,
        "gflops_by_product": rates,
        "linear_flops_per_token": 2 * 3 * linear,
        "parameters": parameters,
        "optimizer_seconds": optimizer_seconds(parameters),
        "threads": args.threads,
        "versions": {"torch": torch.__version__},
    }
    print(json.dumps(result))


if __name__ == "__main__":
    sys.exit(main())
