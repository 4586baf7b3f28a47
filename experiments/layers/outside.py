"""The layers of a step in PyTorch, run by an interpreter that has torch and none of ours.

    python outside.py < asked.json > found.json

Reads {"threads", "dtype", "layers": [`of_step.describe`, ...]} and writes {"torch": its version, "layers": of
each {memory format: {"forward": seconds, "step": seconds}}, or null where a layer has no counterpart here}.
"""

import json
import sys

import torch
from clock import median_seconds  # of the script's folder


class Maxout(torch.nn.Module):
    def __init__(self, pieces):
        super().__init__()
        self.pieces = pieces

    def forward(self, h):
        return h.unflatten(1, (-1, self.pieces)).max(2).values  # faster than amax and than torch.maximum


class Untied(torch.nn.Module):
    """A bias for each element, of as many axes as h, so that it follows the memory format."""

    def __init__(self, shape):
        super().__init__()
        self.bias = torch.nn.Parameter(torch.zeros(shape))

    def forward(self, h):
        return h + self.bias.to(h.dtype)


def main():
    asked = json.load(sys.stdin)
    torch.set_num_threads(asked["threads"])
    torch.manual_seed(0)
    found = [time_layer(layer, getattr(torch, asked["dtype"])) for layer in asked["layers"]]
    json.dump({"torch": torch.__version__, "layers": found}, sys.stdout)


def time_layer(asked, dtype):
    row, shape = asked["row"], asked["shape"]
    image = len(shape) == 4 or row["operation"] in ("convolution", "transposed")
    if image:  # NHWC, or (N, C) as an image of one pixel
        shape = (shape[0], shape[-1], *(shape[1:-1] or (1, 1)))
    h = torch.randn(*shape).to(dtype)
    # Without the cache: in a step, too, parameters are new and converted once.
    autocast = {"enabled": dtype == torch.bfloat16, "cache_enabled": False}
    with torch.autocast("cpu", torch.bfloat16, **autocast):
        network = build(row, h, asked["leak"])
        if network is None:
            return None
        found = {"contiguous": time_calls(network, h, asked)}
        if image:
            channels_last = (part.to(memory_format=torch.channels_last) for part in (network, h))
            found["channels_last"] = time_calls(*channels_last, asked)
    return found


def build(row, h, leak):
    """The row for inputs like h; None where it has no counterpart here."""
    width, features, size, stride = h.shape[1], row["features"], row["kernel"], row["stride"]
    bias = row["bias"] == "tied"
    operations = {
        "convolution": lambda: [torch.nn.Conv2d(width, features, size, stride, bias=bias)],
        "transposed": lambda: [torch.nn.ConvTranspose2d(width, features, size, stride, bias=bias)],
        "dense": lambda: [torch.nn.Flatten(), torch.nn.Linear(h[0].numel(), features, bias=bias)],
        "flatten": lambda: [torch.nn.Flatten()],
        "mean": lambda: [torch.nn.AdaptiveAvgPool2d(1)],
        "identity": lambda: [],
    }
    nonlinearities = {
        "linear": [],
        "relu": [torch.nn.ReLU()],
        "leaky_relu": [torch.nn.LeakyReLU(leak)],
        "sigmoid": [torch.nn.Sigmoid()],
        "maxout2": [Maxout(2)],
        "maxout5": [Maxout(5)],
    }
    if row["operation"] not in operations or row["nonlinearity"] not in nonlinearities or row["input_noise"]:
        return None
    parts = [torch.nn.Dropout(row["dropout"])] * (row["dropout"] > 0) + operations[row["operation"]]()
    with torch.no_grad():
        out = torch.nn.Sequential(*parts)(h)
    if row["norm"]:
        norm = torch.nn.BatchNorm2d if out.ndim == 4 else torch.nn.BatchNorm1d
        parts.append(norm(out.shape[1], eps=1e-4, momentum=0.05))
    if row["bias"] == "untied":
        parts.append(Untied(out[:1].shape))
    return torch.nn.Sequential(*parts, *nonlinearities[row["nonlinearity"]])


def time_calls(network, h, asked):
    """As `ours.programs`: the forward pass, and with it the gradients that a step takes."""
    data, params = asked["of_data"], list(network.parameters())
    h = h.detach().requires_grad_(not data or asked["players"] > 1)
    with torch.no_grad():
        cotangents = [torch.randn_like(network(h)) for _ in range(asked["players"])]
    wanted = [[*params, *([] if data else [h])], [h]]

    def forward():
        with torch.no_grad():
            network(h)

    def step():
        out = network(h)
        for number, cotangent in enumerate(cotangents):
            if wanted[number]:
                keep = number + 1 < len(cotangents)
                torch.autograd.grad(out, wanted[number], cotangent, retain_graph=keep)

    return {"forward": median_seconds(forward), "step": median_seconds(step)}


if __name__ == "__main__":
    main()
