"""The entry point: it imports next to nothing, never raises, and asks TensorBoard to keep every step."""

from __future__ import annotations

import argparse
import subprocess
import sys

import pytest

from layerscope.loader import Loader


def _fixed(samples_per_plugin: object, *arguments: str) -> object:
    parser = argparse.ArgumentParser()
    Loader().define_flags(parser)
    flags = parser.parse_args(list(arguments))
    flags.samples_per_plugin = samples_per_plugin
    Loader().fix_flags(flags)
    return flags.samples_per_plugin


@pytest.mark.parametrize("given", [None, {}, ""])
def test_every_step_is_kept(given: object) -> None:
    assert _fixed(given) == {"layerscope": 0, "layerscope_blobs": 50}


def test_the_users_own_flag_wins() -> None:
    assert _fixed({"layerscope": 7, "images": 3}) == {"layerscope": 7, "layerscope_blobs": 50, "images": 3}


def test_our_flags() -> None:
    assert _fixed({}, "--layerscope_samples", "5", "--layerscope_blob_samples", "0") == {
        "layerscope": 5,
        "layerscope_blobs": 0,
    }


def test_flags_that_lack_everything_do_not_raise() -> None:
    flags = argparse.Namespace()
    Loader().fix_flags(flags)
    assert flags.samples_per_plugin == {"layerscope": 0, "layerscope_blobs": 50}


def test_importing_it_imports_no_numpy_of_ours() -> None:
    script = (
        "import sys, tensorboard.plugins.base_plugin; before = set(sys.modules); import layerscope.loader; "
        "print(sorted(set(sys.modules) - before))"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    added = [name for name in result.stdout.strip("[]\n").replace("'", "").split(", ") if name.startswith("layerscope")]
    assert added == ["layerscope", "layerscope.errors", "layerscope.loader"]
