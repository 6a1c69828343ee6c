/**
 * How much a noise level counts in training. snr = α²/σ² = 1/σ_VE².
 *
 * A weight belongs to what is compared: ‖x0 − x̂0‖² = ‖ε − ε̂‖²/snr = ‖v − v̂‖²/(snr + 1) for α² +
 * σ² = 1. Weights here are for the prediction named; {@link weightFor} turns a weight of the x0
 * error into that of another prediction.
 */
import { unknownName } from "../../errors.ts";

/** What the squared error is taken of. */
export type WeightedPrediction = "eps" | "x0" | "v";

/** The weight for a prediction's error that equals weight `x0Weight` of x0's error. */
export function weightFor(prediction: WeightedPrediction, snr: number, x0Weight: number): number {
  switch (prediction) {
    case "x0":
      return x0Weight;
    case "eps":
      return x0Weight / snr;
    case "v":
      return x0Weight / (snr + 1);
    default:
      throw unknownName("prediction", String(prediction), ["eps", "x0", "v"]);
  }
}

/** snr of a variance-preserving ᾱ. */
export function snrOfAlphaBar(alphaBar: number): number {
  return alphaBar / (1 - alphaBar);
}

/** Min-SNR-γ: min(snr, γ) on x0 (Hang et al. 2023, arXiv:2303.09556). @param gamma @default 5 */
export function minSnrWeight(prediction: WeightedPrediction, snr: number, gamma = 5): number {
  return weightFor(prediction, snr, Math.min(snr, gamma));
}

/** Truncated SNR: max(snr, 1) on x0 (Salimans & Ho 2022, arXiv:2202.00512, section 4). */
export function truncatedSnrWeight(prediction: WeightedPrediction, snr: number): number {
  return weightFor(prediction, snr, Math.max(snr, 1));
}

/** P2: 1/(k + snr)^γ on ε (Choi et al. 2022, arXiv:2204.00227, eq. 8). */
export function p2Weight(
  prediction: WeightedPrediction,
  snr: number,
  { k = 1, gamma = 1 } = {},
): number {
  return weightFor(prediction, snr, snr / (k + snr) ** gamma);
}

/** Debiased estimation: 1/√snr on ε, i.e. √snr on x0 (Yu et al. 2023, arXiv:2310.08442). */
export function debiasedWeight(prediction: WeightedPrediction, snr: number): number {
  return weightFor(prediction, snr, Math.sqrt(snr));
}

/** EDM's λ(σ) = (σ² + σ_d²)/(σ·σ_d)² on x0 (Karras et al. 2022, arXiv:2206.00364, table 1). */
export function edmWeight(sigma: number, sigmaData = 0.5): number {
  return (sigma ** 2 + sigmaData ** 2) / (sigma * sigmaData) ** 2;
}

/** k-diffusion's weights of ‖F − F*‖² in a `Denoiser`: "karras" 1, "snr" and "soft-min-snr". */
export function denoiserWeight(
  kind: "karras" | "snr" | "soft-min-snr",
  sigma: number,
  sigmaData = 1,
): number {
  const total = sigma ** 2 + sigmaData ** 2;
  switch (kind) {
    case "karras":
      return 1;
    case "snr":
      return sigmaData ** 2 / total;
    case "soft-min-snr":
      return (sigma * sigmaData) ** 2 / total ** 2;
    default:
      throw unknownName("denoiser weight", String(kind), ["karras", "snr", "soft-min-snr"]);
  }
}

/**
 * Stable Diffusion 3's weights for flow (Esser et al. 2024, arXiv:2403.03206, section 3.1), σ ∈ (0,
 * 1).
 */
export function flowWeight(kind: "none" | "sigma-sqrt" | "cosmap", sigma: number): number {
  switch (kind) {
    case "none":
      return 1;
    case "sigma-sqrt":
      return sigma ** -2;
    case "cosmap":
      return 2 / (Math.PI * (1 - 2 * sigma + 2 * sigma ** 2));
    default:
      throw unknownName("flow weight", String(kind), ["none", "sigma-sqrt", "cosmap"]);
  }
}
