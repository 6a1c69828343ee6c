/**
 * Noise for SDE samplers from Brownian paths over sigma: the same path whatever the steps, and per
 * image whatever the batch. What k-diffusion's `BrownianTreeNoiseSampler` and A1111 (one seed per
 * image) give for torchsde's seeds.
 */
import { NijimiError } from "../../errors.ts";
import { sizeOf } from "../../tensor/tensor.ts";
import type { NoiseSource } from "../samplers/types.ts";
import { brownianTree } from "./brownian-tree.ts";

/** Options of {@link brownianNoise}. */
export interface BrownianNoiseOptions {
  /** Shape of the batch: [B, …]. */
  readonly shape: readonly number[];
  /** Range of the levels above 0 that will be asked for. */
  readonly sigmaMin: number;
  readonly sigmaMax: number;
  /** One seed for the whole batch as one path, or one per image. */
  readonly seed: number | bigint | readonly (number | bigint)[];
  /** Decimals to which levels are told apart; fewer are faster. @default 6 */
  readonly decimals?: number;
  /** Time of the path by level. @default sigma itself */
  readonly transform?: (sigma: number) => number;
}

/**
 * A source of noise with unit variance over every interval of levels.
 *
 * @example
 * const noise = brownianNoise({ shape: x.shape, sigmaMin: 0.03, sigmaMax: 14.6, seed: [1, 2] });
 * const run = dpmpp2mSde({ denoise, x, sigmas, noise });
 */
export function brownianNoise({
  shape,
  sigmaMin,
  sigmaMax,
  seed,
  decimals,
  transform = (sigma) => sigma,
}: BrownianNoiseOptions): NoiseSource {
  if (!(sigmaMin >= 0 && sigmaMax > sigmaMin && Number.isFinite(sigmaMax)))
    throw new NijimiError(
      "option",
      `brownianNoise: needs 0 ≤ sigmaMin < sigmaMax < ∞; got ${sigmaMin} and ${sigmaMax}.`,
    );
  const perImage = Array.isArray(seed);
  const seeds: readonly (number | bigint)[] = perImage ? seed : [seed as number | bigint];
  if (perImage && seeds.length !== shape[0])
    throw new NijimiError(
      "option",
      `brownianNoise: a batch of ${shape[0]} needs as many seeds; got ${seeds.length}.`,
    );
  // times in float32, as the published sampler takes them
  const time = (sigma: number) => Math.fround(transform(Math.fround(sigma)));
  const ends = [time(sigmaMin), time(sigmaMax)].sort((a, b) => a - b);
  const [start, end] = ends;
  const treeShape = perImage ? shape.slice(1) : shape;
  const trees = seeds.map((one) =>
    brownianTree({ shape: treeShape, start, end, seed: one, decimals }),
  );
  const direction = time(sigmaMin) < time(sigmaMax) ? 1 : -1;
  return (wanted, { sigma, sigmaNext }) => {
    if (wanted.length !== shape.length || wanted.some((dim, i) => dim !== shape[i]))
      throw new NijimiError("shape", `brownianNoise: made for [${shape}], asked for [${wanted}].`);
    const [from, to] = [time(sigma), time(sigmaNext)];
    const sign = direction * (from < to ? 1 : -1);
    const deviation = sign * Math.fround(Math.sqrt(Math.fround(Math.abs(to - from))));
    const data = new Float32Array(sizeOf(shape));
    const size = data.length / trees.length;
    trees.forEach((tree, i) => {
      const increment = tree.increment(Math.min(from, to), Math.max(from, to));
      for (let j = 0; j < size; j++) data[i * size + j] = increment[j] / deviation;
    });
    return { dtype: "float32", shape, data };
  };
}
