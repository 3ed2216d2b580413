"""The TensorBoard entry point.

TensorBoard imports this module, and calls ``define_flags`` and ``fix_flags``, before it has started: an error in any
of them would stop TensorBoard. So only ``base_plugin`` is imported here, and everything else inside ``load``, whose
errors TensorBoard logs while the rest of it works.
"""

from __future__ import annotations

import argparse
from typing import Any

from tensorboard.plugins import base_plugin


class Loader(base_plugin.TBLoader):
    """Loads the Layerscope plugin and keeps every step of its data."""

    def define_flags(self, parser: argparse.ArgumentParser) -> None:
        """Add the flags ``--layerscope_samples`` and ``--layerscope_blob_samples``."""
        group = parser.add_argument_group("Layerscope plugin")
        group.add_argument(
            "--layerscope_samples",
            metavar="N",
            type=int,
            default=0,
            help="Steps kept of each Layerscope series and graph (default: %(default)s, which keeps all).",
        )
        group.add_argument(
            "--layerscope_blob_samples",
            metavar="N",
            type=int,
            default=50,
            help="Steps kept of each set of attribution maps and images (default: %(default)s; 0 keeps all).",
        )

    def fix_flags(self, flags: argparse.Namespace) -> None:
        """Tell TensorBoard how many steps to keep, which by default would be 10 random ones.

        A ``--samples_per_plugin`` of the user's own wins.
        """
        given: Any = getattr(flags, "samples_per_plugin", None)
        samples: dict[str, int] = dict(given) if isinstance(given, dict) else {}  # pyright: ignore[reportUnknownArgumentType]
        samples.setdefault("layerscope", getattr(flags, "layerscope_samples", 0))
        samples.setdefault("layerscope_blobs", getattr(flags, "layerscope_blob_samples", 50))
        flags.samples_per_plugin = samples

    def load(self, context: base_plugin.TBContext) -> base_plugin.TBPlugin:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Return the plugin."""
        from layerscope.viewing.plugin import LayerscopePlugin

        return LayerscopePlugin(context)
