"""The checks, in the order in which they run. Each returns figures with their limits; an exception is a failure of that check."""

import json
import re
import signal
import statistics
import threading
import time
from pathlib import Path

import autograd
import inputs
import tensors

try:
    import torch
except ImportError:
    torch = None

HERE = Path(__file__).parent
# A constant added to all attention scores changes nothing, so the gradient of a key's bias is zero but for rounding.
ZERO_GRADIENT = "attention.self.key.bias"


class NotRun(Exception):
    """What a check needs and this machine does not have."""


class Figure:
    """A measured number and the largest that passes; without a limit it is recorded only."""

    def __init__(self, what, value, limit=None, unit=""):
        self.what, self.value, self.limit, self.unit = what, value, limit, unit
        self.passed = limit is None or value <= limit


class Checks:
    """`program` runs verdict and gives its output; `work` is an empty folder; `device` is cuda, or cpu where it is played."""

    def __init__(self, program, work, device, shape, steps):
        self.program, self.work, self.device, self.shape, self.steps = program, work, device, shape, steps
        self.on_gpu = device == "cuda"

    def all(self):
        return [
            ("device", "the program finds the device", self.device_is_found),
            ("transformers", "logits, loss and gradients of a tiny BERT, against transformers'", self.transformers),
            ("parity in fp32", "the same pass on the device and by the CPU kernels, in fp32", self.parity_fp32),
            ("parity in bf16", "the same pass on the device in bf16 and by the CPU kernels in fp32", self.parity_bf16),
            ("autograd", "the same pass by PyTorch's operations and autograd on this device, in fp32", self.autograd),
            ("dropout", "the gradient with dropout, against the loss a small step along it and against it", self.dropout),
            ("resume", "a training that is killed and resumed, against one that is not", self.resume),
            ("memory", "the peak of a training, against the estimate", self.memory),
            ("halving", "a training without enough memory for its batches", self.halving),
            ("speed in fp32", "training", lambda: self.speed("fp32")),
            ("speed in bf16", "training", lambda: self.speed("bf16")),
        ]

    def device_is_found(self):
        self.described = json.loads(self.program("device-check", "describe", "--device", self.device))
        expected = "cuda:0" if self.on_gpu else "cpu"
        if self.described["device"] != expected:
            raise AssertionError(f"expected {expected}, found {self.described['device']}")
        if self.described["backend"] != "libtorch":
            raise AssertionError("the program computes with its CPU kernels")
        if self.on_gpu and not self.described["gpu"]:
            raise AssertionError("the driver did not say the GPU's name and compute capability")
        return []

    # One pass

    def run_pass(self, model, batch, precision, *more, kernels=False):
        """One pass on the device or, with `kernels`, by the CPU kernels."""
        output = self.work / ("kernels.safetensors" if kernels else "pass.safetensors")
        device = "cpu" if kernels else self.device
        flags = ["--model", model, "--batch", batch, "--device", device, "--precision", precision, "--output", output]
        self.program("device-check", "pass", *flags, *more, kernels=kernels)
        return tensors.read(output)

    def transformers(self):
        training = json.loads((HERE / "fixtures" / "training.json").read_text())
        model = self.work / "fixture"
        inputs.write_fixture_model(model, training)
        ours = self.run_pass(model, model / "batch.json", "fp32")
        logits = [number for row in training["base"]["logits"] for number in row]
        theirs = tensors.read(HERE / "fixtures" / "gradients.safetensors")
        theirs = {f"gradient.{name}": tensor for name, tensor in theirs.items()}
        return [
            Figure("logits, largest difference", tensors.largest_difference(ours["logits"][1], logits), 1e-5),
            Figure("loss, difference", abs(ours["loss"][1][0] - training["base"]["loss"]), 1e-5),
            *self.gradient_figures(ours, theirs, worst=1e-4, together=1e-5),
        ]

    def parity_model(self):
        model = self.work / f"parity-{self.shape}"
        if not model.exists():
            # Without dropout: every pass computes the same function.
            inputs.write_model(model, self.shape, self.program, dropout=0.0)
            inputs.write_batch(model / "batch.json", self.shape, 16)
        return model

    def by_kernels(self):
        """The pass by the CPU kernels in fp32, computed once."""
        model, kept = self.parity_model(), self.work / "kernels.safetensors"
        if kept.exists():
            return tensors.read(kept)
        return self.run_pass(model, model / "batch.json", "fp32", kernels=True)

    def parity(self, precision, logits, loss, worst, together):
        model = self.parity_model()
        ours = self.run_pass(model, model / "batch.json", precision)
        return self.pass_figures(ours, self.by_kernels(), logits, loss, worst, together)

    def parity_fp32(self):
        return self.parity("fp32", logits=1e-4, loss=1e-5, worst=1e-3, together=1e-4)

    def parity_bf16(self):
        return self.parity("bf16", logits=0.1, loss=0.05, worst=0.5, together=0.1)

    def autograd(self):
        if torch is None:
            raise NotRun("PyTorch is not installed for this python3")
        model = self.parity_model()
        config, batch = (json.loads((model / name).read_text()) for name in ("config.json", "batch.json"))
        theirs = autograd.training_pass(torch, model, config, batch, self.device)
        ours = self.run_pass(model, model / "batch.json", "fp32")
        return self.pass_figures(ours, theirs, logits=1e-4, loss=1e-5, worst=1e-3, together=1e-4)

    def dropout(self):
        model = self.work / f"dropout-{self.shape}"
        inputs.write_model(model, self.shape, self.program, dropout=0.1)
        batch = self.parity_model() / "batch.json"
        # So short that the loss is a line along it, and so long that its rounding does not show.
        distance = 0.002
        ours = self.run_pass(model, batch, "fp32", "--along-gradient", distance)
        again = self.run_pass(model, batch, "fp32")
        along, against = (ours[name][1][0] for name in ("loss.along", "loss.against"))
        norm = tensors.norm([tensors.norm(numbers) for name, (_, numbers) in ours.items() if name.startswith("gradient.")])
        return [
            # With masks that differ between the passes it is more than 1.
            Figure("slope along the gradient, relative difference", abs((along - against) / (2 * distance) / norm - 1), 0.01),
            Figure("loss of the same seed in another process, difference", abs(ours["loss"][1][0] - again["loss"][1][0]), 1e-6),
        ]

    def pass_figures(self, ours, theirs, logits, loss, worst, together):
        scale = max(map(abs, theirs["logits"][1]))
        difference = tensors.largest_difference(ours["logits"][1], theirs["logits"][1]) / scale
        loss_difference = abs(ours["loss"][1][0] - theirs["loss"][1][0])
        return [
            Figure("logits, largest difference over the largest logit", difference, logits),
            Figure("loss, difference", loss_difference, loss),
            *self.gradient_figures(ours, theirs, worst, together),
        ]

    @staticmethod
    def gradient_figures(ours, theirs, worst, together):
        names = [name for name in theirs if name.startswith("gradient.")]
        missing = [name for name in names if name not in ours]
        if missing or len(names) < 5:
            raise AssertionError(f"expected the same gradients, without {missing}, {len(names)} to compare")
        differences, norms, worst_name, worst_found = [], [], "", 0.0
        for name in names:
            difference = tensors.norm_of_difference(ours[name][1], theirs[name][1])
            norm = tensors.norm(theirs[name][1])
            differences.append(difference)
            norms.append(norm)
            relative = difference / norm if norm > 0 else float("inf")
            if not name.endswith(ZERO_GRADIENT) and not relative <= worst_found:
                worst_name, worst_found = name.removeprefix("gradient."), relative
        whole = tensors.norm(differences) / tensors.norm(norms)
        return [
            Figure(f"gradient of {worst_name} (the worst), relative difference", worst_found, worst),
            Figure("all gradients together, relative difference", whole, together),
        ]

    # Trainings

    def prepared(self, shape):
        """Prepared data for a model of this shape; `train` takes the model from it."""
        data = self.work / f"data-{shape}"
        if not data.exists():
            inputs.write_model(self.work / f"model-{shape}", shape, self.program)
            texts = self.work / f"reviews-{shape}.csv"
            inputs.write_texts(texts, 200 if shape == "tiny" else 2000, 20 if shape == "tiny" else 60)
            flags = ["--model", self.work / f"model-{shape}", "--max-length", 32 if shape == "tiny" else 128]
            self.program("prepare", "--dataset", texts, "--output", data, *flags)
        return data

    def training(self, run, *more, shape=None, **how):
        flags = ["--data", self.prepared(shape or self.shape), "--output", self.work / run, "--device", self.device]
        return self.program("train", *flags, *more, **how)

    def steps_of(self, run):
        """The steps in the log of a run, in order; a torn last line is left out."""
        path = self.work / run / "log.jsonl"
        lines = path.read_text().split("\n")[:-1] if path.exists() else []
        return [event for event in map(json.loads, lines) if event["event"] == "step"]

    def resume(self):
        flags = ["--precision", "fp32", "--epochs", 50, "--max-steps", 120, "--save-every", 20, "--learning-rate", 0.001]
        for run in ("whole", "again"):
            self.training(run, *flags, shape="tiny")
        process = self.training("killed", *flags, shape="tiny", wait=False)
        waited = time.monotonic()
        while len(self.steps_of("killed")) < 30 and process.poll() is None and time.monotonic() - waited < 300:
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
        process.wait()
        done = len(self.steps_of("killed"))
        if process.returncode != -signal.SIGKILL or not 30 <= done < 120:
            raise AssertionError(f"the training was not killed between step 30 and 120: {done} steps, exit {process.returncode}")
        self.training("killed", *flags, "--resume", shape="tiny")
        killed, repeated = self.difference("whole", "killed"), self.difference("whole", "again")
        return [
            Figure("killed after step", done),
            Figure("weights after 120 steps, not killed, two trainings: largest difference", repeated),
            # Where the device adds in the same order each time, this is 0 and has to be.
            Figure("weights after 120 steps, killed and resumed: largest difference", killed, 10 * repeated),
        ]

    def difference(self, one, other):
        def weights(run):
            newest = max(path for path in (self.work / run / "checkpoints").iterdir() if path.name.startswith("step-"))
            assert newest.name == "step-00000120", f"{run} ends with {newest.name}"
            return tensors.read(newest / "model.safetensors")

        ours, theirs = weights(one), weights(other)
        return max(tensors.largest_difference(ours[name][1], theirs[name][1]) for name in theirs)

    def memory(self):
        if self.on_gpu and torch is None:
            raise NotRun("PyTorch, which measures the device's memory, is not installed for this python3")
        flags = self.memory_flags()
        output = []
        small, large = DevicePeak(self.on_gpu), DevicePeak(self.on_gpu)
        with small:
            self.training("memory-context", "--max-steps", 2, shape="tiny")
        with large:
            # On a CPU by the kernels, which the estimate is of.
            output.append(self.training("memory", *flags, log="warn,train=debug", kernels=not self.on_gpu))
        found = re.search(r"memory at most: .*\((\d+) bytes\)", output[0])
        if not found:
            raise AssertionError("the training did not say its estimate")
        estimate = int(found[1]) / 1e6
        metrics = json.loads((self.work / "memory" / "metrics.json").read_text())
        figures = [Figure("estimate", estimate, unit="MB")]
        figures += [Figure(f"{name} in metrics.json", value / 1e6, unit="MB")
                    for name, value in metrics.items() if name.startswith("peak_") and value]
        if self.on_gpu:
            # The device's memory in use, less that of a training with hardly any weights: CUDA's context and libraries.
            # Recorded without a limit: the estimate is of the CPU kernels, and is not used to refuse a training here.
            self.peak = large.peak / 1e6
            figures.append(Figure("context of CUDA", small.peak / 1e6, unit="MB"))
            figures.append(Figure("peak over estimate", (large.peak - small.peak) / 1e6 / estimate))
        else:
            figures.append(Figure("peak over estimate", metrics["peak_memory_bytes"] / 1e6 / estimate, 1.05))
        return figures

    def halving(self):
        if not self.on_gpu:
            raise NotRun("the memory of a CPU is not limited like a GPU's")
        if not hasattr(self, "peak"):
            raise NotRun("the check of the memory did not measure a peak")
        free, _ = torch.cuda.mem_get_info()
        held = torch.empty(int(free - 0.7e6 * self.peak), dtype=torch.uint8, device="cuda")
        try:
            output = self.training("halving", *self.memory_flags())
        finally:
            del held
            torch.cuda.empty_cache()
        times = len(re.findall("out of memory; from here on", output))
        steps = len(self.steps_of("halving"))
        if times == 0 or steps != 6:
            raise AssertionError(f"expected batches to be halved and 6 steps, found {times} halvings and {steps} steps")
        return [Figure("halvings", times), Figure("steps", steps)]

    def memory_flags(self):
        return ["--precision", self.described["precision"], "--batch-size", 128 if self.on_gpu else 16, "--max-steps", 6]

    def speed(self, precision):
        run = f"speed-{precision}"
        self.training(run, "--precision", precision, "--batch-size", 32, "--max-steps", self.steps)
        steps = self.steps_of(run)
        rates = [step["examples_per_second"] for step in steps[len(steps) // 3 :]]
        if len(steps) != self.steps:
            raise AssertionError(f"expected {self.steps} steps, found {len(steps)}")
        tokens = [step["tokens_per_second"] for step in steps[len(steps) // 3 :]]
        return [
            Figure(f"{self.shape}, batches of 32, median", statistics.median(rates), unit="examples/s"),
            Figure(f"{self.shape}, batches of 32, median", statistics.median(tokens), unit="tokens/s"),
        ]


class DevicePeak:
    """The most memory of the GPU that was in use within the block, over what was in use before it, in bytes."""

    def __init__(self, on_gpu):
        self.on_gpu, self.peak = on_gpu, 0

    def __enter__(self):
        if self.on_gpu:
            before, _ = torch.cuda.mem_get_info()
            self.ended = threading.Event()
            self.thread = threading.Thread(target=self.watch, args=(before,))
            self.thread.start()
        return self

    def watch(self, before):
        while not self.ended.wait(0.005):
            self.peak = max(self.peak, before - torch.cuda.mem_get_info()[0])

    def __exit__(self, *_):
        if self.on_gpu:
            self.ended.set()
            self.thread.join()
