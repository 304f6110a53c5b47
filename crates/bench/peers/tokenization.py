r"""The peer that our tokenization is held against: the Python package `tokenizers`.

    python crates/bench/peers/tokenization.py --model MODEL --texts FILE --threads 2

FILE has a text a line. What is timed is `encode_batch`, which uses all threads, over pieces of 4,096 texts: the whole
file at once is slower, since all its encodings are then alive together. `encode_batch_fast` leaves out the offsets of
the tokens. Getting the ids out of an encoding isn't timed. Prints one JSON line.

Written against tokenizers 0.23.3.
"""

import argparse
import json
import os
import sys
import time
from pathlib import Path

ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
ap.add_argument("--model", type=Path, required=True, help="model folder with tokenizer.json")
ap.add_argument("--texts", type=Path, required=True)
ap.add_argument("--max-length", type=int, default=512)
ap.add_argument("--at-once", type=int, default=4096)
ap.add_argument("--threads", type=int, default=os.cpu_count())
args = ap.parse_args()

os.environ["TOKENIZERS_PARALLELISM"] = "true"
os.environ["RAYON_NUM_THREADS"] = str(args.threads)

import tokenizers


def seconds_of(encode, texts):
    """Seconds of encoding all texts, and how many tokens they have."""
    seconds, tokens = 0.0, 0
    for at in range(0, len(texts), args.at_once):
        began = time.perf_counter()
        encoded = encode(texts[at : at + args.at_once])
        seconds += time.perf_counter() - began
        tokens += sum(map(len, encoded))
    return seconds, tokens


def main():
    tokenizer = tokenizers.Tokenizer.from_file(str(args.model / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(args.max_length)
    texts = args.texts.read_text("utf-8").splitlines()
    seconds_of(tokenizer.encode_batch, texts[: args.at_once])
    result = {"peer": "tokenizers", "texts": len(texts), "threads": args.threads, "version": tokenizers.__version__}
    result["seconds"], result["tokens"] = seconds_of(tokenizer.encode_batch, texts)
    if hasattr(tokenizer, "encode_batch_fast"):
        result["fast_seconds"], _ = seconds_of(tokenizer.encode_batch_fast, texts)
    print(json.dumps(result))


if __name__ == "__main__":
    sys.exit(main())
