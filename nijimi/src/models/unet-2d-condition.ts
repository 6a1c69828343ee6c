/**
 * The U-Net conditioned on text (and more): diffusers' UNet2DConditionModel.
 *
 * Latent diffusion (arXiv:2112.10752) and Stable Diffusion 1, 2 and XL; Imagen's and DeepFloyd IF's forms with text
 * tokens as added keys; LCM's guidance embedding; the upscaler's noise level; unCLIP's image embeddings as class
 * labels. Published networks are in {@link UNET_2D_CONDITION_VARIANTS}.
 */
import { NijimiError } from "../errors.ts";
import { type Dim, sameDim } from "../graph/dim.ts";
import { add, cast, concat, mul, select, sub } from "../graph/ops.ts";
import type { Sym } from "../graph/primitives.ts";
import { activation } from "../nn/activations.ts";
import { conv2d, groupNorm } from "../nn/basic.ts";
import { type Bound, type Layer, module } from "../nn/layer.ts";
import { gaussianFourier, timestepEmbedding } from "../nn/timestep-embedding.ts";
import { contextMask } from "./blocks/attention.ts";
import { timestepMlp } from "./blocks/embeddings.ts";
import type { FreeUScales } from "./blocks/free-u.ts";
import {
  downBlock,
  type LevelContext,
  type LevelOptions,
  midBlock,
  skipsOf,
  takesResnetOptions,
  upBlock,
} from "./blocks/unet-blocks.ts";
import { type ConfigJson, perLevel, readConfig, requirePositive, requireValues } from "./config.ts";
import {
  additionEmbedding,
  classEmbedding,
  contextProjection,
  needed,
  type UnetConditions,
} from "./unet-conditions.ts";

/** Depth of all transformers of a level, or of each. */
type Depth = number | readonly number[];

/** Config of a UNet2DConditionModel; diffusers' names in camelCase. Lists have one value per level. */
export interface Unet2dConditionConfig {
  readonly inChannels: number;
  readonly outChannels: number;
  readonly centerInputSample: boolean;
  readonly flipSinToCos: boolean;
  readonly freqShift: number;
  readonly downBlockTypes: readonly string[];
  readonly midBlockType: string | null;
  readonly upBlockTypes: readonly string[];
  readonly onlyCrossAttention: boolean | readonly boolean[];
  readonly blockOutChannels: readonly number[];
  readonly layersPerBlock: number | readonly number[];
  readonly downsamplePadding: number;
  readonly midBlockScaleFactor: number;
  readonly dropout: number;
  readonly actFn: string;
  readonly normNumGroups: number | null;
  readonly normEps: number;
  readonly crossAttentionDim: number | readonly number[];
  /** A list within the list has the depths of one level's transformers. */
  readonly transformerLayersPerBlock: number | readonly Depth[];
  /** Depths going up, deepest level first; needed where those going down are lists. */
  readonly reverseTransformerLayersPerBlock: readonly Depth[] | null;
  readonly encoderHidDim: number | null;
  readonly encoderHidDimType: string | null;
  /** By a historical accident the number of heads, unless `numAttentionHeads` is given. */
  readonly attentionHeadDim: number | readonly number[];
  readonly numAttentionHeads: number | readonly number[] | null;
  readonly dualCrossAttention: boolean;
  readonly useLinearProjection: boolean;
  readonly classEmbedType: string | null;
  readonly additionEmbedType: string | null;
  readonly additionTimeEmbedDim: number | null;
  readonly numClassEmbeds: number | null;
  readonly upcastAttention: boolean;
  readonly resnetTimeScaleShift: string;
  readonly resnetSkipTimeAct: boolean;
  readonly resnetOutScaleFactor: number;
  readonly timeEmbeddingType: string;
  readonly timeEmbeddingDim: number | null;
  readonly timeEmbeddingActFn: string | null;
  readonly timestepPostAct: string | null;
  readonly timeCondProjDim: number | null;
  readonly convInKernel: number;
  readonly convOutKernel: number;
  readonly projectionClassEmbeddingsInputDim: number | null;
  readonly attentionType: string;
  readonly classEmbeddingsConcat: boolean;
  readonly midBlockOnlyCrossAttention: boolean | null;
  readonly crossAttentionNorm: string | null;
  readonly additionEmbedTypeNumHeads: number;
}

/** diffusers' defaults: Stable Diffusion 1's network but for the width of the context. */
export const UNET_2D_CONDITION_DEFAULTS: Unet2dConditionConfig = {
  inChannels: 4,
  outChannels: 4,
  centerInputSample: false,
  flipSinToCos: true,
  freqShift: 0,
  downBlockTypes: [
    "CrossAttnDownBlock2D",
    "CrossAttnDownBlock2D",
    "CrossAttnDownBlock2D",
    "DownBlock2D",
  ],
  midBlockType: "UNetMidBlock2DCrossAttn",
  upBlockTypes: ["UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"],
  onlyCrossAttention: false,
  blockOutChannels: [320, 640, 1280, 1280],
  layersPerBlock: 2,
  downsamplePadding: 1,
  midBlockScaleFactor: 1,
  dropout: 0,
  actFn: "silu",
  normNumGroups: 32,
  normEps: 1e-5,
  crossAttentionDim: 1280,
  transformerLayersPerBlock: 1,
  reverseTransformerLayersPerBlock: null,
  encoderHidDim: null,
  encoderHidDimType: null,
  attentionHeadDim: 8,
  numAttentionHeads: null,
  dualCrossAttention: false,
  useLinearProjection: false,
  classEmbedType: null,
  additionEmbedType: null,
  additionTimeEmbedDim: null,
  numClassEmbeds: null,
  upcastAttention: false,
  resnetTimeScaleShift: "default",
  resnetSkipTimeAct: false,
  resnetOutScaleFactor: 1,
  timeEmbeddingType: "positional",
  timeEmbeddingDim: null,
  timeEmbeddingActFn: null,
  timestepPostAct: null,
  timeCondProjDim: null,
  convInKernel: 3,
  convOutKernel: 3,
  projectionClassEmbeddingsInputDim: null,
  attentionType: "default",
  classEmbeddingsConcat: false,
  midBlockOnlyCrossAttention: null,
  crossAttentionNorm: null,
  additionEmbedTypeNumHeads: 64,
};

const SD2: Unet2dConditionConfig = {
  ...UNET_2D_CONDITION_DEFAULTS,
  crossAttentionDim: 1024,
  attentionHeadDim: [5, 10, 20, 20],
  useLinearProjection: true,
};

/** Published networks of Stable Diffusion. */
export const UNET_2D_CONDITION_VARIANTS = {
  sd1: { ...UNET_2D_CONDITION_DEFAULTS, crossAttentionDim: 768 },
  "sd1-inpainting": { ...UNET_2D_CONDITION_DEFAULTS, crossAttentionDim: 768, inChannels: 9 },
  sd2: SD2,
  "sd2-inpainting": { ...SD2, inChannels: 9 },
  "sd2-depth": { ...SD2, inChannels: 5 },
  "x4-upscaler": {
    ...UNET_2D_CONDITION_DEFAULTS,
    inChannels: 7,
    downBlockTypes: [
      "DownBlock2D",
      "CrossAttnDownBlock2D",
      "CrossAttnDownBlock2D",
      "CrossAttnDownBlock2D",
    ],
    upBlockTypes: ["CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"],
    blockOutChannels: [256, 512, 512, 1024],
    crossAttentionDim: 1024,
    onlyCrossAttention: [true, true, true, false],
    numClassEmbeds: 1000,
    useLinearProjection: true,
  },
  "sdxl-base": {
    ...UNET_2D_CONDITION_DEFAULTS,
    downBlockTypes: ["DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"],
    upBlockTypes: ["CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"],
    blockOutChannels: [320, 640, 1280],
    crossAttentionDim: 2048,
    transformerLayersPerBlock: [1, 2, 10],
    attentionHeadDim: [5, 10, 20],
    useLinearProjection: true,
    additionEmbedType: "text_time",
    additionTimeEmbedDim: 256,
    projectionClassEmbeddingsInputDim: 2816,
  },
  "sdxl-refiner": {
    ...UNET_2D_CONDITION_DEFAULTS,
    downBlockTypes: ["DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"],
    upBlockTypes: ["UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"],
    blockOutChannels: [384, 768, 1536, 1536],
    crossAttentionDim: 1280,
    transformerLayersPerBlock: 4,
    attentionHeadDim: [6, 12, 24, 24],
    useLinearProjection: true,
    additionEmbedType: "text_time",
    additionTimeEmbedDim: 256,
    projectionClassEmbeddingsInputDim: 2560,
  },
} as const satisfies Record<string, Unet2dConditionConfig>;

/** A config.json of diffusers. */
export function readUnet2dConditionConfig(json: ConfigJson): Unet2dConditionConfig {
  return readConfig("UNet2DConditionModel", json, UNET_2D_CONDITION_DEFAULTS, ["sample_size"]);
}

/** What the network takes. */
export interface Unet2dConditionInputs extends UnetConditions {
  /** Noisy latents or images [N, C, H, W]. */
  readonly sample: Sym;
  /** Timesteps [N]. */
  readonly timestep: Sym;
  /** 1 for tokens to attend to, 0 for others [N, M]. */
  readonly encoderAttentionMask?: Sym;
  /** Class indices [N], noise levels [N], or features, as the config says. */
  readonly classLabels?: Sym;
  /** Guidance-scale features [N, timeCondProjDim] (LCM). */
  readonly timestepCond?: Sym;
  /** Added to the states of the skip connections, in their order (ControlNet). */
  readonly downResiduals?: readonly Sym[];
  /** Added to the middle (ControlNet). */
  readonly midResidual?: Sym;
  /** Added to the levels' features going down, one per level, then to the middle's (T2I-Adapter). */
  readonly levelResiduals?: readonly Sym[];
  /** FreeU's s1, s2, b1, b2, for the two deepest levels going up: [4]. */
  readonly freeU?: Sym;
}

/** Sizes of a config, one value per level, finest first. */
function levelsOf(config: Unet2dConditionConfig) {
  const what = "UNet2DConditionModel";
  const { blockOutChannels: channels } = config;
  const count = channels.length;
  requirePositive(what, { blockOutChannels: channels, layersPerBlock: config.layersPerBlock });
  // GLIGEN's networks run as without boxes.
  requireValues(what, config, { attentionType: ["default", "gated", "gated-text-image"] });
  if (config.downBlockTypes.length !== count)
    throw new NijimiError(
      "option",
      `${what}: ${count} levels of channels and ${config.downBlockTypes.length} down blocks; expected as many.`,
    );
  const heads = config.numAttentionHeads ?? config.attentionHeadDim;
  const depths: readonly Depth[] = levelDepths(config.transformerLayersPerBlock, count);
  if (depths.some(Array.isArray) && config.reverseTransformerLayersPerBlock === null)
    throw new NijimiError(
      "option",
      `${what}: transformer_layers_per_block has lists within the list; expected reverse_transformer_layers_per_block with the depths going up.`,
    );
  return {
    channels,
    width:
      config.timeEmbeddingDim ?? channels[0] * (config.timeEmbeddingType === "fourier" ? 2 : 4),
    headDims: perLevel(config.attentionHeadDim, count, "attention_head_dim"),
    heads: perLevel(heads, count, "num_attention_heads"),
    contexts: perLevel(config.crossAttentionDim, count, "cross_attention_dim"),
    depths,
    upDepths: config.reverseTransformerLayersPerBlock ?? depths.toReversed(),
    onlyCross: perLevel(config.onlyCrossAttention, count, "only_cross_attention"),
    layers: perLevel(config.layersPerBlock, count, "layers_per_block"),
  };
}

function levelDepths(depths: number | readonly Depth[], count: number): readonly Depth[] {
  const what = "transformer_layers_per_block";
  if (typeof depths === "number") return perLevel(depths, count, what);
  perLevel(depths.map(Number), count, what);
  return depths;
}

type Levels = ReturnType<typeof levelsOf>;

/** Options of level `i`, a block of class `name`. */
function levelOptions(
  config: Unet2dConditionConfig,
  { width, heads, headDims, contexts }: Levels,
  name: string,
  i: number,
  own: {
    readonly layers: number;
    readonly transformerLayers: Depth;
    readonly onlyCrossAttention: boolean;
    readonly headDim?: number;
  },
): LevelOptions {
  const resnetOptions = takesResnetOptions(name)
    ? { skipTimeAct: config.resnetSkipTimeAct, outputScaleFactor: config.resnetOutScaleFactor }
    : {};
  return {
    ...resnetOptions,
    tembChannels: config.classEmbeddingsConcat ? 2 * width : width,
    layers: own.layers,
    eps: config.normEps,
    groups: config.normNumGroups ?? 32,
    actFn: config.actFn,
    timeEmbeddingNorm: config.resnetTimeScaleShift,
    downsamplePadding: config.downsamplePadding,
    attention: {
      heads: heads[i],
      headDim: own.headDim ?? headDims[i],
      crossAttentionDim: contexts[i],
      transformerLayers: own.transformerLayers,
      useLinearProjection: config.useLinearProjection,
      onlyCrossAttention: own.onlyCrossAttention,
      crossAttentionNorm: config.crossAttentionNorm,
      dual: config.dualCrossAttention,
    },
  };
}

/**
 * The half that a ControlNet copies: embeddings, the way down and the middle. Children of a module whose forward
 * calls {@link encodeCondition}.
 */
export function conditionEncoder(config: Unet2dConditionConfig) {
  const levels = levelsOf(config);
  const { channels, width, contexts, depths, onlyCross, layers } = levels;
  const features = config.timeEmbeddingType === "fourier" ? width : channels[0];
  const deepest = channels.length - 1;
  const midOnlyCross =
    config.midBlockOnlyCrossAttention ??
    (typeof config.onlyCrossAttention === "boolean" ? config.onlyCrossAttention : false);
  return {
    convIn: conv2d(config.inChannels, channels[0], config.convInKernel, {
      padding: Math.floor((config.convInKernel - 1) / 2),
    }),
    timeProj:
      config.timeEmbeddingType === "fourier"
        ? gaussianFourier(width / 2, { log: false, flipSinToCos: config.flipSinToCos })
        : undefined,
    timeEmbedding: timestepMlp(features, width, {
      actFn: config.actFn,
      postActFn: config.timestepPostAct,
      condProjDim: config.timeCondProjDim,
    }),
    encoderHidProj: contextProjection(config, contexts[0]),
    classEmbedding: classEmbedding(config, features, width),
    addEmbedding: additionEmbedding(config, contexts[0], width),
    downBlocks: config.downBlockTypes.map((name, i) =>
      downBlock(name, {
        ...levelOptions(config, levels, name, i, {
          layers: layers[i],
          transformerLayers: depths[i],
          onlyCrossAttention: onlyCross[i],
        }),
        inChannels: channels[Math.max(0, i - 1)],
        outChannels: channels[i],
        addDownsample: i < deepest,
      }),
    ),
    midBlock:
      config.midBlockType === null
        ? undefined
        : midBlock(config.midBlockType, {
            ...levelOptions(config, levels, config.midBlockType, deepest, {
              // As published: only the middle with added keys may leave its own keys out, and
              // the one without cross-attention is a single residual block.
              layers: config.midBlockType === "UNetMidBlock2D" ? 0 : 1,
              transformerLayers: depths[deepest],
              onlyCrossAttention:
                config.midBlockType === "UNetMidBlock2DSimpleCrossAttn" && midOnlyCross,
            }),
            skipTimeAct:
              config.midBlockType === "UNetMidBlock2DSimpleCrossAttn" && config.resnetSkipTimeAct,
            inChannels: channels[deepest],
            outputScaleFactor: config.midBlockScaleFactor,
          }),
  };
}

/** What the first half hands to the second. */
export interface EncodedCondition {
  /** After the middle. */
  readonly h: Sym;
  /** States for the skip connections, in the order of the way down. */
  readonly states: readonly Sym[];
  /** Time, context and mask for the levels going up. */
  readonly given: LevelContext;
}

/**
 * Forward of {@link conditionEncoder}.
 *
 * @param onInput what happens after the first convolution; a ControlNet adds its hint @default nothing
 */
export function encodeCondition(
  config: Unet2dConditionConfig,
  m: Bound<ReturnType<typeof conditionEncoder>>,
  inputs: Unet2dConditionInputs,
  onInput: (h: Sym) => Sym = (h) => h,
): EncodedCondition {
  const { timestep, encoderAttentionMask, levelResiduals = [] } = inputs;
  const centred = config.centerInputSample ? sub(mul(inputs.sample, 2), 1) : inputs.sample;
  const project = (t: Sym): Sym =>
    m.timeProj?.(t) ??
    timestepEmbedding(t, config.blockOutChannels[0], {
      flipSinToCos: config.flipSinToCos,
      downscaleFreqShift: config.freqShift,
    });
  let temb = m.timeEmbedding(project(timestep), inputs.timestepCond);
  if (config.classEmbedType !== null || config.numClassEmbeds !== null) {
    const labels = needed(inputs.classLabels, "classLabels");
    const features = config.classEmbedType === "timestep" ? project(labels) : labels;
    const classes = m.classEmbedding?.(features) ?? features;
    temb = config.classEmbeddingsConcat ? concat([temb, classes], -1) : add(temb, classes);
  }
  const addition = m.addEmbedding?.(inputs);
  if (addition !== undefined) temb = add(temb, addition.temb);
  if (config.timeEmbeddingActFn !== null) temb = activation(config.timeEmbeddingActFn)(temb);
  const context = m.encoderHidProj?.(inputs) ?? inputs.encoderHiddenStates;
  const mask =
    encoderAttentionMask === undefined
      ? undefined
      : contextMask(cast(encoderAttentionMask, "float32"));
  const given: LevelContext = { temb, context, mask };

  const sample =
    addition?.channels === undefined ? centred : concat([centred, addition.channels], 1);
  let h = onInput(m.convIn(sample));
  const states = [h];
  m.downBlocks.forEach((block, i) => {
    const down = block(h, { ...given, residual: levelResiduals[i] });
    h = down.h;
    states.push(...down.states);
  });
  h = m.midBlock?.(h, given) ?? h;
  const residual = levelResiduals[m.downBlocks.length];
  const fits = residual?.shape.every((dim, axis) => axis === 0 || sameDim(dim, h.shape[axis]));
  return { h: fits === true ? add(h, residual) : h, states, given };
}

/**
 * The network: noisy latents → prediction [N, outChannels, H, W]. Any height and width.
 *
 * @throws NijimiError `option` or `unsupported` for configs that no published network has
 * @example
 * const net = unet2dCondition(UNET_2D_CONDITION_VARIANTS.sd1);
 * const eps = net.apply(parameterScope(), "", { sample, timestep, encoderHiddenStates });
 */
export function unet2dCondition(
  config: Unet2dConditionConfig,
): Layer<readonly [Unet2dConditionInputs], Sym> {
  const levels = levelsOf(config);
  const { channels, layers, upDepths, onlyCross } = levels;
  const deepest = channels.length - 1;
  if (config.upBlockTypes.length !== channels.length)
    throw new NijimiError(
      "option",
      `UNet2DConditionModel: ${channels.length} levels of channels and ${config.upBlockTypes.length} up blocks; expected as many.`,
    );
  return module(
    {
      ...conditionEncoder(config),
      upBlocks: config.upBlockTypes.map((name, i) => {
        const own = deepest - i;
        return upBlock(name, {
          ...levelOptions(config, levels, name, own, {
            layers: layers[own] + 1,
            transformerLayers: upDepths[i],
            onlyCrossAttention: onlyCross[own],
            // As published: the head's width is not turned around with the levels.
            headDim: levels.headDims[i],
          }),
          inChannels: channels[Math.max(0, own - 1)],
          outChannels: channels[own],
          prevOutputChannel: channels[Math.min(deepest, own + 1)],
          addUpsample: i < deepest,
        });
      }),
      convNormOut:
        config.normNumGroups === null
          ? undefined
          : groupNorm(config.normNumGroups, channels[0], { eps: config.normEps }),
      convOut: conv2d(channels[0], config.outChannels, config.convOutKernel, {
        padding: Math.floor((config.convOutKernel - 1) / 2),
      }),
    },
    (m, inputs: Unet2dConditionInputs) => {
      const { downResiduals, midResidual } = inputs;
      const encoded = encodeCondition(config, m, inputs);
      const states = encoded.states.map((state, i) =>
        downResiduals === undefined ? state : add(state, downResiduals[i]),
      );
      let h = midResidual === undefined ? encoded.h : add(encoded.h, midResidual);
      m.upBlocks.forEach((block, i) => {
        const skips = states.splice(-skipsOf(config.upBlockTypes[i], layers[deepest - i] + 1));
        const below = states.at(-1);
        const size: readonly [Dim, Dim] | undefined =
          below === undefined ? undefined : [below.shape[2], below.shape[3]];
        ({ h } = block(h, skips, { ...encoded.given, freeU: freeUScales(inputs, i) }, size));
      });
      const act = activation(config.actFn);
      return m.convOut(m.convNormOut === undefined ? h : act(m.convNormOut(h)));
    },
    { kind: "unet2dCondition" },
  );
}

/** FreeU's scales for level `i` going up; only the first two have any. */
function freeUScales({ freeU }: Unet2dConditionInputs, i: number): FreeUScales | undefined {
  if (freeU === undefined || i > 1) return undefined;
  return { skip: select(freeU, 0, i), backbone: select(freeU, 0, 2 + i) };
}
