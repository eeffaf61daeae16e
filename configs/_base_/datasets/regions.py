# Loaders for region detection: boxes, masks and proposals. Annotations stay in
# the original image, and nothing is mirrored. One class per training sample.
_base_ = './detection.py'

load_regions = dict(type='LoadAnnotations', with_bbox=True, with_mask=True)
train_dataloader = dict(
    batch_size=1,
    sampler=dict(_delete_=True, type='mmxdistill.ClassUniformSampler'),
    dataset=dict(_delete_=True, type='mmxdistill.ClassUniformDataset'),
)
val_evaluator = dict(_delete_=True, type='mmxdistill.RegionAPMetric')
test_evaluator = val_evaluator
