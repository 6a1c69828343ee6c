/**
 * The unconditional or class-conditional U-Net in pixel or latent space: diffusers' UNet2DModel.
 *
 * DDPM (arXiv:2006.11239), ADM (arXiv:2105.05233) and NCSN++ (arXiv:2011.13456) are configs of it, in
 * {@link UNET_2D_VARIANTS}. Differs from the papers' codes where diffusers does: names, and ADM's attention is over
 * heads of `attentionHeadDim` channels.
 */
import { NijimiError, unknownName } from "../errors.ts";
import { add, cast, div, mul, reshape, silu, sub } from "../graph/ops.ts";
import type { Sym } from "../graph/primitives.ts";
import { conv2d, embedding, groupNorm } from "../nn/basic.ts";
import { type Layer, module } from "../nn/layer.ts";
import { gaussianFourier, timestepEmbedding } from "../nn/timestep-embedding.ts";
import { timestepMlp } from "./blocks/embeddings.ts";
import { skipDownBlock, skipUpBlock } from "./blocks/skip-blocks.ts";
import { downBlock, type LevelOptions, midBlock, upBlock } from "./blocks/unet-blocks.ts";
import { type ConfigJson, readConfig, requirePositive, requireValues } from "./config.ts";

/** Config of a UNet2DModel; diffusers' names in camelCase. */
export interface Unet2dConfig {
  readonly inChannels: number;
  readonly outChannels: number;
  /** 2x − 1 before the network. */
  readonly centerInputSample: boolean;
  /** "positional", "fourier" or "learned". */
  readonly timeEmbeddingType: string;
  readonly timeEmbeddingDim: number | null;
  readonly freqShift: number;
  readonly flipSinToCos: boolean;
  readonly downBlockTypes: readonly string[];
  readonly midBlockType: string | null;
  readonly upBlockTypes: readonly string[];
  readonly blockOutChannels: readonly number[];
  readonly layersPerBlock: number;
  readonly midBlockScaleFactor: number;
  readonly downsamplePadding: number;
  readonly downsampleType: string;
  readonly upsampleType: string;
  readonly dropout: number;
  readonly actFn: string;
  /** Channels per attention head; null: one head. */
  readonly attentionHeadDim: number | null;
  /** null: a quarter of the channels, at most 32. */
  readonly normNumGroups: number | null;
  readonly attnNormNumGroups: number | null;
  readonly normEps: number;
  readonly resnetTimeScaleShift: string;
  readonly addAttention: boolean;
  /** null with `numClassEmbeds` (a table), "timestep" or "identity". */
  readonly classEmbedType: string | null;
  readonly numClassEmbeds: number | null;
  readonly numTrainTimesteps: number | null;
}

/** diffusers' defaults. */
export const UNET_2D_DEFAULTS: Unet2dConfig = {
  inChannels: 3,
  outChannels: 3,
  centerInputSample: false,
  timeEmbeddingType: "positional",
  timeEmbeddingDim: null,
  freqShift: 0,
  flipSinToCos: true,
  downBlockTypes: ["DownBlock2D", "AttnDownBlock2D", "AttnDownBlock2D", "AttnDownBlock2D"],
  midBlockType: "UNetMidBlock2D",
  upBlockTypes: ["AttnUpBlock2D", "AttnUpBlock2D", "AttnUpBlock2D", "UpBlock2D"],
  blockOutChannels: [224, 448, 672, 896],
  layersPerBlock: 2,
  midBlockScaleFactor: 1,
  downsamplePadding: 1,
  downsampleType: "conv",
  upsampleType: "conv",
  dropout: 0,
  actFn: "silu",
  attentionHeadDim: 8,
  normNumGroups: 32,
  attnNormNumGroups: null,
  normEps: 1e-5,
  resnetTimeScaleShift: "default",
  addAttention: true,
  classEmbedType: null,
  numClassEmbeds: null,
  numTrainTimesteps: null,
};

/** The papers' networks. */
export const UNET_2D_VARIANTS = {
  /** DDPM on CIFAR-10, 35.7 M parameters. */
  "ddpm-cifar10": {
    ...UNET_2D_DEFAULTS,
    freqShift: 1,
    flipSinToCos: false,
    downBlockTypes: ["DownBlock2D", "AttnDownBlock2D", "DownBlock2D", "DownBlock2D"],
    upBlockTypes: ["UpBlock2D", "UpBlock2D", "AttnUpBlock2D", "UpBlock2D"],
    blockOutChannels: [128, 256, 256, 256],
    downsamplePadding: 0,
    attentionHeadDim: null,
    normEps: 1e-6,
  },
} as const satisfies Record<string, Unet2dConfig>;

/** A config.json of diffusers. */
export function readUnet2dConfig(json: ConfigJson): Unet2dConfig {
  return readConfig("UNet2DModel", json, UNET_2D_DEFAULTS, ["sample_size"]);
}

/** What the network takes beside the noisy image. */
export interface Unet2dInputs {
  /** Noisy images [N, C, H, W]. */
  readonly sample: Sym;
  /** Timesteps or noise levels [N]. */
  readonly timestep: Sym;
  /** Class indices [N] (int64), or features where the config says so. */
  readonly classLabels?: Sym;
}

const SKIP_BLOCKS: Readonly<Record<string, { readonly withAttention: boolean }>> = {
  AttnSkipDownBlock2D: { withAttention: true },
  SkipDownBlock2D: { withAttention: false },
  AttnSkipUpBlock2D: { withAttention: true },
  SkipUpBlock2D: { withAttention: false },
};

/**
 * The network: noisy images → prediction [N, outChannels, H, W].
 *
 * @throws NijimiError `option` or `unsupported` for configs that no published network has
 * @example
 * const net = unet2d(UNET_2D_VARIANTS["ddpm-cifar10"]);
 * const eps = net.apply(parameterScope(), "", { sample, timestep });
 */
export function unet2d(config: Unet2dConfig): Layer<readonly [Unet2dInputs], Sym> {
  const { blockOutChannels: channels, layersPerBlock: layers, normEps: eps, actFn } = config;
  const levels = channels.length;
  if (config.downBlockTypes.length !== levels || config.upBlockTypes.length !== levels)
    throw new NijimiError(
      "option",
      `UNet2DModel: ${levels} levels of channels, ${config.downBlockTypes.length} down and ${config.upBlockTypes.length} up blocks; expected as many of each.`,
    );
  requirePositive("UNet2DModel", { blockOutChannels: channels, layersPerBlock: layers });
  requireValues("UNet2DModel", config, { midBlockType: ["UNetMidBlock2D", null] });
  const width = config.timeEmbeddingDim ?? channels[0] * 4;
  const fourier = config.timeEmbeddingType === "fourier";
  const features = fourier ? 2 * channels[0] : channels[0];
  const groupsOf = (own: number): number =>
    config.normNumGroups ?? Math.min(Math.floor(own / 4), 32);

  const level = (own: number, count: number): LevelOptions => ({
    tembChannels: width,
    layers: count,
    eps,
    groups: groupsOf(own),
    actFn,
    timeEmbeddingNorm: config.resnetTimeScaleShift,
    downsamplePadding: config.downsamplePadding,
    attention: {
      heads: 1,
      headDim: config.attentionHeadDim ?? own,
      transformerLayers: 1,
      useLinearProjection: false,
      onlyCrossAttention: false,
    },
  });
  const skipLevel = (name: string, own: number, count: number, resample: boolean) => ({
    outChannels: own,
    tembChannels: width,
    layers: count,
    eps,
    actFn,
    timeEmbeddingNorm: config.resnetTimeScaleShift,
    withAttention: SKIP_BLOCKS[name].withAttention,
    headDim: config.attentionHeadDim ?? own,
    resample,
  });

  const downBlocks = config.downBlockTypes.map((name, i) => {
    const [inChannels, outChannels, last] = [
      channels[Math.max(0, i - 1)],
      channels[i],
      i === levels - 1,
    ];
    if (Object.hasOwn(SKIP_BLOCKS, name))
      return skipDownBlock({ ...skipLevel(name, outChannels, layers, !last), inChannels });
    const resampleType = resampleKind(config.downsampleType);
    return downBlock(name, {
      ...level(outChannels, layers),
      inChannels,
      outChannels,
      addDownsample: !last,
      resampleType,
    });
  });
  const reversed = channels.toReversed();
  const upBlocks = config.upBlockTypes.map((name, i) => {
    const sizes = {
      inChannels: reversed[Math.min(i + 1, levels - 1)],
      outChannels: reversed[i],
      prevOutputChannel: reversed[Math.max(0, i - 1)],
    };
    const last = i === levels - 1;
    if (Object.hasOwn(SKIP_BLOCKS, name))
      return skipUpBlock({ ...skipLevel(name, sizes.outChannels, layers + 1, !last), ...sizes });
    const resampleType = resampleKind(config.upsampleType);
    return upBlock(name, {
      ...level(sizes.outChannels, layers + 1),
      ...sizes,
      addUpsample: !last,
      resampleType,
    });
  });
  const deepest = channels[levels - 1];

  return module(
    {
      convIn: conv2d(config.inChannels, channels[0], 3, { padding: 1 }),
      timeProj: timeProjection(config),
      timeEmbedding: timestepMlp(features, width),
      classEmbedding: classEmbedding(config, features, width),
      downBlocks,
      midBlock:
        config.midBlockType === null
          ? undefined
          : midBlock(config.midBlockType, {
              ...level(deepest, 1),
              inChannels: deepest,
              outputScaleFactor: config.midBlockScaleFactor,
              addAttention: config.addAttention,
              // As published: with scale and shift the middle's attention has no norm of its own.
              attentionGroups:
                config.attnNormNumGroups ??
                (config.resnetTimeScaleShift === "default" ? groupsOf(deepest) : null),
            }),
      upBlocks,
      convNormOut: groupNorm(groupsOf(channels[0]), channels[0], { eps }),
      convOut: conv2d(channels[0], config.outChannels, 3, { padding: 1 }),
    },
    (m, { sample, timestep, classLabels }: Unet2dInputs) => {
      const x = config.centerInputSample ? sub(mul(sample, 2), 1) : sample;
      const project = (t: Sym): Sym =>
        m.timeProj?.(t) ??
        timestepEmbedding(t, features, {
          flipSinToCos: config.flipSinToCos,
          downscaleFreqShift: config.freqShift,
        });
      let temb = m.timeEmbedding(project(timestep));
      if (config.classEmbedType !== null || config.numClassEmbeds !== null) {
        if (classLabels === undefined)
          throw new NijimiError(
            "option",
            "UNet2DModel: this network is class-conditional; expected classLabels.",
          );
        const labels = config.classEmbedType === "timestep" ? project(classLabels) : classLabels;
        temb = add(temb, m.classEmbedding?.(labels) ?? labels);
      }
      let h = m.convIn(x);
      let image: Sym | undefined = x;
      const states = [h];
      for (const block of m.downBlocks) {
        const level = block(h, { temb, image });
        ({ h, image } = level);
        states.push(...level.states);
      }
      h = m.midBlock?.(h, { temb }) ?? h;
      let gathered: Sym | undefined;
      for (const block of m.upBlocks)
        ({ h, image: gathered } = block(h, states.splice(-(layers + 1)), {
          temb,
          image: gathered,
        }));
      h = m.convOut(silu(m.convNormOut(h)));
      if (gathered !== undefined) h = add(h, gathered);
      return fourier ? div(h, reshape(cast(timestep, "float32"), [-1, 1, 1, 1])) : h;
    },
    { kind: "unet2d" },
  );
}

function resampleKind(name: string): "conv" | "resnet" {
  if (name !== "conv" && name !== "resnet")
    throw unknownName("resampling of attention levels", name, ["conv", "resnet"]);
  return name;
}

/** The layer that turns timesteps into features, where it has parameters; undefined for the sinusoids. */
function timeProjection({
  timeEmbeddingType,
  blockOutChannels: [width],
  numTrainTimesteps,
}: Unet2dConfig): Layer<readonly [Sym], Sym> | undefined {
  if (timeEmbeddingType === "positional") return undefined;
  if (timeEmbeddingType === "fourier") return gaussianFourier(width);
  if (timeEmbeddingType === "learned") return embedding(numTrainTimesteps ?? 1000, width);
  throw unknownName("time embedding", timeEmbeddingType, ["positional", "fourier", "learned"]);
}

function classEmbedding(
  { classEmbedType, numClassEmbeds }: Unet2dConfig,
  features: number,
  width: number,
): Layer<readonly [Sym], Sym> | undefined {
  if (classEmbedType === "timestep") return timestepMlp(features, width);
  if (classEmbedType === "identity") return undefined;
  if (classEmbedType !== null)
    throw unknownName("class embedding", classEmbedType, ["timestep", "identity"]);
  return numClassEmbeds === null ? undefined : embedding(numClassEmbeds, width);
}
