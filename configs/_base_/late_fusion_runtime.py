# Late fusion of detectors that score the same boxes. A stream without a
# checkpoint has the last one of the training of its config.
# An empty backbone is what mmdet's init_detector asks every config for.
_base_ = './default_runtime.py'

model = dict(type='mmxdistill.LateFusionDetector', backbone=dict())
