"""Names of the arrays of a tree, by which files and messages call them."""

from typing import Any

import jax


def name_of(path: tuple) -> str:
    """Of a path as `jax.tree_util` has them: "stack/layer_1/kernel"."""
    return jax.tree_util.keystr(path, simple=True, separator="/")


def by_name(tree: Any) -> dict[str, Any]:
    """The leaves of a tree, by their names."""
    return {name_of(path): leaf for path, leaf in jax.tree_util.tree_leaves_with_path(tree)}
