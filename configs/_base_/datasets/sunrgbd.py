# SUN RGB-D with the 19 classes and the means of NYUD2, as docs/sunrgbd.md
# makes it.
means = dict(mean=[102.9801, 115.9465, 122.7717])
statistics = dict(rgb=means, hha=means)
load = [dict(type='LoadImageFromFile')]
files = dict(
    data_root='{{$MMXDISTILL_DATA:data}}/sunrgbd/',
    modalities=dict(
        rgb=dict(path='images/{stem}.jpg', pipeline=load),
        hha=dict(path='hha/{stem}.png', pipeline=load),
    ),
)
