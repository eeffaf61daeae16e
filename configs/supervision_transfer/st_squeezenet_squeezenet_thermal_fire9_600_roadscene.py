_base_ = [
    '../_base_/datasets/roadscene_rgbt_pairs.py',
    '../_base_/models/st_squeezenet_fire9.py',
    '../_base_/schedules/transfer_finetune_600.py',
    '../_base_/transfer_runtime.py',
]

model = dict(
    data_preprocessor=_base_.data_preprocessor,
    modalities=dict(teacher='rgb', student='thermal'),
)
