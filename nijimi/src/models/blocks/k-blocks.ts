/**
 * The levels of k-diffusion's image networks (Crowson 2022; the ×2 latent upscaler): norms whose scale and shift come
 * from the time embedding, attention without feed-forward, and resampling by the filter 1-3-3-1 on mirrored edges.
 *
 * Differs from the other levels in what goes up: a level reads the last state of its counterpart alone, and the
 * deepest level hands none over.
 */
import { multiplyDims, subtractDims } from "../../graph/dim.ts";
import {
  add,
  channelAffine,
  chunk,
  concat,
  groupNorm,
  reshape,
  slice,
  transpose,
} from "../../graph/ops.ts";
import type { Sym } from "../../graph/primitives.ts";
import { activation } from "../../nn/activations.ts";
import { conv2d, linear } from "../../nn/basic.ts";
import { firKernel, upFirDown } from "../../nn/fir.ts";
import { type Layer, module } from "../../nn/layer.ts";
import { attention } from "./attention.ts";
import type {
  DownBlockOptions,
  DownLayer,
  LevelContext,
  LevelOptions,
  UpBlockOptions,
  UpLayer,
} from "./unet-blocks.ts";

const DOWN = ["KDownBlock2D", "KCrossAttnDownBlock2D"];
const UP = ["KUpBlock2D", "KCrossAttnUpBlock2D"];

/** Channels of a group of the norms. */
const GROUP_SIZE = 32;
const TAPS = [1, 3, 3, 1];

/** True for diffusers' names of these levels. */
export const isKBlock = (name: string): boolean => DOWN.includes(name) || UP.includes(name);

const groupsOf = (channels: number): number => Math.max(1, Math.floor(channels / GROUP_SIZE));

/** Group norm with scale and shift by the time embedding. Parameters: linear. */
function adaptiveGroupNorm(
  tembChannels: number,
  channels: number,
  { groups = groupsOf(channels), eps = 1e-5 } = {},
): Layer<readonly [Sym, Sym], Sym> {
  return module({ linear: linear(tembChannels, 2 * channels) }, (m, x: Sym, temb: Sym) => {
    const [scale, shift] = chunk(m.linear(temb), 1, 2);
    return channelAffine(groupNorm(x, groups, undefined, undefined, { eps }), add(scale, 1), shift);
  });
}

/** Widths of a residual block: of the input, between its convolutions, and of the output. */
type Widths = readonly [inputs: number, inner: number, outputs: number];

function kResnet(
  [inputs, inner, outputs]: Widths,
  groupsOut: number,
  { tembChannels = 0, eps, actFn }: LevelOptions,
): Layer<readonly [Sym, Sym], Sym> {
  const act = activation(actFn);
  return module(
    {
      norm1: adaptiveGroupNorm(tembChannels, inputs, { eps }),
      conv1: conv2d(inputs, inner, 3, { padding: 1 }),
      norm2: adaptiveGroupNorm(tembChannels, inner, { groups: groupsOut, eps }),
      conv2: conv2d(inner, outputs, 3, { padding: 1 }),
      convShortcut: inputs === outputs ? undefined : conv2d(inputs, outputs, 1, { bias: false }),
    },
    (m, x: Sym, temb: Sym) => {
      const h = m.conv1(act(m.norm1(x, temb)));
      return add(m.convShortcut?.(x) ?? x, m.conv2(act(m.norm2(h, temb))));
    },
    { kind: "kResnet" },
  );
}

/** Self-attention where wanted, then cross-attention, each over pixels normalised by time. */
function kAttention(
  channels: number,
  { tembChannels = 0, attention: { headDim, crossAttentionDim } }: LevelOptions,
  withSelfAttention: boolean,
): Layer<readonly [Sym, LevelContext], Sym> {
  const common = {
    queryDim: channels,
    heads: Math.floor(channels / headDim),
    dimHead: headDim,
    bias: true,
  };
  return module(
    {
      norm1: withSelfAttention ? adaptiveGroupNorm(tembChannels, channels) : undefined,
      attn1: withSelfAttention ? attention(common) : undefined,
      norm2: adaptiveGroupNorm(tembChannels, channels),
      attn2: attention({ ...common, crossAttentionDim, crossAttentionNorm: "layer_norm" }),
    },
    (m, x: Sym, { temb, context, mask }: LevelContext) => {
      const time = temb as Sym;
      const [n, , height, width] = x.shape;
      const overTokens = (h: Sym, attend: (tokens: Sym) => Sym): Sym => {
        const tokens = reshape(transpose(h, [0, 2, 3, 1]), [
          n,
          multiplyDims(height, width),
          channels,
        ]);
        return transpose(reshape(attend(tokens), [n, height, width, channels]), [0, 3, 1, 2]);
      };
      const { norm1, attn1 } = m;
      const own =
        norm1 === undefined || attn1 === undefined
          ? x
          : add(
              x,
              overTokens(norm1(x, time), (h) => attn1(h)),
            );
      return add(
        own,
        overTokens(m.norm2(own, time), (h) => m.attn2(h, { context, mask })),
      );
    },
    { kind: "kAttention" },
  );
}

/** [N, C, H, W] with the pixel next to each edge repeated outside of it. */
function mirrored(x: Sym): Sym {
  return [2, 3].reduce((h, axis) => {
    const [beforeLast, last] = [2, 1].map((back) => subtractDims(h.shape[axis], back));
    return concat([slice(h, axis, 1, 2), h, slice(h, axis, beforeLast, last)], axis);
  }, x);
}

const halve = (x: Sym): Sym =>
  upFirDown(mirrored(x), firKernel(TAPS), { up: 1, down: 2, pad: [0, 0] });

const double = (x: Sym): Sym =>
  upFirDown(mirrored(x), firKernel(TAPS, 4), { up: 2, down: 1, pad: [0, -1] });

/** KDownBlock2D and KCrossAttnDownBlock2D, going down. */
export function kDownBlock(name: string, options: DownBlockOptions): DownLayer {
  const { inChannels, outChannels, layers, addDownsample } = options;
  const count = Array.from({ length: layers });
  return module(
    {
      resnets: count.map((_, i) =>
        kResnet(
          [i === 0 ? inChannels : outChannels, outChannels, outChannels],
          groupsOf(outChannels),
          options,
        ),
      ),
      attentions:
        name === "KDownBlock2D"
          ? undefined
          : count.map(() => kAttention(outChannels, options, !addDownsample)),
    },
    (m, x: Sym, { image, ...given }: LevelContext) => {
      let h = x;
      const states = m.resnets.map((resnet, i) => {
        h = resnet(h, given.temb as Sym);
        return (h = m.attentions?.[i](h, given) ?? h);
      });
      return { h: addDownsample ? halve(h) : h, states, image };
    },
    { kind: "kDownBlock" },
  );
}

/** KUpBlock2D and KCrossAttnUpBlock2D, going up; with a residual block less than `layers`. */
export function kUpBlock(name: string, options: UpBlockOptions): UpLayer {
  const { inChannels, outChannels, tembChannels, layers, addUpsample } = options;
  const withAttention = name === "KCrossAttnUpBlock2D";
  // As published: the deepest level, which gets no state, is known by its widths.
  const deepest = withAttention && inChannels === outChannels && outChannels === tembChannels;
  const count = Array.from({ length: layers - 1 });
  const widths = (i: number): Widths => {
    const inputs = i === 0 && !deepest ? 2 * outChannels : outChannels;
    if (i < layers - 2) return [inputs, outChannels, outChannels];
    return [inputs, withAttention ? outChannels : inChannels, inChannels];
  };
  return module(
    {
      resnets: count.map((_, i) => kResnet(widths(i), groupsOf(outChannels), options)),
      attentions: withAttention
        ? count.map((_, i) => kAttention(widths(i)[2], options, deepest))
        : undefined,
    },
    (m, x: Sym, skips: readonly Sym[], { image, ...given }: LevelContext) => {
      let h = deepest ? x : concat([x, skips[skips.length - 1]], 1);
      m.resnets.forEach((resnet, i) => {
        h = resnet(h, given.temb as Sym);
        h = m.attentions?.[i](h, given) ?? h;
      });
      return { h: addUpsample ? double(h) : h, image };
    },
    { kind: "kUpBlock" },
  );
}
