# Table 5: the detector for COCO, and the same on the layers that its transfer
# has taught to HHA. A transfer at pool5 stands for conv5, from which RoIs are
# pooled: its adaptation acts per cell.
trained = dict(
    detector='fast_rcnn/fast_rcnn_caffenet_rgb_280k_coco.py',
    checkpoint='work_dirs/fast_rcnn_caffenet_rgb_280k_coco/iter_280000.pth',
    classes=dict(
        bed='bed',
        chair='chair',
        sink='sink',
        sofa='couch',
        table='dining table',
        television='tv',
        toilet='toilet',
    ),
)
student = 'st_caffenet-coco_caffenet_hha_pool5_100k_nyud2-trainval'
zero_shot = dict(
    rgb=dict(type='mmxdistill.ClassSubsetDetector', **trained),
    hha=dict(
        type='mmxdistill.ZeroShotDetector',
        transfer=f'supervision_transfer/{student}.py',
        transfer_checkpoint=f'work_dirs/{student}/iter_100000.pth',
        features=['conv5'],
        **trained,
    ),
)
