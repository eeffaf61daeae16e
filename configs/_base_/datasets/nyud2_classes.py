# What NYUD2 and SUN RGB-D share: the 19 classes of Gupta et al., and means.
_base_ = './paired.py'

# The authors' Caffe nets take the same B, G, R means for colour and HHA.
pixel_means = dict(mean=[102.9801, 115.9465, 122.7717])
statistics = dict(rgb=pixel_means, hha=pixel_means)
classes = (
    'bathtub',
    'bed',
    'bookshelf',
    'box',
    'chair',
    'counter',
    'desk',
    'door',
    'dresser',
    'garbage-bin',
    'lamp',
    'monitor',
    'night-stand',
    'pillow',
    'sink',
    'sofa',
    'table',
    'television',
    'toilet',
)
