# As fast_rcnn_caffenet_rgb_40k_nyud2.py, from the ImageNet VGG16.
_base_ = [
    '../_base_/datasets/nyud2.py',
    '../_base_/models/fast_rcnn_vgg16.py',
    '../_base_/schedules/sgd_40k.py',
    '../_base_/fast_rcnn_runtime.py',
]

model = dict(
    data_preprocessor=dict(modalities=dict(rgb=_base_.statistics.rgb))
)
load_from = 'checkpoints/vgg16.pth'
train_dataloader = dict(
    sampler=dict(_delete_=True, **_base_.epochs),
    dataset=dict(
        type='ConcatDataset',
        datasets=[
            dict(**part, use=['rgb']) for part in _base_.detection.train
        ],
    ),
)
val_dataloader = dict(dataset=dict(**_base_.detection.val, use=['rgb']))
test_dataloader = val_dataloader
