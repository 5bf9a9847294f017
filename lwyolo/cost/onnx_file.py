"""What an ONNX file costs, by the definitions that a torch model is measured by, without reading its weights.

Memory access aims at the graph that was exported. `Reshape`, `Transpose`, `Split`, `Slice` and `Expand` are views, as in
torch, and are copied where torch would copy. `x · f(x)`, as exporters write SiLU, is one operator. What depends on
weights and shapes alone is computed once and costs nothing; nor do single numbers. A tensor that is stored quantised is
read and written so, scales and zero points apart: a `DequantizeLinear` moves nothing, and its readers read integers.

Parameters are the floating-point initialisers that the graph computes with, and the weights of contractions, of any
type. Not among them are single numbers, statistics of a batch norm, and what the exporter's trace computed
(`/model.22/Constant_output_0`), such as anchors. A file may store equal tensors once, so that a model without training,
whose biases are all zero, has fewer here.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from lwyolo.cost.elementwise import FILLS
from lwyolo.cost.layouts import elementwise_strides
from lwyolo.cost.onnx_graph import Graph, Node, read_graph
from lwyolo.cost.onnx_operators import (
    ATEN,
    CONTRACTIONS,
    CONVOLUTIONS,
    Operation,
    data_of,
    folds_norms,
    gathers,
    is_fusible,
    work_of,
)
from lwyolo.cost.onnx_views import view
from lwyolo.cost.operations import Work
from lwyolo.cost.paths import Call
from lwyolo.cost.trace import Access, Step, Value, distinct_bytes
from lwyolo.cost.tree import Convolution, Cost
from lwyolo.cost.tree_builder import build_cost
from lwyolo.errors import CostError
