# Late fusion of detectors that score the same proposals. Leaves choose them.
model = dict(type='mmxdistill.LateFusionDetector')
