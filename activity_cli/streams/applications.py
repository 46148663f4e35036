"""The encoders of ``keras.applications``, without their classifiers and with their preprocessing inside.

MobileNetV2 (Sandler et al. 2018), MobileNetV3 (Howard et al. 2019), EfficientNetV2 (Tan and Le 2021),
ResNet-50 (He et al. 2016), VGG-16 (Simonyan and Zisserman 2015).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import keras

__all__ = ["APPLICATIONS", "build_application", "pretrained_application"]


@dataclass(frozen=True, slots=True)
class _Application:
    """A network of Keras, and the scaling of pixels that its weights expect: ``pixel * scale + offset``.

    Attributes:
        build: The function of ``keras.applications`` that builds it.
        scale: One number for all channels, or one for each.
        offset: Likewise. Channels are in the order in which the network reads them.
        blue_first: Whether the network reads BGR.
        options: Further arguments of ``build``.
    """

    build: Callable[..., keras.Model]
    scale: float | list[float]
    offset: float | list[float]
    blue_first: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)


# Mean and standard deviation of ImageNet's channels: RGB from 0 to 1, and BGR from 0 to 255 (Caffe).
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_CAFFE_MEAN = (103.939, 116.779, 123.68)
# Their own preprocessing layer would compute in the precision of the other layers.
_NO_PREPROCESSING = {"include_preprocessing": False}

APPLICATIONS: dict[str, _Application] = {
    "mobilenet_v2": _Application(keras.applications.MobileNetV2, 1 / 127.5, -1.0),
    "mobilenet_v3_small": _Application(keras.applications.MobileNetV3Small, 1 / 127.5, -1.0, options=_NO_PREPROCESSING),
    "mobilenet_v3_large": _Application(keras.applications.MobileNetV3Large, 1 / 127.5, -1.0, options=_NO_PREPROCESSING),
    "efficientnet_v2_b0": _Application(
        keras.applications.EfficientNetV2B0,
        scale=[1 / (255 * std) for std in _STD],
        offset=[-mean / std for mean, std in zip(_MEAN, _STD, strict=True)],
        options=_NO_PREPROCESSING,
    ),
    "resnet50": _Application(keras.applications.ResNet50, 1.0, [-mean for mean in _CAFFE_MEAN], blue_first=True),
    "vgg16": _Application(keras.applications.VGG16, 1.0, [-mean for mean in _CAFFE_MEAN], blue_first=True),
}


def build_application(name: str, frame_size: int) -> keras.Model:
    """Builds one of :data:`APPLICATIONS` with random weights.

    Preprocessing and network are one flat model. So it loads weights that Keras saved from the network alone, and
    weights saved from this model.

    Args:
        name: The encoder.
        frame_size: Height and width of a frame in pixels.

    Returns:
        A model from RGB frames of 0 to 255, ``[N, frame_size, frame_size, 3]``, to features, float32
        ``[N, D]``, also where the dtype policy computes in fewer bits.
    """
    application = APPLICATIONS[name]
    frames = keras.Input((frame_size, frame_size, 3), dtype="float32", name="frames")
    x = keras.ops.flip(frames, axis=-1) if application.blue_first else frames
    # In float32: bfloat16 has 8 significant bits, too few for a mean of 123.68.
    x = keras.layers.Rescaling(application.scale, offset=application.offset, dtype="float32", name="preprocess")(x)
    network = application.build(input_tensor=x, include_top=False, weights=None, **application.options)
    features = keras.layers.GlobalAveragePooling2D(dtype="float32", name="features")(network.output)
    return keras.Model(frames, features, name=name)


def pretrained_application(name: str) -> keras.Model:
    """One of :data:`APPLICATIONS` as Keras builds it, with the ImageNet weights that Keras loads or downloads."""
    application = APPLICATIONS[name]
    # Without a size, MobileNetV2 always takes the weights of 224 pixels.
    return application.build(input_shape=(None, None, 3), include_top=False, weights="imagenet", **application.options)
