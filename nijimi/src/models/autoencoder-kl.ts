/**
 * The autoencoder with a Gaussian posterior: diffusers' AutoencoderKL, Stable Diffusion's VAE.
 *
 * Latent diffusion (arXiv:2112.10752), section 3.1 and appendix G. `encode` gives the posterior's moments;
 * what is drawn from it and how latents are scaled is the caller's business (`scalingFactor`).
 */
import { add, chunk, clamp, exp, mul, square, sub, sum } from "../graph/ops.ts";
import type { Sym } from "../graph/primitives.ts";
import { conv2d } from "../nn/basic.ts";
import { type Layer, module } from "../nn/layer.ts";
import { type AutoencoderShape, decoder, encoder } from "./autoencoder.ts";
import { type ConfigJson, readConfig } from "./config.ts";

/** Config of an AutoencoderKL; diffusers' names in camelCase. */
export interface AutoencoderKlConfig extends AutoencoderShape {
  readonly inChannels: number;
  readonly outChannels: number;
  readonly downBlockTypes: readonly string[];
  readonly upBlockTypes: readonly string[];
  readonly latentChannels: number;
  /** Latents are multiplied by this before diffusion. */
  readonly scalingFactor: number;
  readonly shiftFactor: number | null;
  readonly latentsMean: readonly number[] | null;
  readonly latentsStd: readonly number[] | null;
  /** The decoder overflows in float16. */
  readonly forceUpcast: boolean;
  readonly useQuantConv: boolean;
  readonly usePostQuantConv: boolean;
}

/** diffusers' defaults. */
export const AUTOENCODER_KL_DEFAULTS: AutoencoderKlConfig = {
  inChannels: 3,
  outChannels: 3,
  downBlockTypes: ["DownEncoderBlock2D"],
  upBlockTypes: ["UpDecoderBlock2D"],
  blockOutChannels: [64],
  layersPerBlock: 1,
  actFn: "silu",
  latentChannels: 4,
  normNumGroups: 32,
  scalingFactor: 0.18215,
  shiftFactor: null,
  latentsMean: null,
  latentsStd: null,
  forceUpcast: true,
  useQuantConv: true,
  usePostQuantConv: true,
  midBlockAddAttention: true,
};

const SD: AutoencoderKlConfig = {
  ...AUTOENCODER_KL_DEFAULTS,
  downBlockTypes: [
    "DownEncoderBlock2D",
    "DownEncoderBlock2D",
    "DownEncoderBlock2D",
    "DownEncoderBlock2D",
  ],
  upBlockTypes: ["UpDecoderBlock2D", "UpDecoderBlock2D", "UpDecoderBlock2D", "UpDecoderBlock2D"],
  blockOutChannels: [128, 256, 512, 512],
  layersPerBlock: 2,
};

/** Published autoencoders. */
export const AUTOENCODER_KL_VARIANTS = {
  sd: SD,
  sdxl: { ...SD, scalingFactor: 0.13025 },
  "x4-upscaler": {
    ...SD,
    downBlockTypes: SD.downBlockTypes.slice(1),
    upBlockTypes: SD.upBlockTypes.slice(1),
    blockOutChannels: [128, 256, 512],
    scalingFactor: 0.08333,
  },
} as const satisfies Record<string, AutoencoderKlConfig>;

/** A config.json of diffusers. */
export function readAutoencoderKlConfig(json: ConfigJson): AutoencoderKlConfig {
  return readConfig("AutoencoderKL", json, AUTOENCODER_KL_DEFAULTS, ["sample_size"]);
}

/** Both halves, so that either can be traced alone under the parameters' published names. */
export interface AutoencoderKl {
  /** Images [N, 3, H, W] in [−1, 1] → moments [N, 2·latentChannels, h, w]: see {@link splitMoments}. */
  readonly encode: Layer<readonly [Sym], Sym>;
  /** Latents [N, latentChannels, h, w] (not scaled) → images in about [−1, 1]. */
  readonly decode: Layer<readonly [Sym], Sym>;
  /** Decoding of encoded means: the whole model, for training and parameter lists. */
  readonly whole: Layer<
    readonly [Sym, ((moments: Sym) => Sym)?],
    { readonly moments: Sym; readonly image: Sym }
  >;
}

/**
 * The autoencoder.
 *
 * @example
 * const { decode } = autoencoderKl(AUTOENCODER_KL_VARIANTS.sd);
 * const image = decode.apply(parameterScope(), "", mul(latents, 1 / 0.18215));
 */
export function autoencoderKl(config: AutoencoderKlConfig): AutoencoderKl {
  const latents = config.latentChannels;
  const encoderParts = {
    encoder: encoder({ ...config, outChannels: 2 * latents }),
    quantConv: config.useQuantConv ? conv2d(2 * latents, 2 * latents, 1) : undefined,
  };
  const decoderParts = {
    postQuantConv: config.usePostQuantConv ? conv2d(latents, latents, 1) : undefined,
    decoder: decoder({ ...config, inChannels: latents }),
  };
  const encode = module(encoderParts, (m, x: Sym) => {
    const h = m.encoder(x);
    return m.quantConv?.(h) ?? h;
  });
  const decode = module(decoderParts, (m, z: Sym) => m.decoder(m.postQuantConv?.(z) ?? z));
  return {
    encode,
    decode,
    whole: {
      kind: "autoencoderKl",
      parameters: { ...encode.parameters, ...decode.parameters },
      apply: (scope, path, x, draw = (moments) => splitMoments(moments).mean) => {
        const moments = encode.apply(scope, path, x);
        return { moments, image: decode.apply(scope, path, draw(moments)) };
      },
    },
  };
}

/** Mean, log-variance (clamped to −30 … 20) and standard deviation of a posterior from its moments. */
export function splitMoments(moments: Sym): {
  readonly mean: Sym;
  readonly logVariance: Sym;
  readonly std: Sym;
} {
  const [mean, raw] = chunk(moments, 1, 2);
  const logVariance = clamp(raw, -30, 20);
  return { mean, logVariance, std: exp(mul(logVariance, 0.5)) };
}

/** KL(posterior ‖ N(0, 1)) of each sample, summed over the latent: [N]. */
export function klToStandardNormal(moments: Sym): Sym {
  const { mean, logVariance } = splitMoments(moments);
  return mul(
    sum(sub(sub(add(square(mean), exp(logVariance)), 1), logVariance), { axes: [1, 2, 3] }),
    0.5,
  );
}
