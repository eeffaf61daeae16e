# Late fusion of detectors that score the same boxes. A stream without a
# checkpoint has the last one of the training of its config.
_base_ = './default_runtime.py'

model = dict(type='mmxdistill.LateFusionDetector')
