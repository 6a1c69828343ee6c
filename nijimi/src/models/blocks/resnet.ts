/**
 * Residual blocks and resampling of the U-Nets and autoencoders, as diffusers names them.
 *
 * DDPM (arXiv:2006.11239) appendix B; scale-shift conditioning and residual up/downsampling from Improved DDPM and
 * ADM (arXiv:2105.05233); FIR resampling and 1/√2 skips from NCSN++ (arXiv:2011.13456).
 */
import type { Dim } from "../../graph/dim.ts";
import {
  add,
  averagePool2d,
  chunk,
  conv2d as conv2dOp,
  convTranspose2d,
  div,
  flip,
  mul,
  reshape,
  transpose,
} from "../../graph/ops.ts";
import type { Sym } from "../../graph/primitives.ts";
import { activation } from "../../nn/activations.ts";
import { conv2d, groupNorm, linear } from "../../nn/basic.ts";
import { firDownsample, firKernel, firUpsample, upFirDown } from "../../nn/fir.ts";
import type { Layer } from "../../nn/layer.ts";
import { module } from "../../nn/layer.ts";
import { interpolate } from "../../nn/resize.ts";
import { NijimiError } from "../../errors.ts";

/** The FIR filter of NCSN++. */
const FIR_TAPS = [1, 3, 3, 1];

/** Options of {@link resnetBlock}; names are diffusers' ResnetBlock2D's. */
export interface ResnetOptions {
  readonly inChannels: number;
  /** @default inChannels */
  readonly outChannels?: number;
  /** Width of the time embedding; undefined for blocks without time (autoencoders). */
  readonly tembChannels?: number;
  /** @default 32 */
  readonly groups?: number;
  /** @default groups */
  readonly groupsOut?: number;
  /** @default 1e-6 */
  readonly eps?: number;
  /** @default "swish" */
  readonly actFn?: string;
  /** How time enters: added, or as scale and shift of the second norm. @default "default" */
  readonly timeEmbeddingNorm?: string;
  /** The time embedding comes activated already. @default false */
  readonly skipTimeAct?: boolean;
  /** The sum is divided by this. @default 1 */
  readonly outputScaleFactor?: number;
  readonly up?: boolean;
  readonly down?: boolean;
  /** Resampling inside the block: FIR, plain, or (undefined) nearest and average. */
  readonly kernel?: "fir" | "sde_vp";
  /** A 1×1 convolution on the skip even when channels agree. @default channels differ */
  readonly useInShortcut?: boolean;
  /** @default true */
  readonly shortcutBias?: boolean;
  /** Channels of the second convolution. @default outChannels */
  readonly conv2Channels?: number;
}

/** Norm, activation, convolution, twice, plus the input: (x [N, C, H, W], temb [N, T]) → [N, O, H', W']. */
export function resnetBlock({
  inChannels,
  outChannels = inChannels,
  tembChannels,
  groups = 32,
  groupsOut = groups,
  eps = 1e-6,
  actFn = "swish",
  timeEmbeddingNorm = "default",
  skipTimeAct = false,
  outputScaleFactor = 1,
  up = false,
  down = false,
  kernel,
  conv2Channels = outChannels,
  useInShortcut = inChannels !== conv2Channels,
  shortcutBias = true,
}: ResnetOptions): Layer<readonly [Sym, Sym?], Sym> {
  if (timeEmbeddingNorm !== "default" && timeEmbeddingNorm !== "scale_shift")
    throw new NijimiError(
      "unsupported",
      `Residual block: time conditioning "${timeEmbeddingNorm}"; accepted: default, scale_shift.`,
    );
  const scaleShift = timeEmbeddingNorm === "scale_shift";
  const act = activation(actFn);
  const resample = up ? upsamplePlain(kernel) : down ? downsamplePlain(kernel) : (x: Sym): Sym => x;
  return module(
    {
      norm1: groupNorm(groups, inChannels, { eps }),
      conv1: conv2d(inChannels, outChannels, 3, { padding: 1 }),
      timeEmbProj:
        tembChannels === undefined
          ? undefined
          : linear(tembChannels, scaleShift ? 2 * outChannels : outChannels),
      norm2: groupNorm(groupsOut, outChannels, { eps }),
      conv2: conv2d(outChannels, conv2Channels, 3, { padding: 1 }),
      convShortcut: useInShortcut
        ? conv2d(inChannels, conv2Channels, 1, { bias: shortcutBias })
        : undefined,
    },
    (m, x: Sym, temb?: Sym) => {
      let h = m.conv1(resample(act(m.norm1(x))));
      const skip = resample(x);
      const time =
        m.timeEmbProj === undefined || temb === undefined
          ? undefined
          : perChannel(m.timeEmbProj(skipTimeAct ? temb : act(temb)));
      if (time !== undefined && scaleShift) {
        const [scale, shift] = chunk(time, 1, 2);
        h = add(mul(m.norm2(h), add(scale, 1)), shift);
      } else h = m.norm2(time === undefined ? h : add(h, time));
      h = m.conv2(act(h));
      const sum = add(m.convShortcut === undefined ? skip : m.convShortcut(skip), h);
      return outputScaleFactor === 1 ? sum : div(sum, outputScaleFactor);
    },
    { kind: "resnetBlock" },
  );
}

/** [N, C] as [N, C, 1, 1]. */
export function perChannel(x: Sym): Sym {
  return reshape(x, [x.shape[0], x.shape[1], 1, 1]);
}

function upsamplePlain(kernel: "fir" | "sde_vp" | undefined): (x: Sym) => Sym {
  return kernel === "fir"
    ? (x) => firUpsample(x, FIR_TAPS)
    : (x) => interpolate(x, { scaleFactor: 2 });
}

function downsamplePlain(kernel: "fir" | "sde_vp" | undefined): (x: Sym) => Sym {
  return kernel === "fir" ? (x) => firDownsample(x, FIR_TAPS) : (x) => averagePool2d(x, 2);
}

/** Options of {@link downsample2d}. */
export interface DownsampleOptions {
  /** Convolution with stride 2 instead of averaging. @default false */
  readonly useConv?: boolean;
  /** @default channels */
  readonly outChannels?: number;
  /** 0 pads right and below only, as DDPM and the autoencoders do. @default 1 */
  readonly padding?: number;
  /** @default 3 */
  readonly kernel?: number;
  /** @default true */
  readonly bias?: boolean;
}

/** Half the size, by convolution or average. Parameters: conv. */
export function downsample2d(
  channels: number,
  {
    useConv = false,
    outChannels = channels,
    padding = 1,
    kernel = 3,
    bias = true,
  }: DownsampleOptions = {},
): Layer<readonly [Sym], Sym> {
  const geometry = { stride: 2, padding: padding === 0 ? ([0, 0, 1, 1] as const) : padding, bias };
  return module(
    { conv: useConv ? conv2d(channels, outChannels, kernel, geometry) : undefined },
    (m, x: Sym) => (m.conv === undefined ? averagePool2d(x, 2) : m.conv(x)),
  );
}

/** Options of {@link upsample2d}. */
export interface UpsampleOptions {
  /** A convolution after the enlargement. @default false */
  readonly useConv?: boolean;
  /** @default channels */
  readonly outChannels?: number;
  /** @default 3 */
  readonly kernel?: number;
  /** @default true */
  readonly bias?: boolean;
  /** Enlarge at all. @default true */
  readonly interpolate?: boolean;
}

/** Nearest-neighbour enlargement, to twice the size or to a given one, then a convolution if wanted. Parameters: conv. */
export function upsample2d(
  channels: number,
  {
    useConv = false,
    outChannels = channels,
    kernel = 3,
    bias = true,
    interpolate: enlarge = true,
  }: UpsampleOptions = {},
): Layer<readonly [Sym, (readonly [Dim, Dim])?], Sym> {
  return module(
    { conv: useConv ? conv2d(channels, outChannels, kernel, { padding: 1, bias }) : undefined },
    (m, x: Sym, size?: readonly [Dim, Dim]) => {
      const target = size === undefined ? { scaleFactor: 2 } : { size };
      const large = enlarge ? interpolate(x, target) : x;
      return m.conv === undefined ? large : m.conv(large);
    },
  );
}

/** Options of the FIR resamplers. */
export interface FirOptions {
  /** @default channels */
  readonly outChannels?: number;
  /** @default false */
  readonly useConv?: boolean;
  /** @default [1, 3, 3, 1] */
  readonly taps?: readonly number[];
}

/** Weight and bias that a fused convolution reads itself. */
function firParameters(channels: number, outChannels: number) {
  const { weight, bias } = conv2d(channels, outChannels, 3).parameters;
  return { weight, bias };
}

/** FIR filter and half the size, with a 3×3 convolution in one if wanted. Parameters: Conv2d_0. */
export function firDownsample2d(
  channels: number,
  { outChannels = channels, useConv = false, taps = FIR_TAPS }: FirOptions = {},
): Layer<readonly [Sym], Sym> {
  if (!useConv) return module({}, (_, x: Sym) => firDownsample(x, taps));
  return module(
    { Conv2d_0: firParameters(channels, outChannels) },
    ({ Conv2d_0: conv }, x: Sym) => {
      const kernel = firKernel(taps);
      const p = kernel.size; // (size − factor) + (convolution's size − 1)
      const filtered = upFirDown(x, kernel, {
        up: 1,
        down: 1,
        pad: [Math.floor((p + 1) / 2), Math.floor(p / 2)],
      });
      return conv2dOp(filtered, conv.weight, conv.bias, { stride: 2 });
    },
  );
}

/** Twice the size and FIR filter, with a 3×3 convolution in one if wanted. Parameters: Conv2d_0. */
export function firUpsample2d(
  channels: number,
  { outChannels = channels, useConv = false, taps = FIR_TAPS }: FirOptions = {},
): Layer<readonly [Sym], Sym> {
  if (!useConv) return module({}, (_, x: Sym) => firUpsample(x, taps));
  return module(
    { Conv2d_0: firParameters(channels, outChannels) },
    ({ Conv2d_0: conv }, x: Sym) => {
      // The transposed convolution enlarges; its kernel is the convolution's, turned around.
      const turned = flip(flip(transpose(conv.weight, [1, 0, 2, 3]), 2), 3);
      const large = convTranspose2d(x, turned, undefined, { stride: 2 });
      const p = firKernel(taps).size - 2 - 2; // (size − factor) − (convolution's size − 1)
      const filtered = upFirDown(large, firKernel(taps, 4), {
        up: 1,
        down: 1,
        pad: [Math.floor((p + 1) / 2) + 1, Math.floor(p / 2) + 1],
      });
      return add(filtered, reshape(conv.bias, [1, -1, 1, 1]));
    },
  );
}
