r"""The peers that our inference speed is held against: PyTorch through transformers, and ONNX Runtime.

It classifies the sentences of a CSV file (header text,label) with a fine-tuned model folder in Hugging Face layout and
prints one JSON line:

    python crates/bench/peers/inference.py --model RUN --sentences test.csv --engine torch-bf16

Engines: `torch-fp32` and `torch-bf16` are BertForSequenceClassification in inference mode, `torch-int8` the same with
PyTorch's dynamic quantization of its linear layers; `onnx-fp32`, `onnx-bf16` and `onnx-int8` are ONNX Runtime on the
exported model, the last with dynamically quantized weights. int8 and ONNX are for the CPU. Where an engine does not exist,
`{"unavailable": REASON}` is printed instead: ONNX Runtime 1.32 has no products in bf16 on x86-64.

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

ENGINES = ["torch-fp32", "torch-bf16", "torch-int8", "onnx-fp32", "onnx-bf16", "onnx-int8"]

ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
ap.add_argument("--model", type=Path, required=True, help="fine-tuned model folder")
ap.add_argument("--sentences", type=Path, required=True, help="CSV file with the columns text and label")
ap.add_argument("--engine", choices=ENGINES, default="torch-bf16")
ap.add_argument("--batch-size", type=int, default=32)
ap.add_argument("--max-length", type=int, default=512)
ap.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
ap.add_argument("--threads", type=int, default=os.cpu_count())
args = ap.parse_args()

os.environ["OMP_NUM_THREADS"] = str(args.threads)
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "true"

import numpy as np


def unavailable(reason):
    print(json.dumps({"peer": args.engine, "unavailable": " ".join(str(reason).split())}))
    sys.exit()


def check_onnx_bf16():
    """Ends the process where ONNX Runtime can't multiply in bf16; before the other imports, which take seconds."""
    import onnx
    import onnxruntime
    from onnx import TensorProto, helper

    matrix = [helper.make_tensor_value_info(name, TensorProto.BFLOAT16, [8, 8]) for name in "abc"]
    graph = helper.make_graph([helper.make_node("MatMul", ["a", "b"], ["c"])], "product", matrix[:2], matrix[2:])
    model = onnx.helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)
    try:
        onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    except Exception as error:
        unavailable(error)


OPSET = 17
if args.engine == "onnx-bf16":
    check_onnx_bf16()

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


def torch_engine(number_format):
    dtype = torch.bfloat16 if number_format == "bf16" else torch.float32
    model = BertForSequenceClassification.from_pretrained(args.model, dtype=dtype).eval().to(args.device)
    if number_format == "int8":
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                model = torch.ao.quantization.quantize_dynamic(model, {torch.nn.Linear}, dtype=torch.qint8)
            except (AttributeError, RuntimeError) as error:
                unavailable(f"quantize_dynamic: {error}")

    def answer(ids, mask):
        ids, mask = torch.from_numpy(ids).to(args.device), torch.from_numpy(mask).to(args.device)
        with torch.inference_mode():
            logits = model(input_ids=ids, attention_mask=mask).logits
            return logits.float().log_softmax(-1).cpu().numpy()

    return answer


class Logits(torch.nn.Module):
    """The model as a function of two tensors to one, in fp32 whatever the model computes in."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, input_ids, attention_mask):
        return self.model(input_ids=input_ids, attention_mask=attention_mask).logits.float()


def onnx_engine(number_format, folder):
    import onnxruntime

    dtype = torch.bfloat16 if number_format == "bf16" else torch.float32
    # The attention that is written out in plain operations is the one that the tracing exporter can follow.
    model = BertForSequenceClassification.from_pretrained(args.model, dtype=dtype, attn_implementation="eager")
    path = str(folder / "model.onnx")
    example = (torch.ones(2, 8, dtype=torch.long), torch.ones(2, 8, dtype=torch.long))
    axes = {name: {0: "batch", 1: "length"} for name in ("input_ids", "attention_mask")}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            Logits(model).eval(),
            example,
            path,
            input_names=["input_ids", "attention_mask"],
            output_names=["logits"],
            dynamic_axes=axes | {"logits": {0: "batch"}},
            opset_version=OPSET,
            dynamo=False,
        )
    if number_format == "int8":
        from onnxruntime.quantization import QuantType, quantize_dynamic

        quantized = str(folder / "model-int8.onnx")
        quantize_dynamic(path, quantized, weight_type=QuantType.QInt8)
        path = quantized
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = args.threads
    try:
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except onnxruntime.capi.onnxruntime_pybind11_state.NotImplemented as error:
        unavailable(error)
    return lambda ids, mask: session.run(None, {"input_ids": ids, "attention_mask": mask})[0]


def main():
    library, number_format = args.engine.split("-")
    if args.device == "cuda" and (library == "onnx" or number_format == "int8"):
        ap.error("int8 and the ONNX engines are those of the CPU")
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
        if library == "torch":
            answer = torch_engine(number_format)
        else:
            import onnxruntime

            versions["onnxruntime"] = onnxruntime.__version__
            answer = onnx_engine(number_format, Path(folder))

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
