"""The device code. Only this module is untyped, because Triton's language is.

A row is a token. Every kernel reads its rows once, computes in fp32 and rounds when it stores. A program takes ROWS of
them: one on a GPU, many in the interpreter, where starting a program costs more than its arithmetic. What changes as a
take goes on (rotations, slots in the ring) is data, so nothing is compiled again.
"""

import triton
import triton.language as tl


@triton.jit
def quantised(x, mask):
    """Return rows [rows, columns] in the range of e4m3, and their scales; the same as `quantise_fp8`."""
    largest = tl.max(tl.where(mask, tl.abs(x), 0.0), 1)
    scale = tl.maximum(largest, 1e-12) / 448.0
    return x / scale[:, None], scale


@triton.jit
def add_norm_kernel(
    x,
    y,
    gate,
    scale,
    shift,
    out,
    out_scale,
    gate_batch,
    gate_frame,
    scale_batch,
    scale_frame,
    shift_batch,
    shift_frame,
    rows,
    frames,
    frame_tokens,
    eps,
    width: tl.constexpr,
    BLOCK: tl.constexpr,
    ROWS: tl.constexpr,
    ADD: tl.constexpr,
    GATE: tl.constexpr,
    FP8: tl.constexpr,
):
    """See `longtake.model.ops.triton.norm.add_norm`."""
    row = tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS)
    column = tl.arange(0, BLOCK)[None, :]
    mask = (row < rows)[:, None] & (column < width)
    frame = (row // frame_tokens)[:, None]
    batch, frame = frame // frames, frame % frames
    at = row[:, None] * width + column
    value = tl.load(x + at, mask=mask, other=0.0).to(tl.float32)
    if ADD:
        added = tl.load(y + at, mask=mask, other=0.0).to(tl.float32)
        if GATE:
            factor = tl.load(gate + batch * gate_batch + frame * gate_frame + column, mask=mask, other=0.0)
            added = added * factor.to(tl.float32)
        kept = (value + added).to(x.dtype.element_ty)
        tl.store(x + at, kept, mask=mask)
        value = kept.to(tl.float32)
    mean = tl.sum(value, 1) / width
    centred = tl.where(mask, value - mean[:, None], 0.0)
    root = tl.sqrt(tl.sum(centred * centred, 1) / width + eps)
    factor = tl.load(scale + batch * scale_batch + frame * scale_frame + column, mask=mask, other=0.0)
    offset = tl.load(shift + batch * shift_batch + frame * shift_frame + column, mask=mask, other=0.0)
    result = centred / root[:, None] * factor.to(tl.float32) + offset.to(tl.float32)
    if FP8:
        result, row_scale = quantised(result, mask)
        tl.store(out_scale + row, row_scale, mask=row < rows)
    tl.store(out + at, result.to(out.dtype.element_ty), mask=mask)


@triton.jit
def rms_norm_kernel(x, weight, out, rows, eps, width: tl.constexpr, BLOCK: tl.constexpr, ROWS: tl.constexpr):
    """See `longtake.model.ops.triton.norm.rms_norm`."""
    row = tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS)
    column = tl.arange(0, BLOCK)[None, :]
    mask = (row < rows)[:, None] & (column < width)
    at = row[:, None] * width + column
    value = tl.load(x + at, mask=mask, other=0.0).to(tl.float32)
    root = tl.sqrt(tl.sum(value * value, 1) / width + eps)
    factor = tl.load(weight + column, mask=column < width, other=0.0).to(tl.float32)
    tl.store(out + at, (value / root[:, None] * factor).to(out.dtype.element_ty), mask=mask)


@triton.jit
def quantise_kernel(
    x, out, out_scale, rows, width: tl.constexpr, BLOCK: tl.constexpr, ROWS: tl.constexpr, GELU: tl.constexpr
):
    """See `longtake.model.ops.triton.quantise.quantise_rows`."""
    row = tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS)
    column = tl.arange(0, BLOCK)[None, :]
    mask = (row < rows)[:, None] & (column < width)
    at = row[:, None] * width + column
    value = tl.load(x + at, mask=mask, other=0.0).to(tl.float32)
    if GELU:
        # The tanh form, (1 + tanh u) x / 2, is x / (1 + exp -2u). Above 80 the exponential is as good as infinite.
        exponent = -1.5957691216057308 * (value + 0.044715 * value * value * value)
        value = value / (1.0 + tl.exp(tl.minimum(exponent, 80.0)))
    value, row_scale = quantised(value, mask)
    tl.store(out_scale + row, row_scale, mask=row < rows)
    tl.store(out + at, value.to(out.dtype.element_ty), mask=mask)


@triton.jit
def turned(x, cos, sin, ROWS: tl.constexpr, HEADS_BLOCK: tl.constexpr, HALF_BLOCK: tl.constexpr):
    """Rotate [rows, heads, head_dim]: channels 2i and 2i + 1 are one complex number."""
    real, imaginary = tl.split(tl.reshape(x, (ROWS, HEADS_BLOCK, HALF_BLOCK, 2)))
    joined = tl.join(real * cos - imaginary * sin, real * sin + imaginary * cos)
    return tl.reshape(joined, (ROWS, HEADS_BLOCK, 2 * HALF_BLOCK))


@triton.jit
def rms_normed(x, weight, eps, width: tl.constexpr):
    """Norm [rows, heads, head_dim] over the full width, before the heads are split."""
    root = tl.sqrt(tl.sum(tl.sum(x * x, 2), 1) / width + eps)
    return x / root[:, None, None] * weight.to(tl.float32)


@triton.jit
def store_e4m3(x, mask, to, to_scale, scale_mask):
    """Store [rows, heads, head_dim] in e4m3; a head's scale is a power of two, as of `longtake.model.cache.fp8`."""
    ratio = tl.max(tl.where(mask, tl.abs(x), 0.0), 2) / 448.0
    # frexp's exponent, from the number's bits; zeros divide by one.
    exponent = ((ratio.to(tl.int32, bitcast=True) >> 23) & 0xFF) - 126
    exponent = tl.where(ratio == 0.0, 0, tl.maximum(exponent, -100))
    scale = ((exponent + 127) << 23).to(tl.float32, bitcast=True)
    tl.store(to, (x / scale[:, :, None]).to(to.dtype.element_ty), mask=mask)
    tl.store(to_scale, scale.to(to_scale.dtype.element_ty), mask=scale_mask)


@triton.jit(do_not_specialize=["rows", "tokens", "sink_start", "sink_tokens"])
def qkv_kernel(
    qkv,
    query_weight,
    key_weight,
    table,
    slots,
    queries,
    keys,
    values,
    key_scales,
    value_scales,
    sink_keys,
    rows,
    tokens,
    sink_start,
    sink_tokens,
    ring_tokens,
    sink_room,
    eps,
    HEADS: tl.constexpr,
    HEAD_DIM: tl.constexpr,
    ROWS: tl.constexpr,
    HEADS_BLOCK: tl.constexpr,
    HALF_BLOCK: tl.constexpr,
    SCALED: tl.constexpr,
    SATURATED: tl.constexpr,
    SINK: tl.constexpr,
):
    """See `longtake.model.ops.triton.qkv.write_qkv`."""
    WIDTH: tl.constexpr = HEADS * HEAD_DIM
    row = tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS)
    here = row < rows
    batch, token = (row // tokens)[:, None], row % tokens
    head = tl.arange(0, HEADS_BLOCK)[None, :]
    channel = tl.arange(0, 2 * HALF_BLOCK)[None, None, :]
    heads_mask = here[:, None] & (head < HEADS)
    mask = heads_mask[:, :, None] & (channel < HEAD_DIM)
    within = head[:, :, None] * HEAD_DIM + channel
    at = row[:, None, None] * WIDTH
    q = tl.load(qkv + 3 * at + within, mask=mask, other=0.0).to(tl.float32)
    k = tl.load(qkv + 3 * at + WIDTH + within, mask=mask, other=0.0).to(tl.float32)
    v = tl.load(qkv + 3 * at + 2 * WIDTH + within, mask=mask, other=0.0)
    q = rms_normed(q, tl.load(query_weight + within, mask=mask, other=0.0), eps, WIDTH)
    k = rms_normed(k, tl.load(key_weight + within, mask=mask, other=0.0), eps, WIDTH)
    if SINK:
        into = (batch * HEADS + head) * sink_room + sink_start + token[:, None]
        kept = mask & (token < sink_tokens)[:, None, None]
        tl.store(sink_keys + into[:, :, None] * HEAD_DIM + channel, k.to(sink_keys.dtype.element_ty), mask=kept)

    angle_mask = here[:, None, None] & (channel < HEAD_DIM)
    angle = tl.load(table + token[:, None, None] * HEAD_DIM + channel, mask=angle_mask, other=0.0)
    cos, sin = tl.split(tl.reshape(angle, (ROWS, 1, HALF_BLOCK, 2)))
    q = turned(q, cos, sin, ROWS, HEADS_BLOCK, HALF_BLOCK)
    k = turned(k, cos, sin, ROWS, HEADS_BLOCK, HALF_BLOCK)
    tl.store(queries + at + within, q.to(queries.dtype.element_ty), mask=mask)
    slot = (batch * HEADS + head) * ring_tokens + tl.load(slots + token, mask=here, other=0)[:, None]
    into = slot[:, :, None] * HEAD_DIM + channel
    if SCALED:
        store_e4m3(k, mask, keys + into, key_scales + slot, heads_mask)
        store_e4m3(v.to(tl.float32), mask, values + into, value_scales + slot, heads_mask)
    else:
        if SATURATED:
            k = tl.minimum(tl.maximum(k, -448.0), 448.0)
            v = tl.minimum(tl.maximum(v.to(tl.float32), -448.0), 448.0)
        tl.store(keys + into, k.to(keys.dtype.element_ty), mask=mask)
        tl.store(values + into, v.to(values.dtype.element_ty), mask=mask)
