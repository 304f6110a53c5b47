r"""Writes bert-base-uncased's configuration with random weights, and the tokenizer of another model folder beside it.

    python crates/bench/peers/random_model.py --tokenizer MODEL --output DIR

How quick a model is doesn't depend on what its weights say, and its own weights needn't be fetched for it.
"""

import argparse
import os
import shutil
import sys
from pathlib import Path

ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
ap.add_argument("--tokenizer", type=Path, required=True, help="folder with the tokenizer of bert-base-uncased")
ap.add_argument("--output", type=Path, required=True)
args = ap.parse_args()

os.environ["HF_HUB_OFFLINE"] = "1"

import torch
from transformers import BertConfig, BertForSequenceClassification, logging

FILES = ["tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt"]


def main():
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    torch.manual_seed(0)
    # Written under another name first, so that a folder of this name is complete.
    staging = args.output.with_name(args.output.name + ".part")
    shutil.rmtree(staging, ignore_errors=True)
    BertForSequenceClassification(BertConfig(num_labels=5)).save_pretrained(staging)
    for name in FILES:
        if (args.tokenizer / name).exists():
            shutil.copyfile(args.tokenizer / name, staging / name)
    staging.rename(args.output)


if __name__ == "__main__":
    sys.exit(main())
