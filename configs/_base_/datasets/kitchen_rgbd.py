# 7-Scenes red kitchen with boxes of five NYUD2 classes: one room, one camera
# sweep, so an end-to-end demonstration, not a benchmark. The depth is
# registered but has holes.
_base_ = './paired.py'

statistics = dict(rgb=_base_.caffe_imagenet, hha=_base_.caffe_imagenet)
load_hha = [
    dict(type='mmxdistill.LoadDepthFromFile'),
    dict(type='mmxdistill.FillDepth'),
    dict(type='mmxdistill.EncodeHHA', camera='kitchen'),
]
classes = ('box', 'chair', 'counter', 'table', 'television')
files = dict(
    data_root='{{$MMXDISTILL_DATA:data}}/kitchen_rgbd/',
    metainfo=dict(classes=classes),
    modalities=dict(
        rgb=dict(path='color/{stem}.jpg', pipeline=_base_.load_color),
        hha=dict(path='depth/{stem}.png', pipeline=load_hha),
    ),
)
boxes = dict(**files, proposal_file='data/kitchen_rgbd/proposals.pkl')
pairs = dict(train=files, test=files)
detection = dict(train=boxes, test=boxes)
