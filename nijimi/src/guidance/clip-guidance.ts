/**
 * CLIP guidance (Nichol et al. 2022, GLIDE, arXiv:2112.10741, section 2.4): classifier guidance in
 * which log p(y|x_t) is s·⟨f(x_t), c⟩, the similarity of a (noise-aware) CLIP's image features with
 * the caption's, both of unit length.
 */
import { NijimiError } from "../errors.ts";
import type { Tensor } from "../tensor/tensor.ts";
import type { DenoiseContext } from "../diffusion/samplers/types.ts";
import type { ClassifierGradient } from "./classifier.ts";

type F32 = Tensor<"float32">;

/** An image encoder and how gradients go back through it. */
export interface DifferentiableEncoder {
  /** Features [B, D] of a noisy image. */
  readonly encode: (x: F32, sigma: number, context: DenoiseContext) => F32 | Promise<F32>;
  /** vᵀ·∂features/∂x for v of the features' shape: x's shape. */
  readonly backward: (x: F32, sigma: number, v: F32, context: DenoiseContext) => F32 | Promise<F32>;
}

/**
 * The gradient of scale·Σ_b cos(f(x_b), c_b), for `classifierGuided`.
 *
 * @param text the caption's features, [B, D] or [1, D] for all
 */
export function clipGradient(
  encoder: DifferentiableEncoder,
  text: F32,
  { scale = 1 } = {},
): ClassifierGradient {
  return async (x, sigma, context) => {
    const features = await encoder.encode(x, sigma, context);
    return encoder.backward(x, sigma, similarityGradient(features, text, scale), context);
  };
}

/** ∂(scale·cos(f, c))/∂f = scale·(ĉ − cos·f̂)/|f| per sample. */
export function similarityGradient(features: F32, text: F32, scale = 1): F32 {
  const [batch, size] = features.shape;
  if (text.shape[1] !== size || (text.shape[0] !== batch && text.shape[0] !== 1))
    throw new NijimiError(
      "shape",
      `CLIP guidance: features [${features.shape}] need captions [${batch} or 1, ${size}]; got [${text.shape}].`,
    );
  const data = new Float32Array(features.data.length);
  for (let b = 0; b < batch; b++) {
    const f = features.data.subarray(b * size, (b + 1) * size);
    const row = text.shape[0] === 1 ? 0 : b;
    const c = text.data.subarray(row * size, (row + 1) * size);
    const [fLength, cLength] = [Math.hypot(...f), Math.hypot(...c)];
    const cosine = f.reduce((sum, value, i) => sum + value * c[i], 0) / (fLength * cLength);
    for (let i = 0; i < size; i++)
      data[b * size + i] = (scale * (c[i] / cLength - (cosine * f[i]) / fLength)) / fLength;
  }
  return { ...features, data };
}
