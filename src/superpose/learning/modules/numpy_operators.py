"""What allowed operators do, in NumPy, for serving without torch: a row per operator of `NUMPY_OPERATORS`.

Each function takes the operator's arguments as PyTorch does. One that cannot serve certain arguments (dropout that
drops) raises `NotInNumPy`, and torch runs the whole module instead. A test holds every row against torch.
"""

from __future__ import annotations

import itertools
import math
import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

__all__ = ["NUMPY_OPERATORS", "NotInNumPy"]

Array = NDArray[Any]
Function = Callable[..., Any]


class NotInNumPy(Exception):  # not an error: torch takes over
    """These arguments are left to torch."""


def _is_whole(value: Any) -> bool:
    return isinstance(value, bool | int) or (isinstance(value, np.ndarray) and value.dtype.kind in "iub")


def _plain(function: Function) -> Function:
    """A function of arrays that ignores where results are kept (device, layout, memory format)."""
    return lambda *args, **kwargs: function(*args, **{k: v for k, v in kwargs.items() if k not in _PLACES})


_PLACES = {"device", "layout", "pin_memory", "memory_format", "non_blocking", "copy"}


def _in_place(function: Function) -> Function:
    def changed(array: Array, *args: Any, **kwargs: Any) -> Array:
        np.copyto(array, function(array, *args, **kwargs))
        return array

    return changed


def _floating(function: Function) -> Function:
    """Whole numbers become float32 first, as PyTorch has it."""
    return lambda array, *rest: function(array.astype(np.float32) if _is_whole(array) else array, *rest)


def _promoted(function: Function) -> Function:
    """A function of two arrays that keeps the dtype of a floating one, where NumPy would widen it for whole numbers."""

    def paired(a: Any, b: Any, *rest: Any, **kwargs: Any) -> Any:
        if isinstance(a, np.ndarray) and isinstance(b, np.ndarray) and a.dtype is not b.dtype:
            if a.dtype.kind == "f" and b.dtype.kind in "iub":
                b = b.astype(a.dtype)
            elif b.dtype.kind == "f" and a.dtype.kind in "iub":
                a = a.astype(b.dtype)
        return function(a, b, *rest, **kwargs)

    return paired


def _add(a: Any, b: Any, alpha: float = 1) -> Any:
    return a + b if alpha == 1 else a + b * alpha


def _sub(a: Any, b: Any, alpha: float = 1) -> Any:
    return a - b if alpha == 1 else a - b * alpha


def _div(a: Any, b: Any) -> Any:
    return np.true_divide(a, b).astype(np.float32) if _is_whole(a) and _is_whole(b) else a / b


def _sigmoid(x: Array) -> Array:
    return np.asarray(1 / (1 + np.exp(-np.clip(x, -80, None))))


def _gelu(x: Array, approximate: str = "none") -> Array:
    if approximate == "tanh":
        return np.asarray(0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))))
    from scipy.special import erf

    return np.asarray(0.5 * x * (1 + erf(x * math.sqrt(0.5))))


def _elu(x: Array, alpha: float = 1.0, scale: float = 1.0, input_scale: float = 1.0) -> Array:
    return np.where(x > 0, scale * x, scale * alpha * np.expm1(np.minimum(x, 0) * input_scale)).astype(x.dtype)


def _softplus(x: Array, beta: float = 1.0, threshold: float = 20.0) -> Array:
    scaled = x * beta
    return np.where(scaled > threshold, x, np.log1p(np.exp(np.minimum(scaled, threshold))) / beta).astype(x.dtype)


def _softmax(x: Array, dim: int, dtype: Any = None) -> Array:
    x = x if dtype is None else x.astype(dtype)
    found = np.exp(x - x.max(axis=dim, keepdims=True))
    return np.asarray(found / found.sum(axis=dim, keepdims=True))


def _log_softmax(x: Array, dim: int, dtype: Any = None) -> Array:
    x = x if dtype is None else x.astype(dtype)
    x = x - x.max(axis=dim, keepdims=True)
    return np.asarray(x - np.log(np.exp(x).sum(axis=dim, keepdims=True)))


def _linear(x: Array, weight: Array, bias: Array | None = None) -> Array:
    found = x @ weight.T
    return found if bias is None else found + bias


def _addmm(bias: Array, a: Array, b: Array, beta: float = 1, alpha: float = 1) -> Array:
    return np.asarray(beta * bias + alpha * (a @ b))


def _layer_norm(
    x: Array, shape: Sequence[int], weight: Array | None = None, bias: Array | None = None, eps: float = 1e-5, *_: Any
) -> Array:
    axes = tuple(range(-len(shape), 0))
    centred = x - x.mean(axis=axes, keepdims=True)
    found = centred / np.sqrt((centred**2).mean(axis=axes, keepdims=True) + eps)
    found = found if weight is None else found * weight
    return np.asarray(found if bias is None else found + bias)


def _batch_norm(x: Array, weight: Any, bias: Any, mean: Any, variance: Any, training: bool, *rest: Any) -> Array:
    if training or mean is None:
        raise NotInNumPy
    shape = (1, -1, *([1] * (x.ndim - 2)))
    scale = 1 / np.sqrt(variance + rest[1])
    scale = scale if weight is None else scale * weight
    found = (x - mean.reshape(shape)) * scale.reshape(shape)
    return np.asarray((found if bias is None else found + bias.reshape(shape)).astype(x.dtype))


def _dropout(x: Array, p: float, train: bool) -> Array:
    if train:
        raise NotInNumPy
    return x


def _reshape(x: Array, shape: Sequence[int]) -> Array:
    return x.reshape([int(n) for n in shape])


def _flatten(x: Array, start: int = 0, end: int = -1) -> Array:
    start, end = start % x.ndim, end % x.ndim
    return x.reshape(*x.shape[:start], -1, *x.shape[end + 1 :])


def _unflatten(x: Array, dim: int, sizes: Sequence[int]) -> Array:
    dim %= x.ndim
    return x.reshape(*x.shape[:dim], *(int(n) for n in sizes), *x.shape[dim + 1 :])


def _squeeze(x: Array, dims: int | Sequence[int] | None = None) -> Array:
    if dims is None:
        return np.squeeze(x)
    wanted = [dims] if isinstance(dims, int) else dims
    return np.squeeze(x, axis=tuple(d for d in wanted if x.shape[d] == 1))


def _slice(x: Array, dim: int = 0, start: int | None = None, end: int | None = None, step: int = 1) -> Array:
    return np.asarray(x[(slice(None),) * (dim % x.ndim) + (slice(start, end, step),)])


def _select(x: Array, dim: int, index: int) -> Array:
    return np.asarray(np.take(x, index, axis=dim))


def _split(x: Array, size: int, dim: int = 0) -> list[Array]:
    return np.split(x, range(size, x.shape[dim], size), axis=dim)


def _split_sizes(x: Array, sizes: Sequence[int], dim: int = 0) -> list[Array]:
    return np.split(x, np.cumsum([int(n) for n in sizes])[:-1], axis=dim)


def _chunk(x: Array, n: int, dim: int = 0) -> list[Array]:
    return _split(x, -(-x.shape[dim] // n), dim)


def _expand(x: Array, sizes: Sequence[int], implicit: bool = False) -> Array:
    padded = (1,) * (len(sizes) - x.ndim) + x.shape
    return np.broadcast_to(x, [old if new == -1 else int(new) for new, old in zip(sizes, padded, strict=True)])


def _reduced(function: Function) -> Function:
    def reduce(x: Array, dim: Any = None, keepdim: bool = False, dtype: Any = None) -> Array:
        axis = (
            None if dim is None or (isinstance(dim, list) and not dim) else tuple(dim) if isinstance(dim, list) else dim
        )
        wide = x if dtype is None else x.astype(dtype)
        if wide.dtype.kind in "bi" and function is np.sum:
            wide = wide.astype(np.int64)
        return np.asarray(function(wide, axis=axis, keepdims=keepdim))

    return reduce


def _clamp(x: Array, low: Any = None, high: Any = None) -> Array:
    return np.asarray(np.clip(x, low, high))


def _pairs(value: Any, n: int) -> list[int]:
    given = list(value) if isinstance(value, list | tuple) else [value]
    return [int(v) for v in (given * n if len(given) == 1 else given)]


def _windows(x: Array, kernel: Sequence[int], stride: Sequence[int], dilation: Sequence[int]) -> Array:
    """``(batch, channels, *out, *kernel)`` views of the last ``len(kernel)`` axes."""
    n = len(kernel)
    spans = [(k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True)]
    view = sliding_window_view(x, spans, axis=tuple(range(-n, 0)))  # type: ignore[call-overload]  # takes a tuple too
    steps = tuple(slice(None, None, s) for s in stride)
    return np.asarray(view[(..., *steps, *(slice(None, None, d) for d in dilation))])


def _padded(x: Array, padding: Sequence[int], value: float) -> Array:
    if not any(padding):
        return x
    return np.pad(x, [(0, 0)] * (x.ndim - len(padding)) + [(p, p) for p in padding], constant_values=value)


def _pad(x: Array, padding: Sequence[int], mode: str = "constant", value: float | None = None) -> Array:
    """PyTorch's order: before and behind of the last axis, then of the one before it."""
    if mode != "constant" or min(padding, default=0) < 0:
        raise NotInNumPy
    around = [(int(a), int(b)) for a, b in zip(padding[::2], padding[1::2], strict=True)][::-1]
    return np.pad(x, [(0, 0)] * (x.ndim - len(around)) + around, constant_values=0 if value is None else value)


def _conv(n: int) -> Function:
    def convolve(  # PyTorch's own arguments
        x: Array, weight: Array, bias: Any = None, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1
    ) -> Array:
        if x.ndim != n + 2 or isinstance(padding, str):
            raise NotInNumPy
        padded = _padded(x, _pairs(padding, n), 0.0)
        views = _windows(padded, weight.shape[2:], _pairs(stride, n), _pairs(dilation, n))
        if groups == x.shape[1] == weight.shape[0] and groups > 1:  # each channel by itself: nothing to contract
            first: tuple[Any, ...] = (..., *[0] * n)
            found = np.zeros_like(views[first], np.result_type(x, weight))  # axes in memory as they come
            taps = weight.reshape(weight.shape[0], -1)  # (channels, places of the kernel)
            for tap, place in enumerate(itertools.product(*map(range, weight.shape[2:]))):
                at: tuple[Any, ...] = (..., *place)
                found += views[at] * taps[:, tap].reshape(1, -1, *([1] * n))
        else:
            axes = [1, *range(n + 2, 2 * n + 2)]
            own = zip(np.split(views, groups, axis=1), np.split(weight, groups), strict=True)
            parts = [np.tensordot(view, part, axes=(axes, [1, *range(2, n + 2)])) for view, part in own]
            found = np.moveaxis(np.concatenate(parts, axis=-1) if groups > 1 else parts[0], -1, 1)
        return found if bias is None else found + bias.reshape(1, -1, *([1] * n))

    return convolve


def _pool(n: int, reduce: Function, empty: float) -> Function:
    def pooled(x: Array, kernel: Any, stride: Any = None, padding: Any = 0, *rest: Any) -> Array:
        ceil = bool(rest[1] if reduce is np.max and len(rest) > 1 else rest[0] if rest and reduce is np.mean else False)
        dilation = rest[0] if reduce is np.max and rest else 1
        pads, size = _pairs(padding, n), _pairs(kernel, n)
        if ceil or (reduce is np.mean and any(pads)):
            raise NotInNumPy
        step = size if stride is None or stride == [] else _pairs(stride, n)
        views = _windows(_padded(x, pads, empty), size, step, _pairs(dilation, n))
        return np.asarray(reduce(views, axis=tuple(range(-n, 0))))

    return pooled


def _adaptive(n: int) -> Function:
    def pooled(x: Array, sizes: Any) -> Array:
        wanted = _pairs(sizes, n)
        blocks = [size // out for size, out in zip(x.shape[-n:], wanted, strict=True)]
        if any(size % out for size, out in zip(x.shape[-n:], wanted, strict=True)):
            raise NotInNumPy
        return np.asarray(_windows(x, blocks, blocks, [1] * n).mean(axis=tuple(range(-n, 0))))

    return pooled


def _arange(*bounds: Any, dtype: Any = None) -> Array:
    whole = all(isinstance(b, int) for b in bounds)
    return np.arange(*bounds, dtype=dtype or (np.int64 if whole else np.float32))


def _filled(value: float) -> Function:
    return lambda shape, dtype=None: np.full([int(n) for n in shape], value, dtype=dtype or np.float32)


def _full(shape: Sequence[int], value: Any, dtype: Any = None) -> Array:
    kind = dtype or (bool if isinstance(value, bool) else np.int64 if isinstance(value, int) else np.float32)
    return np.full([int(n) for n in shape], value, dtype=kind)


def _to(x: Array, dtype: Any = None, *_: Any) -> Array:
    return x if dtype is None else x.astype(dtype, copy=False)


def _where(condition: Array, a: Any, b: Any) -> Array:
    return np.where(condition, a, b)


_SAME: Function = lambda x, *_: x  # noqa: E731  # a name for it

_ELEMENTWISE: Mapping[str, Function] = {
    "abs": np.abs,
    "neg": operator.neg,
    "exp": _floating(np.exp),
    "expm1": _floating(np.expm1),
    "log": _floating(np.log),
    "log1p": _floating(np.log1p),
    "log2": _floating(np.log2),
    "log10": _floating(np.log10),
    "sin": _floating(np.sin),
    "cos": _floating(np.cos),
    "tan": _floating(np.tan),
    "asin": _floating(np.arcsin),
    "acos": _floating(np.arccos),
    "atan": _floating(np.arctan),
    "sinh": _floating(np.sinh),
    "cosh": _floating(np.cosh),
    "tanh": _floating(np.tanh),
    "sqrt": _floating(np.sqrt),
    "rsqrt": _floating(lambda x: 1 / np.sqrt(x)),
    "square": np.square,
    "reciprocal": _floating(lambda x: 1 / x),
    "floor": np.floor,
    "ceil": np.ceil,
    "trunc": np.trunc,
    "sign": np.sign,
    "relu": lambda x: np.maximum(x, 0),
    "relu6": lambda x: np.clip(x, 0, 6),
    "sigmoid": _floating(_sigmoid),
    "silu": lambda x: x * _sigmoid(x),
    "mish": lambda x: x * np.tanh(_softplus(x)),
    "hardsigmoid": lambda x: np.clip(x / 6 + 0.5, 0, 1),
    "hardswish": lambda x: x * np.clip(x / 6 + 0.5, 0, 1),
    "selu": lambda x: _elu(x, 1.6732632423543772, 1.0507009873554805),
    "clone": np.copy,
    "contiguous": np.ascontiguousarray,
    "detach": _SAME,
    "alias": _SAME,
    "logical_not": np.logical_not,
    "isnan": np.isnan,
    "isfinite": np.isfinite,
}

_IN_PLACE = ("relu", "relu6", "sigmoid", "silu", "mish", "hardswish", "selu", "tanh")

_PAIRWISE: Mapping[str, Function] = {
    "add": _add,
    "sub": _sub,
    "mul": operator.mul,
    "div": _div,
    "eq": operator.eq,
    "ne": operator.ne,
    "lt": operator.lt,
    "le": operator.le,
    "gt": operator.gt,
    "ge": operator.ge,
}

_OTHERS: Mapping[str, Function] = {
    "pow.Tensor_Scalar": np.power,
    "pow.Tensor_Tensor": np.power,
    "maximum.default": np.maximum,
    "minimum.default": np.minimum,
    "clamp.default": _clamp,
    "clamp_min.default": _clamp,
    "hardtanh.default": lambda x, low=-1.0, high=1.0: np.clip(x, low, high),
    "leaky_relu.default": lambda x, slope=0.01: np.where(x > 0, x, x * slope).astype(x.dtype),
    "elu.default": _elu,
    "celu.default": lambda x, alpha=1.0: _elu(x, alpha, 1.0, 1.0 / alpha),
    "gelu.default": _gelu,
    "softplus.default": _softplus,
    "softmax.int": _softmax,
    "log_softmax.int": _log_softmax,
    "where.self": _where,
    "logical_and.default": np.logical_and,
    "logical_or.default": np.logical_or,
    "masked_fill.Scalar": lambda x, mask, value: np.where(mask, np.asarray(value, x.dtype), x),
    "linear.default": _linear,
    "addmm.default": _addmm,
    "atan2.default": np.arctan2,
    "mm.default": operator.matmul,
    "mv.default": operator.matmul,
    "bmm.default": operator.matmul,
    "matmul.default": operator.matmul,
    "dot.default": operator.matmul,
    "outer.default": np.outer,
    "einsum.default": lambda equation, arrays, **_: np.einsum(equation, *arrays, optimize=True),
    "layer_norm.default": _layer_norm,
    "batch_norm.default": _batch_norm,
    "dropout.default": _dropout,
    "reshape.default": _reshape,
    "view.default": _reshape,
    "flatten.using_ints": _flatten,
    "unflatten.int": _unflatten,
    "unsqueeze.default": np.expand_dims,
    "squeeze.default": _squeeze,
    "squeeze.dim": _squeeze,
    "squeeze.dims": _squeeze,
    "transpose.int": np.swapaxes,
    "permute.default": np.transpose,
    "t.default": np.transpose,
    "cat.default": lambda arrays, dim=0: np.concatenate(arrays, axis=dim),
    "stack.default": lambda arrays, dim=0: np.stack(arrays, axis=dim),
    "split.Tensor": _split,
    "split_with_sizes.default": _split_sizes,
    "chunk.default": _chunk,
    "unbind.int": lambda x, dim=0: list(np.moveaxis(x, dim, 0)),
    "select.int": _select,
    "slice.Tensor": _slice,
    "index_select.default": lambda x, dim, index: np.take(x, index, axis=dim),
    "flip.default": lambda x, dims: np.flip(x, tuple(dims)),
    "expand.default": _expand,
    "repeat.default": lambda x, times: np.tile(x, [int(n) for n in times]),
    "sum.default": _reduced(np.sum),
    "sum.dim_IntList": _reduced(np.sum),
    "mean.default": _reduced(np.mean),
    "mean.dim": _reduced(np.mean),
    "amax.default": _reduced(np.max),
    "amin.default": _reduced(np.min),
    "prod.default": _reduced(np.prod),
    "prod.dim_int": _reduced(np.prod),
    "cumsum.default": lambda x, dim: np.cumsum(x, axis=dim),
    "conv1d.default": _conv(1),
    "conv2d.default": _conv(2),
    "pad.default": _pad,
    "constant_pad_nd.default": lambda x, padding, value=0: _pad(x, padding, value=value),
    "max_pool1d.default": _pool(1, np.max, -math.inf),
    "max_pool2d.default": _pool(2, np.max, -math.inf),
    "avg_pool1d.default": _pool(1, np.mean, 0.0),
    "avg_pool2d.default": _pool(2, np.mean, 0.0),
    "adaptive_avg_pool1d.default": _adaptive(1),
    "adaptive_avg_pool2d.default": _adaptive(2),
    "embedding.default": lambda weight, index, *_: weight[index],
    "arange.default": _arange,
    "arange.start": _arange,
    "arange.start_step": _arange,
    "zeros.default": _filled(0.0),
    "ones.default": _filled(1.0),
    "full.default": _full,
    "zeros_like.default": lambda x, dtype=None: np.zeros_like(x, dtype=dtype),
    "ones_like.default": lambda x, dtype=None: np.ones_like(x, dtype=dtype),
    "to.dtype": _to,
    "to.dtype_layout": lambda x, dtype=None: _to(x, dtype),
    "type_as.default": lambda x, other: x.astype(other.dtype, copy=False),
    "sym_size.int": lambda x, dim: int(x.shape[dim]),
    "lift_fresh_copy.default": np.copy,
    "_assert_tensor_metadata.default": lambda *_, **__: None,
}

NUMPY_OPERATORS: Mapping[str, Function] = {
    **{f"aten.{name}.default": _plain(function) for name, function in _ELEMENTWISE.items()},
    **{f"aten.{name}_.default": _plain(_in_place(_ELEMENTWISE[name])) for name in _IN_PLACE},
    **{
        f"aten.{name}.{kind}": _promoted(function)
        for name, function in _PAIRWISE.items()
        for kind in ("Tensor", "Scalar")
    },
    **{
        f"aten.{name}_.{kind}": _in_place(_PAIRWISE[name])
        for name in ("add", "sub", "mul", "div")
        for kind in ("Tensor", "Scalar")
    },
    **{f"aten.{name}": _plain(function) for name, function in _OTHERS.items()},
    **{
        f"python.{name}": getattr(operator, name) for name in ("add", "sub", "mul", "floordiv", "mod", "neg", "getitem")
    },
}
"""Operators that NumPy serves, by name."""
