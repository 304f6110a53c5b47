"""Models, texts and batches of the checks, made here from seeds: the pack holds no weights and no data."""

import array
import json
import random
from pathlib import Path

import tensors

POSITIVE = ["lovely", "great", "tender", "funny", "superb", "warm"]
NEGATIVE = ["awful", "dull", "cold", "clumsy", "boring", "weak"]
NEUTRAL = ["the", "film", "is", "a", "story", "actor", "with", "an", "and", "plot", "scene", "ending"]
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", ".", ","]
CLS, SEP = 2, 3

# Hidden size, layers, heads, intermediate size, positions, words in the vocabulary.
SHAPES = {
    "tiny": (16, 2, 2, 32, 32, 0),
    "minilm": (384, 6, 12, 1536, 512, 30522),
    "bert-base": (768, 12, 12, 3072, 512, 30522),
}


def write_model(folder, shape, program, dropout=0.1):
    """A folder with configuration, vocabulary, and weights that the program draws."""
    hidden, layers, heads, intermediate, positions, words = SHAPES[shape]
    vocabulary = SPECIAL + POSITIVE + NEGATIVE + NEUTRAL
    vocabulary += [f"[unused{number}]" for number in range(max(0, words - len(vocabulary)))]
    folder.mkdir(parents=True)
    (folder / "vocab.txt").write_text("\n".join(vocabulary) + "\n")
    (folder / "tokenizer_config.json").write_text('{"do_lower_case": true}')
    config = {
        "model_type": "bert",
        "vocab_size": len(vocabulary),
        "hidden_size": hidden,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "intermediate_size": intermediate,
        "max_position_embeddings": positions,
        "hidden_dropout_prob": dropout,
        "attention_probs_dropout_prob": dropout,
        # Larger than usual: with it, errors in any layer show in the logits of a model that was never trained.
        "initializer_range": 0.2 if shape == "tiny" else 0.05,
        "id2label": {"0": "negative", "1": "positive"},
    }
    (folder / "config.json").write_text(json.dumps(config))
    program("device-check", "draw", folder, "--seed", 1)


def write_texts(path, rows, longest):
    """Sentences in which one word decides the class."""
    rng = random.Random(1)
    lines = ["text,label"]
    for row in range(rows):
        label, telling = (("positive", POSITIVE), ("negative", NEGATIVE))[row % 2]
        words = [rng.choice(NEUTRAL) for _ in range(rng.randint(8, longest))]
        words[rng.randrange(len(words))] = rng.choice(telling)
        lines.append(f'"{" ".join(words)} .",{label}')
    path.write_text("\n".join(lines) + "\n")


def write_batch(path, shape, sentences):
    """Token ids of sentences of many lengths, the longest as long as the model reads, up to 128."""
    rng = random.Random(2)
    vocabulary, longest = len(SPECIAL + POSITIVE + NEGATIVE + NEUTRAL), min(128, SHAPES[shape][4])
    lengths = [longest] + [rng.randint(2, longest) for _ in range(sentences - 1)]
    ids = [[CLS] + [rng.randrange(5, vocabulary) for _ in range(length - 2)] + [SEP] for length in lengths]
    batch = {"sentences": ids, "labels": [rng.randrange(2) for _ in lengths]}
    path.write_text(json.dumps(batch))
    return batch


def write_fixture_model(folder, training):
    """The model and the batch of tests/fixtures/bert/training.json, by the rule in generator.py beside it."""
    base = training["base"]
    labels = {str(number): f"class {number}" for number in range(base["config"]["num_labels"])}
    config = {key: value for key, value in base["config"].items() if key != "num_labels"}
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(config | {"model_type": "bert", "id2label": labels}))
    sizes = tensors.read(Path(__file__).parent / "fixtures" / "gradients.safetensors")
    weights = {}
    for stream, name in enumerate(base["names"]):
        shape, numbers = sizes[name]
        rule = (lambda u: 1 + _fp32(_fp32(u - 0.5) * _fp32(0.2))) if name.endswith("LayerNorm.weight") else (
            lambda u: _fp32(u - 0.5) * _fp32(0.4)
        )
        weights[name] = (shape, array.array("f", (rule((_bits(stream, i) >> 40) * 2.0**-24) for i in range(len(numbers)))))
    tensors.write(folder / "model.safetensors", weights)
    batch = {"sentences": base["batch_0"]["input_ids"], "labels": base["batch_0"]["labels"]}
    (folder / "batch.json").write_text(json.dumps(batch))


def _fp32(number):
    return array.array("f", [number])[0]


def _bits(stream, element):
    z = (stream * 1_000_003 + element + 0x9E3779B97F4A7C15) & (2**64 - 1)
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & (2**64 - 1)
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & (2**64 - 1)
    return z ^ (z >> 31)
