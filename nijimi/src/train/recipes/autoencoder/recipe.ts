/** Autoencoders as recipes: settings, data, figures on held-out pictures, and the folder that is written. */
import { saveComponent } from "../../../checkpoints/save-folder.ts";
import { loadBatches } from "../../../data/loader.ts";
import type { DatasetSpec } from "../../../data/open-dataset.ts";
import { unknownName } from "../../../errors.ts";
import { spec } from "../../../graph/trace.ts";
import { patchDiscriminator } from "../../../models/patch-discriminator.ts";
import { recordScope, unflatten } from "../../../nn/scopes.ts";
import { compile } from "../../../runtime/compile.ts";
import { stack } from "../../../tensor/shape.ts";
import { sizeOf, type Tensor } from "../../../tensor/tensor.ts";
import { adamW } from "../../optimisers/adam.ts";
import { layoutOf, type Player, unflattenTensor, type Vectors } from "../../program.ts";
import type { BuildContext, CommonSettings, Training } from "../../recipe.ts";
import { modelVector } from "../averaged.ts";
import { configJson } from "../config-json.ts";
import { imageFeed, type TrainingImages } from "../image-feed.ts";
import { stableRate } from "../stable-rate.ts";
import { lpipsDistance, type PerceptualDistance, towerDistance } from "./perceptual.ts";
import {
  type AutoencoderShapeSettings,
  gaussianAutoencoder,
  quantisedAutoencoder,
  type TrainedAutoencoder,
} from "./posterior.ts";
import { autoencoderProgram, type AutoencoderWeights, type Discriminator } from "./program.ts";

export const POSTERIORS = ["gaussian", "quantised"] as const;

/** Settings of an autoencoder. */
export interface AutoencoderSettings
  extends CommonSettings, AutoencoderShapeSettings, AutoencoderWeights {
  /** Gaussian (KL) or a codebook (VQ). */
  readonly posterior: (typeof POSTERIORS)[number];
  /** Entries of the codebook. */
  readonly codebook: number;
  /** File of LPIPS's weights; "" takes `tower` instead. */
  readonly lpips: string;
  /** Run or folder of a trained CLIP, whose image tower measures perceptual distance. */
  readonly tower: string;
  readonly discriminatorChannels: number;
  readonly discriminatorLayers: number;
  readonly learningRate: number;
  readonly warmupUpdates: number;
  /** Last updates, over which the rate falls to 0. */
  readonly decayUpdates: number;
  readonly clipNorm: number;
  readonly emaDecay: number;
}

/** A Gaussian autoencoder without perceptual and adversarial terms. */
export const AUTOENCODER_DEFAULTS = {
  posterior: "gaussian",
  codebook: 1024,
  accumulate: 1,
  layersPerBlock: 1,
  absoluteWeight: 1,
  squaredWeight: 4,
  latentWeight: 2e-4,
  perceptualWeight: 0,
  lpips: "",
  tower: "",
  adversarialWeight: 0,
  adversarialStart: 0,
  discriminatorChannels: 32,
  discriminatorLayers: 3,
  warmupUpdates: 100,
  clipNorm: 1,
  emaDecay: 0.999,
} as const;

/** What the pictures are. */
export interface AutoencoderData extends TrainingImages {
  /** Pictures that training does not see, for previews and figures. */
  readonly heldOut: DatasetSpec;
}

/** Pictures that previews and figures look at. */
const HELD_OUT = 64;
const SHOWN = 12;
const BATCH = 8;

/** The program, and what feeds, shows and saves it. */
export async function buildAutoencoder(
  settings: AutoencoderSettings,
  data: AutoencoderData,
  { rank, workers, trained }: BuildContext,
): Promise<Training> {
  const { batchSize, seed } = settings;
  const autoencoder = autoencoderOf(settings);
  const player = playerOf(settings, autoencoder.parameters);
  const perceptual = await perceptualOf(settings, trained);
  const program = autoencoderProgram({
    autoencoder,
    player,
    weights: settings,
    shape: [batchSize, 3, settings.size, settings.size],
    ...(perceptual && { perceptual }),
    ...(settings.adversarialWeight > 0 && { discriminator: discriminatorOf(settings) }),
  });
  const feed = imageFeed(
    data,
    ({ images }, { perSample }) => ({ images, ...autoencoder.draw(perSample) }),
    { seed, batchSize, rank, workers },
  );
  const heldOut = await heldOutReconstructions(autoencoder, player, data, settings.size);
  return {
    program,
    feed,
    preview: async (vectors) => {
      const { images, reconstructions } = await heldOut.run(vectors, SHOWN);
      const pairs = images.flatMap((image, i) => [image, reconstructions[i]]);
      return [{ name: "withheld", images: stack(pairs), columns: 6 }];
    },
    evaluate: async (vectors) => {
      const { images, reconstructions } = await heldOut.run(vectors, HELD_OUT);
      const values = images.map((image, i) => peakSignalToNoise(image, reconstructions[i]));
      return {
        psnr: values.reduce((total, value) => total + value, 0) / values.length,
        psnrWorst: Math.min(...values),
      };
    },
    save: async (vectors, folder) => {
      const scalingFactor = await heldOut.scalingFactor(vectors);
      await saveComponent(folder, {
        library: "diffusers",
        className: autoencoder.className,
        config: configJson({ ...autoencoder.config, scalingFactor }),
        tensors: unflattenTensor(layoutOf(player), modelVector(vectors, "model")),
      });
    },
    dispose: heldOut.dispose,
  };
}

function autoencoderOf(settings: AutoencoderSettings): TrainedAutoencoder {
  switch (settings.posterior) {
    case "gaussian":
      return gaussianAutoencoder(settings);
    case "quantised":
      return quantisedAutoencoder(settings);
    default:
      throw unknownName("posterior", String(settings.posterior), POSTERIORS);
  }
}

function playerOf(settings: AutoencoderSettings, parameters: Player["parameters"]): Player {
  return {
    parameters,
    optimiser: adamW({ betas: [0.9, 0.99], weightDecay: 0 }),
    clipNorm: settings.clipNorm,
    ema: { decay: settings.emaDecay },
    learningRate: (update) => stableRate(settings, update),
  };
}

function discriminatorOf(settings: AutoencoderSettings): Discriminator {
  const net = patchDiscriminator({
    channels: settings.discriminatorChannels,
    layers: settings.discriminatorLayers,
    norm: "group",
  });
  return {
    net,
    player: {
      parameters: net.parameters,
      optimiser: adamW({ betas: [0.5, 0.9], weightDecay: 0 }),
      learningRate: (update) => stableRate(settings, update),
    },
  };
}

/** LPIPS where its weights are named, else the named tower; none when the term does not count. */
async function perceptualOf(
  { perceptualWeight, lpips, tower }: AutoencoderSettings,
  trained: BuildContext["trained"],
): Promise<PerceptualDistance | undefined> {
  if (perceptualWeight === 0) return undefined;
  return lpips === "" ? towerDistance(trained(tower)) : lpipsDistance(lpips);
}

/** Reconstructions of held-out pictures, without noise. */
async function heldOutReconstructions(
  autoencoder: TrainedAutoencoder,
  player: Player,
  { heldOut, image }: AutoencoderData,
  size: number,
) {
  const layout = layoutOf(player);
  const run = await compile(
    ({ parameters, images }) =>
      autoencoder.encodeAndDecode(recordScope(unflatten(parameters, layout)), images),
    { parameters: spec("float32", [layout.size]), images: spec("float32", ["n", 3, size, size]) },
  );
  const batches: Tensor<"float32">[] = [];
  const options = { batchSize: BATCH, image, seed: 0, workers: 0, epochs: 1, dropLast: false };
  for await (const batch of loadBatches(heldOut, options)) {
    batches.push(batch.images);
    if (batches.length * BATCH >= HELD_OUT) break;
  }
  return {
    run: async (vectors: Vectors, count: number) => {
      const parameters = modelVector(vectors, "model");
      const images: Tensor<"float32">[] = [];
      const reconstructions: Tensor<"float32">[] = [];
      for (const batch of batches.slice(0, Math.ceil(count / BATCH))) {
        const { image: found } = await run({ parameters, images: batch });
        images.push(...unstack(batch));
        reconstructions.push(...unstack(found as Tensor<"float32">));
      }
      return { images: images.slice(0, count), reconstructions: reconstructions.slice(0, count) };
    },
    /** 1 / √E[z²]: latents times it have about unit variance. */
    scalingFactor: async (vectors: Vectors) => {
      const parameters = modelVector(vectors, "model");
      let total = 0;
      for (const images of batches)
        total += Number((await run({ parameters, images })).secondMoment.data[0]);
      return Math.round(1e5 / Math.sqrt(total / batches.length)) / 1e5;
    },
    dispose: () => run.dispose(),
  };
}

function unstack({ shape: [, ...shape], data }: Tensor<"float32">): Tensor<"float32">[] {
  const size = sizeOf(shape);
  return Array.from({ length: data.length / size }, (_, i) => ({
    dtype: "float32",
    shape,
    data: data.slice(i * size, (i + 1) * size),
  }));
}

/** Decibels, for numbers in −1 … 1, with the reconstruction clamped to that range. */
function peakSignalToNoise({ data: a }: Tensor<"float32">, { data: b }: Tensor<"float32">): number {
  const squares = a.reduce((total, x, i) => total + (x - Math.min(1, Math.max(-1, b[i]))) ** 2, 0);
  return 10 * Math.log10((4 * a.length) / squares);
}
