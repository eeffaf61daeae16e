# The classes of the rooms that COCO has, too.
_base_ = './synthetic_rgbd_detection.py'

classes = ('chair', 'table', 'television')
train_dataloader = dict(dataset=dict(metainfo=dict(classes=classes)))
val_dataloader = dict(dataset=dict(metainfo=dict(classes=classes)))
test_dataloader = val_dataloader
