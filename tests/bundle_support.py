"""Networks with random weights, and bundles of them: what tests of a model need where training does not matter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import keras
import numpy as np
import numpy.typing as npt

from activity_cli import NetworkSettings, Sampling
from activity_cli.model.bundle import Data, Document, HeadEntry, HeadNumbers, head_file, write_bundle
from activity_cli.model.conversion import head_to_litert
from activity_cli.model.heads import HeadKind, HeadShape, build_head
from activity_cli.model.network import Network, NetworkShape, build_encoder_for
from activity_cli.settings import Split, plain_values
from activity_cli.streams.registry import STREAMS
from activity_cli.streams.views import views_of
from activity_cli.training.packing import write_appearance_files
from encoder_support import real_frames

LABELS = ("left", "right", "up")
STEPS, SIZE = 6, 32
SAMPLING = Sampling(num_frames=STEPS, frame_size=SIZE)
SMALL = NetworkSettings(encoder="small", truncate_blocks=0, pyramid=1, units=8, pca_components=0)
PYRAMID = NetworkSettings(truncate_blocks=14, pyramid=4, units=8, pca_components=4)
MIRRORED = (1, 0, 2)


def random_head(shape: HeadShape, seed: int = 3) -> keras.Model:
    """A head whose random weights give every clip another answer, far from equal probabilities."""
    keras.utils.set_random_seed(seed)
    head = build_head(shape)
    classes = head.get_layer("classes")
    kernel, bias = classes.get_weights()
    rng = np.random.default_rng(seed)
    classes.set_weights([rng.normal(scale=10 / kernel.shape[0] ** 0.5, size=kernel.shape), bias])
    return head


def random_network(
    settings: NetworkSettings = SMALL,
    sampling: Sampling = SAMPLING,
    *,
    kind: HeadKind = "recurrent",
    num_frames: int = 0,
    seed: int = 3,
) -> Network:
    """A network of the appearance stream with random weights; ``num_frames`` 0: the head reads whole clips."""
    keras.utils.set_random_seed(seed)
    encoder = build_encoder_for(settings, sampling.frame_size)
    for layer in encoder.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.0
    encoder(real_frames(sampling.frame_size), training=True)  # features would vanish without statistics
    head = HeadShape(
        kind=kind,
        num_frames=num_frames or sampling.num_frames,
        num_features=encoder.output_shape[-1],
        num_classes=len(LABELS),
        units=settings.units,
        dropout=settings.dropout,
        components=settings.pca_components or 0,
        subtract_mean=settings.subtract_mean,
    )
    return Network(NetworkShape(settings, sampling.frame_size, head), encoder, random_head(head, seed))


def head_shape(reads: Sequence[str], num_frames: int = STEPS, kind: HeadKind = "recurrent") -> HeadShape:
    """The shape of a head for motion, pose, or pose and hands."""
    rows: dict[str, npt.NDArray[np.float32]] = {name: np.zeros((1, STREAMS[name].width), np.float32) for name in reads}
    [view, *_] = views_of(reads, rows, [0.0], num_frames, mirror=False)
    return HeadShape(kind, num_frames, view.features.shape[1], len(LABELS), units=8)


def random_bundle(
    folder: Path,
    network: Network | None = None,
    sampling: Sampling = SAMPLING,
    *,
    others: Sequence[Sequence[str]] = (),
    mirrored_labels: Sequence[int] | None = None,
    weight: float = 1.0,
) -> Path:
    """Writes a bundle of a network of the appearance stream, and of heads with random weights for other streams.

    Args:
        folder: To write.
        network: None: the model does not read the appearance.
        sampling: Of the clips.
        others: The streams that each other head reads, such as ``[("motion",), ("pose", "hands")]``.
        mirrored_labels: As in the bundle.
        weight: Of the first head; each further one counts half of the one before.
    """
    folder.mkdir()
    reads = [*([["appearance"]] if network else []), *map(list, others)]
    if network:
        write_appearance_files(network, folder, [noise(3, sampling.frame_size)], None)
    for one in others:
        shape = head_shape(one, sampling.num_frames)
        head_to_litert(random_head(shape), shape, folder / head_file(one[0]))
    write_bundle(folder, document_of(network, reads, sampling, mirrored_labels, weight))
    return folder


def document_of(
    network: Network | None,
    reads: Sequence[Sequence[str]] = (("appearance",),),
    sampling: Sampling = SAMPLING,
    mirrored_labels: Sequence[int] | None = None,
    weight: float = 1.0,
) -> Document:
    """The description of a model that was trained on nothing, as ``reads`` of each head says."""
    heads = [
        HeadEntry(one[0], list(one), "recurrent", head_file(one[0]), weight / 2**number)  # type: ignore[arg-type]
        for number, one in enumerate(reads)
    ]
    return Document(
        name="mine",
        labels=list(LABELS),
        settings={"prepare": {**plain_values(sampling), **plain_values(Split())}, "train": {}},
        network=plain_values(network.shape.settings if network else SMALL),
        appearance=HeadNumbers(**asdict(network.shape.head)) if network else None,
        heads=heads,
        streams={name: STREAMS[name].version for one in reads for name in one},
        mirrored_labels=list(mirrored_labels) if mirrored_labels else None,
        training={},
        metrics={"val_accuracy": None},
        data=Data("../nowhere", "0", [], ["train"], {}, longest_seconds=0.0, median_seconds=0.5, shortest_seconds={}),
        versions={},
        litert={"max_abs_difference": 0.0},
        background=[],
        least_margin=None,
    )


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
    return np.asarray(network.whole()([*padded(frames, network.shape.head.num_frames)], training=False))[0]


def scores_in_order(scores: Mapping[str, float] | None) -> list[float]:
    """A prediction's scores by label number."""
    assert scores is not None
    return [scores[label] for label in LABELS]
