"""What the stages train: an encoder and a recurrent head, on the data that each stage needs.

What is not trained of the encoder runs once over every clip, in LiteRT, and its outputs are cached beside the clips. In
the mode ``frozen`` that is all of it, in ``finetune`` its first blocks, in ``joint`` nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np
import numpy.typing as npt

from activity_cli.dataset.manifest import PreparedFolder
from activity_cli.model.layers import FrameEncoder
from activity_cli.model.network import NetworkShape
from activity_cli.progress import Progress
from activity_cli.settings import TrainPlan, TrainSettings
from activity_cli.settings.encoders import spec_of
from activity_cli.streams.truncation import split_encoder
from activity_cli.training.callbacks import Weights
from activity_cli.training.data import ClipSet, training_clips, validation_clips
from activity_cli.training.frozen_backbone import FrozenBackbone
from activity_cli.training.heads import RecurrentHead
from activity_cli.training.inputs import RowInputs
from activity_cli.training.memory import translate_memory_error
from activity_cli.training.runner import FitResult, FitState, Hyperparameters, OnEpoch, fit
from activity_cli.training.stages import Stage

__all__ = ["CnnLstm"]

# Clips that are validated at once: as many as fit into memory with any encoder.
_BATCH_SIZE = 4

Floats = npt.NDArray[np.float32]


class CnnLstm:
    """An encoder and a recurrent head.

    Args:
        settings, plan: How they are trained.
        prepared: The clips.
        encoder: In the precision of the training.
        plain_encoder: The same with the same first weights, computing in float32: what is frozen is converted from it.
        shape: Of the network; ``num_frames`` as many as a prepared clip has at most.
        policy: Keras' name of what the encoder computes in.
        progress: Shows bars.

    Attributes:
        head: The recurrent head.
    """

    def __init__(
        self,
        settings: TrainSettings,
        plan: TrainPlan,
        prepared: PreparedFolder,
        encoder: keras.Model,
        plain_encoder: keras.Model,
        shape: NetworkShape,
        policy: str,
        progress: Progress,
    ) -> None:
        self._settings, self._plan, self._prepared, self._progress = settings, plan, prepared, progress
        self._encoder, self._plain_encoder = encoder, plain_encoder
        self._scaled_loss = policy == "mixed_float16"
        self._shape = shape
        self.head = RecurrentHead(shape.head)
        self._backbones: dict[bool, FrozenBackbone] = {}

    @translate_memory_error()
    def fit(self, stage: Stage, resumed: FitState | None, on_epoch: OnEpoch) -> FitResult:
        """See :class:`activity_cli.training.stages.Trainee`.

        Raises:
            DatasetError: A clip is missing or damaged.
            OutputError: The disk is full, or features cannot be cached.
            TrainingError, KeyboardInterrupt: As :func:`activity_cli.training.runner.fit`.
        """
        clips = training_clips(self._prepared, stage.splits, self._settings, self._plan)
        val = None
        if not stage.refits and self._prepared.in_split("val"):
            most = int(clips.kept_frames.max())
            val = validation_clips(self._prepared, self._settings, self._plan, most)
        examples = self._examples(clips, trains_encoder=stage.trains_encoder)
        val_examples = self._examples(val, trains_encoder=stage.trains_encoder) if val else None
        hyperparameters = self._hyperparameters(stage, len(clips.records))
        if not stage.trains_encoder:
            return self.head.fit(
                examples, val_examples, hyperparameters, self._progress, resumed=resumed, on_epoch=on_epoch
            )
        return fit(
            self._end_to_end(),
            examples,
            val_examples,
            hyperparameters,
            self._progress,
            resumed=resumed,
            on_epoch=on_epoch,
        )

    def get_weights(self) -> Weights:
        """Of the encoder, where it is trained, and of the head."""
        encoder = self._encoder.get_weights() if self._plan.trained_blocks else []
        return [*encoder, *self.head.model.get_weights()]

    def set_weights(self, weights: Weights) -> None:
        """Puts them back."""
        split = len(weights) - len(self.head.model.weights)
        if split:
            self._encoder.set_weights(list(weights[:split]))
        self.head.model.set_weights(list(weights[split:]))

    def validated(self, weights: Weights) -> Floats | None:
        """Log probabilities ``[N, classes]`` of the validation clips by earlier weights; None: there are no clips."""
        records = self._prepared.in_split("val")
        if not records or not weights:
            return None
        train = training_clips(self._prepared, ("train",), self._settings, self._plan)
        val = validation_clips(self._prepared, self._settings, self._plan, int(train.kept_frames.max()))
        final = self.get_weights()
        self.set_weights(weights)
        data = self._examples(val, trains_encoder=True).batches(_BATCH_SIZE)
        answers = self._end_to_end().predict(data, verbose=0)
        self.set_weights(final)
        return np.asarray(answers, np.float32)

    def _examples(self, clips: ClipSet, *, trains_encoder: bool) -> RowInputs:
        paths = self._files(clips, trains_encoder=trains_encoder)
        head = self._shape.head
        return RowInputs(clips.examples(paths), head.num_frames, head.num_features)

    def _files(self, clips: ClipSet, *, trains_encoder: bool) -> Sequence[Path]:
        if trains_encoder and self._plan.mode == "joint":
            store = self._prepared.clips
            for record in clips.records:
                store.read(record.clip)  # raises the error that says what to do, before hours of training
            return [store.folder / record.clip for record in clips.records]
        return self.backbone(whole=not trains_encoder).files(clips.records)

    def backbone(self, *, whole: bool) -> FrozenBackbone:
        """The encoder as it was before training, in LiteRT: all of it, or the blocks that are never trained."""
        if whole not in self._backbones:
            model = self._plain_encoder
            if not whole:
                model, _ = split_encoder(model, spec_of(self._plan.network), self._plan.trained_blocks)
            self._backbones[whole] = FrozenBackbone(model, self._prepared, self._progress, exact=whole)
        return self._backbones[whole]

    def _end_to_end(self) -> keras.Model:
        """From pictures, or from the maps of the frozen blocks, to log probabilities."""
        steps, size = self._shape.head.num_frames, self._shape.frame_size
        cnn, frames = self._encoder, keras.Input((steps, size, size, 3), dtype="uint8", name="clips")
        if self._plan.mode == "finetune":
            _, cnn = split_encoder(self._encoder, spec_of(self._plan.network), self._plan.trained_blocks)
            frames = keras.Input((steps, *cnn.input_shape[1:]), name="maps")
        mask = keras.Input((steps,), dtype="bool", name="mask")
        features = FrameEncoder(cnn, name="frame_encoder")(frames, mask=mask)
        return keras.Model([frames, mask], self.head.model([features, mask]))

    def _hyperparameters(self, stage: Stage, num_clips: int) -> Hyperparameters:
        settings, plan = self._settings, self._plan
        return Hyperparameters(
            stage=stage.name,
            title=stage.title,
            epochs=stage.epochs,
            patience=plan.patience,
            batch_size=min(plan.batch_size, num_clips),
            learning_rate=stage.learning_rate,
            rate_setting=stage.rate_setting,
            weight_decay=plan.weight_decay,
            label_smoothing=settings.label_smoothing,
            seed=settings.seed,
            augmentation=plan.augmentation,
            scaled_loss=self._scaled_loss and stage.trains_encoder,
            tensorboard=None if stage.refits else settings.tensorboard,
        )
