"""The table of encoders, as plain data. Reading it loads no Keras."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from activity_cli.settings.train import NetworkSettings

if TYPE_CHECKING:
    from activity_cli.results import EncoderRow

__all__ = ["ENCODER_SPECS", "EncoderSpec", "encoder_rows", "spec_of"]


@dataclass(frozen=True, slots=True)
class EncoderSpec:
    """The facts about an encoder.

    Attributes:
        name: The value of the setting ``encoder``.
        summary: When to use it, in one line.
        features: ``D``, the number of features of a frame.
        map_channels: ``C``, the channels of its last feature map of ``H / 32 x W / 32`` cells (``small``: about 4 x 4).
        map_layer: The layer that gives this map: the end of the last block, before a convolution widens it to the
            features. ResNet and VGG have no such convolution.
        block_starts: The first layer of each block, from input to output. The layers before them are the stem; the
            layers after the last block belong to it.
        parameters: Number of weights, including the statistics of batch normalization.
        frame_size: Height and width in pixels of the frames that it was trained on or designed for.
        min_frame_size: Smaller frames would leave its last feature map empty.
        pretrained: Whether there are ImageNet weights for it.
        truncate_blocks: Number of last blocks that ``train`` leaves out with pretrained weights.
        pyramid: Rows and columns of the smallest cells of the spatial pyramid with pretrained weights. Encoders with
            many channels have fewer cells, since each cell has all channels.
        weights_url: Where Keras publishes the weights; empty: a package installs them.
        weights_md5: MD5 of that file; empty: Keras publishes none.
    """

    name: str
    summary: str
    features: int
    map_channels: int
    map_layer: str
    block_starts: tuple[str, ...]
    parameters: int
    frame_size: int = 224
    min_frame_size: int = 32
    pretrained: bool = True
    truncate_blocks: int = 0
    pyramid: int = 2
    weights_url: str = ""
    weights_md5: str = ""

    @property
    def weights_file(self) -> str:
        """Name of the downloaded file of ImageNet weights; empty if there is none."""
        return self.weights_url.rpartition("/")[2]

    @property
    def weights_source(self) -> str:
        """How its ImageNet weights are obtained, in a few words."""
        if not self.pretrained:
            return "none"
        # Four bytes a parameter.
        return f"download, {self.parameters * 4 / 1e6:.0f} MB" if self.weights_url else "installed"


def spec_of(network: NetworkSettings) -> EncoderSpec:
    """The encoder of ``network``, without the blocks that ``truncate_blocks`` leaves out."""
    spec = ENCODER_SPECS[network.encoder]
    blocks_left = max(0, len(spec.block_starts) - (network.truncate_blocks or 0))
    return replace(spec, block_starts=spec.block_starts[:blocks_left])


def encoder_rows() -> list[EncoderRow]:
    """The rows of ``--list-encoders``, the default encoder first."""
    from activity_cli.results import EncoderRow  # here, since --help of a command does not need it

    return [
        EncoderRow(
            name=spec.name,
            summary=spec.summary,
            features=spec.features,
            parameters=spec.parameters,
            frame_size=spec.frame_size,
            min_frame_size=spec.min_frame_size,
            weights=spec.weights_source,
        )
        for spec in ENCODER_SPECS.values()
    ]


# Times: LiteRT, one thread, 224 pixels. A test compares the addresses with those in keras.applications.
_URL = "https://storage.googleapis.com/tensorflow/keras-applications/"
_TF_KERNELS = "weights_tf_dim_ordering_tf_kernels"

_SPECS = (
    EncoderSpec(
        name="efficientnet_lite0",
        summary="The default: for a few dozen clips per activity, fast on phones and CPUs, no download.",
        features=1280,
        map_channels=320,
        map_layer="block15_project_norm",
        block_starts=("block00_depthwise_conv", *(f"block{number:02}_expand_conv" for number in range(1, 16))),
        parameters=3_413_024,
        truncate_blocks=1,
        pyramid=4,
    ),
    EncoderSpec(
        name="small",
        summary="Trained on your clips alone: for hundreds of clips, or pictures unlike photographs; models of 3 MB.",
        features=256,
        map_channels=128,
        map_layer="conv4_relu",
        block_starts=("conv1", "conv2", "conv3", "conv4"),
        parameters=169_504,
        frame_size=64,
        pretrained=False,
    ),
    EncoderSpec(
        name="mobilenet_v2",
        summary="The usual encoder of tutorials and papers on small devices: for comparison with them.",
        features=1280,
        map_channels=320,
        map_layer="block_16_project_BN",
        block_starts=("expanded_conv_depthwise", *(f"block_{number}_expand" for number in range(1, 17))),
        parameters=2_257_984,
        weights_url=f"{_URL}mobilenet_v2/mobilenet_v2_{_TF_KERNELS}_1.0_224_no_top.h5",
    ),
    EncoderSpec(
        name="mobilenet_v3_small",
        summary="The fastest pretrained encoder: a fifth of the default's time.",
        features=576,
        map_channels=96,
        map_layer="expanded_conv_10_add",
        block_starts=("expanded_conv_depthwise_pad", *(f"expanded_conv_{number}_expand" for number in range(1, 11))),
        parameters=939_120,
        weights_url=f"{_URL}mobilenet_v3/weights_mobilenet_v3_small_224_1.0_float_no_top_v2.h5",
        weights_md5="d3e8ec802a04aa4fc771ee12a9a9b836",
    ),
    EncoderSpec(
        name="mobilenet_v3_large",
        summary="As accurate as the default on ImageNet, in 60% of its time.",
        features=960,
        map_channels=160,
        map_layer="expanded_conv_14_add",
        block_starts=("expanded_conv_depthwise", *(f"expanded_conv_{number}_expand" for number in range(1, 15))),
        parameters=2_996_352,
        weights_url=f"{_URL}mobilenet_v3/weights_mobilenet_v3_large_224_1.0_float_no_top_v2.h5",
        weights_md5="07fb09a5933dd0c8eaafa16978110389",
    ),
    EncoderSpec(
        name="efficientnet_v2_b0",
        summary="The most accurate small encoder on ImageNet: twice the default's time.",
        features=1280,
        map_channels=192,
        map_layer="block6h_add",
        block_starts=(
            "block1a_project_conv",
            *(
                f"block{stage}{letter}_expand_conv"
                for stage, letters in ((2, "ab"), (3, "ab"), (4, "abc"), (5, "abcde"), (6, "abcdefgh"))
                for letter in letters
            ),
        ),
        parameters=5_919_312,
        weights_url=f"{_URL}efficientnet_v2/efficientnetv2-b0_notop.h5",
        weights_md5="893217f2bb855e2983157299931e43ff",
    ),
    EncoderSpec(
        name="resnet50",
        summary="The usual encoder of papers on video: for comparison with them; 8 times the default's time.",
        features=2048,
        map_channels=2048,
        map_layer="conv5_block3_out",
        block_starts=tuple(
            f"conv{stage}_block{number}_1_conv"
            for stage, repeats in ((2, 3), (3, 4), (4, 6), (5, 3))
            for number in range(1, repeats + 1)
        ),
        parameters=23_587_712,
        weights_url=f"{_URL}resnet/resnet50_{_TF_KERNELS}_notop.h5",
        weights_md5="4d473c1dd8becc155b73f8504c6f6626",
    ),
    EncoderSpec(
        name="vgg16",
        summary="The encoder of the early CNN LSTM papers: to reproduce them; 30 times the default's time.",
        features=512,
        map_channels=512,
        map_layer="block5_pool",
        block_starts=tuple(f"block{number}_conv1" for number in range(1, 6)),
        parameters=14_714_688,
        weights_url=f"{_URL}vgg16/vgg16_{_TF_KERNELS}_notop.h5",
        weights_md5="6d6bbae143d832006294945121d1f1fc",
    ),
)

ENCODER_SPECS: dict[str, EncoderSpec] = {spec.name: spec for spec in _SPECS}
