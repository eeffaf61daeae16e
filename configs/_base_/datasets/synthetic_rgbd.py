# Generated rooms (tools/dataset_converters/make_synthetic_rgbd.py): labelled
# RGB images are plenty (split rgb), labelled depth images few (train),
# unlabelled pairs plenty (pairs).
data_root = 'data/synthetic_rgbd/'
# Networks trained from scratch want unit variance; Caffe's weights do not.
unit = dict(mean=[102.9801, 115.9465, 122.7717], std=[57.375, 57.12, 58.395])
statistics = dict(rgb=unit, hha=unit)
classes = ('box', 'chair', 'lamp', 'table', 'television')
load_rgb = [dict(type='LoadImageFromFile')]
load_hha = [
    dict(type='mmxdistill.LoadDepthFromFile', mask='raw_depth'),
    dict(type='mmxdistill.EncodeHHA', camera=data_root + 'camera.json'),
]
files = dict(
    data_root=data_root,
    modalities=dict(
        rgb=dict(path='color/{stem}.jpg', pipeline=load_rgb),
        hha=dict(path='depth/{stem}.png', pipeline=load_hha),
        raw_depth='depth_raw/{stem}.png',
    ),
)
