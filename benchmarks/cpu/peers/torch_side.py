"""torch's layers for inference, in the precisions that it has on the CPU."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np

from ...cases import Case
from ...sides import module_of
from ..setting import Setting


def inference(setting: Setting, case: Case, precision: str) -> Callable[[], np.ndarray]:
    """Return torch's inference in float32, bfloat16 or, by its dynamic quantisation, with weights in int8."""
    torch = setting.torch
    module, x = module_of(torch, case).eval(), torch.from_numpy(case.input())
    if precision == "bfloat16":
        module, x = module.to(torch.bfloat16), x.to(torch.bfloat16)
    elif precision == "int8":
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that it is to move to another package
            inside = torch.ao.quantization.quantize_dynamic(torch.nn.Sequential(module), {type(module)}, torch.qint8)
        module = inside[0]

    def infer() -> np.ndarray:
        with torch.inference_mode():
            return module(x)[0].float().numpy()

    return infer
