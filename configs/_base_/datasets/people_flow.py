# Persons in frames and in the flow to the next frame, at the size and with
# the padding of YOLOX-nano, which takes levels as they are. Flow by
# tools/dataset_converters/encode_flow.py (--scale 8: 16 levels a pixel
# saturate where the camera moves) and mot.py. Validation is on training
# videos: it fits the weights of the fusion, and no training runs it.
_base_ = './paired.py'

as_it_is = dict(mean=[0.0, 0.0, 0.0])
statistics = dict(rgb=as_it_is, flow=as_it_is)
data_preprocessor = dict(
    modalities=statistics, pad_size_divisor=32, pad_value=114
)
load = [dict(type='LoadImageFromFile')]
classes = ('person',)
root = '{{$MMXDISTILL_DATA:data}}/mot_flow_pairs/'
pairs = dict(
    data_root='',
    modalities=dict(
        rgb=dict(path=root + '{file_name}', pipeline=load),
        flow=dict(
            path='data/mot_flow_pairs/flow/{sequence}/{stem}.png',
            pipeline=load,
        ),
    ),
)
videos = dict(
    data_root='data/mot_person/',
    modalities=dict(
        rgb=dict(path='frames/{file_name}', pipeline=load),
        flow=dict(path='flow/{video}/{stem}.png', pipeline=load),
    ),
)
train_file = root + 'annotations_train.json'
test_file = root + 'annotations_test.json'
moving = [
    _base_.flip,
    dict(type='mmxdistill.FlipFlow'),
    dict(
        type='RandomResize',
        scale=(320, 320),
        ratio_range=(0.8, 1.1),
        keep_ratio=True,
    ),
    _base_.pack,
]
resize = dict(_delete_=True, type='Resize', scale=(320, 320), keep_ratio=True)
