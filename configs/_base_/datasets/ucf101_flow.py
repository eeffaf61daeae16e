# UCF101 by tools/dataset_converters/ucf101_pairs.py: frames and flow.
# The mean of a flow image is the level of no motion.
statistics = dict(
    rgb=dict(mean=[104.0, 117.0, 123.0]), flow=dict(mean=[128.0, 128.0, 128.0])
)
load = [dict(type='LoadImageFromFile')]
files = dict(
    data_root='{{$MMXDISTILL_DATA:data}}/ucf101/',
    modalities=dict(
        rgb=dict(path='frames/{0}.png', pipeline=load),
        flow=dict(path='flow/{0}.png', pipeline=load),
    ),
)
