"""``layerscope replay``: records a training from the checkpoints that it left."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import layerscope
from layerscope.cli.commands import Commands
from layerscope.errors import InvalidArgumentError, MissingExtraError


def add(commands: Commands) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "replay",
        help="record a training that is over, from the checkpoints that it left",
        description="Loads one checkpoint after the other and records what a Scope would have recorded in training, "
        "each at its step: structure, parameters and their distance from the first checkpoint, activations, "
        "attributions and, if asked for, activation-maximization images. Files are loaded without running code.",
        epilog="Example: layerscope replay --model mynet:build --inputs mynet:probe --checkpoints 'ckpt/*.pt' --logdir "
        "runs/replay --methods grad_cam,integrated_gradients. On several GPUs or processes: torchrun --nproc-per-node "
        "4 -m layerscope.cli replay ...; they share the checkpoints, or the samples if there are fewer.",
    )
    parser.add_argument(
        "--model", required=True, metavar="MODULE:FUNCTION", help="function without arguments that builds the model"
    )
    parser.add_argument(
        "--inputs",
        required=True,
        metavar="MODULE:FUNCTION|FILE",
        help="the probe batch: a function that returns (inputs, target), or a .safetensors file whose tensors are "
        "keyword arguments if the model has their names, else positional ones in order of name; one named target is "
        "the target",
    )
    parser.add_argument(
        "--checkpoints",
        required=True,
        nargs="+",
        metavar="FILE",
        help="files, a directory, or a pattern in quotes; the last number in a file's name is the step",
    )
    parser.add_argument(
        "--logdir",
        required=True,
        type=Path,
        help="log directory of its own, e.g. runs/replay; no event file may be there",
    )
    parser.add_argument(
        "--target",
        metavar="CLASS[,CLASS...]",
        help="class that is explained, or one for each sample (default: that of --inputs, or else the class predicted "
        "at each step)",
    )
    parser.add_argument(
        "--methods",
        default="grad_cam,gradient_x_activation",
        metavar="NAME[,NAME...]",
        help="of attribution, or none (default: %(default)s)",
    )
    parser.add_argument(
        "--layers", default="all", metavar="LAYER[,LAYER...]", help="all, auto, or layers and patterns (default: all)"
    )
    parser.add_argument("--no-activations", action="store_true", help="leave the activations out")
    parser.add_argument("--no-parameters", action="store_true", help="leave the parameters out")
    parser.add_argument("--no-trust", action="store_true", help="leave out how far to trust attributions of the inputs")
    parser.add_argument("--maximize", action="store_true", help="record activation-maximization images, too (slow)")
    parser.add_argument("--batch-dim", type=int, default=0, metavar="N", help="dimension of the samples (default: 0)")
    parser.add_argument("--device", default="cpu", help="where the model runs: cpu, cuda, ... (default: %(default)s)")
    parser.set_defaults(command=_replay)


def _replay(arguments: argparse.Namespace) -> int:
    try:
        from layerscope.probing.sharding import own_rank
        from layerscope.replaying import sources
    except ModuleNotFoundError as error:
        if error.name in ("torch", "torchview"):
            raise MissingExtraError("layerscope replay", "torch", error.name) from error
        raise
    device = sources.device_named(arguments.device)
    model = sources.model_of(arguments.model, device)
    inputs, target = sources.batch_of(arguments.inputs, model, device)
    given: list[str] = arguments.checkpoints
    steps = layerscope.replay(
        model,
        given[0] if len(given) == 1 else given,
        arguments.logdir,
        inputs,
        target if arguments.target is None else _classes(arguments.target),
        methods=() if arguments.methods == "none" else arguments.methods.split(","),
        layers=arguments.layers if arguments.layers in ("all", "auto") else arguments.layers.split(","),
        activations=not arguments.no_activations,
        parameters=not arguments.no_parameters,
        maximize=arguments.maximize,
        trust=not arguments.no_trust,
        batch_dim=arguments.batch_dim,
    )
    if own_rank() == 0:
        print(f"{len(steps)} checkpoints, of steps {steps[0]} to {steps[-1]}, are recorded in {arguments.logdir}")
        print(f"Show them with: tensorboard --logdir {arguments.logdir}")
    return 0


def _classes(given: str) -> Any:
    try:
        classes = [int(number) for number in given.split(",")]
    except ValueError:
        raise InvalidArgumentError(
            f"--target must be a class or several, whole numbers, but it is {given!r}."
        ) from None
    return classes[0] if len(classes) == 1 else classes
