"""What is not ours: private parts of Keras and TensorFlow, and nowhere else.

Each function says what stands in where another release lacks the attribute, and has a test.
"""

from kcnn.callbacks.keras_internals._models import (
    arguments_of,
    calls_of,
    draws_random_numbers,
    followers_of,
    functional_of,
    graph_links,
    layers_of,
    loss_weights_of,
    metrics_given_to,
    operations_of,
    origin_of,
    stored_kernel_of,
)
from kcnn.callbacks.keras_internals._tensorflow import (
    dataset_sources,
    dataset_twin,
    eager_random_state,
    put_eager_random_state,
    thinned_dataset,
)
from kcnn.callbacks.keras_internals._training import (
    TEST,
    TRAIN,
    array_of,
    fresh_step_function,
    global_seed_state,
    name_counters,
    put_global_names,
    put_step_functions,
    rate_source,
    set_rate_source,
    set_step_function,
    step_function,
    step_functions,
    strategy_scope,
    untrack_variable,
)

__all__ = [
    "TEST", "TRAIN", "arguments_of", "array_of", "calls_of", "dataset_sources", "dataset_twin",
    "draws_random_numbers", "eager_random_state", "followers_of", "fresh_step_function",
    "functional_of", "global_seed_state", "graph_links", "layers_of", "loss_weights_of",
    "metrics_given_to", "name_counters", "operations_of", "origin_of", "put_eager_random_state",
    "put_global_names", "put_step_functions", "rate_source", "set_rate_source", "set_step_function",
    "step_function", "step_functions", "stored_kernel_of", "strategy_scope", "thinned_dataset",
    "untrack_variable",
]  # fmt: skip
