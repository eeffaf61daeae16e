# Starts from the student of the supervision transfer; the head is random.
_base_ = './fast_rcnn_squeezenet_hha_copy_600_kitchen.py'

load_from = (
    'work_dirs/st_squeezenet_squeezenet_hha_fire9_600_kitchen/iter_600.pth'
)
