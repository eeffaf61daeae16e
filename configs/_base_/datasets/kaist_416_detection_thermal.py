# Persons in 134 thermal frames of KAIST, by day, in another city: tests only.
_base_ = './roadscene_416_detection_thermal.py'

classes = ('person',)
persons = dict(dataset=dict(metainfo=dict(classes=classes)))
train_dataloader = persons
val_dataloader = persons
frames = dict(
    type='mmxdistill.PairedCocoDataset',
    metainfo=dict(classes=classes),
    data_root='{{$MMXDISTILL_DATA:data}}/rgbt_extra/',
    modalities=dict(
        thermal=dict(path='{file_name}', pipeline=_base_.load_thermal)
    ),
    ann_file='kaist_thermal134.json',
    **_base_.only,
    test_mode=True,
    pipeline=[_base_.resize, _base_.load_boxes, _base_.pack],
)
test_dataloader = dict(dataset=dict(_delete_=True, **frames))
