"""Networks with random weights, and bundles of them: what tests of a model need where training does not matter."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import numpy.typing as npt

from activity_cli import NetworkSettings, Sampling
from activity_cli.model.bundle import LINEAR, Data, Document, HeadEntry, Shape, head_file, write_bundle
from activity_cli.model.network import Network, NetworkShape, build_encoder_for, build_head
from activity_cli.settings import Split, plain_values
from activity_cli.training.packing import write_network_files
from encoder_support import real_frames

LABELS = ("left", "right", "up")
STEPS, SIZE = 6, 32
SAMPLING = Sampling(num_frames=STEPS, frame_size=SIZE)
SMALL = NetworkSettings(encoder="small", truncate_blocks=0, pyramid=1, units=8, pca_components=0, linear_head=False)
PER_FRAME = replace(SMALL, per_frame=True)
BOTH_HEADS = NetworkSettings(
    encoder="small", truncate_blocks=0, pyramid=1, sequence="gru", units=8, pca_components=4, linear_head=True
)
PYRAMID = NetworkSettings(truncate_blocks=14, pyramid=4, units=8, pca_components=4, linear_head=True)


def random_network(settings: NetworkSettings = SMALL, sampling: Sampling = SAMPLING, *, seed: int = 3) -> Network:
    """A network whose random weights give every clip another answer, far from equal probabilities."""
    keras.utils.set_random_seed(seed)
    encoder = build_encoder_for(settings, sampling.frame_size)
    for layer in encoder.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.0
    encoder(real_frames(sampling.frame_size), training=True)  # features would vanish without statistics
    weights = {LINEAR: 0.8, settings.sequence: 0.2} if settings.linear_head else {settings.sequence: 1.0}
    shape = NetworkShape(
        settings=settings,
        frame_size=sampling.frame_size,
        num_frames=sampling.num_frames,
        num_features=encoder.output_shape[-1],
        num_read=100 if settings.linear_head else 0,
        num_classes=len(LABELS),
        pretrained=bool(settings.linear_head),
    )
    heads = {name: build_head(shape, name) for name in weights}
    rng = np.random.default_rng(seed)
    for head in heads.values():
        classes = head.get_layer("classes")
        kernel, bias = classes.get_weights()
        classes.set_weights([rng.normal(scale=10 / kernel.shape[0] ** 0.5, size=kernel.shape), bias])
    return Network(shape, encoder, heads, weights)


def document_of(network: Network, sampling: Sampling = SAMPLING) -> Document:
    """The description of a model that was trained on nothing."""
    numbers = {name: getattr(network.shape, name) for name in Shape.__struct_fields__}
    return Document(
        name="mine",
        labels=list(LABELS),
        settings={"prepare": {**plain_values(sampling), **plain_values(Split())}, "train": {}},
        network=plain_values(network.shape.settings),
        shape=Shape(**numbers),
        heads=[HeadEntry(name, head_file(name), weight) for name, weight in network.weights.items()],
        training={},
        metrics={"val_accuracy": None},
        data=Data(prepared="../nowhere", fingerprint="0", trained_on=[], splits=["train"], clips={}),
        versions={},
        litert={"max_abs_difference": 0.0},
    )


def random_bundle(folder: Path, network: Network, sampling: Sampling = SAMPLING) -> Path:
    """Writes a bundle of a network."""
    folder.mkdir()
    write_network_files(network, folder, [noise(3, sampling.frame_size)], None)
    write_bundle(folder, document_of(network, sampling))
    return folder


def noise(length: int, size: int = SIZE) -> npt.NDArray[np.uint8]:
    """A clip of noise, brighter in longer clips."""
    brightest = min(256, 40 + 215 * length // STEPS)
    return np.random.default_rng(length).integers(0, brightest, (length, size, size, 3), dtype=np.uint8)


def padded(frames: npt.NDArray[np.uint8], steps: int = STEPS) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.bool_]]:
    """A batch of one clip with padding, and its mask."""
    clips = np.full((1, steps, *frames.shape[1:]), 77, np.uint8)
    clips[0, : len(frames)] = frames
    return clips, np.arange(steps)[np.newaxis] < len(frames)


def probabilities_of(network: Network, frames: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """What Keras answers for one clip, by label number."""
    return np.asarray(network.whole()([*padded(frames, network.shape.num_frames)], training=False))[0]


def scores_in_order(scores: Mapping[str, float] | None) -> list[float]:
    """A prediction's scores by label number."""
    assert scores is not None
    return [scores[label] for label in LABELS]
