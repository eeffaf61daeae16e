_base_ = [
    '../_base_/datasets/nyud2.py',
    '../_base_/schedules/sgd_40k.py',
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
            model='fast_rcnn/fast_rcnn_caffenet_rgb_40k_nyud2.py',
            checkpoint='work_dirs/fast_rcnn_caffenet_rgb_40k_nyud2/'
            'iter_40000.pth',
        ),
        hha=dict(
            model='fast_rcnn/fast_rcnn_caffenet_hha_st_40k_nyud2.py',
            checkpoint='work_dirs/fast_rcnn_caffenet_hha_st_40k_nyud2/'
            'iter_40000.pth',
        ),
    ),
)
train_dataloader = dict(
    sampler=dict(_delete_=True, **_base_.epochs),
    dataset=dict(type='ConcatDataset', datasets=_base_.detection.train),
)
val_dataloader = dict(dataset=_base_.detection.val)
test_dataloader = val_dataloader
