/**
 * Levels even in λ = log(α/σ) or in a power of it (Lu et al. 2022, DPM-Solver, arXiv:2206.00927,
 * section 3.2 and DPM-Solver++; diffusers' `use_lu_lambdas`). For a variance-preserving process the
 * VE level is σ_VE = e^{−λ}.
 */
import { checkNumber, checkSteps } from "./check.ts";
import { linspace } from "./numbers.ts";

/**
 * `steps` values of λ from `lambdaStart` (noisy) to `lambdaEnd` (clean): (λ_start^{1/ρ} +
 * u·(λ_end^{1/ρ} − λ_start^{1/ρ}))^ρ.
 */
export function luLambdas(
  steps: number,
  {
    lambdaStart,
    lambdaEnd,
    rho = 1,
  }: { readonly lambdaStart: number; readonly lambdaEnd: number; readonly rho?: number },
): Float64Array {
  checkSteps("luLambdas", steps);
  checkNumber("luLambdas", "lambdaStart", lambdaStart);
  checkNumber("luLambdas", "lambdaEnd", lambdaEnd);
  const start = lambdaStart ** (1 / rho);
  const end = lambdaEnd ** (1 / rho);
  return linspace(0, 1, steps).map((u) => (start + u * (end - start)) ** rho);
}

/** σ_VE = e^{−λ}. */
export function sigmaOfLambda(lambda: number): number {
  return Math.exp(-lambda);
}

/** λ = log(α/σ) = −log σ_VE. */
export function lambdaOfSigma(sigma: number): number {
  return -Math.log(sigma);
}
