"""PyTorch's side of the training-step bench: the same networks, AdamW, eager, the better of both layouts.

Usage: training_step.py NETWORK [contiguous|channels_last] [THREADS]
"""
import sys
import torch
from torch import nn
import torch.nn.functional as F

from serve import serve

torch.set_num_threads(int(sys.argv[3]) if len(sys.argv) > 3 else 2)
torch.manual_seed(0)
name, layout = sys.argv[1], (sys.argv[2] if len(sys.argv) > 2 else "contiguous")


class Block(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.norm1, self.conv1 = nn.GroupNorm(32, c), nn.Conv2d(c, c, 3, padding=1)
        self.norm2, self.conv2 = nn.GroupNorm(32, c), nn.Conv2d(c, c, 3, padding=1)

    def forward(self, x):
        return x + self.conv2(F.silu(self.norm2(self.conv1(F.silu(self.norm1(x))))))


if name.startswith("residual-"):
    batch, rest = name[len("residual-"):].split("x")
    channels, size = rest.split("@")
    net = nn.Sequential(*[Block(int(channels)) for _ in range(6)])
    shape = (int(batch), int(channels), int(size), int(size))
    call = lambda x, t: net(x)
else:
    from diffusers import UNet2DModel

    net = UNet2DModel(
        in_channels=3, out_channels=3, freq_shift=1, flip_sin_to_cos=False,
        down_block_types=("DownBlock2D", "AttnDownBlock2D", "DownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "UpBlock2D", "AttnUpBlock2D", "UpBlock2D"),
        block_out_channels=(128, 256, 256, 256), downsample_padding=0, attention_head_dim=None, norm_eps=1e-6,
    )
    shape = (8, 3, 32, 32)
    call = lambda x, t: net(x, t).sample

if layout == "channels_last":
    # torch 2.8's group norm crashes in its backward on channels-last tensors: it gets, and gives, contiguous ones,
    # and the convolutions around it, whose weights are channels-last, convert.
    contiguous = nn.GroupNorm.forward
    nn.GroupNorm.forward = lambda self, x: contiguous(self, x.contiguous())
    net = net.to(memory_format=torch.channels_last)
optimiser = torch.optim.AdamW(net.parameters(), lr=1e-4)
x, target = torch.randn(shape), torch.randn(shape)
t = torch.randint(0, 1000, (shape[0],)).float()
if layout == "channels_last":
    x, target = x.to(memory_format=torch.channels_last), target.to(memory_format=torch.channels_last)


def step():
    optimiser.zero_grad(set_to_none=True)
    F.mse_loss(call(x, t), target).backward()
    optimiser.step()


serve(step)
