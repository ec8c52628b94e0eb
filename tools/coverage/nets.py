"""Networks that torchvision lacks: for small images, and with structures of detectors
and segmentation nets that its own do not have."""
import torch
from torch import nn
from torchvision.models import MobileNetV2
from torchvision.ops import DeformConv2d


class BasicBlock(nn.Module):
    def __init__(self, inner, width, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inner, width, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.shortcut = nn.Identity()
        if stride != 1 or inner != width:
            self.shortcut = nn.Sequential(
                nn.Conv2d(inner, width, 1, stride, bias=False), nn.BatchNorm2d(width)
            )

    def forward(self, x):
        y = torch.relu(self.bn1(self.conv1(x)))
        return torch.relu(self.bn2(self.conv2(y)) + self.shortcut(x))


class ResNet20(nn.Module):
    """He et al., CVPR 2016, section 4.2, with 1x1 convolutions as shortcuts."""

    def __init__(self, num_classes=10):
        super().__init__()
        self.conv = nn.Conv2d(3, 16, 3, 1, 1, bias=False)
        self.bn = nn.BatchNorm2d(16)
        blocks, inner = [], 16
        for width, stride in ((16, 1), (32, 2), (64, 2)):
            for block in range(3):
                blocks.append(BasicBlock(inner, width, stride if block == 0 else 1))
                inner = width
        self.blocks = nn.Sequential(*blocks)
        self.fc = nn.Linear(64, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x):
        x = self.blocks(torch.relu(self.bn(self.conv(x))))
        return self.fc(x.mean((2, 3)))


def mobilenet_v2_32(num_classes=10):
    """torchvision's MobileNetV2 without its first two reductions, for 32x32 pixels."""
    settings = [
        [1, 16, 1, 1],
        [6, 24, 2, 1],
        [6, 32, 3, 2],
        [6, 64, 4, 2],
        [6, 96, 3, 1],
        [6, 160, 3, 2],
        [6, 320, 1, 1],
    ]
    model = MobileNetV2(num_classes=num_classes, inverted_residual_setting=settings)
    model.features[0][0].stride = (1, 1)
    return model


def conv_bn(inner, width, size=3, stride=1, act=nn.ReLU):
    return nn.Sequential(
        nn.Conv2d(inner, width, size, stride, size // 2, bias=False),
        nn.BatchNorm2d(width),
        act(),
    )


class UNet(nn.Module):
    """Ronneberger et al., MICCAI 2015: transposed convolutions up, joined with the way down."""

    def __init__(self, widths=(32, 64, 128, 256), num_classes=4):
        super().__init__()
        double = lambda a, b: nn.Sequential(conv_bn(a, b), conv_bn(b, b))
        self.down = nn.ModuleList()
        inner = 3
        for width in widths:
            self.down.append(double(inner, width))
            inner = width
        self.pool = nn.MaxPool2d(2)
        self.up, self.merge = nn.ModuleList(), nn.ModuleList()
        for width in reversed(widths[:-1]):
            self.up.append(nn.ConvTranspose2d(inner, width, 2, 2))
            self.merge.append(double(2 * width, width))
            inner = width
        self.head = nn.Conv2d(inner, num_classes, 1)

    def forward(self, x):
        kept = []
        for index, block in enumerate(self.down):
            x = block(self.pool(x) if index else x)
            kept.append(x)
        kept.pop()
        for up, merge in zip(self.up, self.merge):
            x = merge(torch.cat([up(x), kept.pop()], 1))
        return self.head(x)


class C2f(nn.Module):
    """Split in halves, bottlenecks on the last, everything joined (as in YOLOv8)."""

    def __init__(self, inner, width, blocks, shortcut=True):
        super().__init__()
        self.half = width // 2
        self.first = conv_bn(inner, width, 1, act=nn.SiLU)
        self.blocks = nn.ModuleList(
            nn.Sequential(
                conv_bn(self.half, self.half, act=nn.SiLU), conv_bn(self.half, self.half, act=nn.SiLU)
            )
            for _ in range(blocks)
        )
        self.last = conv_bn((2 + blocks) * self.half, width, 1, act=nn.SiLU)
        self.shortcut = shortcut

    def forward(self, x):
        parts = list(self.first(x).chunk(2, 1))
        for block in self.blocks:
            y = block(parts[-1])
            parts.append(parts[-1] + y if self.shortcut else y)
        return self.last(torch.cat(parts, 1))


class SPPF(nn.Module):
    """Pooling at growing sizes, joined."""

    def __init__(self, inner, width):
        super().__init__()
        self.first = conv_bn(inner, inner // 2, 1, act=nn.SiLU)
        self.pool = nn.MaxPool2d(5, 1, 2)
        self.last = conv_bn(inner * 2, width, 1, act=nn.SiLU)

    def forward(self, x):
        parts = [self.first(x)]
        for _ in range(3):
            parts.append(self.pool(parts[-1]))
        return self.last(torch.cat(parts, 1))


class Yolo(nn.Module):
    """A detector in the manner of YOLOv8 (nano): concatenations, splits, SiLU, nearest
    upsampling, three heads joined over their pixels, distribution of box sides."""

    def __init__(self, num_classes=80, bins=16):
        super().__init__()
        silu = dict(act=nn.SiLU)
        self.stem = conv_bn(3, 16, 3, 2, **silu)
        self.p2 = nn.Sequential(conv_bn(16, 32, 3, 2, **silu), C2f(32, 32, 1))
        self.p3 = nn.Sequential(conv_bn(32, 64, 3, 2, **silu), C2f(64, 64, 2))
        self.p4 = nn.Sequential(conv_bn(64, 128, 3, 2, **silu), C2f(128, 128, 2))
        self.p5 = nn.Sequential(conv_bn(128, 256, 3, 2, **silu), C2f(256, 256, 1), SPPF(256, 256))
        self.up = nn.Upsample(scale_factor=2, mode="nearest")
        self.n4 = C2f(384, 128, 1, False)
        self.n3 = C2f(192, 64, 1, False)
        self.d3 = conv_bn(64, 64, 3, 2, **silu)
        self.n4b = C2f(192, 128, 1, False)
        self.d4 = conv_bn(128, 128, 3, 2, **silu)
        self.n5b = C2f(384, 256, 1, False)
        head = lambda inner, width, out: nn.Sequential(
            conv_bn(inner, width, **silu), conv_bn(width, width, **silu), nn.Conv2d(width, out, 1)
        )
        self.boxes = nn.ModuleList(head(w, 64, 4 * bins) for w in (64, 128, 256))
        self.classes = nn.ModuleList(head(w, 80, num_classes) for w in (64, 128, 256))
        self.bins, self.num_classes = bins, num_classes
        self.dfl = nn.Conv2d(bins, 1, 1, bias=False)
        self.dfl.weight.data[:] = torch.arange(bins, dtype=torch.float32).view(1, bins, 1, 1)

    def forward(self, x):
        p3 = self.p3(self.p2(self.stem(x)))
        p4 = self.p4(p3)
        p5 = self.p5(p4)
        n4 = self.n4(torch.cat([self.up(p5), p4], 1))
        n3 = self.n3(torch.cat([self.up(n4), p3], 1))
        n4 = self.n4b(torch.cat([self.d3(n3), n4], 1))
        n5 = self.n5b(torch.cat([self.d4(n4), p5], 1))
        parts = [
            torch.cat([box(n), cls(n)], 1).flatten(2)
            for n, box, cls in zip((n3, n4, n5), self.boxes, self.classes)
        ]
        box, cls = torch.cat(parts, 2).split([4 * self.bins, self.num_classes], 1)
        n, _, a = box.shape
        box = box.view(n, 4, self.bins, a).transpose(1, 2).softmax(1)
        return torch.cat([self.dfl(box).view(n, 4, a), cls.sigmoid()], 1)


class CRNN(nn.Module):
    """Shi et al., PAMI 2017: convolutions, columns as a sequence, two recurrent layers."""

    def __init__(self, recurrent=nn.LSTM, hidden=128, num_classes=37):
        super().__init__()
        pool = lambda *size: nn.MaxPool2d(size, size)
        self.features = nn.Sequential(
            conv_bn(3, 32), pool(2, 2), conv_bn(32, 64), pool(2, 2), conv_bn(64, 128), conv_bn(128, 128), pool(2, 1),
            conv_bn(128, 256), pool(2, 1), nn.Conv2d(256, 256, (2, 1)), nn.ReLU(),
        )
        self.recurrent = recurrent(256, hidden, 2, bidirectional=True)
        self.head = nn.Linear(2 * hidden, num_classes)

    def forward(self, x):
        x, _ = self.recurrent(self.features(x).squeeze(2).permute(2, 0, 1))
        return self.head(x)


class PaddedUNet(UNet):
    """The U-Net that many projects copy: what comes up is padded to the size of the skip."""

    def forward(self, x):
        kept = []
        for index, block in enumerate(self.down):
            x = block(self.pool(x) if index else x)
            kept.append(x)
        kept.pop()
        for up, merge in zip(self.up, self.merge):
            x, skip = up(x), kept.pop()
            high, wide = skip.size(2) - x.size(2), skip.size(3) - x.size(3)
            x = nn.functional.pad(x, [wide // 2, wide - wide // 2, high // 2, high - high // 2])
            x = merge(torch.cat([skip, x], 1))
        return self.head(x)


class Style(nn.Module):
    """Johnson et al., ECCV 2016: reflection padding, instance norms, nearest upsampling."""

    def __init__(self, widths=(32, 64, 128), blocks=3):
        super().__init__()
        a, b, c = widths
        norm = lambda width: nn.InstanceNorm2d(width, affine=True)
        layer = lambda i, o, size, stride=1: nn.Sequential(
            nn.ReflectionPad2d(size // 2), nn.Conv2d(i, o, size, stride), norm(o)
        )
        self.down = nn.Sequential(layer(3, a, 9), nn.ReLU(), layer(a, b, 3, 2), nn.ReLU(), layer(b, c, 3, 2), nn.ReLU())
        self.blocks = nn.ModuleList(nn.Sequential(layer(c, c, 3), nn.ReLU(), layer(c, c, 3)) for _ in range(blocks))
        up = nn.Upsample(scale_factor=2, mode="nearest")
        self.up = nn.Sequential(up, layer(c, b, 3), nn.ReLU(), up, layer(b, a, 3), nn.ReLU())
        self.last = nn.Sequential(nn.ReflectionPad2d(4), nn.Conv2d(a, 3, 9))

    def forward(self, x):
        x = self.down(x)
        for block in self.blocks:
            x = x + block(x)
        return self.last(self.up(x))


class SpatialTransformer(nn.Module):
    """Jaderberg et al., NeurIPS 2015: a small net says from where the image is sampled."""

    def __init__(self, num_classes=10):
        super().__init__()
        self.place = nn.Sequential(conv_bn(3, 8, 7, 2), conv_bn(8, 10, 5, 2), nn.AdaptiveAvgPool2d(4))
        self.affine = nn.Sequential(nn.Linear(160, 32), nn.ReLU(), nn.Linear(32, 6))
        self.features = nn.Sequential(conv_bn(3, 32), conv_bn(32, 64, stride=2), conv_bn(64, 64, stride=2))
        self.fc = nn.Linear(64, num_classes)

    def forward(self, x):
        theta = self.affine(self.place(x).flatten(1)).view(-1, 2, 3)
        grid = nn.functional.affine_grid(theta, x.size(), align_corners=False)
        x = nn.functional.grid_sample(x, grid, align_corners=False)
        return self.fc(self.features(x).mean((2, 3)))


class Warped(nn.Module):
    """Features sampled along a flow that the net computes itself (as in optical flow)."""

    def __init__(self, width=32):
        super().__init__()
        self.features = nn.Sequential(conv_bn(3, width), conv_bn(width, width))
        self.flow = nn.Sequential(conv_bn(width, width), nn.Conv2d(width, 2, 3, padding=1), nn.Tanh())
        self.last = nn.Sequential(conv_bn(2 * width, width), nn.Conv2d(width, 3, 1))

    def forward(self, x):
        x = self.features(x)
        warped = nn.functional.grid_sample(x, self.flow(x).permute(0, 2, 3, 1), align_corners=False)
        return self.last(torch.cat([x, warped], 1))


class Deformable(nn.Module):
    """Zhu et al., CVPR 2019: convolutions whose windows offsets move and a mask weighs."""

    def __init__(self, width=32, num_classes=10):
        super().__init__()
        self.stem = nn.Sequential(conv_bn(3, width, stride=2), conv_bn(width, width))
        self.offsets = nn.Conv2d(width, 18, 3, padding=1)
        self.mask = nn.Conv2d(width, 9, 3, padding=1)
        self.conv = DeformConv2d(width, 2 * width, 3, padding=1)
        self.last = conv_bn(2 * width, 2 * width)
        self.fc = nn.Linear(2 * width, num_classes)

    def forward(self, x):
        x = self.stem(x)
        x = self.conv(x, self.offsets(x), torch.sigmoid(self.mask(x)))
        return self.fc(self.last(torch.relu(x)).mean((2, 3)))


class StandardConv2d(nn.Conv2d):
    """Qiao et al., 2019: every kernel is standardised before it is applied."""

    def forward(self, x):
        mean = self.weight.mean((1, 2, 3), keepdim=True)
        deviation = self.weight.var((1, 2, 3), keepdim=True, unbiased=False).add(1e-5).sqrt()
        weight = (self.weight - mean) / deviation * 0.1
        return nn.functional.conv2d(x, weight, self.bias, self.stride, self.padding, self.dilation, self.groups)


def standardised_resnet20():
    """ResNet-20 with standardised weights and group norms."""
    model = ResNet20()
    for module in list(model.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, nn.Conv2d) and child.in_channels > 3:
                bias, size = child.bias is not None, child.kernel_size
                conv = StandardConv2d(child.in_channels, child.out_channels, size, child.stride, child.padding, bias=bias)
                setattr(module, name, conv)
            elif isinstance(child, nn.BatchNorm2d):
                setattr(module, name, nn.GroupNorm(8, child.num_features))
    return model


class Branching(nn.Module):
    """Large and small images go through layers of their own: an If with layers in its branches."""

    def __init__(self, num_classes=10):
        super().__init__()
        self.stem = conv_bn(3, 32)
        self.large = nn.Sequential(conv_bn(32, 64, stride=2), conv_bn(64, 64, stride=2))
        self.small = nn.Sequential(conv_bn(32, 48), conv_bn(48, 64))
        self.fc = nn.Linear(64, num_classes)

    def forward(self, x):
        x = self.stem(x)
        if bool(x.mean() > 0.0):
            x = self.large(x)
        else:
            x = self.small(x)
        return self.fc(x.mean((2, 3)))
