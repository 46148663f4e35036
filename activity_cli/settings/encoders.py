"""Which encoders there are, as plain data: nothing here loads Keras, so a list of them costs nothing."""

from __future__ import annotations

from dataclasses import dataclass, replace

from activity_cli.results import EncoderRow
from activity_cli.settings.train import NetworkSettings

__all__ = ["ENCODER_SPECS", "EncoderSpec", "encoder_rows", "spec_of"]


@dataclass(frozen=True, slots=True)
class EncoderSpec:
    """What is known of an encoder without building it.

    Attributes:
        name: How it is asked for.
        summary: When to use it, in one line.
        features: ``D``, numbers for each frame.
        map_channels: ``C`` of its maps, of which there are ``H / 32 x W / 32`` (``small``: about 4 x 4).
        map_layer: The layer that gives them: the end of the last block, before a convolution widens
            them to the features. ResNet and VGG have no narrower end.
        block_starts: The first layer of each block, in the order of the data; what is before them is
            the stem, what is after the last block counts with it.
        parameters: All numbers in it, those measured by batch normalization included.
        frame_size: Height and width in pixels that its weights were trained at, or it was made for.
        min_frame_size: Smaller frames leave nothing of its last maps.
        pretrained: Whether there are ImageNet weights for it.
        truncate_blocks: Last blocks that are best left out with trained weights.
        pyramid: Rows and columns of the smallest parts of the picture that are best kept apart with trained
            weights; of many channels fewer, since each part has all of them.
        weights_url: Where Keras has them; empty: they come with a package.
        weights_md5: Of that file; empty: Keras does not say.
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
        """Name of the file of ImageNet weights; empty where they come with a package, or there are none."""
        return self.weights_url.rpartition("/")[2]

    @property
    def weights_source(self) -> str:
        """Where its ImageNet weights come from, in a few words."""
        if not self.pretrained:
            return "none"
        # Four bytes for each parameter.
        return f"download, {self.parameters * 4 / 1e6:.0f} MB" if self.weights_url else "installed"


def spec_of(network: NetworkSettings) -> EncoderSpec:
    """The encoder of a network, without the blocks that it leaves out."""
    spec = ENCODER_SPECS[network.encoder]
    left = len(spec.block_starts) - (network.truncate_blocks or 0)
    return replace(spec, block_starts=spec.block_starts[: max(0, left)])


def encoder_rows() -> list[EncoderRow]:
    """The encoders for a table, the default one first."""
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


# Times: LiteRT, one thread, 224 pixels. Addresses: as in keras.applications; a test compares.
_URL = "https://storage.googleapis.com/tensorflow/keras-applications/"
_TF_KERNELS = "weights_tf_dim_ordering_tf_kernels"

_SPECS = (
    EncoderSpec(
        name="efficientnet_lite0",
        summary="The default: right for a few dozen clips per activity, fast on phones and CPUs, no download.",
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
        summary="Learns from your clips alone: for pictures unlike photographs, hundreds of clips, 3 MB bundles.",
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
        summary="The usual choice of tutorials and papers on small devices: to compare with them.",
        features=1280,
        map_channels=320,
        map_layer="block_16_project_BN",
        block_starts=("expanded_conv_depthwise", *(f"block_{number}_expand" for number in range(1, 17))),
        parameters=2_257_984,
        weights_url=f"{_URL}mobilenet_v2/mobilenet_v2_{_TF_KERNELS}_1.0_224_no_top.h5",
    ),
    EncoderSpec(
        name="mobilenet_v3_small",
        summary="Where every millisecond of predicting counts: a fifth of the default's time.",
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
        summary="As accurate as the default on ImageNet in 0.6 of its time, after a download.",
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
        summary="The most accurate of the light ones on ImageNet, when the default sees too little: twice its time.",
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
        summary="The reference of the video literature: to compare with it; 8 times the default's time.",
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
        summary="The CNN of the early CNN LSTM papers: to repeat them; 30 times the default's time.",
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
