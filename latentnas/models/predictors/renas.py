r"""ReNAS: a small convolutional network on the matrices of a cell.

Xu et al., "ReNAS: Relativistic Evaluation of Neural Architecture Search" (CVPR 2021): types, FLOPs and parameters of a
cell's operations as a stack of matrices (:mod:`.tensor_encoding`), read by LeNet-5: two convolutions with 2 x 2 maximum
pooling after each, then fully-connected layers of 120 and 84 units. It is trained with the pairwise logistic loss

.. math:: L_1 = \sum_{m < n} \psi((\hat y_m - \hat y_n) \, \mathrm{sign}(y_m - y_n)), \quad
          \psi(\epsilon) = \log(1 + e^{-\epsilon}) \quad (1)

which is :func:`.losses.pairwise_bce` (eq. 9 of the NAR paper). The convolutions are 3 x 3 with padding, as the matrices
of cells are smaller than LeNet's images, and pooling rounds up.
"""

from __future__ import annotations

from torch import Tensor, nn

from .base import CellFacts, CellInputs, register_encoder
from .tensor_encoding import TensorEncoder


@register_encoder("renas")
class ReNASEncoder(TensorEncoder):
    """LeNet-5 on the tensor encoding of cells.

    Args:
        facts: the space; the costs of its operations must be known.
        channels: of the first convolution; the second has twice as many.
        hidden: units of the first fully-connected layer.
        dim: units of the second, and so the size of the embedding.
        view, types: see :class:`.tensor_encoding.TensorEncoding`.
    """

    sizes = ("channels", "hidden", "dim")

    def __init__(
        self,
        facts: CellFacts,
        *,
        channels: int = 32,
        hidden: int = 120,
        dim: int = 84,
        view: str = "auto",
        types: str = "one-hot",
    ) -> None:
        super().__init__(facts, view=view, types=types)
        self.dim = dim
        side = -(-self.encoding.width // 4)  # halved twice, rounding up each time
        self.layers = nn.Sequential(
            nn.Conv2d(self.encoding.patches, channels, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2, ceil_mode=True),
            nn.Conv2d(channels, 2 * channels, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2, ceil_mode=True),
            nn.Flatten(),
            nn.Linear(2 * channels * side**2, hidden),
            nn.ReLU(),
            nn.Linear(hidden, dim),
        )

    def forward(self, inputs: CellInputs) -> Tensor:
        embedding: Tensor = self.layers(self.encoding(inputs))
        return embedding
