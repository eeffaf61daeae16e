# Table 3: on the HHA detector of Table 6, as released.
_base_ = './hypercolumn_caffenet_hha_200k_nyud2.py'

load_from = (
    'work_dirs/fast_rcnn_caffenet_hha_st-vgg16_40k_nyud2-trainval/'
    'iter_40000.pth'
)
train_dataloader = dict(
    dataset=dict(dataset=dict(ann_file='annotations_trainval.json'))
)
val_dataloader = dict(dataset=dict(ann_file='annotations_test.json'))
test_dataloader = val_dataloader
