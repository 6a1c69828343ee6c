/** Which of a player's vectors is the model: the average, where there is one. */
import type { Tensor } from "../../tensor/tensor.ts";
import type { Vectors } from "../program.ts";

/** The vector that previews and exports use. */
export function modelVector(vectors: Vectors, player: string): Tensor {
  const own = vectors[player];
  return own["ema"] ?? own["parameters"];
}
