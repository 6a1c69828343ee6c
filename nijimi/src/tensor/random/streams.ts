/** Streams of normal numbers behind one interface, per-image seeds in a batch, and restoring whatever was saved. */
import { NijimiError, unknownName } from "../../errors.ts";
import { concatenate } from "../shape.ts";
import type { Tensor } from "../tensor.ts";
import { numpyRandomState, type NumpyRandomState, type NumpyState } from "./numpy.ts";
import { philoxGenerator, type PhiloxGenerator, type PhiloxState } from "./philox.ts";
import { torchGenerator, type TorchGenerator, type TorchState } from "./torch.ts";

/** What samplers draw from. */
export interface NormalStream {
  /** Standard normal numbers. */
  randn(shape: readonly number[]): Tensor<"float32">;
}

/**
 * One stream per image: the first dimension is the batch, and image i is drawn from stream i as `[1, …]`, as torch
 * pipelines do with a list of generators. An image then is the same whatever batch it is drawn in.
 *
 * @example
 * const noise = perImage([41, 42].map((seed) => torchGenerator(seed)));
 * const latents = noise.randn([2, 4, 64, 64]);
 */
export function perImage(streams: readonly NormalStream[]): NormalStream {
  return Object.freeze<NormalStream>({
    randn([batch, ...rest]) {
      if (batch !== streams.length)
        throw new NijimiError(
          "shape",
          `perImage: ${streams.length} streams cannot draw a batch of ${batch}.`,
        );
      return concatenate(streams.map((stream) => stream.randn([1, ...rest])));
    },
  });
}

/** What `state()` of any stream gives. */
export type RandomState = TorchState | NumpyState | PhiloxState;

/** The stream that a saved state belongs to; it goes on exactly where it was. */
export function restoreRandom(
  state: RandomState,
): TorchGenerator | NumpyRandomState | PhiloxGenerator {
  switch (state.kind) {
    case "torch":
      return torchGenerator(state);
    case "numpy":
      return numpyRandomState(state);
    case "philox":
      return philoxGenerator(state);
    default:
      throw unknownName("random stream", String((state as { kind: unknown }).kind), [
        "torch",
        "numpy",
        "philox",
      ]);
  }
}
