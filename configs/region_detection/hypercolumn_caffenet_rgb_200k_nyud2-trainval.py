# Table 3: trained on trainval, tested on test.
_base_ = './hypercolumn_caffenet_rgb_200k_nyud2.py'

load_from = (
    'work_dirs/fast_rcnn_caffenet_rgb_40k_nyud2-trainval/iter_40000.pth'
)
train_dataloader = dict(
    dataset=dict(dataset=dict(ann_file='annotations_trainval.json'))
)
val_dataloader = dict(dataset=dict(ann_file='annotations_test.json'))
test_dataloader = val_dataloader
