# Table 6: as 2D, trained on trainval, tested on test.
_base_ = './fast_rcnn_caffenet_hha_st-vgg16_40k_nyud2.py'

load_from = (
    'work_dirs/st_vgg16_caffenet_hha_pool5_150k_nyud2-trainval/iter_150000.pth'
)
train_dataloader = dict(
    dataset=dict(dataset=dict(ann_file='annotations_trainval.json'))
)
val_dataloader = dict(dataset=dict(ann_file='annotations_test.json'))
test_dataloader = val_dataloader
