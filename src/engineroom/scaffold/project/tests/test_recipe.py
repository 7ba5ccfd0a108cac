"""The recipe: what it says of the model is true before anything is built."""

import numpy as np
from engineroom import Recipe


def test_the_module_knows_waves_that_it_was_not_trained_on(recipe: Recipe) -> None:
    import torch

    assert recipe.task is not None
    inputs, kinds = recipe.task.data()
    module = recipe.module()
    with torch.no_grad():
        answer = module(torch.from_numpy(inputs["measurements"])).numpy()
    assert recipe.task.score({"probabilities": answer}, kinds) > 0.95


def test_samples_are_what_the_inputs_say(recipe: Recipe) -> None:
    (tensor,) = recipe.inputs
    (group,) = recipe.samples()
    assert group[tensor.name].shape[1:] == tensor.shape
    assert group[tensor.name].dtype == np.dtype(tensor.dtype)
    assert np.isfinite(group[tensor.name]).all()


def test_every_kind_has_a_name(recipe: Recipe) -> None:
    (probabilities,) = recipe.outputs
    assert probabilities.labels is not None
    assert len(set(probabilities.labels())) == probabilities.shape[0]
