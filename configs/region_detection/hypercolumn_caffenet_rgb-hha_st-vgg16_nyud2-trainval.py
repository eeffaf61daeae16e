# Table 3: both, trained on trainval, tested on test.
_base_ = './hypercolumn_caffenet_rgb-hha_nyud2.py'

rgb = 'region_detection/hypercolumn_caffenet_rgb_200k_nyud2-trainval.py'
hha = (
    'region_detection/hypercolumn_caffenet_hha_st-vgg16_200k_nyud2-trainval.py'
)
model = dict(streams=dict(rgb=dict(model=rgb), hha=dict(model=hha)))
train_dataloader = dict(
    dataset=dict(dataset=dict(ann_file='annotations_trainval.json'))
)
val_dataloader = dict(dataset=dict(ann_file='annotations_test.json'))
test_dataloader = val_dataloader
