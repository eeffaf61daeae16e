"""Hooks."""

from mmxdistill.engine.hooks.box_normalization import (
    BoxTargetNormalizationHook,
)
from mmxdistill.engine.hooks.fusion_weights import FusionWeightsHook
from mmxdistill.engine.hooks.iteration_seed import IterationSeedHook
from mmxdistill.engine.hooks.teacher_cache import TeacherCacheHook
from mmxdistill.engine.hooks.transfer_calibration import (
    TransferCalibrationHook,
)
from mmxdistill.engine.hooks.transfer_visualization import (
    TransferVisualizationHook,
)

__all__ = [
    'BoxTargetNormalizationHook',
    'FusionWeightsHook',
    'IterationSeedHook',
    'TeacherCacheHook',
    'TransferCalibrationHook',
    'TransferVisualizationHook',
]
