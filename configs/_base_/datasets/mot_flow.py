# MOTChallenge sequences by tools/dataset_converters/mot.py: persons in frames
# and flow.
_base_ = './paired_flow.py'

statistics = dict(rgb=_base_.caffe_imagenet, flow=_base_.flow_image)
files = dict(
    data_root='{{$MMXDISTILL_DATA:data}}/mot/',
    metainfo=dict(classes=('person',)),
    modalities=dict(
        rgb=dict(path='frames/{file_name}', pipeline=_base_.load_color),
        flow=dict(path='flow/{video}/{stem}.png', pipeline=_base_.load_color),
    ),
)
boxes = dict(**files, proposal_file='proposals.pkl')
pairs = dict(train=files, test=files)
detection = dict(train=boxes, test=boxes)
