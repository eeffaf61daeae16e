# Table 6: copied from RGB, trained on trainval, tested on test.
_base_ = './fast_rcnn_caffenet_hha_copy_40k_nyud2.py'

train_dataloader = dict(
    dataset=dict(dataset=dict(ann_file='annotations_trainval.json'))
)
val_dataloader = dict(dataset=dict(ann_file='annotations_test.json'))
test_dataloader = val_dataloader
