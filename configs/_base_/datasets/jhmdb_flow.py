# JHMDB by tools/dataset_converters/jhmdb.py: 21 actions in frames and flow.
# The mean of a flow image is the level of no motion.
statistics = dict(
    rgb=dict(mean=[104.0, 117.0, 123.0]), flow=dict(mean=[128.0, 128.0, 128.0])
)
load = [dict(type='LoadImageFromFile')]
files = dict(
    data_root='{{$MMXDISTILL_DATA:data}}/jhmdb/',
    modalities=dict(
        rgb=dict(path='frames/{file_name}', pipeline=load),
        flow=dict(path='flow/{video}/{stem}.png', pipeline=load),
    ),
)
