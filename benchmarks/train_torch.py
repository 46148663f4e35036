"""The CNN with a recurrent head in PyTorch, as people write it: time folded into the batch; run by benchmarks/train.py.

    python benchmarks/train_torch.py torch|torch_skip FOLDER

``torch_skip`` takes the padded frames out before the CNN, as we do. Padding of the convolutions is symmetric, as usual
in PyTorch; that of Keras is one pixel more to the right and the bottom, so losses agree nearly, not exactly.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

UNITS = 64


class CnnGru(nn.Module):
    def __init__(self, channels: list[int], classes: int, skip: bool) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for number, (before, after) in enumerate(pairwise([3, *channels])):
            kernel = 5 if number == 0 else 3
            layers += [
                nn.Conv2d(before, after, kernel, stride=2, padding=kernel // 2, bias=False),
                nn.BatchNorm2d(after, eps=1e-3),
                nn.ReLU(inplace=True),
            ]
        self.cnn = nn.Sequential(*layers)
        self.dense = nn.Linear(2 * channels[-1], UNITS)
        self.gru = nn.GRU(UNITS, UNITS, batch_first=True, bidirectional=True)
        self.classes = nn.Linear(4 * UNITS, classes)
        self.skip = skip

    def encode(self, frames: torch.Tensor) -> torch.Tensor:
        pictures = self.cnn(frames.float() / 127.5 - 1.0)
        return torch.cat([pictures.mean(dim=(2, 3)), pictures.amax(dim=(2, 3))], dim=1)

    def forward(self, clips: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        batch, steps = mask.shape
        if self.skip:
            real = self.encode(clips[mask])
            features = real.new_zeros(batch, steps, real.shape[1])
            features[mask] = real
        else:
            features = self.encode(clips.view(batch * steps, *clips.shape[2:])).view(batch, steps, -1)
        lengths = mask.sum(dim=1)
        # Packed: backward in time, it would read the padding first.
        packed = pack_padded_sequence(torch.relu(self.dense(features)), lengths, batch_first=True, enforce_sorted=False)
        outputs, _ = pad_packed_sequence(self.gru(packed)[0], batch_first=True, total_length=steps)
        shown = mask.unsqueeze(-1)
        average = (outputs * shown).sum(dim=1) / lengths.unsqueeze(-1)
        maximum = outputs.masked_fill(~shown, -1.0).amax(dim=1)  # a GRU's outputs are larger
        return self.classes(torch.cat([average, maximum], dim=1))


def channels_of(path: Path) -> list[int]:
    """How many channels each convolution gives."""
    with np.load(path) as file:
        return [file[name].shape[-1] for name in sorted(file.files) if file[name].ndim == 4]


def give_weights(model: CnnGru, path: Path) -> None:
    """The weights of Keras: convolutions [H, W, I, O], matrices [I, O], gates as update, reset, new."""
    with np.load(path) as file:
        weights = iter([torch.from_numpy(file[name]) for name in sorted(file.files)])
    with torch.no_grad():
        for layer in model.cnn:
            if isinstance(layer, nn.Conv2d):
                layer.weight.copy_(next(weights).permute(3, 2, 0, 1))
            elif isinstance(layer, nn.BatchNorm2d):
                layer.weight.copy_(next(weights))
                layer.bias.copy_(next(weights))
        model.dense.weight.copy_(next(weights).T)
        model.dense.bias.copy_(next(weights))
        for direction in ("", "_reverse"):
            getattr(model.gru, f"weight_ih_l0{direction}").copy_(_gates(next(weights)).T)
            getattr(model.gru, f"weight_hh_l0{direction}").copy_(_gates(next(weights)).T)
            both = _gates(next(weights))
            getattr(model.gru, f"bias_ih_l0{direction}").copy_(both[0])
            getattr(model.gru, f"bias_hh_l0{direction}").copy_(both[1])
        model.classes.weight.copy_(next(weights).T)
        model.classes.bias.copy_(next(weights))


def _gates(weights: torch.Tensor) -> torch.Tensor:
    """In the order of PyTorch: reset, update, new."""
    update, reset, new = weights.chunk(3, dim=-1)
    return torch.cat([reset, update, new], dim=-1)


def main() -> None:
    kind, folder = sys.argv[1], Path(sys.argv[2])
    settings = json.loads((folder / "settings.json").read_text())
    data = np.load(folder / "data.npz")
    clips = torch.from_numpy(np.ascontiguousarray(data["clips"].transpose(0, 1, 4, 2, 3)))
    labels = torch.from_numpy(data["labels"])
    mask = torch.arange(settings["steps"])[None] < torch.from_numpy(data["lengths"])[:, None]
    result: dict[str, Any] = {"wall": [], "cpu": [], "losses": []}

    began = time.perf_counter()
    model = CnnGru(channels_of(folder / "weights.npz"), int(labels.max()) + 1, kind == "torch_skip")
    give_weights(model, folder / "weights.npz")
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, eps=1e-7, weight_decay=1e-4)
    for epoch in range(settings["epochs"]):
        wall, cpu, total = time.perf_counter(), time.process_time(), 0.0
        for batch in torch.arange(len(clips)).split(settings["batch"]):
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(clips[batch], mask[batch]), labels[batch])
            loss.backward()
            optimizer.step()
            total += loss.item() * len(batch)
        result["wall"].append(time.perf_counter() - wall)
        result["cpu"].append(time.process_time() - cpu)
        result["losses"].append(total / len(clips))
        if epoch == 0:
            result["first"] = time.perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps(result | {"peak_megabytes": peak, "policy": "float32"}))


if __name__ == "__main__":
    main()
