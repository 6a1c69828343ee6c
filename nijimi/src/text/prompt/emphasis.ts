/** What the weights of a prompt do to the text encoder's output (the A1111 web UI's two ways). */
import { NijimiError, unknownName } from "../../errors.ts";
import { float32, type Tensor } from "../../tensor/tensor.ts";

/**
 * - `"original"`: each vector times its weight, then the whole scaled to the mean it had before
 * - `"no-norm"`: each vector times its weight, which suits SDXL
 * - `"ignore"`: weights are read and not applied
 */
export const EMPHASIS_MODES = ["original", "no-norm", "ignore"] as const;

export type EmphasisMode = (typeof EMPHASIS_MODES)[number];

/**
 * Applies the weights of a chunk.
 *
 * Differs from the web UI in restoring the mean of each text by itself, so that a picture does not depend on its batch.
 *
 * @param hidden the text encoder's output, [B, T, C]
 * @param weights one per token, [B][T]
 * @throws NijimiError `shape` when there are not as many weights as tokens
 */
export function applyEmphasis(
  hidden: Tensor<"float32">,
  weights: readonly (readonly number[])[],
  mode: EmphasisMode = "original",
): Tensor<"float32"> {
  if (!EMPHASIS_MODES.includes(mode)) throw unknownName("emphasis", mode, EMPHASIS_MODES);
  const [batch, length, width] = hidden.shape;
  if (
    hidden.shape.length !== 3 ||
    weights.length !== batch ||
    weights.some((row) => row.length !== length)
  )
    throw new NijimiError(
      "shape",
      `applyEmphasis: hidden states [${hidden.shape}] and weights [${weights.length}, ${weights[0]?.length ?? 0}]; expected [B, T, C] and [B, T].`,
    );
  if (mode === "ignore") return hidden;
  const out = Float32Array.from(hidden.data, (value, i) => {
    const token = Math.floor(i / width);
    return value * weights[Math.floor(token / length)][token % length];
  });
  if (mode === "original")
    for (let b = 0; b < batch; b++) {
      const row = out.subarray(b * length * width, (b + 1) * length * width);
      const before = mean(hidden.data.subarray(b * length * width, (b + 1) * length * width));
      const factor = before / mean(row);
      // weights that cancel out leave no mean to restore
      if (Number.isFinite(factor)) for (let i = 0; i < row.length; i++) row[i] *= factor;
    }
  return float32(hidden.shape, out);
}

function mean(values: Float32Array): number {
  let sum = 0;
  for (const value of values) sum += value;
  return sum / values.length;
}
