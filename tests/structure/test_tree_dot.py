"""tree_to_dot(): what Graphviz reads is what the tree says, whatever the names; checked with dot where it is."""

from __future__ import annotations

import dataclasses
import shutil
import subprocess

import pytest

import serving
from layerscope import wire
from layerscope.errors import InvalidArgumentError
from layerscope.structure.tree_dot import tree_to_dot

HOSTILE = (
    'say "hi"',
    "<b>bold</b>",
    "back\\slash",
    "ends\\",
    "new\nline",
    "&amp;",
    "a:b",
    "\\N",
    "é ≤ 層",
    "]; x -> y",
)


def test_the_source_asks_answers_and_says_where_yes_leads() -> None:
    assert tree_to_dot(serving.surrogate(0)) == (
        "digraph tree {\n"
        "\tnode [fillcolor=aliceblue shape=box style=filled]\n"
        "\tedge [fontsize=10]\n"
        '\t0 [label="size ≤ 2.5\\nyes: 0.5\\n10 samples"]\n'
        "\t0 -> 1 [label=yes]\n"
        "\t0 -> 2 [label=no]\n"
        '\t1 [label="yes: 0\\n6 samples" fillcolor=darkseagreen1 style="filled,rounded"]\n'
        '\t2 [label="yes: 1\\n4 samples" fillcolor=darkseagreen1 style="filled,rounded"]\n'
        "}\n"
    )
    assert serving.surrogate(0).to_dot() == tree_to_dot(serving.surrogate(0))


def test_of_classes_shares_are_shown_the_largest_first_and_the_rest_counted() -> None:
    leaf = wire.TreeNode(1, (0.1, 0.0, 0.5, 0.25, 0.15))
    classes = dataclasses.replace(
        serving.surrogate(0), score_name="agreement", output_names=tuple("abcde"), tree=(leaf,)
    )
    assert '0 [label="c: 50%\\nd: 25%\\ne: 15%\\n+ 1 more\\n1 sample"' in tree_to_dot(classes)


@pytest.mark.parametrize("name", HOSTILE)
def test_names_are_text_and_nothing_else(name: str) -> None:
    found = dataclasses.replace(serving.surrogate(0), feature_names=("age", name), output_names=(name,))
    lines = tree_to_dot(found).splitlines()
    assert len(lines) == 9
    escaped = name.replace("\n", "\\u000a").replace("\\", "\\\\").replace("&", "&amp;").replace('"', '\\"')
    assert f'\t0 [label="{escaped} ≤ 2.5\\n{escaped}: 0.5\\n10 samples"]' in lines


@pytest.mark.skipif(shutil.which("dot") is None, reason="Graphviz is not installed")
@pytest.mark.parametrize("name", HOSTILE)
def test_graphviz_draws_three_boxes_and_two_edges(name: str) -> None:
    found = dataclasses.replace(serving.surrogate(0), feature_names=("age", name), output_names=(name,))
    drawn = subprocess.run(["dot", "-Tplain"], input=tree_to_dot(found).encode(), capture_output=True, check=True)
    kinds = [line.split()[0] for line in drawn.stdout.decode().splitlines() if line[:5] in ("node ", "edge ")]
    assert sorted(kinds) == ["edge", "edge", "node", "node", "node"]


def test_what_has_no_tree_says_so() -> None:
    forest = dataclasses.replace(serving.surrogate(0), surrogate="random_forest", tree=())
    with pytest.raises(InvalidArgumentError, match="this surrogate is a random_forest, which has none to show"):
        forest.to_dot()
