/**
 * The noise of a batch of images in A1111's manner (`ImageRNG`): one seed per image, a variation
 * seed mixed in by slerp, noise of another size pasted into the middle (seed resize), and another
 * seed for the steps than for the start (ENSD, "eta noise seed delta").
 */
import { NijimiError } from "../../errors.ts";
import { philoxGenerator } from "../../tensor/random/philox.ts";
import type { NormalStream } from "../../tensor/random/streams.ts";
import { torchGenerator } from "../../tensor/random/torch.ts";
import { concatenate } from "../../tensor/shape.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import type { NoiseSource } from "../samplers/types.ts";
import { slerp } from "./slerp.ts";

type F32 = Tensor<"float32">;
type Seed = number | bigint;

/** Options of {@link imageNoise}. */
export interface ImageNoiseOptions {
  /** Shape of one image's latents, [C, H, W]. */
  readonly shape: readonly [number, number, number];
  /** One per image. */
  readonly seeds: readonly Seed[];
  /** Variation seeds, one per image; missing ones are 0. @default none */
  readonly variationSeeds?: readonly Seed[];
  /** Share of the variation, 0 to 1. @default 0 */
  readonly variationStrength?: number;
  /**
   * Height and width in latents of the size whose composition is to be kept. @default the size
   * itself
   */
  readonly resizeFrom?: readonly [height: number, width: number];
  /** Added to the seeds for all noise after the start (ENSD). @default 0 */
  readonly stepSeedDelta?: number;
  /** Which numbers a seed gives: torch's on the CPU or on NVIDIA's GPUs. @default "cpu" */
  readonly source?: "cpu" | "nv";
}

/** Noise of a batch. */
export interface ImageNoise {
  /** Noise of the start, [B, C, H, W]. The same however often it is asked for. */
  readonly start: F32;
  /** Noise of the steps, in order. */
  readonly steps: NoiseSource;
}

/**
 * The noise of a batch of images.
 *
 * @example
 * const { start, steps } = imageNoise({ shape: [4, 64, 64], seeds: [42], variationSeeds: [7], variationStrength: 0.1 });
 */
export function imageNoise(options: ImageNoiseOptions): ImageNoise {
  const { shape, seeds, stepSeedDelta = 0, source = "cpu" } = options;
  check(options);
  const generator = (seed: Seed): NormalStream =>
    source === "nv" ? philoxGenerator(seed) : torchGenerator(seed);
  const own = seeds.map(generator);
  const start = stacked(seeds.map((seed, i) => startNoise(options, seed, i, own[i], generator)));
  const forSteps =
    stepSeedDelta === 0
      ? own
      : seeds.map((seed) => generator(BigInt(seed) + BigInt(stepSeedDelta)));
  return { start, steps: () => stacked(forSteps.map((stream) => stream.randn(shape))) };
}

function startNoise(
  { shape, variationSeeds, variationStrength = 0, resizeFrom }: ImageNoiseOptions,
  seed: Seed,
  index: number,
  own: NormalStream,
  generator: (seed: Seed) => NormalStream,
): F32 {
  const [channels, height, width] = shape;
  const [fromHeight, fromWidth] = resizeFrom ?? [height, width];
  const resized = fromHeight !== height || fromWidth !== width;
  const drawn = [channels, fromHeight, fromWidth];
  // noise of another size comes from a fresh generator: the image's own then draws what surrounds
  // it
  let noise = (resized ? generator(seed) : own).randn(drawn);
  if (variationSeeds && variationStrength !== 0)
    noise = slerp(variationStrength, noise, generator(variationSeeds[index] ?? 0).randn(drawn));
  return resized ? pasteCentred(own.randn(shape), noise) : noise;
}

/** `noise` in the middle of `around`, cut where it is larger. Both [C, H, W]. */
function pasteCentred(around: F32, noise: F32): F32 {
  const [channels, height, width] = around.shape;
  const [, fromHeight, fromWidth] = noise.shape;
  const [dy, dx] = [Math.floor((height - fromHeight) / 2), Math.floor((width - fromWidth) / 2)];
  const rows = dy >= 0 ? fromHeight : fromHeight + 2 * dy;
  const columns = dx >= 0 ? fromWidth : fromWidth + 2 * dx;
  const data = around.data.slice();
  for (let c = 0; c < channels; c++)
    for (let y = 0; y < rows; y++) {
      const from = (c * fromHeight + y + Math.max(-dy, 0)) * fromWidth + Math.max(-dx, 0);
      data.set(
        noise.data.subarray(from, from + columns),
        (c * height + y + Math.max(dy, 0)) * width + Math.max(dx, 0),
      );
    }
  return { ...around, data };
}

function stacked(images: readonly F32[]): F32 {
  return concatenate(images.map((image) => ({ ...image, shape: [1, ...image.shape] })));
}

function check({
  shape,
  seeds,
  variationStrength = 0,
  resizeFrom,
  stepSeedDelta = 0,
  source = "cpu",
}: ImageNoiseOptions): void {
  const refuse = (what: string) => new NijimiError("option", `imageNoise: ${what}`);
  if (seeds.length === 0) throw refuse("seeds are empty; one per image is needed.");
  if (!(variationStrength >= 0 && variationStrength <= 1))
    throw refuse(`variationStrength must lie between 0 and 1; got ${variationStrength}.`);
  if (!Number.isSafeInteger(stepSeedDelta))
    throw refuse(`stepSeedDelta must be a whole number; got ${stepSeedDelta}.`);
  if (source !== "cpu" && source !== "nv")
    throw refuse(`source must be "cpu" or "nv"; got ${JSON.stringify(source)}.`);
  for (const dim of [...shape, ...(resizeFrom ?? [])])
    if (!(Number.isInteger(dim) && dim >= 1))
      throw refuse(`sizes must be whole numbers ≥ 1; got [${shape}] from [${resizeFrom ?? ""}].`);
}
