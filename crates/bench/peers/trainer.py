r"""The peer that our training speed and accuracy are held against: Hugging Face's Trainer.

It fine-tunes the same model on the same data as `train` does and prints one JSON line. Trainer at its best pads to the
longest sentence of a batch, makes batches of similar length and uses the fused AdamW. Whether it is faster in bf16 or in
fp32, and with torch.compile or without, depends on the machine: the benchmark measures all four.

Speed, on the treebank folder (train.txt, dev.txt, test.txt) and a checkpoint in Hugging Face layout:

    python crates/bench/peers/trainer.py --data DIR --dataset sst5 --model CHECKPOINT --steps 150 --warmup-steps-excluded 50
    python crates/bench/peers/trainer.py --data DIR --dataset sst5 --random-config bert-base --tokenizer CHECKPOINT \
        --steps 60 --warmup-steps-excluded 10

Accuracy, by the guide's hyperparameters:

    python crates/bench/peers/trainer.py --data DIR --dataset sst5 --model CHECKPOINT --epochs 3 --evaluate --seed 42

`--data` may instead be a folder with train.tsv and, for --evaluate, validation.tsv and test.tsv: UTF-8 lines of text,
tab, label number, without a header. Or with train.csv and so on: quoted as RFC 4180 has it, with the header text,label.

Several processes, by PyTorch's DistributedDataParallel with Gloo; `--batch-size` remains that of all together, and
`--threads` is that of each:

    python -m torch.distributed.run --nproc-per-node 2 -- crates/bench/peers/trainer.py --threads 1 --data DIR \
        --model CHECKPOINT --steps 60 --warmup-steps-excluded 10

DDP is at its best here: every parameter of the model has a gradient, so it does not search for unused ones in each step;
BERT's buffers never change, so they are not sent; and processes have equally many labels, so these are not counted together.
Only rank 0 prints and logs.

`--log DIR` gets a log.jsonl with a line at the end of each step, at once, so that the process that started this one sees when
the first one is over. Of several processes it is written again at the end, when all have said what their batches held. Its form
is that of our own trainings; the loss and the norm of a single step are not known here. `--save` saves a checkpoint where
training ends, as the epochs of the guide do.

Recipes: `bf16` and `fp32` as above; `dynamic` is fp32 with padding to the longest of a random batch; `guide` is what
tutorials show: every sentence padded to 512 tokens, fp32, random batches. `--compile model` adds torch.compile, for shapes
of any size from the start, so that nothing is compiled twice. On a CPU it needs a C++ compiler and takes MiniLM more than a
minute, which falls into the first steps; `--compile layers` compiles one layer for all, as accelerate offers it, in a
fraction of that. When the first batch without padding comes, for which the model needs no mask, it compiles again: exclude
a whole block of batches from the timing. Batches are made by the training process itself: a batch takes it 0.3 ms, less
than the transfer from another process.

The clock runs from the end of one step to the end of the next, so batch making counts. On a GPU the device is waited
for only where the measured part begins and ends: total figures are exact, per-step figures are those of the host.
The Trainer groups by length within blocks of 50 batches, longest batch first, so a figure over a part of such a block is
not one of the data set: measure whole blocks (as in the first line above), or compare tokens per second.

Needs torch, transformers 5, accelerate, scikit-learn for --evaluate. Written against torch 2.11.0, transformers
5.23.0, accelerate 1.15.0.
"""

import argparse
import csv
import json
import os
import re
import resource
import sys
import tempfile
import time
from pathlib import Path

ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
ap.add_argument("--data", type=Path, required=True, help="treebank folder, or folder of train.tsv, ...")
ap.add_argument("--dataset", choices=["sst2", "sst3", "sst5"], default="sst5", help="which labels of the treebank")
ap.add_argument("--model", type=Path, help="checkpoint folder to start from")
ap.add_argument("--random-config", choices=["bert-base", "bert-large", "minilm", "bert-tiny"], help="random weights")
ap.add_argument("--tokenizer", type=Path, help="tokenizer folder for --random-config")
ap.add_argument("--recipe", choices=["bf16", "fp32", "dynamic", "guide"], default="bf16")
ap.add_argument("--compile", choices=["model", "layers"], help="torch.compile")
ap.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto")
ap.add_argument("--threads", type=int, default=os.cpu_count())
ap.add_argument("--batch-size", type=int, default=16, help="of all processes together")
ap.add_argument("--learning-rate", type=float, default=2e-5)
ap.add_argument("--weight-decay", type=float, default=0.01)
ap.add_argument("--max-length", type=int, default=512)
ap.add_argument("--epochs", type=float, default=3.0)
ap.add_argument("--steps", type=int, help="stop after this many steps instead of --epochs")
ap.add_argument("--warmup-steps-excluded", type=int, default=5, help="first steps left out of the timing")
ap.add_argument("--log", type=Path, help="folder that gets a log.jsonl with a line at the end of each step")
ap.add_argument("--save", action="store_true", help="save a checkpoint at the end, as every epoch of the guide does")
ap.add_argument("--evaluate", action="store_true", help="score the final model on the validation and test splits")
ap.add_argument("--seed", type=int, default=42)
args = ap.parse_args()

# Set by torchrun.
RANK, WORLD_SIZE = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
if args.batch_size % WORLD_SIZE:
    ap.error(f"--batch-size is {args.batch_size}: expected a multiple of the number of processes, {WORLD_SIZE}")

os.environ["OMP_NUM_THREADS"] = str(args.threads)
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "true"
if args.compile:
    # Trainer has no options for these. Otherwise the first length is compiled for itself, and the second for all.
    os.environ["ACCELERATE_DYNAMO_USE_DYNAMIC"] = "true"
    os.environ["ACCELERATE_DYNAMO_USE_REGIONAL_COMPILATION"] = str(args.compile == "layers")

import accelerate
import numpy as np
import torch
import transformers
from transformers import (
    AutoTokenizer,
    BertConfig,
    BertForSequenceClassification,
    DataCollatorWithPadding,
    Trainer,
    TrainerCallback,
    TrainingArguments,
    set_seed,
)

# Roots of the treebank run from 0 (very negative) to 4 (very positive); None leaves the sentence out.
ROOT_TO_LABEL = {
    "sst2": [0, 0, None, 1, 1],
    "sst3": [0, 0, 1, 2, 2],
    "sst5": [0, 1, 2, 3, 4],
}
SHAPES = {  # hidden size, layers, heads
    "bert-base": (768, 12, 12),
    "bert-large": (1024, 24, 16),
    "minilm": (384, 6, 12),
    "bert-tiny": (128, 2, 2),
}
LOSS_STEPS = 50  # the reported final loss is the mean over the last logging interval
LEAF = re.compile(r"\(\d ([^()]+)\)")
ESCAPES = {"-LRB-": "(", "-RRB-": ")", "\\/": "/", "\\*": "*"}


def read_split(name: str) -> tuple[list[str], list[int]]:
    """Texts and labels of `train`, `validation` or `test`."""
    table = args.data / f"{name}.csv"
    if table.exists():
        with table.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        return [row["text"] for row in rows], [int(row["label"]) for row in rows]
    tsv = args.data / f"{name}.tsv"
    if tsv.exists():
        rows = [line.rsplit("\t", 1) for line in tsv.read_text("utf-8").split("\n") if line]
        return [text for text, _ in rows], [int(label) for _, label in rows]
    trees = args.data / {"train": "train.txt", "validation": "dev.txt", "test": "test.txt"}[name]
    texts, labels = [], []
    for tree in filter(None, trees.read_text("utf-8").split("\n")):
        label = ROOT_TO_LABEL[args.dataset][int(tree[1])]
        if label is not None:
            sentence = " ".join(LEAF.findall(tree))
            for escaped, plain in ESCAPES.items():
                sentence = sentence.replace(escaped, plain)
            texts.append(sentence)
            labels.append(label)
    return texts, labels


class Rows(torch.utils.data.Dataset):
    """Tokenized sentences in memory."""

    def __init__(self, name, tokenizer):
        texts, self.labels = read_split(name)
        self.ids = tokenizer(texts, truncation=True, max_length=args.max_length, padding=False).input_ids

    def __len__(self):
        return len(self.ids)

    def __getitem__(self, i):
        ids = self.ids[i]
        return {"input_ids": ids, "attention_mask": [1] * len(ids), "labels": self.labels[i]}


class Collator:
    """Pads a batch, and notes how many sentences and tokens each batch carried."""

    def __init__(self, tokenizer, padding):
        options = {"max_length": args.max_length} if padding == "max_length" else {}
        self.inner = DataCollatorWithPadding(tokenizer, padding=padding, **options)
        self.sentences, self.tokens = [], []

    def __call__(self, features):
        self.sentences.append(len(features))
        self.tokens.append(sum(len(f["input_ids"]) for f in features))
        return self.inner(features)

    def add_up(self):
        """The sentences and tokens of each batch become those of all processes."""
        every = [None] * WORLD_SIZE
        torch.distributed.all_gather_object(every, (self.sentences, self.tokens))
        self.sentences, self.tokens = ([sum(batch) for batch in zip(*counts)] for counts in zip(*every))


class Clock(TrainerCallback):
    """The time at which each step ended, and the most memory that the process had taken by then."""

    def __init__(self, collator):
        self.collator, self.ends, self.peak = collator, [], 0
        self.log, self.records, self.began = None, [], time.perf_counter()
        if args.log and RANK == 0:
            args.log.mkdir(parents=True, exist_ok=True)
            self.log = (args.log / "log.jsonl").open("w", encoding="utf-8")

    def on_step_end(self, _args, state, control, **kwargs):
        edge = state.global_step in (args.warmup_steps_excluded, state.max_steps)
        if edge and torch.cuda.is_available():
            torch.cuda.synchronize()
        self.ends.append(time.perf_counter())
        self.peak = peak_rss()
        if self.log:
            self.records.append(
                {
                    "event": "step",
                    "step": state.global_step,
                    "total_steps": state.max_steps,
                    "epoch": state.epoch,
                    "loss": None,
                    "learning_rate": kwargs["lr_scheduler"].get_last_lr()[0],
                    "gradient_norm": None,
                }
            )
            self.write(len(self.records) - 1)

    def on_train_end(self, _args, _state, _control, **_):
        if WORLD_SIZE > 1:
            self.collator.add_up()
            if self.log:
                self.log.seek(0)
                self.log.truncate()
            for at in range(len(self.records)):
                self.write(at)

    def write(self, at):
        """Logs a step with the sentences and tokens of its batch."""
        examples, tokens = self.collator.sentences[at], self.collator.tokens[at]
        seconds = self.ends[at] - (self.ends[at - 1] if at else self.began)
        batch = {
            "examples": examples,
            "tokens": tokens,
            "examples_per_second": examples / seconds,
            "tokens_per_second": tokens / seconds,
            "seconds": self.ends[at] - self.began,
        }
        print(json.dumps(self.records[at] | batch), file=self.log, flush=True)


def peak_rss():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def check_compiler():
    """Without a C++ compiler torch.compile would only fail at the first step; `{"unavailable": REASON}` says so at once."""
    from torch._inductor.cpp_builder import get_cpp_compiler

    try:
        get_cpp_compiler()
    except Exception as error:
        reason = f"torch.compile needs a C++ compiler: {' '.join(str(error).split())}"
        if RANK == 0:
            print(json.dumps({"peer": "Trainer", "unavailable": reason}))
        sys.exit()


def build_model(num_labels, vocab_size):
    if args.model:
        return BertForSequenceClassification.from_pretrained(args.model, num_labels=num_labels, dtype=torch.float32)
    hidden, layers, heads = SHAPES[args.random_config]
    config = BertConfig(
        vocab_size=vocab_size,
        hidden_size=hidden,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        intermediate_size=4 * hidden,
        num_labels=num_labels,
    )
    return BertForSequenceClassification(config)


def training_arguments(folder, use_cpu):
    return TrainingArguments(
        output_dir=folder,
        seed=args.seed,
        num_train_epochs=args.epochs,
        max_steps=args.steps or -1,
        per_device_train_batch_size=args.batch_size // WORLD_SIZE,
        per_device_eval_batch_size=32,
        learning_rate=args.learning_rate,
        weight_decay=args.weight_decay,
        lr_scheduler_type="linear",
        optim="adamw_torch_fused",
        bf16=args.recipe == "bf16",
        train_sampling_strategy="group_by_length" if args.recipe in ("bf16", "fp32") else "random",
        torch_compile=args.compile is not None,
        use_cpu=use_cpu,
        ddp_backend="gloo" if WORLD_SIZE > 1 and use_cpu else None,
        ddp_find_unused_parameters=False,
        ddp_broadcast_buffers=False,
        average_tokens_across_devices=False,
        dataloader_pin_memory=not use_cpu,
        logging_strategy="steps",
        logging_steps=min(LOSS_STEPS, args.steps or LOSS_STEPS),
        logging_nan_inf_filter=False,
        save_strategy="epoch" if args.save else "no",
        report_to="none",
        disable_tqdm=True,
    )


def scores(trainer, rows):
    from sklearn.metrics import accuracy_score, precision_recall_fscore_support

    predicted = np.argmax(trainer.predict(rows).predictions, axis=-1)
    p, r, f1, _ = precision_recall_fscore_support(rows.labels, predicted, average="weighted", zero_division=0)
    return {
        "rows": len(rows),
        "accuracy": accuracy_score(rows.labels, predicted),
        "precision": p,
        "recall": r,
        "f1": f1,
    }


def timing(clock, collator):
    """Figures over the steps after the excluded ones; None when too few steps ran."""
    first = args.warmup_steps_excluded
    ends = clock.ends[max(first - 1, 0) :]
    steps = np.diff(ends)
    if len(steps) < 1:
        return None
    sentences = collator.sentences[max(first, 1) : max(first, 1) + len(steps)]
    tokens = collator.tokens[max(first, 1) : max(first, 1) + len(steps)]
    q1, median, q3 = np.percentile(steps * 1000, [25, 50, 75])
    total = ends[-1] - ends[0]
    return {
        "steps": len(steps),
        "samples_per_second": sum(sentences) / total,
        "tokens_per_second": sum(tokens) / total,
        "tokens_per_sample": sum(tokens) / sum(sentences),
        "step_ms": {"q1": q1, "median": median, "q3": q3},
    }


def rounded(value):
    if isinstance(value, float):
        return float(f"{value:.6g}")
    return {k: rounded(v) for k, v in value.items()} if isinstance(value, dict) else value


def main():
    if bool(args.model) == bool(args.random_config):
        ap.error("give either --model or --random-config")
    if args.random_config and not args.tokenizer:
        ap.error("--random-config needs --tokenizer")
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    torch.set_num_threads(args.threads)
    use_cpu = args.device == "cpu" or (args.device == "auto" and not torch.cuda.is_available())
    if args.compile and use_cpu:
        check_compiler()

    tokenizer = AutoTokenizer.from_pretrained(args.model or args.tokenizer)
    train = Rows("train", tokenizer)
    set_seed(args.seed)
    model = build_model(max(train.labels) + 1, len(tokenizer))
    collator = Collator(tokenizer, "max_length" if args.recipe == "guide" else "longest")
    clock = Clock(collator)
    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(
            model=model,
            args=training_arguments(folder, use_cpu),
            train_dataset=train,
            data_collator=collator,
            processing_class=tokenizer,
            callbacks=[clock],
        )
        trainer.remove_callback(transformers.PrinterCallback)
        started = time.perf_counter()
        trainer.train()
        train_seconds = time.perf_counter() - started
        # Taken here: later evaluation batches would add to both.
        measured, peak = timing(clock, collator), peak_rss()
        losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
        mean_loss = [e["train_loss"] for e in trainer.state.log_history if "train_loss" in e]
        result = {
            "peer": "Trainer",
            "recipe": args.recipe + (f", torch.compile of {args.compile}" if args.compile else ""),
            "model": args.model.resolve().name if args.model else f"random {args.random_config}",
            "dataset": args.dataset,
            "batch_size": args.batch_size,
            "processes": WORLD_SIZE,
            "seed": args.seed,
            "device": "cpu" if use_cpu else torch.cuda.get_device_name(),
            "threads": args.threads,
            "versions": {m.__name__: m.__version__ for m in (torch, transformers, accelerate)},
            "train_steps": trainer.state.global_step,
            "train_seconds": train_seconds,
            "timing": measured,
            "peak_rss_mib": peak / 1024,
            "peak_rss_before_saving_mib": clock.peak / 1024,
            "mean_loss": mean_loss[-1] if mean_loss else None,
            "final_loss": losses[-1] if losses else None,
        }
        if not use_cpu:
            result["peak_gpu_mib"] = torch.cuda.max_memory_allocated() / 2**20
        if args.evaluate:
            for name in ("validation", "test"):
                result[name] = scores(trainer, Rows(name, tokenizer))
    if WORLD_SIZE > 1:
        torch.distributed.destroy_process_group()
    if RANK == 0:
        print(json.dumps(rounded(result)))


if __name__ == "__main__":
    sys.exit(main())
