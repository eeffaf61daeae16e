# Table 6: as 3D, trained on trainval, tested on test.
_base_ = './fusion_caffenet_rgb-hha_nyud2.py'

rgb = 'fast_rcnn/fast_rcnn_caffenet_rgb_40k_nyud2-trainval.py'
hha = 'fast_rcnn/fast_rcnn_caffenet_hha_st-vgg16_40k_nyud2-trainval.py'
model = dict(streams=dict(rgb=dict(model=rgb), hha=dict(model=hha)))
train_dataloader = dict(
    dataset=dict(dataset=dict(ann_file='annotations_trainval.json'))
)
val_dataloader = dict(dataset=dict(ann_file='annotations_test.json'))
test_dataloader = val_dataloader
