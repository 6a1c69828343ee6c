/**
 * The loss of a preconditioned denoiser D = cSkip·x + cOut·F(cIn·x, cNoise): λ·‖D − x0‖² written
 * for what F should give, F* = (x0 − cSkip·x)/cOut (Karras et al. 2022, EDM, arXiv:2206.00364, eq.
 * 8; k-diffusion's `Denoiser.loss`). With EDM's λ = 1/cOut² the weight of ‖F − F*‖² is 1 at every
 * noise level.
 */
import { add, div, mul, sub } from "../../graph/ops.ts";
import type { Sym } from "../../graph/primitives.ts";
import { float32, type Tensor } from "../../tensor/tensor.ts";
import type { Preconditioning } from "../parameterisations/preconditioning.ts";
import { levelOf } from "../samplers/space.ts";
import {
  elementError,
  type ErrorNorm,
  meanPerSample,
  scaleBatch,
  type TracedNetwork,
} from "./traced.ts";

/** The numbers of a batch: [B] each; tensors on the host, symbols in the trace. */
export interface PreconditionedBatch<T = Tensor<"float32">> {
  readonly alpha: T;
  readonly std: T;
  readonly cSkip: T;
  readonly cOut: T;
  readonly cIn: T;
  readonly cNoise: T;
}

/** The numbers for the noise levels of a batch, computed on the host in float64. */
export function preconditionedBatch(
  preconditioning: Preconditioning,
  sigmas: ArrayLike<number>,
): PreconditionedBatch {
  const { space, at } = preconditioning;
  const rows = Array.from(sigmas, (sigma) => ({ ...levelOf(space, sigma), ...at(sigma) }));
  const column = (key: keyof PreconditionedBatch) =>
    float32(
      [rows.length],
      rows.map((row) => row[key]),
    );
  return {
    alpha: column("alpha"),
    std: column("std"),
    cSkip: column("cSkip"),
    cOut: column("cOut"),
    cIn: column("cIn"),
    cNoise: column("cNoise"),
  };
}

/**
 * Mean of (F − F*)² per sample, times `weight`: [B].
 *
 * @example
 * const train = ({ x0, noise, batch }) => mean(preconditionedLoss({ network, x0, noise, batch }));
 * await compiled({ x0, noise, batch: preconditionedBatch(edmPreconditioning(), sigmas) });
 */
export function preconditionedLoss({
  network,
  x0,
  noise,
  batch,
  weight,
  norm = "l2",
}: {
  readonly network: TracedNetwork;
  readonly x0: Sym;
  readonly noise: Sym;
  readonly batch: PreconditionedBatch<Sym>;
  /** λ·cOut² of every sample, float32 [B]. @default 1 */
  readonly weight?: Sym;
  readonly norm?: ErrorNorm;
}): Sym {
  const x = add(scaleBatch(batch.alpha, x0), scaleBatch(batch.std, noise));
  const output = network(scaleBatch(batch.cIn, x), batch.cNoise);
  const target = scaleBatch(div(1, batch.cOut), sub(x0, scaleBatch(batch.cSkip, x)));
  const loss = meanPerSample(elementError(output, target, norm));
  return weight === undefined ? loss : mul(weight, loss);
}
