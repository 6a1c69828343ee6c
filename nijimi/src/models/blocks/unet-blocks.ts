/**
 * The levels of a U-Net: residual blocks, attention and resampling, going down, in the middle and up.
 *
 * One function makes a level of any published kind: what differs between diffusers' block classes is a row of
 * {@link DOWN_BLOCKS} and {@link UP_BLOCKS}. NCSN++'s levels with a second, image-space path are in
 * `skip-blocks.ts`, those of k-diffusion's networks in `k-blocks.ts`.
 */
import { unknownName } from "../../errors.ts";
import type { Dim } from "../../graph/dim.ts";
import { add, concat } from "../../graph/ops.ts";
import type { Sym } from "../../graph/primitives.ts";
import { type Layer, module } from "../../nn/layer.ts";
import { attention, type AttentionContext, dualTransformer2d, transformer2d } from "./attention.ts";
import { freeU, type FreeUScales } from "./free-u.ts";
import { isKBlock, kDownBlock, kUpBlock } from "./k-blocks.ts";
import { downsample2d, resnetBlock, type ResnetOptions, upsample2d } from "./resnet.ts";

/** What a level of a U-Net works on beside its input. */
export interface LevelContext extends AttentionContext {
  readonly temb?: Sym;
  /** The image that runs beside the features in NCSN++; other levels pass it on. */
  readonly image?: Sym;
  /** Added to the features going down: a feature of a T2I-Adapter. */
  readonly residual?: Sym;
  /** Going up: scales of the backbone and of the skip connections. */
  readonly freeU?: FreeUScales;
}

/** What a level gives: its features and, going down, every state on the way for the skip connections. */
export interface LevelOutput {
  readonly h: Sym;
  readonly states: readonly Sym[];
  readonly image?: Sym;
}

/** A level going down: (features, context). */
export type DownLayer = Layer<readonly [Sym, LevelContext], LevelOutput>;
/** A level going up: (features, states of the level's counterpart, context, size to enlarge to). */
export type UpLayer = Layer<
  readonly [Sym, readonly Sym[], LevelContext, (readonly [Dim, Dim])?],
  Omit<LevelOutput, "states">
>;

/** What is the same for all levels of one network. */
export interface LevelOptions {
  /** Width of the time embedding; undefined without time. */
  readonly tembChannels?: number;
  readonly layers: number;
  readonly eps: number;
  readonly groups: number;
  readonly actFn: string;
  readonly timeEmbeddingNorm: string;
  readonly skipTimeAct?: boolean;
  readonly outputScaleFactor?: number;
  /** Padding of strided convolutions: 0 pads right and below. */
  readonly downsamplePadding?: number;
  /** Resampling by convolution or by a residual block. @default "conv" */
  readonly resampleType?: "conv" | "resnet";
  readonly attention: LevelAttention;
  /** Groups of a spatial attention's own norm; null for none. @default groups */
  readonly attentionGroups?: number | null;
}

/** The attention of a level; which fields matter depends on its kind. */
export interface LevelAttention {
  /** Number of heads (cross-attention levels). */
  readonly heads: number;
  /** Width of a head (spatial and added-key levels). */
  readonly headDim: number;
  readonly crossAttentionDim?: number;
  /** Depth of every transformer of the level, or of each. */
  readonly transformerLayers: number | readonly number[];
  readonly useLinearProjection: boolean;
  readonly onlyCrossAttention: boolean;
  readonly crossAttentionNorm?: string | null;
  /** Two transformers side by side, each on its part of the context. @default false */
  readonly dual?: boolean;
}

type AttentionLayer = Layer<readonly [Sym, AttentionContext?], Sym>;
type AttentionKind = "none" | "spatial" | "cross" | "added";

interface BlockKind {
  readonly attention: AttentionKind;
  readonly resample: "conv" | "resnet" | "option";
}

/** Levels whose residual blocks take `skipTimeAct` and `outputScaleFactor` from a network's config. */
export const takesResnetOptions = (name: string): boolean =>
  /^(?:UNetRes)?(?:Resnet|SimpleCrossAttn)/.test(name);

/** States that a level going up takes: its K forms read one of the `layers` that they consume, others one each. */
export const skipsOf = (name: string, layers: number): number =>
  isKBlock(name) ? layers - 1 : layers;

/** Down levels by diffusers' class name. */
const DOWN_BLOCKS: Readonly<Record<string, BlockKind>> = {
  DownBlock2D: { attention: "none", resample: "conv" },
  ResnetDownsampleBlock2D: { attention: "none", resample: "resnet" },
  AttnDownBlock2D: { attention: "spatial", resample: "option" },
  CrossAttnDownBlock2D: { attention: "cross", resample: "conv" },
  SimpleCrossAttnDownBlock2D: { attention: "added", resample: "resnet" },
};

/** Up levels by diffusers' class name. */
const UP_BLOCKS: Readonly<Record<string, BlockKind>> = {
  UpBlock2D: { attention: "none", resample: "conv" },
  ResnetUpsampleBlock2D: { attention: "none", resample: "resnet" },
  AttnUpBlock2D: { attention: "spatial", resample: "option" },
  CrossAttnUpBlock2D: { attention: "cross", resample: "conv" },
  SimpleCrossAttnUpBlock2D: { attention: "added", resample: "resnet" },
};

/** The attention of the given kind over `channels` that follows the level's residual block `i`. */
function levelAttention(
  kind: AttentionKind,
  channels: number,
  { attention: own, groups, attentionGroups = groups, eps, outputScaleFactor = 1 }: LevelOptions,
  i: number,
): AttentionLayer | undefined {
  switch (kind) {
    case "none":
      return undefined;
    case "cross": {
      const { transformerLayers: depth } = own;
      const transformer = {
        inChannels: channels,
        heads: own.heads,
        dimHead: channels / own.heads,
        crossAttentionDim: own.crossAttentionDim,
        normNumGroups: groups,
      };
      if (own.dual === true) return dualTransformer2d(transformer);
      return transformer2d({
        ...transformer,
        layers: typeof depth === "number" ? depth : depth[i],
        useLinearProjection: own.useLinearProjection,
        onlyCrossAttention: own.onlyCrossAttention,
      });
    }
    case "spatial":
      return spatialAttention(channels, own.headDim, {
        groups: attentionGroups,
        eps,
        outputScaleFactor,
      });
    case "added":
      return attention({
        queryDim: channels,
        crossAttentionDim: channels,
        heads: channels / own.headDim,
        dimHead: own.headDim,
        addedKvProjDim: own.crossAttentionDim,
        normNumGroups: groups,
        bias: true,
        onlyCrossAttention: own.onlyCrossAttention,
        crossAttentionNorm: own.crossAttentionNorm,
        residualConnection: true,
      });
  }
}

/** Self-attention over pixels with its own norm and residual (DDPM, autoencoders). */
export function spatialAttention(
  channels: number,
  headDim: number,
  {
    groups,
    eps,
    outputScaleFactor = 1,
  }: { readonly groups: number | null; readonly eps: number; readonly outputScaleFactor?: number },
): AttentionLayer {
  const inner = attention({
    queryDim: channels,
    heads: channels / headDim,
    dimHead: headDim,
    bias: true,
    normNumGroups: groups ?? undefined,
    eps,
    residualConnection: true,
    rescaleOutputFactor: outputScaleFactor,
  });
  return { ...inner, apply: (scope, path, x) => inner.apply(scope, path, x) };
}

function levelResnet(
  options: LevelOptions,
  sizes: Pick<ResnetOptions, "inChannels" | "outChannels" | "up" | "down">,
): ReturnType<typeof resnetBlock> {
  const { tembChannels, eps, groups, actFn, timeEmbeddingNorm, skipTimeAct, outputScaleFactor } =
    options;
  return resnetBlock({
    ...sizes,
    tembChannels,
    eps,
    groups,
    actFn,
    timeEmbeddingNorm,
    skipTimeAct,
    outputScaleFactor,
  });
}

function kindOf(name: string, kinds: Readonly<Record<string, BlockKind>>, what: string): BlockKind {
  if (name.startsWith("UNetRes")) return kindOf(name.slice(7), kinds, what);
  if (!Object.hasOwn(kinds, name)) throw unknownName(what, name, Object.keys(kinds));
  return kinds[name];
}

/** Options of {@link downBlock}. */
export interface DownBlockOptions extends LevelOptions {
  readonly inChannels: number;
  readonly outChannels: number;
  readonly addDownsample: boolean;
}

/** A level going down; returns its output and every state on the way, for the skip connections. */
export function downBlock(name: string, options: DownBlockOptions): DownLayer {
  if (isKBlock(name)) return kDownBlock(name, options);
  const kind = kindOf(name, DOWN_BLOCKS, "down block");
  const {
    inChannels,
    outChannels,
    layers,
    addDownsample,
    downsamplePadding: padding = 1,
  } = options;
  const byResnet = (kind.resample === "option" ? options.resampleType : kind.resample) === "resnet";
  return module(
    {
      resnets: Array.from({ length: layers }, (_, i) =>
        levelResnet(options, { inChannels: i === 0 ? inChannels : outChannels, outChannels }),
      ),
      attentions:
        kind.attention === "none"
          ? undefined
          : Array.from({ length: layers }, (_, i) =>
              levelAttention(kind.attention, outChannels, options, i),
            ),
      downsamplers: !addDownsample
        ? undefined
        : byResnet
          ? [levelResnet(options, { inChannels: outChannels, outChannels, down: true })]
          : [downsample2d(outChannels, { useConv: true, padding })],
    },
    (m, x: Sym, { temb, image, residual, ...given }: LevelContext) => {
      const states: Sym[] = [];
      let h = x;
      m.resnets.forEach((resnet, i) => {
        h = resnet(h, temb);
        h = m.attentions?.[i]?.(h, given) ?? h;
        // Levels with cross-attention add the adapter's feature before they shrink, others after.
        if (residual !== undefined && kind.attention === "cross" && i === layers - 1)
          h = add(h, residual);
        states.push(h);
      });
      for (const downsample of m.downsamplers ?? []) {
        h = (downsample as (h: Sym, temb?: Sym) => Sym)(h, temb);
        states.push(h);
      }
      if (residual !== undefined && kind.attention !== "cross") {
        h = add(h, residual);
        states[states.length - 1] = h;
      }
      return { h, states, image };
    },
    { kind: "downBlock" },
  );
}

/** Options of {@link upBlock}. */
export interface UpBlockOptions extends LevelOptions {
  /** Channels of the skip connection from the level above. */
  readonly inChannels: number;
  readonly outChannels: number;
  /** Channels that come from the level below. */
  readonly prevOutputChannel: number;
  readonly addUpsample: boolean;
}

/** A level going up: takes its states from the end of `skips`. `size` is the size to enlarge to, twice the own when absent. */
export function upBlock(name: string, options: UpBlockOptions): UpLayer {
  if (isKBlock(name)) return kUpBlock(name, options);
  const kind = kindOf(name, UP_BLOCKS, "up block");
  const { inChannels, outChannels, prevOutputChannel, layers, addUpsample } = options;
  const byResnet = (kind.resample === "option" ? options.resampleType : kind.resample) === "resnet";
  return module(
    {
      resnets: Array.from({ length: layers }, (_, i) => {
        const skip = i === layers - 1 ? inChannels : outChannels;
        return levelResnet(options, {
          inChannels: (i === 0 ? prevOutputChannel : outChannels) + skip,
          outChannels,
        });
      }),
      attentions:
        kind.attention === "none"
          ? undefined
          : Array.from({ length: layers }, (_, i) =>
              levelAttention(kind.attention, outChannels, options, i),
            ),
      upsamplers: !addUpsample
        ? undefined
        : byResnet
          ? [levelResnet(options, { inChannels: outChannels, outChannels, up: true })]
          : [upsample2d(outChannels, { useConv: true })],
    },
    (
      m,
      x: Sym,
      skips: readonly Sym[],
      { temb, image, freeU: scales, ...given }: LevelContext,
      size?: readonly [Dim, Dim],
    ) => {
      // diffusers' FreeU passes over levels that resample by residual blocks.
      const scaled = (own: Sym, skip: Sym): readonly Sym[] =>
        scales === undefined || kind.resample !== "conv" ? [own, skip] : freeU(own, skip, scales);
      let h = x;
      m.resnets.forEach((resnet, i) => {
        h = resnet(concat(scaled(h, skips[skips.length - 1 - i]), 1), temb);
        h = m.attentions?.[i]?.(h, given) ?? h;
      });
      for (const upsample of m.upsamplers ?? []) {
        const call = upsample as (h: Sym, second?: Sym | readonly [Dim, Dim]) => Sym;
        h = byResnet ? call(h, temb) : call(h, size);
      }
      return { h, image };
    },
    { kind: "upBlock" },
  );
}

/** Options of {@link midBlock}. */
export interface MidBlockOptions extends LevelOptions {
  readonly inChannels: number;
  /** Leave the attention out. @default true */
  readonly addAttention?: boolean;
}

const MID_BLOCKS: Readonly<Record<string, AttentionKind>> = {
  UNetMidBlock2D: "spatial",
  UNetMidBlock2DCrossAttn: "cross",
  UNetMidBlock2DSimpleCrossAttn: "added",
};

/** The middle: a residual block, then `layers` of attention and another. */
export function midBlock(
  name: string,
  { inChannels, addAttention = true, ...options }: MidBlockOptions,
): Layer<readonly [Sym, LevelContext], Sym> {
  if (!Object.hasOwn(MID_BLOCKS, name))
    throw unknownName("mid block", name, Object.keys(MID_BLOCKS));
  const kind = addAttention ? MID_BLOCKS[name] : "none";
  const sizes = { inChannels, outChannels: inChannels };
  return module(
    {
      resnets: Array.from({ length: options.layers + 1 }, () => levelResnet(options, sizes)),
      attentions:
        kind === "none"
          ? undefined
          : Array.from({ length: options.layers }, (_, i) =>
              levelAttention(kind, inChannels, options, i),
            ),
    },
    (m, x: Sym, { temb, image: _image, residual: _residual, ...given }: LevelContext) => {
      let h = m.resnets[0](x, temb);
      for (let i = 0; i < options.layers; i++) {
        h = m.attentions?.[i]?.(h, given) ?? h;
        h = m.resnets[i + 1](h, temb);
      }
      return h;
    },
    { kind: "midBlock" },
  );
}
