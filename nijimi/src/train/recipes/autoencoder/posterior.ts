/** What stands between encoder and decoder: a Gaussian posterior or a codebook. */
import { add, mean, mul } from "../../../graph/ops.ts";
import type { Sym } from "../../../graph/primitives.ts";
import { type InputSpec, spec } from "../../../graph/trace.ts";
import {
  AUTOENCODER_KL_DEFAULTS,
  autoencoderKl,
  klToStandardNormal,
  splitMoments,
} from "../../../models/autoencoder-kl.ts";
import { VQ_MODEL_DEFAULTS, vqModel } from "../../../models/vq-model.ts";
import type { ParameterSpec, Scope } from "../../../nn/layer.ts";
import type { TorchGenerator } from "../../../tensor/random/torch.ts";
import { stack } from "../../../tensor/shape.ts";
import type { HostTensors } from "../../compile-program.ts";

/** A reconstruction in training. */
export interface Reconstruction {
  readonly image: Sym;
  /** What keeps latents in order: a scalar, as a mean over their elements. */
  readonly latentLoss: Sym;
}

/** An autoencoder as training sees it. */
export interface TrainedAutoencoder {
  /** Of diffusers. */
  readonly className: "AutoencoderKL" | "VQModel";
  readonly config: object;
  readonly parameters: Readonly<Record<string, ParameterSpec>>;
  /** Tensors of a batch beside the pictures. */
  readonly batch: Readonly<Record<string, InputSpec>>;
  /** Draws them. */
  readonly draw: (perSample: readonly TorchGenerator[]) => HostTensors;
  readonly reconstruct: (
    scope: Scope,
    images: Sym,
    batch: Readonly<Record<string, Sym>>,
  ) => Reconstruction;
  /** Without noise, for figures; with the mean square of latents as diffusion will see them. */
  readonly encodeAndDecode: (
    scope: Scope,
    images: Sym,
  ) => { readonly image: Sym; readonly secondMoment: Sym };
  /** Name of the decoder's last weight, at which an adversarial loss is balanced. */
  readonly lastLayer: string;
}

/** The network's size. */
export interface AutoencoderShapeSettings {
  readonly size: number;
  readonly channels: readonly number[];
  readonly layersPerBlock: number;
  readonly latentChannels: number;
  readonly normGroups: number;
}

const LAST_LAYER = "decoder.conv_out.weight";

function shapeOf(settings: AutoencoderShapeSettings) {
  return {
    blockOutChannels: settings.channels,
    downBlockTypes: settings.channels.map(() => "DownEncoderBlock2D"),
    upBlockTypes: settings.channels.map(() => "UpDecoderBlock2D"),
    layersPerBlock: settings.layersPerBlock,
    latentChannels: settings.latentChannels,
    normNumGroups: settings.normGroups,
    midBlockAddAttention: false,
    scalingFactor: 1,
    forceUpcast: false,
  };
}

/** A Gaussian posterior, whose divergence from N(0, 1) is the latent loss. */
export function gaussianAutoencoder(
  settings: AutoencoderShapeSettings & { readonly batchSize: number },
): TrainedAutoencoder {
  const config = { ...AUTOENCODER_KL_DEFAULTS, ...shapeOf(settings) };
  const { whole } = autoencoderKl(config);
  const side = settings.size / 2 ** (settings.channels.length - 1);
  const latent = [settings.latentChannels, side, side];
  return {
    className: "AutoencoderKL",
    config,
    parameters: whole.parameters,
    lastLayer: LAST_LAYER,
    batch: { noise: spec("float32", [settings.batchSize, ...latent]) },
    draw: (perSample) => ({ noise: stack(perSample.map((random) => random.randn(latent))) }),
    reconstruct: (scope, images, { noise }) => {
      const { moments, image } = whole.apply(scope, "", images, (found) => {
        const posterior = splitMoments(found);
        return add(posterior.mean, mul(posterior.std, noise));
      });
      const elements = settings.latentChannels * side * side;
      return { image, latentLoss: mul(mean(klToStandardNormal(moments)), 1 / elements) };
    },
    encodeAndDecode: (scope, images) => {
      const { moments, image } = whole.apply(scope, "", images);
      const { mean: center, std } = splitMoments(moments);
      return { image, secondMoment: mean(add(mul(center, center), mul(std, std))) };
    },
  };
}

/** A codebook, whose commitment is the latent loss (Esser et al. 2021, VQGAN, arXiv:2012.09841). */
export function quantisedAutoencoder(
  settings: AutoencoderShapeSettings & { readonly codebook: number },
): TrainedAutoencoder {
  const config = {
    ...VQ_MODEL_DEFAULTS,
    ...shapeOf(settings),
    numVqEmbeddings: settings.codebook,
  };
  const { encode, quantize, decode } = vqModel(config);
  return {
    className: "VQModel",
    config,
    parameters: { ...encode.parameters, ...quantize.parameters, ...decode.parameters },
    lastLayer: LAST_LAYER,
    batch: {},
    draw: () => ({}),
    reconstruct: (scope, images) => {
      const { quantised, loss } = quantize.apply(scope, "", encode.apply(scope, "", images));
      return { image: decode.apply(scope, "", quantised), latentLoss: loss };
    },
    encodeAndDecode: (scope, images) => {
      const { quantised } = quantize.apply(scope, "", encode.apply(scope, "", images));
      return {
        image: decode.apply(scope, "", quantised),
        secondMoment: mean(mul(quantised, quantised)),
      };
    },
  };
}
