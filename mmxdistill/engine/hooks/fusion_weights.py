"""Fits the weights of a late fusion before it is tested."""

from __future__ import annotations

from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmxdistill.evaluation.fusion_weights import (
    fit_fusion_weights,
    labelled_batches,
)
from mmxdistill.registry import HOOKS

__all__ = ['FusionWeightsHook']


@HOOKS.register_module()
class FusionWeightsHook(Hook):
    """Fit one weight per stream on ``val_dataloader`` before every test.

    What ``tools/analysis_tools/fit_fusion_weights.py`` prints, in the same
    run as the test, so that the weights need not be copied into the config.

    Args:
        steps (int): Weights are tried in steps of 1 / steps. Defaults to 10.
    """

    def __init__(self, steps: int = 10) -> None:
        self.steps = steps

    def before_test(self, runner: Runner) -> None:
        """Fit, report, and use the weights.

        Args:
            runner (Runner): Has a :class:`LateFusionDetector`, and a
                ``val_dataloader`` that is not that of the test.

        Raises:
            ValueError: Validation is on the test set.
        """
        cfg = runner.cfg
        if cfg.val_dataloader.dataset == cfg.test_dataloader.dataset:
            raise ValueError(
                'FusionWeightsHook: val_dataloader and test_dataloader read '
                'the same data set; give the weights another one to fit to'
            )
        model = getattr(runner.model, 'module', runner.model)
        loader = runner.build_dataloader(cfg.val_dataloader)
        fit = fit_fusion_weights(model, labelled_batches(loader), self.steps)
        runner.logger.info(f'weights fitted to the validation set:\n{fit}')
        model.weights = model.make_weights(fit.weights)
