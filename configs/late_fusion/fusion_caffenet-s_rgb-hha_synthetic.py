_base_ = [
    '../_base_/datasets/synthetic_rgbd.py',
    '../_base_/schedules/adamw_2k.py',
    '../_base_/default_runtime.py',
]

model = dict(
    type='mmxdistill.LateFusionDetector',
    data_preprocessor=dict(
        type='mmxdistill.MultiModalDataPreprocessor',
        modalities=_base_.statistics,
    ),
    streams=dict(
        rgb=dict(
            model='fast_rcnn/fast_rcnn_caffenet-s_rgb_2k_synthetic.py',
            checkpoint='work_dirs/fast_rcnn_caffenet-s_rgb_2k_synthetic/'
            'iter_2000.pth',
        ),
        hha=dict(
            model='fast_rcnn/fast_rcnn_caffenet-s_hha_st_300_synthetic.py',
            checkpoint='work_dirs/fast_rcnn_caffenet-s_hha_st_300_synthetic/'
            'iter_300.pth',
        ),
    ),
)
both = ['rgb', 'hha']
train_dataloader = dict(dataset=dict(**_base_.detection.train, use=both))
val_dataloader = dict(dataset=dict(**_base_.detection.test, use=both))
test_dataloader = val_dataloader
