# Late fusion whose weights are fitted to the validation set before the test.
_base_ = './late_fusion_runtime.py'

custom_hooks = [dict(type='mmxdistill.FusionWeightsHook')]
