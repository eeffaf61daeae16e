# Actions of UCF101 in flow: one box, the whole image.
_base_ = ['./ucf101_flow.py', './flow_detection.py']

data_preprocessor = dict(modalities=dict(flow=_base_.statistics.flow))
actions = dict(
    type='mmxdistill.UCF101Dataset',
    proposal_file=None,
    use=['flow'],
    **_base_.files,
)
train_dataloader = dict(
    batch_size=16, dataset=dict(ann_file='trainlist01.txt', **actions)
)
val_dataloader = dict(dataset=dict(ann_file='testlist01.txt', **actions))
test_dataloader = val_dataloader
