# Starts from the RGB detector's weights.
_base_ = './fast_rcnn_caffenet-s_hha_random_600_synthetic.py'

load_from = 'work_dirs/fast_rcnn_caffenet-s_rgb_2k_synthetic/iter_2000.pth'
