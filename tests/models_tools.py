"""What several tests of weights share."""

import numpy as np

from kcnn.models._names import slots

# (height, width, in, out) and (in, out) of Keras as PyTorch has them.
TO_TORCH = {4: (3, 2, 0, 1), 2: (1, 0)}


def torchvision_state(network):
    """The weights of `network` as torchvision's state dict would hold them."""
    state = {}
    for slot in slots(network, "torchvision"):
        value = np.asarray(slot.variable)
        turn = TO_TORCH.get(value.ndim)
        state[slot.name] = np.ascontiguousarray(value.transpose(turn) if turn else value)
    return state
