/**
 * Autoencoders with a Gaussian posterior (Rombach et al. 2022, arXiv:2112.10752, appendix G): reconstruction by
 * absolute and squared error, and a small Kullback–Leibler term that keeps latents near N(0, 1).
 *
 * Both terms are means over elements, so that weights do not depend on sizes; the paper sums.
 */
import { abs, add, exp, mean, mul, square, sub } from "../../graph/ops.ts";
import { spec } from "../../graph/trace.ts";
import type { Batch, DataPosition } from "../../data/batches.ts";
import { loadBatches } from "../../data/loader.ts";
import type { DatasetSpec } from "../../data/open-dataset.ts";
import type { ImageOptions } from "../../data/transform/options.ts";
import { saveComponent } from "../../checkpoints/save-folder.ts";
import {
  AUTOENCODER_KL_DEFAULTS,
  autoencoderKl,
  type AutoencoderKlConfig,
  klToStandardNormal,
  splitMoments,
} from "../../models/autoencoder-kl.ts";
import { recordScope, unflatten } from "../../nn/scopes.ts";
import { compile } from "../../runtime/compile.ts";
import { sizeOf, type Tensor } from "../../tensor/tensor.ts";
import { feedFrom } from "../feed.ts";
import { adamW } from "../optimisers/adam.ts";
import { learningRateAt } from "../optimisers/schedules.ts";
import { layoutOf, type Player, type Program, unflattenTensor, type Vectors } from "../program.ts";
import type { BuildContext, CommonSettings, Training } from "../recipe.ts";
import { modelVector } from "./averaged.ts";
import { configJson } from "./config-json.ts";
import { stack } from "./stack.ts";

/** Settings of a KL autoencoder. */
export interface KlAutoencoderSettings extends CommonSettings {
  /** Side of the pictures. */
  readonly size: number;
  /** Channels of each level, finest first; every level but the first halves the side. */
  readonly channels: readonly number[];
  readonly layersPerBlock: number;
  readonly latentChannels: number;
  readonly normGroups: number;
  readonly learningRate: number;
  readonly warmupUpdates: number;
  /** Last updates, over which the rate falls to 0. */
  readonly decayUpdates: number;
  readonly clipNorm: number;
  readonly emaDecay: number;
  readonly absoluteWeight: number;
  readonly squaredWeight: number;
  readonly klWeight: number;
}

/** What the pictures are. */
export interface AutoencoderData {
  readonly training: DatasetSpec;
  /** Pictures that training does not see, for previews and figures. */
  readonly heldOut: DatasetSpec;
  readonly image: ImageOptions;
  /** Random changes while training. */
  readonly augment: NonNullable<ImageOptions["augment"]>;
}

/** Pictures that previews and figures look at. */
const HELD_OUT = 64;
const SHOWN = 12;

/** The network's config, as diffusers' AutoencoderKL has it. */
export function autoencoderConfig(settings: KlAutoencoderSettings): AutoencoderKlConfig {
  return {
    ...AUTOENCODER_KL_DEFAULTS,
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

/** The program, and what feeds, shows and saves it. */
export async function buildKlAutoencoder(
  settings: KlAutoencoderSettings,
  data: AutoencoderData,
  { rank, workers }: BuildContext,
): Promise<Training> {
  const { batchSize, latentChannels, seed } = settings;
  const config = autoencoderConfig(settings);
  const net = autoencoderKl(config);
  const side = settings.size / 2 ** (settings.channels.length - 1);
  const player = autoencoderPlayer(settings, net.whole.parameters);
  const program: Program = {
    players: { model: player },
    batch: {
      images: spec("float32", [batchSize, 3, settings.size, settings.size]),
      noise: spec("float32", [batchSize, latentChannels, side, side]),
    },
    losses: ({ scopes, batch }) => {
      const { moments, image } = net.whole.apply(scopes["model"], "", batch["images"], (found) => {
        const posterior = splitMoments(found);
        return add(posterior.mean, mul(posterior.std, batch["noise"]));
      });
      const difference = sub(image, batch["images"]);
      const [absolute, squared] = [mean(abs(difference)), mean(square(difference))];
      const kl = mul(mean(klToStandardNormal(moments)), 1 / (latentChannels * side * side));
      const loss = add(
        add(mul(absolute, settings.absoluteWeight), mul(squared, settings.squaredWeight)),
        mul(kl, settings.klWeight),
      );
      return { losses: { model: loss }, metrics: { absolute, squared, kl } };
    },
  };
  const load = (from: DataPosition): AsyncIterable<Batch> =>
    loadBatches(
      data.training,
      { batchSize, image: { ...data.image, augment: data.augment }, seed, rank, workers },
      from,
    );
  const feed = feedFrom(
    load,
    ({ images }, { perSample }) => ({
      images,
      noise: stack(perSample.map((random) => random.randn([latentChannels, side, side]))),
    }),
    { seed, batchSize, rank },
  );
  const reconstruct = await heldOutReconstructions(settings, player, data);
  return {
    program,
    feed,
    preview: async (vectors) => {
      const { images, reconstructions } = await reconstruct.run(vectors, SHOWN);
      const pairs = images.flatMap((image, i) => [image, reconstructions[i]]);
      return [{ name: "withheld", images: stack(pairs), columns: 6 }];
    },
    evaluate: async (vectors) => {
      const { images, reconstructions } = await reconstruct.run(vectors, HELD_OUT);
      const values = images.map((image, i) => peakSignalToNoise(image, reconstructions[i]));
      return {
        psnr: values.reduce((total, value) => total + value, 0) / values.length,
        psnrWorst: Math.min(...values),
      };
    },
    save: async (vectors, folder) => {
      const scalingFactor = await reconstruct.scalingFactor(vectors);
      await saveComponent(folder, {
        library: "diffusers",
        className: "AutoencoderKL",
        config: configJson({ ...config, scalingFactor }),
        tensors: unflattenTensor(layoutOf(player), modelVector(vectors, "model")),
      });
    },
    dispose: reconstruct.dispose,
  };
}

function autoencoderPlayer(
  settings: KlAutoencoderSettings,
  parameters: Player["parameters"],
): Player {
  return {
    parameters,
    optimiser: adamW({ betas: [0.9, 0.99], weightDecay: 0 }),
    clipNorm: settings.clipNorm,
    ema: { decay: settings.emaDecay },
    learningRate: (update) =>
      learningRateAt("warmup_stable_decay", settings.learningRate, update, {
        warmupSteps: settings.warmupUpdates,
        trainingSteps: settings.updates,
        decaySteps: settings.decayUpdates,
      }),
  };
}

/** Reconstructions of held-out pictures, without noise. */
async function heldOutReconstructions(
  settings: KlAutoencoderSettings,
  player: Player,
  { heldOut, image }: AutoencoderData,
) {
  const net = autoencoderKl(autoencoderConfig(settings));
  const layout = layoutOf(player);
  const run = await compile(
    ({ parameters, images }) => {
      const scope = recordScope(unflatten(parameters, layout));
      const { moments, image: reconstruction } = net.whole.apply(scope, "", images);
      const { mean: latents, logVariance } = splitMoments(moments);
      // E[z²] of draws from the posterior.
      return { reconstruction, secondMoment: mean(add(square(latents), exp(logVariance))) };
    },
    {
      parameters: spec("float32", [layout.size]),
      images: spec("float32", ["n", 3, settings.size, settings.size]),
    },
  );
  const batches: Tensor<"float32">[] = [];
  const options = { batchSize: 8, image, seed: 0, workers: 0, epochs: 1 };
  for await (const batch of loadBatches(heldOut, options)) {
    batches.push(batch.images);
    if (batches.length * 8 >= HELD_OUT) break;
  }
  return {
    run: async (vectors: Vectors, count: number) => {
      const parameters = modelVector(vectors, "model");
      const images: Tensor<"float32">[] = [];
      const reconstructions: Tensor<"float32">[] = [];
      for (const batch of batches.slice(0, Math.ceil(count / 8))) {
        const { reconstruction } = await run({ parameters, images: batch });
        images.push(...unstack(batch));
        reconstructions.push(...unstack(reconstruction as Tensor<"float32">));
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
