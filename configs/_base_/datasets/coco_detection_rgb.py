# COCO 2014, colour only, as in Fast R-CNN: shorter side 600 pixels, proposals
# of selective search.
_base_ = './detection.py'

statistics = dict(rgb=dict(mean=[102.9801, 115.9465, 122.7717]))
data_preprocessor = dict(modalities=statistics)
load = [dict(type='LoadImageFromFile')]
data_root = '{{$MMXDISTILL_DATA:data}}/coco/'
resize = dict(type='mmxdistill.CaffeResize', scale=600, max_size=1000)
train_dataloader = dict(
    dataset=dict(
        data_root=data_root,
        ann_file='annotations/instances_train2014.json',
        proposal_file='proposals_train2014.pkl',
        modalities=dict(rgb=dict(path='train2014/{file_name}', pipeline=load)),
        pipeline=[
            _base_.load_proposals,
            _base_.load_boxes,
            dict(
                type='mmxdistill.FastProposalBroadcaster',
                transforms=[_base_.flip, resize],
            ),
            _base_.pack,
        ],
    )
)
val_dataloader = dict(
    dataset=dict(
        data_root=data_root,
        ann_file='annotations/instances_val2014.json',
        proposal_file='proposals_val2014.pkl',
        modalities=dict(rgb=dict(path='val2014/{file_name}', pipeline=load)),
        pipeline=[
            _base_.load_proposals,
            dict(
                type='mmxdistill.FastProposalBroadcaster', transforms=[resize]
            ),
            _base_.load_boxes,
            _base_.pack,
        ],
    )
)
test_dataloader = val_dataloader
