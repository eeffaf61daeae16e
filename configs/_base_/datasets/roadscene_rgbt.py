# Aligned visible and thermal road scenes with FLIR's boxes; the 113 pairs
# without labels join the transfer.
_base_ = './paired.py'

statistics = dict(rgb=_base_.caffe_imagenet, thermal=_base_.caffe_imagenet)
load_thermal = [dict(type='mmxdistill.LoadGrayImageFromFile')]
files = dict(
    data_root='{{$MMXDISTILL_DATA:data}}/roadscene_rgbt/',
    metainfo=dict(classes=('person', 'bike', 'car')),
    modalities=dict(
        rgb=dict(path='visible/{stem}.jpg', pipeline=_base_.load_color),
        thermal=dict(path='thermal/{stem}.jpg', pipeline=load_thermal),
    ),
)
boxes = dict(**files, proposal_file='data/roadscene_rgbt/proposals.pkl')
both = ['annotations_train.json', 'unlabelled.txt']
pairs = dict(train=dict(ann_file=both, **files), test=files)
detection = dict(train=boxes, test=boxes)
