"""Kinds of ops, by what they do to the numbers they read: the lists that several rooms share."""

from __future__ import annotations


def _kinds(text: str) -> frozenset[str]:
    return frozenset(text.split())


#: Ops that only rearrange: what comes out holds the same numbers.
VIEW_OPS = _kinds("Reshape Squeeze Unsqueeze Transpose Convert Identity")
#: Ops that take some positions of an axis.
SELECTING_OPS = _kinds("Split VariadicSplit Slice StridedSlice Gather")
#: Layers that mix channels or places by learned weights.
LEARNED_OPS = _kinds("Convolution GroupConvolution MatMul DeformableConvolution BinaryConvolution")
CONVOLUTIONS = _kinds(
    "Convolution GroupConvolution ConvolutionBackpropData GroupConvolutionBackpropData DeformableConvolution"
)
REDUCTIONS = _kinds("ReduceMean ReduceSum ReduceMax ReduceMin ReduceL1 ReduceL2 ReduceProd")
#: Ops that choose among scores or decode boxes; what follows them is a decision, not a score.
DECISION_OPS = _kinds(
    "TopK NonMaxSuppression MulticlassNms MatrixNms NMSRotated DetectionOutput Proposal NonZero "
    "ExperimentalDetectronDetectionOutput GenerateProposals Bucketize Unique RegionYolo"
)
#: Ops with a body of their own.
CONTROL_FLOW = _kinds("Loop TensorIterator If")
#: Ops that read features inside boxes.
REGION_OPS = _kinds(
    "ROIAlign ROIPooling PSROIPooling DeformablePSROIPooling ExperimentalDetectronROIFeatureExtractor ROIAlignRotated"
)
