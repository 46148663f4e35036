"""The trainings that one command is made of, and their order.

Where the encoder has been trained before, the sequence part learns first on the encoder as it is, and
the encoder learns with it after that: a new head would drive trained weights wherever its own random ones
say (Kumar et al. 2022). And where few clips are all there is, what validation clips have judged is trained a
second time on those, too.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from activity_cli.errors import TrainingError
from activity_cli.model.sequence import linear_part
from activity_cli.training.callbacks import History, Weights
from activity_cli.training.checkpoint import Checkpoint
from activity_cli.training.data import Feeds
from activity_cli.training.measure import learn_together
from activity_cli.training.runner import Feed, Recipe, fit, restore
from activity_cli.training.tensorboard import CurveWriter

__all__ = ["Course"]

# Of the validation loss: a few clips' is noisy, and a person has asked for the encoder to learn. More is harm.
_HARM = 1.25
# The same, of the last epoch beside the best.
_OVERFITTED = 1.5
_KEPT_HEAD = " What is kept was learned before, with the encoder as it is."


@dataclass(frozen=True, slots=True)
class _Earlier:
    """The first of two trainings.

    Attributes:
        history: What happened.
        weights: What it has learned, which is kept where the second does not come to its end.
        ended: Every variable of the network at its end; none where no head goes before.
    """

    history: History
    weights: Weights
    ended: Weights


@dataclass(frozen=True, slots=True)
class Course:
    """All trainings of one network.

    Attributes:
        feeds: What learns, and its batches.
        head: The same of the sequence part alone, which learns before; None: it does not.
        policy: What the encoder computes in.
        strategy: Where it is computed.
        checkpoint: File in which the state is kept after every epoch.
        settings: What only the same may go on with that state.
    """

    feeds: Feeds
    head: Feeds | None
    policy: str
    strategy: tf.distribute.Strategy
    checkpoint: Path
    settings: dict[str, Any]

    def learn(self, resumed: Checkpoint | None) -> tuple[History, bool]:
        """Trains once, judged by the validation clips, and where that is wanted once more on all clips.

        Args:
            resumed: The state to go on from.

        Returns:
            What happened the first time, and whether the weights are those of the second.

        Raises:
            TrainingError: Nothing usable was learned.
            KeyboardInterrupt: Interrupted before anything was.
        """
        network = self.feeds.network.whole
        initial = network.get_weights()
        judged = "val" if self.feeds.prepared.in_split("val") else None
        if resumed and resumed.earlier:
            first = History(list(resumed.earlier[0]), resumed.earlier[1], list(resumed.head_epochs))
            if resumed.head:
                restore(network.variables, resumed.ended)
            else:
                restore(self.feeds.model.weights, resumed.best)
        else:
            first, resumed = self._train(("train",), judged, resumed), None
        fallback = self.feeds.model.get_weights()
        if not self.feeds.plan.refit or judged is None or first.interrupted or first.diverged:
            return first, False
        self._warn_of_overfitting(first)
        ended = [np.asarray(variable) for variable in network.variables] if self.head else []
        earlier = _Earlier(first, fallback, ended)
        try:
            network.set_weights(initial)
            head_only = bool(self.head) and not any(record.encoder_learns for record in first.epochs)
            second = self._train(("train", "val"), None, resumed, earlier, head_only=head_only)
            if second.interrupted or second.diverged:
                self.feeds.model.set_weights(fallback)
        except (KeyboardInterrupt, TrainingError) as error:
            if isinstance(error, TrainingError) and error.code == "training.checkpoint":
                raise  # what is kept is of another machine or version: that one can go on with it
            # What has been learned the first time is not lost.
            self.feeds.model.set_weights(fallback)
            second = History(interrupted=isinstance(error, KeyboardInterrupt), diverged=str(error))
        if not (second.interrupted or second.diverged):
            return first, True
        first.interrupted = first.stopped_again = second.interrupted
        first.diverged = "" if second.interrupted else f"In the second training, on all clips: {second.diverged}"
        return first, False

    def _train(
        self,
        splits: tuple[str, ...],
        judged: str | None,
        resumed: Checkpoint | None,
        earlier: _Earlier | None = None,
        *,
        head_only: bool = False,
    ) -> History:
        recipe = self._recipe(keep_last=judged is None)
        if earlier:
            recipe = replace(recipe, title="Training on all clips")
        begun = Checkpoint(self.settings, head_epochs=resumed.head_epochs if resumed else ())
        if earlier:
            ended = earlier.history
            begun = replace(
                begun, head_epochs=tuple(ended.head_epochs), earlier=(tuple(ended.epochs), ended.best_epoch)
            )
        before: History | None = None
        weights: Weights = []
        if self.head and (resumed is None or resumed.head):
            of_head = replace(begun, head=True, ended=earlier.ended if earlier else [])
            before = self._train_head(self.head, self.head.feed(*splits, judged=judged), recipe, of_head, resumed)
            if before.interrupted or before.diverged or head_only:
                return before
            weights, resumed = self.feeds.network.whole.get_weights(), None
            if not earlier:
                begun = replace(begun, head_epochs=tuple(before.epochs))
        # Of the second training nothing tells whether it is better: it stands when it is over.
        head_losses = [record.val_loss for record in begun.head_epochs] if judged else []
        try:
            history = fit(
                self.feeds.feed(*splits, judged=judged, measured=self.head is not None),
                recipe,
                self.strategy,
                self.feeds.progress,
                checkpoint=self.checkpoint,
                begun=begun,
                resumed=resumed,
                fallback=earlier.weights if earlier else None,
                curves=None if earlier else self._curves("epoch"),
                to_beat=_HARM * min(head_losses, default=math.inf),
            )
            history.head_epochs = list(begun.head_epochs)
            return self._head_again(history) if head_losses and not history.best_epoch else history
        except (KeyboardInterrupt, TrainingError) as error:
            if before is None or earlier:
                raise
            # Not one epoch was over: what the head has learned is not lost.
            self.feeds.network.whole.set_weights(weights)
            before.interrupted = isinstance(error, KeyboardInterrupt)
            if not before.interrupted:
                before.diverged = f"{error}{_KEPT_HEAD}"
            return before

    def _warn_of_overfitting(self, first: History) -> None:
        """The second training goes on to the last epoch, which the first may have shown to be too far."""
        last = first.epochs[-1]
        if last.val_loss > _OVERFITTED * first.best.val_loss:
            self.feeds.progress.warn(
                f"The validation loss was {first.best.val_loss:.3g} in epoch {first.best_epoch}, and rose to "
                f"{last.val_loss:.3g} in epoch {last.epoch}. The second training, on all clips, goes on to the last "
                "epoch: compare it with --no-refit, or with a lower --learning-rate."
            )

    def _head_again(self, history: History) -> History:
        """What happened where the encoder has learned nothing that was worth keeping."""
        head = History(history.head_epochs, interrupted=history.interrupted, diverged=history.diverged)
        head.best_epoch = min(head.epochs, key=lambda record: record.val_loss).epoch
        if head.diverged:
            head.diverged += _KEPT_HEAD
        elif not head.interrupted:
            lowest = min(record.val_loss for record in history.epochs)
            self.feeds.progress.warn(
                f"While the encoder learned, the validation loss was {lowest:.3g} at best, {head.best.val_loss:.3g} "
                "before: it is left as it was. Try a lower --encoder-learning-rate, or --mode frozen."
            )
        return head

    def _train_head(
        self, head: Feeds, feed: Feed, recipe: Recipe, begun: Checkpoint, resumed: Checkpoint | None
    ) -> History:
        recipe = replace(
            recipe,
            epochs=head.plan.epochs,
            learning_rate=head.plan.learning_rate,
            rate_option="--learning-rate",
            scaled_loss=False,
            encoder_learns=False,
            title=f"{recipe.title}, encoder as it is",
        )
        history = fit(
            feed,
            recipe,
            self.strategy,
            self.feeds.progress,
            checkpoint=self.checkpoint,
            begun=begun,
            resumed=resumed,
            curves=None if begun.earlier else self._curves("head"),
        )
        beside = linear_part(head.network.sequence)
        if beside and not (history.interrupted or history.diverged):
            learn_together(beside)
        return history

    def _recipe(self, *, keep_last: bool) -> Recipe:
        plan, config = self.feeds.plan, self.feeds.config
        return Recipe(
            epochs=plan.epochs,
            patience=plan.patience,
            learning_rate=plan.encoder_learning_rate if self.head else plan.learning_rate,
            rate_option="--encoder-learning-rate" if self.head else "--learning-rate",
            weight_decay=config.weight_decay,
            label_smoothing=config.label_smoothing,
            scaled_loss=self.policy == "mixed_float16",
            keep_last=keep_last,
            encoder_learns=plan.mode != "frozen",
        )

    def _curves(self, name: str) -> CurveWriter | None:
        """What writes the first training for TensorBoard; the second has no curves."""
        folder = self.feeds.config.tensorboard
        return CurveWriter(folder, name) if folder else None
