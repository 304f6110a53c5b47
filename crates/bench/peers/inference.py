r"""The peers that our inference speed is held against: PyTorch through transformers, and ONNX Runtime.

It classifies the sentences of a CSV file (header text,label) with a fine-tuned model folder in Hugging Face layout and
prints one JSON line:

    python crates/bench/peers/inference.py --model RUN --sentences test.csv --engine torch-bf16

Engines: `torch-bf16` and `torch-fp32` are BertForSequenceClassification in inference mode; `onnx-fp32` and `onnx-int8` are
ONNX Runtime on the exported model, the latter with dynamically quantised weights, on the CPU.

All of them get what makes them quick: sentences sorted by length, longest first, and batches padded to their own longest
sentence. Tokenization, loading and export are not timed; making and padding a batch, and fetching the answers, are. The
seconds of the first batch are given apart, because one-off costs fall into it.

Needs torch, transformers; for ONNX onnx and onnxruntime. Written against torch 2.11.0, transformers 5.23.0,
onnxruntime 1.32.0.
"""

import argparse
import csv
import json
import os
import sys
import tempfile
import time
import warnings
from pathlib import Path

ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
ap.add_argument("--model", type=Path, required=True, help="fine-tuned model folder")
ap.add_argument("--sentences", type=Path, required=True, help="CSV file with the columns text and label")
ap.add_argument("--engine", choices=["torch-bf16", "torch-fp32", "onnx-fp32", "onnx-int8"], default="torch-bf16")
ap.add_argument("--batch-size", type=int, default=32)
ap.add_argument("--max-length", type=int, default=512)
ap.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
ap.add_argument("--threads", type=int, default=os.cpu_count())
args = ap.parse_args()

os.environ["OMP_NUM_THREADS"] = str(args.threads)
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "true"

import numpy as np
import torch
import transformers
from transformers import AutoTokenizer, BertForSequenceClassification


def padded(rows):
    """input_ids and attention_mask of a batch, padded to its longest row."""
    ids = np.zeros((len(rows), max(map(len, rows))), dtype=np.int64)
    mask = np.zeros_like(ids)
    for i, row in enumerate(rows):
        ids[i, : len(row)] = row
        mask[i, : len(row)] = 1
    return ids, mask


def torch_engine(dtype):
    model = BertForSequenceClassification.from_pretrained(args.model, dtype=dtype).eval().to(args.device)

    def answer(ids, mask):
        ids, mask = torch.from_numpy(ids).to(args.device), torch.from_numpy(mask).to(args.device)
        with torch.inference_mode():
            logits = model(input_ids=ids, attention_mask=mask).logits
            return logits.float().log_softmax(-1).cpu().numpy()

    return answer


def onnx_engine(int8, folder):
    import onnxruntime

    # The attention that is written out in plain operations is the one that the tracing exporter can follow.
    model = BertForSequenceClassification.from_pretrained(args.model, dtype=torch.float32, attn_implementation="eager")
    path = str(folder / "model.onnx")
    example = (torch.ones(2, 8, dtype=torch.long), torch.ones(2, 8, dtype=torch.long))
    axes = {name: {0: "batch", 1: "length"} for name in ("input_ids", "attention_mask")}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            model.eval(),
            example,
            path,
            input_names=["input_ids", "attention_mask"],
            output_names=["logits"],
            dynamic_axes=axes | {"logits": {0: "batch"}},
            opset_version=17,
            dynamo=False,
        )
    if int8:
        from onnxruntime.quantization import QuantType, quantize_dynamic

        quantised = str(folder / "model-int8.onnx")
        quantize_dynamic(path, quantised, weight_type=QuantType.QInt8)
        path = quantised
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = args.threads
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return lambda ids, mask: session.run(None, {"input_ids": ids, "attention_mask": mask})[0]


def main():
    if args.device == "cuda" and args.engine.startswith("onnx"):
        ap.error("the ONNX engines are those of the CPU")
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    torch.set_num_threads(args.threads)
    with args.sentences.open(encoding="utf-8", newline="") as file:
        table = list(csv.DictReader(file))
    tokenizer = AutoTokenizer.from_pretrained(args.model)
    texts = [row["text"] for row in table]
    ids = tokenizer(texts, truncation=True, max_length=args.max_length, padding=False).input_ids
    versions = {m.__name__: m.__version__ for m in (torch, transformers)}
    with tempfile.TemporaryDirectory() as folder:
        if args.engine.startswith("torch"):
            answer = torch_engine(torch.bfloat16 if args.engine == "torch-bf16" else torch.float32)
        else:
            import onnxruntime

            versions["onnxruntime"] = onnxruntime.__version__
            answer = onnx_engine(args.engine == "onnx-int8", Path(folder))

        order = sorted(range(len(ids)), key=lambda row: -len(ids[row]))
        predicted, first = np.zeros(len(ids), dtype=np.int64), None
        began = time.perf_counter()
        for at in range(0, len(order), args.batch_size):
            rows = order[at : at + args.batch_size]
            predicted[rows] = answer(*padded([ids[row] for row in rows])).argmax(-1)
            first = first or time.perf_counter() - began
        seconds = time.perf_counter() - began
    correct = sum(int(row["label"]) == answered for row, answered in zip(table, predicted.tolist()))
    result = {
        "peer": args.engine,
        "rows": len(ids),
        "tokens": sum(map(len, ids)),
        "batch_size": args.batch_size,
        "seconds": seconds,
        "first_batch_seconds": first,
        "accuracy": correct / len(ids),
        "threads": args.threads,
        "versions": versions,
    }
    print(json.dumps(result))


if __name__ == "__main__":
    sys.exit(main())
