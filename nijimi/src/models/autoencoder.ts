/**
 * The convolutional encoder and decoder of the autoencoders with KL or vector-quantised latents: VQGAN's
 * (arXiv:2012.09841), as latent diffusion (arXiv:2112.10752) and diffusers use it.
 */
import { NijimiError } from "../errors.ts";
import { silu } from "../graph/ops.ts";
import type { Sym } from "../graph/primitives.ts";
import { conv2d, groupNorm } from "../nn/basic.ts";
import { type Layer, module } from "../nn/layer.ts";
import { downsample2d, resnetBlock, upsample2d } from "./blocks/resnet.ts";
import {
  spatialNorm,
  spatialNormAttention,
  spatialResnetBlock,
  type SpatialLayer,
} from "./blocks/spatial-norm.ts";
import { midBlock, spatialAttention } from "./blocks/unet-blocks.ts";

/** What encoder and decoder share. */
export interface AutoencoderShape {
  /** Channels of each level, finest first. */
  readonly blockOutChannels: readonly number[];
  /** Residual blocks of a level; the decoder has one more. */
  readonly layersPerBlock: number;
  readonly normNumGroups: number;
  readonly actFn: string;
  /** Attention in the middle. */
  readonly midBlockAddAttention: boolean;
}

const EPS = 1e-6;

const MIDDLE_ATTENTION = {
  heads: 1,
  transformerLayers: 1,
  useLinearProjection: false,
  onlyCrossAttention: false,
} as const;

function middle({
  blockOutChannels,
  normNumGroups,
  actFn,
  midBlockAddAttention,
}: AutoencoderShape) {
  const channels = blockOutChannels[blockOutChannels.length - 1];
  return midBlock("UNetMidBlock2D", {
    inChannels: channels,
    layers: 1,
    eps: EPS,
    groups: normNumGroups,
    actFn,
    timeEmbeddingNorm: "default",
    addAttention: midBlockAddAttention,
    attention: { ...MIDDLE_ATTENTION, headDim: channels },
  });
}

/** Which levels of a kind have attention; refuses kinds that are not listed. */
function attends(name: string, plain: string, attentive: string): boolean {
  if (name !== plain && name !== attentive)
    throw new NijimiError(
      "unsupported",
      `Autoencoder: block "${name}" is not supported; accepted: ${plain}, ${attentive}.`,
    );
  return name === attentive;
}

/** Residual blocks of a level, with attention after each where wanted. */
function level(
  { normNumGroups: groups, actFn }: AutoencoderShape,
  inChannels: number,
  outChannels: number,
  layers: number,
  attentive: boolean,
) {
  return {
    resnets: Array.from({ length: layers }, (_, i) =>
      resnetBlock({
        inChannels: i === 0 ? inChannels : outChannels,
        outChannels,
        groups,
        eps: EPS,
        actFn,
      }),
    ),
    attentions: attentive
      ? Array.from({ length: layers }, () =>
          spatialAttention(outChannels, outChannels, { groups, eps: EPS }),
        )
      : undefined,
  };
}

/** Options of {@link encoder}. */
export interface EncoderOptions extends AutoencoderShape {
  readonly inChannels: number;
  readonly downBlockTypes: readonly string[];
  /** Channels of the result: twice the latents' for mean and log-variance. */
  readonly outChannels: number;
}

/** Images [N, C, H, W] → features [N, outChannels, H/2ⁿ, W/2ⁿ], n = levels − 1. */
export function encoder(options: EncoderOptions): Layer<readonly [Sym], Sym> {
  const { blockOutChannels: channels, downBlockTypes, layersPerBlock, normNumGroups } = options;
  const last = channels.length - 1;
  const downBlocks = downBlockTypes.map((name, i) =>
    module(
      {
        ...level(
          options,
          channels[Math.max(0, i - 1)],
          channels[i],
          layersPerBlock,
          attends(name, "DownEncoderBlock2D", "AttnDownEncoderBlock2D"),
        ),
        downsamplers:
          i === last ? undefined : [downsample2d(channels[i], { useConv: true, padding: 0 })],
      },
      (m, x: Sym) => {
        const h = m.resnets.reduce((state, resnet, j) => {
          const next = resnet(state);
          return m.attentions?.[j](next) ?? next;
        }, x);
        return m.downsamplers?.[0](h) ?? h;
      },
    ),
  );
  return module(
    {
      convIn: conv2d(options.inChannels, channels[0], 3, { padding: 1 }),
      downBlocks,
      midBlock: middle(options),
      convNormOut: groupNorm(normNumGroups, channels[last], { eps: EPS }),
      convOut: conv2d(channels[last], options.outChannels, 3, { padding: 1 }),
    },
    (m, x: Sym) => {
      const h = m.downBlocks.reduce((state, block) => block(state), m.convIn(x));
      return m.convOut(silu(m.convNormOut(m.midBlock(h, {}))));
    },
    { kind: "encoder" },
  );
}

/** Options of {@link decoder}. */
export interface DecoderOptions extends AutoencoderShape {
  readonly inChannels: number;
  readonly outChannels: number;
  readonly upBlockTypes: readonly string[];
  /** Norms follow the quantised latents, which are then the forward's second argument. @default false */
  readonly spatialNorms?: boolean;
}

/** Latents [N, C, h, w] → images [N, outChannels, h·2ⁿ, w·2ⁿ], n = levels − 1. */
export function decoder(options: DecoderOptions): Layer<readonly [Sym, Sym?], Sym> {
  if (options.spatialNorms === true) return spatialDecoder(options);
  const { upBlockTypes, layersPerBlock, normNumGroups } = options;
  const channels = options.blockOutChannels.toReversed();
  const last = channels.length - 1;
  const upBlocks = upBlockTypes.map((name, i) =>
    module(
      {
        ...level(
          options,
          channels[Math.max(0, i - 1)],
          channels[i],
          layersPerBlock + 1,
          attends(name, "UpDecoderBlock2D", "AttnUpDecoderBlock2D"),
        ),
        upsamplers: i === last ? undefined : [upsample2d(channels[i], { useConv: true })],
      },
      (m, x: Sym) => {
        const h = m.resnets.reduce((state, resnet, j) => {
          const next = resnet(state);
          return m.attentions?.[j](next) ?? next;
        }, x);
        return m.upsamplers?.[0](h) ?? h;
      },
    ),
  );
  return module(
    {
      convIn: conv2d(options.inChannels, channels[0], 3, { padding: 1 }),
      midBlock: middle(options),
      upBlocks,
      convNormOut: groupNorm(normNumGroups, channels[last], { eps: EPS }),
      convOut: conv2d(channels[last], options.outChannels, 3, { padding: 1 }),
    },
    (m, z: Sym) => {
      const h = m.upBlocks.reduce((state, block) => block(state), m.midBlock(m.convIn(z), {}));
      return m.convOut(silu(m.convNormOut(h)));
    },
    { kind: "decoder" },
  );
}

/** The decoder of MoVQ: norms by the latents, everything else as in {@link decoder}. */
function spatialDecoder(options: DecoderOptions): Layer<readonly [Sym, Sym?], Sym> {
  const { upBlockTypes, layersPerBlock, actFn, inChannels: latents } = options;
  const channels = options.blockOutChannels.toReversed();
  const last = channels.length - 1;
  const resnet = (from: number, to: number): SpatialLayer =>
    spatialResnetBlock(from, to, latents, actFn);
  const pass = (
    resnets: readonly ((x: Sym, z: Sym) => Sym)[],
    attentions: readonly ((x: Sym, z: Sym) => Sym)[] | undefined,
    x: Sym,
    z: Sym,
  ): Sym =>
    resnets.reduce((h, block, i) => {
      const next = block(h, z);
      return attentions?.[i]?.(next, z) ?? next;
    }, x);
  const repeat = <T>(count: number, make: (i: number) => T): T[] =>
    Array.from({ length: count }, (_, i) => make(i));
  return module(
    {
      convIn: conv2d(latents, channels[0], 3, { padding: 1 }),
      midBlock: module(
        {
          attentions: options.midBlockAddAttention
            ? [spatialNormAttention(channels[0], latents)]
            : undefined,
          resnets: repeat(2, () => resnet(channels[0], channels[0])),
        },
        (m, x: Sym, z: Sym) => pass(m.resnets, m.attentions, x, z),
      ),
      upBlocks: upBlockTypes.map((name, i) =>
        module(
          {
            resnets: repeat(layersPerBlock + 1, (j) =>
              resnet(j === 0 ? channels[Math.max(0, i - 1)] : channels[i], channels[i]),
            ),
            attentions: attends(name, "UpDecoderBlock2D", "AttnUpDecoderBlock2D")
              ? repeat(layersPerBlock + 1, () => spatialNormAttention(channels[i], latents))
              : undefined,
            upsamplers: i === last ? undefined : [upsample2d(channels[i], { useConv: true })],
          },
          (m, x: Sym, z: Sym) => {
            const h = pass(m.resnets, m.attentions, x, z);
            return m.upsamplers?.[0](h) ?? h;
          },
        ),
      ),
      convNormOut: spatialNorm(channels[last], latents),
      convOut: conv2d(channels[last], options.outChannels, 3, { padding: 1 }),
    },
    (m, x: Sym, z: Sym = x) => {
      const h = m.upBlocks.reduce((state, block) => block(state, z), m.midBlock(m.convIn(x), z));
      return m.convOut(silu(m.convNormOut(h, z)));
    },
    { kind: "spatialDecoder" },
  );
}
