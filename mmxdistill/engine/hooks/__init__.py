"""Hooks."""

from mmxdistill.engine.hooks.iteration_seed import IterationSeedHook
from mmxdistill.engine.hooks.transfer_calibration import (
    TransferCalibrationHook,
)

__all__ = ['IterationSeedHook', 'TransferCalibrationHook']
