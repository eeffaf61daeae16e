# NYU Depth v2 with the 19 classes of Gupta et al., as docs/nyud2.md makes it.
# The authors' Caffe nets take the same B, G, R means for colour and HHA.
means = dict(mean=[102.9801, 115.9465, 122.7717])
statistics = dict(rgb=means, hha=means)
data_root = '{{$MMXDISTILL_DATA:data}}/nyud2/'
load = [dict(type='LoadImageFromFile')]
images = dict(
    rgb=dict(path='images/{stem}.png', pipeline=load),
    hha=dict(path='hha/{stem}.png', pipeline=load),
)
