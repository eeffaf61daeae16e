# Table 1, 2D: starts from the student of VGG16.
_base_ = './fast_rcnn_caffenet_hha_st_40k_nyud2.py'

load_from = 'work_dirs/st_vgg16_caffenet_hha_pool5_150k_nyud2/iter_150000.pth'
