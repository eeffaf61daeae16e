# Table 5: the AlexNet of the detector for COCO teaches AlexNet.
_base_ = './st_caffenet_caffenet_hha_pool5_100k_nyud2.py'

model = dict(
    teacher_checkpoint='work_dirs/fast_rcnn_caffenet_rgb_280k_coco/'
    'iter_280000.pth'
)
train_dataloader = dict(dataset=dict(ann_file='pairs/trainval.txt'))
val_dataloader = dict(dataset=dict(ann_file='annotations_test.json'))
test_dataloader = val_dataloader
