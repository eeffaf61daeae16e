# Table 6: as 2D, with the frames and the teacher of trainval, tested on test.
_base_ = './st_vgg16_caffenet_hha_pool5_150k_nyud2.py'

model = dict(
    teacher_checkpoint='work_dirs/fast_rcnn_vgg16_rgb_40k_nyud2-trainval/'
    'iter_40000.pth'
)
train_dataloader = dict(dataset=dict(ann_file='pairs/trainval.txt'))
val_dataloader = dict(dataset=dict(ann_file='annotations_test.json'))
test_dataloader = val_dataloader
