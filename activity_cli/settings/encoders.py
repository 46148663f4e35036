"""The table of encoders, as plain data. Reading it loads no Keras."""

from __future__ import annotations

from dataclasses import dataclass, replace

from activity_cli.settings.train import NetworkSettings

__all__ = ["ENCODER_SPECS", "EncoderSpec", "spec_of"]


@dataclass(frozen=True, slots=True)
class EncoderSpec:
    """The facts about an encoder."""

    name: str  # the value of the setting ``encoder``
    summary: str  # when to use it, in one line
    features: int  # ``D``, the number of features of a frame
    # The first layer of each block, from input to output. The layers before them are the stem; the layers after the
    # last block belong to it.
    block_starts: tuple[str, ...]
    parameters: int  # number of weights, including the statistics of batch normalization
    frame_size: int = 224  # height and width in pixels of the frames that it was trained on or designed for
    min_frame_size: int = 32  # smaller frames would leave its last feature map empty
    pretrained: bool = True  # whether there are ImageNet weights for it
    truncate_blocks: int = 0  # number of last blocks that ``train`` leaves out with pretrained weights
    # Rows and columns of the smallest cells of the spatial pyramid with pretrained weights. Encoders with many channels
    # have fewer cells, since each cell has all channels.
    pyramid: int = 2
    weights_included: bool = False  # whether its ImageNet weights come with this package; Keras downloads others

    @property
    def weights_source(self) -> str:
        """How its ImageNet weights are obtained, in a few words."""
        if not self.pretrained:
            return "none"
        # Four bytes a parameter.
        return "included" if self.weights_included else f"download, {self.parameters * 4 / 1e6:.0f} MB"


def spec_of(network: NetworkSettings) -> EncoderSpec:
    """The encoder of ``network``, without the blocks that ``truncate_blocks`` leaves out."""
    spec = ENCODER_SPECS[network.encoder]
    blocks_left = max(0, len(spec.block_starts) - (network.truncate_blocks or 0))
    return replace(spec, block_starts=spec.block_starts[:blocks_left])


# Times: LiteRT, one thread, 224 pixels.

_SPECS = (
    EncoderSpec(
        name="efficientnet_lite0",
        summary="The default: works with a few dozen clips per activity, is fast on phones and CPUs, no download.",
        features=1280,
        block_starts=("block00_depthwise_conv", *(f"block{number:02}_expand_conv" for number in range(1, 16))),
        parameters=3_413_024,
        truncate_blocks=1,
        pyramid=4,
        weights_included=True,
    ),
    EncoderSpec(
        name="small",
        summary="Trained from scratch on your clips: for hundreds of clips, or images unlike photographs. 3 MB.",
        features=256,
        block_starts=("conv1", "conv2", "conv3", "conv4"),
        parameters=169_504,
        frame_size=64,
        pretrained=False,
    ),
    EncoderSpec(
        name="mobilenet_v2",
        summary="Common in tutorials and in papers on small devices: use it to compare with them.",
        features=1280,
        block_starts=("expanded_conv_depthwise", *(f"block_{number}_expand" for number in range(1, 17))),
        parameters=2_257_984,
    ),
    EncoderSpec(
        name="mobilenet_v3_small",
        summary="The fastest pretrained encoder. Takes a fifth of the time of the default.",
        features=576,
        block_starts=("expanded_conv_depthwise_pad", *(f"expanded_conv_{number}_expand" for number in range(1, 11))),
        parameters=939_120,
    ),
    EncoderSpec(
        name="mobilenet_v3_large",
        summary="As accurate as the default on ImageNet, in 60% of its time.",
        features=960,
        block_starts=("expanded_conv_depthwise", *(f"expanded_conv_{number}_expand" for number in range(1, 15))),
        parameters=2_996_352,
    ),
    EncoderSpec(
        name="efficientnet_v2_b0",
        summary="The most accurate small encoder on ImageNet. Takes twice as long as the default.",
        features=1280,
        block_starts=(
            "block1a_project_conv",
            *(
                f"block{stage}{letter}_expand_conv"
                for stage, letters in ((2, "ab"), (3, "ab"), (4, "abc"), (5, "abcde"), (6, "abcdefgh"))
                for letter in letters
            ),
        ),
        parameters=5_919_312,
    ),
    EncoderSpec(
        name="resnet50",
        summary="Common in papers on video: use it to compare with them. Takes 8 times as long as the default.",
        features=2048,
        block_starts=tuple(
            f"conv{stage}_block{number}_1_conv"
            for stage, repeats in ((2, 3), (3, 4), (4, 6), (5, 3))
            for number in range(1, repeats + 1)
        ),
        parameters=23_587_712,
    ),
    EncoderSpec(
        name="vgg16",
        summary="The encoder of the early CNN LSTM papers: use it to reproduce them. Takes 33 times as long.",
        features=512,
        block_starts=tuple(f"block{number}_conv1" for number in range(1, 6)),
        parameters=14_714_688,
    ),
)

ENCODER_SPECS: dict[str, EncoderSpec] = {spec.name: spec for spec in _SPECS}
