# Table 6: as 3D, trained on trainval, tested on test.
_base_ = './fusion_caffenet_rgb-hha_nyud2.py'

model = dict(
    streams=dict(
        rgb=dict(
            model='fast_rcnn/fast_rcnn_caffenet_rgb_40k_nyud2-trainval.py',
            checkpoint='work_dirs/fast_rcnn_caffenet_rgb_40k_nyud2-trainval/'
            'iter_40000.pth',
        ),
        hha=dict(
            model='fast_rcnn/fast_rcnn_caffenet_hha_st-vgg16_40k_nyud2-trainval.py',
            checkpoint='work_dirs/fast_rcnn_caffenet_hha_st-vgg16_40k_nyud2-trainval/'
            'iter_40000.pth',
        ),
    )
)
train_dataloader = dict(
    dataset=dict(dataset=dict(ann_file='annotations_trainval.json'))
)
val_dataloader = dict(dataset=dict(ann_file='annotations_test.json'))
test_dataloader = val_dataloader
