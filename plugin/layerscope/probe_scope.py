"""The half of ``Scope`` that looks at samples: each call runs the model by itself, on inputs that it is given."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from torch import nn

from layerscope.errors import LayerscopeError
from layerscope.explaining import record_attributions
from layerscope.given_names import by_name, checked_class_names, checked_list
from layerscope.guarding import Guard, failing_last
from layerscope.picturing import (
    Maximizer,
    attention_arrays,
    channel_arrays,
    checked_labels,
    embedding_arrays,
    record_layer_arrays,
    record_samples,
    weight_arrays,
)
from layerscope.probing.activations import available_activations
from layerscope.probing.attention import attention
from layerscope.probing.attributions import Methods, Target
from layerscope.probing.attributions.method import Question
from layerscope.probing.attributions.target import scores_of
from layerscope.probing.channels import channels as channels_of
from layerscope.probing.describing import describe_inputs
from layerscope.probing.embeddings import Embedding, embeddings, word_embeddings
from layerscope.probing.linear_probes import linear_probes
from layerscope.probing.maximizing.choosing import Probed, named_layers, telling_layers
from layerscope.probing.pooling import pooled
from layerscope.probing.representation import batch_size
from layerscope.probing.surrogates import surrogate
from layerscope.probing.weights import weights
from layerscope.recorder import Recorder
from layerscope.watching import checked_step
from layerscope.writing import MessageWriter

_SECONDS = 8.0
"""For activation maximization at one step."""


class ProbeScope:
    """Records what a model makes of samples; ``Scope`` is what users hold.

    Args:
        model: the model, uncompiled.
        writer: where everything goes.
        recorder: writes series.
        guard: takes what goes wrong.
    """

    def __init__(self, model: nn.Module, writer: MessageWriter, recorder: Recorder, guard: Guard) -> None:
        self._model = model
        self._writer = writer
        self._recorder = recorder
        self._guarded = guard
        self._executed: set[str] = set()
        self._probed = Probed()
        self._maximizer = Maximizer(model, writer)
        self._embedded: dict[str, dict[str, Embedding]] = {}
        self._class_names: tuple[str, ...] | None = None
        """Of the scores of the model, in their order, once ``attributions`` was given them."""

    def activations(
        self,
        inputs: Any,
        *,
        step: int,
        layers: str | Sequence[str] = "all",
        maps: str | Sequence[str] = "auto",
        samples: str = "probe",
    ) -> None:
        """Write statistics of every layer's output on a probe batch, and the outputs of some as pictures.

        Args:
            inputs: a tensor, a tuple (positional arguments) or a dict (keyword arguments) for the model.
            step: training step.
            layers: ``"all"``, ``"auto"``, or a list of layer keys and patterns, of which one that does not exist does
                not keep the others from being recorded.
            maps: layers of which the strongest channels are written for the first samples, as ``layers``; ``()`` none.
                At most 128 KiB for each layer, of small numbers 256, see ``layerscope.channels``.
            samples: name of this probe set.
        """
        with self._guarded("activations"), failing_last() as attempt:
            step = checked_step(step)
            self._probed.remember(inputs, samples=samples)
            with attempt():
                found = available_activations(self._model, inputs, layers=layers, attempt=attempt)
                self._recorder.write("activations", found, step)
            with attempt():
                if isinstance(maps, str) or maps:
                    shown = channels_of(self._model, inputs, layers=maps)
                    arrays = {layer: channel_arrays(one) for layer, one in shown.items()}
                    stored = record_samples(self._writer, inputs, samples, step=step)
                    record_layer_arrays(self._writer, "activation", arrays, name=samples, step=step, samples=stored)

    def attention(
        self,
        inputs: Any,
        *,
        step: int,
        layers: str | Sequence[str] = "all",
        max_samples: int | None = 4,
        samples: str = "probe",
    ) -> None:
        """Write the attention weights of every head for the first samples of a probe batch.

        Args:
            inputs: a tensor, a tuple (positional arguments) or a dict (keyword arguments) for the model.
            step: training step.
            layers: ``"all"`` that attend, or a list of layer keys and patterns.
            max_samples: of how many samples; a layer takes 2 bytes for each head, query and key of each (4
                where all weights are below 1/16).
            samples: name of this probe set.
        """
        with self._guarded("attention"):
            step = checked_step(step)
            self._probed.remember(inputs, samples=samples)
            found = attention(self._model, inputs, layers=layers, max_samples=max_samples)
            stored = record_samples(self._writer, inputs, samples, step=step)
            shown = batch_size(inputs) if max_samples is None else min(batch_size(inputs), max_samples)
            arrays = {layer: attention_arrays(values, shown) for layer, values in found.items()}
            record_layer_arrays(self._writer, "attention", arrays, name=samples, step=step, samples=stored)

    def embeddings(
        self,
        inputs: Any,
        labels: Any = None,
        *,
        step: int,
        layers: str | Sequence[str] = "auto",
        samples: str = "probe",
        class_names: Sequence[str] | None = None,
        projector: bool | Sequence[str] = (),
        **options: Any,
    ) -> None:
        """Write what layers make of samples as points, which can be watched over the steps.

        Args:
            inputs: a tensor, a tuple (positional arguments) or a dict (keyword arguments) for the model; some hundreds
                of samples, always the same ones.
            labels: the class of each sample, an integer; None colours none.
            step: training step.
            layers: ``"all"``, ``"auto"`` or a list of layer keys and patterns. 12 bytes for each sample and layer.
            samples: name of this probe set.
            class_names: of the classes, in the order of the labels' numbers. The Projector gets them as labels.
            projector: layers whose features go to TensorBoard's Projector as well, as text files of about ten bytes a
                number below the log directory; True for all of ``layers``. They are found there under the layer's key,
                behind the name of another probe set than ``probe`` and a slash. Of an ``nn.Embedding`` it gets the
                distinct tokens of the probe set, by the words that ``attributions`` was given.
            options: ``samples_at_once`` and ``batch_dim``, as in ``layerscope.embeddings``.
        """
        with self._guarded("embeddings"), failing_last() as attempt:
            step = checked_step(step)
            self._probed.remember(inputs, samples=samples)
            before = self._embedded.get(samples)
            names = checked_class_names(class_names)
            shown = () if isinstance(projector, bool) else checked_list("projector", projector)
            found = embeddings(self._model, inputs, layers=layers, before=before, **options)
            missing = [layer for layer in shown if layer not in found]
            with attempt():
                if missing:
                    found |= embeddings(self._model, inputs, layers=missing, before=before, **options)
            finite = {layer: one for layer, one in found.items() if np.isfinite(one.points).all()}
            self._embedded[samples] = (before or {}) | finite  # nothing can be turned to match what is none
            classes = checked_labels(labels, len(next(iter(found.values())).points)) if found else None
            if classes is not None and names is not None and classes.max() >= len(names):
                self._tell_unnamed(names, f"labels go up to {classes.max()}")
            with attempt():
                description = None if names is None else describe_inputs(inputs, class_names=names)
                stored = record_samples(self._writer, inputs, samples, step=step, description=description)
                arrays = {layer: embedding_arrays(one) for layer, one in found.items()}
                shared = {} if classes is None else {"labels": classes}
                record_layer_arrays(
                    self._writer, "embedding", arrays, name=samples, step=step, samples=stored, shared=shared
                )
            labelled = None if classes is None else by_name(classes, names)
            for layer in found if projector is True else shown:
                with attempt():
                    if layer in found:  # else it was told already why not
                        tag = layer if samples == "probe" else f"{samples}/{layer}"
                        self._project(layer, found[layer], inputs, labelled, step, tag)

    def _project(
        self, layer: str, found: Embedding, inputs: Any, labels: Sequence[str | int] | None, step: int, tag: str
    ) -> None:
        """Give the features of a layer, or the words of an embedding, to the Projector."""
        words = word_embeddings(self._model, layer, inputs)
        if words is not None:
            self._writer.projector(words[1], metadata=self._probed.words(words[0]), tag=tag, step=step)
            return
        self._writer.projector(found.features, metadata=labels, tag=tag, step=step)

    def weights(self, *, step: int, parameters: str | Sequence[str] = "auto", **options: Any) -> None:
        """Write parameters themselves, to be seen as pictures; what ``parameters`` writes are statistics of them.

        Args:
            step: training step.
            parameters: ``"auto"``: filters of the first convolution, matrices, biases and norms, at most 512 KiB a
                step, of small numbers 1 MiB; or a list of qualified parameter names and patterns.
            options: as in ``layerscope.weights``.
        """
        with self._guarded("weights"):
            step = checked_step(step)
            found = weights(self._model, parameters=parameters, **options)
            arrays = {name: weight_arrays(one) for name, one in found.items()}
            owners = [one.layer for one in found.values()]
            record_layer_arrays(self._writer, "weight", arrays, name="parameters", step=step, owners=owners)

    def attributions(
        self,
        inputs: Any,
        target: Target = None,
        *,
        step: int,
        methods: Methods = ("grad_cam", "gradient_x_activation"),
        layers: str | Sequence[str] = "all",
        samples: str = "probe",
        trust: bool | Sequence[str] = True,
        batch_dim: int = 0,
        modality: str | None = None,
        tokens: Any = None,
        feature_names: Sequence[str] | None = None,
        class_names: Sequence[str] | None = None,
    ) -> None:
        """Write attributions of every layer and of the inputs, by each method, for a probe batch.

        A method that fails, or that is unknown, does not keep the others from being recorded. A step takes 2 bytes for
        each element of a map, a map having the layer's positions but not its channels: see ``tests/bench/RESULTS.md``
        for networks of usual sizes.

        Args:
            inputs: a tensor, a tuple (positional arguments) or a dict (keyword arguments) for the model.
            target: what is explained, as in ``layerscope.attribute``; None is the predicted class.
            step: training step.
            methods: names of methods, or a mapping from names to their options or to functions ``(model, inputs,
                target) -> tensor or {layer: tensor}``, as in ``layerscope.attribute``. Those of one family share their
                passes.
            layers: ``"all"``, ``"auto"`` (about a dozen that tell the most), or a list of layer keys and patterns.
            samples: name of this probe set. Its inputs are written once, and again when they change.
            trust: score how far to trust attributions of the inputs: True for the completeness gap, deletion and
                insertion (14 forward passes, and 14 to 28 for each method), or a list of ``"completeness"``,
                ``"deletion"``, ``"insertion"``, ``"randomization"``.
            batch_dim: dimension of the samples in the inputs.
            modality: ``image``, ``text``, ``table``, ``time_series`` or ``tensor``, for the first input; None infers
                it from its form.
            tokens: of text: a tokenizer, a vocabulary, or a list of strings for each sample. Of these no other words
                are known: what ``maximize`` finds beside them is shown as ``#`` and its number.
            feature_names: of a table or a time series, along its last dimension.
            class_names: of the classes, in the order of the scores. Surrogates and units that are scores have them too
                from then on.
        """
        with self._guarded("attributions"):
            step = checked_step(step)
            classes = checked_class_names(class_names)
            description = describe_inputs(
                inputs,
                modality=modality,
                batch_dim=batch_dim,
                tokens=tokens,
                feature_names=feature_names,
                class_names=classes,
            )
            self._probed.remember(inputs, samples=samples, description=description)
            if tokens is not None:
                self._probed.spell(tokens)
            if classes is not None and classes != self._class_names:
                self._name_scores(classes, inputs, batch_dim)
            question = Question(self._model, inputs, target, layers, batch_dim, maps_only=True)
            record_attributions(self._writer, question, methods, description, samples=samples, trust=trust, step=step)

    def surrogates(
        self, inputs: Any, *, step: int, surrogates: Sequence[str] = ("decision_tree",), **options: Any
    ) -> None:
        """Write simple models that imitate the network, fitted to what it says about some hundreds of samples.

        Args:
            inputs: a tensor, a tuple (positional arguments) or a dict (keyword arguments) for the model.
            step: training step.
            surrogates: ``linear_regression``, ``logistic_regression``, ``decision_tree``, ``random_forest``. One that
                fails does not keep the others from being recorded.
            options: as in ``layerscope.surrogate``: ``of="fc1"``, ``feature_names=[...]``. Outputs have the
                ``class_names`` that ``attributions`` was given, unless ``output_names`` says otherwise.
        """
        with self._guarded("surrogates"):
            step = checked_step(step)
            self._probed.remember(inputs)
            checked_list("surrogates", surrogates)
            if self._class_names is not None and not callable(options.get("target")):
                options = {"output_names": self._class_names, **options}
            with failing_last() as attempt:
                for name in surrogates:
                    with attempt():
                        self._writer.surrogate(surrogate(self._model, inputs, surrogate=name, **options), step=step)

    def linear_probes(
        self, inputs: Any, labels: Any, *, step: int, layers: str | Sequence[str] = "all", **options: Any
    ) -> None:
        """Write how well a linear classifier tells the labels from each layer's output: accuracy against depth.

        Args:
            inputs: a tensor, a tuple (positional arguments) or a dict (keyword arguments) for the model.
            labels: the class of each sample.
            step: training step.
            layers: ``"all"``, ``"auto"`` or a list of layer keys and patterns.
            options: as in ``layerscope.linear_probes``.
        """
        with self._guarded("linear_probes"):
            step = checked_step(step)
            self._probed.remember(inputs)
            series = linear_probes(self._model, inputs, labels, layers=layers, **options)
            self._recorder.write("linear_probes", series, step)

    def maximize(
        self,
        *,
        step: int,
        layers: Sequence[str] | None = None,
        channels: Sequence[int] | int = 6,
        inputs: Any = None,
        samples: str = "probe",
        seconds: float | None = _SECONDS,
        tokens: Any = None,
        **options: Any,
    ) -> None:
        """Write what units of some layers respond to, found by activation maximization.

        Each unit goes on from where it was at the step before (unless ``start=None`` is given). Beside each stands what
        it reaches, and the samples of a probe batch on which it is strongest.

        Args:
            step: training step.
            layers: layer keys; None takes the first, the middle and the last convolution and the last linear layer
                that ``graph`` saw executed (the model's output, where the objective is ``logit``). One that fails keeps
                none of the others from being recorded.
            channels: which channels of each layer, or how many of the first.
            inputs: the probe batch; None takes what ``attributions``, ``activations`` and the like were given last, of
                text what was given last with ``tokens``. Of a model of tokens its first sample (or else that of
                ``graph``) tells what else the model is given.
            samples: name of the probe set.
            seconds: how long it may take, all layers together, from the first to the last: with less time fewer steps
                are taken. None takes as many as ``steps`` says, whatever it takes: then the same seed gives the same.
            tokens: what makes text of numbers, as in ``attributions``, which is what None takes.
            options: as in ``layerscope.maximize``. Size and range of the inputs are by default those of the first
                images, signals or rows that were probed, or else those that ``graph`` was given; of large images, 128
                pixels for the longer side if the model takes that.
        """
        with self._guarded("maximize"):
            step = checked_step(step)
            if inputs is not None:
                self._probed.remember(inputs, samples=samples, chosen=True)
            if tokens is not None:
                self._probed.spell(tokens)
            chosen: Sequence[str | None] = [None]
            if layers is not None:
                chosen = named_layers(self._model, self._executed, checked_list("layers", layers, "layer keys"))
            elif options.get("objective") != "logit":
                chosen = telling_layers(self._model, self._executed)
            self._maximizer.record(
                chosen,
                channels,
                step=step,
                seconds=seconds,
                probed=self._probed,
                options=options,
                class_names=self._class_names,
            )

    def _name_scores(self, names: tuple[str, ...], inputs: Any, batch_dim: int) -> None:
        """Keep the names of the model's scores, if they are as many; else say so."""
        try:
            scores = pooled(self._model, inputs, layers=[], at_end=scores_of, batch_dim=batch_dim).output
        except LayerscopeError:  # no scores of classes
            return
        count = 1 if scores.ndim == 1 else scores.shape[-1]
        if count == len(names):
            self._class_names = names
        else:
            self._tell_unnamed(names, f"the model gives {count} scores for each sample")

    def _tell_unnamed(self, names: Sequence[str], but: str) -> None:
        self._guarded.tell(
            f"class_names {but}",
            f"class_names must be a name for each class, in the order of their numbers, but {but} and there are "
            f"{len(names)} names. What they name may be another class than the one meant.",
        )
