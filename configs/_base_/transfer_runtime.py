_base_ = './default_runtime.py'

custom_hooks = [
    dict(type='mmxdistill.IterationSeedHook'),
    dict(type='mmxdistill.TransferCalibrationHook', num_images=100),
    # Does nothing without model.teacher_cache.
    dict(type='mmxdistill.TeacherCacheHook'),
]
