# As zero_shot_caffenet.py: no depth image of these has a label.
trained = dict(
    detector='fast_rcnn/fast_rcnn_caffenet-s_rgb_2k_synthetic.py',
    checkpoint='work_dirs/fast_rcnn_caffenet-s_rgb_2k_synthetic/iter_2000.pth',
    classes=('chair', 'table', 'television'),
)
student = 'st_caffenet-s_caffenet-s_hha_pool5_2k_synthetic'
zero_shot = dict(
    rgb=dict(type='mmxdistill.ClassSubsetDetector', **trained),
    hha=dict(
        type='mmxdistill.ZeroShotDetector',
        transfer=f'supervision_transfer/{student}.py',
        transfer_checkpoint=f'work_dirs/{student}/iter_2000.pth',
        features=['conv5'],
        **trained,
    ),
)
