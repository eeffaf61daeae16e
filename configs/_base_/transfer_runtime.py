_base_ = './default_runtime.py'

custom_hooks = [
    dict(type='mmxdistill.IterationSeedHook'),
    dict(type='mmxdistill.TransferCalibrationHook', num_images=100),
]
# Layers of the student behind its last transfer point get no gradient.
find_unused_parameters = True
