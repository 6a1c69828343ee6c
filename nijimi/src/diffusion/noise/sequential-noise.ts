/**
 * Noise for samplers from streams of random numbers, in order of use: what diffusers and
 * k-diffusion do by default.
 */
import { type NormalStream, perImage } from "../../tensor/random/streams.ts";
import type { NoiseSource } from "../samplers/types.ts";

/**
 * A source that draws from one stream for the whole batch, or from one per image, so that an image
 * is the same in any batch.
 *
 * @example
 * const noise = sequentialNoise(seeds.map((seed) => torchGenerator(seed)));
 */
export function sequentialNoise(stream: NormalStream | readonly NormalStream[]): NoiseSource {
  const source = isList(stream) ? perImage(stream) : stream;
  return (shape) => source.randn(shape);
}

function isList(stream: NormalStream | readonly NormalStream[]): stream is readonly NormalStream[] {
  return Array.isArray(stream);
}
