# Starts from the student of the supervision transfer; the head is random.
_base_ = './fast_rcnn_squeezenet_thermal_copy_600_roadscene.py'

load_from = (
    'work_dirs/st_squeezenet_squeezenet_thermal_fire9_600_roadscene/'
    'iter_600.pth'
)
