import jax
import numpy as np

from ali_jax.trees import by_name


def test_arrays_have_the_names_of_their_places():
    tree = {"stack": {"layer_1": {"kernel": np.zeros(2)}}, "many": [np.ones(1), None]}
    named = by_name(tree)
    assert [*named] == ["many/0", "stack/layer_1/kernel"]
    assert all(a is b for a, b in zip(named.values(), jax.tree.leaves(tree), strict=True))
