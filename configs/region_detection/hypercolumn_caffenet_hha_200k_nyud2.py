# fc7 + pool2 + conv4 on the HHA detector, in the geometry of the RGB stream as
# in the released SDS networks; the boxes are the detector's, in its own.
_base_ = [
    '../_base_/datasets/nyud2_regions_hha.py',
    '../_base_/models/hypercolumn_caffenet.py',
    '../_base_/schedules/hypercolumn_200k.py',
    '../_base_/default_runtime.py',
]

model = dict(
    data_preprocessor=_base_.data_preprocessor,
    backbone=dict(box_geometry='hha'),
)
load_from = 'work_dirs/fast_rcnn_caffenet_hha_st_40k_nyud2/iter_40000.pth'
