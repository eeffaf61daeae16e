# UCF101 by tools/dataset_converters/ucf101_pairs.py: pairs of frames and flow
# for the transfer.
_base_ = './paired_flow.py'

statistics = dict(rgb=_base_.caffe_imagenet, flow=_base_.flow_image)
files = dict(
    data_root='{{$MMXDISTILL_DATA:data}}/ucf101/',
    modalities=dict(
        rgb=dict(path='frames/{0}.png', pipeline=_base_.load_color),
        flow=dict(path='flow/{0}.png', pipeline=_base_.load_color),
    ),
)
pairs = dict(
    train=dict(ann_file='trainlist01.txt', **files),
    test=dict(ann_file='testlist01.txt', **files),
)
