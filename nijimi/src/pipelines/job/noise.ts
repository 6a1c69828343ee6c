/** Random numbers of a request: from seeds as torch draws them, or those that the request brings. */
import { brownianNoise } from "../../diffusion/noise/brownian-noise.ts";
import { imageNoise } from "../../diffusion/noise/image-noise.ts";
import { sequentialNoise } from "../../diffusion/noise/sequential-noise.ts";
import type { NoiseSource } from "../../diffusion/samplers/types.ts";
import { NijimiError } from "../../errors.ts";
import { philoxGenerator } from "../../tensor/random/philox.ts";
import { type NormalStream, perImage } from "../../tensor/random/streams.ts";
import { torchGenerator } from "../../tensor/random/torch.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import type { GenerationRequest } from "../request.ts";
import type { SamplingPlan } from "../sampling/plan.ts";

type F32 = Tensor<"float32">;
type Seed = number | bigint;

/** [B, C, h, w] */
export type LatentShape = readonly [number, number, number, number];

/** Random numbers of a job. */
export interface JobNoise {
  /** One per image; undefined where the noise was given. */
  readonly seeds?: readonly Seed[];
  /** For what pictures draw before the start (posterior samples). */
  readonly draws: NormalStream;
  /** Noise of unit variance to start from. To be asked for once, in its turn. */
  start(): F32;
  /** Noise of the steps. */
  readonly steps: NoiseSource;
  /** One generator draws for the whole batch. */
  readonly isShared: boolean;
}

/** The numbers that a request's seeds, or the noise it brings, give. */
export function noiseOf(
  request: GenerationRequest,
  latentShape: LatentShape,
  { noise, sigmaRange }: SamplingPlan,
): JobNoise {
  const { draws, latents, seedPer = "image", seedSource = "cpu", variation } = request;
  const [batch, ...shape] = latentShape;
  if (latents && String(latents.shape) !== String(latentShape))
    throw new NijimiError("shape", `latents are [${latents.shape}]; expected [${latentShape}].`);
  const given = latents && (() => latents);
  if (draws !== undefined)
    return {
      draws,
      start: given ?? (() => draws.randn(latentShape)),
      steps: sequentialNoise(draws),
      isShared: true,
    };
  const seeds = seedsOf(request, batch);
  const generator = (seed: Seed): NormalStream =>
    seedSource === "nv" ? philoxGenerator(seed) : torchGenerator(seed);
  const isShared = seedPer === "batch";
  const stream = isShared ? generator(seeds[0]) : perImage(seeds.map(generator));
  const brownian = (): NoiseSource =>
    brownianNoise({
      shape: latentShape,
      sigmaMin: sigmaRange[0],
      sigmaMax: sigmaRange[1],
      seed: isShared ? seeds[0] : seeds,
    });
  const varied =
    variation &&
    (() =>
      imageNoise({
        shape,
        seeds,
        variationSeeds: seeds.map((_, i) => BigInt(variation.seed) + BigInt(i)),
        variationStrength: variation.strength,
        source: seedSource,
      }).start);
  return {
    seeds,
    draws: stream,
    start: given ?? varied ?? (() => stream.randn(latentShape)),
    steps: noise === "brownian" ? brownian() : sequentialNoise(stream),
    isShared,
  };
}

/** One seed per image; a single one counts up, as A1111 does. */
function seedsOf({ seed, seedPer }: GenerationRequest, batch: number): Seed[] {
  if (Array.isArray(seed)) {
    const list = seed as readonly Seed[];
    if (list.length !== batch)
      throw new NijimiError(
        "option",
        `${list.length} seeds for ${batch} images; give one, or one each.`,
      );
    return [...list];
  }
  const first =
    (seed as Seed | undefined) ?? globalThis.crypto.getRandomValues(new Uint32Array(1))[0];
  if (typeof first === "number" && !Number.isSafeInteger(first))
    throw new NijimiError("option", `seed must be a whole number; got ${first}.`);
  if (seedPer === "batch") return Array.from({ length: batch }, () => first);
  return Array.from({ length: batch }, (_, i) =>
    typeof first === "bigint" ? first + BigInt(i) : first + i,
  );
}
