"""Kinds of ops, by what they do to the numbers they read: the lists that several rooms share."""

from __future__ import annotations


def _kinds(text: str) -> frozenset[str]:
    return frozenset(text.split())


#: Ops that give a number for every number they read.
UNARY_OPS = _kinds(
    "Abs Acos Acosh Asin Asinh Atan Atanh Ceiling Clamp Convert Cos Cosh Elu Erf Exp Floor Gelu HSigmoid HSwish "
    "HardSigmoid Identity IsFinite IsInf IsNaN Log LogicalNot Mish Negative Relu Round Selu Sigmoid Sign Sin Sinh "
    "SoftPlus SoftSign Sqrt Swish Tan Tanh"
)
#: Ops that combine numbers of several tensors, broadcast to each other.
ARITHMETIC_OPS = _kinds(
    "Add Divide FakeQuantize FloorMod Maximum Minimum Mod Multiply PRelu Power SquaredDifference Subtract"
)
#: The same, with a truth value as the result or as a choice.
COMPARING_OPS = _kinds("Equal Greater GreaterEqual Less LessEqual LogicalAnd LogicalOr LogicalXor NotEqual Select")
#: Ops that give the same numbers another shape.
RESHAPING_OPS = _kinds("Reshape Squeeze Unsqueeze")
#: The same, or another order of axes.
REARRANGING_OPS = RESHAPING_OPS | _kinds("Transpose")
#: Ops after which the same numbers are there, maybe of another type.
VIEW_OPS = REARRANGING_OPS | _kinds("Convert Identity")
#: Ops that take some positions of an axis.
SELECTING_OPS = _kinds("Split VariadicSplit Slice StridedSlice Gather")
#: Layers that mix channels or places by learned weights.
LEARNED_OPS = _kinds("Convolution GroupConvolution MatMul DeformableConvolution BinaryConvolution")
CONVOLUTIONS = _kinds(
    "Convolution GroupConvolution ConvolutionBackpropData GroupConvolutionBackpropData DeformableConvolution"
)
#: Ops that summarise windows of places, channel by channel.
POOLING_OPS = _kinds("AvgPool MaxPool AdaptiveAvgPool AdaptiveMaxPool")
REDUCTIONS = _kinds("ReduceMean ReduceSum ReduceMax ReduceMin ReduceL1 ReduceL2 ReduceProd")
#: Ops that choose among scores or decode boxes; what follows them is a decision, not a score.
DECISION_OPS = _kinds(
    "TopK NonMaxSuppression MulticlassNms MatrixNms NMSRotated DetectionOutput Proposal NonZero "
    "ExperimentalDetectronDetectionOutput GenerateProposals Bucketize Unique RegionYolo"
)
#: Ops that round activations to the levels of a smaller type.
ROUNDING_OPS = _kinds("FakeQuantize FakeConvert")
#: Ops with a body of their own.
CONTROL_FLOW = _kinds("Loop TensorIterator If")
#: Ops that read features inside boxes.
REGION_OPS = _kinds(
    "ROIAlign ROIPooling PSROIPooling DeformablePSROIPooling ExperimentalDetectronROIFeatureExtractor ROIAlignRotated"
)
