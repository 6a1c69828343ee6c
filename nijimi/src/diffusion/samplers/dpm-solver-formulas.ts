/**
 * One step of the DPM-Solver family as coefficients of x, of the model's answer and of its scaled
 * differences.
 *
 * With h = λ' − λ the exact solution is x' = (σ'/σ)x + α'∫e^{−(λ'−λ)}x0 dλ in terms of x0
 * (DPM-Solver++, Lu et al. 2022, arXiv:2211.01095, eq. 9) and x' = (α'/α)x − σ'∫e^{λ'−λ}ε dλ in
 * terms of ε (DPM-Solver, arXiv:2206.00927, eq. 3.4); the answer is expanded as
 * D0 + D1·u + D2·u²/2 in u = (λ − λ0)/h. With eta > 0 the same is done for the reverse SDE: decay and drift
 * use H = (1 + eta)·h and noise of standard deviation σ'√(1 − e^{−2·eta·h}) is added
 * (`sample_dpmpp_2m_sde`).
 */
import type { Level } from "./space.ts";

/** What the network's answer is taken as. */
export type SolverPrediction = "x0" | "eps";

/** How the second order is taken: D1 at the middle (midpoint), or integrated exactly (Heun). */
export type SolverType = "midpoint" | "heun";

/** x' = x·`x` + D0·`d0` + D1·`d1` + D2·`d2` + noise·`noise`. */
export interface SolverCoefficients {
  readonly x: number;
  readonly d0: number;
  /** D1 where nothing is known beyond it; in a third-order step D1 is always integrated exactly. */
  readonly d1: number;
  readonly d2: number;
  readonly noise: number;
}

/** Options of {@link solverCoefficients}. */
export interface SolverOptions {
  readonly prediction: SolverPrediction;
  readonly type: SolverType;
  /** 0 for the ODE, 1 for the reverse SDE. */
  readonly eta: number;
  /**
   * Sign of the constant in a third-order SDE step's last term: diffusers 0.35 has −½ where the
   * expansion (and k-diffusion) has +½. @default "published"
   */
  readonly thirdOrderSde?: "published" | "diffusers";
}

/** Coefficients of a step. `to` may have no noise; D1 and D2 must then not be used. */
export function solverCoefficients(
  from: Level,
  to: Level,
  { prediction, type, eta, thirdOrderSde = "published" }: SolverOptions,
): SolverCoefficients {
  const h = to.lambda - from.lambda;
  const coefficients =
    prediction === "x0"
      ? x0Coefficients(from, to, h, type, eta)
      : epsCoefficients(from, to, h, type, eta);
  return thirdOrderSde === "diffusers" && eta > 0
    ? { ...coefficients, d2: coefficients.d2 - to.alpha }
    : coefficients;
}

function x0Coefficients(
  from: Level,
  to: Level,
  h: number,
  type: SolverType,
  eta: number,
): SolverCoefficients {
  const big = (1 + eta) * h; // H
  const phi1 = -Math.expm1(-big); // 1 − e^−H
  const phi2 = 1 - phi1 / big; // (e^−H − 1)/H + 1
  return {
    x: (to.std / from.std) * (eta === 0 ? 1 : Math.exp(-eta * h)),
    d0: to.alpha * phi1,
    d1: to.alpha * (type === "midpoint" ? phi1 / 2 : phi2),
    d2: to.alpha * (0.5 - phi2 / big),
    noise: eta === 0 ? 0 : to.std * Math.sqrt(Math.max(0, -Math.expm1(-2 * eta * h))),
  };
}

function epsCoefficients(
  from: Level,
  to: Level,
  h: number,
  type: SolverType,
  eta: number,
): SolverCoefficients {
  const psi1 = Math.expm1(h); // e^h − 1
  const psi2 = psi1 / h - 1;
  const drift = (1 + eta) * to.std;
  return {
    x: to.alpha / from.alpha,
    d0: to.std === 0 ? (-(1 + eta) * to.alpha * from.std) / from.alpha : -drift * psi1,
    d1: -drift * (type === "midpoint" ? psi1 / 2 : psi2),
    d2: -drift * (psi2 / h - 0.5),
    noise: eta === 0 ? 0 : eta * to.std * Math.sqrt(Math.max(0, Math.expm1(2 * h))),
  };
}
