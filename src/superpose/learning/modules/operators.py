"""The operators that an exported module may use; others are refused when a module is exported and when one is read.

All of them compute on their arguments and nothing else: none reads files, memory that was not written, or code.
In-place forms act on tensors that the same run made, or on buffers such as a batch norm's running mean.
"""

from __future__ import annotations

__all__ = ["OPERATORS", "QUANTUM_LAYER", "SCALAR_OPERATORS"]

QUANTUM_LAYER = "superpose.quantum_layer.default"
"""``(inputs, weights, layer, gradient_method)``: expectations of a circuit; see the file ``quantum.py`` beside this."""

SCALAR_OPERATORS = frozenset({"add", "sub", "mul", "floordiv", "mod", "neg", "getitem"})
"""Python's own operators on whole numbers, which sizes are worked out with, and on tuples of results."""

_ELEMENTWISE = """
abs.default add.Tensor add.Scalar add_.Tensor add_.Scalar addcdiv.default addcmul.default atan.default atan2.default
ceil.default clamp.default clamp.Tensor clamp_min.default clamp_max.default clone.default contiguous.default
cos.default cosh.default acos.default asin.default sinh.default asinh.default acosh.default atanh.default
detach.default detach_.default alias.default div.Tensor div.Scalar div.Tensor_mode div.Scalar_mode div_.Tensor
div_.Scalar erf.default
exp.default exp2.default expm1.default floor.default fmod.Tensor fmod.Scalar lerp.Tensor lerp.Scalar log.default
log10.default log1p.default log2.default maximum.default minimum.default mul.Tensor mul.Scalar mul_.Tensor mul_.Scalar
neg.default pow.Tensor_Scalar pow.Tensor_Tensor pow.Scalar reciprocal.default remainder.Tensor remainder.Scalar
round.default rsqrt.default rsub.Scalar rsub.Tensor sign.default sgn.default sin.default sinc.default sqrt.default
square.default sub.Tensor sub.Scalar sub_.Tensor sub_.Scalar tan.default tanh.default tanh_.default trunc.default
true_divide.Tensor true_divide.Scalar where.self where.ScalarSelf where.ScalarOther where.Scalar nan_to_num.default
eq.Tensor eq.Scalar ne.Tensor ne.Scalar lt.Tensor lt.Scalar le.Tensor le.Scalar gt.Tensor gt.Scalar ge.Tensor ge.Scalar
logical_and.default logical_or.default logical_not.default logical_xor.default bitwise_and.Tensor bitwise_or.Tensor
bitwise_not.default isnan.default isfinite.default isinf.default masked_fill.Scalar masked_fill.Tensor
masked_fill_.Scalar
to.dtype to.dtype_layout to.device _to_copy.default type_as.default
"""

_ACTIVATIONS = """
celu.default elu.default elu_.default gelu.default glu.default hardshrink.default hardsigmoid.default hardswish.default
hardswish_.default hardtanh.default hardtanh_.default leaky_relu.default leaky_relu_.default log_sigmoid.default
log_softmax.int mish.default mish_.default prelu.default relu.default relu_.default relu6.default relu6_.default
selu.default selu_.default sigmoid.default sigmoid_.default silu.default silu_.default softmax.int softplus.default
softshrink.default threshold.default threshold_.default
"""

_SHAPES = """
broadcast_to.default cat.default chunk.default concat.default diagonal.default expand.default expand_as.default
flatten.using_ints flip.default gather.default index.Tensor index_select.default movedim.int movedim.intlist
narrow.default numpy_T.default permute.default pad.default constant_pad_nd.default pixel_shuffle.default
pixel_unshuffle.default
repeat.default repeat_interleave.self_int reshape.default roll.default scatter.src scatter.value select.int
slice.Tensor split.Tensor split.sizes split_with_sizes.default squeeze.default squeeze.dim squeeze.dims stack.default
swapaxes.default t.default take_along_dim.default tile.default transpose.int tril.default triu.default
unbind.int unflatten.int unfold.default unsqueeze.default view.default view_as.default hstack.default vstack.default
sym_size.int meshgrid.indexing
"""

_REDUCTIONS = """
all.default all.dim amax.default amin.default any.default any.dim argmax.default argmin.default cumprod.default
cumsum.default
logsumexp.default max.default max.dim mean.default mean.dim min.default min.dim norm.ScalarOpt_dim norm.Scalar
linalg_vector_norm.default prod.default prod.dim_int sort.default std.correction std.dim std.default sum.default
sum.dim_IntList topk.default
var.correction var.dim var.default var_mean.correction
"""

_LAYERS = """
adaptive_avg_pool1d.default adaptive_avg_pool2d.default adaptive_max_pool1d.default adaptive_max_pool2d.default
addmm.default addmv.default avg_pool1d.default avg_pool2d.default baddbmm.default batch_norm.default bilinear.default
bmm.default
conv1d.default conv1d.padding conv2d.default conv2d.padding conv3d.default conv_transpose1d.default
conv_transpose2d.input cosine_similarity.default dot.default dropout.default dropout_.default feature_dropout.default
alpha_dropout.default einsum.default
embedding.default group_norm.default gru.input im2col.default instance_norm.default layer_norm.default linear.default
lstm.input matmul.default max_pool1d.default max_pool2d.default mm.default mv.default outer.default
pairwise_distance.default pdist.default cdist.default
rms_norm.default rnn_relu.input rnn_tanh.input scaled_dot_product_attention.default upsample_nearest2d.vec
upsample_bilinear2d.vec
"""

_NEW_TENSORS = """
arange.default arange.start arange.start_step eye.default eye.m full.default full_like.default linspace.default
new_full.default new_ones.default new_zeros.default one_hot.default ones.default ones_like.default scalar_tensor.default
zeros.default zeros_like.default lift_fresh_copy.default
"""

_CHANCE = "bernoulli.default rand.default rand_like.default randn.default randn_like.default"

_CHECKS = "_assert_tensor_metadata.default"

OPERATORS = frozenset(
    f"aten.{name}"
    for group in (_ELEMENTWISE, _ACTIVATIONS, _SHAPES, _REDUCTIONS, _LAYERS, _NEW_TENSORS, _CHANCE, _CHECKS)
    for name in group.split()
) | {QUANTUM_LAYER}
"""PyTorch operators by ``namespace.name.overload``, and ours."""
