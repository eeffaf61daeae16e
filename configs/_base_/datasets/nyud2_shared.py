# The classes of NYUD2 that COCO has, too; tested on test.
_base_ = './nyud2_detection.py'

classes = ('bed', 'chair', 'sink', 'sofa', 'table', 'television', 'toilet')
shared = dict(metainfo=dict(classes=classes))
train_dataloader = dict(
    dataset=dict(dataset=dict(ann_file='annotations_trainval.json', **shared))
)
val_dataloader = dict(dataset=dict(ann_file='annotations_test.json', **shared))
test_dataloader = val_dataloader
