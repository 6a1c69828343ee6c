/**
 * What a network predicts about x = α·x0 + σ·ε. Every prediction is a fixed mixture p·x0 + q·ε, and
 * the two equations give x0 and ε back:
 *
 * x0 = (q·x − σ·out)/(q·α − p·σ), ε = (α·out − p·x)/(q·α − p·σ)
 *
 * | prediction | p  | q    | from                                                       |
 * |------------|----|------|------------------------------------------------------------|
 * | `eps`      | 0  | 1    | Ho et al. 2020 (arXiv:2006.11239)                          |
 * | `x0`       | 1  | 0    | the denoiser itself                                        |
 * | `v`        | −σ | α    | Salimans & Ho 2022 (arXiv:2202.00512), where α² + σ² = 1   |
 * | `score`    | 0  | −1/σ | Song & Ermon 2019 (arXiv:1907.05600)                       |
 * | `flow`     | −1 | 1    | rectified flow, Liu et al. 2022 (arXiv:2209.03003): ε − x0 |
 */
import { unknownName } from "../../errors.ts";

/** How much signal and how much noise a state holds. */
export interface Mixture {
  /** α, factor of x0. */
  readonly alpha: number;
  /** σ, standard deviation of the noise. */
  readonly std: number;
}

/** Names of what a network can predict. */
export const PREDICTION_TYPES = ["eps", "x0", "v", "score", "flow"] as const;
export type PredictionType = (typeof PREDICTION_TYPES)[number];

/** diffusers' `prediction_type` → ours. */
export const DIFFUSERS_PREDICTION_TYPES: Readonly<Record<string, PredictionType>> = {
  epsilon: "eps",
  sample: "x0",
  v_prediction: "v",
  flow_prediction: "flow",
};

/** What the network is trained to give: x0Factor·x0 + epsFactor·ε. */
export function predictionTarget(
  type: PredictionType,
  { alpha, std }: Mixture,
): { readonly x0: number; readonly eps: number } {
  switch (type) {
    case "eps":
      return { x0: 0, eps: 1 };
    case "x0":
      return { x0: 1, eps: 0 };
    case "v":
      return { x0: -std, eps: alpha };
    case "score":
      return { x0: 0, eps: -1 / std };
    case "flow":
      return { x0: -1, eps: 1 };
    default:
      throw unknownName("prediction type", String(type), PREDICTION_TYPES);
  }
}

/** A linear function of the state and the network's output: x·state + output·output. */
export interface OutputCoefficients {
  readonly x: number;
  readonly output: number;
}

/** x0 from state and output. */
export function x0Coefficients(type: PredictionType, mixture: Mixture): OutputCoefficients {
  const { x0: p, eps: q } = predictionTarget(type, mixture);
  const determinant = q * mixture.alpha - p * mixture.std;
  return { x: q / determinant, output: -mixture.std / determinant };
}

/** ε from state and output. */
export function epsCoefficients(type: PredictionType, mixture: Mixture): OutputCoefficients {
  const { x0: p, eps: q } = predictionTarget(type, mixture);
  const determinant = q * mixture.alpha - p * mixture.std;
  return { x: -p / determinant, output: mixture.alpha / determinant };
}
