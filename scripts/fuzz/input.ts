/** From a seed and a number to an input: the same one in every process. */
import { mutate, type Material } from "./mutate.ts";
import { makeRandom, type Random } from "./random.ts";
import type { Target } from "./target.ts";

export interface Input {
  readonly bytes: Uint8Array;
  /** For choices that the target makes while running. */
  readonly random: Random;
}

/** Input `index` of a target under a seed. */
export function makeInput(target: Target, material: Material, seed: number, index: number): Input {
  const random = makeRandom(seed, target.name, index);
  const mutated = mutate(material, random);
  return { bytes: target.repair?.(mutated, random) ?? mutated, random };
}
