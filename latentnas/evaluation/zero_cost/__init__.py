"""Zero-cost metrics: what one pass of an untrained network tells about the trained one's accuracy.

Let theta run over the layers with weights, convolutions and the classifier (weights only: no biases, no
batch normalisation), L be the cross entropy of the labels, averaged over the n images, and the network be
in training mode, batch normalisation by the statistics of the images.

============  =====================================================================================
metric        value of a network, larger for a better one if it works
============  =====================================================================================
grad_norm     sum over layers of |dL/dtheta|_2 (Abdelfattah et al., 2021)
plain         sum of theta * dL/dtheta (Mozer and Smolensky, 1988, as in Abdelfattah et al.). Weights before
              a batch normalisation can be scaled without changing L, so that their share is 0 but for
              its epsilon (and rounding); what remains is the classifier's
snip          sum of |theta * dL/dtheta| (Lee et al., "SNIP", ICLR 2019)
synflow       log(1 + S), S = sum of theta * dR/dtheta, R = the sum of the class scores (Tanaka et al., NeurIPS
              2020), with every weight replaced by its absolute value, no batch normalisation, and one image
              of ones
relu_logdet   log det K (Mellor et al., "Neural Architecture Search without Training", ICML 2021), K[i, j] =
              N_A - d_H(c_i, c_j): the number of ReLUs that images i and j both activate or both do not.
              Sums over all ReLU layers; K is integer, a singular one (det 0) counts 0
expressivity  sum over blocks (the stem, the cells, the reductions) of the entropy of the shares that the principal
              components of a block's channels have in the variance of its output (Lee and Ham, "AZ-NAS", CVPR
              2024)
backward_expressivity
              the same of the gradients of L with respect to the blocks' outputs, not centred; ours
params        trainable parameters
flops         multiply-adds of convolutions and the classifier, for one image
============  =====================================================================================

The first five were brought together as proxies by Abdelfattah et al., "Zero-Cost Proxies for Lightweight
NAS" (ICLR 2021); GATES++ (Ning et al., TPAMI 2023, eq. 11-13) takes them at two levels. *Architecture level*
is the network's value as above. *Operation level* is that of the layers of one operation of the code, averaged
over its copies in the network: |dL/dtheta|_2, theta * dL/dtheta and so on, log(1 + .) of the average for
synflow, 0 for operations without weights. There is no relu_logdet of an operation. *Block level*, of both
expressivities, is a block's entropy before it is summed.

**Networks without a path** from input to output have grad_norm, snip, synflow and relu_logdet 0; plain is
0 too, and so are both expressivities of the blocks that nothing reaches or that nothing leaves; nothing is NaN.

**Isomorphic cells** have the values of their canonical network. An operation of a code takes the mean of
the canonical operations that compute the same; one that does not matter to the output has 0.

**Equal initial weights.** The weights of a layer are a function of the seed and of the layer's name (place in
the network, edge or vertex, shape): two networks differ by their cells only. Many networks are computed
side by side (:mod:`.passes`), so that values agree to rounding, not to the last bit, between different batches
of cells; what is in the cache stays as it is.
"""

from __future__ import annotations

from .evaluator import ZeroCostEvaluator
from .measure import METRICS, SPACES, ZeroCost, ZeroCostMetrics, zero_cost_metrics
from .settings import NetworkSize, initial_weight

__all__ = [
    "METRICS",
    "SPACES",
    "NetworkSize",
    "ZeroCost",
    "ZeroCostEvaluator",
    "ZeroCostMetrics",
    "initial_weight",
    "zero_cost_metrics",
]
