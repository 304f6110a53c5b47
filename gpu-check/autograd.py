"""BERT for classification as PyTorch's own operations compute it, with gradients by its autograd: the second opinion."""

import tensors


def training_pass(torch, model, config, batch, device):
    """Logits, loss and every gradient of a batch in fp32, without dropout, in the form that `verdict device-check pass` writes."""
    torch.backends.cuda.matmul.allow_tf32 = False
    weights = {
        name: torch.tensor(numbers, dtype=torch.float32).view(shape).to(device).requires_grad_()
        for name, (shape, numbers) in tensors.read(model / "model.safetensors").items()
    }
    logits = _logits(torch, weights, config, batch["sentences"], device)
    loss = torch.nn.functional.cross_entropy(logits, torch.tensor(batch["labels"], device=device))
    loss.backward()
    results = {"logits": logits, "loss": loss}
    results |= {f"gradient.{name}": weight.grad for name, weight in weights.items()}
    return {name: _numbers(tensor) for name, tensor in results.items()}


def _logits(torch, weights, config, sentences, device):
    F = torch.nn.functional
    longest = max(map(len, sentences))
    ids = torch.tensor([sentence + [0] * (longest - len(sentence)) for sentence in sentences], device=device)
    lengths = torch.tensor([len(sentence) for sentence in sentences], device=device)
    is_token = torch.arange(longest, device=device)[None] < lengths[:, None]

    def linear(x, name):
        return F.linear(x, weights[f"{name}.weight"], weights[f"{name}.bias"])

    def layer_norm(x, name):
        weight, bias = weights[f"{name}.weight"], weights[f"{name}.bias"]
        return F.layer_norm(x, weight.shape, weight, bias, config.get("layer_norm_eps", 1e-12))

    embeddings = "bert.embeddings"
    hidden = weights[f"{embeddings}.word_embeddings.weight"][ids]
    hidden = hidden + weights[f"{embeddings}.position_embeddings.weight"][:longest]
    hidden = hidden + weights[f"{embeddings}.token_type_embeddings.weight"][0]
    hidden = layer_norm(hidden, f"{embeddings}.LayerNorm")
    heads = config["num_attention_heads"]
    for number in range(config["num_hidden_layers"]):
        layer = f"bert.encoder.layer.{number}"
        query, key, value = (
            linear(hidden, f"{layer}.attention.self.{name}").unflatten(-1, (heads, -1)).transpose(1, 2)
            for name in ("query", "key", "value")
        )
        scores = query @ key.transpose(-1, -2) / query.shape[-1] ** 0.5
        scores = scores.masked_fill(~is_token[:, None, None], float("-inf"))
        context = (scores.softmax(-1) @ value).transpose(1, 2).flatten(2)
        attention = linear(context, f"{layer}.attention.output.dense")
        hidden = layer_norm(hidden + attention, f"{layer}.attention.output.LayerNorm")
        inner = F.gelu(linear(hidden, f"{layer}.intermediate.dense"))
        hidden = layer_norm(hidden + linear(inner, f"{layer}.output.dense"), f"{layer}.output.LayerNorm")
    return linear(linear(hidden[:, 0], "bert.pooler.dense").tanh(), "classifier")


def _numbers(tensor):
    import array

    tensor = tensor.detach().float().cpu()
    return list(tensor.shape), array.array("f", tensor.flatten().tolist())
