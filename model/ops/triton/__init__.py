"""Kernels in Triton for what lies between two products of a layer. Each does one pass over the activations.

| module | kernel |
|---|---|
| norm | residual, gate, LayerNorm and modulation; RMSNorm of cross-attention's queries |
| qkv | RMSNorm of q and k, RoPE, and the write into the ring |
| quantise | e4m3 by row, alone or after GELU |

`kernels` has the device code. The other modules launch it, and have a plain reference beside each launch. Import them
late: Triton comes with torch's CUDA wheels only. `available` says if it is there, and imports nothing of it.
"""
